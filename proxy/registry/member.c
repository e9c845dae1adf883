/* SPDX-License-Identifier: Apache-2.0
 *
 * One target of one pool, and what its sources say of it. Happy path: the first listing makes it,
 * each source that lists it attaches its own, the first of them by order decides on zone, weight
 * and so on; when the last one is detached the member is removed but stays, as its sessions do.
 *
 * Failure modes: no memory, in member_new() and listing_new() alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/pool_state.h"
#include "proxy/registry/internal.h"
#include "proxy/target.h"

#define NAME_TEXT 1024

uint64_t identity_hash(const char *id, const struct addr *addr)
{
	uint64_t hash = table_mix(addr_hash_host(addr), addr->port);

	for (const char *at = id ? id : ""; *at; at++)
		hash = table_mix(hash, (unsigned char)*at);
	return hash;
}

static bool is_same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

struct identity *identity_find(const struct table *table, const char *id, const struct addr *addr)
{
	uint64_t hash = identity_hash(id, addr);

	for (struct table_node *node = table_first(table, hash); node; node = table_next(node)) {
		struct identity *identity = container_of(node, struct identity, node);

		if (is_same_text(identity->id, id) && addr_equal(&identity->addr, addr))
			return identity;
	}
	return NULL;
}

struct member *member_find(const struct roster *roster, const char *id, const struct addr *addr)
{
	struct identity *identity = identity_find(&roster->members, id, addr);

	return identity ? container_of(identity, struct member, identity) : NULL;
}

static struct target *make_target(const struct roster *roster, const struct target_spec *spec)
{
	char name[NAME_TEXT], text[ADDR_TEXT];
	struct target *target;

	snprintf(name, sizeof(name), "%s%s%s", spec->id ? spec->id : "", spec->id ? "/" : "",
		 spec->written ? spec->written : addr_format(&spec->addr, text));
	target = target_new(name, &spec->addr, roster->registry->worker_count);
	if (!target)
		return NULL;
	pool_state_get(roster->record.state);
	target->pool = roster->record.state;
	atomic_store(&target->closed, true); /* until it is settled */
	return target;
}

static enum health_status first_health(const struct roster *roster)
{
	return roster->settings.health.kind == HEALTH_OFF ? HEALTH_UNCHECKED : HEALTH_UNKNOWN;
}

static void enter_tables(struct member *member)
{
	struct registry *registry = member->roster->registry;

	member->identity.id = member->record.id;
	member->identity.addr = member->record.target->addr;
	table_add(&member->roster->members, &member->identity.node,
		  identity_hash(member->record.id, &member->identity.addr));
	table_add(&registry->by_key, &member->by_key, table_mix(0, member->record.key));
}

struct member *member_new(struct roster *roster, const struct target_spec *spec)
{
	struct member *member = calloc(1, sizeof(*member));

	if (!member)
		return NULL;
	list_init(&member->timed);
	list_init(&member->dirty);
	member->roster = roster;
	member->fresh = true;
	member->record.standing = STANDINGS; /* none yet */
	member->record.pool = &roster->record;
	member->record.source = "";
	member->record.override.weight = -1;
	member->record.health = first_health(roster);
	member->record.added_wall_us = clock_wall_us();
	member->record.target = make_target(roster, spec);
	member->record.id = spec->id ? strdup(spec->id) : NULL;
	if (!member->record.target || (spec->id && !member->record.id)) {
		target_put(member->record.target);
		free(member->record.id);
		free(member);
		return NULL;
	}
	member->record.key = ++roster->registry->last_key;
	enter_tables(member);
	override_recall(member);
	return member;
}

void member_free(struct member *member)
{
	table_remove(&member->roster->members, &member->identity.node);
	table_remove(&member->roster->registry->by_key, &member->by_key);
	list_remove(&member->timed);
	list_remove(&member->dirty);
	while (member->listings) {
		struct listing *listing = member->listings;

		member->listings = listing->next;
		listing_free(listing);
	}
	listing_free(member->kept);
	target_put(member->record.target);
	free(member->record.id);
	free(member);
}

