/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory for sessions: zeroed, aligned, reused, and given back to the kernel block by block.
 */
/* link: -Wl,--wrap=mmap,--wrap=munmap */
#include <sys/mman.h>

#include "proxy/session/internal.h"
#include "tests/unit/conf_rig.h"

#define MANY 1000

void *__real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t len);
int __wrap_munmap(void *at, size_t len);

static bool no_memory;
static long mapped; /* bytes now */
static size_t skew; /* what the next mapping is off from an alignment of 64 KiB */

void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	char *got;

	if (no_memory)
		return MAP_FAILED;
	if (!skew) {
		mapped += (long)len;
		return __real_mmap(at, len, prot, flags, fd, offset);
	}
	/* More than asked for, to choose the place in it. */
	got = __real_mmap(NULL, len + 131072, prot, flags, fd, offset);
	at = (void *)((((uintptr_t)got + 65535) & ~(uintptr_t)65535) + skew);
	__real_munmap(got, (size_t)((char *)at - got));
	__real_munmap((char *)at + len, (size_t)(got + len + 131072 - ((char *)at + len)));
	mapped += (long)len;
	return at;
}

int __wrap_munmap(void *at, size_t len)
{
	mapped -= (long)len;
	return __real_munmap(at, len);
}

static struct session *sessions[MANY];

static void alloc_all(struct session_cache *cache)
{
	for (int i = 0; i < MANY; i++) {
		sessions[i] = session_alloc(cache);
		ck_assert_ptr_nonnull(sessions[i]);
	}
}

START_TEST(sessions_are_zeroed_aligned_and_apart)
{
	struct session_cache *cache = session_cache_new();
	static const uint8_t zeroes[sizeof(struct session)];

	alloc_all(cache);
	for (int i = 0; i < MANY; i++) {
		if (memcmp(sessions[i], zeroes, sizeof(zeroes)))
			ck_abort_msg("session %d is not zeroed", i);
		if ((uintptr_t)sessions[i] % _Alignof(struct session))
			ck_abort_msg("session %d is not aligned", i);
		memset(sessions[i], 0xff, sizeof(struct session)); /* spoils no other one */
	}
	for (int i = 0; i < MANY; i++)
		session_free(cache, sessions[i]);
	alloc_all(cache);
	for (int i = 0; i < MANY; i++) {
		if (memcmp(sessions[i], zeroes, sizeof(zeroes)))
			ck_abort_msg("reused session %d is not zeroed", i);
		session_free(cache, sessions[i]);
	}
	session_cache_free(cache);
}
END_TEST

START_TEST(session_costs_little_more_than_its_size)
{
	struct session_cache *cache = session_cache_new();

	alloc_all(cache);
	ck_assert_int_lt(mapped, (long)(MANY * sizeof(struct session)) * 105 / 100 + 65536);
	for (int i = 0; i < MANY; i++)
		session_free(cache, sessions[i]);
	session_cache_free(cache);
	ck_assert_int_eq(mapped, 0);
}
END_TEST

START_TEST(freed_session_is_used_again)
{
	struct session_cache *cache = session_cache_new();
	struct session *session;

	alloc_all(cache);
	session_free(cache, sessions[500]);
	session = session_alloc(cache);
	ck_assert_ptr_eq(session, sessions[500]);
	for (int i = 0; i < MANY; i++)
		session_free(cache, sessions[i]);
	session_cache_free(cache);
}
END_TEST

START_TEST(empty_blocks_go_back_to_the_kernel_but_for_the_last)
{
	struct session_cache *cache = session_cache_new();

	alloc_all(cache);
	for (int i = 0; i < MANY; i++)
		session_free(cache, sessions[(i * 7) % MANY]); /* in another order */
	ck_assert_int_eq(mapped, 65536);
	session_cache_free(cache);
	ck_assert_int_eq(mapped, 0);
}
END_TEST

START_TEST(random_use_never_hands_out_a_session_twice)
{
	struct session_cache *cache = session_cache_new();
	uint64_t random = 42;

	memset(sessions, 0, sizeof(sessions));
	for (int round = 0; round < 100000; round++) {
		int i;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		i = (int)((random >> 33) % MANY);
		if (sessions[i]) {
			if (sessions[i]->id != (uint64_t)i + 1)
				ck_abort_msg("session %d was overwritten", i);
			session_free(cache, sessions[i]);
			sessions[i] = NULL;
		} else {
			sessions[i] = session_alloc(cache);
			if (sessions[i]->id)
				ck_abort_msg("session %d is in use", i);
			sessions[i]->id = (uint64_t)i + 1;
		}
	}
	for (int i = 0; i < MANY; i++)
		if (sessions[i])
			session_free(cache, sessions[i]);
	ck_assert_int_eq(mapped, 65536);
	session_cache_free(cache);
}
END_TEST

START_TEST(blocks_are_aligned_wherever_the_kernel_puts_them)
{
	static const size_t skews[] = {4096, 32768, 61440, 65536};

	for (size_t i = 0; i < COUNT(skews); i++) {
		struct session_cache *cache = session_cache_new();
		struct session *session;

		skew = skews[i];
		session = session_alloc(cache);
		skew = 0;
		ck_assert_int_eq(mapped, 65536);
		memset(session, 0xff, sizeof(*session));
		session_free(cache, session);
		session_cache_free(cache);
		ck_assert_int_eq(mapped, 0);
	}
}
END_TEST

START_TEST(without_memory_there_is_no_session_and_later_there_is)
{
	struct session_cache *cache = session_cache_new();
	struct session *session;

	no_memory = true;
	session = session_alloc(cache);
	no_memory = false;
	ck_assert_ptr_null(session);
	session = session_alloc(cache);
	ck_assert_ptr_nonnull(session);
	session_free(cache, session);
	session_cache_free(cache);
	session_cache_free(NULL);
}
END_TEST

START_TEST(random_numbers_stay_below_their_limit_and_reach_it)
{
	struct session_env env = {.random = 1};
	unsigned seen = 0;

	for (int i = 0; i < 10000; i++) {
		uint32_t number = session_random(&env, 10);

		ck_assert_uint_lt(number, 10);
		seen |= 1u << number;
	}
	ck_assert_uint_eq(seen, 0x3ff);
	ck_assert_uint_eq(session_random(&env, 1), 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		sessions_are_zeroed_aligned_and_apart,
		session_costs_little_more_than_its_size,
		freed_session_is_used_again,
		empty_blocks_go_back_to_the_kernel_but_for_the_last,
		random_use_never_hands_out_a_session_twice,
		blocks_are_aligned_wherever_the_kernel_puts_them,
		without_memory_there_is_no_session_and_later_there_is,
		random_numbers_stay_below_their_limit_and_reach_it,
	};

	return run_tests("session_cache", tests, COUNT(tests));
}
