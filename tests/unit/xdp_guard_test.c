/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard's judgement of one packet after the other: lists, rates, malformed packets, gates, the
 * change of rules, dry run. Cookies are in xdp_guard_cookie_test.c.
 *
 * Needs root. Without it the program says so and fails, as a tool that is missing does.
 */
#include <stdlib.h>

#include "tests/unit/xdp_guard_rig.h"

static const char *const clients[] = {"10.1.2.3", "2001:db8:1::3"};
static const char *const neighbours[] = {"10.1.2.4", "2001:db8:2::3"};
static const char *const servers[] = {"10.9.9.9", "2001:db8:9::9"};

static struct guard_entry entries[8];
static size_t entry_count;

static void list(const char *block, bool deny)
{
	entries[entry_count].deny = deny;
	ck_assert_int_eq(addr_block_parse(block, &entries[entry_count].block), 0);
	entry_count++;
	doors[0].entries = entries;
	doors[0].entry_count = entry_count;
}

static struct frame from_client(int family, unsigned flags)
{
	return segment(clients[family], servers[family], 40000, PORT, flags);
}

static unsigned meet_from(const char *host, int family, unsigned flags)
{
	return meet_copy(segment(host, servers[family], 40000, PORT, flags));
}

static void setup(void)
{
	begin_world();
	entry_count = 0;
	add_door(door_at("[::]:8443", 1));
}

/* --- gates --- */

START_TEST(only_ports_of_listeners_are_looked_at)
{
	list("0.0.0.0/0", true);
	list("::/0", true);
	open_guard();
	ck_assert_uint_eq(meet_copy(from_client(_i, SYN)), XDP_DROP);
	ck_assert_uint_eq(meet_copy(segment(clients[_i], servers[_i], 40000, 22, SYN)), XDP_PASS);
	ck_assert_uint_eq(counted(1, GUARD_DENIED), 1);
}
END_TEST

START_TEST(the_listener_of_an_address_goes_before_the_wildcard)
{
	add_door(door_at(_i ? "[2001:db8:9::9]:8443" : "10.9.9.9:8443", 2));
	open_guard();
	ck_assert_uint_eq(meet_copy(from_client(_i, SYN)), XDP_PASS);
	meet_copy(segment(clients[_i], neighbours[_i], 40000, PORT, SYN));
	ck_assert_uint_eq(counted(2, GUARD_SYN_PASSED), 1);
	ck_assert_uint_eq(counted(1, GUARD_SYN_PASSED), 1);
}
END_TEST

START_TEST(every_port_of_a_range_is_a_gate)
{
	doors[0].port_end = PORT + 2;
	open_guard();
	for (unsigned port = PORT; port <= PORT + 3; port++)
		meet_copy(segment(clients[0], servers[0], 40000, port, SYN));
	ck_assert_uint_eq(counted(1, GUARD_SYN_PASSED), 3);
}
END_TEST

START_TEST(a_listener_of_ipv6_alone_has_no_gate_for_ipv4)
{
	doors[0].v6_only = true;
	open_guard();
	meet_copy(from_client(0, SYN));
	meet_copy(from_client(1, SYN));
	ck_assert_uint_eq(counted(1, GUARD_SYN_PASSED), 1);
}
END_TEST

START_TEST(too_many_ports_are_refused_with_a_sentence)
{
	char problem[GUARD_PROBLEM] = "";

	open_guard();
	doors[0].bind.port = 1;
	doors[0].port_end = 65535;
	ck_assert_int_lt(guard_apply(guard, doors, 1, problem, sizeof(problem)), 0);
	ck_assert_ptr_nonnull(strstr(problem, "8191 ports"));
	/* What was in force still is. */
	meet_copy(from_client(0, SYN));
	ck_assert_uint_eq(counted(1, GUARD_SYN_PASSED), 1);
}
END_TEST

/* --- lists --- */

START_TEST(the_most_specific_rule_counts)
{
	list("10.0.0.0/8", true);
	list("10.1.2.0/24", false);
	list("10.1.2.4", true);
	list("2001:db8::/32", true);
	list("2001:db8:1::/48", false);
	list("2001:db8:1::4", true);
	open_guard();
	ck_assert_uint_eq(meet_from(_i ? "2001:db8:77::1" : "10.77.0.1", _i, SYN), XDP_DROP);
	ck_assert_uint_eq(meet_from(_i ? "2001:db8:1::3" : "10.1.2.3", _i, SYN), XDP_PASS);
	ck_assert_uint_eq(meet_from(_i ? "2001:db8:1::4" : "10.1.2.4", _i, SYN), XDP_DROP);
	ck_assert_uint_eq(meet_from(_i ? "2001:db9::1" : "11.0.0.1", _i, SYN), XDP_PASS);
	ck_assert_uint_eq(counted(1, GUARD_DENIED), 2);
	ck_assert_uint_eq(counted(1, GUARD_ALLOWED), 1);
	ck_assert_uint_eq(counted(1, GUARD_SYN_PASSED), 1);
}
END_TEST

