/* SPDX-License-Identifier: Apache-2.0
 *
 * random_two: what it draws and how it levels. maglev: shares, and how little moves when members
 * come and go. Everything is seeded, so the statistical bounds (five standard deviations or more)
 * hold on every run or on none.
 */
#include <check.h>

#include "tests/unit/balance_rig.h"

#define CLIENTS 100000

/* Whether `count` of `total` is the share weight/sum, within a tolerance in percent of it. */
static void check_share(unsigned count, unsigned total, unsigned weight, unsigned sum,
			unsigned percent)
{
	double expected = (double)total * weight / sum;

	ck_assert_msg(count > expected * (100 - percent) / 100 &&
			      count < expected * (100 + percent) / 100,
		      "%u, expected %.0f", count, expected);
}

/* Load in proportion to the weight: every comparison is then a tie, and the first draw wins. */
static void tie_all(struct rig *rig)
{
	for (size_t i = 0; i < rig->count; i++)
		rig->members[i].target->inflight = rig->members[i].weight * 10 - 1;
}

START_TEST(random_two_draws_by_weight)
{
	struct rig rig;
	unsigned counts[10] = {0};

	rig_init(&rig, BALANCE_RANDOM_TWO, 10);
	for (uint32_t i = 0; i < 10; i++)
		rig.members[i].weight = 1 + i;
	tie_all(&rig);
	rig_open(&rig);
	rig_count(&rig, CLIENTS, counts);
	for (unsigned i = 0; i < 10; i++)
		check_share(counts[i], CLIENTS, i + 1, 55, 12);
	rig_fini(&rig);
}
END_TEST

START_TEST(random_two_draws_by_weight_among_what_is_left)
{
	struct rig rig;
	unsigned counts[100] = {0};

	/* With 50 full, more than its list of exceptions holds. */
	rig_init(&rig, BALANCE_RANDOM_TWO, 100);
	for (uint32_t i = 0; i < 100; i++)
		rig.members[i].weight = 1 + i % 2 * 2;
	tie_all(&rig);
	for (int i = 0; i < 100; i++)
		if (i % 4 < 2)
			rig.members[i].target->max_connections = 1;
	rig.query.tried[rig.query.tried_count++] = 3;
	rig_open(&rig);
	rig_count(&rig, CLIENTS, counts);
	for (int i = 0; i < 100; i++)
		if (i % 4 < 2 || i == 3)
			ck_assert_uint_eq(counts[i], 0);
		else
			check_share(counts[i], CLIENTS, rig.members[i].weight, 25 + 24 * 3, 20);
	rig_fini(&rig);
}
END_TEST

