/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets at run time: their storage, references and slots.
 *
 * The happy path is: main makes one with target_new() when a snapshot first names it, each further
 * snapshot that lists it takes a reference, a worker reserves a slot before it dials and releases
 * it when the session ends; the last snapshot to go frees it.
 *
 * Failure modes: target_reserve() says no at the limit. It compares and swaps instead of adding and
 * taking back, so that the count is never above the limit, not even for a moment in which another
 * worker would be turned away by a slot that nobody got. A limit lowered by a reload below what is
 * in flight refuses new sessions until enough old ones have ended.
 */
#include "proxy/target.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/panic.h"

static void target_free(struct target *target)
{
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

bool target_reserve(struct target *target)
{
	uint32_t inflight = target_inflight(target);
	uint32_t limit;

	/* The count guards no other memory, hence relaxed; one variable is always in order. */
	do {
		limit = atomic_load_explicit(&target->max_connections, memory_order_relaxed);
		if (limit && inflight >= limit)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&target->inflight, &inflight, inflight + 1,
							memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

void target_release(struct target *target)
{
	uint32_t inflight = atomic_fetch_sub_explicit(&target->inflight, 1, memory_order_relaxed);

	must(inflight > 0);
}
