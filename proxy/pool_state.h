/* SPDX-License-Identifier: Apache-2.0
 *
 * A pool at run time: what outlives configuration snapshots, found again by the pool's name. It
 * counts the sessions of all its targets, and owns the queue of those that wait for a free slot,
 * over all workers.
 *
 * Happy path of the queue: a worker finds every target full and queues a waiter; whoever gives back
 * a slot takes the oldest waiter off, keeps the slot for it, and puts it into the mailbox of the
 * worker that owns it, which an eventfd(2) wakes. Failure modes: the queue is full, the waiter's
 * time is over, its client has left (then it leaves, and a slot that was already handed to it goes
 * to the next).
 *
 * No wakeup is lost: who gives back a slot looks for waiters after it, and who has begun to wait
 * offers what is free to the oldest waiter before it sleeps, with a full barrier in both.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/list.h"

struct target;

#define POOL_TRIED_MAX 8

/* One worker's side: slots that others have handed to its waiters. */
struct pool_mailbox {
	pthread_mutex_t lock;
	struct list granted; /* struct pool_waiter::link */
	int event_fd;        /* eventfd(2), written when `granted` was empty; -1: none */
};

enum pool_waiter_state { POOL_WAITER_IDLE, POOL_WAITER_WAITING, POOL_WAITER_GRANTED };

/* Part of a session's wait. All fields belong to pool_state.c while it waits. */
struct pool_waiter {
	struct list link; /* struct pool_state::waiting, then struct pool_mailbox::granted */
	struct pool_mailbox *mailbox;   /* of the worker that owns the session */
	struct target *granted;         /* reserved for it, with a reference */
	uint64_t ticket;                /* its place; 0: it gets the last one when it waits */
	uint32_t tried[POOL_TRIED_MAX]; /* target_mark() of those it does not want again */
	uint8_t tried_count;
	uint8_t state; /* enum pool_waiter_state */
};

struct pool_state {
	_Alignas(64) _Atomic uint32_t inflight; /* of all its targets */
	_Atomic uint32_t max_connections;       /* 0: unlimited */
	_Atomic uint32_t waiting_count;
	_Atomic uint32_t queue_size; /* most waiters */
	_Atomic bool left;           /* the configuration: its last sessions share what is there */
	_Atomic uint32_t refs;
	_Atomic uint64_t queued;         /* sessions that ever waited */
	_Atomic uint64_t queue_full;     /* refused because the queue was full */
	_Atomic uint64_t queue_timeouts; /* gave up */
	char *name;
	struct {
		uint64_t turned_away; /* queue_full and queue_timeouts when main looked last */
		uint32_t calm;        /* looks since then that saw no more */
		bool overflowing;
	} watch;              /* main's own */
	pthread_mutex_t lock; /* of what follows; taken before a mailbox's */
	struct list waiting;  /* struct pool_waiter::link, oldest first */
	uint64_t next_ticket;
};

/* One reference. NULL without memory. */
struct pool_state *pool_state_new(const char *name);
void pool_state_get(struct pool_state *pool);
void pool_state_put(struct pool_state *pool); /* accepts NULL */

void pool_mailbox_init(struct pool_mailbox *mailbox, int event_fd);
void pool_mailbox_fini(struct pool_mailbox *mailbox); /* the eventfd is the caller's */

/* Whether a slot of any target would be one too many. */
static inline bool pool_state_is_full(const struct pool_state *pool)
{
	uint32_t limit = atomic_load_explicit(&pool->max_connections, memory_order_relaxed);

	return limit && atomic_load_explicit(&pool->inflight, memory_order_relaxed) >= limit;
}

static inline bool pool_state_is_awaited(const struct pool_state *pool)
{
	return atomic_load_explicit(&pool->waiting_count, memory_order_relaxed) > 0;
}

/* Wait in line, at the place of its ticket. The caller must then offer the pool's free slots, since
 * one may have been given back before anybody could see the waiter. -ENOSPC: the queue is full. */
int pool_state_wait(struct pool_state *pool, struct pool_waiter *waiter);

/* Stop waiting, on the waiter's own worker. Returns the target it had been granted meanwhile, with
 * the slot and the reference, or NULL. */
struct target *pool_state_leave(struct pool_state *pool, struct pool_waiter *waiter);

bool pool_waiter_has_tried(const struct pool_waiter *waiter, const struct target *target);

/* Take a slot on `target`, if there is one, for the oldest waiter that has not tried it. Whether
 * one got it. */
bool pool_state_offer(struct pool_state *pool, struct target *target);

/* Give the oldest waiter that has not tried `target` a slot there that the caller holds. False when
 * nobody waits for it. */
bool pool_state_grant(struct pool_state *pool, struct target *target);

/* The next waiter of this worker that was granted a slot; NULL when there is none. */
struct pool_waiter *pool_mailbox_take(struct pool_mailbox *mailbox);
