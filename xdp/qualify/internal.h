/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the self-test share: rig.c has the network and the connection, netlink.c its
 * devices, stream.c moves bytes that know their place, steps.c says what is tried, flow.c takes a
 * connection over by flow splice; another way is another struct qualify_way.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xdp/qualify.h"

enum { CLIENT, BACKEND, LEGS };

#define RIG_PATIENCE_MS 3000 /* for whatever should come at once */

struct rig {
	bool private; /* namespaces of our own; else this one's loopback */
	int proxy_ns; /* fds, -1 unless private */
	int ends_ns;
	int pass;         /* the link of rig_receive_xdp() */
	unsigned ifindex; /* of the proxy's side */
	char ifname[16];
	uint8_t mac_proxy[6];
	uint8_t mac_ends[6];
	bool has_ipv6;
	bool ipv6;               /* so are connections from now on */
	int ends[LEGS];          /* the client's and the backend's socket; nonblocking */
	int inner[LEGS];         /* ours */
	uint64_t sent[LEGS];     /* from that end */
	uint64_t received[LEGS]; /* by the other end of it */
	char problem[160];       /* of what failed last */
};

/* The calling thread moves into the namespaces, for good. 0 or -errno. */
int rig_open(struct rig *rig);
void rig_close(struct rig *rig);

/* What a veth sends by XDP_TX wakes only a peer that has a program of its own: give it one that
 * passes everything. 0 or -errno. */
int rig_receive_xdp(struct rig *rig);

/* A client, a backend, and our two sockets in between. 0 or -errno. */
int rig_connect(struct rig *rig);
void rig_hang_up(struct rig *rig);

/* Say what is wrong; returns -EPROTO. */
int rig_fail(struct rig *rig, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- netlink.c: 0 or -errno, in the calling thread's namespace --- */

/* A veth pair: one end here, the other in the namespace of `peer_ns`, an fd. */
int rig_make_pair(const char *here, const char *there, int peer_ns);

int rig_give_address6(const char *ifname, const char *text);

/* --- stream.c: each end's bytes are a function of their place --- */

/* Until `bytes[leg]` more were sent by each end and have arrived at the other. 0 or -errno. */
int stream_pump(struct rig *rig, const uint64_t bytes[LEGS]);

/* As many as are taken at once: all, or fewer. Bytes or -errno. */
ssize_t stream_send(struct rig *rig, unsigned leg, uint64_t bytes);

/* What waits for `leg`'s other end, compared. 0: EOF; bytes or -errno, -EAGAIN among them. */
ssize_t stream_receive(struct rig *rig, unsigned leg);

/* Hand over by user space what has arrived on our socket of `leg`. 0 or -errno. */
int stream_relay(struct rig *rig, unsigned leg, uint64_t bytes);

/* Wait for `events` at an end. 0 or -ETIMEDOUT. */
int stream_wait(int fd, short events, int timeout_ms);

/* --- ways --- */

struct qualify_way {
	/* 0, or -errno with `rig->problem`. */
	int (*open)(struct rig *rig, enum qualify_path path, void **ret_state);
	void (*close)(void *state); /* accepts NULL */
	/* Take the connection of the rig over; some bytes are under way meanwhile. */
	int (*take)(struct rig *rig, void *state);
	/* It has ended, by FINs or by a reset; asked again until it has. */
	bool (*has_ended)(void *state, bool reset);
	void (*forget)(void *state); /* the connection */
};

extern const struct qualify_way qualify_flow;

/* steps.c: all steps. 0, or -errno with the step's name and the problem. */
int qualify_steps(struct rig *rig, const struct qualify_way *way, void *state,
		  const char **ret_step);
