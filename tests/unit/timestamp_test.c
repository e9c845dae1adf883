/* SPDX-License-Identifier: Apache-2.0
 *
 * Timestamps against the C library's calendar, which the code under test must not use.
 */
#include <check.h>
#include <errno.h>
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

START_TEST(timestamp_reads_back_what_it_wrote_until_2200)
{
	char text[TIMESTAMP_TEXT];

	for (uint64_t day = 0; day < 84000; day++) {
		uint64_t at = (day * 86400 + day % 86400) * US_PER_SEC + day % 1000 * US_PER_MS;
		uint64_t back = 0;

		ck_assert_int_eq(timestamp_parse(timestamp_format(at, text), &back), 0);
		ck_assert_uint_eq(back, at);
	}
}
END_TEST

START_TEST(timestamp_needs_no_fraction_and_keeps_microseconds)
{
	uint64_t at = 0;

	ck_assert_int_eq(timestamp_parse("2026-01-02T03:04:05Z", &at), 0);
	ck_assert_uint_eq(at, UINT64_C(1767323045000000));
	ck_assert_int_eq(timestamp_parse("2026-01-02T03:04:05.6789019Z", &at), 0);
	ck_assert_uint_eq(at, UINT64_C(1767323045678901));
}
END_TEST

START_TEST(timestamp_refuses_what_is_no_instant)
{
	static const char *const bad[] = {
		"",
		"now",
		"2026-01-02",
		"2026-01-02T03:04:05",
		"2026-01-02T03:04:05+01:00",
		"2026-01-02T03:04:05.Z",
		"2026-01-02T03:04:05Z ",
		"2026-1-02T03:04:05Z",
		"2026-00-02T03:04:05Z",
		"2026-13-02T03:04:05Z",
		"2026-02-29T03:04:05Z",
		"2026-04-31T03:04:05Z",
		"2026-01-00T03:04:05Z",
		"2026-01-02T24:04:05Z",
		"2026-01-02T03:60:05Z",
		"2026-01-02T03:04:61Z",
		"1969-12-31T23:59:59Z",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t at = 4711;

		ck_assert_msg(timestamp_parse(bad[i], &at) == -EINVAL, "'%s' was accepted", bad[i]);
		ck_assert_uint_eq(at, 4711);
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
	tcase_add_test(cases, timestamp_reads_back_what_it_wrote_until_2200);
	tcase_add_test(cases, timestamp_needs_no_fraction_and_keeps_microseconds);
	tcase_add_test(cases, timestamp_refuses_what_is_no_instant);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
