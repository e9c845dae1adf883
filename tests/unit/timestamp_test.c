/* SPDX-License-Identifier: Apache-2.0
 *
 * Timestamps against the C library's calendar, which the code under test must not use.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proxy/base/clock.h"
#include "proxy/base/timestamp.h"

START_TEST(timestamp_names_known_instants)
{
	char buf[TIMESTAMP_TEXT];

	ck_assert_str_eq(timestamp_format(0, buf), "1970-01-01T00:00:00.000Z");
	ck_assert_str_eq(timestamp_format(951827696999999, buf), "2000-02-29T12:34:56.999Z");
	ck_assert_str_eq(timestamp_format(1767323045678901, buf), "2026-01-02T03:04:05.678Z");
}
END_TEST

START_TEST(timestamp_agrees_with_the_calendar_on_every_day_until_2200)
{
	char ours[TIMESTAMP_TEXT], theirs[64];

	for (time_t day = 0; day < 84000; day++) {
		time_t at = day * 86400 + day % 86400;
		struct tm tm;

		gmtime_r(&at, &tm);
		strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%S.000Z", &tm);
		ck_assert_str_eq(timestamp_format((uint64_t)at * US_PER_SEC, ours), theirs);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("timestamp");
	TCase *cases = tcase_create("timestamp");
	SRunner *runner;
	int failed;

	tcase_add_test(cases, timestamp_names_known_instants);
	tcase_add_test(cases, timestamp_agrees_with_the_calendar_on_every_day_until_2200);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
