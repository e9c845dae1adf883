/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of what concerns the process: listeners, drain, reload.
 */
#include "tests/unit/admin_rig.h"

START_TEST(a_listener_is_paused_and_resumed)
{
	json_t *listener = rig_answer("POST", "/v1/listeners/front/pause", NULL, 200);

	ck_assert_str_eq(text_of(listener, "name"), "front");
	ck_assert(rig_main.paused);
	json_decref(listener);
	json_decref(rig_answer("POST", "/v1/listeners/front/resume", NULL, 200));
	ck_assert(!rig_main.paused);
	rig_refused("POST", "/v1/listeners/nowhere/pause", NULL, 404, "nowhere");
	rig_main.pause = -EBUSY;
	rig_refused("POST", "/v1/listeners/front/pause", NULL, 409, "drains");
	rig_main.pause = -ETIMEDOUT;
	rig_refused("POST", "/v1/listeners/front/pause", NULL, 503, "front");
}
END_TEST

START_TEST(a_drain_begins_once)
{
	json_t *status = rig_answer("POST", "/v1/drain", "{\"exit\":true}", 202);

	ck_assert_str_eq(text_of(status, "phase"), "serving");
	json_decref(status);
	json_decref(rig_answer("POST", "/v1/drain", NULL, 202));
	rig_main.drain = -EALREADY;
	rig_refused("POST", "/v1/drain", NULL, 409, "already");
	rig_refused("POST", "/v1/drain", "{\"exit\":false}", 400, "exit must be true");
	rig_refused("POST", "/v1/drain", "{\"exit\":1}", 400, "exit must be true or false");
	rig_refused("POST", "/v1/drain", "{}", 400, "exit is missing");
}
END_TEST

START_TEST(a_drain_is_taken_back_while_that_is_possible)
{
	json_decref(rig_answer("DELETE", "/v1/drain", NULL, 200));
	rig_main.undrain = -EBUSY;
	rig_refused("DELETE", "/v1/drain", NULL, 409, "too late");
	rig_main.undrain = -EALREADY;
	rig_refused("DELETE", "/v1/drain", NULL, 409, "does not drain");
}
END_TEST

START_TEST(a_reload_says_what_it_warns_of)
{
	json_t *answer = rig_answer("POST", "/v1/reload", NULL, 200);
	const json_t *warnings = json_object_get(answer, "warnings");

	ck_assert_int_eq(number_of(answer, "generation"), (int)rig_snapshot->generation);
	ck_assert_str_eq(json_string_value(json_array_get(warnings, 0)),
			 "sluice.yaml:3:5: warning: a warning");
	json_decref(answer);
}
END_TEST

START_TEST(a_reload_that_fails_lists_the_errors)
{
	json_t *answer;

	rig_main.reload_error = "what is this";
	answer = rig_answer("POST", "/v1/reload", NULL, 422);
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(answer, "errors"), 0)),
			 "sluice.yaml:3:5: what is this");
	json_decref(answer);
	rig_main.reload_error = NULL;
	rig_main.reload = -EADDRINUSE;
	rig_refused("POST", "/v1/reload", NULL, 422, "Address already in use");
	rig_main.reload = -EBUSY;
	rig_refused("POST", "/v1/reload", NULL, 409, "drains");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_listener_is_paused_and_resumed,
		a_drain_begins_once,
		a_drain_is_taken_back_while_that_is_possible,
		a_reload_says_what_it_warns_of,
		a_reload_that_fails_lists_the_errors,
	};

	return run_rigged("admin_process", tests, COUNT(tests), rig_setup, rig_teardown);
}
