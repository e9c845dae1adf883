/* SPDX-License-Identifier: Apache-2.0
 *
 * How targets of one pool are checked: a copy of its struct health_conf that outlives the
 * configuration it came from. Shared by the targets of a pool and counted; one thread at a time has
 * all references of one, since each health_set() makes its own.
 */
#pragma once

#include <stdbool.h>

#include "proxy/model.h"

struct settings {
	unsigned refs;
	struct health_conf conf; /* its strings and bytes are ours */
};

/* One reference, or NULL without memory. */
struct settings *settings_new(const struct health_conf *conf);
struct settings *settings_get(struct settings *settings);
void settings_put(struct settings *settings); /* accepts NULL */

/* Whether both ask the same of a target, equally often. */
bool settings_equal(const struct settings *a, const struct settings *b);
