/* SPDX-License-Identifier: Apache-2.0
 *
 * A target at run time: what outlives configuration snapshots. The registry (proxy/registry.h) owns
 * its identity, health and overrides; here is what workers touch: one cache line of atomics, and
 * counters. One reference per snapshot that lists it; sessions hold their snapshot.
 *
 * The in-flight count is one atomic shared by all workers, so max_connections is exact. `closed`
 * keeps sessions away at once, even those that still choose by an older snapshot, unless nobody
 * else is left in that; once every worker has taken a snapshot that gives it no weight, main shuts
 * it, and no new session reaches it, whatever snapshot that began with.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/stats.h"

#define TARGET_CACHE_LINE 64

struct pool_state;

struct target {
	_Alignas(TARGET_CACHE_LINE) _Atomic uint32_t inflight; /* dialing or relaying */
	_Atomic uint32_t max_connections;                      /* 0: unlimited */
	_Atomic uint32_t failures;         /* connects failed in a row, over all workers */
	_Atomic uint32_t connect_gap_us;   /* least time between two connects; 0: any */
	_Atomic uint64_t connect_next_us;  /* when the next one is due, CLOCK_MONOTONIC */
	_Atomic int32_t source_ports_left; /* gauge that main refreshes; -1: not known */
	_Atomic bool closed;               /* takes no new session */
	_Atomic bool shut;                 /* and every worker's view says so too */
	_Atomic bool cross_zone;           /* known to be in another zone than ours */
	_Atomic uint32_t refs;
	struct pool_state *pool; /* one reference, let go of with the target; NULL in tests */
	uint32_t worker_count;
	struct addr addr;
	char *name; /* for logs: "10.0.0.1:80", "db.internal:5432/10.0.0.1", "i-0abc/10.0.0.1:80" */
	char *path; /* what addr.path borrows from, for AF_UNIX */
	struct {
		_Alignas(TARGET_CACHE_LINE) struct target_counts c;
	} counts[]; /* one per worker */
};

/* One reference, counts at zero. `path` of an AF_UNIX address is copied. NULL without memory. */
struct target *target_new(const char *name, const struct addr *addr, unsigned worker_count);
void target_get(struct target *target);
void target_put(struct target *target); /* accepts NULL */

static inline uint32_t target_inflight(const struct target *target)
{
	return atomic_load_explicit(&target->inflight, memory_order_relaxed);
}

static inline bool target_is_full(const struct target *target)
{
	uint32_t limit = atomic_load_explicit(&target->max_connections, memory_order_relaxed);

	return limit && target_inflight(target) >= limit;
}

static inline bool target_is_closed(const struct target *target)
{
	return atomic_load_explicit(&target->closed, memory_order_relaxed);
}

/* Whether a session may be sent there: it is open, or was until its whole pool left. */
bool target_is_welcoming(const struct target *target);

/* What sessions remember a target by that they have tried. Targets are at least a cache line apart,
 * so it tells those of one process apart. */
static inline uint32_t target_mark(const struct target *target)
{
	return (uint32_t)((uintptr_t)target / TARGET_CACHE_LINE);
}

/* Take one slot, of the target and of its pool, now; false when nobody may be sent there,
 * either is at its limit, or `connect_gap_us` does not allow another connection yet. */
bool target_reserve(struct target *target);

/* The same, closed or not; but not when it is shut. */
bool target_reserve_anyway(struct target *target);

/* Count a session that is there already, past any limit. */
void target_adopt(struct target *target);

/* Give the slot back: to the oldest waiter of the pool, if there is one. */
void target_release(struct target *target);
