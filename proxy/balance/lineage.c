/* SPDX-License-Identifier: Apache-2.0
 *
 * Which choice of a new balancer is which of an earlier one: by target. Happy path: main sorts the
 * slots when it makes a balancer; a worker that replaces a cursor walks both orders side by side.
 * The only failure is memory.
 */
#include <errno.h>
#include <stdlib.h>

#include "proxy/balance/internal.h"

static int compare_targets(const void *a, const void *b, void *context)
{
	const struct choice *choices = context;
	uintptr_t one = (uintptr_t)choices[*(const uint32_t *)a].target;
	uintptr_t two = (uintptr_t)choices[*(const uint32_t *)b].target;

	return (one > two) - (one < two);
}

int lineage_prepare(struct balancer *balancer)
{
	uint32_t *slots = calloc(balancer->choice_count + 1, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < balancer->choice_count; i++)
		slots[i] = i;
	qsort_r(slots, balancer->choice_count, sizeof(*slots), compare_targets, balancer->choices);
	balancer->by_target = slots;
	return 0;
}

uint32_t *lineage_slots(const struct balancer *now, const struct balancer *before)
{
	uint32_t *slots = malloc(before->choice_count * sizeof(*slots));
	uint32_t at = 0;

	for (uint32_t i = 0; slots && i < before->choice_count; i++) {
		uint32_t slot = before->by_target[i];
		uintptr_t target = (uintptr_t)before->choices[slot].target;

		while (at < now->choice_count &&
		       (uintptr_t)now->choices[now->by_target[at]].target < target)
			at++;
		slots[slot] = GONE_SLOT;
		if (at < now->choice_count &&
		    (uintptr_t)now->choices[now->by_target[at]].target == target)
			slots[slot] = now->by_target[at++];
	}
	return slots;
}
