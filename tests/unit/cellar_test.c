/* SPDX-License-Identifier: Apache-2.0
 *
 * Cellars, in a process that may have few descriptors to a table. What lies there are writing ends
 * of a pipe: its reader is told when the last of them is closed.
 */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/offload/cellar.h"

#define FILES        56
#define ROOM         20  /* pairs in a table of so many */
#define PAIRS        50  /* 100 descriptors */
#define SHARED_FILES 200 /* of a table that all of them share, as under ThreadSanitizer */
#define DEADLINE     30000

static struct cellars *cellars;
static uint32_t rows[3 * ROOM];
static int pipe_fds[2];

static void begin(void)
{
	struct rlimit files = {FILES, SHARED_FILES};

	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	ck_assert_int_eq(cellars_open(PAIRS, &cellars), 0);
#ifdef __SANITIZE_THREAD__
	files.rlim_cur = SHARED_FILES;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
#endif
}

static void end(void)
{
	cellars_close(cellars);
	close(pipe_fds[0]);
}

static uint32_t keep_one(void)
{
	const int fds[2] = {dup(pipe_fds[1]), dup(pipe_fds[1])};

	ck_assert_int_ge(fds[0], 0);
	ck_assert_int_ge(fds[1], 0);
	return cellars_keep(cellars, fds);
}

static void keep_all(void)
{
	for (unsigned i = 0; i < 3 * ROOM; i++) {
		rows[i] = keep_one();
		ck_assert_uint_ne(rows[i], CELLAR_NOWHERE);
	}
}

static bool is_over(int timeout_ms)
{
	struct pollfd reader = {.fd = pipe_fds[0]};

	return poll(&reader, 1, timeout_ms) == 1;
}

START_TEST(each_table_is_filled_and_what_is_beyond_is_closed)
{
	ck_assert_uint_eq(cellars_room(cellars), 3 * ROOM);
	keep_all();
	ck_assert_uint_eq(keep_one(), CELLAR_NOWHERE);
	for (unsigned i = 0; i < 3 * ROOM; i++)
		cellars_clear(cellars, rows[i]);
	cellars_wait(cellars);
	close(pipe_fds[1]);
	ck_assert(is_over(0));
}
END_TEST

/* `_i`: each pair in turn. */
START_TEST(a_pair_lies_there_until_it_is_cleared)
{
	unsigned kept = (unsigned)_i;

	keep_all();
	close(pipe_fds[1]);
	for (unsigned i = 0; i < 3 * ROOM; i++)
		if (i != kept)
			cellars_clear(cellars, rows[i]);
	cellars_wait(cellars);
	ck_assert(!is_over(0));
	cellars_clear(cellars, rows[kept]);
	cellars_wait(cellars);
	ck_assert(is_over(0));
}
END_TEST

START_TEST(a_row_that_was_cleared_takes_another_pair)
{
	keep_all();
	for (unsigned i = 0; i < 3 * ROOM; i++) {
		cellars_clear(cellars, rows[i]);
		rows[i] = keep_one();
		ck_assert_uint_ne(rows[i], CELLAR_NOWHERE);
	}
	close(pipe_fds[1]);
	ck_assert(!is_over(0));
	for (unsigned i = 0; i < 3 * ROOM; i++)
		cellars_clear(cellars, rows[i]);
	cellars_wait(cellars);
	ck_assert(is_over(0));
}
END_TEST

START_TEST(to_wait_and_to_clear_nothing_is_no_matter)
{
	cellars_wait(cellars);
	cellars_clear(cellars, CELLAR_NOWHERE);
	cellars_wait(cellars);
	keep_all();
}
END_TEST

START_TEST(what_is_there_at_the_end_is_closed)
{
	keep_all();
	close(pipe_fds[1]);
	cellars_close(cellars);
	cellars = NULL;
	ck_assert(is_over(DEADLINE));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cellar");
	TCase *tc = tcase_create("cellar");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, each_table_is_filled_and_what_is_beyond_is_closed);
	tcase_add_loop_test(tc, a_pair_lies_there_until_it_is_cleared, 0, 3 * ROOM);
	tcase_add_test(tc, a_row_that_was_cleared_takes_another_pair);
	tcase_add_test(tc, to_wait_and_to_clear_nothing_is_no_matter);
	tcase_add_test(tc, what_is_there_at_the_end_is_closed);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
