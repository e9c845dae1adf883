/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of the words to a service manager, whose part a socket of ours plays.
 */
#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/base/notify.h"

static int manager;
static char path[64];

/* `name` as NOTIFY_SOCKET has it; an `@` stands for the abstract space. */
static void listen_as(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));

	memcpy(address.sun_path, name, strlen(name));
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(manager, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&address, size), 0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static void setup(void)
{
	snprintf(path, sizeof(path), "/tmp/notify_test.%d", (int)getpid());
}

static void teardown(void)
{
	notify_close();
	unlink(path);
}

static void expect(const char *want)
{
	char text[2048];
	ssize_t got = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT);

	ck_assert_int_ge(got, 0);
	text[got] = '\0';
	ck_assert_str_eq(text, want);
}

START_TEST(lines_arrive_as_one_datagram_each)
{
	listen_as(path);
	ck_assert_int_eq(notify_open(), 0);
	ck_assert(notify_is_open());
	ck_assert_int_eq(notify_send("MAINPID=%d\nREADY=1", 17), 0);
	ck_assert_int_eq(notify_send("WATCHDOG=1"), 0);
	expect("MAINPID=17\nREADY=1");
	expect("WATCHDOG=1");
	close(manager);
}
END_TEST

START_TEST(an_at_sign_is_the_abstract_space)
{
	char name[80];

	snprintf(name, sizeof(name), "@%s", path);
	listen_as(name);
	ck_assert_int_eq(notify_open(), 0);
	ck_assert_int_eq(notify_send("READY=1"), 0);
	expect("READY=1");
	close(manager);
}
END_TEST

START_TEST(without_a_manager_nothing_is_sent_and_nothing_fails)
{
	unsetenv("NOTIFY_SOCKET");
	ck_assert_int_eq(notify_open(), 0);
	ck_assert(!notify_is_open());
	ck_assert_int_eq(notify_send("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	ck_assert_int_eq(notify_open(), 0);
	ck_assert(!notify_is_open());
}
END_TEST

START_TEST(what_is_no_address_is_refused)
{
	char longest[200];

	setenv("NOTIFY_SOCKET", "relative/path", 1);
	ck_assert_int_eq(notify_open(), -EINVAL);
	setenv("NOTIFY_SOCKET", "/", 1);
	ck_assert_int_eq(notify_open(), -EINVAL);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longest, 1);
	ck_assert_int_eq(notify_open(), -EINVAL);
	setenv("NOTIFY_SOCKET", path, 1);
	ck_assert_int_eq(notify_open(), -ENOENT);
	ck_assert(!notify_is_open());
}
END_TEST

START_TEST(a_text_that_is_too_long_is_cut)
{
	char text[2048];
	ssize_t got;

	listen_as(path);
	ck_assert_int_eq(notify_open(), 0);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(notify_send("STATUS=%s", text), 0);
	got = recv(manager, text, sizeof(text), MSG_DONTWAIT);
	ck_assert_int_gt(got, 1000);
	ck_assert_int_lt(got, 1100);
	close(manager);
}
END_TEST

START_TEST(a_manager_that_is_gone_is_told_of_and_survived)
{
	listen_as(path);
	ck_assert_int_eq(notify_open(), 0);
	close(manager);
	ck_assert_int_eq(notify_send("READY=1"), -ECONNREFUSED);
}
END_TEST

START_TEST(after_the_close_nobody_hears_a_word)
{
	char byte;

	listen_as(path);
	ck_assert_int_eq(notify_open(), 0);
	notify_close();
	ck_assert(!notify_is_open());
	ck_assert_int_eq(notify_send("STOPPING=1"), 0);
	ck_assert_int_eq(recv(manager, &byte, 1, MSG_DONTWAIT), -1);
	ck_assert_int_eq(errno, EAGAIN);
	close(manager);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("notify");
	TCase *tc = tcase_create("notify");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, lines_arrive_as_one_datagram_each);
	tcase_add_test(tc, an_at_sign_is_the_abstract_space);
	tcase_add_test(tc, without_a_manager_nothing_is_sent_and_nothing_fails);
	tcase_add_test(tc, what_is_no_address_is_refused);
	tcase_add_test(tc, a_text_that_is_too_long_is_cut);
	tcase_add_test(tc, a_manager_that_is_gone_is_told_of_and_survived);
	tcase_add_test(tc, after_the_close_nobody_hears_a_word);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
