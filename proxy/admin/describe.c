/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns how targets and pools look in answers. The happy path is: what the registry knows, the
 * counters of the target itself (shared with what is printed at exit), and times made readable.
 *
 * Failure mode: memory is short, then there is no description at all.
 */
#include "proxy/admin/describe.h"

#include "proxy/admin/desk.h"
#include "proxy/balance.h"
#include "proxy/base/clock.h"
#include "proxy/base/jot.h"
#include "proxy/base/timestamp.h"
#include "proxy/pool_state.h"
#include "proxy/registry.h"
#include "proxy/stats_json.h"
#include "proxy/target.h"

#define REASON_TEXT 512

static const char *const override_names[OVERRIDE_KINDS] = {
	[OVERRIDE_NONE] = "none",
	[OVERRIDE_DRAIN] = "drain",
	[OVERRIDE_MAINTENANCE] = "maintenance",
};

json_t *describe_time(uint64_t wall_us)
{
	char text[TIMESTAMP_TEXT];

	return wall_us ? json_string(timestamp_format(wall_us, text)) : json_null();
}

/* A moment of the monotonic clock, as people say it; 0 is none. */
static json_t *moment(uint64_t at_us)
{
	uint64_t now_us = clock_us(), wall_us = clock_wall_us();

	return describe_time(at_us ? wall_us + at_us - now_us : 0);
}

static json_t *health_json(const struct target_record *record)
{
	return JOT({"status", json_string(health_status_names[record->health])},
		   {"checked", describe_time(record->checked_wall_us)},
		   {"took_ms",
		    record->checked_wall_us ? json_real(record->check_us / 1000.0) : json_null()},
		   {"text", jot_text(record->check_text)},
		   {"passed", json_integer(record->checks_passed)},
		   {"failed", json_integer(record->checks_failed)});
}

static json_t *override_json(const struct override *override)
{
	if (!override->since_wall_us)
		return json_null();
	return JOT({"kind", json_string(override_names[override->kind])},
		   {"weight", override->weight < 0 ? json_null() : json_integer(override->weight)},
		   {"who", jot_text(override->who)}, {"why", jot_text(override->why)},
		   {"since", describe_time(override->since_wall_us)},
		   {"until", describe_time(override->until_wall_us)});
}

static json_t *reason_text(const struct target_record *record)
{
	char text[REASON_TEXT] = "";

	registry_explain(record, text, sizeof(text));
	return jot_text(text);
}

/* Bytes that crossed zones, where both are known. */
static json_t *cross_zone_bytes(struct desk *desk, const struct target_record *record)
{
	const struct target *target = record->target;
	struct target_counts sum;

	if (!registry_zone(desk->ops.registry) || !record->zone)
		return json_null();
	stats_target_sum(&target->counts[0].c, sizeof(target->counts[0]), target->worker_count,
			 &sum);
	return json_integer((json_int_t)sum.cross_zone_bytes);
}

/* What each of its sources says of it, so that whoever pushed a set can have it back. */
static json_t *listings_json(const struct target_record *record)
{
	json_t *list = json_array();
	struct target_listing listing;

	for (size_t i = 0; list && registry_listing(record, i, &listing); i++) {
		json_t *item = JOT({"source", jot_text(listing.source)},
				   {"weight", json_integer(listing.weight)},
				   {"zone", jot_text(listing.zone)},
				   {"backup", json_boolean(listing.backup)},
				   {"max_connections", json_integer(listing.max_connections)},
				   {"draining", json_boolean(listing.draining)});

		if (json_array_append_new(list, item) < 0) {
			json_decref(list);
			list = NULL;
		}
	}
	return list;
}

/* What it is: identity and settings. */
static json_t *settings_json(const struct target_record *record)
{
	return JOT({"key", json_sprintf("%llu", (unsigned long long)record->key)},
		   {"id", jot_text(record->id)}, {"pool", jot_text(record->pool->conf->name)},
		   {"zone", jot_text(record->zone)}, {"source", jot_text(record->source)},
		   {"weight", json_integer(record->weight)},
		   {"effective_weight", json_integer(record->effective_weight)},
		   {"backup", json_boolean(record->backup)},
		   {"max_connections", json_integer(record->max_connections)},
		   {"unverified", json_boolean(record->unverified)},
		   {"listings", listings_json(record)});
}

