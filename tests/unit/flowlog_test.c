/* SPDX-License-Identifier: Apache-2.0
 *
 * The writer thread: what reaches its descriptor, and what happens when that one misbehaves.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/flowlog.h"
#include "proxy/flowring.h"

static struct flow_ring *rings[2];
static struct flowlog *flows;
static char text[8 << 20];

static void setup(void)
{
	log_set_level(LOG_ERROR); /* losses are provoked here; stderr need not hear of them */
	signal(SIGPIPE, SIG_IGN);
	rings[0] = flow_ring_new(16);
	rings[1] = flow_ring_new(4096);
}

static void teardown(void)
{
	flow_ring_free(rings[0]);
	flow_ring_free(rings[1]);
}

static void start(enum flow_format format, int fd)
{
	ck_assert_int_eq(flowlog_start(rings, 2, format, fd, &flows), 0);
}

static bool push(unsigned ring, uint64_t id)
{
	struct flow_record record = {.id = id, .reason = REASON_CLIENT_FIN};

	return flow_ring_push(rings[ring], &record);
}

/* An unlinked file of its own, with a second descriptor to read it by. */
static int temp_file(int *ret_reader)
{
	char path[] = "/tmp/flowlog_test.XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	*ret_reader = open(path, O_RDONLY | O_CLOEXEC);
	unlink(path);
	return fd;
}

static const char *read_all(int fd)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	text[len] = '\0';
	close(fd);
	return text;
}

static unsigned lines_in(const char *at)
{
	unsigned lines = 0;

	for (; (at = strchr(at, '\n')); at++)
		lines++;
	return lines;
}

/* A pipe that takes not one more page, as a blocking or a non-blocking descriptor. */
static int full_pipe(int *ret_reader, int flags)
{
	static const char page[4096] = {[4095] = '\n'};
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(ends[1], page, sizeof(page)) > 0)
		;
	fcntl(ends[1], F_SETFL, flags);
	fcntl(ends[0], F_SETFL, 0);
	*ret_reader = ends[0];
	return ends[1];
}

static void skip(int fd, unsigned pages)
{
	char page[4096];

	for (unsigned i = 0; i < pages; i++)
		ck_assert_int_eq(read(fd, page, sizeof(page)), sizeof(page));
}

/* Until the writer has put something into the last page of the pipe. */
static void wait_until_written(int reader)
{
	int queued = 0;

	while (queued <= 15 * 4096) {
		ck_assert_int_eq(ioctl(reader, FIONREAD, &queued), 0);
		sched_yield();
	}
}

START_TEST(every_record_of_every_ring_is_a_line_by_the_time_it_stops)
{
	int reader;

	start(FLOW_TEXT, temp_file(&reader));
	for (unsigned i = 0; i < 10; i++)
		ck_assert(push(0, 100 + i));
	for (unsigned i = 0; i < 3000; i++)
		ck_assert(push(1, 1000 + i));
	ck_assert_uint_eq(flowlog_stop(flows, 3000), 0);
	read_all(reader);
	ck_assert_uint_eq(lines_in(text), 3010);
	for (unsigned i = 0; i < 3000; i++) {
		char want[32];

		snprintf(want, sizeof(want), " id=%u ", 1000 + i);
		ck_assert_msg(strstr(text, want), "%s is missing", want);
	}
	ck_assert(strstr(text, " id=109 "));
}
END_TEST

START_TEST(format_off_writes_nothing_but_extra_lines)
{
	int reader;

	start(FLOW_OFF, temp_file(&reader));
	ck_assert(push(0, 1));
	ck_assert(flowlog_line(flows, "{\"event\":\"counters\"}"));
	ck_assert_uint_eq(flowlog_stop(flows, 3000), 0);
	ck_assert_str_eq(read_all(reader), "{\"event\":\"counters\"}\n");
}
END_TEST

