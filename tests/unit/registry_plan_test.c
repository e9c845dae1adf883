/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan of a pool: members and order, ramps, zones and their share.
 */
/* link: -Wl,--wrap=log_event,--wrap=clock_gettime */
#include "tests/unit/registry_rig.h"

/* One letter each: the zone, '-' for none. */
static void put_zones(const char *zones)
{
	struct target_spec specs[32];
	char names[32][2] = {{0}};
	uint64_t generation;
	size_t count = strlen(zones);

	for (size_t i = 0; i < count; i++) {
		names[i][0] = zones[i];
		specs[i] = spec_of((unsigned)i + 1);
		specs[i].zone = zones[i] == '-' ? NULL : names[i];
	}
	registry_put(rig, "a", "config", 0, specs, count, &generation);
}

static unsigned share(void)
{
	struct pool_plan plan = plan_of(0);
	unsigned local_share = plan.local_share;

	pool_plan_fini(&plan);
	return local_share;
}

START_TEST(plan_lists_targets_in_order_and_removed_ones_last_without_weight)
{
	struct pool_plan plan;

	put_range("config", 1, 3);
	ck_assert(target_reserve(nth(1)->target));
	put_range("config", 2, 2);
	plan = plan_of(0);
	ck_assert_uint_eq(plan.count, 3);
	ck_assert_ptr_eq(plan.members[0].target, nth(2)->target);
	ck_assert_ptr_eq(plan.members[2].target, nth(1)->target);
	ck_assert_uint_eq(plan.members[0].weight, 100);
	ck_assert_uint_eq(plan.members[0].ramp, 1000);
	ck_assert_uint_eq(plan.members[2].weight, 0);
	ck_assert_ptr_eq(plan.state, pool_a()->state);
	ck_assert_uint_eq(plan.local_share, 1000);
	ck_assert(!plan.refuse && !plan.all_down);
	pool_plan_fini(&plan);
	target_release(nth(1)->target);
	pass_us(US_PER_SEC);
	plan = plan_of(0);
	ck_assert_uint_eq(plan.count, 2);
	pool_plan_fini(&plan);
}
END_TEST

START_TEST(plan_of_an_empty_pool_is_empty)
{
	struct pool_plan plan = plan_of(0);

	ck_assert_uint_eq(plan.count, 0);
	ck_assert(!plan.refuse && !plan.all_down);
	pool_plan_fini(&plan);
}
END_TEST

START_TEST(new_target_ramps_among_old_ones)
{
	unsigned changes;

	rig_pools[0].slow_start_ms = 10000;
	rig_configure();
	put_range("config", 1, 2);
	pass_us(10 * US_PER_SEC);
	expect_standing(nth(1), STANDING_SERVING);
	put_range("config", 1, 3);
	expect_standing(nth(3), STANDING_RAMPING);
	ck_assert_uint_eq(planned(nth(1)).ramp, 1000);
	ck_assert_uint_eq(planned(nth(3)).ramp, 20);
	changes = rig_changes;
	pass_us(5 * US_PER_SEC);
	ck_assert_uint_gt(rig_changes, changes + 10);
	ck_assert_uint_eq(planned(nth(3)).ramp, 500);
	pass_us(5 * US_PER_SEC);
	ck_assert_uint_eq(planned(nth(3)).ramp, 1000);
	expect_standing(nth(3), STANDING_SERVING);
	ck_assert_uint_eq(events_of("target_ramped"), 3);
}
END_TEST

START_TEST(targets_that_are_all_new_share_without_a_loss)
{
	rig_pools[0].slow_start_ms = 10000;
	rig_configure();
	put_range("config", 1, 2);
	ck_assert_uint_eq(planned(nth(1)).ramp, 1000);
	ck_assert_uint_eq(planned(nth(2)).ramp, 1000);
	pass_us(2 * US_PER_SEC);
	put_range("config", 1, 3);
	pass_us(2 * US_PER_SEC);
	ck_assert_uint_eq(planned(nth(1)).ramp, 1000);
	ck_assert_uint_eq(planned(nth(3)).ramp, 500);
}
END_TEST

START_TEST(who_recovers_ramps_again)
{
	rig_pools[0].slow_start_ms = 10000;
	rig_pools[0].health.kind = HEALTH_TCP;
	rig_configure();
	put_range("config", 1, 2);
	check_says(nth(1), HEALTH_UP, "connected");
	check_says(nth(2), HEALTH_UP, "connected");
	pass_us(20 * US_PER_SEC);
	check_says(nth(2), HEALTH_DOWN, "refused");
	ck_assert_uint_eq(nth(2)->ramp_start_us, 0);
	check_says(nth(2), HEALTH_UP, "connected");
	expect_standing(nth(2), STANDING_RAMPING);
	pass_us(5 * US_PER_SEC);
	ck_assert_uint_eq(planned(nth(2)).ramp, 500);
	say(nth(2), OVERRIDE_DRAIN, -1);
	pass_us(20 * US_PER_SEC);
	say(nth(2), OVERRIDE_NONE, -1);
	ck_assert_uint_eq(planned(nth(2)).ramp, 20);
}
END_TEST

