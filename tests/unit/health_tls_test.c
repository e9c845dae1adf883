/* SPDX-License-Identifier: Apache-2.0
 *
 * The check `tls`: the ClientHello is read back field by field, and answers are judged. That real
 * servers take it is for tests/net to see.
 */
#include "tests/unit/health_rig.h"

/* What is left of a message that is read. */
struct reader {
	const uint8_t *at;
	size_t left;
};

static uint32_t take(struct reader *in, size_t size)
{
	uint32_t number = 0;

	ck_assert_uint_ge(in->left, size);
	for (size_t i = 0; i < size; i++)
		number = number << 8 | in->at[i];
	in->at += size;
	in->left -= size;
	return number;
}

/* A field with its length, of `size` bytes, in front. */
static struct reader take_part(struct reader *in, size_t size)
{
	uint32_t length = take(in, size);
	struct reader part = {in->at, length};

	ck_assert_uint_ge(in->left, length);
	in->at += length;
	in->left -= length;
	return part;
}

/* The extensions of a hello for `host`, everything before them checked. */
static struct reader extensions_of(const char *host, uint8_t **ret_hello)
{
	struct health_conf conf = health_conf_of(HEALTH_TLS);
	uint8_t random[PROBE_RANDOM];
	struct reader in, record, hello;
	size_t size;

	pattern_fill(random, 0, sizeof(random));
	conf.host = (char *)(uintptr_t)host;
	*ret_hello = tls_probe.request(&conf, NULL, random, &size);
	ck_assert_ptr_nonnull(*ret_hello);
	in = (struct reader){*ret_hello, size};
	ck_assert_uint_eq(take(&in, 1), 22);
	ck_assert_uint_eq(take(&in, 2), 0x0301);
	record = take_part(&in, 2);
	ck_assert_uint_eq(in.left, 0);
	ck_assert_uint_eq(take(&record, 1), 1);
	hello = take_part(&record, 3);
	ck_assert_uint_eq(record.left, 0);
	ck_assert_uint_eq(take(&hello, 2), 0x0303);
	ck_assert_int_eq(memcmp(hello.at, random, 32), 0);
	for (int i = 0; i < 8; i++)
		take(&hello, 4);
	take_part(&hello, 1);
	ck_assert_uint_gt(take_part(&hello, 2).left, 20);
	ck_assert_uint_eq(take_part(&hello, 1).left, 1);
	in = take_part(&hello, 2);
	ck_assert_uint_eq(hello.left, 0);
	return in;
}

/* Its content, or one of size 0. Every extension is walked, so wrong lengths show. */
static struct reader find_extension(struct reader in, uint32_t wanted)
{
	struct reader found = {0};

	while (in.left) {
		uint32_t type = take(&in, 2);
		struct reader part = take_part(&in, 2);

		if (type == wanted)
			found = part;
	}
	return found;
}

START_TEST(hello_offers_both_versions_and_a_key)
{
	uint8_t *hello, key[PROBE_RANDOM];
	struct reader in = extensions_of(NULL, &hello);
	struct reader versions = find_extension(in, 43), shares = find_extension(in, 51), share;

	versions = take_part(&versions, 1);
	ck_assert_uint_eq(take(&versions, 2), 0x0304);
	ck_assert_uint_eq(take(&versions, 2), 0x0303);
	ck_assert_uint_eq(versions.left, 0);
	shares = take_part(&shares, 2);
	ck_assert_uint_eq(take(&shares, 2), 29);
	share = take_part(&shares, 2);
	ck_assert_uint_eq(shares.left, 0);
	ck_assert_uint_eq(share.left, 32);
	pattern_fill(key, 0, sizeof(key));
	ck_assert_int_eq(memcmp(share.at, key + 32, 32), 0);
	ck_assert_uint_gt(find_extension(in, 10).left, 0);
	ck_assert_uint_gt(find_extension(in, 13).left, 0);
	free(hello);
}
END_TEST

