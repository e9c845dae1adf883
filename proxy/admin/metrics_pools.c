/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what /metrics says of pools. Happy path: each metric is a function of a pool, written for
 * all of them. See metrics.c for how it can fail.
 */
#include <stdatomic.h>

#include "proxy/admin/admin.h"
#include "proxy/admin/metrics_parts.h"
#include "proxy/base/clock.h"
#include "proxy/base/exposition.h"
#include "proxy/model.h"
#include "proxy/pool_state.h"
#include "proxy/registry.h"

static uint64_t usable(const struct pool_record *pool)
{
	return pool->usable;
}

static uint64_t healthy(const struct pool_record *pool)
{
	return pool->healthy;
}

static uint64_t eligible(const struct pool_record *pool)
{
	return pool->eligible;
}

static uint64_t in_panic(const struct pool_record *pool)
{
	return pool->panic;
}

static uint64_t backup_in_use(const struct pool_record *pool)
{
	return pool->backup_in_use;
}

static uint64_t sessions_open(const struct pool_record *pool)
{
	return atomic_load(&pool->state->inflight);
}

static uint64_t sessions_limit(const struct pool_record *pool)
{
	return atomic_load(&pool->state->max_connections);
}

static uint64_t waiting(const struct pool_record *pool)
{
	return atomic_load(&pool->state->waiting_count);
}

static uint64_t queue_limit(const struct pool_record *pool)
{
	return atomic_load(&pool->state->queue_size);
}

static uint64_t queued(const struct pool_record *pool)
{
	return atomic_load(&pool->state->queued);
}

static uint64_t queue_refused(const struct pool_record *pool)
{
	return atomic_load(&pool->state->queue_full);
}

static uint64_t queue_timeouts(const struct pool_record *pool)
{
	return atomic_load(&pool->state->queue_timeouts);
}

static const struct {
	const char *name;
	const char *type;
	const char *help;
	uint64_t (*value)(const struct pool_record *pool);
} metrics[] = {
	{"sluice_pool_targets_usable", "gauge", "Targets that may take sessions, backups too.",
	 usable},
	{"sluice_pool_targets_healthy", "gauge", "Eligible targets that are up.", healthy},
	{"sluice_pool_targets_eligible", "gauge",
	 "Targets that are no backups and not taken out by an operator or a source.", eligible},
	{"sluice_pool_panic", "gauge", "1 while too few targets are healthy.", in_panic},
	{"sluice_pool_backup_in_use", "gauge", "1 while backups serve.", backup_in_use},
	{"sluice_pool_sessions_open", "gauge", "Sessions dialing or open.", sessions_open},
	{"sluice_pool_sessions_limit", "gauge", "Most sessions at once; 0 is unlimited.",
	 sessions_limit},
	{"sluice_pool_queue_sessions", "gauge", "Sessions that wait for a free slot.", waiting},
	{"sluice_pool_queue_limit", "gauge", "How many sessions may wait for a free slot.",
	 queue_limit},
	{"sluice_pool_queued_total", "counter", "Sessions that had to wait.", queued},
	{"sluice_pool_queue_refused_total", "counter",
	 "Sessions refused because the queue was full.", queue_refused},
	{"sluice_pool_queue_timeouts_total", "counter", "Sessions that waited too long.",
	 queue_timeouts},
};

static void begin(struct exposition *out, const struct pool_record *pool)
{
	exposition_sample(out, "");
	exposition_label(out, "pool", pool->conf->name);
}

/* Every state, so that a sum over those of interest is 0 and not absent. */
static void write_states(struct exposition *out, const struct pool_record *pool)
{
	uint64_t counts[STANDINGS] = {0};

	for (size_t i = 0; i < pool->target_count; i++)
		counts[pool->targets[i]->standing]++;
	for (int i = 0; i < STANDINGS; i++) {
		begin(out, pool);
		exposition_label(out, "state", standing_names[i]);
		exposition_integer(out, counts[i]);
	}
}

static void begin_source(struct exposition *out, const struct pool_record *pool, size_t index)
{
	begin(out, pool);
	exposition_label(out, "source", pool->sources[index].name);
}

static void write_generations(struct exposition *out, const struct pool_record *pool)
{
	for (size_t i = 0; i < pool->source_count; i++) {
		begin_source(out, pool, i);
		exposition_integer(out, pool->sources[i].generation);
	}
}

static void write_ages(struct exposition *out, const struct pool_record *pool)
{
	uint64_t now_us = clock_wall_us();

	for (size_t i = 0; i < pool->source_count; i++) {
		uint64_t pushed_us = pool->sources[i].wall_us;

		begin_source(out, pool, i);
		exposition_real(out, now_us > pushed_us
					     ? (double)(now_us - pushed_us) / (double)US_PER_SEC
					     : 0);
	}
}

static void write_source_targets(struct exposition *out, const struct pool_record *pool)
{
	for (size_t i = 0; i < pool->source_count; i++) {
		begin_source(out, pool, i);
		exposition_integer(out, pool->sources[i].target_count);
	}
}

static const struct {
	const char *name;
	const char *help;
	void (*write)(struct exposition *out, const struct pool_record *pool);
} gauges[] = {
	{"sluice_pool_targets", "Targets, by state.", write_states},
	{"sluice_pool_source_targets", "Targets that the source lists.", write_source_targets},
	{"sluice_pool_source_generation", "Generation of the source's set.", write_generations},
	{"sluice_pool_source_age_seconds", "Since the source's set was applied.", write_ages},
};

void metrics_pools(struct exposition *out, const struct admin_ops *ops)
{
	size_t count = registry_pool_count(ops->registry);

	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		exposition_metric(out, metrics[i].name, metrics[i].type, metrics[i].help);
		for (size_t j = 0; j < count; j++) {
			const struct pool_record *pool = registry_pool_at(ops->registry, j);

			begin(out, pool);
			exposition_integer(out, metrics[i].value(pool));
		}
	}
	for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
		exposition_metric(out, gauges[i].name, "gauge", gauges[i].help);
		for (size_t j = 0; j < count; j++)
			gauges[i].write(out, registry_pool_at(ops->registry, j));
	}
}
