/* SPDX-License-Identifier: Apache-2.0
 *
 * round_robin: exact shares at every moment, where rounds begin, what skipping does. Then
 * least_connections and first.
 */
#include <check.h>

#include "tests/unit/balance_rig.h"

/* A repeatable stream of numbers to make up weights and loads from. */
static uint32_t scramble(uint32_t i)
{
	return (uint32_t)((i + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 33);
}

static uint64_t weight_sum(const struct rig *rig)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < rig->count; i++)
		sum += rig->members[i].weight;
	return sum;
}

/* All equal; one heavy among light ones; a mix without a common divisor. The first is the heaviest,
 * so that worker 0, whose round begins with it, begins where a round does. */
static void make_weights(struct rig *rig, int shape)
{
	for (size_t i = 0; i < rig->count; i++)
		rig->members[i].weight = shape == 2 ? 1 + scramble((uint32_t)i) % 60 : 1;
	if (shape)
		rig->members[0].weight = 100;
}

/* Pick for three rounds; in none of them may a member stray from its share by `turns` or more. */
static void check_shares(struct rig *rig, int64_t turns)
{
	int64_t had[100] = {0};
	int64_t sum = (int64_t)weight_sum(rig);
	int64_t worst = 0;
	bool exact = true;

	for (int64_t picks = 1; picks <= 3 * sum; picks++) {
		had[rig_pick(rig, 0)]++;
		for (size_t i = 0; i < rig->count; i++) {
			int64_t stray = had[i] * sum - picks * rig->members[i].weight;

			worst = llabs(stray) > worst ? llabs(stray) : worst;
			exact = exact && (picks % sum || !stray);
		}
	}
	ck_assert_int_lt(worst, turns * sum);
	ck_assert(exact);
}

