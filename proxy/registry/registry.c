/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry as a whole: pools come and go with configurations. Happy path: a configuration finds
 * the rosters of its pools by name, makes those that are missing, and puts them in its order; a
 * pool that it does not have any more keeps its roster, all targets removed, until their sessions
 * have ended. Without memory everything stays as it was.
 */
#include "proxy/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/panic.h"
#include "proxy/pool_state.h"
#include "proxy/registry/internal.h"
#include "proxy/registry/store.h"

int registry_new(unsigned worker_count, struct events *events, const struct registry_hooks *hooks,
		 const char *state_directory, struct registry **ret_registry)
{
	struct registry *registry = calloc(1, sizeof(*registry));

	if (!registry)
		return -ENOMEM;
	list_init(&registry->parting);
	list_init(&registry->leaving);
	registry->worker_count = worker_count;
	registry->events = events;
	registry->hooks = *hooks;
	registry->store = store_new(state_directory, events);
	if (!registry->store) {
		registry_free(registry);
		return -ENOMEM;
	}
	*ret_registry = registry;
	return 0;
}

void registry_free(struct registry *registry)
{
	if (!registry)
		return;
	store_flush(registry->store);
	for (size_t i = 0; i < registry->roster_count; i++)
		roster_free(registry->rosters[i]);
	list_for_each_safe (link, &registry->parting)
		roster_free(container_of(link, struct roster, link));
	list_for_each_safe (link, &registry->leaving)
		roster_free(container_of(link, struct roster, link));
	free(registry->rosters);
	table_fini(&registry->by_key);
	store_free(registry->store);
	free(registry->zone);
	free(registry);
}

static struct roster *find_in(const struct list *list, const char *name)
{
	list_for_each (link, list) {
		struct roster *roster = container_of(link, struct roster, link);

		if (!strcmp(roster->name, name))
			return roster;
	}
	return NULL;
}

/* The roster of this name that already is: in use, or on its way out. */
static struct roster *find_any(const struct registry *registry, const char *name)
{
	struct roster *roster = roster_find(registry, name);

	if (!roster)
		roster = find_in(&registry->parting, name);
	return roster ? roster : find_in(&registry->leaving, name);
}

/* All rosters of a configuration, in its order, `fresh` marks those made for it. */
static int collect(struct registry *registry, const struct config *config, struct roster **rosters,
		   bool *fresh)
{
	for (size_t i = 0; i < config->pool_count; i++) {
		rosters[i] = find_any(registry, config->pools[i].name);
		if (rosters[i])
			continue;
		rosters[i] = roster_new(registry, config->pools[i].name);
		fresh[i] = true;
		if (!rosters[i])
			return -ENOMEM;
	}
	return 0;
}

/* A pool that has left: nobody lists its targets any more. */
static void dismiss(struct registry *registry, struct roster *roster)
{
	struct pool_record *record = &roster->record;

	list_remove(&roster->link);
	store_keep_targets(roster);
	roster->leaving = true;
	record->conf = NULL;
	roster->quiet = true;
	atomic_store(&record->state->left, true);
	for (size_t i = 0; i < record->target_count; i++) {
		struct member *member = roster_member(roster, i);

		while (member->listings)
			member_detach(member, member->listings->source);
	}
	while (record->source_count)
		source_free(roster, roster->sources[record->source_count - 1]);
	roster_settle(roster, clock_us());
	roster->quiet = false;
	list_push_back(&registry->leaving, &roster->link);
}

static void adapt(struct roster *roster, const struct pool_conf *conf, bool fresh)
{
	bool first = fresh || roster->leaving;

	if (!first && roster->settings.discovered)
		roster->undiscovered = true;
	if (first || conf->discovered)
		roster->undiscovered = false;
	list_remove(&roster->link);
	roster->leaving = false;
	atomic_store(&roster->record.state->left, false);
	if (first)
		roster->record.awaited = conf->discovered;
	roster_adapt(roster, conf);
	if (first)
		store_recall_targets(roster);
	roster_settle(roster, clock_us());
}

