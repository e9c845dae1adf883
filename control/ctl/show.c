/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what a value looks like wherever it appears. Nothing fails: what the server does not know,
 * or names in a way that we do not know, is shown plainly.
 */
#include "control/ctl/show.h"

#include <string.h>

#include "control/ctl/json.h"
#include "proxy/base/figures.h"

enum colour show_state_colour(const char *state)
{
	static const struct {
		const char *state;
		enum colour colour;
	} colours[] = {
		{"serving", COLOUR_GOOD},     {"ramping", COLOUR_GOOD},
		{"down", COLOUR_BAD},         {"ejected", COLOUR_BAD},
		{"checking", COLOUR_NOTE},    {"draining", COLOUR_WARN},
		{"maintenance", COLOUR_WARN}, {"removed", COLOUR_DIM},
		{"idle_backup", COLOUR_DIM},  {"listening", COLOUR_GOOD},
		{"paused", COLOUR_WARN},
	};

	for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++)
		if (strcmp(colours[i].state, state) == 0)
			return colours[i].colour;
	return COLOUR_NONE;
}

void show_text(struct table *table, const json_t *object, const char *key)
{
	table_add(table, field_text(object, key, "-"));
}

void show_count(struct table *table, const json_t *object, const char *key)
{
	if (field_known(object, key))
		table_add_count(table, field_count(object, key));
	else
		table_add(table, "-");
}

void show_bytes(struct table *table, const json_t *object, const char *key)
{
	if (field_known(object, key))
		table_add_bytes(table, field_count(object, key));
	else
		table_add(table, "-");
}

bool show_is_gone(const json_t *target)
{
	return strcmp(field_text(target, "state", ""), "removed") == 0 &&
	       !field_count(target, "open");
}

/* The server's sentence is "down since 2026-01-02T03:04:05.678Z: connect refused". */
const char *show_reason(const json_t *target)
{
	static const char since[] = " since ";
	const char *state = field_text(target, "state", "?");
	const char *reason = field_text(target, "reason", "");
	const char *rest;

	if (strncmp(reason, state, strlen(state)) != 0 ||
	    strncmp(reason + strlen(state), since, strlen(since)) != 0)
		return reason;
	rest = strstr(reason, ": ");
	return rest ? rest + 2 : reason;
}

const char *show_age_text(uint64_t wall_us, uint64_t now_us, char *buf)
{
	char text[FIGURE_TEXT];

	if (!wall_us)
		return strcpy(buf, "-");
	if (wall_us > now_us)
		snprintf(buf, SHOW_AGE, "in %s", figure_duration((wall_us - now_us) / 1000, text));
	else
		snprintf(buf, SHOW_AGE, "%s", figure_duration((now_us - wall_us) / 1000, text));
	return buf;
}

void show_age(struct table *table, uint64_t wall_us, uint64_t now_us)
{
	char text[SHOW_AGE];

	table_add(table, show_age_text(wall_us, now_us, text));
}

void show_name(struct table *table, const char *name)
{
	table_add(table, name);
	table_colour(table, COLOUR_DIM);
}

struct table *show_facts(void)
{
	static const struct column columns[] = {{.title = ""}, {.title = "", .least = 20}};

	return table_new(columns, 2);
}
