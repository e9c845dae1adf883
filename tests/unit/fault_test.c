/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/lib/fault.c, included whole: its rules are static, and its wrappers are linked in as they
 * are in build/fault/sluice.
 */
/* link: -Wl,--wrap=accept4,--wrap=connect,--wrap=splice,--wrap=epoll_ctl,--wrap=malloc */
/* link: -Wl,--wrap=calloc,--wrap=realloc,--wrap=pipe2,--wrap=socket */
#include <check.h>

#include "tests/lib/fault.c"

static void arm(const char *text)
{
	memset(&own_control, 0, sizeof(own_control));
	control = &own_control;
	ck_assert(fault_parse(text));
	control->armed = 1;
}

/* A letter per call of pipe2: `x` failed with `error`, `.` went through. */
static const char *pipe_calls(unsigned count, int error)
{
	static char seen[32];
	int fds[2];

	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < count; i++) {
		errno = 0;
		seen[i] = 'x';
		if (pipe2(fds, O_CLOEXEC) == 0) {
			seen[i] = '.';
			close(fds[0]);
			close(fds[1]);
		} else {
			ck_assert_int_eq(errno, error);
		}
	}
	return seen;
}

START_TEST(one_ordinal_fails_once)
{
	arm("pipe2:ENFILE:3");
	ck_assert_str_eq(pipe_calls(6, ENFILE), "..x...");
}
END_TEST

START_TEST(a_range_includes_both_ends)
{
	arm("pipe2:EMFILE:2-4");
	ck_assert_str_eq(pipe_calls(6, EMFILE), ".xxx..");
}
END_TEST

START_TEST(an_open_range_never_ends)
{
	arm("pipe2:EMFILE:4-");
	ck_assert_str_eq(pipe_calls(8, EMFILE), "...xxxxx");
}
END_TEST

START_TEST(every_nth_call_fails)
{
	arm("pipe2:EMFILE:every:3");
	ck_assert_str_eq(pipe_calls(7, EMFILE), "..x..x.");
}
END_TEST

START_TEST(functions_are_counted_apart)
{
	arm("socket:ENOBUFS:1;pipe2:EMFILE:2");
	ck_assert_int_eq(socket(AF_UNIX, SOCK_STREAM, 0), -1);
	ck_assert_int_eq(errno, ENOBUFS);
	ck_assert_str_eq(pipe_calls(3, EMFILE), ".x.");
}
END_TEST

/* Check allocates too, so nothing is asserted until the three calls are made. */
START_TEST(memory_runs_out_on_demand)
{
	void *volatile got[3];
	void *volatile old = malloc(1);

	arm("malloc:ENOMEM:1;calloc:ENOMEM:1;realloc:ENOMEM:1");
	got[0] = malloc(1);
	got[1] = calloc(1, 1);
	got[2] = realloc(old, 2);
	control->armed = 0;
	ck_assert_ptr_null(got[0]);
	ck_assert_ptr_null(got[1]);
	ck_assert_ptr_null(got[2]);
	free(old);
	ck_assert_uint_eq(control->injected[CALL_MALLOC], 1);
}
END_TEST

START_TEST(nothing_fails_or_counts_until_armed)
{
	arm("pipe2:EMFILE:1-");
	control->armed = 0;
	ck_assert_str_eq(pipe_calls(3, EMFILE), "...");
	ck_assert_uint_eq(control->calls[CALL_PIPE2], 0);
	control->armed = 1;
	ck_assert_str_eq(pipe_calls(2, EMFILE), "xx");
}
END_TEST

START_TEST(the_control_file_arms_and_reports)
{
	char path[] = "/tmp/fault_test.XXXXXX";
	uint64_t words[1 + 2 * CALLS] = {1};
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	arm("pipe2:EMFILE:2");
	ck_assert(!fault_map(path)); /* too short */
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	ck_assert(fault_map(path));
	unlink(path);
	ck_assert_str_eq(pipe_calls(3, EMFILE), "...");
	ck_assert_int_eq(pwrite(fd, words, sizeof(words[0]), 0), sizeof(words[0]));
	ck_assert_str_eq(pipe_calls(3, EMFILE), ".x.");
	ck_assert_int_eq(pread(fd, words, sizeof(words), 0), sizeof(words));
	ck_assert_uint_eq(words[1 + CALL_PIPE2], 3);
	ck_assert_uint_eq(words[1 + CALLS + CALL_PIPE2], 1);
	close(fd);
}
END_TEST

static const char *const nonsense[] = {
	"pipe2",
	"pipe2:EMFILE",
	"pipe3:EMFILE:1",
	"pipe2:EWHAT:1",
	"pipe2:EMFILE:0",
	"pipe2:EMFILE:x",
	"pipe2:EMFILE:5-4",
	"pipe2:EMFILE:every:",
	"pipe2:EMFILE:1x",
	"pipe2:EMFILE:1-2-3",
	"pipe2;EMFILE:1",
	";",
	":",
	"pipe2:EMFILE:1;junk",
	"pipe2:EMFILE:every:-1",
	"pipe2:EMFILE:every:2-3",
};

START_TEST(nonsense_is_refused_whole)
{
	ck_assert_msg(!fault_parse(nonsense[_i]), "took %s", nonsense[_i]);
	ck_assert_uint_eq(rule_count, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fault");
	TCase *tcase = tcase_create("fault");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, one_ordinal_fails_once);
	tcase_add_test(tcase, a_range_includes_both_ends);
	tcase_add_test(tcase, an_open_range_never_ends);
	tcase_add_test(tcase, every_nth_call_fails);
	tcase_add_test(tcase, functions_are_counted_apart);
	tcase_add_test(tcase, memory_runs_out_on_demand);
	tcase_add_test(tcase, nothing_fails_or_counts_until_armed);
	tcase_add_test(tcase, the_control_file_arms_and_reports);
	tcase_add_loop_test(tcase, nonsense_is_refused_whole, 0,
			    (int)(sizeof(nonsense) / sizeof(nonsense[0])));
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
