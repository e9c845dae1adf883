/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker and its orders, as main gives them. The worker is a real thread in real time; what it
 * does is seen on real sockets and in its answers.
 */
/* link: -Wl,--wrap=epoll_create1 */
#include <sys/epoll.h>

#include "tests/unit/worker_rig.h"

int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);

static bool no_epoll;

int __wrap_epoll_create1(int flags)
{
	if (no_epoll) {
		errno = EMFILE;
		return -1;
	}
	return __real_epoll_create1(flags);
}

START_TEST(worker_comes_up_and_stops_without_a_trace)
{
	start("");
	ck_assert(worker_has_own_fds(rig.worker) == OWN_FDS);
	ck_assert_ptr_nonnull(worker_counts(rig.worker)->sys_calls);
	stop();
}
END_TEST

START_TEST(worker_that_shares_its_fds_stops_without_a_trace_too)
{
	prepare("");
	rig.conf.own_fds = false;
	ck_assert_int_eq(worker_start(&rig.conf, &rig.worker), 0);
	ck_assert(!worker_has_own_fds(rig.worker));
	stop();
}
END_TEST

START_TEST(worker_that_cannot_come_up_says_so_and_leaves_nothing)
{
	for (int own = 0; own <= OWN_FDS; own++) {
		prepare("");
		rig.conf.own_fds = own;
		no_epoll = true;
		ck_assert_int_eq(worker_start(&rig.conf, &rig.worker), -EMFILE);
		no_epoll = false;
		ck_assert_uint_eq(rig.conf.snapshot->refs, 1);
		snapshot_put(rig.conf.snapshot);
		plan_forget();
		close_fds();
		ck_assert_int_eq(open_fds(), rig.fds_before);
	}
}
END_TEST

START_TEST(worker_serves_a_socket_that_main_has_closed)
{
	int client, server;

	start("");
	ck_assert_int_eq(tell(listen_order(), rig.front), 0);
	close(rig.front);
	client = serve(&server);
	ck_assert_uint_eq(count_read(&worker_counts(rig.worker)->sessions), 1);
	close(client);
	close(server);
	rig.front = open("/dev/null", O_RDONLY); /* for stop() to close */
	stop();
}
END_TEST

START_TEST(unknown_order_is_refused)
{
	start("");
	ck_assert_int_eq(tell_op(WORKER_OPS), -EINVAL);
	ck_assert_int_eq(tell_op(WORKER_READY), -EINVAL);
	stop();
}
END_TEST

START_TEST(listener_that_the_configuration_does_not_have_is_refused)
{
	struct worker_message order = listen_order();

	start("");
	order.bound = addr_of("127.0.0.1:81");
	ck_assert_int_lt(tell(order, rig.front), 0);
	ck_assert_int_lt(tell(listen_order(), -1), 0); /* without a socket */
	stop();
}
END_TEST

START_TEST(every_order_of_many_is_answered_in_turn)
{
	start("");
	for (uint64_t i = 0; i < 50; i++) {
		struct worker_message order = {.op = WORKER_DRAIN, .key = 1000 + i};

		ck_assert_int_eq(worker_send(rig.worker, &order, -1), 0);
	}
	for (uint64_t i = 0; i < 50; i++) {
		struct worker_message answer = await();

		ck_assert_uint_eq(answer.key, 1000 + i);
		ck_assert_int_eq(answer.err, 0);
	}
	stop();
}
END_TEST

START_TEST(new_view_serves_new_sessions_and_old_ones_keep_theirs)
{
	int other, client, server, next_client, next_server;
	struct snapshot *next;
	struct addr addr;
	char text[ADDR_TEXT];

	start("");
	other = listen_on("127.0.0.1:0", 8);
	addr = local_of(other);
	ck_assert_int_eq(tell(listen_order(), rig.front), 0);
	client = serve(&server);
	next = build("", addr_format(&addr, text));
	ck_assert_int_eq(tell((struct worker_message){.op = WORKER_VIEW, .snapshot = next}, -1), 0);
	ck_assert_uint_eq(rig.conf.snapshot->refs, 2); /* ours, the session's */
	next_client = connect_to(&rig.front_addr);
	next_server = accept_from(other);
	send_pattern(client, 1000, 10);
	expect_pattern(server, 1000, 10);
	ck_assert_int_eq(tell_op(WORKER_ABORT), 0);
	ck_assert_int_eq(tell_op(WORKER_OPS), -EINVAL); /* a turn later */
	ck_assert_uint_eq(rig.conf.snapshot->refs, 1);
	close(client);
	close(server);
	close(next_client);
	close(next_server);
	close(other);
	stop();
	ck_assert_uint_eq(next->refs, 1);
	snapshot_put(next);
}
END_TEST

