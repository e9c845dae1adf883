/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes of a snapshot. Happy path: the guard lets it through, every change is noted with its
 * cause, it becomes what is in force, is written down and pushed.
 *
 * Failure modes: the guard holds it, and what was in force stays; the file cannot be written, which
 * is said once and tried again; the link has no memory for a push, which is tried again with the
 * next snapshot. Before the proxy was met once nothing is judged: only it knows what there is to
 * lose.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/feed/internal.h"
#include "control/journal.h"
#include "control/lastgood.h"
#include "control/link.h"
#include "proxy/base/clock.h"
#include "proxy/base/figures.h"
#include "proxy/base/loop.h"

#define SAVE_RETRY_US   (60 * US_PER_SEC)
#define SAVES_IN_MAXAGE 24 /* so many times in the age limit a set that stays is written again */

/* What comes of a file and of the proxy itself has not been heard from the source: targets that are
 * new to the proxy have to pass a health check first. */
static void push(struct feed *feed)
{
	if (!feed->set->link)
		return;
	feed->unpushed = link_push(feed->set->link, feed->pool, feed->name, feed->current,
				   feed->origin != FEED_SOURCE) < 0;
	if (feed->unpushed)
		snprintf(feed->push_problem, sizeof(feed->push_problem), "out of memory");
}

static void save(struct feed *feed)
{
	uint64_t again_us = feed->set->last_good_max_age_us / SAVES_IN_MAXAGE;
	int err = lastgood_save(feed->set->lastgood, feed->key, feed->pool, feed->name,
				feed->current, clock_wall_us());

	if (err && err != feed->save_err)
		feed_note(feed, LOG_ERROR, "last_good", NULL,
			  "the last-known-good file cannot be written: %s; a restart while the "
			  "source is away would begin with an older one, or none",
			  strerror(-err));
	feed->save_err = err;
	feed->next_save_us = feed->set->loop->now_us +
			     (err || again_us < SAVE_RETRY_US ? SAVE_RETRY_US : again_us);
}

/* What a change is noted with. */
struct cause {
	struct feed *feed;
	const char *why;
};

static void note_change(void *context, enum set_change change, const struct found_target *was,
			const struct found_target *is)
{
	static const char *const kinds[] = {"target_added", "target_removed", "target_draining",
					    "target_changed", "target_changed"};
	const struct cause *cause = context;
	const struct found_target *target = is ? is : was;
	char what[64] = "changed";

	if (change == SET_ADDED)
		snprintf(what, sizeof(what), "added with weight %u", is->weight);
	else if (change == SET_REMOVED)
		snprintf(what, sizeof(what), "removed");
	else if (change == SET_DRAINED)
		snprintf(what, sizeof(what), "drains");
	else if (change == SET_RETURNED)
		snprintf(what, sizeof(what), "takes connections again");
	else if (was->weight != is->weight)
		snprintf(what, sizeof(what), "weight %u, was %u", is->weight, was->weight);
	feed_note(cause->feed, LOG_INFO, kinds[change], target->address, "%s%s%s: %s",
		  target->id ? target->id : "", target->id ? " " : "", what, cause->why);
}

/* `next` is taken over. */
static void apply(struct feed *feed, struct target_set *next, const char *why)
{
	struct cause cause = {feed, why};

	target_set_diff(feed->current, next, note_change, &cause);
	target_set_free(feed->current);
	feed->current = next;
	feed->origin = FEED_SOURCE;
	feed->applied_wall_us = clock_wall_us();
	feed->applies++;
	save(feed);
	push(feed);
}

/* The source says what is in force already; until now that may only have been the file's word. */
static void confirm(struct feed *feed)
{
	bool news = feed->origin != FEED_SOURCE;

	feed->origin = FEED_SOURCE;
	if (news || feed->unpushed)
		push(feed);
	if (news || feed->set->loop->now_us >= feed->next_save_us)
		save(feed);
}

static void note_hold(struct feed *feed)
{
	char text[128];

	feed_note(feed, LOG_WARN, "held", NULL,
		  "%s; `sluicectl discovery approve %s %s --digest %s` lets it through",
		  guard_explain(&feed->hold, feed->current, text, sizeof(text)), feed->pool,
		  feed->name, feed->hold.digest);
}

static bool is_down(void *context, const struct found_target *target)
{
	const struct feed *feed = context;

	return link_is_down(feed->set->link, feed->pool, target);
}

static void judge(struct feed *feed, struct target_set *next)
{
	bool was_held = feed->hold.set != NULL;
	enum guard_verdict was_why = feed->hold.why;
	bool confirmed = was_held && target_set_equal(feed->hold.set, next);
	enum guard_verdict verdict =
		guard_judge(&feed->guard, feed->current, &next, &feed->hold, clock_wall_us(),
			    feed->set->link ? is_down : NULL, feed);

	if (verdict == GUARD_HOLD_EMPTY || verdict == GUARD_HOLD_SHRINK) {
		feed->holds += !was_held;
		if (!was_held || verdict != was_why)
			note_hold(feed);
		return;
	}
	if (was_held)
		feed_note(feed, LOG_INFO, "released", NULL, "%s",
			  confirmed ? "what was held is confirmed"
				    : "the source says otherwise by now");
	if (verdict == GUARD_APPLY) {
		apply(feed, next, confirmed ? "the source confirms it" : "the source says so");
		return;
	}
	confirm(feed);
	target_set_free(next);
}

