/* SPDX-License-Identifier: Apache-2.0
 *
 * Shelves as JSON, and JSON as shelves:
 *
 *   {"version": 1, "pools": {"api": {"overrides": [{...}], "targets": [{...}]}}}
 *
 * Happy path: both ways without loss. Failure modes: no memory; parts that make no sense are left
 * out and said (-EINVAL), the rest is taken over: a file that a person has edited and a file of a
 * later version are more likely than a broken disk. Words that are over, or whose target has not
 * been seen for a month, are left out silently.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/jot.h"
#include "proxy/base/timestamp.h"
#include "proxy/registry/store.h"
#include "proxy/target.h"

#define VERSION   1
#define UNSEEN_US (30 * 86400 * US_PER_SEC)

static const char *const kind_names[OVERRIDE_KINDS] = {
	[OVERRIDE_NONE] = "none",
	[OVERRIDE_DRAIN] = "drain",
	[OVERRIDE_MAINTENANCE] = "maintenance",
};

static json_t *time_to_json(uint64_t wall_us)
{
	char text[TIMESTAMP_TEXT];

	return wall_us ? json_string(timestamp_format(wall_us, text)) : json_null();
}

static bool is_listed(const struct shelf *shelf, const struct word *word)
{
	const struct member *member =
		shelf->roster ? member_find(shelf->roster, word->id, &word->identity.addr) : NULL;

	return member && member->listings;
}

static json_t *word_to_json(const struct shelf *shelf, struct word *word)
{
	const struct override *override = &word->override;

	if (is_listed(shelf, word))
		word->seen_wall_us = clock_wall_us();
	return JOT({"id", jot_text(word->id)}, {"address", jot_text(word->address)},
		   {"kind", json_string(kind_names[override->kind])},
		   {"weight", override->weight < 0 ? json_null() : json_integer(override->weight)},
		   {"who", jot_text(override->who)}, {"why", jot_text(override->why)},
		   {"since", time_to_json(override->since_wall_us)},
		   {"until", time_to_json(override->until_wall_us)},
		   {"seen", time_to_json(word->seen_wall_us)});
}

static json_t *words_to_json(const struct shelf *shelf)
{
	json_t *array = json_array();

	list_for_each (link, &shelf->word_list) {
		struct word *word = container_of(link, struct word, link);

		if (json_array_append_new(array, word_to_json(shelf, word)) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *target_to_json(const struct member *member, const struct listing *listing)
{
	char text[ADDR_TEXT];

	return JOT({"id", jot_text(member->record.id)},
		   {"address", jot_text(addr_format(&member->record.target->addr, text))},
		   {"weight", json_integer(listing->weight)},
		   {"max_connections", json_integer(listing->max_connections)},
		   {"zone", jot_text(listing->zone)}, {"backup", json_boolean(listing->backup)},
		   {"draining", json_boolean(listing->draining)});
}

json_t *state_targets(struct roster *roster)
{
	const struct source *source = source_find(roster, SOURCE_OPERATOR);
	json_t *array = json_array();

	roster_sort(roster);
	for (size_t i = 0; array && source && i < roster->record.target_count; i++) {
		const struct member *member = roster_member(roster, i);
		const struct listing *listing = member_listing(member, source);

		if (listing && json_array_append_new(array, target_to_json(member, listing)) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *shelf_to_json(const struct shelf *shelf)
{
	json_t *targets = shelf->roster    ? state_targets(shelf->roster)
			  : shelf->targets ? json_incref(shelf->targets)
					   : json_array();

	return JOT({"overrides", words_to_json(shelf)}, {"targets", targets});
}

json_t *state_to_json(const struct store *store)
{
	json_t *pools = json_object();

	list_for_each (link, &store->shelves) {
		const struct shelf *shelf = container_of(link, struct shelf, link);

		if (json_object_set_new(pools, shelf->name, shelf_to_json(shelf)) < 0) {
			json_decref(pools);
			return NULL;
		}
	}
	return JOT({"version", json_integer(VERSION)}, {"pools", pools});
}

static int time_from_json(const json_t *json, uint64_t *ret_wall_us)
{
	if (!json || json_is_null(json)) {
		*ret_wall_us = 0;
		return 0;
	}
	return json_is_string(json) ? timestamp_parse(json_string_value(json), ret_wall_us)
				    : -EINVAL;
}

static int kind_from_json(const json_t *json, enum override_kind *ret_kind)
{
	for (int kind = 0; kind < OVERRIDE_KINDS; kind++)
		if (json_is_string(json) && !strcmp(json_string_value(json), kind_names[kind])) {
			*ret_kind = (enum override_kind)kind;
			return 0;
		}
	return -EINVAL;
}

/* null or nothing is `otherwise`; above `max` or no number is an error. */
static int number_from_json(const json_t *json, int64_t max, int64_t otherwise, int64_t *ret_number)
{
	if (!json || json_is_null(json)) {
		*ret_number = otherwise;
		return 0;
	}
	if (!json_is_integer(json) || json_integer_value(json) < 0 ||
	    json_integer_value(json) > max)
		return -EINVAL;
	*ret_number = json_integer_value(json);
	return 0;
}

