/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line and the variables: what is taken, what beats what, what is refused and how.
 */
#include <errno.h>

#include "tests/unit/conf_rig.h"

#define ARGS(...) ((const char *const[]){"sluice", __VA_ARGS__, NULL})
#define ENV(...)  ((const char *const[]){__VA_ARGS__, NULL})
#define NO_ENV    ENV("HOME=/", "SLUICES=3")

static int parse(const char *const *args, const char *const *env, struct conf_errors *errors,
		 struct options *ret_options)
{
	int argc = 0;

	while (args[argc])
		argc++;
	return options_parse(argc, (char *const *)args, (char *const *)env, errors, ret_options);
}

static struct options parsed(const char *const *args, const char *const *env)
{
	struct conf_errors errors = {0};
	struct options options;
	int err = parse(args, env, &errors, &options);

	ck_assert_msg(err == 0, "%s", conf_error_text(&errors, 0));
	return options;
}

static void refused(const char *const *args, const char *const *env, const char *expected)
{
	struct conf_errors errors = {0};
	struct options options = {.line.given.count = 4711};

	ck_assert_int_eq(parse(args, env, &errors, &options), -EINVAL);
	ck_assert_str_eq(conf_error_text(&errors, 0), expected);
	ck_assert_uint_eq(errors.errors.count, 1);
	ck_assert_uint_eq(options.line.given.count, 4711);
	conf_errors_fini(&errors);
}

static const char *value_of(const struct options *options, const char *path)
{
	const struct given_value *value = given_find(&options->line.given, path);

	return value ? value->text : "none";
}

START_TEST(two_flags_are_enough)
{
	struct options options = parsed(ARGS("--listen", ":80", "--target", "a:1"), NO_ENV);

	ck_assert_uint_eq(options.line.given.count, 2);
	ck_assert_str_eq(options.line.given.values[0].path, GIVEN_PATH_BIND);
	ck_assert_str_eq(options.line.given.values[0].text, ":80");
	ck_assert_str_eq(options.line.given.values[0].origin, "--listen :80");
	ck_assert_str_eq(options.line.given.values[1].path, GIVEN_PATH_TARGET);
	ck_assert_ptr_null(options.line.config_file);
	ck_assert(!options.check && !options.show && !options.replace && !options.demo);
	options_fini(&options);
}
END_TEST

START_TEST(values_may_follow_an_equals_sign)
{
	struct options options =
		parsed(ARGS("--listen=unix:/a=b", "--target=a:1", "--workers=3"), NO_ENV);

	ck_assert_str_eq(value_of(&options, GIVEN_PATH_BIND), "unix:/a=b");
	ck_assert_str_eq(value_of(&options, "workers"), "3");
	options_fini(&options);
}
END_TEST

START_TEST(listeners_and_targets_repeat_in_order)
{
	struct options options = parsed(
		ARGS("--listen", ":80", "--listen", ":81", "--target", "b:1", "--target", "a:1"),
		NO_ENV);

	ck_assert_uint_eq(options.line.given.count, 4);
	ck_assert_str_eq(options.line.given.values[1].text, ":81");
	ck_assert_str_eq(options.line.given.values[2].text, "b:1");
	ck_assert_str_eq(options.line.given.values[3].text, "a:1");
	options_fini(&options);
}
END_TEST

START_TEST(variables_serve_as_flags_do)
{
	struct options options =
		parsed((const char *const[]){"sluice", NULL},
		       ENV("SLUICE_LISTEN=:80", "SLUICE_TARGETS=a:1,b:2", "SLUICE_WORKERS=3",
			   "SLUICE_LOG=json", "SLUICE_LOG_LEVEL="));

	ck_assert_uint_eq(options.line.given.count, 5);
	ck_assert_str_eq(options.line.given.values[2].text, "b:2");
	ck_assert_str_eq(options.line.given.values[2].origin, "SLUICE_TARGETS");
	ck_assert_str_eq(value_of(&options, "workers"), "3");
	ck_assert_str_eq(value_of(&options, "log.format"), "json");
	ck_assert_str_eq(value_of(&options, "log_level"), "none");
	options_fini(&options);
}
END_TEST

