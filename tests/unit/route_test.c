/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of the way from a request line and a body to a route: what leads where, and what is
 * refused.
 */
#include "tests/unit/admin_rig.h"

START_TEST(a_path_leads_to_its_route)
{
	struct request *request = rig_ask("GET", "/v1/pools/web", NULL);

	ck_assert_str_eq(request->route->pattern, "/v1/pools/*");
	ck_assert_int_eq(request->status, 200);
	request_free(request);
}
END_TEST

START_TEST(a_path_that_is_nowhere_is_404)
{
	static const char *const paths[] = {"/v2/pools",   "/v1/pool",      "/v1/pools/",
					    "/v1/pools//", "/v1",           "/v1/pools/web/x",
					    "//",          "/v1/pools/web/"};

	for (size_t i = 0; i < COUNT(paths); i++)
		rig_refused("GET", paths[i], NULL, 404, "nothing at");
}
END_TEST

START_TEST(a_path_too_deep_is_refused)
{
	rig_refused("GET", "/1/2/3/4/5/6/7", NULL, 400, "too deep");
}
END_TEST

START_TEST(a_wrong_method_is_told_the_right_ones)
{
	struct request *request = rig_ask("PUT", "/v1/drain", NULL);

	ck_assert_int_eq(request->status, 405);
	ck_assert_str_eq(request->allow, "POST, DELETE");
	request_free(request);
	rig_refused("BREW", "/v1/status", NULL, 405, "GET");
}
END_TEST

START_TEST(every_path_knows_what_it_allows)
{
	for (size_t i = 0; i < desk_route_count; i++) {
		struct request *request = rig_ask("BREW", desk_routes[i].pattern, NULL);

		ck_assert_int_eq(request->status, 405);
		ck_assert_msg(request->allow != NULL, "%s", desk_routes[i].pattern);
		request_free(request);
	}
}
END_TEST

START_TEST(head_is_answered_as_get)
{
	json_decref(rig_answer("HEAD", "/v1/pools", NULL, 200));
}
END_TEST

START_TEST(a_peer_by_tcp_changes_nothing)
{
	for (size_t i = 0; i < desk_route_count; i++) {
		const struct route *route = &desk_routes[i];
		struct request *request;

		if (route->method == METHOD_GET)
			continue;
		request = rig_ask_by(false, request_method_names[route->method], route->pattern,
				     NULL);
		ck_assert_int_eq(request->status, 403);
		request_free(request);
	}
	ck_assert_uint_eq(events_last_id(rig_events), rig_begun);
}
END_TEST

START_TEST(segments_are_decoded_after_they_are_cut)
{
	json_t *answer =
		rig_answer("GET", "/v1/targets/unix%3A%2Frun%2fa%20b.sock/explain", NULL, 200);

	ck_assert_str_eq(text_of(answer, "name"), "unix:/run/a b.sock");
	json_decref(answer);
}
END_TEST

START_TEST(an_encoding_that_is_none_is_refused)
{
	static const char *const paths[] = {"/v1/pools/%",   "/v1/pools/%4",  "/v1/pools/%4g",
					    "/v1/pools/%00", "/v1/pools/%ff", "/v1/pools/%c3%28"};

	for (size_t i = 0; i < COUNT(paths); i++)
		rig_refused("GET", paths[i], NULL, 400, "UTF-8");
	rig_refused("GET", "/v1/events?after=%zz", NULL, 400, "UTF-8");
}
END_TEST

START_TEST(unknown_and_doubled_arguments_are_refused_by_name)
{
	rig_refused("GET", "/v1/events?befor=1", NULL, 400, "\"befor\"");
	rig_refused("GET", "/v1/status?a=1", NULL, 400, "\"a\"");
	rig_refused("GET", "/v1/events?after=1&after=2", NULL, 400, "\"after\" is given twice");
	rig_refused("GET", "/v1/events?=1", NULL, 400, "\"\"");
}
END_TEST

START_TEST(a_number_out_of_bounds_is_refused_by_name)
{
	static const char *const values[] = {
		"", "-1", "1x", " 1", "1001", "99999999999999999999", "0x1", "+1"};

	for (size_t i = 0; i < COUNT(values); i++) {
		char url[64];

		snprintf(url, sizeof(url), "/v1/events?limit=%s", values[i]);
		rig_refused("GET", url, NULL, 400, "\"limit\" must be a number from 0 to 1000");
	}
	rig_refused("GET", "/v1/events?wait_s=31", NULL, 400, "wait_s");
}
END_TEST

START_TEST(a_body_that_is_no_json_object_is_refused)
{
	static const char *const bodies[] = {"{",
					     "{}{}",
					     "{} x",
					     "{\"weight\":1}\n]",
					     "{\"weight\":1,}",
					     "\xff",
					     "{\"a\":\"\xff\"}",
					     "{\"weight\":01}",
					     "{\"why\":\"\\u0000\"}",
					     "nan"};

	for (size_t i = 0; i < COUNT(bodies); i++)
		rig_refused("PATCH", "/v1/targets/10.0.0.2:80", bodies[i], 400, "no JSON");
	rig_refused("PATCH", "/v1/targets/10.0.0.2:80", "[]", 400, "must be a JSON object");
	rig_refused("PATCH", "/v1/targets/10.0.0.2:80", "7", 400, "must be a JSON object");
}
END_TEST

START_TEST(a_doubled_key_is_refused_by_name)
{
	rig_refused("PATCH", "/v1/targets/10.0.0.2:80", "{\"weight\":1,\"weight\":2}", 400,
		    "\"weight\"");
}
END_TEST

START_TEST(a_body_where_none_belongs_is_refused)
{
	rig_refused("GET", "/v1/status", "{}", 400, "takes no body");
	rig_refused("DELETE", "/v1/drain", "{}", 400, "takes no body");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_path_leads_to_its_route,
		a_path_that_is_nowhere_is_404,
		a_path_too_deep_is_refused,
		a_wrong_method_is_told_the_right_ones,
		every_path_knows_what_it_allows,
		head_is_answered_as_get,
		a_peer_by_tcp_changes_nothing,
		segments_are_decoded_after_they_are_cut,
		an_encoding_that_is_none_is_refused,
		unknown_and_doubled_arguments_are_refused_by_name,
		a_number_out_of_bounds_is_refused_by_name,
		a_body_that_is_no_json_object_is_refused,
		a_doubled_key_is_refused_by_name,
		a_body_where_none_belongs_is_refused,
	};

	return run_rigged("admin_route", tests, COUNT(tests), rig_setup, rig_teardown);
}
