/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line as plain data. Parsing asks nobody and opens nothing.
 *
 * Happy path: args_parse(), then args_option() and args_number() by a flag's name. Failure: a
 * sentence on what is wrong, with the nearest known word if one is near.
 */
#pragma once

#include <stdint.h>

#include "control/ctl/verb.h"

#define ARGS_WHY 256

struct args {
	const struct verb *verb; /* NULL: none was given */
	const char *words[VERB_WORDS];
	unsigned word_count;
	const char *options[VERB_OPTIONS]; /* as in verb->options: NULL not given, "" a switch */
	const char *globals[GLOBALS];      /* likewise */
	uint64_t wait_ms;                  /* of --wait=TIMEOUT; 0: no limit */
};

/* 0, or -EINVAL with a sentence in `ret_why` of ARGS_WHY bytes. A missing word is no error when
 * help is asked for. `argv` is borrowed. */
int args_parse(int argc, char *const *argv, struct args *ret_args, char *ret_why);

/* The value of a flag of the verb, "" for a switch, NULL if it was not given. */
const char *args_option(const struct args *args, const char *flag);

/* The same for a flag of kind WORD_NUMBER, or WORD_DURATION in milliseconds. */
uint64_t args_number(const struct args *args, const char *flag, uint64_t fallback);
