/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's view of a snapshot. Happy path: main sends a snapshot, the worker makes a view of it,
 * new sessions take a reference, the last one to end frees it. Failure mode: no memory for a new
 * view leaves the worker on the one it has.
 */
#include "proxy/view.h"

#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/base/panic.h"

#define RETRY_TOKENS_MAX (100 * RETRY_COST)
#define RETRY_TOKENS_MIN (10 * RETRY_COST) /* to start with */

static void view_free(struct view *view)
{
	for (size_t i = 0; i < view->snapshot->config->pool_count; i++)
		balance_cursor_free(view->pools[i].cursor);
	snapshot_put(view->snapshot);
	free(view);
}

struct view *view_new(struct snapshot *snapshot, unsigned worker, unsigned worker_count,
		      uint64_t seed)
{
	size_t count = snapshot->config->pool_count;
	struct view *view = calloc(1, sizeof(*view) + count * sizeof(view->pools[0]));

	if (!view)
		return NULL;
	snapshot_get(snapshot);
	view->snapshot = snapshot;
	view->refs = 1;
	for (size_t i = 0; i < count; i++) {
		struct pool_view *pool = &view->pools[i];

		pool->pool = &snapshot->pools[i];
		pool->retry_tokens = RETRY_TOKENS_MIN;
		pool->next_source = worker;
		pool->cursor =
			balance_cursor_new(pool->pool->balancer, worker, worker_count, seed ^ i);
		if (!pool->cursor) {
			view_free(view);
			return NULL;
		}
	}
	return view;
}

void view_get(struct view *view)
{
	view->refs++;
}

void view_put(struct view *view)
{
	if (!view)
		return;
	must(view->refs > 0);
	if (!--view->refs)
		view_free(view);
}

void pool_view_earn(struct pool_view *pool)
{
	pool->retry_tokens += pool->pool->conf->retry_budget_percent * (RETRY_COST / 100);
	if (pool->retry_tokens > RETRY_TOKENS_MAX)
		pool->retry_tokens = RETRY_TOKENS_MAX;
}

bool pool_view_spend(struct pool_view *pool, uint64_t now_us)
{
	if (pool->retry_tokens < RETRY_COST && now_us - pool->budget_refilled_us >= US_PER_SEC) {
		pool->budget_refilled_us = now_us;
		pool->retry_tokens = RETRY_COST;
	}
	if (pool->retry_tokens < RETRY_COST)
		return false;
	pool->retry_tokens -= RETRY_COST;
	return true;
}
