/* SPDX-License-Identifier: Apache-2.0
 *
 * The reason table: no holes, no two alike, and the line between orderly ends and errors.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/reason.h"

START_TEST(every_reason_has_a_snake_case_name)
{
	for (int i = 0; i < REASONS; i++) {
		ck_assert_ptr_nonnull(reason_names[i]);
		ck_assert_uint_gt(strlen(reason_names[i]), 0);
		ck_assert_uint_eq(strspn(reason_names[i], "abcdefghijklmnopqrstuvwxyz_"),
				  strlen(reason_names[i]));
	}
}
END_TEST

START_TEST(no_two_reasons_share_a_name)
{
	for (int i = 0; i < REASONS; i++)
		for (int k = i + 1; k < REASONS; k++)
			ck_assert_str_ne(reason_names[i], reason_names[k]);
}
END_TEST

START_TEST(names_are_those_of_the_enumerators)
{
	ck_assert_str_eq(reason_names[REASON_CLIENT_FIN], "client_fin");
	ck_assert_str_eq(reason_names[REASON_BACKEND_TIMEOUT], "backend_timeout");
	ck_assert_str_eq(reason_names[REASON_NO_SOURCE_PORT], "no_source_port");
	ck_assert_str_eq(reason_names[REASON_POOL_EMPTY], "pool_empty");
	ck_assert_str_eq(reason_names[REASON_LIFETIME_RST], "lifetime_rst");
	ck_assert_str_eq(reason_names[REASON_INTERNAL], "internal");
}
END_TEST

START_TEST(only_orderly_ends_are_no_errors)
{
	static const enum reason orderly[] = {
		REASON_CLIENT_FIN,     REASON_BACKEND_FIN, REASON_IDLE,
		REASON_HALF_CLOSE,     REASON_LIFETIME,    REASON_DRAIN,
		REASON_TARGET_REMOVED, REASON_TARGET_DOWN, REASON_KILLED};

	for (int i = 0; i < REASONS; i++) {
		bool error = true;

		for (size_t k = 0; k < sizeof(orderly) / sizeof(orderly[0]); k++)
			error = error && orderly[k] != (enum reason)i;
		ck_assert_msg(reason_is_error((enum reason)i) == error, "%s", reason_names[i]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reason");
	TCase *tcase = tcase_create("reason");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, every_reason_has_a_snake_case_name);
	tcase_add_test(tcase, no_two_reasons_share_a_name);
	tcase_add_test(tcase, names_are_those_of_the_enumerators);
	tcase_add_test(tcase, only_orderly_ends_are_no_errors);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
