/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses: the one notation there and back, what it refuses, v4-mapped equivalence, blocks.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "proxy/base/addr.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct addr parsed(const char *text)
{
	struct addr addr;

	ck_assert_msg(addr_parse(text, &addr) == 0, "'%s' was refused", text);
	return addr;
}

START_TEST(parsed_address_prints_as_it_was_written)
{
	static const char *const texts[] = {
		"10.0.0.1:80",      "0.0.0.0:0",        "255.255.255.255:65535",
		"[2001:db8::1]:80", "[::]:443",         "[::1]:1",
		"[fe80::1%1]:80",   "unix:/run/x.sock", "unix:/a:b:90",
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		char buf[ADDR_TEXT];
		struct addr addr = parsed(texts[i]);

		ck_assert_str_eq(addr_format(&addr, buf), texts[i]);
	}
}
END_TEST

START_TEST(zone_may_be_an_interface_name)
{
	ck_assert_uint_eq(parsed("[fe80::1%lo]:80").scope, 1);
}
END_TEST

START_TEST(text_that_is_no_address_is_refused_and_result_untouched)
{
	static const char *const texts[] = {
		"",
		":",
		":80",
		"80",
		"10.0.0.1",
		"10.0.0.1:",
		"10.0.0.1:65536",
		"10.0.0.1:-1",
		"10.0.0.1:+1",
		"10.0.0.1: 1",
		"10.0.0.1:080",
		"10.0.0.1:1x",
		"10.0.0.1:4294967376",
		"10.0.0:80",
		"10.0.0.256:80",
		"010.0.0.1:80",
		" 10.0.0.1:80",
		"10.0.0.1 :80",
		"[10.0.0.1]:80",
		"::1:80",
		"[::1]",
		"[::1]80",
		"[::1:80",
		"::1]:80",
		"[]:80",
		"[:80",
		"]:80",
		"[::1%]:80",
		"[::1%nosuchif0]:80",
		"[::1%0]:80",
		"[[::1]]:80",
		"db.internal:5432",
		"unix:",
		"unix:relative",
		"unix",
		"*:80",
		"[1:2:3:4:5:6:7:8:9:a:b:c:d:e:f:1:2:3:4:5:6:7:8:9:a:b:c:d:e:f:0:1]:80",
	};
	struct addr before = parsed("1.2.3.4:5");

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct addr addr = before;

		ck_assert_msg(addr_parse(texts[i], &addr) == -EINVAL, "'%s' passed", texts[i]);
		ck_assert(!memcmp(&addr, &before, sizeof(addr)));
	}
}
END_TEST

START_TEST(unix_path_must_fit_the_kernel)
{
	char text[256] = "unix:/";
	struct sockaddr_un un;
	struct addr addr;
	char buf[ADDR_TEXT];
	size_t fits = strlen("unix:") + sizeof(un.sun_path) - 1;

	memset(text + 6, 'p', fits - 6);
	ck_assert_int_eq(addr_parse(text, &addr), 0);
	ck_assert_str_eq(addr_format(&addr, buf), text);
	text[fits] = 'p';
	ck_assert_int_eq(addr_parse(text, &addr), -EINVAL);
}
END_TEST

START_TEST(none_and_unnamed_print_as_placeholders)
{
	struct addr none = {0};
	struct addr unnamed = {.family = AF_UNIX};
	char buf[ADDR_TEXT];

	ck_assert_str_eq(addr_format(&none, buf), "-");
	ck_assert_str_eq(addr_format_host(&none, buf), "-");
	ck_assert_str_eq(addr_format(&unnamed, buf), "unix:");
}
END_TEST

START_TEST(mapped_address_prints_and_hashes_as_ipv4)
{
	struct addr mapped = parsed("[::ffff:10.1.2.3]:80");
	struct addr plain = parsed("10.1.2.3:80");
	char buf[ADDR_TEXT];

	ck_assert_str_eq(addr_format(&mapped, buf), "10.1.2.3:80");
	ck_assert_str_eq(addr_format_host(&mapped, buf), "10.1.2.3");
	ck_assert(addr_hash_host(&mapped) == addr_hash_host(&plain));
	ck_assert(!addr_equal(&mapped, &plain));
	mapped = addr_unmap(&mapped);
	ck_assert(addr_equal(&mapped, &plain));
}
END_TEST

START_TEST(host_prints_without_port_and_brackets)
{
	struct addr v6 = parsed("[2001:db8::7]:80");
	struct addr v4 = parsed("10.1.2.3:80");
	char buf[ADDR_TEXT];

	ck_assert_str_eq(addr_format_host(&v6, buf), "2001:db8::7");
	ck_assert_str_eq(addr_format_host(&v4, buf), "10.1.2.3");
}
END_TEST

