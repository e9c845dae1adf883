/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the reading of argv. The happy path is: the first plain word is the verb, further ones fill
 * its places, and whatever begins with a dash is looked up among the options of every verb and of
 * this one, before or behind it. `--` ends the options.
 *
 * Failure modes: unknown words, missing ones, too many, and values that cannot be meant. The first
 * of them is told, in words of the operator's.
 */
#include "control/ctl/args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/conf/nearest.h"
#include "proxy/base/conf/units.h"
#include "proxy/base/panic.h"

#define NAME_MAX_BYTES 64

struct parser {
	int argc;
	char *const *argv;
	int at; /* of the next argument */
	struct args args;
	char *why;
};

static const struct {
	const char *letter, *flag;
} letters[] = {{"-h", "--help"}, {"-V", "--version"}, {"-o", "--output"}};

__attribute__((format(printf, 2, 3))) static int refuse(const struct parser *parser,
							const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(parser->why, ARGS_WHY, format, list);
	va_end(list);
	return -EINVAL;
}

/* `; did you mean x?` or nothing; the result lives in `buf`. */
static const char *suggestion(const char *word, char *buf, size_t size)
{
	buf[0] = '\0';
	if (word)
		snprintf(buf, size, "; did you mean %s?", word);
	return buf;
}

/* --- values --- */

static bool is_choice(const char *value, const char *choices)
{
	size_t len = strlen(value);

	for (const char *at = choices; *at;) {
		size_t span = strcspn(at, "|");

		if (span == len && strncmp(at, value, len) == 0)
			return true;
		at += span + (at[span] == '|');
	}
	return false;
}

static int check_choice(const struct parser *parser, const char *what, const char *choices,
			const char *value)
{
	char near[NAME_MAX_BYTES], hint[NAME_MAX_BYTES + 32];

	if (is_choice(value, choices))
		return 0;
	return refuse(parser, "%s is one of %s, not \"%s\"%s", what, choices, value,
		      suggestion(nearest_in_list(value, choices, near, sizeof(near)), hint,
				 sizeof(hint)));
}

/* What `what` was given fits its kind. */
static int check_value(const struct parser *parser, const char *what, enum word_kind kind,
		       const char *choices, const char *value)
{
	uint64_t number;
	const char *why;

	if (kind == WORD_CHOICE)
		return check_choice(parser, what, choices, value);
	if (kind == WORD_NUMBER && units_integer(value, &number, &why) < 0)
		return refuse(parser, "%s: \"%s\" %s", what, value, why);
	if (kind == WORD_DURATION && units_duration(value, &number, &why) < 0)
		return refuse(parser, "%s: \"%s\" %s (such as 500ms, 30s, 2h)", what, value, why);
	if (!*value)
		return refuse(parser, "%s is empty", what);
	return 0;
}

/* --- options --- */

static const struct verb_option *find_option(const struct verb_option *options, size_t count,
					     const char *name)
{
	for (size_t i = 0; i < count && options[i].flag; i++)
		if (strcmp(options[i].flag, name) == 0)
			return &options[i];
	return NULL;
}

static int unknown_option(const struct parser *parser, const char *name)
{
	const struct verb *verb = parser->args.verb;
	char hint[NAME_MAX_BYTES + 32];
	struct nearest nearest;

	nearest_init(&nearest, name);
	for (size_t i = 0; i < GLOBALS; i++)
		nearest_offer(&nearest, global_options[i].flag);
	for (size_t i = 0; verb && i < VERB_OPTIONS && verb->options[i].flag; i++)
		nearest_offer(&nearest, verb->options[i].flag);
	suggestion(nearest_best(&nearest), hint, sizeof(hint));
	if (verb)
		return refuse(parser, "%s has no option %s%s", verb->name, name, hint);
	return refuse(parser, "no option %s%s (a verb's own options stand behind it)", name, hint);
}

/* The value of an option: behind its equals sign, or the next argument. */
static int take_value(struct parser *parser, const struct verb_option *option, const char *behind,
		      const char **ret_value)
{
	const char *value = behind;

	if (!option->metavar && behind)
		return refuse(parser, "%s takes no value", option->flag);
	if (!option->metavar || (option->optional && !behind)) {
		*ret_value = "";
		return 0;
	}
	if (!value && parser->at >= parser->argc)
		return refuse(parser, "%s needs %s", option->flag, option->metavar);
	if (!value)
		value = parser->argv[parser->at++];
	int err = check_value(parser, option->flag, option->kind, option->choices, value);

	if (!err)
		*ret_value = value;
	return err;
}

