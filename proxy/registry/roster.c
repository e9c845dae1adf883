/* SPDX-License-Identifier: Apache-2.0
 *
 * The storage of one pool's targets. Happy path: made when a configuration first names the pool,
 * grown before a change so that the change itself cannot fail, sorted when somebody looks: by the
 * source that decides, then as that source lists them, the removed ones last. Without memory a
 * roster stays as it is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/panic.h"
#include "proxy/pool_state.h"
#include "proxy/registry/internal.h"
#include "proxy/registry/store.h"
#include "proxy/target.h"

struct roster *roster_new(struct registry *registry, const char *name)
{
	struct roster *roster = calloc(1, sizeof(*roster));

	if (!roster)
		return NULL;
	list_init(&roster->timed);
	list_init(&roster->dirty);
	list_init(&roster->link);
	roster->registry = registry;
	roster->due_us = FOREVER;
	roster->name = strdup(name);
	roster->record.state = pool_state_new(name);
	roster->shelf = store_shelf(registry->store, name);
	if (!roster->name || !roster->record.state || !roster->shelf) {
		roster_free(roster);
		return NULL;
	}
	return roster;
}

void roster_free(struct roster *roster)
{
	if (!roster)
		return;
	for (size_t i = 0; i < roster->record.target_count; i++)
		member_free(roster_member(roster, i));
	for (size_t i = 0; i < roster->record.source_count; i++) {
		free(roster->sources[i]->name);
		free(roster->sources[i]);
	}
	free(roster->sources);
	free(roster->record.sources);
	free(roster->record.targets);
	table_fini(&roster->members);
	pool_state_put(roster->record.state);
	list_remove(&roster->link);
	free(roster->name);
	free(roster);
}

struct roster *roster_find(const struct registry *registry, const char *name)
{
	for (size_t i = 0; i < registry->roster_count; i++)
		if (!strcmp(registry->rosters[i]->name, name))
			return registry->rosters[i];
	return NULL;
}

/* `array` with room for `more` behind `count`; NULL without memory. */
static void *grow(void *array, size_t *capacity, size_t count, size_t more, size_t size)
{
	size_t wanted = *capacity ? *capacity : 8;

	if (array && count + more <= *capacity)
		return array;
	while (wanted < count + more)
		wanted *= 2;
	array = reallocarray(array, wanted, size);
	if (array)
		*capacity = wanted;
	return array;
}

static int reserve_source(struct roster *roster)
{
	size_t count = roster->record.source_count, capacity = roster->source_capacity;
	struct source_record *records =
		grow(roster->record.sources, &capacity, count, 1, sizeof(*records));
	struct source **sources;

	if (!records)
		return -ENOMEM;
	roster->record.sources = records;
	sources = grow(roster->sources, &roster->source_capacity, count, 1, sizeof(*sources));
	if (!sources)
		return -ENOMEM;
	roster->sources = sources;
	return 0;
}

int roster_reserve(struct roster *roster, size_t more)
{
	struct target_record **targets = grow(roster->record.targets, &roster->capacity,
					      roster->record.target_count, more, sizeof(*targets));

	if (!targets)
		return -ENOMEM;
	roster->record.targets = targets;
	if (reserve_source(roster) < 0 || table_reserve(&roster->members, more) < 0)
		return -ENOMEM;
	return table_reserve(&roster->registry->by_key, more);
}

/* Checks may begin or end with a configuration. */
static void adapt_health(struct roster *roster)
{
	for (size_t i = 0; i < roster->record.target_count; i++) {
		struct target_record *record = roster->record.targets[i];

		if (roster->settings.health.kind == HEALTH_OFF) {
			record->health = HEALTH_UNCHECKED;
			member_verify(member_of(record), "the pool has no check any more");
		} else if (record->health == HEALTH_UNCHECKED) {
			record->health = HEALTH_UNKNOWN;
		}
	}
}

void roster_adapt(struct roster *roster, const struct pool_conf *conf)
{
	struct pool_state *state = roster->record.state;

	roster->record.conf = conf;
	roster->settings = *conf;
	sources_name_kinds(roster);
	atomic_store(&state->max_connections, conf->max_connections);
	atomic_store(&state->queue_size, conf->queue_size);
	adapt_health(roster);
	roster_touch_all(roster);
}

/* Removed ones last, in the order of their removal. */
static int compare(const void *left, const void *right)
{
	const struct member *a = member_of(*(struct target_record *const *)left);
	const struct member *b = member_of(*(struct target_record *const *)right);

	if (!a->listings || !b->listings) {
		if (a->listings || b->listings)
			return a->listings ? -1 : 1;
		if (a->record.removed_us != b->record.removed_us)
			return a->record.removed_us < b->record.removed_us ? -1 : 1;
	} else if (a->listings->source != b->listings->source) {
		return a->listings->source->order < b->listings->source->order ? -1 : 1;
	} else if (a->listings->position != b->listings->position) {
		return a->listings->position < b->listings->position ? -1 : 1;
	}
	return a->record.key < b->record.key ? -1 : a->record.key > b->record.key;
}

void roster_sort(struct roster *roster)
{
	if (roster->unsorted && roster->record.target_count)
		qsort(roster->record.targets, roster->record.target_count,
		      sizeof(struct target_record *), compare);
	roster->unsorted = false;
}
