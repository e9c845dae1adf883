/* SPDX-License-Identifier: Apache-2.0
 *
 * Pools as several verbs need them.
 */
#pragma once

#include <jansson.h>

#include "control/ctl/ctl.h"

/* A table of summaries, as `pools` and `status` have them. */
void pools_print(struct ctl *ctl, const json_t *pools);

/* GET /v1/pools, or only one with its members if `name` is not NULL. */
int pools_get(struct ctl *ctl, const char *name, struct reply *ret_reply);

/* Call `each` with every pool and its members (or the one called `name`), until it says other than
 * CTL_OK, which is then the result. */
int pools_walk(struct ctl *ctl, const char *name,
	       int (*each)(void *context, const struct reply *pool), void *context);
