/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line and the variables of sluice-control: what is taken, what beats what, what is
 * refused and how.
 */
#include <errno.h>

#include "control/options.h"
#include "tests/unit/conf_rig.h"

#define ARGS(...) ((const char *const[]){"sluice-control", __VA_ARGS__, NULL})
#define ENV(...)  ((const char *const[]){__VA_ARGS__, NULL})
#define NO_ENV    ENV("HOME=/", "SLUICES=3")

static int parse(const char *const *args, const char *const *env, struct conf_errors *errors,
		 struct control_options *ret_options)
{
	int argc = 0;

	while (args[argc])
		argc++;
	return control_options_parse(argc, (char *const *)args, (char *const *)env, errors,
				     ret_options);
}

static struct control_options parsed(const char *const *args, const char *const *env)
{
	struct conf_errors errors = {0};
	struct control_options options;
	int err = parse(args, env, &errors, &options);

	ck_assert_msg(err == 0, "%s", conf_error_text(&errors, 0));
	return options;
}

static void refused(const char *const *args, const char *const *env, const char *expected)
{
	struct conf_errors errors = {0};
	struct control_options options = {.line.given.count = 4711};

	ck_assert_int_eq(parse(args, env, &errors, &options), -EINVAL);
	ck_assert_str_eq(conf_error_text(&errors, 0), expected);
	ck_assert_uint_eq(errors.errors.count, 1);
	ck_assert_uint_eq(options.line.given.count, 4711);
	conf_errors_fini(&errors);
}

static const char *value_of(const struct control_options *options, const char *path)
{
	const struct given_value *value = given_find(&options->line.given, path);

	return value ? value->text : "none";
}

START_TEST(a_file_is_enough)
{
	struct control_options options = parsed(ARGS("--config", "/x"), NO_ENV);

	ck_assert_str_eq(options.line.config_file, "/x");
	ck_assert(!options.check && !options.once && !options.dry_run && !options.iam_policy);
	ck_assert_uint_eq(options.line.given.count, 0);
	control_options_fini(&options);
}
END_TEST

START_TEST(a_file_may_stand_alone_behind_a_switch)
{
	struct control_options check = parsed(ARGS("--check", "/x"), NO_ENV);
	struct control_options policy = parsed(ARGS("--iam-policy", "/y"), NO_ENV);
	struct control_options once = parsed(ARGS("--once", "--dry-run", "--config=/z"), NO_ENV);

	ck_assert(check.check && policy.iam_policy && once.once && once.dry_run);
	ck_assert_str_eq(check.line.config_file, "/x");
	ck_assert_str_eq(policy.line.config_file, "/y");
	ck_assert_str_eq(once.line.config_file, "/z");
	control_options_fini(&check);
	control_options_fini(&policy);
	control_options_fini(&once);
}
END_TEST

START_TEST(flags_go_to_their_place_in_the_file)
{
	struct control_options options =
		parsed(ARGS("/x", "--control-socket", "/c", "--log-level=debug", "--admin",
			    "unix:/a", "--state-directory", "/s", "--user", "nobody"),
		       NO_ENV);

	ck_assert_str_eq(value_of(&options, "control.socket"), "/c");
	ck_assert_str_eq(value_of(&options, "log_level"), "debug");
	ck_assert_str_eq(value_of(&options, GIVEN_PATH_SOCKET), "unix:/a");
	ck_assert_str_eq(value_of(&options, GIVEN_PATH_STATE), "/s");
	ck_assert_str_eq(value_of(&options, "user"), "nobody");
	control_options_fini(&options);
}
END_TEST

START_TEST(one_environment_serves_the_proxy_as_well)
{
	struct control_options options =
		parsed((const char *const[]){"sluice-control", NULL},
		       ENV("SLUICE_CONFIG=/x", "SLUICE_CONTROL_SOCKET=/c", "SLUICE_ADMIN=unix:/a",
			   "SLUICE_WORKERS=2", "SLUICE_LISTEN=:80", "SLUICE_SECCOMP=kill",
			   "SLUICE_FAULT=x", "SLUICE_HASTEN=9", "SLUICE_SOCKET=/x",
			   "SLUICE_ZONE=", "STATE_DIRECTORY=/d:/e"));

	ck_assert_str_eq(options.line.config_file, "/x");
	ck_assert_str_eq(value_of(&options, "control.socket"), "/c");
	ck_assert_str_eq(value_of(&options, GIVEN_PATH_SOCKET), "unix:/a");
	ck_assert_str_eq(value_of(&options, GIVEN_PATH_STATE), "/d");
	ck_assert_str_eq(value_of(&options, "workers"), "2");
	ck_assert_str_eq(value_of(&options, "zone"), "none");
	ck_assert_str_eq(value_of(&options, GIVEN_PATH_BIND), "none");
	control_options_fini(&options);
}
END_TEST

