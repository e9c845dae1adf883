/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables: alignment, colours, and what gives way on a narrow screen.
 */
#include "control/ctl/table.h"
#include "tests/unit/ctl_rig.h"

static const struct column columns[] = {
	{.title = "NAME", .least = 4},
	{.title = "OPEN", ALIGN_RIGHT},
	{.title = "ZONE", .drop = 2},
	{.title = "WHY", .drop = 1},
};

static const struct screen wide = {.utf8 = true};

static struct table *filled(void)
{
	static const char *const cells[] = {"größe",    "7",   "a", "it serves",
					    "日本日本", "123", "b", ""};
	struct table *table = table_new(columns, COUNT(columns));

	for (size_t i = 0; i < COUNT(cells); i++)
		table_add(table, cells[i]);
	return table;
}

static void prints(unsigned width, bool utf8, const char *expected)
{
	struct screen screen = {.width = width, .utf8 = utf8};
	struct table *table = filled();
	struct printing printing;

	print_begin(&printing);
	ck_assert_int_eq(table_print(table, &screen, printing.out), 0);
	printed(&printing, expected);
	table_free(table);
}

START_TEST(columns_align_by_what_is_seen_and_lines_end_without_blanks)
{
	prints(0, true,
	       "NAME      OPEN  ZONE  WHY\n"
	       "größe        7  a     it serves\n"
	       "日本日本   123  b\n");
}
END_TEST

START_TEST(a_narrow_screen_cuts_what_may_be_cut)
{
	prints(29, true,
	       "NAME    OPEN  ZONE  WHY\n"
	       "größe      7  a     it serves\n"
	       "日本…    123  b\n");
}
END_TEST

START_TEST(a_narrower_one_leaves_out_what_is_needed_least)
{
	prints(24, true,
	       "NAME     OPEN  WHY\n"
	       "größe       7  it serves\n"
	       "日本日…   123\n");
	prints(14, true,
	       "NAME      OPEN\n"
	       "größe        7\n"
	       "日本日本   123\n");
}
END_TEST

START_TEST(what_must_stay_is_never_left_out)
{
	prints(5, false,
	       "NAME  OPEN\n"
	       "grö~     7\n"
	       "日~    123\n");
}
END_TEST

START_TEST(colours_surround_the_text_and_not_its_padding)
{
	struct screen screen = {.colour = true};
	struct table *table = table_new(columns, 2);
	struct printing printing;

	table_add(table, "a");
	table_colour(table, COLOUR_GOOD);
	table_add(table, "1");
	print_begin(&printing);
	ck_assert_int_eq(table_print(table, &screen, printing.out), 0);
	printed(&printing, "\033[1mNAME\033[0m  \033[1mOPEN\033[0m\n"
			   "\033[32ma\033[0m        1\n");
	table_free(table);
}
END_TEST

START_TEST(tables_without_titles_begin_with_their_first_row)
{
	static const struct column untitled[] = {{.title = ""}, {.title = ""}};
	struct table *table = table_new(untitled, 2);
	struct printing printing;

	table_add(table, "a");
	table_addf(table, "%d and %s", 1, "two");
	ck_assert_uint_eq(table_rows(table), 1);
	print_begin(&printing);
	ck_assert_int_eq(table_print(table, &wide, printing.out), 0);
	printed(&printing, "a  1 and two\n");
	table_free(table);
}
END_TEST

START_TEST(no_memory_for_a_table_shows_when_it_is_printed)
{
	ck_assert_int_lt(table_print(NULL, &wide, stdout), 0);
	table_add(NULL, "a");
	table_colour(NULL, COLOUR_BAD);
	ck_assert_uint_eq(table_rows(NULL), 0);
	table_free(NULL);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		columns_align_by_what_is_seen_and_lines_end_without_blanks,
		a_narrow_screen_cuts_what_may_be_cut,
		a_narrower_one_leaves_out_what_is_needed_least,
		what_must_stay_is_never_left_out,
		colours_surround_the_text_and_not_its_padding,
		tables_without_titles_begin_with_their_first_row,
		no_memory_for_a_table_shows_when_it_is_printed,
	};

	return run_tests("ctl_table", tests, COUNT(tests));
}
