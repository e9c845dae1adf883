/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker may hold in user space for peers that do not read: chunks for the rest that send(2)
 * did not take, under one hard cap that pipes in use count against too. Nothing is held for a
 * session while it is idle.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chunk {
	struct chunk *next; /* struct slab::free, while not in use */
	uint32_t capacity;
	uint32_t start; /* first byte not sent yet */
	uint32_t end;   /* one past the last byte */
	uint8_t data[];
};

struct slab {
	struct chunk *free[3]; /* by size class */
	uint32_t free_count[3];
	uint64_t used;  /* bytes of chunks handed out and of budgets taken */
	uint64_t limit; /* the worker's share of `buffers` */
};

void slab_init(struct slab *slab, uint64_t limit);
void slab_fini(struct slab *slab); /* every chunk must be back */

/* A chunk holding a copy of `len` bytes (at most SLAB_CHUNK_MAX). NULL at the cap or without
 * memory. */
#define SLAB_CHUNK_MAX (256u * 1024)
struct chunk *slab_get(struct slab *slab, const void *data, size_t len);
void slab_put(struct slab *slab, struct chunk *chunk); /* accepts NULL */

/* Whether a rest of up to `len` bytes (at most SLAB_CHUNK_MAX) is sure to fit under the cap. */
bool slab_has_room(const struct slab *slab, size_t len);
