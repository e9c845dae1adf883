/* SPDX-License-Identifier: Apache-2.0
 *
 * One check against real sockets, whose other end the test holds: servers that answer, refuse,
 * close, reset, trickle, flood and say nothing; and what happens when we lack something ourselves.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=socket,--wrap=connect,--wrap=epoll_ctl */
/* link: -Wl,--wrap=malloc,--wrap=realloc,--wrap=recv,--wrap=send */
#define RIG_CLOCK
#include "proxy/health/check.h"
#include "tests/unit/health_rig.h"

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __real_connect(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len);
int __real_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
ssize_t __real_recv(int fd, void *buf, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags);
ssize_t __real_send(int fd, const void *buf, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t size, int flags);

/* Which call fails, with what; `after` so many that do not. */
static struct {
	const char *call;
	int error;
	unsigned after;
} fault;

static bool fails(const char *call)
{
	if (!fault.call || strcmp(fault.call, call))
		return false;
	if (fault.after) {
		fault.after--;
		return false;
	}
	fault.call = NULL;
	errno = fault.error;
	return true;
}

int __wrap_socket(int domain, int type, int protocol)
{
	return fails("socket") ? -1 : __real_socket(domain, type, protocol);
}

int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	return fails("connect") ? -1 : __real_connect(fd, sa, len);
}

int __wrap_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
	return fails("epoll_ctl") ? -1 : __real_epoll_ctl(epoll_fd, op, fd, event);
}

void *__wrap_malloc(size_t size)
{
	return fails("malloc") ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails("realloc") ? NULL : __real_realloc(old, size);
}

ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags)
{
	return fails("recv") ? -1 : __real_recv(fd, buf, size, flags);
}

ssize_t __wrap_send(int fd, const void *buf, size_t size, int flags)
{
	return fails("send") ? -1 : __real_send(fd, buf, size, flags);
}

static struct {
	struct loop loop;
	struct check check;
	struct health_conf conf;
	struct check_order order;
	struct addr addr;
	int listener;
	int server; /* the accepted connection */
	unsigned verdicts;
	int fds_before;
} rig;

static void count_verdict(struct check *check)
{
	ck_assert_int_eq(check->state, CHECK_IDLE);
	rig.verdicts++;
}

static void prepare_on(enum health_kind kind, int listener)
{
	rig.fds_before = open_fds() - (listener >= 0);
	rig.conf = health_conf_of(kind);
	rig.listener = listener;
	if (listener >= 0)
		rig.addr = local_of(listener);
	rig.order = (struct check_order){.addr = &rig.addr, .conf = &rig.conf};
	rig.server = -1;
	rig.verdicts = 0;
	rig_jump = false;
	ck_assert_int_eq(loop_init(&rig.loop), 0);
	check_init(&rig.check, &rig.loop, count_verdict);
}

static void prepare(enum health_kind kind)
{
	prepare_on(kind, listen_on("127.0.0.1:0", 8));
}

static void begin(void)
{
	check_start(&rig.check, &rig.order);
	ck_assert_uint_eq(rig.verdicts, 0); /* never from within */
}

static void begin_and_accept(void)
{
	begin();
	rig.server = accept_from(rig.listener);
}