START_TEST(a_flag_beats_its_variable)
{
	struct options options =
		parsed(ARGS("--target", "c:3", "--target", "d:4", "--workers", "4"),
		       ENV("SLUICE_WORKERS=3", "SLUICE_TARGETS=a:1,b:2", "SLUICE_LISTEN=:80"));

	ck_assert_uint_eq(options.line.given.count, 4);
	ck_assert_str_eq(value_of(&options, "workers"), "4");
	ck_assert_str_eq(value_of(&options, GIVEN_PATH_TARGET), "c:3");
	ck_assert_str_eq(value_of(&options, GIVEN_PATH_BIND), ":80");
	options_fini(&options);
}
END_TEST

START_TEST(an_admin_address_goes_where_its_form_says)
{
	struct options options = parsed(ARGS("--admin", "unix:/x", "--admin=127.0.0.1:1", "x.yaml"),
					ENV("SLUICE_ADMIN=[::1]:2"));

	ck_assert_uint_eq(options.line.given.count, 2);
	ck_assert_str_eq(value_of(&options, GIVEN_PATH_SOCKET), "unix:/x");
	ck_assert_str_eq(value_of(&options, GIVEN_PATH_ADMIN), "127.0.0.1:1");
	options_fini(&options);
	options = parsed(ARGS("x.yaml"), ENV("SLUICE_ADMIN=unix:/y"));
	ck_assert_str_eq(value_of(&options, GIVEN_PATH_SOCKET), "unix:/y");
	options_fini(&options);
	refused(ARGS("--admin", "unix:/x", "--admin", "unix:/y", "x.yaml"), NO_ENV,
		"--admin unix:/y: found it a second time; expected it once");
}
END_TEST

/* A flag of one form leaves nothing of a variable of the other. */
START_TEST(an_admin_flag_beats_the_variable_whatever_its_form)
{
	struct options options =
		parsed(ARGS("--admin", "127.0.0.1:1", "x.yaml"), ENV("SLUICE_ADMIN=unix:/y"));

	ck_assert_uint_eq(options.line.given.count, 1);
	ck_assert_str_eq(value_of(&options, GIVEN_PATH_ADMIN), "127.0.0.1:1");
	options_fini(&options);
}
END_TEST

START_TEST(systemds_state_directory_comes_last)
{
	struct options options =
		parsed(ARGS("x.yaml"), ENV("STATE_DIRECTORY=/var/lib/a:/var/lib/b"));

	ck_assert_uint_eq(options.line.given.count, 1);
	ck_assert_str_eq(value_of(&options, GIVEN_PATH_STATE), "/var/lib/a");
	ck_assert_str_eq(options.line.given.values[0].origin, "STATE_DIRECTORY");
	ck_assert(options.line.given.values[0].is_fallback);
	options_fini(&options);
	options = parsed(ARGS("x.yaml"), ENV("STATE_DIRECTORY=/a", "SLUICE_STATE_DIRECTORY=/b"));
	ck_assert_uint_eq(options.line.given.count, 1);
	ck_assert_str_eq(value_of(&options, GIVEN_PATH_STATE), "/b");
	ck_assert(!options.line.given.values[0].is_fallback);
	options_fini(&options);
	options = parsed(ARGS("--state-directory", "/c", "x.yaml"), ENV("STATE_DIRECTORY=/a"));
	ck_assert_str_eq(value_of(&options, GIVEN_PATH_STATE), "/c");
	options_fini(&options);
	options = parsed(ARGS("x.yaml"), ENV("STATE_DIRECTORY="));
	ck_assert_uint_eq(options.line.given.count, 0);
	options_fini(&options);
}
END_TEST

START_TEST(a_file_is_named_in_three_ways)
{
	struct options options = parsed(ARGS("--config", "x.yaml"), ENV("SLUICE_CONFIG=y.yaml"));

	ck_assert_str_eq(options.line.config_file, "x.yaml");
	options_fini(&options);
	options = parsed(ARGS("--check", "z.yaml"), NO_ENV);
	ck_assert_str_eq(options.line.config_file, "z.yaml");
	ck_assert(options.check);
	options_fini(&options);
	options = parsed(ARGS("--replace", "--detach"), ENV("SLUICE_CONFIG=y.yaml"));
	ck_assert_str_eq(options.line.config_file, "y.yaml");
	ck_assert(options.replace && options.detach);
	options_fini(&options);
}
END_TEST

