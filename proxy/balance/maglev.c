/* SPDX-License-Identifier: Apache-2.0
 *
 * `maglev`: the same client goes to the same member, on every worker and every host, and losing or
 * gaining a member moves few of the others' clients (Eisenbud et al., "Maglev: A Fast and Reliable
 * Software Network Load Balancer", NSDI 2016, section 3.4).
 *
 * The happy path is: each member's key gives it a permutation of the table's entries; members take
 * turns, by weight, in claiming the next free entry of their permutation until none is free; a
 * pick then reads one entry. Members claim in the order of their keys' hashes, so the table does
 * not depend on the order in which discovery lists them.
 *
 * Failure modes: when the entry's member is tried or full, the client's hash is hashed again for
 * another entry until that finds a stand-in, so a failed member's clients spread over all others by
 * weight. (Neighbouring entries would not do: permutations are arithmetic progressions, so the same
 * members tend to follow each other.) Many attempts mean that few are usable: a pass over the
 * members then ends it either way.
 *
 * With a load factor, a member above its bound is passed over in the same way, so a client whose
 * member is overloaded has one and the same stand-in as long as that one is not (Mirrokni, Thorup,
 * Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016). The bound never refuses anybody:
 * if all that are usable are above it, the first of them takes the session.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/balance/internal.h"
#include "proxy/base/panic.h"

/* Entries looked at before the members themselves are asked. */
#define ATTEMPTS 64

struct maglev {
	uint32_t size;
	uint16_t slots[]; /* 65,536 members at most, so any slot fits */
};

/* One member while the table is filled. */
struct claimant {
	uint64_t hash;   /* of its key: its place in the order */
	uint32_t next;   /* entry of its permutation to look at */
	uint32_t skip;   /* distance to the one after that */
	uint64_t credit; /* turns it may take, in units of the largest weight */
	uint32_t weight;
	uint16_t slot;
};

/* Primes, so that every distance but 0 visits all entries. A hundred entries per member keep shares
 * within 1 %; few steps, because a table of another size sends every client elsewhere. Main fills
 * 262,147 entries in 15 ms. The last size caps a table at 4 MB. */
static uint32_t table_size(size_t member_count)
{
	static const uint32_t sizes[] = {65537, 262147, 1048583, 2097143};

	for (unsigned i = 0; i < 3; i++)
		if (member_count * 100 <= sizes[i])
			return sizes[i];
	return sizes[3];
}

static uint64_t hash_key(const char *key)
{
	uint64_t hash = 0;

	for (; *key; key++)
		hash = mix64(hash + GOLDEN + (unsigned char)*key);
	return hash;
}

static struct claimant claimant_of(const struct choice *choice, const char *key, uint16_t slot,
				   uint32_t size)
{
	uint64_t hash = hash_key(key);

	return (struct claimant){
		.hash = hash,
		.next = (uint32_t)(hash % size),
		.skip = (uint32_t)(mix64(hash) % (size - 1)) + 1,
		.weight = choice->weight,
		.slot = slot,
	};
}

static int compare_claimants(const void *a, const void *b)
{
	const struct claimant *one = a;
	const struct claimant *two = b;

	if (one->hash != two->hash)
		return one->hash < two->hash ? -1 : 1;
	return (one->slot > two->slot) - (one->slot < two->slot);
}

static uint32_t advance(uint32_t entry, uint32_t distance, uint32_t size)
{
	uint32_t sum = entry + distance;

	return sum >= size ? sum - size : sum;
}

/* The next entry of its permutation that nobody has; there must be one. Most of the time goes into
 * finding the last free ones, so what is looked at is a bit each. */
static void claim(struct claimant *claimant, struct maglev *maglev, uint64_t *taken)
{
	uint32_t entry = claimant->next;

	while (taken[entry / 64] >> entry % 64 & 1)
		entry = advance(entry, claimant->skip, maglev->size);
	taken[entry / 64] |= UINT64_C(1) << entry % 64;
	maglev->slots[entry] = claimant->slot;
	claimant->next = entry;
}

