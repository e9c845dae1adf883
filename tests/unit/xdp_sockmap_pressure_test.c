/* SPDX-License-Identifier: Apache-2.0
 *
 * Joined sockets whose peers do not read, or for whom there is no CPU: who is held back, by what,
 * and that every byte is had later. Needs root, as the rig does.
 */
#include "tests/unit/xdp_sockmap_rig.h"

static struct joint_event last_event;
static unsigned event_count;

/* --- what the proxy does --- */

static void on_gate(void *context, const struct joint_event *event)
{
	last_event = *event;
	event_count++;
}

static bool is_gated(unsigned way)
{
	struct sockmap_view view;

	sockmap_look(map, &joint, way, &view);
	return view.gated;
}

static void relay_some(unsigned way)
{
	ssize_t count, taken;

	if (!sockmap_is_written(map, &joint, way, inner[!way]))
		return;
	count = recv(inner[way], buffer, sizeof(buffer), MSG_DONTWAIT | MSG_PEEK);
	if (count <= 0)
		return;
	taken = send(inner[!way], buffer, (size_t)count, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (taken > 0)
		ck_assert_int_eq(recv(inner[way], buffer, (size_t)taken, MSG_DONTWAIT), taken);
}

static void settle_if_pressed(void)
{
	for (unsigned way = 0; way < 2; way++) {
		struct sockmap_view view;

		sockmap_look(map, &joint, way, &view);
		if (view.pressed && !view.gated)
			sockmap_settle(map, &joint, inner, false);
	}
}

/* Sends until nothing is taken for a while: the only way to see that somebody is blocked. */
static void send_until_blocked(unsigned way, uint64_t most)
{
	for (int idle = 0; idle < 50;) {
		struct pollfd at = {.fd = ends[way], .events = POLLOUT};

		settle_if_pressed();
		idle = poll(&at, 1, 10) > 0 && send_some(way, sizeof(buffer)) ? 0 : idle + 1;
		ck_assert_msg(sent[way] <= most, "the sender is not held back");
	}
}

static void drain_by_relay(unsigned way)
{
	uint64_t until_us = clock_us() + PATIENCE_US;

	sockmap_take_over(inner[way], inner[!way]);
	while (got[way] < sent[way]) {
		ck_assert(clock_us() < until_us);
		relay_some(way);
		if (is_readable(ends[!way]))
			ck_assert(receive_some(way));
	}
}

/* --- tests --- */

START_TEST(a_stalled_reader_blocks_the_sender_and_has_every_byte_later)
{
	unsigned way = (unsigned)_i;

	begin_joined();
	exchange(way, 100);
	send_until_blocked(way, UINT64_C(48) << 20);
	ck_assert(is_gated(way) && is_gated(!way));
	sockmap_events(map, on_gate, NULL);
	ck_assert_uint_eq(event_count, 1);
	ck_assert_uint_eq(last_event.index, joint.index + way);
	ck_assert_uint_eq(last_event.serial, joint.serial);
	ck_assert_uint_ne(send_some(!way, 100000), 0); /* the other way goes on */
	drain_by_relay(!way);
	drain_by_relay(way);
	expect_tidy_accounts();
	send_some(way, 100);
	drain_by_relay(way);
	end();
}
END_TEST

/* As if there were no memory to send with. */
static void starve(int fd)
{
	const int size = 1;

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

static void feed_up(int fd)
{
	const int size = 64 << 20;

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)), 0);
}

/* However small their send buffers were. */
START_TEST(a_way_goes_on_while_the_other_one_stands_still)
{
	unsigned way = (unsigned)_i;

	begin();
	starve(inner[CLIENT]);
	starve(inner[BACKEND]);
	join();
	send_until_blocked(!way, UINT64_C(48) << 20);
	send_until_blocked(way, UINT64_C(48) << 20);
	ck_assert(is_gated(way) && is_gated(!way));
	drain_by_relay(way);
	for (unsigned i = 0; i < 20; i++) {
		send_some(way, sizeof(buffer));
		drain_by_relay(way);
	}
	drain_by_relay(!way);
	expect_tidy_accounts();
	end();
}
END_TEST

