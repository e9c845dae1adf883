/* SPDX-License-Identifier: Apache-2.0
 *
 * A latency histogram of fixed size: 64 steps to each doubling, so a percentile is read to within
 * 1.6 %. It lies in memory that several processes can share; each writes its own, the parent adds.
 */
#pragma once

#include <stdint.h>

enum { HIST_STEPS = 64, HIST_BUCKETS = HIST_STEPS * 40 };

struct hist {
	uint64_t count;
	uint64_t max_ns;
	uint64_t buckets[HIST_BUCKETS];
};

static inline unsigned hist_bucket(uint64_t ns)
{
	unsigned shift = 0;

	while (ns >> shift >= 2 * HIST_STEPS)
		shift++;
	unsigned bucket = shift * HIST_STEPS + (unsigned)(ns >> shift);
	return bucket < HIST_BUCKETS ? bucket : HIST_BUCKETS - 1;
}

static inline void hist_add(struct hist *hist, uint64_t ns)
{
	hist->count++;
	hist->buckets[hist_bucket(ns)]++;
	if (ns > hist->max_ns)
		hist->max_ns = ns;
}

static inline void hist_merge(struct hist *into, const struct hist *from)
{
	into->count += from->count;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

/* The upper edge of the bucket that holds the wanted share (0..1) of all values, in microseconds;
 * 0 when nothing was recorded. */
static inline double hist_percentile_us(const struct hist *hist, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)hist->count + 0.5), seen = 0;

	if (hist->count == 0)
		return 0;
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		seen += hist->buckets[i];
		if (seen < wanted || seen == 0)
			continue;
		unsigned shift = i < 2 * HIST_STEPS ? 0 : i / HIST_STEPS - 1;
		uint64_t edge = (uint64_t)(i - shift * HIST_STEPS + 1) << shift;
		return (double)(edge < hist->max_ns ? edge : hist->max_ns) / 1e3;
	}
	return (double)hist->max_ns / 1e3;
}
