/* SPDX-License-Identifier: Apache-2.0
 *
 * Widths of text, against what terminals do with it.
 */
#include "control/ctl/utf8.h"
#include "tests/unit/ctl_rig.h"

START_TEST(characters_take_none_one_or_two_columns)
{
	static const struct {
		const char *text;
		unsigned columns;
	} cases[] = {
		{"", 0},         {"abc", 3}, {"größe", 5},    {"日本", 4},      {"e\u0301", 1},
		{"a\u200bb", 2}, {"한", 2},  {"😀", 2},        {"…", 1},         {"▁█", 2},
		{"ﾊﾝｶｸ", 4},     {"Ａ", 2},  {"\xff\xfe", 2}, {"a\xe2\x82", 3},
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		ck_assert_msg(utf8_columns(cases[i].text) == cases[i].columns, "'%s' takes %u",
			      cases[i].text, utf8_columns(cases[i].text));
}
END_TEST

START_TEST(fitting_never_splits_a_character)
{
	ck_assert_uint_eq(utf8_fitting("abc", 2), 2);
	ck_assert_uint_eq(utf8_fitting("abc", 9), 3);
	ck_assert_uint_eq(utf8_fitting("größe", 3), 4);
	ck_assert_uint_eq(utf8_fitting("日本", 3), 3);
	ck_assert_uint_eq(utf8_fitting("日本", 1), 0);
	ck_assert_uint_eq(utf8_fitting("", 5), 0);
}
END_TEST

START_TEST(a_combining_mark_stays_with_what_it_combines_with)
{
	ck_assert_uint_eq(utf8_fitting("e\u0301f", 1), 3);
}
END_TEST

START_TEST(what_moves_a_cursor_becomes_a_question_mark)
{
	static const struct {
		const char *dirty, *clean;
	} cases[] = {
		{"plain größe 日本", "plain größe 日本"},
		{"\033[31mred", "?[31mred"},
		{"a\nb\tc\r", "a?b?c?"},
		{"\x7f", "?"},
		{"\xc2\x9b", "??"}, /* CSI in one character */
		{"\xe2\x80\xae"
		 "abc",
		 "???abc"}, /* right-to-left override */
		{"\xff ok", "? ok"},
		{"cut \xe2\x82", "cut ??"},
	};
	char buf[64];

	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(buf, sizeof(buf), "%s", cases[i].dirty);
		ck_assert_str_eq(utf8_clean(buf), cases[i].clean);
	}
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		characters_take_none_one_or_two_columns,
		fitting_never_splits_a_character,
		a_combining_mark_stays_with_what_it_combines_with,
		what_moves_a_cursor_becomes_a_question_mark,
	};

	return run_tests("ctl_utf8", tests, COUNT(tests));
}