static void expect_name(const char *host, const char *expected)
{
	uint8_t *hello;
	struct reader in = find_extension(extensions_of(host, &hello), 0), name;

	if (expected) {
		in = take_part(&in, 2);
		ck_assert_uint_eq(take(&in, 1), 0);
		name = take_part(&in, 2);
		ck_assert_uint_eq(in.left, 0);
		ck_assert_uint_eq(name.left, strlen(expected));
		ck_assert_int_eq(memcmp(name.at, expected, name.left), 0);
	} else {
		ck_assert_ptr_null(in.at);
	}
	free(hello);
}

START_TEST(server_name_is_sent_if_it_is_one)
{
	char longest[254], too_long[255];

	memset(longest, 'a', 253);
	longest[253] = '\0';
	memset(too_long, 'a', 254);
	too_long[254] = '\0';
	expect_name("a.example", "a.example");
	expect_name("a.example.", "a.example");
	expect_name(longest, longest);
	expect_name(too_long, NULL);
	expect_name(NULL, NULL);
	expect_name("", NULL);
	expect_name("10.0.0.1", NULL);
	expect_name("::1", NULL);
}
END_TEST

static void judge(const char *answer, size_t size, enum probe_outcome outcome, const char *text)
{
	struct health_conf conf = health_conf_of(HEALTH_TLS);

	expect_judged(&tls_probe, &conf, answer, size, outcome, text);
}

START_TEST(server_hello_is_good)
{
	judge("\x16\x03\x03\x00\x7a\x02", 6, PROBE_GOOD, "TLS ServerHello");
	judge("\x16\x03\x01\x40\x00\x02", 6, PROBE_GOOD, "TLS ServerHello");
	judge("\x16\x03\x03\x00\x7a", 5, PROBE_MORE, "");
}
END_TEST

START_TEST(alert_is_bad_and_says_its_number)
{
	judge("\x15\x03\x03\x00\x02\x02\x28", 7, PROBE_BAD, "TLS alert 40 (handshake failure)");
	judge("\x15\x03\x01\x00\x02\x02\x46", 7, PROBE_BAD, "TLS alert 70 (protocol version)");
	judge("\x15\x03\x01\x00\x02\x01\x00", 7, PROBE_BAD, "TLS alert 0 (close notify)");
	judge("\x15\x03\x03\x00\x02\x02\xff", 7, PROBE_BAD, "TLS alert 255 (see RFC 8446)");
	judge("\x15\x03\x03\x00\x02\x02\x70", 7, PROBE_BAD, "TLS alert 112 (unrecognized name)");
	judge("\x15\x03\x03\x00\x02\x02", 6, PROBE_MORE, "");
}
END_TEST

START_TEST(warning_about_the_name_is_passed_over)
{
	judge("\x15\x03\x03\x00\x02\x01\x70\x16\x03\x03\x00\x7a\x02", 13, PROBE_GOOD,
	      "TLS ServerHello");
	judge("\x15\x03\x03\x00\x02\x01\x70\x15\x03\x03\x00\x02\x02\x28", 14, PROBE_BAD,
	      "TLS alert 40 (handshake failure)");
	judge("\x15\x03\x03\x00\x02\x01\x70", 7, PROBE_MORE, "");
}
END_TEST

START_TEST(other_bytes_are_not_tls)
{
	judge("HTTP/1.1 400 Bad Request", 24, PROBE_BAD, "answer is not TLS");
	judge("\x16\x02\x00\x00\x7a\x02", 6, PROBE_BAD, "answer is not TLS");
	judge("\x17\x03\x03\x00\x7a\x02", 6, PROBE_BAD, "answer is not TLS");
	judge("\x16\x03\x03\x00\x7a\x01", 6, PROBE_BAD, "TLS without a ServerHello");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		hello_offers_both_versions_and_a_key,
		server_name_is_sent_if_it_is_one,
		server_hello_is_good,
		alert_is_bad_and_says_its_number,
		warning_about_the_name_is_passed_over,
		other_bytes_are_not_tls,
	};

	return run_tests("health_tls", tests, COUNT(tests));
}
