/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of targets that are pushed or added: bodies key by key, generations, names that are taken.
 */
#include "tests/unit/admin_rig.h"

#define SET(generation, targets) "{\"generation\":" generation ",\"targets\":[" targets "]}"
#define URL                      "/v1/pools/web/sources/control"

/* How many targets of pool web are listed. */
static json_int_t listed(void)
{
	json_t *pool = rig_answer("GET", "/v1/pools/web", NULL, 200);
	json_int_t count = number_of(pool, "targets");

	json_decref(pool);
	return count;
}

START_TEST(a_pushed_set_joins_the_others)
{
	json_t *answer =
		rig_answer("PUT", URL,
			   SET("5", "{\"address\":\"10.0.0.9:80\",\"id\":\"i-9\",\"weight\":7,"
				    "\"zone\":\"z1\",\"backup\":true,\"max_connections\":3,"
				    "\"draining\":true}"),
			   200);
	json_t *target;

	ck_assert_str_eq(text_of(answer, "result"), "applied");
	ck_assert_int_eq(number_of(answer, "generation"), 5);
	json_decref(answer);
	ck_assert_uint_eq(rig_main.published, 1);
	ck_assert_int_eq(listed(), 3);
	target = rig_answer("GET", "/v1/targets/i-9/explain", NULL, 200);
	ck_assert_int_eq(number_of(target, "weight"), 7);
	ck_assert_int_eq(number_of(target, "max_connections"), 3);
	ck_assert_str_eq(text_of(target, "zone"), "z1");
	ck_assert_str_eq(text_of(target, "source"), "control");
	ck_assert_str_eq(text_of(target, "state"), "draining");
	ck_assert(json_is_true(json_object_get(target, "backup")));
	json_decref(target);
}
END_TEST

START_TEST(what_was_pushed_can_be_read_back_whole)
{
	json_t *pool, *member = NULL, *each, *listing, *source;
	size_t index;

	json_decref(rig_answer("PUT", URL,
			       SET("5", "{\"address\":\"10.0.0.9:80\",\"id\":\"i-9\",\"weight\":7,"
					"\"zone\":\"z1\",\"backup\":true,\"max_connections\":3,"
					"\"draining\":true}"),
			       200));
	pool = rig_answer("GET", "/v1/pools/web", NULL, 200);
	json_array_foreach (json_object_get(pool, "members"), index, each)
		if (json_is_string(json_object_get(each, "id")))
			member = each;
	listing = json_array_get(json_object_get(member, "listings"), 0);
	ck_assert_str_eq(text_of(listing, "source"), "control");
	ck_assert_int_eq(number_of(listing, "weight"), 7);
	ck_assert_int_eq(number_of(listing, "max_connections"), 3);
	ck_assert_str_eq(text_of(listing, "zone"), "z1");
	ck_assert(json_is_true(json_object_get(listing, "backup")));
	ck_assert(json_is_true(json_object_get(listing, "draining")));
	source = json_array_get(json_object_get(pool, "sources"), 1);
	ck_assert_str_eq(text_of(source, "name"), "control");
	ck_assert_int_eq(number_of(source, "generation"), 5);
	ck_assert(json_is_null(json_object_get(source, "kind")));
	ck_assert(json_is_false(json_object_get(source, "unverified")));
	json_decref(pool);
}
END_TEST

#define REMEMBERED(generation, unverified)                                                         \
	"{\"generation\":" generation ",\"unverified\":" unverified                                \
	",\"targets\":[{\"address\":\"10.0.0.9:80\"}]}"

START_TEST(a_set_may_be_remembered_only)
{
	json_t *pool;

	json_decref(rig_answer("PUT", URL, REMEMBERED("5", "true"), 200));
	pool = rig_answer("GET", "/v1/pools/web", NULL, 200);
	ck_assert(json_is_true(json_object_get(json_array_get(json_object_get(pool, "sources"), 1),
					       "unverified")));
	json_decref(pool);
	/* The same generation, and it says something else. */
	json_decref(rig_answer("PUT", URL, REMEMBERED("5", "false"), 409));
	json_decref(rig_answer("PUT", URL, REMEMBERED("6", "1"), 400));
}
END_TEST

START_TEST(a_target_without_a_weight_has_that_of_the_configuration)
{
	json_t *target;

	json_decref(rig_answer("PUT", URL, SET("1", "{\"address\":\"10.0.0.9:80\"}"), 200));
	target = rig_answer("GET", "/v1/targets/10.0.0.9:80/explain", NULL, 200);
	ck_assert_int_eq(number_of(target, "weight"), 100);
	json_decref(target);
}
END_TEST

START_TEST(the_same_set_again_is_the_same)
{
	json_t *answer;

	json_decref(rig_answer("PUT", URL, SET("5", "{\"address\":\"10.0.0.9:80\"}"), 200));
	answer = rig_answer("PUT", URL, SET("5", "{\"address\":\"10.0.0.9:80\"}"), 200);
	ck_assert_str_eq(text_of(answer, "result"), "same");
	json_decref(answer);
}
END_TEST

START_TEST(an_older_generation_is_told_the_current_one)
{
	json_t *answer;

	json_decref(rig_answer("PUT", URL, SET("5", "{\"address\":\"10.0.0.9:80\"}"), 200));
	answer = rig_answer("PUT", URL, SET("4", ""), 409);
	ck_assert_int_eq(number_of(answer, "generation"), 5);
	json_decref(answer);
	json_decref(rig_answer("PUT", URL, SET("5", ""), 409));
	ck_assert_int_eq(listed(), 3);
}
END_TEST

