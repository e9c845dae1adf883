/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding a backend: retries and what limits them, each way of finding nobody with its own reason,
 * and that an attempt that fails leaves nothing behind. A backend that does not answer is one whose
 * accept queue is full: the kernel drops its SYNs.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=socket,--wrap=connect */
#include "tests/unit/session_rig.h"

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __real_connect(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len);

static int socket_errno, connect_errno; /* of every call until it is 0 again */
int __wrap_socket(int domain, int type, int protocol)
{
	if (socket_errno) {
		errno = socket_errno;
		return -1;
	}
	return __real_socket(domain, type, protocol);
}

int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	if (connect_errno) {
		errno = connect_errno;
		return -1;
	}
	return __real_connect(fd, sa, len);
}

/* An address at which nobody listens, and nobody will: it is bound, for as long as the test runs.
 */
static const char *refusing(void)
{
	static char text[ADDR_TEXT];
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct addr addr;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	addr = local_of(fd);
	return addr_format(&addr, text);
}

/* So many targets that refuse, then `last`, in which @ is the backend. */
static void open_with_refusing(const char *pool, int refusals, const char *last)
{
	char list[512];
	size_t len = 0;

	for (int i = 0; i < refusals; i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "\"%s\", ", refusing());
	snprintf(list + len, sizeof(list) - len, "%s", last);
	rig_open_with("", pool, list, "log: json");
}

/* A client with `len` bytes sent already; what the calls come to is set once it is connected. */
static void begin_under(size_t len, int socket_fails, int connect_fails)
{
	int fds[2];
	struct addr peer;

	tcp_pair(fds);
	rig.client = fds[0];
	peer = local_of(fds[0]);
	send_pattern(rig.client, 0, len);
	if (len)
		wait_for_events(fds[1], POLLIN);
	ck_assert(listener_stats_reserve(rig.snapshot->listeners[0], 0));
	socket_errno = socket_fails;
	connect_errno = connect_fails;
	session_begin(&rig.env, rig.view, 0, fds[1], &peer, &peer);
	socket_errno = connect_errno = 0;
	rig.session = list_empty(&rig.env.sessions)
			      ? NULL
			      : container_of(rig.env.sessions.prev, struct session, link);
}

START_TEST(refused_attempt_is_retried_on_another_target_and_loses_no_byte)
{
	struct pool *pool;

	open_with_refusing(", balance: first", 2, "@");
	pool = &rig.snapshot->pools[0];
	begin_under(1000, 0, 0);
	rig_until(rig.session->state == SESSION_RELAYING);
	rig.server = accept_from(rig.listener);
	rig_until_readable(rig.server);
	expect_pattern(rig.server, 0, 1000);
	ck_assert_uint_eq(rig.session->retries, 2);
	ck_assert_uint_eq(rig.counts.retries, 2);
	ck_assert_uint_eq(rig.counts.connects, 3);
	ck_assert_uint_eq(pool->targets[0]->counts[0].c.connect_failures, 1);
	ck_assert_uint_eq(pool->targets[1]->counts[0].c.connect_failures, 1);
	ck_assert_uint_eq(pool->targets[1]->counts[0].c.retries, 1);
	ck_assert_uint_eq(pool->targets[2]->counts[0].c.retries, 1);
	ck_assert_uint_eq(target_inflight(pool->targets[0]), 0);
	ck_assert_uint_eq(target_inflight(pool->targets[2]), 1);
	session_abort(rig.session, REASON_DRAIN_RST);
	rig_close();
}
END_TEST

START_TEST(retries_are_bounded_and_the_last_failure_is_the_reason)
{
	open_with_refusing(", balance: first, retries: 1", 2, "@");
	rig_begin(0);
	rig_expect_end(REASON_CONNECT_REFUSED);
	ck_assert_uint_eq(rig.counts.connects, 2);
	rig_until_readable(rig.client);
	expect_reset(rig.client);
	rig_close();
}
END_TEST

