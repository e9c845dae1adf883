/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets: copies of what they are made from, layout, references, and a limit that stays exact
 * while several threads fight for the last slot.
 */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/target.h"

static struct target *make(unsigned worker_count)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse("10.0.0.1:80", &addr), 0);
	return target_new("10.0.0.1:80", &addr, worker_count);
}

START_TEST(new_target_is_zeroed_and_holds_one_reference)
{
	struct target *target = make(3);

	ck_assert_str_eq(target->name, "10.0.0.1:80");
	ck_assert_uint_eq(target->addr.port, 80);
	ck_assert_uint_eq(target_inflight(target), 0);
	ck_assert_uint_eq(target->refs, 1);
	ck_assert_uint_eq(target->worker_count, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(target->counts[i].c.sessions, 0);
	target_put(target);
}
END_TEST

START_TEST(counters_of_workers_share_no_cache_line)
{
	struct target *target = make(2);

	ck_assert_uint_eq((uintptr_t)target % TARGET_CACHE_LINE, 0);
	ck_assert_uint_eq((uintptr_t)&target->counts[0] % TARGET_CACHE_LINE, 0);
	ck_assert_uint_eq((uintptr_t)&target->counts[1] % TARGET_CACHE_LINE, 0);
	ck_assert((char *)&target->counts[0] >= (char *)&target[1]);
	target_put(target);
}
END_TEST

START_TEST(unix_path_and_name_are_copied)
{
	char text[] = "unix:/run/backend.sock";
	char name[] = "backend";
	struct target *target;
	struct addr addr;

	ck_assert_int_eq(addr_parse(text, &addr), 0);
	target = target_new(name, &addr, 1);
	memset(text, 'x', sizeof(text) - 1);
	memset(name, 'x', sizeof(name) - 1);
	ck_assert_str_eq(target->addr.path, "/run/backend.sock");
	ck_assert_str_eq(target->name, "backend");
	target_put(target);
}
END_TEST

START_TEST(put_accepts_null_and_frees_with_the_last_reference)
{
	struct target *target = make(1);

	target_put(NULL);
	target_get(target);
	target_put(target);
	ck_assert_uint_eq(target->refs, 1);
	target_put(target);
}
END_TEST

START_TEST(reserve_stops_at_the_limit_and_goes_on_after_a_release)
{
	struct target *target = make(1);

	target->max_connections = 2;
	ck_assert(target_reserve(target));
	ck_assert(!target_is_full(target));
	ck_assert(target_reserve(target));
	ck_assert(target_is_full(target));
	ck_assert(!target_reserve(target));
	ck_assert_uint_eq(target_inflight(target), 2);
	target_release(target);
	ck_assert(!target_is_full(target));
	ck_assert(target_reserve(target));
	target_put(target);
}
END_TEST

START_TEST(no_limit_never_refuses)
{
	struct target *target = make(1);

	for (int i = 0; i < 100000; i++)
		ck_assert(target_reserve(target));
	ck_assert(!target_is_full(target));
	target_put(target);
}
END_TEST

START_TEST(lowered_limit_refuses_until_enough_have_ended)
{
	struct target *target = make(1);

	for (int i = 0; i < 5; i++)
		ck_assert(target_reserve(target));
	target->max_connections = 3;
	ck_assert(!target_reserve(target));
	for (int i = 0; i < 2; i++)
		target_release(target);
	ck_assert(!target_reserve(target));
	target_release(target);
	ck_assert(target_reserve(target));
	target_put(target);
}
END_TEST

START_TEST(closed_target_takes_nobody)
{
	struct target *target = make(1);

	target->closed = true;
	ck_assert(!target_reserve(target));
	ck_assert_uint_eq(target_inflight(target), 0);
	target->closed = false;
	ck_assert(target_reserve(target));
	target_put(target);
}
END_TEST

/* The clock goes on meanwhile, so gaps are far longer than any test. */
START_TEST(connect_rate_lets_a_burst_through_and_then_refuses)
{
	struct target *target = make(1);
	uint64_t before = clock_us();

	target->connect_gap_us = 1000 * 1000 * 1000;
	ck_assert(target_reserve(target));
	ck_assert(!target_reserve(target));
	ck_assert_uint_eq(target_inflight(target), 1);
	ck_assert_uint_ge(target->connect_next_us, before + target->connect_gap_us);
	target->connect_next_us = 0; /* as if that time had passed */
	ck_assert(target_reserve(target));
	ck_assert(!target_reserve(target));
	target_put(target);
}
END_TEST

START_TEST(connect_rate_grants_a_tenth_of_a_second_in_advance)
{
	struct target *target = make(1);
	int granted = 0;

	target->connect_gap_us = 10 * 1000;
	target->connect_next_us = clock_us() + 60 * 1000;
	while (target_reserve(target))
		granted++;
	/* 60, 70, 80 and 90 ms ahead; more only if the test was interrupted for 10 ms. */
	ck_assert_int_ge(granted, 4);
	ck_assert_uint_gt(target->connect_next_us, clock_us());
	target_put(target);
}
END_TEST

START_TEST(release_without_reserve_aborts)
{
	target_release(make(1));
}
END_TEST

#define FIGHTERS 4
#define ROUNDS   100000
#define LIMIT    3

struct fight {
	struct target *target;
	_Atomic uint32_t inside;  /* an independent count of held slots */
	_Atomic uint32_t highest; /* of `inside` */
	_Atomic uint64_t granted;
	pthread_barrier_t start;
};

static void note_highest(struct fight *fight, uint32_t inside)
{
	uint32_t seen = atomic_load(&fight->highest);

	while (inside > seen && !atomic_compare_exchange_weak(&fight->highest, &seen, inside))
		;
}

static void *fighter(void *arg)
{
	struct fight *fight = arg;

	pthread_barrier_wait(&fight->start);
	for (int i = 0; i < ROUNDS; i++) {
		if (!target_reserve(fight->target))
			continue;
		note_highest(fight, atomic_fetch_add(&fight->inside, 1) + 1);
		atomic_fetch_add(&fight->granted, 1);
		note_highest(fight, target_inflight(fight->target));
		atomic_fetch_sub(&fight->inside, 1);
		target_release(fight->target);
	}
	return NULL;
}

START_TEST(limit_is_never_exceeded_by_racing_threads)
{
	struct fight fight = {.target = make(1)};
	pthread_t threads[FIGHTERS];

	fight.target->max_connections = LIMIT;
	ck_assert_int_eq(pthread_barrier_init(&fight.start, NULL, FIGHTERS), 0);
	for (int i = 0; i < FIGHTERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, fighter, &fight), 0);
	for (int i = 0; i < FIGHTERS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_gt(fight.granted, 0);
	ck_assert_uint_le(fight.highest, LIMIT);
	ck_assert_uint_eq(target_inflight(fight.target), 0);
	pthread_barrier_destroy(&fight.start);
	target_put(fight.target);
}
END_TEST

static void *taker(void *arg)
{
	struct fight *fight = arg;

	pthread_barrier_wait(&fight->start);
	for (int i = 0; i < ROUNDS; i++)
		if (target_reserve(fight->target))
			atomic_fetch_add(&fight->granted, 1);
	return NULL;
}

START_TEST(racing_threads_get_every_slot_and_not_one_more)
{
	struct fight fight = {.target = make(1)};
	pthread_t threads[FIGHTERS];
	uint32_t limit = ROUNDS * 2;

	fight.target->max_connections = limit;
	ck_assert_int_eq(pthread_barrier_init(&fight.start, NULL, FIGHTERS), 0);
	for (int i = 0; i < FIGHTERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, taker, &fight), 0);
	for (int i = 0; i < FIGHTERS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(fight.granted, limit);
	ck_assert_uint_eq(target_inflight(fight.target), limit);
	pthread_barrier_destroy(&fight.start);
	target_put(fight.target);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("target");
	TCase *tcase = tcase_create("target");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, new_target_is_zeroed_and_holds_one_reference);
	tcase_add_test(tcase, counters_of_workers_share_no_cache_line);
	tcase_add_test(tcase, unix_path_and_name_are_copied);
	tcase_add_test(tcase, put_accepts_null_and_frees_with_the_last_reference);
	tcase_add_test(tcase, reserve_stops_at_the_limit_and_goes_on_after_a_release);
	tcase_add_test(tcase, no_limit_never_refuses);
	tcase_add_test(tcase, lowered_limit_refuses_until_enough_have_ended);
	tcase_add_test(tcase, closed_target_takes_nobody);
	tcase_add_test(tcase, connect_rate_lets_a_burst_through_and_then_refuses);
	tcase_add_test(tcase, connect_rate_grants_a_tenth_of_a_second_in_advance);
	if (srunner_fork_status(runner) == CK_FORK)
		tcase_add_test_raise_signal(tcase, release_without_reserve_aborts, SIGABRT);
	tcase_add_test(tcase, limit_is_never_exceeded_by_racing_threads);
	tcase_add_test(tcase, racing_threads_get_every_slot_and_not_one_more);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
