/* SPDX-License-Identifier: Apache-2.0
 *
 * Panic and backups: when a pool uses whom.
 */
/* link: -Wl,--wrap=log_event,--wrap=clock_gettime */
#include "tests/unit/registry_rig.h"

static void setup(void)
{
	rig_defaults();
	rig_pools[0].health.kind = HEALTH_TCP;
	rig_open(NULL);
	rig_configure();
}

/* Targets 1 .. primaries, then backups; all of them up. */
static void put_ranks(unsigned primaries, unsigned backups)
{
	struct target_spec specs[32] = {0};
	uint64_t generation;

	for (unsigned i = 0; i < primaries + backups; i++) {
		specs[i] = spec_of(i + 1);
		specs[i].backup = i >= primaries;
	}
	registry_put(rig, "a", "config", 0, specs, primaries + backups, &generation);
	for (unsigned i = 1; i <= primaries + backups; i++)
		check_says(nth(i), HEALTH_UP, "connected");
}

static bool refuses(void)
{
	struct pool_plan plan = plan_of(0);
	bool refuse = plan.refuse;

	pool_plan_fini(&plan);
	return refuse;
}

static bool all_down(void)
{
	struct pool_plan plan = plan_of(0);
	bool down = plan.all_down;

	pool_plan_fini(&plan);
	return down;
}

START_TEST(nobody_healthy_uses_everybody_loudly)
{
	put_ranks(3, 0);
	say(nth(3), OVERRIDE_MAINTENANCE, -1);
	check_says(nth(1), HEALTH_DOWN, "refused");
	ck_assert(!pool_a()->panic);
	check_says(nth(2), HEALTH_DOWN, "refused");
	ck_assert(pool_a()->panic);
	ck_assert(all_down());
	ck_assert(!refuses());
	ck_assert_uint_eq(pool_a()->usable, 2);
	expect_standing(nth(1), STANDING_DOWN);
	ck_assert(nth(1)->in_panic);
	ck_assert_uint_eq(nth(1)->effective_weight, 100);
	ck_assert_uint_eq(nth(3)->effective_weight, 0);
	ck_assert_str_eq(event_text("panic"), "none of 2 targets is healthy: all targets are used");
	check_says(nth(2), HEALTH_UP, "connected");
	ck_assert(!pool_a()->panic);
	ck_assert(!all_down());
	ck_assert(!nth(1)->in_panic);
	ck_assert_uint_eq(nth(1)->effective_weight, 0);
	ck_assert_uint_eq(events_of("panic"), 1);
	ck_assert_uint_eq(events_of("panic_end"), 1);
}
END_TEST

START_TEST(panic_refuses_by_choice)
{
	rig_pools[0].panic = PANIC_REFUSE;
	rig_pools[0].min_healthy_percent = 60;
	rig_configure();
	put_ranks(2, 0);
	ck_assert(!refuses());
	check_says(nth(1), HEALTH_DOWN, "refused");
	ck_assert(refuses());
	ck_assert(!all_down());
	ck_assert_uint_eq(nth(2)->effective_weight, 0);
	ck_assert_uint_eq(pool_a()->usable, 0);
	expect_standing(nth(2), STANDING_SERVING);
	ck_assert_str_eq(event_text("panic"),
			 "1 of 2 targets healthy, below min_healthy 60 %: sessions are refused");
}
END_TEST

START_TEST(below_min_healthy_all_are_used)
{
	rig_pools[0].min_healthy_percent = 50;
	rig_configure();
	put_ranks(4, 0);
	check_says(nth(1), HEALTH_DOWN, "refused");
	check_says(nth(2), HEALTH_DOWN, "refused");
	ck_assert(!pool_a()->panic);
	check_says(nth(3), HEALTH_DOWN, "refused");
	ck_assert(pool_a()->panic);
	for (unsigned i = 1; i <= 4; i++)
		ck_assert_uint_eq(nth(i)->effective_weight, 100);
	ck_assert(!nth(4)->in_panic);
	/* One that an operator takes out does not count. */
	say(nth(3), OVERRIDE_DRAIN, -1);
	say(nth(2), OVERRIDE_DRAIN, -1);
	ck_assert(!pool_a()->panic);
}
END_TEST

