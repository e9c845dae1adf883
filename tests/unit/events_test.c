/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring of events: numbers, what is kept, what a reader sees who is late, and harmless text.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/events.h"

static struct events *events;
static unsigned told;

static void setup(void)
{
	log_set_level(LOG_ERROR);
	events = events_new(4);
	told = 0;
}

static void teardown(void)
{
	events_free(events);
	events_free(NULL);
}

static void add(unsigned number)
{
	events_add(events, LOG_INFO, "kind", "pool", NULL, "number %u", number);
}

START_TEST(empty_ring_has_nothing_to_read)
{
	ck_assert_uint_eq(events_last_id(events), 0);
	ck_assert_ptr_null(events_next(events, 0));
	ck_assert_ptr_null(events_next(events, 7));
	ck_assert_ptr_null(events_next(events, UINT64_MAX));
}
END_TEST

START_TEST(events_are_read_in_order_by_their_numbers)
{
	const struct event *event;

	add(1);
	events_add(events, LOG_WARN, "other", NULL, "10.0.0.1:80", "x");
	event = events_next(events, 0);
	ck_assert_uint_eq(event->id, 1);
	ck_assert_str_eq(event->kind, "kind");
	ck_assert_str_eq(event->pool, "pool");
	ck_assert_str_eq(event->target, "");
	ck_assert_str_eq(event->text, "number 1");
	ck_assert_uint_gt(event->wall_us, 0);
	event = events_next(events, 1);
	ck_assert_uint_eq(event->id, 2);
	ck_assert_int_eq(event->level, LOG_WARN);
	ck_assert_str_eq(event->pool, "");
	ck_assert_str_eq(event->target, "10.0.0.1:80");
	ck_assert_ptr_null(events_next(events, 2));
}
END_TEST

START_TEST(late_reader_goes_on_with_the_oldest_that_is_left)
{
	for (unsigned i = 1; i <= 11; i++)
		add(i);
	ck_assert_uint_eq(events_last_id(events), 11);
	ck_assert_uint_eq(events_next(events, 0)->id, 8);
	ck_assert_uint_eq(events_next(events, 7)->id, 8);
	ck_assert_uint_eq(events_next(events, 8)->id, 9);
	ck_assert_str_eq(events_next(events, 10)->text, "number 11");
}
END_TEST

static void on_add(void *context)
{
	ck_assert_ptr_eq(context, &told);
	told++;
}

START_TEST(each_addition_is_told)
{
	add(1);
	events_on_add(events, on_add, &told);
	add(2);
	add(3);
	ck_assert_uint_eq(told, 2);
}
END_TEST

START_TEST(long_text_is_cut_before_the_character_that_does_not_fit)
{
	char name[200], text[600] = "";

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	/* Two bytes each, and an odd start: the 255th byte is the first half of one. */
	for (int i = 0; i < 200; i++)
		strcat(text, "\xc3\xa9");
	events_add(events, LOG_INFO, name, name, name, "%s", text);
	events_add(events, LOG_INFO, "k",
		   "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
		   "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
		   "\xc3\xa9\xc3\xa9",
		   NULL, "x%s", text);
	ck_assert_uint_eq(strlen(events_next(events, 0)->kind), 31);
	ck_assert_uint_eq(strlen(events_next(events, 0)->target), 127);
	ck_assert_uint_eq(strlen(events_next(events, 0)->text), 254);
	ck_assert_uint_eq(strlen(events_next(events, 1)->text), 255);
	ck_assert_uint_eq(strlen(events_next(events, 1)->pool), 30);
}
END_TEST

START_TEST(what_would_drive_a_terminal_becomes_a_question_mark)
{
	events_add(events, LOG_INFO, "k", "p\n", "t\x1b", "a\r\nb\x7f");
	ck_assert_str_eq(events_next(events, 0)->text, "a??b?");
	ck_assert_str_eq(events_next(events, 0)->pool, "p?");
	ck_assert_str_eq(events_next(events, 0)->target, "t?");
}
END_TEST

START_TEST(kinds_are_counted_however_many_events_are_kept)
{
	uint64_t count = 77;

	ck_assert_ptr_null(events_kind(events, 0, &count));
	ck_assert_uint_eq(count, 77);
	for (unsigned i = 0; i < 9; i++)
		add(i);
	events_add(events, LOG_INFO, "another", NULL, NULL, "x");
	ck_assert_str_eq(events_kind(events, 0, &count), "kind");
	ck_assert_uint_eq(count, 9);
	ck_assert_str_eq(events_kind(events, 1, &count), "another");
	ck_assert_uint_eq(count, 1);
	ck_assert_ptr_null(events_kind(events, 2, &count));
}
END_TEST

START_TEST(kinds_beyond_the_last_place_are_other)
{
	char kind[16];
	uint64_t count;

	for (unsigned i = 0; i < EVENT_KINDS_MAX + 3; i++) {
		snprintf(kind, sizeof(kind), "kind_%u", i);
		events_add(events, LOG_INFO, kind, NULL, NULL, "x");
	}
	events_add(events, LOG_INFO, "kind_0", NULL, NULL, "x");
	ck_assert_str_eq(events_kind(events, 0, &count), "kind_0");
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(events_kind(events, EVENT_KINDS_MAX - 1, &count), "kind_63");
	ck_assert_str_eq(events_kind(events, EVENT_KINDS_MAX, &count), "other");
	ck_assert_uint_eq(count, 3);
	ck_assert_ptr_null(events_kind(events, EVENT_KINDS_MAX + 1, &count));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		empty_ring_has_nothing_to_read,
		events_are_read_in_order_by_their_numbers,
		late_reader_goes_on_with_the_oldest_that_is_left,
		each_addition_is_told,
		long_text_is_cut_before_the_character_that_does_not_fit,
		what_would_drive_a_terminal_becomes_a_question_mark,
		kinds_are_counted_however_many_events_are_kept,
		kinds_beyond_the_last_place_are_other,
	};
	Suite *suite = suite_create("events");
	TCase *tcase = tcase_create("events");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tcase, tests[i]);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
