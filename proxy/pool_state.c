/* SPDX-License-Identifier: Apache-2.0
 *
 * Pools at run time: their references, and the queue of sessions that wait for a slot.
 *
 * Happy path: pool_state_wait() puts a waiter in line, pool_state_grant() takes the oldest one off
 * and drops it into its worker's mailbox with the slot, the worker picks it up there. A waiter is
 * on exactly one list at a time, and moves from one to the other under both locks, so its worker
 * can always say where it is and take it back.
 *
 * Failure modes: a full queue turns newcomers away; a worker that wakes late lets slots lie in its
 * mailbox, reserved and unused, which costs throughput and never exactness.
 */
#include "proxy/pool_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/panic.h"
#include "proxy/target.h"

#define POOL_ALIGN 64

struct pool_state *pool_state_new(const char *name)
{
	struct pool_state *pool = aligned_alloc(POOL_ALIGN, sizeof(*pool));

	if (!pool)
		return NULL;
	memset(pool, 0, sizeof(*pool));
	atomic_init(&pool->refs, 1);
	pool->next_ticket = 1;
	list_init(&pool->waiting);
	pool->name = strdup(name);
	if (!pool->name) {
		free(pool);
		return NULL;
	}
	pthread_mutex_init(&pool->lock, NULL);
	return pool;
}

void pool_state_get(struct pool_state *pool)
{
	uint32_t refs = atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);

	must(refs > 0);
}

void pool_state_put(struct pool_state *pool)
{
	if (!pool || atomic_fetch_sub_explicit(&pool->refs, 1, memory_order_acq_rel) > 1)
		return;
	must(list_empty(&pool->waiting));
	pthread_mutex_destroy(&pool->lock);
	free(pool->name);
	free(pool);
}

void pool_mailbox_init(struct pool_mailbox *mailbox, int event_fd)
{
	pthread_mutex_init(&mailbox->lock, NULL);
	list_init(&mailbox->granted);
	mailbox->event_fd = event_fd;
}

void pool_mailbox_fini(struct pool_mailbox *mailbox)
{
	must(list_empty(&mailbox->granted));
	pthread_mutex_destroy(&mailbox->lock);
}

/* By ticket; all but those who come back with an old one stand at the end. */
static void line_up(struct pool_state *pool, struct pool_waiter *waiter)
{
	struct list *before = pool->waiting.prev;

	while (before != &pool->waiting &&
	       container_of(before, struct pool_waiter, link)->ticket > waiter->ticket)
		before = before->prev;
	list_push_front(before, &waiter->link);
}

int pool_state_wait(struct pool_state *pool, struct pool_waiter *waiter)
{
	int err = 0;

	must(waiter->state == POOL_WAITER_IDLE);
	pthread_mutex_lock(&pool->lock);
	if (atomic_load(&pool->waiting_count) >= atomic_load(&pool->queue_size)) {
		atomic_fetch_add(&pool->queue_full, 1);
		err = -ENOSPC;
	} else {
		if (!waiter->ticket) {
			waiter->ticket = pool->next_ticket++;
			atomic_fetch_add(&pool->queued, 1);
		}
		waiter->state = POOL_WAITER_WAITING;
		line_up(pool, waiter);
		atomic_fetch_add(&pool->waiting_count, 1);
	}
	pthread_mutex_unlock(&pool->lock);
	__sync_synchronize(); /* against target_release(): one of us sees the other */
	return err;
}

struct target *pool_state_leave(struct pool_state *pool, struct pool_waiter *waiter)
{
	struct target *granted = NULL;

	pthread_mutex_lock(&pool->lock);
	if (waiter->state == POOL_WAITER_WAITING) {
		list_remove(&waiter->link);
		atomic_fetch_sub(&pool->waiting_count, 1);
	} else if (waiter->state == POOL_WAITER_GRANTED) {
		pthread_mutex_lock(&waiter->mailbox->lock);
		list_remove(&waiter->link);
		pthread_mutex_unlock(&waiter->mailbox->lock);
		granted = waiter->granted;
		waiter->granted = NULL;
	}
	waiter->state = POOL_WAITER_IDLE;
	pthread_mutex_unlock(&pool->lock);
	return granted;
}

/* From the line into its worker's mailbox. Returns the fd to write to, -1: it is awake already. */
static int hand_to(struct pool_state *pool, struct pool_waiter *waiter, struct target *target)
{
	struct pool_mailbox *mailbox = waiter->mailbox;
	bool was_empty;

	list_remove(&waiter->link);
	atomic_fetch_sub(&pool->waiting_count, 1);
	waiter->state = POOL_WAITER_GRANTED;
	waiter->granted = target;
	target_get(target);
	pthread_mutex_lock(&mailbox->lock);
	was_empty = list_empty(&mailbox->granted);
	list_push_back(&mailbox->granted, &waiter->link);
	pthread_mutex_unlock(&mailbox->lock);
	return was_empty ? mailbox->event_fd : -1;
}

/* An eventfd's counter cannot be full here, so the write cannot fail; eventfd(2). */
static void wake(int event_fd)
{
	uint64_t one = 1;

	if (event_fd >= 0 && write(event_fd, &one, sizeof(one)) < 0)
		return;
}

bool pool_waiter_has_tried(const struct pool_waiter *waiter, const struct target *target)
{
	for (int i = 0; i < waiter->tried_count; i++)
		if (waiter->tried[i] == target_mark(target))
			return true;
	return false;
}

/* Nearly always the first one: few wait for a second attempt. */
static struct pool_waiter *oldest_for(const struct pool_state *pool, const struct target *target)
{
	list_for_each (link, &pool->waiting) {
		struct pool_waiter *waiter = container_of(link, struct pool_waiter, link);

		if (!pool_waiter_has_tried(waiter, target))
			return waiter;
	}
	return NULL;
}

bool pool_state_grant(struct pool_state *pool, struct target *target)
{
	struct pool_waiter *oldest;
	int event_fd = -1;

	pthread_mutex_lock(&pool->lock);
	oldest = oldest_for(pool, target);
	if (oldest)
		event_fd = hand_to(pool, oldest, target);
	pthread_mutex_unlock(&pool->lock);
	wake(event_fd);
	return oldest != NULL;
}

bool pool_state_offer(struct pool_state *pool, struct target *target)
{
	struct pool_waiter *oldest;
	int event_fd = -1;

	if (!pool_state_is_awaited(pool))
		return false;
	pthread_mutex_lock(&pool->lock);
	oldest = oldest_for(pool, target);
	if (oldest && !target_reserve(target))
		oldest = NULL;
	if (oldest)
		event_fd = hand_to(pool, oldest, target);
	pthread_mutex_unlock(&pool->lock);
	wake(event_fd);
	return oldest != NULL;
}

struct pool_waiter *pool_mailbox_take(struct pool_mailbox *mailbox)
{
	struct list *link;

	pthread_mutex_lock(&mailbox->lock);
	link = list_pop_front(&mailbox->granted);
	pthread_mutex_unlock(&mailbox->lock);
	return link ? container_of(link, struct pool_waiter, link) : NULL;
}
