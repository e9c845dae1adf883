/* SPDX-License-Identifier: Apache-2.0
 *
 * What the algorithms share, one file each beside this one. An algorithm sees only `choices`: the
 * members with a weight, in order, each by its slot. It answers with a slot, or NO_SLOT when every
 * choice is tried, full or closed; balance.c turns that into an index or a reason.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/balance.h"
#include "proxy/target.h"

#define NO_SLOT   (-1)
#define GONE_SLOT UINT32_MAX

/* A member that may be chosen; 16 bytes, since one algorithm walks all of them. */
struct choice {
	const struct target *target;
	uint32_t weight; /* never 0 */
	uint32_t index;  /* as a member */
};

struct balancer {
	_Atomic uint32_t refs;
	const struct balance_algorithm *algorithm;
	size_t member_count;
	uint32_t choice_count;
	uint32_t load_percent; /* bound on a member's share of the load; 0: none */
	uint64_t weight_sum;   /* of the choices */
	void *table;           /* the algorithm's immutable part: one allocation, or NULL */
	uint32_t *by_target;   /* all slots, sorted by target; NULL where nobody resumes */
	struct choice choices[];
};

struct balance_cursor {
	const struct balancer *balancer;
	uint64_t random; /* state of cursor_random() */
	uint32_t start;  /* the slot at which this worker's round begins */
	void *state;     /* the algorithm's moving part: one allocation, or NULL */
};

struct balance_algorithm {
	/* Make balancer->table. `members` are all of them, for their keys. 0 or -ENOMEM. */
	int (*prepare)(struct balancer *balancer, const struct balance_member *members);
	/* Make cursor->state. 0 or -ENOMEM. */
	int (*begin)(struct balance_cursor *cursor);
	/* Go on from where `before` stands, which has choices too; `slots` gives for each of its
	 * slots the one that has the same target now, or GONE_SLOT. Without memory it
	 * stays as it is. */
	void (*resume)(struct balance_cursor *cursor, const struct balance_cursor *before,
		       const uint32_t *slots);
	/* There is at least one choice. A slot or NO_SLOT. */
	int (*pick)(struct balance_cursor *cursor, const struct balance_query *query);
};

/* draw.c: a table of the weights before each slot, as `prepare` makes it, and the last slot that
 * begins at or before `position`, which is below weight_sum. */
int draw_prepare(struct balancer *balancer, const struct balance_member *members);
uint32_t draw_slot_at(const struct balancer *balancer, uint64_t position);

extern const struct balance_algorithm balance_round_robin;
extern const struct balance_algorithm balance_least_connections;
extern const struct balance_algorithm balance_random_two;
extern const struct balance_algorithm balance_maglev;
extern const struct balance_algorithm balance_first;

static inline bool choice_is_tried(const struct choice *choice, const struct balance_query *query)
{
	for (unsigned i = 0; i < query->tried_count; i++)
		if (query->tried[i] == choice->index)
			return true;
	return false;
}

static inline bool choice_is_usable(const struct choice *choice, const struct balance_query *query)
{
	return !target_is_closed(choice->target) && !target_is_full(choice->target) &&
	       !choice_is_tried(choice, query);
}

/* Of a choice that takes nothing, whatever is in flight on it. */
#define LOAD_SHUT UINT32_MAX

/* What is in flight on it, or LOAD_SHUT when it is full or closed. */
static inline uint32_t choice_load(const struct choice *choice)
{
	if (target_is_closed(choice->target) || target_is_full(choice->target))
		return LOAD_SHUT;
	return target_inflight(choice->target);
}

/* lineage.c: sort the slots by target. 0 or -ENOMEM. */
int lineage_prepare(struct balancer *balancer);
/* For each slot of `before` the one of `now` with the same target, or GONE_SLOT; to be freed. NULL
 * without memory. */
uint32_t *lineage_slots(const struct balancer *now, const struct balancer *before);

/* bound.c: a limit on each member's load, in proportion to the mean load and its weight. */
struct bound;
struct bound *bound_new(const struct balancer *balancer); /* NULL without memory */
/* Learn what is in flight; once before each pick. */
void bound_refresh(struct bound *bound, const struct balancer *balancer);
/* Whether one more session on it keeps the bound. */
bool bound_allows(const struct bound *bound, const struct balancer *balancer, uint32_t slot);

/* 2^64 over the golden ratio: steps of it visit the range evenly. */
#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

/* A 64-bit finalizer: every input bit reaches every output bit. */
static inline uint64_t mix64(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* `x` scaled from the full 64-bit range to 0 .. range-1, without a division. */
static inline uint64_t scale64(uint64_t x, uint64_t range)
{
	return (uint64_t)((unsigned __int128)x * range >> 64);
}

/* A counter through the finalizer (SplitMix64): 8 bytes of state, any seed will do. */
static inline uint64_t cursor_random(struct balance_cursor *cursor)
{
	cursor->random += GOLDEN;
	return mix64(cursor->random);
}
