/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what stands where in `top`. The happy path is: three lines on the proxy with sparklines, a
 * table of listeners, then as many targets as there is room for.
 *
 * Failure modes: memory is short, then there is no picture; the screen is small, then targets give
 * way first and the tables leave columns out.
 */
#include "control/ctl/top/picture.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl/json.h"
#include "control/ctl/show.h"
#include "control/ctl/utf8.h"
#include "proxy/base/figures.h"

#define LINE_BYTES  512
#define HEAD_ROWS   4 /* the proxy, two rates, a blank line */
#define TITLE_ROWS  1
#define ENOUGH_ROWS 100000 /* without a terminal */

static const char *const sort_names[TOP_SORTS] = {"as configured", "by sessions/s", "by open",
						  "by bytes/s"};

struct picture {
	FILE *out;
	const struct top_sample *before, *now;
	const struct top_history *history;
	const struct top_view *view;
	const struct screen *screen;
	uint64_t elapsed_us;
};

/* --- history --- */

void top_history_add(struct top_history *history, const struct top_sample *before,
		     const struct top_sample *now)
{
	static const char *const keys[TOP_RATES] = {"sessions", "client_sent_bytes",
						    "client_received_bytes"};
	const json_t *was = json_object_get(before->status, "totals");
	const json_t *is = json_object_get(now->status, "totals");
	bool full = history->count == TOP_HISTORY;

	for (int i = 0; i < TOP_RATES; i++) {
		uint64_t *rates = history->rates[i];

		if (full)
			memmove(rates, rates + 1, (TOP_HISTORY - 1) * sizeof(*rates));
		rates[full ? TOP_HISTORY - 1 : history->count] =
			figure_rate(field_count(was, keys[i]), field_count(is, keys[i]),
				    now->at_us - before->at_us);
	}
	history->count += !full;
}

static uint64_t last_rate(const struct picture *picture, enum top_rate rate)
{
	size_t count = picture->history->count;

	return count ? picture->history->rates[rate][count - 1] : 0;
}

/* --- the proxy --- */

/* One whole line, cut to the screen. */
static void print_line(const struct picture *picture, enum colour colour, char *line)
{
	utf8_clean(line);
	if (picture->screen->width)
		line[utf8_fitting(line, picture->screen->width)] = '\0';
	screen_print(picture->screen, picture->out, colour, line);
	fputc('\n', picture->out);
}

static enum colour phase_colour(const struct picture *picture)
{
	if (picture->view->trouble)
		return COLOUR_BAD;
	return strcmp(field_text(picture->now->status, "phase", ""), "serving") == 0 ? COLOUR_TITLE
										     : COLOUR_WARN;
}

static void print_proxy(const struct picture *picture)
{
	const json_t *status = picture->now->status;
	char line[LINE_BYTES], uptime[FIGURE_TEXT];

	if (picture->view->trouble)
		snprintf(line, sizeof(line), "sluice: %s; trying again", picture->view->trouble);
	else
		snprintf(line, sizeof(line),
			 "sluice %s  pid %" PRIu64 "  up %s  %s%s%s  s: %s  q: quit%s",
			 field_text(status, "version", "?"), field_count(status, "pid"),
			 figure_duration(field_count(status, "uptime_s") * 1000, uptime),
			 field_text(status, "phase", "?"),
			 field_true(status, "ready") ? "" : ", not ready: ",
			 field_true(status, "ready") ? ""
						     : field_text(status, "not_ready_reason", "?"),
			 sort_names[picture->view->sort], picture->view->held ? "  held" : "");
	print_line(picture, phase_colour(picture), line);
}

/* Columns for a sparkline behind `used` ones. */
static size_t spark_room(const struct picture *picture, unsigned used)
{
	unsigned width = picture->screen->width ? picture->screen->width : 80;

	return width > used ? width - used : 0;
}