static bool is_listed(struct roster *const *rosters, size_t count, const struct roster *roster)
{
	for (size_t i = 0; i < count; i++)
		if (rosters[i] == roster)
			return true;
	return false;
}

static void swap(struct registry *registry, const struct config *config, struct roster **rosters,
		 const bool *fresh)
{
	struct roster **before = registry->rosters;
	size_t before_count = registry->roster_count;

	registry->rosters = rosters;
	registry->roster_count = config->pool_count;
	for (size_t i = 0; i < before_count; i++)
		if (!is_listed(rosters, config->pool_count, before[i]))
			list_push_back(&registry->parting, &before[i]->link);
	for (size_t i = 0; i < config->pool_count; i++)
		adapt(rosters[i], &config->pools[i], fresh[i]);
	free(before);
}

int registry_adopt(struct registry *registry, const struct config *config)
{
	struct roster **rosters = calloc(config->pool_count + 1, sizeof(*rosters));
	bool *fresh = calloc(config->pool_count + 1, sizeof(*fresh));
	int err = rosters && fresh ? collect(registry, config, rosters, fresh) : -ENOMEM;

	if (err)
		goto fail;
	swap(registry, config, rosters, fresh);
	free(fresh);
	return 0;
fail:
	for (size_t i = 0; rosters && fresh && i < config->pool_count; i++)
		if (fresh[i])
			roster_free(rosters[i]);
	free(rosters);
	free(fresh);
	return err;
}

/* Whoever pushed what was discovered has no orders to any more. Without memory it stays. */
static void drop_discovered(struct roster *roster)
{
	size_t at = roster->record.source_count;

	roster->undiscovered = false;
	roster->record.awaited = false;
	while (at--)
		if (source_is_discovered(roster->sources[at]))
			registry_drop_source(roster->registry, roster->name,
					     roster->sources[at]->name);
}

void registry_commit(struct registry *registry)
{
	list_for_each_safe (link, &registry->parting)
		dismiss(registry, container_of(link, struct roster, link));
	for (size_t i = 0; i < registry->roster_count; i++)
		if (registry->rosters[i]->undiscovered)
			drop_discovered(registry->rosters[i]);
}

int registry_configure(struct registry *registry, const struct config *config)
{
	int err = registry_adopt(registry, config);

	if (!err)
		registry_commit(registry);
	return err;
}

int registry_set_zone(struct registry *registry, const char *zone)
{
	char *copy = zone ? strdup(zone) : NULL;

	if (zone && !copy)
		return -ENOMEM;
	free(registry->zone);
	registry->zone = copy;
	for (size_t i = 0; i < registry->roster_count; i++) {
		registry->rosters[i]->changed = true;
		roster_touch_all(registry->rosters[i]);
		roster_settle(registry->rosters[i], clock_us());
	}
	return 0;
}

const char *registry_zone(const struct registry *registry)
{
	return registry->zone;
}

bool registry_is_own_zone(const struct registry *registry, const char *zone)
{
	const char *names = registry->zone;
	size_t len = strlen(zone);

	for (; names; names = strchr(names, ','), names = names ? names + 1 : NULL)
		if (!strncmp(names, zone, len) && (names[len] == ',' || !names[len]))
			return true;
	return false;
}

void registry_flush(struct registry *registry)
{
	if (!registry->store->err) /* else whoever spoke was told, and it has its own times */
		store_flush(registry->store);
}

size_t registry_pool_count(const struct registry *registry)
{
	return registry->roster_count;
}

struct pool_record *registry_pool_at(struct registry *registry, size_t index)
{
	must(index < registry->roster_count);
	roster_sort(registry->rosters[index]);
	return &registry->rosters[index]->record;
}

struct pool_record *registry_pool(struct registry *registry, const char *name)
{
	struct roster *roster = roster_find(registry, name);

	if (!roster)
		return NULL;
	roster_sort(roster);
	return &roster->record;
}