/* In each round a member takes weight/heaviest of a turn, saved up until it is a whole one. All
 * begin with a whole turn, so that the lightest member has an entry too. */
static void fill(struct maglev *maglev, struct claimant *claimants, uint32_t count, uint64_t *taken)
{
	uint32_t heaviest = 0;
	uint32_t free_entries = maglev->size;

	for (uint32_t i = 0; i < count; i++)
		if (claimants[i].weight > heaviest)
			heaviest = claimants[i].weight;
	for (uint32_t i = 0; i < count; i++)
		claimants[i].credit = heaviest - claimants[i].weight;
	for (uint32_t i = 0; free_entries > 0; i = (i + 1) % count) {
		claimants[i].credit += claimants[i].weight;
		if (claimants[i].credit < heaviest)
			continue;
		claimants[i].credit -= heaviest;
		claim(&claimants[i], maglev, taken);
		free_entries--;
	}
}

static int prepare(struct balancer *balancer, const struct balance_member *members)
{
	uint32_t count = balancer->choice_count;
	uint32_t size = table_size(balancer->member_count);
	struct maglev *maglev = malloc(sizeof(*maglev) + size * sizeof(maglev->slots[0]));
	struct claimant *claimants = calloc(count, sizeof(*claimants));
	uint64_t *taken = calloc(size / 64 + 1, sizeof(*taken));
	int r = -ENOMEM;

	if (!maglev || !claimants || !taken)
		goto fail;
	maglev->size = size;
	for (uint32_t i = 0; i < count; i++) {
		const struct choice *choice = &balancer->choices[i];

		must(members[choice->index].key);
		claimants[i] = claimant_of(choice, members[choice->index].key, (uint16_t)i, size);
	}
	qsort(claimants, count, sizeof(*claimants), compare_claimants);
	fill(maglev, claimants, count, taken);
	balancer->table = maglev;
	maglev = NULL;
	r = 0;
fail:
	free(maglev);
	free(claimants);
	free(taken);
	return r;
}

static int begin(struct balance_cursor *cursor)
{
	if (!cursor->balancer->load_percent)
		return 0;
	cursor->state = bound_new(cursor->balancer);
	return cursor->state ? 0 : -ENOMEM;
}

/* Whether to take `slot` now; `spare` keeps the first that only the bound forbids. */
static bool accept_slot(const struct balance_cursor *cursor, const struct balance_query *query,
			uint32_t slot, int *spare)
{
	const struct balancer *balancer = cursor->balancer;

	if (!choice_is_usable(&balancer->choices[slot], query))
		return false;
	if (!cursor->state || bound_allows(cursor->state, balancer, slot))
		return true;
	if (*spare == NO_SLOT)
		*spare = (int)slot;
	return false;
}

/* Any acceptable member, the same one for the same client as long as the same ones are. */
static int scan_members(const struct balance_cursor *cursor, const struct balance_query *query,
			int spare)
{
	uint32_t count = cursor->balancer->choice_count;
	uint32_t slot = (uint32_t)scale64(mix64(query->key_hash), count);

	for (uint32_t i = 0; i < count; i++, slot = advance(slot, 1, count))
		if (accept_slot(cursor, query, slot, &spare))
			return (int)slot;
	return spare;
}

static int pick(struct balance_cursor *cursor, const struct balance_query *query)
{
	const struct maglev *maglev = cursor->balancer->table;
	uint64_t hash = query->key_hash;
	int spare = NO_SLOT;

	if (cursor->state)
		bound_refresh(cursor->state, cursor->balancer);
	for (int i = 0; i < ATTEMPTS; i++, hash = mix64(hash + GOLDEN)) {
		uint16_t slot = maglev->slots[scale64(hash, maglev->size)];

		if (accept_slot(cursor, query, slot, &spare))
			return slot;
	}
	return scan_members(cursor, query, spare);
}

const struct balance_algorithm balance_maglev = {.prepare = prepare, .begin = begin, .pick = pick};