START_TEST(slow_start_that_a_reload_ends_ends)
{
	rig_pools[0].slow_start_ms = 10000;
	rig_configure();
	put_range("config", 1, 1);
	expect_standing(nth(1), STANDING_RAMPING);
	rig_pools[0].slow_start_ms = 0;
	rig_configure();
	expect_standing(nth(1), STANDING_SERVING);
}
END_TEST

START_TEST(zones_do_not_matter_unless_ours_is_known_and_there)
{
	put_zones("xy-");
	for (unsigned i = 1; i <= 3; i++)
		ck_assert_int_eq(planned(nth(i)).tier, TIER_LOCAL);
	ck_assert_int_eq(registry_set_zone(rig, "z"), 0);
	for (unsigned i = 1; i <= 3; i++)
		ck_assert_int_eq(planned(nth(i)).tier, TIER_LOCAL);
	ck_assert_uint_eq(share(), 1000);
	ck_assert_int_eq(registry_set_zone(rig, "x"), 0);
	ck_assert_str_eq(registry_zone(rig), "x");
	ck_assert_int_eq(planned(nth(1)).tier, TIER_LOCAL);
	ck_assert_int_eq(planned(nth(2)).tier, TIER_REMOTE);
	ck_assert_int_eq(planned(nth(3)).tier, TIER_REMOTE);
	rig_pools[0].zone_aware = false;
	rig_configure();
	ck_assert_int_eq(planned(nth(2)).tier, TIER_LOCAL);
	rig_pools[0].zone_aware = true;
	rig_configure();
	ck_assert_int_eq(registry_set_zone(rig, NULL), 0);
	ck_assert_ptr_null(registry_zone(rig));
	ck_assert_int_eq(planned(nth(2)).tier, TIER_LOCAL);
}
END_TEST

START_TEST(own_zone_spills_by_what_it_has_lost)
{
	rig_pools[0].health.kind = HEALTH_TCP;
	rig_configure();
	registry_set_zone(rig, "x");
	put_zones("xxxxyy");
	for (unsigned i = 1; i <= 6; i++)
		check_says(nth(i), HEALTH_UP, "connected");
	ck_assert_uint_eq(share(), 1000);
	check_says(nth(1), HEALTH_DOWN, "refused");
	ck_assert_uint_eq(share(), 1000); /* 1.4 x 3/4 is more than all */
	check_says(nth(2), HEALTH_DOWN, "refused");
	ck_assert_uint_eq(share(), 700);
	check_says(nth(3), HEALTH_DOWN, "refused");
	check_says(nth(4), HEALTH_DOWN, "refused");
	ck_assert_uint_eq(share(), 0);
	/* What an operator takes out is not missing from a whole zone. */
	check_says(nth(1), HEALTH_UP, "connected");
	say(nth(2), OVERRIDE_DRAIN, -1);
	say(nth(3), OVERRIDE_DRAIN, -1);
	say(nth(4), OVERRIDE_DRAIN, -1);
	ck_assert_uint_eq(share(), 1000);
	/* Nobody else is there to spill to. */
	say(nth(4), OVERRIDE_NONE, -1);
	ck_assert_uint_eq(share(), 700);
	check_says(nth(5), HEALTH_DOWN, "refused");
	check_says(nth(6), HEALTH_DOWN, "refused");
	ck_assert_uint_eq(share(), 1000);
}
END_TEST

START_TEST(new_targets_of_our_zone_take_their_share_by_and_by)
{
	rig_pools[0].slow_start_ms = 10000;
	rig_configure();
	registry_set_zone(rig, "x");
	put_zones("yy");
	pass_us(20 * US_PER_SEC);
	put_zones("yyxx");
	/* Both are new: among themselves they share evenly, but the zone has little to offer. */
	ck_assert_uint_eq(planned(nth(3)).ramp, 1000);
	ck_assert_uint_eq(share(), 28);
	pass_us(5 * US_PER_SEC);
	ck_assert_uint_eq(share(), 700);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		plan_lists_targets_in_order_and_removed_ones_last_without_weight,
		plan_of_an_empty_pool_is_empty,
		new_target_ramps_among_old_ones,
		targets_that_are_all_new_share_without_a_loss,
		who_recovers_ramps_again,
		slow_start_that_a_reload_ends_ends,
		zones_do_not_matter_unless_ours_is_known_and_there,
		own_zone_spills_by_what_it_has_lost,
		new_targets_of_our_zone_take_their_share_by_and_by,
	};

	return run_rigged("registry_plan", tests, COUNT(tests), rig_setup, rig_shut);
}
