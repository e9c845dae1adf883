/* SPDX-License-Identifier: Apache-2.0
 *
 * `sessions`: pages of the API until --limit is reached. Sessions come and go between pages, so a
 * listing of many is no instant. With --json it is one page, as it came.
 */
#include <inttypes.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/json.h"
#include "control/ctl/show.h"
#include "control/ctl/verbs.h"
#include "proxy/base/figures.h"

#define LIMIT     500
#define TOP_LIMIT 20
#define PAGE_MAX  5000

static const struct column columns[] = {
	{.title = "ID"},
	{.title = "STATE", .drop = 5},
	{.title = "LISTENER", .least = 6, .drop = 6},
	{.title = "CLIENT", .least = 15},
	{.title = "TARGET", .least = 15},
	{.title = "POOL", .least = 6, .drop = 4},
	{.title = "AGE", ALIGN_RIGHT},
	{.title = "IDLE", ALIGN_RIGHT, .drop = 2},
	{.title = "IN", ALIGN_RIGHT},
	{.title = "OUT", ALIGN_RIGHT},
	{.title = "RELAY", .drop = 7},
	{.title = "RETRIES", ALIGN_RIGHT, .drop = 9},
	{.title = "WORKER", ALIGN_RIGHT, .drop = 8},
};

static void add_duration(struct table *table, const json_t *session, const char *key)
{
	char text[FIGURE_TEXT];

	if (field_known(session, key))
		table_add(table, figure_duration(field_count(session, key), text));
	else
		table_add(table, "-");
}

static void add_session(struct table *table, const json_t *session)
{
	show_text(table, session, "id");
	show_text(table, session, "state");
	show_text(table, session, "listener");
	show_text(table, session, "client");
	show_text(table, session, "target");
	show_text(table, session, "pool");
	add_duration(table, session, "age_ms");
	add_duration(table, session, "idle_ms");
	show_bytes(table, session, "client_bytes");
	show_bytes(table, session, "backend_bytes");
	show_text(table, session, "relay");
	show_count(table, session, "retries");
	show_count(table, session, "worker");
}

static int get_page(struct ctl *ctl, uint64_t limit, const char *after, struct reply *ret_reply)
{
	const struct args *args = &ctl->args;
	const char *sort = args_option(args, "--sort");
	struct path path;

	if (!sort && args_option(args, "--top"))
		sort = "bytes";
	path_init(&path, "/v1/sessions");
	path_query(&path, "pool", args_option(args, "--pool"));
	path_query(&path, "target", args_option(args, "--target"));
	path_query(&path, "listener", args_option(args, "--listener"));
	path_query(&path, "sort", sort);
	path_query_number(&path, "limit", limit < PAGE_MAX ? limit : PAGE_MAX);
	path_query(&path, "after", after);
	return ctl_get(ctl, &path, ret_reply);
}

/* Rows of one page; returns where the next one begins, in `after`, or "" if there is none. */
static void add_page(struct table *table, const json_t *page, uint64_t limit, char *after,
		     size_t size)
{
	const json_t *session;
	size_t i;

	json_array_foreach (json_object_get(page, "sessions"), i, session)
		if (table_rows(table) < limit)
			add_session(table, session);
	snprintf(after, size, "%s", field_text(page, "next", ""));
}

static int show_pages(struct ctl *ctl, uint64_t limit)
{
	const char *first = args_option(&ctl->args, "--after");
	struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	char after[32];
	struct reply page;
	size_t rows;
	int code;

	snprintf(after, sizeof(after), "%s", first ? first : "");
	do {
		rows = table_rows(table);
		code = get_page(ctl, limit - rows, *after ? after : NULL, &page);
		if (code)
			break;
		add_page(table, page.json, limit, after, sizeof(after));
		reply_fini(&page);
	} while (*after && table_rows(table) < limit && table_rows(table) > rows);
	if (code) {
		table_free(table);
		return code;
	}
	rows = table_rows(table);
	table_finish(table, &ctl->screen);
	if (*after)
		fprintf(stderr, "sluicectl: %zu shown, there are more: --limit N, --after %s\n",
			rows, after);
	return CTL_OK;
}

int verb_sessions(struct ctl *ctl)
{
	bool top = args_option(&ctl->args, "--top");
	uint64_t limit = args_number(&ctl->args, "--limit", top ? TOP_LIMIT : LIMIT);
	struct reply reply;

	if (!limit)
		return ctl_usage(ctl, "--limit: at least 1");
	if (!ctl_wants_json(ctl))
		return show_pages(ctl, limit);
	int code = get_page(ctl, limit, args_option(&ctl->args, "--after"), &reply);

	if (code)
		return code;
	ctl_show(ctl, &reply, NULL);
	reply_fini(&reply);
	return CTL_OK;
}
