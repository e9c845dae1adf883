/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow splice and packets that nobody would send: truncated ones, and valid ones with bytes
 * changed. Whatever is sent on is what the reference makes of it, and whatever goes up is as it
 * came.
 */
#include "tests/unit/xdp_program_rig.h"

#define MUTATIONS 200000 /* in all, over its rounds */

static const enum hook ingress[] = {HOOK_TC, HOOK_XDP};

/* Loop tests have 4 rounds: two hooks, two families. */
#define ROUNDS           4
#define HOOK_OF(round)   ingress[(round)&1]
#define FAMILY_OF(round) (((round)&2) != 0)

static const uint8_t flags[] = {0, FLOW_TIMESTAMPS, FLOW_KERNEL_PENDING};

/* It went up, but was moved to where the kernel expects it. */
static bool is_for_kernel(const struct frame *in, const struct frame *out,
			  const struct reference_frame *layout)
{
	struct frame moved = *in;

	write32(moved.bytes + layout->tcp + 4, rig_flows[CLIENT].kernel_seq);
	memcpy(moved.bytes + layout->tcp + 16, out->bytes + layout->tcp + 16, 2);
	return rig_flows[CLIENT].flags & FLOW_KERNEL_PENDING && rig_is_untouched(&moved, out) &&
	       sum_tcp(in->bytes, layout) == sum_tcp(out->bytes, layout);
}

static void expect_sane(enum hook hook, const struct frame *in, const struct frame *out,
			enum fate fate)
{
	struct reference_rules rules = rig_rules(CLIENT, hook);
	struct reference_frame layout;
	bool plain = reference_parse(in->bytes, in->length, &layout);

	switch (fate) {
	case FATE_SENT:
		ck_assert(plain);
		ck_assert_uint_eq(in->length, out->length);
		ck_assert(reference_same(in->bytes, out->bytes, in->length, &layout, &rules));
		break;
	case FATE_UP:
		if (!rig_is_untouched(in, out))
			ck_assert(plain && is_for_kernel(in, out, &layout));
		break;
	case FATE_DROPPED:
		break;
	default:
		ck_abort_msg("no packet is to be received here");
	}
}

static void mutate(struct frame *frame)
{
	unsigned count = chance_below(4);
	size_t headers = frame->length < 100 ? frame->length : 100;
	struct reference_frame layout;

	while (count--)
		frame->bytes[12 + chance_below((uint32_t)headers - 12)] ^= (uint8_t)chance();
	if (chance_below(8) == 0)
		frame->length = ETHERNET_SIZE + chance_below((uint32_t)frame->length - 13);
	/* Half of them have right checksums in spite of that. */
	if (chance_below(2) && reference_parse(frame->bytes, frame->length, &layout))
		reference_checksums(frame->bytes, &layout);
}

static void random_segment(bool ipv6, struct segment *ret)
{
	static const uint8_t kinds[] = {ACK, ACK, ACK | PSH, ACK | FIN, RST, SYN};
	uint32_t edges[4] = {chance(), chance(), chance(), chance()};

	*ret = rig_segment(CLIENT, ipv6);
	ret->flags = kinds[chance_below(sizeof(kinds))];
	ret->payload = chance_below(3) ? chance_below(40) : chance_below(1400);
	if (chance_below(2))
		rig_add_clock(ret, chance(), chance());
	if (chance_below(3) == 0)
		rig_add_sack(ret, edges, 1 + chance_below(2));
}

START_TEST(mutated_packets_come_out_sane)
{
	unsigned sent = 0;

	rig_chance += (uint64_t)_i;
	rig_session(FAMILY_OF(_i), 0);
	for (int round = 0; round < MUTATIONS / ROUNDS; round++) {
		struct segment segment;
		struct frame in, out;
		enum fate fate;

		rig_fill(CLIENT, FAMILY_OF(_i), flags[chance_below(sizeof(flags))]);
		random_segment(FAMILY_OF(_i), &segment);
		rig_build(&segment, &in);
		mutate(&in);
		if (rig_try(HOOK_OF(_i), &in, &out, &fate))
			continue; /* too short for the kernel to run anything on it */
		expect_sane(HOOK_OF(_i), &in, &out, fate);
		sent += fate == FATE_SENT;
	}
	ck_assert_uint_gt(sent, MUTATIONS / ROUNDS / 8);
}
END_TEST

