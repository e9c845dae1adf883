/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the layout of help. Everything it says stands in the table of verbs, the exit statuses in
 * theirs.
 */
#include "control/ctl/help.h"

#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/verbs.h"

#define VERB_WIDTH 16
#define FLAG_WIDTH 24

static void print_option(const struct verb_option *option, FILE *out)
{
	char left[64];

	snprintf(left, sizeof(left), "%s%s%s%s", option->flag,
		 option->optional  ? "[="
		 : option->metavar ? " "
				   : "",
		 option->metavar ? option->metavar : "", option->optional ? "]" : "");
	fprintf(out, "  %-*s %s\n", FLAG_WIDTH, left, option->doc);
}

static void print_examples(const char *examples, FILE *out)
{
	fputs("\nExamples:\n", out);
	while (*examples) {
		size_t len = strcspn(examples, "\n");

		fprintf(out, "  %.*s\n", (int)len, examples);
		examples += len + (examples[len] == '\n');
	}
}

void help_usage(const struct verb *verb, FILE *out)
{
	fputs(verb->name, out);
	for (size_t i = 0; i < VERB_WORDS && verb->words[i].name; i++) {
		const struct verb_word *word = &verb->words[i];
		const char *name = word->choices ? word->choices : word->name;

		fprintf(out, word->optional ? " [%s]" : " %s", name);
	}
	if (verb->options[0].flag)
		fputs(" [OPTION ...]", out);
}

/* One heading and what stands under it; verbs of a group follow each other in the table. */
static void print_verbs(FILE *out)
{
	const char *group = "";

	for (size_t i = 0; i < verb_count; i++) {
		if (strcmp(group, verbs[i].group) != 0)
			fprintf(out, "\n%s:\n", verbs[i].group);
		group = verbs[i].group;
		fprintf(out, "  %-*s %s\n", VERB_WIDTH, verbs[i].name, verbs[i].doc);
	}
}

void help_program(FILE *out)
{
	fputs("sluicectl: look at a running sluice, and change it\n\n"
	      "usage: sluicectl [OPTION ...] VERB [...]\n"
	      "       sluicectl VERB --help\n",
	      out);
	print_verbs(out);
	fputs("\nOptions, before or behind a verb:\n", out);
	for (size_t i = 0; i < GLOBALS; i++)
		print_option(&global_options[i], out);
	print_examples("sluicectl status\n"
		       "sluicectl targets api\n"
		       "sluicectl explain 10.0.1.10:8443\n"
		       "sluicectl drain 10.0.1.10:8443 --wait=10m --why \"kernel update\"\n"
		       "sluicectl --socket /run/sluice/other.sock --json pools | jq .",
		       out);
	fputs("\nExit status:\n", out);
	for (size_t i = 0; i < CTL_EXITS; i++)
		fprintf(out, "  %zu  %s\n", i, ctl_exit_docs[i]);
}

void help_verb(const struct verb *verb, FILE *out)
{
	fprintf(out, "sluicectl %s: %s\n\nusage: sluicectl ", verb->name, verb->doc);
	help_usage(verb, out);
	fputc('\n', out);
	if (verb->more)
		fprintf(out, "\n%s\n", verb->more);
	fputs("\nOptions:\n", out);
	for (size_t i = 0; i < VERB_OPTIONS && verb->options[i].flag; i++)
		print_option(&verb->options[i], out);
	for (size_t i = 0; i < GLOBALS; i++)
		if (i != GLOBAL_VERSION && (i != GLOBAL_WAIT || verb->waits))
			print_option(&global_options[i], out);
	print_examples(verb->examples, out);
}

int verb_help(struct ctl *ctl)
{
	const struct verb *verb;

	if (!ctl->args.word_count) {
		help_program(stdout);
		return CTL_OK;
	}
	verb = verb_find(ctl->args.words[0]);
	if (!verb)
		return ctl_usage(ctl, "no verb \"%s\"", ctl->args.words[0]);
	help_verb(verb, stdout);
	return CTL_OK;
}
