/* SPDX-License-Identifier: Apache-2.0
 *
 * Properties of who gets how much. First, for every algorithm that spreads by weight, that its
 * shares are no further from the weights than independent draws would be (chi-square, five standard
 * deviations), in a pool as it is configured, after a removal and after additions. Then what
 * Maglev's load factor promises. All is seeded.
 */
#include <check.h>
#include <math.h>

#include "tests/unit/balance_rig.h"

#define MEMBERS 105
#define PICKS   100000
#define OPEN    3000

static const enum balance_kind kinds[] = {BALANCE_ROUND_ROBIN, BALANCE_LEAST_CONNECTIONS,
					  BALANCE_RANDOM_TWO, BALANCE_MAGLEV};
#define KINDS (int)(sizeof(kinds) / sizeof(kinds[0]))

/* Sessions of random length, OPEN of them at any time. */
static void serve(struct rig *rig, unsigned *counts)
{
	static int open[OPEN];
	uint64_t random = 1;

	for (int i = 0; i < PICKS + OPEN; i++) {
		int at = i;

		if (i >= OPEN) {
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
			at = (int)((random >> 33) % OPEN);
			target_release(rig->members[open[at]].target);
		}
		open[at] = rig_pick(rig, i);
		if (open[at] < 0 || !target_reserve(rig->members[open[at]].target))
			ck_abort_msg("pick %d gave %d", i, open[at]);
		counts[open[at]] += i >= OPEN;
	}
	for (int i = 0; i < OPEN; i++)
		target_release(rig->members[open[i]].target);
}

static uint32_t open_weight(const struct balance_member *member)
{
	return target_is_closed(member->target) ? 0 : member->weight;
}

static void check_spread(struct rig *rig, const char *when)
{
	unsigned counts[MEMBERS] = {0};
	double freedom = -1, sum = 0, chi_square = 0;

	rig_open(rig);
	serve(rig, counts);
	for (size_t i = 0; i < rig->count; i++)
		sum += open_weight(&rig->members[i]);
	for (size_t i = 0; i < rig->count; i++) {
		double fair = PICKS * open_weight(&rig->members[i]) / sum;

		if (fair == 0) {
			ck_assert_uint_eq(counts[i], 0);
			continue;
		}
		chi_square += (counts[i] - fair) * (counts[i] - fair) / fair;
		freedom++;
	}
	ck_assert_msg(chi_square < freedom + 5 * sqrt(2 * freedom), "%s, %s: %.0f of %.0f",
		      balance_kind_names[rig->kind], when, chi_square, freedom);
}

/* `_i`: a kind, with equal weights and then with mixed ones. */
START_TEST(shares_follow_the_weights_while_members_come_and_go)
{
	struct rig rig;
	struct balance_member gone;

	rig_init(&rig, kinds[_i / 2], MEMBERS);
	for (uint32_t i = 0; i < MEMBERS; i++)
		rig.members[i].weight = _i % 2 ? 1 + i * 37 % 7 : 10;
	rig.count = 100;
	check_spread(&rig, "at first");
	gone = rig.members[17];
	rig.members[17] = rig.members[99];
	rig.count = 99;
	check_spread(&rig, "one removed");
	rig.members[99] = gone;
	rig.count = MEMBERS;
	check_spread(&rig, "six added");
	rig.members[40].weight = 0;
	check_spread(&rig, "one drained");
	rig_fini(&rig);
}
END_TEST

/* What closes without a new snapshot must not distort the shares of the rest. */
START_TEST(shares_follow_the_weights_while_some_are_closed)
{
	struct rig rig;

	rig_init(&rig, kinds[_i], 100);
	for (uint32_t i = 0; i < 100; i++) {
		rig.members[i].weight = 1 + i * 37 % 7;
		rig.members[i].target->closed = i % 10 == 3;
	}
	check_spread(&rig, "ten closed");
	rig_fini(&rig);
}
END_TEST

/* One more session for every client of a small set, `total` in all. */
static void hold(struct rig *rig, int total, int clients)
{
	for (int i = 0; i < total; i++) {
		int picked = rig_pick(rig, i % clients);

		if (picked < 0 || !target_reserve(rig->members[picked].target))
			ck_abort_msg("session %d: %d", i, picked);
	}
}

