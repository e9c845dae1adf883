/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of proxy/base/congestion.c: who is kept from a congestion control that paces.
 */
#include <check.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/congestion.h"

static struct addr addr_of(const char *text)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse(text, &addr), 0);
	return addr;
}

/* This kernel's default, as proc(5) says it. */
static void read_default(char name[32])
{
	FILE *file = fopen("/proc/sys/net/ipv4/tcp_congestion_control", "re");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%31s", name), 1);
	fclose(file);
}

START_TEST(what_is_configured_stands)
{
	struct addr here = addr_of("127.0.0.1:80");

	congestion_learn();
	ck_assert_str_eq(congestion_choose("bbr", &here), "bbr");
}
END_TEST

START_TEST(a_peer_elsewhere_gets_the_default)
{
	static const char *const texts[] = {"10.0.0.1:80", "0.0.0.0:80", "[2001:db8::1]:80",
					    "[::]:80", "unix:/run/x"};
	struct addr addr = addr_of(texts[_i]);

	congestion_learn();
	ck_assert_ptr_null(congestion_choose(NULL, &addr));
}
END_TEST

START_TEST(over_loopback_a_default_that_paces_is_replaced_and_no_other)
{
	static const char *const texts[] = {"127.0.0.1:80", "127.9.9.9:80", "[::1]:80",
					    "[::ffff:127.0.0.1]:80"};
	struct addr addr = addr_of(texts[_i]);
	char name[32];
	const char *chosen;
	int fd;

	read_default(name);
	congestion_learn();
	chosen = congestion_choose(NULL, &addr);
	if (strncmp(name, "bbr", 3)) {
		ck_assert_ptr_null(chosen);
		return;
	}
	ck_assert_ptr_nonnull(chosen);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, chosen, (socklen_t)strlen(chosen)), 0);
	ck_assert_int_ne(strncmp(chosen, "bbr", 3), 0);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("congestion");
	TCase *tcase = tcase_create("congestion");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, what_is_configured_stands);
	tcase_add_loop_test(tcase, a_peer_elsewhere_gets_the_default, 0, 5);
	tcase_add_loop_test(tcase, over_loopback_a_default_that_paces_is_replaced_and_no_other, 0,
			    4);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
