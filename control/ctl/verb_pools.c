/* SPDX-License-Identifier: Apache-2.0
 *
 * `pools` and `sources`, and the walk over all pools with their members, which the API gives one
 * by one. Failure mode of the walk: a pool that a reload took away between two requests ends it
 * with the server's reason.
 */
#include <inttypes.h>

#include "control/ctl/ctl.h"
#include "control/ctl/json.h"
#include "control/ctl/pools.h"
#include "control/ctl/show.h"
#include "control/ctl/verbs.h"
#include "proxy/base/clock.h"

int pools_get(struct ctl *ctl, const char *name, struct reply *ret_reply)
{
	struct path path;

	path_init(&path, name ? "/v1/pools/" : "/v1/pools");
	if (name)
		path_add_encoded(&path, name);
	return ctl_get(ctl, &path, ret_reply);
}

int pools_walk(struct ctl *ctl, const char *name,
	       int (*each)(void *context, const struct reply *pool), void *context)
{
	struct reply all = {0}, one;
	int code = name ? CTL_OK : pools_get(ctl, NULL, &all);
	const json_t *pools = json_object_get(all.json, "pools");
	size_t count = name ? 1 : json_array_size(pools);

	for (size_t i = 0; !code && i < count; i++) {
		const char *each_name =
			name ? name : field_text(json_array_get(pools, i), "name", "");

		code = pools_get(ctl, each_name, &one);
		if (code)
			break;
		code = each(context, &one);
		reply_fini(&one);
	}
	reply_fini(&all);
	return code;
}

/* --- pools --- */

static void add_usable(struct table *table, const json_t *pool)
{
	uint64_t usable = field_count(pool, "usable"), targets = field_count(pool, "targets");

	table_addf(table, "%" PRIu64 "/%" PRIu64, usable, targets);
	table_colour(table, !usable ? COLOUR_BAD : usable < targets ? COLOUR_WARN : COLOUR_GOOD);
}

/* What an operator must not miss, in a few words. */
static void add_notes(struct table *table, const json_t *pool)
{
	bool panic = field_true(pool, "panic"), backup = field_true(pool, "backup_in_use");

	table_addf(table, "%s%s%s", panic ? "panic" : "", panic && backup ? ", " : "",
		   backup ? "backup in use" : "");
	table_colour(table, panic ? COLOUR_BAD : COLOUR_WARN);
}

void pools_print(struct ctl *ctl, const json_t *pools)
{
	static const struct column columns[] = {
		{.title = "POOL", .least = 8},
		{.title = "BALANCE", .drop = 2},
		{.title = "USABLE", ALIGN_RIGHT},
		{.title = "HEALTHY", ALIGN_RIGHT, .drop = 3},
		{.title = "OPEN", ALIGN_RIGHT},
		{.title = "WAITING", ALIGN_RIGHT, .drop = 1},
		{.title = "QUEUED", ALIGN_RIGHT, .drop = 5},
		{.title = "REFUSED", ALIGN_RIGHT, .drop = 5},
		{.title = "TIMED OUT", ALIGN_RIGHT, .drop = 5},
		{.title = "NOTES"},
	};
	struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	const json_t *pool;
	size_t i;

	json_array_foreach (pools, i, pool) {
		show_text(table, pool, "name");
		show_text(table, pool, "balance");
		add_usable(table, pool);
		table_addf(table, "%" PRIu64 "/%" PRIu64, field_count(pool, "healthy"),
			   field_count(pool, "eligible"));
		show_count(table, pool, "sessions_open");
		show_count(table, pool, "waiting");
		show_count(table, pool, "queued");
		show_count(table, pool, "queue_full");
		show_count(table, pool, "queue_timeouts");
		add_notes(table, pool);
	}
	table_finish(table, &ctl->screen);
}

static void print_pools(struct ctl *ctl, const json_t *json)
{
	pools_print(ctl, json_object_get(json, "pools"));
}

int verb_pools(struct ctl *ctl)
{
	struct path path;

	path_init(&path, "/v1/pools");
	return ctl_ask(ctl, "GET", &path, NULL, print_pools);
}

/* --- sources --- */

static const struct column source_columns[] = {
	{.title = "POOL", .least = 8},        {.title = "SOURCE", .least = 8},
	{.title = "GENERATION", ALIGN_RIGHT}, {.title = "TARGETS", ALIGN_RIGHT},
	{.title = "PUSHED AGO", ALIGN_RIGHT},
};

static void add_sources(struct table *table, const json_t *pool)
{
	const json_t *source;
	size_t i;

	json_array_foreach (json_object_get(pool, "sources"), i, source) {
		show_text(table, pool, "name");
		show_text(table, source, "name");
		show_count(table, source, "generation");
		show_count(table, source, "targets");
		show_age(table, field_wall_us(source, "pushed"), clock_wall_us());
	}
}

static void print_sources(struct ctl *ctl, const json_t *json)
{
	struct table *table = table_new(source_columns, 5);
	const json_t *pools = json_object_get(json, "pools"), *pool;
	size_t i;

	if (pools) {
		json_array_foreach (pools, i, pool)
			add_sources(table, pool);
	} else
		add_sources(table, json);
	table_finish(table, &ctl->screen);
}

int verb_sources(struct ctl *ctl)
{
	struct reply reply;
	int code = pools_get(ctl, ctl->args.words[0], &reply);

	if (code)
		return code;
	ctl_show(ctl, &reply, print_sources);
	reply_fini(&reply);
	return CTL_OK;
}
