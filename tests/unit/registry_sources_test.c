/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources: sets with generations, their union, who decides on attributes, identity.
 */
/* link: -Wl,--wrap=log_event,--wrap=clock_gettime */
#include "tests/unit/registry_rig.h"

static int put_specs(const char *source, uint64_t generation, const struct target_spec *specs,
		     size_t count)
{
	uint64_t current = 0;

	return registry_put(rig, "a", source, generation, specs, count, &current);
}

START_TEST(set_becomes_targets_that_serve)
{
	ck_assert_int_eq(put_range("config", 1, 3), PUT_APPLIED);
	ck_assert_uint_eq(pool_a()->target_count, 3);
	ck_assert_uint_eq(pool_a()->usable, 3);
	ck_assert_uint_eq(pool_a()->eligible, 3);
	expect_standing(nth(2), STANDING_SERVING);
	ck_assert_uint_eq(nth(2)->effective_weight, 100);
	ck_assert_str_eq(nth(2)->source, "config");
	ck_assert_ptr_eq(nth(2)->target->pool, pool_a()->state);
	ck_assert_uint_gt(rig_changes, 0);
	ck_assert_uint_eq(events_of("target_added"), 3);
}
END_TEST

START_TEST(removed_target_stays_until_its_sessions_have_ended)
{
	struct target *target;

	put_range("config", 1, 2);
	target = nth(2)->target;
	ck_assert(target_reserve(target));
	put_range("config", 1, 1);
	expect_standing(nth(2), STANDING_REMOVED);
	ck_assert(target_is_closed(target));
	pass_us(US_PER_SEC);
	ck_assert_uint_eq(nth(2)->gone_us, 0);
	target_release(target);
	pass_us(US_PER_SEC);
	ck_assert_uint_gt(nth(2)->gone_us, 0);
	pass_us(601 * US_PER_SEC);
	ck_assert_uint_eq(pool_a()->target_count, 1);
}
END_TEST

START_TEST(older_generation_is_refused_with_the_current_one)
{
	struct target_spec specs[] = {spec_of(1), spec_of(2)};
	uint64_t current = 0;

	ck_assert_int_eq(put_specs("control", 7, specs, 1), PUT_APPLIED);
	ck_assert_int_eq(registry_put(rig, "a", "control", 6, specs, 2, &current), -ESTALE);
	ck_assert_uint_eq(current, 7);
	ck_assert_int_eq(put_specs("control", 7, specs, 2), -ESTALE);
	ck_assert_int_eq(put_specs("control", 7, specs, 1), PUT_SAME);
	ck_assert_uint_eq(pool_a()->target_count, 1);
	ck_assert_int_eq(put_specs("control", 8, specs, 2), PUT_APPLIED);
	ck_assert_uint_eq(pool_a()->target_count, 2);
	ck_assert_uint_eq(pool_a()->sources[0].generation, 8);
	ck_assert_uint_eq(pool_a()->sources[0].target_count, 2);
}
END_TEST

START_TEST(same_generation_of_other_content_is_refused)
{
	struct target_spec spec = spec_of(1);

	ck_assert_int_eq(put_specs("control", 1, &spec, 1), PUT_APPLIED);
	spec.weight = 50;
	ck_assert_int_eq(put_specs("control", 1, &spec, 1), -ESTALE);
	spec.weight = 100;
	spec.zone = "z";
	ck_assert_int_eq(put_specs("control", 1, &spec, 1), -ESTALE);
	spec.zone = NULL;
	spec.draining = true;
	ck_assert_int_eq(put_specs("control", 1, &spec, 1), -ESTALE);
	spec = spec_of(2);
	ck_assert_int_eq(put_specs("control", 1, &spec, 1), -ESTALE);
	ck_assert_int_eq(put_specs("control", 1, NULL, 0), -ESTALE);
	ck_assert_uint_eq(pool_a()->target_count, 1);
}
END_TEST

START_TEST(first_source_decides_and_the_next_one_when_it_leaves)
{
	struct target_spec ours = spec_of(1), theirs = spec_of(1), other = spec_of(1);

	ours.weight = 10;
	theirs.weight = 20;
	other.weight = 30;
	theirs.zone = "z1";
	put_specs("zz", 1, &other, 1);
	put_specs("control", 1, &theirs, 1);
	ck_assert_uint_eq(nth(1)->weight, 20);
	put_specs("config", 0, &ours, 1);
	ck_assert_uint_eq(nth(1)->weight, 10);
	ck_assert_str_eq(nth(1)->source, "config");
	ck_assert_ptr_null(nth(1)->zone);
	ck_assert_int_eq(registry_drop_source(rig, "a", "config"), 0);
	ck_assert_uint_eq(nth(1)->weight, 20);
	ck_assert_str_eq(nth(1)->zone, "z1");
	ck_assert_int_eq(registry_drop_source(rig, "a", "control"), 0);
	ck_assert_str_eq(nth(1)->source, "zz");
	expect_standing(nth(1), STANDING_SERVING);
	ck_assert_int_eq(registry_drop_source(rig, "a", "zz"), 0);
	expect_standing(nth(1), STANDING_REMOVED);
	ck_assert_uint_eq(pool_a()->source_count, 0);
	ck_assert_int_eq(registry_drop_source(rig, "a", "zz"), -ENOENT);
}
END_TEST

