/* SPDX-License-Identifier: Apache-2.0
 *
 * What flow splice makes of a packet: addresses, ports, numbers, windows and checksums, by tc and
 * by XDP, held against a translator in user space that was written from the RFCs.
 */
#include "tests/unit/xdp_program_rig.h"

static const enum hook ingress[] = {HOOK_TC, HOOK_XDP};

/* Loop tests have 4 rounds: two hooks, two families. */
#define ROUNDS           4
#define HOOK_OF(round)   ingress[(round)&1]
#define FAMILY_OF(round) (((round)&2) != 0)

START_TEST(a_segment_with_data_becomes_one_of_the_other_connection)
{
	for (unsigned leg = 0; leg < 2; leg++) {
		struct segment segment;

		rig_session(FAMILY_OF(_i), FLOW_TIMESTAMPS);
		segment = rig_segment(leg, FAMILY_OF(_i));
		segment.payload = 1000 + leg; /* an odd length, too */
		segment.flags = ACK | PSH;
		rig_add_clock(&segment, rig_numbers.peer_clock[leg] + 5,
			      rig_numbers.our_clock[leg] - 3);
		rig_expect_translated(HOOK_OF(_i), &segment);
		ck_assert_uint_eq(rig_flows[leg].bytes, segment.payload);
		ck_assert_uint_eq(rig_flows[leg].packets, 1);
		ck_assert_uint_eq(rig_flows[leg].seq_end, segment.seq + segment.payload);
		ck_assert_uint_ne(rig_flows[leg].last_ns, 0);
		ck_assert_uint_eq(rig_all_events(), 0);
	}
}
END_TEST

START_TEST(its_numbers_are_those_of_the_other_connection)
{
	struct frame in, out;
	struct reference_frame layout;
	struct segment segment;
	uint8_t *tcp;

	rig_session(FAMILY_OF(_i), FLOW_TIMESTAMPS);
	segment = rig_segment(CLIENT, FAMILY_OF(_i));
	segment.payload = 10;
	rig_add_clock(&segment, rig_numbers.peer_clock[CLIENT] + 5, rig_numbers.our_clock[CLIENT]);
	ck_assert_int_eq(rig_run_segment(HOOK_OF(_i), &segment, &in, &out), FATE_SENT);
	ck_assert(reference_parse(out.bytes, out.length, &layout));
	tcp = out.bytes + layout.tcp;
	/* Without the reference, which might be wrong in the same way. */
	ck_assert_uint_eq(read16(tcp), 50000);
	ck_assert_uint_eq(read16(tcp + 2), 8080);
	ck_assert_uint_eq(read32(tcp + 4), rig_numbers.ours[BACKEND]);
	ck_assert_uint_eq(read32(tcp + 8), rig_numbers.peer[BACKEND]);
	ck_assert_uint_eq(read16(tcp + 14), 500); /* 7 bits in, 7 bits out */
	ck_assert_uint_eq(read32(tcp + 24), rig_numbers.our_clock[BACKEND] + 5);
	ck_assert_uint_eq(read32(tcp + 28), rig_numbers.peer_clock[BACKEND]);
	ck_assert_uint_eq(out.bytes[ETHERNET_SIZE + (FAMILY_OF(_i) ? 7 : 8)], 63);
}
END_TEST

START_TEST(sequence_numbers_wrap_at_two_to_the_32)
{
	for (unsigned leg = 0; leg < 2; leg++)
		for (uint32_t before = 0; before < 4; before++) {
			struct segment segment;

			rig_usual_numbers();
			rig_numbers.peer[leg] = 0u - before;
			rig_numbers.ours[leg] = 1u - before;
			rig_numbers.ours[!leg] = 0u - 2 * before;
			rig_numbers.peer[!leg] = 3u - before;
			rig_numbers.peer_clock[leg] = 0u - before;
			rig_numbers.our_clock[leg] = 1u - before;
			rig_session(FAMILY_OF(_i), FLOW_TIMESTAMPS);
			segment = rig_segment(leg, FAMILY_OF(_i));
			segment.payload = 7;
			rig_add_clock(&segment, 2, 0xffffffff);
			rig_add_sack(&segment,
				     (uint32_t[]){0xfffffffe, 2, 0xffffffff, 0x7fffffff, 0, 1}, 3);
			rig_expect_translated(HOOK_OF(_i), &segment);
			ck_assert_uint_eq(rig_flows[leg].seq_end, segment.seq + 7);
		}
}
END_TEST

