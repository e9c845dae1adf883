/* SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: variables first, then the command line, whose values push out those of variables;
 * at the end the rules about what goes together. See options.h.
 */
#include "control/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/conf/errors.h"
#include "proxy/base/conf/nearest.h"
#include "proxy/base/conf/schema.h"

#define PREFIX     "SLUICE_"
#define FLAG_WIDTH 24

static const struct {
	const char *flag;
	size_t offset; /* of its bool in struct control_options */
	const char *doc;
} switches[] = {
	{"--check", offsetof(struct control_options, check),
	 "validate the configuration, estimate its load, and exit: 0 if valid, else 1"},
	{"--once", offsetof(struct control_options, once),
	 "ask every source once, push, and exit: 0, or 3 if one failed or is held"},
	{"--dry-run", offsetof(struct control_options, dry_run),
	 "with --once: print what would change at the proxy, and touch nothing"},
	{"--iam-policy", offsetof(struct control_options, iam_policy),
	 "print the least-privilege IAM policy for the configuration, and exit"},
	{"--version", offsetof(struct control_options, version), "print the version and exit"},
	{"--help", offsetof(struct control_options, help), "print this and exit"},
};

/* Values; where `doc` is NULL the schema's row has the flag, the variable and all the words. */
static const struct value_flag {
	const char *flag;
	const char *variable;
	const char *path; /* NULL: the file to read */
	const char *metavar;
	const char *doc;
} value_flags[] = {
	{"--config", PREFIX "CONFIG", NULL, "FILE",
	 "the configuration, shared with sluice; env:NAME is a variable of that name"},
	{"--control-socket", PREFIX "CONTROL_SOCKET", "control.socket", "PATH",
	 "a Unix socket, where everything can be asked and told"},
	{"--admin", PREFIX "ADMIN", GIVEN_PATH_ADMIN, "unix:PATH",
	 "the proxy's admin socket, where targets are pushed to"},
	{"--log-level", NULL, "log_level", NULL, NULL},
	{"--state-directory", NULL, GIVEN_PATH_STATE, NULL, NULL},
	{"--user", NULL, "user", NULL, NULL},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct parser {
	struct control_options *options;
	struct conf_errors *errors;
	bool config_is_flag;
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

static void complain_unknown_flag(struct parser *parser, const char *flag)
{
	struct nearest nearest;

	/* A single dash is a typing error like another. */
	nearest_init(&nearest, flag + strspn(flag, "-"));
	for (size_t i = 0; i < COUNT(value_flags); i++)
		nearest_offer(&nearest, value_flags[i].flag + 2);
	for (size_t i = 0; i < COUNT(switches); i++)
		nearest_offer(&nearest, switches[i].flag + 2);
	const char *near = nearest_best(&nearest);

	complain(parser, flag, "found an unknown flag; expected one that --help lists%s%s%s",
		 near ? "; did you mean \"--" : "", near ? near : "", near ? "\"?" : "");
}

static bool offer_variable(const struct schema_key *key, const char *path, void *context)
{
	if (key->variable)
		nearest_offer(context, key->variable + strlen(PREFIX));
	return true;
}

static void complain_unknown_variable(struct parser *parser, const char *name)
{
	struct nearest nearest;

	nearest_init(&nearest, name + strlen(PREFIX));
	schema_walk(&schema_root, offer_variable, &nearest);
	for (size_t i = 0; i < COUNT(value_flags); i++)
		if (value_flags[i].variable)
			nearest_offer(&nearest, value_flags[i].variable + strlen(PREFIX));
	const char *near = nearest_best(&nearest);

	complain(parser, name,
		 "found an unknown variable; expected one that --help of sluice-control or sluice "
		 "lists%s%s%s",
		 near ? "; did you mean \"" PREFIX : "", near ? near : "", near ? "\"?" : "");
}

static int set_config(struct parser *parser, const char *file, bool is_flag)
{
	char *copy = strdup(file);

	if (!copy)
		return -ENOMEM;
	if (is_flag && parser->config_is_flag)
		complain(parser, file, "found a second file; expected one");
	free(parser->options->config_file);
	parser->options->config_file = copy;
	parser->config_is_flag = is_flag;
	return 0;
}

/* Where the value of a variable goes; false: there is no such variable. */
static bool variable_path(const char *name, char *ret_path, size_t size)
{
	struct given_key found;

	for (size_t i = 0; i < COUNT(value_flags); i++) {
		if (!value_flags[i].variable || strcmp(value_flags[i].variable, name) != 0)
			continue;
		snprintf(ret_path, size, "%s", value_flags[i].path ? value_flags[i].path : "");
		return true;
	}
	if (!given_by_variable(name, &found))
		return false;
	snprintf(ret_path, size, "%s", found.path);
	return true;
}

static int read_variable(struct parser *parser, const char *name, const char *text)
{
	char path[64];

	if (!variable_path(name, path, sizeof(path))) {
		complain_unknown_variable(parser, name);
		return 0;
	}
	if (*text == '\0' || given_is_list(path))
		return 0; /* a file has its own listeners and targets */
	return *path ? given_add(&parser->options->given, path, text, name, false)
		     : set_config(parser, text, false);
}

/* Those that tests use, and the one that sluicectl reads. */
static bool is_for_others(const char *variable)
{
	static const char *const others[] = {PREFIX "SOCKET=", PREFIX "SECCOMP=", PREFIX "FAULT",
					     PREFIX "HASTEN="};

	for (size_t i = 0; i < COUNT(others); i++)
		if (strncmp(variable, others[i], strlen(others[i])) == 0)
			return true;
	return false;
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

static int read_value(struct parser *parser, const struct value_flag *flag, const char *text)
{
	struct given *given = &parser->options->given;
	const char *variable = flag->variable;
	struct given_key found;
	char *origin;
	int err;

	if (!flag->path)
		return set_config(parser, text, true);
	if (!variable && given_by_flag(flag->flag, &found))
		variable = found.key->variable;
	given_drop_variable(given, variable);
	if (asprintf(&origin, "%s %s", flag->flag, text) < 0)
		return -ENOMEM;
	if (given_find(given, given_place(flag->path, text)))
		complain(parser, origin, "found it a second time; expected it once");
	if (strcmp(flag->path, GIVEN_PATH_ADMIN) == 0 && strncmp(text, "unix:", 5) != 0)
		complain(parser, origin,
			 "found no socket; expected one such as "
			 "unix:/run/sluice/admin.sock");
	err = given_add(given, flag->path, text, origin, true);
	free(origin);
	return err;
}

static const struct value_flag *find_value_flag(const char *flag)
{
	for (size_t i = 0; i < COUNT(value_flags); i++)
		if (strcmp(value_flags[i].flag, flag) == 0)
			return &value_flags[i];
	return NULL;
}

static bool read_switch(struct control_options *options, const char *flag)
{
	for (size_t i = 0; i < COUNT(switches); i++) {
		if (strcmp(switches[i].flag, flag) == 0) {
			*(bool *)((char *)options + switches[i].offset) = true;
			return true;
		}
	}
	return false;
}

/* `next` is the argument behind it, or NULL. Returns how many arguments were used, or -ENOMEM. */
static int read_flag(struct parser *parser, const char *flag, const char *inline_text,
		     const char *next)
{
	const struct value_flag *value_flag = find_value_flag(flag);
	const char *text = inline_text ? inline_text : next;

	if (!value_flag) {
		if (!read_switch(parser->options, flag))
			complain_unknown_flag(parser, flag);
		else if (inline_text)
			complain(parser, flag, "found a value; expected none behind this flag");
		return 1;
	}
	if (!text || *text == '\0' || (!inline_text && strncmp(text, "--", 2) == 0)) {
		complain(parser, flag, "found no value; expected one behind it");
		return 1;
	}
	int err = read_value(parser, value_flag, text);

	return err < 0 ? err : 1 + !inline_text;
}

static int read_argument(struct parser *parser, const char *arg, const char *next)
{
	const char *equals = strchr(arg, '=');

	if (strcmp(arg, "-h") == 0)
		arg = "--help";
	if (arg[0] != '-') {
		int err = set_config(parser, arg, true);

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

static void check_together(struct parser *parser)
{
	const struct control_options *options = parser->options;

	if (options->help || options->version || conf_failed(parser->errors))
		return;
	if (options->check + options->once + options->iam_policy > 1)
		complain(parser, "sluice-control",
			 "found several of --check, --once and --iam-policy; expected one");
	if (options->dry_run && !options->once)
		complain(parser, "--dry-run", "found it without --once; expected both");
	if (!options->config_file)
		complain(parser, "sluice-control",
			 "found no configuration; expected --config FILE; --help has all flags");
}

int control_options_parse(int argc, char *const argv[], char *const envp[],
			  struct conf_errors *errors, struct control_options *ret_options)
{
	struct control_options options = {0};
	struct parser parser = {.options = &options, .errors = errors};
	int err = read_environment(&parser, envp);

	if (err == 0)
		err = read_arguments(&parser, argc, argv);
	if (err == 0)
		err = given_add_inherited(&options.given, envp);
	if (err == 0)
		check_together(&parser);
	if (err == 0 && conf_failed(errors))
		err = -EINVAL;
	if (err < 0) {
		control_options_fini(&options);
		return err;
	}
	*ret_options = options;
	return 0;
}

void control_options_fini(struct control_options *options)
{
	given_fini(&options->given);
	free(options->config_file);
	memset(options, 0, sizeof(*options));
}

static void print_option(FILE *out, const char *flag, const char *metavar, const char *doc)
{
	char left[64];

	snprintf(left, sizeof(left), "%s%s%s", flag, metavar ? " " : "", metavar ? metavar : "");
	fprintf(out, "  %-*s %s\n", FLAG_WIDTH, left, doc);
}

static void print_value_flag(FILE *out, const struct value_flag *flag)
{
	const char *fallback = NULL, *variable = flag->variable;
	struct given_key found;

	if (flag->doc) {
		print_option(out, flag->flag, flag->metavar, flag->doc);
	} else if (given_by_flag(flag->flag, &found)) {
		print_option(out, flag->flag, found.key->metavar, found.key->doc);
		fallback = found.key->fallback;
		variable = found.key->variable;
	}
	fprintf(out, "%*s[%s%s%s]\n", FLAG_WIDTH + 3, "", variable, fallback ? ", default " : "",
		fallback ? fallback : "");
}

void control_options_help(FILE *out)
{
	fputs("sluice-control: keeps the targets of sluice in step with AWS, DNS and files\n\n"
	      "usage: sluice-control --config FILE [--once [--dry-run]] [OPTION ...]\n"
	      "       sluice-control --check FILE\n"
	      "       sluice-control --iam-policy FILE\n\n"
	      "What to do:\n",
	      out);
	for (size_t i = 0; i < COUNT(switches); i++)
		print_option(out, switches[i].flag, NULL, switches[i].doc);
	fputs("\nConfiguration (a flag beats its variable, both beat the file):\n", out);
	for (size_t i = 0; i < COUNT(value_flags); i++)
		print_value_flag(out, &value_flags[i]);
	fputs("\nIt acts on the discover: parts of the pools and on control:, and finds the proxy "
	      "at\n"
	      "admin.socket. AWS credentials and region come from where the AWS tools have them.\n"
	      "\nSignals:\n"
	      "  SIGHUP             read the configuration again; an invalid one changes nothing\n"
	      "  SIGTERM, SIGINT    exit; the proxy keeps its targets\n"
	      "\nExit status: 0 done, 1 the configuration is invalid or the start failed,\n"
	      "2 the command line is wrong, 3 with --once: a source failed or is held back.\n",
	      out);
}