START_TEST(a_denied_source_has_no_connections_either)
{
	list(_i ? "2001:db8:1::/48" : "10.1.0.0/16", true);
	open_guard();
	ck_assert_uint_eq(meet_copy(from_client(_i, ACK)), XDP_DROP);
}
END_TEST

START_TEST(a_listeners_rules_are_its_own)
{
	list("0.0.0.0/0", true);
	add_door(door_at("10.9.9.9:9443", 2));
	open_guard();
	ck_assert_uint_eq(meet_copy(from_client(0, SYN)), XDP_DROP);
	ck_assert_uint_eq(meet_copy(segment(clients[0], servers[0], 40000, 9443, SYN)), XDP_PASS);
}
END_TEST

START_TEST(other_rules_come_into_force_as_a_whole)
{
	open_guard();
	for (int turn = 0; turn < 6; turn++) {
		entry_count = 0;
		list(turn & 1 ? "10.1.2.3" : "10.1.2.4", true);
		list(turn & 1 ? "2001:db8:1::/64" : "2001:db8:2::/64", true);
		apply_doors();
		for (int family = 0; family < 2; family++) {
			ck_assert_uint_eq(meet_from(clients[family], family, SYN),
					  turn & 1 ? XDP_DROP : XDP_PASS);
			ck_assert_uint_eq(meet_from(neighbours[family], family, SYN),
					  turn & 1 ? XDP_PASS : XDP_DROP);
		}
	}
	door_count = 0;
	apply_doors();
	ck_assert_uint_eq(meet_copy(from_client(0, 0)), XDP_PASS);
	ck_assert_uint_eq(counted(1, GUARD_DENIED), 12);
}
END_TEST

/* --- rates --- */

static void limit(void)
{
	doors[0].syn_rate = 1;
	doors[0].syn_burst = BURST;
}

START_TEST(a_source_over_its_rate_is_dropped_and_its_neighbour_is_not)
{
	limit();
	open_guard();
	for (int i = 0; i < BURST; i++)
		ck_assert_uint_eq(meet_copy(from_client(_i, SYN)), XDP_PASS);
	ck_assert_uint_eq(meet_copy(from_client(_i, SYN)), XDP_DROP);
	ck_assert_uint_eq(meet_copy(from_client(_i, ACK)), XDP_PASS);
	ck_assert_uint_eq(meet_from(neighbours[_i], _i, SYN), XDP_PASS);
	ck_assert_uint_eq(counted(1, GUARD_RATE_LIMITED), 1);
	ck_assert_uint_eq(counted(1, GUARD_SYN_PASSED), BURST + 1);
}
END_TEST

START_TEST(a_network_of_ipv6_is_one_source)
{
	char host[64];
	unsigned dropped = 0;

	limit();
	open_guard();
	for (int i = 0; i < 2 * BURST; i++) {
		snprintf(host, sizeof(host), "2001:db8:1::%x:%x", i, i * 7);
		dropped += meet_from(host, 1, SYN) == XDP_DROP;
	}
	ck_assert_uint_eq(dropped, BURST);
}
END_TEST

START_TEST(who_is_allowed_has_no_rate)
{
	limit();
	list(_i ? "2001:db8:1::/48" : "10.1.2.0/24", false);
	open_guard();
	for (int i = 0; i < 5 * BURST; i++)
		ck_assert_uint_eq(meet_copy(from_client(_i, SYN)), XDP_PASS);
	ck_assert_uint_eq(counted(1, GUARD_ALLOWED), 5 * BURST);
}
END_TEST

/* Whatever comes between the headers, the SYN behind it is one. */
START_TEST(a_syn_does_not_hide_behind_other_headers)
{
	static const uint8_t tag[] = {0x00, 0x07, 0x08, 0x00};
	static const uint8_t options[] = {1, 1, 1, 1};
	static const uint8_t extension[] = {IPPROTO_DSTOPTS, 0, 1, 4, 0, 0, 0, 0,
					    IPPROTO_TCP,     0, 1, 4, 0, 0, 0, 0};
	struct frame frame = from_client(_i == 2, SYN);

	limit();
	open_guard();
	if (_i == 0) {
		insert_bytes(&frame, 14, tag, sizeof(tag));
		put16(frame.bytes + 12, 0x8100);
	} else if (_i == 1) {
		insert_bytes(&frame, 34, options, sizeof(options));
		frame.bytes[14] = 0x46;
		set_length(&frame);
	} else {
		insert_bytes(&frame, 54, extension, sizeof(extension));
		frame.bytes[14 + 6] = IPPROTO_DSTOPTS;
		set_length(&frame);
	}
	for (int i = 0; i < BURST; i++)
		ck_assert_uint_eq(meet_copy(frame), XDP_PASS);
	ck_assert_uint_eq(meet_copy(frame), XDP_DROP);
	ck_assert_uint_eq(counted(1, GUARD_RATE_LIMITED), 1);
}
END_TEST

