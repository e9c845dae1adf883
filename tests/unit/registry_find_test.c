/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding a target by what somebody calls it, and saying why it is in or out.
 */
/* link: -Wl,--wrap=log_event,--wrap=clock_gettime */
#include "tests/unit/registry_rig.h"

static void setup(void)
{
	struct target_spec specs[] = {spec_of(1), spec_of(1), spec_of(2), spec_of(3)};
	uint64_t generation;

	rig_defaults();
	rig_config.pool_count = 2;
	rig_open(NULL);
	rig_configure();
	specs[0].id = "i-1";
	specs[1].id = "i-1";
	specs[1].addr.port = 81;
	specs[2].written = "db:80/10.0.0.2";
	registry_put(rig, "a", "control", 1, specs, 4, &generation);
	registry_put(rig, "b", "control", 1, specs + 3, 1, &generation);
}

static int search(const char *pool, const char *text)
{
	struct target_record *record;

	return registry_find(rig, pool, text, &record);
}

START_TEST(target_answers_to_name_id_address_and_key)
{
	char key[24];

	ck_assert_str_eq(find("i-1/10.0.0.1:80")->target->name, "i-1/10.0.0.1:80");
	ck_assert_str_eq(find("10.0.0.1:81")->target->name, "i-1/10.0.0.1:81");
	ck_assert_str_eq(find("db:80/10.0.0.2")->target->name, "db:80/10.0.0.2");
	ck_assert_ptr_eq(find("10.0.0.2:80"), find("db:80/10.0.0.2"));
	snprintf(key, sizeof(key), "%llu", (unsigned long long)find("10.0.0.2:80")->key);
	ck_assert_ptr_eq(find(key), find("10.0.0.2:80"));
}
END_TEST

START_TEST(several_are_not_one)
{
	ck_assert_int_eq(search(NULL, "i-1"), -ENOTUNIQ);
	ck_assert_int_eq(search(NULL, "10.0.0.3:80"), -ENOTUNIQ);
	ck_assert_int_eq(search("a", "10.0.0.3:80"), 0);
	ck_assert_int_eq(search("b", "10.0.0.3:80"), 0);
}
END_TEST

START_TEST(nobody_of_that_name_is_no_entry)
{
	ck_assert_int_eq(search(NULL, "10.0.0.4:80"), -ENOENT);
	ck_assert_int_eq(search("b", "i-1/10.0.0.1:80"), -ENOENT);
	ck_assert_int_eq(search("x", "10.0.0.3:80"), -ENOENT);
	ck_assert_int_eq(search(NULL, ""), -ENOENT);
	ck_assert_int_eq(search(NULL, "0"), -ENOENT);
	ck_assert_int_eq(search(NULL, "1x"), -ENOENT);
	ck_assert_int_eq(search(NULL, "99999999999999999999999"), -ENOENT);
}
END_TEST

static const char *why(const struct target_record *record)
{
	static char text[512];

	ck_assert_int_eq(registry_explain(record, text, sizeof(text)), (int)strlen(text));
	return text;
}

START_TEST(explanation_says_since_when_and_why)
{
	struct target_record *record = find("db:80/10.0.0.2");

	ck_assert_str_eq(why(record), "serving since 08:16:40 UTC: listed by source control, the "
				      "pool has no health check");
	rig_now_us += 3600 * US_PER_SEC;
	say(record, OVERRIDE_DRAIN, -1);
	ck_assert_str_eq(why(record),
			 "draining since 09:16:40 UTC: drained by uid 0 (root): a test");
	say(record, OVERRIDE_MAINTENANCE, -1);
	rig_now_us += 86400 * US_PER_SEC;
	ck_assert_str_eq(why(record), "maintenance since 2027-01-15 09:16:40 UTC: put in "
				      "maintenance by uid 0 (root): a test");
	rig_now_us = 1000 * US_PER_SEC; /* Check cannot count a day that a test took */
}
END_TEST

START_TEST(explanation_of_panic_says_so)
{
	rig_pools[0].health.kind = HEALTH_TCP;
	rig_configure();
	for (size_t i = 0; i < pool_a()->target_count; i++)
		check_says(pool_a()->targets[i], HEALTH_DOWN, "connect refused");
	ck_assert_str_eq(why(find("10.0.0.2:80")),
			 "down since 08:16:40 UTC: connect refused, 3 of 3 checks failed; used all "
			 "the same, the pool is in panic");
	rig_pools[0].panic = PANIC_REFUSE;
	rig_configure();
	ck_assert_str_eq(why(find("10.0.0.2:80")),
			 "down since 08:16:40 UTC: connect refused, 3 of 3 checks failed; the pool "
			 "is in panic and refuses");
}
END_TEST

START_TEST(explanation_that_is_cut_says_how_long_it_would_be)
{
	char text[8];
	int len = registry_explain(find("10.0.0.2:80"), text, sizeof(text));

	ck_assert_int_gt(len, 40);
	ck_assert_str_eq(text, "serving");
}
END_TEST

START_TEST(history_tells_what_happened_newest_last)
{
	struct target_record *record = find("10.0.0.2:80");

	ck_assert_uint_eq(record->moments, 1);
	ck_assert_str_eq(record->history[0].text, "added, serving: listed by source control, the "
						  "pool has no health check");
	say(record, OVERRIDE_DRAIN, -1);
	ck_assert_str_eq(record->history[1].text, "override: drain by uid 0 (root): a test");
	ck_assert_str_eq(record->history[2].text, "draining: drained by uid 0 (root): a test");
	for (unsigned i = 0; i < 20; i++)
		say(record, OVERRIDE_DRAIN, (int32_t)i + 1);
	ck_assert_uint_eq(record->moments, 23);
	ck_assert_str_eq(record->history[22 % TARGET_HISTORY].text,
			 "override: drain, weight 20 by uid 0 (root): a test");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		target_answers_to_name_id_address_and_key,
		several_are_not_one,
		nobody_of_that_name_is_no_entry,
		explanation_says_since_when_and_why,
		explanation_of_panic_says_so,
		explanation_that_is_cut_says_how_long_it_would_be,
		history_tells_what_happened_newest_last,
	};

	return run_rigged("registry_find", tests, COUNT(tests), setup, rig_shut);
}