/* How it is doing, and why. */
static json_t *state_json(struct desk *desk, const struct target_record *record)
{
	return JOT({"state", json_string(standing_names[record->standing])},
		   {"state_since", describe_time(record->standing_wall_us)},
		   {"reason", reason_text(record)}, {"health", health_json(record)},
		   {"ejected_until", moment(record->ejected_until_us)},
		   {"override", override_json(&record->override)},
		   {"added", describe_time(record->added_wall_us)},
		   {"removed", moment(record->removed_us)},
		   {"drain_deadline", moment(record->drain_until_us)},
		   {"cross_zone_bytes", cross_zone_bytes(desk, record)});
}

json_t *describe_target(struct desk *desk, const struct target_record *record)
{
	return jot_with(jot_with(stats_target_json(record->target), settings_json(record)),
			state_json(desk, record));
}

static json_t *history_item(const void *of, size_t index)
{
	const struct target_record *record = of;
	const struct target_moment *at =
		&record->history[(record->moments - 1 - index) % TARGET_HISTORY];

	return JOT({"time", describe_time(at->wall_us)}, {"text", jot_text(at->text)});
}

json_t *describe_history(const struct target_record *record)
{
	size_t count = record->moments < TARGET_HISTORY ? record->moments : TARGET_HISTORY;

	return jot_array(count, history_item, record);
}

static json_t *source_item(const void *of, size_t index)
{
	const struct source_record *source = &((const struct pool_record *)of)->sources[index];

	return JOT({"name", jot_text(source->name)}, {"kind", jot_text(source->kind)},
		   {"generation", json_integer((json_int_t)source->generation)},
		   {"pushed", describe_time(source->wall_us)},
		   {"targets", json_integer((json_int_t)source->target_count)},
		   {"unverified", json_boolean(source->unverified)});
}

struct pool_totals {
	size_t listed;
	uint64_t open;
};

static struct pool_totals total_pool(const struct pool_record *pool)
{
	struct pool_totals totals = {0};

	for (size_t i = 0; i < pool->target_count; i++) {
		totals.listed += !pool->targets[i]->removed_us;
		totals.open += target_inflight(pool->targets[i]->target);
	}
	return totals;
}

/* Who waits, and who waited. */
static json_t *queue_json(const struct pool_state *state)
{
	return JOT(
		{"waiting", json_integer(atomic_load(&state->waiting_count))},
		{"queued", json_integer((json_int_t)atomic_load(&state->queued))},
		{"queue_full", json_integer((json_int_t)atomic_load(&state->queue_full))},
		{"queue_timeouts", json_integer((json_int_t)atomic_load(&state->queue_timeouts))},
		{"max_connections", json_integer(atomic_load(&state->max_connections))});
}

json_t *describe_pool(struct desk *desk, const struct pool_record *pool)
{
	struct pool_totals totals = total_pool(pool);

	return jot_with(JOT({"name", jot_text(pool->conf->name)},
			    {"balance", json_string(balance_kind_names[pool->conf->balance])},
			    {"targets", json_integer((json_int_t)totals.listed)},
			    {"usable", json_integer((json_int_t)pool->usable)},
			    {"healthy", json_integer((json_int_t)pool->healthy)},
			    {"eligible", json_integer((json_int_t)pool->eligible)},
			    {"panic", json_boolean(pool->panic)},
			    {"backup_in_use", json_boolean(pool->backup_in_use)},
			    {"sessions_open", json_integer((json_int_t)totals.open)},
			    {"sources", jot_array(pool->source_count, source_item, pool)}),
			queue_json(pool->state));
}

/* For jot_array(). */
struct of_desk {
	struct desk *desk;
	const struct pool_record *pool;
};

static json_t *member_item(const void *of, size_t index)
{
	const struct of_desk *from = of;

	return describe_target(from->desk, from->pool->targets[index]);
}

json_t *describe_pool_members(struct desk *desk, const struct pool_record *pool)
{
	struct of_desk from = {.desk = desk, .pool = pool};

	return jot_with(describe_pool(desk, pool),
			JOT({"members", jot_array(pool->target_count, member_item, &from)}));
}

static json_t *pool_item(const void *of, size_t index)
{
	const struct of_desk *from = of;

	return describe_pool(from->desk, registry_pool_at(from->desk->ops.registry, index));
}

json_t *describe_pools(struct desk *desk)
{
	struct of_desk from = {.desk = desk};

	return jot_array(registry_pool_count(desk->ops.registry), pool_item, &from);
}
