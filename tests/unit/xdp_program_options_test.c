/* SPDX-License-Identifier: Apache-2.0
 *
 * TCP options under flow splice: timestamps, edges of SACK blocks, and every layout that no sane
 * stack would send, against the reference translator.
 */
#include "tests/unit/xdp_program_rig.h"

#define LAYOUTS 200000 /* in all, over its rounds: half of them IPv4 */

static const enum hook ingress[] = {HOOK_TC, HOOK_XDP};

/* Loop tests have 4 rounds: two hooks, two families. */
#define ROUNDS           4
#define HOOK_OF(round)   ingress[(round)&1]
#define FAMILY_OF(round) (((round)&2) != 0)

static const uint8_t clocks[] = {0, FLOW_TIMESTAMPS};

/* --- layouts --- */

static size_t put_clock(uint8_t *at)
{
	at[0] = 8;
	at[1] = 10;
	write32(at + 2, chance());
	write32(at + 6, chance_below(4) ? chance() : 0);
	return 10;
}

static size_t put_sack(uint8_t *at, size_t room)
{
	size_t blocks = 1 + chance_below(4);

	while (blocks && 2 + 8 * blocks > room)
		blocks--;
	if (!blocks)
		return 0;
	at[0] = 5;
	at[1] = (uint8_t)(2 + 8 * blocks);
	for (size_t i = 0; i < 2 * blocks; i++)
		write32(at + 2 + 4 * i, chance());
	return at[1];
}

/* Of a kind that means nothing here, or means something but has a wrong length. */
static size_t put_odd(uint8_t *at, size_t room)
{
	static const uint8_t kinds[] = {2, 3, 4, 5, 8, 19, 28, 29, 30, 34, 69, 253, 254, 255};
	size_t size = 2 + chance_below(14);

	if (size > room)
		size = room;
	if (size < 2)
		return 0;
	for (size_t i = 0; i < size; i++)
		at[i] = (uint8_t)chance();
	at[0] = kinds[chance_below(sizeof(kinds))];
	at[1] = (uint8_t)size;
	return size;
}

/* After this nobody can tell where the next one begins. */
static size_t put_broken(uint8_t *at, size_t room)
{
	at[0] = (uint8_t)(2 + chance_below(30));
	if (room < 2)
		return 1;
	at[1] = (uint8_t)(chance_below(2) ? chance_below(2) : room + 1 + chance_below(200));
	return 2;
}

static size_t put_any(uint8_t *at, size_t room)
{
	switch (chance_below(10)) {
	case 0:
	case 1:
	case 2:
		return room >= 10 ? put_clock(at) : 0;
	case 3:
	case 4:
		return put_sack(at, room);
	case 5:
		return put_odd(at, room);
	case 6:
		if (chance_below(4))
			return 0;
		at[0] = 0;
		return 1;
	case 7:
		return chance_below(4) ? 0 : put_broken(at, room);
	default:
		at[0] = 1;
		return 1;
	}
}

static void put_layout(struct segment *segment)
{
	size_t room = 4 * chance_below(11);
	size_t at = 0;

	segment->option_bytes = room;
	for (size_t i = 0; i < room; i++)
		segment->options[i] = (uint8_t)(chance_below(2) ? chance() : 0);
	for (int i = 0; i < 24 && at < room; i++)
		at += put_any(segment->options + at, room - at);
}

/* Linux's words in front, something else behind; sometimes that is Linux's, too. */
static void put_nearly_usual_layout(struct segment *segment)
{
	uint32_t edges[8];

	segment->option_bytes = 0;
	for (size_t i = 0; i < 8; i++)
		edges[i] = chance();
	if (chance_below(3))
		rig_add_clock(segment, chance(), chance_below(3) ? chance() : 0);
	if (chance_below(3))
		rig_add_sack(segment, edges, 1 + chance_below(segment->option_bytes ? 3 : 4));
	if (chance_below(2) && segment->option_bytes < 40) {
		write32(segment->options + segment->option_bytes, chance());
		segment->option_bytes += 4;
	}
	if (chance_below(3) == 0 && segment->option_bytes)
		segment->options[chance_below((uint32_t)segment->option_bytes)] = (uint8_t)chance();
}

START_TEST(random_layouts_agree_with_the_reference)
{
	rig_chance += (uint64_t)_i;
	rig_session(FAMILY_OF(_i), 0);
	for (int round = 0; round < LAYOUTS / ROUNDS; round++) {
		struct segment segment = rig_segment(chance_below(2), FAMILY_OF(_i));

		rig_fill(segment.leg, segment.ipv6, clocks[chance_below(2)]);
		segment.payload = chance_below(9);
		if (chance_below(3))
			put_layout(&segment);
		else
			put_nearly_usual_layout(&segment);
		rig_expect_translated(HOOK_OF(_i), &segment);
	}
	ck_assert_uint_gt(rig_counted(FLOW_COUNT_SLOW_OPTIONS), LAYOUTS / ROUNDS / 4);
}
END_TEST

/* --- one by one --- */

static void expect(int round, struct segment *segment, uint8_t flags)
{
	rig_session(FAMILY_OF(round), flags);
	segment->ipv6 = FAMILY_OF(round);
	rig_expect_translated(HOOK_OF(round), segment);
}

