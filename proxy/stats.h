/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters: one plain struct per worker, written by that worker alone with relaxed stores and
 * summed by whoever reads. Totals only grow; gauges (`*_open`) are the worker's own share.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/sys.h"
#include "proxy/reason.h"

/* Kept per worker and listener. */
struct listener_counts {
	uint64_t accepted;
	uint64_t probes;         /* closed by the client without a byte or an error */
	uint64_t shed;           /* accepted and reset at once: a limit was reached */
	uint64_t open;           /* gauge */
	uint64_t received_bytes; /* from clients */
	uint64_t sent_bytes;     /* to clients */
	uint64_t proxy_headers;  /* PROXY headers taken, LOCAL included */
	uint64_t proxy_errors;   /* sessions refused for theirs, or for whose it was */
	uint64_t keyed;          /* sessions balanced by their client's address */
	uint64_t keyed_trusted;  /* those whose address was a trusted balancer's */
};

/* Kept per worker and target. */
struct target_counts {
	uint64_t sessions; /* connected */
	uint64_t connect_failures;
	uint64_t retries; /* attempts that came here after another target failed */
	uint64_t open;    /* gauge */
	uint64_t sent_bytes;
	uint64_t received_bytes;
	uint64_t cross_zone_bytes; /* of both directions, while it is in another zone than ours */
};

#define HISTOGRAM_BUCKETS 28
#define HISTOGRAM_LEAST   64 /* microseconds: the bound of the first bucket; each doubles it */

/* How long something took: bucket n counts what took up to HISTOGRAM_LEAST << n microseconds (and
 * more than the one before), the last one (no bound) all that took longer. */
struct histogram {
	uint64_t buckets[HISTOGRAM_BUCKETS];
	uint64_t sum_us;
};

struct worker_counts {
	uint64_t sessions;      /* accepted, probes included */
	uint64_t sessions_open; /* gauge */
	uint64_t connects;      /* attempts */
	uint64_t retries;
	uint64_t retries_denied; /* the retry budget was spent */
	uint64_t probes;
	uint64_t clients; /* sessions, as soon as they are certain not to be probes */
	uint64_t client_received_bytes;
	uint64_t client_sent_bytes;
	uint64_t spliced_bytes;   /* of both directions, the rest was copied */
	uint64_t offloaded_bytes; /* of both directions: the kernel's doing alone */
	uint64_t accept_pauses;   /* the listener rested for want of fds */
	uint64_t source_port_exhausted;
	uint64_t buffer_bytes;    /* gauge: parked in chunks */
	uint64_t buffer_refusals; /* reads postponed because `buffers` was reached */
	uint64_t pipes_open;      /* gauge */
	uint64_t pipe_refusals;   /* pipes that came too small or not at all */
	uint64_t log_dropped;     /* flow records that found the ring full */
	uint64_t turns;           /* of the event loop */
	uint64_t reasons[REASONS];
	struct histogram connect_time;    /* of an attempt that succeeded */
	struct histogram first_byte_time; /* from then to the backend's first byte */
	struct histogram session_time;    /* from accept to close, without probes */
	const uint64_t *sys_calls;        /* the worker thread's, SYS_KINDS of them */
};

static inline void count_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline void count_sub(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter - n, __ATOMIC_RELAXED);
}

static inline uint64_t count_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline unsigned histogram_bucket(uint64_t us)
{
	unsigned bucket = us <= HISTOGRAM_LEAST
				  ? 0
				  : 64 - (unsigned)__builtin_clzll((us - 1) / HISTOGRAM_LEAST);

	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static inline void histogram_add(struct histogram *histogram, uint64_t us)
{
	count_add(&histogram->buckets[histogram_bucket(us)], 1);
	count_add(&histogram->sum_us, us);
}

/* The upper bound of a bucket in microseconds; 0: the last one, which has none. */
static inline uint64_t histogram_bound_us(unsigned bucket)
{
	return bucket < HISTOGRAM_BUCKETS - 1 ? (uint64_t)HISTOGRAM_LEAST << bucket : 0;
}

/* A sum over all workers. */
struct stats_sum {
	struct worker_counts total; /* total.sys_calls is NULL */
	uint64_t sys_calls[SYS_KINDS];
};

struct snapshot;

/* Add up `worker_count` workers' counters. Callable from any thread. */
void stats_sum(struct worker_counts *const *counts, unsigned worker_count,
	       struct stats_sum *ret_sum);

/* The same for one target or listener, whose workers' counters stand `stride` bytes apart. */
void stats_target_sum(const struct target_counts *counts, size_t stride, unsigned worker_count,
		      struct target_counts *ret_sum);
void stats_listener_sum(const struct listener_counts *counts, size_t stride, unsigned worker_count,
			struct listener_counts *ret_sum);

/* All of it as one JSON object on one line, with the snapshot's listeners and targets; the caller
 * frees it. NULL when memory is short. */
char *stats_json(const struct stats_sum *sum, const struct snapshot *snapshot,
		 unsigned worker_count, uint64_t uptime_us);
