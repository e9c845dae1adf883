/* SPDX-License-Identifier: Apache-2.0
 *
 * What time does: drains and their deadlines, words that end, when the next tick is wanted.
 */
/* link: -Wl,--wrap=log_event,--wrap=clock_gettime */
#include "tests/unit/registry_rig.h"

static void setup(void)
{
	rig_setup();
	put_range("config", 1, 4);
}

START_TEST(nothing_to_do_wants_no_tick_for_long)
{
	ck_assert_uint_eq(tick(), 60 * US_PER_SEC);
	say(nth(1), OVERRIDE_DRAIN, -1);
	say(nth(1), OVERRIDE_NONE, -1);
	tick();
	ck_assert_uint_eq(tick(), 60 * US_PER_SEC);
}
END_TEST

START_TEST(removed_targets_sessions_are_closed_at_the_deadline)
{
	struct target *target = nth(1)->target;

	ck_assert(target_reserve(target));
	put_range("config", 2, 3);
	ck_assert_uint_eq(nth(1)->drain_until_us, rig_now_us + 300 * US_PER_SEC);
	pass_us(299 * US_PER_SEC);
	ck_assert_uint_eq(rig_closes, 0);
	pass_us(US_PER_SEC);
	ck_assert_uint_eq(rig_closes, 1);
	ck_assert_ptr_eq(rig_closed, target);
	ck_assert_uint_eq(rig_spread_ms, 30000);
	ck_assert_int_eq(rig_close_reason, REASON_TARGET_REMOVED);
	ck_assert_uint_eq(events_of("drain_deadline"), 1);
	/* Whoever is left after the spread is asked again. */
	pass_us(39 * US_PER_SEC);
	ck_assert_uint_eq(rig_closes, 1);
	pass_us(2 * US_PER_SEC);
	ck_assert_uint_eq(rig_closes, 2);
	target_release(target);
	pass_us(100 * US_PER_SEC);
	ck_assert_uint_eq(rig_closes, 2);
	ck_assert_uint_gt(nth(1)->gone_us, 0);
}
END_TEST

START_TEST(operators_drain_has_the_deadline_too_and_lifting_it_ends_it)
{
	ck_assert(target_reserve(nth(1)->target));
	ck_assert(target_reserve(nth(2)->target));
	say(nth(1), OVERRIDE_DRAIN, -1);
	say(nth(2), OVERRIDE_DRAIN, -1);
	pass_us(200 * US_PER_SEC);
	say(nth(2), OVERRIDE_NONE, -1);
	ck_assert_uint_eq(nth(2)->drain_until_us, 0);
	pass_us(100 * US_PER_SEC);
	ck_assert_uint_eq(rig_closes, 1);
	ck_assert_ptr_eq(rig_closed, nth(1)->target);
	ck_assert_uint_eq(nth(1)->gone_us, 0);
	target_release(nth(1)->target);
	target_release(nth(2)->target);
}
END_TEST

START_TEST(drain_that_becomes_a_removal_keeps_its_deadline)
{
	uint64_t deadline;

	ck_assert(target_reserve(nth(1)->target));
	say(nth(1), OVERRIDE_DRAIN, -1);
	deadline = nth(1)->drain_until_us;
	pass_us(100 * US_PER_SEC);
	put_range("config", 2, 3);
	ck_assert_uint_eq(nth(1)->drain_until_us, deadline);
	target_release(nth(1)->target);
}
END_TEST

START_TEST(no_drain_timeout_waits_for_ever)
{
	rig_pools[0].drain_timeout_ms = 0;
	rig_configure();
	ck_assert(target_reserve(nth(1)->target));
	put_range("config", 2, 3);
	ck_assert_uint_eq(nth(1)->drain_until_us, 0);
	pass_us(2000 * US_PER_SEC);
	ck_assert_uint_eq(rig_closes, 0);
	ck_assert_uint_eq(nth(1)->gone_us, 0);
	target_release(nth(1)->target);
}
END_TEST

START_TEST(maintenance_closes_nothing)
{
	ck_assert(target_reserve(nth(1)->target));
	say(nth(1), OVERRIDE_MAINTENANCE, -1);
	pass_us(1000 * US_PER_SEC);
	ck_assert_uint_eq(rig_closes, 0);
	target_release(nth(1)->target);
}
END_TEST

