/* SPDX-License-Identifier: Apache-2.0
 *
 * Joined sockets: bytes both ways, ends of streams, what is refused. Needs root, as the rig does.
 */
#include "tests/unit/xdp_sockmap_rig.h"

/* --- what the proxy does --- */

static void await(int fd, short events)
{
	struct pollfd at = {.fd = fd, .events = events};

	ck_assert_int_eq(poll(&at, 1, (int)(PATIENCE_US / US_PER_MS)), 1);
	ck_assert(at.revents & events);
}

/* A FIN arrived on a leg: pass it on behind the bytes. */
static void pass_fin(unsigned way)
{
	uint64_t until_us = clock_us() + PATIENCE_US;

	await(inner[way], POLLRDHUP);
	while (!sockmap_is_through(map, &joint, way, inner[way], inner[!way], true)) {
		ck_assert(clock_us() < until_us);
		poll(NULL, 0, 1);
	}
	ck_assert_int_eq(shutdown(inner[!way], SHUT_WR), 0);
}

/* --- tests --- */

START_TEST(bytes_move_both_ways_without_a_reader_in_between)
{
	struct sockmap_view view;

	begin_joined();
	for (unsigned way = 0; way < 2; way++) {
		exchange(way, 1);
		exchange(way, 5000000);
		exchange(way, 3);
		sockmap_look(map, &joint, way, &view);
		ck_assert_uint_eq(view.passed, 5000004);
		ck_assert_uint_ne(view.last_ns, 0);
		ck_assert(!view.gated);
		ck_assert(sockmap_is_written(map, &joint, way, inner[!way]));
		ck_assert_uint_eq(sockmap_received(&joint, way, inner[way], false), 5000004);
	}
	end();
}
END_TEST

START_TEST(bytes_that_were_there_before_are_the_first)
{
	begin();
	send_some(CLIENT, 3000);
	send_some(BACKEND, 70000);
	join();
	expect_all(CLIENT);
	expect_all(BACKEND);
	exchange(CLIENT, 1000);
	exchange(BACKEND, 1000);
	end();
}
END_TEST

START_TEST(what_was_relayed_before_is_not_counted)
{
	struct sockmap_view view;
	char early[100];

	begin();
	for (unsigned way = 0; way < 2; way++) {
		ck_assert_int_eq(send(ends[way], early, sizeof(early), 0), sizeof(early));
		ck_assert_int_eq(recv(inner[way], early, sizeof(early), MSG_WAITALL), 100);
		ck_assert_int_eq(send(inner[way], early, sizeof(early), 0), sizeof(early));
		ck_assert_int_eq(recv(ends[way], early, sizeof(early), MSG_WAITALL), 100);
	}
	join();
	exchange(CLIENT, 10);
	sockmap_look(map, &joint, CLIENT, &view);
	ck_assert_uint_eq(view.passed, 10);
	shutdown(ends[CLIENT], SHUT_WR);
	pass_fin(CLIENT);
	await(ends[BACKEND], POLLRDHUP);
	end();
}
END_TEST

/* Two hundred times, since it is a race in the kernel that this is about. */
START_TEST(a_fin_does_not_overtake_the_bytes_before_it)
{
	for (unsigned i = 0; i < 200; i++) {
		unsigned way = i & 1;
		uint64_t goal = (uint64_t)(i * 7919 % 400000 + 1);

		begin_joined();
		while (sent[way] < goal) {
			send_some(way, goal - sent[way]);
			if (sent[way] < goal)
				receive_some(way);
		}
		shutdown(ends[way], SHUT_WR);
		pass_fin(way);
		expect_all(way);
		await(ends[!way], POLLRDHUP);
		ck_assert(!receive_some(way));
		exchange(!way, 10000); /* half-closed */
		shutdown(ends[!way], SHUT_WR);
		pass_fin(!way);
		await(ends[way], POLLRDHUP);
		ck_assert(!receive_some(!way));
		end();
	}
}
END_TEST

static uint32_t queue_end(int fd, int queue)
{
	uint32_t seq = 0;
	socklen_t len = sizeof(seq);

	ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)), 0);
	ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, &len), 0);
	return seq;
}

/* A segment of the client's that it did not send, `back` bytes before what it sends next. */
static void inject(uint16_t back, uint16_t count)
{
	struct {
		uint32_t addresses[2];
		uint16_t protocol, len;
		struct tcphdr tcp;
		uint8_t data[400];
	} pseudo = {.protocol = htons(IPPROTO_TCP), .tcp = {.doff = 5, .ack = 1, .psh = 1}};
	struct sockaddr_in from, to;
	socklen_t len = sizeof(from);
	size_t size = sizeof(pseudo.tcp) + count;
	int on = 1, off = -1, raw = socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
	uint32_t sum = 0;

	ck_assert_uint_le(count, sizeof(pseudo.data));
	getsockname(ends[CLIENT], (struct sockaddr *)&from, &len);
	getpeername(ends[CLIENT], (struct sockaddr *)&to, &len);
	setsockopt(ends[CLIENT], IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on));
	pseudo.tcp.seq = htonl(queue_end(ends[CLIENT], TCP_SEND_QUEUE) - back);
	pseudo.tcp.ack_seq = htonl(queue_end(ends[CLIENT], TCP_RECV_QUEUE));
	setsockopt(ends[CLIENT], IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off));
	pseudo.tcp.source = from.sin_port;
	pseudo.tcp.dest = to.sin_port;
	pseudo.tcp.window = htons(1000);
	pseudo.addresses[0] = pseudo.addresses[1] = to.sin_addr.s_addr;
	pseudo.len = htons((uint16_t)size);
	for (uint16_t i = 0; i < count; i++)
		pseudo.data[i] = byte_at(sent[CLIENT] - back + i);
	for (size_t i = 0; i < sizeof(pseudo) / 2; i++)
		sum += ((const uint16_t *)&pseudo)[i];
	sum = (sum & 0xffff) + (sum >> 16);
	pseudo.tcp.check = (uint16_t) ~(sum + (sum >> 16));
	ck_assert_int_eq(sendto(raw, &pseudo.tcp, size, 0, (struct sockaddr *)&to, sizeof(to)),
			 (ssize_t)size);
	close(raw);
}

