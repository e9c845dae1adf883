/* SPDX-License-Identifier: Apache-2.0
 *
 * What flow splice decides about a packet and learns from it: the states of a flow, what the kernel
 * is still owed, FIN, RST and SYN, and what somebody sends who has to guess.
 */
#include "tests/unit/xdp_program_rig.h"

static const enum hook ingress[] = {HOOK_TC, HOOK_XDP};

/* Loop tests have 4 rounds: two hooks, two families. */
#define ROUNDS           4
#define HOOK_OF(round)   ingress[(round)&1]
#define FAMILY_OF(round) (((round)&2) != 0)

static struct segment begin(int round, unsigned leg, uint8_t flags)
{
	rig_session(FAMILY_OF(round), flags);
	return rig_segment(leg, FAMILY_OF(round));
}

static void set_state(enum flow_state state)
{
	rig_flows[CLIENT].state = (uint8_t)state;
	rig_flows[BACKEND].state = (uint8_t)state;
}

/* --- states --- */

START_TEST(a_flow_that_is_free_or_has_yielded_is_the_kernels)
{
	static const uint8_t flags[] = {ACK, ACK | FIN, RST, SYN, ACK | PSH, 0};

	for (size_t i = 0; i < 2 * sizeof(flags); i++) {
		struct segment segment = begin(_i, CLIENT, 0);
		struct flow before[2];

		set_state(i % 2 ? FLOW_FREE : FLOW_YIELDED);
		rig_copy(before);
		segment.flags = flags[i / 2];
		segment.payload = 10 * i;
		rig_expect(HOOK_OF(_i), &segment, FATE_UP);
		ck_assert(rig_is_unchanged(before));
		ck_assert_uint_eq(rig_all_events(), 0);
	}
}
END_TEST

START_TEST(what_has_no_flow_goes_its_way)
{
	struct segment segment = begin(_i, CLIENT, 0);
	struct frame in, out;
	struct reference_frame layout;

	/* Every bit of the tuple counts. */
	for (size_t bit = 0; bit < (FAMILY_OF(_i) ? 36 : 12) * 8; bit++) {
		size_t at = ETHERNET_SIZE + (FAMILY_OF(_i) ? 8 : 12) + bit / 8;

		rig_build(&segment, &in);
		in.bytes[at] ^= (uint8_t)(1 << bit % 8);
		ck_assert(reference_parse(in.bytes, in.length, &layout));
		reference_checksums(in.bytes, &layout);
		ck_assert_int_eq(rig_run(HOOK_OF(_i), &in, &out), FATE_UP);
		ck_assert(rig_is_untouched(&in, &out));
	}
	ck_assert_uint_eq(rig_flows[CLIENT].packets, 0);
	ck_assert_uint_eq(rig_all_events(), 0);
}
END_TEST

START_TEST(a_hold_drops_what_will_be_sent_again)
{
	static const uint8_t flags[] = {ACK | PSH, ACK | FIN, RST, RST | ACK};

	for (size_t i = 0; i < sizeof(flags); i++) {
		struct segment segment = begin(_i, CLIENT, 0);

		set_state(FLOW_HOLD);
		segment.flags = flags[i];
		segment.payload = i == 0 ? 100 : 0;
		rig_expect(HOOK_OF(_i), &segment, FATE_DROPPED);
		ck_assert_uint_eq(rig_flows[CLIENT].held, 1);
		ck_assert_uint_eq(rig_flows[CLIENT].bytes, 0);
		ck_assert_uint_eq(rig_flows[CLIENT].seq_end, segment.seq);
		ck_assert_uint_eq(rig_flows[CLIENT].fin_seen, 0);
		ck_assert_uint_eq(rig_flows[CLIENT].rst_seen, 0);
	}
}
END_TEST

START_TEST(a_hold_learns_what_is_acknowledged)
{
	struct segment data = begin(_i, BACKEND, 0);
	struct segment ack = rig_segment(CLIENT, FAMILY_OF(_i));

	data.payload = 700;
	rig_expect_translated(HOOK_OF(_i), &data);
	set_state(FLOW_HOLD);
	ack.ack += 700;
	rig_expect(HOOK_OF(_i), &ack, FATE_UP);
	ck_assert_uint_eq(rig_flows[CLIENT].last_ack, ack.ack);
	/* Nobody who guesses the acknowledgement alone. */
	ack.ack -= 100;
	rig_flows[CLIENT].last_ack = ack.ack - 300;
	ack.seq += 1u << 31;
	rig_expect(HOOK_OF(_i), &ack, FATE_UP);
	ck_assert_uint_eq(rig_flows[CLIENT].last_ack, ack.ack - 300);
}
END_TEST

