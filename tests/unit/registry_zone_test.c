/* SPDX-License-Identifier: Apache-2.0
 *
 * Which targets stand in the own zone, when that zone goes by more than one name.
 */
/* link: -Wl,--wrap=log_event,--wrap=clock_gettime */
#include "tests/unit/registry_rig.h"

static char *const zones[] = {"use1-az1",  "us-east-1a", "us-east-1b",
			      "use1-az11", "us-east-1",  NULL};

/* Targets 1 to 6, one of each zone. */
static void put_zones(void)
{
	struct target_spec specs[COUNT(zones)];
	uint64_t generation;

	for (unsigned i = 0; i < COUNT(zones); i++) {
		specs[i] = spec_of(1 + i);
		specs[i].zone = zones[i];
	}
	ck_assert_int_eq(registry_put(rig, "a", "config", 0, specs, COUNT(zones), &generation), 0);
}

/* Bit n is set when the target of zone n stands in ours. */
static unsigned local_ones(const char *own)
{
	struct pool_plan plan;
	unsigned local = 0;

	ck_assert_int_eq(registry_set_zone(rig, own), 0);
	plan = plan_of(0);
	ck_assert_uint_eq(plan.count, COUNT(zones));
	for (unsigned i = 0; i < COUNT(zones); i++)
		if (plan.members[i].tier == TIER_LOCAL)
			local |= 1U << i;
	pool_plan_fini(&plan);
	return local;
}

START_TEST(target_labelled_with_any_name_of_the_own_zone_is_local)
{
	put_zones();
	ck_assert_uint_eq(local_ones("us-east-1b"), 1U << 2);
	ck_assert_uint_eq(local_ones("use1-az1,us-east-1a"), 1U << 0 | 1U << 1);
	ck_assert_uint_eq(local_ones("us-east-1a,use1-az11"), 1U << 1 | 1U << 3);
}
END_TEST

START_TEST(zones_do_not_matter_where_no_target_stands_in_ours)
{
	put_zones();
	ck_assert_uint_eq(local_ones("eu-west-1a"), 0x3f);
	ck_assert_uint_eq(local_ones("us-east"), 0x3f);
	ck_assert_uint_eq(local_ones(NULL), 0x3f);
}
END_TEST

/* Bit n is set when bytes to the target of zone n cross zones. */
static unsigned crossed(const char *own)
{
	unsigned crossed = 0;

	ck_assert_int_eq(registry_set_zone(rig, own), 0);
	for (unsigned i = 0; i < COUNT(zones); i++)
		if (atomic_load(&nth(1 + i)->target->cross_zone))
			crossed |= 1U << i;
	return crossed;
}

START_TEST(zones_are_crossed_where_both_are_known_whether_or_not_they_matter)
{
	put_zones();
	ck_assert_uint_eq(crossed(NULL), 0);
	ck_assert_uint_eq(crossed("us-east-1b"), 0x1f & ~(1U << 2));
	ck_assert_uint_eq(crossed("eu-west-1a"), 0x1f);
	ck_assert_uint_eq(crossed("use1-az1,us-east-1a"), 0x1f & ~3U);
	ck_assert_uint_eq(crossed(NULL), 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		target_labelled_with_any_name_of_the_own_zone_is_local,
		zones_do_not_matter_where_no_target_stands_in_ours,
		zones_are_crossed_where_both_are_known_whether_or_not_they_matter,
	};

	return run_rigged("registry_zone", tests, COUNT(tests), rig_setup, rig_shut);
}
