/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns cells and the arithmetic of widths. The happy path is: the natural width of each column,
 * then the layout that fits, then lines of padded cells.
 *
 * Failure modes: memory runs out, then nothing is printed; the screen is narrower than what must
 * stay, then lines are longer than it and the terminal wraps them.
 */
#include "control/ctl/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl/utf8.h"
#include "proxy/base/figures.h"
#include "proxy/base/panic.h"

#define COLUMNS_MAX 24
#define GAP         2 /* between columns */
#define CELL_BYTES  512

struct cell {
	char *text;
	unsigned columns;
	enum colour colour;
};

struct table {
	const struct column *columns;
	size_t column_count;
	struct cell *cells;
	size_t cell_count;
	size_t cell_room;
	bool failed;
};

/* Columns of the screen for each of the table's; 0 is left out. */
struct layout {
	unsigned widths[COLUMNS_MAX];
	bool dropped[COLUMNS_MAX];
};

struct table *table_new(const struct column *columns, size_t count)
{
	struct table *table = calloc(1, sizeof(*table));

	must(count && count <= COLUMNS_MAX);
	if (!table)
		return NULL;
	table->columns = columns;
	table->column_count = count;
	return table;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table);
}

/* --- cells --- */

static struct cell *new_cell(struct table *table)
{
	if (table->cell_count == table->cell_room) {
		size_t room = table->cell_room ? table->cell_room * 2 : 64;
		struct cell *cells = realloc(table->cells, room * sizeof(*cells));

		if (!cells)
			return NULL;
		table->cells = cells;
		table->cell_room = room;
	}
	return &table->cells[table->cell_count];
}

void table_add(struct table *table, const char *text)
{
	char *copy = table ? strdup(text) : NULL;
	struct cell *cell = copy ? new_cell(table) : NULL;

	if (!cell) {
		free(copy);
		if (table)
			table->failed = true;
		return;
	}
	utf8_clean(copy);
	*cell = (struct cell){.text = copy, .columns = utf8_columns(copy)};
	table->cell_count++;
}

void table_addf(struct table *table, const char *format, ...)
{
	char text[CELL_BYTES];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	table_add(table, text);
}

void table_add_count(struct table *table, uint64_t count)
{
	table_addf(table, "%" PRIu64, count);
}

void table_add_bytes(struct table *table, uint64_t bytes)
{
	char text[FIGURE_TEXT];

	table_add(table, figure_bytes(bytes, text));
}

void table_colour(struct table *table, enum colour colour)
{
	if (table && table->cell_count)
		table->cells[table->cell_count - 1].colour = colour;
}

size_t table_rows(const struct table *table)
{
	return table ? table->cell_count / table->column_count : 0;
}

/* --- layout --- */

static bool has_titles(const struct table *table)
{
	for (size_t i = 0; i < table->column_count; i++)
		if (*table->columns[i].title)
			return true;
	return false;
}

static void natural_widths(const struct table *table, struct layout *layout)
{
	for (size_t i = 0; i < table->column_count; i++)
		layout->widths[i] = layout->dropped[i] ? 0 : utf8_columns(table->columns[i].title);
	for (size_t i = 0; i < table->cell_count; i++) {
		unsigned *width = &layout->widths[i % table->column_count];

		if (!layout->dropped[i % table->column_count] && table->cells[i].columns > *width)
			*width = table->cells[i].columns;
	}
}

static unsigned total_width(const struct table *table, const struct layout *layout)
{
	unsigned total = 0;

	for (size_t i = 0; i < table->column_count; i++)
		if (!layout->dropped[i])
			total += layout->widths[i] + (total ? GAP : 0);
	return total;
}

/* Take one screen column from the widest that may give one; false when none may. */
static bool cut_one(const struct table *table, struct layout *layout)
{
	unsigned *widest = NULL;

	for (size_t i = 0; i < table->column_count; i++) {
		unsigned *width = &layout->widths[i], least = table->columns[i].least;

		if (least && *width > least && (!widest || *width > *widest))
			widest = width;
	}
	if (widest)
		(*widest)--;
	return widest != NULL;
}

