/* SPDX-License-Identifier: Apache-2.0
 *
 * What main looks at every few seconds. That a pool which is balanced by clients' addresses never
 * sees any, it says once. That the kernel's range of source ports is another one
 * (net.ipv4.ip_local_port_range), it tells the workers. Happy path: there is nothing to tell.
 */
#include "proxy/base/log.h"
#include "proxy/events.h"
#include "proxy/listener_stats.h"
#include "proxy/main/supervisor.h"
#include "proxy/pool_state.h"

#define WATCH_MS   2000
#define CALM_LOOKS 5

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

/* One event when a queue begins to turn sessions away, one when it has not for a while. */
static void look_at_queue(struct supervisor *sv, struct pool_state *pool)
{
	uint64_t full = atomic_load(&pool->queue_full);
	uint64_t late = atomic_load(&pool->queue_timeouts);
	bool more = full + late > pool->watch.turned_away;

	pool->watch.turned_away = full + late;
	pool->watch.calm = more ? 0 : pool->watch.calm + 1;
	if (more && !pool->watch.overflowing)
		events_add(
			sv->events, LOG_WARN, "queue_overflow", pool->name, NULL,
			"every target is full: %u of at most %u sessions wait; so far %llu found "
			"no place in the queue and %llu waited in vain",
			atomic_load(&pool->waiting_count), atomic_load(&pool->queue_size),
			(unsigned long long)full, (unsigned long long)late);
	else if (pool->watch.overflowing && pool->watch.calm == CALM_LOOKS)
		events_add(sv->events, LOG_INFO, "queue_eased", pool->name, NULL,
			   "nobody was turned away for %u s; in all %llu found no place in the "
			   "queue and %llu waited in vain",
			   CALM_LOOKS * WATCH_MS / 1000, (unsigned long long)full,
			   (unsigned long long)late);
	pool->watch.overflowing =
		more || (pool->watch.overflowing && pool->watch.calm < CALM_LOOKS);
}

static void on_watch(struct timer *timer)
{
	struct supervisor *sv = container_of(timer, struct supervisor, watch_timer);

	follow_ports(sv);
	for (size_t i = 0; i < sv->snapshot->config->listener_count; i++)
		look_for_clients(sv, i);
	for (size_t i = 0; i < sv->snapshot->config->pool_count; i++)
		look_at_queue(sv, sv->snapshot->pools[i].state);
	loop_arm(&sv->loop, &sv->watch_timer, WATCH_MS);
}

void watch_start(struct supervisor *sv)
{
	timer_init(&sv->watch_timer, on_watch);
	loop_arm(&sv->loop, &sv->watch_timer, WATCH_MS);
}
