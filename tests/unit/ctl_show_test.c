/* SPDX-License-Identifier: Apache-2.0
 *
 * Fields of answers as they are shown: what is unknown, ages, and reasons without their prefix.
 */
#include "control/ctl/json.h"
#include "control/ctl/show.h"
#include "proxy/base/clock.h"
#include "tests/unit/ctl_rig.h"

#define MINUTE_US (60 * US_PER_SEC)

START_TEST(fields_of_another_type_are_unknown)
{
	json_t *object = json_pack("{s:s s:i s:f s:n s:b s:[i] s:i}", "text", "x", "count", 7,
				   "real", 2.5, "none", "yes", 1, "list", 1, "below", -3);

	ck_assert_str_eq(field_text(object, "text", "-"), "x");
	ck_assert_str_eq(field_text(object, "count", "-"), "-");
	ck_assert_ptr_null(field_text(object, "missing", NULL));
	ck_assert_uint_eq(field_count(object, "count"), 7);
	ck_assert_uint_eq(field_count(object, "real"), 2);
	ck_assert_uint_eq(field_count(object, "below"), 0);
	ck_assert_uint_eq(field_count(object, "text"), 0);
	ck_assert(field_number(object, "real") == 2.5);
	ck_assert(field_true(object, "yes") && !field_true(object, "count"));
	ck_assert(field_known(object, "count") && !field_known(object, "none"));
	ck_assert(!field_known(object, "missing") && !field_known(NULL, "count"));
	ck_assert_uint_eq(field_size(object, "list"), 1);
	ck_assert_uint_eq(field_size(object, "text"), 0);
	json_decref(object);
}
END_TEST

START_TEST(large_counts_keep_every_digit)
{
	json_t *object = json_pack("{s:I}", "id", (json_int_t)9007199254740993);

	ck_assert_uint_eq(field_count(object, "id"), UINT64_C(9007199254740993));
	json_decref(object);
}
END_TEST

START_TEST(times_are_read_and_other_texts_are_none)
{
	json_t *object = json_pack("{s:s s:s}", "good", "1970-01-01T00:01:00.000Z", "bad", "soon");

	ck_assert_uint_eq(field_wall_us(object, "good"), MINUTE_US);
	ck_assert_uint_eq(field_wall_us(object, "bad"), 0);
	json_decref(object);
}
END_TEST

START_TEST(ages_are_of_the_past_or_the_future)
{
	char buf[SHOW_AGE];

	ck_assert_str_eq(show_age_text(MINUTE_US, 4 * MINUTE_US, buf), "3m");
	ck_assert_str_eq(show_age_text(4 * MINUTE_US, MINUTE_US, buf), "in 3m");
	ck_assert_str_eq(show_age_text(MINUTE_US, MINUTE_US, buf), "0s");
	ck_assert_str_eq(show_age_text(0, MINUTE_US, buf), "-");
}
END_TEST

static void reason_of(const char *reason, const char *expected)
{
	json_t *target = json_pack("{s:s s:s}", "state", "down", "reason", reason);

	ck_assert_str_eq(show_reason(target), expected);
	json_decref(target);
}

START_TEST(reasons_lose_the_state_and_time_that_stand_beside_them)
{
	reason_of("down since 2026-01-02T03:04:05.678Z: connect refused: 3 of 3 failed",
		  "connect refused: 3 of 3 failed");
	reason_of("down since long ago", "down since long ago");
	reason_of("downhill since 3: x", "downhill since 3: x");
	reason_of("the cable: cut", "the cable: cut");
	reason_of("", "");
	ck_assert_str_eq(show_reason(NULL), "");
}
END_TEST

START_TEST(removed_target_is_gone_once_it_carries_nothing)
{
	json_t *target = json_pack("{s:s s:i}", "state", "removed", "open", 1);

	ck_assert(!show_is_gone(target));
	json_object_set_new(target, "open", json_integer(0));
	ck_assert(show_is_gone(target));
	json_object_set_new(target, "state", json_string("down"));
	ck_assert(!show_is_gone(target));
	json_decref(target);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		fields_of_another_type_are_unknown,
		large_counts_keep_every_digit,
		times_are_read_and_other_texts_are_none,
		ages_are_of_the_past_or_the_future,
		reasons_lose_the_state_and_time_that_stand_beside_them,
		removed_target_is_gone_once_it_carries_nothing,
	};

	return run_tests("ctl_show", tests, COUNT(tests));
}
