/* SPDX-License-Identifier: Apache-2.0
 *
 * The pipe cache. Happy path: pipe_get() pops an idle pipe of 256 KiB, the relay splices through
 * it, pipe_put() takes it back.
 *
 * Failure modes: out of fds or of pipe pages. Past an unprivileged user's 16384 pages pipe2(2)
 * still succeeds, with a pipe of two pages that would be slower than copying: one below 64 KiB is
 * closed at once, and no other is asked for during a second.
 */
#include "proxy/pipe.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/panic.h"
#include "proxy/base/sys.h"
#include "proxy/slab.h"

#define PIPE_SMALLEST (64 * 1024)

void pipe_cache_init(struct pipe_cache *cache, struct slab *slab, struct worker_counts *counts,
		     uint32_t limit)
{
	*cache = (struct pipe_cache){.slab = slab, .counts = counts, .limit = limit};
}

static void pipe_free(struct pipe_cache *cache, struct pipe *pipe)
{
	SYS(CLOSE, close(pipe->read_fd));
	SYS(CLOSE, close(pipe->write_fd));
	free(pipe);
	cache->open--;
	count_sub(&cache->counts->pipes_open, 1);
}

void pipe_trim(struct pipe_cache *cache, uint32_t keep)
{
	struct pipe **link = &cache->idle;

	while (*link && keep) {
		link = &(*link)->next;
		keep--;
	}
	while (*link) {
		struct pipe *pipe = *link;

		*link = pipe->next;
		pipe_free(cache, pipe);
	}
}

void pipe_cache_fini(struct pipe_cache *cache)
{
	pipe_trim(cache, 0);
	must(!cache->open);
}

static struct pipe *pipe_new(void)
{
	struct pipe *pipe = malloc(sizeof(*pipe));
	int fds[2];
	int capacity;

	if (!pipe)
		return NULL;
	if (SYS(PIPE, pipe2(fds, O_NONBLOCK | O_CLOEXEC))) {
		free(pipe);
		return NULL;
	}
	capacity = fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE);
	if (capacity < 0)
		capacity = fcntl(fds[1], F_GETPIPE_SZ);
	if (capacity < PIPE_SMALLEST) {
		SYS(CLOSE, close(fds[0]));
		SYS(CLOSE, close(fds[1]));
		free(pipe);
		return NULL;
	}
	*pipe = (struct pipe){
		.read_fd = fds[0], .write_fd = fds[1], .capacity = (uint32_t)capacity};
	return pipe;
}

struct pipe *pipe_get(struct pipe_cache *cache, uint64_t now_us)
{
	struct pipe *pipe = cache->idle;

	if (!slab_has_room(cache->slab, PIPE_SIZE))
		return NULL;
	if (pipe) {
		cache->idle = pipe->next;
	} else {
		if (cache->open >= cache->limit || now_us < cache->retry_at_us)
			return NULL;
		pipe = pipe_new();
		if (!pipe) {
			cache->retry_at_us = now_us + US_PER_SEC;
			count_add(&cache->counts->pipe_refusals, 1);
			return NULL;
		}
		cache->open++;
		count_add(&cache->counts->pipes_open, 1);
	}
	pipe->next = NULL;
	cache->slab->used += pipe->capacity;
	return pipe;
}

void pipe_put(struct pipe_cache *cache, struct pipe *pipe)
{
	if (!pipe)
		return;
	must(cache->slab->used >= pipe->capacity);
	cache->slab->used -= pipe->capacity;
	if (pipe->filled) {
		pipe_free(cache, pipe);
		return;
	}
	pipe->next = cache->idle;
	cache->idle = pipe;
}