START_TEST(a_flag_pushes_its_variable_out)
{
	struct control_options options = parsed(
		ARGS("--config", "/x", "--control-socket", "/c", "--log-level", "warn"),
		ENV("SLUICE_CONFIG=/y", "SLUICE_CONTROL_SOCKET=/d", "SLUICE_LOG_LEVEL=debug"));

	ck_assert_str_eq(options.line.config_file, "/x");
	ck_assert_uint_eq(options.line.given.count, 2);
	ck_assert_str_eq(value_of(&options, "control.socket"), "/c");
	ck_assert_str_eq(value_of(&options, "log_level"), "warn");
	control_options_fini(&options);
}
END_TEST

START_TEST(nonsense_is_refused_with_the_nearest_word)
{
	refused(ARGS("--chekc", "/x"), NO_ENV,
		"--chekc: found an unknown flag; expected one that --help lists; did you mean "
		"\"--check\"?");
	refused(ARGS("-once", "/x"), NO_ENV,
		"-once: found an unknown flag; expected one that --help lists; did you mean "
		"\"--once\"?");
	refused(ARGS("/x"), ENV("SLUICE_CONTROL_SOCKE=/x"),
		"SLUICE_CONTROL_SOCKE: found an unknown variable; expected one that --help of "
		"sluice-control or sluice lists; did you mean \"SLUICE_CONTROL_SOCKET\"?");
	refused(ARGS("/x", "--control-socket"), NO_ENV,
		"--control-socket: found no value; expected one behind it");
	refused(ARGS("/x", "--once=yes"), NO_ENV,
		"--once: found a value; expected none behind this flag");
	refused(ARGS("/x", "--user", "a", "--user", "b"), NO_ENV,
		"--user b: found it a second time; expected it once");
	refused(ARGS("/x", "--admin", "127.0.0.1:1"), NO_ENV,
		"--admin 127.0.0.1:1: found no socket; expected one such as "
		"unix:/run/sluice/admin.sock");
	refused(ARGS("/x", "/y"), NO_ENV, "/y: found a second file; expected only flags");
}
END_TEST

START_TEST(what_does_not_go_together_is_refused)
{
	refused(ARGS("/x", "--dry-run"), NO_ENV,
		"--dry-run: found it without --once; expected both");
	refused(ARGS("/x", "--check", "--once"), NO_ENV,
		"sluice-control: found several of --check, --once and --iam-policy; expected one");
	refused(ARGS("--once"), NO_ENV,
		"sluice-control: found no configuration; expected --config FILE; --help has all "
		"flags");
}
END_TEST

START_TEST(help_names_every_flag_and_its_variable)
{
	static const char *const words[] = {
		"--config FILE",
		"SLUICE_CONFIG",
		"--check",
		"--once",
		"--dry-run",
		"--iam-policy",
		"--control-socket",
		"--admin unix:PATH",
		"SLUICE_CONTROL_SOCKET",
		"SLUICE_LOG_LEVEL, default info",
		"--state-directory PATH",
		"--user NAME",
		"--version",
		"--help",
	};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	control_options_help(out);
	fclose(out);
	for (size_t i = 0; i < COUNT(words); i++)
		ck_assert_msg(strstr(text, words[i]) != NULL, "%s", words[i]);
	ck_assert_ptr_null(strstr(text, "(null)"));
	free(text);

	struct control_options options = parsed(ARGS("-h"), NO_ENV);

	ck_assert(options.help);
	control_options_fini(&options);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		a_file_is_enough,
		a_file_may_stand_alone_behind_a_switch,
		flags_go_to_their_place_in_the_file,
		one_environment_serves_the_proxy_as_well,
		a_flag_pushes_its_variable_out,
		nonsense_is_refused_with_the_nearest_word,
		what_does_not_go_together_is_refused,
		help_names_every_flag_and_its_variable,
	};

	return run_tests("control_options", tests, COUNT(tests));
}
