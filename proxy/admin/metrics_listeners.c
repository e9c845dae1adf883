/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what /metrics says of listeners. Happy path: each is summed up over the workers and its
 * accept queue measured once, then every metric is written for all of them. See metrics.c for how
 * it can fail; a queue that cannot be measured has no samples.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "proxy/admin/admin.h"
#include "proxy/admin/metrics_parts.h"
#include "proxy/base/exposition.h"
#include "proxy/listener_stats.h"
#include "proxy/snapshot.h"

struct row {
	const struct listener_stats *stats;
	struct listener_counts sum;
	struct admin_listener now;
};

struct rows {
	struct row *rows;
	size_t count;
};

static const struct {
	const char *name;
	const char *help;
	size_t at; /* offset in struct listener_counts */
} counters[] = {
	{"sluice_listener_accepted_total", "Connections accepted.",
	 offsetof(struct listener_counts, accepted)},
	{"sluice_listener_shed_total",
	 "Connections accepted and reset at once: a limit was reached.",
	 offsetof(struct listener_counts, shed)},
	{"sluice_listener_probes_total", "Clients that left without a byte or an error.",
	 offsetof(struct listener_counts, probes)},
	{"sluice_listener_received_bytes_total", "Bytes received from clients.",
	 offsetof(struct listener_counts, received_bytes)},
	{"sluice_listener_sent_bytes_total", "Bytes sent to clients.",
	 offsetof(struct listener_counts, sent_bytes)},
	{"sluice_listener_proxy_headers_total", "PROXY headers taken, LOCAL included.",
	 offsetof(struct listener_counts, proxy_headers)},
	{"sluice_listener_proxy_errors_total",
	 "Sessions refused for their PROXY header, or for whose it was.",
	 offsetof(struct listener_counts, proxy_errors)},
};

static const struct {
	const char *name;
	const char *type;
	const char *help;
	size_t at; /* offset in struct admin_listener, of an int64_t that is -1 if not known */
} queues[] = {
	{"sluice_listener_queue_depth", "gauge", "Connections that wait to be accepted.",
	 offsetof(struct admin_listener, queue_depth)},
	{"sluice_listener_queue_limit", "gauge", "How many connections may wait to be accepted.",
	 offsetof(struct admin_listener, queue_limit)},
	{"sluice_listener_queue_overflows_total", "counter",
	 "Handshakes refused, for want of room mostly.",
	 offsetof(struct admin_listener, queue_overflows)},
};

static void begin(struct exposition *out, const struct row *row)
{
	exposition_sample(out, "");
	exposition_label(out, "listener", row->stats->name);
}

static void write_counters(struct exposition *out, const struct rows *all)
{
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		exposition_metric(out, counters[i].name, "counter", counters[i].help);
		for (size_t j = 0; j < all->count; j++) {
			const char *sum = (const char *)&all->rows[j].sum;

			begin(out, &all->rows[j]);
			exposition_integer(out, *(const uint64_t *)(sum + counters[i].at));
		}
	}
}

static void write_queues(struct exposition *out, const struct rows *all)
{
	for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
		exposition_metric(out, queues[i].name, queues[i].type, queues[i].help);
		for (size_t j = 0; j < all->count; j++) {
			const char *now = (const char *)&all->rows[j].now;
			int64_t value = *(const int64_t *)(now + queues[i].at);

			if (value < 0)
				continue;
			begin(out, &all->rows[j]);
			exposition_integer(out, (uint64_t)value);
		}
	}
}

static void write_gauges(struct exposition *out, const struct rows *all)
{
	exposition_metric(out, "sluice_listener_sessions_open", "gauge", "Sessions open now.");
	for (size_t i = 0; i < all->count; i++) {
		begin(out, &all->rows[i]);
		exposition_integer(out, atomic_load(&all->rows[i].stats->open));
	}
	exposition_metric(out, "sluice_listener_paused", "gauge",
			  "1 while an operator lets it accept nothing.");
	for (size_t i = 0; i < all->count; i++) {
		begin(out, &all->rows[i]);
		exposition_integer(out, all->rows[i].now.paused);
	}
}

static void write_vpce(struct exposition *out, const struct rows *all)
{
	const char *id;
	uint64_t sessions;

	exposition_metric(out, "sluice_listener_vpce_sessions_total", "counter",
			  "Sessions by the AWS VPC endpoint they came through; those of all that "
			  "found no room are other.");
	for (size_t i = 0; i < all->count; i++)
		for (size_t j = 0; (id = listener_stats_vpce(all->rows[i].stats, j, &sessions));
		     j++) {
			begin(out, &all->rows[i]);
			exposition_label(out, "vpce", id);
			exposition_integer(out, sessions);
		}
}

static uint64_t accepted_by(const struct row *row, uint32_t worker)
{
	return count_read(&row->stats->counts[worker].c.accepted);
}

/* How many times its even share the busiest worker accepted: 1 is even, the number of workers is
 * one for all. */
static double imbalance(const struct row *row)
{
	uint64_t most = 0, all = 0;

	for (uint32_t i = 0; i < row->stats->worker_count; i++) {
		uint64_t accepted = accepted_by(row, i);

		most = accepted > most ? accepted : most;
		all += accepted;
	}
	return all ? (double)most * row->stats->worker_count / (double)all : 1;
}

static void write_balance(struct exposition *out, const struct rows *all)
{
	exposition_metric(out, "sluice_listener_worker_accepted_total", "counter",
			  "Connections accepted, by worker.");
	for (size_t i = 0; i < all->count; i++)
		for (uint32_t j = 0; j < all->rows[i].stats->worker_count; j++) {
			begin(out, &all->rows[i]);
			exposition_label_number(out, "worker", j);
			exposition_integer(out, accepted_by(&all->rows[i], j));
		}
	exposition_metric(out, "sluice_listener_accept_imbalance_ratio", "gauge",
			  "Connections that the busiest worker accepted since the start, as a "
			  "multiple of an even share.");
	for (size_t i = 0; i < all->count; i++) {
		begin(out, &all->rows[i]);
		exposition_real(out, imbalance(&all->rows[i]));
	}
}

static void measure(struct rows *all, const struct admin_ops *ops, const struct snapshot *snapshot)
{
	for (size_t i = 0; i < all->count; i++) {
		struct row *row = &all->rows[i];

		row->stats = snapshot->listeners[i];
		row->now = (struct admin_listener){
			.queue_depth = -1, .queue_limit = -1, .queue_overflows = -1};
		stats_listener_sum(&row->stats->counts[0].c, sizeof(row->stats->counts[0]),
				   row->stats->worker_count, &row->sum);
		ops->listener(ops->context, i, &row->now);
	}
}

void metrics_listeners(struct exposition *out, const struct admin_ops *ops)
{
	const struct snapshot *snapshot = ops->snapshot(ops->context);
	struct rows all = {.count = snapshot->config->listener_count};

	all.rows = calloc(all.count + 1, sizeof(*all.rows));
	if (!all.rows) {
		out->failed = true;
		return;
	}
	measure(&all, ops, snapshot);
	write_counters(out, &all);
	write_gauges(out, &all);
	write_queues(out, &all);
	write_vpce(out, &all);
	write_balance(out, &all);
	free(all.rows);
}
