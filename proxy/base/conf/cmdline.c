/* SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: variables, then arguments from left to right, each looked up among the program's own
 * flags, the schema's, and the switches. See cmdline.h.
 */
#include "proxy/base/conf/cmdline.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/conf/errors.h"
#include "proxy/base/conf/nearest.h"
#include "proxy/base/conf/schema.h"

#define FLAG_WIDTH 24

struct reader {
	const struct cmdline_grammar *grammar;
	struct conf_errors *errors;
	void *switches;
	struct cmdline *line;
	bool file_is_flag; /* not a variable's */
};

/* Where the value of a flag or a variable goes. */
struct place {
	const char *variable; /* that says the same as the flag */
	char path[64];        /* in the schema; "" for the configuration's file */
};

void cmdline_complain(struct conf_errors *errors, const char *origin, const char *format, ...)
{
	struct conf_where where = {.source = origin};
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	conf_error(errors, &where, "%s", text);
}

/* --- names --- */

static bool is_schema_flag(const struct cmdline_grammar *grammar, const char *flag)
{
	const char *const *taken = grammar->schema_flags;

	while (taken && *taken && strcmp(*taken, flag) != 0)
		taken++;
	return !taken || *taken;
}

static void place_init(struct place *place, const char *variable, const char *path)
{
	place->variable = variable;
	snprintf(place->path, sizeof(place->path), "%s", path ? path : "");
}

static bool place_of_flag(const struct cmdline_grammar *grammar, const char *name,
			  struct place *ret_place)
{
	struct given_key found;

	for (size_t i = 0; i < grammar->flag_count; i++) {
		const struct cmdline_flag *flag = &grammar->flags[i];

		if (strcmp(flag->flag, name) != 0)
			continue;
		place_init(ret_place, flag->variable, flag->path);
		return true;
	}
	if (!is_schema_flag(grammar, name) || !given_by_flag(name, &found))
		return false;
	place_init(ret_place, found.key->variable, found.path);
	return true;
}

static bool place_of_variable(const struct cmdline_grammar *grammar, const char *name,
			      struct place *ret_place)
{
	struct given_key found;

	for (size_t i = 0; i < grammar->flag_count; i++) {
		const struct cmdline_flag *flag = &grammar->flags[i];

		if (strcmp(flag->variable, name) != 0)
			continue;
		place_init(ret_place, name, flag->path);
		return true;
	}
	if (!given_by_variable(name, &found))
		return false;
	place_init(ret_place, name, found.path);
	return true;
}

/* Names are compared without the prefix that all of them have. */
struct suggestion {
	const struct cmdline_grammar *grammar;
	struct nearest nearest;
	const char *prefix;
	bool by_flag;
};

static void suggest(struct suggestion *suggestion, const char *name)
{
	nearest_offer(&suggestion->nearest, name + strlen(suggestion->prefix));
}

static bool suggest_key(const struct schema_key *key, const char *path, void *context)
{
	struct suggestion *suggestion = context;

	if (!suggestion->by_flag && key->variable)
		suggest(suggestion, key->variable);
	if (suggestion->by_flag && key->flag && is_schema_flag(suggestion->grammar, key->flag))
		suggest(suggestion, key->flag);
	return true;
}

static void complain_unknown(const struct reader *reader, const char *name, bool by_flag)
{
	const struct cmdline_grammar *grammar = reader->grammar;
	struct suggestion suggestion = {
		.grammar = grammar, .prefix = by_flag ? "--" : CMDLINE_PREFIX, .by_flag = by_flag};
	size_t skip = strlen(suggestion.prefix);

	/* A single dash is a typing error like another. */
	if (strncmp(name, suggestion.prefix, skip) != 0)
		skip = 1;
	nearest_init(&suggestion.nearest, name + skip);
	schema_walk(&schema_root, suggest_key, &suggestion);
	for (size_t i = 0; i < grammar->flag_count; i++)
		suggest(&suggestion, by_flag ? grammar->flags[i].flag : grammar->flags[i].variable);
	for (size_t i = 0; by_flag && i < grammar->switch_count; i++)
		suggest(&suggestion, grammar->switches[i].flag);
	const char *near = nearest_best(&suggestion.nearest);

	cmdline_complain(reader->errors, name,
			 "found an unknown %s; expected one that %s lists%s%s%s%s",
			 by_flag ? "flag" : "variable", by_flag ? "--help" : grammar->variables_in,
			 near ? "; did you mean \"" : "", near ? suggestion.prefix : "",
			 near ? near : "", near ? "\"?" : "");
}

static int set_config(struct reader *reader, const char *file, const char *origin, bool is_flag)
{
	char *file_copy = strdup(file), *origin_copy = strdup(origin);

	if (!file_copy || !origin_copy) {
		free(file_copy);
		free(origin_copy);
		return -ENOMEM;
	}
	free(reader->line->config_file);
	free(reader->line->config_origin);
	reader->line->config_file = file_copy;
	reader->line->config_origin = origin_copy;
	reader->file_is_flag = is_flag;
	return 0;
}

/* --- variables --- */

static int read_variable(struct reader *reader, const char *name, const char *text)
{
	struct given *given = &reader->line->given;
	struct place place;

	if (!place_of_variable(reader->grammar, name, &place)) {
		complain_unknown(reader, name, false);
		return 0;
	}
	if (*text == '\0')
		return 0;
	if (place.path[0] == '\0')
		return set_config(reader, text, name, false);
	if (!given_is_list(place.path))
		return given_add(given, place.path, text, name, false);
	return reader->grammar->leaves_lists ? 0 : given_add_list(given, place.path, text, name);
}

