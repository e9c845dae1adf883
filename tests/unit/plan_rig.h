/* SPDX-License-Identifier: Apache-2.0
 *
 * A registry for tests of what is made from its plans: the numeric targets of a configuration,
 * found again by pool, name and address, all of them up. A test may change a plan before it builds
 * a snapshot. It stands in for proxy/registry.h in the tests that include it.
 */
#pragma once

#include "proxy/pool_state.h"
#include "proxy/registry.h"
#include "proxy/snapshot_build.h"
#include "tests/unit/core_rig.h"

#define PLAN_POOLS   4
#define PLAN_MEMBERS 80

struct planned {
	struct pool_plan plan; /* of the newest configuration */
	struct plan_member members[PLAN_MEMBERS];
	struct pool_state *state;             /* NULL: this place is free */
	struct target *targets[PLAN_MEMBERS]; /* ever */
	size_t target_count;
};

struct registry {
	struct planned pools[PLAN_POOLS];
	struct planned *order[PLAN_POOLS]; /* the configuration's */
};

static struct registry plan_rig;
static bool plan_fails;
static bool plan_holds; /* plans are the same as ever; else each is a new one */

int registry_plan(struct registry *registry, size_t index, struct pool_plan *ret_plan)
{
	if (plan_fails)
		return -ENOMEM;
	*ret_plan = registry->order[index]->plan;
	return 0;
}

uint64_t registry_plan_version(const struct registry *registry, size_t index)
{
	static uint64_t asked;

	return plan_holds ? 0 : ++asked;
}

void pool_plan_fini(struct pool_plan *plan)
{
	*plan = (struct pool_plan){0};
}

static inline struct planned *plan_pool_of(const char *name)
{
	for (int i = 0; i < PLAN_POOLS; i++) {
		struct planned *planned = &plan_rig.pools[i];

		if (!planned->state)
			planned->state = pool_state_new(name);
		if (!strcmp(planned->state->name, name))
			return planned;
	}
	ck_abort_msg("more pools than the rig has");
}

static inline struct target *plan_target(struct planned *planned, const struct target_conf *conf,
					 unsigned worker_count)
{
	struct target *target;

	for (size_t i = 0; i < planned->target_count; i++) {
		target = planned->targets[i];
		if (!strcmp(target->name, conf->address) && addr_equal(&target->addr, &conf->addr))
			return target;
	}
	ck_assert_uint_lt(planned->target_count, PLAN_MEMBERS);
	target = target_new(conf->address, &conf->addr, worker_count);
	pool_state_get(planned->state);
	target->pool = planned->state;
	planned->targets[planned->target_count++] = target;
	return target;
}

static inline void plan_pool_conf(struct planned *planned, const struct pool_conf *conf,
				  unsigned worker_count)
{
	planned->plan = (struct pool_plan){
		.state = planned->state, .members = planned->members, .local_share = 1000};
	planned->state->max_connections = conf->max_connections;
	planned->state->queue_size = conf->queue_size;
	for (size_t i = 0; i < conf->target_count; i++) {
		const struct target_conf *from = &conf->targets[i];
		struct target *target;

		if (from->host)
			continue;
		target = plan_target(planned, from, worker_count);
		target->max_connections = from->max_connections;
		target->connect_gap_us = conf->connect_rate ? 1000000 / conf->connect_rate : 0;
		planned->members[planned->plan.count++] = (struct plan_member){
			.target = target,
			.weight = from->weight,
			.ramp = 1000,
			.tier = from->backup ? TIER_BACKUP : TIER_LOCAL,
		};
	}
}

/* Plan what the configuration says; the registry to build from. */
static inline struct registry *plan_for(const struct config *config, unsigned worker_count)
{
	for (size_t i = 0; i < config->pool_count; i++) {
		plan_rig.order[i] = plan_pool_of(config->pools[i].name);
		plan_pool_conf(plan_rig.order[i], &config->pools[i], worker_count);
	}
	return &plan_rig;
}

static inline int plan_and_build(struct config_ref *config, const struct snapshot *previous,
				 unsigned worker_count, struct snapshot **ret_snapshot)
{
	return snapshot_build(config, previous, plan_for(config->config, worker_count),
			      worker_count, ret_snapshot);
}

/* Let go of everything. Whoever still uses a target has a reference. */
static inline void plan_forget(void)
{
	for (int i = 0; i < PLAN_POOLS; i++) {
		struct planned *planned = &plan_rig.pools[i];

		for (size_t j = 0; j < planned->target_count; j++)
			target_put(planned->targets[j]);
		pool_state_put(planned->state);
	}
	memset(&plan_rig, 0, sizeof(plan_rig));
}
