/* SPDX-License-Identifier: Apache-2.0
 *
 * Outliers: who is ejected, for how long, and who never is.
 */
/* link: -Wl,--wrap=log_event,--wrap=clock_gettime */
#include "tests/unit/registry_rig.h"

static void setup(void)
{
	rig_setup();
	put_range("config", 1, 20);
}

static void fails(unsigned n, uint32_t failures)
{
	atomic_store(&nth(n)->target->failures, failures);
	registry_outliers(rig);
}

static unsigned ejected(void)
{
	unsigned count = 0;

	for (size_t i = 0; i < pool_a()->target_count; i++)
		count += pool_a()->targets[i]->standing == STANDING_EJECTED;
	return count;
}

START_TEST(failures_in_a_row_eject_and_time_brings_back)
{
	fails(1, 4);
	expect_standing(nth(1), STANDING_SERVING);
	fails(1, 5);
	expect_standing(nth(1), STANDING_EJECTED);
	ck_assert_uint_eq(nth(1)->target->failures, 0);
	ck_assert_uint_eq(nth(1)->ejected_until_us, rig_now_us + 30 * US_PER_SEC);
	ck_assert_uint_eq(events_of("target_ejected"), 1);
	pass_us(29 * US_PER_SEC);
	expect_standing(nth(1), STANDING_EJECTED);
	pass_us(US_PER_SEC);
	expect_standing(nth(1), STANDING_SERVING);
	ck_assert_uint_eq(nth(1)->ejected_until_us, 0);
}
END_TEST

START_TEST(ejection_doubles_up_to_its_bound)
{
	static const unsigned seconds[] = {30, 60, 120, 240, 300, 300};

	for (unsigned i = 0; i < COUNT(seconds); i++) {
		fails(1, 5);
		ck_assert_uint_eq(nth(1)->ejected_until_us - rig_now_us, seconds[i] * US_PER_SEC);
		pass_us(seconds[i] * US_PER_SEC);
		expect_standing(nth(1), STANDING_SERVING);
	}
}
END_TEST

START_TEST(good_behaviour_is_rewarded_step_by_step)
{
	for (unsigned i = 0; i < 3; i++) {
		fails(1, 5);
		pass_us(nth(1)->ejected_until_us - rig_now_us);
	}
	ck_assert_uint_eq(nth(1)->ejections, 3);
	pass_us(30 * US_PER_SEC);
	ck_assert_uint_eq(nth(1)->ejections, 2);
	pass_us(61 * US_PER_SEC);
	ck_assert_uint_eq(nth(1)->ejections, 0);
	fails(1, 5);
	ck_assert_uint_eq(nth(1)->ejected_until_us - rig_now_us, 30 * US_PER_SEC);
}
END_TEST

START_TEST(no_more_than_max_ejected_of_a_pool)
{
	for (unsigned i = 1; i <= 20; i++)
		atomic_store(&nth(i)->target->failures, 9);
	registry_outliers(rig);
	ck_assert_uint_eq(ejected(), 2);
	/* The next one goes when the first comes back. */
	pass_us(31 * US_PER_SEC);
	ck_assert_uint_eq(ejected(), 0);
	registry_outliers(rig);
	ck_assert_uint_eq(ejected(), 2);
	expect_standing(nth(3), STANDING_EJECTED);
}
END_TEST

START_TEST(share_of_a_small_pool_is_rounded_up_but_the_last_one_stays)
{
	put_range("config", 1, 2);
	fails(1, 5);
	expect_standing(nth(1), STANDING_EJECTED);
	fails(2, 50);
	expect_standing(nth(2), STANDING_SERVING);
	ck_assert_uint_eq(nth(2)->ejections, 0);
	put_range("config", 1, 1);
	/* Now it is the last one, and ejections are for those who have company. */
	expect_standing(nth(1), STANDING_SERVING);
	fails(1, 50);
	expect_standing(nth(1), STANDING_SERVING);
}
END_TEST

START_TEST(max_ejected_of_everybody_still_leaves_one)
{
	rig_pools[0].outlier.max_ejected_percent = 100;
	rig_configure();
	put_range("config", 1, 3);
	for (unsigned i = 1; i <= 3; i++)
		fails(i, 5);
	ck_assert_uint_eq(ejected(), 2);
	ck_assert_uint_eq(pool_a()->usable, 1);
}
END_TEST

