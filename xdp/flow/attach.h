/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the programs of flow splice hook in.
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>

struct flow_engine;
struct flow_port;

/* The look at sockets, on `cgroup` or the one of this process. 0 or -errno. */
int attach_snapshots(struct flow_engine *engine, const char *cgroup);

/* Ingress and egress of one interface; a pinned link is given our program. 0 or -errno. */
int attach_port(struct flow_engine *engine, struct flow_port *port);

/* `leave`: what is pinned (or needs no pin) goes on without us. */
void detach_port(struct flow_engine *engine, struct flow_port *port, bool leave);

/* What the filters of clsact of an engine with that map of flows are called, where there are no
 * links (before Linux 6.6). */
__u32 attach_handle(int flows_fd, bool pinned);

/* On both sides of an interface, if they are there. */
void attach_remove_filters(unsigned ifindex, __u32 handle);
