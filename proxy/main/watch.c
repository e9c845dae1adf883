/* SPDX-License-Identifier: Apache-2.0
 *
 * What main notices in its own traffic, and says once: so far, that a pool which is balanced by
 * clients' addresses never sees any. Happy path: every few seconds it looks at each listener's
 * counters and finds nothing.
 */
#include "proxy/base/log.h"
#include "proxy/listener_stats.h"
#include "proxy/main/supervisor.h"

#define WATCH_MS 2000

static void look(struct supervisor *sv, size_t index)
{
	struct listener_stats *stats = sv->snapshot->listeners[index];
	const struct listener_conf *conf = &sv->snapshot->config->listeners[index];

	if (stats->hidden_warned || !listener_stats_clients_hidden(stats))
		return;
	stats->hidden_warned = true;
	log_event(
		LOG_WARN, "clients_hidden",
		"listener=%s pool=%s hint=\"every session comes from a trusted balancer's address, "
		"so maglev sees one client and uses few targets; let the balancer send a PROXY "
		"header (proxy_protocol)\"",
		conf->name, sv->snapshot->config->pools[conf->pool].name);
}

static void on_watch(struct timer *timer)
{
	struct supervisor *sv = container_of(timer, struct supervisor, watch_timer);

	for (size_t i = 0; i < sv->snapshot->config->listener_count; i++)
		look(sv, i);
	loop_arm(&sv->loop, &sv->watch_timer, WATCH_MS);
}

void watch_start(struct supervisor *sv)
{
	timer_init(&sv->watch_timer, on_watch);
	loop_arm(&sv->loop, &sv->watch_timer, WATCH_MS);
}
