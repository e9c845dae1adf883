/* SPDX-License-Identifier: Apache-2.0
 *
 * `targets`: one line for each target of one pool or of all. Reasons are shown where they matter,
 * which is not for what simply serves.
 */
#include <inttypes.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/json.h"
#include "control/ctl/pools.h"
#include "control/ctl/show.h"
#include "control/ctl/verbs.h"
#include "proxy/base/clock.h"

struct listing {
	struct ctl *ctl;
	struct table *table;
	const char *state; /* only those; NULL: all */
	size_t pools;      /* walked so far */
};

static const struct column columns[] = {
	{.title = "POOL", .least = 6, .drop = 3},
	{.title = "TARGET", .least = 16},
	{.title = "STATE"},
	{.title = "FOR", ALIGN_RIGHT, .drop = 5},
	{.title = "WEIGHT", ALIGN_RIGHT, .drop = 4},
	{.title = "OPEN", ALIGN_RIGHT},
	{.title = "SESSIONS", ALIGN_RIGHT, .drop = 6},
	{.title = "FAILED", ALIGN_RIGHT, .drop = 7},
	{.title = "SENT", ALIGN_RIGHT, .drop = 8},
	{.title = "RECEIVED", ALIGN_RIGHT, .drop = 8},
	{.title = "ZONE", .least = 8, .drop = 9},
	{.title = "REASON", .least = 12, .drop = 2},
};

/* The operator's, and its source's in brackets; 0 while it takes nothing goes without saying. */
static void add_weight(struct table *table, const json_t *target)
{
	const json_t *override = json_object_get(target, "override");
	uint64_t weight = field_count(target, "weight");

	if (field_known(override, "weight"))
		table_addf(table, "%" PRIu64 " (%" PRIu64 ")", field_count(override, "weight"),
			   weight);
	else
		table_addf(table, "%" PRIu64, weight);
}

/* What simply serves needs no reason, unless somebody had a hand in it. */
static void add_reason(struct table *table, const json_t *target)
{
	const json_t *override = json_object_get(target, "override");
	const char *why = field_text(override, "why", "");

	if (strcmp(field_text(target, "state", "?"), "serving") != 0)
		table_add(table, show_reason(target));
	else if (field_known(override, "weight"))
		table_addf(table, "weight by %s%s%s", field_text(override, "who", "?"),
			   *why ? ": " : "", why);
	else
		table_add(table, "");
}

static bool is_wanted(const struct listing *listing, const json_t *target)
{
	if (listing->state)
		return strcmp(listing->state, field_text(target, "state", "")) == 0;
	return !show_is_gone(target);
}

static void add_target(struct table *table, const json_t *target)
{
	const char *state = field_text(target, "state", "?");

	show_text(table, target, "pool");
	show_text(table, target, "name");
	table_add(table, state);
	table_colour(table, show_state_colour(state));
	show_age(table, field_wall_us(target, "state_since"), clock_wall_us());
	add_weight(table, target);
	show_count(table, target, "open");
	show_count(table, target, "sessions");
	show_count(table, target, "connect_failures");
	show_bytes(table, target, "sent_bytes");
	show_bytes(table, target, "received_bytes");
	show_text(table, target, "zone");
	add_reason(table, target);
}

static int add_pool(void *context, const struct reply *pool)
{
	struct listing *listing = context;
	const json_t *members = json_object_get(pool->json, "members"), *target;
	size_t i;

	json_array_foreach (members, i, target)
		if (is_wanted(listing, target))
			add_target(listing->table, target);
	return CTL_OK;
}

/* The answers as they came, between what makes one document of them. */
static int print_json(void *context, const struct reply *pool)
{
	struct listing *listing = context;

	fputs(listing->pools++ ? ",\n" : "", stdout);
	fwrite(pool->body, 1, pool->bytes, stdout);
	return CTL_OK;
}

static int show_json(struct ctl *ctl, const char *pool)
{
	struct listing listing = {.ctl = ctl};
	struct reply reply;
	int code;

	if (!pool) {
		fputs("{\"pools\": [", stdout);
		code = pools_walk(ctl, NULL, print_json, &listing);
		fputs("]}\n", stdout);
		return code;
	}
	code = pools_get(ctl, pool, &reply);
	if (code)
		return code;
	ctl_show(ctl, &reply, NULL);
	reply_fini(&reply);
	return CTL_OK;
}

int verb_targets(struct ctl *ctl)
{
	const char *pool = ctl->args.words[0];
	struct listing listing = {.ctl = ctl, .state = args_option(&ctl->args, "--state")};

	if (ctl_wants_json(ctl))
		return show_json(ctl, pool);
	listing.table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	int code = pools_walk(ctl, pool, add_pool, &listing);

	if (code)
		table_free(listing.table);
	else
		table_finish(listing.table, &ctl->screen);
	return code;
}