START_TEST(no_retry_when_none_is_configured)
{
	open_with_refusing(", balance: first, retries: 0", 1, "@");
	rig_begin(0);
	rig_expect_end(REASON_CONNECT_REFUSED);
	ck_assert_uint_eq(rig.counts.connects, 1);
	ck_assert_uint_eq(rig.counts.retries_denied, 0);
	rig_close();
}
END_TEST

START_TEST(all_targets_tried_ends_with_the_last_failure)
{
	open_with_refusing(", balance: first, retries: 5", 1, "");
	rig_begin(0);
	rig_expect_end(REASON_CONNECT_REFUSED);
	ck_assert_uint_eq(rig.counts.connects, 1);
	rig_close();
}
END_TEST

START_TEST(spent_retry_budget_denies_a_retry)
{
	open_with_refusing(", balance: first, retry_budget: 0%", 1, "@");
	rig.view->pools[0].retry_tokens = 0;
	rig.view->pools[0].budget_refilled_us = rig_now_us;
	rig_begin(0);
	rig_expect_end(REASON_CONNECT_REFUSED);
	ck_assert_uint_eq(rig.counts.retries_denied, 1);
	ck_assert_uint_eq(rig.counts.connects, 1);
	rig_close();
}
END_TEST

static void expect_none(const char *targets, enum reason reason)
{
	rig_open_with("", "", targets, "log: json");
	rig_begin(0);
	rig_expect_end(reason);
	expect_reset(rig.client);
	ck_assert_uint_eq(rig.counts.connects, 0);
	rig_close();
}

START_TEST(draining_pool_says_so)
{
	expect_none("{address: @, weight: 0}", REASON_POOL_DRAINING);
}
END_TEST

START_TEST(pool_whose_names_do_not_resolve_is_down)
{
	expect_none("\"x.test:80\"", REASON_POOL_DOWN);
}
END_TEST

START_TEST(pool_without_targets_is_empty)
{
	rig_open_with("", ", discover: {file: {path: /x, format: json}}", "", "log: json");
	rig_begin(0);
	rig_expect_end(REASON_POOL_EMPTY);
	expect_reset(rig.client);
	rig_close();
}
END_TEST

START_TEST(full_pool_says_so_and_has_room_again_when_a_session_ends)
{
	struct session *first;
	int client;

	rig_open_with("", "", "{address: @, max_connections: 1}", "log: json");
	rig_relay();
	first = rig.session;
	client = rig.client;
	rig_begin(0);
	ck_assert_uint_eq(rig.counts.reasons[REASON_POOL_FULL], 1);
	expect_reset(rig.client);
	close(rig.client);
	session_abort(first, REASON_DRAIN_RST);
	close(client);
	close(rig.server);
	rig_relay();
	session_abort(rig.session, REASON_DRAIN_RST);
	rig_close();
}
END_TEST

START_TEST(without_an_fd_no_retry_is_made)
{
	rig_open_with("", "", "@, \"127.0.0.1:1\"", "log: json");
	begin_under(0, EMFILE, 0);
	rig_expect_end(REASON_NO_FD);
	ck_assert_uint_eq(rig.counts.connects, 1);
	expect_reset(rig.client);
	rig_close();
}
END_TEST

/* A session whose every connect() says `error`. */
static void expect_dial_error(int error, enum reason reason)
{
	rig_open(", retries: 0");
	begin_under(0, 0, error);
	rig_expect_end(reason);
	expect_reset(rig.client);
	ck_assert_uint_eq(rig.counts.source_port_exhausted, reason == REASON_NO_SOURCE_PORT);
	rig_close();
}

START_TEST(reason_names_why_a_connect_could_not_begin)
{
	expect_dial_error(EADDRNOTAVAIL, REASON_NO_SOURCE_PORT);
	expect_dial_error(ENETUNREACH, REASON_CONNECT_UNREACHABLE);
	expect_dial_error(EACCES, REASON_CONNECT_UNREACHABLE);
	expect_dial_error(ENOBUFS, REASON_NO_MEMORY);
	expect_dial_error(ECONNREFUSED, REASON_CONNECT_REFUSED);
}
END_TEST

/* Fill the backend's accept queue, so that further SYNs are dropped. */
static int fillers[16];
static int filled;

