/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets at run time: their storage, references and slots.
 *
 * The happy path is: the registry makes one with target_new(), each snapshot that lists it takes a
 * reference, a worker reserves a slot before it dials and releases it when the session ends; the
 * last reference to go frees it.
 *
 * Failure modes: target_reserve() says no at a limit, when closed, or too soon. It compares and
 * swaps instead of adding and taking back, so that the count is never above the limit, not even for
 * a moment in which another worker would be turned away by a slot that nobody got. A limit lowered
 * below what is in flight refuses new sessions until enough old ones have ended.
 *
 * A slot that is given back while sessions wait goes to the oldest of them without ever being free,
 * so that no newcomer takes it.
 */
#include "proxy/target.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/panic.h"
#include "proxy/pool_state.h"

/* How far ahead of its rate a target may get: workers accept in bursts. */
#define BURST_US (US_PER_SEC / 10)

static void target_free(struct target *target)
{
	pool_state_put(target->pool);
	free(target->name);
	free(target->path);
	free(target);
}

/* Zeroed and on a cache line, as the counters of two workers must not share one. */
static struct target *target_alloc(unsigned worker_count)
{
	size_t size =
		sizeof(struct target) + worker_count * sizeof(((struct target *)0)->counts[0]);
	struct target *target = aligned_alloc(TARGET_CACHE_LINE, size);

	if (target)
		memset(target, 0, size);
	return target;
}

struct target *target_new(const char *name, const struct addr *addr, unsigned worker_count)
{
	struct target *target = target_alloc(worker_count);

	if (!target)
		return NULL;
	atomic_init(&target->refs, 1);
	target->worker_count = worker_count;
	atomic_init(&target->source_ports_left, -1);
	target->addr = *addr;
	target->name = strdup(name);
	if (!target->name)
		goto fail;
	if (addr->family == AF_UNIX && addr->path) {
		target->path = strdup(addr->path);
		if (!target->path)
			goto fail;
		target->addr.path = target->path;
	}
	return target;
fail:
	target_free(target);
	return NULL;
}

void target_get(struct target *target)
{
	uint32_t refs = atomic_fetch_add_explicit(&target->refs, 1, memory_order_relaxed);

	must(refs > 0);
}

void target_put(struct target *target)
{
	uint32_t refs;

	if (!target)
		return;
	/* Release what this holder did to it; acquire what all the others did before freeing. */
	refs = atomic_fetch_sub_explicit(&target->refs, 1, memory_order_acq_rel);
	must(refs > 0);
	if (refs == 1)
		target_free(target);
}

/* One more, unless that is above the limit (0: none). */
static bool count_up(_Atomic uint32_t *count, const _Atomic uint32_t *limit)
{
	uint32_t before = atomic_load_explicit(count, memory_order_relaxed);
	uint32_t most;

	/* The count guards no other memory, hence relaxed; one variable is always in order. */
	do {
		most = atomic_load_explicit(limit, memory_order_relaxed);
		if (most && before >= most)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		count, &before, before + 1, memory_order_relaxed, memory_order_relaxed));
	return true;
}

static void count_down(_Atomic uint32_t *count)
{
	uint32_t before = atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);

	must(before > 0);
}

/* The generic cell rate algorithm (ITU-T I.371, annex A): `connect_next_us` is when the next
 * connection would be due if they came evenly. */
static bool is_due(struct target *target)
{
	uint32_t gap = atomic_load_explicit(&target->connect_gap_us, memory_order_relaxed);
	uint64_t next, now, ahead;

	if (!gap)
		return true;
	now = clock_us();
	ahead = gap < BURST_US ? BURST_US - gap : 0;
	next = atomic_load_explicit(&target->connect_next_us, memory_order_relaxed);
	do {
		if (next > now + ahead)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&target->connect_next_us, &next, (next > now ? next : now) + gap,
		memory_order_relaxed, memory_order_relaxed));
	return true;
}

/* Count a session in both, or in neither. While it is counted in the target alone, somebody who
 * begins to wait may find that full, although the slot comes to nothing; so whoever undoes it looks
 * for him, and tries again if the pool has room by now. Who makes room later will see him. */
static bool count_both(struct target *target)
{
	struct pool_state *pool = target->pool;

	for (;;) {
		if (!count_up(&target->inflight, &target->max_connections))
			return false;
		if (!pool || count_up(&pool->inflight, &pool->max_connections))
			return true;
		count_down(&target->inflight);
		__sync_synchronize(); /* against target_release() and pool_state_wait() */
		if (!pool_state_is_awaited(pool) || pool_state_is_full(pool))
			return false;
	}
}

bool target_is_welcoming(const struct target *target)
{
	const struct pool_state *pool = target->pool;

	if (atomic_load_explicit(&target->shut, memory_order_relaxed))
		return false;
	return !target_is_closed(target) ||
	       (pool && atomic_load_explicit(&pool->left, memory_order_relaxed));
}

bool target_reserve_anyway(struct target *target)
{
	if (atomic_load_explicit(&target->shut, memory_order_relaxed) || !count_both(target))
		return false;
	if (is_due(target))
		return true;
	if (target->pool)
		count_down(&target->pool->inflight);
	count_down(&target->inflight);
	return false;
}

bool target_reserve(struct target *target)
{
	return target_is_welcoming(target) && target_reserve_anyway(target);
}

void target_adopt(struct target *target)
{
	atomic_fetch_add_explicit(&target->inflight, 1, memory_order_relaxed);
	if (target->pool)
		atomic_fetch_add_explicit(&target->pool->inflight, 1, memory_order_relaxed);
}

static bool is_within(const _Atomic uint32_t *count, const _Atomic uint32_t *limit)
{
	uint32_t most = atomic_load_explicit(limit, memory_order_relaxed);

	return !most || atomic_load_explicit(count, memory_order_relaxed) <= most;
}

/* Whether another session may follow in the same slot. */
static bool may_follow(struct target *target)
{
	return target_is_welcoming(target) &&
	       is_within(&target->inflight, &target->max_connections) &&
	       is_within(&target->pool->inflight, &target->pool->max_connections) && is_due(target);
}

void target_release(struct target *target)
{
	struct pool_state *pool = target->pool;

	if (pool && pool_state_is_awaited(pool) && may_follow(target) &&
	    pool_state_grant(pool, target))
		return;
	count_down(&target->inflight);
	if (!pool)
		return;
	count_down(&pool->inflight);
	__sync_synchronize(); /* against pool_state_wait(): one of us sees the other */
	if (pool_state_is_awaited(pool))
		pool_state_offer(pool, target);
}
