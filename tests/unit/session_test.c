/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a session between real sockets: what reaches the other side, in what order it ends,
 * and that every count comes out even. How a backend is found, how it closes and its clocks have
 * tests of their own.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=epoll_ctl,--wrap=mmap */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/unit/session_rig.h"

int __real_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event);
void *__real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);

static int fail_add; /* the n-th EPOLL_CTL_ADD fails */
static bool no_memory;

int __wrap_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
	if (op == EPOLL_CTL_ADD && fail_add && !--fail_add) {
		errno = ENOSPC;
		return -1;
	}
	return __real_epoll_ctl(epoll_fd, op, fd, event);
}

void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (no_memory) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return __real_mmap(at, len, prot, flags, fd, offset);
}

/* Whether session_move() lets this happen; in a child, since it aborts otherwise. */
static bool may_move(int from, int to)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		struct session session = {.state = (uint8_t)from};

		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		session_move(&session, (enum session_state)to);
		_exit(session.state == to ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		ck_assert_int_eq(WTERMSIG(status), SIGABRT);
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

START_TEST(only_the_drawn_transitions_are_allowed)
{
	static const char *const allowed[SESSION_STATES] = {
		[SESSION_ACCEPTED] = ".GQD.O.C", [SESSION_GREETING] = "A......C",
		[SESSION_QUEUED] = "A......C",   [SESSION_DIALING] = "A...R..C",
		[SESSION_RELAYING] = ".....OFC", [SESSION_OFFLOADED] = "....R..C",
		[SESSION_FLUSHING] = ".......C", [SESSION_CLOSED] = "........",
	};

	for (int from = 0; from < SESSION_STATES; from++)
		for (int to = 0; to < SESSION_STATES; to++)
			ck_assert_msg(may_move(from, to) == (allowed[from][to] != '.'), "%d to %d",
				      from, to);
}
END_TEST

START_TEST(bytes_go_both_ways_and_are_counted)
{
	struct target_counts *target;

	rig_open("");
	rig_relay();
	target = &rig.session->target->counts[0].c;
	ck_assert_uint_eq(rig.counts.sessions_open, 1);
	ck_assert_uint_eq(target->open, 1);
	send_pattern(rig.client, 0, 1000);
	rig_until_readable(rig.server);
	expect_pattern(rig.server, 0, 1000);
	send_pattern(rig.server, 0, 3000);
	rig_until_readable(rig.client);
	expect_pattern(rig.client, 0, 3000);
	ck_assert_uint_eq(rig.counts.client_received_bytes, 1000);
	ck_assert_uint_eq(rig.counts.client_sent_bytes, 3000);
	ck_assert_uint_eq(target->sent_bytes, 1000);
	ck_assert_uint_eq(target->received_bytes, 3000);
	ck_assert_uint_eq(rig.session->listener_stats->counts[0].c.received_bytes, 1000);
	ck_assert_uint_eq(rig.session->listener_stats->counts[0].c.sent_bytes, 3000);
	close(rig.client);
	rig.client = -1;
	rig_until_readable(rig.server);
	close(rig.server);
	rig.server = -1;
	rig_expect_end(REASON_CLIENT_FIN);
	ck_assert_uint_eq(target->sessions, 1);
	rig_close();
}
END_TEST

START_TEST(bytes_sent_before_the_backend_is_connected_arrive)
{
	int fds[2];
	struct addr peer;

	rig_open("");
	tcp_pair(fds);
	rig.client = fds[0];
	peer = local_of(fds[0]);
	send_pattern(rig.client, 0, 5000);
	shutdown(rig.client, SHUT_WR);
	wait_for_events(fds[1], POLLRDHUP);
	ck_assert(listener_stats_reserve(rig.snapshot->listeners[0], 0));
	session_begin(&rig.env, rig.view, 0, fds[1], &peer, &peer);
	rig.session = container_of(rig.env.sessions.next, struct session, link);
	rig_until(rig.session->state == SESSION_RELAYING);
	ck_assert_uint_eq(rig.session->to_backend.sent_bytes, 5000); /* in that same turn */
	rig.server = accept_from(rig.listener);
	rig_until_readable(rig.server);
	expect_pattern(rig.server, 0, 5000);
	rig_until_readable(rig.server);
	expect_fin(rig.server);
	close(rig.server);
	rig.server = -1;
	rig_expect_end(REASON_CLIENT_FIN);
	rig_close();
}
END_TEST

START_TEST(backend_that_speaks_first_is_heard_while_the_client_is_silent)
{
	rig_open("");
	rig_relay();
	send_pattern(rig.server, 0, 100);
	rig_until_readable(rig.client);
	expect_pattern(rig.client, 0, 100);
	ck_assert_uint_eq(rig.session->to_backend.bytes, 0);
	session_abort(rig.session, REASON_DRAIN_RST);
	rig_close();
}
END_TEST

/* One side finishes, the other goes on sending, then finishes too. */
static void half_close(int *first, int *second, enum reason reason)
{
	rig_relay();
	send_pattern(*first, 0, 1000);
	shutdown(*first, SHUT_WR);
	rig_until_readable(*second);
	expect_pattern(*second, 0, 1000);
	rig_until_readable(*second);
	expect_fin(*second);
	send_pattern(*second, 0, 200000);
	for (uint64_t got = 0; got < 200000;) {
		rig_until_readable(*first);
		got += take_pattern(*first, got);
	}
	ck_assert_uint_eq(rig.env.session_count, 1);
	close(*second);
	*second = -1;
	rig_until_readable(*first);
	expect_fin(*first);
	rig_expect_end(reason);
}

START_TEST(client_may_finish_first_and_go_on_reading)
{
	rig_open("");
	half_close(&rig.client, &rig.server, REASON_CLIENT_FIN);
	rig_close();
}
END_TEST

START_TEST(backend_may_finish_first_and_go_on_reading)
{
	rig_open("");
	half_close(&rig.server, &rig.client, REASON_BACKEND_FIN);
	rig_close();
}
END_TEST

START_TEST(reset_by_the_client_reaches_the_backend)
{
	rig_open("");
	rig_relay();
	close_hard(rig.client);
	rig.client = -1;
	rig_until_readable(rig.server);
	expect_reset(rig.server);
	rig_expect_end(REASON_CLIENT_RST);
	rig_close();
}
END_TEST

START_TEST(reset_by_the_backend_reaches_the_client)
{
	rig_open("");
	rig_relay();
	close_hard(rig.server);
	rig.server = -1;
	rig_until_readable(rig.client);
	expect_reset(rig.client);
	rig_expect_end(REASON_BACKEND_RST);
	rig_close();
}
END_TEST

START_TEST(urgent_byte_passes_through_a_session)
{
	int at_mark = 0;
	uint8_t byte = pattern_byte(10);

	rig_open("");
	rig_relay();
	send_pattern(rig.client, 0, 10);
	ck_assert_int_eq(send(rig.client, &byte, 1, MSG_OOB), 1);
	send_pattern(rig.client, 11, 10);
	rig_until(rig.session->to_backend.sent_bytes == 21);
	wait_for_events(rig.server, POLLPRI);
	expect_pattern(rig.server, 0, 10);
	ck_assert_int_eq(ioctl(rig.server, SIOCATMARK, &at_mark), 0);
	ck_assert_int_eq(at_mark, 1);
	expect_pattern(rig.server, 10, 11);
	session_abort(rig.session, REASON_DRAIN_RST);
	rig_close();
}
END_TEST

START_TEST(bulk_both_ways_at_once_arrives_unharmed)
{
	enum { TOTAL = 3000000 };
	uint64_t sent[2] = {0}, got[2] = {0};
	int fds[2];

	rig_open("");
	rig_relay();
	fds[0] = rig.client;
	fds[1] = rig.server;
	while (got[0] < TOTAL || got[1] < TOTAL) {
		for (int i = 0; i < 2; i++) {
			uint8_t buf[8192];
			size_t left = (size_t)(TOTAL - sent[i]);
			ssize_t n;

			pattern_fill(buf, sent[i], sizeof(buf));
			n = send(fds[i], buf, left < sizeof(buf) ? left : sizeof(buf),
				 MSG_NOSIGNAL | MSG_DONTWAIT);
			sent[i] += n > 0 ? (uint64_t)n : 0;
			got[!i] += take_pattern(fds[!i], got[!i]);
		}
		rig_turn();
	}
	session_abort(rig.session, REASON_DRAIN_RST);
	rig_close();
}
END_TEST

START_TEST(without_memory_the_client_is_reset_and_its_place_given_back)
{
	rig_open("");
	no_memory = true;
	rig_begin(0);
	no_memory = false;
	expect_reset(rig.client);
	ck_assert_uint_eq(rig.counts.reasons[REASON_NO_MEMORY], 1);
	rig_close();
}
END_TEST

START_TEST(without_room_in_epoll_for_the_backend_the_client_is_reset)
{
	rig_open("");
	fail_add = 1;
	rig_begin(0);
	expect_reset(rig.client);
	ck_assert_uint_eq(rig.counts.reasons[REASON_NO_MEMORY], 1);
	rig_close();
}
END_TEST

START_TEST(without_room_in_epoll_for_the_client_both_are_reset)
{
	rig_open("");
	fail_add = 2;
	rig_begin(0);
	rig.server = accept_from(rig.listener);
	rig_expect_end(REASON_NO_MEMORY);
	expect_reset(rig.client);
	expect_reset(rig.server);
	rig_close();
}
END_TEST

START_TEST(message_costs_one_recv_and_one_send)
{
	rig_open("");
	rig_relay();
	memset(sys_calls, 0, sizeof(sys_calls));
	send_pattern(rig.client, 0, 100);
	rig_until_readable(rig.server);
	ck_assert_uint_eq(sys_calls[SYS_RECV], 1);
	ck_assert_uint_eq(sys_calls[SYS_SEND], 1);
	ck_assert_uint_eq(sys_calls[SYS_EPOLL_CTL], 0);
	session_abort(rig.session, REASON_DRAIN_RST);
	rig_close();
}
END_TEST

START_TEST(many_sessions_end_in_any_order_without_a_trace)
{
	enum { MANY = 100 };
	int clients[MANY], servers[MANY];

	rig_open("");
	for (int i = 0; i < MANY; i++) {
		rig_begin(0);
		clients[i] = rig.client;
		rig_until(rig.session->state == SESSION_RELAYING);
		servers[i] = accept_from(rig.listener);
	}
	rig.client = -1;
	ck_assert_uint_eq(rig.counts.sessions_open, MANY);
	for (int i = 0; i < MANY; i++) {
		if (i % 3)
			close(i % 2 ? clients[i] : servers[i]);
		else
			close_hard(i % 2 ? clients[i] : servers[i]);
	}
	for (int i = 0; i < MANY; i++) {
		rig_until_readable(i % 2 ? servers[i] : clients[i]);
		close(i % 2 ? servers[i] : clients[i]);
	}
	rig_until(!rig.env.session_count);
	rig_close();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		only_the_drawn_transitions_are_allowed,
		bytes_go_both_ways_and_are_counted,
		bytes_sent_before_the_backend_is_connected_arrive,
		backend_that_speaks_first_is_heard_while_the_client_is_silent,
		client_may_finish_first_and_go_on_reading,
		backend_may_finish_first_and_go_on_reading,
		reset_by_the_client_reaches_the_backend,
		reset_by_the_backend_reaches_the_client,
		urgent_byte_passes_through_a_session,
		bulk_both_ways_at_once_arrives_unharmed,
		without_memory_the_client_is_reset_and_its_place_given_back,
		without_room_in_epoll_for_the_backend_the_client_is_reset,
		without_room_in_epoll_for_the_client_both_are_reset,
		message_costs_one_recv_and_one_send,
		many_sessions_end_in_any_order_without_a_trace,
	};

	return run_tests("session", tests, COUNT(tests));
}
