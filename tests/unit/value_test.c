/* SPDX-License-Identifier: Apache-2.0
 *
 * One scalar against one row: bounds, words, names, and how what is expected is put.
 */
#include <errno.h>

#include "proxy/base/conf/value.h"
#include "tests/unit/conf_rig.h"

static const struct schema_key seconds = {
	.name = "k", .kind = SCHEMA_SECONDS, .min = 1000, .max = 60000};
static const struct schema_key workers = {
	.name = "k", .kind = SCHEMA_INTEGER, .word = "auto", .min = 1, .max = 64};
static const struct schema_key relay = {
	.name = "k", .kind = SCHEMA_ENUM, .values = "auto|copy|splice"};
static const struct schema_key name = {.name = "k", .kind = SCHEMA_NAME, .max = 5};
static const struct schema_key text = {.name = "k", .kind = SCHEMA_TEXT, .max = 5};
static const struct schema_key block = {.name = "k", .kind = SCHEMA_BLOCK};

static const struct schema_key status = {.name = "k", .kind = SCHEMA_RANGE, .min = 100, .max = 599};
static const struct schema_key token = {.name = "k", .kind = SCHEMA_TOKEN, .max = 5};
static const struct schema_key bytes = {.name = "k", .kind = SCHEMA_BYTES, .max = 3};

static void accepts(const struct schema_key *key, const char *value, uint64_t expected)
{
	const char *why = "";
	uint64_t number = 4711;

	ck_assert_msg(value_parse(key, value, &number, &why) == 0, "'%s' %s", value, why);
	ck_assert_uint_eq(number, expected);
}

static void refuses(const struct schema_key *key, const char *value, const char *expected)
{
	const char *why = NULL;
	uint64_t number = 4711;

	ck_assert_int_eq(value_parse(key, value, &number, &why), -EINVAL);
	ck_assert_str_eq(why, expected);
	ck_assert_uint_eq(number, 4711);
}

START_TEST(bounds_are_inclusive)
{
	accepts(&workers, "1", 1);
	accepts(&workers, "64", 64);
	refuses(&workers, "0", "is too small");
	refuses(&workers, "65", "is too large");
	accepts(&seconds, "1000ms", 1000);
	refuses(&seconds, "999ms", "is too small");
	refuses(&seconds, "1500ms", "is not in whole seconds");
}
END_TEST

START_TEST(a_word_reads_as_zero_whatever_the_bounds)
{
	accepts(&workers, "auto", 0);
	refuses(&workers, "Auto", "is not a number");
	refuses(&seconds, "auto", "is not a number");
}
END_TEST

START_TEST(both_ends_of_a_range_keep_its_bounds)
{
	accepts(&status, "100-599", UINT64_C(100) << 32 | 599);
	accepts(&status, "404", UINT64_C(404) << 32 | 404);
	refuses(&status, "99-200", "is too small");
	refuses(&status, "200-600", "is too large");
}
END_TEST

START_TEST(tokens_have_no_spaces)
{
	accepts(&token, "/a?b", 0);
	refuses(&token, "a b", "has a space in it");
	refuses(&token, "a\tb", "is not plain UTF-8 text");
	refuses(&token, "abcdef", "is too long");
}
END_TEST

START_TEST(bytes_are_counted_as_what_they_stand_for)
{
	accepts(&bytes, "abc", 0);
	accepts(&bytes, "hex:0d0a00", 0);
	refuses(&bytes, "abcd", "is too long");
	refuses(&bytes, "hex:0d0a0000", "is too long");
	refuses(&bytes, "", "is empty");
	refuses(&bytes, "a\r", "is not plain UTF-8 text");
}
END_TEST

START_TEST(words_of_a_list_are_found_whole)
{
	uint64_t index = 4711;

	ck_assert(!value_list_find("http|tls", "htt", &index));
	ck_assert(!value_list_find("http|tls", "", &index));
	ck_assert_uint_eq(index, 4711);
	ck_assert(value_list_find("http|tls", "tls", &index));
	ck_assert_uint_eq(index, 1);
}
END_TEST

START_TEST(enums_read_as_their_index)
{
	accepts(&relay, "auto", 0);
	accepts(&relay, "splice", 2);
	refuses(&relay, "spl", "is not one of its values");
	refuses(&relay, "copy|splice", "is not one of its values");
	refuses(&relay, "", "is not one of its values");
}
END_TEST

START_TEST(names_need_no_escaping)
{
	accepts(&name, "a", 0);
	accepts(&name, "0_-.z", 0);
	refuses(&name, "", "is empty");
	refuses(&name, "abcdef", "is too long");
	refuses(&name, "-a", "does not begin with a small letter or a digit");
	refuses(&name, "A", "does not begin with a small letter or a digit");
	refuses(&name, "a b", "has a character that no name may have");
	refuses(&name, "a\"", "has a character that no name may have");
}
END_TEST

START_TEST(texts_are_clean_and_bounded)
{
	accepts(&text, "a b", 0);
	refuses(&text, "abcdef", "is too long");
	refuses(&text, "a\n", "is not plain UTF-8 text");
	refuses(&text, "\xff", "is not plain UTF-8 text");
	accepts(&block, "10.0.0.0/8", 0);
	refuses(&block, "10.0.0.1/8", "is not a block of addresses");
}
END_TEST

START_TEST(expectations_are_put_in_words)
{
	static const struct schema_key size = {
		.kind = SCHEMA_SIZE, .word = "auto", .min = 65536, .max = (UINT64_C(1) << 40) + 1};
	static const struct schema_key list = {.kind = SCHEMA_LIST, .min = 1, .max = 9};
	static const struct schema_key percent = {.kind = SCHEMA_PERCENT, .max = 100};
	char buf[VALUE_EXPECTED_MAX], small[8];

	ck_assert_str_eq(value_expected(&workers, buf, sizeof(buf)),
			 "auto or a whole number from 1 to 64");
	ck_assert_str_eq(value_expected(&relay, buf, sizeof(buf)), "auto, copy or splice");
	ck_assert_str_eq(value_expected(&seconds, buf, sizeof(buf)),
			 "a duration in whole seconds such as 10s or 1m, from 1s to 1m");
	ck_assert_str_eq(value_expected(&size, buf, sizeof(buf)),
			 "auto or a size such as 65536, 64KiB, 1MiB or 1GB, from 64KiB to "
			 "1099511627777");
	ck_assert_str_eq(value_expected(&percent, buf, sizeof(buf)),
			 "a percentage such as 20%, from 0% to 100%");
	ck_assert_str_eq(value_expected(&list, buf, sizeof(buf)), "a list of 1 to 9 items");
	ck_assert_str_eq(value_expected(&name, buf, sizeof(buf)),
			 "a name of at most 5 small letters, digits, \"_\", \"-\" and \".\"");
	ck_assert_str_eq(value_expected(&status, buf, sizeof(buf)),
			 "a number or a range such as 200-399, from 100 to 599");
	ck_assert_str_eq(value_expected(&token, buf, sizeof(buf)),
			 "a text without spaces of at most 5 bytes");
	ck_assert_str_eq(value_expected(&relay, small, sizeof(small)), "auto, c");
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		bounds_are_inclusive,
		a_word_reads_as_zero_whatever_the_bounds,
		enums_read_as_their_index,
		names_need_no_escaping,
		texts_are_clean_and_bounded,
		expectations_are_put_in_words,
		both_ends_of_a_range_keep_its_bounds,
		tokens_have_no_spaces,
		bytes_are_counted_as_what_they_stand_for,
		words_of_a_list_are_found_whole,
	};

	return run_tests("value", tests, COUNT(tests));
}