/* --- malformed --- */

enum {
	OFFSET_TOO_SMALL,
	OFFSET_TOO_BIG,
	NO_FLAGS,
	FIN_ALONE,
	SYN_FIN,
	SYN_RST,
	PORT_0,
	OWN_ECHO,
	GROUP_SOURCE,
	NO_SOURCE,
	NONSENSES
};

static struct frame nonsense(int which, int family)
{
	static const char *const groups[] = {"224.0.0.1", "ff02::1"};
	static const char *const nobody[] = {"0.0.0.0", "::"};
	static const unsigned flags[NONSENSES] = {
		[NO_FLAGS] = 0, [FIN_ALONE] = FIN, [SYN_FIN] = SYN | FIN, [SYN_RST] = SYN | RST};
	struct frame frame = from_client(family, ACK);

	if (which >= NO_FLAGS && which <= SYN_RST)
		return from_client(family, flags[which]);
	if (which == OWN_ECHO)
		return segment(servers[family], servers[family], PORT, PORT, SYN);
	if (which == GROUP_SOURCE)
		return segment(groups[family], servers[family], 40000, PORT, SYN);
	if (which == NO_SOURCE)
		return segment(nobody[family], servers[family], 40000, PORT, SYN);
	if (which == PORT_0)
		put16(frame.bytes + frame.tcp, 0);
	else
		frame.bytes[frame.tcp + 12] = which == OFFSET_TOO_SMALL ? 4 << 4 : 15 << 4;
	return frame;
}

START_TEST(nonsense_is_dropped_and_counted)
{
	open_guard();
	ck_assert_uint_eq(meet_copy(nonsense(_i / 2, _i % 2)), XDP_DROP);
	ck_assert_uint_eq(counted(1, GUARD_MALFORMED), 1);
	ck_assert_uint_eq(meet_copy(from_client(_i % 2, ACK)), XDP_PASS);
}
END_TEST

/* Nobody can say whose they are: the slot of none. */
START_TEST(headers_that_promise_more_than_is_there_are_dropped)
{
	struct frame frame = from_client(_i % 2, SYN);

	open_guard();
	switch (_i / 2) {
	case 0: /* cut off within TCP */
		frame.size = frame.tcp + 10;
		break;
	case 1: /* IP says that there is more */
		put16(frame.bytes + frame.ip + (_i % 2 ? 4 : 2), 1400);
		break;
	case 2: /* or less than a TCP header */
		put16(frame.bytes + frame.ip + (_i % 2 ? 4 : 2), _i % 2 ? 8 : 28);
		break;
	case 3: /* another version than the frame says */
		frame.bytes[frame.ip] = _i % 2 ? 0x45 : 0x65;
		break;
	}
	ck_assert_uint_eq(meet_copy(frame), XDP_DROP);
	ck_assert_uint_eq(counted(0, GUARD_MALFORMED), 1);
}
END_TEST

START_TEST(a_fragment_that_would_overwrite_flags_is_dropped_and_later_ones_pass)
{
	struct frame frame = from_client(0, SYN);

	open_guard();
	put16(frame.bytes + frame.ip + 6, 1);
	ck_assert_uint_eq(meet_copy(frame), XDP_DROP);
	put16(frame.bytes + frame.ip + 6, 185);
	ck_assert_uint_eq(meet_copy(frame), XDP_PASS);
}
END_TEST

START_TEST(whatever_is_no_tcp_passes)
{
	struct frame frame = from_client(_i, SYN);

	list("0.0.0.0/0", true);
	list("::/0", true);
	open_guard();
	frame.bytes[frame.ip + (_i ? 6 : 9)] = IPPROTO_UDP;
	ck_assert_uint_eq(meet_copy(frame), XDP_PASS);
	put16(frame.bytes + 12, 0x0806);
	ck_assert_uint_eq(meet_copy(frame), XDP_PASS);
}
END_TEST

/* --- dry run --- */

