/* SPDX-License-Identifier: Apache-2.0
 *
 * `round_robin`: smooth weighted turns. After any number of picks each member has had its exact
 * share of them, give or take less than one turn, and a round gives exactly its weight to each.
 *
 * The happy path is: a clock counts picks. Seen by a member of weight w out of the sum W, the share
 * for its k-th turn (from 0) accrues between k*W/w and (k+1)*W/w on that clock; the turn may be had
 * from the pick in which it begins to accrue, and is due when it has. Of the turns that have
 * started the one due first is taken, which never misses a due time (a proportionate schedule:
 * Baruah et al., Algorithmica 15, 1996). Due times alone, without starts, would serve a heavy
 * member's whole round before a light one came up. Started turns are a heap by due time, the others
 * a heap by start, so a pick is O(log n). All comparisons are between fractions, multiplied out:
 * nothing is rounded, and there is nothing to drift.
 *
 * Retries have a round of their own. If they took turns of this one, two members of which one
 * refuses would fall into step: the retry takes the good one's turn, and the next session meets the
 * bad one again. If they took none at all, whoever follows the bad one would get its share.
 *
 * Failure modes: a member that is tried or full stays where it is, first in line for the next pick.
 * What it missed while it was full is forgiven except for that one turn, or it would be flooded the
 * moment it has room. When nothing usable has started yet, the clock jumps ahead to what starts
 * next. Skipping k members costs O(k), not k heap operations.
 *
 * A new set of members takes over how far each was ahead of its share, in fractions of a turn, so
 * that picks which are few between two sets are shared out all the same.
 */
#include <errno.h>
#include <stdlib.h>

#include "proxy/balance/internal.h"

/* Deeper than any heap of 65,536; a depth-first walk holds one waiting sibling a level. */
#define WALK_DEPTH 64

/* Picks made in advance, at most, to begin with the right member. */
#define SEEK_MAX 4096

/* A turn, in the unit of struct turn::offset. */
#define ONE (INT64_C(1) << 32)

typedef unsigned __int128 wide;

/* The next turn starts at (taken + offset)/weight of a round. */
struct turn {
	uint64_t taken;  /* turns had so far */
	uint32_t offset; /* and the fraction of one, of ONE, that was had before this round */
	uint32_t weight;
	uint32_t slot;
};

typedef bool (*before_fn)(const struct turn *a, const struct turn *b);

struct heap {
	struct turn *turns;
	uint32_t count;
};

struct round {
	uint64_t clock;      /* picks so far, and what was jumped over; total of them are a round */
	uint64_t total;      /* of the weights */
	struct heap started; /* by due time */
	struct heap waiting; /* by start */
};

struct rounds {
	struct round first;  /* of sessions that have tried nobody yet */
	struct round again;  /* of the others */
	struct turn turns[]; /* storage of all heaps */
};

static inline wide had(const struct turn *turn)
{
	return (wide)turn->taken << 32 | turn->offset;
}

static inline bool starts_before(const struct turn *a, const struct turn *b)
{
	wide left = had(a) * b->weight;
	wide right = had(b) * a->weight;

	return left < right || (left == right && a->slot < b->slot);
}

/* The heavier first among equals: its next turn is the nearer one. */
static inline bool due_before(const struct turn *a, const struct turn *b)
{
	wide left = (had(a) + ONE) * b->weight;
	wide right = (had(b) + ONE) * a->weight;

	if (left != right)
		return left < right;
	return a->weight != b->weight ? a->weight > b->weight : a->slot < b->slot;
}