START_TEST(max_ejected_zero_ejects_nobody)
{
	rig_pools[0].outlier.max_ejected_percent = 0;
	rig_configure();
	fails(1, 500);
	ck_assert_uint_eq(ejected(), 0);
}
END_TEST

START_TEST(smaller_pool_takes_ejections_back)
{
	fails(1, 5);
	rig_now_us += US_PER_SEC;
	fails(2, 5);
	ck_assert_uint_eq(ejected(), 2);
	put_range("config", 1, 10);
	/* The one that would have come back first. */
	expect_standing(nth(1), STANDING_SERVING);
	expect_standing(nth(2), STANDING_EJECTED);
}
END_TEST

START_TEST(ejected_one_comes_back_when_checks_take_all_others)
{
	rig_pools[0].health.kind = HEALTH_TCP;
	rig_configure();
	put_range("config", 1, 2);
	check_says(nth(1), HEALTH_UP, "connected");
	check_says(nth(2), HEALTH_UP, "connected");
	fails(1, 5);
	expect_standing(nth(1), STANDING_EJECTED);
	check_says(nth(2), HEALTH_DOWN, "refused");
	expect_standing(nth(1), STANDING_SERVING);
	ck_assert(!pool_a()->panic);
}
END_TEST

START_TEST(recovery_that_checks_saw_ends_an_ejection)
{
	rig_pools[0].health.kind = HEALTH_TCP;
	rig_configure();
	for (unsigned i = 1; i <= 20; i++)
		check_says(nth(i), HEALTH_UP, "connected");
	fails(1, 5);
	check_says(nth(1), HEALTH_UP, "connected");
	expect_standing(nth(1), STANDING_EJECTED);
	check_says(nth(1), HEALTH_DOWN, "connect refused");
	check_says(nth(1), HEALTH_GOING_UP, "connected");
	expect_standing(nth(1), STANDING_DOWN);
	ck_assert_uint_ne(nth(1)->ejected_until_us, 0);
	check_says(nth(1), HEALTH_UP, "connected");
	expect_standing(nth(1), STANDING_SERVING);
	ck_assert_uint_eq(nth(1)->ejected_until_us, 0);
	ck_assert_uint_eq(nth(1)->ejections, 1);
}
END_TEST

START_TEST(outlier_off_ejects_nobody_and_frees_who_was)
{
	fails(1, 5);
	rig_pools[0].outlier.failures = 0;
	rig_configure();
	expect_standing(nth(1), STANDING_SERVING);
	fails(1, 500);
	expect_standing(nth(1), STANDING_SERVING);
}
END_TEST

START_TEST(targets_that_are_out_anyway_are_not_ejected)
{
	say(nth(1), OVERRIDE_DRAIN, -1);
	fails(1, 50);
	ck_assert_uint_eq(nth(1)->ejections, 0);
	rig_pools[0].health.kind = HEALTH_TCP;
	rig_configure();
	check_says(nth(2), HEALTH_DOWN, "refused");
	fails(2, 50);
	ck_assert_uint_eq(nth(2)->ejections, 0);
}
END_TEST

START_TEST(nothing_is_ejected_in_panic)
{
	rig_pools[0].health.kind = HEALTH_TCP;
	rig_pools[0].min_healthy_percent = 100;
	rig_configure();
	for (unsigned i = 1; i <= 20; i++)
		check_says(nth(i), i == 20 ? HEALTH_DOWN : HEALTH_UP, "said");
	ck_assert(pool_a()->panic);
	fails(2, 50);
	ck_assert_uint_eq(nth(2)->ejections, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		failures_in_a_row_eject_and_time_brings_back,
		ejection_doubles_up_to_its_bound,
		good_behaviour_is_rewarded_step_by_step,
		no_more_than_max_ejected_of_a_pool,
		share_of_a_small_pool_is_rounded_up_but_the_last_one_stays,
		max_ejected_of_everybody_still_leaves_one,
		max_ejected_zero_ejects_nobody,
		smaller_pool_takes_ejections_back,
		ejected_one_comes_back_when_checks_take_all_others,
		recovery_that_checks_saw_ends_an_ejection,
		outlier_off_ejects_nobody_and_frees_who_was,
		targets_that_are_out_anyway_are_not_ejected,
		nothing_is_ejected_in_panic,
	};

	return run_rigged("registry_outlier", tests, COUNT(tests), setup, rig_shut);
}
