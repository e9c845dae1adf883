/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the SLUICE_* variables, then the command line of a program: switches into its own struct,
 * the configuration's file, and everything else by its path in the schema (given.h). A flag pushes
 * out the variable that means the same.
 *
 * Failure modes: what is unknown, given twice or without its value is an error, with the nearest
 * known name; all of them are listed. A variable that is set but empty counts as unset.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "proxy/base/conf/given.h"

struct conf_errors;

#define CMDLINE_PREFIX "SLUICE_" /* of every variable */

/* Flags that say what to do, and have no place in the schema. */
struct cmdline_switch {
	const char *flag;
	size_t offset; /* of its bool in the program's struct */
	const char *doc;
};

/* A flag with a value that the schema does not have, or has in other words. */
struct cmdline_flag {
	const char *flag;
	const char *variable;
	const char *path; /* in the schema; NULL: the configuration's file */
	const char *metavar;
	const char *doc;
};

struct cmdline_grammar {
	const struct cmdline_switch *switches;
	size_t switch_count;
	const struct cmdline_flag *flags;
	size_t flag_count;
	const char *const *schema_flags; /* NULL-ended, those that are taken; NULL: all of them */
	const char *const *foreign;      /* NULL-ended: how variables begin that others read */
	const char *variables_in;        /* what lists them: "--help" */
	bool leaves_lists;               /* variables of listeners and targets are for others */
};

/* Begins as zero. */
struct cmdline {
	char *config_file;   /* NULL: none */
	char *config_origin; /* for messages: "--config FILE", "SLUICE_CONFIG" */
	struct given given;
};

/* `switches` is what the grammar's offsets count from; `envp` a NULL-ended list of NAME=VALUE. 0,
 * whatever was found wrong; -ENOMEM. `line` is the caller's to end, either way. */
int cmdline_read(const struct cmdline_grammar *grammar, int argc, char *const argv[],
		 char *const envp[], struct conf_errors *errors, void *switches,
		 struct cmdline *line);
void cmdline_fini(struct cmdline *line);

/* An error at a flag, a variable or the program's name. */
void cmdline_complain(struct conf_errors *errors, const char *origin, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The left column of --help and its first line of words. */
#define CMDLINE_HELP_INDENT 27
void cmdline_print_flag(FILE *out, const char *flag, const char *metavar, const char *doc);
void cmdline_print_switches(FILE *out, const struct cmdline_grammar *grammar);
