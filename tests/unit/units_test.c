/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers with units: what each means exactly, and what is refused in which words.
 */
#include <errno.h>
#include <inttypes.h>

#include "proxy/base/conf/units.h"
#include "tests/unit/conf_rig.h"

struct good {
	const char *text;
	uint64_t value;
};

struct bad {
	const char *text;
	const char *why;
};

static void accepts(int (*parse)(const char *, uint64_t *, const char **), const struct good *cases,
		    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *why = NULL;
		uint64_t value = 0;

		ck_assert_msg(parse(cases[i].text, &value, &why) == 0, "'%s' %s", cases[i].text,
			      why);
		ck_assert_msg(value == cases[i].value, "'%s' is %" PRIu64, cases[i].text, value);
	}
}

static void refuses(int (*parse)(const char *, uint64_t *, const char **), const struct bad *cases,
		    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *why = NULL;
		uint64_t value = 4711;

		ck_assert_msg(parse(cases[i].text, &value, &why) == -EINVAL, "'%s' was accepted",
			      cases[i].text);
		ck_assert_str_eq(why, cases[i].why);
		ck_assert_uint_eq(value, 4711);
	}
}

START_TEST(integers_are_plain_decimals)
{
	static const struct good good[] = {
		{"0", 0}, {"7", 7}, {"18446744073709551615", UINT64_MAX}};
	static const struct bad bad[] = {
		{"", "is empty"},
		{"-1", "is negative"},
		{"-", "is not a number"},
		{"+1", "is not a number"},
		{" 1", "is not a number"},
		{"1 ", "is not a plain number"},
		{"0x10", "is not a plain number"},
		{"1e3", "is not a plain number"},
		{"1_000", "is not a plain number"},
		{"010", "has a leading zero"},
		{"1.5", "is not a whole number"},
		{"18446744073709551616", "is too large"},
		{"99999999999999999999999999", "is too large"},
		{"auto", "is not a number"},
	};

	accepts(units_integer, good, COUNT(good));
	refuses(units_integer, bad, COUNT(bad));
}
END_TEST

START_TEST(durations_become_milliseconds)
{
	static const struct good good[] = {
		{"0", 0},
		{"0s", 0},
		{"1ms", 1},
		{"500ms", 500},
		{"2s", 2000},
		{"5m", 300000},
		{"1h", 3600000},
		{"1d", 86400000},
		{"213503982334d", UINT64_C(213503982334) * 86400000},
	};
	static const struct bad bad[] = {
		{"", "is empty"},
		{"2", "has no unit"},
		{"s", "is not a number"},
		{"-2s", "is negative"},
		{"1.5h", "is not a whole number"},
		{"1,5h", "is not a whole number"},
		{"2 s", "has an unknown unit"},
		{"2S", "has an unknown unit"},
		{"2sec", "has an unknown unit"},
		{"1h30m", "has an unknown unit"},
		{"5us", "has an unknown unit"},
		{"213503982335d", "is too large"},
		{"18446744073709551615s", "is too large"},
	};

	accepts(units_duration, good, COUNT(good));
	refuses(units_duration, bad, COUNT(bad));
}
END_TEST

START_TEST(sizes_know_both_binary_and_decimal_units)
{
	static const struct good good[] = {
		{"0", 0},
		{"4096", 4096},
		{"4096B", 4096},
		{"64KiB", 65536},
		{"1MiB", 1048576},
		{"1GiB", 1073741824},
		{"1TiB", UINT64_C(1) << 40},
		{"64KB", 64000},
		{"1MB", 1000000},
		{"2GB", 2000000000},
		{"3TB", UINT64_C(3000000000000)},
		{"16777215TiB", UINT64_C(16777215) << 40},
	};
	static const struct bad bad[] = {
		{"", "is empty"},
		{"64k", "has an unknown unit"},
		{"64kib", "has an unknown unit"},
		{"64 KiB", "has an unknown unit"},
		{"1.5GiB", "is not a whole number"},
		{"-1MiB", "is negative"},
		{"16777216TiB", "is too large"},
		{"KiB", "is not a number"},
	};

	accepts(units_size, good, COUNT(good));
	refuses(units_size, bad, COUNT(bad));
}
END_TEST

START_TEST(percentages_carry_their_sign)
{
	static const struct good good[] = {{"0%", 0}, {"30%", 30}, {"250%", 250}};
	static const struct bad bad[] = {
		{"30", "has no % sign"},
		{"30 %", "has an unknown unit"},
		{"30%%", "has an unknown unit"},
		{"%", "is not a number"},
		{"0.3%", "is not a whole number"},
		{"-3%", "is negative"},
		{"", "is empty"},
	};

	accepts(units_percent, good, COUNT(good));
	refuses(units_percent, bad, COUNT(bad));
}
END_TEST

START_TEST(a_range_is_one_number_or_two)
{
	static const struct good good[] = {
		{"200", UINT64_C(200) << 32 | 200},
		{"200-399", UINT64_C(200) << 32 | 399},
		{"0-4294967295", UINT32_MAX},
		{"7-7", UINT64_C(7) << 32 | 7},
	};
	static const struct bad bad[] = {
		{"", "is empty"},
		{"-200", "is negative"},
		{"200-", "is a range without an end"},
		{"399-200", "is a range that ends before it begins"},
		{"200-300-400", "is not a plain number or two"},
		{"200 - 300", "is not a plain number or two"},
		{"2xx", "is not a plain number or two"},
		{"200--300", "is negative"},
		{"4294967296", "is too large"},
		{"1-4294967296", "is too large"},
	};

	accepts(units_range, good, COUNT(good));
	refuses(units_range, bad, COUNT(bad));
	ck_assert_uint_eq(units_range_first(good[1].value), 200);
	ck_assert_uint_eq(units_range_last(good[1].value), 399);
}
END_TEST

START_TEST(booleans_are_true_and_false_alone)
{
	static const struct good good[] = {{"true", 1}, {"false", 0}};
	static const struct bad bad[] = {
		{"yes", "is neither true nor false"},
		{"off", "is neither true nor false"},
		{"True", "is neither true nor false"},
		{"1", "is neither true nor false"},
		{"", "is empty"},
	};

	accepts(units_bool, good, COUNT(good));
	refuses(units_bool, bad, COUNT(bad));
}
END_TEST

START_TEST(file_modes_are_octal)
{
	static const struct good good[] = {{"0660", 0660}, {"660", 0660},  {"0o660", 0660},
					   {"0", 0},       {"0777", 0777}, {"7", 7}};
	static const struct bad bad[] = {
		{"", "is empty"},
		{"0680", "is not an octal number"},
		{"0x1b0", "is not an octal number"},
		{"rw", "is not an octal number"},
		{"0o", "is not an octal number"},
		{"-660", "is negative"},
		{"077777", "is too large"},
	};

	accepts(units_mode, good, COUNT(good));
	refuses(units_mode, bad, COUNT(bad));
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		integers_are_plain_decimals,  durations_become_milliseconds,
		percentages_carry_their_sign, sizes_know_both_binary_and_decimal_units,
		file_modes_are_octal,         booleans_are_true_and_false_alone,
		a_range_is_one_number_or_two,
	};

	return run_tests("units", tests, COUNT(tests));
}
