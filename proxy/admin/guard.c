/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the guard as the admin API shows it and as operators change it: GET and PATCH /v1/guard.
 * Happy path: every block of the body parses, the guard takes them all at once, the answer
 * describes what is in force.
 *
 * Failure modes: no guard is configured (409), the body does not fit (400), a listener or an entry
 * is not there (404), there are too many (409), the guard takes nothing (503); nothing has changed
 * then.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin/describe.h"
#include "proxy/admin/desk.h"
#include "proxy/admin/handlers.h"
#include "proxy/admission.h"
#include "proxy/base/clock.h"
#include "proxy/base/http/body.h"
#include "proxy/base/jot.h"
#include "proxy/model.h"
#include "proxy/snapshot.h"

#define FOR_MAX_S  (366 * 24 * 3600)
#define BLOCKS_MAX 1024 /* in one request */

static const struct config *config_of(struct desk *desk)
{
	return desk->ops.snapshot(desk->ops.context)->config;
}

/* --- what is in force --- */

static json_t *interface_item(const void *of, size_t index)
{
	const struct guard_hook *hook = (const struct guard_hook *)of + index;

	return JOT({"name", jot_text(hook->name)},
		   {"mode", json_string(admission_mode_names[hook->mode])});
}

static json_t *entry_item(const void *of, size_t index)
{
	const struct admission_entry *entry = (const struct admission_entry *)of + index;
	char text[ADDR_TEXT];

	return JOT({"block", json_string(admission_block_text(&entry->block, text))},
		   {"action", json_string(entry->deny ? "deny" : "allow")},
		   {"listener", jot_text(entry->listener[0] ? entry->listener : NULL)},
		   {"since", describe_time(entry->since_wall_us)},
		   {"until", describe_time(entry->until_wall_us)}, {"who", jot_text(entry->who)},
		   {"why", jot_text(entry->why)});
}

static json_t *verdicts_json(const __u64 *packets)
{
	uint64_t counts[GUARD_VERDICTS];

	for (int i = 0; i < GUARD_VERDICTS; i++)
		counts[i] = packets[i];
	return jot_counts(admission_verdict_names, counts, GUARD_VERDICTS);
}

static json_t *door_json(struct desk *desk, const struct listener_conf *listener)
{
	const struct door_conf *door = &listener->door;
	struct guard_counts counts;

	admission_read(desk->ops.admission, listener->name, &counts);
	return JOT({"name", jot_text(listener->name)}, {"dry_run", json_boolean(door->dry_run)},
		   {"cookies", json_string(admission_cookie_names[door->cookies])},
		   {"syn_rate", door->syn_rate ? json_integer(door->syn_rate) : json_null()},
		   {"syn_burst", json_integer(door->syn_burst)},
		   {"flood_rate", json_integer(door->flood_rate)},
		   {"allow", json_integer((json_int_t)door->allow_count)},
		   {"deny", json_integer((json_int_t)door->deny_count)},
		   {"verdicts", verdicts_json(counts.packets)},
		   {"dry_run_verdicts", verdicts_json(counts.dry)});
}

/* NULL if one of them failed. */
static json_t *doors_json(struct desk *desk)
{
	const struct config *config = config_of(desk);
	json_t *doors = json_array();

	for (size_t i = 0; doors && i < config->listener_count; i++) {
		if (config->listeners[i].bind.family == AF_UNIX)
			continue;
		if (json_array_append_new(doors, door_json(desk, &config->listeners[i]))) {
			json_decref(doors);
			return NULL;
		}
	}
	return doors;
}

static json_t *guard_json(struct desk *desk)
{
	const struct admission *admission = desk->ops.admission;
	const struct admission_entry *entries;
	const struct guard_hook *hooks;
	size_t entry_count, hook_count;
	struct guard_counts broken;

	if (!admission)
		return JOT({"attached", json_false()});
	entries = admission_entries(admission, &entry_count);
	hooks = admission_hooks(admission, &hook_count);
	admission_read(admission, NULL, &broken);
	return JOT({"attached", json_true()},
		   {"on_crash", json_string(config_of(desk)->guard.keep ? "keep" : "open")},
		   {"interfaces", jot_array(hook_count, interface_item, hooks)},
		   {"listeners", doors_json(desk)},
		   {"malformed", json_integer((json_int_t)broken.packets[GUARD_MALFORMED])},
		   {"entries", jot_array(entry_count, entry_item, entries)});
}

void get_guard(struct desk *desk, struct request *request)
{
	request_reply(request, 200, guard_json(desk));
}

/* --- an operator's word --- */

struct guard_body {
	const json_t *allow;
	const json_t *deny;
	const json_t *remove;
	const char *listener;
	uint64_t until_wall_us;
	int64_t for_s;
	const char *why;
};

static const struct body_key guard_keys[] = {
	{"allow", BODY_LIST, .at = offsetof(struct guard_body, allow)},
	{"deny", BODY_LIST, .at = offsetof(struct guard_body, deny)},
	{"remove", BODY_LIST, .at = offsetof(struct guard_body, remove)},
	{"listener", BODY_TEXT, .nullable = true, .min = 1, .max = 31,
	 .at = offsetof(struct guard_body, listener)},
	{"until", BODY_TIME, .nullable = true, .at = offsetof(struct guard_body, until_wall_us)},
	{"for_s", BODY_NUMBER, .nullable = true, .min = 1, .max = FOR_MAX_S,
	 .at = offsetof(struct guard_body, for_s)},
	{"why", BODY_TEXT, .nullable = true, .max = 127, .at = offsetof(struct guard_body, why)},
};

