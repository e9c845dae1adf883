/* SPDX-License-Identifier: Apache-2.0
 *
 * The SDKs' configuration files: what is read, what is passed over, what is refused.
 */
#include <errno.h>

#include "control/aws/ini.h"
#include "tests/unit/conf_rig.h"

static struct ini *read_ini(const char *text)
{
	struct ini *ini = NULL;
	unsigned line = 0;
	int ret = ini_parse(text, strlen(text), &ini, &line);

	ck_assert_msg(ret == 0, "line %u of %s: %d", line, text, ret);
	return ini;
}

static void expect_value(const char *text, const char *want)
{
	struct ini *ini = read_ini(text);
	const char *got = ini_get(ini, "a", "key");

	ck_assert_msg(got && want ? !strcmp(got, want) : got == want, "%s: %s", text,
		      got ? got : "nothing");
	ini_free(ini);
}

START_TEST(a_value_is_found_in_its_section_alone)
{
	struct ini *ini = read_ini("[a]\nkey = 1\n[profile b]\nKEY=2\nother = 3");

	ck_assert_str_eq(ini_get(ini, "a", "key"), "1");
	ck_assert_str_eq(ini_get(ini, "profile b", "key"), "2");
	ck_assert_str_eq(ini_get(ini, "profile b", "other"), "3");
	ck_assert_ptr_null(ini_get(ini, "a", "other"));
	ck_assert_ptr_null(ini_get(ini, "b", "key"));
	ck_assert_ptr_null(ini_get(ini, "", "key"));
	ck_assert(ini_has(ini, "a") && !ini_has(ini, "A") && !ini_has(ini, "b"));
	ini_free(ini);
}
END_TEST

START_TEST(blanks_and_comments_are_no_part_of_a_value)
{
	expect_value("[a]\nkey=v", "v");
	expect_value("\t [ a ] # c\n\n; c\n#c\n key = v", "v");
	expect_value("[a]\r\nkey = v\r\n", "v");
	expect_value("[a]\nkey = a b  # c", "a b");
	expect_value("[a]\nkey = a#b;c", "a#b;c");
	expect_value("[a]\nkey = a/+= ;c", "a/+=");
	expect_value("[a]\nkey =", "");
	expect_value("[a]\nkey = # c", "");
	expect_value("\xef\xbb\xbf[a]\nkey = v", "v");
	expect_value("", NULL);
}
END_TEST

START_TEST(the_last_value_counts_also_of_a_section_that_comes_again)
{
	expect_value("[a]\nkey = 1\nkey = 2", "2");
	expect_value("[a]\nkey = 1\n[b]\nkey = 3\n[a]\nkey = 2", "2");
}
END_TEST

START_TEST(a_nested_table_is_passed_over)
{
	expect_value("[a]\ns3 =\n  key = 2\n  more = 3\nkey = 1", "1");
	expect_value("[a]\ns3 =\n  key = 2", NULL);
}
END_TEST

START_TEST(what_is_no_line_of_such_a_file_is_refused_with_its_number)
{
	static const struct {
		const char *text;
		size_t size;
		unsigned line;
	} bad[] = {
		{"[a", 0, 1},
		{"[]", 0, 1},
		{"[ ]\n", 0, 1},
		{"key = v", 0, 1},
		{"[a]\nhush", 0, 2},
		{"[a]\n\n= v", 0, 3},
		{"[a]\nk = \0v", 10, 2},
		{"[a]\nk = v\n indented = w", 0, 3},
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct ini *ini = NULL;
		unsigned line = 0;

		ck_assert_int_eq(ini_parse(bad[i].text,
					   bad[i].size ? bad[i].size : strlen(bad[i].text), &ini,
					   &line),
				 -EINVAL);
		ck_assert_uint_eq(line, bad[i].line);
		ck_assert_ptr_null(ini);
	}
}
END_TEST

START_TEST(a_file_of_nothing_but_sections_has_a_bound)
{
	char *text = calloc(1, 1 << 17);
	struct ini *ini = NULL;
	unsigned line = 0;

	for (unsigned i = 0; i < 5000; i++)
		sprintf(text + strlen(text), "[s%u]\n", i);
	ck_assert_int_eq(ini_parse(text, strlen(text), &ini, &line), -EINVAL);
	ck_assert_uint_eq(line, 4097);
	free(text);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_value_is_found_in_its_section_alone,
		blanks_and_comments_are_no_part_of_a_value,
		the_last_value_counts_also_of_a_section_that_comes_again,
		a_nested_table_is_passed_over,
		what_is_no_line_of_such_a_file_is_refused_with_its_number,
		a_file_of_nothing_but_sections_has_a_bound,
	};

	return run_tests("ini", tests, COUNT(tests));
}
