/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of an operator's word on a target, and of the names a target answers to.
 */
#include "tests/unit/admin_rig.h"

#define URL "/v1/targets/10.0.0.2:80"

static json_t *patch(const char *body)
{
	return rig_answer("PATCH", URL, body, 200);
}

START_TEST(a_weight_is_in_force_and_can_be_lifted)
{
	json_t *target = patch("{\"weight\":5,\"why\":\"slow disk\"}");
	const json_t *word = json_object_get(target, "override");

	ck_assert_int_eq(number_of(target, "effective_weight"), 5);
	ck_assert_int_eq(number_of(word, "weight"), 5);
	ck_assert_str_eq(text_of(word, "kind"), "none");
	ck_assert_str_eq(text_of(word, "why"), "slow disk");
	ck_assert_str_eq(text_of(word, "who"), "uid 54321");
	ck_assert(json_is_null(json_object_get(word, "until")));
	json_decref(target);
	target = patch("{\"weight\":null}");
	ck_assert(json_is_null(json_object_get(target, "override")));
	ck_assert_int_eq(number_of(target, "effective_weight"), 100);
	json_decref(target);
	ck_assert_uint_eq(rig_main.published, 2);
}
END_TEST

START_TEST(drain_and_weight_do_not_undo_each_other)
{
	json_t *target;

	json_decref(patch("{\"weight\":5}"));
	target = patch("{\"override\":\"drain\"}");
	ck_assert_str_eq(text_of(target, "state"), "draining");
	ck_assert_int_eq(number_of(json_object_get(target, "override"), "weight"), 5);
	json_decref(target);
	target = patch("{\"override\":\"none\"}");
	ck_assert_str_eq(text_of(target, "state"), "serving");
	ck_assert_int_eq(number_of(target, "effective_weight"), 5);
	json_decref(target);
}
END_TEST

START_TEST(maintenance_ends_when_it_was_said_to)
{
	json_t *target = patch("{\"override\":\"maintenance\",\"until\":\"2999-01-01T00:00:00Z\"}");

	ck_assert_str_eq(text_of(target, "state"), "maintenance");
	ck_assert_str_eq(text_of(json_object_get(target, "override"), "until"),
			 "2999-01-01T00:00:00.000Z");
	json_decref(target);
	target = patch("{\"override\":\"drain\",\"for_s\":60}");
	ck_assert(json_is_string(json_object_get(json_object_get(target, "override"), "until")));
	json_decref(target);
}
END_TEST

START_TEST(lifting_a_drain_leaves_a_weight_its_end)
{
	json_t *target, *word;

	json_decref(rig_answer("PATCH", URL, "{\"weight\":5}", 200));
	json_decref(rig_answer("PATCH", URL, "{\"override\":\"drain\",\"for_s\":60}", 200));
	target = rig_answer("PATCH", URL, "{\"override\":\"none\"}", 200);
	word = json_object_get(target, "override");
	ck_assert_int_eq(number_of(word, "weight"), 5);
	ck_assert(json_is_string(json_object_get(word, "until")));
	json_decref(target);
	target = rig_answer("PATCH", URL, "{\"override\":\"none\",\"until\":null}", 200);
	ck_assert(json_is_null(json_object_get(json_object_get(target, "override"), "until")));
	json_decref(target);
	json_decref(rig_answer("PATCH", URL, "{\"weight\":6,\"for_s\":60}", 200));
	target = rig_answer("PATCH", URL, "{\"override\":\"drain\"}",
			    200); /* of its own: for good */
	ck_assert(json_is_null(json_object_get(json_object_get(target, "override"), "until")));
	json_decref(target);
}
END_TEST

