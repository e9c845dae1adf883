/* SPDX-License-Identifier: Apache-2.0
 *
 * What cannot be translated, and what the path says: IP options, fragments, extension headers,
 * VLANs, the last hop, segments that the other leg does not take, and ICMP's "too big".
 */
#include "tests/unit/xdp_program_rig.h"

static const enum hook ingress[] = {HOOK_TC, HOOK_XDP};

/* Loop tests have 4 rounds: two hooks, two families; or 2, of hooks alone. */
#define ROUNDS           4
#define HOOK_OF(round)   ingress[(round)&1]
#define FAMILY_OF(round) (((round)&2) != 0)

/* --- between the IP header and TCP --- */

static void put_between(struct frame *frame, size_t at, const uint8_t *bytes, size_t count)
{
	memmove(frame->bytes + at + count, frame->bytes + at, frame->length - at);
	memcpy(frame->bytes + at, bytes, count);
	frame->length += count;
}

static void build_options4(const struct segment *segment, size_t count, struct frame *ret)
{
	uint8_t nops[40];
	uint8_t *ip = ret->bytes + ETHERNET_SIZE;

	memset(nops, 1, sizeof(nops));
	rig_build(segment, ret);
	put_between(ret, ETHERNET_SIZE + 20, nops, count);
	ip[0] = (uint8_t)(0x45 + count / 4);
	write16(ip + 2, (uint16_t)(read16(ip + 2) + count));
}

static void build_extension6(const struct segment *segment, uint8_t kind, struct frame *ret)
{
	uint8_t extension[8] = {6, 0, 1, 4};
	uint8_t *ip = ret->bytes + ETHERNET_SIZE;

	if (kind == 44)
		write16(extension + 2, 1); /* the first of several */
	rig_build(segment, ret);
	put_between(ret, ETHERNET_SIZE + 40, extension, 8);
	ip[6] = kind;
	write16(ip + 4, (uint16_t)(read16(ip + 4) + 8));
}

static const uint8_t extensions[] = {0, 43, 44, 60};

/* The nth of these, or false. */
static bool build_odd(bool ipv6, unsigned which, const struct segment *segment, struct frame *ret)
{
	if (ipv6 && which < 4) {
		build_extension6(segment, extensions[which], ret);
		return true;
	}
	if (!ipv6 && which < 10) {
		build_options4(segment, 4 * (which + 1), ret);
		return true;
	}
	if (!ipv6 && which == 10) {
		rig_build(segment, ret);
		write16(ret->bytes + ETHERNET_SIZE + 6, 0x2000); /* more fragments */
		return true;
	}
	return false;
}

START_TEST(what_stands_behind_something_has_the_flow_asked_back)
{
	struct segment segment = rig_segment(CLIENT, FAMILY_OF(_i));
	struct frame in, out;

	segment.payload = 100;
	for (unsigned which = 0; build_odd(FAMILY_OF(_i), which, &segment, &in); which++) {
		struct flow before[2];

		rig_session(FAMILY_OF(_i), 0);
		rig_copy(before);
		ck_assert_int_eq(rig_run(HOOK_OF(_i), &in, &out), FATE_DROPPED);
		ck_assert_uint_eq(rig_events_of(FLOW_EVENT_ODD), 1);
		ck_assert(rig_is_unchanged(before));
	}
}
END_TEST

START_TEST(but_not_for_somebody_who_guesses)
{
	struct segment segment = rig_segment(CLIENT, FAMILY_OF(_i));
	struct frame in, out;

	segment.seq += 1u << 31;
	for (unsigned which = 0; build_odd(FAMILY_OF(_i), which, &segment, &in); which++) {
		rig_session(FAMILY_OF(_i), 0);
		ck_assert_int_eq(rig_run(HOOK_OF(_i), &in, &out), FATE_DROPPED);
		ck_assert_uint_eq(rig_all_events(), 0);
	}
}
END_TEST