START_TEST(without_an_acknowledgement_it_is_no_segment_of_ours)
{
	struct segment segment = begin(_i, CLIENT, 0);

	segment.flags = PSH;
	segment.payload = 4;
	rig_expect(HOOK_OF(_i), &segment, FATE_DROPPED);
	ck_assert_uint_eq(rig_counted(FLOW_COUNT_MALFORMED), 1);
}
END_TEST

/* --- what the kernel is owed: see xdp_program_kernel_test.c --- */

START_TEST(before_a_flow_is_settled_its_packets_go_by_tc)
{
	static const uint8_t flags[] = {ACK, ACK | PSH, ACK | FIN, RST | ACK, RST, SYN, 0};

	for (size_t i = 0; i < sizeof(flags); i++) {
		struct segment segment = rig_segment(CLIENT, _i != 0);
		struct flow before[2];

		rig_session(_i != 0, FLOW_KERNEL_PENDING);
		rig_copy(before);
		segment.flags = flags[i];
		segment.payload = 10 * i;
		rig_expect(HOOK_XDP, &segment, FATE_UP);
		ck_assert(rig_is_unchanged(before));
		ck_assert_uint_eq(rig_all_events(), 0);
	}
}
END_TEST

/* --- the end --- */

static void fin_and_ack(int round, unsigned leg)
{
	struct segment fin = rig_segment(leg, FAMILY_OF(round));
	struct segment ack = rig_segment(!leg, FAMILY_OF(round));

	fin.seq = rig_flows[leg].seq_end;
	fin.ack = rig_flows[leg].last_ack;
	fin.flags = ACK | FIN;
	rig_expect_translated(HOOK_OF(round), &fin);
	ack.seq = rig_flows[!leg].seq_end;
	ack.ack = fin.seq + 1 + rig_flows[leg].seq_delta;
	rig_expect_translated(HOOK_OF(round), &ack);
}

START_TEST(both_fins_acknowledged_close_it_in_either_order)
{
	for (unsigned first = 0; first < 2; first++) {
		begin(_i, CLIENT, 0);
		fin_and_ack(_i, first);
		ck_assert_uint_eq(rig_events_of(FLOW_EVENT_FIN), 1);
		ck_assert_uint_eq(rig_events[0].index, first);
		ck_assert_uint_eq(rig_events[0].serial, 5);
		ck_assert_uint_eq(rig_events_of(FLOW_EVENT_CLOSED), 0);
		ck_assert(rig_flows[!first].peer_fin_acked);
		fin_and_ack(_i, !first);
		ck_assert_uint_eq(rig_events_of(FLOW_EVENT_FIN), 2);
		ck_assert_uint_eq(rig_events_of(FLOW_EVENT_CLOSED), 1);
		ck_assert(rig_flows[0].peer_fin_acked && rig_flows[1].peer_fin_acked);
		/* What was lost is sent again, and says nothing new. */
		fin_and_ack(_i, !first);
		ck_assert_uint_eq(rig_all_events(), 3);
	}
}
END_TEST

START_TEST(fins_that_cross_close_it)
{
	struct segment client = begin(_i, CLIENT, 0);
	struct segment backend = rig_segment(BACKEND, FAMILY_OF(_i));

	client.flags = backend.flags = ACK | FIN;
	rig_expect_translated(HOOK_OF(_i), &client);
	rig_expect_translated(HOOK_OF(_i), &backend);
	client.flags = backend.flags = ACK;
	client.seq++;
	client.ack++;
	backend.seq++;
	backend.ack++;
	rig_expect_translated(HOOK_OF(_i), &client);
	ck_assert_uint_eq(rig_events_of(FLOW_EVENT_CLOSED), 0);
	rig_expect_translated(HOOK_OF(_i), &backend);
	ck_assert_uint_eq(rig_events_of(FLOW_EVENT_CLOSED), 1);
}
END_TEST

