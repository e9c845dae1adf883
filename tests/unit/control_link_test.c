/* SPDX-License-Identifier: Apache-2.0
 *
 * The way to the proxy: that it comes and goes, what it says that it has, and its drain.
 */
/* link: -Wl,--wrap=clock_gettime */
#include "tests/unit/control_link_rig.h"

/* --- the proxy comes and goes --- */

START_TEST(a_proxy_is_up_once_status_and_every_pool_are_read)
{
	start();
	answer_status(10);
	answer(asked("GET", "/v1/events?limit=0"), 200, "{\"events\":[],\"last_id\":7}");
	ck_assert(!link_is_up(link_to));
	answer(asked("GET", "/v1/pools/web"), 200, NO_SOURCES);
	ck_assert(link_is_up(link_to));
	ck_assert_uint_eq(ups, 1);
	ck_assert_int_eq(link_sessions(link_to), 7);
	pass_ms(2);
	asked("GET", "/v1/events?after=7&limit=1000&wait_s=25&pid=10");
	stop();
}
END_TEST

START_TEST(a_missing_socket_is_said_once_and_tried_again_within_two_seconds)
{
	start();
	for (int i = 0; i < 5; i++) {
		break_off(asked("GET", "/v1/status"));
		pass_ms(2000);
	}
	ck_assert_uint_eq(downs, 1);
	ck_assert_ptr_nonnull(strstr(down_problem, "no socket at " SOCKET));
	ck_assert_int_eq(link_sessions(link_to), -1);
	stop();
}
END_TEST

START_TEST(a_pool_that_cannot_be_read_does_not_make_it_up)
{
	start();
	answer_status(10);
	answer(asked("GET", "/v1/events?limit=0"), 200, "{\"events\":[],\"last_id\":7}");
	answer(asked("GET", "/v1/pools/web"), 200, "{\"sources\":[{\"name\":5}],\"members\":[]}");
	ck_assert(!link_is_up(link_to));
	ck_assert_uint_eq(downs, 1);
	pass_ms(2000);
	come_up(10, NO_SOURCES);
	ck_assert(link_is_up(link_to));
	stop();
}
END_TEST

START_TEST(garbage_instead_of_a_status_is_no_proxy)
{
	start();
	answer(asked("GET", "/v1/status"), 200, "<html>");
	ck_assert(!link_is_up(link_to));
	ck_assert_uint_eq(downs, 1);
	pass_ms(2000);
	answer(asked("GET", "/v1/status"), 404, "{}");
	ck_assert(!link_is_up(link_to));
	stop();
}
END_TEST

START_TEST(the_end_of_the_long_poll_is_the_end_of_the_proxy)
{
	start();
	come_up(10, NO_SOURCES);
	break_off(asked("GET", "/v1/events"));
	ck_assert(!link_is_up(link_to));
	ck_assert_uint_eq(downs, 1);
	pass_ms(2000);
	come_up(11, NO_SOURCES);
	ck_assert_uint_eq(ups, 2);
	stop();
}
END_TEST

START_TEST(a_proxy_that_was_well_is_looked_for_at_once)
{
	start();
	for (int i = 0; i < 5; i++) {
		break_off(asked("GET", "/v1/status"));
		pass_ms(2000);
	}
	come_up(10, NO_SOURCES);
	answer(asked("GET", "/v1/events"), 200, "{\"events\":[],\"last_id\":7}");
	pass_ms(101);
	break_off(asked("GET", "/v1/events"));
	pass_ms(301);
	asked("GET", "/v1/status");
	stop();
}
END_TEST

START_TEST(a_proxy_that_is_lost_whenever_it_came_is_asked_ever_more_slowly)
{
	unsigned times = 0;

	start();
	for (unsigned ms = 0; ms < 20000; ms++) {
		if (count_calls("GET", "/v1/status")) {
			come_up(10, NO_SOURCES);
			answer(asked("GET", "/v1/events"), 400, "{\"error\":\"no such thing\"}");
			times++;
		}
		pass_ms(1);
	}
	ck_assert_uint_lt(times, 20);
	ck_assert_uint_gt(times, 8);
	stop();
}
END_TEST

