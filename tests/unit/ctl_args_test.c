/* SPDX-License-Identifier: Apache-2.0
 *
 * Command lines: what each means, and what is refused in which words.
 */
#include <errno.h>

#include "control/ctl/args.h"
#include "tests/unit/ctl_rig.h"

#define LINE(...) ((char *const[]){"sluicectl", __VA_ARGS__, NULL})

static int parse(char *const *argv, struct args *args, char *why)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	return args_parse(argc, argv, args, why);
}

static struct args parsed(char *const *argv)
{
	struct args args = {0};
	char why[ARGS_WHY] = "";

	ck_assert_msg(parse(argv, &args, why) == 0, "%s", why);
	return args;
}

static void refused(char *const *argv, const char *expected)
{
	struct args args = {.word_count = 4711};
	char why[ARGS_WHY] = "";

	ck_assert_int_eq(parse(argv, &args, why), -EINVAL);
	ck_assert_str_eq(why, expected);
	ck_assert_uint_eq(args.word_count, 4711);
}

START_TEST(the_first_word_is_the_verb_and_the_others_fill_its_places)
{
	struct args args = parsed(LINE("set-weight", "10.0.0.1:80", "50"));

	ck_assert_str_eq(args.verb->name, "set-weight");
	ck_assert_uint_eq(args.word_count, 2);
	ck_assert_str_eq(args.words[0], "10.0.0.1:80");
	ck_assert_str_eq(args.words[1], "50");
}
END_TEST

START_TEST(values_stand_behind_an_equals_sign_or_in_the_next_word)
{
	struct args args =
		parsed(LINE("--socket=/a=b", "sessions", "--pool", "--top", "--limit=7"));

	ck_assert_str_eq(args.globals[GLOBAL_SOCKET], "/a=b");
	ck_assert_str_eq(args_option(&args, "--pool"), "--top");
	ck_assert_ptr_null(args_option(&args, "--top"));
	ck_assert_uint_eq(args_number(&args, "--limit", 1), 7);
	ck_assert_uint_eq(args_number(&args, "--after", 99), 99);
}
END_TEST

START_TEST(durations_are_milliseconds)
{
	struct args args = parsed(LINE("drain", "x", "--for", "2h", "--wait=1500ms"));

	ck_assert_uint_eq(args_number(&args, "--for", 0), 7200000);
	ck_assert_uint_eq(args.wait_ms, 1500);
}
END_TEST

START_TEST(wait_never_takes_the_next_word)
{
	struct args args = parsed(LINE("drain", "--wait", "x"));

	ck_assert_str_eq(args.words[0], "x");
	ck_assert_str_eq(args.globals[GLOBAL_WAIT], "");
	ck_assert_uint_eq(args.wait_ms, 0);
}
END_TEST

START_TEST(two_dashes_end_the_options)
{
	struct args args = parsed(LINE("explain", "--", "--pool"));

	ck_assert_str_eq(args.words[0], "--pool");
}
END_TEST

START_TEST(a_single_dash_is_a_word)
{
	struct args args = parsed(LINE("put-targets", "api", "deploy", "-"));

	ck_assert_str_eq(args.words[2], "-");
}
END_TEST

START_TEST(help_needs_no_further_words)
{
	ck_assert_ptr_nonnull(parsed(LINE("explain", "-h")).globals[GLOBAL_HELP]);
	ck_assert_ptr_null(parsed(LINE("--help")).verb);
	ck_assert_ptr_nonnull(parsed(LINE("-V")).globals[GLOBAL_VERSION]);
}
END_TEST

START_TEST(what_makes_no_sense_is_told_in_the_operators_words)
{
	refused(LINE("tragets"), "no verb \"tragets\"; did you mean targets?");
	refused(LINE("xyzzy"), "no verb \"xyzzy\"");
	refused(LINE("explain"), "explain needs TARGET");
	refused(LINE("status", "now"), "status has no use for \"now\"");
	refused(LINE("status", "--jsno"), "status has no option --jsno; did you mean --json?");
	refused(LINE("--pool", "x", "sessions"),
		"no option --pool (a verb's own options stand behind it)");
	refused(LINE("sessions", "--pool"), "--pool needs POOL");
	refused(LINE("sessions", "--top=3"), "--top takes no value");
	refused(LINE("sessions", "--limit", "-1"), "--limit: \"-1\" is negative");
	refused(LINE("drain", "x", "--for", "1"),
		"--for: \"1\" has no unit (such as 500ms, 30s, 2h)");
	refused(LINE("drain", "x", "--wait=0"), "--wait: give it more than no time at all");
	refused(LINE("status", "--wait"), "status has nothing to wait for");
	refused(LINE("listener", "resumee", "x"),
		"ACTION is one of pause|resume, not \"resumee\"; did you mean resume?");
}
END_TEST

START_TEST(a_choice_is_a_whole_word_of_its_list)
{
	refused(LINE("sessions", "--sort", "id|bytes"),
		"--sort is one of id|bytes|age, not \"id|bytes\"; did you mean bytes?");
	refused(LINE("sessions", "--sort", ""), "--sort is one of id|bytes|age, not \"\"");
}
END_TEST

START_TEST(every_row_of_the_table_is_whole)
{
	for (size_t i = 0; i < verb_count; i++) {
		const struct verb *verb = &verbs[i];
		bool optional = false;

		ck_assert_msg(verb->group && verb->doc && verb->examples && verb->run, "%s",
			      verb->name);
		ck_assert_ptr_eq(verb_find(verb->name), verb);
		for (size_t j = 0; j < VERB_WORDS && verb->words[j].name; j++) {
			ck_assert_msg(!optional || verb->words[j].optional, "%s", verb->name);
			optional = verb->words[j].optional;
			ck_assert_msg((verb->words[j].kind == WORD_CHOICE) ==
					      (verb->words[j].choices != NULL),
				      "%s", verb->name);
		}
		for (size_t j = 0; j < VERB_OPTIONS && verb->options[j].flag; j++)
			ck_assert_msg(strncmp(verb->options[j].flag, "--", 2) == 0 &&
					      verb->options[j].doc,
				      "%s %s", verb->name, verb->options[j].flag);
	}
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		the_first_word_is_the_verb_and_the_others_fill_its_places,
		values_stand_behind_an_equals_sign_or_in_the_next_word,
		durations_are_milliseconds,
		wait_never_takes_the_next_word,
		two_dashes_end_the_options,
		a_single_dash_is_a_word,
		help_needs_no_further_words,
		what_makes_no_sense_is_told_in_the_operators_words,
		a_choice_is_a_whole_word_of_its_list,
		every_row_of_the_table_is_whole,
	};

	return run_tests("ctl_args", tests, COUNT(tests));
}
