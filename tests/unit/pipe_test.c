/* SPDX-License-Identifier: Apache-2.0
 *
 * The pipe cache: reuse, its three limits, what the kernel may do to it, and a count of open pipes
 * that always comes out even.
 */
/* link: -Wl,--wrap=pipe2,--wrap=malloc,--wrap=fcntl */
#include <stdarg.h>

#include "proxy/base/clock.h"
#include "proxy/pipe.h"
#include "proxy/slab.h"
#include "tests/unit/core_rig.h"

int __real_pipe2(int fds[2], int flags);
int __wrap_pipe2(int fds[2], int flags);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
int __real_fcntl(int fd, int cmd, ...);
int __wrap_fcntl(int fd, int cmd, ...);

static bool no_pipe, no_memory;
static int granted_size; /* 0: what is asked for; -1: refused */
static int actual_size;  /* what a refusal leaves */
static unsigned pipes_made;

int __wrap_pipe2(int fds[2], int flags)
{
	pipes_made++;
	if (no_pipe) {
		errno = EMFILE;
		return -1;
	}
	return __real_pipe2(fds, flags);
}

void *__wrap_malloc(size_t size)
{
	return no_memory ? NULL : __real_malloc(size);
}

int __wrap_fcntl(int fd, int cmd, ...)
{
	va_list args;
	long arg;

	va_start(args, cmd);
	arg = va_arg(args, long);
	va_end(args);
	if (cmd == F_GETPIPE_SZ && granted_size < 0)
		return actual_size;
	if (cmd != F_SETPIPE_SZ || !granted_size)
		return __real_fcntl(fd, cmd, arg);
	errno = EPERM;
	return granted_size;
}

static struct worker_counts counts;
static struct pipe_cache cache;
static struct slab slab;

static void open_cache(uint64_t buffers, uint32_t limit)
{
	slab_init(&slab, buffers);
	pipe_cache_init(&cache, &slab, &counts, limit);
}

static void close_cache(void)
{
	pipe_cache_fini(&cache);
	ck_assert_uint_eq(counts.pipes_open, 0);
	ck_assert_uint_eq(slab.used, 0);
	slab_fini(&slab);
}

START_TEST(pipe_is_large_non_blocking_and_used_again)
{
	struct pipe *pipe, *again;
	char byte;

	open_cache(UINT64_MAX / 2, 8);
	pipe = pipe_get(&cache, 1);
	ck_assert_uint_eq(pipe->capacity, PIPE_SIZE);
	ck_assert_int_eq(fcntl(pipe->write_fd, F_GETPIPE_SZ, 0L), PIPE_SIZE);
	ck_assert_int_eq(read(pipe->read_fd, &byte, 1), -1);
	ck_assert_int_eq(errno, EAGAIN);
	pipe_put(&cache, pipe);
	again = pipe_get(&cache, 1);
	ck_assert_ptr_eq(again, pipe);
	ck_assert_uint_eq(pipes_made, 1);
	pipe_put(&cache, again);
	close_cache();
}
END_TEST

START_TEST(pipe_with_bytes_in_it_is_closed_and_not_lent_again)
{
	int before = open_fds();
	struct pipe *pipe;

	open_cache(UINT64_MAX / 2, 8);
	pipe = pipe_get(&cache, 1);
	ck_assert_int_eq(write(pipe->write_fd, "x", 1), 1);
	pipe->filled = 1;
	pipe_put(&cache, pipe);
	ck_assert_uint_eq(cache.open, 0);
	ck_assert_int_eq(open_fds(), before);
	close_cache();
}
END_TEST

START_TEST(pipes_in_use_count_against_the_cap_and_idle_ones_do_not)
{
	struct pipe *one, *two;

	open_cache(2 * PIPE_SIZE, 8);
	one = pipe_get(&cache, 1);
	two = pipe_get(&cache, 1);
	ck_assert_uint_eq(slab.used, 2 * PIPE_SIZE);
	ck_assert_ptr_null(pipe_get(&cache, 1));
	pipe_put(&cache, one);
	ck_assert_uint_eq(slab.used, PIPE_SIZE);
	one = pipe_get(&cache, 1);
	ck_assert_ptr_nonnull(one);
	pipe_put(&cache, one);
	pipe_put(&cache, two);
	ck_assert_uint_eq(counts.pipe_refusals, 0);
	close_cache();
}
END_TEST