START_TEST(targets_under_their_first_check_do_not_make_panic)
{
	rig_pools[0].min_healthy_percent = 50;
	rig_configure();
	put_range("config", 1, 4);
	ck_assert(!pool_a()->panic);
	check_says(nth(1), HEALTH_DOWN, "refused");
	check_says(nth(2), HEALTH_UP, "connected");
	ck_assert(!pool_a()->panic);
	ck_assert_uint_eq(events_of("panic"), 0);
	check_says(nth(3), HEALTH_DOWN, "refused");
	ck_assert(!pool_a()->panic);
	check_says(nth(4), HEALTH_DOWN, "refused");
	ck_assert(pool_a()->panic);
}
END_TEST

START_TEST(backup_rests_while_primaries_serve_and_serves_when_none_does)
{
	put_ranks(2, 1);
	expect_standing(nth(3), STANDING_IDLE_BACKUP);
	ck_assert_int_eq(planned(nth(3)).tier, TIER_BACKUP);
	/* It is in the plan: whoever finds no primary that answers may try it at once. */
	ck_assert_uint_eq(planned(nth(3)).weight, 100);
	check_says(nth(1), HEALTH_DOWN, "refused");
	expect_standing(nth(3), STANDING_IDLE_BACKUP);
	check_says(nth(2), HEALTH_DOWN, "refused");
	expect_standing(nth(3), STANDING_SERVING);
	ck_assert(pool_a()->backup_in_use);
	ck_assert(!pool_a()->panic);
	ck_assert_int_eq(planned(nth(3)).tier, TIER_BACKUP);
	ck_assert_uint_eq(events_of("backup_in_use"), 1);
	check_says(nth(2), HEALTH_UP, "connected");
	expect_standing(nth(3), STANDING_IDLE_BACKUP);
	ck_assert_uint_eq(events_of("backup_idle"), 1);
}
END_TEST

START_TEST(backups_join_too_few_primaries_before_panic)
{
	rig_pools[0].min_healthy_percent = 50;
	rig_configure();
	put_ranks(3, 1);
	check_says(nth(1), HEALTH_DOWN, "refused");
	check_says(nth(2), HEALTH_DOWN, "refused");
	ck_assert(pool_a()->backup_in_use);
	ck_assert(!pool_a()->panic);
	ck_assert_int_eq(planned(nth(4)).tier, TIER_LOCAL);
	ck_assert_uint_eq(nth(1)->effective_weight, 0);
	check_says(nth(4), HEALTH_DOWN, "refused");
	ck_assert(pool_a()->panic);
	ck_assert(!pool_a()->backup_in_use);
	ck_assert_uint_eq(nth(1)->effective_weight, 100);
}
END_TEST

START_TEST(backups_that_come_first_at_the_start_are_no_news)
{
	struct target_spec specs[] = {spec_of(1), spec_of(2)};
	uint64_t generation;

	specs[1].backup = true;
	registry_put(rig, "a", "config", 0, specs, 2, &generation);
	check_says(nth(2), HEALTH_UP, "connected");
	ck_assert(pool_a()->backup_in_use);
	check_says(nth(1), HEALTH_UP, "connected");
	ck_assert_uint_eq(events_of("backup_in_use"), 0);
	check_says(nth(1), HEALTH_DOWN, "refused");
	ck_assert_uint_eq(events_of("backup_in_use"), 1);
}
END_TEST

START_TEST(drained_primaries_leave_the_pool_to_backups)
{
	put_ranks(1, 1);
	say(nth(1), OVERRIDE_DRAIN, -1);
	ck_assert(pool_a()->backup_in_use);
	ck_assert_uint_eq(events_of("backup_in_use"), 1);
	say(nth(2), OVERRIDE_DRAIN, -1);
	ck_assert(!pool_a()->backup_in_use);
	ck_assert(!pool_a()->panic);
	ck_assert(!all_down());
	ck_assert_uint_eq(pool_a()->usable, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		nobody_healthy_uses_everybody_loudly,
		panic_refuses_by_choice,
		below_min_healthy_all_are_used,
		targets_under_their_first_check_do_not_make_panic,
		backup_rests_while_primaries_serve_and_serves_when_none_does,
		backups_join_too_few_primaries_before_panic,
		backups_that_come_first_at_the_start_are_no_news,
		drained_primaries_leave_the_pool_to_backups,
	};

	return run_rigged("registry_mode", tests, COUNT(tests), setup, rig_shut);
}
