/* SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: variables first, then the command line, whose values push out those of variables;
 * at the end the rules about what goes together. See options.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/conf/errors.h"
#include "proxy/base/conf/nearest.h"
#include "proxy/base/conf/schema.h"
#include "proxy/options.h"

#define PREFIX "SLUICE_"

const struct options_switch options_switches[] = {
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

const size_t options_switch_count = sizeof(options_switches) / sizeof(options_switches[0]);

struct parser {
	struct options *options;
	struct conf_errors *errors;
	char *config_origin; /* for messages: "--config FILE", "SLUICE_CONFIG" */
	bool config_is_flag;
	int err; /* -ENOMEM once there was none */
};

__attribute__((format(printf, 3, 4))) static void
complain(struct parser *parser, const char *origin, const char *format, ...)
{
	struct conf_where where = {.source = origin};
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	conf_error(parser->errors, &where, "%s", text);
}

/* Names are compared without the prefix that all of them have. */
struct suggestion {
	struct nearest nearest;
	const char *prefix;
	bool by_flag;
};

static void suggest(struct suggestion *suggestion, const char *name)
{
	nearest_offer(&suggestion->nearest, name + strlen(suggestion->prefix));
}

static bool suggestion_visit(const struct schema_key *key, const char *path, void *context)
{
	struct suggestion *suggestion = context;
	const char *name = suggestion->by_flag ? key->flag : key->variable;

	if (name)
		suggest(suggestion, name);
	return true;
}

static void complain_unknown(struct parser *parser, const char *name, bool by_flag)
{
	struct suggestion suggestion = {.by_flag = by_flag, .prefix = by_flag ? "--" : PREFIX};
	size_t skip = strlen(suggestion.prefix);

	/* A single dash is a typing error like another. */
	if (strncmp(name, suggestion.prefix, skip) != 0)
		skip = 1;
	nearest_init(&suggestion.nearest, name + skip);
	schema_walk(&schema_root, suggestion_visit, &suggestion);
	suggest(&suggestion, by_flag ? "--config" : PREFIX "CONFIG");
	for (size_t i = 0; by_flag && i < options_switch_count; i++)
		suggest(&suggestion, options_switches[i].flag);
	const char *near = nearest_best(&suggestion.nearest);

	complain(parser, name, "found an unknown %s; expected one that --help lists%s%s%s%s",
		 by_flag ? "flag" : "variable", near ? "; did you mean \"" : "",
		 near ? suggestion.prefix : "", near ? near : "", near ? "\"?" : "");
}

static int set_config(struct parser *parser, const char *file, const char *origin, bool is_flag)
{
	char *file_copy = strdup(file), *origin_copy = strdup(origin);

	if (!file_copy || !origin_copy) {
		free(file_copy);
		free(origin_copy);
		return -ENOMEM;
	}
	free(parser->options->config_file);
	free(parser->config_origin);
	parser->options->config_file = file_copy;
	parser->config_origin = origin_copy;
	parser->config_is_flag = is_flag;
	return 0;
}

static int read_variable(struct parser *parser, const char *name, const char *text)
{
	struct given_key found;

	if (strcmp(name, PREFIX "CONFIG") == 0)
		return *text ? set_config(parser, text, name, false) : 0;
	if (!given_by_variable(name, &found)) {
		complain_unknown(parser, name, false);
		return 0;
	}
	if (*text == '\0')
		return 0;
	if (given_is_list(found.path))
		return given_add_list(&parser->options->given, found.path, text, name);
	return given_add(&parser->options->given, found.path, text, name, false);
}

/* Those that tests use on a proxy of their own, and those that the other programs read. */
static bool is_for_others(const char *variable)
{
	return strncmp(variable, PREFIX "SOCKET=", strlen(PREFIX "SOCKET=")) == 0 ||
	       strncmp(variable, PREFIX "CONTROL_", strlen(PREFIX "CONTROL_")) == 0 ||
	       strncmp(variable, PREFIX "SECCOMP=", strlen(PREFIX "SECCOMP=")) == 0 ||
	       strncmp(variable, PREFIX "FAULT", strlen(PREFIX "FAULT")) == 0;
}

static int read_environment(struct parser *parser, char *const envp[])
{
	for (; *envp; envp++) {
		const char *equals = strchr(*envp, '=');

		if (strncmp(*envp, PREFIX, strlen(PREFIX)) != 0 || !equals || is_for_others(*envp))
			continue;
		char *name = strndup(*envp, (size_t)(equals - *envp));
		int err = name ? read_variable(parser, name, equals + 1) : -ENOMEM;

		free(name);
		if (err < 0)
			return err;
	}
	return 0;
}

static int read_value_flag(struct parser *parser, const char *flag, const char *text)
{
	struct options *options = parser->options;
	const struct given_value *earlier;
	struct given_key found;
	char *origin;
	int err;

	if (asprintf(&origin, "%s %s", flag, text) < 0)
		return -ENOMEM;
	if (strcmp(flag, "--config") == 0) {
		if (parser->config_is_flag)
			complain(parser, origin, "found it a second time; expected it once");
		err = set_config(parser, text, origin, true);
		free(origin);
		return err;
	}
	given_by_flag(flag, &found);
	given_drop_variable(&options->given, found.key->variable);
	earlier = given_find(&options->given, given_place(found.path, text));
	if (earlier && !given_is_list(found.path))
		complain(parser, origin, "found it a second time; expected it once");
	err = given_add(&options->given, found.path, text, origin, true);
	free(origin);
	return err;
}

