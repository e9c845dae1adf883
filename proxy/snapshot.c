/* SPDX-License-Identifier: Apache-2.0
 *
 * Reference counts of snapshots and configurations, and their end. Happy path: the last worker's
 * last session lets go, and targets, balancers and finally the configuration are freed. How a
 * snapshot is made stands in snapshot_build.c.
 */
#include "proxy/snapshot.h"

#include <stdlib.h>

#include "proxy/listener_stats.h"
#include "proxy/pool_state.h"

void snapshot_get(struct snapshot *snapshot)
{
	atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
}

static void pool_fini(struct pool *pool)
{
	for (int i = 0; i < TIERS; i++) {
		balancer_put(pool->tiers[i].all);
		balancer_put(pool->tiers[i].steady);
	}
	for (size_t i = 0; i < pool->target_count; i++)
		target_put(pool->targets[i]);
	pool_state_put(pool->state);
	free(pool->targets);
	free(pool->weights);
	free(pool->tier_of);
	free(pool->ramps);
}

/* Takes half-built ones. */
static void snapshot_free(struct snapshot *snapshot)
{
	if (snapshot->pools)
		for (size_t i = 0; i < snapshot->config->pool_count; i++)
			pool_fini(&snapshot->pools[i]);
	if (snapshot->listeners)
		for (size_t i = 0; i < snapshot->config->listener_count; i++)
			listener_stats_put(snapshot->listeners[i]);
	free(snapshot->pools);
	free(snapshot->listeners);
	config_ref_put(snapshot->config_ref);
	free(snapshot);
}

void snapshot_put(struct snapshot *snapshot)
{
	if (!snapshot || atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) > 1)
		return;
	snapshot_free(snapshot);
}

struct config_ref *config_ref_new(struct config *config, void (*free_config)(struct config *))
{
	struct config_ref *ref = malloc(sizeof(*ref));

	if (!ref)
		return NULL;
	ref->config = config;
	ref->free = free_config;
	atomic_init(&ref->refs, 1);
	return ref;
}

void config_ref_put(struct config_ref *ref)
{
	if (!ref || atomic_fetch_sub_explicit(&ref->refs, 1, memory_order_acq_rel) > 1)
		return;
	ref->free(ref->config);
	free(ref);
}
