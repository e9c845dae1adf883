/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions about this host's TCP sockets, asked of the kernel by sock_diag(7). Each call (but
 * for a walk) opens a netlink socket, lets the kernel walk its tables once per address family, and
 * blocks meanwhile: not for workers. No privilege is needed; only this network namespace is seen.
 * All give -errno when the kernel cannot be asked (-ENOENT: it lacks inet_diag; -EPERM: a filter
 * forbids it; -EAFNOSUPPORT: no IPv4 or IPv6 address).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct addr;

/* Connections whose handshake with a listener on `local` is not finished. For 0.0.0.0 any IPv4
 * address with that port counts, for [::] any address (it is taken for dual-stack). */
int netlink_count_syn_recv(const struct addr *local, unsigned *ret_count);

/* A walk over all sockets that hold a local port of their own choosing, those in TIME_WAIT
 * included; what was accepted is among them. It may be done a piece at a time: 200,000 sockets take
 * the kernel a fifth of a second. */
struct netlink_walk;

/* `on_socket` is told of each socket's remote address, v4-mapped ones unmapped. 0 or -errno. */
int netlink_walk_start(void (*on_socket)(const struct addr *remote, void *data), void *data,
		       struct netlink_walk **ret_walk);

/* Readable while there is more. */
int netlink_walk_fd(const struct netlink_walk *walk);

/* See some hundreds of sockets. 1: there may be more, 0: all were seen, -errno: no more can be. */
int netlink_walk_step(struct netlink_walk *walk);
void netlink_walk_free(struct netlink_walk *walk); /* accepts NULL */

struct netlink_listener {
	uint32_t inode; /* as in the link text of /proc/PID/fd: "socket:[INODE]" */
	uid_t uid;
};

/* Listening sockets that stand in the way of one on `local`: on that address, or on a wildcard that
 * one of the two is. Returns how many were stored, at most `max`, or -errno. */
int netlink_listen_inodes(const struct addr *local, struct netlink_listener *ret_listeners,
			  size_t max);

/* The accept queue of a listener, over its SO_REUSEPORT sockets (other processes' as well). */
struct netlink_queue {
	unsigned sockets;
	uint64_t depth; /* connections that wait for accept() */
	uint64_t limit; /* how many may */
	uint64_t drops; /* handshakes refused, for want of room mostly, since the sockets listen */
};

/* Of exactly `local`. No such listener is not an error: 0 sockets. */
int netlink_listen_queue(const struct addr *local, struct netlink_queue *ret_queue);