START_TEST(show_implies_check)
{
	struct options options = parsed(ARGS("--show", "x.yaml"), NO_ENV);

	ck_assert(options.show && options.check);
	options_fini(&options);
}
END_TEST

START_TEST(help_and_version_need_nothing_else)
{
	struct options options = parsed(ARGS("--help"), NO_ENV);

	ck_assert(options.help);
	options_fini(&options);
	options = parsed(ARGS("-h"), NO_ENV);
	ck_assert(options.help);
	options_fini(&options);
	options = parsed(ARGS("--version"), NO_ENV);
	ck_assert(options.version);
	options_fini(&options);
}
END_TEST

START_TEST(the_demo_listens_on_loopback_unless_told)
{
	struct options options = parsed(ARGS("--demo"), NO_ENV);

	ck_assert(options.demo);
	ck_assert_str_eq(value_of(&options, GIVEN_PATH_BIND), "127.0.0.1:8080");
	options_fini(&options);
	options = parsed(ARGS("--demo", "--listen", ":8081"), NO_ENV);
	ck_assert_str_eq(value_of(&options, GIVEN_PATH_BIND), ":8081");
	ck_assert_uint_eq(options.line.given.count, 1);
	options_fini(&options);
}
END_TEST

START_TEST(unknown_names_get_suggestions)
{
	refused(ARGS("--lisen", ":80"), NO_ENV,
		"--lisen: found an unknown flag; expected one that --help lists; did you mean "
		"\"--listen\"?");
	refused(ARGS("--confg=x"), NO_ENV,
		"--confg: found an unknown flag; expected one that --help lists; did you mean "
		"\"--config\"?");
	refused(ARGS("-listen"), NO_ENV,
		"-listen: found an unknown flag; expected one that --help lists; did you mean "
		"\"--listen\"?");
	refused(ARGS("--xyzzy-plugh"), NO_ENV,
		"--xyzzy-plugh: found an unknown flag; expected one that --help lists");
	refused(ARGS("--check=yes", "x"), NO_ENV,
		"--check: found a value; expected none behind this flag");
	refused(ARGS("--config", "x"), ENV("SLUICE_WORKER=3"),
		"SLUICE_WORKER: found an unknown variable; expected one that --help lists; did "
		"you mean \"SLUICE_WORKERS\"?");
	refused(ARGS("--config", "x"), ENV("SLUICE_FALT=3"),
		"SLUICE_FALT: found an unknown variable; expected one that --help lists");
}
END_TEST

START_TEST(variables_of_tests_and_of_sluicectl_are_let_through)
{
	struct options options =
		parsed(ARGS("--config", "x"),
		       ENV("SLUICE_SECCOMP=kill", "SLUICE_FAULT=x", "SLUICE_FAULT_CONTROL=/x",
			   "SLUICE_SOCKET=/x", "SLUICE_CONTROL_SOCKET=/x"));

	ck_assert_uint_eq(options.line.given.count, 0);
	options_fini(&options);
	refused(ARGS("--config", "x"), ENV("SLUICE_SECCOMPX=1"),
		"SLUICE_SECCOMPX: found an unknown variable; expected one that --help lists");
}
END_TEST

START_TEST(flags_that_take_a_value_need_one)
{
	refused(ARGS("--config"), NO_ENV, "--config: found no value; expected one behind it");
	refused(ARGS("--config", "x", "--workers", "--check"), NO_ENV,
		"--workers: found no value; expected one behind it");
	refused(ARGS("--config", "x", "--workers="), NO_ENV,
		"--workers: found no value; expected one behind it");
}
END_TEST

START_TEST(single_flags_come_once)
{
	refused(ARGS("--config", "x", "--workers", "3", "--workers", "4"), NO_ENV,
		"--workers 4: found it a second time; expected it once");
	refused(ARGS("--config", "x", "--config", "y"), NO_ENV,
		"--config y: found it a second time; expected it once");
	refused(ARGS("--config", "x", "y"), NO_ENV, "y: found a second file; expected only flags");
}
END_TEST