START_TEST(a_dry_run_counts_and_passes_everything)
{
	struct guard_counts counts;

	limit();
	doors[0].dry_run = true;
	doors[0].cookies = GUARD_OFF;
	list("10.77.0.0/16", true);
	open_guard();
	ck_assert_uint_eq(meet_from("10.77.0.1", 0, SYN), XDP_PASS);
	ck_assert_uint_eq(meet_copy(nonsense(SYN_FIN, 0)), XDP_PASS);
	for (int i = 0; i < BURST + 3; i++)
		ck_assert_uint_eq(meet_copy(from_client(0, SYN)), XDP_PASS);
	guard_read(guard, 1, &counts);
	ck_assert_uint_eq(counts.dry[GUARD_DENIED], 1);
	ck_assert_uint_eq(counts.dry[GUARD_MALFORMED], 1);
	ck_assert_uint_eq(counts.dry[GUARD_RATE_LIMITED], 3);
	ck_assert_uint_eq(counts.packets[GUARD_DENIED] + counts.packets[GUARD_RATE_LIMITED], 0);
	guard_forget(guard, 1);
	guard_read(guard, 1, &counts);
	ck_assert_uint_eq(counts.dry[GUARD_DENIED], 0);
}
END_TEST

/* --- noise --- */

static uint64_t all_counted(void)
{
	uint64_t sum = 0;

	for (uint32_t slot = 0; slot < 2; slot++)
		for (int i = 0; i < GUARD_VERDICTS; i++)
			sum += counted(slot, (enum guard_verdict)i);
	return sum;
}

/* Each verdict leaves the frame as it was, or is an answer; and all that is dropped is counted. */
static void meet_noise(struct frame *frame, uint64_t *dropped)
{
	struct frame before = *frame;
	unsigned action = meet(frame);

	ck_assert(action == XDP_PASS || action == XDP_DROP || action == XDP_TX);
	if (action == XDP_PASS)
		ck_assert(frame->size == before.size &&
			  !memcmp(frame->bytes, before.bytes, before.size));
	*dropped += action != XDP_PASS;
}

START_TEST(random_bytes_do_no_harm)
{
	uint64_t dropped = 0;

	srandom(20260101);
	limit();
	doors[0].cookies = GUARD_ALWAYS;
	open_guard();
	for (int i = 0; i < 20000; i++) {
		struct frame frame = from_client(i & 1, (unsigned)random() & 0xff);
		unsigned hits = (unsigned)random() % 8;

		if (i % 4 == 0)
			for (size_t at = 14; at < frame.size; at++)
				frame.bytes[at] = (uint8_t)random();
		for (unsigned hit = 0; hit < hits; hit++)
			frame.bytes[14 + (size_t)random() % (frame.size - 14)] = (uint8_t)random();
		frame.size = i % 5 ? frame.size : 14 + (size_t)random() % (frame.size - 14);
		meet_noise(&frame, &dropped);
	}
	ck_assert_uint_gt(dropped, 1000);
	ck_assert_uint_ge(all_counted(), dropped);
	ck_assert_uint_gt(counted(0, GUARD_MALFORMED), 100);
	ck_assert_uint_gt(counted(1, GUARD_MALFORMED), 100);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xdp_guard");
	TCase *tcase = tcase_create("guard");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, end_world);
	tcase_add_loop_test(tcase, only_ports_of_listeners_are_looked_at, 0, 2);
	tcase_add_loop_test(tcase, the_listener_of_an_address_goes_before_the_wildcard, 0, 2);
	tcase_add_test(tcase, every_port_of_a_range_is_a_gate);
	tcase_add_test(tcase, a_listener_of_ipv6_alone_has_no_gate_for_ipv4);
	tcase_add_test(tcase, too_many_ports_are_refused_with_a_sentence);
	tcase_add_loop_test(tcase, the_most_specific_rule_counts, 0, 2);
	tcase_add_loop_test(tcase, a_denied_source_has_no_connections_either, 0, 2);
	tcase_add_test(tcase, a_listeners_rules_are_its_own);
	tcase_add_test(tcase, other_rules_come_into_force_as_a_whole);
	tcase_add_loop_test(tcase, a_source_over_its_rate_is_dropped_and_its_neighbour_is_not, 0,
			    2);
	tcase_add_test(tcase, a_network_of_ipv6_is_one_source);
	tcase_add_loop_test(tcase, who_is_allowed_has_no_rate, 0, 2);
	tcase_add_loop_test(tcase, a_syn_does_not_hide_behind_other_headers, 0, 3);
	tcase_add_loop_test(tcase, nonsense_is_dropped_and_counted, 0, 2 * NONSENSES);
	tcase_add_loop_test(tcase, headers_that_promise_more_than_is_there_are_dropped, 0, 8);
	tcase_add_test(tcase, a_fragment_that_would_overwrite_flags_is_dropped_and_later_ones_pass);
	tcase_add_loop_test(tcase, whatever_is_no_tcp_passes, 0, 2);
	tcase_add_test(tcase, a_dry_run_counts_and_passes_everything);
	tcase_add_test(tcase, random_bytes_do_no_harm);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