START_TEST(gone_target_is_forgotten_after_ten_minutes_unless_it_returns)
{
	put_range("config", 3, 2);
	pass_us(US_PER_SEC);
	ck_assert_uint_gt(nth(1)->gone_us, 0);
	ck_assert_uint_eq(pool_a()->target_count, 4);
	pass_us(500 * US_PER_SEC);
	put_range("config", 2, 3);
	expect_standing(nth(2), STANDING_SERVING);
	ck_assert_uint_eq(nth(2)->gone_us, 0);
	pass_us(100 * US_PER_SEC);
	ck_assert_uint_eq(pool_a()->target_count, 3);
	pass_us(1000 * US_PER_SEC);
	ck_assert_uint_eq(pool_a()->target_count, 3);
}
END_TEST

START_TEST(word_ends_by_the_wall_clock)
{
	struct override word = {.kind = OVERRIDE_MAINTENANCE, .weight = -1, .who = "root"};

	word.until_wall_us = clock_wall_us() + 90 * US_PER_SEC;
	ck_assert_int_eq(registry_override(rig, nth(1), &word), 0);
	ck_assert_uint_le(tick(), 10 * US_PER_SEC);
	pass_us(89 * US_PER_SEC);
	expect_standing(nth(1), STANDING_MAINTENANCE);
	pass_us(US_PER_SEC);
	expect_standing(nth(1), STANDING_SERVING);
	ck_assert_uint_eq(nth(1)->override.since_wall_us, 0);
	ck_assert_int_eq(nth(1)->override.weight, -1);
	ck_assert_uint_eq(events_of("override_end"), 1);
	ck_assert_str_eq(event_text("override_end"), "maintenance by root ended: its time is over");
}
END_TEST

START_TEST(word_that_ended_while_its_target_was_forgotten_does_not_return)
{
	struct override word = {.kind = OVERRIDE_MAINTENANCE, .weight = -1, .who = "root"};

	word.until_wall_us = clock_wall_us() + 700 * US_PER_SEC;
	ck_assert_int_eq(registry_override(rig, nth(1), &word), 0);
	put_range("config", 2, 3);
	pass_us(650 * US_PER_SEC);
	ck_assert_uint_eq(pool_a()->target_count, 3);
	put_range("config", 1, 4);
	expect_standing(nth(1), STANDING_MAINTENANCE);
	put_range("config", 2, 3);
	pass_us(40 * US_PER_SEC);
	put_range("config", 1, 4);
	pass_us(10 * US_PER_SEC);
	expect_standing(nth(1), STANDING_SERVING);
}
END_TEST

START_TEST(expired_word_of_a_forgotten_target_is_not_recalled)
{
	struct override word = {.kind = OVERRIDE_MAINTENANCE, .weight = -1, .who = "root"};

	word.until_wall_us = clock_wall_us() + 700 * US_PER_SEC;
	ck_assert_int_eq(registry_override(rig, nth(1), &word), 0);
	put_range("config", 2, 3);
	pass_us(800 * US_PER_SEC);
	put_range("config", 1, 4);
	expect_standing(nth(1), STANDING_SERVING);
	ck_assert_uint_eq(nth(1)->override.since_wall_us, 0);
}
END_TEST

START_TEST(tick_that_is_not_due_changes_nothing)
{
	unsigned changes;

	say(nth(1), OVERRIDE_DRAIN, -1);
	tick();
	changes = rig_changes;
	for (unsigned i = 0; i < 1000; i++) {
		rig_now_us += 1000;
		ck_assert_uint_gt(tick(), 0);
	}
	ck_assert_uint_eq(rig_changes, changes);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		nothing_to_do_wants_no_tick_for_long,
		removed_targets_sessions_are_closed_at_the_deadline,
		operators_drain_has_the_deadline_too_and_lifting_it_ends_it,
		drain_that_becomes_a_removal_keeps_its_deadline,
		no_drain_timeout_waits_for_ever,
		maintenance_closes_nothing,
		gone_target_is_forgotten_after_ten_minutes_unless_it_returns,
		word_ends_by_the_wall_clock,
		word_that_ended_while_its_target_was_forgotten_does_not_return,
		expired_word_of_a_forgotten_target_is_not_recalled,
		tick_that_is_not_due_changes_nothing,
	};

	return run_rigged("registry_tick", tests, COUNT(tests), setup, rig_shut);
}
