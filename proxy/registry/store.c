/* SPDX-License-Identifier: Apache-2.0
 *
 * The shelves, and when they are written. Happy path: loaded once, looked at whenever a target
 * comes, changed by operators alone; each change is written at once, or with others a tenth of a
 * second later. Failure modes: no memory, up; a file that cannot be written is an event when that
 * begins and when it ends, and is tried again until it can.
 */
#include "proxy/registry/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/events.h"

#define TOGETHER_US (100 * US_PER_MS)
#define AGAIN_US    (10 * US_PER_SEC)

struct store *store_new(const char *directory, struct events *events)
{
	struct store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	list_init(&store->shelves);
	store->events = events;
	store->dir_fd = -1;
	store->directory = directory ? strdup(directory) : NULL;
	if (directory && !store->directory) {
		free(store);
		return NULL;
	}
	if (directory)
		state_load(store);
	return store;
}

static void shelf_free(struct shelf *shelf)
{
	list_for_each_safe (link, &shelf->word_list)
		shelf_drop(shelf, container_of(link, struct word, link));
	table_fini(&shelf->words);
	json_decref(shelf->targets);
	free(shelf->name);
	free(shelf);
}

void store_free(struct store *store)
{
	if (!store)
		return;
	list_for_each_safe (link, &store->shelves)
		shelf_free(container_of(link, struct shelf, link));
	if (store->dir_fd >= 0)
		close(store->dir_fd);
	free(store->directory);
	free(store);
}

struct shelf *store_shelf(struct store *store, const char *pool)
{
	struct shelf *shelf;

	list_for_each (link, &store->shelves) {
		shelf = container_of(link, struct shelf, link);
		if (!strcmp(shelf->name, pool))
			return shelf;
	}
	shelf = calloc(1, sizeof(*shelf));
	if (!shelf)
		return NULL;
	list_init(&shelf->word_list);
	shelf->name = strdup(pool);
	if (!shelf->name) {
		free(shelf);
		return NULL;
	}
	list_push_back(&store->shelves, &shelf->link);
	return shelf;
}

struct word *shelf_find(const struct shelf *shelf, const char *id, const struct addr *addr)
{
	struct identity *identity = identity_find(&shelf->words, id, addr);

	return identity ? container_of(identity, struct word, identity) : NULL;
}

static void word_free(struct word *word)
{
	free(word->id);
	free(word->address);
	free(word);
}

static struct word *word_new(const char *id, const struct addr *addr)
{
	struct word *word = calloc(1, sizeof(*word));
	char text[ADDR_TEXT];

	if (!word)
		return NULL;
	word->id = id ? strdup(id) : NULL;
	word->address = strdup(addr_format(addr, text));
	if ((id && !word->id) || !word->address) {
		word_free(word);
		return NULL;
	}
	word->identity.id = word->id;
	word->identity.addr = *addr;
	if (addr->family == AF_UNIX)
		addr_parse(word->address, &word->identity.addr);
	return word;
}

int shelf_keep(struct shelf *shelf, const char *id, const struct addr *addr,
	       const struct override *override)
{
	struct word *word = shelf_find(shelf, id, addr);

	if (!word) {
		if (table_reserve(&shelf->words, 1) < 0)
			return -ENOMEM;
		word = word_new(id, addr);
		if (!word)
			return -ENOMEM;
		table_add(&shelf->words, &word->identity.node, identity_hash(id, addr));
		list_push_back(&shelf->word_list, &word->link);
	}
	word->override = *override;
	word->seen_wall_us = clock_wall_us();
	return 0;
}

void shelf_drop(struct shelf *shelf, struct word *word)
{
	table_remove(&shelf->words, &word->identity.node);
	list_remove(&word->link);
	word_free(word);
}

static void told(struct store *store, int err)
{
	if (err && err != store->err)
		events_add(store->events, LOG_ERROR, "state_not_written", NULL, NULL,
			   "%s: %s; what operators said holds until exit", store->directory,
			   strerror(-err));
	if (!err && store->err)
		events_add(store->events, LOG_INFO, "state_written", NULL, NULL,
			   "%s can be written again", store->directory);
	store->err = err;
}

void store_flush(struct store *store)
{
	if (!store || !store->dirty)
		return;
	store->tried_us = clock_us();
	told(store, state_write(store));
	store->dirty = store->err != 0;
}

int store_save(struct store *store)
{
	if (!store->directory || store->recalling)
		return 0;
	store->dirty = true;
	if (clock_us() - store->tried_us >= TOGETHER_US)
		store_flush(store);
	return store->err;
}

uint64_t store_due(const struct store *store)
{
	if (!store->dirty)
		return FOREVER;
	return store->tried_us + (store->err ? AGAIN_US : TOGETHER_US);
}

void store_keep_targets(struct roster *roster)
{
	struct shelf *shelf = roster->shelf;
	json_t *targets = state_targets(roster);

	shelf->roster = NULL;
	if (targets) {
		json_decref(shelf->targets);
		shelf->targets = targets;
	}
}

void store_recall_targets(struct roster *roster)
{
	struct shelf *shelf = roster->shelf;
	json_t *targets = shelf->targets;
	struct target_spec spec;
	json_t *target;
	size_t index;

	shelf->targets = NULL;
	shelf->roster = roster;
	roster->registry->store->recalling = true;
	json_array_foreach (targets, index, target) {
		int err = state_target(target, &spec);

		if (!err)
			err = registry_add(roster->registry, roster->name, &spec);
		if (err)
			events_add(roster->registry->events, LOG_ERROR, "state_target",
				   roster->name, NULL, "a target kept from before is left out: %s",
				   strerror(-err));
	}
	roster->registry->store->recalling = false;
	json_decref(targets);
}
