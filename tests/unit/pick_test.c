/* SPDX-License-Identifier: Apache-2.0
 *
 * Choosing among all of a pool's targets: which tier is asked, what ramping members get, what is
 * left when targets are full or closed, and who is served first.
 */
/* link: -Wl,--wrap=balance_pick */
#include "proxy/view.h"
#include "tests/unit/plan_rig.h"

#define FOUR                                                                                       \
	"\"10.0.0.1:80\", \"10.0.0.2:80\", \"10.0.0.3:80\", {address: \"10.0.0.4:80\", backup: "   \
	"true}"

static struct snapshot *snapshot;
static struct view *view;
static struct planned *planned;
static struct pool_view *pool;

static void open_pool(const char *keys, const char *targets)
{
	struct config_ref *config;
	char yaml[1024];

	snprintf(yaml, sizeof(yaml),
		 "listeners: [{name: a, bind: \"127.0.0.1:80\", pool: p}]\n"
		 "pools: [{name: p, targets: [%s]%s}]\n",
		 targets, keys);
	config = config_ref_new(load_valid(yaml), config_free);
	ck_assert_int_eq(plan_and_build(config, NULL, 1, &snapshot), 0);
	config_ref_put(config);
	view = view_new(snapshot, 0, 1, 7);
	pool = &view->pools[0];
	planned = &plan_rig.pools[0];
}

/* The plan has been changed: as when main publishes it. */
static void publish(void)
{
	struct snapshot *next;
	struct view *before = view;

	ck_assert_int_eq(snapshot_build(snapshot->config_ref, snapshot, &plan_rig, 1, &next), 0);
	snapshot_put(snapshot);
	snapshot = next;
	view = view_new(snapshot, 0, 1, 8);
	view_inherit(view, before);
	view_put(before);
	pool = &view->pools[0];
}

static void close_pool(void)
{
	view_put(view);
	snapshot_put(snapshot);
	plan_forget();
}

static int reserve(void)
{
	struct balance_query query = {0};

	return pool_view_reserve(pool, &query);
}

/* How many of `sessions` each member gets; they end at once. */
static void spread(int sessions, int ret_counts[PLAN_MEMBERS])
{
	memset(ret_counts, 0, sizeof(int) * PLAN_MEMBERS);
	while (sessions--) {
		int index = reserve();

		ck_assert_int_ge(index, 0);
		target_release(pool->pool->targets[index]);
		ret_counts[index]++;
	}
}

int __real_balance_pick(struct balance_cursor *cursor, const struct balance_query *query);
int __wrap_balance_pick(struct balance_cursor *cursor, const struct balance_query *query);

static struct target *closing; /* as soon as anybody is named */

int __wrap_balance_pick(struct balance_cursor *cursor, const struct balance_query *query)
{
	int index = __real_balance_pick(cursor, query);

	if (index >= 0 && closing)
		atomic_store(&closing->closed, true);
	return index;
}

/* A reload closes what it takes away; until the next view comes, that is all there is. */
START_TEST(who_closes_while_he_is_chosen_is_not_full)
{
	open_pool("", "\"10.0.0.1:80\"");
	closing = pool->pool->targets[0];
	ck_assert_int_eq(reserve(), 0);
	target_release(closing);
	closing = NULL;
	close_pool();
}
END_TEST

START_TEST(backup_takes_what_the_primary_targets_have_no_slot_for)
{
	open_pool(", balance: first", "{address: \"10.0.0.1:80\", max_connections: 1}, "
				      "{address: \"10.0.0.2:80\", backup: true}");
	ck_assert_int_eq(reserve(), 0);
	ck_assert_int_eq(reserve(), 1);
	target_release(pool->pool->targets[0]);
	ck_assert_int_eq(reserve(), 0);
	close_pool();
}
END_TEST

/* A ramp is a new snapshot every 50 ms, and sessions may be rarer than that. */
START_TEST(turns_go_on_over_snapshots)
{
	int sum[PLAN_MEMBERS] = {0};

	open_pool("", FOUR);
	for (int i = 0; i < 60; i++) {
		int counts[PLAN_MEMBERS];

		planned->members[2].ramp = (uint16_t)(500 + i);
		publish();
		spread(1, counts);
		for (int j = 0; j < 3; j++)
			sum[j] += counts[j];
	}
	ck_assert_int_ge(sum[2], 8);
	ck_assert_int_le(sum[2], 12);
	ck_assert_int_le(abs(sum[0] - sum[1]), 2);
	close_pool();
}
END_TEST

START_TEST(share_of_the_own_zone_is_kept_exactly)
{
	int counts[PLAN_MEMBERS];

	open_pool("", FOUR);
	planned->members[1].tier = planned->members[2].tier = TIER_REMOTE;
	planned->plan.local_share = 700;
	publish();
	spread(1000, counts);
	ck_assert_int_eq(counts[0], 700);
	ck_assert_int_eq(counts[1] + counts[2], 300);
	ck_assert_int_eq(counts[3], 0);
	close_pool();
}
END_TEST

