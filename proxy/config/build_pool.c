/* SPDX-License-Identifier: Apache-2.0
 *
 * A pool and its targets from their part of a completed tree. See build.c.
 *
 * Failure modes: -ENOMEM alone; config_pool_fini() takes half-built structs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/conf/discover_rules.h"
#include "proxy/base/conf/endpoint.h"
#include "proxy/base/conf/tree.h"
#include "proxy/base/conf/units.h"
#include "proxy/base/panic.h"
#include "proxy/config/fields.h"
#include "proxy/config/parts.h"
#include "proxy/model.h"

static void build_timeouts(struct fields fields, struct timeouts_conf *timeouts)
{
	timeouts->connect_ms = fields_number32(&fields, "connect");
	timeouts->idle_ms = fields_number32(&fields, "idle");
	timeouts->half_close_ms = fields_number32(&fields, "half_close");
	timeouts->lifetime_ms = fields_number32(&fields, "lifetime");
}

static int build_target(struct fields fields, struct target_conf *target)
{
	struct endpoint endpoint;
	const char *why;
	int err = fields_text(&fields, "address", &target->address);

	if (err < 0)
		return err;
	must(endpoint_parse_target(target->address, &endpoint, &why) == 0);
	target->addr = endpoint.addr;
	target->weight = fields_number32(&fields, "weight");
	target->max_connections = fields_number32(&fields, "max_connections");
	target->backup = fields_number(&fields, "backup");
	if (endpoint.host[0]) {
		target->host = strdup(endpoint.host);
		if (!target->host)
			return -ENOMEM;
	}
	err = fields_text(&fields, "id", &target->id);
	return err < 0 ? err : fields_text(&fields, "zone", &target->zone);
}

static int build_targets(const struct fields *fields, struct pool_conf *pool)
{
	size_t count = fields_items(fields, "targets");

	if (count == 0)
		return 0;
	pool->targets = calloc(count, sizeof(*pool->targets));
	if (!pool->targets)
		return -ENOMEM;
	pool->target_count = count;
	for (size_t i = 0; i < count; i++) {
		int err = build_target(fields_item(fields, "targets", i), &pool->targets[i]);

		if (err < 0)
			return err;
	}
	return 0;
}

static int build_sources(const struct fields *fields, struct pool_conf *pool)
{
	size_t count = fields_items(fields, "source");
	const char *why;

	if (count == 0)
		return 0;
	pool->sources = calloc(count, sizeof(*pool->sources));
	if (!pool->sources)
		return -ENOMEM;
	pool->source_count = count;
	for (size_t i = 0; i < count; i++)
		must(endpoint_parse_ip(fields_item_text(fields, "source", i), &pool->sources[i],
				       &why) == 0);
	return 0;
}

static int build_health(struct fields fields, struct health_conf *health)
{
	uint64_t status = fields_number(&fields, "status");
	int err;

	health->kind = (enum health_kind)fields_number(&fields, "type");
	health->port = (uint16_t)fields_number(&fields, "port");
	health->interval_ms = fields_number32(&fields, "interval");
	health->fast_interval_ms = fields_number32(&fields, "fast_interval");
	health->timeout_ms = fields_number32(&fields, "timeout");
	health->rise = fields_number32(&fields, "rise");
	health->fall = fields_number32(&fields, "fall");
	health->jitter_percent = fields_number32(&fields, "jitter");
	health->status_low = (uint16_t)units_range_first(status);
	health->status_high = (uint16_t)units_range_last(status);
	err = fields_text(&fields, "method", &health->method);
	if (err == 0)
		err = fields_text(&fields, "path", &health->path);
	if (err == 0)
		err = fields_text(&fields, "host", &health->host);
	if (err == 0)
		err = fields_bytes(&fields, "send", &health->send);
	return err < 0 ? err : fields_bytes(&fields, "expect", &health->expect);
}

static void build_outlier(const struct fields *fields, struct outlier_conf *outlier)
{
	struct fields part = fields_part(fields, "outlier");

	outlier->failures = fields_number32(&part, "failures");
	outlier->resets = fields_number(&part, "resets");
	outlier->ejection_ms = fields_number32(&part, "ejection");
	outlier->ejection_max_ms = fields_number32(&part, "ejection_max");
	outlier->max_ejected_percent = fields_number32(fields, "max_ejected");
}

/* Who gets a session, and how many. */
static void build_limits(const struct fields *fields, struct pool_conf *pool)
{
	struct fields queue = fields_part(fields, "queue");

	pool->retries = fields_number32(fields, "retries");
	pool->retry_budget_percent = fields_number32(fields, "retry_budget");
	pool->max_connections = fields_number32(fields, "max_connections");
	pool->queue_size = fields_number32(&queue, "size");
	pool->queue_timeout_ms = fields_number32(&queue, "timeout");
	pool->slow_start_ms = fields_number32(fields, "slow_start");
	pool->connect_rate = fields_number32(fields, "connect_rate");
	pool->load_percent = fields_number32(fields, "load_factor");
	pool->zone_aware = fields_number(fields, "zone_aware");
}

