/* SPDX-License-Identifier: Apache-2.0
 *
 * Which target somebody means. Happy path: by name, else by id, address or key; those that are
 * listed go before those that were removed. Failure modes: nobody (-ENOENT), or several
 * (-ENOTUNIQ) where the text fits best.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/registry/internal.h"
#include "proxy/target.h"

/* How well it fits, worst first. */
enum fit { FIT_NONE, FIT_KEY, FIT_ADDRESS, FIT_ID, FIT_NAME, FITS };

struct search {
	const char *text;
	struct addr addr; /* family 0: the text is none */
	uint64_t key;     /* 0: the text is none */
	struct member *best;
	unsigned fit; /* of the best; FITS more if it is listed */
	size_t count; /* that fit as well */
};

static void search_init(struct search *search, const char *text)
{
	char *end = NULL;

	*search = (struct search){.text = text};
	if (addr_parse(text, &search->addr) < 0)
		search->addr.family = 0;
	if (*text >= '1' && *text <= '9')
		search->key = strtoull(text, &end, 10);
	if (!end || *end)
		search->key = 0;
}

static enum fit fit_of(const struct search *search, const struct member *member)
{
	const struct target_record *record = &member->record;

	if (!strcmp(search->text, record->target->name))
		return FIT_NAME;
	if (record->id && !strcmp(search->text, record->id))
		return FIT_ID;
	if (search->addr.family && addr_equal(&search->addr, &record->target->addr))
		return FIT_ADDRESS;
	return search->key == record->key ? FIT_KEY : FIT_NONE;
}

static void search_in(struct search *search, const struct roster *roster)
{
	for (size_t i = 0; i < roster->record.target_count; i++) {
		struct member *member = roster_member(roster, i);
		enum fit kind = fit_of(search, member);
		unsigned fit = kind && member->listings ? kind + FITS : kind;

		if (!fit || fit < search->fit)
			continue;
		search->count = fit == search->fit ? search->count + 1 : 1;
		search->fit = fit;
		search->best = member;
	}
}

int registry_find(struct registry *registry, const char *pool, const char *target,
		  struct target_record **ret_record)
{
	struct search search;

	search_init(&search, target);
	for (size_t i = 0; i < registry->roster_count; i++)
		if (!pool || !strcmp(pool, registry->rosters[i]->name))
			search_in(&search, registry->rosters[i]);
	if (!search.count)
		return -ENOENT;
	if (search.count > 1)
		return -ENOTUNIQ;
	*ret_record = &search.best->record;
	return 0;
}
