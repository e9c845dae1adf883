/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker: one thread, one CPU's worth of proxy. It owns its event loop, sessions, pipes, chunks,
 * source ports and counters, and its own fd table; it shares targets' in-flight counts and nothing
 * else that is hot.
 *
 * Main talks to it over a SOCK_SEQPACKET pair: a message is an order, with an fd attached by
 * SCM_RIGHTS (unix(7)) where there is one, and every order is answered by one message back.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/stats.h"

struct flow_ring;
struct snapshot;
struct worker;

enum worker_op {
	WORKER_VIEW,     /* take `snapshot` */
	WORKER_LISTEN,   /* accept on the attached fd */
	WORKER_DRAIN,    /* listener `key`: no new connections, but all that are queued */
	WORKER_UNLISTEN, /* listener `key`: accept what is queued, then close */
	WORKER_PORTS,    /* source ports are `port_low` to `port_high` from now on */
	WORKER_CLOSE,    /* close sessions gently, over `jitter_ms`, within `wait_ms` */
	WORKER_ABORT,    /* reset what is left */
	WORKER_STOP,     /* leave the loop; only without sessions */
	WORKER_READY,    /* only as an answer: the thread is up, `err` says how */
	WORKER_OPS
};

/* Fixed size, one per packet; pointers are good since both ends are one process. */
struct worker_message {
	uint32_t op;               /* enum worker_op */
	int32_t err;               /* in an answer: 0 or -errno */
	uint64_t key;              /* of a listener */
	struct snapshot *snapshot; /* WORKER_VIEW: the worker takes its own reference */
	struct addr bound;         /* WORKER_LISTEN: struct listener */
	struct addr local;
	uint32_t jitter_ms;
	uint32_t wait_ms;
	uint16_t port_low;
	uint16_t port_high;
	bool shared;
};

struct worker_conf {
	unsigned index;
	unsigned count;
	int cpu;               /* to be pinned to; -1: not pinned */
	uint32_t max_sessions; /* what the fds of its table allow */
	uint32_t max_pipes;
	uint64_t buffers; /* its share of the cap */
	uint32_t busy_poll_us;
	uint16_t port_low; /* net.ipv4.ip_local_port_range */
	uint16_t port_high;
	struct snapshot *snapshot;
	struct flow_ring *ring;       /* NULL: no flow log */
	_Atomic uint32_t *total_open; /* sessions over all workers, if there is a limit */
	uint32_t total_limit;
	bool own_fds; /* try for an fd table of its own */
};

/* Start the thread and wait until it is up. 0 or -errno. */
int worker_start(const struct worker_conf *conf, struct worker **ret_worker);

/* Main's end of the pair, non-blocking: poll it for answers. */
int worker_fd(const struct worker *worker);

/* Send an order; `fd` is -1 or duplicated into the worker (the caller still closes its own). */
int worker_send(struct worker *worker, const struct worker_message *message, int fd);

/* The next answer: 1, 0 when there is none now, or -errno. */
int worker_receive(struct worker *worker, struct worker_message *ret_message);

/* Read from any thread. */
struct worker_counts *worker_counts(struct worker *worker);
bool worker_has_own_fds(const struct worker *worker);

/* Join a worker that was told to stop, and free it. */
void worker_join(struct worker *worker);
