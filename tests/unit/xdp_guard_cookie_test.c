/* SPDX-License-Identifier: Apache-2.0
 *
 * SYN cookies of the guard: what the answer to a SYN says, to the last checksum, and what becomes
 * of those who come back with a cookie, with a wrong one, or not at all.
 *
 * Needs root. Without it the program says so and fails, as a tool that is missing does.
 */
#include <stdlib.h>

#include "tests/unit/xdp_guard_rig.h"

#define STRAYS 50 /* at once */

/* Linux's own, of an Ethernet: MSS 1460, SACK, timestamps, NOP, window scale 9. */
static const uint8_t usual[] = {2,    4,    0x05, 0xb4, 4, 2, 8, 10, 0x11, 0x22,
				0x33, 0x44, 0,    0,    0, 0, 1, 3,  3,    9};
/* Another order, without SACK. */
static const uint8_t unusual[] = {1, 3, 3, 4, 8, 10, 0x55, 0x66, 0x77, 0x88, 0, 0,
				  0, 0, 1, 1, 2, 4,  0x05, 0x78, 0xfe, 4,    7, 7};

static const char *const clients[] = {"10.1.2.3", "2001:db8:1::3"};
static const char *const servers[] = {"10.9.9.9", "2001:db8:9::9"};

static struct frame syn_from(int family, unsigned source_port)
{
	struct frame frame = segment(clients[family], servers[family], source_port, PORT, SYN);

	add_options(&frame, usual, sizeof(usual));
	return frame;
}

static void setup(void)
{
	begin_world();
	add_door(door_at("[::]:8443", 1));
	doors[0].cookies = GUARD_ALWAYS;
}

static const uint8_t *option_of(const struct frame *frame, uint8_t kind)
{
	const uint8_t *tcp = frame->bytes + frame->tcp;
	size_t length = (size_t)(tcp[12] >> 4) * 4;

	for (size_t at = 20; at < length && tcp[at];) {
		if (tcp[at] == kind)
			return tcp + at;
		at += tcp[at] == 1 ? 1 : tcp[at + 1];
	}
	return NULL;
}

static void check_answer(const struct frame *asked, const struct frame *answer)
{
	const uint8_t *ip = answer->bytes + answer->ip, *was = asked->bytes + asked->ip;
	const uint8_t *tcp = answer->bytes + answer->tcp, *from = asked->bytes + asked->tcp;
	size_t width = is_ipv6(asked) ? 16 : 4, at = is_ipv6(asked) ? 8 : 12;

	ck_assert_int_eq(memcmp(answer->bytes, asked->bytes + 6, 6), 0);
	ck_assert_int_eq(memcmp(answer->bytes + 6, asked->bytes, 6), 0);
	ck_assert_int_eq(memcmp(ip + at, was + at + width, width), 0);
	ck_assert_int_eq(memcmp(ip + at + width, was + at, width), 0);
	ck_assert_uint_eq(get16(tcp), get16(from + 2));
	ck_assert_uint_eq(get16(tcp + 2), get16(from));
	ck_assert_uint_eq(get32(tcp + 8), get32(from + 4) + 1);
	ck_assert_uint_eq(tcp[13], SYN | ACK);
	ck_assert_uint_eq((size_t)(tcp[12] >> 4) * 4, answer->size - answer->tcp);
	ck_assert_uint_eq(tcp_sum(answer), 0xffff);
	if (!is_ipv6(asked)) {
		ck_assert_uint_eq(add_up(ip, 20, 0), 0xffff);
		ck_assert_uint_eq(get16(ip + 2), answer->size - answer->ip);
	} else {
		ck_assert_uint_eq(get16(ip + 4), answer->size - answer->tcp);
	}
}

/* The client's third packet; `off` from the right cookie. */
static struct frame ack_to(const struct frame *asked, const struct frame *answer, uint32_t off)
{
	int family = is_ipv6(asked);
	struct frame frame = segment(clients[family], servers[family],
				     get16(asked->bytes + asked->tcp), PORT, ACK);

	put32(frame.bytes + frame.tcp + 4, get32(asked->bytes + asked->tcp + 4) + 1);
	put32(frame.bytes + frame.tcp + 8, get32(answer->bytes + answer->tcp + 4) + 1 + off);
	return frame;
}

/* One of another port: the first cookie that comes back becomes a SYN. */
static void vouch(void)
{
	struct frame asked = syn_from(0, 1), answer = asked;

	ck_assert_uint_eq(meet(&answer), XDP_TX);
	ck_assert_uint_eq(meet_copy(ack_to(&asked, &answer, 0)), XDP_PASS);
	ck_assert_uint_eq(counted(1, GUARD_VOUCHED), 1);
}

/* --- answers --- */

