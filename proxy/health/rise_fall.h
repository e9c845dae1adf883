/* SPDX-License-Identifier: Apache-2.0
 *
 * From verdicts to a target's status.
 *
 *             good                 bad                 bad, `fall` in a row
 *   UNKNOWN --------> UP <--------------> GOING_DOWN ----------------------+
 *      |              ^        good                                        v
 *      | bad          +---------------- GOING_UP <--------------------> DOWN
 *      +------->DOWN    good, `rise` in a row      good          bad
 *
 * A target that went down again soon after it came up must succeed longer before it is believed
 * again: twice as long each time, up to 8 times `rise`. While it stays up that is forgotten, by
 * half for every quiet period. Pure: the caller says what time it is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/registry.h"

#define RISE_FACTOR_MAX 8
#define QUIET_INTERVALS 30 /* of the settled kind: one quiet period */

struct rise_fall {
	enum health_status status;
	uint32_t passed; /* in a row */
	uint32_t failed;
	uint32_t rise_factor; /* 1 while the target does not flap */
	uint64_t up_us;       /* when it came up after having been down; 0: it did not */
};

/* UNCHECKED counts as UNKNOWN. */
void rise_fall_init(struct rise_fall *state, enum health_status status);

/* One more verdict at `now_us`. */
void rise_fall_count(struct rise_fall *state, const struct health_conf *conf, bool good,
		     uint64_t now_us);

/* How many good verdicts in a row bring it up. */
uint32_t rise_fall_needed(const struct rise_fall *state, const struct health_conf *conf);

/* Up, with no doubt about it: checked at the slow interval. */
bool rise_fall_is_settled(const struct rise_fall *state);
