/* SPDX-License-Identifier: Apache-2.0
 *
 * Balancers and their cursors: what is common to all algorithms.
 *
 * The happy path is: balancer_new() keeps the members that have a weight as `choices` and lets the
 * algorithm make its table, balance_cursor_new() says where this worker's round begins and lets the
 * algorithm make its state, balance_pick() asks it for a slot and answers with the member's index.
 *
 * Failure modes: without memory both constructors give NULL. When the algorithm finds nobody, the
 * reason is worked out here, the same for all: no members, no weights, then full (with something
 * open left that was not tried), tried if anything was, and draining when all are closed.
 */
#include <stdlib.h>

#include "proxy/balance/internal.h"
#include "proxy/base/panic.h"

#define MEMBERS_MAX 65536

const char *const balance_kind_names[BALANCE_KINDS] = {
	[BALANCE_ROUND_ROBIN] = "round_robin",
	[BALANCE_LEAST_CONNECTIONS] = "least_connections",
	[BALANCE_RANDOM_TWO] = "random_two",
	[BALANCE_MAGLEV] = "maglev",
	[BALANCE_FIRST] = "first",
};

static const struct balance_algorithm *const algorithms[BALANCE_KINDS] = {
	[BALANCE_ROUND_ROBIN] = &balance_round_robin,
	[BALANCE_LEAST_CONNECTIONS] = &balance_least_connections,
	[BALANCE_RANDOM_TWO] = &balance_random_two,
	[BALANCE_MAGLEV] = &balance_maglev,
	[BALANCE_FIRST] = &balance_first,
};

static void add_choice(struct balancer *balancer, const struct balance_member *member,
		       uint32_t index)
{
	balancer->choices[balancer->choice_count++] = (struct choice){
		.target = member->target,
		.weight = member->weight,
		.index = index,
	};
	balancer->weight_sum += member->weight;
}

struct balancer *balancer_new(enum balance_kind kind, const struct balance_member *members,
			      size_t count, uint32_t load_percent)
{
	struct balancer *balancer;

	must(kind < BALANCE_KINDS && count <= MEMBERS_MAX);
	balancer = calloc(1, sizeof(*balancer) + count * sizeof(balancer->choices[0]));
	if (!balancer)
		return NULL;
	atomic_init(&balancer->refs, 1);
	balancer->algorithm = algorithms[kind];
	balancer->member_count = count;
	balancer->load_percent = load_percent;
	for (size_t i = 0; i < count; i++)
		if (members[i].weight)
			add_choice(balancer, &members[i], (uint32_t)i);
	if (balancer->choice_count && balancer->algorithm->prepare &&
	    balancer->algorithm->prepare(balancer, members) < 0)
		goto fail;
	if (balancer->algorithm->resume && lineage_prepare(balancer) < 0)
		goto fail;
	return balancer;
fail:
	balancer_put(balancer);
	return NULL;
}

struct balancer *balancer_get(struct balancer *balancer)
{
	if (balancer)
		atomic_fetch_add_explicit(&balancer->refs, 1, memory_order_relaxed);
	return balancer;
}

void balancer_put(struct balancer *balancer)
{
	if (!balancer || atomic_fetch_sub_explicit(&balancer->refs, 1, memory_order_acq_rel) > 1)
		return;
	free(balancer->table);
	free(balancer->by_target);
	free(balancer);
}

/* Lay the weights end to end and cut them into one piece per worker: this worker starts inside its
 * own piece, as far in as the upper half of the seed says, so that a generation of snapshots does
 * not send the first session of each to the same member. */
static uint32_t start_slot(const struct balancer *balancer, unsigned worker, unsigned worker_count,
			   uint64_t seed)
{
	unsigned __int128 piece = (unsigned __int128)worker << 32 | seed >> 32;
	uint64_t position = (uint64_t)(piece * balancer->weight_sum / worker_count >> 32);
	uint32_t slot = 0;

	while (slot + 1 < balancer->choice_count && position >= balancer->choices[slot].weight)
		position -= balancer->choices[slot++].weight;
	return slot;
}

struct balance_cursor *balance_cursor_new(const struct balancer *balancer, unsigned worker,
					  unsigned worker_count, uint64_t seed)
{
	struct balance_cursor *cursor;

	must(worker < worker_count);
	cursor = calloc(1, sizeof(*cursor));
	if (!cursor)
		return NULL;
	cursor->balancer = balancer;
	cursor->random = mix64(seed) ^ mix64(worker + 1);
	cursor->start = start_slot(balancer, worker, worker_count, seed);
	if (balancer->choice_count && balancer->algorithm->begin &&
	    balancer->algorithm->begin(cursor) < 0)
		goto fail;
	return cursor;
fail:
	balance_cursor_free(cursor);
	return NULL;
}

void balance_cursor_free(struct balance_cursor *cursor)
{
	if (!cursor)
		return;
	free(cursor->state);
	free(cursor);
}

void balance_cursor_resume(struct balance_cursor *cursor, const struct balance_cursor *before)
{
	const struct balancer *now = cursor->balancer, *then = before->balancer;
	uint32_t *slots;

	if (now->algorithm != then->algorithm)
		return;
	cursor->random = before->random;
	if (!now->algorithm->resume || !now->choice_count || !then->choice_count)
		return;
	slots = lineage_slots(now, then);
	if (slots)
		now->algorithm->resume(cursor, before, slots);
	free(slots);
}

/* The algorithm found nobody, so whoever is open and was not tried is (or was a moment ago) full.
 */
static enum balance_none why_nobody(const struct balancer *balancer,
				    const struct balance_query *query)
{
	bool tried = false;

	for (uint32_t i = 0; i < balancer->choice_count; i++) {
		const struct choice *choice = &balancer->choices[i];

		if (choice_is_tried(choice, query))
			tried = true;
		else if (!target_is_closed(choice->target))
			return BALANCE_FULL;
	}
	return tried ? BALANCE_TRIED : BALANCE_DRAINING;
}

int balance_pick(struct balance_cursor *cursor, const struct balance_query *query)
{
	const struct balancer *balancer = cursor->balancer;
	int slot;

	must(query->tried_count <= BALANCE_TRIED_MAX);
	if (!balancer->member_count)
		return BALANCE_EMPTY;
	if (!balancer->choice_count)
		return BALANCE_DRAINING;
	slot = balancer->algorithm->pick(cursor, query);
	if (slot == NO_SLOT)
		return why_nobody(balancer, query);
	return (int)balancer->choices[slot].index;
}
