/* SPDX-License-Identifier: Apache-2.0
 *
 * A member drawn by weight: the running sums of the weights, made once with the balancer, and a
 * binary search in them. Only failure: no memory for the sums.
 */
#include <errno.h>
#include <stdlib.h>

#include "proxy/balance/internal.h"

int draw_prepare(struct balancer *balancer, const struct balance_member *members)
{
	uint64_t *before = malloc(balancer->choice_count * sizeof(*before));
	uint64_t sum = 0;

	if (!before)
		return -ENOMEM;
	for (uint32_t i = 0; i < balancer->choice_count; i++) {
		before[i] = sum;
		sum += balancer->choices[i].weight;
	}
	balancer->table = before;
	return 0;
}

uint32_t draw_slot_at(const struct balancer *balancer, uint64_t position)
{
	const uint64_t *before = balancer->table;
	uint32_t low = 0;

	for (uint32_t left = balancer->choice_count; left > 1;) {
		uint32_t half = left / 2;

		low += before[low + half] <= position ? half : 0;
		left -= half;
	}
	return low;
}