struct listing *listing_new(struct source *source, const struct target_spec *spec)
{
	struct listing *listing = calloc(1, sizeof(*listing));

	if (!listing)
		return NULL;
	*listing = (struct listing){
		.source = source,
		.zone = spec->zone ? strdup(spec->zone) : NULL,
		.weight = spec->weight,
		.max_connections = spec->max_connections,
		.backup = spec->backup,
		.draining = spec->draining,
		.unverified = spec->unverified,
	};
	if (spec->zone && !listing->zone) {
		free(listing);
		return NULL;
	}
	return listing;
}

void listing_free(struct listing *listing)
{
	if (!listing)
		return;
	free(listing->zone);
	free(listing);
}

struct listing *member_listing(const struct member *member, const struct source *source)
{
	for (struct listing *listing = member->listings; listing; listing = listing->next)
		if (listing->source == source)
			return listing;
	return NULL;
}

bool registry_listing(const struct target_record *record, size_t index,
		      struct target_listing *ret_listing)
{
	const struct member *member = member_of((struct target_record *)record);
	const struct listing *listing = member->listings;

	while (listing && index--)
		listing = listing->next;
	if (!listing)
		return false;
	*ret_listing = (struct target_listing){
		.source = listing->source->name,
		.zone = listing->zone,
		.weight = listing->weight,
		.max_connections = listing->max_connections,
		.backup = listing->backup,
		.draining = listing->draining,
	};
	return true;
}

/* Make the record say what the deciding listing says. */
static void adopt(struct member *member)
{
	const struct listing *listing = member->listings ? member->listings : member->kept;
	struct target_record *record = &member->record;

	record->source = member->listings ? listing->source->name : "";
	record->zone = listing->zone;
	record->weight = listing->weight;
	record->max_connections = listing->max_connections;
	record->backup = listing->backup;
	record->source_draining = listing->draining;
	member->roster->changed = true;
	roster_touch(member);
}

static void come_back(struct member *member)
{
	struct target_record *record = &member->record;

	if (record->gone_us)
		member->roster->gone_count--;
	record->removed_us = 0;
	record->gone_us = 0;
	record->returns++;
	record->health = first_health(member->roster);
	record->checks_passed = 0;
	record->checks_failed = 0;
	atomic_store(&record->target->failures, 0);
}

void member_verify(struct member *member, const char *why)
{
	if (!member->record.unverified)
		return;
	member->record.unverified = false;
	member_note(member, "need not pass a check first any more: %s", why);
	roster_touch(member);
}

/* Who comes from somebody's memory alone waits for a check; the word of any source ends that. */
static void settle_trust(struct member *member, const struct listing *listing)
{
	if (!listing->unverified)
		member_verify(member, "a source lists it again");
	else if (!member->listings)
		member->record.unverified = member->record.health != HEALTH_UNCHECKED;
}

void member_attach(struct member *member, struct listing *listing)
{
	struct listing **at = &member->listings;

	settle_trust(member, listing);
	if (!member->listings) {
		member->roster->listed++;
		if (member->record.removed_us)
			come_back(member);
	}
	while (*at && (*at)->source->order < listing->source->order)
		at = &(*at)->next;
	if (*at && (*at)->source == listing->source) {
		struct listing *old = *at;

		*at = old->next;
		listing_free(old);
	} else {
		listing->source->count++;
	}
	listing->next = *at;
	*at = listing;
	listing_free(member->kept);
	member->kept = NULL;
	member->roster->unsorted = true;
	adopt(member);
}

void member_detach(struct member *member, const struct source *source)
{
	struct listing **at = &member->listings;
	struct listing *listing;

	while ((*at)->source != source)
		at = &(*at)->next;
	listing = *at;
	*at = listing->next;
	listing->source->count--;
	if (member->listings) {
		listing_free(listing);
	} else {
		member->kept = listing;
		member->record.unverified = false;
		member->record.removed_us = clock_us();
		member->roster->listed--;
	}
	member->roster->unsorted = true;
	adopt(member);
}