START_TEST(new_id_at_an_old_address_is_a_new_target)
{
	struct target_spec spec = spec_of(1);
	struct target_record *before;

	spec.id = "i-1";
	put_specs("control", 1, &spec, 1);
	before = find("i-1");
	say(before, OVERRIDE_MAINTENANCE, 7);
	spec.id = "i-2";
	put_specs("control", 2, &spec, 1);
	ck_assert_uint_ne(find("i-2")->key, before->key);
	ck_assert_ptr_ne(find("i-2")->target, before->target);
	ck_assert_uint_eq(find("i-2")->override.since_wall_us, 0);
	ck_assert_uint_eq(find("i-2")->effective_weight, 100);
	expect_standing(before, STANDING_REMOVED);
	ck_assert_str_eq(find("i-2")->target->name, "i-2/10.0.0.1:80");
	/* The address means the one that is there now. */
	ck_assert_str_eq(nth(1)->id, "i-2");
}
END_TEST

START_TEST(target_that_returns_keeps_its_record_and_starts_unchecked)
{
	uint64_t key;

	rig_pools[0].health.kind = HEALTH_TCP;
	rig_configure();
	put_range("control", 1, 2);
	key = nth(2)->key;
	check_says(nth(2), HEALTH_DOWN, "refused");
	put_range("control", 1, 1);
	pass_us(5 * US_PER_SEC);
	put_range("control", 1, 2);
	ck_assert_uint_eq(nth(2)->key, key);
	ck_assert_uint_eq(nth(2)->returns, 1);
	ck_assert_int_eq(nth(2)->health, HEALTH_UNKNOWN);
	ck_assert_uint_eq(nth(2)->removed_us, 0);
	ck_assert_uint_eq(nth(2)->drain_until_us, 0);
	ck_assert_uint_ge(nth(2)->moments, 4);
	pass_us(700 * US_PER_SEC);
	ck_assert_uint_eq(pool_a()->target_count, 2);
}
END_TEST

START_TEST(bad_sets_change_nothing)
{
	struct target_spec specs[] = {spec_of(1), spec_of(2), spec_of(1)};
	unsigned changes;

	put_range("config", 1, 1);
	changes = rig_changes;
	ck_assert_int_eq(put_specs("control", 1, specs, 3), -EINVAL);
	specs[2] = spec_of(3);
	specs[2].weight = 1001;
	ck_assert_int_eq(put_specs("control", 1, specs, 3), -EINVAL);
	specs[2] = spec_of(3);
	specs[2].addr.port = 0;
	ck_assert_int_eq(put_specs("control", 1, specs, 3), -EINVAL);
	specs[2] = spec_of(3);
	specs[2].id = "";
	ck_assert_int_eq(put_specs("control", 1, specs, 3), -EINVAL);
	ck_assert_int_eq(registry_put(rig, "x", "control", 1, specs, 1, NULL), -ENOENT);
	ck_assert_int_eq(put_specs("control", 1, specs, 65537), -E2BIG);
	ck_assert_uint_eq(pool_a()->target_count, 1);
	ck_assert_uint_eq(pool_a()->source_count, 1);
	ck_assert_uint_eq(rig_changes, changes);
}
END_TEST

START_TEST(two_names_of_one_server_in_the_file_are_one_target)
{
	struct target_spec specs[] = {spec_of(1), spec_of(1), spec_of(2)};

	specs[0].written = "one:80/10.0.0.1";
	specs[1].written = "two:80/10.0.0.1";
	ck_assert_int_eq(put_specs("config", 0, specs, 3), PUT_APPLIED);
	ck_assert_uint_eq(pool_a()->target_count, 2);
	ck_assert_str_eq(pool_a()->targets[0]->target->name, "one:80/10.0.0.1");
}
END_TEST

START_TEST(order_is_that_of_the_sources_and_their_lists)
{
	struct target_spec control[] = {spec_of(9), spec_of(8)};
	struct target_spec config[] = {spec_of(3), spec_of(1)};
	static const unsigned expected[] = {3, 1, 9, 8};
	struct target_spec turned[] = {spec_of(1), spec_of(3)};

	put_specs("control", 1, control, 2);
	put_specs("config", 0, config, 2);
	for (unsigned i = 0; i < COUNT(expected); i++)
		ck_assert_ptr_eq(pool_a()->targets[i], nth(expected[i]));
	put_specs("config", 0, turned, 2);
	ck_assert_ptr_eq(pool_a()->targets[0], nth(1));
}
END_TEST

