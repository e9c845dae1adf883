/* SPDX-License-Identifier: Apache-2.0
 *
 * What sources say runs. Happy path of a set: every target it names is found or made, everything
 * that differs gets a new listing, all of it prepared before anything changes; then the listings
 * are attached, those that the set does not have any more are detached, and the roster is settled.
 *
 * Failure modes: an old generation, or an equal one of other content (-ESTALE); a bad or doubled
 * target (-EINVAL); too many (-E2BIG); no memory. All of them before anything changed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/events.h"
#include "proxy/registry/internal.h"
#include "proxy/registry/store.h"

#define WEIGHT_MAX 1000
/* More than these come and go in one set: one event tells it. */
#define TOLD_MAX 16

/* One target of a set, prepared. */
struct draft {
	struct member *member;   /* NULL: doubled, and somebody else's word */
	struct listing *listing; /* NULL: as it was */
	bool fresh;              /* the member was made for it */
};

struct put {
	struct roster *roster;
	struct source *source;
	bool source_fresh;
	bool partial; /* one target more, not a whole set */
	const struct target_spec *specs;
	size_t count;
	struct draft *drafts;
	size_t prepared;
	size_t kept; /* the source listed them before */
	size_t added;
	size_t changed;
	size_t removed;
};

static int open_source(struct put *put, const char *name)
{
	int err = roster_reserve(put->roster, 0);

	if (err)
		return err;
	put->source = source_find(put->roster, name);
	if (put->source)
		return 0;
	put->source = source_new(put->roster, name);
	put->source_fresh = true;
	return put->source ? 0 : -ENOMEM;
}

static bool is_same(const struct listing *listing, const struct target_spec *spec)
{
	return listing->weight == spec->weight &&
	       listing->max_connections == spec->max_connections &&
	       listing->backup == spec->backup && listing->draining == spec->draining &&
	       listing->unverified == spec->unverified &&
	       !strcmp(listing->zone ? listing->zone : "", spec->zone ? spec->zone : "");
}

static bool is_valid(const struct target_spec *spec)
{
	return spec->weight <= WEIGHT_MAX && (!spec->id || *spec->id) &&
	       (spec->addr.family == AF_UNIX ? spec->addr.path != NULL
					     : spec->addr.family && spec->addr.port);
}

static int prepare_one(struct put *put, struct draft *draft, const struct target_spec *spec)
{
	const struct listing *before;

	if (!is_valid(spec))
		return -EINVAL;
	draft->member = member_find(put->roster, spec->id, &spec->addr);
	if (!draft->member) {
		draft->member = member_new(put->roster, spec);
		draft->fresh = true;
		if (!draft->member)
			return -ENOMEM;
	} else if (draft->member->draft_serial == put->roster->serial) {
		/* Two names of one server are one target; a push has no excuse. */
		draft->member = NULL;
		return strcmp(put->source->name, SOURCE_CONFIG) ? -EINVAL : 0;
	}
	draft->member->draft_serial = put->roster->serial;
	before = member_listing(draft->member, put->source);
	put->kept += before != NULL;
	if (before && is_same(before, spec))
		return 0;
	draft->listing = listing_new(put->source, spec);
	return draft->listing ? 0 : -ENOMEM;
}

static int prepare(struct put *put)
{
	int err;

	put->drafts = calloc(put->count + 1, sizeof(*put->drafts));
	if (!put->drafts || roster_reserve(put->roster, put->count) < 0)
		return -ENOMEM;
	put->roster->serial++;
	for (size_t i = 0; i < put->count; i++) {
		err = prepare_one(put, &put->drafts[put->prepared++], &put->specs[i]);
		if (err)
			return err;
	}
	return 0;
}

static void undo(struct put *put)
{
	for (size_t i = 0; i < put->prepared; i++) {
		listing_free(put->drafts[i].listing);
		if (put->drafts[i].fresh && put->drafts[i].member)
			member_free(put->drafts[i].member);
	}
	free(put->drafts);
	if (put->source_fresh)
		source_free(put->roster, put->source);
}

/* How many are listed by this source alone, and not in the set. */
static size_t leaving(const struct put *put)
{
	size_t count = 0;

	for (size_t i = 0; i < put->roster->record.target_count && !put->partial; i++) {
		const struct member *member = roster_member(put->roster, i);

		count += member->draft_serial != put->roster->serial && member->listings &&
			 member->listings->source == put->source && !member->listings->next;
	}
	return count;
}

static int check_size(const struct put *put)
{
	size_t coming = 0;

	for (size_t i = 0; i < put->prepared; i++)
		coming += put->drafts[i].member && !put->drafts[i].member->listings;
	if (put->roster->listed + coming <= ROSTER_TARGETS_MAX)
		return 0;
	return put->roster->listed + coming - leaving(put) <= ROSTER_TARGETS_MAX ? 0 : -E2BIG;
}

static bool differs(const struct put *put)
{
	for (size_t i = 0; i < put->prepared; i++)
		if (put->drafts[i].listing)
			return true;
	return !put->partial && put->kept != put->source->count;
}

static void apply_one(struct put *put, struct draft *draft, uint32_t position)
{
	struct member *member = draft->member;
	struct listing *listing = draft->listing;
	bool coming = !member->listings;

	if (draft->fresh)
		put->roster->record.targets[put->roster->record.target_count++] = &member->record;
	if (listing) {
		listing->position = position;
		member_attach(member, listing);
		put->added += coming;
		put->changed += !coming;
	} else {
		listing = member_listing(member, put->source);
		put->roster->unsorted |= listing->position != position;
		listing->position = position;
	}
	listing->serial = put->roster->serial;
}