START_TEST(a_word_that_makes_no_sense_is_refused)
{
	static const char *const cases[][2] = {
		{"{}", "nothing to change"},
		{"{\"why\":\"x\"}", "nothing to change"},
		{"{\"override\":\"gone\"}", "override must be none"},
		{"{\"override\":null}", "override must be a string"},
		{"{\"weight\":1001}", "weight must be a number from 0 to 1000"},
		{"{\"weight\":true}", "weight must be a number"},
		{"{\"weight\":1,\"until\":\"tomorrow\"}", "until must be a time"},
		{"{\"weight\":1,\"until\":\"2001-01-01T00:00:00Z\"}", "in the future"},
		{"{\"weight\":1,\"for_s\":0}", "for_s must be a number"},
		{"{\"weight\":1,\"for_s\":5,\"until\":\"2999-01-01T00:00:00Z\"}", "exclude"},
		{"{\"weight\":1,\"why\":\"a\\u001b[2Jb\"}", "why must be printable"},
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		rig_refused("PATCH", URL, cases[i][0], 400, cases[i][1]);
	rig_refused("PATCH", URL, NULL, 400, "the body is missing");
	ck_assert_uint_eq(rig_main.published, 0);
}
END_TEST

START_TEST(a_name_that_fits_several_lists_them)
{
	json_t *answer = rig_answer("GET", "/v1/targets/10.0.0.1:80/explain", NULL, 409);
	const json_t *keys = json_object_get(answer, "keys");
	char url[64];

	ck_assert_uint_eq(json_array_size(json_object_get(answer, "candidates")), 2);
	ck_assert_uint_eq(json_array_size(keys), 2);
	snprintf(url, sizeof(url), "/v1/targets/%s/explain",
		 json_string_value(json_array_get(keys, 1)));
	json_decref(rig_answer("GET", url, NULL, 200));
	json_decref(answer);
	answer = rig_answer("GET", "/v1/targets/10.0.0.1:80/explain?pool=db", NULL, 200);
	ck_assert_str_eq(text_of(answer, "pool"), "db");
	json_decref(answer);
}
END_TEST

START_TEST(a_name_that_fits_nobody_is_404)
{
	rig_refused("GET", "/v1/targets/10.9.9.9:80/explain", NULL, 404, "10.9.9.9:80");
	rig_refused("PATCH", "/v1/targets/10.0.0.2:80?pool=db", "{\"weight\":1}", 404,
		    "in pool db");
	rig_refused("DELETE", "/v1/targets/10.0.0.2:80?pool=x", NULL, 404, "no pool \"x\"");
}
END_TEST

START_TEST(only_what_an_operator_added_is_removed)
{
	json_t *target;

	rig_refused("DELETE", URL, NULL, 409, "drain it instead");
	json_decref(
		rig_answer("POST", "/v1/pools/web/targets", "{\"address\":\"10.0.0.9:80\"}", 201));
	target = rig_answer("DELETE", "/v1/targets/10.0.0.9:80", NULL, 200);
	ck_assert_str_eq(text_of(target, "state"), "removed");
	json_decref(target);
}
END_TEST

START_TEST(a_targets_sessions_are_closed_as_asked)
{
	json_t *answer = rig_answer("DELETE", URL "/sessions?rst=1&spread_s=30", NULL, 202);

	ck_assert_int_eq(number_of(answer, "closing"), 7);
	json_decref(answer);
	ck_assert_str_eq(rig_main.closed->name, "10.0.0.2:80");
	ck_assert_uint_eq(rig_main.spread_ms, 30000);
	ck_assert(rig_main.reset);
	rig_refused("DELETE", URL "/sessions?rst=2", NULL, 400, "\"rst\"");
	rig_main.close = -ETIMEDOUT;
	rig_refused("DELETE", URL "/sessions", NULL, 503, "did not answer");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_weight_is_in_force_and_can_be_lifted,  drain_and_weight_do_not_undo_each_other,
		lifting_a_drain_leaves_a_weight_its_end, maintenance_ends_when_it_was_said_to,
		a_word_that_makes_no_sense_is_refused,   a_name_that_fits_several_lists_them,
		a_name_that_fits_nobody_is_404,          only_what_an_operator_added_is_removed,
		a_targets_sessions_are_closed_as_asked,
	};

	return run_rigged("admin_targets", tests, COUNT(tests), rig_setup, rig_teardown);
}
