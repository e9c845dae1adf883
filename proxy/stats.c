/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the sum of all workers' counters. The happy path is: read each word of each worker with a
 * relaxed load and add it up. A sum is not a snapshot: counters move while they are read, so two
 * that belong together (sessions and bytes) may differ by what happened in between.
 */
#include "proxy/stats.h"

#include <stddef.h>

/* Everything before `sys_calls` is a counter, so that a new one is summed without being named. */
#define COUNTERS (offsetof(struct worker_counts, sys_calls) / sizeof(uint64_t))

static void add_words(uint64_t *sum, const uint64_t *counts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		sum[i] += count_read(&counts[i]);
}

void stats_sum(struct worker_counts *const *counts, unsigned worker_count,
	       struct stats_sum *ret_sum)
{
	*ret_sum = (struct stats_sum){0};
	for (unsigned i = 0; i < worker_count; i++) {
		const uint64_t *calls = __atomic_load_n(&counts[i]->sys_calls, __ATOMIC_ACQUIRE);

		add_words((uint64_t *)&ret_sum->total, (const uint64_t *)counts[i], COUNTERS);
		if (calls) /* the thread has begun */
			add_words(ret_sum->sys_calls, calls, SYS_KINDS);
	}
}

void stats_target_sum(const struct target_counts *counts, size_t stride, unsigned worker_count,
		      struct target_counts *ret_sum)
{
	*ret_sum = (struct target_counts){0};
	for (unsigned i = 0; i < worker_count; i++)
		add_words((uint64_t *)ret_sum,
			  (const uint64_t *)((const char *)counts + i * stride),
			  sizeof(*counts) / sizeof(uint64_t));
}

void stats_listener_sum(const struct listener_counts *counts, size_t stride, unsigned worker_count,
			struct listener_counts *ret_sum)
{
	*ret_sum = (struct listener_counts){0};
	for (unsigned i = 0; i < worker_count; i++)
		add_words((uint64_t *)ret_sum,
			  (const uint64_t *)((const char *)counts + i * stride),
			  sizeof(*counts) / sizeof(uint64_t));
}
