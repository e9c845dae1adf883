/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice --doctor`: facts of this host and of the configuration, judged and printed on stdout.
 */
#pragma once

#include <stdbool.h>

struct config;

/* `config` may be NULL: the defaults are judged. Whether anything fails. */
bool diagnosis_print(const struct config *config, bool json);