static void say(const char *text)
{
	ck_assert_int_eq(send(rig.server, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Until the check has read so much of the answer. */
static void turn_until_read(size_t size)
{
	while (rig.check.answer_size < size)
		loop_turn(&rig.loop);
}

/* One verdict, and nothing is left of its check. */
static void expect_verdict(enum verdict_kind kind, const char *text)
{
	while (!rig.verdicts)
		loop_turn(&rig.loop);
	ck_assert_str_eq(rig.check.verdict.text, text);
	ck_assert_int_eq(rig.check.verdict.kind, kind);
	ck_assert_int_eq(rig.check.source.fd, -1);
	ck_assert(!timer_is_armed(&rig.check.deadline));
	ck_assert_ptr_null(rig.check.request);
	ck_assert_ptr_null(rig.check.answer);
	ck_assert_uint_eq(rig.verdicts, 1);
}

static void finish(void)
{
	loop_fini(&rig.loop);
	if (rig.server >= 0)
		close(rig.server);
	if (rig.listener >= 0)
		close(rig.listener);
	ck_assert_int_eq(open_fds(), rig.fds_before);
}

/* Nothing more will come: let the deadline come instead. */
static void expect_late(const char *text)
{
	uint64_t started_ms = rig_now_ms;

	rig_jump = true;
	expect_verdict(VERDICT_BAD, text);
	ck_assert_uint_eq(rig_now_ms - started_ms, rig.conf.timeout_ms);
	finish();
}

START_TEST(accepted_connection_is_good_and_is_reset)
{
	prepare(HEALTH_TCP);
	begin_and_accept();
	expect_verdict(VERDICT_GOOD, "connected");
	expect_reset(rig.server);
	finish();
}
END_TEST

START_TEST(check_can_be_repeated)
{
	prepare(HEALTH_TCP);
	for (int i = 0; i < 3; i++) {
		begin_and_accept();
		expect_verdict(VERDICT_GOOD, "connected");
		close(rig.server);
		rig.verdicts = 0;
	}
	rig.server = -1;
	finish();
}
END_TEST

START_TEST(refused_connection_is_bad)
{
	prepare(HEALTH_TCP);
	close(rig.listener);
	rig.listener = -1;
	begin();
	expect_verdict(VERDICT_BAD, "connect refused");
	finish();
}
END_TEST

START_TEST(black_hole_is_bad_when_the_time_is_over)
{
	int filler;

	/* A full accept queue answers no SYN. */
	prepare_on(HEALTH_HTTP, listen_on("127.0.0.1:0", 0));
	filler = connect_to(&rig.addr);
	begin();
	rig_jump = true;
	expect_verdict(VERDICT_BAD, "no connection within 1 s");
	close(filler);
	finish();
}
END_TEST

/* Where no socket of the test's is in the way: a name of its own, removed at once. */
static int listen_on_path(char path[64], int backlog)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(path, 64, "/tmp/sluice-check-%d", (int)getpid());
	strcpy(un.sun_path, path);
	unlink(path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	ck_assert_int_eq(listen(fd, backlog), 0);
	return fd;
}

START_TEST(unix_sockets_are_checked_too)
{
	static char path[64];
	int filler;

	prepare_on(HEALTH_TCP, listen_on_path(path, 0));
	rig.addr = (struct addr){.family = AF_UNIX, .path = path};
	begin_and_accept();
	expect_verdict(VERDICT_GOOD, "connected");
	filler = start_connect_to(&rig.addr);
	rig.verdicts = 0;
	begin();
	expect_verdict(VERDICT_BAD, "listen queue full");
	close(filler);
	unlink(path);
	rig.verdicts = 0;
	begin();
	expect_verdict(VERDICT_BAD, "no such socket");
	finish();
}
END_TEST

START_TEST(http_status_is_the_verdict)
{
	char request[256] = "";

	prepare(HEALTH_HTTP);
	begin_and_accept();
	loop_turn(&rig.loop);
	wait_for_events(rig.server, POLLIN);
	ck_assert_int_gt(recv(rig.server, request, sizeof(request) - 1, 0), 0);
	ck_assert_ptr_nonnull(strstr(request, "GET / HTTP/1.1\r\n"));
	say("HTTP/1.1 503 Busy\r\n");
	expect_verdict(VERDICT_BAD, "HTTP 503");
	finish();
}
END_TEST

START_TEST(server_that_closes_at_once_gave_no_answer)
{
	prepare(HEALTH_HTTP);
	begin_and_accept();
	shutdown(rig.server, SHUT_WR);
	expect_verdict(VERDICT_BAD, "closed without an answer");
	finish();
}
END_TEST

START_TEST(answer_that_ends_early_is_bad)
{
	prepare(HEALTH_HTTP);
	begin_and_accept();
	say("HTTP/1.1 200");
	shutdown(rig.server, SHUT_WR);
	expect_verdict(VERDICT_BAD, "closed after 12 bytes");
	finish();
}
END_TEST

START_TEST(reset_in_the_middle_of_an_answer_is_bad)
{
	prepare(HEALTH_HTTP);
	begin_and_accept();
	say("HTTP/");
	turn_until_read(5);
	close_hard(rig.server);
	rig.server = -1;
	expect_verdict(VERDICT_BAD, "reset after 5 bytes");
	finish();
}
END_TEST

START_TEST(reset_before_we_look_is_an_accepted_connection)
{
	const enum health_kind kinds[] = {HEALTH_TCP, HEALTH_HTTP};

	for (size_t i = 0; i < COUNT(kinds); i++) {
		prepare(kinds[i]);
		begin_and_accept();
		close_hard(rig.server);
		rig.server = -1;
		if (kinds[i] == HEALTH_TCP)
			expect_verdict(VERDICT_GOOD, "connected");
		else
			expect_verdict(VERDICT_BAD, "reset without an answer");
		finish();
	}
}
END_TEST

START_TEST(answer_counts_even_if_the_request_was_not_wanted)
{
	prepare(HEALTH_HTTP);
	begin_and_accept();
	say("HTTP/1.1 200 OK\r\n\r\n");
	close_hard(rig.server);
	rig.server = -1;
	expect_verdict(VERDICT_GOOD, "HTTP 200");
	finish();
}
END_TEST

START_TEST(silent_server_is_bad_when_the_time_is_over)
{
	prepare(HEALTH_HTTP);
	rig.conf.timeout_ms = 1500;
	begin_and_accept();
	while (rig.check.state == CHECK_CONNECTING)
		loop_turn(&rig.loop);
	expect_late("no answer within 1500 ms");
}
END_TEST

START_TEST(server_that_trickles_has_no_more_time_than_others)
{
	prepare(HEALTH_HTTP);
	begin_and_accept();
	for (size_t i = 0; i < 6; i++) {
		say((char[]){"HTTP/1"[i], '\0'});
		turn_until_read(i + 1);
	}
	expect_late("no whole answer within 1 s, only 6 bytes");
}
END_TEST

/* Feed a repeated line until the check has had enough. */
static void flood(const char *line)
{
	while (!rig.verdicts) {
		if (send(rig.server, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			ck_assert_int_eq(rig.check.state, CHECK_IDLE);
		loop_turn(&rig.loop);
	}
}

START_TEST(endless_headers_end)
{
	prepare(HEALTH_HTTP);
	begin_and_accept();
	say("HTTP/1.1 100 Continue\r\n");
	flood("X-Header: of which there are many, and never a last one\r\n");
	expect_verdict(VERDICT_BAD, "no end of the answer in 16384 bytes");
	finish();
}
END_TEST

START_TEST(expected_text_is_looked_for_in_so_much_and_no_more)
{
	prepare(HEALTH_SEND_EXPECT);
	rig.conf.expect = bytes_of("needle");
	begin_and_accept();
	flood("hay hay hay hay hay hay hay hay hay hay hay hay hay hay hay hay ");
	expect_verdict(VERDICT_BAD, "expected text not found in 16384 bytes");
	finish();
}
END_TEST

START_TEST(expected_text_is_found_in_the_last_bytes_that_are_read)
{
	static uint8_t hay[PROBE_ANSWER_MAX];

	prepare(HEALTH_SEND_EXPECT);
	rig.conf.expect = bytes_of("needle");
	begin_and_accept();
	memcpy(hay + sizeof(hay) - 6, "needle", 6);
	ck_assert_int_eq(send(rig.server, hay, sizeof(hay), 0), sizeof(hay));
	expect_verdict(VERDICT_GOOD, "expected text found");
	finish();
}
END_TEST

START_TEST(missing_text_is_said_with_how_much_came)
{
	prepare(HEALTH_SEND_EXPECT);
	rig.conf.expect = bytes_of("needle");
	begin_and_accept();
	say("straw");
	shutdown(rig.server, SHUT_WR);
	expect_verdict(VERDICT_BAD, "expected text not found in 5 bytes");
	finish();

	prepare(HEALTH_SEND_EXPECT);
	rig.conf.expect = bytes_of("needle");
	begin_and_accept();
	say("straw");
	turn_until_read(5);
	expect_late("expected text not found in 5 bytes within 1 s");
}
END_TEST

START_TEST(request_that_does_not_fit_is_sent_piece_by_piece)
{
	static uint8_t big[8 << 20];
	uint64_t seen = 0;

	prepare(HEALTH_SEND_EXPECT);
	pattern_fill(big, 0, sizeof(big));
	rig.conf.send = (struct bytes_conf){big, sizeof(big)};
	rig.conf.expect = bytes_of("ok");
	begin_and_accept();
	while (seen < sizeof(big)) {
		loop_turn(&rig.loop);
		wait_for_events(rig.server, POLLIN);
		seen += take_pattern(rig.server, seen);
	}
	say("ok");
	expect_verdict(VERDICT_GOOD, "expected text found");
	finish();
}
END_TEST

START_TEST(reset_that_stops_the_request_is_told_as_one)
{
	static uint8_t big[8 << 20];

	prepare(HEALTH_SEND_EXPECT);
	rig.conf.send = (struct bytes_conf){big, sizeof(big)};
	rig.conf.expect = bytes_of("ok");
	begin_and_accept();
	while (!rig.check.sent)
		loop_turn(&rig.loop);
	ck_assert_uint_lt(rig.check.sent, sizeof(big));
	close_hard(rig.server);
	rig.server = -1;
	expect_verdict(VERDICT_BAD, "reset without an answer");
	finish();
}
END_TEST

/* Read what the check sent, until it is `size` bytes. */
static void expect_received(const void *bytes, size_t size)
{
	uint8_t got[512] = {0};
	size_t have = 0;

	while (have < size) {
		ssize_t n;

		wait_for_events(rig.server, POLLIN);
		n = recv(rig.server, got + have, sizeof(got) - have, 0);
		ck_assert_int_gt(n, 0);
		have += (size_t)n;
	}
	ck_assert_uint_eq(have, size);
	ck_assert_int_eq(memcmp(got, bytes, size), 0);
}

START_TEST(proxy_header_of_our_own_connection_goes_first)
{
	static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0ping";
	static const char v1[] = "PROXY UNKNOWN\r\nping";

	for (enum proxy_send proxy = PROXY_SEND_V1; proxy <= PROXY_SEND_V2; proxy++) {
		prepare(HEALTH_SEND_EXPECT);
		rig.order.proxy = proxy;
		rig.conf.send = bytes_of("ping");
		rig.conf.expect = bytes_of("pong");
		begin_and_accept();
		loop_turn(&rig.loop);
		if (proxy == PROXY_SEND_V1)
			expect_received(v1, sizeof(v1) - 1);
		else
			expect_received(v2, sizeof(v2) - 1);
		say("pong");
		expect_verdict(VERDICT_GOOD, "expected text found");
		finish();
	}
}
END_TEST

START_TEST(tcp_check_sends_the_proxy_header_and_nothing_else)
{
	static const char v1[] = "PROXY UNKNOWN\r\n";

	prepare(HEALTH_TCP);
	rig.order.proxy = PROXY_SEND_V1;
	begin_and_accept();
	expect_verdict(VERDICT_GOOD, "connected");
	expect_received(v1, sizeof(v1) - 1);
	expect_reset(rig.server);
	finish();
}
END_TEST

START_TEST(tls_server_is_known_by_its_hello)
{
	uint8_t hello[1024];

	prepare(HEALTH_TLS);
	begin_and_accept();
	loop_turn(&rig.loop);
	wait_for_events(rig.server, POLLIN);
	ck_assert_int_gt(recv(rig.server, hello, sizeof(hello), 0), 100);
	ck_assert_uint_eq(hello[0], 22);
	say("\x15\x03\x03");
	ck_assert_int_eq(send(rig.server, "\0\x02\x02\x28", 4, 0), 4);
	expect_verdict(VERDICT_BAD, "TLS alert 40 (handshake failure)");
	finish();
}
END_TEST

static const struct {
	const char *call;
	int error;
	unsigned after;
} lacks[] = {
	{"socket", EMFILE, 0},         {"socket", ENFILE, 0},  {"socket", ENOBUFS, 0},
	{"malloc", ENOMEM, 0},         {"malloc", ENOMEM, 1},  {"epoll_ctl", ENOSPC, 0},
	{"epoll_ctl", ENOMEM, 0},      {"realloc", ENOMEM, 0}, {"realloc", ENOMEM, 1},
	{"recv", ENOBUFS, 0},          {"recv", ENOMEM, 0},    {"send", ENOBUFS, 0},
	{"connect", EADDRNOTAVAIL, 0},
};

START_TEST(what_we_lack_is_no_verdict)
{
	char junk[512];

	memset(junk, 'x', sizeof(junk) - 1);
	junk[sizeof(junk) - 1] = '\0';
	prepare(HEALTH_SEND_EXPECT);
	rig.conf.send = bytes_of("ping");
	rig.conf.expect = bytes_of("needle");
	fault.call = lacks[_i].call;
	fault.error = lacks[_i].error;
	fault.after = lacks[_i].after;
	check_start(&rig.check, &rig.order);
	if (rig.check.state == CHECK_CONNECTING) {
		const char *call = fault.call;

		fault.call = NULL; /* not the server's */
		rig.server = accept_from(rig.listener);
		say(junk);
		fault.call = call;
	}
	while (!rig.verdicts)
		loop_turn(&rig.loop);
	ck_assert_ptr_null(fault.call);
	ck_assert_int_eq(rig.check.verdict.kind, VERDICT_NONE);
	ck_assert_int_eq(rig.check.verdict.error, lacks[_i].error);
	finish();
}
END_TEST

START_TEST(other_errors_of_connect_are_given_in_their_own_words)
{
	prepare(HEALTH_TCP);
	fault.call = "connect";
	fault.error = EACCES;
	begin();
	expect_verdict(VERDICT_BAD, "connect: Permission denied");
	rig.verdicts = 0;
	fault.call = "connect";
	fault.error = EHOSTUNREACH;
	begin();
	expect_verdict(VERDICT_BAD, "host unreachable");
	finish();
}
END_TEST

START_TEST(aborted_check_says_nothing_whatever_its_state)
{
	for (int stage = 0; stage < 4; stage++) {
		prepare(HEALTH_HTTP);
		if (stage == 1)
			begin();
		if (stage >= 2)
			begin_and_accept();
		if (stage == 2)
			loop_turn(&rig.loop);
		if (stage == 3) { /* over, but not told yet */
			fault.call = "send";
			fault.error = EIO;
			while (rig.check.state != CHECK_OVER)
				rig.check.source.on_event(&rig.check.source, EPOLLOUT);
		}
		check_abort(&rig.check);
		check_abort(&rig.check);
		ck_assert_int_eq(rig.check.state, CHECK_IDLE);
		rig_jump = true;
		loop_turn(&rig.loop);
		ck_assert_uint_eq(rig.verdicts, 0);
		finish();
	}
}
END_TEST

START_TEST(time_a_check_took_is_told)
{
	prepare(HEALTH_HTTP);
	begin_and_accept();
	while (rig.check.state == CHECK_CONNECTING)
		loop_turn(&rig.loop);
	rig_now_ms += 250;
	say("HTTP/1.1 200 OK\r\n");
	expect_verdict(VERDICT_GOOD, "HTTP 200");
	ck_assert_uint_eq(rig.check.verdict.took_us, 250000);
	finish();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		accepted_connection_is_good_and_is_reset,
		check_can_be_repeated,
		refused_connection_is_bad,
		black_hole_is_bad_when_the_time_is_over,
		unix_sockets_are_checked_too,
		http_status_is_the_verdict,
		server_that_closes_at_once_gave_no_answer,
		answer_that_ends_early_is_bad,
		reset_in_the_middle_of_an_answer_is_bad,
		reset_before_we_look_is_an_accepted_connection,
		answer_counts_even_if_the_request_was_not_wanted,
		silent_server_is_bad_when_the_time_is_over,
		server_that_trickles_has_no_more_time_than_others,
		endless_headers_end,
		expected_text_is_looked_for_in_so_much_and_no_more,
		expected_text_is_found_in_the_last_bytes_that_are_read,
		missing_text_is_said_with_how_much_came,
		request_that_does_not_fit_is_sent_piece_by_piece,
		reset_that_stops_the_request_is_told_as_one,
		proxy_header_of_our_own_connection_goes_first,
		tcp_check_sends_the_proxy_header_and_nothing_else,
		tls_server_is_known_by_its_hello,
		other_errors_of_connect_are_given_in_their_own_words,
		aborted_check_says_nothing_whatever_its_state,
		time_a_check_took_is_told,
	};
	Suite *suite = suite_create("health_check");
	TCase *tcase = tcase_create("health_check");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tcase, tests[i]);
	tcase_add_loop_test(tcase, what_we_lack_is_no_verdict, 0, COUNT(lacks));
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