START_TEST(a_fin_with_data_ends_behind_it)
{
	struct segment fin = begin(_i, CLIENT, 0);
	struct segment ack = rig_segment(BACKEND, FAMILY_OF(_i));

	fin.flags = ACK | FIN;
	fin.payload = 300;
	rig_expect_translated(HOOK_OF(_i), &fin);
	ck_assert_uint_eq(rig_flows[CLIENT].bytes, 300);
	ack.ack += 300;
	rig_expect_translated(HOOK_OF(_i), &ack);
	ck_assert(!rig_flows[BACKEND].peer_fin_acked);
	ack.ack++;
	rig_expect_translated(HOOK_OF(_i), &ack);
	ck_assert(rig_flows[BACKEND].peer_fin_acked);
}
END_TEST

START_TEST(a_reset_that_is_exact_is_told_once)
{
	for (unsigned leg = 0; leg < 2; leg++) {
		struct segment segment = begin(_i, leg, 0);

		segment.flags = leg ? RST : RST | ACK;
		rig_expect_translated(HOOK_OF(_i), &segment);
		rig_expect_translated(HOOK_OF(_i), &segment);
		ck_assert_uint_eq(rig_flows[leg].rst_seen, 1);
		ck_assert_uint_eq(rig_events_of(FLOW_EVENT_RST), 1);
		ck_assert_uint_eq(rig_all_events(), 1);
	}
}
END_TEST

/* A challenge acknowledgement is answered with a reset at the number that it had (RFC 5961). */
START_TEST(a_reset_where_the_receiver_stands_is_believed)
{
	struct segment data = begin(_i, CLIENT, 0);
	struct segment reset = data;

	data.payload = 1000;
	rig_expect_translated(HOOK_OF(_i), &data);
	reset.flags = RST;
	rig_expect_translated(HOOK_OF(_i), &reset);
	ck_assert_uint_eq(rig_events_of(FLOW_EVENT_RST), 1);
}
END_TEST

START_TEST(a_syn_goes_up_and_is_told)
{
	static const uint8_t flags[] = {SYN, SYN | ACK, SYN | FIN, SYN | RST};

	for (size_t i = 0; i < sizeof(flags); i++) {
		struct segment segment = begin(_i, CLIENT, 0);
		struct flow before[2];

		rig_copy(before);
		segment.flags = flags[i];
		segment.seq = chance();
		rig_expect(HOOK_OF(_i), &segment, FATE_UP);
		ck_assert_uint_eq(rig_events_of(FLOW_EVENT_SYN), 1);
		ck_assert(rig_is_unchanged(before));
	}
	ck_assert_uint_eq(rig_counted(FLOW_COUNT_PASSED_SYN), 4);
}
END_TEST

/* Every way to be over. */
static void end_session(size_t how)
{
	if (how < 2) {
		rig_flows[how].rst_seen = 1;
		return;
	}
	for (unsigned leg = 0; leg < 2; leg++)
		rig_flows[leg].fin_seen = rig_flows[leg].peer_fin = rig_flows[leg].peer_fin_acked =
			1;
}

START_TEST(what_is_over_yields_to_a_syn)
{
	for (size_t i = 0; i < 6; i++) {
		struct segment segment = begin(_i, i / 3, 0);

		end_session(i % 3);
		segment.flags = SYN;
		segment.seq = chance();
		rig_expect(HOOK_OF(_i), &segment, FATE_UP);
		ck_assert_uint_eq(rig_events_of(FLOW_EVENT_SYN), 1);
		for (unsigned leg = 0; leg < 2; leg++)
			ck_assert_uint_eq(rig_flows[leg].state, FLOW_YIELDED);
		segment.flags = ACK;
		rig_expect(HOOK_OF(_i), &segment, FATE_UP);
		ck_assert_uint_eq(rig_all_events(), 1);
	}
}
END_TEST

START_TEST(it_yields_to_nothing_else)
{
	static const uint8_t flags[] = {SYN | ACK, SYN | FIN, SYN | RST};

	for (size_t i = 0; i < sizeof(flags); i++) {
		struct segment segment = begin(_i, CLIENT, 0);

		end_session(2);
		segment.flags = flags[i];
		rig_expect(HOOK_OF(_i), &segment, FATE_UP);
		ck_assert_uint_eq(rig_flows[CLIENT].state, FLOW_ACTIVE);
	}
	for (unsigned leg = 0; leg < 2; leg++) { /* half of it is not over */
		struct segment segment = begin(_i, CLIENT, 0);

		rig_flows[leg].fin_seen = rig_flows[!leg].peer_fin =
			rig_flows[!leg].peer_fin_acked = 1;
		segment.flags = SYN;
		rig_expect(HOOK_OF(_i), &segment, FATE_UP);
		ck_assert_uint_eq(rig_flows[CLIENT].state, FLOW_ACTIVE);
	}
}
END_TEST

