/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow splice on kernels before 6.2, which do not tell a program how a packet carries its checksum:
 * the kernel's helpers write it. The same packets come out, whoever summed them up on arrival.
 */
#include "tests/unit/xdp_program_rig.h"

static void setup(void)
{
	rig_open(true);
}

/* Loop tests have 4 rounds: two families, and whether the device took the packet's whole sum. */
#define ROUNDS 4

static bool begin(int round, uint8_t flags)
{
	bool ipv6 = (round & 1) != 0;

	rig_run_flags = round & 2 ? TEST_CHECKSUM_COMPLETE : 0;
	rig_session(ipv6, flags);
	return ipv6;
}

START_TEST(translated_packets_have_right_sums)
{
	static const enum flow_exit exits[] = {FLOW_EXIT_NEIGHBOUR, FLOW_EXIT_UP,
					       FLOW_EXIT_INGRESS};

	for (unsigned round = 0; round < 3000; round++) {
		bool ipv6 = begin(_i, FLOW_TIMESTAMPS);
		struct segment segment = rig_segment(round & 1, ipv6);
		uint32_t edges[4] = {chance(), chance(), chance(), chance()};

		rig_flows[CLIENT].exit = exits[round % 3];
		segment.payload = chance_below(1000);
		segment.window = (uint16_t)chance();
		segment.seq = chance();
		if (round & 2)
			rig_add_clock(&segment, chance(), chance());
		if (round & 4)
			rig_add_sack(&segment, edges, 2);
		if (round & 8 && segment.option_bytes) /* no longer Linux's layout */
			memmove(segment.options, segment.options + 1, segment.option_bytes - 1);
		rig_expect_translated(HOOK_TC, &segment);
	}
}
END_TEST

START_TEST(what_goes_up_to_the_kernel_has_a_right_sum)
{
	bool ipv6 = begin(_i, FLOW_KERNEL_PENDING);
	struct segment segment = rig_segment(CLIENT, ipv6);
	struct reference_frame layout;
	struct frame in, out;

	segment.seq += 5000;
	ck_assert_int_eq(rig_run_segment(HOOK_TC, &segment, &in, &out), FATE_UP);
	ck_assert(reference_parse(out.bytes, out.length, &layout));
	ck_assert_uint_eq(sum_tcp(out.bytes, &layout), 0xffff);
	ck_assert_uint_eq(read32(out.bytes + layout.tcp + 4), rig_flows[CLIENT].kernel_seq);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_loop_test(tcase, translated_packets_have_right_sums, 0, ROUNDS);
	tcase_add_loop_test(tcase, what_goes_up_to_the_kernel_has_a_right_sum, 0, ROUNDS);
}

int main(void)
{
	return rig_main_with("xdp_program_helpers", add, setup);
}
