/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns GET /v1/status: the process, its workers and listeners, and the sums over them. See
 * describe.h. Failure mode: memory is short, then there is no status at all.
 */
#include <unistd.h>

#include "proxy/admin/describe.h"
#include "proxy/admin/desk.h"
#include "proxy/base/addr.h"
#include "proxy/base/clock.h"
#include "proxy/base/jot.h"
#include "proxy/listener_stats.h"
#include "proxy/model.h"
#include "proxy/offload.h"
#include "proxy/registry.h"
#include "proxy/snapshot.h"
#include "proxy/stats_json.h"

static const struct snapshot *snapshot_of(struct desk *desk)
{
	return desk->ops.snapshot(desk->ops.context);
}

static json_t *unless_unknown(int64_t number)
{
	return number < 0 ? json_null() : json_integer(number);
}

static const char *state_name(const struct admin_listener *listener)
{
	if (listener->draining)
		return "draining";
	return listener->paused ? "paused" : "listening";
}

json_t *describe_listener(struct desk *desk, size_t index)
{
	const struct snapshot *snapshot = snapshot_of(desk);
	const struct listener_conf *conf = &snapshot->config->listeners[index];
	struct admin_listener listener = {
		.queue_depth = -1, .queue_limit = -1, .queue_overflows = -1};
	char text[ADDR_TEXT];

	desk->ops.listener(desk->ops.context, index, &listener);
	return jot_with(stats_listener_json(snapshot->listeners[index]),
			JOT({"bind", jot_text(addr_format(&conf->bind, text))},
			    {"pool", jot_text(snapshot->config->pools[conf->pool].name)},
			    {"state", json_string(state_name(&listener))},
			    {"queue_depth", unless_unknown(listener.queue_depth)},
			    {"queue_limit", unless_unknown(listener.queue_limit)},
			    {"queue_overflows", unless_unknown(listener.queue_overflows)}));
}

static json_t *listener_item(const void *desk, size_t index)
{
	return describe_listener((struct desk *)desk, index);
}

static json_t *worker_item(const void *of, size_t index)
{
	const struct desk *desk = of;
	const struct worker_counts *counts = desk->ops.counts[index];
	int cpu = desk->ops.worker_cpu(desk->ops.context, (unsigned)index);

	return JOT({"index", json_integer((json_int_t)index)}, {"cpu", unless_unknown(cpu)},
		   {"sessions_open", json_integer((json_int_t)count_read(&counts->sessions_open))},
		   {"sessions", json_integer((json_int_t)count_read(&counts->sessions))},
		   {"turns", json_integer((json_int_t)count_read(&counts->turns))});
}

static json_t *limits_json(const struct admin_facts *facts)
{
	return JOT({"max_connections", json_integer((json_int_t)facts->max_connections)},
		   {"per_worker", json_integer((json_int_t)facts->per_worker)},
		   {"fds_per_table", json_integer((json_int_t)facts->fds_per_table)},
		   {"buffers_bytes", json_integer((json_int_t)facts->buffers_bytes)});
}

static json_t *rates_json(const struct admin_rates *rates)
{
	return JOT({"sessions_per_s", json_integer((json_int_t)rates->sessions)},
		   {"client_received_bytes_per_s",
		    json_integer((json_int_t)rates->client_received_bytes)},
		   {"client_sent_bytes_per_s", json_integer((json_int_t)rates->client_sent_bytes)});
}

static json_t *doubts_json(uint32_t doubts)
{
	json_t *names = json_array();

	for (unsigned i = 0; i < OFFLOAD_DOUBTS; i++)
		if (doubts & 1u << i)
			json_array_append_new(names, json_string(offload_doubt_names[i]));
	return names;
}

/* null where there is none: it was not asked for, or cannot be had. */
static json_t *offload_json(struct desk *desk)
{
	struct offload_counts counts = {0};
	struct jot_pair pairs[OFFLOAD_COUNTS];

	if (!desk->ops.offload(desk->ops.context, &counts))
		return json_null();
	for (size_t i = 0; i < OFFLOAD_COUNTS; i++)
		pairs[i] = (struct jot_pair){offload_count_names[i],
					     json_integer((json_int_t)counts.counts[i])};
	return jot_with(
		jot_object(pairs, OFFLOAD_COUNTS),
		JOT({"open", json_integer((json_int_t)counts.open)},
		    {"limit", json_integer((json_int_t)counts.limit)},
		    {"doubts", doubts_json(counts.doubts)},
		    {"refusals", jot_counts(flow_refusal_names, counts.refusals, FLOW_REFUSALS)}));
}

static json_t *process_json(struct desk *desk)
{
	struct admin_facts facts = {0};

	desk->ops.facts(desk->ops.context, &facts);
	return JOT({"version", jot_text(facts.version)}, {"pid", json_integer(getpid())},
		   {"started", describe_time(facts.started_wall_us)},
		   {"uptime_s", jot_ratio(facts.uptime_us, US_PER_SEC)},
		   {"phase", jot_text(facts.phase)},
		   {"drain_deadline", describe_time(facts.drain_deadline_wall_us)},
		   {"config_file", jot_text(facts.config_file)}, {"limits", limits_json(&facts)},
		   {"ready", json_boolean(!facts.not_ready)},
		   {"not_ready_reason", jot_text(facts.not_ready)});
}

json_t *describe_status(struct desk *desk)
{
	const struct snapshot *snapshot = snapshot_of(desk);
	struct stats_sum sum;

	stats_sum(desk->ops.counts, desk->ops.worker_count, &sum);
	return jot_with(
		process_json(desk),
		JOT({"generation", json_integer((json_int_t)snapshot->generation)},
		    {"workers", jot_array(desk->ops.worker_count, worker_item, desk)},
		    {"zone", jot_text(registry_zone(desk->ops.registry))},
		    {"totals", stats_totals_json(&sum)}, {"rates", rates_json(desk->rates)},
		    {"offload", offload_json(desk)},
		    {"listeners", jot_array(snapshot->config->listener_count, listener_item, desk)},
		    {"pools", describe_pools(desk)}));
}
