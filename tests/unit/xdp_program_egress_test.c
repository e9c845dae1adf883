/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard on egress: what the kernel itself would send on a connection that is translated.
 */
#include "tests/unit/xdp_program_rig.h"

static uint32_t answer_clock; /* 0: without timestamps */

/* What our own socket sends to the peer of `leg`. */
static void build_answer(unsigned leg, bool ipv6, uint8_t flags, size_t payload, uint32_t ack,
			 struct frame *ret)
{
	struct segment segment = {
		.leg = leg,
		.ipv6 = ipv6,
		.flags = flags,
		.ttl = 64,
		.seq = rig_numbers.ours[leg],
		.ack = ack,
		.payload = payload,
	};
	struct reference_frame layout;
	uint8_t address[16], *ip, *tcp;
	size_t size = ipv6 ? 16 : 4;

	if (answer_clock)
		rig_add_clock(&segment, answer_clock, 1);
	rig_build(&segment, ret);
	ck_assert(reference_parse(ret->bytes, ret->length, &layout));
	tcp = ret->bytes + layout.tcp;
	ip = ret->bytes + ETHERNET_SIZE + (ipv6 ? 8 : 12);
	memcpy(address, ip, size);
	memmove(ip, ip + size, size);
	memcpy(ip + size, address, size);
	write16(tcp, rig_ports[leg][1]);
	write16(tcp + 2, rig_ports[leg][0]);
	reference_checksums(ret->bytes, &layout);
}

static enum fate send_answer(unsigned leg, bool ipv6, uint8_t flags, size_t payload,
			     struct frame *in, struct frame *out)
{
	build_answer(leg, ipv6, flags, payload, rig_numbers.peer[leg], in);
	return rig_run(HOOK_EGRESS, in, out);
}

START_TEST(the_kernel_is_silent_on_an_active_flow)
{
	static const uint8_t flags[] = {ACK, ACK | PSH, ACK | FIN, RST, RST | ACK, SYN | ACK};
	struct frame in, out;

	for (unsigned state = FLOW_HOLD; state <= FLOW_ACTIVE; state++)
		for (size_t i = 0; i < sizeof(flags); i++)
			for (unsigned leg = 0; leg < 2; leg++) {
				rig_session(_i != 0, 0);
				rig_flows[leg].state = (uint8_t)state;
				ck_assert_int_eq(
					send_answer(leg, _i != 0, flags[i], 10 * i, &in, &out),
					FATE_DROPPED);
			}
	ck_assert_uint_eq(rig_counted(FLOW_COUNT_GUARDED), 2 * 2 * sizeof(flags));
}
END_TEST

/* Whoever dials from a port of a flow that is over; on one that lives the kernel has no business.
 */
START_TEST(what_is_over_yields_to_the_kernels_syn)
{
	struct frame in, out;

	for (unsigned over = 0; over < 2; over++)
		for (unsigned leg = 0; leg < 2; leg++) {
			rig_session(_i != 0, 0);
			rig_flows[0].peer_fin_acked = 1;
			rig_flows[1].peer_fin_acked = (uint8_t)over;
			ck_assert_int_eq(send_answer(leg, _i != 0, SYN, 0, &in, &out),
					 over ? FATE_UP : FATE_DROPPED);
			ck_assert(!over || rig_is_untouched(&in, &out));
			ck_assert_uint_eq(rig_events_of(FLOW_EVENT_SYN), over);
			ck_assert_uint_eq(rig_flows[leg].state, over ? FLOW_YIELDED : FLOW_ACTIVE);
			ck_assert_int_eq(send_answer(leg, _i != 0, ACK, 5, &in, &out),
					 over ? FATE_UP : FATE_DROPPED);
		}
}
END_TEST

START_TEST(it_speaks_where_no_flow_is)
{
	struct frame in, out;

	rig_session(_i != 0, 0);
	rig_flows[CLIENT].state = FLOW_FREE;
	ck_assert_int_eq(send_answer(CLIENT, _i != 0, ACK, 5, &in, &out), FATE_UP);
	ck_assert(rig_is_untouched(&in, &out));
	/* What a peer sends on this same host, over loopback, has a flow's addresses itself. */
	rig_session(_i != 0, 0);
	for (unsigned leg = 0; leg < 2; leg++) {
		struct segment segment = rig_segment(leg, _i != 0);

		segment.payload = 40;
		rig_expect(HOOK_EGRESS, &segment, FATE_UP);
	}
}
END_TEST