START_TEST(operator_adds_and_removes_one_by_one)
{
	struct target_spec spec = spec_of(5);

	put_range("config", 1, 2);
	ck_assert_int_eq(registry_add(rig, "a", &spec), 0);
	ck_assert_int_eq(registry_add(rig, "a", &spec), -EEXIST);
	ck_assert_int_eq(registry_add(rig, "x", &spec), -ENOENT);
	ck_assert_str_eq(nth(5)->source, "operator");
	ck_assert_int_eq(registry_remove(rig, nth(1)), -EPERM);
	ck_assert_int_eq(registry_remove(rig, nth(5)), 0);
	ck_assert_int_eq(registry_remove(rig, nth(5)), -ENOENT);
	expect_standing(nth(5), STANDING_REMOVED);
	ck_assert_int_eq(registry_add(rig, "a", &spec), 0);
	put_range("control", 5, 1);
	ck_assert_int_eq(registry_remove(rig, nth(5)), -EPERM);
}
END_TEST

START_TEST(thousands_that_come_and_go_are_one_event_and_are_forgotten)
{
	for (unsigned round = 0; round < 10; round++) {
		ck_assert_int_eq(put_range("control", 1 + round * 1000, 1000), PUT_APPLIED);
		pass_us(US_PER_SEC);
	}
	ck_assert_uint_eq(events_of("targets"), 10);
	ck_assert_uint_eq(events_of("target_added"), 0);
	ck_assert_uint_le(pool_a()->target_count, 2000);
	ck_assert_uint_eq(pool_a()->usable, 1000);
	/* The oldest were forgotten, not the newest. */
	for (size_t i = 1000; i < pool_a()->target_count; i++)
		ck_assert_uint_gt(pool_a()->targets[i]->key, 8000);
}
END_TEST

START_TEST(one_set_of_each_kind_of_address_is_told_apart)
{
	struct target_spec specs[4] = {spec_of(1), spec_of(1), spec_of(1), spec_of(1)};

	specs[1].addr.port = 81;
	ck_assert_int_eq(addr_parse("[2001:db8::1]:80", &specs[2].addr), 0);
	ck_assert_int_eq(addr_parse("unix:/run/x.sock", &specs[3].addr), 0);
	ck_assert_int_eq(put_specs("control", 1, specs, 4), PUT_APPLIED);
	ck_assert_uint_eq(pool_a()->target_count, 4);
	ck_assert_str_eq(find("unix:/run/x.sock")->target->name, "unix:/run/x.sock");
	ck_assert_int_eq(put_specs("control", 1, specs, 4), PUT_SAME);
}
END_TEST

START_TEST(pool_with_discovery_is_awaited_until_its_first_push)
{
	rig_pools[1].discovered = true;
	rig_config.pool_count = 2;
	rig_configure();
	ck_assert(registry_pool(rig, "b")->awaited);
	ck_assert_int_eq(registry_put(rig, "b", "config", 0, NULL, 0, &(uint64_t){0}), PUT_APPLIED);
	ck_assert(registry_pool(rig, "b")->awaited);
	ck_assert_int_eq(registry_put(rig, "b", "control", 4, NULL, 0, &(uint64_t){0}),
			 PUT_APPLIED);
	ck_assert(!registry_pool(rig, "b")->awaited);
	rig_configure();
	ck_assert(!registry_pool(rig, "b")->awaited);
	ck_assert(!pool_a()->awaited);
}
END_TEST

START_TEST(what_was_discovered_is_drained_when_discovery_leaves_the_file)
{
	struct target_spec found = spec_of(1), pushed = spec_of(2);

	rig_pools[0].discovered = true;
	rig_configure();
	ck_assert_int_eq(put_specs("control", 4, &found, 1), PUT_APPLIED);
	ck_assert_int_eq(put_specs("other", 1, &pushed, 1), PUT_APPLIED);
	rig_configure();
	ck_assert_uint_eq(nth(1)->removed_us, 0);
	rig_pools[0].discovered = false;
	rig_configure();
	ck_assert_uint_ne(nth(1)->removed_us, 0);
	ck_assert_uint_eq(nth(2)->removed_us, 0);
	ck_assert_int_eq(put_specs("control", 1, &found, 1), PUT_APPLIED);
	rig_configure(); /* who pushes all the same, is not the file's business */
	ck_assert_uint_eq(nth(1)->removed_us, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		set_becomes_targets_that_serve,
		removed_target_stays_until_its_sessions_have_ended,
		older_generation_is_refused_with_the_current_one,
		same_generation_of_other_content_is_refused,
		first_source_decides_and_the_next_one_when_it_leaves,
		new_id_at_an_old_address_is_a_new_target,
		target_that_returns_keeps_its_record_and_starts_unchecked,
		bad_sets_change_nothing,
		two_names_of_one_server_in_the_file_are_one_target,
		order_is_that_of_the_sources_and_their_lists,
		operator_adds_and_removes_one_by_one,
		thousands_that_come_and_go_are_one_event_and_are_forgotten,
		one_set_of_each_kind_of_address_is_told_apart,
		pool_with_discovery_is_awaited_until_its_first_push,
		what_was_discovered_is_drained_when_discovery_leaves_the_file,
	};

	return run_rigged("registry_sources", tests, COUNT(tests), rig_setup, rig_shut);
}
