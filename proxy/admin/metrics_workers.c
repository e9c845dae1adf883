/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what /metrics says of the workers. Happy path: the counters are summed up, and written by
 * one table of names. See metrics.c for how it can fail.
 */
#include "proxy/admin/admin.h"
#include "proxy/admin/metrics_parts.h"
#include "proxy/base/clock.h"
#include "proxy/base/exposition.h"

#define BYTES_PER_GB 1e9

/* Every total of struct worker_counts, but turns, which are told of each worker. */
static const struct {
	const char *name;
	const char *type;
	const char *help;
	size_t at; /* offset in struct worker_counts */
} totals[] = {
	{"sluice_sessions_total", "counter", "Client connections accepted, probes included.",
	 offsetof(struct worker_counts, sessions)},
	{"sluice_sessions_open", "gauge", "Sessions open now.",
	 offsetof(struct worker_counts, sessions_open)},
	{"sluice_connects_total", "counter", "Attempts to connect to a target.",
	 offsetof(struct worker_counts, connects)},
	{"sluice_retries_total", "counter", "Attempts that followed a failed one.",
	 offsetof(struct worker_counts, retries)},
	{"sluice_retries_denied_total", "counter", "Retries that the retry budget forbade.",
	 offsetof(struct worker_counts, retries_denied)},
	{"sluice_probes_total", "counter", "Clients that left without a byte or an error.",
	 offsetof(struct worker_counts, probes)},
	{"sluice_clients_total", "counter", "Sessions that are certain not to be probes.",
	 offsetof(struct worker_counts, clients)},
	{"sluice_client_received_bytes_total", "counter", "Bytes received from clients.",
	 offsetof(struct worker_counts, client_received_bytes)},
	{"sluice_client_sent_bytes_total", "counter", "Bytes sent to clients.",
	 offsetof(struct worker_counts, client_sent_bytes)},
	{"sluice_spliced_bytes_total", "counter",
	 "Bytes of both directions that did not pass through user space.",
	 offsetof(struct worker_counts, spliced_bytes)},
	{"sluice_offloaded_bytes_total", "counter",
	 "Bytes of both directions that the kernel carried without the sockets.",
	 offsetof(struct worker_counts, offloaded_bytes)},
	{"sluice_accept_pauses_total", "counter",
	 "Times that a listener rested for want of file descriptors.",
	 offsetof(struct worker_counts, accept_pauses)},
	{"sluice_source_ports_exhausted_total", "counter",
	 "Connects that found no source port left.",
	 offsetof(struct worker_counts, source_port_exhausted)},
	{"sluice_buffer_bytes", "gauge", "Bytes parked in chunks, received and not sent on yet.",
	 offsetof(struct worker_counts, buffer_bytes)},
	{"sluice_buffer_refusals_total", "counter",
	 "Reads postponed because `buffers` was reached.",
	 offsetof(struct worker_counts, buffer_refusals)},
	{"sluice_pipes_open", "gauge", "Pipes held for splice.",
	 offsetof(struct worker_counts, pipes_open)},
	{"sluice_pipe_refusals_total", "counter", "Pipes that came too small or not at all.",
	 offsetof(struct worker_counts, pipe_refusals)},
	{"sluice_flow_log_dropped_total", "counter",
	 "Lines of the flow log lost because its ring was full.",
	 offsetof(struct worker_counts, log_dropped)},
};

#define TOTALS (sizeof(totals) / sizeof(totals[0]))

_Static_assert(offsetof(struct worker_counts, turns) == TOTALS * sizeof(uint64_t) &&
		       offsetof(struct worker_counts, reasons) == (TOTALS + 1) * sizeof(uint64_t),
	       "every counter has a name here");

static void sums(struct exposition *out, const struct worker_counts *counts)
{
	for (size_t i = 0; i < TOTALS; i++)
		exposition_single(out, totals[i].name, totals[i].type, totals[i].help,
				  *(const uint64_t *)((const char *)counts + totals[i].at));
}