/* IP says more than there is, and the kernel will drop it: so it goes there. */
START_TEST(truncated_packets_go_up)
{
	for (size_t payload = 0; payload < 100; payload += 33) {
		struct segment segment = rig_segment(CLIENT, FAMILY_OF(_i));
		struct flow before[2];
		struct frame in, out;

		rig_session(FAMILY_OF(_i), FLOW_TIMESTAMPS);
		rig_copy(before);
		rig_add_clock(&segment, 1, 2);
		segment.payload = payload;
		rig_build(&segment, &in);
		for (in.length--; in.length >= ETHERNET_SIZE; in.length--) {
			enum fate fate;

			if (rig_try(HOOK_OF(_i), &in, &out, &fate))
				continue;
			ck_assert_int_eq(fate, FATE_UP);
			ck_assert(rig_is_untouched(&in, &out));
		}
		ck_assert(rig_is_unchanged(before));
		ck_assert_uint_eq(rig_all_events(), 0);
	}
}
END_TEST

/* Short frames are filled up to 60 bytes: what is behind the packet is not of it. */
START_TEST(padding_behind_a_packet_is_no_payload)
{
	struct segment segment = rig_segment(CLIENT, FAMILY_OF(_i));
	struct reference_rules rules;
	struct reference_frame layout;
	struct frame in, out;

	rig_session(FAMILY_OF(_i), 0);
	rig_build(&segment, &in);
	memset(in.bytes + in.length, 0xa5, 6);
	in.length += 6;
	rules = rig_rules(CLIENT, HOOK_OF(_i));
	ck_assert_int_eq(rig_run(HOOK_OF(_i), &in, &out), FATE_SENT);
	ck_assert(reference_parse(in.bytes, in.length, &layout));
	ck_assert(reference_same(in.bytes, out.bytes, in.length, &layout, &rules));
	ck_assert_uint_eq(rig_flows[CLIENT].bytes, 0);
}
END_TEST

START_TEST(lengths_that_contradict_each_other_go_up)
{
	struct segment segment = rig_segment(CLIENT, FAMILY_OF(_i));
	size_t at = ETHERNET_SIZE + (FAMILY_OF(_i) ? 4 : 2);
	struct frame in, out;

	rig_session(FAMILY_OF(_i), 0);
	segment.payload = 20;
	/* Up to the end of a header that is not there in full; 0 is for GRO's giants alone. */
	for (int length = 0; length < (FAMILY_OF(_i) ? 20 : 40); length++) {
		rig_build(&segment, &in);
		write16(in.bytes + at, (uint16_t)length);
		ck_assert_int_eq(rig_run(HOOK_OF(_i), &in, &out), FATE_UP);
		ck_assert(rig_is_untouched(&in, &out));
	}
	for (uint8_t words = 0; words < 16; words++) {
		rig_build(&segment, &in);
		in.bytes[ETHERNET_SIZE + rig_ip_size(&segment) + 12] = (uint8_t)(words << 4);
		ck_assert_int_eq(rig_run(HOOK_OF(_i), &in, &out),
				 words < 5 || words > 10 ? FATE_UP : FATE_SENT);
	}
	ck_assert_uint_eq(rig_all_events(), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_loop_test(tcase, mutated_packets_come_out_sane, 0, ROUNDS);
	tcase_add_loop_test(tcase, truncated_packets_go_up, 0, ROUNDS);
	tcase_add_loop_test(tcase, padding_behind_a_packet_is_no_payload, 0, ROUNDS);
	tcase_add_loop_test(tcase, lengths_that_contradict_each_other_go_up, 0, ROUNDS);
}

int main(void)
{
	return rig_main("xdp_program_mutation", add);
}
