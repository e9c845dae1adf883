/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns how sources look to people: one line each, or one on a page of its own. A change that is
 * held stands below, with the line that lets it through. Nothing fails.
 */
#include "control/ctl/discovery.h"

#include <inttypes.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/json.h"
#include "control/ctl/show.h"
#include "control/ctl/utf8.h"
#include "proxy/base/clock.h"
#include "proxy/base/figures.h"

#define NOTE_BYTES 1024

static uint64_t seconds_ms(const json_t *object, const char *key)
{
	return (uint64_t)(field_number(object, key) * 1000);
}

/* --- one word, and one sentence --- */

static const char *state_of(const json_t *feed, enum colour *ret_colour)
{
	*ret_colour = COLOUR_BAD;
	if (field_known(feed, "held"))
		return "held";
	if (field_known(feed, "push_problem"))
		return "not pushed";
	*ret_colour = COLOUR_WARN;
	if (field_known(feed, "error"))
		return "failing";
	if (strcmp(field_text(feed, "origin", ""), "source") != 0)
		return "waiting";
	*ret_colour = COLOUR_GOOD;
	return "ok";
}

static const char *note_of(const json_t *feed)
{
	if (field_known(feed, "held"))
		return field_text(json_object_get(feed, "held"), "text", "");
	if (field_known(feed, "push_problem"))
		return field_text(feed, "push_problem", "");
	if (field_known(feed, "error"))
		return field_text(json_object_get(feed, "error"), "text", "");
	return field_text(feed, "notice", "");
}

static void add_state(struct table *table, const json_t *feed)
{
	enum colour colour;
	const char *state = state_of(feed, &colour);

	table_add(table, state);
	table_colour(table, colour);
}

static void add_age(struct table *table, const json_t *feed)
{
	char age[FIGURE_TEXT];

	if (field_known(feed, "age_s"))
		table_add(table, figure_duration(seconds_ms(feed, "age_s"), age));
	else
		table_add(table, "-");
}

/* --- what is held --- */

static const char *mark_of(const char *change)
{
	if (strcmp(change, "added") == 0)
		return "+";
	return strcmp(change, "removed") == 0 ? "-" : "~";
}

static enum colour mark_colour(const char *mark)
{
	if (*mark == '+')
		return COLOUR_GOOD;
	return *mark == '-' ? COLOUR_BAD : COLOUR_WARN;
}

static void print_change(struct ctl *ctl, const json_t *change)
{
	const char *what = field_text(change, "change", "?"), *mark = mark_of(what);
	char line[NOTE_BYTES];

	snprintf(line, sizeof(line), "  %s %s%s%s%s%s", mark, field_text(change, "address", "?"),
		 field_known(change, "id") ? " " : "", field_text(change, "id", ""),
		 *mark == '~' ? ", " : "", *mark == '~' ? what : "");
	screen_print(&ctl->screen, stdout, mark_colour(mark), utf8_clean(line));
	putchar('\n');
}

/* What it is and how to decide; the changes only where there is room for them. */
static void print_held(struct ctl *ctl, const json_t *feed, bool in_full)
{
	const json_t *held = json_object_get(feed, "held"), *change;
	const char *pool = field_text(feed, "pool", "?"), *source = field_text(feed, "source", "?");
	uint64_t seen = field_count(held, "seen");
	char since[SHOW_AGE];
	size_t i;

	putchar('\n');
	ctl_say("held of %s/%s for %s: %s; %" PRIu64 " answer%s said so", pool, source,
		show_age_text(field_wall_us(held, "since"), clock_wall_us(), since),
		field_text(held, "text", "?"), seen, seen == 1 ? "" : "s in a row");
	if (!in_full) {
		ctl_say("  see: sluicectl discovery show %s %s", pool, source);
		return;
	}
	json_array_foreach (json_object_get(held, "diff"), i, change)
		print_change(ctl, change);
	ctl_say("  let it through: sluicectl discovery approve %s %s --digest %s", pool, source,
		field_text(held, "digest", "?"));
}

/* --- all sources --- */

static void print_feeds(struct ctl *ctl, const json_t *feeds)
{
	static const struct column columns[] = {
		{.title = "POOL", .least = 8},
		{.title = "SOURCE", .least = 8},
		{.title = "KIND", .drop = 3},
		{.title = "STATE"},
		{.title = "TARGETS", ALIGN_RIGHT},
		{.title = "USABLE", ALIGN_RIGHT},
		{.title = "AGE", ALIGN_RIGHT},
		{.title = "EVERY", ALIGN_RIGHT, .drop = 2},
		{.title = "GENERATION", ALIGN_RIGHT, .drop = 1},
		{.title = "NOTES", .least = 20},
	};
	struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	const json_t *feed;
	size_t i;

	json_array_foreach (feeds, i, feed) {
		char every[FIGURE_TEXT];

		show_text(table, feed, "pool");
		show_text(table, feed, "source");
		show_text(table, feed, "kind");
		add_state(table, feed);
		show_count(table, feed, "targets");
		show_count(table, feed, "usable");
		add_age(table, feed);
		table_add(table, figure_duration(seconds_ms(feed, "interval_s"), every));
		show_count(table, feed, "generation");
		table_add(table, note_of(feed));
	}
	putchar('\n');
	table_finish(table, &ctl->screen);
}

