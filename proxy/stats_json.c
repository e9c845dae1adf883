/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the counters as JSON, for the log at exit and on demand. The happy path is: the totals by
 * name from one table, then reasons and system calls by kind, then what each listener and each
 * target counted by itself.
 *
 * Failure modes: memory is short, then there is no JSON at all rather than half of it; a name is
 * not UTF-8 (the path of a Unix socket may be anything), then it is replaced by "?".
 */
#include "proxy/stats_json.h"

#include "proxy/base/clock.h"
#include "proxy/base/jot.h"
#include "proxy/listener_stats.h"
#include "proxy/snapshot.h"
#include "proxy/stats.h"

#define BYTES_PER_GB 1e9

static const struct {
	const char *name;
	size_t at; /* offset in struct worker_counts */
} totals[] = {
	{"sessions", offsetof(struct worker_counts, sessions)},
	{"sessions_open", offsetof(struct worker_counts, sessions_open)},
	{"connects", offsetof(struct worker_counts, connects)},
	{"retries", offsetof(struct worker_counts, retries)},
	{"retries_denied", offsetof(struct worker_counts, retries_denied)},
	{"probes", offsetof(struct worker_counts, probes)},
	{"clients", offsetof(struct worker_counts, clients)},
	{"client_received_bytes", offsetof(struct worker_counts, client_received_bytes)},
	{"client_sent_bytes", offsetof(struct worker_counts, client_sent_bytes)},
	{"spliced_bytes", offsetof(struct worker_counts, spliced_bytes)},
	{"offloaded_bytes", offsetof(struct worker_counts, offloaded_bytes)},
	{"accept_pauses", offsetof(struct worker_counts, accept_pauses)},
	{"source_port_exhausted", offsetof(struct worker_counts, source_port_exhausted)},
	{"buffer_bytes", offsetof(struct worker_counts, buffer_bytes)},
	{"buffer_refusals", offsetof(struct worker_counts, buffer_refusals)},
	{"pipes_open", offsetof(struct worker_counts, pipes_open)},
	{"pipe_refusals", offsetof(struct worker_counts, pipe_refusals)},
	{"log_dropped", offsetof(struct worker_counts, log_dropped)},
	{"turns", offsetof(struct worker_counts, turns)},
};

#define TOTALS (sizeof(totals) / sizeof(totals[0]))

_Static_assert(offsetof(struct worker_counts, reasons) == TOTALS * sizeof(uint64_t),
	       "every counter has a name here");

/* How evenly the kernel spread the connections: what each worker accepted. */
static json_t *accepted_by(const void *stats, size_t worker)
{
	const struct listener_stats *listener = stats;

	return json_integer(count_read(&listener->counts[worker].c.accepted));
}

/* Sessions by the AWS VPC endpoint they came through. */
static json_t *vpce_json(const struct listener_stats *stats)
{
	json_t *object = json_object();
	uint64_t sessions = 0;
	const char *id;

	for (size_t i = 0; (id = listener_stats_vpce(stats, i, &sessions)); i++)
		if (json_object_set_new(object, id, json_integer((json_int_t)sessions)) < 0) {
			json_decref(object);
			return NULL;
		}
	return object;
}

json_t *stats_listener_json(const struct listener_stats *stats)
{
	struct listener_counts sum;

	stats_listener_sum(&stats->counts[0].c, sizeof(stats->counts[0]), stats->worker_count,
			   &sum);
	return JOT({"name", jot_text(stats->name)}, {"accepted", json_integer(sum.accepted)},
		   {"open", json_integer(atomic_load(&stats->open))},
		   {"shed", json_integer(sum.shed)}, {"probes", json_integer(sum.probes)},
		   {"received_bytes", json_integer(sum.received_bytes)},
		   {"sent_bytes", json_integer(sum.sent_bytes)},
		   {"proxy_headers", json_integer(sum.proxy_headers)},
		   {"proxy_errors", json_integer(sum.proxy_errors)}, {"vpce", vpce_json(stats)},
		   {"accepted_by_worker", jot_array(stats->worker_count, accepted_by, stats)});
}

