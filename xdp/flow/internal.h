/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of flow splice share: engine.c loads, attaches and pins, slots.c hands out slots,
 * promote.c goes from sockets to a flow, demote.c back, look.c sees what became of it and finds
 * what another process left.
 */
#pragma once

#include <bpf/libbpf.h>

#include "xdp/flow.h"

struct flow_bpf; /* the generated skeleton */

struct flow_port {
	struct flow_interface interface;
	int ingress_fd; /* links; -1: attached without one (clsact), or not */
	int egress_fd;
};

struct flow_engine {
	struct flow_bpf *skeleton;
	struct flow *flows; /* mapped, 2 * sessions of them */
	uint32_t sessions;
	int index4_fd;
	int index6_fd;
	int notes_fd;
	int counters_fd;
	struct bpf_link *snapshots;
	struct ring_buffer *events;
	void (*on_event)(void *context, const struct flow_event *event); /* during flow_events() */
	void *context;
	int pin_dir_fd;
	char pin_path[256]; /* "": nothing is pinned */
	struct flow_port ports[FLOW_INTERFACES];
	size_t port_count;
	uint32_t *free_slots; /* a stack of even indexes */
	uint32_t free_count;
	uint32_t serial;
};

/* The key that packets arriving on `leg` have. True: IPv6. */
bool flow_key_of(const struct addr *local, const struct addr *peer, struct flow_key4 *ret_key4,
		 struct flow_key6 *ret_key6);

/* The addresses of a leg, from what the flow that leaves on it makes of a packet. */
void flow_addresses_of(const struct flow *leaving, struct addr *ret_local, struct addr *ret_peer);

const struct flow_port *flow_port_of(const struct flow_engine *engine, unsigned ifindex);
