/* SPDX-License-Identifier: Apache-2.0
 *
 * Static targets for the registry. Happy path: each configured target becomes one specification, or
 * one per address that its name resolves to, called "db.internal:5432/10.0.0.1".
 *
 * Failure modes: no memory. A name that does not resolve gives no target; an address that stands
 * there already, since two names lead to it, is given once, by the first.
 */
#include "proxy/static_targets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/model.h"
#include "proxy/registry.h"
#include "proxy/resolve.h"

#define SOURCE     "config"
#define NAME_BYTES (256 + ADDR_TEXT)

struct named_spec {
	char name[NAME_BYTES];
};

/* One pool's specifications, as far as they are made. */
struct specs {
	struct target_spec *list;
	struct named_spec *names; /* what `written` points to; one per address of a name */
	size_t count;
	size_t name_count;
};

static bool same_identity(const struct target_spec *a, const struct target_spec *b)
{
	bool same_id = a->id && b->id ? !strcmp(a->id, b->id) : a->id == b->id;

	return same_id && addr_equal(&a->addr, &b->addr);
}

static bool is_known(const struct specs *specs, const struct target_spec *spec)
{
	for (size_t i = 0; i < specs->count; i++)
		if (same_identity(&specs->list[i], spec))
			return true;
	return false;
}

/* Only names make doubles: the configuration's own are refused when it is read. */
static void add(struct specs *specs, const struct target_conf *conf, const struct addr *addr,
		const char *written)
{
	struct target_spec spec = {
		.id = conf->id,
		.addr = *addr,
		.written = written,
		.zone = conf->zone,
		.weight = conf->weight,
		.max_connections = conf->max_connections,
		.backup = conf->backup,
	};

	if (specs->names && is_known(specs, &spec))
		return;
	specs->list[specs->count++] = spec;
}

static void add_resolved(struct specs *specs, const struct target_conf *conf,
			 struct resolver *resolver)
{
	struct addr addrs[RESOLVE_MAX];
	size_t count = resolver_lookup(resolver, conf->host, addrs, RESOLVE_MAX);

	for (size_t i = 0; i < count; i++) {
		char *name = specs->names[specs->name_count++].name;
		char text[ADDR_TEXT];

		addrs[i].port = conf->addr.port;
		snprintf(name, NAME_BYTES, "%s/%s", conf->address,
			 addr_format_host(&addrs[i], text));
		add(specs, conf, &addrs[i], name);
	}
}

static int specs_init(struct specs *specs, const struct pool_conf *pool)
{
	size_t names = 0;

	*specs = (struct specs){0};
	for (size_t i = 0; i < pool->target_count; i++)
		names += pool->targets[i].host ? RESOLVE_MAX : 0;
	specs->list = calloc(pool->target_count + names + 1, sizeof(*specs->list));
	specs->names = names ? calloc(names, sizeof(*specs->names)) : NULL;
	return specs->list && (!names || specs->names) ? 0 : -ENOMEM;
}

static void specs_fini(struct specs *specs)
{
	free(specs->list);
	free(specs->names);
}

static int put_pool(struct registry *registry, const struct pool_conf *pool,
		    struct resolver *resolver)
{
	struct specs specs;
	uint64_t generation;
	int err = specs_init(&specs, pool);

	for (size_t i = 0; i < pool->target_count && !err; i++) {
		const struct target_conf *conf = &pool->targets[i];

		if (conf->host)
			add_resolved(&specs, conf, resolver);
		else
			add(&specs, conf, &conf->addr, conf->address);
	}
	if (!err)
		err = registry_put(registry, pool->name, SOURCE, 0, specs.list, specs.count,
				   &generation);
	specs_fini(&specs);
	return err;
}

int static_targets_put(struct registry *registry, const struct config *config,
		       struct resolver *resolver)
{
	for (size_t i = 0; i < config->pool_count; i++) {
		int err = put_pool(registry, &config->pools[i], resolver);

		if (err)
			return err;
	}
	return 0;
}
