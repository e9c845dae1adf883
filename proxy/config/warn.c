/* SPDX-License-Identifier: Apache-2.0
 *
 * Warnings about what is valid and yet unlikely to be meant. See parts.h.
 *
 * An AWS Network Load Balancer forgets a flow after 350 s without a packet and answers the next
 * one with RST. Either keepalive probes come sooner, or the proxy's own idle timeout does.
 */
#include "proxy/base/conf/errors.h"
#include "proxy/base/conf/tree.h"
#include "proxy/config/parts.h"
#include "proxy/model.h"

#define NLB_IDLE_MS 350000

static bool outlasts_nlb(const struct tcp_conf *tcp, const struct timeouts_conf *timeouts)
{
	bool keepalive = tcp->keepalive_idle_ms && tcp->keepalive_idle_ms < NLB_IDLE_MS;
	bool idle = timeouts->idle_ms && timeouts->idle_ms < NLB_IDLE_MS;

	return !keepalive && !idle;
}

/* The nearest place that somebody wrote to what the warning is about. */
static const struct conf_where *place_of(const struct node *item)
{
	const struct node *tcp = node_get(item, "tcp");
	const struct node *keepalive = node_get(tcp, "keepalive");
	const struct node *idle = node_get(keepalive, "idle");

	if (idle && idle->where.source)
		return &idle->where;
	if (keepalive && keepalive->where.source)
		return &keepalive->where;
	return &item->where;
}

#define NLB_FORMAT                                                                                 \
	"keepalive starts after 350s or never, and so does the idle timeout of pool \"%s\"; a "    \
	"Network Load Balancer %s it drops such connections after 350s of silence"

static void warn_listeners(const struct config *config, struct conf_errors *errors)
{
	const struct node *nodes = node_get(config->tree, "listeners");

	for (size_t i = 0; i < config->listener_count; i++) {
		const struct listener_conf *listener = &config->listeners[i];
		const struct pool_conf *pool = &config->pools[listener->pool];

		if (listener->bind.family != AF_UNIX &&
		    outlasts_nlb(&listener->tcp, &pool->timeouts))
			conf_warn(errors, place_of(nodes->children[i]), NLB_FORMAT, pool->name,
				  "before");
	}
}

static void warn_pools(const struct config *config, struct conf_errors *errors)
{
	const struct node *nodes = node_get(config->tree, "pools");

	for (size_t i = 0; i < config->pool_count; i++) {
		const struct pool_conf *pool = &config->pools[i];

		if (outlasts_nlb(&pool->tcp, &pool->timeouts))
			conf_warn(errors, place_of(nodes->children[i]), NLB_FORMAT, pool->name,
				  "behind");
	}
}

static void warn_log(const struct config *config, struct conf_errors *errors)
{
	const struct node *path = node_get(node_get(config->tree, "log"), "path");

	if (path && config->flow.format == FLOW_OFF)
		conf_warn(errors, &path->where,
			  "path: found a file, and log format is off; nothing will be written");
}

static void warn_admin(const struct config *config, struct conf_errors *errors)
{
	const struct node *http = node_get(node_get(config->tree, "admin"), "http");

	if (http && !addr_is_loopback(&config->admin.http))
		conf_warn(errors, &http->where,
			  "http: found \"%.80s\", which is no loopback address; whoever reaches it "
			  "can read everything there",
			  http->text);
}

static void warn_optional_headers(const struct config *config, struct conf_errors *errors)
{
	const struct node *nodes = node_get(config->tree, "listeners");

	for (size_t i = 0; i < config->listener_count; i++)
		if (config->listeners[i].proxy_protocol == PROXY_ACCEPT_OPTIONAL)
			conf_warn(errors, &node_get(nodes->children[i], "proxy_protocol")->where,
				  "proxy_protocol: found \"optional\"; behind a trusted balancer "
				  "that sends no header, clients can forge one");
}

void config_warn(const struct config *config, struct conf_errors *errors)
{
	warn_listeners(config, errors);
	warn_pools(config, errors);
	warn_log(config, errors);
	warn_admin(config, errors);
	warn_optional_headers(config, errors);
}
