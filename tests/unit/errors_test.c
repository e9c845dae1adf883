/* SPDX-License-Identifier: Apache-2.0
 *
 * Findings: sorted by place, told once, counted past the bound.
 */
#include "tests/unit/conf_rig.h"

static const struct conf_where at_2_1 = {"f", 2, 1};
static const struct conf_where at_2_9 = {"f", 2, 9};
static const struct conf_where at_10_1 = {"f", 10, 1};
static const struct conf_where flag = {.source = "--workers x"};

START_TEST(findings_come_in_the_order_of_the_file)
{
	struct conf_errors errors = {0};

	conf_error(&errors, &at_10_1, "third");
	conf_error(&errors, &at_2_9, "second");
	conf_warn(&errors, &at_2_1, "mind %d", 4);
	conf_error(&errors, &flag, "zeroth");
	conf_error(&errors, &at_2_1, "first");
	char *text = errors_text(&errors);

	ck_assert_str_eq(text, "--workers x: zeroth\nf:2:1: first\nf:2:9: second\nf:10:1: third\n"
			       "f:2:1: warning: mind 4\n");
	free(text);
	conf_errors_fini(&errors);
}
END_TEST

START_TEST(the_same_finding_is_told_once)
{
	struct conf_errors errors = {0};

	conf_error(&errors, &at_2_1, "same");
	conf_error(&errors, &at_2_1, "same");
	conf_error(&errors, &at_2_9, "same");
	ck_assert_uint_eq(errors.errors.count, 2);
	conf_errors_fini(&errors);
}
END_TEST

START_TEST(errors_past_the_bound_are_counted)
{
	struct conf_errors errors = {0};
	char *text;

	for (unsigned i = 0; i < CONF_ERRORS_KEPT + 7; i++)
		conf_error(&errors, &at_2_1, "error %u", i);
	ck_assert_ptr_null(conf_error_text(&errors, CONF_ERRORS_KEPT));
	text = errors_text(&errors);
	ck_assert_ptr_nonnull(strstr(text, "error 49\nand 7 more errors\n"));
	free(text);
	conf_errors_fini(&errors);
}
END_TEST

START_TEST(warnings_alone_are_no_failure)
{
	struct conf_errors errors = {0};

	conf_warn(&errors, &at_2_1, "mind");
	ck_assert(!conf_failed(&errors));
	conf_error(&errors, &at_2_1, "no");
	ck_assert(conf_failed(&errors));
	conf_errors_fini(&errors);
	ck_assert(!conf_failed(&errors));
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		findings_come_in_the_order_of_the_file,
		the_same_finding_is_told_once,
		errors_past_the_bound_are_counted,
		warnings_alone_are_no_failure,
	};

	return run_tests("errors", tests, COUNT(tests));
}