static void print_sessions(const struct picture *picture)
{
	const json_t *totals = json_object_get(picture->now->status, "totals");
	char line[LINE_BYTES], spark[TOP_SPARK];
	int used = snprintf(line, sizeof(line), "sessions %8" PRIu64 " open  %8" PRIu64 "/s  ",
			    field_count(totals, "sessions_open"), last_rate(picture, TOP_SESSIONS));

	top_spark(picture->history->rates[TOP_SESSIONS], picture->history->count,
		  spark_room(picture, (unsigned)used), picture->screen->utf8, spark);
	snprintf(line + used, sizeof(line) - (size_t)used, "%s", spark);
	print_line(picture, COLOUR_NONE, line);
}

/* The sum of both directions is drawn: what is busy is busy either way. */
static void print_traffic(const struct picture *picture)
{
	const struct top_history *history = picture->history;
	char line[LINE_BYTES], spark[TOP_SPARK], to[FIGURE_TEXT], from[FIGURE_TEXT];
	uint64_t both[TOP_HISTORY];
	int used = snprintf(line, sizeof(line), "traffic  %8s/s out   %8s/s in  ",
			    figure_bytes(last_rate(picture, TOP_TO_CLIENTS), to),
			    figure_bytes(last_rate(picture, TOP_TO_BACKENDS), from));

	for (size_t i = 0; i < history->count; i++)
		both[i] = history->rates[TOP_TO_CLIENTS][i] + history->rates[TOP_TO_BACKENDS][i];
	top_spark(both, history->count, spark_room(picture, (unsigned)used), picture->screen->utf8,
		  spark);
	snprintf(line + used, sizeof(line) - (size_t)used, "%s", spark);
	print_line(picture, COLOUR_NONE, line);
	fputc('\n', picture->out);
}

/* --- pools --- */

static size_t print_pools(const struct picture *picture)
{
	static const struct column columns[] = {
		{.title = "POOL", .least = 8},
		{.title = "USABLE", ALIGN_RIGHT},
		{.title = "OPEN", ALIGN_RIGHT},
		{.title = "WAITING", ALIGN_RIGHT, .drop = 1},
		{.title = "REFUSED", ALIGN_RIGHT, .drop = 2},
		{.title = "", .least = 5},
	};
	struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	const json_t *pool;
	size_t i;

	json_array_foreach (picture->now->pools, i, pool) {
		bool panic = field_true(pool, "panic");

		show_text(table, pool, "name");
		table_addf(table, "%" PRIu64 "/%" PRIu64, field_count(pool, "usable"),
			   field_count(pool, "targets"));
		table_colour(table, field_count(pool, "usable") ? COLOUR_NONE : COLOUR_BAD);
		show_count(table, pool, "sessions_open");
		show_count(table, pool, "waiting");
		show_count(table, pool, "queue_full");
		table_add(table, panic                               ? "panic"
				 : field_true(pool, "backup_in_use") ? "backup in use"
								     : "");
		table_colour(table, panic ? COLOUR_BAD : COLOUR_WARN);
	}
	table_print(table, picture->screen, picture->out);
	table_free(table);
	fputc('\n', picture->out);
	return json_array_size(picture->now->pools) + TITLE_ROWS + 1;
}

/* --- targets --- */

struct row {
	const struct top_target *target;
	uint64_t sessions_rate, sent_rate, received_rate;
	bool failing;  /* connects failed between the samples */
	uint64_t rank; /* sorted by, the greatest first */
	size_t place;
};

static int compare_rows(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	if (a->rank != b->rank)
		return a->rank < b->rank ? 1 : -1;
	return a->place < b->place ? -1 : a->place > b->place;
}

static uint64_t rank_of(const struct row *row, enum top_sort sort)
{
	switch (sort) {
	case TOP_BY_RATE:
		return row->sessions_rate;
	case TOP_BY_OPEN:
		return row->target->open;
	case TOP_BY_BYTES:
		return row->sent_rate + row->received_rate;
	default:
		return 0;
	}
}