static inline void sift_up(struct heap *heap, uint32_t at, struct turn turn, before_fn before)
{
	while (at > 0 && before(&turn, &heap->turns[(at - 1) / 2])) {
		heap->turns[at] = heap->turns[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap->turns[at] = turn;
}

static inline void heap_push(struct heap *heap, struct turn turn, before_fn before)
{
	sift_up(heap, heap->count++, turn, before);
}

/* Take out the one at `hole`: the smaller child moves up until the hole is a leaf, and the last one
 * of the heap fills it. */
static inline struct turn heap_remove(struct heap *heap, uint32_t hole, before_fn before)
{
	struct turn *turns = heap->turns;
	struct turn removed = turns[hole];
	struct turn last = turns[--heap->count];

	for (uint32_t child; (child = 2 * hole + 1) < heap->count; hole = child) {
		if (child + 1 < heap->count && before(&turns[child + 1], &turns[child]))
			child++;
		turns[hole] = turns[child];
	}
	if (hole < heap->count)
		sift_up(heap, hole, last, before);
	return removed;
}

/* Where in the heap its first usable turn is, or NO_SLOT. Below a usable turn, or one behind the
 * best so far, there is nothing better, so only unusable ones are walked through. */
static inline int heap_find(const struct heap *heap, const struct balancer *balancer,
			    const struct balance_query *query, before_fn before)
{
	uint32_t stack[WALK_DEPTH];
	unsigned depth = 0;
	int best = NO_SLOT;

	stack[depth++] = 0;
	while (depth > 0) {
		uint32_t at = stack[--depth];

		if (at >= heap->count)
			continue;
		if (best != NO_SLOT && !before(&heap->turns[at], &heap->turns[best]))
			continue;
		if (choice_is_usable(&balancer->choices[heap->turns[at].slot], query)) {
			best = (int)at;
			continue;
		}
		stack[depth++] = 2 * at + 2;
		stack[depth++] = 2 * at + 1;
	}
	return best;
}

/* Whether it begins to accrue before the coming pick is over. */
static bool has_started(const struct round *round, const struct turn *turn)
{
	return had(turn) * round->total < ((wide)(round->clock + 1) * turn->weight << 32);
}

static void start_turns(struct round *round)
{
	while (round->waiting.count && has_started(round, &round->waiting.turns[0]))
		heap_push(&round->started, heap_remove(&round->waiting, 0, starts_before),
			  due_before);
}

/* The first pick in which the turn has started. */
static void jump_to(struct round *round, const struct turn *turn)
{
	round->clock = (uint64_t)((had(turn) * round->total / turn->weight) >> 32);
}

/* Count the turn as had, forgiving whole turns that were missed, and let the clock go on. */
static void charge(struct round *round, struct turn turn)
{
	wide share = ((wide)round->clock * turn.weight << 32) / round->total;
	uint64_t fair = share > turn.offset ? (uint64_t)((share - turn.offset) >> 32) : 0;

	turn.taken = (turn.taken > fair ? turn.taken : fair) + 1;
	heap_push(&round->waiting, turn, starts_before);
	round->clock++;
}

static uint32_t common_divisor(const struct balancer *balancer)
{
	uint32_t divisor = 0;

	for (uint32_t i = 0; i < balancer->choice_count; i++) {
		uint32_t rest = balancer->choices[i].weight;

		while (rest) {
			uint32_t next = divisor % rest;

			divisor = rest;
			rest = next;
		}
	}
	return divisor;
}

/* The state after `clock` picks, without making them: whole turns are known by division, and the
 * picks that are missing then went to the turns due first among those already accruing. */
static void enter_round(struct round *round, const struct balancer *balancer, uint64_t clock,
			uint32_t divisor)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < balancer->choice_count; i++) {
		struct turn turn = {.weight = balancer->choices[i].weight / divisor, .slot = i};
		wide share = (wide)clock * turn.weight;

		turn.taken = (uint64_t)(share / round->total);
		sum += turn.taken;
		if (share % round->total)
			heap_push(&round->started, turn, due_before);
		else
			heap_push(&round->waiting, turn, starts_before);
	}
	for (round->clock = sum; round->clock < clock;)
		charge(round, heap_remove(&round->started, 0, due_before));
}

/* Go on until it is the turn of `slot`, unless that is too far off: a light member's can be. */
static void seek_turn(struct round *round, uint32_t slot, uint32_t picks)
{
	while (picks-- > 0) {
		start_turns(round);
		if (round->started.turns[0].slot == slot)
			return;
		charge(round, heap_remove(&round->started, 0, due_before));
	}
}

/* The round as it stands when the turn of `start` comes. */
static void round_init(struct round *round, const struct balancer *balancer, struct turn *storage,
		       uint32_t start)
{
	uint32_t count = balancer->choice_count;
	uint32_t divisor = common_divisor(balancer);
	uint64_t clock = 0;

	round->total = balancer->weight_sum / divisor;
	round->started.turns = storage;
	round->waiting.turns = storage + count;
	for (uint32_t i = 0; i < start; i++)
		clock += balancer->choices[i].weight / divisor;
	enter_round(round, balancer, clock, divisor);
	seek_turn(round, start, count < SEEK_MAX ? 2 * count : SEEK_MAX);
}

