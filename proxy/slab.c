/* SPDX-License-Identifier: Apache-2.0
 *
 * Chunks in three sizes, recycled through short free lists.
 *
 * Happy path: send(2) took less than was read, slab_get() keeps the rest, the next writable event
 * sends it and slab_put() gives the chunk back. Failure modes: at the cap slab_get() refuses, and
 * the relay leaves the bytes in the kernel's receive queue instead; malloc(3) failing is the same.
 */
#include "proxy/slab.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/panic.h"

#define CLASSES 3
#define KEEP    16 /* free chunks of a class kept for the next stall */

static const uint32_t class_capacity[CLASSES] = {4096, 65536, SLAB_CHUNK_MAX};

void slab_init(struct slab *slab, uint64_t limit)
{
	*slab = (struct slab){.limit = limit};
}

void slab_fini(struct slab *slab)
{
	must(!slab->used);
	for (int i = 0; i < CLASSES; i++) {
		while (slab->free[i]) {
			struct chunk *chunk = slab->free[i];

			slab->free[i] = chunk->next;
			free(chunk);
		}
	}
}

static int class_of(size_t len)
{
	int class = 0;

	must(len <= SLAB_CHUNK_MAX);
	while (class_capacity[class] < len)
		class ++;
	return class;
}

/* By the size of the chunk it would take, which may be several times its own. */
bool slab_has_room(const struct slab *slab, size_t len)
{
	return slab->used + class_capacity[class_of(len)] <= slab->limit;
}

struct chunk *slab_get(struct slab *slab, const void *data, size_t len)
{
	int class = class_of(len);
	struct chunk *chunk = slab->free[class];

	if (!slab_has_room(slab, len))
		return NULL;
	if (chunk) {
		slab->free[class] = chunk->next;
		slab->free_count[class]--;
	} else {
		chunk = malloc(sizeof(*chunk) + class_capacity[class]);
		if (!chunk)
			return NULL;
		chunk->capacity = class_capacity[class];
	}
	slab->used += chunk->capacity;
	chunk->next = NULL;
	chunk->start = 0;
	chunk->end = (uint32_t)len;
	memcpy(chunk->data, data, len);
	return chunk;
}

void slab_put(struct slab *slab, struct chunk *chunk)
{
	int class;

	if (!chunk)
		return;
	class = class_of(chunk->capacity);
	must(slab->used >= chunk->capacity);
	slab->used -= chunk->capacity;
	if (slab->free_count[class] >= KEEP) {
		free(chunk);
		return;
	}
	chunk->next = slab->free[class];
	slab->free[class] = chunk;
	slab->free_count[class]++;
}
