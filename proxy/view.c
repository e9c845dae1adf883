/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's view of a snapshot. Happy path: main sends a snapshot, the worker makes a view of it,
 * new sessions take a reference, the last one to end frees it. Failure mode: no memory for a new
 * view leaves the worker on the one it has.
 */
#include "proxy/view.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/panic.h"

#define RETRY_TOKENS_MAX (100 * RETRY_COST)
#define RETRY_TOKENS_MIN (10 * RETRY_COST) /* to start with */
#define SEARCH_MAX       64
#define RAMP_CREDIT_MAX  (2 * RAMP_UNIT) /* who was not asked for long gets no burst */

static void pool_view_fini(struct pool_view *pool)
{
	for (int i = 0; i < TIERS; i++) {
		balance_cursor_free(pool->tiers[i].all);
		balance_cursor_free(pool->tiers[i].steady);
	}
	free(pool->ramps);
}

static void view_free(struct view *view)
{
	for (size_t i = 0; i < view->snapshot->config->pool_count; i++)
		pool_view_fini(&view->pools[i]);
	snapshot_put(view->snapshot);
	free(view);
}

/* A cursor for each balancer that is there. */
static bool add_cursor(struct balance_cursor **cursor, const struct balancer *balancer,
		       unsigned worker, unsigned worker_count, uint64_t seed)
{
	if (!balancer)
		return true;
	*cursor = balance_cursor_new(balancer, worker, worker_count, seed);
	return *cursor != NULL;
}

static bool pool_view_init(struct pool_view *view, const struct pool *pool, unsigned worker,
			   unsigned worker_count, uint64_t seed)
{
	view->pool = pool;
	view->retry_tokens = RETRY_TOKENS_MIN;
	view->next_source = worker;
	for (int i = 0; i < TIERS; i++)
		if (!add_cursor(&view->tiers[i].all, pool->tiers[i].all, worker, worker_count,
				seed) ||
		    !add_cursor(&view->tiers[i].steady, pool->tiers[i].steady, worker, worker_count,
				seed))
			return false;
	if (!pool->ramp_count)
		return true;
	view->ramps = calloc(pool->ramp_count, sizeof(*view->ramps));
	return view->ramps != NULL;
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
		if (!pool_view_init(&view->pools[i], &snapshot->pools[i], worker, worker_count,
				    seed ^ i)) {
			view_free(view);
			return NULL;
		}
	}
	return view;
}

struct pool_view *view_pool(struct view *view, const struct pool_state *state, size_t hint)
{
	size_t count = view->snapshot->config->pool_count;

	if (hint < count && view->pools[hint].pool->state == state)
		return &view->pools[hint];
	for (size_t i = 0; i < count; i++)
		if (view->pools[i].pool->state == state)
			return &view->pools[i];
	return NULL;
}

/* Members mostly keep their order, so the search begins where the last one ended. It ends soon, as
 * thousands may have come and gone at once, and a worker must not be held up by a fraction of a
 * session that one of them had saved. */
static void inherit_ramps(struct pool_view *view, const struct pool_view *before)
{
	const struct pool *now = view->pool, *then = before->pool;
	size_t most = then->ramp_count < SEARCH_MAX ? then->ramp_count : SEARCH_MAX;
	size_t from = 0;

	for (size_t i = 0; i < now->ramp_count; i++) {
		const struct target *target = now->targets[now->ramps[i].index];
		uint32_t tier = now->tier_of[now->ramps[i].index];

		view->ramps[i].picks = view->picks[tier];
		for (size_t j = 0; j < most; j++) {
			size_t at = (from + j) % then->ramp_count;

			if (then->targets[then->ramps[at].index] != target)
				continue;
			view->ramps[i] = before->ramps[at];
			from = at + 1;
			break;
		}
	}
}

/* Where nobody was ramping there was no choice among the others alone. */
static void inherit_turns(struct tier_view *tier, const struct tier_view *before)
{
	if (!before->all)
		return;
	if (tier->all)
		balance_cursor_resume(tier->all, before->all);
	if (tier->steady)
		balance_cursor_resume(tier->steady, before->steady ? before->steady : before->all);
}

void view_inherit(struct view *view, struct view *before)
{
	for (size_t i = 0; before && i < view->snapshot->config->pool_count; i++) {
		struct pool_view *pool = &view->pools[i];
		const struct pool_view *old = view_pool(before, pool->pool->state, i);

		if (!old)
			continue;
		memcpy(pool->picks, old->picks, sizeof(pool->picks));
		pool->local_credit = old->local_credit;
		pool->budget_refilled_us = old->budget_refilled_us;
		pool->retry_tokens = old->retry_tokens;
		pool->next_source = old->next_source;
		for (int tier = 0; tier < TIERS; tier++)
			inherit_turns(&pool->tiers[tier], &old->tiers[tier]);
		inherit_ramps(pool, old);
	}
}

/* Its position among the ramping members, which stand in the order of their indices; -1: none. */
static int find_ramp(const struct pool *pool, uint32_t index)
{
	size_t low = 0, high = pool->ramp_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (pool->ramps[middle].index < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low < pool->ramp_count && pool->ramps[low].index == index ? (int)low : -1;
}

bool pool_view_admit(struct pool_view *pool, enum tier tier, uint32_t index)
{
	int at = find_ramp(pool->pool, index);
	struct ramp_view *ramp;
	uint64_t picks;

	if (at < 0)
		return true;
	ramp = &pool->ramps[at];
	picks = pool->picks[tier] - ramp->picks;
	ramp->picks = pool->picks[tier];
	ramp->credit +=
		(picks < UINT32_MAX / 2 ? picks : UINT32_MAX / 2) * pool->pool->ramps[at].earn;
	if (ramp->credit > RAMP_CREDIT_MAX)
		ramp->credit = RAMP_CREDIT_MAX;
	if (ramp->credit < RAMP_UNIT)
		return false;
	ramp->credit -= RAMP_UNIT;
	return true;
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
