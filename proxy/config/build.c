/* SPDX-License-Identifier: Apache-2.0
 *
 * Structs from a completed tree: every key is there unless it has no default, and every value is
 * known to parse. A `view` is a mapping together with its part of the schema.
 *
 * Failure modes: -ENOMEM alone; config_free() takes half-built structs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/conf/endpoint.h"
#include "proxy/base/conf/schema.h"
#include "proxy/base/conf/tree.h"
#include "proxy/base/panic.h"
#include "proxy/config.h"
#include "proxy/config/parts.h"
#include "proxy/model.h"

struct view {
	const struct schema_map *map;
	const struct node *node;
};

static uint64_t number(const struct view *view, const char *key)
{
	return schema_number(view->map, view->node, key);
}

/* Whatever becomes a uint32_t has a bound in the schema that fits. */
static uint32_t number32(const struct view *view, const char *key)
{
	uint64_t value = number(view, key);

	must(value <= UINT32_MAX);
	return (uint32_t)value;
}

/* A copy of an optional text; `ret_text` is NULL where none is written. */
static int text(const struct view *view, const char *key, char **ret_text)
{
	const char *written = schema_text(view->node, key);

	if (!written)
		return 0;
	*ret_text = strdup(written);
	return *ret_text ? 0 : -ENOMEM;
}

static struct view part(const struct view *view, const char *name)
{
	return (struct view){schema_find(view->map, name)->map, node_get(view->node, name)};
}

/* The i-th item of a list of mappings. */
static struct view item(const struct view *view, const char *name, size_t i)
{
	return (struct view){schema_find(view->map, name)->item->map,
			     node_get(view->node, name)->children[i]};
}

static size_t items(const struct view *view, const char *name)
{
	const struct node *list = node_get(view->node, name);

	return list ? list->count : 0;
}

static const char *item_text(const struct view *view, const char *name, size_t i)
{
	return node_get(view->node, name)->children[i]->text;
}

static int build_tcp(struct view view, struct tcp_conf *tcp)
{
	struct view keepalive = part(&view, "keepalive");

	if (keepalive.node->kind == NODE_MAPPING) {
		tcp->keepalive_idle_ms = number32(&keepalive, "idle");
		tcp->keepalive_interval_ms = number32(&keepalive, "interval");
		tcp->keepalive_count = number32(&keepalive, "count");
	}
	tcp->user_timeout_ms = number32(&view, "user_timeout");
	tcp->send_buffer = number32(&view, "send_buffer");
	tcp->receive_buffer = number32(&view, "receive_buffer");
	tcp->fast_open = number(&view, "fast_open");
	return text(&view, "congestion", &tcp->congestion);
}

static void build_timeouts(struct view view, struct timeouts_conf *timeouts)
{
	timeouts->connect_ms = number32(&view, "connect");
	timeouts->idle_ms = number32(&view, "idle");
	timeouts->half_close_ms = number32(&view, "half_close");
	timeouts->lifetime_ms = number32(&view, "lifetime");
}

static int build_flow(struct view view, struct flow_conf *flow)
{
	flow->format = (enum flow_format)number(&view, "format");
	flow->only = (enum flow_only)number(&view, "only");
	flow->sample = number32(&view, "sample");
	return text(&view, "path", &flow->path);
}

static uint32_t find_pool(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->pool_count; i++)
		if (strcmp(config->pools[i].name, name) == 0)
			return (uint32_t)i;
	panic(__FILE__, __LINE__, "a listener's pool exists, config_check() has seen it");
}

static int build_trusted(const struct view *view, struct listener_conf *listener)
{
	size_t count = items(view, "trusted");

	if (count == 0)
		return 0;
	listener->trusted = calloc(count, sizeof(*listener->trusted));
	if (!listener->trusted)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		must(addr_block_parse(item_text(view, "trusted", i), &listener->trusted[i]) == 0);
	listener->trusted_count = count;
	return 0;
}

static int build_listener(struct view view, struct config *config, struct listener_conf *listener)
{
	struct endpoint endpoint;
	const char *why;
	int err;

	/* The tree lives as long as the structs, so a path may be borrowed from it. */
	must(endpoint_parse_bind(schema_text(view.node, "bind"), &endpoint, &why) == 0);
	listener->bind = endpoint.addr;
	listener->port_end = endpoint.port_end;
	listener->v6_only = number(&view, "v6_only");
	listener->mode = number32(&view, "mode");
	listener->pool = find_pool(config, schema_text(view.node, "pool"));
	listener->max_connections = number32(&view, "max_connections");
	listener->steer = (enum steer_mode)number(&view, "steer");
	err = text(&view, "name", &listener->name);
	if (err == 0)
		err = build_tcp(part(&view, "tcp"), &listener->tcp);
	return err < 0 ? err : build_trusted(&view, listener);
}