START_TEST(the_kernel_gets_it_while_it_knows_the_connection)
{
	static const uint8_t states[] = {FLOW_FREE, FLOW_ACTIVE, FLOW_HOLD};
	static const uint8_t flags[] = {0, FLOW_KERNEL_PENDING, 0};
	static const enum fate fates[] = {FATE_UP, FATE_UP, FATE_DROPPED};
	struct segment segment = rig_segment(CLIENT, FAMILY_OF(_i));
	struct frame in, out;

	for (unsigned i = 0; i < 3; i++)
		for (unsigned n = 0; build_odd(FAMILY_OF(_i), n, &segment, &in); n++) {
			rig_session(FAMILY_OF(_i), flags[i]);
			rig_flows[CLIENT].state = states[i];
			ck_assert_int_eq(rig_run(HOOK_OF(_i), &in, &out), fates[i]);
			ck_assert_uint_eq(rig_all_events(), 0);
			if (fates[i] == FATE_UP)
				ck_assert(rig_is_untouched(&in, &out));
		}
}
END_TEST

START_TEST(what_is_no_tcp_of_a_flow_goes_its_way)
{
	struct segment segment = rig_segment(CLIENT, FAMILY_OF(_i));
	uint8_t protocol = FAMILY_OF(_i) ? 6 : 9;
	struct frame in, out;

	rig_session(FAMILY_OF(_i), 0);
	for (unsigned kind = 0; kind < 256; kind++) {
		if (kind == 6)
			continue;
		rig_build(&segment, &in);
		in.bytes[ETHERNET_SIZE + protocol] = (uint8_t)kind;
		ck_assert_int_eq(rig_run(HOOK_OF(_i), &in, &out), FATE_UP);
		ck_assert(rig_is_untouched(&in, &out));
	}
	/* A later fragment begins with anything. */
	rig_build(&segment, &in);
	write16(in.bytes + ETHERNET_SIZE + 6, 0x0010);
	if (!FAMILY_OF(_i))
		ck_assert_int_eq(rig_run(HOOK_OF(_i), &in, &out), FATE_UP);
	ck_assert_uint_eq(rig_all_events(), 0);
}
END_TEST

START_TEST(a_vlan_is_not_looked_into)
{
	static const uint16_t tags[] = {0x8100, 0x88a8};
	struct segment segment = rig_segment(CLIENT, FAMILY_OF(_i));
	struct frame in, out;

	for (size_t i = 0; i < 2; i++) {
		uint8_t tag[4];

		rig_session(FAMILY_OF(_i), 0);
		rig_build(&segment, &in);
		write16(tag, tags[i]);
		write16(tag + 2, 5);
		put_between(&in, 12, tag, 4);
		ck_assert_int_eq(rig_run(HOOK_OF(_i), &in, &out), FATE_UP);
		ck_assert(rig_is_untouched(&in, &out));
		ck_assert_uint_eq(rig_flows[CLIENT].packets, 0);
	}
}
END_TEST

/* --- what the other leg would not take --- */

/* Its acknowledgement is learnt, or the flow would never be seen to be quiet; nothing else is. */
static void expect_asked_back(int round, const struct segment *segment, enum flow_count which)
{
	struct flow before[2];
	uint64_t counted = rig_counted(which);

	rig_copy(before);
	rig_expect(HOOK_OF(round), segment, FATE_DROPPED);
	ck_assert_uint_eq(rig_counted(which), counted + 1);
	ck_assert_uint_eq(rig_events_of(FLOW_EVENT_ODD), 1);
	ck_assert_uint_eq(rig_flows[segment->leg].last_ack, segment->ack);
	before[segment->leg].last_ack = segment->ack;
	before[segment->leg].last_window = rig_flows[segment->leg].last_window;
	before[!segment->leg].edge = rig_flows[!segment->leg].edge;
	ck_assert(rig_is_unchanged(before));
}

START_TEST(a_packet_without_a_hop_left_has_the_flow_asked_back)
{
	for (uint8_t hops = 0; hops < 2; hops++) {
		struct segment segment = rig_segment(CLIENT, FAMILY_OF(_i));

		rig_session(FAMILY_OF(_i), 0);
		segment.ttl = hops;
		expect_asked_back(_i, &segment, FLOW_COUNT_TTL);
		segment.ttl = 2;
		rig_expect_translated(HOOK_OF(_i), &segment);
	}
}
END_TEST