START_TEST(a_syn_is_answered_with_sound_headers)
{
	struct frame asked = syn_from(_i, 40000), answer = asked;

	open_guard();
	ck_assert_uint_eq(meet(&answer), XDP_TX);
	check_answer(&asked, &answer);
	ck_assert_uint_eq(counted(1, GUARD_COOKIE_SENT), 1);
}
END_TEST

START_TEST(the_answer_offers_what_the_client_can)
{
	struct frame asked = syn_from(_i, 40000), answer = asked;
	const uint8_t *clock, *scale;

	open_guard();
	ck_assert(guard_answers_fully(guard));
	ck_assert_uint_eq(meet(&answer), XDP_TX);
	clock = option_of(&answer, 8);
	scale = option_of(&answer, 3);
	ck_assert_ptr_nonnull(option_of(&answer, 2));
	ck_assert_ptr_nonnull(option_of(&answer, 4));
	ck_assert(clock && scale);
	ck_assert_uint_eq(get32(clock + 6), 0x11223344);
	/* What the kernel will read from it: the client's scale, and SACK. */
	ck_assert_uint_eq(get32(clock + 2) & 0x1f, 9 | 1 << 4);
	ck_assert_uint_le(scale[2], 14);
}
END_TEST

START_TEST(it_asks_for_no_larger_segments_than_the_listener_does)
{
	static const uint16_t configured[] = {500, 88, 32767};

	open_guard();
	for (size_t i = 0; i < sizeof(configured) / sizeof(configured[0]); i++) {
		struct frame asked = syn_from(_i, 40000), answer = asked;
		uint16_t mss;

		doors[0].mss = configured[i];
		apply_doors();
		ck_assert_uint_eq(meet(&answer), XDP_TX);
		check_answer(&asked, &answer);
		mss = get16(option_of(&answer, 2) + 2);
		if (configured[i] == 32767) /* what fits the interface is less */
			ck_assert_uint_lt(mss, 9000);
		else
			ck_assert_uint_eq(mss, configured[i]);
	}
}
END_TEST

START_TEST(options_may_come_in_any_order)
{
	struct frame asked = segment(clients[_i], servers[_i], 40000, PORT, SYN), answer;
	const uint8_t *clock;

	open_guard();
	add_options(&asked, unusual, sizeof(unusual));
	answer = asked;
	ck_assert_uint_eq(meet(&answer), XDP_TX);
	check_answer(&asked, &answer);
	clock = option_of(&answer, 8);
	ck_assert_ptr_nonnull(clock);
	ck_assert_ptr_null(option_of(&answer, 4));
	ck_assert_uint_eq(get32(clock + 6), 0x55667788);
	ck_assert_uint_eq(get32(clock + 2) & 0x1f, 4);
}
END_TEST

START_TEST(without_timestamps_there_is_the_mss_alone)
{
	struct frame asked = segment(clients[_i], servers[_i], 40000, PORT, SYN), answer;

	open_guard();
	add_options(&asked, "\2\4\5\xb4\1\3\3\7", 8);
	answer = asked;
	ck_assert_uint_eq(meet(&answer), XDP_TX);
	check_answer(&asked, &answer);
	ck_assert_uint_eq(answer.size - answer.tcp, 24);
}
END_TEST

START_TEST(nor_is_there_more_where_clocks_have_secret_offsets)
{
	struct frame asked = syn_from(_i, 40000), answer = asked;

	set_sysctl("/proc/sys/net/ipv4/tcp_timestamps", "1");
	open_guard();
	ck_assert(!guard_answers_fully(guard));
	ck_assert_uint_eq(meet(&answer), XDP_TX);
	check_answer(&asked, &answer);
	ck_assert_uint_eq(answer.size - answer.tcp, 24);
}
END_TEST

/* A length that leads out of the header ends the reading, not the answer. */
START_TEST(broken_options_are_read_as_far_as_they_go)
{
	struct frame asked = segment(clients[_i], servers[_i], 40000, PORT, SYN), answer;

	open_guard();
	add_options(&asked, "\4\2\1\1\x08\xff\0\0", 8);
	answer = asked;
	ck_assert_uint_eq(meet(&answer), XDP_TX);
	check_answer(&asked, &answer);
}
END_TEST

START_TEST(an_answer_keeps_its_vlan)
{
	static const uint8_t tag[] = {0x00, 0x07, 0x08, 0x00};
	struct frame asked = syn_from(0, 40000), answer;

	open_guard();
	insert_bytes(&asked, 14, tag, sizeof(tag));
	put16(asked.bytes + 12, 0x8100);
	answer = asked;
	ck_assert_uint_eq(meet(&answer), XDP_TX);
	ck_assert_int_eq(memcmp(answer.bytes + 12, asked.bytes + 12, 6), 0);
	check_answer(&asked, &answer);
}
END_TEST

