/* SPDX-License-Identifier: Apache-2.0
 *
 * `events` and `discovery events`: the last few, and with --follow those to come.
 *
 * Happy path: all pages that the proxy still has, of which the last --limit are shown; then long
 * polls, each of which ends with the first event or after a while. Failure modes: a proxy that goes
 * away while we follow ends it; one that was started anew counts its events from 1 again, which a
 * smaller last_id tells, and then we begin again.
 */
#include <inttypes.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/json.h"
#include "control/ctl/utf8.h"
#include "control/ctl/verbs.h"

#define LIMIT       30
#define PAGE        1000
#define POLL_S      25
#define ANSWER_MS   10000
#define LINE_BYTES  1024
#define NAMES_BYTES 512

struct listing {
	struct ctl *ctl;
	json_t *kept; /* an array: the newest that pass the filters */
	uint64_t limit;
	uint64_t last_id; /* seen */
};

static uint64_t event_id(const json_t *event)
{
	const json_t *id = json_object_get(event, "id");
	uint64_t number = 0;

	if (json_is_string(id))
		sscanf(json_string_value(id), "%" SCNu64, &number);
	else
		number = field_count(event, "id");
	return number;
}

static bool passes(const struct ctl *ctl, const json_t *event)
{
	const char *pool = args_option(&ctl->args, "--pool");
	const char *target = args_option(&ctl->args, "--target");

	return (!pool || strcmp(pool, field_text(event, "pool", "")) == 0) &&
	       (!target || strcmp(target, field_text(event, "target", "")) == 0);
}

/* --- showing --- */

static enum colour level_colour(const char *level)
{
	if (strcmp(level, "error") == 0)
		return COLOUR_BAD;
	return strcmp(level, "warn") == 0 ? COLOUR_WARN : COLOUR_NONE;
}

/* One line, not a table: what is to come has no width yet. */
static void print_event(const struct ctl *ctl, const json_t *event)
{
	static const char *const names[] = {"pool", "source", "target"};
	char line[LINE_BYTES], of[NAMES_BYTES] = "";

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *name = field_text(event, names[i], "");
		size_t len = strlen(of);

		snprintf(of + len, sizeof(of) - len, "%s%s", *of && *name ? "/" : "", name);
	}
	snprintf(line, sizeof(line), "%s %-5s %-16s %s%s%s", field_text(event, "time", "?"),
		 field_text(event, "level", "?"), field_text(event, "kind", "?"), of,
		 *of ? ": " : "", field_text(event, "text", ""));
	screen_print(&ctl->screen, stdout, level_colour(field_text(event, "level", "")),
		     utf8_clean(line));
	putchar('\n');
}

static void show_event(const struct ctl *ctl, const json_t *event)
{
	if (!ctl_wants_json(ctl)) {
		print_event(ctl, event);
		return;
	}
	json_dumpf(event, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	putchar('\n');
}

static void show_kept(const struct listing *listing)
{
	const json_t *event;
	size_t i;

	json_array_foreach (listing->kept, i, event)
		show_event(listing->ctl, event);
	fflush(stdout);
	json_array_clear(listing->kept);
}

/* --- getting --- */

static int get_page(const struct listing *listing, uint64_t limit, unsigned wait_s,
		    struct reply *ret_reply)
{
	struct path path;

	path_init(&path, "/v1/events");
	path_query_number(&path, "after", listing->last_id);
	if (limit)
		path_query_number(&path, "limit", limit);
	if (wait_s)
		path_query_number(&path, "wait_s", wait_s);
	client_set_timeout(listing->ctl->client, wait_s * UINT64_C(1000) + ANSWER_MS);
	return ctl_get(listing->ctl, &path, ret_reply);
}

/* Keep what is to be shown; returns how many came. */
static size_t keep(struct listing *listing, const json_t *page)
{
	const json_t *events = json_object_get(page, "events");
	json_t *event;
	size_t i;

	if (field_known(page, "last_id")) {
		const json_t *last = json_object_get(page, "last_id");
		json_t *as_event = json_pack("{s:O}", "id", last);

		if (event_id(as_event) < listing->last_id)
			listing->last_id = 0;
		json_decref(as_event);
	}
	json_array_foreach (events, i, event) {
		if (event_id(event) > listing->last_id)
			listing->last_id = event_id(event);
		if (passes(listing->ctl, event))
			json_array_append(listing->kept, event);
		if (json_array_size(listing->kept) > listing->limit)
			json_array_remove(listing->kept, 0);
	}
	return json_array_size(events);
}

/* All that the proxy has, page by page. */
static int read_past(struct listing *listing)
{
	struct reply page;
	size_t count;

	do {
		int code = get_page(listing, PAGE, 0, &page);

		if (code)
			return code;
		count = keep(listing, page.json);
		reply_fini(&page);
	} while (count);
	return CTL_OK;
}

static int follow(struct listing *listing)
{
	struct reply page;

	for (listing->limit = PAGE;;) {
		int code = get_page(listing, PAGE, POLL_S, &page);

		if (code)
			return code;
		keep(listing, page.json);
		reply_fini(&page);
		show_kept(listing);
		if (ferror(stdout))
			return CTL_OK; /* main says so */
	}
}

static int show_page(struct listing *listing)
{
	struct reply page;
	int code = get_page(listing, args_number(&listing->ctl->args, "--limit", 0), 0, &page);

	if (code)
		return code;
	ctl_show(listing->ctl, &page, NULL);
	reply_fini(&page);
	return CTL_OK;
}

int verb_events(struct ctl *ctl)
{
	bool follows = args_option(&ctl->args, "--follow");
	struct listing listing = {.ctl = ctl,
				  .limit = args_number(&ctl->args, "--limit", LIMIT),
				  .last_id = args_number(&ctl->args, "--after", 0)};
	int code;

	if (ctl_wants_json(ctl) && !follows)
		return show_page(&listing);
	listing.kept = json_array();
	code = read_past(&listing);
	if (!code)
		show_kept(&listing);
	if (!code && follows)
		code = follow(&listing);
	json_decref(listing.kept);
	return code;
}
