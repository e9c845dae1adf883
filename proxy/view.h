/* SPDX-License-Identifier: Apache-2.0
 *
 * One worker's hold on a snapshot: the moving parts that belong to this worker alone (position in
 * each pool's round, retry tokens, next source address) and a plain reference count, so that
 * sessions keep the configuration they began with without touching shared memory.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/snapshot.h"

/* Retries are paid for in thousandths: a new session earns retry_budget_percent / 100 of one. */
#define RETRY_COST 1000

/* One tier's cursors; NULL where there is no balancer. */
struct tier_view {
	struct balance_cursor *all;
	struct balance_cursor *steady;
};

/* What a ramping member has saved up: a session costs RAMP_UNIT. */
struct ramp_view {
	uint64_t credit;
	uint64_t picks; /* of its tier, when the credit was worked out last */
};

struct pool_view {
	const struct pool *pool;
	struct tier_view tiers[TIERS];
	uint64_t picks[TIERS];   /* sessions that asked this tier */
	struct ramp_view *ramps; /* one per struct pool_ramp, or NULL */
	uint32_t next_closed;    /* member to begin with when all are closed */
	uint32_t next_asked;     /* the same, when they are asked one by one */
	uint32_t local_credit;   /* thousandths of a session that TIER_LOCAL is owed */
	uint64_t budget_refilled_us;
	uint32_t retry_tokens;
	uint32_t next_source;
};

struct view {
	struct snapshot *snapshot;
	uint32_t refs; /* sessions, and one while it is the worker's current view */
	struct pool_view pools[];
};

/* Takes its own reference on the snapshot. NULL without memory. */
struct view *view_new(struct snapshot *snapshot, unsigned worker, unsigned worker_count,
		      uint64_t seed);
void view_get(struct view *view);
void view_put(struct view *view); /* accepts NULL */

/* Take over where the pools of the same name stood in the view before (may be NULL), so that a new
 * snapshot neither begins a round anew nor renews the retry budget nor lets a ramping target wait.
 */
void view_inherit(struct view *view, struct view *before);

/* The pool with this state, probably at index `hint`; NULL if the view has none. */
struct pool_view *view_pool(struct view *view, const struct pool_state *state, size_t hint);

/* Choose a member and reserve a slot on it: its index, or one of enum balance_none. `query` names
 * members by their index in this view. */
int pool_view_reserve(struct pool_view *pool, const struct balance_query *query);

/* Give what is free to those who wait for it, the oldest first, whichever worker owns them. Whether
 * somebody still waits. */
bool pool_view_serve(struct pool_view *pool);

/* Whether a member may take a session now. Pays for it, if the member is ramping up. `index` is of
 * a member that the tier's balancer picked. */
bool pool_view_admit(struct pool_view *pool, enum tier tier, uint32_t index);

/* A session began: earn its share of a retry. */
void pool_view_earn(struct pool_view *pool);

/* Pay for one retry; false when the budget is spent. At least one a second is always granted. */
bool pool_view_spend(struct pool_view *pool, uint64_t now_us);
