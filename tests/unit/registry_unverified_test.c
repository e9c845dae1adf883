/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets that somebody only remembers, and what a configuration that is taken back leaves of what
 * was pushed.
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

/* Targets FIRST .. FIRST + COUNT - 1 of pool a, as the last-known-good file has them. */
static int remember(const char *source, uint64_t generation, unsigned first, unsigned count)
{
	struct target_spec specs[8];
	uint64_t current;

	for (unsigned i = 0; i < count; i++) {
		specs[i] = spec_of(first + i);
		specs[i].unverified = true;
	}
	return registry_put(rig, "a", source, generation, specs, count, &current);
}

static void check_passes_once(struct target_record *record, enum health_status status)
{
	struct health_report report = {.key = record->key, .status = status, .passed = 1};

	registry_health(rig, &report);
}

START_TEST(remembered_target_serves_after_one_passed_check)
{
	ck_assert_int_eq(remember("ec2", 1, 1, 2), PUT_APPLIED);
	expect_standing(nth(1), STANDING_CHECKING);
	ck_assert_uint_eq(nth(1)->effective_weight, 0);
	ck_assert_uint_eq(pool_a()->usable, 0);
	check_says(nth(1), HEALTH_UP, "");
	expect_standing(nth(1), STANDING_SERVING);
	ck_assert(!nth(1)->unverified);
	ck_assert(nth(2)->unverified);
	ck_assert_uint_eq(nth(2)->effective_weight, 0);
}
END_TEST

START_TEST(remembered_target_says_what_it_waits_for)
{
	char text[512];

	remember("ec2", 1, 1, 1);
	registry_explain(nth(1), text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "serves once a check passes"));
	check_says(nth(1), HEALTH_UP, "");
	registry_explain(nth(1), text, sizeof(text));
	ck_assert_ptr_null(strstr(text, "serves once"));
	ck_assert_ptr_nonnull(strstr(event_text("unverified"), "once a health check passed"));
}
END_TEST

START_TEST(remembered_targets_are_not_used_in_panic)
{
	put_range("config", 5, 1);
	remember("ec2", 1, 1, 1);
	check_says(nth(5), HEALTH_DOWN, "refused");
	ck_assert(pool_a()->panic);
	ck_assert(nth(5)->in_panic);
	ck_assert_uint_eq(nth(1)->effective_weight, 0);
	check_says(nth(1), HEALTH_DOWN, "refused");
	ck_assert_uint_eq(nth(1)->effective_weight, 0);
	ck_assert(!nth(1)->in_panic);
}
END_TEST

START_TEST(one_passed_check_of_a_remembered_target_that_was_down_is_enough)
{
	remember("ec2", 1, 1, 1);
	check_says(nth(1), HEALTH_DOWN, "refused");
	expect_standing(nth(1), STANDING_DOWN);
	ck_assert(nth(1)->unverified);
	check_passes_once(nth(1), HEALTH_GOING_UP);
	ck_assert(!nth(1)->unverified);
	expect_standing(nth(1), STANDING_DOWN);
}
END_TEST

START_TEST(target_that_the_pool_has_already_is_not_held_back)
{
	put_range("config", 1, 1);
	put_range("ec2", 2, 1);
	check_says(nth(2), HEALTH_UP, "");
	remember("asg", 1, 1, 2);
	ck_assert(!nth(1)->unverified);
	expect_standing(nth(2), STANDING_SERVING);
	remember("ec2", 9, 2, 1);
	expect_standing(nth(2), STANDING_SERVING);
}
END_TEST

START_TEST(set_that_is_not_remembered_lifts_the_need_but_verifies_nothing)
{
	remember("ec2", 1, 1, 2);
	ck_assert(pool_a()->sources[0].unverified);
	ck_assert_int_eq(put_range("ec2", 1, 2), PUT_APPLIED);
	ck_assert(!nth(1)->unverified);
	ck_assert(!pool_a()->sources[0].unverified);
	expect_standing(nth(1), STANDING_CHECKING);
	ck_assert_uint_gt(nth(1)->effective_weight, 0); /* as any new one, while none is up */
	check_says(nth(2), HEALTH_UP, "");
	ck_assert_uint_eq(nth(1)->effective_weight, 0);
}
END_TEST