static void add_proxy(struct table *table, const json_t *proxy)
{
	bool up = field_true(proxy, "up");

	show_name(table, "proxy");
	if (up)
		table_addf(table, "pid %" PRIu64 " at %s", field_count(proxy, "pid"),
			   field_text(proxy, "socket", "?"));
	else
		table_add(table, field_text(proxy, "problem", "not found yet"));
	table_colour(table, up ? COLOUR_GOOD : COLOUR_BAD);
}

static void add_credentials(struct table *table, const json_t *json)
{
	const json_t *credentials = json_object_get(json, "credentials");
	char expires[SHOW_AGE];

	if (!json_is_object(credentials))
		return;
	show_name(table, "credentials");
	table_addf(table, "%s%s%s", field_text(credentials, "provider", "?"),
		   field_known(credentials, "expires") ? ", they end " : "",
		   field_known(credentials, "expires")
			   ? show_age_text(field_wall_us(credentials, "expires"), clock_wall_us(),
					   expires)
			   : "");
}

static void print_daemon(struct ctl *ctl, const json_t *json)
{
	struct table *table = show_facts();
	bool ready = field_true(json, "ready");
	char uptime[FIGURE_TEXT];

	show_name(table, "sluice-control");
	table_addf(table, "%s, pid %" PRIu64 ", up %s", field_text(json, "version", "?"),
		   field_count(json, "pid"), figure_duration(seconds_ms(json, "uptime_s"), uptime));
	show_name(table, "ready");
	table_addf(table, ready ? "yes" : "no: %s", field_text(json, "not_ready_reason", "?"));
	table_colour(table, ready ? COLOUR_GOOD : COLOUR_BAD);
	add_proxy(table, json_object_get(json, "proxy"));
	add_credentials(table, json);
	table_finish(table, &ctl->screen);
}

void discovery_print(struct ctl *ctl, const json_t *json)
{
	const json_t *feeds = json_object_get(json, "feeds"), *feed;
	size_t i;

	print_daemon(ctl, json);
	print_feeds(ctl, feeds);
	json_array_foreach (feeds, i, feed)
		if (field_known(feed, "held"))
			print_held(ctl, feed, false);
}

/* --- one source --- */

static void add_line(struct table *table, const json_t *object, const char *key, const char *name)
{
	if (!field_known(object, key))
		return;
	show_name(table, name);
	show_text(table, object, key);
}

static void add_error(struct table *table, const json_t *error)
{
	char since[SHOW_AGE];

	if (!json_is_object(error))
		return;
	show_name(table, "error");
	table_addf(table, "%s; %" PRIu64 " in a row for %s", field_text(error, "text", "?"),
		   field_count(error, "in_a_row"),
		   show_age_text(field_wall_us(error, "since"), clock_wall_us(), since));
	table_colour(table, COLOUR_BAD);
}

static void print_facts(struct ctl *ctl, const json_t *feed)
{
	struct table *table = show_facts();
	char every[FIGURE_TEXT];

	show_name(table, "source");
	table_addf(table, "%s/%s, %s", field_text(feed, "pool", "?"),
		   field_text(feed, "source", "?"), field_text(feed, "kind", "?"));
	add_line(table, feed, "region", "region");
	show_name(table, "state");
	add_state(table, feed);
	show_name(table, "targets");
	table_addf(table, "%" PRIu64 ", %" PRIu64 " usable, from %s", field_count(feed, "targets"),
		   field_count(feed, "usable"), field_text(feed, "origin", "?"));
	show_name(table, "age");
	add_age(table, feed);
	show_name(table, "asked every");
	table_add(table, figure_duration(seconds_ms(feed, "interval_s"), every));
	show_name(table, "generation");
	show_count(table, feed, "generation");
	add_error(table, json_object_get(feed, "error"));
	add_line(table, feed, "push_problem", "not pushed");
	add_line(table, feed, "notice", "notice");
	table_finish(table, &ctl->screen);
}

static void print_members(struct ctl *ctl, const json_t *members)
{
	static const struct column columns[] = {
		{.title = "ADDRESS", .least = 12}, {.title = "ID", .least = 12},
		{.title = "ZONE", .drop = 2},      {.title = "WEIGHT", ALIGN_RIGHT},
		{.title = "NOTES", .drop = 1},
	};
	struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	const json_t *member;
	size_t i;

	json_array_foreach (members, i, member) {
		bool backup = field_true(member, "backup"), drains = field_true(member, "draining");

		show_text(table, member, "address");
		show_text(table, member, "id");
		show_text(table, member, "zone");
		show_count(table, member, "weight");
		table_addf(table, "%s%s%s", drains ? "drains" : "", drains && backup ? ", " : "",
			   backup ? "backup" : "");
	}
	putchar('\n');
	table_finish(table, &ctl->screen);
}

void discovery_print_feed(struct ctl *ctl, const json_t *feed)
{
	print_facts(ctl, feed);
	if (field_size(feed, "members"))
		print_members(ctl, json_object_get(feed, "members"));
	if (field_known(feed, "held"))
		print_held(ctl, feed, true);
}