START_TEST(two_targets_of_one_identity_are_refused)
{
	rig_refused("PUT", URL,
		    SET("1", "{\"address\":\"10.0.0.9:80\"},{\"address\":\"10.0.0.9:80\"}"), 400,
		    "same id and address");
	ck_assert_int_eq(listed(), 2);
}
END_TEST

START_TEST(whatever_does_not_fit_is_refused_by_its_place)
{
	static const char *const cases[][2] = {
		{SET("0", ""), "generation must be a number from 1"},
		{SET("1.5", ""), "generation must be a number"},
		{SET("\"1\"", ""), "generation must be a number"},
		{SET("9223372036854775808", ""), "no JSON"},
		{"{\"targets\":[]}", "generation is missing"},
		{"{\"generation\":1}", "targets is missing"},
		{"{\"generation\":1,\"targets\":{}}", "targets must be a list"},
		{"{\"generation\":1,\"targets\":[],\"extra\":1}", "unknown key \"extra\""},
		{SET("1", "7"), "targets[0] must be an object"},
		{SET("1", "{}"), "targets[0].address is missing"},
		{SET("1", "{\"address\":\"db.internal:80\"}"), "targets[0].address must be"},
		{SET("1", "{\"address\":\"10.0.0.9\"}"), "targets[0].address must be"},
		{SET("1", "{\"address\":\"10.0.0.9:0\"}"), "targets[0].address must be"},
		{SET("1", "{\"address\":7}"), "targets[0].address must be a string"},
		{SET("1", "{\"address\":\"10.0.0.9:80\",\"weight\":1001}"), "targets[0].weight"},
		{SET("1", "{\"address\":\"10.0.0.9:80\",\"weight\":-1}"), "targets[0].weight"},
		{SET("1", "{\"address\":\"10.0.0.9:80\",\"weight\":null}"), "targets[0].weight"},
		{SET("1", "{\"address\":\"10.0.0.9:80\",\"backup\":1}"), "targets[0].backup"},
		{SET("1", "{\"address\":\"10.0.0.9:80\",\"id\":\"\"}"), "targets[0].id"},
		{SET("1", "{\"address\":\"10.0.0.9:80\",\"id\":\"a b\"}"), "targets[0].id"},
		{SET("1", "{\"address\":\"10.0.0.9:80\",\"id\":\"a\\nb\"}"), "targets[0].id"},
		{SET("1",
		     "{\"address\":\"10.0.0.8:80\"},{\"address\":\"10.0.0.9:80\",\"wieght\":1}"),
		 "\"targets[1].wieght\""},
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		rig_refused("PUT", URL, cases[i][0], 400, cases[i][1]);
	rig_refused("PUT", URL, NULL, 400, "the body is missing");
	ck_assert_int_eq(listed(), 2);
	ck_assert_uint_eq(rig_main.published, 0);
}
END_TEST

START_TEST(the_files_and_the_operators_targets_are_not_pushed)
{
	rig_refused("PUT", "/v1/pools/web/sources/config", SET("1", ""), 403, "config");
	rig_refused("PUT", "/v1/pools/web/sources/operator", SET("1", ""), 403, "operator");
	rig_refused("DELETE", "/v1/pools/web/sources/config", NULL, 403, "config");
	rig_refused("PUT", "/v1/pools/web/sources/A%20b", SET("1", ""), 400, "source's name");
	rig_refused("PUT", "/v1/pools/nowhere/sources/x", SET("1", ""), 404, "\"nowhere\"");
	ck_assert_int_eq(listed(), 2);
}
END_TEST

START_TEST(a_source_that_leaves_takes_its_targets)
{
	json_decref(rig_answer("PUT", URL, SET("5", "{\"address\":\"10.0.0.9:80\"}"), 200));
	json_decref(rig_answer("DELETE", URL, NULL, 200));
	ck_assert_int_eq(listed(), 2);
	rig_refused("DELETE", "/v1/pools/web/sources/nobody", NULL, 404, "nobody");
}
END_TEST

START_TEST(an_operator_adds_a_target_once)
{
	json_t *target =
		rig_answer("POST", "/v1/pools/db/targets", "{\"address\":\"10.0.0.9:80\"}", 201);

	ck_assert_str_eq(text_of(target, "source"), "operator");
	ck_assert_str_eq(text_of(target, "pool"), "db");
	json_decref(target);
	rig_refused("POST", "/v1/pools/db/targets", "{\"address\":\"10.0.0.9:80\"}", 409,
		    "already");
	rig_refused("POST", "/v1/pools/no/targets", "{\"address\":\"10.0.0.9:80\"}", 404, "\"no\"");
	rig_refused("POST", "/v1/pools/db/targets", "{\"address\":\"x\"}", 400, "address must be");
	rig_refused("POST", "/v1/pools/db/targets", NULL, 400, "the body is missing");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_pushed_set_joins_the_others,
		what_was_pushed_can_be_read_back_whole,
		a_set_may_be_remembered_only,
		a_target_without_a_weight_has_that_of_the_configuration,
		the_same_set_again_is_the_same,
		an_older_generation_is_told_the_current_one,
		two_targets_of_one_identity_are_refused,
		whatever_does_not_fit_is_refused_by_its_place,
		the_files_and_the_operators_targets_are_not_pushed,
		a_source_that_leaves_takes_its_targets,
		an_operator_adds_a_target_once,
	};

	return run_rigged("admin_sources", tests, COUNT(tests), rig_setup, rig_teardown);
}
