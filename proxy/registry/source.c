/* SPDX-License-Identifier: Apache-2.0
 *
 * The sources of one pool, in the order in which they decide on a target's attributes: the file,
 * the operator, the control daemon, others by name. Happy path: the first set of a source makes it,
 * for which roster_reserve() has made room; dropping it ends it. The only failure is memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/registry/internal.h"

static unsigned rank_of(const char *name)
{
	static const char *const known[] = {SOURCE_CONFIG, SOURCE_OPERATOR, SOURCE_CONTROL};
	unsigned rank = 0;

	while (rank < sizeof(known) / sizeof(known[0]) && strcmp(known[rank], name))
		rank++;
	return rank;
}

static bool stands_before(const char *a, const char *b)
{
	unsigned rank_a = rank_of(a), rank_b = rank_of(b);

	return rank_a != rank_b ? rank_a < rank_b : strcmp(a, b) < 0;
}

struct source *source_find(const struct roster *roster, const char *name)
{
	for (size_t i = 0; i < roster->record.source_count; i++)
		if (!strcmp(roster->sources[i]->name, name))
			return roster->sources[i];
	return NULL;
}

static void name_kind(const struct pool_conf *conf, struct source *source)
{
	for (size_t i = 0; conf && i < conf->discover_count; i++)
		if (!strcmp(conf->discovers[i].name, source->name))
			snprintf(source->kind, sizeof(source->kind), "%s", conf->discovers[i].kind);
}

void registry_name_kind(struct registry *registry, const char *pool, const char *source_name,
			const char *kind)
{
	struct roster *roster = roster_find(registry, pool);
	struct source *source = roster ? source_find(roster, source_name) : NULL;

	if (!source || source->kind[0])
		return;
	snprintf(source->kind, sizeof(source->kind), "%s", kind);
	sources_publish(roster);
}

void sources_name_kinds(struct roster *roster)
{
	for (size_t i = 0; i < roster->record.source_count; i++)
		name_kind(roster->record.conf, roster->sources[i]);
	sources_publish(roster);
}

/* Write the sources out for readers, and their places for ourselves. */
void sources_publish(struct roster *roster)
{
	for (size_t i = 0; i < roster->record.source_count; i++) {
		struct source *source = roster->sources[i];

		source->order = i;
		roster->record.sources[i] = (struct source_record){
			.name = source->name,
			.kind = source->kind[0] ? source->kind : NULL,
			.generation = source->generation,
			.wall_us = source->wall_us,
			.target_count = source->count,
			.unverified = source->unverified,
		};
	}
}

static void insert(struct roster *roster, struct source *source)
{
	size_t at = roster->record.source_count++;

	for (; at && stands_before(source->name, roster->sources[at - 1]->name); at--)
		roster->sources[at] = roster->sources[at - 1];
	roster->sources[at] = source;
	sources_publish(roster);
}

void source_free(struct roster *roster, struct source *source)
{
	struct pool_record *record = &roster->record;

	for (size_t i = source->order; i + 1 < record->source_count; i++)
		roster->sources[i] = roster->sources[i + 1];
	record->source_count--;
	sources_publish(roster);
	free(source->name);
	free(source);
}

struct source *source_new(struct roster *roster, const char *name)
{
	struct source *source = calloc(1, sizeof(*source));

	if (!source)
		return NULL;
	source->name = strdup(name);
	if (!source->name) {
		free(source);
		return NULL;
	}
	name_kind(roster->record.conf, source);
	insert(roster, source);
	return source;
}

bool source_is_discovered(const struct source *source)
{
	return source->kind[0] || !strcmp(source->name, SOURCE_CONTROL);
}

bool source_is_pushed(const struct source *source)
{
	return rank_of(source->name) > 1;
}
