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

struct pool_view {
	const struct pool *pool;
	struct balance_cursor *cursor;
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

/* A session began: earn its share of a retry. */
void pool_view_earn(struct pool_view *pool);

/* Pay for one retry; false when the budget is spent. At least one a second is always granted. */
bool pool_view_spend(struct pool_view *pool, uint64_t now_us);
