/* SPDX-License-Identifier: Apache-2.0
 *
 * When a source is asked. Happy path: the timer comes, the source is asked, it answers, the
 * snapshot is considered (control/feed/apply.c), the timer is armed again.
 *
 * Failure modes: an error keeps what there is, and the next question waits twice as long each time,
 * up to a minute (or the interval, if that is longer). A question that is wanted while one is under
 * way follows it, since its answer may be from before the reason.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "control/feed/internal.h"
#include "control/journal.h"
#include "control/link.h"
#include "proxy/base/clock.h"
#include "proxy/base/figures.h"
#include "proxy/base/loop.h"
#include "proxy/base/panic.h"

#define START_JITTER_MS   200
#define JITTER_PERCENT    10
#define BACKOFF_MAX_MS    60000
#define AWS_SPACING_MS    1000 /* between questions that triggers cause */
#define INTERVAL_MAX_MS   (24 * 3600 * 1000u)
#define BACKOFF_DOUBLINGS 16

const char *const feed_origin_names[] = {"nothing", "proxy", "last_good", "source"};

/* From 0 to `below`; 0 if the kernel has no random numbers yet, which only makes jitter less. */
static uint32_t random_ms(uint32_t below)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		return 0;
	return (uint32_t)((uint64_t)random * ((uint64_t)below + 1) >> 32);
}

uint32_t feed_interval_ms(const struct feed *feed)
{
	uint32_t wanted_ms = feed->source->wanted_interval_ms;
	double ms = wanted_ms ? wanted_ms : feed->interval_ms;

	if (feed->stretch > 1)
		ms *= feed->stretch;
	return ms < INTERVAL_MAX_MS ? (uint32_t)ms : INTERVAL_MAX_MS;
}

/* Ten percent around the interval, so that a fleet that started as one spreads. */
static uint32_t next_delay_ms(const struct feed *feed)
{
	uint32_t interval_ms = feed_interval_ms(feed);
	uint32_t spread_ms = interval_ms / 100 * JITTER_PERCENT;

	return interval_ms - spread_ms + random_ms(2 * spread_ms);
}

static uint32_t backoff_ms(const struct feed *feed)
{
	uint32_t interval_ms = feed_interval_ms(feed), times = feed->failures_in_a_row - 1;
	uint64_t max_ms = interval_ms > BACKOFF_MAX_MS ? interval_ms : BACKOFF_MAX_MS;
	uint64_t delay_ms = (uint64_t)interval_ms
			    << (times < BACKOFF_DOUBLINGS ? times : BACKOFF_DOUBLINGS);

	if (delay_ms > max_ms)
		delay_ms = max_ms;
	return (uint32_t)(delay_ms + random_ms((uint32_t)delay_ms / 2));
}

/* No later than in `delay_ms`. */
static void arm_within(struct feed *feed, uint64_t delay_ms)
{
	struct loop *loop = feed->set->loop;

	if (timer_is_armed(&feed->timer) &&
	    feed->timer.due_ms <= loop->now_us / US_PER_MS + delay_ms)
		return;
	loop_arm(loop, &feed->timer, delay_ms);
}

static void ask_soon(struct feed *feed)
{
	uint64_t passed_ms = (feed->set->loop->now_us - feed->asked_us) / US_PER_MS;
	bool spaced = feed->kind->is_aws && feed->asked_us && passed_ms < AWS_SPACING_MS;

	if (feed->running)
		feed->again = true;
	else
		arm_within(feed, spaced ? AWS_SPACING_MS - passed_ms : 0);
}

static void on_due(struct timer *timer)
{
	struct feed *feed = container_of(timer, struct feed, timer);

	must(!feed->running);
	feed->running = true;
	feed->again = false;
	feed->asked_us = feed->set->loop->now_us;
	feed->fetches++;
	feed->kind->fetch(feed->source);
}

/* Every fetch ends here, and the next one is set. */
static void end_fetch(struct feed *feed, uint32_t delay_ms)
{
	feed->running = false;
	feed->took_us = feed->set->loop->now_us - feed->asked_us;
	loop_arm(feed->set->loop, &feed->timer, delay_ms);
	if (feed->again)
		ask_soon(feed);
}

