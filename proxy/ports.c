/* SPDX-License-Identifier: Apache-2.0
 *
 * Source port queues. Happy path: a pair of source and target gets busy (its sessions plus what
 * was connected lately fill a quarter of the range, half of the even ports that the kernel tries
 * first), a queue of this worker's slice is made, and from then on each connect takes the port at
 * its head and each close puts it back at the end.
 *
 * A queue whose pair was not connected for longer than a port may stand in TIME_WAIT says nothing
 * any more, and is freed: targets come and go. It is found by looking at one bucket a second, or
 * for each queue that is made. When the range changes, queues with ports of the old one are
 * retired: nobody finds them any more, and each is freed with the last of its leases.
 *
 * Failure modes: a port may be in use after all (chosen by the kernel before the queue existed, by
 * another process, or in a TIME_WAIT that cannot be reused): connect(2) says EADDRNOTAVAIL, the
 * port is set aside and the next one is tried, a bounded number of times (dial.c). What was set
 * aside comes back once a minute, or when nothing else is left. Without memory for a queue, or
 * with an empty one, the kernel goes on choosing.
 */
#include "proxy/ports.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/panic.h"

#define BUCKETS       256
#define COUNT_KEPT_US (10 * US_PER_SEC) /* without a ring there is only a count to lose */
#define TIME_WAIT_US  (60 * US_PER_SEC) /* TCP_TIMEWAIT_LEN, include/net/tcp.h */

struct port_queue {
	struct port_queue *next; /* struct ports::buckets */
	struct addr from;
	struct addr to;
	uint64_t used_us; /* the last connect */
	uint64_t period_start_us;
	uint32_t period_connects;   /* since period_start_us */
	uint32_t previous_connects; /* in the whole period before */
	uint32_t capacity;          /* 0: no ring yet, the kernel chooses */
	uint32_t head;
	uint32_t count;
	uint32_t taken_count;
	uint32_t lent;   /* leases out */
	bool retired;    /* in no bucket any more */
	uint16_t *ring;  /* free as far as we know, the longest unused first */
	uint16_t *taken; /* set aside; behind the ring in the same block */
};

struct ports {
	unsigned index;
	unsigned worker_count;
	uint16_t low;
	uint16_t high;
	unsigned next_sweep; /* bucket */
	uint64_t swept_us;
	struct port_queue *buckets[BUCKETS];
};

struct ports *ports_new(unsigned index, unsigned worker_count)
{
	struct ports *ports = calloc(1, sizeof(*ports));

	if (!ports)
		return NULL;
	ports->index = index;
	ports->worker_count = worker_count;
	ports_set_range(ports, 32768, 60999);
	return ports;
}

static void queue_free(struct port_queue *queue)
{
	free(queue->ring);
	free(queue);
}

void ports_free(struct ports *ports)
{
	if (!ports)
		return;
	for (int i = 0; i < BUCKETS; i++) {
		while (ports->buckets[i]) {
			struct port_queue *queue = ports->buckets[i];

			ports->buckets[i] = queue->next;
			queue_free(queue);
		}
	}
	free(ports);
}

/* Take out of a bucket whom `is_gone` says; who has ports out goes with the last of them. */
static void sift(struct ports *ports, unsigned bucket, uint64_t now_us,
		 bool (*is_gone)(const struct port_queue *, uint64_t))
{
	struct port_queue **at = &ports->buckets[bucket];

	while (*at) {
		struct port_queue *queue = *at;

		if (!is_gone(queue, now_us)) {
			at = &queue->next;
			continue;
		}
		*at = queue->next;
		queue->retired = true;
		if (!queue->lent)
			queue_free(queue);
	}
}

static bool is_forgotten(const struct port_queue *queue, uint64_t now_us)
{
	uint64_t keep_us = queue->ring ? 2 * TIME_WAIT_US : COUNT_KEPT_US;

	return !queue->lent && now_us - queue->used_us >= keep_us;
}

static void sweep(struct ports *ports, uint64_t now_us)
{
	ports->swept_us = now_us;
	sift(ports, ports->next_sweep++ % BUCKETS, now_us, is_forgotten);
}

static bool has_ring(const struct port_queue *queue, uint64_t now_us)
{
	return queue->ring != NULL;
}

void ports_set_range(struct ports *ports, uint16_t low, uint16_t high)
{
	must(low && low <= high);
	if (ports->low == low && ports->high == high)
		return;
	ports->low = low;
	ports->high = high;
	for (unsigned i = 0; i < BUCKETS; i++)
		sift(ports, i, 0, has_ring);
}

