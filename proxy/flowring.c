/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the bounded queue of records between one worker and the writer: single producer, single
 * consumer, no locks. The happy path is: the worker copies a record into its slot and publishes it
 * by a release store of `pushed`; the writer, having acquired `pushed`, formats it in place and
 * gives the slot back by a release store of `popped`. Each side keeps its own counter and a stale
 * copy of the other's on its own cache line, so the lines travel only when a copy has run out.
 *
 * Failure modes: the ring is full, then the push is refused, the worker counts it and goes on.
 *
 * The path of a Unix socket is borrowed from a configuration that may be gone when the writer
 * comes to it, so a record in the ring has none; its listener and target names say which it was.
 */
#include "proxy/flowring.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/panic.h"
#include "proxy/flowlog.h"

#define CACHE_LINE 64

struct flow_ring {
	_Alignas(CACHE_LINE) _Atomic uint32_t pushed; /* written by the worker */
	uint32_t popped_seen;                         /* the worker's stale copy */
	_Alignas(CACHE_LINE) _Atomic uint32_t popped; /* written by the writer */
	uint32_t pushed_seen;                         /* the writer's stale copy */
	_Alignas(CACHE_LINE) _Atomic(struct flow_bell *) bell;
	uint32_t capacity;
	struct flow_record records[];
};

static long futex(_Atomic uint32_t *word, int op, uint32_t value, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, timeout, NULL, 0);
}

void flow_bell_ring(struct flow_bell *bell)
{
	atomic_fetch_add_explicit(&bell->rings, 1, memory_order_release);
	futex(&bell->rings, FUTEX_WAKE, INT_MAX, NULL);
}

void flow_bell_wait(struct flow_bell *bell, uint32_t rings, unsigned timeout_ms)
{
	struct timespec timeout = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = timeout_ms % 1000 * 1000000L,
	};

	futex(&bell->rings, FUTEX_WAIT, rings, &timeout);
}

struct flow_ring *flow_ring_new(uint32_t capacity)
{
	size_t size = sizeof(struct flow_ring) + capacity * sizeof(struct flow_record);
	struct flow_ring *ring;

	must(capacity >= 2 && !(capacity & (capacity - 1)));
	size = (size + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
	ring = aligned_alloc(CACHE_LINE, size);
	if (!ring)
		return NULL;
	/* Not the records: their pages come into being when first used. */
	ring->popped_seen = ring->pushed_seen = 0;
	ring->capacity = capacity;
	atomic_init(&ring->pushed, 0);
	atomic_init(&ring->popped, 0);
	atomic_init(&ring->bell, NULL);
	return ring;
}

void flow_ring_free(struct flow_ring *ring)
{
	free(ring);
}

void flow_ring_set_bell(struct flow_ring *ring, struct flow_bell *bell)
{
	atomic_store_explicit(&ring->bell, bell, memory_order_release);
}

static void forget_path(struct addr *addr)
{
	if (addr->family == AF_UNIX)
		addr->path = NULL;
}

static void forget_paths(struct flow_record *record)
{
	forget_path(&record->client.local);
	forget_path(&record->client.peer);
	forget_path(&record->backend.local);
	forget_path(&record->backend.peer);
	forget_path(&record->proxy_source);
	forget_path(&record->proxy_destination);
}

/* Records waiting once one more is pushed, as the worker knows it; fresh when it matters. */
static uint32_t length_after_push(struct flow_ring *ring, uint32_t pushed)
{
	if (pushed + 1 - ring->popped_seen >= ring->capacity / 2)
		ring->popped_seen = atomic_load_explicit(&ring->popped, memory_order_acquire);
	return pushed + 1 - ring->popped_seen;
}

bool flow_ring_push(struct flow_ring *ring, const struct flow_record *record)
{
	uint32_t pushed = atomic_load_explicit(&ring->pushed, memory_order_relaxed);
	uint32_t length = length_after_push(ring, pushed);
	struct flow_record *slot = &ring->records[pushed & (ring->capacity - 1)];
	struct flow_bell *bell;

	if (length > ring->capacity)
		return false;
	*slot = *record;
	forget_paths(slot);
	atomic_store_explicit(&ring->pushed, pushed + 1, memory_order_release);
	if (length != ring->capacity / 2)
		return true;
	bell = atomic_load_explicit(&ring->bell, memory_order_acquire);
	if (bell)
		flow_bell_ring(bell);
	return true;
}

const struct flow_record *flow_ring_front(struct flow_ring *ring)
{
	uint32_t popped = atomic_load_explicit(&ring->popped, memory_order_relaxed);

	if (popped == ring->pushed_seen)
		ring->pushed_seen = atomic_load_explicit(&ring->pushed, memory_order_acquire);
	if (popped == ring->pushed_seen)
		return NULL;
	return &ring->records[popped & (ring->capacity - 1)];
}

void flow_ring_pop(struct flow_ring *ring)
{
	uint32_t popped = atomic_load_explicit(&ring->popped, memory_order_relaxed);

	atomic_store_explicit(&ring->popped, popped + 1, memory_order_release);
}

uint32_t flow_ring_length(const struct flow_ring *ring)
{
	return atomic_load_explicit(&ring->pushed, memory_order_acquire) -
	       atomic_load_explicit(&ring->popped, memory_order_acquire);
}
