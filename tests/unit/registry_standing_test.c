/* SPDX-License-Identifier: Apache-2.0
 *
 * Standings: what checks, operators and sources make of a target, and what workers see of it.
 */
/* link: -Wl,--wrap=log_event,--wrap=clock_gettime */
#include "tests/unit/registry_rig.h"

static void setup(void)
{
	rig_defaults();
	rig_pools[0].health.kind = HEALTH_TCP;
	rig_open(NULL);
	rig_configure();
	put_range("config", 1, 3);
}

START_TEST(unchecked_targets_serve_while_nobody_is_known_to_be_up)
{
	expect_standing(nth(1), STANDING_CHECKING);
	ck_assert_uint_eq(nth(1)->effective_weight, 100);
	ck_assert(!pool_a()->panic);
	ck_assert_uint_eq(pool_a()->usable, 3);
	check_says(nth(2), HEALTH_UP, "connected");
	expect_standing(nth(1), STANDING_CHECKING);
	expect_standing(nth(2), STANDING_SERVING);
	ck_assert_uint_eq(nth(1)->effective_weight, 0);
	ck_assert_uint_eq(pool_a()->usable, 1);
	ck_assert(!pool_a()->panic);
}
END_TEST

START_TEST(target_goes_down_and_comes_back_with_its_reason)
{
	for (unsigned i = 1; i <= 3; i++)
		check_says(nth(i), HEALTH_UP, "connected");
	check_says(nth(1), HEALTH_GOING_DOWN, "connect refused");
	expect_standing(nth(1), STANDING_SERVING);
	check_says(nth(1), HEALTH_DOWN, "connect refused");
	expect_standing(nth(1), STANDING_DOWN);
	ck_assert(target_is_closed(nth(1)->target));
	ck_assert_str_eq(event_text("target_down"), "down: connect refused, 3 of 3 checks failed");
	ck_assert_uint_eq(pool_a()->healthy, 2);
	check_says(nth(1), HEALTH_GOING_UP, "connected");
	expect_standing(nth(1), STANDING_DOWN);
	check_says(nth(1), HEALTH_UP, "connected");
	expect_standing(nth(1), STANDING_SERVING);
	ck_assert_uint_eq(events_of("target_down"), 1);
	ck_assert_str_eq(event_text("target_up"), "serving: connected, 2 of 2 checks passed");
	ck_assert_uint_eq(rig_closes, 0);
}
END_TEST

START_TEST(first_check_that_passes_is_not_counted_in_the_reason)
{
	struct health_report report = {
		.key = nth(1)->key, .status = HEALTH_UP, .passed = 1, .text = "connected"};

	registry_health(rig, &report);
	ck_assert_str_eq(event_text("target_up"), "serving: connected, check passed");
}
END_TEST

START_TEST(flapping_target_says_how_many_checks_it_needs)
{
	struct health_report report = {.key = nth(1)->key,
				       .status = HEALTH_GOING_UP,
				       .passed = 3,
				       .needed = 4,
				       .text = "connected"};
	char text[256];

	check_says(nth(1), HEALTH_DOWN, "refused");
	registry_health(rig, &report);
	registry_explain(nth(1), text, sizeof(text));
	ck_assert_str_eq(strstr(text, ": "), ": connected, 3 of 4 checks passed");
}
END_TEST

START_TEST(ramping_target_says_why_it_came_up)
{
	rig_pools[0].slow_start_ms = 10000;
	rig_configure();
	check_says(nth(1), HEALTH_DOWN, "refused");
	check_says(nth(1), HEALTH_UP, "connected");
	ck_assert_str_eq(event_text("target_up"), "ramping: connected, 2 of 2 checks passed; its "
						  "share grows for 10 s");
}
END_TEST

START_TEST(report_that_changes_nothing_asks_for_no_plan)
{
	unsigned changes;
	uint64_t version;

	check_says(nth(1), HEALTH_UP, "connected");
	changes = rig_changes;
	version = pool_a()->changes;
	check_says(nth(1), HEALTH_UP, "connected in 2 ms");
	ck_assert_uint_eq(rig_changes, changes);
	ck_assert_uint_eq(pool_a()->changes, version);
	ck_assert_str_eq(nth(1)->check_text, "connected in 2 ms");
	check_says(nth(2), HEALTH_UP, "connected");
	ck_assert_uint_gt(rig_changes, changes);
	ck_assert_uint_gt(pool_a()->changes, version);
}
END_TEST

START_TEST(on_down_close_closes_sessions_once)
{
	rig_pools[0].on_down = ON_DOWN_CLOSE;
	rig_configure();
	check_says(nth(1), HEALTH_DOWN, "refused");
	ck_assert_uint_eq(rig_closes, 1);
	ck_assert_ptr_eq(rig_closed, nth(1)->target);
	ck_assert_int_eq(rig_close_reason, REASON_TARGET_DOWN);
	check_says(nth(1), HEALTH_DOWN, "refused");
	check_says(nth(1), HEALTH_GOING_UP, "connected");
	ck_assert_uint_eq(rig_closes, 1);
}
END_TEST

START_TEST(report_on_nobody_is_ignored)
{
	struct health_report report = {.key = 4711, .status = HEALTH_DOWN};
	struct target_record *removed = nth(3);

	registry_health(rig, &report);
	put_range("config", 1, 2);
	check_says(removed, HEALTH_DOWN, "refused");
	ck_assert_int_eq(removed->health, HEALTH_UNKNOWN);
	rig_pools[0].health.kind = HEALTH_OFF;
	rig_configure();
	check_says(nth(1), HEALTH_DOWN, "refused");
	expect_standing(nth(1), STANDING_SERVING);
}
END_TEST

