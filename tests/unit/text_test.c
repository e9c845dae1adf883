/* SPDX-License-Identifier: Apache-2.0
 *
 * Text that may stand in a configuration, and bytes that may not.
 */
#include "proxy/base/conf/text.h"
#include "tests/unit/conf_rig.h"

START_TEST(printable_text_is_clean)
{
	static const char *const texts[] = {
		"",
		"plain ~ text",
		"gr\xc3\xbc\xc3\x9f",
		"\xe6\x97\xa5",
		"\xf0\x9f\x90\x9f",
		"\xc2\xa0",
		"\xef\xbf\xbd",
		"\xf4\x8f\xbf\xbf",
	};

	for (size_t i = 0; i < COUNT(texts); i++)
		ck_assert_msg(text_is_clean(texts[i]), "%s", texts[i]);
}
END_TEST

START_TEST(control_characters_and_line_breaks_are_not)
{
	static const char *const texts[] = {
		"a\tb",     "a\nb",         "\r",           "\x1b[31m",     "\x7f",
		"\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xef\xbb\xbf",
	};

	for (size_t i = 0; i < COUNT(texts); i++)
		ck_assert_msg(!text_is_clean(texts[i]), "number %zu", i);
}
END_TEST

START_TEST(broken_utf8_is_not)
{
	static const char *const texts[] = {
		"\x80",             /* continuation alone */
		"\xc3",             /* cut after one of two */
		"\xe6\x97",         /* cut after two of three */
		"\xf0\x9f\x90",     /* cut after three of four */
		"\xc0\xaf",         /* overlong slash */
		"\xe0\x80\xaf",     /* the same in three */
		"\xed\xa0\x80",     /* surrogate */
		"\xf4\x90\x80\x80", /* above U+10FFFF */
		"\xff",             /* no lead byte at all */
		"\xc3(",            /* lead, then no continuation */
		"\xef\xbf\xbf",     /* U+FFFF */
	};

	for (size_t i = 0; i < COUNT(texts); i++)
		ck_assert_msg(!text_is_clean(texts[i]), "number %zu", i);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		printable_text_is_clean,
		control_characters_and_line_breaks_are_not,
		broken_utf8_is_not,
	};

	return run_tests("text", tests, COUNT(tests));
}
