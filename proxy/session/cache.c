/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory for sessions: blocks of many, so that one costs little more than its own size. A block
 * whose sessions have all ended goes back to the kernel, except one.
 *
 * Happy path: session_alloc() pops a slot of the first block with room. Failure mode: mmap(2) has
 * no memory and the caller sheds the connection.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "proxy/base/panic.h"
#include "proxy/session/internal.h"

#define BLOCK_SIZE (64 * 1024)

struct block {
	struct list link; /* struct session_cache::roomy, or on itself while full */
	uint32_t used;
	struct slot *free;
};

/* A slot is a session, or a link of its block's free list. */
struct slot {
	union {
		struct slot *next;
		struct session session;
	};
};

#define BLOCK_HEADER ((sizeof(struct block) + 15) & ~(size_t)15)
#define BLOCK_SLOTS  ((BLOCK_SIZE - BLOCK_HEADER) / sizeof(struct slot))

struct session_cache {
	struct list roomy;
	struct block
		*empty; /* kept for the next session, so that one alone maps nothing; or NULL */
};

struct session_cache *session_cache_new(void)
{
	struct session_cache *cache = calloc(1, sizeof(*cache));

	if (cache)
		list_init(&cache->roomy);
	return cache;
}

/* Blocks are aligned to their size, so that a slot finds its block by its address. */
static struct block *block_new(void)
{
	char *raw = mmap(NULL, (size_t)2 * BLOCK_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *aligned;
	struct block *block;
	struct slot *slots;

	if (raw == MAP_FAILED)
		return NULL;
	aligned = (char *)(((uintptr_t)raw + BLOCK_SIZE - 1) & ~(uintptr_t)(BLOCK_SIZE - 1));
	if (aligned > raw)
		munmap(raw, (size_t)(aligned - raw));
	munmap(aligned + BLOCK_SIZE, (size_t)(raw + BLOCK_SIZE - aligned));
	block = (struct block *)aligned;
	list_init(&block->link);
	slots = (struct slot *)(aligned + BLOCK_HEADER);
	for (size_t i = BLOCK_SLOTS; i-- > 0;) {
		slots[i].next = block->free;
		block->free = &slots[i];
	}
	return block;
}

static struct block *block_of(void *slot)
{
	return (struct block *)((uintptr_t)slot & ~(uintptr_t)(BLOCK_SIZE - 1));
}

struct session *session_alloc(struct session_cache *cache)
{
	struct block *block;
	struct slot *slot;

	if (list_empty(&cache->roomy)) {
		block = block_new();
		if (!block)
			return NULL;
		list_push_back(&cache->roomy, &block->link);
	}
	block = container_of(cache->roomy.next, struct block, link);
	if (block == cache->empty)
		cache->empty = NULL;
	slot = block->free;
	block->free = slot->next;
	block->used++;
	if (!block->free)
		list_remove(&block->link);
	memset(slot, 0, sizeof(*slot));
	return &slot->session;
}

void session_free(struct session_cache *cache, struct session *session)
{
	struct slot *slot = container_of(session, struct slot, session);
	struct block *block = block_of(slot);

	if (!block->free)
		list_push_front(&cache->roomy, &block->link);
	slot->next = block->free;
	block->free = slot;
	if (--block->used)
		return;
	if (!cache->empty) {
		cache->empty = block;
		return;
	}
	list_remove(&block->link);
	munmap(block, BLOCK_SIZE);
}

void session_cache_free(struct session_cache *cache)
{
	struct list *link;

	if (!cache)
		return;
	while ((link = list_pop_front(&cache->roomy))) {
		struct block *block = container_of(link, struct block, link);

		must(!block->used);
		munmap(block, BLOCK_SIZE);
	}
	free(cache);
}

uint32_t session_jitter(struct session_env *env, uint32_t most_ms)
{
	return session_random(env, (uint64_t)most_ms + 1);
}

uint32_t session_random(struct session_env *env, uint64_t below)
{
	env->random ^= env->random << 13;
	env->random ^= env->random >> 7;
	env->random ^= env->random << 17;
	return (uint32_t)((env->random >> 32) % below);
}
