/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of the journal: its order, its bound, and texts from far away.
 */
/* link: -Wl,--wrap=log_event */
#include <stdarg.h>

#include "control/journal.h"
#include "tests/unit/control_rig.h"

void __wrap_log_event(enum log_level level, const char *event, const char *format, ...);

static char last_line[1000];

void __wrap_log_event(enum log_level level, const char *event, const char *format, ...)
{
	int used = snprintf(last_line, sizeof(last_line), "%s %s ", log_level_names[level], event);
	va_list args;

	va_start(args, format);
	vsnprintf(last_line + used, sizeof(last_line) - (size_t)used, format, args);
	va_end(args);
}

static void last_is(const struct journal *journal, const char *key, const char *want)
{
	json_t *root = journal_read(journal, journal_count(journal) - 1, 1);
	json_t *value = json_object_get(json_array_get(json_object_get(root, "events"), 0), key);

	if (want)
		ck_assert_str_eq(json_string_value(value), want);
	else
		ck_assert(json_is_null(value));
	json_decref(root);
}

START_TEST(an_event_is_logged_and_kept)
{
	struct journal *journal = journal_new();

	journal_note(journal, LOG_WARN, "held", "api", "ecs", "10.0.0.1:80", "%d of %d", 5, 6);
	ck_assert_str_eq(last_line,
			 "warn held pool=api source=ecs target=10.0.0.1:80 text=\"5 of 6\"");
	last_is(journal, "level", "warn");
	last_is(journal, "kind", "held");
	last_is(journal, "pool", "api");
	last_is(journal, "source", "ecs");
	last_is(journal, "target", "10.0.0.1:80");
	last_is(journal, "text", "5 of 6");
	journal_note(journal, LOG_INFO, "proxy_up", NULL, NULL, NULL, "pid 7");
	ck_assert_str_eq(last_line, "info proxy_up text=\"pid 7\"");
	last_is(journal, "pool", NULL);
	journal_note(NULL, LOG_INFO, "proxy_up", NULL, NULL, NULL, "pid 8");
	ck_assert_str_eq(last_line, "info proxy_up text=\"pid 8\"");
	ck_assert_uint_eq(journal_count(journal), 2);
	journal_free(journal);
	journal_free(NULL);
}
END_TEST

/* The ids that a reader gets, as "first..last of count". */
static void ids_are(const struct journal *journal, uint64_t after, unsigned limit, json_int_t first,
		    size_t count)
{
	json_t *root = journal_read(journal, after, limit);
	json_t *list = json_object_get(root, "events");

	ck_assert_uint_eq(json_array_size(list), count);
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, i), "id")),
				 first + (json_int_t)i);
	ck_assert_uint_eq((uint64_t)json_integer_value(json_object_get(root, "last_id")),
			  journal_count(journal));
	json_decref(root);
}

START_TEST(a_reader_gets_what_is_new_and_still_kept)
{
	struct journal *journal = journal_new();

	ids_are(journal, 0, 10, 0, 0);
	for (int i = 0; i < 3; i++)
		journal_note(journal, LOG_INFO, "x", NULL, NULL, NULL, "x");
	ids_are(journal, 0, 10, 1, 3);
	ids_are(journal, 1, 1, 2, 1);
	ids_are(journal, 3, 10, 0, 0);
	ids_are(journal, 99, 10, 0, 0);
	for (int i = 0; i < JOURNAL_KEPT; i++)
		journal_note(journal, LOG_INFO, "x", NULL, NULL, NULL, "x");
	ids_are(journal, 0, 10, 4, 10);
	ids_are(journal, 0, 5000, 4, JOURNAL_KEPT);
	journal_free(journal);
}
END_TEST

START_TEST(a_text_from_far_away_cannot_break_a_line)
{
	struct journal *journal = journal_new();
	char longest[2000];

	journal_note(journal, LOG_INFO, "x", NULL, NULL, NULL, "a\n\"b\"\x1b\xff \xc3\xa4");
	last_is(journal, "text", "a?'b'?? \xc3\xa4");
	memset(longest, 'a', sizeof(longest));
	for (size_t i = 1; i + 1 < sizeof(longest); i += 2)
		memcpy(longest + i, "\xc3\xa4", 2);
	longest[sizeof(longest) - 1] = '\0';
	journal_note(journal, LOG_INFO, "x", NULL, NULL, NULL, "%s", longest);
	ck_assert_ptr_nonnull(strstr(last_line, "\xc3\xa4"));
	last_is(journal, "kind", "x");
	journal_free(journal);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		an_event_is_logged_and_kept,
		a_reader_gets_what_is_new_and_still_kept,
		a_text_from_far_away_cannot_break_a_line,
	};

	return run_tests("control_journal", tests, COUNT(tests));
}
