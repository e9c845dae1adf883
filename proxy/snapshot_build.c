/* SPDX-License-Identifier: Apache-2.0
 *
 * Building a snapshot. Happy path: the registry says of each pool which targets serve, with what
 * weight, in which tier, and which of them ramp up; a tier that has members gets a balancer; a
 * listener that the previous snapshot had under the same name is taken over with its counts.
 *
 * A tier with ramping members gets a second balancer without them, so that a session which a
 * ramping member may not take yet finds another in one step. Ramps are relative to the most
 * advanced member: when all are new, nobody is held back.
 *
 * A pool whose plan has not changed since the previous snapshot of the same configuration is copied
 * from there and shares its balancers: with hundreds of pools, one target's change costs one pool.
 *
 * Failure modes: no memory, or more targets than a balancer takes; nothing is changed then and the
 * previous snapshot stays.
 */

#include "proxy/snapshot_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/listener_stats.h"
#include "proxy/pool_state.h"
#include "proxy/registry.h"

/* What building needs at every step. */
struct build {
	struct snapshot *snapshot;
	const struct snapshot *previous; /* may be NULL */
	struct registry *registry;
	unsigned worker_count;
};

/* What is there to choose from in one tier. */
struct tier_sum {
	uint64_t weight;
	size_t ramping; /* members that are less advanced than another */
	uint16_t ramp;  /* of the most advanced one, who therefore counts as steady */
};

static bool is_of(const struct plan_member *member, enum tier tier)
{
	return member->tier == tier && member->weight;
}

static struct tier_sum sum_tier(const struct pool_plan *plan, enum tier tier)
{
	struct tier_sum sum = {0};

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_member *member = &plan->members[i];

		if (!is_of(member, tier))
			continue;
		sum.weight += member->weight;
		if (member->ramp > sum.ramp)
			sum.ramp = member->ramp;
	}
	for (size_t i = 0; i < plan->count; i++)
		if (is_of(&plan->members[i], tier) && plan->members[i].ramp < sum.ramp)
			sum.ramping++;
	return sum;
}

/* All members take part, so that an index means the same in every tier. */
static struct balancer *build_balancer(const struct pool *pool, const struct pool_plan *plan,
				       enum tier tier, uint16_t least_ramp)
{
	struct balance_member *members = calloc(plan->count, sizeof(*members));
	struct balancer *balancer;

	if (!members)
		return NULL;
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_member *from = &plan->members[i];
		bool out = from->tier != tier || from->ramp < least_ramp;

		members[i] = (struct balance_member){.target = from->target,
						     .key = from->target->name,
						     .weight = out ? 0 : from->weight};
	}
	balancer =
		balancer_new(pool->conf->balance, members, plan->count, pool->conf->load_percent);
	free(members);
	return balancer;
}

static int build_tier(struct pool *pool, const struct pool_plan *plan, enum tier tier,
		      const struct tier_sum *sum)
{
	struct pool_tier *built = &pool->tiers[tier];

	if (!sum->weight)
		return 0;
	built->all = build_balancer(pool, plan, tier, 0);
	if (!built->all)
		return -ENOMEM;
	if (!sum->ramping)
		return 0;
	built->steady = build_balancer(pool, plan, tier, sum->ramp);
	return built->steady ? 0 : -ENOMEM;
}

static void add_ramps(struct pool *pool, const struct pool_plan *plan, const struct tier_sum *sums)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_member *member = &plan->members[i];
		const struct tier_sum *sum = &sums[member->tier];

		if (!member->weight || member->ramp >= sum->ramp)
			continue;
		pool->ramps[pool->ramp_count++] = (struct pool_ramp){
			.index = (uint32_t)i,
			.earn = RAMP_UNIT * member->weight * member->ramp /
					(sum->weight * sum->ramp) +
				1,
		};
	}
}

static int build_tiers(struct pool *pool, const struct pool_plan *plan)
{
	struct tier_sum sums[TIERS];
	size_t ramping = 0;

	for (int i = 0; i < TIERS; i++) {
		int err;

		sums[i] = sum_tier(plan, i);
		ramping += sums[i].ramping;
		err = build_tier(pool, plan, i, &sums[i]);
		if (err)
			return err;
	}
	if (!ramping)
		return 0;
	pool->ramps = calloc(ramping, sizeof(*pool->ramps));
	if (!pool->ramps)
		return -ENOMEM;
	add_ramps(pool, plan, sums);
	return 0;
}

static int add_targets(struct pool *pool, const struct pool_plan *plan)
{
	pool->targets = calloc(plan->count + 1, sizeof(struct target *));
	pool->weights = calloc(plan->count + 1, sizeof(*pool->weights));
	pool->tier_of = calloc(plan->count + 1, sizeof(*pool->tier_of));
	if (!pool->targets || !pool->weights || !pool->tier_of)
		return -ENOMEM;
	for (size_t i = 0; i < plan->count; i++) {
		target_get(plan->members[i].target);
		pool->targets[i] = plan->members[i].target;
		pool->weights[i] = plan->members[i].weight;
		pool->tier_of[i] = plan->members[i].tier;
	}
	pool->target_count = plan->count;
	return 0;
}

