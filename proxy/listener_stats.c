/* SPDX-License-Identifier: Apache-2.0
 *
 * Reference counting and places of a listener. Happy path: accept reserves a place, the session's
 * end releases it. The only failure is a full listener.
 */
#include "proxy/listener_stats.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/panic.h"

/* Endpoints are learnt once and never forgotten: what stands before `count` does not change any
 * more, but for the sessions. The last place is that of all others. */
struct vpce_counts {
	pthread_mutex_t lock; /* to learn another one */
	_Atomic uint32_t count;
	struct {
		_Atomic uint64_t sessions;
		char id[64];
	} ids[VPCE_IDS_MAX + 1];
};

static struct vpce_counts *vpce_counts_new(void)
{
	struct vpce_counts *counts = calloc(1, sizeof(*counts));

	if (counts)
		pthread_mutex_init(&counts->lock, NULL);
	return counts;
}

static void vpce_counts_free(struct vpce_counts *counts)
{
	if (counts)
		pthread_mutex_destroy(&counts->lock);
	free(counts);
}

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
	stats->vpce = vpce_counts_new();
	if (stats->name && stats->vpce)
		return stats;
	listener_stats_put(stats);
	return NULL;
}

void listener_stats_get(struct listener_stats *stats)
{
	atomic_fetch_add_explicit(&stats->refs, 1, memory_order_relaxed);
}

void listener_stats_put(struct listener_stats *stats)
{
	if (!stats || atomic_fetch_sub_explicit(&stats->refs, 1, memory_order_acq_rel) > 1)
		return;
	vpce_counts_free(stats->vpce);
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

static uint32_t find_vpce(const struct vpce_counts *counts, uint32_t count, const char *id)
{
	uint32_t i = 0;

	while (i < count && strcmp(counts->ids[i].id, id))
		i++;
	return i;
}

/* Where it is counted from now on. */
static uint32_t learn_vpce(struct vpce_counts *counts, const char *id)
{
	uint32_t count, i;

	pthread_mutex_lock(&counts->lock);
	count = atomic_load_explicit(&counts->count, memory_order_relaxed);
	i = find_vpce(counts, count, id); /* another worker may have learnt it meanwhile */
	if (i == count && count <= VPCE_IDS_MAX) {
		snprintf(counts->ids[i].id, sizeof(counts->ids[i].id), "%s",
			 count < VPCE_IDS_MAX ? id : "other");
		atomic_store_explicit(&counts->count, count + 1, memory_order_release);
	}
	pthread_mutex_unlock(&counts->lock);
	return i < VPCE_IDS_MAX ? i : VPCE_IDS_MAX;
}

void listener_stats_count_vpce(struct listener_stats *stats, const char *id)
{
	struct vpce_counts *counts = stats->vpce;
	uint32_t count = atomic_load_explicit(&counts->count, memory_order_acquire);
	uint32_t i = find_vpce(counts, count, id);

	if (i == count)
		i = count > VPCE_IDS_MAX ? VPCE_IDS_MAX : learn_vpce(counts, id);
	atomic_fetch_add_explicit(&counts->ids[i].sessions, 1, memory_order_relaxed);
}

const char *listener_stats_vpce(const struct listener_stats *stats, size_t index,
				uint64_t *ret_sessions)
{
	const struct vpce_counts *counts = stats->vpce;

	if (index >= atomic_load_explicit(&counts->count, memory_order_acquire))
		return NULL;
	*ret_sessions = atomic_load_explicit(&counts->ids[index].sessions, memory_order_relaxed);
	return counts->ids[index].id;
}
