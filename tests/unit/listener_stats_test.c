/* SPDX-License-Identifier: Apache-2.0
 *
 * Places of a listener, and sessions by the VPC endpoint they came through: exact while there is
 * room, bounded in what is remembered.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/listener_stats.h"
#include "tests/unit/conf_rig.h"

static struct listener_stats *stats;

static void count_vpce(unsigned number, unsigned times)
{
	char id[64];

	snprintf(id, sizeof(id), "vpce-%u", number);
	while (times--)
		listener_stats_count_vpce(stats, id);
}

static void expect_vpce(size_t index, const char *id, uint64_t sessions)
{
	uint64_t got = 0;
	const char *name = listener_stats_vpce(stats, index, &got);

	ck_assert_ptr_nonnull(name);
	ck_assert_str_eq(name, id);
	ck_assert_uint_eq(got, sessions);
}

START_TEST(places_are_taken_up_to_the_limit_and_given_back)
{
	stats = listener_stats_new("web", 1);
	ck_assert(listener_stats_reserve(stats, 2));
	ck_assert(listener_stats_reserve(stats, 2));
	ck_assert(!listener_stats_reserve(stats, 2));
	listener_stats_release(stats);
	ck_assert(listener_stats_reserve(stats, 2));
	listener_stats_put(stats);
}
END_TEST

START_TEST(endpoints_are_counted_apart_in_the_order_they_came)
{
	uint64_t untouched = 42;

	stats = listener_stats_new("web", 1);
	ck_assert_ptr_null(listener_stats_vpce(stats, 0, &untouched));
	ck_assert_uint_eq(untouched, 42);
	count_vpce(7, 2);
	count_vpce(1, 3);
	count_vpce(7, 1);
	expect_vpce(0, "vpce-7", 3);
	expect_vpce(1, "vpce-1", 3);
	ck_assert_ptr_null(listener_stats_vpce(stats, 2, &untouched));
	listener_stats_put(stats);
}
END_TEST

START_TEST(endpoints_beyond_the_bound_are_counted_together)
{
	uint64_t untouched = 42;

	stats = listener_stats_new("web", 1);
	for (unsigned i = 0; i < VPCE_IDS_MAX + 5; i++)
		count_vpce(i, 2);
	count_vpce(0, 1);
	count_vpce(VPCE_IDS_MAX + 1, 1);
	expect_vpce(0, "vpce-0", 3);
	expect_vpce(VPCE_IDS_MAX - 1, "vpce-63", 2);
	expect_vpce(VPCE_IDS_MAX, "other", 11);
	ck_assert_ptr_null(listener_stats_vpce(stats, VPCE_IDS_MAX + 1, &untouched));
	listener_stats_put(stats);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		places_are_taken_up_to_the_limit_and_given_back,
		endpoints_are_counted_apart_in_the_order_they_came,
		endpoints_beyond_the_bound_are_counted_together,
	};

	return run_tests("listener_stats", tests, COUNT(tests));
}