static int build_pool(struct pool *pool, const struct pool_plan *plan)
{
	int err;

	if (plan->count > BALANCE_MEMBERS_MAX)
		return -E2BIG;
	pool_state_get(plan->state);
	pool->state = plan->state;
	pool->local_share = plan->local_share;
	pool->refuse = plan->refuse;
	pool->all_down = plan->all_down;
	pool->unresolved = pool->conf->target_count && !plan->count;
	err = add_targets(pool, plan);
	return err ? err : build_tiers(pool, plan);
}

/* A copy of `size` bytes; empty arrays have room for one, too. */
static void *copy(const void *from, size_t size)
{
	void *made = malloc(size + 1);

	return made && size ? memcpy(made, from, size) : made;
}

static int share_pool(struct pool *pool, const struct pool *from)
{
	size_t count = from->target_count;

	*pool = *from;
	pool->target_count = 0;
	pool->targets = copy(from->targets, count * sizeof(struct target *));
	pool->weights = copy(from->weights, count * sizeof(*pool->weights));
	pool->tier_of = copy(from->tier_of, count * sizeof(*pool->tier_of));
	pool->ramps = copy(from->ramps, from->ramp_count * sizeof(*pool->ramps));
	pool_state_get(pool->state);
	for (int i = 0; i < TIERS; i++) {
		balancer_get(pool->tiers[i].all);
		balancer_get(pool->tiers[i].steady);
	}
	if (!pool->targets || !pool->weights || !pool->tier_of || !pool->ramps)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		target_get(pool->targets[i]);
	pool->target_count = count;
	return 0;
}

/* The same pool in the previous snapshot, if nothing about it is different now. */
static const struct pool *unchanged(const struct build *build, size_t index, uint64_t version)
{
	const struct snapshot *previous = build->previous;

	if (!previous || previous->config_ref != build->snapshot->config_ref ||
	    previous->pools[index].plan_version != version)
		return NULL;
	return &previous->pools[index];
}

static int plan_pool(const struct build *build, size_t index)
{
	struct pool *pool = &build->snapshot->pools[index];
	uint64_t version = registry_plan_version(build->registry, index);
	const struct pool *before = unchanged(build, index, version);
	struct pool_plan plan;
	int err;

	if (before)
		return share_pool(pool, before);
	err = registry_plan(build->registry, index, &plan);
	if (err)
		return err;
	pool->plan_version = version;
	pool->conf = &build->snapshot->config->pools[index];
	err = build_pool(pool, &plan);
	pool_plan_fini(&plan);
	return err;
}

static struct listener_stats *previous_listener(const struct build *build,
						const struct listener_conf *conf)
{
	const struct snapshot *previous = build->previous;

	for (size_t i = 0; previous && i < previous->config->listener_count; i++) {
		const struct listener_conf *before = &previous->config->listeners[i];

		if (!strcmp(before->name, conf->name) && addr_equal(&before->bind, &conf->bind))
			return previous->listeners[i];
	}
	return NULL;
}

static int build_listener(const struct build *build, size_t index)
{
	const struct listener_conf *conf = &build->snapshot->config->listeners[index];
	struct listener_stats *stats = previous_listener(build, conf);

	if (stats)
		listener_stats_get(stats);
	else
		stats = listener_stats_new(conf->name, build->worker_count);
	build->snapshot->listeners[index] = stats;
	return stats ? 0 : -ENOMEM;
}

static int build_all(const struct build *build)
{
	struct snapshot *snapshot = build->snapshot;
	struct config *config = snapshot->config;
	int err = 0;

	snapshot->pools = calloc(config->pool_count + 1, sizeof(*snapshot->pools));
	snapshot->listeners = calloc(config->listener_count + 1, sizeof(struct listener_stats *));
	if (!snapshot->pools || !snapshot->listeners)
		return -ENOMEM;
	for (size_t i = 0; i < config->pool_count && !err; i++)
		err = plan_pool(build, i);
	for (size_t i = 0; i < config->listener_count && !err; i++)
		err = build_listener(build, i);
	return err;
}

int snapshot_build(struct config_ref *config, const struct snapshot *previous,
		   struct registry *registry, unsigned worker_count, struct snapshot **ret_snapshot)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	struct build build = {.snapshot = snapshot,
			      .previous = previous,
			      .registry = registry,
			      .worker_count = worker_count};
	int err;

	if (!snapshot)
		return -ENOMEM;
	atomic_init(&snapshot->refs, 1);
	snapshot->generation = previous ? previous->generation + 1 : 1;
	snapshot->config_ref = config;
	snapshot->config = config->config;
	atomic_fetch_add(&config->refs, 1);
	err = build_all(&build);
	if (err) {
		snapshot_put(snapshot); /* takes half-built ones */
		return err;
	}
	*ret_snapshot = snapshot;
	return 0;
}
