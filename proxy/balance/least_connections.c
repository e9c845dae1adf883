/* SPDX-License-Identifier: Apache-2.0
 *
 * `least_connections`: the smallest (inflight + 1) / weight of all members. With up to SWEEP
 * members that is exact. With more, a load that grew is never mistaken for a small one, and one
 * that fell is noticed within members / SWEEP of this worker's picks (32 with 1,000).
 *
 * The counts are shared by all workers and change under us; reading all of them costs a cache line
 * each, which is 2 us with 1,000. So each worker remembers what it read, as the leaves of a
 * tournament: a pick reads the next SWEEP members, in turn, replays the matches of those that
 * changed, and reads the winner once more. If the winner's load has grown meanwhile, its matches
 * are replayed too and the next winner is asked. That costs 0.2 to 0.5 us, whatever the number of
 * members and while two workers move the counts. Measured beside it: one pass over remembered loads
 * (3 us for 1,000), a heap of them (as good, but slower while counts move), a random sample (as
 * fast, twice as often wrong), all counts in one dense array (3 us when two threads move them, and
 * then every release is a contended line).
 *
 * By that rule alone a member of small weight would get nobody while the others can be idle: its
 * first session weighs as much as ten on one of ten times the weight. So where weights differ,
 * each pick first draws a member by weight, and takes it if it is idle.
 *
 * Among equals the one that this worker has not picked for longest wins: idle targets are then
 * taken in turn, whereas "the first minimum" would favour whoever follows a busy stretch. Each
 * worker's turn begins at its own start slot.
 *
 * Failure modes: a winner that is full, closed or tried counts as infinitely loaded until it is
 * read again; when all seem to be, all are read before the answer is that there is nobody.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "proxy/balance/internal.h"
#include "proxy/base/panic.h"

/* Members read anew by each pick. */
#define SWEEP 32

/* What is remembered of a choice. */
struct leaf {
	double load;       /* (inflight + 1) / weight; infinite: not usable */
	uint64_t picked;   /* stamp of its last pick: the smaller one wins a tie */
	uint32_t inflight; /* what `load` was made of, or LOAD_SHUT */
};

struct tournament {
	uint64_t next_stamp;
	uint32_t next_sweep;
	uint32_t count;
	uint32_t hidden[BALANCE_TRIED_MAX]; /* slots shut only because they were tried */
	uint32_t hidden_count;
	uint32_t *winners; /* slots: [1] the best of all, [i] of [2i] and [2i+1], [count + s] = s */
	struct leaf leaves[];
};

static uint32_t match(const struct tournament *tournament, uint32_t a, uint32_t b)
{
	const struct leaf *one = &tournament->leaves[a];
	const struct leaf *two = &tournament->leaves[b];

	if (one->load != two->load)
		return one->load < two->load ? a : b;
	return one->picked < two->picked ? a : b;
}

/* The leaf of `slot` changed. Where somebody else won before and wins again, so do all above. */
static void replay(struct tournament *tournament, uint32_t slot)
{
	uint32_t *winners = tournament->winners;
	uint32_t winner = slot;

	for (uint32_t node = tournament->count + slot; node > 1; node /= 2) {
		winner = match(tournament, winner, winners[node ^ 1]);
		if (winner != slot && winners[node / 2] == winner)
			return;
		winners[node / 2] = winner;
	}
}

static void remember(struct leaf *leaf, uint32_t inflight, uint32_t weight)
{
	leaf->inflight = inflight;
	leaf->load = inflight == LOAD_SHUT ? INFINITY : (inflight + 1.0) / weight;
}

/* Read a member's load; whether it is another than before. */
static bool look(struct balance_cursor *cursor, uint32_t slot, const struct balance_query *query)
{
	struct tournament *tournament = cursor->state;
	const struct choice *choice = &cursor->balancer->choices[slot];
	struct leaf *leaf = &tournament->leaves[slot];
	bool tried = choice_is_tried(choice, query);
	uint32_t inflight = tried ? LOAD_SHUT : choice_load(choice);

	if (inflight == leaf->inflight)
		return false;
	if (tried)
		tournament->hidden[tournament->hidden_count++] = slot;
	remember(leaf, inflight, choice->weight);
	replay(tournament, slot);
	return true;
}

