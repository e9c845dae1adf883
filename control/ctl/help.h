/* SPDX-License-Identifier: Apache-2.0
 *
 * Help texts, made from the table of verbs.
 */
#pragma once

#include <stdio.h>

struct verb;

void help_program(FILE *out);
void help_verb(const struct verb *verb, FILE *out);

/* `drain [TARGET] [OPTION ...]` as a person would type it. */
void help_usage(const struct verb *verb, FILE *out);
