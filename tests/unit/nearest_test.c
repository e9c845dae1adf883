/* SPDX-License-Identifier: Apache-2.0
 *
 * Suggestions: near words are found, far ones are not offered at all.
 */
#include "proxy/base/conf/nearest.h"
#include "tests/unit/conf_rig.h"

static const char *nearest_of(const char *word, const char *a, const char *b)
{
	struct nearest nearest;

	nearest_init(&nearest, word);
	nearest_offer(&nearest, a);
	nearest_offer(&nearest, b);
	return nearest_best(&nearest);
}

START_TEST(each_kind_of_slip_is_recognised)
{
	ck_assert_str_eq(nearest_of("wrokers", "relay", "workers"), "workers");     /* swapped */
	ck_assert_str_eq(nearest_of("no", "relay", "on"), "on");                    /* only that */
	ck_assert_str_eq(nearest_of("worker", "relay", "workers"), "workers");      /* dropped */
	ck_assert_str_eq(nearest_of("woorkers", "relay", "workers"), "workers");    /* added */
	ck_assert_str_eq(nearest_of("workerz", "workers", "relay"), "workers");     /* changed */
	ck_assert_str_eq(nearest_of("WORKERS", "relay", "workers"), "workers");     /* case */
	ck_assert_str_eq(nearest_of("log-level", "log_level", "log"), "log_level"); /* dash */
}
END_TEST

START_TEST(the_nearer_of_two_wins_in_either_order)
{
	ck_assert_str_eq(nearest_of("sour", "sourc", "soup"), "sourc");
	ck_assert_str_eq(nearest_of("timeout", "timers", "timeouts"), "timeouts");
	ck_assert_str_eq(nearest_of("timeout", "timeouts", "timers"), "timeouts");
}
END_TEST

START_TEST(what_is_far_off_gets_no_suggestion)
{
	ck_assert_ptr_null(nearest_of("xyz", "workers", "relay"));
	ck_assert_ptr_null(nearest_of("a", "b", "c"));
	ck_assert_ptr_null(nearest_of("", "a", "b"));
}
END_TEST

START_TEST(overlong_words_are_near_nothing)
{
	char word[200];

	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	ck_assert_ptr_null(nearest_of(word, word, "a"));
}
END_TEST

START_TEST(lists_of_words_are_searched)
{
	char scratch[64];

	ck_assert_str_eq(nearest_in_list("splcie", "auto|copy|splice", scratch, sizeof(scratch)),
			 "splice");
	ck_assert_str_eq(nearest_in_list("coppy", "auto|copy|splice", scratch, sizeof(scratch)),
			 "copy");
	ck_assert_ptr_null(nearest_in_list("zero", "auto|copy|splice", scratch, sizeof(scratch)));
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		each_kind_of_slip_is_recognised,    the_nearer_of_two_wins_in_either_order,
		what_is_far_off_gets_no_suggestion, overlong_words_are_near_nothing,
		lists_of_words_are_searched,
	};

	return run_tests("nearest", tests, COUNT(tests));
}