/* --- guesses --- */

/* A stranger may have it sent on, as a router would; its receiver drops it, and so do our figures.
 */
static void expect_no_effect(int round, const struct segment *segment)
{
	struct flow before[2];

	rig_copy(before);
	rig_expect_translated(HOOK_OF(round), segment);
	ck_assert(rig_is_unchanged(before));
	ck_assert_uint_eq(rig_all_events(), 0);
}

START_TEST(a_reset_that_is_not_exact_changes_nothing)
{
	static const uint32_t offsets[] = {1,        2,        1000,   65535,
					   1u << 30, 1u << 31, 0u - 1, 0u - 1000};

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
		for (unsigned with_ack = 0; with_ack < 2; with_ack++) {
			struct segment segment = begin(_i, CLIENT, 0);

			segment.flags = with_ack ? RST | ACK : RST;
			segment.seq += offsets[i];
			expect_no_effect(_i, &segment);
		}
}
END_TEST

START_TEST(data_out_of_the_window_changes_nothing)
{
	static const uint32_t offsets[] = {1u << 17, 1u << 24,        1u << 30, 1u << 31,
					   3u << 30, 0u - (1u << 20), 0u - 2000};
	static const uint8_t flags[] = {ACK, ACK | FIN, ACK | PSH};

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
		for (size_t j = 0; j < sizeof(flags); j++) {
			struct segment segment = begin(_i, CLIENT, 0);

			segment.flags = flags[j];
			segment.payload = j == 2 ? 500 : 0;
			segment.seq += offsets[i];
			expect_no_effect(_i, &segment);
		}
}
END_TEST

START_TEST(an_acknowledgement_of_what_was_never_sent_changes_nothing)
{
	static const uint32_t offsets[] = {1, 1000, 1u << 20, 1u << 30, 1u << 31, 3u << 30};

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
		for (unsigned fin = 0; fin < 2; fin++) {
			struct segment segment = begin(_i, BACKEND, 0);

			segment.flags = fin ? ACK | FIN : ACK;
			segment.payload = 20;
			segment.ack += offsets[i];
			expect_no_effect(_i, &segment);
		}
}
END_TEST

START_TEST(guesses_at_random_change_nothing)
{
	begin(_i, CLIENT, 0);
	for (int round = 0; round < 20000; round++) {
		static const uint8_t flags[] = {RST, RST | ACK, ACK, ACK | FIN, ACK | PSH};
		struct segment segment = rig_segment(chance_below(2), FAMILY_OF(_i));

		segment.flags = flags[chance_below(sizeof(flags))];
		segment.payload = chance_below(2) ? chance_below(1400) : 0;
		segment.window = (uint16_t)chance();
		segment.seq = chance();
		segment.ack = chance();
		/* Whoever guesses that well is nobody who guesses. */
		if (segment.seq - rig_numbers.peer[segment.leg] + 1400 < 1u << 18)
			continue;
		expect_no_effect(_i, &segment);
	}
}
END_TEST

/* --- windows --- */

/* Its receiver's window as it was told: scaled anew and rounded up, to the last byte. */
START_TEST(a_window_used_to_the_last_byte_is_in_the_window)
{
	for (uint8_t in = 0; in <= 14; in++)
		for (uint8_t out = 0; out <= 14; out++) {
			struct segment ack, data;
			uint32_t told;

			rig_usual_numbers();
			rig_numbers.peer_shift[BACKEND] = in;
			rig_numbers.our_shift[CLIENT] = out;
			ack = begin(_i, BACKEND, 0);
			ack.window = 40001;
			rig_flows[CLIENT].edge = rig_numbers.peer[CLIENT];
			rig_expect_translated(HOOK_OF(_i), &ack);
			told = ((uint32_t)40001 << in) + (1u << out) - 1;
			told = (told >> out) > 65535 ? 65535u << out : told >> out << out;
			data = rig_segment(CLIENT, FAMILY_OF(_i));
			data.payload = 600;
			data.seq += told - 600;
			rig_expect_translated(HOOK_OF(_i), &data);
			ck_assert_uint_eq(rig_flows[CLIENT].seq_end, data.seq + 600);
		}
}
END_TEST

