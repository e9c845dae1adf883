/* SPDX-License-Identifier: Apache-2.0
 *
 * Half-typed command lines: what is due at the cursor.
 */
#include "control/ctl/completion/completion.h"
#include "tests/unit/ctl_rig.h"

#define WORDS(...)                                                                                 \
	((char *const[]){__VA_ARGS__}), sizeof((char *const[]){__VA_ARGS__}) / sizeof(char *)

static struct completion at(char *const *words, size_t count)
{
	struct completion completion;

	completion_parse((int)count, words, &completion);
	return completion;
}

static enum word_kind due(char *const *words, size_t count)
{
	struct completion completion = at(words, count);

	return completion_kind(&completion);
}

static void offers(char *const *words, size_t count, const char *expected)
{
	struct completion completion = at(words, count);
	struct printing printing;

	print_begin(&printing);
	completion_offer(&completion, printing.out);
	printed(&printing, expected);
}

START_TEST(words_are_due_in_the_order_of_the_verbs_places)
{
	ck_assert_int_eq(due(WORDS("")), WORD_VERB);
	ck_assert_int_eq(due(WORDS("put-targets", "")), WORD_POOL);
	ck_assert_int_eq(due(WORDS("put-targets", "api", "x")), WORD_SOURCE);
	ck_assert_int_eq(due(WORDS("put-targets", "api", "x", "")), WORD_FILE);
	ck_assert_int_eq(due(WORDS("put-targets", "api", "x", "f", "")), WORD_TEXT);
	ck_assert_int_eq(due(WORDS("no-such-verb", "")), WORD_VERB);
}
END_TEST

START_TEST(an_option_that_needs_a_value_is_followed_by_it)
{
	ck_assert_int_eq(due(WORDS("sessions", "--target", "")), WORD_TARGET);
	ck_assert_int_eq(due(WORDS("--socket", "")), WORD_FILE);
	ck_assert_int_eq(due(WORDS("--socket", "/s", "explain", "")), WORD_TARGET);
	ck_assert_int_eq(due(WORDS("drain", "--wait", "")), WORD_TARGET);
	ck_assert_int_eq(due(WORDS("drain", "--pool=api", "")), WORD_TARGET);
}
END_TEST

START_TEST(a_value_behind_an_equals_sign_keeps_its_option)
{
	offers(WORDS("sessions", "--sort=b"), "--sort=bytes\n");
	ck_assert_int_eq(due(WORDS("sessions", "--pool=a")), WORD_POOL);
}
END_TEST

START_TEST(options_are_offered_once)
{
	offers(WORDS("undrain", "--p"), "--pool\tlook for the target in this pool alone\n");
	offers(WORDS("undrain", "--pool", "api", "--p"), "");
	offers(WORDS("pools", "--w"), "");
}
END_TEST

START_TEST(files_are_left_to_the_shell)
{
	offers(WORDS("put-targets", "api", "x", "./ta"), ":files\n");
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		words_are_due_in_the_order_of_the_verbs_places,
		an_option_that_needs_a_value_is_followed_by_it,
		a_value_behind_an_equals_sign_keeps_its_option,
		options_are_offered_once,
		files_are_left_to_the_shell,
	};

	return run_tests("ctl_completion", tests, COUNT(tests));
}