START_TEST(another_process_at_the_socket_is_noticed_by_the_status)
{
	start();
	come_up(10, NO_SOURCES);
	pass_ms(16000);
	answer_status(11);
	ck_assert(!link_is_up(link_to));
	pass_ms(2000);
	come_up(11, NO_SOURCES);
	ck_assert_uint_eq(ups, 2);
	stop();
}
END_TEST

START_TEST(a_status_that_does_not_come_leaves_it_up)
{
	start();
	come_up(10, NO_SOURCES);
	pass_ms(16000);
	break_off(asked("GET", "/v1/status"));
	ck_assert(link_is_up(link_to));
	pass_ms(16000);
	asked("GET", "/v1/status");
	stop();
}
END_TEST

/* --- what it has --- */

START_TEST(what_each_source_has_is_read_back_as_that_source_said_it)
{
	const struct target_set *set;
	const struct found_target *target;

	start();
	come_up(10, two_sources);
	set = link_current(link_to, "web", "ec2");
	ck_assert_uint_eq(target_set_count(set), 2);
	target = target_set_find(set, "i-1", "10.0.0.1:80");
	ck_assert_uint_eq(target->weight, 70);
	ck_assert_uint_eq(target->max_connections, 5);
	ck_assert(target->backup && target->draining);
	ck_assert_ptr_null(target->zone);
	ck_assert_ptr_null(link_current(link_to, "web", "asg"));
	ck_assert_ptr_null(link_current(link_to, "other", "ec2"));
	stop();
}
END_TEST

START_TEST(only_sources_that_are_discovered_or_were_pushed_are_ours)
{
	const char *names[4];

	start();
	come_up(10, two_sources);
	ck_assert_uint_eq(link_sources(link_to, "web", names, 4), 1);
	ck_assert_str_eq(names[0], "ec2");
	push("script", "10.0.0.4", false);
	ck_assert_uint_eq(link_sources(link_to, "web", names, 4), 2);
	ck_assert_uint_eq(link_sources(link_to, "web", names, 1), 1);
	stop();
}
END_TEST

START_TEST(targets_that_checks_hold_down_are_known_until_the_proxy_goes)
{
	const struct found_target down = {.id = "i-1", .address = "10.0.0.1:80"};
	const struct found_target up = {.id = "i-2", .address = "10.0.0.2:80"};
	const struct found_target other = {.id = "i-9", .address = "10.0.0.1:80"};

	start();
	come_up(10, two_sources);
	ck_assert(link_is_down(link_to, "web", &down));
	ck_assert(!link_is_down(link_to, "web", &up));
	ck_assert(!link_is_down(link_to, "web", &other));
	break_off(asked("GET", "/v1/events"));
	ck_assert(!link_is_down(link_to, "web", &down));
	stop();
}
END_TEST

START_TEST(an_event_of_a_pool_has_it_read_again)
{
	const struct found_target down = {.id = "i-1", .address = "10.0.0.1:80"};

	start();
	come_up(10, NO_SOURCES);
	answer(asked("GET", "/v1/events"), 200,
	       "{\"events\":[{\"kind\":\"target_down\",\"pool\":\"web\"}],\"last_id\":8}");
	pass_ms(200);
	asked("GET", "/v1/events?after=8&");
	pass_ms(2500);
	answer(asked("GET", "/v1/pools/web"), 200, two_sources);
	ck_assert(link_is_down(link_to, "web", &down));
	stop();
}
END_TEST

START_TEST(a_pool_that_takes_long_to_read_is_read_seldom)
{
	start();
	answer_status(10);
	answer(asked("GET", "/v1/events?limit=0"), 200, "{\"events\":[],\"last_id\":7}");
	finish(asked("GET", "/v1/pools/web"), &(struct http_answer){.err = AWS_OK,
								    .status = 200,
								    .body = NO_SOURCES,
								    .size = strlen(NO_SOURCES),
								    .took_us = US_PER_SEC});
	pass_ms(2);
	answer(asked("GET", "/v1/events"), 200,
	       "{\"events\":[{\"kind\":\"target_down\",\"pool\":\"web\"}],\"last_id\":8}");
	pass_ms(14000);
	ck_assert_uint_eq(count_calls("GET", "/v1/pools/web"), 0);
	pass_ms(10000);
	asked("GET", "/v1/pools/web");
	stop();
}
END_TEST