/* The kernel hands a verdict the whole of it, what was had before included. */
START_TEST(a_retransmission_that_overlaps_is_handed_on_once)
{
	struct sockmap_view view;

	begin_joined();
	exchange(CLIENT, 100);
	inject(50, 200);
	exchange(CLIENT, 1000); /* of which 150 are there already */
	exchange(BACKEND, 1000);
	inject(1, 400);
	exchange(CLIENT, 1000);
	exchange(CLIENT, 300000);
	sockmap_look(map, &joint, CLIENT, &view);
	ck_assert_uint_eq(view.passed, sent[CLIENT]);
	ck_assert(!view.lost && !view.gated);
	ck_assert(sockmap_is_through(map, &joint, CLIENT, inner[CLIENT], inner[BACKEND], false));
	expect_tidy_accounts();
	end();
}
END_TEST

START_TEST(a_reset_is_told)
{
	struct linger abort = {.l_onoff = 1, .l_linger = 0};

	begin_joined();
	exchange(CLIENT, 1000);
	setsockopt(ends[CLIENT], SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
	close(ends[CLIENT]);
	ends[CLIENT] = -1;
	await(inner[CLIENT], POLLERR);
	end();
}
END_TEST

START_TEST(a_peer_that_has_finished_is_refused_and_nothing_is_lost)
{
	unsigned leg = (unsigned)_i;
	char byte = 'x';

	begin();
	ck_assert_int_eq(send(ends[leg], &byte, 1, 0), 1);
	shutdown(ends[leg], SHUT_WR);
	await(inner[leg], POLLRDHUP);
	ck_assert_int_eq(sockmap_join(map, inner, &joint), -EOPNOTSUPP);
	ck_assert_int_eq(recv(inner[leg], &byte, 1, 0), 1);
	ck_assert_int_eq(recv(inner[leg], &byte, 1, 0), 0);
	ck_assert_int_eq(send(inner[leg], &byte, 1, 0), 1);
	ck_assert_int_eq(recv(ends[leg], &byte, 1, MSG_WAITALL), 1);
	for (unsigned i = 0; i < 2; i++) {
		close(ends[i]);
		close(inner[i]);
	}
}
END_TEST

START_TEST(slots_are_used_again_and_run_out)
{
	enum { JOINTS = 256 };
	static int fds[JOINTS][4];
	static struct sockmap_joint joints[JOINTS];

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < JOINTS; i++) {
			begin_joined();
			memcpy(fds[i], ends, sizeof(ends));
			memcpy(fds[i] + 2, inner, sizeof(inner));
			joints[i] = joint;
		}
		begin();
		ck_assert_int_eq(sockmap_join(map, inner, &joint), -ENOSPC);
		for (unsigned leg = 0; leg < 2; leg++) {
			close(ends[leg]);
			close(inner[leg]);
		}
		for (unsigned i = 0; i < JOINTS; i++) {
			for (unsigned j = 0; j < 4; j++)
				close(fds[i][j]);
			sockmap_part(map, &joints[i]);
		}
	}
	begin_joined();
	exchange(CLIENT, 1000);
	end();
}
END_TEST

START_TEST(this_kernel_passes_the_self_test)
{
	char problem[256] = "";

	ck_assert_msg(sockmap_test(map, problem, sizeof(problem)) == 0, "%s", problem);
}
END_TEST

START_TEST(kernels_known_to_lose_bytes_are_refused)
{
	static const struct {
		const char *release;
		int err;
	} cases[] = {{"5.10.234-1", -ENOTSUP},
		     {"5.15.0", -ENOTSUP},
		     {"6.1.189-amzn2023", -ENOTSUP},
		     {"6.6.100", -ENOTSUP},
		     {"6.12.110", -ENOTSUP},
		     {"6.12.111+deb13", 0},
		     {"6.14.0-1018-aws", -ENOTSUP},
		     {"6.18.15", 0},
		     {"7.2.0", 0},
		     {"nonsense", -ENOTSUP}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char problem[256] = "";

		ck_assert_msg(sockmap_judge_release(cases[i].release, problem, sizeof(problem)) ==
				      cases[i].err,
			      "%s", cases[i].release);
		ck_assert_int_eq(!cases[i].err, !problem[0]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xdp sockmap");
	TCase *tcase = tcase_create("joint");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, open_map, close_map);
	tcase_add_test(tcase, bytes_move_both_ways_without_a_reader_in_between);
	tcase_add_test(tcase, bytes_that_were_there_before_are_the_first);
	tcase_add_test(tcase, what_was_relayed_before_is_not_counted);
	tcase_add_test(tcase, a_fin_does_not_overtake_the_bytes_before_it);
	tcase_add_test(tcase, a_retransmission_that_overlaps_is_handed_on_once);
	tcase_add_test(tcase, a_reset_is_told);
	tcase_add_loop_test(tcase, a_peer_that_has_finished_is_refused_and_nothing_is_lost, 0, 2);
	tcase_add_test(tcase, slots_are_used_again_and_run_out);
	tcase_add_test(tcase, this_kernel_passes_the_self_test);
	tcase_add_test(tcase, kernels_known_to_lose_bytes_are_refused);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
