/* SPDX-License-Identifier: Apache-2.0
 *
 * The admin API through real sockets, with a main that is the test: what the transport does with
 * peers that are slow, large, many or gone, and how it begins and ends.
 */
#include <sys/stat.h>
#include <sys/un.h>

#include "proxy/admin/admin.h"
#include "tests/unit/admin_rig.h"

static char directory[] = "/tmp/sluice-admin-XXXXXX";
static char path[64];
static struct admin *admin;
static struct admin_conf conf;
static bool main_sleeps;

static uint64_t publish_through_admin(void *context)
{
	rig_main.ticket++;
	rig_main.published++;
	if (!rig_main.publish_later)
		admin_published(admin, rig_main.ticket, 0);
	return rig_main.ticket;
}

static struct addr free_address(void)
{
	int fd = listen_on("127.0.0.1:0", 1);
	struct addr addr = local_of(fd);

	close(fd);
	return addr;
}

static void start(void)
{
	struct admin_ops ops = rig_ops();
	char why[ADMIN_WHY] = "";

	ops.publish = publish_through_admin;
	ck_assert_msg(!admin_open(&conf, false, &admin, why), "%s", why);
	ck_assert_msg(!admin_start(admin, &ops, rig_all, RIG_WORKERS, why), "%s", why);
}

static void setup(void)
{
	rig_setup();
	strcpy(directory + sizeof(directory) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/admin.sock", directory);
	conf = (struct admin_conf){.socket = {.family = AF_UNIX, .path = path},
				   .mode = 0640,
				   .http = free_address(),
				   .probe = free_address()};
	main_sleeps = false;
	start();
}

static void teardown(void)
{
	admin_stop(admin);
	rig_teardown();
	rmdir(directory);
}

static int connect_unix(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path, path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	size_t len = strlen(text);

	ck_assert_int_eq(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Serve as main until `fd` can be read. */
static void serve_until(int fd)
{
	struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
				{.fd = admin_fd(admin), .events = POLLIN}};

	do {
		ck_assert_int_gt(poll(fds, main_sleeps ? 1 : 2, PATIENCE_MS), 0);
		if (fds[1].revents && !main_sleeps)
			admin_serve(admin);
	} while (!fds[0].revents);
}

/* All of one answer: its head, and as much of a body as that says; or all until EOF. */
static char *hear(int fd)
{
	static char answer[1 << 20];
	size_t size = 0;

	for (;;) {
		const char *body, *length;
		ssize_t got;

		serve_until(fd);
		got = recv(fd, answer + size, sizeof(answer) - 1 - size, 0);
		size += got > 0 ? (size_t)got : 0;
		answer[size] = '\0';
		body = strstr(answer, "\r\n\r\n");
		length = strcasestr(answer, "content-length: ");
		if (got <= 0 || (body && length && body + 4 + atol(length + 16) <= answer + size))
			return answer;
	}
}

static char *exchange(int fd, const char *request)
{
	say(fd, request);
	return hear(fd);
}

static void expect_status(const char *answer, int status)
{
	char start_line[32];

	snprintf(start_line, sizeof(start_line), "HTTP/1.1 %d ", status);
	ck_assert_msg(!strncmp(answer, start_line, strlen(start_line)), "%s", answer);
}

#define GET(url) "GET " url " HTTP/1.1\r\nHost: localhost\r\n\r\n"

START_TEST(the_unix_socket_answers_and_keeps_the_connection)
{
	int fd = connect_unix();

	expect_status(exchange(fd, GET("/v1/pools")), 200);
	ck_assert_ptr_nonnull(strstr(exchange(fd, GET("/v1/status")), "\"version\":\"1.2.3\""));
	close(fd);
}
END_TEST

START_TEST(the_path_has_its_mode_and_goes_with_the_process)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0640);
	admin_stop(admin);
	admin = NULL;
	ck_assert_int_eq(stat(path, &st), -1);
}
END_TEST

START_TEST(tcp_only_reads)
{
	int fd = connect_to(&conf.http);

	expect_status(exchange(fd, GET("/v1/pools")), 200);
	expect_status(exchange(fd, "POST /v1/drain HTTP/1.1\r\nHost: localhost\r\n"
				   "Content-Length: 0\r\n\r\n"),
		      403);
	ck_assert_uint_eq(events_last_id(rig_events), rig_begun);
	close(fd);
}
END_TEST

