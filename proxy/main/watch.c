/* SPDX-License-Identifier: Apache-2.0
 *
 * What main looks at every few seconds. That a pool which is balanced by clients' addresses never
 * sees any, it says once. That the kernel's range of source ports is another one
 * (net.ipv4.ip_local_port_range), it tells the workers. Happy path: there is nothing to tell.
 */
#include "proxy/base/log.h"
#include "proxy/listener_stats.h"
#include "proxy/main/supervisor.h"

#define WATCH_MS 2000

static void look_for_clients(struct supervisor *sv, size_t index)
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

static void follow_ports(struct supervisor *sv)
{
	struct worker_message message = {.op = WORKER_PORTS};

	if (!limits_refresh_ports(&sv->limits))
		return;
	message.port_low = sv->limits.port_low;
	message.port_high = sv->limits.port_high;
	crew_tell(sv, &message);
	log_event(LOG_INFO, "source_ports_changed", "source_ports=%u-%u", sv->limits.port_low,
		  sv->limits.port_high);
}

static void on_watch(struct timer *timer)
{
	struct supervisor *sv = container_of(timer, struct supervisor, watch_timer);

	follow_ports(sv);
	for (size_t i = 0; i < sv->snapshot->config->listener_count; i++)
		look_for_clients(sv, i);
	loop_arm(&sv->loop, &sv->watch_timer, WATCH_MS);
}

void watch_start(struct supervisor *sv)
{
	timer_init(&sv->watch_timer, on_watch);
	loop_arm(&sv->loop, &sv->watch_timer, WATCH_MS);
}