START_TEST(what_was_sent_on_passes)
{
	struct frame in, out;

	rig_session(_i != 0, 0);
	rig_came_from = 1;
	ck_assert_int_eq(send_answer(CLIENT, _i != 0, ACK, 5, &in, &out), FATE_UP);
	ck_assert(rig_is_untouched(&in, &out));
}
END_TEST

START_TEST(what_the_kernel_still_owes_says_what_is_acknowledged_by_now)
{
	for (unsigned leg = 0; leg < 2; leg++)
		for (unsigned newer = 0; newer < 3; newer++) {
			struct reference_frame layout;
			struct frame in, out, wanted;
			uint32_t newest = rig_numbers.peer[leg] + 7000 * newer;

			rig_session(_i != 0, FLOW_KERNEL_PENDING);
			rig_flows[!leg].last_ack = rig_numbers.ours[!leg] + 7000 * newer;
			build_answer(leg, _i != 0, ACK | PSH, 99, newest, &wanted);
			ck_assert_int_eq(send_answer(leg, _i != 0, ACK | PSH, 99, &in, &out),
					 FATE_UP);
			ck_assert(reference_parse(out.bytes, out.length, &layout));
			ck_assert_uint_eq(sum_tcp(out.bytes, &layout), 0xffff);
			ck_assert_uint_eq(read32(out.bytes + layout.tcp + 8), newest);
			ck_assert(rig_is_untouched(&wanted, &out));
		}
}
END_TEST

START_TEST(what_it_sends_is_its_own_to_have_acknowledged)
{
	struct frame in, out;

	rig_session(_i != 0, FLOW_KERNEL_PENDING);
	ck_assert_int_eq(send_answer(CLIENT, _i != 0, ACK | FIN, 70, &in, &out), FATE_UP);
	ck_assert_uint_eq(rig_flows[CLIENT].kernel_end, rig_numbers.ours[CLIENT] + 71);
	ck_assert_uint_eq(rig_flows[BACKEND].fin_seen, 1);
	ck_assert_int_eq(send_answer(BACKEND, _i != 0, ACK | FIN, 0, &in, &out), FATE_UP);
	ck_assert_uint_eq(rig_flows[CLIENT].fin_seen, 2);
	/* What it sends again does not take that back. */
	ck_assert_int_eq(send_answer(CLIENT, _i != 0, ACK, 20, &in, &out), FATE_UP);
	ck_assert_uint_eq(rig_flows[CLIENT].kernel_end, rig_numbers.ours[CLIENT] + 71);
}
END_TEST

START_TEST(an_acknowledgement_that_was_sent_on_already_is_not_repeated)
{
	struct frame in, out;

	rig_session(_i != 0, FLOW_KERNEL_PENDING);
	rig_flows[BACKEND].told_ack = rig_numbers.ours[BACKEND] - 1;
	ck_assert_int_eq(send_answer(CLIENT, _i != 0, ACK, 0, &in, &out), FATE_UP);
	rig_flows[BACKEND].told_ack = rig_numbers.ours[BACKEND];
	ck_assert_int_eq(send_answer(CLIENT, _i != 0, ACK, 0, &in, &out), FATE_DROPPED);
	/* It says more than that. */
	ck_assert_int_eq(send_answer(CLIENT, _i != 0, ACK, 1, &in, &out), FATE_UP);
	rig_flows[BACKEND].told_ack = rig_numbers.ours[BACKEND];
	ck_assert_int_eq(send_answer(CLIENT, _i != 0, RST | ACK, 0, &in, &out), FATE_UP);
	/* It asks for an answer. */
	rig_session(_i != 0, FLOW_KERNEL_PENDING);
	rig_flows[BACKEND].told_ack = rig_numbers.ours[BACKEND];
	rig_flows[CLIENT].kernel_end = rig_numbers.ours[CLIENT] + 1;
	ck_assert_int_eq(send_answer(CLIENT, _i != 0, ACK, 0, &in, &out), FATE_UP);
}
END_TEST

