/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as text or in hexadecimal.
 */
#include <errno.h>

#include "proxy/base/conf/bytes.h"
#include "tests/unit/conf_rig.h"

static void expect_bytes(const char *text, const char *expected, size_t expected_size)
{
	uint8_t buf[8];
	const char *why = "";
	size_t size = 4711;

	ck_assert_msg(bytes_parse(text, sizeof(buf), NULL, &size, &why) == 0, "'%s' %s", text, why);
	ck_assert_uint_eq(size, expected_size);
	size = 4711;
	ck_assert_int_eq(bytes_parse(text, sizeof(buf), buf, &size, &why), 0);
	ck_assert_uint_eq(size, expected_size);
	ck_assert_mem_eq(buf, expected, size);
}

static void refuses(const char *text, const char *expected)
{
	const char *why = NULL;
	size_t size = 4711;

	ck_assert_int_eq(bytes_parse(text, 8, NULL, &size, &why), -EINVAL);
	ck_assert_str_eq(why, expected);
	ck_assert_uint_eq(size, 4711);
}

START_TEST(a_text_stands_for_itself)
{
	expect_bytes("PING", "PING", 4);
	expect_bytes("hex", "hex", 3);
	expect_bytes("HEX:0d", "HEX:0d", 6);
	expect_bytes("\xc3\xa4", "\xc3\xa4", 2);
}
END_TEST

START_TEST(hexadecimal_digits_come_in_pairs_of_any_case)
{
	expect_bytes("hex:00", "\0", 1);
	expect_bytes("hex:0d0A", "\r\n", 2);
	expect_bytes("hex:fFa9", "\xff\xa9", 2);
	expect_bytes("hex:0102030405060708", "\1\2\3\4\5\6\7\10", 8);
}
END_TEST

START_TEST(what_stands_for_no_bytes_is_refused)
{
	refuses("", "is empty");
	refuses("hex:", "has no digits behind hex:");
	refuses("hex:0", "has an odd number of hexadecimal digits");
	refuses("hex:0g", "has a character that is no hexadecimal digit");
	refuses("hex: 0d", "has a character that is no hexadecimal digit");
	refuses("hex:010203040506070809", "is too long");
	refuses("123456789", "is too long");
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		a_text_stands_for_itself,
		hexadecimal_digits_come_in_pairs_of_any_case,
		what_stands_for_no_bytes_is_refused,
	};

	return run_tests("bytes", tests, COUNT(tests));
}