START_TEST(events_of_other_pools_have_nothing_read)
{
	start();
	come_up(10, NO_SOURCES);
	answer(asked("GET", "/v1/events"), 200,
	       "{\"events\":[{\"kind\":\"target_down\",\"pool\":\"x\"}],\"last_id\":8}");
	pass_ms(20000);
	ck_assert_uint_eq(count_calls("GET", "/v1/pools/web"), 0);
	stop();
}
END_TEST

/* --- draining --- */

static unsigned drains;
static char drain_problem[256];

static void on_drained(void *context, const char *problem)
{
	drains++;
	snprintf(drain_problem, sizeof(drain_problem), "%s", problem ? problem : "");
}

START_TEST(a_drain_ends_when_the_proxy_has_ended)
{
	drains = 0;
	start();
	come_up(10, NO_SOURCES);
	ck_assert_int_eq(link_drain(link_to, on_drained, NULL), 0);
	ck_assert_int_eq(link_drain(link_to, on_drained, NULL), -EALREADY);
	answer(asked("POST", "/v1/drain"), 202, "{}");
	pass_ms(2);
	answer_status(10);
	pass_ms(1600);
	answer_status(10);
	ck_assert_int_eq(link_sessions(link_to), 7);
	ck_assert_uint_eq(drains, 0);
	break_off(asked("GET", "/v1/events"));
	ck_assert_uint_eq(drains, 0);
	pass_ms(2);
	ck_assert_uint_eq(drains, 1);
	ck_assert_str_eq(drain_problem, "");
	stop();
}
END_TEST

START_TEST(a_drain_that_is_under_way_already_is_observed)
{
	drains = 0;
	start();
	come_up(10, NO_SOURCES);
	ck_assert_int_eq(link_drain(link_to, on_drained, NULL), 0);
	answer(asked("POST", "/v1/drain"), 409, "{\"error\":\"this process drains already\"}");
	pass_ms(2);
	ck_assert_uint_eq(drains, 0);
	break_off(asked("GET", "/v1/events"));
	pass_ms(2);
	ck_assert_str_eq(drain_problem, "");
	ck_assert_uint_eq(drains, 1);
	stop();
}
END_TEST

START_TEST(a_drain_of_nobody_says_so)
{
	drains = 0;
	start();
	break_off(asked("GET", "/v1/status"));
	ck_assert_int_eq(link_drain(link_to, on_drained, NULL), 0);
	ck_assert_uint_eq(drains, 0);
	pass_ms(2);
	ck_assert_uint_eq(drains, 1);
	ck_assert_ptr_nonnull(strstr(drain_problem, "no socket"));
	stop();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_proxy_is_up_once_status_and_every_pool_are_read,
		a_missing_socket_is_said_once_and_tried_again_within_two_seconds,
		a_pool_that_cannot_be_read_does_not_make_it_up,
		garbage_instead_of_a_status_is_no_proxy,
		the_end_of_the_long_poll_is_the_end_of_the_proxy,
		a_proxy_that_was_well_is_looked_for_at_once,
		a_proxy_that_is_lost_whenever_it_came_is_asked_ever_more_slowly,
		another_process_at_the_socket_is_noticed_by_the_status,
		a_status_that_does_not_come_leaves_it_up,
		what_each_source_has_is_read_back_as_that_source_said_it,
		only_sources_that_are_discovered_or_were_pushed_are_ours,
		targets_that_checks_hold_down_are_known_until_the_proxy_goes,
		an_event_of_a_pool_has_it_read_again,
		a_pool_that_takes_long_to_read_is_read_seldom,
		events_of_other_pools_have_nothing_read,
		a_drain_ends_when_the_proxy_has_ended,
		a_drain_that_is_under_way_already_is_observed,
		a_drain_of_nobody_says_so,
	};

	return run_tests("control_link", tests, COUNT(tests));
}
