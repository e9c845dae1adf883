/* SPDX-License-Identifier: Apache-2.0
 *
 * What holds for every algorithm: who is never returned, what is said when nobody is left, and
 * that equal seeds give equal choices. The algorithms' own properties are in
 * balance_turns_test.c (round_robin, least_connections, first) and balance_hash_test.c
 * (random_two, maglev).
 */
#include <check.h>

#include "tests/unit/balance_rig.h"

/* Every test here runs once per algorithm: `_i` is the enum balance_kind. */
#define KIND ((enum balance_kind)_i)

START_TEST(algorithms_are_named)
{
	ck_assert_str_eq(balance_kind_names[BALANCE_ROUND_ROBIN], "round_robin");
	ck_assert_str_eq(balance_kind_names[BALANCE_LEAST_CONNECTIONS], "least_connections");
	ck_assert_str_eq(balance_kind_names[BALANCE_RANDOM_TWO], "random_two");
	ck_assert_str_eq(balance_kind_names[BALANCE_MAGLEV], "maglev");
	ck_assert_str_eq(balance_kind_names[BALANCE_FIRST], "first");
}
END_TEST

START_TEST(empty_pool_says_empty)
{
	struct rig rig;

	rig_init(&rig, KIND, 0);
	rig_open(&rig);
	ck_assert_int_eq(rig_pick(&rig, 1), BALANCE_EMPTY);
	rig_fini(&rig);
}
END_TEST

START_TEST(pool_without_weights_says_draining)
{
	struct rig rig;

	rig_init(&rig, KIND, 3);
	for (int i = 0; i < 3; i++)
		rig.members[i].weight = 0;
	rig.members[0].target->max_connections = 1;
	ck_assert(target_reserve(rig.members[0].target));
	rig_open(&rig);
	rig.query.tried[rig.query.tried_count++] = 1;
	ck_assert_int_eq(rig_pick(&rig, 1), BALANCE_DRAINING);
	rig_fini(&rig);
}
END_TEST

