/* SPDX-License-Identifier: Apache-2.0
 *
 * Source ports chosen by us, in constant time, where the kernel's own search is slow.
 *
 * connect(2) without a bound port tries every other port of net.ipv4.ip_local_port_range from a
 * hashed start; once most ports towards one target are taken it walks thousands of them under
 * locks, and everybody on the machine waits. For a busy (source, target) pair a worker therefore
 * keeps its own FIFO of the ports in its slice of the range. First-in-first-out leaves each port
 * the longest possible time in TIME_WAIT before it is asked for again.
 *
 * A worker owns its `struct ports`; nothing is shared.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/addr.h"

struct port_queue;
struct ports;

/* A port on loan from a queue, or nothing (queue NULL) when the kernel chose. */
struct port_lease {
	struct port_queue *queue;
	uint16_t port;
};

/* `index` of `worker_count`: the slice. NULL without memory. */
struct ports *ports_new(unsigned index, unsigned worker_count);
void ports_free(struct ports *ports);

/* The range has changed (proc(5), ip_local_port_range): queues are made anew, and ports of the old
 * ones that are out come back to nobody. */
void ports_set_range(struct ports *ports, uint16_t low, uint16_t high);

/* A port to try towards `to`, or a lease without a queue when the kernel may choose. `inflight` is
 * how many sessions the target has now over all workers. */
struct port_lease ports_take(struct ports *ports, const struct addr *from, const struct addr *to,
			     uint32_t inflight);

/* Back to the end of its queue, after the socket was closed. */
void ports_give_back(struct port_lease *lease);

/* It was in use after all: keep it out of the queue for a while. */
void ports_set_aside(struct port_lease *lease);

/* How many ports of its own the queue behind a lease still has; 0 without a queue. */
uint32_t ports_left(const struct port_lease *lease);