static bool is_for_others(const struct cmdline_grammar *grammar, const char *variable)
{
	for (const char *const *foreign = grammar->foreign; *foreign; foreign++)
		if (strncmp(variable, *foreign, strlen(*foreign)) == 0)
			return true;
	return false;
}

static int read_environment(struct reader *reader, char *const envp[])
{
	for (; *envp; envp++) {
		const char *equals = strchr(*envp, '=');

		if (strncmp(*envp, CMDLINE_PREFIX, strlen(CMDLINE_PREFIX)) != 0 || !equals ||
		    is_for_others(reader->grammar, *envp))
			continue;
		char *name = strndup(*envp, (size_t)(equals - *envp));
		int err = name ? read_variable(reader, name, equals + 1) : -ENOMEM;

		free(name);
		if (err < 0)
			return err;
	}
	return 0;
}

/* --- arguments --- */

static int place_value(struct reader *reader, const struct place *place, const char *text,
		       const char *origin)
{
	struct given *given = &reader->line->given;
	const char *path = given_place(place->path, text);
	bool is_second;

	if (place->path[0] == '\0') {
		is_second = reader->file_is_flag;
	} else {
		given_drop_variable(given, place->variable);
		is_second = !given_is_list(place->path) && given_find(given, path);
	}
	if (is_second)
		cmdline_complain(reader->errors, origin,
				 "found it a second time; expected it once");
	return place->path[0] ? given_add(given, place->path, text, origin, true)
			      : set_config(reader, text, origin, true);
}

static int read_value(struct reader *reader, const char *flag, const struct place *place,
		      const char *text)
{
	char *origin;
	int err;

	if (asprintf(&origin, "%s %s", flag, text) < 0)
		return -ENOMEM;
	err = place_value(reader, place, text, origin);
	free(origin);
	return err;
}

static bool read_switch(const struct reader *reader, const char *flag)
{
	const struct cmdline_grammar *grammar = reader->grammar;

	for (size_t i = 0; i < grammar->switch_count; i++) {
		if (strcmp(grammar->switches[i].flag, flag) == 0) {
			*(bool *)((char *)reader->switches + grammar->switches[i].offset) = true;
			return true;
		}
	}
	return false;
}

/* `next` is the argument behind it, or NULL. Returns how many arguments were used, or -ENOMEM. */
static int read_flag(struct reader *reader, const char *flag, const char *inline_text,
		     const char *next)
{
	const char *text = inline_text ? inline_text : next;
	struct place place;
	int err;

	if (!place_of_flag(reader->grammar, flag, &place)) {
		if (!read_switch(reader, flag))
			complain_unknown(reader, flag, true);
		else if (inline_text)
			cmdline_complain(reader->errors, flag,
					 "found a value; expected none behind this flag");
		return 1;
	}
	if (!text || *text == '\0' || (!inline_text && strncmp(text, "--", 2) == 0)) {
		cmdline_complain(reader->errors, flag, "found no value; expected one behind it");
		return 1;
	}
	err = read_value(reader, flag, &place, text);
	return err < 0 ? err : 1 + !inline_text;
}

static int read_file(struct reader *reader, const char *file)
{
	int err;

	if (reader->file_is_flag) {
		cmdline_complain(reader->errors, file, "found a second file; expected only flags");
		return 1;
	}
	err = set_config(reader, file, file, true);
	return err < 0 ? err : 1;
}

static int read_argument(struct reader *reader, const char *arg, const char *next)
{
	const char *equals = strchr(arg, '=');
	char *flag;
	int used;

	if (arg[0] != '-')
		return read_file(reader, arg);
	if (strcmp(arg, "-h") == 0)
		arg = "--help";
	if (!equals)
		return read_flag(reader, arg, NULL, next);
	flag = strndup(arg, (size_t)(equals - arg));
	used = flag ? read_flag(reader, flag, equals + 1, next) : -ENOMEM;
	free(flag);
	return used;
}

static int read_arguments(struct reader *reader, int argc, char *const argv[])
{
	for (int i = 1; i < argc;) {
		int used = read_argument(reader, argv[i], i + 1 < argc ? argv[i + 1] : NULL);

		if (used < 0)
			return used;
		i += used;
	}
	return 0;
}

int cmdline_read(const struct cmdline_grammar *grammar, int argc, char *const argv[],
		 char *const envp[], struct conf_errors *errors, void *switches,
		 struct cmdline *line)
{
	struct reader reader = {
		.grammar = grammar, .errors = errors, .switches = switches, .line = line};
	int err = read_environment(&reader, envp);

	if (err == 0)
		err = read_arguments(&reader, argc, argv);
	if (err == 0)
		err = given_add_inherited(&line->given, envp);
	return err;
}

void cmdline_fini(struct cmdline *line)
{
	given_fini(&line->given);
	free(line->config_file);
	free(line->config_origin);
	memset(line, 0, sizeof(*line));
}

/* --- help --- */

void cmdline_print_flag(FILE *out, const char *flag, const char *metavar, const char *doc)
{
	char left[64];

	snprintf(left, sizeof(left), "%s%s%s", flag, metavar ? " " : "", metavar ? metavar : "");
	fprintf(out, "  %-*s %s", FLAG_WIDTH, left, doc);
}

void cmdline_print_switches(FILE *out, const struct cmdline_grammar *grammar)
{
	for (size_t i = 0; i < grammar->switch_count; i++) {
		cmdline_print_flag(out, grammar->switches[i].flag, NULL, grammar->switches[i].doc);
		fputc('\n', out);
	}
}