START_TEST(checks_that_are_switched_on_and_off_by_a_reload_are_followed)
{
	check_says(nth(1), HEALTH_UP, "connected");
	check_says(nth(2), HEALTH_DOWN, "refused");
	rig_pools[0].health.kind = HEALTH_OFF;
	rig_configure();
	for (unsigned i = 1; i <= 3; i++) {
		ck_assert_int_eq(nth(i)->health, HEALTH_UNCHECKED);
		expect_standing(nth(i), STANDING_SERVING);
	}
	rig_pools[0].health.kind = HEALTH_HTTP;
	rig_configure();
	for (unsigned i = 1; i <= 3; i++) {
		ck_assert_int_eq(nth(i)->health, HEALTH_UNKNOWN);
		ck_assert_uint_eq(nth(i)->effective_weight, 100);
	}
	check_says(nth(1), HEALTH_UP, "connected");
	rig_configure();
	ck_assert_int_eq(nth(1)->health, HEALTH_UP);
}
END_TEST

START_TEST(word_of_an_operator_goes_before_checks)
{
	check_says(nth(1), HEALTH_DOWN, "refused");
	say(nth(1), OVERRIDE_MAINTENANCE, -1);
	expect_standing(nth(1), STANDING_MAINTENANCE);
	say(nth(2), OVERRIDE_DRAIN, -1);
	expect_standing(nth(2), STANDING_DRAINING);
	ck_assert_uint_eq(pool_a()->eligible, 1);
	say(nth(1), OVERRIDE_NONE, -1);
	expect_standing(nth(1), STANDING_DOWN);
	put_range("config", 3, 1);
	say(nth(1), OVERRIDE_MAINTENANCE, -1);
	expect_standing(nth(1), STANDING_REMOVED);
}
END_TEST

START_TEST(weight_zero_and_a_source_that_drains_take_nothing_new)
{
	struct target_spec specs[] = {spec_of(1), spec_of(2), spec_of(3)};
	uint64_t generation;

	specs[0].weight = 0;
	specs[1].draining = true;
	registry_put(rig, "a", "config", 0, specs, 3, &generation);
	expect_standing(nth(1), STANDING_DRAINING);
	expect_standing(nth(2), STANDING_DRAINING);
	/* Weight 0 says nothing of when the sessions shall end. */
	ck_assert_uint_eq(nth(1)->drain_until_us, 0);
	ck_assert_uint_eq(nth(2)->drain_until_us, rig_now_us + 300 * US_PER_SEC);
	say(nth(1), OVERRIDE_NONE, 50);
	expect_standing(nth(1), STANDING_CHECKING);
	ck_assert_uint_eq(nth(1)->effective_weight, 50);
	say(nth(3), OVERRIDE_NONE, 0);
	expect_standing(nth(3), STANDING_DRAINING);
}
END_TEST

START_TEST(limits_reach_the_workers)
{
	struct target_spec spec = spec_of(1);
	uint64_t generation;

	spec.max_connections = 7;
	rig_pools[0].connect_rate = 50;
	rig_pools[0].max_connections = 30;
	rig_pools[0].queue_size = 9;
	rig_configure();
	registry_put(rig, "a", "config", 0, &spec, 1, &generation);
	ck_assert_uint_eq(nth(1)->target->max_connections, 7);
	ck_assert_uint_eq(nth(1)->target->connect_gap_us, 20000);
	ck_assert_uint_eq(pool_a()->state->max_connections, 30);
	ck_assert_uint_eq(pool_a()->state->queue_size, 9);
	rig_pools[0].connect_rate = 600000; /* rounded so that it is never more */
	rig_configure();
	ck_assert_uint_eq(nth(1)->target->connect_gap_us, 2);
	rig_pools[0].connect_rate = 0;
	rig_configure();
	ck_assert_uint_eq(nth(1)->target->connect_gap_us, 0);
}
END_TEST

START_TEST(who_waits_gets_a_slot_that_opens)
{
	struct pool_mailbox mailbox;
	struct pool_waiter waiter = {.mailbox = &mailbox};
	struct pool_waiter *served;

	rig_pools[0].queue_size = 4;
	rig_configure();
	pool_mailbox_init(&mailbox, -1);
	say(nth(1), OVERRIDE_MAINTENANCE, -1);
	say(nth(2), OVERRIDE_MAINTENANCE, -1);
	say(nth(3), OVERRIDE_MAINTENANCE, -1);
	ck_assert_int_eq(pool_state_wait(pool_a()->state, &waiter), 0);
	ck_assert_ptr_null(pool_mailbox_take(&mailbox));
	say(nth(2), OVERRIDE_NONE, -1);
	served = pool_mailbox_take(&mailbox);
	ck_assert_ptr_eq(served, &waiter);
	ck_assert_uint_eq(target_inflight(nth(2)->target), 1);
	target_release(nth(2)->target);
	target_put(served->granted);
	pool_mailbox_fini(&mailbox);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		unchecked_targets_serve_while_nobody_is_known_to_be_up,
		target_goes_down_and_comes_back_with_its_reason,
		report_that_changes_nothing_asks_for_no_plan,
		first_check_that_passes_is_not_counted_in_the_reason,
		flapping_target_says_how_many_checks_it_needs,
		ramping_target_says_why_it_came_up,
		on_down_close_closes_sessions_once,
		report_on_nobody_is_ignored,
		checks_that_are_switched_on_and_off_by_a_reload_are_followed,
		word_of_an_operator_goes_before_checks,
		weight_zero_and_a_source_that_drains_take_nothing_new,
		limits_reach_the_workers,
		who_waits_gets_a_slot_that_opens,
	};

	return run_rigged("registry_standing", tests, COUNT(tests), setup, rig_shut);
}