START_TEST(a_change_is_audited_with_the_peers_uid)
{
	int fd = connect_unix();
	char who[32];

	expect_status(exchange(fd, "PATCH /v1/targets/10.0.0.2:80 HTTP/1.1\r\nHost: localhost\r\n"
				   "Content-Length: 12\r\n\r\n{\"weight\":5}"),
		      200);
	snprintf(who, sizeof(who), "uid %u", (unsigned)getuid());
	ck_assert_str_eq(rig_last_event()->kind, "audit");
	ck_assert_ptr_nonnull(strstr(rig_last_event()->text, who));
	snprintf(who, sizeof(who), "pid %d", (int)getpid());
	ck_assert_ptr_nonnull(strstr(rig_last_event()->text, who));
	close(fd);
}
END_TEST

START_TEST(a_change_is_answered_once_it_is_published)
{
	int fd = connect_unix();

	rig_main.publish_later = true;
	say(fd, "PATCH /v1/targets/10.0.0.2:80 HTTP/1.1\r\nHost: localhost\r\n"
		"Content-Length: 12\r\n\r\n{\"weight\":5}");
	while (!rig_main.published) {
		wait_for_events(admin_fd(admin), POLLIN);
		admin_serve(admin);
	}
	expect_silence(fd);
	admin_published(admin, rig_main.ticket, 0);
	expect_status(hear(fd), 200);
	close(fd);
}
END_TEST

START_TEST(a_chunked_body_is_read)
{
	int fd = connect_unix();

	expect_status(exchange(fd, "PATCH /v1/targets/10.0.0.2:80 HTTP/1.1\r\nHost: localhost\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n"
				   "6\r\n{\"weig\r\n6\r\nht\":5}\r\n0\r\n\r\n"),
		      200);
	close(fd);
}
END_TEST

START_TEST(a_body_that_is_announced_too_large_is_refused_at_once)
{
	int fd = connect_unix();

	expect_status(exchange(fd, "POST /v1/drain HTTP/1.1\r\nHost: localhost\r\n"
				   "Content-Length: 4194305\r\n\r\n"),
		      413);
	close(fd);
}
END_TEST

START_TEST(a_body_that_turns_out_too_large_is_refused)
{
	static char chunk[65536];
	int fd = connect_unix();

	fcntl(fd, F_SETFL, 0);
	memset(chunk, ' ', sizeof(chunk));
	say(fd, "POST /v1/drain HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 65; i++) {
		say(fd, "10000\r\n");
		ck_assert_int_eq(send(fd, chunk, sizeof(chunk), 0), sizeof(chunk));
		say(fd, "\r\n");
	}
	say(fd, "0\r\n\r\n");
	expect_status(hear(fd), 413);
	close(fd);
}
END_TEST

START_TEST(too_many_headers_are_refused)
{
	char request[4096] = "GET /v1/pools HTTP/1.1\r\nHost: localhost\r\n";
	int fd = connect_unix();

	for (int i = 0; i < 64; i++)
		sprintf(request + strlen(request), "X-%d: 1\r\n", i);
	strcat(request, "\r\n");
	expect_status(exchange(fd, request), 431);
	close(fd);
}
END_TEST

START_TEST(headers_without_end_are_refused)
{
	static char request[40000] = "GET /v1/pools HTTP/1.1\r\nHost: localhost\r\nX: ";
	int fd = connect_unix();
	char *answer;

	memset(request + strlen(request), 'x', sizeof(request) - strlen(request) - 1);
	answer = exchange(fd, request);
	ck_assert_msg(!strncmp(answer, "HTTP/1.1 4", 10), "%s", answer);
	close(fd);
}
END_TEST

START_TEST(no_http_at_all_costs_the_connection_alone)
{
	int bad = connect_unix(), good = connect_unix();

	exchange(bad, "\x16\x03\x01\x02hello\r\n\r\n");
	expect_status(exchange(good, GET("/v1/pools")), 200);
	close(bad);
	close(good);
}
END_TEST

