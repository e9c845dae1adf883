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

/* Its own, and in brackets what it amounts to when that is something else. */
static void add_weight(struct table *table, const json_t *target)
{
	uint64_t weight = field_count(target, "weight");
	uint64_t effective = field_count(target, "effective_weight");

	if (weight == effective || !field_known(target, "effective_weight"))
		table_addf(table, "%" PRIu64, weight);
	else
		table_addf(table, "%" PRIu64 " (%" PRIu64 ")", weight, effective);
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
	table_add(table, strcmp(state, "serving") == 0 ? "" : show_reason(target));
}

static int add_pool(void *context, const struct reply *pool)
{
	struct listing *listing = context;
	const json_t *members = json_object_get(pool->json, "members"), *target;
	size_t i;

	json_array_foreach (members, i, target)
		if (!listing->state || strcmp(listing->state, field_text(target, "state", "")) == 0)
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