static bool takes_value(const char *flag)
{
	struct given_key found;

	return strcmp(flag, "--config") == 0 || given_by_flag(flag, &found);
}

static bool read_switch(struct options *options, const char *flag)
{
	for (size_t i = 0; i < options_switch_count; i++) {
		if (strcmp(options_switches[i].flag, flag) == 0) {
			*(bool *)((char *)options + options_switches[i].offset) = true;
			return true;
		}
	}
	return false;
}

/* `next` is the argument behind it, or NULL. Returns how many arguments were used, or -ENOMEM. */
static int read_flag(struct parser *parser, const char *flag, const char *inline_text,
		     const char *next)
{
	if (takes_value(flag)) {
		const char *text = inline_text ? inline_text : next;

		if (!text || *text == '\0' || (!inline_text && strncmp(text, "--", 2) == 0)) {
			complain(parser, flag, "found no value; expected one behind it");
			return 1;
		}
		int err = read_value_flag(parser, flag, text);

		return err < 0 ? err : 1 + !inline_text;
	}
	if (!read_switch(parser->options, flag))
		complain_unknown(parser, flag, true);
	else if (inline_text)
		complain(parser, flag, "found a value; expected none behind this flag");
	return 1;
}

static int read_argument(struct parser *parser, const char *arg, const char *next)
{
	const char *equals = strchr(arg, '=');

	if (strcmp(arg, "-h") == 0)
		arg = "--help";
	if (arg[0] != '-') {
		if (parser->config_is_flag) {
			complain(parser, arg, "found a second file; expected only flags");
			return 1;
		}
		int err = set_config(parser, arg, arg, true);

		return err < 0 ? err : 1;
	}
	if (!equals)
		return read_flag(parser, arg, NULL, next);
	char *flag = strndup(arg, (size_t)(equals - arg));
	int used = flag ? read_flag(parser, flag, equals + 1, next) : -ENOMEM;

	free(flag);
	return used;
}

static int read_arguments(struct parser *parser, int argc, char *const argv[])
{
	for (int i = 1; i < argc;) {
		int used = read_argument(parser, argv[i], i + 1 < argc ? argv[i + 1] : NULL);

		if (used < 0)
			return used;
		i += used;
	}
	return 0;
}

/* A file brings its own listeners and targets. */
static void check_with_file(struct parser *parser)
{
	const struct options *options = parser->options;

	for (size_t i = 0; i < options->given.count; i++)
		if (given_is_list(options->given.values[i].path))
			complain(parser, options->given.values[i].origin,
				 "found it together with %s; expected listeners and targets in the "
				 "file alone",
				 parser->config_origin);
	if (options->demo)
		complain(parser, "--demo", "found it together with %s; expected one of them",
			 parser->config_origin);
}

static int check_without_file(struct parser *parser)
{
	struct options *options = parser->options;
	const struct given_value *bind = given_find(&options->given, GIVEN_PATH_BIND);
	const struct given_value *target = given_find(&options->given, GIVEN_PATH_TARGET);

	if (options->demo) {
		if (target)
			complain(parser, target->origin,
				 "found it together with --demo, which brings its own targets");
		return bind ? 0
			    : given_add(&options->given, GIVEN_PATH_BIND, OPTIONS_DEMO_LISTEN,
					"--demo", true);
	}
	if (!bind && !target)
		complain(parser, "sluice",
			 "found nothing to do; expected --config FILE, or --listen ADDR and "
			 "--target ADDR, or --demo; --help has them all");
	else if (!bind)
		complain(parser, target->origin, "found no --listen; expected where to listen");
	else if (!target)
		complain(parser, bind->origin, "found no --target; expected where to connect to");
	return 0;
}

static int check_together(struct parser *parser)
{
	struct options *options = parser->options;

	options->check |= options->show;
	if (options->help || options->version || conf_failed(parser->errors))
		return 0;
	if (options->json && !options->doctor)
		complain(parser, "--json", "found it alone; expected it together with --doctor");
	if (options->detach && options->demo)
		complain(parser, "--detach",
			 "found it together with --demo, which ends with its terminal; expected "
			 "one of them");
	if (options->doctor && !options->config_file)
		return 0;
	if (!options->config_file)
		return check_without_file(parser);
	check_with_file(parser);
	return 0;
}

int options_parse(int argc, char *const argv[], char *const envp[], struct conf_errors *errors,
		  struct options *ret_options)
{
	struct options options = {0};
	struct parser parser = {.options = &options, .errors = errors};
	int err = read_environment(&parser, envp);

	if (err == 0)
		err = read_arguments(&parser, argc, argv);
	if (err == 0)
		err = given_add_inherited(&options.given, envp);
	if (err == 0)
		err = check_together(&parser);
	if (err == 0 && conf_failed(errors))
		err = -EINVAL;
	free(parser.config_origin);
	if (err < 0) {
		options_fini(&options);
		return err;
	}
	*ret_options = options;
	return 0;
}