static int take_option(struct parser *parser, const char *text)
{
	const struct verb *verb = parser->args.verb;
	const char *behind = strchr(text, '=');
	const struct verb_option *option;
	char name[NAME_MAX_BYTES];

	snprintf(name, sizeof(name), "%.*s", (int)(behind ? (size_t)(behind - text) : strlen(text)),
		 text);
	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (strcmp(name, letters[i].letter) == 0)
			snprintf(name, sizeof(name), "%s", letters[i].flag);
	if (behind)
		behind++;
	option = find_option(global_options, GLOBALS, name);
	if (option)
		return take_value(parser, option, behind,
				  &parser->args.globals[option - global_options]);
	option = verb ? find_option(verb->options, VERB_OPTIONS, name) : NULL;
	if (option)
		return take_value(parser, option, behind,
				  &parser->args.options[option - verb->options]);
	return unknown_option(parser, name);
}

/* --- words --- */

static int take_verb(struct parser *parser, const char *text)
{
	char hint[NAME_MAX_BYTES + 32];

	parser->args.verb = verb_find(text);
	if (parser->args.verb)
		return 0;
	return refuse(parser, "no verb \"%s\"%s", text,
		      suggestion(verb_nearest(text), hint, sizeof(hint)));
}

/* `--wait 10m`, where the time is optional and so must follow a `=`. */
static bool wait_lacks_value(const struct args *args)
{
	const char *wait = args->globals[GLOBAL_WAIT];

	return wait && !*wait;
}

static int take_word(struct parser *parser, const char *text)
{
	struct args *args = &parser->args;

	if (!args->verb)
		return take_verb(parser, text);
	if (args->word_count == VERB_WORDS || !args->verb->words[args->word_count].name)
		return refuse(parser, "%s has no use for \"%s\"%s%s", args->verb->name, text,
			      wait_lacks_value(args) ? "; a time to wait is --wait=" : "",
			      wait_lacks_value(args) ? text : "");
	const struct verb_word *word = &args->verb->words[args->word_count];

	args->words[args->word_count++] = text;
	return check_value(parser, word->name, word->kind, word->choices, text);
}

/* What only the whole line can tell. */
static int check_all(struct parser *parser)
{
	struct args *args = &parser->args;
	const char *wait = args->globals[GLOBAL_WAIT], *why;

	if (!args->verb || args->globals[GLOBAL_HELP])
		return 0;
	if (args->word_count < VERB_WORDS) {
		const struct verb_word *word = &args->verb->words[args->word_count];

		if (word->name && !word->optional)
			return refuse(parser, "%s needs %s", args->verb->name, word->name);
	}
	if (wait && !args->verb->waits)
		return refuse(parser, "%s has nothing to wait for", args->verb->name);
	if (wait && *wait && units_duration(wait, &args->wait_ms, &why) == 0 && !args->wait_ms)
		return refuse(parser, "--wait: give it more than no time at all");
	return 0;
}

int args_parse(int argc, char *const *argv, struct args *ret_args, char *ret_why)
{
	struct parser parser = {.argc = argc, .argv = argv, .at = 1, .why = ret_why};
	bool ended = false;
	int err = 0;

	while (!err && parser.at < argc) {
		const char *text = argv[parser.at++];

		if (!ended && strcmp(text, "--") == 0)
			ended = true;
		else if (!ended && text[0] == '-' && text[1])
			err = take_option(&parser, text);
		else
			err = take_word(&parser, text);
	}
	if (!err)
		err = check_all(&parser);
	if (!err)
		*ret_args = parser.args;
	return err;
}

/* --- reading the result --- */

const char *args_option(const struct args *args, const char *flag)
{
	const struct verb_option *option = find_option(args->verb->options, VERB_OPTIONS, flag);

	must(option);
	return args->options[option - args->verb->options];
}

uint64_t args_number(const struct args *args, const char *flag, uint64_t fallback)
{
	const struct verb_option *option = find_option(args->verb->options, VERB_OPTIONS, flag);
	const char *text = args_option(args, flag), *why;
	uint64_t value = fallback;

	if (text && option->kind == WORD_DURATION)
		units_duration(text, &value, &why);
	else if (text)
		units_integer(text, &value, &why);
	return value;
}