START_TEST(other_source_that_lists_a_remembered_target_vouches_for_it)
{
	remember("ec2", 1, 1, 1);
	put_range("config", 1, 1);
	ck_assert(!nth(1)->unverified);
}
END_TEST

START_TEST(remembered_set_again_holds_back_only_what_is_new)
{
	remember("ec2", 1, 1, 1);
	check_says(nth(1), HEALTH_UP, "");
	ck_assert_int_eq(remember("ec2", 1, 1, 1), PUT_SAME);
	ck_assert_int_eq(remember("ec2", 2, 1, 2), PUT_APPLIED);
	expect_standing(nth(1), STANDING_SERVING);
	ck_assert(nth(2)->unverified);
}
END_TEST

START_TEST(remembered_target_that_left_and_returns_is_held_back_again)
{
	remember("ec2", 1, 1, 1);
	check_says(nth(1), HEALTH_UP, "");
	remember("ec2", 2, 2, 1);
	expect_standing(nth(1), STANDING_REMOVED);
	remember("ec2", 3, 1, 1);
	ck_assert(nth(1)->unverified);
	ck_assert_uint_eq(nth(1)->effective_weight, 0);
}
END_TEST

START_TEST(remembered_targets_serve_where_no_check_is_and_an_event_says_so)
{
	rig_pools[0].health.kind = HEALTH_OFF;
	rig_configure();
	remember("ec2", 1, 1, 2);
	expect_standing(nth(1), STANDING_SERVING);
	ck_assert(!nth(1)->unverified);
	ck_assert_ptr_nonnull(strstr(event_text("unverified"), "no health check to verify"));
	ck_assert_uint_eq(events_of("unverified"), 1);
}
END_TEST

START_TEST(checks_that_are_switched_off_hold_nobody_back)
{
	remember("ec2", 1, 1, 1);
	rig_pools[0].health.kind = HEALTH_OFF;
	rig_configure();
	expect_standing(nth(1), STANDING_SERVING);
	ck_assert(!nth(1)->unverified);
}
END_TEST

/* --- what is taken back --- */

START_TEST(pool_that_a_configuration_takes_back_keeps_what_was_pushed)
{
	uint64_t key;

	rig_config.pool_count = 2;
	rig_configure();
	put_range("ec2", 1, 2);
	check_says(nth(1), HEALTH_UP, "");
	key = nth(1)->key;
	rig_config.pools = &rig_pools[1];
	rig_config.pool_count = 1;
	ck_assert_int_eq(registry_adopt(rig, &rig_config), 0);
	ck_assert_ptr_null(pool_a());
	rig_config.pools = rig_pools;
	rig_config.pool_count = 2;
	ck_assert_int_eq(registry_adopt(rig, &rig_config), 0);
	ck_assert_uint_eq(pool_a()->source_count, 1);
	ck_assert_uint_eq(pool_a()->sources[0].target_count, 2);
	ck_assert_uint_eq(nth(1)->key, key);
	expect_standing(nth(1), STANDING_SERVING);
	registry_commit(rig);
	expect_standing(nth(1), STANDING_SERVING);
}
END_TEST

START_TEST(pool_that_left_for_good_loses_what_was_pushed)
{
	rig_config.pool_count = 2;
	rig_configure();
	put_range("ec2", 1, 2);
	rig_config.pools = &rig_pools[1];
	rig_config.pool_count = 1;
	rig_configure();
	rig_config.pools = rig_pools;
	rig_config.pool_count = 2;
	rig_configure();
	ck_assert_uint_eq(pool_a()->source_count, 0);
	rig_config.pool_count = 1;
}
END_TEST

static struct discover_conf ec2_named_blue = {.name = "blue", .kind = "ec2"};

static void discover_blue(bool yes)
{
	rig_pools[0].discovered = yes;
	rig_pools[0].discovers = yes ? &ec2_named_blue : NULL;
	rig_pools[0].discover_count = yes;
}