START_TEST(a_segment_that_the_other_leg_does_not_take_has_it_asked_back)
{
	struct segment segment = rig_segment(CLIENT, FAMILY_OF(_i));

	rig_session(FAMILY_OF(_i), 0);
	rig_add_clock(&segment, 1, 2);
	segment.payload = OUT_MSS - 12;
	rig_expect_translated(HOOK_OF(_i), &segment);
	rig_session(FAMILY_OF(_i), 0);
	segment.payload++;
	expect_asked_back(_i, &segment, FLOW_COUNT_OVERSIZED);
	segment.seq -= 1u << 30;
	rig_expect(HOOK_OF(_i), &segment, FATE_DROPPED);
	ck_assert_uint_eq(rig_all_events(), 1);
}
END_TEST

START_TEST(what_gro_merged_is_measured_by_its_segments)
{
	struct segment segment = rig_segment(CLIENT, _i != 0);

	rig_session(_i != 0, 0);
	rig_flows[CLIENT].out_mss = 500;
	segment.payload = 1500;
	rig_gso_size = 500;
	rig_expect_translated(HOOK_TC, &segment);
	rig_gso_size = 501;
	rig_expect(HOOK_TC, &segment, FATE_DROPPED);
	/* To a socket of this host it may be as long as it likes. */
	rig_flows[CLIENT].exit = FLOW_EXIT_UP;
	rig_expect_translated(HOOK_TC, &segment);
}
END_TEST

/* --- "too big" --- */

/* About what we sent to the peer of `leg`, with `seq`. */
static void build_icmp(unsigned leg, bool ipv6, uint32_t seq, uint16_t mtu, struct frame *ret)
{
	struct segment segment = rig_segment(leg, ipv6);
	size_t ip_size = rig_ip_size(&segment);
	uint8_t quoted[60], address[16];
	size_t size = ipv6 ? 16 : 4;
	size_t at = ETHERNET_SIZE + ip_size;
	uint8_t *ip = ret->bytes + ETHERNET_SIZE;
	uint8_t *inner;

	rig_build(&segment, ret);
	memcpy(quoted, ip, ip_size);
	inner = quoted + (ipv6 ? 8 : 12);
	memcpy(address, inner, size);
	memmove(inner, inner + size, size);
	memcpy(inner + size, address, size);
	memset(ret->bytes + at, 0, 8);
	ret->bytes[at] = ipv6 ? 2 : 3;
	ret->bytes[at + 1] = ipv6 ? 0 : 4;
	write16(ret->bytes + at + 6, mtu);
	memcpy(ret->bytes + at + 8, quoted, ip_size);
	inner = ret->bytes + at + 8 + ip_size;
	write16(inner, rig_ports[leg][1]);
	write16(inner + 2, rig_ports[leg][0]);
	write32(inner + 4, seq);
	ret->length = at + 8 + ip_size + 8;
	ip[ipv6 ? 6 : 9] = ipv6 ? 58 : 1;
	write16(ip + (ipv6 ? 4 : 2), (uint16_t)(ret->length - ETHERNET_SIZE - (ipv6 ? 40 : 0)));
}

/* A kilobyte from the other side is under way to the peer of `leg`. */
static void send_some(int round, unsigned leg)
{
	struct segment data = rig_segment(!leg, FAMILY_OF(round));

	rig_session(FAMILY_OF(round), 0);
	data.payload = 1000;
	rig_expect_translated(HOOK_OF(round), &data);
}

START_TEST(too_big_is_told)
{
	for (unsigned leg = 0; leg < 2; leg++) {
		static const uint16_t sizes[] = {1280, 1400, 0};

		for (size_t i = 0; i < 3; i++) {
			struct frame in, out;

			send_some(_i, leg);
			build_icmp(leg, FAMILY_OF(_i), rig_numbers.ours[leg] + 300, sizes[i], &in);
			ck_assert_int_eq(rig_run(HOOK_OF(_i), &in, &out), FATE_UP);
			ck_assert(rig_is_untouched(&in, &out));
			ck_assert_uint_eq(rig_events_of(FLOW_EVENT_MTU), 1);
			ck_assert_uint_eq(rig_events[0].index, leg);
			ck_assert_uint_eq(rig_events[0].detail, sizes[i]);
			ck_assert_uint_eq(rig_flows[leg].mtu_seen, sizes[i]);
			/* It may not have been possible to ask it back the first time. */
			rig_run(HOOK_OF(_i), &in, &out);
			ck_assert_uint_eq(rig_events_of(FLOW_EVENT_MTU), 2);
		}
	}
}
END_TEST

