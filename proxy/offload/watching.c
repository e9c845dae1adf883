/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper keeps up with this host: a program leaves an interface that has gone, and comes to one
 * that is listed and appears; with XDP, which asks no routing, flows follow their next hop's MAC
 * and their interface's own.
 *
 * Happy path: the kernel tells of a change, and the flows that it concerns are readdressed. XDP
 * sends behind the kernel's back, so a neighbour would look unused to it and its change unnoticed:
 * hops in use are used by name every few seconds.
 * Failure modes: news get lost, then every hop is asked for anew; a neighbour that does not answer
 * keeps its last MAC.
 */
#include <net/if.h>
#include <string.h>

#include "proxy/offload/internal.h"
#include "xdp/route.h"
#include "xdp/watch.h"

#define HOP_MS   5000
#define HOPS_MAX 64 /* different ones; more are taken to change loudly */

static bool leaves_by_xdp(const struct grave *grave, unsigned leg)
{
	return grave->state != GRAVE_FREE && grave->state != GRAVE_OVER && grave->hops[leg].family;
}

/* What the packets of `leg` leave as. */
static const struct flow *leaving(const struct offload *offload, const struct grave *grave,
				  unsigned leg)
{
	return flow_at(offload->engine, grave->index + !leg);
}

static void readdress(struct offload *offload, const struct grave *grave, unsigned leg,
		      const uint8_t *mac_peer, const uint8_t *mac_local)
{
	const struct flow *flow = leaving(offload, grave, leg);
	uint8_t peer[6], local[6];

	memcpy(peer, mac_peer ? mac_peer : flow->mac_destination, sizeof(peer));
	memcpy(local, mac_local ? mac_local : flow->mac_source, sizeof(local));
	flow_readdress(offload->engine, grave->index, leg, peer, local);
}

static void for_each_leg(struct offload *offload,
			 void (*visit)(struct offload *offload, struct grave *grave, unsigned leg,
				       void *context),
			 void *context)
{
	uint32_t sessions = flow_capacity(offload->engine);

	for (uint32_t i = 0; i < sessions; i++)
		for (unsigned leg = 0; leg < 2; leg++)
			if (leaves_by_xdp(&offload->graves[i], leg))
				visit(offload, &offload->graves[i], leg, context);
}

/* --- news --- */

struct news {
	unsigned ifindex;
	const struct addr *addr; /* NULL: of the interface itself */
	const uint8_t *mac;
};

static void take_news(struct offload *offload, struct grave *grave, unsigned leg, void *context)
{
	const struct news *news = context;

	if (leaving(offload, grave, leg)->exit_ifindex != news->ifindex)
		return;
	if (!news->addr)
		readdress(offload, grave, leg, NULL, news->mac);
	else if (addr_equal(&grave->hops[leg], news->addr))
		readdress(offload, grave, leg, news->mac, NULL);
}

static void on_neighbour(void *context, unsigned ifindex, const struct addr *addr,
			 const uint8_t mac[6])
{
	struct news news = {.ifindex = ifindex, .addr = addr, .mac = mac};

	for_each_leg(context, take_news, &news);
}

static void on_link(void *context, unsigned ifindex, const char *name, const uint8_t *mac,
		    bool there)
{
	struct offload *offload = context;
	struct news news = {.ifindex = ifindex, .mac = mac};

	route_forget(offload->routes);
	if (!there) {
		flow_detach(offload->engine, ifindex);
		return;
	}
	for (size_t i = 0; i < offload->conf.interface_count; i++)
		if (strcmp(offload->conf.interfaces[i].name, name) == 0)
			keeper_prepare_interface(offload, ifindex);
	if (mac)
		for_each_leg(offload, take_news, &news);
}

static void ask_anew(struct offload *offload, struct grave *grave, unsigned leg, void *context)
{
	const struct flow_tomb *tomb = &grave->tombs[leg];
	struct route_hop hop;

	if (!route_find_hop(offload->routes, &tomb->local, &tomb->peer, &hop) &&
	    hop.ifindex == leaving(offload, grave, leg)->exit_ifindex)
		readdress(offload, grave, leg, hop.mac, hop.own_mac);
}

static void on_lost(void *context)
{
	for_each_leg(context, ask_anew, NULL);
}

static void on_changes(struct loop_source *source, uint32_t events)
{
	static const struct watch_listener listener = {on_link, on_neighbour, on_lost};
	struct offload *offload = container_of(source, struct offload, changes);

	watch_read(offload->watch, &listener, offload);
}

/* --- hops in use --- */

struct hops {
	struct route_hop list[HOPS_MAX];
	size_t count;
};

static void gather(struct offload *offload, struct grave *grave, unsigned leg, void *context)
{
	unsigned ifindex = leaving(offload, grave, leg)->exit_ifindex;
	struct hops *hops = context;

	for (size_t i = 0; i < hops->count; i++)
		if (hops->list[i].ifindex == ifindex &&
		    addr_equal(&hops->list[i].address, &grave->hops[leg]))
			return;
	if (hops->count < HOPS_MAX)
		hops->list[hops->count++] =
			(struct route_hop){.ifindex = ifindex, .address = grave->hops[leg]};
}

static void on_hop_timer(struct timer *timer)
{
	struct offload *offload = container_of(timer, struct offload, hop_timer);
	struct hops hops = {.count = 0};

	for_each_leg(offload, gather, &hops);
	for (size_t i = 0; i < hops.count; i++)
		route_use_hop(offload->routes, &hops.list[i]);
	loop_arm(&offload->loop, timer, HOP_MS);
}

/* Where nothing is met by XDP, no flow needs a MAC. */
static bool uses_xdp(const struct offload_conf *conf)
{
	bool xdp = conf->hook != FLOW_HOOK_TC;

	for (size_t i = 0; i < conf->interface_count; i++)
		xdp = xdp || conf->interfaces[i].hook != FLOW_HOOK_TC;
	return xdp;
}

int keeper_watch_open(struct offload *offload)
{
	int err = watch_open(&offload->watch);

	if (err)
		return err;
	offload->changes =
		(struct loop_source){.on_event = on_changes, .fd = watch_fd(offload->watch)};
	timer_init(&offload->hop_timer, on_hop_timer);
	return 0;
}

int keeper_watch_start(struct offload *offload)
{
	if (uses_xdp(&offload->conf))
		loop_arm(&offload->loop, &offload->hop_timer, HOP_MS);
	return loop_add(&offload->loop, &offload->changes, EPOLLIN);
}