START_TEST(random_two_compares_two_different_members)
{
	struct rig rig;

	rig_init(&rig, BALANCE_RANDOM_TWO, 2);
	rig.members[0].weight = 1000;
	rig.members[0].target->inflight = 5000;
	rig_open(&rig);
	for (int i = 0; i < 10000; i++)
		ck_assert_int_eq(rig_pick(&rig, i), 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(random_two_never_gives_the_most_loaded)
{
	struct rig rig;

	rig_init(&rig, BALANCE_RANDOM_TWO, 20);
	rig.members[13].target->inflight = 1;
	rig_open(&rig);
	for (int i = 0; i < 10000; i++)
		ck_assert_int_ne(rig_pick(&rig, i), 13);
	rig_fini(&rig);
}
END_TEST

START_TEST(random_two_levels_under_load)
{
	struct rig rig;

	rig_init(&rig, BALANCE_RANDOM_TWO, 100);
	for (uint32_t i = 0; i < 100; i++)
		rig.members[i].weight = 1 + i % 3;
	rig_open(&rig);
	for (int i = 0; i < 20000; i++)
		ck_assert(target_reserve(rig.members[rig_pick(&rig, i)].target));
	/* A single draw would stray by 10 to 17 standard, 40 at most; two stay within 8 per weight.
	 */
	for (int i = 0; i < 100; i++) {
		double fair = 20000.0 * rig.members[i].weight / 199;
		double stray = target_inflight(rig.members[i].target) - fair;

		ck_assert_double_lt(stray < 0 ? -stray : stray, 8.0 * rig.members[i].weight);
	}
	rig_fini(&rig);
}
END_TEST

START_TEST(workers_draw_differently_from_one_seed)
{
	struct rig rig;
	struct balance_cursor *other;
	int same = 0;

	rig_init(&rig, BALANCE_RANDOM_TWO, 100);
	rig_open(&rig);
	other = balance_cursor_new(rig.balancer, 1, 2, RIG_SEED);
	for (int i = 0; i < 1000; i++)
		same += rig_pick(&rig, i) == balance_pick(other, &rig.query);
	ck_assert_int_lt(same, 50);
	balance_cursor_free(other);
	rig_fini(&rig);
}
END_TEST

static void pick_all(struct rig *rig, int *picked)
{
	rig_open(rig);
	for (int i = 0; i < CLIENTS; i++)
		picked[i] = rig_pick(rig, i);
}

/* Of the clients that were not at `gone` before, how many have moved, in 1/10,000. */
static int moved(const int *before, const int *after, int gone)
{
	int others = 0;
	int moves = 0;

	for (int i = 0; i < CLIENTS; i++) {
		if (before[i] == gone)
			continue;
		others++;
		moves += after[i] != before[i];
	}
	return (int)(moves * INT64_C(10000) / others);
}

static int before[CLIENTS];
static int after[CLIENTS];

START_TEST(maglev_shares_are_even)
{
	struct rig rig;
	unsigned counts[1000] = {0};

	rig_init(&rig, BALANCE_MAGLEV, (size_t)_i);
	rig_open(&rig);
	rig_count(&rig, _i * 2000, counts);
	for (int i = 0; i < _i; i++)
		check_share(counts[i], (unsigned)_i * 2000, 1, (unsigned)_i, 15);
	rig_fini(&rig);
}
END_TEST

START_TEST(maglev_shares_follow_the_weights)
{
	struct rig rig;
	unsigned counts[50] = {0};

	rig_init(&rig, BALANCE_MAGLEV, 50);
	for (uint32_t i = 0; i < 50; i++)
		rig.members[i].weight = i % 5 * 25;
	rig_open(&rig);
	rig_count(&rig, 500000, counts);
	for (unsigned i = 0; i < 50; i++)
		if (i % 5 == 0)
			ck_assert_uint_eq(counts[i], 0);
		else
			check_share(counts[i], 500000, i % 5, 100, 10);
	rig_fini(&rig);
}
END_TEST

START_TEST(maglev_lightest_member_has_clients_too)
{
	struct rig rig;
	unsigned counts[100] = {0};

	rig_init(&rig, BALANCE_MAGLEV, 100);
	for (int i = 1; i < 100; i++)
		rig.members[i].weight = 1000;
	rig_open(&rig);
	rig_count(&rig, 1000000, counts);
	ck_assert_uint_gt(counts[0], 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(maglev_moves_few_when_one_of_a_hundred_goes)
{
	struct rig rig;

	rig_init(&rig, BALANCE_MAGLEV, 100);
	pick_all(&rig, before);
	for (int gone = 5; gone < 100; gone += 30) {
		struct balance_member kept = rig.members[gone];
		struct balance_member last = rig.members[99];

		/* The last one takes its place, as the order must not matter either. */
		rig.members[gone] = last;
		rig.count = 99;
		pick_all(&rig, after);
		for (int i = 0; i < CLIENTS; i++)
			after[i] = after[i] == gone ? 99 : after[i];
		ck_assert_int_lt(moved(before, after, gone), 200);
		rig.count = 100;
		rig.members[gone] = kept;
	}
	rig_fini(&rig);
}
END_TEST

START_TEST(maglev_moves_few_when_one_of_a_hundred_drains)
{
	struct rig rig;

	rig_init(&rig, BALANCE_MAGLEV, 100);
	pick_all(&rig, before);
	rig.members[42].weight = 0;
	pick_all(&rig, after);
	ck_assert_int_lt(moved(before, after, 42), 200);
	ck_assert_int_gt(moved(before, after, -1), 50);
	rig_fini(&rig);
}
END_TEST

START_TEST(maglev_moves_few_when_one_joins_a_hundred)
{
	struct rig rig;

	rig_init(&rig, BALANCE_MAGLEV, 101);
	rig.count = 100;
	pick_all(&rig, before);
	rig.count = 101;
	pick_all(&rig, after);
	for (int i = 0; i < CLIENTS; i++)
		before[i] = after[i] == 100 ? 100 : before[i];
	ck_assert_int_lt(moved(before, after, 100), 200);
	rig_fini(&rig);
}
END_TEST

START_TEST(maglev_table_does_not_depend_on_the_order_of_members)
{
	struct rig rig;
	struct balance_member swap;

	rig_init(&rig, BALANCE_MAGLEV, 64);
	pick_all(&rig, before);
	for (int i = 0; i < 32; i++) {
		swap = rig.members[i];
		rig.members[i] = rig.members[63 - i];
		rig.members[63 - i] = swap;
	}
	pick_all(&rig, after);
	for (int i = 0; i < CLIENTS; i++)
		ck_assert_int_eq(before[i], 63 - after[i]);
	rig_fini(&rig);
}
END_TEST

START_TEST(maglev_is_the_same_for_every_worker_and_seed)
{
	struct rig rig;
	struct balance_cursor *other;

	rig_init(&rig, BALANCE_MAGLEV, 10);
	rig_open(&rig);
	other = balance_cursor_new(rig.balancer, 3, 4, 99);
	for (int i = 0; i < 1000; i++) {
		int picked = rig_pick(&rig, i);

		ck_assert_int_eq(picked, balance_pick(other, &rig.query));
	}
	balance_cursor_free(other);
	rig_fini(&rig);
}
END_TEST

START_TEST(maglev_spreads_the_clients_of_a_failed_member_and_moves_no_others)
{
	struct rig rig;
	unsigned counts[10] = {0};
	unsigned orphans = 0;

	rig_init(&rig, BALANCE_MAGLEV, 10);
	pick_all(&rig, before);
	rig.query.tried[rig.query.tried_count++] = 3;
	pick_all(&rig, after);
	for (int i = 0; i < CLIENTS; i++) {
		if (before[i] != 3) {
			ck_assert_int_eq(after[i], before[i]);
			continue;
		}
		orphans++;
		counts[after[i]]++;
	}
	ck_assert_uint_eq(counts[3], 0);
	for (int i = 0; i < 10; i++)
		if (i != 3)
			check_share(counts[i], orphans, 1, 9, 25);
	rig_fini(&rig);
}
END_TEST

int main(void)
{
	TCase *random_two = tcase_create("random_two");
	TCase *maglev = tcase_create("maglev");

	tcase_add_test(random_two, random_two_draws_by_weight);
	tcase_add_test(random_two, random_two_draws_by_weight_among_what_is_left);
	tcase_add_test(random_two, random_two_compares_two_different_members);
	tcase_add_test(random_two, random_two_never_gives_the_most_loaded);
	tcase_add_test(random_two, random_two_levels_under_load);
	tcase_add_test(random_two, workers_draw_differently_from_one_seed);
	tcase_add_loop_test(maglev, maglev_shares_are_even, 1, 4);
	tcase_add_loop_test(maglev, maglev_shares_are_even, 100, 101);
	tcase_add_loop_test(maglev, maglev_shares_are_even, 1000, 1001);
	tcase_add_test(maglev, maglev_shares_follow_the_weights);
	tcase_add_test(maglev, maglev_lightest_member_has_clients_too);
	tcase_add_test(maglev, maglev_moves_few_when_one_of_a_hundred_goes);
	tcase_add_test(maglev, maglev_moves_few_when_one_of_a_hundred_drains);
	tcase_add_test(maglev, maglev_moves_few_when_one_joins_a_hundred);
	tcase_add_test(maglev, maglev_table_does_not_depend_on_the_order_of_members);
	tcase_add_test(maglev, maglev_is_the_same_for_every_worker_and_seed);
	tcase_add_test(maglev, maglev_spreads_the_clients_of_a_failed_member_and_moves_no_others);
	return rig_run("balance_hash", random_two, maglev);
}
