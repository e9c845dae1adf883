/* SPDX-License-Identifier: Apache-2.0
 *
 * What one process of the swarm saw, kept in memory that it shares with its parent; the parent
 * adds the processes up and prints the sum as one line of JSON.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/hist.h"

struct findings {
	uint64_t setup_ns;
	uint64_t opened; /* connected and answered in set-up */
	uint64_t held;   /* still open at the end, no answer outstanding */
	uint64_t requests, unanswered, broken;
	uint64_t connects, connects_unanswered, connects_failed;
	struct hist request_latency, connect_latency;
};

static inline void print_latency(const char *name, const struct hist *hist)
{
	printf("\"%s_p50_us\": %.1f, \"%s_p99_us\": %.1f, \"%s_max_us\": %.1f, ", name,
	       hist_percentile_us(hist, 0.50), name, hist_percentile_us(hist, 0.99), name,
	       (double)hist->max_ns / 1e3);
}

static inline const struct findings *findings_sum(const struct findings *all, unsigned count)
{
	static struct findings sum;

	memset(&sum, 0, sizeof(sum));
	for (unsigned i = 0; i < count; i++) {
		if (all[i].setup_ns > sum.setup_ns)
			sum.setup_ns = all[i].setup_ns;
		sum.opened += all[i].opened;
		sum.held += all[i].held;
		sum.requests += all[i].requests;
		sum.unanswered += all[i].unanswered;
		sum.broken += all[i].broken;
		sum.connects += all[i].connects;
		sum.connects_unanswered += all[i].connects_unanswered;
		sum.connects_failed += all[i].connects_failed;
		hist_merge(&sum.request_latency, &all[i].request_latency);
		hist_merge(&sum.connect_latency, &all[i].connect_latency);
	}
	return &sum;
}

static inline void findings_print(const struct findings *sum)
{
	printf("{");
	print_latency("request", &sum->request_latency);
	print_latency("connect", &sum->connect_latency);
	printf("\"held\": %lu, \"requests\": %lu, \"unanswered\": %lu, \"broken\": %lu, "
	       "\"connects\": %lu, \"connects_unanswered\": %lu, \"connects_failed\": %lu}\n",
	       sum->held, sum->requests, sum->unanswered, sum->broken, sum->connects,
	       sum->connects_unanswered, sum->connects_failed);
}