static void fill_row(const struct picture *picture, size_t place, struct row *row)
{
	const struct top_target *is = &picture->now->targets[place];
	const struct top_target *was = top_sample_find(picture->before, place, is);

	*row = (struct row){
		.target = is,
		.sessions_rate = figure_rate(was->sessions, is->sessions, picture->elapsed_us),
		.sent_rate = figure_rate(was->sent_bytes, is->sent_bytes, picture->elapsed_us),
		.received_rate =
			figure_rate(was->received_bytes, is->received_bytes, picture->elapsed_us),
		.failing = was->key && is->connect_failures > was->connect_failures,
		.place = place,
	};
	row->rank = rank_of(row, picture->view->sort);
}

static void add_rate(struct table *table, uint64_t bytes)
{
	char text[FIGURE_TEXT];

	table_addf(table, "%s/s", figure_bytes(bytes, text));
}

static void add_row(struct table *table, const struct picture *picture, const struct row *row,
		    uint64_t most_open)
{
	const struct top_target *target = row->target;
	char bar[TOP_BAR_TEXT];

	table_add(table, target->pool);
	table_add(table, target->name);
	table_add(table, target->state);
	table_colour(table, show_state_colour(target->state));
	table_add_count(table, target->open);
	table_add(table, top_bar(target->open, most_open, picture->screen->utf8, bar));
	table_colour(table, COLOUR_NOTE);
	table_addf(table, "%" PRIu64 "/s", row->sessions_rate);
	add_rate(table, row->sent_rate);
	add_rate(table, row->received_rate);
	table_add_count(table, target->connect_failures);
	table_colour(table, row->failing ? COLOUR_BAD : COLOUR_NONE);
	table_add(table, strcmp(target->state, "serving") == 0 ? "" : target->reason);
}

static void print_rows(const struct picture *picture, const struct row *rows, size_t room)
{
	static const struct column columns[] = {
		{.title = "POOL", .least = 6, .drop = 5},
		{.title = "TARGET", .least = 14},
		{.title = "STATE"},
		{.title = "OPEN", ALIGN_RIGHT},
		{.title = "", .drop = 6},
		{.title = "SESSIONS", ALIGN_RIGHT, .drop = 1},
		{.title = "SENT", ALIGN_RIGHT, .drop = 3},
		{.title = "RECEIVED", ALIGN_RIGHT, .drop = 3},
		{.title = "FAILED", ALIGN_RIGHT, .drop = 4},
		{.title = "REASON", .least = 10, .drop = 2},
	};
	struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	size_t count = picture->now->target_count, first = picture->view->offset;
	uint64_t most_open = 0;

	for (size_t i = 0; i < count; i++)
		if (rows[i].target->open > most_open)
			most_open = rows[i].target->open;
	if (first + 1 > count)
		first = count ? count - 1 : 0;
	for (size_t i = first; i < count && i - first < room; i++)
		add_row(table, picture, &rows[i], most_open);
	table_print(table, picture->screen, picture->out);
	table_free(table);
}

static int print_targets(const struct picture *picture, size_t room)
{
	size_t count = picture->now->target_count;
	struct row *rows = calloc(count + 1, sizeof(*rows));

	if (!rows)
		return -1;
	for (size_t i = 0; i < count; i++)
		fill_row(picture, i, &rows[i]);
	qsort(rows, count, sizeof(*rows), compare_rows);
	print_rows(picture, rows, room);
	free(rows);
	return 0;
}

char *top_picture(const struct top_sample *before, const struct top_sample *now,
		  const struct top_history *history, const struct top_view *view,
		  const struct screen *screen)
{
	size_t height = screen->height ? screen->height : ENOUGH_ROWS, used = HEAD_ROWS, size;
	char *text = NULL;
	struct picture picture = {.out = open_memstream(&text, &size),
				  .before = before,
				  .now = now,
				  .history = history,
				  .view = view,
				  .screen = screen,
				  .elapsed_us = now->at_us - before->at_us};
	int err = 0;

	if (!picture.out)
		return NULL;
	print_proxy(&picture);
	print_sessions(&picture);
	print_traffic(&picture);
	if (height >= used + json_array_size(now->pools) + 6)
		used += print_pools(&picture);
	if (height > used + TITLE_ROWS)
		err = print_targets(&picture, height - used - TITLE_ROWS);
	if (!fclose(picture.out) && !err)
		return text;
	free(text);
	return NULL;
}
