/* SPDX-License-Identifier: Apache-2.0
 *
 * A feed as JSON, for the API and `sluicectl discovery`. Times are RFC 3339, what is not known is
 * null. Failure modes: memory, then there is no JSON at all.
 */
#include "control/aws/aws.h"
#include "control/feed/internal.h"
#include "proxy/base/clock.h"
#include "proxy/base/jot.h"
#include "proxy/base/loop.h"
#include "proxy/base/timestamp.h"

static json_t *time_json(uint64_t wall_us)
{
	char text[TIMESTAMP_TEXT];

	return wall_us ? json_string(timestamp_format(wall_us, text)) : json_null();
}

static json_t *age_json(uint64_t wall_us)
{
	uint64_t now_us = clock_wall_us();

	if (!wall_us)
		return json_null();
	return json_real(now_us > wall_us ? (double)(now_us - wall_us) / US_PER_SEC : 0);
}

/* "" is not known. */
static json_t *known_text(const char *text)
{
	return jot_text(*text ? text : NULL);
}

static json_t *error_json(const struct feed *feed)
{
	if (!feed->failures_in_a_row)
		return json_null();
	return JOT({"kind", jot_text(feed->error_kind)}, {"text", jot_text(feed->problem)},
		   {"since", time_json(feed->failing_since_wall_us)},
		   {"in_a_row", json_integer(feed->failures_in_a_row)});
}

/* The array may be NULL already; a failure makes it so. */
static void add_change(void *context, enum set_change change, const struct found_target *was,
		       const struct found_target *is)
{
	const struct found_target *target = is ? is : was;
	json_t **array = context;

	if (json_array_append_new(*array, JOT({"change", jot_text(set_change_names[change])},
					      {"address", jot_text(target->address)},
					      {"id", jot_text(target->id)})) < 0) {
		json_decref(*array);
		*array = NULL;
	}
}

static json_t *diff_json(const struct target_set *before, const struct target_set *after)
{
	json_t *array = json_array();

	target_set_diff(before, after, add_change, &array);
	return array;
}

static json_t *held_json(const struct feed *feed)
{
	const struct guard_hold *hold = &feed->hold;
	char text[128];

	if (!hold->set)
		return json_null();
	return JOT({"why", jot_text(guard_verdict_names[hold->why])},
		   {"seen", json_integer(hold->seen)}, {"since", time_json(hold->since_wall_us)},
		   {"digest", jot_text(hold->digest)},
		   {"text", jot_text(guard_explain(hold, feed->current, text, sizeof(text)))},
		   {"targets", json_integer((json_int_t)target_set_count(hold->set))},
		   {"diff", diff_json(feed->current, hold->set)});
}

static json_t *next_json(const struct feed *feed)
{
	uint64_t now_ms = feed->set->loop->now_us / US_PER_MS;

	if (feed->running || !timer_is_armed(&feed->timer))
		return json_null();
	return json_real(feed->timer.due_ms > now_ms ? (double)(feed->timer.due_ms - now_ms) / 1000
						     : 0);
}

static json_t *names_json(const struct feed *feed)
{
	return JOT({"pool", jot_text(feed->pool)}, {"source", jot_text(feed->name)},
		   {"kind", jot_text(feed->kind->name)},
		   {"region", jot_text(feed->aws ? aws_region(feed->aws) : NULL)},
		   {"origin", jot_text(feed_origin_names[feed->origin])},
		   {"targets", json_integer((json_int_t)target_set_count(feed->current))},
		   {"usable", json_integer((json_int_t)target_set_usable(feed->current))});
}

static json_t *doings_json(const struct feed *feed)
{
	return JOT({"age_s", age_json(feed->answered_wall_us)},
		   {"applied", time_json(feed->applied_wall_us)},
		   {"interval_s", json_real(feed_interval_ms(feed) / 1000.0)},
		   {"next_in_s", next_json(feed)},
		   {"took_ms", json_real((double)feed->took_us / US_PER_MS)},
		   {"generation", json_integer((json_int_t)feed->generation)},
		   {"error", error_json(feed)}, {"push_problem", known_text(feed->push_problem)},
		   {"notice", known_text(feed->source->notice)}, {"held", held_json(feed)});
}

json_t *feed_describe(const struct feed *feed, bool with_targets)
{
	json_t *feed_json = jot_with(names_json(feed), doings_json(feed));

	if (!with_targets)
		return feed_json;
	return jot_with(feed_json, JOT({"members", target_set_to_json(feed->current)}));
}