static void by_word(struct exposition *out, const char *label, const char *const *words,
		    const uint64_t *counts, int from, int count)
{
	for (int i = from; i < count; i++) {
		exposition_sample(out, "");
		exposition_label(out, label, words[i]);
		exposition_integer(out, counts[i]);
	}
}

static void ratio(struct exposition *out, const char *name, const char *help, double of, double per)
{
	exposition_metric(out, name, "gauge", help);
	exposition_sample(out, "");
	exposition_real(out, per > 0 ? of / per : 0);
}

static void system_calls(struct exposition *out, const struct stats_sum *sum)
{
	double bytes = (double)sum->total.client_received_bytes + sum->total.client_sent_bytes;
	uint64_t calls = 0;

	for (int i = 0; i < SYS_KINDS; i++)
		calls += sum->sys_calls[i];
	exposition_metric(out, "sluice_syscalls_total", "counter",
			  "System calls of the data path, by kind.");
	by_word(out, "call", sys_kind_names, sum->sys_calls, 0, SYS_KINDS);
	ratio(out, "sluice_syscalls_per_session", "System calls for each session, since the start.",
	      (double)calls, (double)sum->total.sessions);
	ratio(out, "sluice_syscalls_per_gigabyte",
	      "System calls for each 10^9 bytes of both directions, since the start.",
	      (double)calls, bytes / BYTES_PER_GB);
}

/* Buckets in the text are cumulative, and `le` is in seconds. */
static void histogram(struct exposition *out, const char *name, const char *help,
		      const struct histogram *histogram)
{
	uint64_t count = 0;

	exposition_metric(out, name, "histogram", help);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t bound_us = histogram_bound_us(i);

		count += histogram->buckets[i];
		exposition_sample(out, "_bucket");
		if (bound_us)
			exposition_label_real(out, "le", (double)bound_us / (double)US_PER_SEC);
		else
			exposition_label(out, "le", "+Inf");
		exposition_integer(out, count);
	}
	exposition_sample(out, "_sum");
	exposition_real(out, (double)histogram->sum_us / (double)US_PER_SEC);
	exposition_sample(out, "_count");
	exposition_integer(out, count);
}

static void times(struct exposition *out, const struct worker_counts *counts)
{
	histogram(out, "sluice_connect_duration_seconds",
		  "How long a connect to a target took that succeeded.", &counts->connect_time);
	histogram(out, "sluice_first_byte_duration_seconds",
		  "From then to the target's first byte.", &counts->first_byte_time);
	histogram(out, "sluice_session_duration_seconds",
		  "From accept to the end of the session, without probes.", &counts->session_time);
}

static void each_worker(struct exposition *out, const struct admin_ops *ops, const char *name,
			const char *type, const char *help, size_t at)
{
	exposition_metric(out, name, type, help);
	for (unsigned i = 0; i < ops->worker_count; i++) {
		const char *counts = (const char *)ops->counts[i];

		exposition_sample(out, "");
		exposition_label_number(out, "worker", i);
		exposition_integer(out, count_read((const uint64_t *)(counts + at)));
	}
}

void metrics_workers(struct exposition *out, const struct admin_ops *ops)
{
	struct stats_sum sum;

	stats_sum(ops->counts, ops->worker_count, &sum);
	sums(out, &sum.total);
	exposition_metric(out, "sluice_sessions_ended_total", "counter",
			  "Sessions ended, by reason.");
	by_word(out, "reason", reason_names, sum.total.reasons, REASON_NONE + 1, REASONS);
	system_calls(out, &sum);
	times(out, &sum.total);
	each_worker(out, ops, "sluice_worker_sessions_total", "counter",
		    "Client connections that the worker accepted.",
		    offsetof(struct worker_counts, sessions));
	each_worker(out, ops, "sluice_worker_sessions_open", "gauge",
		    "Sessions that the worker has open.",
		    offsetof(struct worker_counts, sessions_open));
	each_worker(out, ops, "sluice_worker_turns_total", "counter",
		    "Turns of the worker's event loop; an idle one is woken every other second.",
		    offsetof(struct worker_counts, turns));
}
