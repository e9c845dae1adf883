/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of main's desk: when a change is answered, what is audited, how long polls end.
 */
#include "proxy/base/clock.h"
#include "tests/unit/admin_rig.h"

static const char body[] = "{\"weight\":5}";

static struct request *patch(void)
{
	return rig_ask("PATCH", "/v1/targets/10.0.0.2:80", body);
}

START_TEST(a_change_waits_until_it_is_published)
{
	struct request *request;

	rig_main.publish_later = true;
	ck_assert_ptr_null(patch());
	desk_published(&rig_desk, rig_main.ticket - 1, 0);
	ck_assert_ptr_null(request_queue_take(&rig_done));
	desk_published(&rig_desk, rig_main.ticket, 0);
	request = request_queue_take(&rig_done);
	ck_assert_int_eq(request->status, 200);
	request_free(request);
}
END_TEST

START_TEST(one_publication_answers_all_that_wait_for_it)
{
	rig_main.publish_later = true;
	for (int i = 0; i < 3; i++)
		ck_assert_ptr_null(patch());
	desk_published(&rig_desk, 2, 0);
	for (int i = 0; i < 2; i++)
		request_free(request_queue_take(&rig_done));
	ck_assert_ptr_null(request_queue_take(&rig_done));
	desk_close(&rig_desk);
	request_free(request_queue_take(&rig_done));
}
END_TEST

START_TEST(a_change_that_workers_did_not_take_is_no_success)
{
	struct request *request;

	rig_main.publish_later = true;
	ck_assert_ptr_null(patch());
	desk_published(&rig_desk, rig_main.ticket, -ETIMEDOUT);
	request = request_queue_take(&rig_done);
	ck_assert_int_eq(request->status, 503);
	ck_assert_ptr_nonnull(
		strstr(text_of(request->answer, "error"), "a worker does not answer"));
	request_free(request);
}
END_TEST

START_TEST(what_waits_is_refused_when_the_desk_closes)
{
	struct request *request;

	rig_main.publish_later = true;
	ck_assert_ptr_null(patch());
	ck_assert_ptr_null(rig_ask("GET", "/v1/events?after=999&wait_s=9", NULL));
	desk_close(&rig_desk);
	for (int i = 0; i < 2; i++) {
		request = request_queue_take(&rig_done);
		ck_assert_int_eq(request->status, 503);
		request_free(request);
	}
}
END_TEST

START_TEST(every_change_is_audited_with_its_outcome)
{
	request_free(patch());
	ck_assert_str_eq(rig_last_event()->kind, "audit");
	ck_assert_str_eq(rig_last_event()->text,
			 "uid 54321, pid 99: PATCH /v1/targets/10.0.0.2:80: 200");
	ck_assert_int_eq(rig_last_event()->level, LOG_INFO);
	request_free(rig_ask("DELETE", "/v1/sessions/none", NULL));
	ck_assert_str_eq(rig_last_event()->text,
			 "uid 54321, pid 99: DELETE /v1/sessions/none: 404, there is no session "
			 "\"none\"");
	request_free(rig_ask("DELETE", "/v1/sessions/%0A\xc3\xa9", NULL));
	ck_assert_ptr_null(strpbrk(rig_last_event()->text, "\n\xc3\xa9"));
	ck_assert_int_eq(rig_last_event()->level, LOG_WARN);
}
END_TEST

START_TEST(a_user_with_a_name_is_called_by_it)
{
	struct request request = {.uid = 0};
	char who[64];

	request_who(&request, who, sizeof(who));
	ck_assert_str_eq(who, "uid 0 (root)");
}
END_TEST

START_TEST(reading_is_not_audited)
{
	request_free(rig_ask("GET", "/v1/status", NULL));
	ck_assert_uint_eq(events_last_id(rig_events), rig_begun);
}
END_TEST

START_TEST(an_audit_line_cannot_be_forged_by_a_path)
{
	request_free(rig_ask("DELETE", "/v1/sessions/a\x01\x7f b", NULL));
	ck_assert_ptr_nonnull(strstr(rig_last_event()->text, "/v1/sessions/a???b: 404"));
}
END_TEST

START_TEST(a_long_poll_is_answered_by_an_event_and_not_before)
{
	struct request *request;
	const json_t *events;

	ck_assert_ptr_null(rig_ask("GET", "/v1/events?after=4&wait_s=30", NULL));
	desk_turn(&rig_desk, clock_us());
	ck_assert_ptr_null(request_queue_take(&rig_done));
	events_add(rig_events, LOG_INFO, "test", "web", NULL, "news");
	desk_turn(&rig_desk, clock_us());
	request = request_queue_take(&rig_done);
	events = json_object_get(request->answer, "events");
	ck_assert_uint_eq(json_array_size(events), 1);
	ck_assert_str_eq(text_of(json_array_get(events, 0), "text"), "news");
	request_free(request);
}
END_TEST

START_TEST(a_long_poll_ends_empty_when_its_time_is_over)
{
	struct request *request;

	ck_assert_ptr_null(rig_ask("GET", "/v1/events?after=4&wait_s=30", NULL));
	desk_turn(&rig_desk, clock_us() + 31 * US_PER_SEC);
	request = request_queue_take(&rig_done);
	ck_assert_uint_eq(json_array_size(json_object_get(request->answer, "events")), 0);
	ck_assert_int_eq(number_of(request->answer, "last_id"), 4);
	request_free(request);
}
END_TEST

START_TEST(a_long_poll_for_what_is_there_is_answered_at_once)
{
	request_free(rig_ask("GET", "/v1/events?after=2&wait_s=30", NULL));
}
END_TEST

START_TEST(who_waits_for_an_event_is_sent_to_the_successor)
{
	struct request *request;

	ck_assert_ptr_null(rig_ask("GET", "/v1/events?after=1000&wait_s=30", NULL));
	desk_yield(&rig_desk);
	request = request_queue_take(&rig_done);
	ck_assert_int_eq(request->status, 503);
	request_free(request);
	request = rig_ask("GET", "/v1/events?after=1000&wait_s=30", NULL);
	ck_assert_int_eq(request->status, 503);
	request_free(request);
	json_decref(rig_answer("GET", "/v1/events", NULL, 200));
}
END_TEST

START_TEST(who_means_another_process_need_not_wait_for_it)
{
	char url[64];

	snprintf(url, sizeof(url), "/v1/events?wait_s=30&pid=%d", (int)getpid());
	json_decref(rig_answer("GET", url, NULL, 200));
	snprintf(url, sizeof(url), "/v1/events?after=1000&wait_s=30&pid=%d", (int)getpid() + 1);
	json_decref(rig_answer("GET", url, NULL, 409));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_change_waits_until_it_is_published,
		one_publication_answers_all_that_wait_for_it,
		a_change_that_workers_did_not_take_is_no_success,
		what_waits_is_refused_when_the_desk_closes,
		every_change_is_audited_with_its_outcome,
		a_user_with_a_name_is_called_by_it,
		reading_is_not_audited,
		an_audit_line_cannot_be_forged_by_a_path,
		a_long_poll_is_answered_by_an_event_and_not_before,
		a_long_poll_ends_empty_when_its_time_is_over,
		a_long_poll_for_what_is_there_is_answered_at_once,
		who_waits_for_an_event_is_sent_to_the_successor,
		who_means_another_process_need_not_wait_for_it,
	};

	return run_rigged("admin_desk", tests, COUNT(tests), rig_setup, rig_teardown);
}