START_TEST(shares_never_stray_by_a_whole_turn)
{
	struct rig rig;

	rig_init(&rig, BALANCE_ROUND_ROBIN, 100);
	make_weights(&rig, _i);
	rig_open(&rig);
	check_shares(&rig, 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(shares_hold_wherever_the_round_begins)
{
	struct rig rig;

	for (unsigned worker = 1; worker < 4; worker++) {
		rig_init(&rig, BALANCE_ROUND_ROBIN, 50);
		make_weights(&rig, _i);
		rig_open_worker(&rig, worker, 4);
		check_shares(&rig, 2);
		rig_fini(&rig);
	}
}
END_TEST

START_TEST(turns_of_a_member_are_spread_over_the_round)
{
	struct rig rig;
	int64_t last[100] = {0};
	int64_t sum;

	rig_init(&rig, BALANCE_ROUND_ROBIN, 100);
	make_weights(&rig, 2);
	rig_open(&rig);
	sum = (int64_t)weight_sum(&rig);
	for (int64_t now = 1; now <= 4 * sum; now++) {
		int picked = rig_pick(&rig, 0);

		ck_assert_int_lt((now - last[picked]) * rig.members[picked].weight, 2 * sum);
		last[picked] = now;
	}
	for (int i = 0; i < 100; i++)
		ck_assert_int_lt((4 * sum - last[i]) * rig.members[i].weight, 2 * sum);
	rig_fini(&rig);
}
END_TEST

START_TEST(heavy_member_alternates_with_the_light_ones)
{
	struct rig rig;
	int previous = -1;

	rig_init(&rig, BALANCE_ROUND_ROBIN, 101);
	rig.members[0].weight = 100;
	rig_open(&rig);
	for (int i = 0; i < 1000; i++) {
		int picked = rig_pick(&rig, 0);

		ck_assert((picked == 0) != (previous == 0));
		previous = picked;
	}
	rig_fini(&rig);
}
END_TEST

START_TEST(equal_members_take_turns_in_order)
{
	struct rig rig;

	rig_init(&rig, BALANCE_ROUND_ROBIN, 7);
	for (int i = 0; i < 7; i++)
		rig.members[i].weight = 100;
	rig_open(&rig);
	for (int i = 0; i < 70; i++)
		ck_assert_int_eq(rig_pick(&rig, 0), i % 7);
	rig_fini(&rig);
}
END_TEST

/* Also least_connections, whose turns among equals begin there too. */
START_TEST(workers_begin_at_different_members)
{
	static const enum balance_kind kinds[] = {BALANCE_ROUND_ROBIN, BALANCE_LEAST_CONNECTIONS};
	struct rig rig;
	unsigned first[6] = {0};

	rig_init(&rig, kinds[_i], 6);
	for (unsigned worker = 0; worker < 6; worker++) {
		rig_open_worker(&rig, worker, 6);
		first[rig_pick(&rig, 0)]++;
	}
	for (int i = 0; i < 6; i++)
		ck_assert_uint_eq(first[i], 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(workers_begin_at_different_members_of_nearly_equal_weight)
{
	struct rig rig;
	unsigned first[3] = {0};

	rig_init(&rig, BALANCE_ROUND_ROBIN, 3);
	rig.members[0].weight = 100;
	rig.members[1].weight = 99;
	rig.members[2].weight = 101;
	for (unsigned worker = 0; worker < 3; worker++) {
		rig_open_worker(&rig, worker, 3);
		first[rig_pick(&rig, 0)]++;
	}
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(first[i], 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(seed_moves_the_beginning)
{
	struct rig rig;
	bool begun[10] = {false};
	int different = 0;

	rig_init(&rig, BALANCE_ROUND_ROBIN, 10);
	rig_open(&rig);
	for (uint32_t i = 0; i < 50; i++) {
		struct balance_query query = {0};
		struct balance_cursor *cursor =
			balance_cursor_new(rig.balancer, 0, 1, (uint64_t)scramble(i) << 33);
		int picked = balance_pick(cursor, &query);

		different += !begun[picked];
		begun[picked] = true;
		balance_cursor_free(cursor);
	}
	ck_assert_int_gt(different, 5);
	rig_fini(&rig);
}
END_TEST

START_TEST(skipped_member_keeps_its_turn)
{
	struct rig rig;

	rig_init(&rig, BALANCE_ROUND_ROBIN, 3);
	rig_open(&rig);
	rig.members[0].target->closed = true;
	ck_assert_int_eq(rig_pick(&rig, 0), 1);
	rig.members[0].target->closed = false;
	ck_assert_int_eq(rig_pick(&rig, 0), 0);
	ck_assert_int_eq(rig_pick(&rig, 0), 2);
	rig_fini(&rig);
}
END_TEST

/* Pick for a session, and again for as long as `bad` is who it meets. */
static int pick_past(struct rig *rig, int bad, unsigned *met)
{
	int picked = rig_pick(rig, 0);

	if (picked != bad)
		return picked;
	(*met)++;
	rig->query.tried[rig->query.tried_count++] = (uint32_t)bad;
	picked = rig_pick(rig, 0);
	rig->query.tried_count = 0;
	return picked;
}

/* From 2 to 6 members, one of which refuses: it costs its own share of sessions a retry, and the
 * others take its sessions over in equal parts. */
START_TEST(retries_take_nobodys_turn)
{
	struct rig rig;
	unsigned counts[6] = {0};
	unsigned met = 0;

	rig_init(&rig, BALANCE_ROUND_ROBIN, (size_t)_i);
	rig_open(&rig);
	for (int i = 0; i < _i * (_i - 1) * 10; i++)
		counts[pick_past(&rig, 0, &met)]++;
	ck_assert_uint_eq(met, (unsigned)(_i - 1) * 10);
	for (int i = 1; i < _i; i++)
		ck_assert_uint_eq(counts[i], (unsigned)_i * 10);
	rig_fini(&rig);
}
END_TEST

START_TEST(others_share_by_weight_while_one_is_full)
{
	struct rig rig;
	unsigned counts[4] = {0};

	rig_init(&rig, BALANCE_ROUND_ROBIN, 4);
	for (uint32_t i = 0; i < 4; i++)
		rig.members[i].weight = 1 + i;
	rig.members[3].target->max_connections = 1;
	ck_assert(target_reserve(rig.members[3].target));
	rig_open(&rig);
	rig_count(&rig, 6000, counts);
	ck_assert_uint_eq(counts[3], 0);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_le(abs((int)counts[i] - 1000 * ((int)i + 1)), 4);
	rig_fini(&rig);
}
END_TEST

START_TEST(member_that_was_full_is_not_flooded_afterwards)
{
	struct rig rig;
	unsigned counts[3] = {0};

	rig_init(&rig, BALANCE_ROUND_ROBIN, 3);
	rig.members[1].target->max_connections = 1;
	ck_assert(target_reserve(rig.members[1].target));
	rig_open(&rig);
	rig_count(&rig, 3000, counts);
	target_release(rig.members[1].target);
	memset(counts, 0, sizeof(counts));
	rig_count(&rig, 9, counts);
	ck_assert_uint_ge(counts[1], 3);
	ck_assert_uint_le(counts[1], 4);
	rig_fini(&rig);
}
END_TEST

START_TEST(largest_weights_and_pools_are_exact)
{
	struct rig rig;
	unsigned counts[3] = {0};
	bool seen[65536] = {false};

	rig_init(&rig, BALANCE_ROUND_ROBIN, 3);
	rig.members[0].weight = UINT32_MAX;
	rig.members[1].weight = UINT32_MAX - 1;
	rig_open(&rig);
	rig_count(&rig, 100001, counts);
	ck_assert_int_le(abs((int)counts[0] - (int)counts[1]), 1);
	rig_fini(&rig);

	rig_init(&rig, BALANCE_ROUND_ROBIN, 65536);
	rig_open(&rig);
	for (int i = 0; i < 65536; i++) {
		int picked = rig_pick(&rig, 0);

		ck_assert(!seen[picked]);
		seen[picked] = true;
	}
	rig_fini(&rig);
}
END_TEST

START_TEST(least_connections_takes_the_exact_minimum)
{
	struct rig rig;

	rig_init(&rig, BALANCE_LEAST_CONNECTIONS, 32);
	make_weights(&rig, 2);
	rig_open(&rig);
	for (uint32_t round = 0; round < 2000; round++) {
		const struct balance_member *picked;

		for (uint32_t i = 0; i < 32; i++)
			rig.members[i].target->inflight = scramble(round * 32 + i) % 500;
		picked = &rig.members[rig_pick(&rig, 0)];
		for (int i = 0; i < 32; i++) {
			const struct balance_member *other = &rig.members[i];

			ck_assert_uint_le((picked->target->inflight + 1) * other->weight,
					  (other->target->inflight + 1) * picked->weight);
		}
	}
	rig_fini(&rig);
}
END_TEST

/* A thousand members: more than a pick reads. */
START_TEST(least_connections_never_takes_a_load_that_grew_for_a_small_one)
{
	struct rig rig;

	rig_init(&rig, BALANCE_LEAST_CONNECTIONS, 1000);
	rig_open(&rig);
	for (int i = 0; i < 1000; i++)
		rig.members[i].target->inflight = i != 500 ? 10 : 9;
	ck_assert_int_eq(rig_pick(&rig, 0), 500);
	rig_fini(&rig);
}
END_TEST

START_TEST(least_connections_notices_a_load_that_fell_within_32_picks)
{
	struct rig rig;

	rig_init(&rig, BALANCE_LEAST_CONNECTIONS, 1000);
	for (int i = 0; i < 1000; i++)
		rig.members[i].target->inflight = 10;
	rig_open(&rig);
	for (int i = 0; i < 100; i++) {
		int fell = (int)(scramble((uint32_t)i) % 1000);
		int picks = 1;

		rig.members[fell].target->inflight = 3;
		while (rig_pick(&rig, 0) != fell)
			ck_assert_int_le(++picks, 32);
		rig.members[fell].target->inflight = 10;
	}
	rig_fini(&rig);
}
END_TEST

START_TEST(least_connections_keeps_a_thousand_level_from_two_workers)
{
	static uint32_t open[5000];
	struct rig rig;
	struct balance_cursor *cursors[2];

	rig_init(&rig, BALANCE_LEAST_CONNECTIONS, 1000);
	rig_open(&rig);
	cursors[0] = rig.cursor;
	cursors[1] = balance_cursor_new(rig.balancer, 1, 2, RIG_SEED);
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t ends = scramble(i) % 5000;

		if (i >= 5000)
			target_release(rig.members[open[ends]].target);
		else
			ends = i;
		open[ends] = (uint32_t)balance_pick(cursors[scramble(i + 77) % 2], &rig.query);
		ck_assert(target_reserve(rig.members[open[ends]].target));
	}
	for (int i = 0; i < 1000; i++)
		if (target_inflight(rig.members[i].target) > 6)
			ck_abort_msg("%u of a fair 5", target_inflight(rig.members[i].target));
	balance_cursor_free(cursors[1]);
	rig_fini(&rig);
}
END_TEST

START_TEST(least_connections_forgets_what_the_last_session_tried)
{
	struct rig rig;

	rig_init(&rig, BALANCE_LEAST_CONNECTIONS, 1000);
	for (int i = 0; i < 1000; i++)
		rig.members[i].target->inflight = i != 321 ? 10 : 2;
	rig_open(&rig);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(rig_pick(&rig, 0), 321);
		rig.query.tried[rig.query.tried_count++] = 321;
		ck_assert_int_ne(rig_pick(&rig, 0), 321);
		rig.query.tried_count = 0;
	}
	rig_fini(&rig);
}
END_TEST

START_TEST(least_connections_fills_by_weight)
{
	struct rig rig;

	rig_init(&rig, BALANCE_LEAST_CONNECTIONS, 10);
	for (uint32_t i = 0; i < 10; i++)
		rig.members[i].weight = 1 + i;
	rig_open(&rig);
	for (int i = 0; i < 5500; i++)
		ck_assert(target_reserve(rig.members[rig_pick(&rig, 0)].target));
	for (unsigned i = 0; i < 10; i++)
		ck_assert_uint_eq(target_inflight(rig.members[i].target), 100 * (i + 1));
	rig_fini(&rig);
}
END_TEST

/* Three sessions at a time: by (inflight + 1) / weight alone the light one would get nobody. */
START_TEST(light_member_gets_its_share_while_it_is_idle)
{
	static const uint32_t weights[] = {10, 100, 100};
	unsigned counts[3] = {0};
	int under_way[3];
	struct rig rig;

	rig_init(&rig, BALANCE_LEAST_CONNECTIONS, 3);
	for (int i = 0; i < 3; i++)
		rig.members[i].weight = weights[i];
	rig_open(&rig);
	for (int i = 0; i < 21000; i++) {
		if (i >= 3)
			target_release(rig.members[under_way[i % 3]].target);
		under_way[i % 3] = rig_pick(&rig, 0);
		ck_assert(target_reserve(rig.members[under_way[i % 3]].target));
		counts[under_way[i % 3]]++;
	}
	ck_assert_uint_ge(counts[0], 700);
	ck_assert_uint_le(counts[0], 1300);
	ck_assert_uint_ge(counts[1], 9000);
	ck_assert_uint_ge(counts[2], 9000);
	rig_fini(&rig);
}
END_TEST

START_TEST(equally_loaded_members_take_turns_beside_a_busy_stretch)
{
	struct rig rig;
	unsigned counts[10] = {0};

	rig_init(&rig, BALANCE_LEAST_CONNECTIONS, 10);
	for (int i = 2; i < 9; i++)
		rig.members[i].target->inflight = 5;
	rig_open(&rig);
	rig_count(&rig, 300, counts);
	ck_assert_uint_eq(counts[0], 100);
	ck_assert_uint_eq(counts[1], 100);
	ck_assert_uint_eq(counts[9], 100);
	rig_fini(&rig);
}
END_TEST

/* A new balancer and cursor for the same rig, which go on from the old ones, with another seed. */
static void resume_rig(struct rig *rig, uint64_t seed)
{
	struct balancer *balancer = rig->balancer;
	struct balance_cursor *cursor = rig->cursor;

	rig->balancer = balancer_new(rig->kind, rig->members, rig->count, 0);
	rig->cursor = balance_cursor_new(rig->balancer, 0, 1, seed);
	balance_cursor_resume(rig->cursor, cursor);
	balance_cursor_free(cursor);
	balancer_put(balancer);
}

/* Every pick of a new cursor, as when sessions are rarer than changes. */
START_TEST(shares_hold_over_a_new_cursor_for_each_pick)
{
	static const unsigned weights[] = {50, 1, 10, 1, 7};
	unsigned counts[5] = {0};
	struct rig rig;

	rig_init(&rig, BALANCE_ROUND_ROBIN, 5);
	for (int i = 0; i < 5; i++)
		rig.members[i].weight = weights[i];
	rig_open(&rig);
	for (int i = 0; i < 69 * 4; i++) {
		resume_rig(&rig, (uint64_t)i << 40);
		counts[rig_pick(&rig, 0)]++;
	}
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_uint_ge(counts[i] + 1, 4 * weights[i]);
		ck_assert_uint_le(counts[i], 4 * weights[i] + 1);
	}
	rig_fini(&rig);
}
END_TEST

/* Its weight changes with each pick: the others' turns come all the same. */
START_TEST(turns_come_while_weights_change)
{
	unsigned counts[4] = {0};
	struct rig rig;

	rig_init(&rig, _i, 4);
	rig_open(&rig);
	for (int i = 0; i < 400; i++) {
		rig.members[0].weight = 1 + (unsigned)i % 2;
		resume_rig(&rig, 0);
		counts[rig_pick(&rig, 0)]++;
	}
	for (int i = 1; i < 4; i++)
		ck_assert_uint_ge(counts[i], 60);
	ck_assert_uint_ge(counts[0], 90);
	rig_fini(&rig);
}
END_TEST

/* Members are found again by their target, whatever their place. */
START_TEST(turns_go_on_when_members_leave_and_change_places)
{
	unsigned counts[5] = {0};
	struct balance_member first;
	struct rig rig;

	rig_init(&rig, _i, 5);
	rig_open(&rig);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(rig_pick(&rig, 0), i); /* 0, 1 */
	first = rig.members[0];
	rig.members[0] = rig.members[4];
	rig.members[4] = first;
	rig.members[1].weight = 0;
	resume_rig(&rig, UINT64_C(3) << 62);
	rig_count(&rig, 3, counts);
	ck_assert_uint_eq(counts[4], 0); /* it had its turn */
	ck_assert_uint_eq(counts[0] * counts[2] * counts[3], 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(retries_go_on_in_their_own_round)
{
	unsigned counts[4] = {0};
	struct rig rig;

	rig_init(&rig, BALANCE_ROUND_ROBIN, 4);
	rig_open(&rig);
	rig.query.tried_count = 1; /* the first, always */
	for (int i = 0; i < 30; i++) {
		resume_rig(&rig, 0);
		counts[rig_pick(&rig, 0)]++;
	}
	ck_assert_uint_eq(counts[0], 0);
	for (int i = 1; i < 4; i++)
		ck_assert_uint_eq(counts[i], 10);
	rig_fini(&rig);
}
END_TEST

START_TEST(nothing_to_resume_is_no_harm)
{
	struct rig rig;

	rig_init(&rig, _i, 2);
	rig.members[0].weight = rig.members[1].weight = 0;
	rig_open(&rig);
	resume_rig(&rig, 0);
	rig.members[0].weight = 1;
	resume_rig(&rig, 0);
	ck_assert_int_eq(rig_pick(&rig, 0), 0);
	rig.members[0].weight = 0;
	rig.members[1].weight = 3;
	resume_rig(&rig, 0);
	ck_assert_int_eq(rig_pick(&rig, 0), 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(first_fills_in_order)
{
	struct rig rig;

	rig_init(&rig, BALANCE_FIRST, 3);
	for (int i = 0; i < 3; i++)
		rig.members[i].target->max_connections = 2;
	rig_open(&rig);
	for (int i = 0; i < 6; i++) {
		int picked = rig_pick(&rig, i);

		ck_assert_int_eq(picked, i / 2);
		ck_assert(target_reserve(rig.members[picked].target));
	}
	target_release(rig.members[1].target);
	ck_assert_int_eq(rig_pick(&rig, 0), 1);
	rig_fini(&rig);
}
END_TEST

int main(void)
{
	TCase *rounds = tcase_create("round_robin");
	TCase *others = tcase_create("least_connections_and_first");

	tcase_add_loop_test(rounds, shares_never_stray_by_a_whole_turn, 0, 3);
	tcase_add_loop_test(rounds, shares_hold_wherever_the_round_begins, 0, 3);
	tcase_add_test(rounds, turns_of_a_member_are_spread_over_the_round);
	tcase_add_test(rounds, heavy_member_alternates_with_the_light_ones);
	tcase_add_test(rounds, equal_members_take_turns_in_order);
	tcase_add_loop_test(rounds, workers_begin_at_different_members, 0, 2);
	tcase_add_test(rounds, workers_begin_at_different_members_of_nearly_equal_weight);
	tcase_add_test(rounds, seed_moves_the_beginning);
	tcase_add_test(rounds, skipped_member_keeps_its_turn);
	tcase_add_loop_test(rounds, retries_take_nobodys_turn, 2, 7);
	tcase_add_test(rounds, others_share_by_weight_while_one_is_full);
	tcase_add_test(rounds, member_that_was_full_is_not_flooded_afterwards);
	tcase_add_test(rounds, largest_weights_and_pools_are_exact);
	tcase_add_test(others, least_connections_takes_the_exact_minimum);
	tcase_add_test(others, least_connections_never_takes_a_load_that_grew_for_a_small_one);
	tcase_add_test(others, least_connections_notices_a_load_that_fell_within_32_picks);
	tcase_add_test(others, least_connections_keeps_a_thousand_level_from_two_workers);
	tcase_add_test(others, least_connections_forgets_what_the_last_session_tried);
	tcase_add_test(others, least_connections_fills_by_weight);
	tcase_add_test(others, light_member_gets_its_share_while_it_is_idle);
	tcase_add_test(others, equally_loaded_members_take_turns_beside_a_busy_stretch);
	tcase_add_test(rounds, shares_hold_over_a_new_cursor_for_each_pick);
	tcase_add_loop_test(rounds, turns_come_while_weights_change, 0, 2);
	tcase_add_loop_test(rounds, turns_go_on_when_members_leave_and_change_places, 0, 2);
	tcase_add_test(rounds, retries_go_on_in_their_own_round);
	tcase_add_loop_test(others, nothing_to_resume_is_no_harm, 0, BALANCE_KINDS);
	tcase_add_test(others, first_fills_in_order);
	return rig_run("balance_turns", rounds, others);
}
