/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong with a configuration: every finding, each with the place it was found at.
 *
 * Happy path: the owner zero-initialises a struct conf_errors, every stage (tree, schema, config,
 * options) adds to it and goes on, and the owner prints it once. Findings come out in the order of
 * the file, whatever stage found them, and a repeated one only once.
 * Failure modes: past CONF_ERRORS_KEPT findings are counted, not kept; without memory for a text
 * the finding still counts, so an invalid configuration never passes for a valid one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONF_ERRORS_KEPT 50

/* `FILE:LINE:COLUMN`, or with line 0 a flag and its value, or a variable's name. */
struct conf_where {
	const char *source; /* borrowed; NULL for what the table of defaults gave */
	uint32_t line;      /* from 1; 0: the whole of `source` */
	uint32_t column;    /* from 1, in characters */
};

struct conf_finding {
	uint32_t line;
	uint32_t column;
	char *text; /* with its place in front */
};

struct conf_findings {
	struct conf_finding kept[CONF_ERRORS_KEPT];
	size_t kept_count;
	size_t count; /* those that were not kept included */
};

struct conf_errors {
	struct conf_findings errors;
	struct conf_findings warnings;
};

void conf_errors_fini(struct conf_errors *errors);

/* One sentence without a final stop: what was found; what was expected; did you mean "x"? */
void conf_error(struct conf_errors *errors, const struct conf_where *where, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void conf_warn(struct conf_errors *errors, const struct conf_where *where, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

bool conf_failed(const struct conf_errors *errors);

/* The i-th error or warning that was kept, or NULL behind the last. */
const char *conf_error_text(const struct conf_errors *errors, size_t i);
const char *conf_warning_text(const struct conf_errors *errors, size_t i);

/* All errors, then all warnings, one a line. */
void conf_errors_print(const struct conf_errors *errors, FILE *out);
