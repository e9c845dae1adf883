/* SPDX-License-Identifier: Apache-2.0
 *
 * `random_two`: draw two different members at random by weight, take the one with the smaller
 * (inflight + 1) / weight. Two choices are enough to keep the fullest target close to the mean,
 * without reading all of them and without workers herding onto the same minimum (Mitzenmacher,
 * "The Power of Two Choices in Randomized Load Balancing", 2001).
 *
 * The happy path is two draws, each a binary search in the running sums of the weights. A draw
 * leaves out whom it must by jumping over their stretches of the sum, so it never has to be
 * repeated because it hit the same member, however much of the weight that one has.
 *
 * Failure modes: a member found tried or full is left out too and the draw repeated; when more are
 * left out than fit the list, two linear passes draw among those that remain.
 */
#include "proxy/balance/internal.h"

#define LEFT_OUT_MAX 16

/* The slots that a draw must not give, ascending. */
struct left_out {
	uint32_t slots[LEFT_OUT_MAX];
	unsigned count;
	uint64_t weight; /* of all of them */
};

static void leave_out(struct left_out *out, uint32_t slot, uint32_t weight)
{
	unsigned i = out->count++;

	for (; i > 0 && out->slots[i - 1] > slot; i--)
		out->slots[i] = out->slots[i - 1];
	out->slots[i] = slot;
	out->weight += weight;
}

/* By weight among all that are not left out; there must be one. */
static uint32_t draw(struct balance_cursor *cursor, const struct left_out *out)
{
	const struct balancer *balancer = cursor->balancer;
	const uint64_t *before = balancer->table;
	uint64_t position = scale64(cursor_random(cursor), balancer->weight_sum - out->weight);

	for (unsigned i = 0; i < out->count && position >= before[out->slots[i]]; i++)
		position += balancer->choices[out->slots[i]].weight;
	return draw_slot_at(balancer, position);
}

/* By weight among all usable ones but `avoid` (a slot or NO_SLOT), the linear way. Counts move
 * between the passes, so the second may run out of usable ones and gives the last it saw. */
static int draw_linear(struct balance_cursor *cursor, const struct balance_query *query, int avoid)
{
	const struct balancer *balancer = cursor->balancer;
	uint64_t position, sum = 0;
	int last = NO_SLOT;

	for (uint32_t i = 0; i < balancer->choice_count; i++)
		if ((int)i != avoid && choice_is_usable(&balancer->choices[i], query))
			sum += balancer->choices[i].weight;
	position = scale64(cursor_random(cursor), sum);
	for (uint32_t i = 0; i < balancer->choice_count; i++) {
		if ((int)i == avoid || !choice_is_usable(&balancer->choices[i], query))
			continue;
		last = (int)i;
		if (position < balancer->choices[i].weight)
			break;
		position -= balancer->choices[i].weight;
	}
	return last;
}

static int draw_usable(struct balance_cursor *cursor, const struct balance_query *query,
		       struct left_out *out, int avoid)
{
	const struct balancer *balancer = cursor->balancer;

	while (out->weight < balancer->weight_sum) {
		uint32_t slot;

		if (out->count == LEFT_OUT_MAX)
			return draw_linear(cursor, query, avoid);
		slot = draw(cursor, out);
		if (choice_is_usable(&balancer->choices[slot], query))
			return (int)slot;
		leave_out(out, slot, balancer->choices[slot].weight);
	}
	return NO_SLOT;
}

/* Whether one more session is better off at `a`: (inflight + 1) / weight, multiplied out. */
static bool load_is_less(const struct choice *a, const struct choice *b)
{
	return ((uint64_t)target_inflight(a->target) + 1) * b->weight <
	       ((uint64_t)target_inflight(b->target) + 1) * a->weight;
}

static int pick(struct balance_cursor *cursor, const struct balance_query *query)
{
	const struct choice *choices = cursor->balancer->choices;
	struct left_out out = {.count = 0};
	int one = draw_usable(cursor, query, &out, NO_SLOT);
	int two;

	if (one == NO_SLOT)
		return NO_SLOT;
	if (out.count < LEFT_OUT_MAX)
		leave_out(&out, (uint32_t)one, choices[one].weight);
	two = draw_usable(cursor, query, &out, one);
	if (two == NO_SLOT)
		return one;
	return load_is_less(&choices[two], &choices[one]) ? two : one;
}

const struct balance_algorithm balance_random_two = {.prepare = draw_prepare, .pick = pick};