static int begin(struct balance_cursor *cursor)
{
	size_t storage = 2 * (size_t)cursor->balancer->choice_count;
	struct rounds *rounds = calloc(1, sizeof(*rounds) + 2 * storage * sizeof(rounds->turns[0]));

	if (!rounds)
		return -ENOMEM;
	round_init(&rounds->first, cursor->balancer, rounds->turns, cursor->start);
	cursor->state = rounds;
	return 0;
}

/* The round this pick is of; the one of retries begins with the first of them. */
static struct round *round_for(const struct balance_cursor *cursor,
			       const struct balance_query *query)
{
	struct rounds *rounds = cursor->state;
	size_t storage = 2 * (size_t)cursor->balancer->choice_count;

	if (!query->tried_count)
		return &rounds->first;
	if (!rounds->again.total)
		round_init(&rounds->again, cursor->balancer, rounds->turns + storage,
			   cursor->start);
	return &rounds->again;
}

static int pick(struct balance_cursor *cursor, const struct balance_query *query)
{
	const struct balancer *balancer = cursor->balancer;
	struct round *round = round_for(cursor, query);
	struct turn turn;
	int at;

	start_turns(round);
	at = heap_find(&round->started, balancer, query, due_before);
	if (at != NO_SLOT) {
		turn = heap_remove(&round->started, (uint32_t)at, due_before);
	} else {
		at = heap_find(&round->waiting, balancer, query, starts_before);
		if (at == NO_SLOT)
			return NO_SLOT;
		turn = heap_remove(&round->waiting, (uint32_t)at, starts_before);
		jump_to(round, &turn);
	}
	charge(round, turn);
	return (int)turn.slot;
}

/* How much of a turn a member is ahead of its share. Whole turns that it missed are forgiven. */
static int64_t lead_of(const struct round *round, const struct turn *turn)
{
	wide share = ((wide)round->clock * turn->weight << 32) / round->total;
	__int128 lead = (__int128)had(turn) - (__int128)share;

	return lead > ONE ? ONE : lead < -ONE ? -ONE : (int64_t)lead;
}

/* By the slots that `slots` gives for those of this round; NULL: its own. */
static void note_leads(const struct round *round, const uint32_t *slots, int64_t *leads)
{
	const struct heap *heaps[] = {&round->started, &round->waiting};

	for (int h = 0; h < 2; h++) {
		for (uint32_t i = 0; i < heaps[h]->count; i++) {
			const struct turn *turn = &heaps[h]->turns[i];
			uint32_t slot = slots ? slots[turn->slot] : turn->slot;

			if (slot != GONE_SLOT)
				leads[slot] = lead_of(round, turn);
		}
	}
}

/* The same weights, one round on, and everybody as far ahead as `leads` says. */
static void set_leads(struct round *round, const struct balancer *balancer, const int64_t *leads)
{
	uint32_t divisor = common_divisor(balancer);

	round->clock = round->total;
	round->started.count = round->waiting.count = 0;
	for (uint32_t i = 0; i < balancer->choice_count; i++) {
		struct turn turn = {.weight = balancer->choices[i].weight / divisor, .slot = i};
		uint64_t sum = (uint64_t)((int64_t)turn.weight * ONE + leads[i]);

		turn.taken = sum >> 32;
		turn.offset = (uint32_t)sum;
		heap_push(&round->waiting, turn, starts_before);
	}
}

static void resume_round(struct balance_cursor *cursor, const struct balance_query *query,
			 const struct round *then, const uint32_t *slots, int64_t *leads)
{
	struct round *round = round_for(cursor, query);

	note_leads(round, NULL, leads);
	note_leads(then, slots, leads);
	set_leads(round, cursor->balancer, leads);
}

static void resume(struct balance_cursor *cursor, const struct balance_cursor *before,
		   const uint32_t *slots)
{
	static const struct balance_query first, retry = {.tried_count = 1};
	const struct rounds *then = before->state;
	int64_t *leads = malloc(cursor->balancer->choice_count * sizeof(*leads));

	if (!leads)
		return;
	resume_round(cursor, &first, &then->first, slots, leads);
	if (then->again.total)
		resume_round(cursor, &retry, &then->again, slots, leads);
	free(leads);
}

const struct balance_algorithm balance_round_robin = {
	.begin = begin, .resume = resume, .pick = pick};
