/* SPDX-License-Identifier: Apache-2.0
 *
 * Reference counting and places of a listener. Happy path: accept reserves a place, the session's
 * end releases it. The only failure is a full listener.
 */
#include "proxy/listener_stats.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/panic.h"

struct listener_stats *listener_stats_new(const char *name, unsigned worker_count)
{
	size_t size = sizeof(struct listener_stats) +
		      worker_count * sizeof(((struct listener_stats *)0)->counts[0]);
	struct listener_stats *stats;

	size = (size + LISTENER_CACHE_LINE - 1) & ~(size_t)(LISTENER_CACHE_LINE - 1);
	stats = aligned_alloc(LISTENER_CACHE_LINE, size);
	if (!stats)
		return NULL;
	memset(stats, 0, size);
	stats->worker_count = worker_count;
	atomic_store(&stats->refs, 1);
	stats->name = strdup(name);
	if (!stats->name) {
		free(stats);
		return NULL;
	}
	return stats;
}

void listener_stats_get(struct listener_stats *stats)
{
	atomic_fetch_add_explicit(&stats->refs, 1, memory_order_relaxed);
}

void listener_stats_put(struct listener_stats *stats)
{
	if (!stats || atomic_fetch_sub_explicit(&stats->refs, 1, memory_order_acq_rel) > 1)
		return;
	free(stats->name);
	free(stats);
}

bool listener_stats_reserve(struct listener_stats *stats, uint32_t limit)
{
	uint32_t open = atomic_fetch_add_explicit(&stats->open, 1, memory_order_relaxed);

	if (!limit || open < limit)
		return true;
	listener_stats_release(stats);
	return false;
}

void listener_stats_release(struct listener_stats *stats)
{
	uint32_t before = atomic_fetch_sub_explicit(&stats->open, 1, memory_order_relaxed);

	must(before > 0);
}

bool listener_stats_clients_hidden(const struct listener_stats *stats)
{
	struct listener_counts sum;

	stats_listener_sum(&stats->counts[0].c, sizeof(stats->counts[0]), stats->worker_count,
			   &sum);
	return sum.keyed >= LISTENER_KEYED_MIN && sum.keyed == sum.keyed_trusted;
}