START_TEST(drain_and_unlisten_accept_whoever_was_queued)
{
	struct worker_message orders[] = {
		listen_order(), {.op = WORKER_DRAIN, .key = 7}, {.op = WORKER_UNLISTEN, .key = 7}};
	int clients[20], servers[20];

	start("");
	orders[0] = listen_order();
	for (int i = 0; i < 20; i++)
		clients[i] = connect_to(&rig.front_addr);
	for (size_t i = 0; i < COUNT(orders); i++)
		ck_assert_int_eq(worker_send(rig.worker, &orders[i], i ? -1 : rig.front), 0);
	for (size_t i = 0; i < COUNT(orders); i++)
		ck_assert_int_eq(await().err, 0);
	close(rig.front);
	rig.front = open("/dev/null", O_RDONLY);
	for (int i = 0; i < 20; i++) {
		servers[i] = accept_from(rig.backend);
		expect_silence(clients[i]);
	}
	ck_assert_uint_eq(count_read(&worker_counts(rig.worker)->sessions), 20);
	ck_assert_int_eq(tell_op(WORKER_ABORT), 0);
	for (int i = 0; i < 20; i++) {
		expect_reset(clients[i]);
		close(clients[i]);
		close(servers[i]);
	}
	stop();
}
END_TEST

START_TEST(close_order_ends_quiet_sessions_with_fin)
{
	int client, server;

	start("");
	ck_assert_int_eq(tell(listen_order(), rig.front), 0);
	client = serve(&server);
	ck_assert_int_eq(
		tell((struct worker_message){.op = WORKER_CLOSE, .jitter_ms = 0, .wait_ms = 60000},
		     -1),
		0);
	expect_fin(client);
	expect_fin(server);
	close(client);
	close(server);
	stop();
}
END_TEST

START_TEST(close_order_without_time_to_wait_resets)
{
	int client, server;

	start("");
	ck_assert_int_eq(tell(listen_order(), rig.front), 0);
	client = serve(&server);
	ck_assert_int_eq(tell((struct worker_message){.op = WORKER_CLOSE}, -1), 0);
	expect_reset(client);
	expect_reset(server);
	close(client);
	close(server);
	stop();
}
END_TEST

START_TEST(longest_jitter_is_a_jitter_too)
{
	int client, server;

	start("");
	ck_assert_int_eq(tell(listen_order(), rig.front), 0);
	client = serve(&server);
	ck_assert_int_eq(
		tell((struct worker_message){.op = WORKER_CLOSE, .jitter_ms = UINT32_MAX}, -1), 0);
	ck_assert_int_eq(tell_op(WORKER_ABORT), 0);
	close(client);
	close(server);
	stop();
}
END_TEST

START_TEST(stop_resets_sessions_that_are_left)
{
	int client, server;

	start("");
	ck_assert_int_eq(tell(listen_order(), rig.front), 0);
	client = serve(&server);
	ck_assert_int_eq(tell_op(WORKER_STOP), 0);
	expect_reset(client);
	expect_reset(server);
	close(client);
	close(server);
	worker_join(rig.worker);
	ck_assert_uint_eq(rig.conf.snapshot->refs, 1);
	snapshot_put(rig.conf.snapshot);
	plan_forget();
	close_fds();
	ck_assert_int_eq(open_fds(), rig.fds_before);
}
END_TEST

START_TEST(limit_of_the_process_is_held_and_given_back)
{
	int client, server, refused;

	prepare("");
	rig.conf.total_limit = 1;
	ck_assert_int_eq(worker_start(&rig.conf, &rig.worker), 0);
	ck_assert_int_eq(tell(listen_order(), rig.front), 0);
	client = serve(&server);
	ck_assert_uint_eq(rig.total_open, 1);
	refused = connect_to(&rig.front_addr);
	expect_reset(refused);
	close(refused);
	ck_assert_int_eq(tell_op(WORKER_ABORT), 0);
	ck_assert_uint_eq(rig.total_open, 0);
	close(client);
	close(server);
	client = serve(&server);
	close(client);
	close(server);
	ck_assert_int_eq(tell_op(WORKER_ABORT), 0);
	stop();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		worker_comes_up_and_stops_without_a_trace,
		worker_that_shares_its_fds_stops_without_a_trace_too,
		worker_that_cannot_come_up_says_so_and_leaves_nothing,
		worker_serves_a_socket_that_main_has_closed,
		unknown_order_is_refused,
		listener_that_the_configuration_does_not_have_is_refused,
		every_order_of_many_is_answered_in_turn,
		new_view_serves_new_sessions_and_old_ones_keep_theirs,
		drain_and_unlisten_accept_whoever_was_queued,
		close_order_ends_quiet_sessions_with_fin,
		close_order_without_time_to_wait_resets,
		longest_jitter_is_a_jitter_too,
		stop_resets_sessions_that_are_left,
		limit_of_the_process_is_held_and_given_back,
	};

	return run_tests("worker", tests, COUNT(tests));
}
