/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of the list of live sessions, and of ending one.
 */
#include "tests/unit/admin_rig.h"

static void fill(void)
{
	static const uint64_t ids[] = {40, 10, 30, 20};

	for (size_t i = 0; i < COUNT(ids); i++)
		rig_main.sessions[i] = (struct session_info){.id = ids[i],
							     .phase = SESSION_PHASE_RELAYING,
							     .listener = "front",
							     .pool = "web",
							     .client_bytes = 100 - ids[i],
							     .age_ms = ids[i] % 30};
	rig_main.session_count = COUNT(ids);
}

/* The ids in the order they are given, as one text. */
static void expect_ids(const char *url, const char *want)
{
	json_t *answer = rig_answer("GET", url, NULL, 200);
	char got[64] = "";
	size_t i;
	json_t *session;

	json_array_foreach (json_object_get(answer, "sessions"), i, session) {
		strcat(got, text_of(session, "id"));
		strcat(got, " ");
	}
	ck_assert_str_eq(got, want);
	json_decref(answer);
}

START_TEST(workers_answers_are_merged_in_order)
{
	fill();
	expect_ids("/v1/sessions", "10 20 30 40 ");
	ck_assert_uint_eq(rig_main.query.limit, 500);
	expect_ids("/v1/sessions?sort=bytes", "10 20 30 40 ");
	expect_ids("/v1/sessions?sort=age", "20 10 40 30 ");
}
END_TEST

START_TEST(a_page_ends_where_the_next_begins)
{
	json_t *answer;

	fill();
	answer = rig_answer("GET", "/v1/sessions?limit=2&after=5", NULL, 200);
	ck_assert_uint_eq(json_array_size(json_object_get(answer, "sessions")), 2);
	ck_assert_str_eq(text_of(answer, "next"), "20");
	ck_assert_uint_eq(rig_main.query.after, 5);
	json_decref(answer);
	answer = rig_answer("GET", "/v1/sessions?limit=5", NULL, 200);
	ck_assert(json_is_null(json_object_get(answer, "next")));
	json_decref(answer);
}
END_TEST

START_TEST(a_session_is_described)
{
	json_t *answer, *session;

	rig_main.session_count = 1;
	rig_main.sessions[0] = (struct session_info){
		.id = 7,
		.phase = SESSION_PHASE_GREETING,
		.listener = "front",
		.pool = "web",
		.target = "10.0.0.2:80",
		.vpce = "vpce-1",
		.client = addr_of("192.0.2.1:5"),
		.proxy_source = addr_of("[2001:db8::1]:9"),
		.spliced = true,
	};
	answer = rig_answer("GET", "/v1/sessions", NULL, 200);
	session = json_array_get(json_object_get(answer, "sessions"), 0);
	ck_assert_str_eq(text_of(session, "state"), "greeting");
	ck_assert_str_eq(text_of(session, "client"), "192.0.2.1:5");
	ck_assert_str_eq(text_of(session, "proxy_source"), "[2001:db8::1]:9");
	ck_assert_str_eq(text_of(session, "relay"), "splice");
	ck_assert_str_eq(text_of(session, "vpce"), "vpce-1");
	ck_assert(json_is_null(json_object_get(session, "backend_local")));
	json_decref(answer);
}
END_TEST

START_TEST(a_query_names_what_exists)
{
	json_decref(rig_answer("GET", "/v1/sessions?pool=web&target=10.0.0.1:80&listener=front",
			       NULL, 200));
	ck_assert_str_eq(rig_main.query_pool, "web");
	ck_assert_str_eq(rig_main.query.target->name, "10.0.0.1:80");
	rig_refused("GET", "/v1/sessions?pool=x", NULL, 404, "no pool");
	rig_refused("GET", "/v1/sessions?listener=x", NULL, 404, "no listener");
	rig_refused("GET", "/v1/sessions?target=x", NULL, 404, "no target");
	rig_refused("GET", "/v1/sessions?sort=name", NULL, 400, "\"sort\" must be");
	rig_refused("GET", "/v1/sessions?sort=age&after=1", NULL, 400, "\"after\" goes with");
	rig_refused("GET", "/v1/sessions?limit=5001", NULL, 400, "\"limit\"");
	rig_main.list = -ETIMEDOUT;
	rig_refused("GET", "/v1/sessions", NULL, 503, "did not answer");
}
END_TEST

START_TEST(a_session_is_ended_as_asked)
{
	json_t *answer = rig_answer("DELETE", "/v1/sessions/12?rst=1", NULL, 200);

	ck_assert_str_eq(text_of(answer, "id"), "12");
	ck_assert_uint_eq(rig_main.killed, 12);
	ck_assert(rig_main.reset);
	json_decref(answer);
	json_decref(rig_answer("DELETE", "/v1/sessions/13", NULL, 200));
	ck_assert(!rig_main.reset);
	rig_main.kill = -ENOENT;
	rig_refused("DELETE", "/v1/sessions/12", NULL, 404, "\"12\"");
	rig_main.kill = 0;
	rig_refused("DELETE", "/v1/sessions/-1", NULL, 404, "\"-1\"");
	rig_refused("DELETE", "/v1/sessions/99999999999999999999", NULL, 404, "no session");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		workers_answers_are_merged_in_order,
		a_page_ends_where_the_next_begins,
		a_session_is_described,
		a_query_names_what_exists,
		a_session_is_ended_as_asked,
	};

	return run_rigged("admin_sessions", tests, COUNT(tests), rig_setup, rig_teardown);
}