START_TEST(single_member_takes_everything)
{
	struct rig rig;

	rig_init(&rig, KIND, 1);
	rig_open(&rig);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(rig_pick(&rig, i), 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(member_without_weight_is_never_returned)
{
	struct rig rig;

	rig_init(&rig, KIND, 10);
	for (int i = 0; i < 10; i += 2)
		rig.members[i].weight = 0;
	rig_open(&rig);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(rig_pick(&rig, i) % 2, 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(full_member_is_skipped_until_it_has_room)
{
	struct rig rig;
	bool back = false;

	rig_init(&rig, KIND, 3);
	rig.members[0].target->max_connections = 1;
	ck_assert(target_reserve(rig.members[0].target));
	rig_open(&rig);
	for (int i = 0; i < 100; i++)
		ck_assert_int_ne(rig_pick(&rig, i), 0);
	target_release(rig.members[0].target);
	for (int i = 0; i < 100; i++)
		back = back || rig_pick(&rig, i) == 0;
	ck_assert(back);
	rig_fini(&rig);
}
END_TEST

START_TEST(closed_member_is_never_returned)
{
	struct rig rig;

	rig_init(&rig, KIND, 30);
	rig_open(&rig);
	for (int i = 0; i < 30; i += 3)
		rig.members[i].target->closed = true;
	for (int i = 0; i < 1000; i++)
		ck_assert_int_ne(rig_pick(&rig, i) % 3, 0);
	for (int i = 0; i < 30; i++)
		rig.members[i].target->closed = i != 22;
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(rig_pick(&rig, i), 22);
	rig_fini(&rig);
}
END_TEST

START_TEST(all_closed_says_draining)
{
	struct rig rig;

	rig_init(&rig, KIND, 3);
	for (int i = 0; i < 3; i++)
		rig.members[i].target->closed = true;
	rig_open(&rig);
	ck_assert_int_eq(rig_pick(&rig, 1), BALANCE_DRAINING);
	rig.query.tried[rig.query.tried_count++] = 1;
	ck_assert_int_eq(rig_pick(&rig, 1), BALANCE_TRIED);
	rig.members[0].target->closed = false;
	rig.members[0].target->max_connections = 1;
	ck_assert(target_reserve(rig.members[0].target));
	ck_assert_int_eq(rig_pick(&rig, 1), BALANCE_FULL);
	rig_fini(&rig);
}
END_TEST

START_TEST(tried_members_are_not_returned_again)
{
	struct rig rig;
	bool seen[8] = {false};

	rig_init(&rig, KIND, 8);
	rig_open(&rig);
	for (int i = 0; i < 8; i++) {
		int picked = rig_pick(&rig, 77);

		ck_assert_int_ge(picked, 0);
		ck_assert(!seen[picked]);
		seen[picked] = true;
		rig.query.tried[rig.query.tried_count++] = (uint32_t)picked;
	}
	ck_assert_int_eq(rig_pick(&rig, 77), BALANCE_TRIED);
	rig_fini(&rig);
}
END_TEST

START_TEST(all_full_says_full)
{
	struct rig rig;

	rig_init(&rig, KIND, 40);
	for (int i = 0; i < 40; i++) {
		rig.members[i].target->max_connections = 2;
		ck_assert(target_reserve(rig.members[i].target));
		ck_assert(target_reserve(rig.members[i].target));
	}
	rig_open(&rig);
	ck_assert_int_eq(rig_pick(&rig, 1), BALANCE_FULL);
	target_release(rig.members[33].target);
	ck_assert_int_eq(rig_pick(&rig, 1), 33);
	rig_fini(&rig);
}
END_TEST

START_TEST(full_beats_tried_while_something_untried_is_left)
{
	struct rig rig;

	rig_init(&rig, KIND, 3);
	rig.members[2].weight = 0;
	rig.members[1].target->max_connections = 1;
	ck_assert(target_reserve(rig.members[1].target));
	rig_open(&rig);
	rig.query.tried[rig.query.tried_count++] = 0;
	ck_assert_int_eq(rig_pick(&rig, 1), BALANCE_FULL);
	rig.query.tried[rig.query.tried_count++] = 1;
	ck_assert_int_eq(rig_pick(&rig, 1), BALANCE_TRIED);
	rig_fini(&rig);
}
END_TEST

START_TEST(only_usable_one_of_a_thousand_is_found)
{
	struct rig rig;

	rig_init(&rig, KIND, 1000);
	for (int i = 0; i < 1000; i++) {
		rig.members[i].target->max_connections = 1;
		if (i != 617)
			ck_assert(target_reserve(rig.members[i].target));
	}
	rig_open(&rig);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(rig_pick(&rig, i), 617);
	rig_fini(&rig);
}
END_TEST

START_TEST(picking_reserves_nothing)
{
	struct rig rig;

	rig_init(&rig, KIND, 5);
	rig_open(&rig);
	for (int i = 0; i < 100; i++)
		rig_pick(&rig, i);
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(target_inflight(rig.members[i].target), 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(equal_seeds_give_equal_choices)
{
	struct rig rig;
	struct balance_cursor *twin;

	rig_init(&rig, KIND, 50);
	for (int i = 0; i < 50; i++)
		rig.members[i].weight = 1 + (uint32_t)i % 7;
	rig_open(&rig);
	twin = balance_cursor_new(rig.balancer, 0, 1, RIG_SEED);
	for (int i = 0; i < 1000; i++) {
		int picked = rig_pick(&rig, i);

		ck_assert_int_eq(picked, balance_pick(twin, &rig.query));
	}
	balance_cursor_free(twin);
	rig_fini(&rig);
}
END_TEST

START_TEST(members_may_be_freed_once_the_balancer_is_made)
{
	struct rig rig;
	struct balance_member copy[4];

	rig_init(&rig, KIND, 4);
	memcpy(copy, rig.members, sizeof(copy));
	rig_open(&rig);
	memset(rig.members, 0xff, sizeof(copy));
	for (int i = 0; i < 20; i++)
		ck_assert_int_ge(rig_pick(&rig, i), 0);
	memcpy(rig.members, copy, sizeof(copy));
	rig_fini(&rig);
}
END_TEST

START_TEST(free_accepts_null)
{
	balancer_put(NULL);
	balance_cursor_free(NULL);
}
END_TEST

int main(void)
{
	TCase *each = tcase_create("each_algorithm");
	TCase *once = tcase_create("once");

	tcase_add_loop_test(each, empty_pool_says_empty, 0, BALANCE_KINDS);
	tcase_add_loop_test(each, pool_without_weights_says_draining, 0, BALANCE_KINDS);
	tcase_add_loop_test(each, single_member_takes_everything, 0, BALANCE_KINDS);
	tcase_add_loop_test(each, member_without_weight_is_never_returned, 0, BALANCE_KINDS);
	tcase_add_loop_test(each, full_member_is_skipped_until_it_has_room, 0, BALANCE_KINDS);
	tcase_add_loop_test(each, closed_member_is_never_returned, 0, BALANCE_KINDS);
	tcase_add_loop_test(each, all_closed_says_draining, 0, BALANCE_KINDS);
	tcase_add_loop_test(each, tried_members_are_not_returned_again, 0, BALANCE_KINDS);
	tcase_add_loop_test(each, all_full_says_full, 0, BALANCE_KINDS);
	tcase_add_loop_test(each, full_beats_tried_while_something_untried_is_left, 0,
			    BALANCE_KINDS);
	tcase_add_loop_test(each, only_usable_one_of_a_thousand_is_found, 0, BALANCE_KINDS);
	tcase_add_loop_test(each, picking_reserves_nothing, 0, BALANCE_KINDS);
	tcase_add_loop_test(each, equal_seeds_give_equal_choices, 0, BALANCE_KINDS);
	tcase_add_loop_test(each, members_may_be_freed_once_the_balancer_is_made, 0, BALANCE_KINDS);
	tcase_add_test(once, algorithms_are_named);
	tcase_add_test(once, free_accepts_null);
	return rig_run("balance", each, once);
}