static struct port_queue *queue_find(struct ports *ports, const struct addr *from,
				     const struct addr *to, uint64_t now_us)
{
	unsigned bucket = (addr_hash_host(to) ^ to->port) % BUCKETS;
	struct port_queue *queue = ports->buckets[bucket];

	while (queue && !(addr_equal(&queue->to, to) && addr_equal(&queue->from, from)))
		queue = queue->next;
	if (queue)
		return queue;
	sweep(ports, now_us);
	queue = calloc(1, sizeof(*queue));
	if (!queue)
		return NULL;
	queue->from = *from;
	queue->to = *to;
	queue->next = ports->buckets[bucket];
	ports->buckets[bucket] = queue;
	return queue;
}

static void queue_push(struct port_queue *queue, uint16_t port)
{
	must(queue->count < queue->capacity);
	queue->ring[(queue->head + queue->count) % queue->capacity] = port;
	queue->count++;
}

/* Give the ports that were set aside another chance. */
static void queue_forgive(struct port_queue *queue)
{
	while (queue->taken_count)
		queue_push(queue, queue->taken[--queue->taken_count]);
}

/* Connects of the last one to two minutes: what may still stand in TIME_WAIT. */
static uint32_t recent_connects(struct port_queue *queue, uint64_t now)
{
	if (now - queue->period_start_us >= TIME_WAIT_US) {
		bool adjacent = now - queue->period_start_us < 2 * TIME_WAIT_US;

		queue->previous_connects = adjacent ? queue->period_connects : 0;
		queue->period_connects = 0;
		queue->period_start_us = now;
		queue_forgive(queue);
	}
	queue->used_us = now;
	queue->period_connects++;
	return queue->period_connects + queue->previous_connects;
}

static void queue_fill(struct ports *ports, struct port_queue *queue)
{
	uint32_t size = (uint32_t)(ports->high - ports->low) / ports->worker_count + 1;

	queue->ring = malloc((size_t)2 * size * sizeof(*queue->ring));
	if (!queue->ring)
		return;
	queue->taken = queue->ring + size;
	queue->capacity = size;
	for (uint32_t port = ports->low + ports->index; port <= ports->high;
	     port += ports->worker_count)
		queue->ring[queue->count++] = (uint16_t)port;
}

static bool is_busy(const struct ports *ports, uint32_t inflight, uint32_t recent)
{
	uint64_t estimate = (uint64_t)inflight + (uint64_t)recent * ports->worker_count;

	return estimate >= (uint64_t)(ports->high - ports->low + 1) / 4;
}

struct port_lease ports_take(struct ports *ports, const struct addr *from, const struct addr *to,
			     uint32_t inflight)
{
	static const struct addr any;
	uint64_t now = clock_us();
	struct port_queue *queue;
	uint32_t recent;
	uint16_t port;

	if (now - ports->swept_us >= US_PER_SEC)
		sweep(ports, now);
	queue = queue_find(ports, from ? from : &any, to, now);
	if (!queue)
		return (struct port_lease){0};
	recent = recent_connects(queue, now);
	if (!queue->capacity && is_busy(ports, inflight, recent))
		queue_fill(ports, queue);
	if (!queue->count)
		queue_forgive(queue);
	if (!queue->count)
		return (struct port_lease){0};
	port = queue->ring[queue->head];
	queue->head = (queue->head + 1) % queue->capacity;
	queue->count--;
	queue->lent++;
	return (struct port_lease){.queue = queue, .port = port};
}

/* The lease is over; the queue may be as well. */
static void end_lease(struct port_lease *lease)
{
	struct port_queue *queue = lease->queue;

	must(queue->lent > 0);
	queue->lent--;
	if (queue->retired && !queue->lent)
		queue_free(queue);
	lease->queue = NULL;
}

void ports_give_back(struct port_lease *lease)
{
	if (!lease->queue)
		return;
	queue_push(lease->queue, lease->port);
	end_lease(lease);
}

void ports_set_aside(struct port_lease *lease)
{
	struct port_queue *queue = lease->queue;

	if (!queue)
		return;
	must(queue->count + queue->taken_count < queue->capacity);
	queue->taken[queue->taken_count++] = lease->port;
	end_lease(lease);
}

uint32_t ports_left(const struct port_lease *lease)
{
	return lease->queue ? lease->queue->count : 0;
}