/* Leave out what is needed least; false when all that is left must stay. */
static bool drop_one(const struct table *table, struct layout *layout)
{
	size_t least = table->column_count;
	unsigned rank = 0;

	for (size_t i = 0; i < table->column_count; i++) {
		if (layout->dropped[i] || table->columns[i].drop <= rank)
			continue;
		rank = table->columns[i].drop;
		least = i;
	}
	if (least == table->column_count)
		return false;
	layout->dropped[least] = true;
	return true;
}

static void fit(const struct table *table, unsigned width, struct layout *layout)
{
	*layout = (struct layout){0};
	do {
		natural_widths(table, layout);
		while (width && total_width(table, layout) > width)
			if (!cut_one(table, layout))
				break;
	} while (width && total_width(table, layout) > width && drop_one(table, layout));
}

/* --- lines --- */

static void pad(FILE *out, unsigned columns)
{
	fprintf(out, "%*s", (int)columns, "");
}

/* Nothing is seen behind this column, so no blanks need to follow it. */
static bool is_last(const struct table *table, const struct layout *layout, size_t column,
		    const struct cell *row)
{
	for (size_t i = column + 1; i < table->column_count; i++)
		if (!layout->dropped[i] && row[i].columns)
			return false;
	return true;
}

static void print_text(const struct screen *screen, FILE *out, const char *text, unsigned columns,
		       unsigned width, enum colour colour)
{
	char cut[CELL_BYTES * 2];
	const char *mark = screen->utf8 ? "…" : "~";

	if (columns <= width) {
		screen_print(screen, out, colour, text);
		return;
	}
	snprintf(cut, sizeof(cut), "%.*s%s", (int)utf8_fitting(text, width - 1), text, mark);
	screen_print(screen, out, colour, cut);
	if (utf8_columns(cut) < width) /* half of a wide character was left */
		pad(out, width - utf8_columns(cut));
}

static void print_cell(const struct table *table, const struct layout *layout,
		       const struct screen *screen, FILE *out, size_t column,
		       const struct cell *row)
{
	const struct cell *cell = &row[column];
	unsigned width = layout->widths[column];
	unsigned room = cell->columns < width ? width - cell->columns : 0;

	if (layout->dropped[column])
		return;
	if (table->columns[column].align == ALIGN_RIGHT)
		pad(out, room);
	print_text(screen, out, cell->text, cell->columns, width, cell->colour);
	if (is_last(table, layout, column, row))
		return;
	pad(out, (table->columns[column].align == ALIGN_LEFT ? room : 0) + GAP);
}

/* A row, up to the last cell that has something to show. */
static void print_row(const struct table *table, const struct layout *layout,
		      const struct screen *screen, FILE *out, const struct cell *row)
{
	for (size_t i = 0; i < table->column_count; i++) {
		print_cell(table, layout, screen, out, i, row);
		if (is_last(table, layout, i, row))
			break;
	}
	fputc('\n', out);
}

static void print_titles(const struct table *table, const struct layout *layout,
			 const struct screen *screen, FILE *out)
{
	struct cell titles[COLUMNS_MAX];

	for (size_t i = 0; i < table->column_count; i++)
		titles[i] = (struct cell){.text = (char *)table->columns[i].title,
					  .columns = utf8_columns(table->columns[i].title),
					  .colour = COLOUR_TITLE};
	print_row(table, layout, screen, out, titles);
}

int table_print(const struct table *table, const struct screen *screen, FILE *out)
{
	struct layout layout;

	if (!table || table->failed)
		return -ENOMEM;
	must(table->cell_count % table->column_count == 0);
	fit(table, screen->width, &layout);
	if (has_titles(table))
		print_titles(table, &layout, screen, out);
	for (size_t i = 0; i < table->cell_count; i += table->column_count)
		print_row(table, &layout, screen, out, &table->cells[i]);
	return 0;
}

void table_finish(struct table *table, const struct screen *screen)
{
	if (table_print(table, screen, stdout) < 0)
		fputs("sluicectl: out of memory\n", stderr);
	table_free(table);
}