START_TEST(a_peer_that_left_is_not_answered)
{
	int gone = connect_unix(), here = connect_unix();

	main_sleeps = true;
	say(gone, GET("/v1/status"));
	wait_for_events(admin_fd(admin), POLLIN);
	close(gone);
	main_sleeps = false;
	expect_status(exchange(here, GET("/v1/pools")), 200);
	close(here);
}
END_TEST

START_TEST(a_long_poll_ends_with_an_event)
{
	int fd = connect_unix();

	say(fd, GET("/v1/events?after=4&wait_s=30"));
	wait_for_events(admin_fd(admin), POLLIN);
	admin_serve(admin);
	expect_silence(fd);
	events_add(rig_events, LOG_INFO, "test", NULL, NULL, "something happened");
	ck_assert_ptr_nonnull(strstr(hear(fd), "something happened"));
	close(fd);
}
END_TEST

START_TEST(a_long_poll_ends_with_its_time)
{
	int fd = connect_unix();

	ck_assert_ptr_nonnull(strstr(exchange(fd, GET("/v1/events?after=4&wait_s=1")),
				     "{\"events\":[],\"last_id\":4}"));
	close(fd);
}
END_TEST

START_TEST(what_waits_is_answered_when_the_process_ends)
{
	int fd = connect_unix();

	say(fd, GET("/v1/events?after=4&wait_s=30"));
	wait_for_events(admin_fd(admin), POLLIN);
	admin_serve(admin);
	admin_stop(admin);
	wait_for_events(fd, POLLIN);
	start();
	expect_status(hear(fd), 503);
	close(fd);
}
END_TEST

START_TEST(what_main_never_took_is_answered_when_the_process_ends)
{
	int fd = connect_unix();

	say(fd, GET("/v1/pools"));
	wait_for_events(admin_fd(admin), POLLIN);
	admin_stop(admin);
	wait_for_events(fd, POLLIN);
	start();
	expect_status(hear(fd), 503);
	close(fd);
}
END_TEST

START_TEST(healthz_is_answered_without_main)
{
	int fd = connect_to(&conf.probe);

	main_sleeps = true;
	expect_status(exchange(fd, GET("/healthz")), 200);
	close(fd);
}
END_TEST

START_TEST(readyz_says_why_not)
{
	int fd = connect_to(&conf.probe);

	expect_status(exchange(fd, GET("/readyz")), 200);
	rig_main.facts.not_ready = "pool web waits for its first targets";
	ck_assert_ptr_nonnull(strstr(exchange(fd, GET("/readyz")),
				     "{\"ready\":false,\"reason\":\"pool web waits"));
	close(fd);
}
END_TEST

START_TEST(readyz_is_503_when_main_does_not_answer)
{
	int fd = connect_to(&conf.probe);

	main_sleeps = true;
	expect_status(exchange(fd, GET("/readyz")), 503);
	main_sleeps = false;
	expect_status(exchange(fd, GET("/readyz")), 200);
	close(fd);
}
END_TEST

START_TEST(the_probe_answers_nothing_else)
{
	int fd = connect_to(&conf.probe);

	expect_status(exchange(fd, GET("/v1/pools")), 404);
	expect_status(exchange(fd, GET("/")), 404);
	expect_status(
		exchange(fd,
			 "POST /readyz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"),
		405);
	close(fd);
}
END_TEST

START_TEST(the_probe_takes_a_proxy_header_in_pieces)
{
	static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0";
	int fd = connect_to(&conf.probe);
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	say(fd, "PROXY TCP4 192.0.2.1 ");
	say(fd, "192.0.2.2 1 2\r\nGET /healthz");
	expect_status(exchange(fd, " HTTP/1.1\r\nHost: localhost\r\n\r\n"), 200);
	close(fd);
	fd = connect_to(&conf.probe);
	ck_assert_int_eq(send(fd, v2, 16, 0), 16);
	expect_status(exchange(fd, GET("/healthz")), 200);
	close(fd);
}
END_TEST

