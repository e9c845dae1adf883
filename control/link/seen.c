/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads what the proxy has of a pool: the whole set of each source that was pushed to it, and the
 * targets that its health checks hold down. Happy path: the sources come first, then each member
 * is added to the set of every source that lists it. Failure modes: memory, and an answer that is
 * no pool; a Unix path as a target, which no source of ours can give, is passed over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/link/internal.h"

static bool is_ours_to_see(const char *source)
{
	return strcmp(source, "config") != 0 && strcmp(source, "operator") != 0;
}

static int add_source(struct seen_list *seen, const json_t *source)
{
	const char *name = json_string_value(json_object_get(source, "name"));
	json_int_t generation = json_integer_value(json_object_get(source, "generation"));
	struct seen *item = &seen->items[seen->count];

	if (!name || generation < 0)
		return -EPROTO;
	if (!is_ours_to_see(name))
		return 0;
	*item = (struct seen){
		.name = strdup(name),
		.discovered = json_is_string(json_object_get(source, "kind")),
		.generation = (uint64_t)generation,
		.set = target_set_new(),
	};
	seen->count++;
	return item->name && item->set ? 0 : -ENOMEM;
}

static uint32_t number(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 && value <= UINT32_MAX ? (uint32_t)value : 0;
}

/* `of` is a listing, or the member as a whole where there is none. */
static struct found_target read_target(const json_t *member, const json_t *of)
{
	return (struct found_target){
		.id = json_string_value(json_object_get(member, "id")),
		.address = json_string_value(json_object_get(member, "address")),
		.zone = json_string_value(json_object_get(of, "zone")),
		.weight = number(of, "weight"),
		.max_connections = number(of, "max_connections"),
		.backup = json_is_true(json_object_get(of, "backup")),
		.draining = json_is_true(json_object_get(of, "draining")),
	};
}

static int add_target(struct target_set *set, const json_t *member, const json_t *of)
{
	struct found_target target = read_target(member, of);
	int err;

	if (!target.address)
		return -EPROTO;
	err = target_set_add(set, &target);
	return err == -EINVAL ? 0 : err;
}

static int add_member(struct seen_list *seen, struct target_set *down, const json_t *member)
{
	const char *state = json_string_value(json_object_get(member, "state"));
	const json_t *listings = json_object_get(member, "listings"), *listing;
	size_t index;
	int err = 0;

	if (!state)
		return -EPROTO;
	json_array_foreach (listings, index, listing) {
		const char *name = json_string_value(json_object_get(listing, "source"));
		const struct seen *source = name ? seen_find(seen, name) : NULL;

		err = source && !err ? add_target(source->set, member, listing) : err;
	}
	if (!err && !strcmp(state, "down"))
		err = add_target(down, member, member);
	return err;
}

static int read_all(const json_t *pool, struct seen_list *seen, struct target_set *down)
{
	const json_t *sources = json_object_get(pool, "sources"), *source;
	const json_t *members = json_object_get(pool, "members"), *member;
	const struct found_target *twice;
	size_t index;
	int err = json_is_array(sources) && json_is_array(members) ? 0 : -EPROTO;

	seen->items = calloc(json_array_size(sources) + 1, sizeof(*seen->items));
	if (!seen->items)
		return -ENOMEM;
	json_array_foreach (sources, index, source)
		err = err ? err : add_source(seen, source);
	json_array_foreach (members, index, member)
		err = err ? err : add_member(seen, down, member);
	for (size_t i = 0; i < seen->count && !err; i++)
		err = target_set_seal(seen->items[i].set, &twice);
	return err ? err : target_set_seal(down, &twice);
}

int seen_read(const json_t *pool, struct seen_list *ret_seen, struct target_set **ret_down)
{
	struct seen_list seen = {0};
	struct target_set *down = target_set_new();
	int err = down ? read_all(pool, &seen, down) : -ENOMEM;

	if (err) {
		seen_fini(&seen);
		target_set_free(down);
		return err == -ENOMEM ? -ENOMEM : -EPROTO;
	}
	*ret_seen = seen;
	*ret_down = down;
	return 0;
}

void seen_fini(struct seen_list *seen)
{
	for (size_t i = 0; i < seen->count; i++) {
		free(seen->items[i].name);
		target_set_free(seen->items[i].set);
	}
	free(seen->items);
	*seen = (struct seen_list){0};
}

const struct seen *seen_find(const struct seen_list *seen, const char *source)
{
	for (size_t i = 0; i < seen->count; i++)
		if (!strcmp(seen->items[i].name, source))
			return &seen->items[i];
	return NULL;
}