START_TEST(a_syn_with_ip_options_gets_no_answer_and_no_way_round)
{
	struct frame frame = syn_from(0, 40000);

	open_guard();
	insert_bytes(&frame, 34, "\1\1\1\1", 4);
	frame.bytes[14] = 0x46;
	set_length(&frame);
	ck_assert_uint_eq(meet(&frame), XDP_DROP);
	ck_assert_uint_eq(counted(1, GUARD_UNANSWERABLE), 1);
}
END_TEST

/* --- and back --- */

START_TEST(who_comes_back_with_the_cookie_is_let_in)
{
	struct frame asked = syn_from(_i, 40000), answer = asked;

	open_guard();
	ck_assert_uint_eq(meet(&answer), XDP_TX);
	vouch();
	ck_assert_uint_eq(meet_copy(ack_to(&asked, &answer, 0)), XDP_PASS);
	ck_assert_uint_eq(counted(1, GUARD_COOKIE_PROVED), 1);
}
END_TEST

/* The kernel believes cookies only after a SYN of somebody whom it can answer. */
START_TEST(the_first_who_proves_himself_asks_the_kernel)
{
	struct frame asked = syn_from(_i, 40000), answer = asked, ack;
	uint8_t *tcp;

	open_guard();
	ck_assert_uint_eq(meet(&answer), XDP_TX);
	ack = ack_to(&asked, &answer, 0);
	tcp = ack.bytes + ack.tcp;
	put16(tcp + 16, ~tcp_sum(&ack) & 0xffff);
	ck_assert_uint_eq(tcp_sum(&ack), 0xffff);
	ck_assert_uint_eq(meet(&ack), XDP_PASS);
	ck_assert_uint_eq(tcp[13], SYN);
	ck_assert_uint_eq(get32(tcp + 4), get32(asked.bytes + asked.tcp + 4));
	ck_assert_uint_eq(tcp_sum(&ack), 0xffff);
	ck_assert_uint_eq(counted(1, GUARD_VOUCHED), 1);
	ack = ack_to(&asked, &answer, 0);
	ck_assert_uint_eq(meet(&ack), XDP_PASS);
	ck_assert_uint_eq(ack.bytes[ack.tcp + 13], ACK);
}
END_TEST

START_TEST(wrong_cookies_are_strays_at_first_and_then_refused)
{
	struct frame asked = syn_from(_i, 40000), answer = asked;

	open_guard();
	ck_assert_uint_eq(meet(&answer), XDP_TX);
	for (uint32_t i = 1; i <= 4 * STRAYS; i++)
		meet_copy(ack_to(&asked, &answer, i << 25 | i));
	ck_assert_uint_ge(counted(1, GUARD_STRAY), STRAYS);
	ck_assert_uint_gt(counted(1, GUARD_COOKIE_REFUSED), 0);
	ck_assert_uint_eq(counted(1, GUARD_COOKIE_PROVED), 0);
	ck_assert_uint_eq(counted(1, GUARD_STRAY) + counted(1, GUARD_COOKIE_REFUSED), 4 * STRAYS);
}
END_TEST

/* Whoever writes a stranger's address cannot use up the stranger's rate. */
START_TEST(amid_a_flood_a_source_is_charged_when_it_comes_back)
{
	struct frame asked = syn_from(_i, 40000), answer = asked, ack;

	doors[0].syn_rate = 1;
	doors[0].syn_burst = BURST;
	open_guard();
	for (unsigned i = 0; i < 5 * BURST; i++) {
		struct frame other = syn_from(_i, 41000 + i);

		ck_assert_uint_eq(meet(&other), XDP_TX);
	}
	ck_assert_uint_eq(meet(&answer), XDP_TX);
	vouch();
	ack = ack_to(&asked, &answer, 0);
	for (int i = 0; i < BURST; i++)
		ck_assert_uint_eq(meet_copy(ack), XDP_PASS);
	ck_assert_uint_eq(meet_copy(ack), XDP_DROP);
	ck_assert_uint_eq(counted(1, GUARD_RATE_LIMITED), 1);
}
END_TEST

START_TEST(packets_of_a_connection_pass_amid_a_flood)
{
	struct addr addr;
	struct sockaddr_storage sa;
	struct frame frame;
	socklen_t len;
	int listening = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

	open_guard();
	ck_assert_int_eq(addr_parse("127.0.0.1:8443", &addr), 0);
	len = addr_to_sockaddr(&addr, &sa);
	ck_assert_int_eq(bind(listening, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(listen(listening, 1), 0);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&sa, len), 0);
	len = sizeof(sa);
	ck_assert_int_eq(getsockname(client, (struct sockaddr *)&sa, &len), 0);
	addr_from_sockaddr((struct sockaddr *)&sa, len, &addr);
	frame = segment("127.0.0.1", "127.0.0.1", addr.port, PORT, ACK);
	for (int i = 0; i < 4 * STRAYS; i++)
		ck_assert_uint_eq(meet_copy(frame), XDP_PASS);
	ck_assert_uint_eq(counted(1, GUARD_PASSED), 4 * STRAYS);
	close(client);
	close(listening);
}
END_TEST

