/* SPDX-License-Identifier: Apache-2.0
 *
 * Completion: a short script for each shell asks sluicectl itself what may stand where the cursor
 * is, so what is offered is always what this version understands.
 */
#pragma once

#include <stdio.h>

#include "control/ctl/args.h"

/* How the scripts ask: `sluicectl __complete WORD... CURRENT`, all words after the program's. */
#define COMPLETION_REQUEST "__complete"

/* What stands at the cursor. */
struct completion {
	struct args args;                 /* what was typed before it, errors overlooked */
	const char *current;              /* the word that is being typed, perhaps empty */
	const char *prefix;               /* "--pool=" stands before what is offered; its length */
	size_t prefix_len;                /* ... is this */
	const struct verb_option *option; /* whose value is due; NULL: none */
	const struct verb_word *word;     /* whose turn it is otherwise; NULL: no further one */
};

/* `words` are borrowed; the last one is the current one, and there is at least that. */
void completion_parse(int count, char *const *words, struct completion *ret_completion);

/* What the table of verbs offers, one `NAME<tab>DESCRIPTION` a line. */
void completion_offer(const struct completion *completion, FILE *out);

/* One candidate, if it begins as the current word does. `doc` may be NULL. */
void completion_candidate(const struct completion *completion, const char *name, const char *doc,
			  FILE *out);

/* What is due: a verb, an option, or of which kind the value is. */
enum word_kind completion_kind(const struct completion *completion);

/* The whole of `sluicectl __complete`; returns an enum ctl_exit. Silent about errors. */
int completion_answer(int count, char *const *words);

/* The script for "bash", "zsh" or "fish"; NULL for another. */
const char *completion_script(const char *shell);
