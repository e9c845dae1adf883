/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's kernel pipes for splice(2). A pipe is handed out empty and given back empty; one that
 * cannot be emptied (its session was reset) is closed. A pipe in use counts its capacity against
 * the slab's cap, since the kernel memory behind it is as bound as a chunk.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/stats.h"

struct slab;

#define PIPE_SIZE (256 * 1024)

struct pipe {
	struct pipe *next; /* struct pipe_cache::idle */
	int read_fd;
	int write_fd;
	uint32_t capacity; /* what F_SETPIPE_SZ gave */
	uint32_t filled;   /* bytes in it now */
};

struct pipe_cache {
	struct pipe *idle;
	struct slab *slab;
	struct worker_counts *counts;
	uint32_t open;        /* idle and in use */
	uint32_t limit;       /* of `open`: two fds each */
	uint64_t retry_at_us; /* the kernel refused a pipe; no new one before this */
};

void pipe_cache_init(struct pipe_cache *cache, struct slab *slab, struct worker_counts *counts,
		     uint32_t limit);
void pipe_cache_fini(struct pipe_cache *cache);

/* NULL when the cap, the fd share or the user's pipe pages (pipe(7), pipe-user-pages-soft) are
 * spent: the caller copies instead. */
struct pipe *pipe_get(struct pipe_cache *cache, uint64_t now_us);

/* Kept for the next user if it is empty, closed otherwise. Accepts NULL. */
void pipe_put(struct pipe_cache *cache, struct pipe *pipe);

/* Close idle pipes beyond `keep`. */
void pipe_trim(struct pipe_cache *cache, uint32_t keep);