void feed_consider(struct feed *feed, struct target_set *next)
{
	if (!feed->set->link || feed->met_proxy) {
		judge(feed, next);
		return;
	}
	target_set_free(feed->unjudged);
	feed->unjudged = next;
}

/* What it has is what serves now, whatever a file says. 0 or -ENOMEM. */
static int adopt(struct feed *feed, const struct target_set *had)
{
	struct target_set *copy = target_set_copy(had);

	if (!copy)
		return -ENOMEM;
	target_set_free(feed->current);
	feed->current = copy;
	feed->origin = FEED_PROXY;
	feed->answered_wall_us = 0;
	return 0;
}

/* A proxy that comes again is brought up to date by the link, which has what was pushed; so what
 * the proxy had is pushed too, for the next one. */
void feed_on_proxy(struct feed *feed)
{
	const struct target_set *had = link_current(feed->set->link, feed->pool, feed->name);
	struct target_set *unjudged = feed->unjudged;

	if (feed->met_proxy || (had && adopt(feed, had) < 0))
		return;
	feed->met_proxy = true;
	if (feed->current)
		push(feed);
	feed->unjudged = NULL;
	if (unjudged)
		judge(feed, unjudged);
}

void feed_on_pushed(struct feed *feed, uint64_t generation, const char *problem)
{
	if (!problem) {
		feed->generation = generation;
		feed->push_problem[0] = '\0';
		feed_note(feed, LOG_INFO, "pushed", NULL,
			  "the proxy has generation %llu, of %zu targets",
			  (unsigned long long)generation, target_set_count(feed->current));
		return;
	}
	if (strncmp(feed->push_problem, problem, sizeof(feed->push_problem) - 1))
		feed_note(feed, LOG_WARN, "push_refused", NULL, "%s", problem);
	snprintf(feed->push_problem, sizeof(feed->push_problem), "%s", problem);
}

static void note_no_recall(struct feed *feed, int err)
{
	if (err == -ESTALE)
		feed_note(feed, LOG_ERROR, "last_good", NULL,
			  "the last-known-good file is older than last_good_max_age, so it is not "
			  "used");
	else if (err == -EBADMSG || err == -EINVAL)
		feed_note(feed, LOG_ERROR, "last_good", NULL,
			  "the last-known-good file is %s, so it is not used; it is kept as "
			  "%s.set.bad",
			  err == -EINVAL ? "that of another source" : "damaged", feed->key);
	else if (err != -ENOENT)
		feed_note(feed, LOG_ERROR, "last_good", NULL,
			  "the last-known-good file cannot be read: %s", strerror(-err));
}

void feed_recall(struct feed *feed)
{
	uint64_t now_us = clock_wall_us();
	char age[FIGURE_TEXT];
	int err = lastgood_load(feed->set->lastgood, feed->key, feed->pool, feed->name, now_us,
				feed->set->last_good_max_age_us, &feed->current,
				&feed->answered_wall_us);

	if (err) {
		note_no_recall(feed, err);
		return;
	}
	feed->origin = FEED_LASTGOOD;
	feed->applied_wall_us = now_us;
	figure_duration(
		now_us > feed->answered_wall_us ? (now_us - feed->answered_wall_us) / US_PER_MS : 0,
		age);
	feed_note(feed, LOG_WARN, "last_good", NULL,
		  "%zu targets of the last-known-good file, %s old, until the source answers",
		  target_set_count(feed->current), age);
}

int feed_approve(struct feed *feed, const char *digest, const char *who)
{
	struct target_set *set = feed->hold.set;
	char why[128];

	if (!set)
		return -ENOENT;
	if (digest && strcmp(digest, feed->hold.digest) != 0)
		return -ESTALE;
	feed_note(feed, LOG_WARN, "approved", NULL, "%s lets %s through: %zu targets, were %zu",
		  who, feed->hold.digest, target_set_count(set), target_set_count(feed->current));
	feed->hold.set = NULL;
	guard_hold_clear(&feed->hold);
	snprintf(why, sizeof(why), "approved by %s", who);
	apply(feed, set, why);
	return 0;
}

int feed_reject(struct feed *feed, const char *who)
{
	if (!feed->hold.set)
		return -ENOENT;
	feed_note(feed, LOG_WARN, "released", NULL,
		  "%s rejects %s; the next snapshot is judged "
		  "anew",
		  who, feed->hold.digest);
	guard_hold_clear(&feed->hold);
	return 0;
}
