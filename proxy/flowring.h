/* SPDX-License-Identifier: Apache-2.0
 *
 * The writer's side of a flow ring; the worker's side is in proxy/flowlog.h.
 */
#pragma once

#include <stdint.h>

struct flow_record;
struct flow_ring;

/* What the writer sleeps on: a counter that grows with every reason to look. A futex rather than an
 * eventfd, because a worker has a descriptor table of its own (close_range(2),
 * CLOSE_RANGE_UNSHARE) and so could not reach the writer's. */
struct flow_bell {
	_Atomic uint32_t rings;
};

void flow_bell_ring(struct flow_bell *bell);

/* Sleep until the bell was rung since `rings` was read from it, at most `timeout_ms`. */
void flow_bell_wait(struct flow_bell *bell, uint32_t rings, unsigned timeout_ms);

/* The bell to ring when half full; NULL for none. */
void flow_ring_set_bell(struct flow_ring *ring, struct flow_bell *bell);

/* The oldest record, which stays valid until flow_ring_pop(); NULL when there is none. */
const struct flow_record *flow_ring_front(struct flow_ring *ring);
void flow_ring_pop(struct flow_ring *ring);

/* Records waiting. From any thread. */
uint32_t flow_ring_length(const struct flow_ring *ring);
