/* SPDX-License-Identifier: Apache-2.0
 *
 * One worker's own listening socket of a configured listener: accept in bursts, rest when fds run
 * out, drain without resetting anybody who is queued.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/base/loop.h"
#include "proxy/session/session.h"

struct view;

/* What a worker lends to its listeners. */
struct listener_env {
	struct session_env *sessions;
	struct view **view;           /* the worker's current one */
	_Atomic uint32_t *total_open; /* over all workers; counted only if total_limit */
	uint32_t total_limit;         /* max_connections of the process; 0: none given */
	uint32_t worker_limit;        /* sessions that this worker's fds allow */
	uint32_t paused;              /* listeners that rest for want of fds */
	int reserve_fd;               /* given up to accept, and reset, when there is no other */
};

struct listener {
	struct loop_source source;
	uint32_t events; /* EPOLL* bits it is registered with */
	uint32_t burst;  /* accepts before others get their turn */
	struct timer pause;
	struct loop_task task; /* deferred when stopped */
	struct list link;      /* the worker's listeners */
	struct listener_env *env;
	struct view *view; /* the last one that configures it; kept through its drain */
	size_t index;      /* in that view's configuration */
	struct addr bound; /* as configured, with its own port of a range */
	struct addr local; /* what its sessions log; family 0 when each socket must be asked */
	uint64_t key;      /* main's name for it */
	uint64_t paused_since_us; /* 0: not paused */
	bool held;                /* by an operator: not in epoll, the kernel queues who comes */
	bool draining;
	bool by_ttl; /* draining without a filter: the TTL keeps newcomers out */
};

/* Owns `fd` from now on. NULL when the current view has no such listener, or epoll or memory
 * refuses (the fd is closed then). `shared`: other workers poll the same socket (Unix), so wake
 * only one. */
struct listener *listener_start(struct listener_env *env, int fd, const struct addr *bound,
				const struct addr *local, uint64_t key, bool shared);

/* The worker has a new view: serve by it and apply its socket options, if it still has this
 * listener. */
void listener_retune(struct listener *listener);

/* Take no new connection, but all that are queued: TCP drops further SYNs. */
void listener_drain(struct listener *listener);

/* Accept nobody until released; who comes waits in the kernel's queue, as far as that goes. A drain
 * releases, too. */
void listener_hold(struct listener *listener);
void listener_release(struct listener *listener);

/* Accept what is queued, then close. Frees at the end of the turn. */
void listener_stop(struct listener *listener);

/* fds are free again: end a pause. */
void listener_resume(struct listener *listener);