/* --- auto --- */

START_TEST(cookies_begin_with_the_flood_and_not_before)
{
	unsigned answered = 0;

	doors[0].cookies = GUARD_UNDER_FLOOD;
	doors[0].flood_rate = 10;
	open_guard();
	ck_assert_uint_eq(meet_copy(syn_from(_i, 40000)), XDP_PASS);
	ck_assert_uint_eq(counted(1, GUARD_SYN_PASSED), 1);
	for (unsigned i = 0; i < 50; i++)
		answered += meet_copy(syn_from(_i, 41000 + i)) == XDP_TX;
	ck_assert_uint_gt(answered, 30);
	/* What comes behind a lost packet is none of the kernel's, which would end it with RST. */
	ck_assert_uint_eq(meet_copy(segment(clients[_i], servers[_i], 40000, PORT, ACK)), XDP_DROP);
	ck_assert_uint_eq(counted(1, GUARD_COOKIE_REFUSED), 1);
	ck_assert_uint_eq(counted(1, GUARD_STRAY), 0);
}
END_TEST

START_TEST(before_a_flood_nobody_asks_for_cookies)
{
	doors[0].cookies = GUARD_UNDER_FLOOD;
	doors[0].flood_rate = 10;
	open_guard();
	for (int i = 0; i < 4 * STRAYS; i++)
		ck_assert_uint_eq(meet_copy(segment(clients[_i], servers[_i], 40000, PORT, ACK)),
				  XDP_PASS);
	ck_assert_uint_eq(counted(1, GUARD_COOKIE_REFUSED), 0);
}
END_TEST

START_TEST(a_dry_run_answers_nobody)
{
	struct guard_counts counts;

	doors[0].dry_run = true;
	open_guard();
	for (unsigned i = 0; i < 10; i++)
		ck_assert_uint_eq(meet_copy(syn_from(0, 41000 + i)), XDP_PASS);
	guard_read(guard, 1, &counts);
	ck_assert_uint_eq(counts.dry[GUARD_COOKIE_SENT], 10);
}
END_TEST

START_TEST(without_the_kernels_belief_cookies_are_refused_with_the_remedy)
{
	struct guard_conf conf = {.hook_count = 0};
	char problem[GUARD_PROBLEM] = "";

	set_sysctl("/proc/sys/net/ipv4/tcp_syncookies", "1");
	ck_assert_int_lt(guard_open(&conf, doors, 1, &guard, problem, sizeof(problem)), 0);
	ck_assert_ptr_nonnull(strstr(problem, "sysctl -w net.ipv4.tcp_syncookies=2"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xdp_guard_cookie");
	TCase *tcase = tcase_create("cookies");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, end_world);
	tcase_add_loop_test(tcase, a_syn_is_answered_with_sound_headers, 0, 2);
	tcase_add_loop_test(tcase, the_answer_offers_what_the_client_can, 0, 2);
	tcase_add_loop_test(tcase, options_may_come_in_any_order, 0, 2);
	tcase_add_loop_test(tcase, it_asks_for_no_larger_segments_than_the_listener_does, 0, 2);
	tcase_add_loop_test(tcase, without_timestamps_there_is_the_mss_alone, 0, 2);
	tcase_add_loop_test(tcase, nor_is_there_more_where_clocks_have_secret_offsets, 0, 2);
	tcase_add_loop_test(tcase, broken_options_are_read_as_far_as_they_go, 0, 2);
	tcase_add_test(tcase, an_answer_keeps_its_vlan);
	tcase_add_test(tcase, a_syn_with_ip_options_gets_no_answer_and_no_way_round);
	tcase_add_loop_test(tcase, who_comes_back_with_the_cookie_is_let_in, 0, 2);
	tcase_add_loop_test(tcase, the_first_who_proves_himself_asks_the_kernel, 0, 2);
	tcase_add_loop_test(tcase, wrong_cookies_are_strays_at_first_and_then_refused, 0, 2);
	tcase_add_loop_test(tcase, amid_a_flood_a_source_is_charged_when_it_comes_back, 0, 2);
	tcase_add_test(tcase, packets_of_a_connection_pass_amid_a_flood);
	tcase_add_loop_test(tcase, cookies_begin_with_the_flood_and_not_before, 0, 2);
	tcase_add_loop_test(tcase, before_a_flood_nobody_asks_for_cookies, 0, 2);
	tcase_add_test(tcase, a_dry_run_answers_nobody);
	tcase_add_test(tcase, without_the_kernels_belief_cookies_are_refused_with_the_remedy);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
