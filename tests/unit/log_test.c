/* SPDX-License-Identifier: Apache-2.0
 *
 * The operational log, with stderr replaced by a pipe and the clock by one that stands still until
 * a test moves it. Check runs each test in a process of its own, so neither outlives its test.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"

static _Atomic int64_t frozen_us = -1;

/* Takes the C library's place in this program. */
int clock_gettime(clockid_t id, struct timespec *ret_now)
{
	if (frozen_us < 0)
		return (int)syscall(SYS_clock_gettime, id, ret_now);
	ret_now->tv_sec = frozen_us / (int64_t)US_PER_SEC;
	ret_now->tv_nsec = frozen_us % (int64_t)US_PER_SEC * 1000;
	return 0;
}

static int capture_stderr(void)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[1]);
	return ends[0];
}

static void release_stderr(void)
{
	ck_assert_int_eq(dup2(STDOUT_FILENO, STDERR_FILENO), STDERR_FILENO);
}

/* All that is in the pipe, once nothing writes to it any more. */
static const char *drain(int fd)
{
	static char text[1 << 20];
	size_t len = 0;
	ssize_t n;

	release_stderr();
	frozen_us = -1;
	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	text[len] = '\0';
	return text;
}

static unsigned count_of(const char *text, const char *what)
{
	unsigned count = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		count++;
	return count;
}

/* Fill the pipe behind stderr until not one more line fits, and leave it blocking. */
static void stall_stderr(void)
{
	static const char page[4096];

	fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
	while (write(STDERR_FILENO, page, sizeof(page)) > 0)
		;
	fcntl(STDERR_FILENO, F_SETFL, 0);
}

START_TEST(log_writes_directly_before_it_is_started)
{
	int fd = capture_stderr();

	frozen_us = 1767323045678901;
	log_event(LOG_INFO, "listener_bound", "bind=%s", "127.0.0.1:8080");
	log_event(LOG_ERROR, "out_of_luck", "%s", "");
	ck_assert_str_eq(drain(fd),
			 "2026-01-02T03:04:05.678Z info listener_bound bind=127.0.0.1:8080\n"
			 "2026-01-02T03:04:05.678Z error out_of_luck \n");
}
END_TEST

START_TEST(log_obeys_its_level)
{
	int fd = capture_stderr();

	log_event(LOG_DEBUG, "hidden", "%s", "by default");
	log_set_level(LOG_DEBUG);
	ck_assert(log_enabled(LOG_DEBUG));
	log_event(LOG_DEBUG, "shown", "n=%d", 1);
	log_set_level(LOG_ERROR);
	log_event(LOG_WARN, "hidden", "n=%d", 2);
	log_set_level(LOG_INFO);
	const char *text = drain(fd);

	ck_assert_uint_eq(count_of(text, "\n"), 1);
	ck_assert(strstr(text, " debug shown n=1\n"));
}
END_TEST

START_TEST(log_keeps_values_from_forging_lines)
{
	int fd = capture_stderr();
	const char *text;

	log_event(LOG_INFO, "name", "value=%s", "a\nb\x1b[2Jc\x7f\r\t");
	text = drain(fd);
	ck_assert(strstr(text, " value=a?b?[2Jc???\n"));
	ck_assert_uint_eq(count_of(text, "\n"), 1);
}
END_TEST

START_TEST(log_cuts_an_overlong_line_and_says_so)
{
	int fd = capture_stderr();
	char value[5000];
	const char *text;

	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	log_event(LOG_INFO, "long", "value=%s", value);
	text = drain(fd);
	ck_assert_uint_eq(strlen(text), 1024);
	ck_assert_str_eq(text + 1019, "v...\n");
}
END_TEST

START_TEST(started_log_writes_every_line_in_order_by_the_time_it_stops)
{
	int fd = capture_stderr();
	const char *text;

	ck_assert_int_eq(log_start(), 0);
	ck_assert_int_ne(log_start(), 0);
	for (int i = 0; i < 200; i++)
		log_event(LOG_INFO, "count", "n=%03d", i);
	log_stop(3000);
	log_event(LOG_INFO, "after", "n=%d", 1);
	ck_assert_uint_eq(log_dropped(), 0);
	text = drain(fd);
	for (int i = 0; i < 200; i++) {
		char want[16];

		snprintf(want, sizeof(want), " n=%03d\n", i);
		text = strstr(text, want);
		ck_assert_msg(text, "%s is missing or out of order", want);
	}
	ck_assert(strstr(text, " info after n=1\n"));
}
END_TEST

