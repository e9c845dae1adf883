/* SPDX-License-Identifier: Apache-2.0
 *
 * Names as sluice.yaml allows them, each given once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "control/ctl/haproxy/arena.h"

struct hap_names {
	const char **given;
	size_t count;
};

/* What comes nearest to `wanted`: small letters, digits, `_`, `.` and `-`, at most 31 of them, and
 * a number behind if it was given before. */
const char *hap_name(struct hap_arena *arena, struct hap_names *names, const char *wanted);