/* Nobody has more than 125 % of its share plus one, `slack` sessions having been missed. */
static void check_bound(const struct rig *rig, int total, int slack)
{
	double sum = 0;

	for (size_t i = 0; i < rig->count; i++)
		sum += rig->members[i].weight;
	for (size_t i = 0; i < rig->count; i++) {
		double share = 1.25 * (total + slack) * rig->members[i].weight / sum;
		uint32_t inflight = target_inflight(rig->members[i].target);

		ck_assert_msg(inflight <= ceil(share), "%zu: %u of %.1f", i, inflight, share);
	}
}

/* `_i` clients, most of whom would overload their member. */
START_TEST(bound_holds_for_few_clients)
{
	struct rig rig;

	rig_init(&rig, BALANCE_MAGLEV, 10);
	rig.load_percent = 125;
	for (uint32_t i = 0; i < 10; i++)
		rig.members[i].weight = 1 + i;
	rig_open(&rig);
	for (int total = 0; total < 1000; total += 10) {
		hold(&rig, 10, _i);
		check_bound(&rig, total + 10, 0);
	}
	rig_fini(&rig);
}
END_TEST

/* Members by the thousand are not all read by each pick: 63 picks are a whole sweep. */
START_TEST(bound_holds_among_a_thousand_but_for_a_sweep)
{
	struct rig rig;

	rig_init(&rig, BALANCE_MAGLEV, 1000);
	rig.load_percent = 125;
	rig_open(&rig);
	hold(&rig, 20000, 3);
	check_bound(&rig, 20000, 63);
	rig_fini(&rig);
}
END_TEST

START_TEST(bound_changes_nothing_for_level_loads)
{
	struct rig rig;
	static int free_picks[1000];

	rig_init(&rig, BALANCE_MAGLEV, 20);
	for (uint32_t i = 0; i < 20; i++) {
		rig.members[i].weight = 1 + i;
		rig.members[i].target->inflight = 100 * (1 + i);
	}
	rig_open(&rig);
	for (int i = 0; i < 1000; i++)
		free_picks[i] = rig_pick(&rig, i);
	rig.load_percent = 110;
	rig_open(&rig);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(rig_pick(&rig, i), free_picks[i]);
	rig_fini(&rig);
}
END_TEST

START_TEST(overloaded_member_loses_its_clients_to_the_same_stand_ins)
{
	struct rig rig;
	static int before[1000], after[1000];
	unsigned stand_ins[10] = {0};

	rig_init(&rig, BALANCE_MAGLEV, 10);
	rig.load_percent = 150;
	for (int i = 0; i < 10; i++)
		rig.members[i].target->inflight = 100;
	rig_open(&rig);
	for (int i = 0; i < 1000; i++)
		before[i] = rig_pick(&rig, i);
	rig.members[4].target->inflight = 200;
	for (int i = 0; i < 1000; i++)
		after[i] = rig_pick(&rig, i);
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_ne(after[i], 4);
		ck_assert_int_eq(after[i], rig_pick(&rig, i));
		if (before[i] == 4)
			stand_ins[after[i]]++;
		else
			ck_assert_int_eq(after[i], before[i]);
	}
	for (int i = 0; i < 10; i++)
		ck_assert(i == 4 || stand_ins[i] > 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(bound_refuses_nobody)
{
	struct rig rig;

	rig_init(&rig, BALANCE_MAGLEV, 100);
	rig.load_percent = 100;
	rig.members[7].target->inflight = 1000000;
	for (int i = 0; i < 100; i++)
		rig.members[i].target->closed = i != 7 && i != 8;
	rig_open(&rig);
	ck_assert_int_eq(rig_pick(&rig, 1), 8);
	rig.query.tried[rig.query.tried_count++] = 8;
	ck_assert_int_eq(rig_pick(&rig, 1), 7);
	rig_fini(&rig);
}
END_TEST

int main(void)
{
	TCase *spread = tcase_create("spread");
	TCase *bound = tcase_create("bound");

	tcase_add_loop_test(spread, shares_follow_the_weights_while_members_come_and_go, 0,
			    2 * KINDS);
	tcase_add_loop_test(spread, shares_follow_the_weights_while_some_are_closed, 0, KINDS);
	tcase_add_loop_test(bound, bound_holds_for_few_clients, 1, 5);
	tcase_add_test(bound, bound_holds_among_a_thousand_but_for_a_sweep);
	tcase_add_test(bound, bound_changes_nothing_for_level_loads);
	tcase_add_test(bound, overloaded_member_loses_its_clients_to_the_same_stand_ins);
	tcase_add_test(bound, bound_refuses_nobody);
	return rig_run("balance_spread", spread, bound);
}