START_TEST(figures_are_kept_across_the_wrap)
{
	struct segment segment;

	rig_numbers.peer[CLIENT] = 0u - 3000;
	rig_session(FAMILY_OF(_i), 0);
	segment = rig_segment(CLIENT, FAMILY_OF(_i));
	segment.payload = 1000;
	for (int i = 0; i < 6; i++) {
		struct segment ack = rig_segment(BACKEND, FAMILY_OF(_i));

		rig_expect_translated(HOOK_OF(_i), &segment);
		segment.seq += 1000;
		ck_assert_uint_eq(rig_flows[CLIENT].seq_end, segment.seq);
		ack.ack += 1000u * (unsigned)(i + 1);
		rig_expect_translated(HOOK_OF(_i), &ack);
		ck_assert_uint_eq(rig_flows[BACKEND].last_ack, ack.ack);
	}
	ck_assert_uint_eq(rig_flows[CLIENT].bytes, 6000);
}
END_TEST

START_TEST(windows_are_scaled_anew_by_every_pair_of_shifts)
{
	static const uint16_t windows[] = {0, 1, 2, 255, 256, 1023, 32768, 65534, 65535};

	for (uint8_t in = 0; in <= 14; in++)
		for (uint8_t out = 0; out <= 14; out++)
			for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
				struct segment segment = rig_segment(CLIENT, FAMILY_OF(_i));

				rig_numbers.peer_shift[CLIENT] = in;
				rig_numbers.our_shift[BACKEND] = out;
				rig_session(FAMILY_OF(_i), 0);
				segment.window = windows[i];
				rig_expect_translated(HOOK_OF(_i), &segment);
				ck_assert_uint_eq(rig_flows[CLIENT].last_window,
						  (uint32_t)windows[i] << in);
			}
}
END_TEST

START_TEST(a_window_is_closed_only_if_it_was)
{
	for (uint16_t window = 0; window < 2; window++) {
		struct segment segment = rig_segment(BACKEND, FAMILY_OF(_i));
		struct reference_frame layout;
		struct frame in, out;

		rig_numbers.peer_shift[BACKEND] = 0;
		rig_numbers.our_shift[CLIENT] = 14;
		rig_session(FAMILY_OF(_i), 0);
		segment.window = window;
		ck_assert_int_eq(rig_run_segment(HOOK_OF(_i), &segment, &in, &out), FATE_SENT);
		ck_assert(reference_parse(out.bytes, out.length, &layout));
		ck_assert_uint_eq(read16(out.bytes + layout.tcp + 14), window);
	}
}
END_TEST

START_TEST(every_flag_goes_through)
{
	/* Without SYN; without ACK only with RST. The low bits of byte 12 and the three highest of
	 * byte 13 are ECN's (RFC 3168). */
	for (unsigned flags = 0; flags < 256; flags++) {
		struct segment segment = rig_segment(CLIENT, FAMILY_OF(_i));

		if (flags & SYN || !(flags & (ACK | RST)))
			continue;
		rig_session(FAMILY_OF(_i), FLOW_TIMESTAMPS);
		segment.flags = (uint8_t)flags;
		rig_add_clock(&segment, 17, 0);
		rig_expect_translated(HOOK_OF(_i), &segment);
	}
}
END_TEST

START_TEST(random_numbers_and_lengths_agree_with_the_reference)
{
	for (int round = 0; round < 20000; round++) {
		unsigned leg = chance_below(2);
		struct segment segment;

		for (unsigned i = 0; i < 2; i++) {
			rig_numbers.peer[i] = chance();
			rig_numbers.ours[i] = chance();
			rig_numbers.peer_shift[i] = (uint8_t)chance_below(15);
			rig_numbers.our_shift[i] = (uint8_t)chance_below(15);
		}
		rig_session(FAMILY_OF(_i), 0);
		segment = rig_segment(leg, FAMILY_OF(_i));
		segment.payload = chance_below(1400);
		segment.window = (uint16_t)chance();
		segment.ttl = (uint8_t)(2 + chance_below(254));
		segment.seq = chance();
		segment.ack = chance();
		rig_expect_translated(HOOK_OF(_i), &segment);
	}
}
END_TEST