START_TEST(longest_addresses_fit_the_buffer)
{
	struct addr addr = parsed("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535");
	char buf[ADDR_TEXT];

	addr.scope = UINT32_MAX;
	ck_assert_str_eq(addr_format(&addr, buf),
			 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
}
END_TEST

START_TEST(sockaddr_survives_the_round_trip)
{
	static const char *const texts[] = {"10.0.0.1:80", "[fe80::1%1]:8080", "[::]:1"};
	struct sockaddr_storage sa;

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct addr addr = parsed(texts[i]);
		struct addr back;
		socklen_t len = addr_to_sockaddr(&addr, &sa);

		addr_from_sockaddr((struct sockaddr *)&sa, len, &back);
		ck_assert(addr_equal(&addr, &back));
	}
}
END_TEST

START_TEST(sockaddr_is_in_network_order)
{
	struct addr addr = parsed("10.0.0.1:80");
	struct sockaddr_storage sa;
	struct sockaddr_in *in = (struct sockaddr_in *)&sa;

	ck_assert_uint_eq(addr_to_sockaddr(&addr, &sa), sizeof(*in));
	ck_assert_int_eq(in->sin_family, AF_INET);
	ck_assert_uint_eq(ntohs(in->sin_port), 80);
	ck_assert_uint_eq(ntohl(in->sin_addr.s_addr), 0x0a000001);
}
END_TEST

START_TEST(unix_sockaddr_carries_the_path_and_its_name_is_not_kept)
{
	struct addr addr = parsed("unix:/run/x.sock");
	struct sockaddr_storage sa;
	struct sockaddr_un *un = (struct sockaddr_un *)&sa;
	socklen_t len = addr_to_sockaddr(&addr, &sa);
	struct addr back;

	ck_assert_uint_eq(len, offsetof(struct sockaddr_un, sun_path) + 12);
	ck_assert_str_eq(un->sun_path, "/run/x.sock");
	addr_from_sockaddr((struct sockaddr *)&sa, len, &back);
	ck_assert_uint_eq(back.family, AF_UNIX);
	ck_assert_ptr_null(back.path);
}
END_TEST

START_TEST(short_or_foreign_sockaddr_becomes_none)
{
	struct sockaddr_storage sa = {.ss_family = AF_INET6};
	struct addr addr = parsed("1.2.3.4:5");

	addr_from_sockaddr((struct sockaddr *)&sa, sizeof(struct sockaddr_in), &addr);
	ck_assert_uint_eq(addr.family, 0);
	addr = parsed("1.2.3.4:5");
	addr_from_sockaddr((struct sockaddr *)&sa, 0, &addr);
	ck_assert_uint_eq(addr.family, 0);
	sa.ss_family = AF_NETLINK;
	addr_from_sockaddr((struct sockaddr *)&sa, sizeof(sa), &addr);
	ck_assert_uint_eq(addr.family, 0);
}
END_TEST

START_TEST(equal_compares_every_part)
{
	static const char *const texts[] = {
		"10.0.0.1:80", "10.0.0.2:80",    "10.0.0.1:81",    "[::1]:80", "[::2]:80",
		"[::1]:81",    "[fe80::1%1]:80", "[fe80::1%2]:80", "unix:/a",  "unix:/b",
	};

	for (size_t i = 0; i < COUNT(texts); i++)
		for (size_t k = 0; k < COUNT(texts); k++) {
			struct addr a = parsed(texts[i]);
			struct addr b = parsed(texts[k]);

			ck_assert_msg(addr_equal(&a, &b) == (i == k), "%s, %s", texts[i], texts[k]);
		}
}
END_TEST

START_TEST(unnamed_unix_equals_only_unnamed_unix)
{
	struct addr unnamed = {.family = AF_UNIX};
	struct addr named = parsed("unix:/a");
	struct addr other = {.family = AF_UNIX};

	ck_assert(addr_equal(&unnamed, &other));
	ck_assert(!addr_equal(&unnamed, &named));
	ck_assert(!addr_equal(&named, &unnamed));
}
END_TEST

START_TEST(hash_ignores_the_port_and_spreads_neighbours)
{
	enum { BUCKETS = 64, HOSTS = 64 * 256 };
	struct addr a = parsed("10.0.0.1:80");
	struct addr b = parsed("10.0.0.1:81");
	unsigned low[BUCKETS] = {0};
	unsigned high[BUCKETS] = {0};

	ck_assert(addr_hash_host(&a) == addr_hash_host(&b));
	for (uint32_t i = 0; i < HOSTS; i++) {
		uint64_t hash;

		a.v4.s_addr = htonl(0x0a000000 + i);
		hash = addr_hash_host(&a);
		low[hash % BUCKETS]++;
		high[hash >> 58]++;
	}
	/* 256 a bucket on average, standard deviation 16: six of those. */
	for (int i = 0; i < BUCKETS; i++) {
		ck_assert_uint_gt(low[i], 160);
		ck_assert_uint_lt(low[i], 352);
		ck_assert_uint_gt(high[i], 160);
		ck_assert_uint_lt(high[i], 352);
	}
}
END_TEST

