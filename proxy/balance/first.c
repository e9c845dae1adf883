/* SPDX-License-Identifier: Apache-2.0
 *
 * `first`: the first member in the order of the configuration that is neither tried nor full. It
 * fills one target up to its limit before it uses the next; weights only say who takes part.
 */
#include "proxy/balance/internal.h"

static int pick(struct balance_cursor *cursor, const struct balance_query *query)
{
	const struct balancer *balancer = cursor->balancer;

	for (uint32_t slot = 0; slot < balancer->choice_count; slot++)
		if (choice_is_usable(&balancer->choices[slot], query))
			return (int)slot;
	return NO_SLOT;
}

const struct balance_algorithm balance_first = {.pick = pick};
