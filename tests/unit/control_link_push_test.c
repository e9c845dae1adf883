/* SPDX-License-Identifier: Apache-2.0
 *
 * Pushing sets to the proxy: that the newest one gets there, through conflicts, refusals and
 * restarts.
 */
/* link: -Wl,--wrap=clock_gettime */
#include "tests/unit/control_link_rig.h"

/* --- pushing --- */

START_TEST(a_set_waits_for_the_proxy_and_is_sent_above_its_generation)
{
	start();
	push("ec2", "10.0.0.1", false);
	ck_assert_uint_eq(count_calls("PUT", "/"), 0);
	come_up(10, two_sources);
	answer(asked_put(41, "10.0.0.1"), 200, APPLIED);
	ck_assert_uint_eq(pushes, 1);
	ck_assert_uint_eq(pushed_generation, 41);
	ck_assert_str_eq(push_problem, "");
	stop();
}
END_TEST

START_TEST(a_newer_set_replaces_the_one_that_is_not_answered_yet)
{
	start();
	come_up(10, NO_SOURCES);
	push("ec2", "10.0.0.1", false);
	push("ec2", "10.0.0.2", false);
	push("ec2", "10.0.0.3", false);
	answer(asked_put(1, "10.0.0.1"), 200, APPLIED);
	ck_assert_uint_eq(pushes, 0);
	pass_ms(2);
	answer(asked_put(2, "10.0.0.3"), 200, APPLIED);
	ck_assert_uint_eq(pushes, 1);
	pass_ms(5000);
	ck_assert_uint_eq(count_calls("PUT", "/"), 0);
	stop();
}
END_TEST

START_TEST(the_failure_of_a_set_that_was_replaced_meanwhile_is_not_told)
{
	start();
	come_up(10, NO_SOURCES);
	push("ec2", "10.0.0.1", false);
	push("ec2", "10.0.0.2", false);
	answer(asked_put(1, "10.0.0.1"), 400, "{\"error\":\"bad\"}");
	ck_assert_uint_eq(pushes, 0);
	pass_ms(500);
	answer(asked_put(2, "10.0.0.2"), 200, APPLIED);
	ck_assert_str_eq(push_problem, "");
	stop();
}
END_TEST

START_TEST(an_unverified_set_says_so_and_a_verified_one_does_not)
{
	start();
	come_up(10, NO_SOURCES);
	push("ec2", "10.0.0.1", true);
	ck_assert_ptr_nonnull(strstr(asked_put(1, "10.0.0.1")->body, "\"unverified\":true"));
	answer(asked_put(1, "10.0.0.1"), 200, APPLIED);
	push("ec2", "10.0.0.1", false);
	ck_assert_ptr_null(strstr(asked_put(2, "10.0.0.1")->body, "unverified"));
	stop();
}
END_TEST

START_TEST(a_conflict_is_resolved_by_a_higher_generation)
{
	start();
	come_up(10, NO_SOURCES);
	push("ec2", "10.0.0.1", false);
	answer(asked_put(1, "10.0.0.1"), 409, "{\"error\":\"not newer\",\"generation\":900}");
	pass_ms(2);
	answer(asked_put(901, "10.0.0.1"), 200, APPLIED);
	ck_assert_uint_eq(pushes, 1);
	ck_assert_uint_eq(pushed_generation, 901);
	ck_assert_str_eq(push_problem, "");
	stop();
}
END_TEST

START_TEST(endless_conflicts_are_told_and_slowed_down)
{
	unsigned puts = 0;

	start();
	come_up(10, NO_SOURCES);
	push("ec2", "10.0.0.1", false);
	for (unsigned ms = 0; ms < 10000; ms++) {
		if (count_calls("PUT", "/")) {
			answer(asked("PUT", "/"), 409, "{\"error\":\"not newer\"}");
			puts++;
		}
		pass_ms(1);
	}
	ck_assert_str_eq(push_problem, "not newer");
	ck_assert_uint_eq(pushes, 1);
	ck_assert_uint_lt(puts, 20);
	ck_assert_uint_gt(puts, 5);
	stop();
}
END_TEST

