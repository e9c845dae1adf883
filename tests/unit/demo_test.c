/* SPDX-License-Identifier: Apache-2.0
 *
 * The demo backends over real sockets: polite clients, pipelining ones and those that talk rubbish.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/addr.h"
#include "proxy/demo.h"

static struct demo *demo;
static char text[1 << 16];

static void setup(void)
{
	ck_assert_int_eq(demo_start(&demo), 0);
}

static void teardown(void)
{
	demo_stop(demo);
}

static int dial(unsigned backend)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(demo_addr(demo, backend), &sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

static void say(int fd, const char *what, size_t len)
{
	ck_assert_int_eq(send(fd, what, len, MSG_NOSIGNAL), len);
}

/* Up to FIN; how many bytes came, of which `text` has the first. */
static uint64_t hear_all(int fd)
{
	static char more[1 << 16];
	uint64_t total = 0;
	ssize_t n;

	while ((n = recv(fd, more, sizeof(more), 0)) > 0) {
		size_t at = total < sizeof(text) - 1 ? total : sizeof(text) - 1;
		size_t room = sizeof(text) - 1 - at;

		memcpy(text + at, more, (size_t)n < room ? (size_t)n : room);
		total += n;
	}
	ck_assert_int_eq(n, 0);
	text[total < sizeof(text) - 1 ? total : sizeof(text) - 1] = '\0';
	close(fd);
	return total;
}

static uint64_t ask(unsigned backend, const char *request)
{
	int fd = dial(backend);

	say(fd, request, strlen(request));
	shutdown(fd, SHUT_WR);
	return hear_all(fd);
}

static unsigned count_of(const char *what)
{
	unsigned count = 0;

	for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
		count++;
	return count;
}

START_TEST(each_backend_names_itself_and_counts_its_connections)
{
	for (unsigned i = 0; i < DEMO_BACKENDS; i++)
		for (unsigned nth = 1; nth <= 2; nth++) {
			char want[64];

			ask(i, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
			snprintf(want, sizeof(want),
				 "\r\n\r\nHello from demo backend %u. You are connection %u.\n",
				 i + 1, nth);
			ck_assert_msg(strstr(text, want), "%s", text);
		}
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order_even_behind_bulk)
{
	uint64_t one, both;

	ask(0, "GET /bytes/3 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"
	       "GET /bytes/40000000000000000000 HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\n");
	ck_assert_uint_eq(count_of("HTTP/1.1 "), 4);
	ck_assert_uint_eq(count_of("HTTP/1.1 404"), 1);
	ck_assert_uint_eq(count_of("Hello from"), 1);
	/* The second waits in the buffer while the first is being sent. */
	one = ask(0, "GET /bytes/9000000 HTTP/1.0\r\n\r\n");
	both = ask(0, "GET /bytes/9000000 HTTP/1.1\r\n\r\nGET /bytes/9000000 HTTP/1.0\r\n\r\n");
	ck_assert_uint_eq(both, 2 * one - strlen("Connection: close\r\n"));
}
END_TEST

START_TEST(bulk_sends_exactly_as_many_bytes_as_asked_for)
{
	static const char request[] = "GET /bytes/20000000 HTTP/1.1\r\nConnection: close\r\n\r\n";
	uint64_t total = ask(1, request);
	size_t head = strstr(text, "\r\n\r\n") + 4 - text;

	ck_assert(strstr(text, "Content-Length: 20000000\r\n"));
	ck_assert_uint_eq(total - head, 20000000);
}
END_TEST

START_TEST(request_bodies_are_skipped)
{
	ask(2, "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /GET / HTTP/1.1\r\n\r\n");
	ck_assert_uint_eq(count_of("HTTP/1.1 200"), 2);
	ck_assert_uint_eq(count_of("HTTP/1.1 400"), 0);
}
END_TEST

START_TEST(garbage_gets_400_and_fin_not_a_reset)
{
	static char garbage[100000];
	int fd = dial(0);

	memset(garbage, 'g', sizeof(garbage));
	for (int i = 0; i < 160; i++) /* more than buffers hold: a reset would break it off */
		say(fd, garbage, sizeof(garbage));
	shutdown(fd, SHUT_WR);
	hear_all(fd);
	ck_assert_int_eq(strncmp(text, "HTTP/1.1 400 ", 13), 0);
	ask(0, "\n\n");
	ck_assert_int_eq(strncmp(text, "HTTP/1.1 400 ", 13), 0);
}
END_TEST

START_TEST(clients_that_vanish_leave_the_others_alone)
{
	struct linger reset = {.l_onoff = 1};

	for (int i = 0; i < 50; i++) {
		int fd = dial(0);

		say(fd, "GET /bytes/100000000 HTTP/1.1\r\n\r\n", i % 30);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
	}
	ask(0, "GET / HTTP/1.1\r\n\r\n");
	ck_assert(strstr(text, "Hello from demo backend 1. You are connection 51."));
}
END_TEST

START_TEST(stop_closes_what_is_open)
{
	int fd = dial(0);

	say(fd, "GET /bytes/900000000 HTTP/1.1\r\n\r\n", 33);
	ck_assert_int_gt(recv(fd, text, 1, 0), 0);
	demo_stop(demo);
	demo = NULL;
	while (recv(fd, text, sizeof(text), 0) > 0)
		;
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("demo");
	TCase *cases = tcase_create("demo");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, each_backend_names_itself_and_counts_its_connections);
	tcase_add_test(cases, pipelined_requests_are_answered_in_order_even_behind_bulk);
	tcase_add_test(cases, bulk_sends_exactly_as_many_bytes_as_asked_for);
	tcase_add_test(cases, request_bodies_are_skipped);
	tcase_add_test(cases, garbage_gets_400_and_fin_not_a_reset);
	tcase_add_test(cases, clients_that_vanish_leave_the_others_alone);
	tcase_add_test(cases, stop_closes_what_is_open);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
