/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the understanding of a half-typed command line. Happy path: the words before the cursor give
 * the verb, its places and whatever option still lacks its value; from that follows what is due.
 *
 * Nothing fails: what makes no sense is overlooked, since a person is still typing.
 */
#include <string.h>

#include "control/ctl/completion/completion.h"
#include "control/ctl/verb.h"

static const struct verb_option *find_option(const struct args *args, const char *text, size_t len)
{
	for (size_t i = 0; i < GLOBALS; i++)
		if (strlen(global_options[i].flag) == len &&
		    strncmp(global_options[i].flag, text, len) == 0)
			return &global_options[i];
	for (size_t i = 0; args->verb && i < VERB_OPTIONS && args->verb->options[i].flag; i++)
		if (strlen(args->verb->options[i].flag) == len &&
		    strncmp(args->verb->options[i].flag, text, len) == 0)
			return &args->verb->options[i];
	return NULL;
}

static void remember(struct args *args, const struct verb_option *option, const char *value)
{
	if (option >= global_options && option < global_options + GLOBALS)
		args->globals[option - global_options] = value;
	else
		args->options[option - args->verb->options] = value;
}

/* An option before the cursor; returns itself when its value comes in the next word. */
static const struct verb_option *take_option(struct args *args, const char *text)
{
	size_t len = strcspn(text, "=");
	const struct verb_option *option = find_option(args, text, len);

	if (!option)
		return NULL;
	remember(args, option, text[len] ? text + len + 1 : "");
	return option->metavar && !option->optional && !text[len] ? option : NULL;
}

static void take_word(struct args *args, const char *text)
{
	if (!args->verb)
		args->verb = verb_find(text);
	else if (args->word_count < VERB_WORDS)
		args->words[args->word_count++] = text;
}

/* `--pool=ap`: the value is due, behind what stands already. */
static void split_current(struct completion *completion)
{
	const char *equals = strchr(completion->current, '=');

	if (completion->option || completion->current[0] != '-' || !equals)
		return;
	completion->option = find_option(&completion->args, completion->current,
					 (size_t)(equals - completion->current));
	if (!completion->option)
		return;
	completion->prefix = completion->current;
	completion->prefix_len = (size_t)(equals + 1 - completion->current);
	completion->current = equals + 1;
}

void completion_parse(int count, char *const *words, struct completion *ret_completion)
{
	struct completion completion = {.prefix = ""};
	struct args *args = &completion.args;

	for (int i = 0; i + 1 < count; i++) {
		if (completion.option) {
			remember(args, completion.option, words[i]);
			completion.option = NULL;
		} else if (words[i][0] == '-')
			completion.option = take_option(args, words[i]);
		else
			take_word(args, words[i]);
	}
	completion.current = words[count - 1];
	split_current(&completion);
	if (args->verb && args->word_count < VERB_WORDS && args->verb->words[args->word_count].name)
		completion.word = &args->verb->words[args->word_count];
	*ret_completion = completion;
}

enum word_kind completion_kind(const struct completion *completion)
{
	if (completion->option)
		return completion->option->choices ? WORD_CHOICE : completion->option->kind;
	if (!completion->args.verb)
		return WORD_VERB;
	return completion->word ? completion->word->kind : WORD_TEXT;
}

/* --- offering --- */

void completion_candidate(const struct completion *completion, const char *name, const char *doc,
			  FILE *out)
{
	if (strncmp(name, completion->current, strlen(completion->current)) != 0)
		return;
	fprintf(out, "%.*s%s%s%s\n", (int)completion->prefix_len, completion->prefix, name,
		doc ? "\t" : "", doc ? doc : "");
}

static void offer_options(const struct completion *completion, FILE *out)
{
	const struct args *args = &completion->args;

	for (size_t i = 0; args->verb && i < VERB_OPTIONS && args->verb->options[i].flag; i++)
		if (!args->options[i])
			completion_candidate(completion, args->verb->options[i].flag,
					     args->verb->options[i].doc, out);
	for (size_t i = 0; i < GLOBALS; i++)
		if (!args->globals[i] && (i != GLOBAL_WAIT || !args->verb || args->verb->waits))
			completion_candidate(completion, global_options[i].flag,
					     global_options[i].doc, out);
}

static void offer_choices(const struct completion *completion, FILE *out)
{
	const char *at =
		completion->option ? completion->option->choices : completion->word->choices;

	while (*at) {
		size_t len = strcspn(at, "|");
		char choice[32];

		snprintf(choice, sizeof(choice), "%.*s", (int)len, at);
		completion_candidate(completion, choice, NULL, out);
		at += len + (at[len] == '|');
	}
}

static void offer_verbs(const struct completion *completion, FILE *out)
{
	for (size_t i = 0; i < verb_count; i++)
		completion_candidate(completion, verbs[i].name, verbs[i].doc, out);
}

void completion_offer(const struct completion *completion, FILE *out)
{
	if (!completion->option && completion->current[0] == '-') {
		offer_options(completion, out);
		return;
	}
	switch (completion_kind(completion)) {
	case WORD_VERB:
		offer_verbs(completion, out);
		return;
	case WORD_CHOICE:
		offer_choices(completion, out);
		return;
	case WORD_FILE:
		fputs(":files\n", out);
		return;
	default:
		return; /* names that only the proxy knows, or none */
	}
}
