/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper finds the ways of a session's packets: by which interfaces they come and go, where
 * the program meets them there, and with XDP, which asks no routing, the next hops' MACs.
 *
 * Failure modes: an interface that is not to be used or takes no program, a neighbour that the
 * kernel does not know (it has just talked to it, so that is rare), XDP in front of a backend on
 * this host, which no program can reach from there. The session stays on its relay.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/log.h"
#include "proxy/offload/internal.h"
#include "xdp/route.h"

/* How the interface is to be met; -ENODEV: not at all. Loopback knows tc alone. */
static int choose_hook(const struct offload *offload, const struct flow_interface *interface,
		       enum flow_hook *ret_hook)
{
	const struct offload_conf *conf = &offload->conf;

	*ret_hook = interface->loopback ? FLOW_HOOK_TC : conf->hook;
	if (interface->loopback || !conf->interface_count)
		return 0;
	for (size_t i = 0; i < conf->interface_count; i++)
		if (strcmp(conf->interfaces[i].name, interface->name) == 0) {
			*ret_hook = conf->interfaces[i].hook;
			return 0;
		}
	return -ENODEV;
}

/* Once, not for each session that would have gone that way. */
static void tell_unmet(struct offload *offload, const struct flow_interface *interface, int err)
{
	if (offload->unmet_ifindex == interface->ifindex && offload->unmet_err == err)
		return;
	offload->unmet_ifindex = interface->ifindex;
	offload->unmet_err = err;
	log_event(LOG_WARN, "offload_interface_unmet",
		  "interface=%s error=\"%s\" text=\"sessions over it are relayed\"",
		  interface->name, strerror(-err));
}

/* The program stands where the leg's packets come in. */
static int prepare_interface(struct offload *offload, unsigned ifindex, enum flow_hook *ret_hook)
{
	struct flow_interface interface = {.ifindex = ifindex};
	int err;

	if (flow_hook_of(offload->engine, ifindex, ret_hook))
		return 0;
	if (!if_indextoname(ifindex, interface.name))
		return -errno;
	interface.loopback = ifindex == if_nametoindex("lo");
	err = choose_hook(offload, &interface, &interface.hook);
	if (err)
		return err;
	err = flow_attach(offload->engine, &interface);
	if (err)
		tell_unmet(offload, &interface, err);
	else
		*ret_hook = interface.hook;
	return err;
}

int keeper_prepare_interface(struct offload *offload, unsigned ifindex)
{
	enum flow_hook hook;

	return prepare_interface(offload, ifindex, &hook);
}

/* What leaves on `leg` was met by XDP on the other. */
static int find_next_hop(struct offload *offload, struct offload_ticket *ticket, unsigned leg)
{
	struct flow_legs *legs = &ticket->legs;
	struct route_hop hop;
	int err;

	if (legs->ifindex[leg] == if_nametoindex("lo"))
		return -EOPNOTSUPP;
	err = route_find_hop(offload->routes, &legs->local[leg], &legs->peer[leg], &hop);
	if (err)
		return err;
	memcpy(legs->mac_peer[leg], hop.mac, sizeof(legs->mac_peer[leg]));
	memcpy(legs->mac_local[leg], hop.own_mac, sizeof(legs->mac_local[leg]));
	ticket->hops[leg] = hop.address;
	return 0;
}

int keeper_find_ways(struct offload *offload, struct offload_ticket *ticket)
{
	struct flow_legs *legs = &ticket->legs;
	enum flow_hook hooks[2];
	int err = 0;

	for (unsigned leg = 0; leg < 2 && !err; leg++) {
		err = route_find(offload->routes, &legs->local[leg], &legs->peer[leg],
				 &legs->ifindex[leg]);
		if (!err)
			err = prepare_interface(offload, legs->ifindex[leg], &hooks[leg]);
	}
	for (unsigned leg = 0; leg < 2 && !err; leg++) {
		ticket->hops[leg] = (struct addr){0};
		if (hooks[!leg] != FLOW_HOOK_TC)
			err = find_next_hop(offload, ticket, leg);
	}
	return err;
}
