/* SPDX-License-Identifier: Apache-2.0
 *
 * Building a snapshot. Happy path: for each pool every configured target becomes one
 * run-time target per address it resolves to; a target or listener that the previous snapshot had
 * under the same name is taken over with its counts; then the balancer is built.
 *
 * Failure modes: no memory, or names that resolve to more targets than a balancer takes; nothing is
 * changed then and the previous snapshot stays.
 */

#include "proxy/snapshot_build.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/panic.h"
#include "proxy/listener_stats.h"
#include "proxy/resolve.h"

/* What building needs at every step. */
struct build {
	struct snapshot *snapshot;
	const struct snapshot *previous; /* may be NULL */
	struct resolver *resolver;       /* may be NULL when no target has a name */
	unsigned worker_count;
};

static const struct pool *previous_pool(const struct build *build, const char *name)
{
	const struct snapshot *previous = build->previous;

	if (!previous)
		return NULL;
	for (size_t i = 0; i < previous->config->pool_count; i++)
		if (!strcmp(previous->pools[i].conf->name, name))
			return &previous->pools[i];
	return NULL;
}

/* The target of this name and address, with its counts if there was one before. */
static struct target *find_or_new(const struct build *build, const struct pool *pool,
				  const char *name, const struct addr *addr)
{
	const struct pool *before = previous_pool(build, pool->conf->name);

	for (size_t i = 0; before && i < before->target_count; i++) {
		struct target *target = before->targets[i];

		if (!strcmp(target->name, name) && addr_equal(&target->addr, addr)) {
			target_get(target);
			return target;
		}
	}
	return target_new(name, addr, build->worker_count);
}

static int add_target(const struct build *build, struct pool *pool, const struct target_conf *conf,
		      const char *name, const struct addr *addr)
{
	struct target *target;

	if (pool->target_count == BALANCE_MEMBERS_MAX)
		return -E2BIG;
	target = find_or_new(build, pool, name, addr);
	if (!target)
		return -ENOMEM;
	atomic_store(&target->max_connections, conf->max_connections);
	pool->weights[pool->target_count] = conf->weight;
	pool->targets[pool->target_count++] = target;
	return 0;
}

static int add_resolved(const struct build *build, struct pool *pool,
			const struct target_conf *conf)
{
	struct addr addrs[RESOLVE_MAX];
	size_t count = resolver_lookup(build->resolver, conf->host, addrs, RESOLVE_MAX);

	for (size_t i = 0; i < count; i++) {
		char name[256 + ADDR_TEXT], text[ADDR_TEXT];
		int err;

		addrs[i].port = conf->addr.port;
		snprintf(name, sizeof(name), "%s/%s", conf->address,
			 addr_format_host(&addrs[i], text));
		err = add_target(build, pool, conf, name, &addrs[i]);
		if (err)
			return err;
	}
	return 0;
}

static size_t most_targets(const struct pool_conf *conf)
{
	size_t most = 0;

	for (size_t i = 0; i < conf->target_count; i++)
		most += conf->targets[i].host ? RESOLVE_MAX : 1;
	return most;
}

static int build_balancer(struct pool *pool)
{
	struct balance_member *members = calloc(pool->target_count + 1, sizeof(*members));

	if (!members)
		return -ENOMEM;
	for (size_t i = 0; i < pool->target_count; i++)
		members[i] = (struct balance_member){.target = pool->targets[i],
						     .key = pool->targets[i]->name,
						     .weight = pool->weights[i]};
	pool->balancer = balancer_new(pool->conf->balance, members, pool->target_count,
				      pool->conf->load_percent);
	free(members);
	return pool->balancer ? 0 : -ENOMEM;
}

static int build_pool(const struct build *build, struct pool *pool, const struct pool_conf *conf)
{
	size_t most = most_targets(conf);
	int err = 0;

	pool->conf = conf;
	pool->targets = calloc(most + 1, sizeof(struct target *));
	pool->weights = calloc(most + 1, sizeof(*pool->weights));
	if (!pool->targets || !pool->weights)
		return -ENOMEM;
	for (size_t i = 0; i < conf->target_count && !err; i++) {
		const struct target_conf *target = &conf->targets[i];

		err = target->host
			      ? add_resolved(build, pool, target)
			      : add_target(build, pool, target, target->address, &target->addr);
	}
	if (err)
		return err;
	pool->unresolved = conf->target_count && !pool->target_count;
	return build_balancer(pool);
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
		err = build_pool(build, &snapshot->pools[i], &config->pools[i]);
	for (size_t i = 0; i < config->listener_count && !err; i++)
		err = build_listener(build, i);
	return err;
}

int snapshot_build(struct config_ref *config, const struct snapshot *previous,
		   struct resolver *resolver, unsigned worker_count, struct snapshot **ret_snapshot)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	struct build build = {.snapshot = snapshot,
			      .previous = previous,
			      .resolver = resolver,
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
