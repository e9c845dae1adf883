/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables for people: aligned whatever the script, as narrow as the screen.
 *
 * Happy path: table_new(), a cell for each column of each row, table_print(), table_free(). When
 * the screen is too narrow, columns that may be cut are cut, then the least needed ones are left
 * out. Memory running out is remembered, and is the result of table_print().
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "control/ctl/screen.h"

enum align { ALIGN_LEFT, ALIGN_RIGHT };

struct column {
	const char *title; /* static */
	enum align align;
	unsigned drop;  /* left out when narrow, the highest first; 0: never */
	unsigned least; /* columns it may be cut to; 0: it is not cut */
};

struct table;

/* `columns` is borrowed. NULL without memory, which all others accept. */
struct table *table_new(const struct column *columns, size_t count);
void table_free(struct table *table);

/* The next cell, row by row; copied, and cleaned of what could move the cursor. */
void table_add(struct table *table, const char *text);
void table_addf(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_add_count(struct table *table, uint64_t count);
void table_add_bytes(struct table *table, uint64_t bytes);

/* Of the cell added last. */
void table_colour(struct table *table, enum colour colour);

size_t table_rows(const struct table *table);

/* With its titles, unless none of its columns has one. 0 or -ENOMEM. */
int table_print(const struct table *table, const struct screen *screen, FILE *out);

/* Print to stdout, and free. */
void table_finish(struct table *table, const struct screen *screen);