static json_t *listener_json(const void *snapshot, size_t index)
{
	return stats_listener_json(((const struct snapshot *)snapshot)->listeners[index]);
}

/* Ports that a new connection could still leave from; null where that is not known. */
static json_t *ports_left(const struct target *target)
{
	int32_t left = atomic_load(&target->source_ports_left);

	return left < 0 ? json_null() : json_integer(left);
}

json_t *stats_target_json(const struct target *target)
{
	struct target_counts sum;
	char address[ADDR_TEXT];

	stats_target_sum(&target->counts[0].c, sizeof(target->counts[0]), target->worker_count,
			 &sum);
	return JOT({"name", jot_text(target->name)},
		   {"address", jot_text(addr_format(&target->addr, address))},
		   {"sessions", json_integer(sum.sessions)}, {"open", json_integer(sum.open)},
		   {"connect_failures", json_integer(sum.connect_failures)},
		   {"retries", json_integer(sum.retries)},
		   {"source_ports_left", ports_left(target)},
		   {"sent_bytes", json_integer(sum.sent_bytes)},
		   {"received_bytes", json_integer(sum.received_bytes)},
		   {"cross_zone_bytes", json_integer(sum.cross_zone_bytes)});
}

static json_t *target_json(const void *of, size_t index)
{
	const struct pool *pool = of;

	return jot_with(stats_target_json(pool->targets[index]),
			JOT({"weight", json_integer(pool->weights[index])}));
}

static json_t *pool_json(const void *snapshot, size_t index)
{
	const struct pool *pool = &((const struct snapshot *)snapshot)->pools[index];

	return JOT({"name", jot_text(pool->conf->name)},
		   {"balance", jot_text(balance_kind_names[pool->conf->balance])},
		   {"targets", jot_array(pool->target_count, target_json, pool)});
}

static json_t *counts_json(const struct worker_counts *counts)
{
	struct jot_pair pairs[TOTALS];

	for (size_t i = 0; i < TOTALS; i++) {
		const uint64_t *count = (const uint64_t *)((const char *)counts + totals[i].at);

		pairs[i] = (struct jot_pair){totals[i].name, json_integer(*count)};
	}
	return jot_object(pairs, TOTALS);
}

json_t *stats_totals_json(const struct stats_sum *sum)
{
	uint64_t bytes = sum->total.client_received_bytes + sum->total.client_sent_bytes;
	uint64_t calls = 0;

	for (int i = 0; i < SYS_KINDS; i++)
		calls += sum->sys_calls[i];
	return jot_with(counts_json(&sum->total),
			JOT({"reasons", jot_counts(reason_names, sum->total.reasons, REASONS)},
			    {"syscalls", jot_counts(sys_kind_names, sum->sys_calls, SYS_KINDS)},
			    {"syscalls_per_session", jot_ratio(calls, sum->total.sessions)},
			    {"syscalls_per_gb", jot_ratio(calls, bytes / BYTES_PER_GB)}));
}

static json_t *served_json(const struct snapshot *snapshot)
{
	const struct config *config = snapshot->config;

	return JOT({"listeners", jot_array(config->listener_count, listener_json, snapshot)},
		   {"pools", jot_array(config->pool_count, pool_json, snapshot)});
}

char *stats_json(const struct stats_sum *sum, const struct snapshot *snapshot,
		 unsigned worker_count, uint64_t uptime_us)
{
	json_t *root = JOT({"event", json_string("counters")},
			   {"uptime_s", jot_ratio(uptime_us, US_PER_SEC)},
			   {"generation", json_integer(snapshot->generation)},
			   {"workers", json_integer(worker_count)});
	char *text;

	root = jot_with(root, stats_totals_json(sum));
	root = jot_with(root, served_json(snapshot));
	text = jot_dump(root);
	json_decref(root);
	return text;
}