static void stop_answering(void)
{
	ck_assert_int_eq(listen(rig.listener, 0), 0);
	for (filled = 0; filled < (int)COUNT(fillers); filled++) {
		struct pollfd poll_fd = {.events = POLLOUT};

		fillers[filled] = poll_fd.fd = start_connect_to(&rig.backend);
		if (!poll(&poll_fd, 1, 100)) {
			filled++;
			return;
		}
	}
	ck_abort_msg("the backend goes on answering");
}

static void close_fillers(void)
{
	while (filled)
		close(fillers[--filled]);
}

START_TEST(connect_deadline_ends_a_dial_that_nobody_answers)
{
	rig_open(", timeouts: {connect: 2s}");
	stop_answering();
	rig_begin(0);
	ck_assert_uint_eq(rig.session->state, SESSION_DIALING);
	rig_pass(51);
	rig_pass(1900);
	ck_assert_uint_eq(rig.env.session_count, 1);
	rig_pass(50);
	rig_expect_end(REASON_CONNECT_TIMEOUT);
	rig_until_readable(rig.client);
	expect_reset(rig.client);
	close_fillers();
	rig_close();
}
END_TEST

START_TEST(timed_out_dial_is_retried_elsewhere)
{
	struct addr other;
	int listener = listen_on("127.0.0.1:0", 8);
	char list[128], text[ADDR_TEXT];

	other = local_of(listener);
	snprintf(list, sizeof(list), "@, \"%s\"", addr_format(&other, text));
	rig_open_with("", ", balance: first, timeouts: {connect: 2s}", list, "log: json");
	stop_answering();
	rig_begin(0);
	rig_pass(51);
	rig_pass(2000);
	rig_until(rig.session->state == SESSION_RELAYING);
	rig.server = accept_from(listener);
	ck_assert_uint_eq(rig.session->retries, 1);
	send_pattern(rig.client, 0, 100);
	rig_until_readable(rig.server);
	expect_pattern(rig.server, 0, 100);
	session_abort(rig.session, REASON_DRAIN_RST);
	close_fillers();
	rig_close();
	close(listener);
}
END_TEST

START_TEST(client_that_gives_up_on_a_slow_dial_is_noticed)
{
	rig_open("");
	stop_answering();
	rig_begin(0);
	ck_assert(!rig.session->client.registered);
	rig_pass(51);
	ck_assert(rig.session->client.registered);
	close_hard(rig.client);
	rig.client = -1;
	rig_expect_end(REASON_CLIENT_ABORT);
	close_fillers();
	rig_close();
}
END_TEST

START_TEST(bytes_and_fin_of_a_client_during_a_slow_dial_wait_for_the_next_backend)
{
	struct addr other;
	int listener = listen_on("127.0.0.1:0", 8);
	char list[128], text[ADDR_TEXT];

	other = local_of(listener);
	snprintf(list, sizeof(list), "@, \"%s\"", addr_format(&other, text));
	rig_open_with("", ", balance: first, timeouts: {connect: 2s}", list, "log: json");
	stop_answering();
	rig_begin(0);
	rig_pass(51);
	send_pattern(rig.client, 0, 1000);
	shutdown(rig.client, SHUT_WR);
	wait_for_events(rig.session->client.source.fd, POLLRDHUP);
	rig_turn();
	ck_assert_uint_eq(rig.session->state, SESSION_DIALING);
	rig_pass(2000);
	rig.server = accept_from(listener);
	rig_until_readable(rig.server);
	expect_pattern(rig.server, 0, 1000);
	rig_until_readable(rig.server);
	expect_fin(rig.server);
	close(rig.server);
	rig.server = -1;
	rig_expect_end(REASON_CLIENT_FIN);
	close_fillers();
	rig_close();
	close(listener);
}
END_TEST