START_TEST(a_refused_set_is_told_in_the_proxys_words_and_not_repeated_at_once)
{
	start();
	come_up(10, NO_SOURCES);
	push("ec2", "10.0.0.1", false);
	answer(asked_put(1, "10.0.0.1"), 404, "{\"error\":\"there is no pool \\\"web\\\"\"}");
	ck_assert_str_eq(push_problem, "there is no pool \"web\"");
	pass_ms(20000);
	ck_assert_uint_eq(count_calls("PUT", "/"), 0);
	pass_ms(30000);
	answer(asked("PUT", "/"), 404, "{\"error\":\"there is no pool \\\"web\\\"\"}");
	ck_assert_uint_eq(pushes, 1);
	stop();
}
END_TEST

START_TEST(a_reload_of_the_proxy_has_refused_sets_sent_again)
{
	start();
	come_up(10, NO_SOURCES);
	push("ec2", "10.0.0.1", false);
	answer(asked_put(1, "10.0.0.1"), 404, "{\"error\":\"there is no pool\"}");
	answer(asked("GET", "/v1/events"), 200,
	       "{\"events\":[{\"kind\":\"reloaded\",\"pool\":null}],\"last_id\":8}");
	pass_ms(2);
	answer(asked_put(2, "10.0.0.1"), 200, APPLIED);
	ck_assert_uint_eq(pushes, 2);
	ck_assert_str_eq(push_problem, "");
	stop();
}
END_TEST

START_TEST(a_push_that_gets_no_answer_is_repeated)
{
	start();
	come_up(10, NO_SOURCES);
	push("ec2", "10.0.0.1", false);
	break_off(asked_put(1, "10.0.0.1"));
	ck_assert_str_eq(push_problem, "connection reset");
	pass_ms(1000);
	answer(asked("PUT", "/"), 503, "{\"error\":\"a worker does not answer\"}");
	ck_assert_str_eq(push_problem, "a worker does not answer");
	pass_ms(1000);
	answer(asked_put(3, "10.0.0.1"), 200, APPLIED);
	ck_assert_str_eq(push_problem, "");
	ck_assert_uint_eq(pushes, 3);
	stop();
}
END_TEST

START_TEST(a_proxy_that_restarted_is_given_everything_again)
{
	start();
	come_up(10, NO_SOURCES);
	push("ec2", "10.0.0.1", false);
	answer(asked_put(1, "10.0.0.1"), 200, APPLIED);
	break_off(asked("GET", "/v1/events"));
	pass_ms(2000);
	come_up(11, NO_SOURCES);
	answer(asked_put(2, "10.0.0.1"), 200, APPLIED);
	ck_assert_uint_eq(pushes, 2);
	stop();
}
END_TEST

START_TEST(a_push_under_way_when_the_proxy_goes_is_sent_to_the_next_one)
{
	start();
	come_up(10, NO_SOURCES);
	push("ec2", "10.0.0.1", false);
	asked_put(1, "10.0.0.1");
	break_off(asked("GET", "/v1/events"));
	ck_assert_uint_eq(count_calls("PUT", "/"), 0);
	pass_ms(2000);
	come_up(11, NO_SOURCES);
	answer(asked_put(2, "10.0.0.1"), 200, APPLIED);
	stop();
}
END_TEST

static void push_on_up(void)
{
	struct target_set *set = make_set("10.0.0.9", 1);

	ck_assert_int_eq(link_push(link_to, "web", "ec2", set, false), 0);
	target_set_free(set);
}

START_TEST(a_set_pushed_while_it_is_told_to_be_up_is_the_one_that_is_sent)
{
	start();
	push("ec2", "10.0.0.1", false);
	do_on_up = push_on_up;
	come_up(10, NO_SOURCES);
	asked_put(1, "10.0.0.9");
	stop();
}
END_TEST

