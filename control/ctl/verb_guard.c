/* SPDX-License-Identifier: Apache-2.0
 *
 * `guard`: what the guard at the door does, and an operator's word on who may come.
 *
 * Failure modes: the words make no sense together, said here; everything else the proxy says.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/json.h"
#include "control/ctl/show.h"
#include "control/ctl/terms.h"
#include "control/ctl/verbs.h"
#include "proxy/base/clock.h"

static void add_listeners(struct table *table, const json_t *guard)
{
	const json_t *door;
	size_t i;

	json_array_foreach (json_object_get(guard, "listeners"), i, door) {
		bool dry = field_true(door, "dry_run");
		const json_t *verdicts =
			json_object_get(door, dry ? "dry_run_verdicts" : "verdicts");

		show_text(table, door, "name");
		table_add(table, dry ? "dry run" : "on");
		show_text(table, door, "cookies");
		show_count(table, door, "syn_rate");
		table_add_count(table, field_count(verdicts, "denied"));
		table_add_count(table, field_count(verdicts, "rate_limited"));
		table_add_count(table, field_count(verdicts, "malformed"));
		table_add_count(table, field_count(verdicts, "cookie_sent"));
		table_add_count(table, field_count(verdicts, "cookie_proved"));
		table_add_count(table, field_count(verdicts, "syn_passed"));
	}
}

static void print_listeners(struct ctl *ctl, const json_t *guard)
{
	static const struct column columns[] = {
		{.title = "LISTENER", .least = 8},
		{.title = "GUARD"},
		{.title = "COOKIES", .drop = 3},
		{.title = "SYN/S", .align = ALIGN_RIGHT, .drop = 2},
		{.title = "DENIED", .align = ALIGN_RIGHT},
		{.title = "OVER RATE", .align = ALIGN_RIGHT},
		{.title = "MALFORMED", .align = ALIGN_RIGHT},
		{.title = "ANSWERED", .align = ALIGN_RIGHT, .drop = 1},
		{.title = "PROVED", .align = ALIGN_RIGHT, .drop = 1},
		{.title = "SYNS PASSED", .align = ALIGN_RIGHT},
	};
	struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));

	add_listeners(table, guard);
	table_finish(table, &ctl->screen);
}

static void print_entries(struct ctl *ctl, const json_t *guard)
{
	static const struct column columns[] = {
		{.title = "BLOCK"},
		{.title = "ACTION"},
		{.title = "LISTENER", .drop = 3},
		{.title = "ENDS"},
		{.title = "WHO", .drop = 2, .least = 8},
		{.title = "WHY", .drop = 1, .least = 8},
	};
	struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	uint64_t now = clock_wall_us();
	const json_t *entry;
	size_t i;

	json_array_foreach (json_object_get(guard, "entries"), i, entry) {
		show_text(table, entry, "block");
		show_text(table, entry, "action");
		table_add(table, field_text(entry, "listener", "all"));
		show_age(table, field_wall_us(entry, "until"), now);
		show_text(table, entry, "who");
		show_text(table, entry, "why");
	}
	table_finish(table, &ctl->screen);
}

static void print_guard(struct ctl *ctl, const json_t *guard)
{
	const json_t *interface;
	size_t i;

	if (!field_true(guard, "attached")) {
		ctl_say("no guard is configured");
		return;
	}
	json_array_foreach (json_object_get(guard, "interfaces"), i, interface)
		ctl_say("%s: %s mode", field_text(interface, "name", "?"),
			field_text(interface, "mode", "?"));
	ctl_say("if the proxy dies: %s; packets too broken to tell whose: %" PRIu64,
		field_text(guard, "on_crash", "?"), field_count(guard, "malformed"));
	ctl_say("%s", "");
	print_listeners(ctl, guard);
	if (!field_size(guard, "entries"))
		return;
	ctl_say("%s", "");
	print_entries(ctl, guard);
}

static void print_change(struct ctl *ctl, const json_t *guard)
{
	const char *action = ctl->args.words[0];

	ctl_say("%s: %s", ctl->args.words[1],
		!strcmp(action, "remove") ? "removed"
		: !strcmp(action, "deny") ? "denied"
					  : "allowed");
}

/* --listener and, unless it is taken back, until when and why. */
static int add_terms(struct ctl *ctl, json_t *body, bool removes)
{
	const char *listener = args_option(&ctl->args, "--listener");

	if (listener)
		json_object_set_new(body, "listener", json_string(listener));
	if (removes && (args_option(&ctl->args, "--for") || args_option(&ctl->args, "--until") ||
			args_option(&ctl->args, "--why")))
		return ctl_usage(ctl, "`remove` is for good: without --for, --until and --why");
	return terms_add(ctl, body);
}

int verb_guard(struct ctl *ctl)
{
	const char *action = ctl->args.word_count ? ctl->args.words[0] : "show";
	bool shows = !strcmp(action, "show");
	struct path path;
	json_t *body;
	int code;

	path_init(&path, "/v1/guard");
	if (shows && ctl->args.word_count < 2)
		return ctl_ask(ctl, "GET", &path, NULL, print_guard);
	if (shows || ctl->args.word_count < 2)
		return ctl_usage(ctl, shows ? "`guard show` shows all of it, and takes no BLOCK"
					    : "needs BLOCK, such as 10.0.0.0/8");
	body = json_pack("{s:[s]}", action, ctl->args.words[1]);
	if (!body)
		return ctl_usage(ctl, "BLOCK is no UTF-8");
	code = add_terms(ctl, body, !strcmp(action, "remove"));
	if (!code)
		code = ctl_ask(ctl, "PATCH", &path, body, print_change);
	json_decref(body);
	return code;
}