static void apply(struct put *put)
{
	struct roster *roster = put->roster;

	for (size_t i = 0; i < put->prepared; i++)
		if (put->drafts[i].member)
			apply_one(put, &put->drafts[i], put->source->position++);
	for (size_t i = 0; i < roster->record.target_count && !put->partial; i++) {
		struct member *member = roster_member(roster, i);
		struct listing *listing = member_listing(member, put->source);

		if (!listing || listing->serial == roster->serial)
			continue;
		member_detach(member, put->source);
		put->removed += !member->listings;
	}
	roster->changed |= roster->unsorted;
	free(put->drafts);
}

static void tell(const struct put *put)
{
	const struct source *source = put->source;

	if (put->roster->quiet)
		events_add(put->roster->registry->events, LOG_INFO, "targets", put->roster->name,
			   NULL, "source %s, generation %llu: %zu added, %zu removed, %zu changed",
			   source->name, (unsigned long long)source->generation, put->added,
			   put->removed, put->changed);
}

/* Of targets that somebody only remembers: whether there is a check to wait for. */
static void tell_unverified(const struct put *put)
{
	const struct roster *roster = put->roster;
	bool checked = roster->settings.health.kind != HEALTH_OFF;

	if (put->source->unverified && put->added)
		events_add(roster->registry->events, checked ? LOG_INFO : LOG_WARN, "unverified",
			   roster->name, NULL, "targets that source %s remembers: %zu; %s",
			   put->source->name, put->added,
			   checked ? "each serves once a health check passed"
				   : "they serve, as the pool has no health check to verify them");
}

static bool is_unverified(const struct put *put)
{
	for (size_t i = 0; i < put->count; i++)
		if (put->specs[i].unverified)
			return true;
	return false;
}

static void finish(struct put *put, uint64_t generation)
{
	struct roster *roster = put->roster;

	if (!put->partial)
		put->source->position = 0;
	apply(put);
	put->source->generation = generation ? generation : put->source->generation + 1;
	put->source->wall_us = clock_wall_us();
	put->source->unverified = is_unverified(put);
	if (source_is_pushed(put->source))
		roster->record.awaited = false;
	sources_publish(roster);
	roster->quiet = put->added + put->removed > TOLD_MAX;
	tell(put);
	tell_unverified(put);
	roster_settle(roster, clock_us());
	roster->quiet = false;
}

/* The operator's own targets survive a restart. */
static void keep(struct roster *roster, const struct source *source)
{
	if (!strcmp(source->name, SOURCE_OPERATOR))
		store_save(roster->registry->store);
}

/* Prepare the set, and look whether it may be applied: PUT_APPLIED, PUT_SAME or -errno. */
static int judge(struct put *put, uint64_t generation)
{
	bool numbered = generation && !put->source_fresh;
	int err;

	if (numbered && generation < put->source->generation)
		return -ESTALE;
	err = prepare(put);
	if (!err)
		err = check_size(put);
	if (!err && numbered && generation == put->source->generation)
		err = differs(put) ? -ESTALE : PUT_SAME;
	return err;
}

int registry_put(struct registry *registry, const char *pool, const char *source,
		 uint64_t generation, const struct target_spec *specs, size_t count,
		 uint64_t *ret_generation)
{
	struct put put = {.roster = roster_find(registry, pool), .specs = specs, .count = count};
	int err;

	if (!put.roster)
		return -ENOENT;
	if (count > ROSTER_TARGETS_MAX)
		return -E2BIG;
	err = open_source(&put, source);
	if (err)
		return err;
	err = judge(&put, generation);
	if (err == -ESTALE || err == PUT_SAME)
		*ret_generation = put.source->generation;
	if (err) {
		undo(&put);
		return err;
	}
	finish(&put, generation);
	*ret_generation = put.source->generation;
	keep(put.roster, put.source);
	return PUT_APPLIED;
}

int registry_drop_source(struct registry *registry, const char *pool, const char *source)
{
	struct put put = {.roster = roster_find(registry, pool)};

	if (!put.roster)
		return -ENOENT;
	put.source = source_find(put.roster, source);
	if (!put.source)
		return -ENOENT;
	if (prepare(&put) < 0) {
		free(put.drafts);
		return -ENOMEM;
	}
	finish(&put, 0);
	keep(put.roster, put.source);
	source_free(put.roster, put.source);
	return 0;
}

int registry_add(struct registry *registry, const char *pool, const struct target_spec *spec)
{
	struct put put = {
		.roster = roster_find(registry, pool), .partial = true, .specs = spec, .count = 1};
	const struct member *member;
	int err;

	if (!put.roster)
		return -ENOENT;
	member = member_find(put.roster, spec->id, &spec->addr);
	if (member && member->listings)
		return -EEXIST;
	err = open_source(&put, SOURCE_OPERATOR);
	if (err)
		return err;
	err = prepare(&put);
	if (!err)
		err = check_size(&put);
	if (err) {
		undo(&put);
		return err;
	}
	finish(&put, 0);
	keep(put.roster, put.source);
	return 0;
}

int registry_remove(struct registry *registry, struct target_record *record)
{
	struct member *member = member_of(record);
	struct roster *roster = member->roster;
	struct source *source = source_find(roster, SOURCE_OPERATOR);
	bool listed = source && member_listing(member, source);

	if (member->listings && (!listed || member->listings->next))
		return -EPERM;
	if (!listed)
		return -ENOENT;
	member_detach(member, source);
	source->generation++;
	source->wall_us = clock_wall_us();
	sources_publish(roster);
	roster_settle(roster, clock_us());
	keep(roster, source);
	return 0;
}
