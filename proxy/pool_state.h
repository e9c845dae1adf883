/* SPDX-License-Identifier: Apache-2.0
 *
 * A pool at run time: what outlives configuration snapshots, found again by the pool's name. It
 * counts the sessions of all its targets, and owns the queue of those that wait for a free slot,
 * over all workers.
 *
 * Happy path of the queue: a worker finds every target full and queues a waiter; whoever gives back
 * a slot takes the oldest waiter off, keeps the slot for it, and puts it into the mailbox of the
 * worker that owns it, which an eventfd(2) wakes. Failure modes: the queue is full, the waiter's
 * time is over, its client has left (then it cancels, and a slot that was already handed to it goes
 * to the next).
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/list.h"

struct target;

/* One worker's side: slots that others have handed to its waiters. */
struct pool_mailbox {
	pthread_mutex_t lock;
	struct list granted; /* struct pool_waiter::link */
	int event_fd;        /* eventfd(2), written when `granted` was empty; -1: none */
};

/* Embedded in a session. All fields belong to pool_state.c while it waits. */
struct pool_waiter {
	struct list link; /* struct pool_state::waiting, then struct pool_mailbox::granted */
	struct pool_mailbox *mailbox;
	struct target *granted; /* reserved for it */
	uint8_t state;          /* enum pool_waiter_state */
};

enum pool_waiter_state { POOL_WAITER_IDLE, POOL_WAITER_WAITING, POOL_WAITER_GRANTED };

struct pool_state {
	_Alignas(64) _Atomic uint32_t inflight; /* of all targets, counted only if limited */
	_Atomic uint32_t max_connections;       /* 0: unlimited */
	_Atomic uint32_t waiting_count;
	_Atomic uint32_t queue_size; /* most waiters */
	_Atomic uint32_t refs;
	_Atomic uint64_t queued;         /* sessions that ever waited */
	_Atomic uint64_t queue_full;     /* refused because the queue was full */
	_Atomic uint64_t queue_timeouts; /* gave up */
	char *name;
	pthread_mutex_t lock;
	struct list waiting; /* struct pool_waiter::link, oldest first */
};

/* One reference. NULL without memory. */
struct pool_state *pool_state_new(const char *name);
void pool_state_get(struct pool_state *pool);
void pool_state_put(struct pool_state *pool); /* accepts NULL */