START_TEST(hash_differs_between_hosts_that_differ_in_one_part)
{
	static const char *const texts[] = {
		"10.0.0.1:80",    "[::1]:80",     "[::2]:80", "[1::1]:80", "[fe80::1%1]:80",
		"[fe80::1%2]:80", "[::a00:1]:80", "unix:/a",  "unix:/b",
	};

	for (size_t i = 0; i < COUNT(texts); i++)
		for (size_t k = i + 1; k < COUNT(texts); k++) {
			struct addr a = parsed(texts[i]);
			struct addr b = parsed(texts[k]);

			ck_assert(addr_hash_host(&a) != addr_hash_host(&b));
		}
}
END_TEST

static bool in_block(const char *block_text, const char *addr_text)
{
	struct addr addr = parsed(addr_text);
	struct addr_block block;

	ck_assert_msg(addr_block_parse(block_text, &block) == 0, "'%s' was refused", block_text);
	return addr_block_contains(&block, &addr);
}

START_TEST(block_contains_its_addresses_and_no_others)
{
	ck_assert(in_block("10.0.0.0/8", "10.255.255.255:1"));
	ck_assert(!in_block("10.0.0.0/8", "11.0.0.0:1"));
	ck_assert(in_block("10.0.0.128/25", "10.0.0.128:1"));
	ck_assert(!in_block("10.0.0.128/25", "10.0.0.127:1"));
	ck_assert(in_block("0.0.0.0/0", "203.0.113.9:1"));
	ck_assert(in_block("10.0.0.1", "10.0.0.1:99"));
	ck_assert(!in_block("10.0.0.1", "10.0.0.0:99"));
	ck_assert(in_block("fd00::/8", "[fdff::1]:1"));
	ck_assert(!in_block("fd00::/8", "[fe00::1]:1"));
	ck_assert(in_block("2001:db8::1", "[2001:db8::1]:1"));
	ck_assert(!in_block("2001:db8::1", "[2001:db8::]:1"));
	ck_assert(!in_block("::/0", "unix:/a"));
}
END_TEST

START_TEST(mapped_addresses_match_ipv4_blocks)
{
	ck_assert(in_block("10.0.0.0/8", "[::ffff:10.9.8.7]:1"));
	ck_assert(!in_block("10.0.0.0/8", "[::ffff:11.9.8.7]:1"));
	ck_assert(in_block("::ffff:10.0.0.0/104", "10.9.8.7:1"));
	ck_assert(!in_block("::ffff:10.0.0.0/104", "11.9.8.7:1"));
	ck_assert(!in_block("::/0", "10.0.0.1:1"));
}
END_TEST

START_TEST(malformed_blocks_are_refused)
{
	static const char *const texts[] = {
		"",           "/",           "/8",
		"10.0.0.0/",  "10.0.0.0/33", "10.0.0.0/-1",
		"10.0.0.1/8", "10.0.0.0/08", "10.0.0.0/8/8",
		"fd00::/129", "fd00::1/64",  "host/8",
		"[fd00::]/8", "10.0.0.0:80",
	};
	struct addr_block block;

	for (size_t i = 0; i < COUNT(texts); i++)
		ck_assert_msg(addr_block_parse(texts[i], &block) == -EINVAL, "'%s' passed",
			      texts[i]);
}
END_TEST

static TCase *text_case(void)
{
	TCase *tcase = tcase_create("text");

	tcase_add_test(tcase, parsed_address_prints_as_it_was_written);
	tcase_add_test(tcase, zone_may_be_an_interface_name);
	tcase_add_test(tcase, text_that_is_no_address_is_refused_and_result_untouched);
	tcase_add_test(tcase, unix_path_must_fit_the_kernel);
	tcase_add_test(tcase, none_and_unnamed_print_as_placeholders);
	tcase_add_test(tcase, mapped_address_prints_and_hashes_as_ipv4);
	tcase_add_test(tcase, host_prints_without_port_and_brackets);
	tcase_add_test(tcase, longest_addresses_fit_the_buffer);
	return tcase;
}

static TCase *value_case(void)
{
	TCase *tcase = tcase_create("value");

	tcase_add_test(tcase, sockaddr_survives_the_round_trip);
	tcase_add_test(tcase, sockaddr_is_in_network_order);
	tcase_add_test(tcase, unix_sockaddr_carries_the_path_and_its_name_is_not_kept);
	tcase_add_test(tcase, short_or_foreign_sockaddr_becomes_none);
	tcase_add_test(tcase, equal_compares_every_part);
	tcase_add_test(tcase, unnamed_unix_equals_only_unnamed_unix);
	tcase_add_test(tcase, hash_ignores_the_port_and_spreads_neighbours);
	tcase_add_test(tcase, hash_differs_between_hosts_that_differ_in_one_part);
	tcase_add_test(tcase, block_contains_its_addresses_and_no_others);
	tcase_add_test(tcase, mapped_addresses_match_ipv4_blocks);
	tcase_add_test(tcase, malformed_blocks_are_refused);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("addr");
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, text_case());
	suite_add_tcase(suite, value_case());
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