/* What happens when targets fail or leave. */
static void build_failing(const struct fields *fields, struct pool_conf *pool)
{
	pool->on_down = (enum on_down)fields_number(fields, "on_down");
	pool->min_healthy_percent = fields_number32(fields, "min_healthy");
	pool->panic = (enum panic_mode)fields_number(fields, "panic");
	pool->drain_timeout_ms = fields_number32(fields, "drain_timeout");
	pool->drain_spread_ms = fields_number32(fields, "drain_spread");
	build_outlier(fields, &pool->outlier);
}

static size_t count_discovers(const struct node *discover)
{
	struct discover_cursor cursor = {.discover = discover};
	const struct node *source;
	const char *kind;
	size_t count = 0;

	while (discover && discover_next(&cursor, &kind, &source))
		count++;
	return count;
}

/* Who pushes is told by name; what kind of source that is, by this alone. */
static int build_discovers(const struct fields *fields, struct pool_conf *pool)
{
	struct discover_cursor cursor = {.discover = node_get(fields->node, "discover")};
	size_t count = count_discovers(cursor.discover);
	const struct node *source;
	const char *kind;

	pool->discovered = cursor.discover != NULL;
	pool->discovers = calloc(count + 1, sizeof(*pool->discovers));
	if (!pool->discovers)
		return -ENOMEM;
	while (pool->discover_count < count && discover_next(&cursor, &kind, &source)) {
		struct discover_conf *conf = &pool->discovers[pool->discover_count++];

		conf->kind = strdup(kind);
		conf->name = strdup(discover_name(kind, source));
		if (!conf->kind || !conf->name)
			return -ENOMEM;
	}
	return 0;
}

int config_build_pool(struct fields fields, struct pool_conf *pool)
{
	int err = fields_text(&fields, "name", &pool->name);

	pool->balance = (enum balance_kind)fields_number(&fields, "balance");
	pool->relay = (enum relay_mode)fields_number(&fields, "relay");
	pool->offload = (enum offload_mode)fields_number(&fields, "offload");
	pool->proxy_protocol = (enum proxy_send)fields_number(&fields, "proxy_protocol");
	pool->proxy_crc32c = fields_number(&fields, "proxy_crc32c");
	build_timeouts(fields_part(&fields, "timeouts"), &pool->timeouts);
	build_limits(&fields, pool);
	build_failing(&fields, pool);
	if (err == 0)
		err = build_health(fields_part(&fields, "health"), &pool->health);
	if (err == 0)
		err = config_build_tcp(fields_part(&fields, "tcp"), &pool->tcp);
	if (err == 0)
		err = build_discovers(&fields, pool);
	if (err == 0)
		err = build_sources(&fields, pool);
	return err < 0 ? err : build_targets(&fields, pool);
}

static void health_fini(struct health_conf *health)
{
	free(health->method);
	free(health->path);
	free(health->host);
	free(health->send.data);
	free(health->expect.data);
}

void config_pool_fini(struct pool_conf *pool)
{
	for (size_t i = 0; i < pool->target_count; i++) {
		free(pool->targets[i].address);
		free(pool->targets[i].host);
		free(pool->targets[i].id);
		free(pool->targets[i].zone);
	}
	free(pool->targets);
	for (size_t i = 0; i < pool->discover_count; i++) {
		free(pool->discovers[i].name);
		free(pool->discovers[i].kind);
	}
	free(pool->discovers);
	health_fini(&pool->health);
	free(pool->sources);
	free(pool->tcp.congestion);
	free(pool->name);
}
