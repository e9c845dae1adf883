/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the programs of flow splice hook in.
 */
#pragma once

#include <stdbool.h>

struct flow_engine;
struct flow_port;

/* The look at sockets, on `cgroup` or the one of this process. 0 or -errno. */
int attach_snapshots(struct flow_engine *engine, const char *cgroup);

/* Ingress and egress of one interface; a pinned link is given our program. 0 or -errno. */
int attach_port(struct flow_engine *engine, struct flow_port *port);

/* `leave`: what is pinned (or needs no pin) goes on without us. */
void detach_port(struct flow_engine *engine, struct flow_port *port, bool leave);
