/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads begin with a name and signals blocked, and a stuck one is given up on.
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/thread.h"

static sigset_t seen_mask;
static char seen_name[16];

static void note_surroundings(void *arg)
{
	(void)arg;
	pthread_sigmask(SIG_SETMASK, NULL, &seen_mask);
	pthread_getname_np(pthread_self(), seen_name, sizeof(seen_name));
}

static void wait_for_byte(void *arg)
{
	char byte;

	ck_assert_int_eq(read(*(int *)arg, &byte, 1), 1);
}

START_TEST(thread_begins_named_and_deaf_to_signals)
{
	struct thread thread;
	sigset_t ours;

	ck_assert_int_eq(thread_start(&thread, "probe", note_surroundings, NULL), 0);
	thread_join(&thread);
	ck_assert_str_eq(seen_name, "probe");
	ck_assert_int_eq(sigismember(&seen_mask, SIGTERM), 1);
	ck_assert_int_eq(sigismember(&seen_mask, SIGUSR1), 1);
	pthread_sigmask(SIG_SETMASK, NULL, &ours);
	ck_assert_int_eq(sigismember(&ours, SIGUSR1), 0);
}
END_TEST

START_TEST(join_within_tells_a_stuck_thread_from_one_that_ended)
{
	static struct thread stuck, ending;
	int never[2], soon[2];

	ck_assert_int_eq(pipe(never), 0);
	ck_assert_int_eq(pipe(soon), 0);
	ck_assert_int_eq(thread_start(&stuck, "stuck", wait_for_byte, never), 0);
	ck_assert_int_eq(thread_start(&ending, "ending", wait_for_byte, soon), 0);
	ck_assert(!thread_join_within(&stuck, 1));
	ck_assert_int_eq(write(soon[1], "x", 1), 1);
	ck_assert(thread_join_within(&ending, 3000));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("thread");
	TCase *cases = tcase_create("thread");
	SRunner *runner;
	int failed;

	tcase_add_test(cases, thread_begins_named_and_deaf_to_signals);
	tcase_add_test(cases, join_within_tells_a_stuck_thread_from_one_that_ended);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