static void sweep(struct balance_cursor *cursor, uint32_t most, const struct balance_query *query)
{
	struct tournament *tournament = cursor->state;

	for (uint32_t i = 0; i < most && i < tournament->count; i++) {
		uint32_t slot = tournament->next_sweep;

		tournament->next_sweep = slot + 1 == tournament->count ? 0 : slot + 1;
		look(cursor, slot, query);
	}
}

/* Who wins still, once its load was read again. */
static int winner(struct balance_cursor *cursor, const struct balance_query *query)
{
	const struct tournament *tournament = cursor->state;

	for (;;) {
		uint32_t slot = tournament->winners[1];

		if (tournament->leaves[slot].inflight == LOAD_SHUT)
			return NO_SLOT;
		if (!look(cursor, slot, query))
			return (int)slot;
	}
}

/* What this session has tried, the next one may pick. */
static void show_hidden(struct balance_cursor *cursor)
{
	static const struct balance_query untried;
	struct tournament *tournament = cursor->state;

	while (tournament->hidden_count)
		look(cursor, tournament->hidden[--tournament->hidden_count], &untried);
}

static bool weights_differ(const struct balancer *balancer)
{
	for (uint32_t i = 1; i < balancer->choice_count; i++)
		if (balancer->choices[i].weight != balancer->choices[0].weight)
			return true;
	return false;
}

static int prepare(struct balancer *balancer, const struct balance_member *members)
{
	return weights_differ(balancer) ? draw_prepare(balancer, members) : 0;
}

/* Whose turn it is by weight, if that one is idle. */
static int idle_turn(struct balance_cursor *cursor, const struct balance_query *query)
{
	const struct balancer *balancer = cursor->balancer;
	uint32_t slot;

	if (!balancer->table)
		return NO_SLOT;
	slot = draw_slot_at(balancer, scale64(cursor_random(cursor), balancer->weight_sum));
	if (target_inflight(balancer->choices[slot].target) ||
	    !choice_is_usable(&balancer->choices[slot], query))
		return NO_SLOT;
	return (int)slot;
}

static int pick(struct balance_cursor *cursor, const struct balance_query *query)
{
	struct tournament *tournament = cursor->state;
	int slot;

	sweep(cursor, SWEEP, query);
	slot = idle_turn(cursor, query);
	if (slot == NO_SLOT)
		slot = winner(cursor, query);
	if (slot == NO_SLOT && tournament->count > SWEEP) {
		sweep(cursor, tournament->count, query);
		slot = winner(cursor, query);
	}
	if (slot != NO_SLOT) {
		tournament->leaves[slot].picked = tournament->next_stamp++;
		replay(tournament, (uint32_t)slot);
	}
	show_hidden(cursor);
	return slot;
}

static void play_all(struct tournament *tournament)
{
	for (uint32_t node = tournament->count - 1; node > 0; node--)
		tournament->winners[node] = match(tournament, tournament->winners[2 * node],
						  tournament->winners[2 * node + 1]);
}

/* Who was not picked for longest stays so; who is new comes first. */
static void resume(struct balance_cursor *cursor, const struct balance_cursor *before,
		   const uint32_t *slots)
{
	struct tournament *tournament = cursor->state;
	const struct tournament *then = before->state;

	for (uint32_t i = 0; i < then->count; i++)
		if (slots[i] != GONE_SLOT)
			tournament->leaves[slots[i]].picked =
				tournament->count + then->leaves[i].picked;
	tournament->next_stamp = tournament->count + then->next_stamp;
	play_all(tournament);
}

static int begin(struct balance_cursor *cursor)
{
	const struct balancer *balancer = cursor->balancer;
	uint32_t count = balancer->choice_count;
	struct tournament *tournament;

	tournament = calloc(1, sizeof(*tournament) + count * sizeof(tournament->leaves[0]) +
				       2 * (size_t)count * sizeof(tournament->winners[0]));
	if (!tournament)
		return -ENOMEM;
	tournament->count = count;
	tournament->next_stamp = count;
	tournament->winners = (uint32_t *)&tournament->leaves[count];
	for (uint32_t i = 0; i < count; i++) {
		uint32_t slot = (cursor->start + i) % count;

		remember(&tournament->leaves[slot], choice_load(&balancer->choices[slot]),
			 balancer->choices[slot].weight);
		tournament->leaves[slot].picked = i;
		tournament->winners[count + slot] = slot;
	}
	play_all(tournament);
	cursor->state = tournament;
	return 0;
}

const struct balance_algorithm balance_least_connections = {
	.prepare = prepare, .begin = begin, .resume = resume, .pick = pick};