START_TEST(source_that_is_discovered_has_a_kind)
{
	put_range("blue", 1, 1);
	ck_assert_ptr_null(pool_a()->sources[0].kind);
	discover_blue(true);
	rig_configure();
	ck_assert_str_eq(pool_a()->sources[0].kind, "ec2");
	put_range("script", 2, 1);
	ck_assert_ptr_null(pool_a()->sources[1].kind);
}
END_TEST

START_TEST(pool_without_discovery_any_more_loses_its_sources_once_that_is_certain)
{
	discover_blue(true);
	rig_configure();
	put_range("blue", 1, 1);
	put_range("script", 2, 1);
	discover_blue(false);
	ck_assert_int_eq(registry_adopt(rig, &rig_config), 0);
	ck_assert_uint_eq(pool_a()->source_count, 2);
	discover_blue(true);
	ck_assert_int_eq(registry_adopt(rig, &rig_config), 0);
	registry_commit(rig);
	ck_assert_uint_eq(pool_a()->source_count, 2);
	discover_blue(false);
	rig_configure();
	ck_assert_uint_eq(pool_a()->source_count, 1);
	ck_assert_str_eq(pool_a()->sources[0].name, "script");
}
END_TEST

START_TEST(pool_that_awaits_a_set_does_so_after_a_configuration_was_taken_back)
{
	rig_pools[1].discovered = true;
	rig_config.pool_count = 2;
	rig_configure();
	ck_assert(registry_pool(rig, "b")->awaited);
	rig_pools[1].discovered = false;
	ck_assert_int_eq(registry_adopt(rig, &rig_config), 0);
	rig_pools[1].discovered = true;
	ck_assert_int_eq(registry_adopt(rig, &rig_config), 0);
	ck_assert(registry_pool(rig, "b")->awaited);
	rig_pools[1].discovered = false;
	rig_configure();
	ck_assert(!registry_pool(rig, "b")->awaited);
}
END_TEST

START_TEST(listings_tell_what_each_source_said)
{
	struct target_spec spec = spec_of(1);
	struct target_listing listing;
	uint64_t generation;

	put_range("config", 1, 1);
	spec.weight = 7;
	spec.zone = "z1";
	spec.max_connections = 3;
	spec.backup = spec.draining = true;
	registry_put(rig, "a", "ec2", 5, &spec, 1, &generation);
	ck_assert(registry_listing(nth(1), 0, &listing));
	ck_assert_str_eq(listing.source, "config");
	ck_assert_uint_eq(listing.weight, 100);
	ck_assert(registry_listing(nth(1), 1, &listing));
	ck_assert_str_eq(listing.source, "ec2");
	ck_assert_uint_eq(listing.weight, 7);
	ck_assert_str_eq(listing.zone, "z1");
	ck_assert_uint_eq(listing.max_connections, 3);
	ck_assert(listing.backup && listing.draining);
	ck_assert(!registry_listing(nth(1), 2, &listing));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		remembered_target_serves_after_one_passed_check,
		remembered_target_says_what_it_waits_for,
		remembered_targets_are_not_used_in_panic,
		one_passed_check_of_a_remembered_target_that_was_down_is_enough,
		target_that_the_pool_has_already_is_not_held_back,
		set_that_is_not_remembered_lifts_the_need_but_verifies_nothing,
		other_source_that_lists_a_remembered_target_vouches_for_it,
		remembered_set_again_holds_back_only_what_is_new,
		remembered_target_that_left_and_returns_is_held_back_again,
		remembered_targets_serve_where_no_check_is_and_an_event_says_so,
		checks_that_are_switched_off_hold_nobody_back,
		pool_that_a_configuration_takes_back_keeps_what_was_pushed,
		pool_that_left_for_good_loses_what_was_pushed,
		source_that_is_discovered_has_a_kind,
		pool_without_discovery_any_more_loses_its_sources_once_that_is_certain,
		pool_that_awaits_a_set_does_so_after_a_configuration_was_taken_back,
		listings_tell_what_each_source_said,
	};

	return run_rigged("registry_unverified", tests, COUNT(tests), setup, rig_shut);
}
