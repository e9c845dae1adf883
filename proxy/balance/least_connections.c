/* SPDX-License-Identifier: Apache-2.0
 *
 * `least_connections`: the smallest (inflight + 1) / weight, exactly, over all members. The counts
 * are shared by all workers and change under us, so nothing sorted could be kept; one pass over
 * them is what exactness costs, and most of it is fetching one cache line per target.
 *
 * Among equals the one that this worker has not picked for longest wins: idle targets are then
 * taken in turn, whereas "the first minimum" would favour whoever follows a busy stretch. Each
 * worker's turn begins at its own start slot.
 */
#include <errno.h>
#include <stdlib.h>

#include "proxy/balance/internal.h"

struct turns {
	uint64_t next;     /* what the next pick is stamped with */
	uint64_t picked[]; /* by slot: the stamp of its last pick */
};

static int begin(struct balance_cursor *cursor)
{
	uint32_t count = cursor->balancer->choice_count;
	struct turns *turns = malloc(sizeof(*turns) + count * sizeof(turns->picked[0]));

	if (!turns)
		return -ENOMEM;
	turns->next = count;
	for (uint32_t i = 0; i < count; i++)
		turns->picked[(cursor->start + i) % count] = i;
	cursor->state = turns;
	return 0;
}

static int pick(struct balance_cursor *cursor, const struct balance_query *query)
{
	const struct balancer *balancer = cursor->balancer;
	struct turns *turns = cursor->state;
	uint64_t best_load = 1;
	uint32_t best_weight = 0; /* 1/0: worse than any */
	int best = NO_SLOT;

	for (uint32_t slot = 0; slot < balancer->choice_count; slot++) {
		const struct choice *choice = &balancer->choices[slot];
		uint64_t load = (uint64_t)target_inflight(choice->target) + 1;
		uint64_t ours = load * best_weight;
		uint64_t theirs = best_load * choice->weight;

		if (ours > theirs || (ours == theirs && turns->picked[slot] > turns->picked[best]))
			continue;
		if (!choice_is_usable(choice, query))
			continue;
		best = (int)slot;
		best_load = load;
		best_weight = choice->weight;
	}
	if (best != NO_SLOT)
		turns->picked[best] = turns->next++;
	return best;
}

const struct balance_algorithm balance_least_connections = {.begin = begin, .pick = pick};
