/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses to listen on and to connect to: every form, every refusal, and what overlaps.
 */
#include <errno.h>

#include "proxy/base/conf/endpoint.h"
#include "tests/unit/conf_rig.h"

struct bad {
	const char *text;
	const char *why;
};

static struct endpoint bound(const char *text)
{
	struct endpoint endpoint;
	const char *why = "";

	ck_assert_msg(endpoint_parse_bind(text, &endpoint, &why) == 0, "'%s' %s", text, why);
	return endpoint;
}

static void refuses(int (*parse)(const char *, struct endpoint *, const char **),
		    const struct bad *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct endpoint endpoint;
		const char *why = NULL;

		ck_assert_msg(parse(cases[i].text, &endpoint, &why) == -EINVAL, "'%s' was accepted",
			      cases[i].text);
		ck_assert_msg(strcmp(why, cases[i].why) == 0, "'%s' %s", cases[i].text, why);
	}
}

START_TEST(binds_come_in_every_form)
{
	static const struct {
		const char *text;
		const char *first;
		uint16_t last;
	} cases[] = {
		{":8080", "[::]:8080", 8080},
		{"[::]:443", "[::]:443", 443},
		{"0.0.0.0:80", "0.0.0.0:80", 80},
		{"127.0.0.1:65535", "127.0.0.1:65535", 65535},
		{":8000-8099", "[::]:8000", 8099},
		{"[::1]:1-4096", "[::1]:1", 4096},
		{":7-7", "[::]:7", 7},
		{"unix:/run/a-b:c.sock", "unix:/run/a-b:c.sock", 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct endpoint endpoint = bound(cases[i].text);
		char buf[ADDR_TEXT];

		ck_assert_str_eq(addr_format(&endpoint.addr, buf), cases[i].first);
		ck_assert_uint_eq(endpoint.port_end, cases[i].last);
	}
}
END_TEST

START_TEST(binds_that_make_no_sense_are_refused)
{
	static const struct bad bad[] = {
		{"", "is empty"},
		{"8080", "has no port"},
		{":", "has no port"},
		{":0", "has port 0"},
		{":65536", "has a port above 65535"},
		{":123456789", "has a port above 65535"},
		{":http", "has a port that is not a number"},
		{":80 ", "has a port that is not a number"},
		{":+80", "has a port that is not a number"},
		{":90-80", "is a range that ends before it begins"},
		{":80-", "has no port"},
		{":-80", "has no port"},
		{":1-4097", "is a range of more than 4096 ports"},
		{":1-2-3", "has a port that is not a number"},
		{"::1:80", "is IPv6 without brackets"},
		{"[::1:80", "has no closing bracket"},
		{"[::1]", "has no port"},
		{"[::1]80", "has no port"},
		{"[]:80", "is not a numeric address of this host"},
		{"localhost:80", "is not a numeric address of this host"},
		{"*:80", "is not a numeric address of this host"},
		{"10.0.0.256:80", "is not a numeric address of this host"},
		{"unix:", "is not an absolute path"},
		{"unix:run/x", "is not an absolute path"},
	};

	refuses(endpoint_parse_bind, bad, COUNT(bad));
}
END_TEST

START_TEST(unix_paths_are_bounded_by_the_kernel)
{
	char text[5 + 108 + 1] = "unix:/";
	struct endpoint endpoint;
	const char *why;

	memset(text + 6, 'x', 106);
	ck_assert_int_eq(endpoint_parse_bind(text, &endpoint, &why), 0);
	ck_assert_ptr_eq(endpoint.addr.path, text + 5);
	text[112] = 'x';
	ck_assert_int_eq(endpoint_parse_bind(text, &endpoint, &why), -EINVAL);
	ck_assert_str_eq(why, "is longer than the 107 bytes of a socket's path");
}
END_TEST

START_TEST(one_tcp_port_is_neither_path_nor_range)
{
	static const struct bad bad[] = {
		{"unix:/x", "is a path"},
		{":80-81", "is a range of ports"},
		{"localhost:80", "is not a numeric address of this host"},
		{":0", "has port 0"},
	};
	struct addr addr = {0};
	char buf[ADDR_TEXT];
	const char *why;

	ck_assert_int_eq(endpoint_parse_tcp(":80", &addr, &why), 0);
	ck_assert_str_eq(addr_format(&addr, buf), "[::]:80");
	for (size_t i = 0; i < COUNT(bad); i++) {
		ck_assert_int_eq(endpoint_parse_tcp(bad[i].text, &addr, &why), -EINVAL);
		ck_assert_str_eq(why, bad[i].why);
		ck_assert_uint_eq(addr.port, 80);
	}
}
END_TEST

START_TEST(a_socket_is_a_path_with_or_without_its_scheme)
{
	static const struct bad bad[] = {
		{"unix:", "is not an absolute path"},
		{"run/x", "is not an absolute path"},
		{":80", "is not an absolute path"},
	};
	struct addr addr = {0};
	char buf[ADDR_TEXT];
	const char *why;

	ck_assert_int_eq(endpoint_parse_socket("unix:/a", &addr, &why), 0);
	ck_assert_str_eq(addr_format(&addr, buf), "unix:/a");
	ck_assert_int_eq(endpoint_parse_socket("/a", &addr, &why), 0);
	ck_assert_str_eq(addr_format(&addr, buf), "unix:/a");
	for (size_t i = 0; i < COUNT(bad); i++) {
		ck_assert_int_eq(endpoint_parse_socket(bad[i].text, &addr, &why), -EINVAL);
		ck_assert_str_eq(why, bad[i].why);
	}
}
END_TEST

START_TEST(targets_may_be_names)
{
	static const struct {
		const char *text;
		const char *host;
		uint16_t port;
	} cases[] = {
		{"db.internal:5432", "db.internal", 5432},
		{"localhost:1", "localhost", 1},
		{"a_b-c.example.:80", "a_b-c.example.", 80},
		{"1.2.3.example:80", "1.2.3.example", 80},
		{"10.0.0.1:80", "", 80},
		{"[2001:db8::1]:443", "", 443},
		{"unix:/run/x", "", 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct endpoint endpoint;
		const char *why = "";

		ck_assert_msg(endpoint_parse_target(cases[i].text, &endpoint, &why) == 0, "'%s' %s",
			      cases[i].text, why);
		ck_assert_str_eq(endpoint.host, cases[i].host);
		ck_assert_uint_eq(endpoint.addr.port, cases[i].port);
		ck_assert_int_eq(endpoint.addr.family == 0, cases[i].host[0] != '\0');
	}
}
END_TEST

START_TEST(targets_that_make_no_sense_are_refused)
{
	static const struct bad bad[] = {
		{"", "is empty"},
		{"db.internal", "has no port"},
		{":80", "has no host"},
		{"10.0.0.1:0", "has port 0"},
		{"10.0.0.1:80-90", "has a port that is not a number"},
		{"10.0.0.256:80", "is neither a numeric address nor a host name"},
		{"10.0.0:80", "is neither a numeric address nor a host name"},
		{"a..b:80", "is neither a numeric address nor a host name"},
		{".a:80", "is neither a numeric address nor a host name"},
		{".:80", "is neither a numeric address nor a host name"},
		{"-a:80", "is neither a numeric address nor a host name"},
		{"a-:80", "is neither a numeric address nor a host name"},
		{"a b:80", "is neither a numeric address nor a host name"},
		{"http//a:80", "is neither a numeric address nor a host name"},
		{"[db]:80", "is neither a numeric address nor a host name"},
		{"http://a:80", "is IPv6 without brackets"},
		{"unix:x", "is not an absolute path"},
	};

	refuses(endpoint_parse_target, bad, COUNT(bad));
}
END_TEST

START_TEST(host_names_keep_to_their_lengths)
{
	char text[300] = "";
	struct endpoint endpoint;
	const char *why;

	memset(text, 'a', 63);
	strcpy(text + 63, ":80");
	ck_assert_int_eq(endpoint_parse_target(text, &endpoint, &why), 0);
	memset(text, 'a', 64);
	strcpy(text + 64, ":80");
	ck_assert_int_eq(endpoint_parse_target(text, &endpoint, &why), -EINVAL);
	for (size_t i = 0; i < 254; i++)
		text[i] = i % 50 == 49 ? '.' : 'a';
	strcpy(text + 253, ":80");
	ck_assert_int_eq(endpoint_parse_target(text, &endpoint, &why), 0);
	ck_assert_uint_eq(strlen(endpoint.host), 253);
	strcpy(text + 253, "a:80");
	ck_assert_int_eq(endpoint_parse_target(text, &endpoint, &why), -EINVAL);
}
END_TEST

START_TEST(source_addresses_have_no_port)
{
	static const char *const bad[] = {"", "10.0.0.1:80", "10.0.0.0/8", "10.0.0.1/32", "db"};
	struct addr addr;
	const char *why;
	char buf[ADDR_TEXT];

	ck_assert_int_eq(endpoint_parse_ip("10.0.0.1", &addr, &why), 0);
	ck_assert_str_eq(addr_format_host(&addr, buf), "10.0.0.1");
	ck_assert_uint_eq(addr.port, 0);
	ck_assert_int_eq(endpoint_parse_ip("2001:db8::1", &addr, &why), 0);
	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_msg(endpoint_parse_ip(bad[i], &addr, &why) == -EINVAL, "%s", bad[i]);
}
END_TEST

START_TEST(overlaps_are_symmetric_and_complete)
{
	static const struct {
		const char *a;
		bool a_v6_only;
		const char *b;
		bool b_v6_only;
		bool overlaps;
	} cases[] = {
		{":80", false, ":80", false, true},
		{":80", false, ":81", false, false},
		{":80-90", false, ":90-99", false, true},
		{":80-89", false, ":90-99", false, false},
		{":80-99", false, "127.0.0.1:85", false, true},
		{"127.0.0.1:80", false, "127.0.0.2:80", false, false},
		{"127.0.0.1:80-82", false, "127.0.0.1:82", false, true},
		{"0.0.0.0:80", false, "127.0.0.1:80", false, true},
		{"0.0.0.0:80", false, "[::1]:80", false, false},
		{"0.0.0.0:80", false, "[::]:80", false, true},
		{"0.0.0.0:80", false, "[::]:80", true, false},
		{"[::]:80", true, "127.0.0.1:80", false, false},
		{"[::]:80", true, "[::1]:80", false, true},
		{"[::1]:80", false, "[::1]:80", false, true},
		{"unix:/a", false, "unix:/a", false, true},
		{"unix:/a", false, "unix:/b", false, false},
		{"unix:/a", false, ":80", false, false},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct endpoint a = bound(cases[i].a), b = bound(cases[i].b);

		ck_assert_msg(endpoint_overlaps(&a, cases[i].a_v6_only, &b, cases[i].b_v6_only) ==
				      cases[i].overlaps,
			      "%s and %s", cases[i].a, cases[i].b);
		ck_assert_msg(endpoint_overlaps(&b, cases[i].b_v6_only, &a, cases[i].a_v6_only) ==
				      cases[i].overlaps,
			      "%s and %s", cases[i].b, cases[i].a);
	}
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		binds_come_in_every_form,
		binds_that_make_no_sense_are_refused,
		unix_paths_are_bounded_by_the_kernel,
		one_tcp_port_is_neither_path_nor_range,
		a_socket_is_a_path_with_or_without_its_scheme,
		targets_may_be_names,
		targets_that_make_no_sense_are_refused,
		host_names_keep_to_their_lengths,
		source_addresses_have_no_port,
		overlaps_are_symmetric_and_complete,
	};

	return run_tests("endpoint", tests, COUNT(tests));
}