START_TEST(a_closed_window_is_probed_and_opened)
{
	struct segment ack = begin(_i, BACKEND, 0);
	struct segment probe = rig_segment(CLIENT, FAMILY_OF(_i));

	ack.window = 0;
	rig_flows[CLIENT].edge = rig_numbers.peer[CLIENT];
	rig_expect_translated(HOOK_OF(_i), &ack);
	ck_assert_uint_eq(rig_flows[BACKEND].last_window, 0);
	/* One byte before what was acknowledged, empty, as Linux does it; it is answered. */
	probe.seq--;
	rig_expect_translated(HOOK_OF(_i), &probe);
	ack.window = 600;
	rig_expect_translated(HOOK_OF(_i), &ack);
	probe.seq++;
	probe.payload = 1200;
	rig_expect_translated(HOOK_OF(_i), &probe);
	ck_assert_uint_eq(rig_flows[CLIENT].bytes, 1200);
}
END_TEST

START_TEST(bytes_that_are_sent_again_count_once)
{
	struct segment segment = begin(_i, CLIENT, 0);

	segment.payload = 1000;
	segment.seq += 1000; /* the one before it is lost */
	rig_expect_translated(HOOK_OF(_i), &segment);
	rig_expect_translated(HOOK_OF(_i), &segment);
	segment.seq -= 1000;
	rig_expect_translated(HOOK_OF(_i), &segment);
	rig_expect_translated(HOOK_OF(_i), &segment);
	ck_assert_uint_eq(rig_flows[CLIENT].bytes, 2000);
	ck_assert_uint_eq(rig_flows[CLIENT].packets, 4);
}
END_TEST

static void add_states(TCase *tcase)
{
	tcase_add_loop_test(tcase, a_flow_that_is_free_or_has_yielded_is_the_kernels, 0, ROUNDS);
	tcase_add_loop_test(tcase, what_has_no_flow_goes_its_way, 0, ROUNDS);
	tcase_add_loop_test(tcase, a_hold_drops_what_will_be_sent_again, 0, ROUNDS);
	tcase_add_loop_test(tcase, a_hold_learns_what_is_acknowledged, 0, ROUNDS);
	tcase_add_loop_test(tcase, without_an_acknowledgement_it_is_no_segment_of_ours, 0, ROUNDS);
	tcase_add_loop_test(tcase, before_a_flow_is_settled_its_packets_go_by_tc, 0, 2);
}

static void add(TCase *tcase)
{
	add_states(tcase);
	tcase_add_loop_test(tcase, both_fins_acknowledged_close_it_in_either_order, 0, ROUNDS);
	tcase_add_loop_test(tcase, fins_that_cross_close_it, 0, ROUNDS);
	tcase_add_loop_test(tcase, a_fin_with_data_ends_behind_it, 0, ROUNDS);
	tcase_add_loop_test(tcase, a_reset_that_is_exact_is_told_once, 0, ROUNDS);
	tcase_add_loop_test(tcase, a_reset_where_the_receiver_stands_is_believed, 0, ROUNDS);
	tcase_add_loop_test(tcase, a_syn_goes_up_and_is_told, 0, ROUNDS);
	tcase_add_loop_test(tcase, what_is_over_yields_to_a_syn, 0, ROUNDS);
	tcase_add_loop_test(tcase, it_yields_to_nothing_else, 0, ROUNDS);
	tcase_add_loop_test(tcase, a_reset_that_is_not_exact_changes_nothing, 0, ROUNDS);
	tcase_add_loop_test(tcase, data_out_of_the_window_changes_nothing, 0, ROUNDS);
	tcase_add_loop_test(tcase, an_acknowledgement_of_what_was_never_sent_changes_nothing, 0,
			    ROUNDS);
	tcase_add_loop_test(tcase, guesses_at_random_change_nothing, 0, ROUNDS);
	tcase_add_loop_test(tcase, a_window_used_to_the_last_byte_is_in_the_window, 0, ROUNDS);
	tcase_add_loop_test(tcase, a_closed_window_is_probed_and_opened, 0, ROUNDS);
	tcase_add_loop_test(tcase, bytes_that_are_sent_again_count_once, 0, ROUNDS);
}

int main(void)
{
	return rig_main("xdp_program_verdict", add);
}