static bool has_listener(struct desk *desk, const char *name)
{
	const struct config *config = config_of(desk);

	for (size_t i = 0; i < config->listener_count; i++)
		if (!strcmp(config->listeners[i].name, name) &&
		    config->listeners[i].bind.family != AF_UNIX)
			return true;
	return false;
}

/* What every entry of this request says. False with the answer given. */
static bool read_terms(struct desk *desk, struct request *request, const struct guard_body *body,
		       struct admission_entry *ret_entry)
{
	uint64_t now_us = clock_wall_us();
	struct admission_entry entry = {.since_wall_us = now_us,
					.until_wall_us = body->until_wall_us};

	if (body->listener && !has_listener(desk, body->listener)) {
		request_refuse(request, 404, "there is no listener \"%s\" with a door",
			       body->listener);
		return false;
	}
	if (body->until_wall_us && (body->for_s || body->until_wall_us <= now_us)) {
		request_refuse(request, 400, "until must be in the future, and excludes for_s");
		return false;
	}
	if (body->for_s)
		entry.until_wall_us = now_us + (uint64_t)body->for_s * US_PER_SEC;
	snprintf(entry.listener, sizeof(entry.listener), "%s",
		 body->listener ? body->listener : "");
	snprintf(entry.why, sizeof(entry.why), "%s", body->why ? body->why : "");
	request_who(request, entry.who, sizeof(entry.who));
	*ret_entry = entry;
	return true;
}

static bool read_block(struct request *request, const char *key, const json_t *list, size_t i,
		       struct addr_block *ret_block)
{
	const char *text = json_string_value(json_array_get(list, i));

	if (text && !addr_block_parse(text, ret_block))
		return true;
	request_refuse(request, 400, "%s[%zu] must be a block of addresses such as 10.0.0.0/8", key,
		       i);
	return false;
}

/* Behind the `*count` entries that are there. */
static bool read_list(struct request *request, const char *key, const json_t *list,
		      const struct admission_entry *terms, struct admission_entry *entries,
		      size_t *count)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct admission_entry *entry = &entries[*count];

		*entry = *terms;
		entry->deny = !strcmp(key, "deny");
		if (!read_block(request, key, list, i, &entry->block))
			return false;
		++*count;
	}
	return true;
}

static void answer(struct desk *desk, struct request *request, int err)
{
	if (!err)
		request_reply(request, 200, guard_json(desk));
	else if (err == -ENOENT)
		request_refuse(request, 404,
			       "an operator's entry on one of these blocks is not "
			       "there; GET /v1/guard lists them");
	else if (err == -ENOSPC)
		request_refuse(request, 409, "there is room for %d entries", ADMISSION_ENTRIES);
	else
		request_refuse(request, 503, "the guard does not take it: %s", strerror(-err));
}

static void put(struct desk *desk, struct request *request, const struct guard_body *body,
		const struct admission_entry *terms)
{
	size_t room = json_array_size(body->allow) + json_array_size(body->deny), count = 0;
	struct admission_entry *entries = calloc(room, sizeof(*entries));

	if (!entries)
		request_refuse(request, 503, "out of memory");
	else if (read_list(request, "allow", body->allow, terms, entries, &count) &&
		 read_list(request, "deny", body->deny, terms, entries, &count))
		answer(desk, request, admission_put(desk->ops.admission, entries, count));
	free(entries);
}

static void take_back(struct desk *desk, struct request *request, const struct guard_body *body)
{
	size_t count = json_array_size(body->remove);
	struct addr_block *blocks = calloc(count, sizeof(*blocks));

	if (!blocks)
		request_refuse(request, 503, "out of memory");
	for (size_t i = 0; blocks && i < count; i++)
		if (!read_block(request, "remove", body->remove, i, &blocks[i])) {
			free(blocks);
			return;
		}
	if (blocks)
		answer(desk, request,
		       admission_remove(desk->ops.admission, blocks, count,
					body->listener ? body->listener : ""));
	free(blocks);
}

void patch_guard(struct desk *desk, struct request *request)
{
	struct guard_body body = {0};
	struct admission_entry terms;
	size_t put_count, remove_count;

	if (!body_read(request, request->body, "", guard_keys,
		       sizeof(guard_keys) / sizeof(guard_keys[0]), &body, NULL))
		return;
	put_count = json_array_size(body.allow) + json_array_size(body.deny);
	remove_count = json_array_size(body.remove);
	if (!desk->ops.admission)
		request_refuse(request, 409, "no guard is configured: `guard:` needs interfaces");
	else if (!put_count == !remove_count || put_count + remove_count > BLOCKS_MAX)
		request_refuse(request, 400,
			       "allow and deny, or remove alone, must hold 1 to %d blocks",
			       BLOCKS_MAX);
	else if (remove_count)
		take_back(desk, request, &body);
	else if (read_terms(desk, request, &body, &terms))
		put(desk, request, &body, &terms);
}