START_TEST(sources_take_turns_and_those_of_other_families_are_skipped)
{
	static const char *const expected[] = {"127.0.0.5", "127.0.0.6", "127.0.0.5"};

	rig_open(", source: [127.0.0.5, \"::1\", 127.0.0.6]");
	for (size_t i = 0; i < COUNT(expected); i++) {
		struct addr local;
		char text[ADDR_TEXT];

		rig_relay();
		local = local_of(rig.session->backend.source.fd);
		ck_assert_str_eq(addr_format_host(&local, text), expected[i]);
		session_abort(rig.session, REASON_DRAIN_RST);
		close(rig.client);
		close(rig.server);
	}
	rig.client = rig.server = -1;
	rig_close();
}
END_TEST

/* Whether the queue towards `to` has all its eight ports but the one that this takes. */
static void expect_ports_back(const struct addr *to)
{
	struct port_lease lease = ports_take(rig.env.ports, NULL, to, 1000);

	ck_assert_ptr_nonnull(lease.queue);
	ck_assert_uint_eq(ports_left(&lease), 7);
	ports_give_back(&lease);
}

START_TEST(source_port_comes_back_from_a_failed_attempt_and_from_a_session)
{
	struct pool *pool;

	open_with_refusing(", balance: first", 1, "@");
	pool = &rig.snapshot->pools[0];
	ports_set_range(rig.env.ports, 19000, 19007); /* nobody is given those */
	for (int i = 0; i < 3; i++) {
		rig_relay();
		session_abort(rig.session, REASON_DRAIN_RST);
		close(rig.client);
		close(rig.server);
	}
	rig.client = rig.server = -1;
	expect_ports_back(&pool->targets[0]->addr);
	expect_ports_back(&pool->targets[1]->addr);
	rig_close();
}
END_TEST

static int fast_open_of(const struct leg *leg)
{
	int value = -1;

	ck_assert_int_eq(getsockopt(leg->source.fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &value,
				    &(socklen_t){sizeof(value)}),
			 0);
	return value;
}

START_TEST(fast_open_is_used_only_when_configured_and_while_client_bytes_wait)
{
	rig_open(", tcp: {fast_open: true}");
	rig_begin(0);
	ck_assert_int_eq(fast_open_of(&rig.session->backend), 0);
	session_abort(rig.session, REASON_DRAIN_RST);
	close(rig.client);
	begin_under(10, 0, 0);
	ck_assert_int_eq(fast_open_of(&rig.session->backend), 1);
	session_abort(rig.session, REASON_DRAIN_RST);
	rig_close();
	rig_open("");
	begin_under(10, 0, 0);
	ck_assert_int_eq(fast_open_of(&rig.session->backend), 0);
	session_abort(rig.session, REASON_DRAIN_RST);
	rig_close();
}
END_TEST

START_TEST(no_more_targets_are_tried_than_a_session_can_remember)
{
	open_with_refusing(", balance: first, retries: 7", POOL_TRIED_MAX + 2, "@");
	rig_begin(0);
	rig_expect_end(REASON_CONNECT_REFUSED);
	ck_assert_uint_eq(rig.counts.connects, POOL_TRIED_MAX);
	rig_close();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		refused_attempt_is_retried_on_another_target_and_loses_no_byte,
		retries_are_bounded_and_the_last_failure_is_the_reason,
		no_retry_when_none_is_configured,
		all_targets_tried_ends_with_the_last_failure,
		spent_retry_budget_denies_a_retry,
		draining_pool_says_so,
		pool_whose_names_do_not_resolve_is_down,
		pool_without_targets_is_empty,
		full_pool_says_so_and_has_room_again_when_a_session_ends,
		without_an_fd_no_retry_is_made,
		reason_names_why_a_connect_could_not_begin,
		connect_deadline_ends_a_dial_that_nobody_answers,
		timed_out_dial_is_retried_elsewhere,
		client_that_gives_up_on_a_slow_dial_is_noticed,
		bytes_and_fin_of_a_client_during_a_slow_dial_wait_for_the_next_backend,
		sources_take_turns_and_those_of_other_families_are_skipped,
		source_port_comes_back_from_a_failed_attempt_and_from_a_session,
		fast_open_is_used_only_when_configured_and_while_client_bytes_wait,
		no_more_targets_are_tried_than_a_session_can_remember,
	};

	return run_tests("session_choose", tests, COUNT(tests));
}