START_TEST(full_zone_spills_to_the_others_and_back)
{
	open_pool(", balance: first", FOUR);
	planned->members[1].tier = planned->members[2].tier = TIER_REMOTE;
	publish();
	pool->pool->targets[0]->max_connections = 1;
	ck_assert_int_eq(reserve(), 0);
	ck_assert_int_eq(reserve(), 1);
	planned->plan.local_share = 0;
	publish();
	pool->pool->targets[1]->max_connections = 1;
	pool->pool->targets[2]->max_connections = 1;
	pool->pool->targets[0]->max_connections = 2;
	ck_assert_int_eq(reserve(), 2);
	ck_assert_int_eq(reserve(), 0);
	ck_assert_int_eq(reserve(), 3);
	close_pool();
}
END_TEST

static void check_ramp(const char *balance)
{
	int counts[PLAN_MEMBERS];

	open_pool(balance, "\"10.0.0.1:80\", \"10.0.0.2:80\", \"10.0.0.3:80\", \"10.0.0.4:80\"");
	planned->members[2].ramp = 100;
	publish();
	spread(8000, counts);
	ck_assert_int_ge(counts[2], 190); /* a quarter, of which a tenth: 200 */
	ck_assert_int_le(counts[2], 202);
	for (int i = 0; i < 4; i++)
		ck_assert(i == 2 || (counts[i] > 2000 && counts[i] < 3200));
	close_pool();
}

START_TEST(ramping_member_gets_its_part_of_its_share_in_turns)
{
	check_ramp("");
}
END_TEST

START_TEST(ramping_member_gets_its_part_of_its_share_by_chance)
{
	check_ramp(", balance: random_two");
}
END_TEST

/* It has the fewest connections by far, so the algorithm alone would send it everything. */
START_TEST(newcomer_is_not_flooded_for_having_the_fewest_connections)
{
	int new = 0;

	open_pool(", balance: least_connections",
		  "\"10.0.0.1:80\", \"10.0.0.2:80\", \"10.0.0.3:80\", \"10.0.0.4:80\"");
	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 5000; k++)
			ck_assert(target_reserve(pool->pool->targets[i]));
	planned->members[3].ramp = 200;
	publish();
	for (int i = 0; i < 2000; i++)
		new += reserve() == 3;
	ck_assert_int_ge(new, 98); /* a quarter, of which a fifth: 100 */
	ck_assert_int_le(new, 102);
	close_pool();
}
END_TEST

START_TEST(ramp_goes_on_over_new_snapshots)
{
	int new = 0;

	open_pool(", balance: least_connections", "\"10.0.0.1:80\", \"10.0.0.2:80\"");
	planned->members[1].ramp = 20;
	publish();
	for (int i = 0; i < 3; i++) /* or it would have the fewest anyway */
		ck_assert(target_reserve(pool->pool->targets[0]));
	for (int i = 0; i < 1000; i++) {
		new += reserve() == 1;
		publish();
	}
	ck_assert_int_ge(new, 9); /* half, of which a fiftieth: 10 */
	ck_assert_int_le(new, 11);
	close_pool();
}
END_TEST

START_TEST(ramp_refuses_nobody)
{
	open_pool(", balance: first",
		  "{address: \"10.0.0.1:80\", max_connections: 1}, \"10.0.0.2:80\"");
	planned->members[1].ramp = 1;
	publish();
	ck_assert_int_eq(reserve(), 0);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(reserve(), 1);
	close_pool();
}
END_TEST

START_TEST(what_was_saved_up_is_bounded)
{
	int counts[PLAN_MEMBERS];

	open_pool(", balance: first", "\"10.0.0.1:80\", \"10.0.0.2:80\"");
	planned->members[0].ramp = 500;
	publish();
	pool->picks[TIER_LOCAL] += 1000000; /* a long time in which nobody asked for it */
	spread(3, counts);
	ck_assert_int_eq(counts[0], 2);
	close_pool();
}
END_TEST

START_TEST(reasons_for_nobody_say_what_could_be_done)
{
	struct balance_query tried = {.tried = {0}, .tried_count = 1};

	open_pool("", "{address: \"10.0.0.1:80\", max_connections: 1}, {address: \"10.0.0.2:80\", "
		      "backup: true, max_connections: 1}");
	ck_assert_int_eq(reserve(), 0);
	ck_assert_int_eq(reserve(), 1);
	ck_assert_int_eq(pool_view_reserve(pool, &tried), BALANCE_FULL);
	tried.tried[tried.tried_count++] = 1;
	ck_assert_int_eq(pool_view_reserve(pool, &tried), BALANCE_TRIED);
	planned->members[0].weight = planned->members[1].weight = 0;
	publish();
	ck_assert_int_eq(reserve(), BALANCE_DRAINING);
	planned->plan.count = 0;
	publish();
	ck_assert_int_eq(reserve(), BALANCE_EMPTY);
	close_pool();
}
END_TEST