START_TEST(who_acknowledged_the_end_is_sent_nothing_again)
{
	static const uint8_t flags[] = {ACK | PSH, ACK | FIN};
	struct frame in, out;

	for (size_t i = 0; i < sizeof(flags); i++) {
		rig_session(_i != 0, FLOW_KERNEL_PENDING);
		rig_flows[CLIENT].peer_fin = 1;
		ck_assert_int_eq(send_answer(CLIENT, _i != 0, flags[i], i ? 0 : 30, &in, &out),
				 FATE_UP);
		rig_flows[CLIENT].peer_fin_acked = 1;
		ck_assert_int_eq(send_answer(CLIENT, _i != 0, flags[i], i ? 0 : 30, &in, &out),
				 FATE_DROPPED);
	}
}
END_TEST

START_TEST(its_clock_is_not_behind_what_was_sent_on)
{
	static const uint32_t ahead[] = {0, 1, 90000};
	struct reference_frame layout;
	struct frame in, out;

	for (size_t i = 0; i < 3; i++) {
		answer_clock = rig_numbers.our_clock[CLIENT];
		rig_session(_i != 0, FLOW_KERNEL_PENDING | FLOW_TIMESTAMPS);
		rig_flows[BACKEND].clock_sent = answer_clock + ahead[i];
		ck_assert_int_eq(send_answer(CLIENT, _i != 0, ACK | PSH, 30, &in, &out), FATE_UP);
		ck_assert(reference_parse(out.bytes, out.length, &layout));
		ck_assert_uint_eq(sum_tcp(out.bytes, &layout), 0xffff);
		ck_assert_uint_eq(read32(out.bytes + layout.tcp + 24), answer_clock + ahead[i]);
		ck_assert_uint_eq(rig_flows[BACKEND].kernel_clock, answer_clock + ahead[i]);
	}
	answer_clock = 0;
}
END_TEST

START_TEST(an_acknowledgement_is_never_taken_back)
{
	struct frame in, out;

	rig_session(_i != 0, FLOW_KERNEL_PENDING);
	rig_flows[BACKEND].last_ack = rig_numbers.ours[BACKEND] - 500;
	ck_assert_int_eq(send_answer(CLIENT, _i != 0, ACK, 5, &in, &out), FATE_UP);
	ck_assert(rig_is_untouched(&in, &out));
	/* A SYN or RST without one has nothing to be freshened. */
	rig_flows[BACKEND].last_ack = rig_numbers.ours[BACKEND] + 500;
	ck_assert_int_eq(send_answer(CLIENT, _i != 0, RST, 0, &in, &out), FATE_UP);
	ck_assert(rig_is_untouched(&in, &out));
}
END_TEST

START_TEST(a_truncated_packet_passes)
{
	struct frame in, out;

	rig_session(_i != 0, 0);
	build_answer(CLIENT, _i != 0, ACK, 0, 1, &in);
	for (in.length--; in.length >= ETHERNET_SIZE; in.length--) {
		enum fate fate;

		if (!rig_try(HOOK_EGRESS, &in, &out, &fate))
			ck_assert_int_eq(fate, FATE_UP);
	}
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_loop_test(tcase, the_kernel_is_silent_on_an_active_flow, 0, 2);
	tcase_add_loop_test(tcase, what_is_over_yields_to_the_kernels_syn, 0, 2);
	tcase_add_loop_test(tcase, it_speaks_where_no_flow_is, 0, 2);
	tcase_add_loop_test(tcase, what_was_sent_on_passes, 0, 2);
	tcase_add_loop_test(tcase, what_the_kernel_still_owes_says_what_is_acknowledged_by_now, 0,
			    2);
	tcase_add_loop_test(tcase, what_it_sends_is_its_own_to_have_acknowledged, 0, 2);
	tcase_add_loop_test(tcase, an_acknowledgement_that_was_sent_on_already_is_not_repeated, 0,
			    2);
	tcase_add_loop_test(tcase, who_acknowledged_the_end_is_sent_nothing_again, 0, 2);
	tcase_add_loop_test(tcase, its_clock_is_not_behind_what_was_sent_on, 0, 2);
	tcase_add_loop_test(tcase, an_acknowledgement_is_never_taken_back, 0, 2);
	tcase_add_loop_test(tcase, a_truncated_packet_passes, 0, 2);
}

int main(void)
{
	return rig_main("xdp_program_egress", add);
}
