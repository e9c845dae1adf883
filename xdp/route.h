/* SPDX-License-Identifier: Apache-2.0
 *
 * Which interface leads to an address: asked of the kernel over rtnetlink(7), since the socket that
 * is connected does not say.
 */
#pragma once

#include "proxy/base/addr.h"

struct route_table;

/* Where a packet goes first, for programs that ask no routing. */
struct route_hop {
	unsigned ifindex;
	struct addr address; /* of the neighbour: the gateway, or the peer itself; port 0 */
	uint8_t mac[6];
	uint8_t own_mac[6]; /* of the interface */
};

/* A netlink socket, and the last answers for a second. 0 or -errno. */
int route_open(struct route_table **ret_table);
void route_close(struct route_table *table); /* accepts NULL */

/* The interface of packets from `local` to `peer`, that of loopback for an address of this host.
 * 0, -ENETUNREACH or another -errno. */
int route_find(struct route_table *table, const struct addr *local, const struct addr *peer,
	       unsigned *ret_ifindex);

/* The same with MACs. -EHOSTUNREACH: the kernel does not know the neighbour's, or it has none. */
int route_find_hop(struct route_table *table, const struct addr *local, const struct addr *peer,
		   struct route_hop *ret_hop);

/* Interfaces have changed: what was remembered may be wrong. */
void route_forget(struct route_table *table);

/* As if a packet of the kernel's own had gone there: it finds out whether the neighbour is still
 * there and has the same MAC, and says so to who listens (xdp/watch.h). 0 or -errno. */
int route_use_hop(struct route_table *table, const struct route_hop *hop);
