/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of control/guard.h. What counts is live targets: usable ones that health checks do not
 * hold down. A target that is down counts on neither side, so to lose it is no shrink, and the
 * others carry the whole of what may go.
 *
 * Failure modes: none; a set is let through, or held.
 */
#include "control/guard.h"

#include <stdio.h>
#include <string.h>

#include "proxy/base/panic.h"

const char *const guard_verdict_names[GUARD_VERDICTS] = {"same", "apply", "empty", "shrink"};

void guard_hold_clear(struct guard_hold *hold)
{
	target_set_free(hold->set);
	*hold = (struct guard_hold){0};
}

static size_t count_live(const struct target_set *set,
			 bool (*is_down)(void *context, const struct found_target *target),
			 void *context)
{
	size_t live = 0;

	for (size_t i = 0; i < target_set_count(set); i++) {
		const struct found_target *target = target_set_at(set, i);

		live += !target->draining && target->weight &&
			!(is_down && is_down(context, target));
	}
	return live;
}

/* Draining targets are no reason to believe that a pool has any: a set of them alone is empty. It
 * may follow one that was as empty, so that what an operator let through can end. */
static bool empties(const struct guard_conf *conf, const struct target_set *current,
		    const struct target_set *next)
{
	if (conf->allow_empty || target_set_usable(next))
		return false;
	return !target_set_count(next) || !current || target_set_usable(current);
}

static bool shrinks_too_much(const struct guard_conf *conf, size_t before, size_t after)
{
	size_t lost = before > after ? before - after : 0;

	return lost > 1 && (uint64_t)lost * 100 > (uint64_t)conf->max_shrink_percent * before;
}

/* Since when something is held goes on over different sets, so that a source which says something
 * else every time is seen to be held for long. */
static void hold_set(struct guard_hold *hold, enum guard_verdict why, struct target_set **next,
		     uint64_t now_wall_us)
{
	bool again = hold->set && target_set_equal(hold->set, *next);

	if (!hold->set)
		hold->since_wall_us = now_wall_us;
	hold->why = why;
	hold->seen = again ? hold->seen + 1 : 1;
	target_set_free(hold->set);
	hold->set = *next;
	*next = NULL;
	target_set_digest(hold->set, hold->digest);
}

/* Whether this snapshot is the one that confirms what is held. */
static bool confirms(const struct guard_hold *hold, const struct target_set *next)
{
	return hold->set && hold->seen + 1 >= GUARD_CONFIRMATIONS &&
	       target_set_equal(hold->set, next);
}

enum guard_verdict guard_judge(const struct guard_conf *conf, const struct target_set *current,
			       struct target_set **next, struct guard_hold *hold,
			       uint64_t now_wall_us,
			       bool (*is_down)(void *context, const struct found_target *target),
			       void *context)
{
	enum guard_verdict verdict = GUARD_APPLY;

	must(*next);
	if (current && target_set_equal(current, *next))
		verdict = GUARD_SAME;
	else if (empties(conf, current, *next))
		verdict = GUARD_HOLD_EMPTY;
	else if (shrinks_too_much(conf, count_live(current, is_down, context),
				  count_live(*next, is_down, context)) &&
		 !confirms(hold, *next))
		verdict = GUARD_HOLD_SHRINK;
	if (verdict == GUARD_HOLD_EMPTY || verdict == GUARD_HOLD_SHRINK)
		hold_set(hold, verdict, next, now_wall_us);
	else
		guard_hold_clear(hold);
	return verdict;
}

const char *guard_explain(const struct guard_hold *hold, const struct target_set *current,
			  char *buf, size_t size)
{
	size_t before = target_set_usable(current), after = target_set_usable(hold->set);

	if (!hold->set)
		snprintf(buf, size, "nothing is held");
	else if (hold->why == GUARD_HOLD_EMPTY && !before)
		snprintf(buf, size, "the source names no usable target");
	else if (hold->why == GUARD_HOLD_EMPTY)
		snprintf(buf, size,
			 "all %zu usable targets would go: only an approval lets that "
			 "through",
			 before);
	else
		snprintf(buf, size, "%zu of %zu usable targets would go: seen %u of %d times",
			 before > after ? before - after : 0, before, hold->seen,
			 GUARD_CONFIRMATIONS);
	return buf;
}
