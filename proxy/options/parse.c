/* SPDX-License-Identifier: Apache-2.0
 *
 * What sluice can be told, and the rules about what goes together. See options.h.
 */
#include <errno.h>
#include <stddef.h>

#include "proxy/base/conf/errors.h"
#include "proxy/options.h"

static const struct cmdline_switch switches[] = {
	{"--check", offsetof(struct options, check),
	 "validate the configuration and exit: 0 if valid, else 1"},
	{"--show", offsetof(struct options, show),
	 "as --check, and print the effective configuration"},
	{"--replace", offsetof(struct options, replace), "take over from the sluice that runs"},
	{"--detach", offsetof(struct options, detach),
	 "go on in the background, and return once it serves"},
	{"--demo", offsetof(struct options, demo), "start in front of three embedded backends"},
	{"--doctor", offsetof(struct options, doctor),
	 "say what this host can do, and what to do about the rest"},
	{"--json", offsetof(struct options, json), "with --doctor: for programs"},
	{"--version", offsetof(struct options, version), "print the version and exit"},
	{"--help", offsetof(struct options, help), "print this and exit"},
};

static const struct cmdline_flag flags[] = {
	{"--config", CMDLINE_PREFIX "CONFIG", NULL, "FILE",
	 "read the configuration from FILE; env:NAME is a variable of that name"},
};

/* Of sluicectl, of sluice-control, and of tests on a proxy of their own. */
static const char *const foreign[] = {CMDLINE_PREFIX "SOCKET=", CMDLINE_PREFIX "CONTROL_",
				      CMDLINE_PREFIX "SECCOMP=", CMDLINE_PREFIX "FAULT", NULL};

const struct cmdline_grammar options_grammar = {
	.switches = switches,
	.switch_count = sizeof(switches) / sizeof(switches[0]),
	.flags = flags,
	.flag_count = sizeof(flags) / sizeof(flags[0]),
	.foreign = foreign,
	.variables_in = "--help",
};

/* A file brings its own listeners and targets. */
static void check_with_file(const struct options *options, struct conf_errors *errors)
{
	const struct given *given = &options->line.given;
	const char *origin = options->line.config_origin;

	for (size_t i = 0; i < given->count; i++)
		if (given_is_list(given->values[i].path))
			cmdline_complain(
				errors, given->values[i].origin,
				"found it together with %s; expected listeners and targets in the "
				"file alone",
				origin);
	if (options->demo)
		cmdline_complain(errors, "--demo",
				 "found it together with %s; expected one of them", origin);
}

static int check_without_file(struct options *options, struct conf_errors *errors)
{
	struct given *given = &options->line.given;
	const struct given_value *bind = given_find(given, GIVEN_PATH_BIND);
	const struct given_value *target = given_find(given, GIVEN_PATH_TARGET);

	if (options->demo) {
		if (target)
			cmdline_complain(
				errors, target->origin,
				"found it together with --demo, which brings its own targets");
		return bind ? 0
			    : given_add(given, GIVEN_PATH_BIND, OPTIONS_DEMO_LISTEN, "--demo",
					true);
	}
	if (!bind && !target)
		cmdline_complain(
			errors, "sluice",
			"found nothing to do; expected --config FILE, or --listen ADDR and "
			"--target ADDR, or --demo; --help has them all");
	else if (!bind)
		cmdline_complain(errors, target->origin,
				 "found no --listen; expected where to listen");
	else if (!target)
		cmdline_complain(errors, bind->origin,
				 "found no --target; expected where to connect to");
	return 0;
}

static int check_together(struct options *options, struct conf_errors *errors)
{
	options->check |= options->show;
	if (options->help || options->version || conf_failed(errors))
		return 0;
	if (options->json && !options->doctor)
		cmdline_complain(errors, "--json",
				 "found it alone; expected it together with --doctor");
	if (options->detach && options->demo)
		cmdline_complain(
			errors, "--detach",
			"found it together with --demo, which ends with its terminal; expected "
			"one of them");
	if (options->doctor && !options->line.config_file)
		return 0;
	if (!options->line.config_file)
		return check_without_file(options, errors);
	check_with_file(options, errors);
	return 0;
}

int options_parse(int argc, char *const argv[], char *const envp[], struct conf_errors *errors,
		  struct options *ret_options)
{
	struct options options = {0};
	int err = cmdline_read(&options_grammar, argc, argv, envp, errors, &options, &options.line);

	if (err == 0)
		err = check_together(&options, errors);
	if (err == 0 && conf_failed(errors))
		err = -EINVAL;
	if (err < 0) {
		options_fini(&options);
		return err;
	}
	*ret_options = options;
	return 0;
}