START_TEST(full_pool_is_full_whatever_its_targets_have)
{
	open_pool(", max_connections: 1", FOUR);
	ck_assert_int_ge(reserve(), 0);
	ck_assert_int_eq(reserve(), BALANCE_FULL);
	close_pool();
}
END_TEST

START_TEST(closed_targets_are_used_only_while_nobody_else_is_known)
{
	int counts[PLAN_MEMBERS];

	open_pool("", "\"10.0.0.1:80\", \"10.0.0.2:80\", {address: \"10.0.0.3:80\", weight: 0}");
	pool->pool->targets[0]->closed = true;
	spread(10, counts);
	ck_assert_int_eq(counts[1], 10);
	pool->pool->targets[1]->closed = true;
	spread(10, counts);
	ck_assert_int_eq(counts[0], 5);
	ck_assert_int_eq(counts[1], 5);
	pool->pool->targets[0]->max_connections = pool->pool->targets[1]->max_connections = 1;
	ck_assert_int_ge(reserve(), 0);
	ck_assert_int_ge(reserve(), 0);
	ck_assert_int_eq(reserve(), BALANCE_FULL);
	close_pool();
}
END_TEST

START_TEST(target_that_is_ahead_of_its_rate_is_passed_by)
{
	open_pool(", balance: first, connect_rate: 1", "\"10.0.0.1:80\", \"10.0.0.2:80\"");
	for (int i = 0; i < 2; i++)
		pool->pool->targets[i]->connect_gap_us = 3600U * 1000000;
	ck_assert_int_eq(reserve(), 0);
	ck_assert_int_eq(reserve(), 1);
	ck_assert_int_eq(reserve(), BALANCE_FULL);
	close_pool();
}
END_TEST

START_TEST(one_of_many_that_is_due_is_found_whatever_the_algorithm_names)
{
	char list[1024] = "";

	for (int i = 0; i < 40; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s\"10.0.0.%d:80\"",
			 i ? "," : "", i + 1);
	open_pool(", balance: first, connect_rate: 1", list);
	for (int i = 0; i < 40; i++)
		ck_assert_int_ge(reserve(), 0);
	ck_assert_int_eq(reserve(), BALANCE_FULL);
	for (int i = 0; i < 40; i++)
		ck_assert_uint_eq(target_inflight(pool->pool->targets[i]), 1);
	close_pool();
}
END_TEST

START_TEST(free_slots_go_to_those_who_wait_in_their_order)
{
	struct pool_mailbox mailbox;
	struct pool_waiter waiters[3];
	struct pool_state *state;

	open_pool(", queue: 3", "{address: \"10.0.0.1:80\", max_connections: 1}, "
				"{address: \"10.0.0.2:80\", max_connections: 1}");
	state = pool->pool->state;
	pool_mailbox_init(&mailbox, -1);
	for (int i = 0; i < 3; i++) {
		waiters[i] = (struct pool_waiter){.mailbox = &mailbox};
		ck_assert_int_eq(pool_state_wait(state, &waiters[i]), 0);
	}
	ck_assert(pool_view_serve(pool));
	ck_assert_ptr_eq(pool_mailbox_take(&mailbox), &waiters[0]);
	ck_assert_ptr_eq(pool_mailbox_take(&mailbox), &waiters[1]);
	ck_assert_ptr_null(pool_mailbox_take(&mailbox));
	for (int i = 0; i < 2; i++)
		target_put(pool_state_leave(state, &waiters[i]));
	ck_assert_ptr_null(pool_state_leave(state, &waiters[2]));
	ck_assert(!pool_view_serve(pool));
	pool_mailbox_fini(&mailbox);
	close_pool();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		turns_go_on_over_snapshots,
		backup_takes_what_the_primary_targets_have_no_slot_for,
		share_of_the_own_zone_is_kept_exactly,
		full_zone_spills_to_the_others_and_back,
		ramping_member_gets_its_part_of_its_share_in_turns,
		ramping_member_gets_its_part_of_its_share_by_chance,
		newcomer_is_not_flooded_for_having_the_fewest_connections,
		ramp_goes_on_over_new_snapshots,
		ramp_refuses_nobody,
		what_was_saved_up_is_bounded,
		reasons_for_nobody_say_what_could_be_done,
		full_pool_is_full_whatever_its_targets_have,
		who_closes_while_he_is_chosen_is_not_full,
		closed_targets_are_used_only_while_nobody_else_is_known,
		target_that_is_ahead_of_its_rate_is_passed_by,
		one_of_many_that_is_due_is_found_whatever_the_algorithm_names,
		free_slots_go_to_those_who_wait_in_their_order,
	};

	return run_tests("pick", tests, COUNT(tests));
}