/* Nobody has the CPU to settle anything. */
static void press_on(unsigned way, size_t message)
{
	const int on = 1;

	setsockopt(ends[way], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (int idle = 0; idle < 30;) {
		struct pollfd at = {.fd = ends[way], .events = POLLOUT};

		idle = poll(&at, 1, 10) > 0 && send_some(way, message) ? 0 : idle + 1;
		ck_assert_msg(sent[way] < UINT64_C(400) << 20, "it queues without bound");
	}
}

/* In large pieces, and in small ones, which take up as much memory. */
START_TEST(who_sends_while_neither_kernel_nor_user_space_has_a_cpu_is_braked)
{
	static const size_t messages[] = {sizeof(buffer), 100};
	struct sockmap_view view;

	begin_joined();
	starve(inner[CLIENT]); /* once they are joined, when it does harm */
	starve(inner[BACKEND]);
	for (unsigned way = 0; way < 2; way++) {
		press_on(way, messages[_i]);
		sockmap_look(map, &joint, way, &view);
		ck_assert(view.pressed && !view.gated && view.lost == JOINT_KEPT);
		ck_assert_uint_lt(view.passed, sent[way]);
	}
	feed_up(inner[CLIENT]);
	feed_up(inner[BACKEND]);
	for (uint64_t until_us = clock_us() + PATIENCE_US; !is_gated(CLIENT);) {
		ck_assert(clock_us() < until_us);
		settle_if_pressed();
		receive_some(CLIENT);
		receive_some(BACKEND);
	}
	drain_by_relay(CLIENT);
	drain_by_relay(BACKEND);
	expect_tidy_accounts();
	end();
}
END_TEST

/* Windows may be larger than what lies between brake and gate: as if there were no brake. */
static void take_brakes_off(void)
{
	for (unsigned leg = 0; leg < 2; leg++)
		ck_assert_int_eq(setsockopt(inner[leg], SOL_SOCKET, SO_DETACH_BPF, &inner[leg],
					    sizeof(inner[leg])),
				 0);
}

START_TEST(what_cannot_be_passed_up_is_bounded_and_said_to_be_lost)
{
	struct sockmap_view view = {.lost = JOINT_KEPT};

	begin_joined();
	take_brakes_off();
	starve(inner[BACKEND]);
	send_until_blocked(CLIENT, UINT64_C(48) << 20);
	while (view.lost == JOINT_KEPT) {
		send_some(BACKEND, sizeof(buffer));
		ck_assert_msg(sent[BACKEND] < UINT64_C(400) << 20, "it queues without bound");
		sockmap_look(map, &joint, BACKEND, &view);
	}
	ck_assert(view.gated && view.lost == JOINT_OVERFULL);
	ck_assert_uint_gt(view.unread, JOINT_UNREAD);
	end();
}
END_TEST

START_TEST(a_gate_falls_even_if_only_one_backend_of_many_stalls)
{
	int other[2][2];

	begin_joined();
	connect_pair(other[0]);
	connect_pair(other[1]);
	for (unsigned i = 0; i < 20; i++) {
		struct sockmap_joint second;
		int fds[2] = {other[0][1], other[1][0]};
		char byte = 'x';

		if (i == 0)
			ck_assert_int_eq(sockmap_join(map, fds, &second), 0);
		ck_assert_int_eq(send(other[0][0], &byte, 1, 0), 1);
		ck_assert_int_eq(recv(other[1][1], &byte, 1, MSG_WAITALL), 1);
		if (i == 10)
			send_until_blocked(CLIENT, UINT64_C(48) << 20);
	}
	ck_assert(is_gated(CLIENT));
	drain_by_relay(CLIENT);
	for (unsigned i = 0; i < 2; i++) {
		close(other[i][0]);
		close(other[i][1]);
	}
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xdp sockmap pressure");
	TCase *tcase = tcase_create("pressure");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, open_map, close_map);
	tcase_add_loop_test(tcase, a_stalled_reader_blocks_the_sender_and_has_every_byte_later, 0,
			    2);
	tcase_add_loop_test(tcase, a_way_goes_on_while_the_other_one_stands_still, 0, 2);
	tcase_add_loop_test(
		tcase, who_sends_while_neither_kernel_nor_user_space_has_a_cpu_is_braked, 0, 2);
	tcase_add_test(tcase, what_cannot_be_passed_up_is_bounded_and_said_to_be_lost);
	tcase_add_test(tcase, a_gate_falls_even_if_only_one_backend_of_many_stalls);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
