/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of flow splice share: engine.c loads, attaches and pins, slots.c hands out slots,
 * promote.c goes from sockets to a flow, demote.c back, look.c sees what became of it, adopt.c
 * finds what another process left, move.c fetches it from elsewhere, reset.c ends what cannot go
 * on.
 */
#pragma once

#include <bpf/libbpf.h>

#include "xdp/flow.h"

/* Below the pin path, with the ABI's version. */
#define FLOW_PIN_DIR "flow-v%d"

struct flow_bpf; /* the generated skeleton */

struct flow_port {
	struct flow_interface interface;
	int ingress_fd; /* links; -1: attached without one (clsact), or not */
	int late_fd;    /* behind XDP: tc ingress */
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
	__u32 filter_handle; /* attach_handle() */
	int pin_dir_fd;
	char pin_path[256]; /* "": nothing is pinned */
	bool found;         /* what is pinned was there before us */
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

/* A socket in repair on that tuple, with these sequence numbers: established, and silent. 0 or
 * -errno. */
int flow_make_socket(const struct flow_tomb *tomb, uint32_t snd, uint32_t rcv, int *ret_fd);

/* Tuples and options of both legs, from what the flows make of packets. */
void flow_tombs_of(const struct flow *pair, const struct flow_note *note,
		   struct flow_tomb ret_tombs[2]);

/* Whether the slot is somebody's. */
bool flow_is_used(const struct flow *pair);

/* What a session is that a dead process left; its note, or zeros. */
enum flow_found flow_judge_found(const struct flow *pair, int notes_fd, uint32_t index,
				 struct flow_note *ret_note);

/* Attach wherever links, or the programs of filters, are pinned in that directory. */
void flow_take_over_links(struct flow_engine *engine, const char *path);

/* Filters that stand wherever links would be pinned in that directory. */
void flow_remove_filters(const char *path);

/* Maps, and links and filters, those of interfaces that are gone as well; then the directory. */
void flow_unpin_dir(const char *path);
