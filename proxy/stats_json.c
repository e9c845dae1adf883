/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the counters as JSON, for the log at exit and on demand. The happy path is: the totals by
 * name from one table, then reasons and system calls by kind, then what each listener and each
 * target counted by itself.
 *
 * Failure modes: memory is short, then there is no JSON at all rather than half of it; a name is
 * not UTF-8 (the path of a Unix socket may be anything), then it is replaced by "?".
 */
#include <jansson.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
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
	{"client_received_bytes", offsetof(struct worker_counts, client_received_bytes)},
	{"client_sent_bytes", offsetof(struct worker_counts, client_sent_bytes)},
	{"spliced_bytes", offsetof(struct worker_counts, spliced_bytes)},
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

struct pair {
	const char *name;
	json_t *value; /* NULL when memory was short */
};

/* Takes the values over, whatever comes of it. NULL if one of them is. */
static json_t *object_of(const struct pair *pairs, size_t count)
{
	json_t *object = json_object();
	bool failed = false;

	for (size_t i = 0; i < count; i++)
		failed |= json_object_set_new(object, pairs[i].name, pairs[i].value) < 0;
	if (!failed)
		return object;
	json_decref(object);
	return NULL;
}

#define OBJECT(...)                                                                                \
	object_of((struct pair[]){__VA_ARGS__},                                                    \
		  sizeof((struct pair[]){__VA_ARGS__}) / sizeof(struct pair))

/* An array of what `make` gives for each of `count` things; NULL if one of them failed. */
static json_t *array_of(size_t count, json_t *(*make)(const void *of, size_t index), const void *of)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		if (json_array_append_new(array, make(of, i)) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

/* An object of those that are not 0. */
static json_t *named_counts(const char *const *names, const uint64_t *counts, size_t count)
{
	json_t *object = json_object();

	for (size_t i = 0; i < count; i++)
		if (counts[i] &&
		    json_object_set_new(object, names[i], json_integer(counts[i])) < 0) {
			json_decref(object);
			return NULL;
		}
	return object;
}

static bool is_ascii(const char *text)
{
	while (*text && (unsigned char)*text < 0x80)
		text++;
	return !*text;
}

static json_t *string(const char *text)
{
	json_t *value = json_string(text);

	return value || is_ascii(text) ? value : json_string("?");
}

static json_t *ratio(uint64_t count, double per)
{
	return per > 0 ? json_real(count / per) : json_null();
}

/* How evenly the kernel spread the connections: what each worker accepted. */
static json_t *accepted_by(const void *stats, size_t worker)
{
	const struct listener_stats *listener = stats;

	return json_integer(count_read(&listener->counts[worker].c.accepted));
}

static json_t *listener_json(const void *snapshot, size_t index)
{
	const struct listener_stats *stats = ((const struct snapshot *)snapshot)->listeners[index];
	struct listener_counts sum;

	stats_listener_sum(&stats->counts[0].c, sizeof(stats->counts[0]), stats->worker_count,
			   &sum);
	return OBJECT({"name", string(stats->name)}, {"accepted", json_integer(sum.accepted)},
		      {"open", json_integer(atomic_load(&stats->open))},
		      {"shed", json_integer(sum.shed)}, {"probes", json_integer(sum.probes)},
		      {"received_bytes", json_integer(sum.received_bytes)},
		      {"sent_bytes", json_integer(sum.sent_bytes)},
		      {"accepted_by_worker", array_of(stats->worker_count, accepted_by, stats)});
}

/* Ports that a new connection could still leave from; null where that is not known. */
static json_t *ports_left(const struct target *target)
{
	int32_t left = atomic_load(&target->source_ports_left);

	return left < 0 ? json_null() : json_integer(left);
}

static json_t *target_json(const void *of, size_t index)
{
	const struct pool *pool = of;
	const struct target *target = pool->targets[index];
	struct target_counts sum;
	char address[ADDR_TEXT];

	stats_target_sum(&target->counts[0].c, sizeof(target->counts[0]), target->worker_count,
			 &sum);
	return OBJECT({"name", string(target->name)},
		      {"address", string(addr_format(&target->addr, address))},
		      {"weight", json_integer(pool->weights[index])},
		      {"sessions", json_integer(sum.sessions)}, {"open", json_integer(sum.open)},
		      {"connect_failures", json_integer(sum.connect_failures)},
		      {"retries", json_integer(sum.retries)},
		      {"source_ports_left", ports_left(target)},
		      {"sent_bytes", json_integer(sum.sent_bytes)},
		      {"received_bytes", json_integer(sum.received_bytes)});
}

static json_t *pool_json(const void *snapshot, size_t index)
{
	const struct pool *pool = &((const struct snapshot *)snapshot)->pools[index];

	return OBJECT({"name", string(pool->conf->name)},
		      {"balance", string(balance_kind_names[pool->conf->balance])},
		      {"targets", array_of(pool->target_count, target_json, pool)});
}

static json_t *totals_json(const struct worker_counts *counts)
{
	struct pair pairs[TOTALS];

	for (size_t i = 0; i < TOTALS; i++) {
		const uint64_t *count = (const uint64_t *)((const char *)counts + totals[i].at);

		pairs[i] = (struct pair){totals[i].name, json_integer(*count)};
	}
	return object_of(pairs, TOTALS);
}

static json_t *calls_json(const struct stats_sum *sum)
{
	uint64_t bytes = sum->total.client_received_bytes + sum->total.client_sent_bytes;
	uint64_t calls = 0;

	for (int i = 0; i < SYS_KINDS; i++)
		calls += sum->sys_calls[i];
	return OBJECT({"reasons", named_counts(reason_names, sum->total.reasons, REASONS)},
		      {"syscalls", named_counts(sys_kind_names, sum->sys_calls, SYS_KINDS)},
		      {"syscalls_per_session", ratio(calls, sum->total.sessions)},
		      {"syscalls_per_gb", ratio(calls, bytes / BYTES_PER_GB)});
}

static json_t *served_json(const struct snapshot *snapshot)
{
	const struct config *config = snapshot->config;

	return OBJECT({"listeners", array_of(config->listener_count, listener_json, snapshot)},
		      {"pools", array_of(config->pool_count, pool_json, snapshot)});
}

/* json_dumps(3) of Jansson 2.14 leaves a key out when it cannot grow its buffer just then, so the
 * buffer has its full size from the start. */
static char *dump(const json_t *root)
{
	size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(6);
	size_t len = json_dumpb(root, NULL, 0, flags);
	char *text = len ? malloc(len + 1) : NULL;

	if (!text)
		return NULL;
	text[len] = '\0';
	if (json_dumpb(root, text, len, flags) == len)
		return text;
	free(text);
	return NULL;
}

char *stats_json(const struct stats_sum *sum, const struct snapshot *snapshot,
		 unsigned worker_count, uint64_t uptime_us)
{
	json_t *root = OBJECT({"event", json_string("counters")},
			      {"uptime_s", ratio(uptime_us, US_PER_SEC)},
			      {"generation", json_integer(snapshot->generation)},
			      {"workers", json_integer(worker_count)});
	json_t *parts[] = {totals_json(&sum->total), calls_json(sum), served_json(snapshot)};
	char *text = NULL;
	bool whole = true;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		whole &= !json_object_update(root, parts[i]);
		json_decref(parts[i]);
	}
	if (whole)
		text = dump(root);
	json_decref(root);
	return text;
}