START_TEST(loopback_to_loopback_keeps_the_hop_and_goes_up)
{
	struct segment segment;

	rig_session(_i != 0, 0);
	rig_flows[CLIENT].exit = FLOW_EXIT_UP;
	segment = rig_segment(CLIENT, _i != 0);
	segment.ttl = 1;
	segment.payload = 1400;
	rig_expect_translated(HOOK_TC, &segment);
	ck_assert_uint_eq(rig_counted(FLOW_COUNT_LOCAL), 1);
}
END_TEST

START_TEST(to_a_backend_on_this_host_it_gets_macs)
{
	struct segment segment;

	rig_session(_i != 0, 0);
	rig_flows[CLIENT].exit = FLOW_EXIT_INGRESS;
	segment = rig_segment(CLIENT, _i != 0);
	rig_expect_translated(HOOK_TC, &segment);
	ck_assert_uint_eq(rig_counted(FLOW_COUNT_LOCAL), 1);
}
END_TEST

/* What XDP sends back where it came from needs no redirect. The test's device is loopback, 1. */
START_TEST(xdp_sends_back_where_it_came_from)
{
	struct segment segment;

	rig_session(_i != 0, 0);
	rig_flows[CLIENT].exit_ifindex = 1;
	segment = rig_segment(CLIENT, _i != 0);
	rig_expect_translated(HOOK_XDP, &segment);
}
END_TEST

/* The receiver's whole sum was taken by the device (CHECKSUM_COMPLETE): the kernel checks, after
 * the program, that it still is the packet's. */
START_TEST(a_sum_that_the_device_took_stays_right)
{
	static const enum flow_exit exits[] = {FLOW_EXIT_NEIGHBOUR, FLOW_EXIT_INGRESS,
					       FLOW_EXIT_UP};

	for (size_t i = 0; i < 3; i++) {
		struct segment segment = rig_segment(CLIENT, _i != 0);

		rig_run_flags = TEST_CHECKSUM_COMPLETE;
		rig_session(_i != 0, FLOW_TIMESTAMPS);
		rig_flows[CLIENT].exit = exits[i];
		segment.payload = 33;
		rig_expect_translated(HOOK_TC, &segment);
		rig_add_clock(&segment, 99, 98);
		rig_expect_translated(HOOK_TC, &segment);
		/* Not Linux's layout. */
		write32(segment.options, 0x080a0000);
		write32(segment.options + 8, 0x00000101);
		rig_expect_translated(HOOK_TC, &segment);
	}
}
END_TEST

START_TEST(so_does_it_for_an_acknowledgement_that_goes_up)
{
	struct segment segment = rig_segment(CLIENT, _i != 0);
	struct frame in, out;

	rig_run_flags = TEST_CHECKSUM_COMPLETE;
	rig_session(_i != 0, FLOW_KERNEL_PENDING);
	segment.seq += 5000;
	ck_assert_int_eq(rig_run_segment(HOOK_TC, &segment, &in, &out), FATE_UP);
	ck_assert(!rig_is_untouched(&in, &out));
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_loop_test(tcase, a_segment_with_data_becomes_one_of_the_other_connection, 0,
			    ROUNDS);
	tcase_add_loop_test(tcase, its_numbers_are_those_of_the_other_connection, 0, ROUNDS);
	tcase_add_loop_test(tcase, sequence_numbers_wrap_at_two_to_the_32, 0, ROUNDS);
	tcase_add_loop_test(tcase, figures_are_kept_across_the_wrap, 0, ROUNDS);
	tcase_add_loop_test(tcase, windows_are_scaled_anew_by_every_pair_of_shifts, 0, ROUNDS);
	tcase_add_loop_test(tcase, a_window_is_closed_only_if_it_was, 0, ROUNDS);
	tcase_add_loop_test(tcase, every_flag_goes_through, 0, ROUNDS);
	tcase_add_loop_test(tcase, random_numbers_and_lengths_agree_with_the_reference, 0, ROUNDS);
	tcase_add_loop_test(tcase, loopback_to_loopback_keeps_the_hop_and_goes_up, 0, 2);
	tcase_add_loop_test(tcase, to_a_backend_on_this_host_it_gets_macs, 0, 2);
	tcase_add_loop_test(tcase, xdp_sends_back_where_it_came_from, 0, 2);
	tcase_add_loop_test(tcase, a_sum_that_the_device_took_stays_right, 0, 2);
	tcase_add_loop_test(tcase, so_does_it_for_an_acknowledgement_that_goes_up, 0, 2);
}

int main(void)
{
	return rig_main("xdp_program_rewrite", add);
}