START_TEST(limit_of_open_pipes_holds)
{
	struct pipe *pipe;

	open_cache(UINT64_MAX / 2, 1);
	pipe = pipe_get(&cache, 1);
	ck_assert_ptr_null(pipe_get(&cache, 1));
	ck_assert_uint_eq(pipes_made, 1);
	pipe_put(&cache, pipe);
	close_cache();
}
END_TEST

START_TEST(refused_pipe_is_counted_and_not_asked_for_again_within_a_second)
{
	uint64_t now = 5 * US_PER_SEC;
	struct pipe *pipe;

	open_cache(UINT64_MAX / 2, 8);
	no_pipe = true;
	ck_assert_ptr_null(pipe_get(&cache, now));
	ck_assert_ptr_null(pipe_get(&cache, now + US_PER_SEC - 1));
	ck_assert_uint_eq(pipes_made, 1);
	ck_assert_uint_eq(counts.pipe_refusals, 1);
	ck_assert_uint_eq(slab.used, 0);
	no_pipe = false;
	pipe = pipe_get(&cache, now + US_PER_SEC);
	ck_assert_ptr_nonnull(pipe);
	pipe_put(&cache, pipe);
	close_cache();
}
END_TEST

START_TEST(idle_pipe_is_lent_even_while_new_ones_are_refused)
{
	struct pipe *one, *two;

	open_cache(UINT64_MAX / 2, 8);
	one = pipe_get(&cache, 1);
	no_pipe = true;
	ck_assert_ptr_null(pipe_get(&cache, 1));
	pipe_put(&cache, one);
	two = pipe_get(&cache, 1);
	ck_assert_ptr_eq(two, one);
	pipe_put(&cache, two);
	close_cache();
}
END_TEST

START_TEST(pipe_of_two_pages_is_closed_at_once)
{
	int before = open_fds();

	open_cache(UINT64_MAX / 2, 8);
	granted_size = -1;
	actual_size = 8192;
	ck_assert_ptr_null(pipe_get(&cache, 1));
	ck_assert_int_eq(open_fds(), before);
	ck_assert_uint_eq(counts.pipe_refusals, 1);
	close_cache();
}
END_TEST

START_TEST(pipe_of_the_default_size_is_good_enough)
{
	struct pipe *pipe;

	open_cache(UINT64_MAX / 2, 8);
	granted_size = -1;
	actual_size = 65536;
	pipe = pipe_get(&cache, 1);
	ck_assert_uint_eq(pipe->capacity, 65536);
	ck_assert_uint_eq(slab.used, 65536);
	pipe_put(&cache, pipe);
	close_cache();
}
END_TEST

START_TEST(without_memory_no_pipe_is_made)
{
	struct pipe *pipe;

	open_cache(UINT64_MAX / 2, 8);
	no_memory = true;
	pipe = pipe_get(&cache, 1);
	no_memory = false;
	ck_assert_ptr_null(pipe);
	ck_assert_uint_eq(pipes_made, 0);
	close_cache();
}
END_TEST

START_TEST(trimming_closes_idle_pipes_beyond_what_is_kept)
{
	struct pipe *pipes[5], *busy;
	int before = open_fds();

	open_cache(UINT64_MAX / 2, 8);
	busy = pipe_get(&cache, 1);
	for (int i = 0; i < 5; i++)
		pipes[i] = pipe_get(&cache, 1);
	for (int i = 0; i < 5; i++)
		pipe_put(&cache, pipes[i]);
	pipe_trim(&cache, 2);
	ck_assert_uint_eq(cache.open, 3);
	ck_assert_uint_eq(counts.pipes_open, 3);
	ck_assert_int_eq(open_fds(), before + 6);
	pipe_trim(&cache, 9);
	ck_assert_uint_eq(cache.open, 3);
	pipe_put(&cache, busy);
	pipe_put(&cache, NULL);
	close_cache();
	ck_assert_int_eq(open_fds(), before);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		pipe_is_large_non_blocking_and_used_again,
		pipe_with_bytes_in_it_is_closed_and_not_lent_again,
		pipes_in_use_count_against_the_cap_and_idle_ones_do_not,
		limit_of_open_pipes_holds,
		refused_pipe_is_counted_and_not_asked_for_again_within_a_second,
		idle_pipe_is_lent_even_while_new_ones_are_refused,
		pipe_of_two_pages_is_closed_at_once,
		pipe_of_the_default_size_is_good_enough,
		without_memory_no_pipe_is_made,
		trimming_closes_idle_pipes_beyond_what_is_kept,
	};

	return run_tests("pipe", tests, COUNT(tests));
}