static void note_answer(struct feed *feed, const struct target_set *set)
{
	if (feed->failures_in_a_row)
		feed_note(feed, LOG_INFO, "source_up", NULL, "answers again after %u failures",
			  feed->failures_in_a_row);
	else if (feed->fetches - feed->failures == 1)
		feed_note(feed, LOG_INFO, "source_up", NULL, "answers, with %zu targets",
			  target_set_count(set));
	feed->failures_in_a_row = 0;
	feed->failing_since_wall_us = 0;
	feed->error_kind[0] = '\0';
	feed->problem[0] = '\0';
}

static void on_done(struct source *source, struct target_set *set)
{
	struct feed *feed = source->owner;

	note_answer(feed, set);
	feed->answered_wall_us = clock_wall_us();
	feed->said_old = false;
	end_fetch(feed, next_delay_ms(feed));
	feed_consider(feed, set);
}

/* Once for each file that gets too old while it is in use: what is in use stays. */
static void note_old_file(struct feed *feed)
{
	uint64_t now_us = clock_wall_us();
	char age[FIGURE_TEXT];

	if (feed->origin != FEED_LASTGOOD || feed->said_old || now_us < feed->answered_wall_us ||
	    now_us - feed->answered_wall_us <= feed->set->last_good_max_age_us)
		return;
	feed->said_old = true;
	figure_duration((now_us - feed->answered_wall_us) / US_PER_MS, age);
	feed_note(feed, LOG_ERROR, "last_good", NULL,
		  "the targets in use are those of the last-known-good file, %s old by now, and "
		  "the source still fails",
		  age);
}

static void on_failed(struct source *source, const char *error_kind, const char *problem)
{
	struct feed *feed = source->owner;
	bool news = strcmp(feed->error_kind, error_kind) != 0;

	feed->failures++;
	if (!feed->failures_in_a_row++)
		feed->failing_since_wall_us = clock_wall_us();
	snprintf(feed->error_kind, sizeof(feed->error_kind), "%s", error_kind);
	snprintf(feed->problem, sizeof(feed->problem), "%s", problem);
	if (news)
		feed_note(feed, LOG_WARN, "source_failed", NULL,
			  "%s: %s; %zu targets stay as "
			  "they are",
			  error_kind, problem, target_set_count(feed->current));
	note_old_file(feed);
	end_fetch(feed, backoff_ms(feed));
}

static const struct target_set *current_of(const struct source *source)
{
	return ((const struct feed *)source->owner)->current;
}

static void on_hint(struct source *source)
{
	ask_soon(source->owner);
}

struct feed *feed_new(struct feed_set *set, const char *pool, const char *name,
		      const struct source_kind *kind)
{
	struct feed *feed = calloc(1, sizeof(*feed));

	if (!feed)
		return NULL;
	feed->set = set;
	feed->kind = kind;
	feed->pool = strdup(pool);
	feed->name = strdup(name);
	timer_init(&feed->timer, on_due);
	list_init(&feed->link);
	if (feed->pool && feed->name) {
		list_push_back(&set->feeds, &feed->link);
		return feed;
	}
	feed_free(feed);
	return NULL;
}

struct feed *feed_find(const struct feed_set *set, const char *pool, const char *name)
{
	list_for_each (link, &set->feeds) {
		struct feed *feed = container_of(link, struct feed, link);

		if (!strcmp(feed->pool, pool) && !strcmp(feed->name, name))
			return feed;
	}
	return NULL;
}

void feed_start(struct feed *feed)
{
	feed->source->owner = feed;
	feed->source->on_done = on_done;
	feed->source->on_failed = on_failed;
	feed->source->on_hint = on_hint;
	feed->source->current = current_of;
	feed_recall(feed);
	if (feed->set->link && link_is_up(feed->set->link))
		feed_on_proxy(feed);
	loop_arm(feed->set->loop, &feed->timer, random_ms(START_JITTER_MS));
}

void feed_trigger(struct feed *feed, const char *why)
{
	if (why)
		feed_note(feed, LOG_DEBUG, "triggered", NULL, "%s", why);
	ask_soon(feed);
}

void feed_free(struct feed *feed)
{
	timer_cancel(&feed->timer);
	list_remove(&feed->link);
	if (feed->source)
		feed->kind->close(feed->source);
	guard_hold_clear(&feed->hold);
	target_set_free(feed->current);
	target_set_free(feed->unjudged);
	free(feed->pool);
	free(feed->name);
	free(feed);
}