START_TEST(extra_lines_have_a_bound)
{
	int reader, accepted = 0;
	static char line[100000];

	memset(line, 'x', sizeof(line) - 1);
	start(FLOW_TEXT, full_pipe(&reader, 0));
	while (flowlog_line(flows, line))
		ck_assert_int_lt(accepted++, 30);
	ck_assert_int_ge(accepted, 10);
	flowlog_stop(flows, 0);
	close(reader);
}
END_TEST

START_TEST(stalled_reader_blocks_neither_pushes_nor_the_stop)
{
	int reader, pushed = 0;
	uint64_t lost;

	start(FLOW_JSON, full_pipe(&reader, _i ? O_NONBLOCK : 0));
	for (int i = 0; i < 100000; i++)
		pushed += push(1, i);
	ck_assert_int_ge(pushed, 4096);
	ck_assert_int_lt(pushed, 100000);
	lost = flowlog_stop(flows, 1);
	ck_assert_uint_eq(lost, pushed);
	skip(reader, 16);
	ck_assert_uint_eq(lines_in(read_all(reader)), 0);
}
END_TEST

START_TEST(reader_that_comes_back_gets_every_line_whole)
{
	int reader;

	start(FLOW_JSON, full_pipe(&reader, _i ? O_NONBLOCK : 0));
	for (int i = 0; i < 60; i++)
		ck_assert(push(1, i));
	ck_assert(push(0, 60));
	skip(reader, 16);
	ck_assert_uint_eq(flowlog_stop(flows, 3000), 0);
	read_all(reader);
	ck_assert_uint_eq(lines_in(text), 61);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		ck_assert_int_eq(strncmp(line, "{\"time\":", 8), 0);
		ck_assert_int_eq(line[strlen(line) - 1], '}');
	}
}
END_TEST

START_TEST(switch_closes_the_old_file_and_goes_on_in_the_new_format)
{
	int old_reader, new_reader, ends[2];
	char first[FLOW_LINE_MAX];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	old_reader = ends[0];
	start(FLOW_TEXT, ends[1]);
	ck_assert(push(0, 1));
	ck_assert_int_gt(read(old_reader, first, sizeof(first)), 0);
	flowlog_switch(flows, FLOW_JSON, temp_file(&new_reader));
	ck_assert_str_eq(read_all(old_reader), ""); /* returns because the writer closed it */
	ck_assert(push(0, 2));
	ck_assert_uint_eq(flowlog_stop(flows, 3000), 0);
	read_all(new_reader);
	ck_assert_uint_eq(lines_in(text), 1);
	ck_assert(strstr(text, "\"id\":2,"));
}
END_TEST

START_TEST(switch_to_the_same_descriptor_changes_the_format_alone)
{
	int reader, fd = temp_file(&reader);

	start(FLOW_TEXT, fd);
	flowlog_switch(flows, FLOW_OFF, fd);
	flowlog_switch(flows, FLOW_JSON, fd);
	ck_assert(flowlog_line(flows, "still open"));
	ck_assert_uint_eq(flowlog_stop(flows, 3000), 0);
	ck_assert_str_eq(read_all(reader), "still open\n");
}
END_TEST

START_TEST(switch_away_from_a_stalled_reader_loses_no_line)
{
	int stalled, reader;

	start(FLOW_TEXT, full_pipe(&stalled, 0));
	for (int i = 0; i < 200; i++)
		ck_assert(push(1, i));
	skip(stalled, 1); /* room for a page: the writer is cut short within a line */
	wait_until_written(stalled);
	flowlog_switch(flows, FLOW_TEXT, temp_file(&reader));
	ck_assert_uint_eq(flowlog_stop(flows, 3000), 0);
	skip(stalled, 15);
	unsigned before = lines_in(read_all(stalled));
	unsigned after = lines_in(read_all(reader));

	ck_assert_uint_eq(before + after, 200);
	ck_assert_int_eq(strncmp(text, "time=", 5), 0);
}
END_TEST

/* The operational log, to be read from. */
static int capture_stderr(void)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[1]);
	log_set_level(LOG_WARN);
	return ends[0];
}

