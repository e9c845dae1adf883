/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a snapshot may replace the one before. Pure: it knows no clock, file or network.
 *
 * Happy path: a set that adds, changes or shrinks a little is applied at once; the same set again
 * is nothing to do. Held are an empty set (until approved, or where the source allows it) and a
 * shrink of more than `max_shrink` of the usable targets: that until GUARD_CONFIRMATIONS identical
 * snapshots said so, or at once as far as health checks already hold the missing ones down.
 * One target less never counts as too much.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/target_set.h"

#define GUARD_CONFIRMATIONS 3

struct guard_conf {
	uint32_t max_shrink_percent; /* of what is usable now */
	bool allow_empty;
};

enum guard_verdict {
	GUARD_SAME,
	GUARD_APPLY,
	GUARD_HOLD_EMPTY,  /* only an approval lets it through */
	GUARD_HOLD_SHRINK, /* an approval, or confirmation */
	GUARD_VERDICTS
};

extern const char *const guard_verdict_names[GUARD_VERDICTS];

/* What is held back: owned by the feed, zero when nothing is. */
struct guard_hold {
	struct target_set *set; /* NULL: nothing is held */
	enum guard_verdict why;
	uint32_t seen;          /* identical snapshots in a row */
	uint64_t since_wall_us; /* of the first hold in this row */
	char digest[SET_DIGEST_TEXT];
};

void guard_hold_clear(struct guard_hold *hold);

/* Judge `next` against `current` (NULL: there was none). `is_down` says whether health checks hold
 * a target down now; may be NULL. Held sets are copied into `hold` (taken over: `*next` becomes
 * NULL), and so is a confirmation counted there; any other verdict clears it. */
enum guard_verdict guard_judge(const struct guard_conf *conf, const struct target_set *current,
			       struct target_set **next, struct guard_hold *hold,
			       uint64_t now_wall_us,
			       bool (*is_down)(void *context, const struct found_target *target),
			       void *context);

/* What the hold would change, as a sentence: "5 of 6 targets would go". */
const char *guard_explain(const struct guard_hold *hold, const struct target_set *current,
			  char *buf, size_t size);
