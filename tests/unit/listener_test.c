/* SPDX-License-Identifier: Apache-2.0
 *
 * Accepting: how many at a time, what happens without fds or places, and that neither a drain nor a
 * stop resets anybody who is queued. Clients are real; fds run out by a real rlimit.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=accept4,--wrap=epoll_ctl */
#include <linux/filter.h>
#include <sys/resource.h>

#include "proxy/base/log.h"
#include "proxy/listener.h"
#include "tests/unit/session_rig.h"

int __real_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags);
int __real_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event);

static struct {
	struct listener_env env;
	struct listener *listener;
	struct addr addr; /* where clients connect */
	int fd;
	int clients[128];
	int count;
	_Atomic uint32_t total_open;
} front;

static int accept_errnos[8]; /* of the next calls on the front's socket; 0 ends them */
static unsigned accept_next;
static int fail_add;

int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	if (fd == front.fd && accept_errnos[accept_next]) {
		errno = accept_errnos[accept_next++];
		return -1;
	}
	return __real_accept4(fd, sa, len, flags);
}

int __wrap_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
	if (op == EPOLL_CTL_ADD && fail_add && !--fail_add) {
		errno = ENOMEM;
		return -1;
	}
	return __real_epoll_ctl(epoll_fd, op, fd, event);
}

/* What the worker does when a session ends. */
static void on_end(struct session_env *env)
{
	rig.ended++;
	if (front.env.total_limit)
		atomic_fetch_sub(&front.total_open, 1);
	if (front.env.paused)
		listener_resume(front.listener);
}

static void make_front(const char *listener)
{
	struct addr bound = addr_of("127.0.0.1:80");

	log_set_level(LOG_ERROR);
	memset(&front, 0, sizeof(front));
	rig_open_with(listener, "", "@", "log: off");
	rig.env.on_end = on_end;
	front.env = (struct listener_env){.sessions = &rig.env,
					  .view = &rig.view,
					  .total_open = &front.total_open,
					  .worker_limit = 1000,
					  .reserve_fd = dup(rig.listener)};
	front.fd = listen_on("127.0.0.1:0", 128);
	fcntl(front.fd, F_SETFL, O_NONBLOCK);
	front.addr = local_of(front.fd);
	front.listener = listener_start(&front.env, front.fd, &bound, &front.addr, 7, false);
	ck_assert_ptr_nonnull(front.listener);
}

static void connect_clients(int count)
{
	while (count--)
		front.clients[front.count++] = connect_to(&front.addr);
}

static void close_front(void)
{
	if (front.listener)
		listener_stop(front.listener);
	while (!list_empty(&rig.env.sessions))
		session_abort(container_of(rig.env.sessions.next, struct session, link),
			      REASON_DRAIN_RST);
	rig_turn();
	for (int i = 0; i < front.count; i++)
		close(front.clients[i]);
	close(front.env.reserve_fd);
	ck_assert_uint_eq(front.env.paused, 0);
	ck_assert_uint_eq(front.total_open, 0);
	/* What was turned away has a reason, but was no session. */
	rig.counts.reasons[REASON_LIMIT] = rig.counts.reasons[REASON_NO_FD] = 0;
	rig_close();
}

static struct listener_counts *counts(void)
{
	return &rig.snapshot->listeners[0]->counts[0].c;
}