START_TEST(a_set_that_the_proxy_lost_is_pushed_again)
{
	start();
	come_up(10, NO_SOURCES);
	push("ec2", "10.0.0.1", false);
	answer(asked_put(1, "10.0.0.1"), 200, APPLIED);
	answer(asked("GET", "/v1/events"), 200,
	       "{\"events\":[{\"kind\":\"reloaded\",\"pool\":null}],\"last_id\":8}");
	pass_ms(3000);
	answer(asked("GET", "/v1/pools/web"), 200, NO_SOURCES);
	pass_ms(2);
	answer(asked_put(2, "10.0.0.1"), 200, APPLIED);
	stop();
}
END_TEST

START_TEST(what_was_read_while_a_push_was_answered_is_not_held_against_it)
{
	start();
	come_up(10, NO_SOURCES);
	answer(asked("GET", "/v1/events"), 200,
	       "{\"events\":[{\"kind\":\"reloaded\",\"pool\":null}],\"last_id\":8}");
	pass_ms(3000);
	push("ec2", "10.0.0.1", false);
	answer(asked_put(1, "10.0.0.1"), 200, APPLIED);
	answer(asked("GET", "/v1/pools/web"), 200, NO_SOURCES);
	pass_ms(5);
	ck_assert_uint_eq(count_calls("PUT", "/"), 0);
	stop();
}
END_TEST

START_TEST(a_withdrawn_source_is_deleted_until_it_is_gone)
{
	start();
	come_up(10, two_sources);
	ck_assert_int_eq(link_withdraw(link_to, "web", "ec2"), 0);
	pass_ms(2);
	answer(asked("DELETE", "/v1/pools/web/sources/ec2"), 500, "{\"error\":\"no memory\"}");
	pass_ms(2000);
	answer(asked("DELETE", "/v1/pools/web/sources/ec2"), 404, "{\"error\":\"has none\"}");
	pass_ms(60000);
	ck_assert_uint_eq(count_calls("DELETE", "/"), 0);
	stop();
}
END_TEST

START_TEST(a_withdrawn_source_may_be_pushed_again)
{
	start();
	come_up(10, NO_SOURCES);
	ck_assert_int_eq(link_withdraw(link_to, "web", "ec2"), 0);
	pass_ms(2);
	push("ec2", "10.0.0.1", false);
	answer(asked("DELETE", "/"), 200, "{\"result\":\"dropped\"}");
	pass_ms(2);
	answer(asked_put(2, "10.0.0.1"), 200, APPLIED);
	ck_assert_str_eq(push_problem, "");
	stop();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_set_waits_for_the_proxy_and_is_sent_above_its_generation,
		a_newer_set_replaces_the_one_that_is_not_answered_yet,
		the_failure_of_a_set_that_was_replaced_meanwhile_is_not_told,
		an_unverified_set_says_so_and_a_verified_one_does_not,
		a_conflict_is_resolved_by_a_higher_generation,
		endless_conflicts_are_told_and_slowed_down,
		a_refused_set_is_told_in_the_proxys_words_and_not_repeated_at_once,
		a_reload_of_the_proxy_has_refused_sets_sent_again,
		a_push_that_gets_no_answer_is_repeated,
		a_proxy_that_restarted_is_given_everything_again,
		a_push_under_way_when_the_proxy_goes_is_sent_to_the_next_one,
		a_set_pushed_while_it_is_told_to_be_up_is_the_one_that_is_sent,
		a_set_that_the_proxy_lost_is_pushed_again,
		what_was_read_while_a_push_was_answered_is_not_held_against_it,
		a_withdrawn_source_is_deleted_until_it_is_gone,
		a_withdrawn_source_may_be_pushed_again,
	};

	return run_tests("control_link_push", tests, COUNT(tests));
}
