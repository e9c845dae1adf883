/* SPDX-License-Identifier: Apache-2.0
 *
 * Which interface leads to an address: asked of the kernel over rtnetlink(7), since the socket that
 * is connected does not say.
 */
#pragma once

#include "proxy/base/addr.h"

struct route_table;

/* A netlink socket, and the last answers for a second. 0 or -errno. */
int route_open(struct route_table **ret_table);
void route_close(struct route_table *table); /* accepts NULL */

/* The interface of packets from `local` to `peer`, that of loopback for an address of this host.
 * 0, -ENETUNREACH or another -errno. */
int route_find(struct route_table *table, const struct addr *local, const struct addr *peer,
	       unsigned *ret_ifindex);