START_TEST(an_echo_of_nothing_stays_nothing)
{
	struct segment segment = rig_segment(CLIENT, FAMILY_OF(_i));
	struct frame in, out;
	struct reference_frame layout;

	rig_add_clock(&segment, 1, 0);
	expect(_i, &segment, FLOW_TIMESTAMPS);
	ck_assert_int_eq(rig_run_segment(HOOK_OF(_i), &segment, &in, &out), FATE_SENT);
	ck_assert(reference_parse(out.bytes, out.length, &layout));
	ck_assert_uint_eq(read32(out.bytes + layout.tcp + 28), 0);
}
END_TEST

START_TEST(one_to_four_sack_blocks_are_moved)
{
	for (size_t blocks = 1; blocks <= 4; blocks++)
		for (int clock = 0; clock < 2; clock++) {
			struct segment segment = rig_segment(BACKEND, FAMILY_OF(_i));
			uint32_t edges[8];

			if (clock && blocks == 4)
				continue; /* 48 bytes of options do not exist */
			for (size_t i = 0; i < 8; i++)
				edges[i] = segment.ack + 1000 * (uint32_t)(i + 1);
			if (clock)
				rig_add_clock(&segment, 1, 2);
			rig_add_sack(&segment, edges, blocks);
			expect(_i, &segment, FLOW_TIMESTAMPS);
		}
	ck_assert_uint_eq(rig_counted(FLOW_COUNT_SLOW_OPTIONS), 0);
}
END_TEST

START_TEST(an_option_at_any_place_is_found)
{
	for (size_t place = 0; place <= 30; place++) {
		struct segment segment = rig_segment(CLIENT, FAMILY_OF(_i));

		memset(segment.options, 1, 40);
		segment.option_bytes = 40;
		put_clock(segment.options + place);
		expect(_i, &segment, FLOW_TIMESTAMPS);
		memset(segment.options, 1, 40);
		put_sack(segment.options + place, 40 - place);
		expect(_i, &segment, FLOW_TIMESTAMPS);
	}
}
END_TEST

/* A SACK option whose length is none of SACK's, in front of which stand Linux's two NOPs. */
START_TEST(a_sack_option_of_no_length_that_it_can_have_is_left_alone)
{
	for (size_t bytes = 4; bytes <= 40; bytes += 4) {
		struct segment segment = rig_segment(CLIENT, FAMILY_OF(_i));

		for (size_t i = 0; i < 40; i++)
			segment.options[i] = (uint8_t)(i * 11);
		segment.option_bytes = bytes;
		write32(segment.options, 0x01010500 | (uint32_t)(bytes - 2));
		expect(_i, &segment, 0);
	}
}
END_TEST

START_TEST(nothing_behind_the_end_of_options_is_touched)
{
	for (size_t place = 0; place < 12; place++) {
		struct segment segment = rig_segment(CLIENT, FAMILY_OF(_i));

		memset(segment.options, 1, sizeof(segment.options));
		segment.options[place] = 0;
		put_clock(segment.options + place + 1);
		segment.option_bytes = 24;
		expect(_i, &segment, FLOW_TIMESTAMPS);
	}
}
END_TEST

/* What the walk finds in its buffer beyond the options is an earlier packet's. */
START_TEST(a_kind_without_its_length_is_the_last)
{
	struct segment longer = rig_segment(CLIENT, FAMILY_OF(_i));
	struct segment segment = longer;

	memset(longer.options, 10, 40);
	longer.option_bytes = 40;
	expect(_i, &longer, FLOW_TIMESTAMPS);
	memset(segment.options, 1, 40);
	segment.option_bytes = 12;
	segment.options[11] = 8;
	expect(_i, &segment, FLOW_TIMESTAMPS);
	memset(segment.options, 1, 40);
	segment.option_bytes = 40;
	segment.options[39] = 5;
	expect(_i, &segment, FLOW_TIMESTAMPS);
}
END_TEST

/* Rebuilding the sockets, user space has to know how far the clock went that the peer saw. */
START_TEST(the_clock_that_was_sent_is_remembered)
{
	struct segment segment = rig_segment(CLIENT, FAMILY_OF(_i));

	rig_add_clock(&segment, rig_numbers.peer_clock[CLIENT] + 70000, 2);
	expect(_i, &segment, FLOW_TIMESTAMPS);
	ck_assert_uint_eq(rig_flows[CLIENT].clock_sent, rig_numbers.our_clock[BACKEND] + 70000);
	memset(segment.options, 1, 40);
	put_clock(segment.options + 1);
	write32(segment.options + 3, rig_numbers.peer_clock[CLIENT] + 70001);
	segment.option_bytes = 12;
	rig_expect_translated(HOOK_OF(_i), &segment);
	ck_assert_uint_eq(rig_flows[CLIENT].clock_sent, rig_numbers.our_clock[BACKEND] + 70001);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_loop_test(tcase, random_layouts_agree_with_the_reference, 0, ROUNDS);
	tcase_add_loop_test(tcase, an_echo_of_nothing_stays_nothing, 0, ROUNDS);
	tcase_add_loop_test(tcase, one_to_four_sack_blocks_are_moved, 0, ROUNDS);
	tcase_add_loop_test(tcase, an_option_at_any_place_is_found, 0, ROUNDS);
	tcase_add_loop_test(tcase, a_sack_option_of_no_length_that_it_can_have_is_left_alone, 0,
			    ROUNDS);
	tcase_add_loop_test(tcase, nothing_behind_the_end_of_options_is_touched, 0, ROUNDS);
	tcase_add_loop_test(tcase, a_kind_without_its_length_is_the_last, 0, ROUNDS);
	tcase_add_loop_test(tcase, the_clock_that_was_sent_is_remembered, 0, ROUNDS);
}

int main(void)
{
	return rig_main("xdp_program_options", add);
}
