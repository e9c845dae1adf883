/* SPDX-License-Identifier: Apache-2.0
 *
 * A bound on what one member has in flight: load_percent of its fair share by weight, counted with
 * the session that is to come. One worker owns it.
 *
 * The happy path is: bound_refresh() reads the next SWEEP members' counts, in turn, and keeps the
 * sum of all; bound_allows() compares one member's count, read at that moment, with its share of
 * the sum. With up to SWEEP members the sum is exact, with more it is members / SWEEP picks old.
 *
 * Failure modes: a member that is full or closed has no part in the sum, nor has its weight, or the
 * others could not take over its share.
 */
#include <stdlib.h>

#include "proxy/balance/internal.h"

/* Members read anew by each pick. */
#define SWEEP 16

struct bound {
	uint64_t inflight; /* of all members that take sessions, as in `seen` */
	uint64_t weight;   /* of the same */
	uint32_t next;     /* slot to read */
	uint32_t seen[];   /* by slot: in flight, or LOAD_SHUT */
};

static void look(struct bound *bound, const struct choice *choice, uint32_t *seen)
{
	uint32_t load = choice_load(choice);

	if (*seen != LOAD_SHUT) {
		bound->inflight -= *seen;
		bound->weight -= choice->weight;
	}
	if (load != LOAD_SHUT) {
		bound->inflight += load;
		bound->weight += choice->weight;
	}
	*seen = load;
}

struct bound *bound_new(const struct balancer *balancer)
{
	struct bound *bound =
		calloc(1, sizeof(*bound) + balancer->choice_count * sizeof(bound->seen[0]));

	if (!bound)
		return NULL;
	for (uint32_t i = 0; i < balancer->choice_count; i++) {
		bound->seen[i] = LOAD_SHUT;
		look(bound, &balancer->choices[i], &bound->seen[i]);
	}
	return bound;
}

void bound_refresh(struct bound *bound, const struct balancer *balancer)
{
	for (uint32_t i = 0; i < SWEEP && i < balancer->choice_count; i++) {
		look(bound, &balancer->choices[bound->next], &bound->seen[bound->next]);
		bound->next = bound->next + 1 == balancer->choice_count ? 0 : bound->next + 1;
	}
}

bool bound_allows(const struct bound *bound, const struct balancer *balancer, uint32_t slot)
{
	typedef unsigned __int128 wide;
	const struct choice *choice = &balancer->choices[slot];
	wide ours = (wide)target_inflight(choice->target) * bound->weight * 100;
	wide most = (wide)(bound->inflight + 1) * choice->weight * balancer->load_percent;

	/* Below the share, rounded up: it may then have one more. */
	return ours < most;
}