START_TEST(accepted_client_gets_a_session_that_knows_both_addresses)
{
	struct session *session;
	struct addr peer;

	make_front("");
	connect_clients(1);
	rig_until(rig.counts.sessions == 1);
	session = container_of(rig.env.sessions.next, struct session, link);
	peer = local_of(front.clients[0]);
	ck_assert(addr_equal(&session->client.peer, &peer));
	ck_assert(addr_equal(&session->client.local, &front.addr));
	ck_assert(fcntl(session->client.source.fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(session->client.source.fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_uint_eq(counts()->accepted, 1);
	ck_assert_uint_eq(counts()->open, 1);
	close_front();
}
END_TEST

START_TEST(single_client_costs_a_single_accept)
{
	make_front("");
	memset(sys_calls, 0, sizeof(sys_calls));
	connect_clients(1);
	wait_for_events(front.fd, POLLIN);
	rig_turn();
	ck_assert_uint_eq(rig.counts.sessions, 1);
	ck_assert_uint_eq(sys_calls[SYS_ACCEPT], 1);
	close_front();
}
END_TEST

START_TEST(bursts_double_under_a_flood_up_to_their_bound_and_fall_back)
{
	static const unsigned after[] = {1, 3, 7, 15, 31, 63, 100};

	make_front("");
	connect_clients(100);
	for (size_t i = 0; i < COUNT(after); i++) {
		rig_turn();
		ck_assert_uint_eq(rig.counts.sessions, after[i]);
		ck_assert_uint_le(front.listener->burst, 64);
	}
	ck_assert_uint_eq(front.listener->burst, 37); /* what the last one found */
	connect_clients(1);
	rig_turn();
	ck_assert_uint_eq(rig.counts.sessions, 101);
	ck_assert_uint_eq(front.listener->burst, 1);
	close_front();
}
END_TEST

START_TEST(burst_never_exceeds_its_bound)
{
	make_front("");
	front.listener->burst = 63;
	connect_clients(63);
	rig_turn();
	ck_assert_uint_eq(rig.counts.sessions, 63);
	ck_assert_uint_eq(front.listener->burst, 64);
	close_front();
}
END_TEST

START_TEST(clients_that_went_away_in_the_queue_are_skipped)
{
	make_front("");
	connect_clients(1);
	accept_errnos[0] = ECONNABORTED;
	accept_errnos[1] = EINTR;
	accept_errnos[2] = EPROTO;
	rig_until(rig.counts.sessions == 1);
	ck_assert_uint_eq(accept_next, 3);
	close_front();
}
END_TEST

START_TEST(without_fds_the_listener_rests_and_resumes_by_the_clock)
{
	make_front("");
	connect_clients(1);
	accept_errnos[0] = EMFILE;
	rig_turn();
	ck_assert_uint_eq(rig.counts.sessions, 0);
	ck_assert_uint_eq(rig.counts.accept_pauses, 1);
	ck_assert_uint_eq(front.env.paused, 1);
	memset(sys_calls, 0, sizeof(sys_calls));
	rig_pass(99);
	rig_turn();
	ck_assert_uint_eq(sys_calls[SYS_ACCEPT], 0);
	rig_pass(2);
	rig_turn();
	ck_assert_uint_eq(front.env.paused, 0);
	ck_assert_uint_eq(rig.counts.sessions, 1);
	close_front();
}
END_TEST

START_TEST(every_kind_of_shortage_is_a_reason_to_rest)
{
	static const int shortages[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};

	make_front("");
	connect_clients(1);
	for (size_t i = 0; i < COUNT(shortages); i++) {
		accept_errnos[0] = shortages[i];
		accept_next = 0;
		rig_turn();
		ck_assert_uint_eq(front.env.paused, 1);
		listener_resume(front.listener);
		listener_resume(front.listener); /* harmless */
		ck_assert_uint_eq(front.env.paused, 0);
	}
	ck_assert_uint_eq(rig.counts.accept_pauses, 1); /* one long pause */
	close_front();
}
END_TEST

START_TEST(client_that_gets_in_begins_the_count_of_the_pause_anew)
{
	make_front("");
	connect_clients(2);
	accept_errnos[0] = EMFILE;
	rig_turn();
	listener_resume(front.listener);
	rig_turn();
	ck_assert_uint_eq(rig.counts.sessions, 1);
	rig_pass(2000);
	ck_assert_uint_eq(rig.counts.sessions, 2);
	connect_clients(1);
	accept_errnos[0] = EMFILE;
	accept_next = 0;
	rig_turn();
	ck_assert_uint_eq(rig.counts.accept_pauses, 2);
	ck_assert_uint_eq(counts()->shed, 0); /* not yet: it rests only now */
	close_front();
}
END_TEST

START_TEST(end_of_a_session_ends_a_pause)
{
	make_front("");
	connect_clients(2);
	rig_turn();
	ck_assert_uint_eq(rig.env.session_count, 1);
	accept_errnos[0] = EMFILE;
	rig_turn();
	ck_assert_uint_eq(front.env.paused, 1);
	session_abort(container_of(rig.env.sessions.next, struct session, link), REASON_DRAIN_RST);
	ck_assert_uint_eq(front.env.paused, 0);
	rig_turn();
	ck_assert_uint_eq(rig.counts.sessions, 2);
	close_front();
}
END_TEST

START_TEST(pause_that_cannot_end_for_want_of_memory_goes_on)
{
	make_front("");
	connect_clients(1);
	accept_errnos[0] = EMFILE;
	rig_turn();
	fail_add = 1;
	rig_pass(101);
	ck_assert_uint_eq(front.env.paused, 1);
	rig_pass(101);
	ck_assert_uint_eq(front.env.paused, 0);
	rig_turn();
	ck_assert_uint_eq(rig.counts.sessions, 1);
	close_front();
}
END_TEST

START_TEST(after_a_second_without_fds_clients_are_reset_with_the_reserved_one)
{
	struct rlimit before, tight;
	int spare;

	make_front("");
	connect_clients(3);
	spare = dup(0); /* all below it are taken, so that there is none beyond the limit's end */
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = before;
	tight.rlim_cur = (rlim_t)spare + 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
	rig_turn();
	ck_assert_uint_eq(front.env.paused, 1);
	for (int i = 0; i < 10; i++) {
		ck_assert_uint_eq(rig.counts.reasons[REASON_NO_FD], 0);
		rig_pass(101);
		rig_turn();
	}
	ck_assert_uint_eq(rig.counts.reasons[REASON_NO_FD], 3);
	ck_assert_uint_eq(counts()->shed, 3);
	ck_assert_int_ge(front.env.reserve_fd, 0); /* and is there again */
	ck_assert_uint_eq(rig.counts.accept_pauses, 1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	for (int i = 0; i < 3; i++)
		expect_reset(front.clients[i]);
	close(spare);
	close_front();
}
END_TEST

START_TEST(full_listener_resets_the_next_client)
{
	make_front(", max_connections: 2");
	connect_clients(3);
	rig_until(counts()->shed);
	ck_assert_uint_eq(rig.counts.sessions, 2);
	ck_assert_uint_eq(rig.counts.reasons[REASON_LIMIT], 1);
	ck_assert_uint_eq(counts()->accepted, 3);
	expect_reset(front.clients[2]);
	session_abort(container_of(rig.env.sessions.next, struct session, link), REASON_DRAIN_RST);
	connect_clients(1);
	rig_until(rig.counts.sessions == 3);
	close_front();
}
END_TEST

START_TEST(limit_of_the_process_is_exact_over_all_workers)
{
	make_front("");
	front.env.total_limit = 3;
	front.total_open = 2; /* another worker's */
	connect_clients(2);
	rig_until(counts()->shed);
	ck_assert_uint_eq(rig.counts.sessions, 1);
	ck_assert_uint_eq(front.total_open, 3);
	expect_reset(front.clients[1]);
	session_abort(container_of(rig.env.sessions.next, struct session, link), REASON_DRAIN_RST);
	ck_assert_uint_eq(front.total_open, 2);
	front.total_open = 0;
	close_front();
}
END_TEST

START_TEST(place_in_the_process_is_given_back_when_the_listener_is_full)
{
	make_front(", max_connections: 1");
	front.env.total_limit = 10;
	connect_clients(3);
	rig_until(counts()->shed == 2);
	ck_assert_uint_eq(front.total_open, 1);
	close_front();
}
END_TEST

START_TEST(limit_of_the_worker_holds)
{
	make_front("");
	front.env.worker_limit = 1;
	connect_clients(2);
	rig_until(counts()->shed);
	ck_assert_uint_eq(rig.env.session_count, 1);
	expect_reset(front.clients[1]);
	close_front();
}
END_TEST

static int tcp_state_of(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_state;
}

/* Blocks of the socket filter that a socket has. */
static socklen_t filter_of(int fd)
{
	socklen_t len = 0;

	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &len), 0);
	return len;
}

START_TEST(session_is_free_of_the_filter_that_it_inherits)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
	struct sock_fprog program = {.len = 1, .filter = &all};
	struct session *session;

	make_front("");
	/* A handshake that is under way when a drain begins ends in a socket like this one. */
	ck_assert_int_eq(
		setsockopt(front.fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
	connect_clients(1);
	listener_drain(front.listener);
	ck_assert_uint_eq(filter_of(front.fd), 4);
	rig_until(rig.counts.sessions == 1);
	session = container_of(rig.env.sessions.next, struct session, link);
	ck_assert_uint_eq(filter_of(session->client.source.fd), 0);
	close_front();
}
END_TEST

START_TEST(draining_listener_hears_no_syn_but_accepts_who_is_queued)
{
	struct session *session;
	int late;

	make_front("");
	connect_clients(1);
	listener_drain(front.listener);
	late = start_connect_to(&front.addr);
	rig_until(rig.counts.sessions == 1);
	ck_assert_int_eq(tcp_state_of(late), 2); /* TCP_SYN_SENT, include/net/tcp_states.h */
	session = container_of(rig.env.sessions.next, struct session, link);
	rig_until(session->state == SESSION_RELAYING);
	rig.server = accept_from(rig.listener);
	send_pattern(front.clients[0], 0, 100);
	rig_until_readable(rig.server);
	expect_pattern(rig.server, 0, 100);
	close(late);
	close_front();
}
END_TEST

START_TEST(drain_that_may_not_filter_keeps_newcomers_out_all_the_same)
{
	int locked = 1, late;

	make_front("");
	/* EPERM from SO_ATTACH_FILTER, as a kernel may give to whoever has no capability. */
	ck_assert_int_eq(setsockopt(front.fd, SOL_SOCKET, SO_LOCK_FILTER, &locked, sizeof(locked)),
			 0);
	connect_clients(1);
	listener_drain(front.listener);
	ck_assert(front.listener->by_ttl);
	late = start_connect_to(&front.addr);
	rig_until(rig.counts.sessions == 1);
	ck_assert_int_eq(tcp_state_of(late), 2); /* TCP_SYN_SENT, include/net/tcp_states.h */
	close(late);
	close_front();
}
END_TEST

START_TEST(stopped_listener_accepts_everybody_who_is_queued)
{
	make_front("");
	connect_clients(100);
	listener_drain(front.listener);
	listener_stop(front.listener);
	ck_assert_int_eq(front.listener->source.fd, -1); /* its memory lasts until the turn ends */
	front.listener = NULL;
	ck_assert_uint_eq(rig.counts.sessions, 100);
	rig_turn();
	for (int i = 0; i < 100; i++)
		expect_silence(front.clients[i]);
	close_front();
}
END_TEST

START_TEST(listener_may_be_stopped_while_it_rests)
{
	make_front("");
	connect_clients(1);
	accept_errnos[0] = EMFILE;
	rig_turn();
	ck_assert_uint_eq(front.env.paused, 1);
	listener_stop(front.listener);
	front.listener = NULL;
	ck_assert_uint_eq(rig.counts.sessions, 1);
	rig_pass(200);
	close_front();
}
END_TEST

START_TEST(listener_may_be_stopped_while_it_rests_and_epoll_has_no_memory)
{
	make_front("");
	accept_errnos[0] = EMFILE;
	connect_clients(1);
	rig_turn();
	fail_add = 1;
	listener_stop(front.listener);
	front.listener = NULL;
	fail_add = 0;
	rig_pass(200);
	close_front();
}
END_TEST

START_TEST(start_that_fails_closes_the_socket_and_keeps_nothing)
{
	struct addr bound = addr_of("127.0.0.1:80"), unknown = addr_of("127.0.0.1:81");
	int before, fd;

	make_front("");
	before = open_fds();
	fd = listen_on("127.0.0.1:0", 1);
	ck_assert_ptr_null(listener_start(&front.env, fd, &unknown, &unknown, 8, false));
	ck_assert_int_eq(open_fds(), before);
	fd = listen_on("127.0.0.1:0", 1);
	fail_add = 1;
	ck_assert_ptr_null(listener_start(&front.env, fd, &bound, &bound, 8, false));
	ck_assert_int_eq(open_fds(), before);
	ck_assert_uint_eq(rig.view->refs, 2); /* the worker's, the front's */
	close_front();
}
END_TEST

/* Serve by another configuration from now on. */
static struct view *switch_view(const char *yaml)
{
	struct config_ref *config = config_ref_new(load_valid(yaml), config_free);
	struct view *before = rig.view;
	struct snapshot *snapshot;

	ck_assert_int_eq(plan_and_build(config, rig.snapshot, 1, &snapshot), 0);
	config_ref_put(config);
	rig.view = view_new(snapshot, 0, 1, 1);
	snapshot_put(snapshot);
	return before;
}

START_TEST(reload_changes_the_limit_of_a_listener_and_its_options)
{
	struct view *before;
	int value;

	make_front("");
	connect_clients(1);
	rig_until(rig.counts.sessions == 1);
	before = switch_view("listeners: [{name: a, bind: \"127.0.0.1:80\", pool: q, "
			     "max_connections: 1, tcp: {user_timeout: 33s}}]\n"
			     "pools: [{name: q, targets: [\"127.0.0.1:1\"]}]\n");
	listener_retune(front.listener);
	ck_assert_ptr_eq(front.listener->view, rig.view);
	ck_assert_int_eq(getsockopt(front.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value,
				    &(socklen_t){sizeof(value)}),
			 0);
	ck_assert_int_eq(value, 33000);
	connect_clients(1);
	rig_until(counts()->shed); /* the first one still counts */
	session_abort(container_of(rig.env.sessions.next, struct session, link), REASON_DRAIN_RST);
	ck_assert_uint_eq(before->refs, 1);
	view_put(before);
	close_front();
}
END_TEST

START_TEST(listener_that_a_reload_removed_serves_by_its_old_view)
{
	struct view *before;

	make_front("");
	before = switch_view("listeners: [{name: b, bind: \"127.0.0.1:81\", pool: q}]\n"
			     "pools: [{name: q, targets: [\"127.0.0.1:1\"]}]\n");
	listener_retune(front.listener);
	ck_assert_ptr_eq(front.listener->view, before);
	connect_clients(1);
	rig_until(rig.counts.sessions == 1);
	ck_assert_ptr_eq(container_of(rig.env.sessions.next, struct session, link)->view, before);
	view_put(before);
	close_front();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		accepted_client_gets_a_session_that_knows_both_addresses,
		single_client_costs_a_single_accept,
		bursts_double_under_a_flood_up_to_their_bound_and_fall_back,
		burst_never_exceeds_its_bound,
		clients_that_went_away_in_the_queue_are_skipped,
		without_fds_the_listener_rests_and_resumes_by_the_clock,
		every_kind_of_shortage_is_a_reason_to_rest,
		client_that_gets_in_begins_the_count_of_the_pause_anew,
		end_of_a_session_ends_a_pause,
		pause_that_cannot_end_for_want_of_memory_goes_on,
		after_a_second_without_fds_clients_are_reset_with_the_reserved_one,
		full_listener_resets_the_next_client,
		limit_of_the_process_is_exact_over_all_workers,
		place_in_the_process_is_given_back_when_the_listener_is_full,
		limit_of_the_worker_holds,
		session_is_free_of_the_filter_that_it_inherits,
		draining_listener_hears_no_syn_but_accepts_who_is_queued,
		drain_that_may_not_filter_keeps_newcomers_out_all_the_same,
		stopped_listener_accepts_everybody_who_is_queued,
		listener_may_be_stopped_while_it_rests,
		listener_may_be_stopped_while_it_rests_and_epoll_has_no_memory,
		start_that_fails_closes_the_socket_and_keeps_nothing,
		reload_changes_the_limit_of_a_listener_and_its_options,
		listener_that_a_reload_removed_serves_by_its_old_view,
	};

	return run_tests("listener", tests, COUNT(tests));
}