START_TEST(a_file_excludes_listeners_and_targets)
{
	refused(ARGS("--config", "x", "--listen", ":80"), NO_ENV,
		"--listen :80: found it together with --config x; expected listeners and targets "
		"in the file alone");
	refused(ARGS("--config", "x"), ENV("SLUICE_TARGETS=a:1"),
		"SLUICE_TARGETS: found it together with --config x; expected listeners and "
		"targets in the file alone");
	refused(ARGS("--listen", ":80"), ENV("SLUICE_CONFIG=x"),
		"--listen :80: found it together with SLUICE_CONFIG; expected listeners and "
		"targets in the file alone");
	refused(ARGS("--config", "x", "--demo"), NO_ENV,
		"--demo: found it together with --config x; expected one of them");
	refused(ARGS("--demo", "--target", "a:1"), NO_ENV,
		"--target a:1: found it together with --demo, which brings its own targets");
}
END_TEST

START_TEST(half_a_command_line_says_what_is_missing)
{
	refused((const char *const[]){"sluice", NULL}, NO_ENV,
		"sluice: found nothing to do; expected --config FILE, or --listen ADDR and "
		"--target ADDR, or --demo; --help has them all");
	refused(ARGS("--listen", ":80"), NO_ENV,
		"--listen :80: found no --target; expected where to connect to");
	refused(ARGS("--target", "a:1"), NO_ENV,
		"--target a:1: found no --listen; expected where to listen");
}
END_TEST

START_TEST(all_mistakes_are_told_at_once)
{
	struct conf_errors errors = {0};
	struct options options;

	ck_assert_int_eq(parse(ARGS("--lisen", ":80", "--wrokers", "--config"), ENV("SLUICE_X=1"),
			       &errors, &options),
			 -EINVAL);
	ck_assert_uint_eq(errors.errors.count, 4);
	conf_errors_fini(&errors);
}
END_TEST

START_TEST(help_lists_every_flag_with_its_default)
{
	static const char *const wanted[] = {
		"--config FILE",
		"--check",
		"--show",
		"--replace",
		"--detach",
		"--demo",
		"--version",
		"--help",
		"--listen ADDR",
		"--target ADDR",
		"--balance NAME",
		"--workers N",
		"--relay MODE",
		"--log FORMAT",
		"--log-file",
		"--log-level",
		"--user NAME",
		"SLUICE_TARGETS",
		"SLUICE_WORKERS",
		"default auto",
		"default round_robin",
		"SIGHUP",
		"SIGTERM",
		"SIGINT",
		"SIGUSR1",
		"--admin ADDR",
		"--zone NAME",
		"STATE_DIRECTORY",
		"SIGUSR2",
		"Examples:",
		"SLUICE_CONFIG",
		"auto, copy or splice",
	};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	options_help(out);
	fclose(out);
	for (size_t i = 0; i < COUNT(wanted); i++)
		ck_assert_msg(strstr(text, wanted[i]) != NULL, "%s", wanted[i]);
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");

		ck_assert_msg(len <= 100, "%.*s", (int)len, line);
		line += len + (line[len] == '\n');
	}
	free(text);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		two_flags_are_enough,
		values_may_follow_an_equals_sign,
		listeners_and_targets_repeat_in_order,
		variables_serve_as_flags_do,
		a_flag_beats_its_variable,
		an_admin_address_goes_where_its_form_says,
		an_admin_flag_beats_the_variable_whatever_its_form,
		systemds_state_directory_comes_last,
		a_file_is_named_in_three_ways,
		show_implies_check,
		help_and_version_need_nothing_else,
		the_demo_listens_on_loopback_unless_told,
		unknown_names_get_suggestions,
		variables_of_tests_and_of_sluicectl_are_let_through,
		flags_that_take_a_value_need_one,
		single_flags_come_once,
		a_file_excludes_listeners_and_targets,
		half_a_command_line_says_what_is_missing,
		all_mistakes_are_told_at_once,
		help_lists_every_flag_with_its_default,
	};

	return run_tests("options", tests, COUNT(tests));
}
