/* SPDX-License-Identifier: Apache-2.0
 *
 * One line of an haproxy.cfg as words, by the rules of section 2.2 of HAProxy's configuration
 * manual: blanks separate, `#` begins a comment, a backslash takes away the meaning of what follows
 * it, '' keeps everything as it is, and "" all but backslashes and variables: $X, ${X},
 * ${X-default}, and ${X[*]}, which may become several words.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "control/ctl/haproxy/arena.h"

struct hap_section;

struct hap_line {
	const char *file; /* borrowed */
	unsigned number;  /* from 1 */
	const char *raw;  /* as written, without the blanks around it */
	char **words;
	unsigned count;
	const char *unset; /* the name of a variable that is not set, or NULL */
	const struct hap_section *section;
};

/* Fill words, count and unset from `text`. 0, or -EINVAL with what is wrong in words that follow
 * "the line ..."; then the words up to there are in `line`. */
int hap_lex(struct hap_arena *arena, const char *text, struct hap_line *line, const char **ret_why);

/* The word of that number, "" behind the last. */
const char *hap_word(const struct hap_line *line, unsigned i);
