/* SPDX-License-Identifier: Apache-2.0
 *
 * `explain`: everything that is known of one target, the reason first, its history last. What does
 * not apply to it is left out.
 */
#include <inttypes.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/json.h"
#include "control/ctl/show.h"
#include "control/ctl/targets.h"
#include "control/ctl/verbs.h"
#include "proxy/base/clock.h"
#include "proxy/base/figures.h"

static void add_state(struct table *table, const json_t *target)
{
	const char *state = field_text(target, "state", "?");
	char since[SHOW_AGE];

	show_name(table, "target");
	table_addf(table, "%s in pool %s%s%s", field_text(target, "name", "?"),
		   field_text(target, "pool", "?"), field_known(target, "id") ? ", id " : "",
		   field_text(target, "id", ""));
	show_name(table, "state");
	table_addf(table, "%s for %s", state,
		   show_age_text(field_wall_us(target, "state_since"), clock_wall_us(), since));
	table_colour(table, show_state_colour(state));
	show_name(table, "because");
	table_add(table, show_reason(target));
}

static void add_health(struct table *table, const json_t *target)
{
	const json_t *health = json_object_get(target, "health");
	uint64_t passed = field_count(health, "passed"), failed = field_count(health, "failed");
	char ago[SHOW_AGE];

	if (!field_known(health, "status"))
		return;
	show_name(table, "health");
	if (!field_known(health, "checked")) {
		show_text(table, health, "status");
		return;
	}
	table_addf(table, "%s: %s (%" PRIu64 " in a row %s; reported %s ago, took %.1f ms)",
		   field_text(health, "status", "?"), field_text(health, "text", "?"),
		   failed ? failed : passed, failed ? "failed" : "passed",
		   show_age_text(field_wall_us(health, "checked"), clock_wall_us(), ago),
		   field_number(health, "took_ms"));
}

static void add_until(struct table *table, const json_t *object, const char *key, const char *name)
{
	char left[SHOW_AGE];

	if (!field_known(object, key))
		return;
	show_name(table, name);
	table_addf(table, "%s (%s)", field_text(object, key, "?"),
		   show_age_text(field_wall_us(object, key), clock_wall_us(), left));
}

static void add_override(struct table *table, const json_t *target)
{
	const json_t *override = json_object_get(target, "override");
	const char *kind = field_text(override, "kind", "none");
	const char *why = field_text(override, "why", "");
	char what[64], since[SHOW_AGE];

	if (!json_is_object(override))
		return;
	if (strcmp(kind, "none") != 0)
		snprintf(what, sizeof(what), "%s", kind);
	else
		snprintf(what, sizeof(what), "weight %" PRIu64, field_count(override, "weight"));
	show_name(table, "override");
	table_addf(table, "%s by %s, %s ago%s%s", what, field_text(override, "who", "?"),
		   show_age_text(field_wall_us(override, "since"), clock_wall_us(), since),
		   *why ? ": " : "", why);
	table_colour(table, COLOUR_WARN);
	add_until(table, override, "until", "until");
}

static void add_share(struct table *table, const json_t *target)
{
	show_name(table, "weight");
	table_addf(table, "%" PRIu64 ", effective %" PRIu64 "%s", field_count(target, "weight"),
		   field_count(target, "effective_weight"),
		   field_true(target, "backup") ? ", a backup" : "");
	show_name(table, "from");
	table_addf(table, "source %s%s%s", field_text(target, "source", "?"),
		   field_known(target, "zone") ? ", zone " : "", field_text(target, "zone", ""));
}

static void add_sessions(struct table *table, const json_t *target)
{
	uint64_t most = field_count(target, "max_connections");
	char limit[40] = "", sent[FIGURE_TEXT], received[FIGURE_TEXT];

	if (most)
		snprintf(limit, sizeof(limit), " of at most %" PRIu64, most);
	show_name(table, "sessions");
	table_addf(table,
		   "%" PRIu64 " open%s, %" PRIu64 " ever, %" PRIu64 " failed to connect, %" PRIu64
		   " retried",
		   field_count(target, "open"), limit, field_count(target, "sessions"),
		   field_count(target, "connect_failures"), field_count(target, "retries"));
	show_name(table, "bytes");
	table_addf(table, "%s to it, %s from it",
		   figure_bytes(field_count(target, "sent_bytes"), sent),
		   figure_bytes(field_count(target, "received_bytes"), received));
	if (!field_known(target, "source_ports_left"))
		return;
	show_name(table, "source ports");
	table_addf(table, "%" PRIu64 " left", field_count(target, "source_ports_left"));
}

static void add_pool(struct table *table, const json_t *target)
{
	const json_t *pool = json_object_get(target, "pool_state");

	if (!json_is_object(pool))
		return;
	show_name(table, "its pool");
	table_addf(table, "%" PRIu64 " usable, %" PRIu64 " healthy%s", field_count(pool, "usable"),
		   field_count(pool, "healthy"),
		   field_true(pool, "panic") ? "; panic: health is not heeded" : "");
	table_colour(table, field_true(pool, "panic") ? COLOUR_BAD : COLOUR_NONE);
}

static void print_history(struct ctl *ctl, const json_t *history)
{
	static const struct column columns[] = {
		{.title = "WHEN"}, {.title = "AGO", ALIGN_RIGHT}, {.title = "WHAT", .least = 20}};
	struct table *table = table_new(columns, 3);
	const json_t *moment;
	size_t i;

	json_array_foreach (history, i, moment) {
		show_text(table, moment, "time");
		show_age(table, field_wall_us(moment, "time"), clock_wall_us());
		show_text(table, moment, "text");
	}
	if (table_rows(table))
		putchar('\n');
	if (table_rows(table))
		table_finish(table, &ctl->screen);
	else
		table_free(table);
}

static void print_target(struct ctl *ctl, const json_t *target)
{
	struct table *table = show_facts();

	add_state(table, target);
	add_health(table, target);
	add_until(table, target, "ejected_until", "ejected until");
	add_override(table, target);
	add_until(table, target, "drain_deadline", "closed at");
	add_share(table, target);
	add_sessions(table, target);
	add_pool(table, target);
	table_finish(table, &ctl->screen);
	print_history(ctl, json_object_get(target, "history"));
}

int verb_explain(struct ctl *ctl)
{
	struct path path;

	target_path(ctl, "/explain", &path);
	return ctl_ask(ctl, "GET", &path, NULL, print_target);
}
