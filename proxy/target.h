/* SPDX-License-Identifier: Apache-2.0
 *
 * A target at run time: what outlives configuration snapshots. Keyed by identity (pool, address as
 * resolved); a reload that names the same target finds the same struct, so in-flight counts and
 * statistics go on. One reference per snapshot that lists it; sessions hold their snapshot.
 *
 * The in-flight count is one atomic shared by all workers, so max_connections is exact.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/stats.h"

#define TARGET_CACHE_LINE 64

struct target {
	_Alignas(TARGET_CACHE_LINE) _Atomic uint32_t inflight; /* dialing or relaying */
	_Atomic uint32_t max_connections;                      /* 0: unlimited */
	_Atomic uint32_t refs;
	_Atomic int32_t source_ports_left; /* gauge that main refreshes; -1: not known */
	uint32_t worker_count;
	struct addr addr;
	char *name; /* for logs: "10.0.0.1:80", or "db.internal:5432/10.0.0.1" */
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

/* Take one slot; false when another worker took the last one first. */
bool target_reserve(struct target *target);
void target_release(struct target *target);