static int build_target(struct view view, struct target_conf *target)
{
	struct endpoint endpoint;
	const char *why;
	int err = text(&view, "address", &target->address);

	if (err < 0)
		return err;
	must(endpoint_parse_target(target->address, &endpoint, &why) == 0);
	target->addr = endpoint.addr;
	target->weight = number32(&view, "weight");
	target->max_connections = number32(&view, "max_connections");
	if (endpoint.host[0] == '\0')
		return 0;
	target->host = strdup(endpoint.host);
	return target->host ? 0 : -ENOMEM;
}

static int build_targets(const struct view *view, struct pool_conf *pool)
{
	size_t count = items(view, "targets");

	if (count == 0)
		return 0;
	pool->targets = calloc(count, sizeof(*pool->targets));
	if (!pool->targets)
		return -ENOMEM;
	pool->target_count = count;
	for (size_t i = 0; i < count; i++) {
		int err = build_target(item(view, "targets", i), &pool->targets[i]);

		if (err < 0)
			return err;
	}
	return 0;
}

static int build_sources(const struct view *view, struct pool_conf *pool)
{
	size_t count = items(view, "source");
	const char *why;

	if (count == 0)
		return 0;
	pool->sources = calloc(count, sizeof(*pool->sources));
	if (!pool->sources)
		return -ENOMEM;
	pool->source_count = count;
	for (size_t i = 0; i < count; i++)
		must(endpoint_parse_ip(item_text(view, "source", i), &pool->sources[i], &why) == 0);
	return 0;
}

static int build_pool(struct view view, struct pool_conf *pool)
{
	int err = text(&view, "name", &pool->name);

	pool->balance = (enum balance_kind)number(&view, "balance");
	pool->relay = (enum relay_mode)number(&view, "relay");
	pool->retries = number32(&view, "retries");
	pool->retry_budget_percent = number32(&view, "retry_budget");
	pool->discovered = node_get(view.node, "discover") != NULL;
	build_timeouts(part(&view, "timeouts"), &pool->timeouts);
	if (err == 0)
		err = build_tcp(part(&view, "tcp"), &pool->tcp);
	if (err == 0)
		err = build_sources(&view, pool);
	return err < 0 ? err : build_targets(&view, pool);
}

static int build_lists(const struct view *root, struct config *config)
{
	int err = 0;

	config->pools = calloc(items(root, "pools"), sizeof(*config->pools));
	config->listeners = calloc(items(root, "listeners"), sizeof(*config->listeners));
	if (!config->pools || !config->listeners)
		return -ENOMEM;
	config->pool_count = items(root, "pools");
	config->listener_count = items(root, "listeners");
	for (size_t i = 0; err == 0 && i < config->pool_count; i++)
		err = build_pool(item(root, "pools", i), &config->pools[i]);
	for (size_t i = 0; err == 0 && i < config->listener_count; i++)
		err = build_listener(item(root, "listeners", i), config, &config->listeners[i]);
	return err;
}

static int build_root(const struct view *root, struct config *config)
{
	int err;

	config->workers = number32(root, "workers");
	config->reload_ports_unprivileged = number(root, "reload_ports");
	config->max_connections = number32(root, "max_connections");
	config->buffers = number(root, "buffers");
	config->busy_poll_us = number32(root, "busy_poll_us");
	config->drain_timeout_ms = number32(root, "drain_timeout");
	config->lame_duck_ms = number32(root, "lame_duck");
	config->resolve_interval_ms = number32(root, "resolve_interval");
	err = text(root, "user", &config->user);
	if (err == 0)
		err = text(root, "log_level", &config->log_level);
	if (err == 0)
		err = build_flow(part(root, "log"), &config->flow);
	return err < 0 ? err : build_lists(root, config);
}

int config_build(struct node *root, struct config **ret_config)
{
	struct view view = {&schema_root, root};
	struct config *config = calloc(1, sizeof(*config));
	int err = config ? build_root(&view, config) : -ENOMEM;

	if (err < 0) {
		config_free(config);
		return err;
	}
	config->tree = root;
	*ret_config = config;
	return 0;
}

static void listener_fini(struct listener_conf *listener)
{
	free(listener->name);
	free(listener->tcp.congestion);
	free(listener->trusted);
}

static void pool_fini(struct pool_conf *pool)
{
	for (size_t i = 0; i < pool->target_count; i++) {
		free(pool->targets[i].address);
		free(pool->targets[i].host);
	}
	free(pool->targets);
	free(pool->sources);
	free(pool->tcp.congestion);
	free(pool->name);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->listener_count; i++)
		listener_fini(&config->listeners[i]);
	for (size_t i = 0; i < config->pool_count; i++)
		pool_fini(&config->pools[i]);
	free(config->listeners);
	free(config->pools);
	free(config->flow.path);
	free(config->log_level);
	free(config->user);
	node_free(config->tree);
	free(config);
}
