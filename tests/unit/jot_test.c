/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of JSON written down: what a part without memory does to the whole, and texts that are not
 * UTF-8. Failing allocations are tried on the whole of the counters (stats_test.c).
 */
#include <check.h>
#include <stdlib.h>

#include "proxy/base/jot.h"

static void expect(json_t *root, const char *want)
{
	char *text = jot_dump(root);

	ck_assert_ptr_nonnull(text);
	ck_assert_str_eq(text, want);
	free(text);
	json_decref(root);
}

static json_t *double_of(const void *of, size_t index)
{
	const int *numbers = of;

	return numbers[index] < 0 ? NULL : json_integer(2 * numbers[index]);
}

START_TEST(an_object_has_its_pairs_in_order)
{
	expect(JOT({"b", json_integer(1)}, {"a", jot_text("x")}), "{\"b\":1,\"a\":\"x\"}");
}
END_TEST

START_TEST(one_missing_value_is_no_object)
{
	ck_assert_ptr_null(JOT({"a", json_integer(1)}, {"b", NULL}));
	ck_assert_ptr_null(jot_with(NULL, JOT({"a", json_integer(1)})));
	ck_assert_ptr_null(jot_with(JOT({"a", json_integer(1)}), NULL));
	ck_assert_ptr_null(jot_dump(NULL));
}
END_TEST

START_TEST(with_adds_and_replaces)
{
	expect(jot_with(JOT({"a", json_integer(1)}, {"b", json_integer(2)}),
			JOT({"b", json_true()}, {"c", json_null()})),
	       "{\"a\":1,\"b\":true,\"c\":null}");
}
END_TEST

START_TEST(an_array_is_whole_or_not_at_all)
{
	static const int good[] = {1, 2}, bad[] = {1, -1, 3};

	expect(jot_array(2, double_of, good), "[2,4]");
	ck_assert_ptr_null(jot_array(3, double_of, bad));
}
END_TEST

START_TEST(counts_of_zero_are_left_out)
{
	static const char *const names[] = {"a", "b", "c"};
	static const uint64_t counts[] = {0, 7, 0};

	expect(jot_counts(names, counts, 3), "{\"b\":7}");
}
END_TEST

START_TEST(a_text_that_is_not_utf8_is_a_question_mark)
{
	expect(JOT({"a", jot_text("\xff")}, {"b", jot_text("\xc3\xa4")}, {"c", jot_text(NULL)}),
	       "{\"a\":\"?\",\"b\":\"\xc3\xa4\",\"c\":null}");
}
END_TEST

START_TEST(a_ratio_to_nothing_is_null)
{
	expect(JOT({"a", jot_ratio(3, 2)}, {"b", jot_ratio(3, 0)}), "{\"a\":1.5,\"b\":null}");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("jot");
	TCase *tc = tcase_create("jot");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, an_object_has_its_pairs_in_order);
	tcase_add_test(tc, one_missing_value_is_no_object);
	tcase_add_test(tc, with_adds_and_replaces);
	tcase_add_test(tc, an_array_is_whole_or_not_at_all);
	tcase_add_test(tc, counts_of_zero_are_left_out);
	tcase_add_test(tc, a_text_that_is_not_utf8_is_a_question_mark);
	tcase_add_test(tc, a_ratio_to_nothing_is_null);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