START_TEST(the_probe_turns_away_a_malformed_proxy_header)
{
	int fd = connect_to(&conf.probe);

	say(fd, "PROXY TCP9 nonsense\r\n" GET("/healthz"));
	serve_until(fd);
	ck_assert_int_le(recv(fd, (char[16]){0}, 16, 0), 0);
	close(fd);
}
END_TEST

START_TEST(a_served_path_is_not_taken_from_its_owner)
{
	struct admin *other = NULL;
	struct admin_conf unix_only = {.socket = conf.socket, .mode = 0600};
	char why[ADMIN_WHY];

	ck_assert_int_eq(admin_open(&unix_only, false, &other, why), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(why, path));
	ck_assert_ptr_null(other);
}
END_TEST

START_TEST(a_path_that_is_no_socket_stays)
{
	struct admin *other = NULL;
	struct admin_conf unix_only = {.socket = {.family = AF_UNIX, .path = directory}};
	char why[ADMIN_WHY];

	ck_assert_int_eq(admin_open(&unix_only, true, &other, why), -EEXIST);
}
END_TEST

/* As with --replace: the successor serves, and the predecessor's end leaves the path alone. */
START_TEST(a_successor_takes_the_addresses_over)
{
	struct admin *before = admin;
	struct admin_ops ops = rig_ops();
	char why[ADMIN_WHY];
	int fd;

	ck_assert_msg(!admin_open(&conf, true, &admin, why), "%s", why);
	ck_assert_msg(!admin_start(admin, &ops, rig_all, RIG_WORKERS, why), "%s", why);
	admin_yield(before);
	admin_stop(before);
	fd = connect_unix();
	expect_status(exchange(fd, GET("/v1/pools")), 200);
	close(fd);
	fd = connect_to(&conf.http);
	expect_status(exchange(fd, GET("/v1/pools")), 200);
	close(fd);
}
END_TEST

START_TEST(a_kept_connection_does_not_stay_with_the_predecessor)
{
	struct admin *before = admin;
	struct admin_ops ops = rig_ops();
	char why[ADMIN_WHY], byte;
	int fd = connect_unix();

	expect_status(exchange(fd, GET("/v1/pools")), 200);
	ck_assert_msg(!admin_open(&conf, true, &admin, why), "%s", why);
	ck_assert_msg(!admin_start(admin, &ops, rig_all, RIG_WORKERS, why), "%s", why);
	admin_yield(before);
	serve_until(fd);
	ck_assert_int_eq(recv(fd, &byte, 1, 0), 0);
	close(fd);
	admin_stop(before);
}
END_TEST

START_TEST(nothing_to_open_is_no_admin)
{
	struct admin_conf none = {0};
	struct admin *other = admin;
	char why[ADMIN_WHY];

	ck_assert_int_eq(admin_open(&none, false, &other, why), 0);
	ck_assert_ptr_null(other);
	admin_stop(other);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_unix_socket_answers_and_keeps_the_connection,
		the_path_has_its_mode_and_goes_with_the_process,
		tcp_only_reads,
		a_change_is_audited_with_the_peers_uid,
		a_change_is_answered_once_it_is_published,
		a_chunked_body_is_read,
		a_body_that_is_announced_too_large_is_refused_at_once,
		a_body_that_turns_out_too_large_is_refused,
		too_many_headers_are_refused,
		headers_without_end_are_refused,
		no_http_at_all_costs_the_connection_alone,
		a_peer_that_left_is_not_answered,
		a_long_poll_ends_with_an_event,
		a_long_poll_ends_with_its_time,
		what_waits_is_answered_when_the_process_ends,
		what_main_never_took_is_answered_when_the_process_ends,
		healthz_is_answered_without_main,
		readyz_says_why_not,
		readyz_is_503_when_main_does_not_answer,
		the_probe_answers_nothing_else,
		the_probe_takes_a_proxy_header_in_pieces,
		the_probe_turns_away_a_malformed_proxy_header,
		a_served_path_is_not_taken_from_its_owner,
		a_path_that_is_no_socket_stays,
		a_successor_takes_the_addresses_over,
		a_kept_connection_does_not_stay_with_the_predecessor,
		nothing_to_open_is_no_admin,
	};

	return run_rigged("admin", tests, COUNT(tests), setup, teardown);
}