START_TEST(too_big_about_what_is_not_under_way_is_not)
{
	static const uint32_t offsets[] = {1000, 1001, 1u << 20, 1u << 31, 0u - 1, 0u - 1000};

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		struct flow before[2];
		struct frame in, out;

		send_some(_i, CLIENT);
		rig_copy(before);
		build_icmp(CLIENT, FAMILY_OF(_i), rig_numbers.ours[CLIENT] + offsets[i], 1280, &in);
		ck_assert_int_eq(rig_run(HOOK_OF(_i), &in, &out), FATE_UP);
		ck_assert_uint_eq(rig_all_events(), 0);
		ck_assert(rig_is_unchanged(before));
	}
}
END_TEST

START_TEST(other_icmp_is_not_told)
{
	size_t at = ETHERNET_SIZE + (FAMILY_OF(_i) ? 40 : 20);
	struct frame in, out;

	send_some(_i, CLIENT);
	build_icmp(CLIENT, FAMILY_OF(_i), rig_numbers.ours[CLIENT], 1280, &in);
	for (unsigned type = 0; type < 256; type++) {
		if (type == (FAMILY_OF(_i) ? 2 : 3))
			continue;
		in.bytes[at] = (uint8_t)type;
		ck_assert_int_eq(rig_run(HOOK_OF(_i), &in, &out), FATE_UP);
	}
	/* Quoted, but not TCP; and of a connection that is none of ours. */
	in.bytes[at] = FAMILY_OF(_i) ? 2 : 3;
	in.bytes[at + 8 + (FAMILY_OF(_i) ? 6 : 9)] = 17;
	rig_run(HOOK_OF(_i), &in, &out);
	build_icmp(CLIENT, FAMILY_OF(_i), rig_numbers.ours[CLIENT], 1280, &in);
	in.bytes[at + 8 + (FAMILY_OF(_i) ? 40 : 20)] ^= 1;
	rig_run(HOOK_OF(_i), &in, &out);
	/* A flow that is on hold is on its way back already. */
	build_icmp(CLIENT, FAMILY_OF(_i), rig_numbers.ours[CLIENT], 1280, &in);
	rig_flows[CLIENT].state = FLOW_HOLD;
	rig_run(HOOK_OF(_i), &in, &out);
	ck_assert_uint_eq(rig_all_events(), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_loop_test(tcase, what_stands_behind_something_has_the_flow_asked_back, 0, ROUNDS);
	tcase_add_loop_test(tcase, but_not_for_somebody_who_guesses, 0, ROUNDS);
	tcase_add_loop_test(tcase, the_kernel_gets_it_while_it_knows_the_connection, 0, ROUNDS);
	tcase_add_loop_test(tcase, what_is_no_tcp_of_a_flow_goes_its_way, 0, ROUNDS);
	tcase_add_loop_test(tcase, a_vlan_is_not_looked_into, 0, ROUNDS);
	tcase_add_loop_test(tcase, a_packet_without_a_hop_left_has_the_flow_asked_back, 0, ROUNDS);
	tcase_add_loop_test(tcase, a_segment_that_the_other_leg_does_not_take_has_it_asked_back, 0,
			    ROUNDS);
	tcase_add_loop_test(tcase, what_gro_merged_is_measured_by_its_segments, 0, 2);
	tcase_add_loop_test(tcase, too_big_is_told, 0, ROUNDS);
	tcase_add_loop_test(tcase, too_big_about_what_is_not_under_way_is_not, 0, ROUNDS);
	tcase_add_loop_test(tcase, other_icmp_is_not_told, 0, ROUNDS);
}

int main(void)
{
	return rig_main("xdp_program_path", add);
}
