/* SPDX-License-Identifier: Apache-2.0
 *
 * What may stand in a Host header, by whom.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "proxy/base/http/host.h"
#include "tests/unit/conf_rig.h"

static bool from4(const char *peer, const char *host)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};

	ck_assert_int_eq(inet_pton(AF_INET, peer, &addr.sin_addr), 1);
	return host_is_ours(host, (const struct sockaddr *)&addr);
}

static bool from6(const char *peer, const char *host)
{
	struct sockaddr_in6 addr = {.sin6_family = AF_INET6};

	ck_assert_int_eq(inet_pton(AF_INET6, peer, &addr.sin6_addr), 1);
	return host_is_ours(host, (const struct sockaddr *)&addr);
}

START_TEST(loopback_is_asked_for_by_its_own_names)
{
	static const char *const hosts[] = {
		"localhost",   "LocalHost:9900",       "localhost.", "localhost.:80",
		"127.0.0.1",   "127.9.8.7:9900",       "[::1]",      "[::1]:9900",
		"[0:0::1]:80", "[::ffff:127.0.0.1]:80"};

	for (size_t i = 0; i < COUNT(hosts); i++) {
		ck_assert_msg(from4("127.0.0.1", hosts[i]), "%s", hosts[i]);
		ck_assert_msg(from6("::1", hosts[i]), "%s", hosts[i]);
	}
}
END_TEST

START_TEST(strangers_names_do_not_lead_to_loopback)
{
	static const char *const hosts[] = {"evil.example",
					    "evil.example:9900",
					    "localhost.evil.example",
					    "127.0.0.1.nip.io",
					    "10.0.0.1:9900",
					    "[2001:db8::1]:80",
					    "127.1",
					    "2130706433",
					    "0x7f000001",
					    "",
					    ":9900",
					    "[::1",
					    "[]:80",
					    ".",
					    "localhost@evil.example",
					    "a.very.long.name.that.no.address.of.ours.could.ever."
					    "have.in.a.hundred.years.example"};

	for (size_t i = 0; i < COUNT(hosts); i++) {
		ck_assert_msg(!from4("127.0.0.1", hosts[i]), "%s", hosts[i]);
		ck_assert_msg(!from6("::1", hosts[i]), "%s", hosts[i]);
		ck_assert_msg(!from6("::ffff:127.0.0.1", hosts[i]), "%s", hosts[i]);
	}
}
END_TEST

START_TEST(elsewhere_any_name_may_be_ours)
{
	ck_assert(from4("10.0.0.1", "proxy.example:9900"));
	ck_assert(from6("2001:db8::1", "proxy.example"));
	ck_assert(from6("::ffff:10.0.0.1", "10.0.0.2"));
}
END_TEST

START_TEST(a_request_without_a_host_is_no_browsers)
{
	ck_assert(from4("127.0.0.1", NULL));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		loopback_is_asked_for_by_its_own_names,
		strangers_names_do_not_lead_to_loopback,
		elsewhere_any_name_may_be_ours,
		a_request_without_a_host_is_no_browsers,
	};

	return run_tests("admin_host", tests, COUNT(tests));
}