static int address_from_json(const json_t *json, struct addr *ret_addr)
{
	const char *text = json_string_value(json_object_get(json, "address"));

	return text ? addr_parse(text, ret_addr) : -EINVAL;
}

static int override_from_json(const json_t *json, struct override *ret_override,
			      uint64_t *ret_seen_us)
{
	const char *who = json_string_value(json_object_get(json, "who"));
	const char *why = json_string_value(json_object_get(json, "why"));
	struct override override = {0};
	int64_t weight;

	if (kind_from_json(json_object_get(json, "kind"), &override.kind) < 0 ||
	    number_from_json(json_object_get(json, "weight"), 1000, -1, &weight) < 0 ||
	    time_from_json(json_object_get(json, "since"), &override.since_wall_us) < 0 ||
	    time_from_json(json_object_get(json, "until"), &override.until_wall_us) < 0 ||
	    time_from_json(json_object_get(json, "seen"), ret_seen_us) < 0)
		return -EINVAL;
	override.weight = (int32_t)weight;
	if (!override.since_wall_us)
		override.since_wall_us = clock_wall_us();
	snprintf(override.who, sizeof(override.who), "%s", who ? who : "");
	snprintf(override.why, sizeof(override.why), "%s", why ? why : "");
	*ret_override = override;
	return 0;
}

static int word_from_json(struct shelf *shelf, const json_t *json)
{
	uint64_t now = clock_wall_us(), seen = 0;
	struct override override;
	struct addr addr;
	int err;

	if (address_from_json(json, &addr) < 0 || override_from_json(json, &override, &seen) < 0)
		return -EINVAL;
	if ((override.until_wall_us && override.until_wall_us <= now) ||
	    (seen && seen + UNSEEN_US < now))
		return 0;
	err = shelf_keep(shelf, json_string_value(json_object_get(json, "id")), &addr, &override);
	if (!err && seen)
		shelf_find(shelf, json_string_value(json_object_get(json, "id")), &addr)
			->seen_wall_us = seen;
	return err;
}

int state_target(const json_t *json, struct target_spec *ret_spec)
{
	struct target_spec spec = {0};
	int64_t weight, max_connections;

	if (address_from_json(json, &spec.addr) < 0 ||
	    number_from_json(json_object_get(json, "weight"), 1000, 100, &weight) < 0 ||
	    number_from_json(json_object_get(json, "max_connections"), UINT32_MAX, 0,
			     &max_connections) < 0)
		return -EINVAL;
	spec.id = json_string_value(json_object_get(json, "id"));
	spec.zone = json_string_value(json_object_get(json, "zone"));
	spec.weight = (uint32_t)weight;
	spec.max_connections = (uint32_t)max_connections;
	spec.backup = json_is_true(json_object_get(json, "backup"));
	spec.draining = json_is_true(json_object_get(json, "draining"));
	*ret_spec = spec;
	return 0;
}

static int shelf_from_json(struct store *store, const char *name, const json_t *json)
{
	const json_t *words = json_object_get(json, "overrides");
	json_t *targets = json_object_get(json, "targets");
	struct shelf *shelf = store_shelf(store, name);
	const json_t *word;
	size_t index;
	int err = 0;

	if (!shelf)
		return -ENOMEM;
	json_array_foreach (words, index, word) {
		int each = word_from_json(shelf, word);

		err = each ? each : err;
	}
	if (json_is_array(targets) && !shelf->targets)
		shelf->targets = json_incref(targets);
	return json_is_array(words) && json_is_array(targets) ? err : -EINVAL;
}

int state_from_json(struct store *store, const json_t *root)
{
	json_t *pools = json_object_get(root, "pools");
	const char *name;
	json_t *shelf;
	int err = 0;

	json_object_foreach (pools, name, shelf) {
		int each = shelf_from_json(store, name, shelf);

		err = each ? each : err;
	}
	if (json_integer_value(json_object_get(root, "version")) != VERSION)
		return -EINVAL;
	return json_is_object(pools) ? err : -EINVAL;
}