static _Atomic int hook_calls;

static void count_hook(void)
{
	hook_calls++;
}

START_TEST(log_thread_calls_its_hook_first)
{
	int fd = capture_stderr();

	log_on_thread_start(count_hook);
	ck_assert_int_eq(log_start(), 0);
	log_stop(3000);
	release_stderr();
	ck_assert_int_eq(hook_calls, 1);
	close(fd);
}
END_TEST

START_TEST(stalled_reader_blocks_neither_callers_nor_the_stop)
{
	int fd = capture_stderr();
	const char *text;

	stall_stderr();
	ck_assert_int_eq(log_start(), 0);
	for (int i = 0; i < 2000; i++)
		log_event(LOG_INFO, "burst", "n=%d", i);
	ck_assert_uint_ge(log_dropped(), 2000 - 256 - 1);
	log_stop(1);
	ck_assert_uint_eq(log_dropped(), 2000);
	log_event(LOG_INFO, "still_stalled", "n=%d", 1);
	ck_assert_uint_eq(log_dropped(), 2001);
	text = drain(fd);
	ck_assert_uint_eq(count_of(text, "burst"), 0);
}
END_TEST

START_TEST(log_owns_up_to_dropped_lines_once_the_reader_is_back)
{
	int fd = capture_stderr();
	static const char confession[] = " log_lines_dropped count=";
	uint64_t confessed = 0;
	char page[4096];
	size_t skipped = 0;
	const char *text;

	stall_stderr();
	ck_assert_int_eq(log_start(), 0);
	for (int i = 0; i < 1000; i++)
		log_event(LOG_INFO, "burst", "n=%d", i);
	for (; skipped < 16 * sizeof(page); skipped += sizeof(page))
		ck_assert_int_eq(read(fd, page, sizeof(page)), sizeof(page));
	log_stop(3000);
	text = drain(fd);
	while (!*text)
		text++;
	ck_assert(strstr(text, "burst n=0\n"));
	ck_assert_uint_gt(log_dropped(), 0);
	while ((text = strstr(text, confession))) {
		text += strlen(confession);
		confessed += strtoull(text, NULL, 10);
	}
	ck_assert_uint_eq(confessed, log_dropped());
}
END_TEST

START_TEST(limited_line_comes_once_a_second_with_what_it_suppressed)
{
	static struct log_limit limit, other;
	int fd = capture_stderr();
	const char *text;

	frozen_us = 5000000;
	for (int i = 0; i < 10; i++)
		log_limited(&limit, LOG_WARN, "flood", "n=%d", i);
	log_limited(&other, LOG_WARN, "elsewhere", "n=%d", 0);
	frozen_us += 999999;
	log_limited(&limit, LOG_WARN, "flood", "n=%d", 10);
	frozen_us += 1;
	log_limited(&limit, LOG_WARN, "flood", "n=%d", 11);
	frozen_us += 1000000;
	log_limited(&limit, LOG_WARN, "flood", "n=%d", 12);
	text = drain(fd);
	ck_assert_uint_eq(count_of(text, "\n"), 4);
	ck_assert(strstr(text, " warn flood n=0\n"));
	ck_assert(strstr(text, " warn elsewhere n=0\n"));
	ck_assert(strstr(text, " warn flood suppressed=10 n=11\n"));
	ck_assert(strstr(text, " warn flood n=12\n"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *cases = tcase_create("log");
	SRunner *runner;
	int failed;

	tcase_add_test(cases, log_writes_directly_before_it_is_started);
	tcase_add_test(cases, log_obeys_its_level);
	tcase_add_test(cases, log_keeps_values_from_forging_lines);
	tcase_add_test(cases, log_cuts_an_overlong_line_and_says_so);
	tcase_add_test(cases, started_log_writes_every_line_in_order_by_the_time_it_stops);
	tcase_add_test(cases, log_thread_calls_its_hook_first);
	tcase_add_test(cases, stalled_reader_blocks_neither_callers_nor_the_stop);
	tcase_add_test(cases, log_owns_up_to_dropped_lines_once_the_reader_is_back);
	tcase_add_test(cases, limited_line_comes_once_a_second_with_what_it_suppressed);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
