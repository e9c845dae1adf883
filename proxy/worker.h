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
struct offload;
struct pool_mailbox;
struct session_info;
struct session_query;
struct snapshot;
struct target;
struct worker;

enum worker_op {
	WORKER_VIEW,         /* take `snapshot` */
	WORKER_LISTEN,       /* accept on the attached fd */
	WORKER_DRAIN,        /* listener `key`: no new connections, but all that are queued */
	WORKER_UNLISTEN,     /* listener `key`: accept what is queued, then close */
	WORKER_PORTS,        /* source ports are `port_low` to `port_high` from now on */
	WORKER_CLOSE,        /* close sessions gently, over `jitter_ms`, within `wait_ms` */
	WORKER_ABORT,        /* reset what is left */
	WORKER_CLOSE_TARGET, /* those of `target` as WORKER_CLOSE does, in the turns to come; `rst`:
				now, with RST */
	WORKER_KILL,     /* session `key`, at its next quiet moment within `wait_ms`, or now with
			    RST (`rst`); -ENOENT */
	WORKER_SESSIONS, /* describe what `query` asks for in `infos`; `info_count` of them */
	WORKER_PAUSE,    /* listener `key`: accept nobody, who comes is queued by the kernel */
	WORKER_RESUME,   /* listener `key` */
	WORKER_STOP,     /* leave the loop; only without sessions */
	WORKER_READY,    /* only as an answer: the thread is up, `err` says how */
	WORKER_OPS
};

/* Fixed size, one per packet; pointers are good since both ends are one process. */
struct worker_message {
	uint32_t op;               /* enum worker_op */
	int32_t err;               /* in an answer: 0 or -errno */
	uint64_t serial;           /* its sender's; the answer has the same */
	uint64_t key;              /* of a listener, or a session's id */
	struct snapshot *snapshot; /* WORKER_VIEW: the worker takes its own reference */
	struct addr bound;         /* WORKER_LISTEN: struct listener */
	struct addr local;
	struct target *target; /* WORKER_CLOSE_TARGET: the worker takes its own reference */
	const struct session_query
		*query;             /* WORKER_SESSIONS: these two are main's until answered */
	struct session_info *infos; /* room for query->limit of them */
	uint32_t info_count;        /* in its answer */
	uint32_t jitter_ms;
	uint32_t wait_ms;
	uint16_t port_low;
	uint16_t port_high;
	uint32_t reason; /* WORKER_CLOSE_TARGET: enum reason; 0: REASON_TARGET_REMOVED */
	bool rst;
	bool shared;
};

/* What threads wake each other by. Main makes it before the first worker starts, so that every fd
 * in it has the same number in each worker's table. */
struct worker_wires {
	unsigned count;
	struct pool_mailbox *mailboxes; /* one per worker */
	int outlier_fd; /* eventfd(2): some target failed its pool's `failures` times */
};

/* 0 or -errno. */
int worker_wires_open(unsigned count, struct worker_wires *ret_wires);
void worker_wires_close(struct worker_wires *wires); /* accepts a zeroed one */

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
	const struct worker_wires *wires; /* NULL: sessions can't wait for a slot */
	struct offload *offload;          /* NULL: there is none */
	bool own_fds;                     /* try for an fd table of its own */
};

/* Start the thread and wait until it is up. 0 or -errno. */
int worker_start(const struct worker_conf *conf, struct worker **ret_worker);

/* Main's end of the pair, non-blocking: poll it for answers. */
int worker_fd(const struct worker *worker);

/* Send an order; `fd` is -1 or duplicated into the worker (the caller still closes its own). */
int worker_send(struct worker *worker, const struct worker_message *message, int fd);

/* The next answer: 1, 0 when there is none now, or -errno. */
int worker_receive(struct worker *worker, struct worker_message *ret_message);

/* Make it turn its loop once, from any thread of main's fd table. Nothing without wires. */
void worker_wake(struct worker *worker);

/* Read from any thread. */
struct worker_counts *worker_counts(struct worker *worker);
bool worker_has_own_fds(const struct worker *worker);

/* Join a worker that was told to stop, and free it. */
void worker_join(struct worker *worker);
