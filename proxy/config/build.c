/* SPDX-License-Identifier: Apache-2.0
 *
 * Structs from a completed tree: the root and its listeners here, pools in build_pool.c.
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
#include "proxy/config/fields.h"
#include "proxy/config/parts.h"
#include "proxy/model.h"

int config_build_tcp(struct fields fields, struct tcp_conf *tcp)
{
	struct fields keepalive = fields_part(&fields, "keepalive");

	if (keepalive.node->kind == NODE_MAPPING) {
		tcp->keepalive_idle_ms = fields_number32(&keepalive, "idle");
		tcp->keepalive_interval_ms = fields_number32(&keepalive, "interval");
		tcp->keepalive_count = fields_number32(&keepalive, "count");
	}
	tcp->user_timeout_ms = fields_number32(&fields, "user_timeout");
	tcp->send_buffer = fields_number32(&fields, "send_buffer");
	tcp->receive_buffer = fields_number32(&fields, "receive_buffer");
	tcp->mss = (uint16_t)fields_number(&fields, "mss");
	tcp->fast_open = fields_number(&fields, "fast_open");
	return fields_text(&fields, "congestion", &tcp->congestion);
}

static int build_flow(struct fields fields, struct flow_conf *flow)
{
	flow->format = (enum flow_format)fields_number(&fields, "format");
	flow->only = (enum flow_only)fields_number(&fields, "only");
	flow->sample = fields_number32(&fields, "sample");
	return fields_text(&fields, "path", &flow->path);
}

/* An address that may be left out stays of family 0. Paths are borrowed from the tree. */
static void build_admin(struct fields fields, struct admin_conf *admin)
{
	const char *socket = schema_text(fields.node, "socket");
	const char *http = schema_text(fields.node, "http");
	const char *probe = schema_text(fields.node, "probe"), *why;

	if (socket)
		must(endpoint_parse_socket(socket, &admin->socket, &why) == 0);
	if (http)
		must(endpoint_parse_tcp(http, &admin->http, &why) == 0);
	if (probe)
		must(endpoint_parse_tcp(probe, &admin->probe, &why) == 0);
	admin->mode = fields_number32(&fields, "mode");
}

static uint32_t find_pool(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->pool_count; i++)
		if (strcmp(config->pools[i].name, name) == 0)
			return (uint32_t)i;
	panic(__FILE__, __LINE__, "a listener's pool exists, conf_check() has seen it");
}

static int build_listener(struct fields fields, struct config *config,
			  struct listener_conf *listener)
{
	struct endpoint endpoint;
	const char *why;
	int err;

	/* The tree lives as long as the structs, so a path may be borrowed from it. */
	must(endpoint_parse_bind(schema_text(fields.node, "bind"), &endpoint, &why) == 0);
	listener->bind = endpoint.addr;
	listener->port_end = endpoint.port_end;
	listener->v6_only = fields_number(&fields, "v6_only");
	listener->mode = fields_number32(&fields, "mode");
	listener->pool = find_pool(config, schema_text(fields.node, "pool"));
	listener->max_connections = fields_number32(&fields, "max_connections");
	listener->proxy_protocol = (enum proxy_accept)fields_number(&fields, "proxy_protocol");
	listener->proxy_timeout_ms = fields_number32(&fields, "proxy_timeout");
	listener->header_timeout_ms = fields_number32(&fields, "header_timeout");
	listener->steer = (enum steer_mode)fields_number(&fields, "steer");
	err = fields_text(&fields, "name", &listener->name);
	if (err == 0)
		err = config_build_tcp(fields_part(&fields, "tcp"), &listener->tcp);
	if (err == 0)
		err = config_build_door(fields_part(&fields, "guard"), &listener->door);
	return err < 0 ? err
		       : fields_blocks(&fields, "trusted", &listener->trusted,
				       &listener->trusted_count);
}

static int build_lists(const struct fields *root, struct config *config)
{
	int err = 0;

	config->pools = calloc(fields_items(root, "pools"), sizeof(*config->pools));
	config->listeners = calloc(fields_items(root, "listeners"), sizeof(*config->listeners));
	if (!config->pools || !config->listeners)
		return -ENOMEM;
	config->pool_count = fields_items(root, "pools");
	config->listener_count = fields_items(root, "listeners");
	for (size_t i = 0; err == 0 && i < config->pool_count; i++)
		err = config_build_pool(fields_item(root, "pools", i), &config->pools[i]);
	for (size_t i = 0; err == 0 && i < config->listener_count; i++)
		err = build_listener(fields_item(root, "listeners", i), config,
				     &config->listeners[i]);
	return err;
}

static int build_root(const struct fields *root, struct config *config)
{
	int err;

	config->workers = fields_number32(root, "workers");
	config->reload_ports_unprivileged = fields_number(root, "reload_ports");
	config->max_connections = fields_number32(root, "max_connections");
	config->buffers = fields_number(root, "buffers");
	config->busy_poll_us = fields_number32(root, "busy_poll_us");
	config->drain_timeout_ms = fields_number32(root, "drain_timeout");
	config->lame_duck_ms = fields_number32(root, "lame_duck");
	config->lame_duck_quiet_ms = fields_number32(root, "lame_duck_quiet");
	config->lame_duck_max_ms = fields_number32(root, "lame_duck_max");
	config->resolve_interval_ms = fields_number32(root, "resolve_interval");
	config->readiness = (enum readiness_mode)fields_number(root, "readiness");
	config->start_wait_ms = fields_number32(root, "start_wait");
	build_admin(fields_part(root, "admin"), &config->admin);
	err = fields_text(root, "user", &config->user);
	if (err == 0)
		err = fields_text(root, "log_level", &config->log_level);
	if (err == 0)
		err = fields_text(root, "state_directory", &config->state_directory);
	if (err == 0)
		err = fields_text(root, "zone", &config->zone);
	if (err == 0)
		err = build_flow(fields_part(root, "log"), &config->flow);
	if (err == 0)
		err = config_build_guard(fields_part(root, "guard"), &config->guard);
	if (err == 0)
		err = config_build_fast_path(fields_part(root, "fast_path"), &config->fast_path);
	return err < 0 ? err : build_lists(root, config);
}

int config_build(struct node *root, struct config **ret_config)
{
	struct fields fields = {&schema_root, root};
	struct config *config = calloc(1, sizeof(*config));
	int err = config ? build_root(&fields, config) : -ENOMEM;

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
	config_door_fini(&listener->door);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->listener_count; i++)
		listener_fini(&config->listeners[i]);
	for (size_t i = 0; i < config->pool_count; i++)
		config_pool_fini(&config->pools[i]);
	config_guard_fini(&config->guard);
	config_fast_path_fini(&config->fast_path);
	free(config->listeners);
	free(config->pools);
	free(config->flow.path);
	free(config->log_level);
	free(config->state_directory);
	free(config->zone);
	free(config->user);
	node_free(config->tree);
	free(config);
}