/* Waits until the writer owns up to a loss. */
static const char *confession(int fd)
{
	static char said[1024];
	ssize_t n = read(fd, said, sizeof(said) - 1);

	ck_assert_int_gt(n, 0);
	said[n] = '\0';
	return said;
}

START_TEST(full_disk_and_gone_reader_cost_lines_that_are_owned_up_to)
{
	int said = capture_stderr(), reader, ends[2];
	const char *error =
		_i ? "flow_log_lost error=EPIPE lines=" : "flow_log_lost error=ENOSPC lines=";

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	start(FLOW_TEXT, _i ? ends[1] : open("/dev/full", O_WRONLY | O_CLOEXEC));
	for (int i = 0; i < 2048; i++) /* half, so that the writer wakes */
		ck_assert(push(1, i));
	ck_assert(strstr(confession(said), error));
	flowlog_switch(flows, FLOW_TEXT, temp_file(&reader));
	ck_assert(push(0, 7));
	flowlog_stop(flows, 3000);
	ck_assert(strstr(read_all(reader), " id=7 "));
}
END_TEST

START_TEST(line_after_a_torn_one_begins_afresh)
{
	struct rlimit limit = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY};
	int said = capture_stderr(), reader, fd = temp_file(&reader);

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	start(FLOW_TEXT, fd);
	for (int i = 0; i < 8; i++)
		ck_assert(push(0, i));
	ck_assert(strstr(confession(said), "error=EFBIG"));
	limit.rlim_cur = RLIM_INFINITY;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert(push(1, 99));
	ck_assert_uint_eq(flowlog_stop(flows, 3000), 0);
	read_all(reader);
	ck_assert_int_eq(text[1000], '\n');
	ck_assert_int_ne(text[999], '\n');
	ck_assert_int_eq(strncmp(text + 1001, "time=", 5), 0);
	ck_assert(strstr(text + 1001, " id=99 "));
	ck_assert_uint_eq(lines_in(text + 1001), 1);
}
END_TEST

START_TEST(line_cut_short_by_the_stop_counts_as_lost)
{
	int stalled;
	uint64_t lost;

	start(FLOW_TEXT, full_pipe(&stalled, 0));
	for (int i = 0; i < 100; i++)
		ck_assert(push(1, i));
	skip(stalled, 1);
	lost = flowlog_stop(flows, 200);
	ck_assert_uint_gt(lost, 0);
	skip(stalled, 15);
	ck_assert_uint_eq(lines_in(read_all(stalled)) + lost, 100);
}
END_TEST

START_TEST(records_left_at_the_deadline_are_counted)
{
	int reader;

	start(FLOW_TEXT, full_pipe(&reader, 0));
	for (int i = 0; i < 10; i++)
		ck_assert(push(0, i));
	ck_assert_uint_eq(flowlog_stop(flows, 0), 10);
	close(reader);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("flowlog");
	TCase *cases = tcase_create("flowlog");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, every_record_of_every_ring_is_a_line_by_the_time_it_stops);
	tcase_add_test(cases, format_off_writes_nothing_but_extra_lines);
	tcase_add_test(cases, extra_lines_have_a_bound);
	tcase_add_loop_test(cases, stalled_reader_blocks_neither_pushes_nor_the_stop, 0, 2);
	tcase_add_loop_test(cases, reader_that_comes_back_gets_every_line_whole, 0, 2);
	tcase_add_test(cases, switch_closes_the_old_file_and_goes_on_in_the_new_format);
	tcase_add_test(cases, switch_to_the_same_descriptor_changes_the_format_alone);
	tcase_add_test(cases, switch_away_from_a_stalled_reader_loses_no_line);
	tcase_add_loop_test(cases, full_disk_and_gone_reader_cost_lines_that_are_owned_up_to, 0, 2);
	tcase_add_test(cases, line_after_a_torn_one_begins_afresh);
	tcase_add_test(cases, line_cut_short_by_the_stop_counts_as_lost);
	tcase_add_test(cases, records_left_at_the_deadline_are_counted);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
