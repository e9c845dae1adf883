/* SPDX-License-Identifier: Apache-2.0
 *
 * One worker's choice among all of a pool's targets. Happy path: the tier that is asked first has a
 * balancer, which names a member, and a slot on it is reserved.
 *
 * A ramping member takes a session only when it has saved up for one; else the session goes to one
 * of the others, and back to the ramping member if none of them has room: slow start moves share,
 * it refuses nothing. Failure modes, in the order in which they are told: somebody is full, all
 * were tried, nobody has a weight, there is nobody.
 */
#include <string.h>

#include "proxy/pool_state.h"
#include "proxy/view.h"

#define THOUSAND 1000
#define WALK_MAX 256

static int pick_member(struct pool_view *pool, enum tier tier, const struct balance_query *query)
{
	int index = balance_pick(pool->tiers[tier].all, query);
	int other;

	if (index < 0 || !pool->tiers[tier].steady || pool_view_admit(pool, tier, (uint32_t)index))
		return index;
	other = balance_pick(pool->tiers[tier].steady, query);
	return other < 0 ? index : other;
}

static bool is_tried(const struct balance_query *query, size_t index)
{
	for (int i = 0; i < query->tried_count; i++)
		if (query->tried[i] == index)
			return true;
	return false;
}

/* More were named that had no slot than a query remembers, as with a `connect_rate` that many are
 * ahead of. So ask them one by one, some each time. */
static int walk(struct pool_view *pool, enum tier tier, const struct balance_query *query)
{
	size_t count = pool->pool->target_count;

	for (size_t i = 0; i < count && i < WALK_MAX; i++) {
		size_t index = pool->next_asked++ % count;

		if (pool->pool->weights[index] && pool->pool->tier_of[index] == tier &&
		    !is_tried(query, index) && target_reserve(pool->pool->targets[index]))
			return (int)index;
	}
	return BALANCE_FULL;
}

/* Whoever has no slot for us (another worker was faster, or it is too soon for its connect rate) is
 * left out of this choice, not of the session's further ones. Who was closed since he was named is
 * not full: he may be all that this view knows, while a reload swaps him away. */
static int reserve_in(struct pool_view *pool, enum tier tier, const struct balance_query *query)
{
	struct balance_query left = *query;
	bool full = false;
	int index;

	pool->picks[tier]++;
	while ((index = pick_member(pool, tier, &left)) >= 0) {
		bool open = target_is_welcoming(pool->pool->targets[index]);

		if (open && target_reserve_anyway(pool->pool->targets[index]))
			return index;
		full |= open;
		if (left.tried_count == BALANCE_TRIED_MAX)
			return walk(pool, tier, query);
		left.tried[left.tried_count++] = (uint32_t)index;
	}
	if (left.tried_count == query->tried_count)
		return index;
	return full ? BALANCE_FULL : BALANCE_DRAINING;
}

static enum tier first_tier(struct pool_view *pool)
{
	if (!pool->tiers[TIER_LOCAL].all)
		return TIER_REMOTE;
	if (!pool->tiers[TIER_REMOTE].all)
		return TIER_LOCAL;
	pool->local_credit += pool->pool->local_share;
	if (pool->local_credit < THOUSAND)
		return TIER_REMOTE;
	pool->local_credit -= THOUSAND;
	return TIER_LOCAL;
}

/* The reason that says most about what an operator could do. */
static int tell(int known, int none)
{
	static const uint8_t weight[] = {[-BALANCE_EMPTY] = 1,
					 [-BALANCE_DRAINING] = 2,
					 [-BALANCE_TRIED] = 3,
					 [-BALANCE_FULL] = 4};

	return weight[-none] > weight[-known] ? none : known;
}

/* Targets are closed at once, and what serves instead comes with the next view, a moment later; or
 * never, to who was queued at a listener that left together with its pool. So when all that our
 * view knows are closed, that is no reason to turn anybody away. */
static int reserve_closed(struct pool_view *pool, const struct balance_query *query)
{
	size_t count = pool->pool->target_count;
	int none = BALANCE_DRAINING;

	for (size_t i = 0; i < count; i++) {
		size_t index = (pool->next_closed + i) % count;

		if (!pool->pool->weights[index] || is_tried(query, index))
			continue;
		if (target_reserve_anyway(pool->pool->targets[index])) {
			pool->next_closed = (uint32_t)index + 1;
			return (int)index;
		}
		none = BALANCE_FULL;
	}
	return none;
}

int pool_view_reserve(struct pool_view *pool, const struct balance_query *query)
{
	enum tier first = first_tier(pool);
	enum tier order[TIERS] = {first, first == TIER_LOCAL ? TIER_REMOTE : TIER_LOCAL,
				  TIER_BACKUP};
	int none = pool->pool->target_count ? BALANCE_DRAINING : BALANCE_EMPTY;

	if (pool_state_is_full(pool->pool->state))
		return BALANCE_FULL;
	for (int i = 0; i < TIERS; i++) {
		int index;

		if (!pool->tiers[order[i]].all)
			continue;
		index = reserve_in(pool, order[i], query);
		if (index >= 0)
			return index;
		none = tell(none, index);
	}
	return none == BALANCE_DRAINING ? reserve_closed(pool, query) : none;
}

bool pool_view_serve(struct pool_view *pool)
{
	struct pool_state *state = pool->pool->state;

	struct balance_query query = {0};

	while (pool_state_is_awaited(state) && !pool->pool->refuse) {
		int index;

		query.key_hash = pool->picks[TIER_LOCAL];
		index = pool_view_reserve(pool, &query);
		if (index < 0)
			return true;
		if (pool_state_grant(state, pool->pool->targets[index]))
			continue;
		/* They have all left, or tried this one. */
		target_release(pool->pool->targets[index]);
		if (query.tried_count == BALANCE_TRIED_MAX)
			return true;
		query.tried[query.tried_count++] = (uint32_t)index;
	}
	return false;
}
