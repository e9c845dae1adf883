/* SPDX-License-Identifier: Apache-2.0
 *
 * PROXY headers in front of sessions: which peers are heard, for how long, what becomes of those
 * that say nothing or the wrong thing, that the payload behind a header stays whole, and what the
 * backend is told.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=malloc */
#include "proxy/greeting.h"
#include "tests/unit/proxyproto_rig.h"
#include "tests/unit/session_rig.h"

#define REQUIRED ", proxy_protocol: required, trusted: [127.0.0.1]"
#define OPTIONAL ", proxy_protocol: optional, trusted: [127.0.0.1]"
#define STRANGER ", trusted: [192.0.2.0/24]"
#define PAYLOAD  "hello"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

static struct made made;
static bool no_memory;

void *__wrap_malloc(size_t size)
{
	return no_memory ? NULL : __real_malloc(size);
}

static void open_with(const char *listener, const char *pool)
{
	rig_open_with(listener, pool, "@", "log: json");
}

/* A client that has sent this before it is accepted. */
static void begin_with(const void *bytes, size_t size)
{
	struct addr peer, local;
	int fds[2];

	tcp_pair(fds);
	rig.client = fds[0];
	peer = local_of(fds[0]);
	local = local_of(fds[1]);
	if (size) {
		ck_assert_int_eq(send(rig.client, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
		wait_for_events(fds[1], POLLIN);
	}
	ck_assert(listener_stats_reserve(rig.snapshot->listeners[0], 0));
	session_begin(&rig.env, rig.view, 0, fds[1], &peer, &local);
	rig.session = list_empty(&rig.env.sessions)
			      ? NULL
			      : container_of(rig.env.sessions.prev, struct session, link);
}

static void say(const void *bytes, size_t size)
{
	ck_assert_int_eq(send(rig.client, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* A header that says 192.0.2.1:1025, and the payload behind it. */
static void make_greeting(void)
{
	make_tcp4(&made);
	make_tlv(&made, 0xea, "\x01vpce-08d2", 10);
}

static void add_payload(void)
{
	memcpy(made.bytes + made.len, PAYLOAD, strlen(PAYLOAD));
	made.len += strlen(PAYLOAD);
}

/* The backend gets just this. */
static void expect_server_gets(const void *bytes, size_t size)
{
	uint8_t buf[2048];
	size_t got = 0;

	if (rig.server < 0) {
		rig_until(rig.session->state == SESSION_RELAYING);
		rig.server = accept_from(rig.listener);
	}
	while (got < size) {
		ssize_t n;

		rig_until_readable(rig.server);
		n = recv(rig.server, buf + got, sizeof(buf) - got, MSG_DONTWAIT);
		ck_assert_int_gt(n, 0);
		got += (size_t)n;
	}
	ck_assert_uint_eq(got, size);
	ck_assert_mem_eq(buf, bytes, size);
	expect_silence(rig.server);
}

static void end_by_client(void)
{
	close(rig.client);
	rig.client = -1;
	rig_until_readable(rig.server);
	close(rig.server);
	rig.server = -1;
	rig_expect_end(REASON_CLIENT_FIN);
}

static const struct listener_counts *listener_counts(void)
{
	return &rig.snapshot->listeners[0]->counts[0].c;
}

/* Ends with RST and `reason`, as a fault of the header's. */
static void expect_refused(enum reason reason)
{
	rig_expect_end(reason);
	expect_reset(rig.client);
	ck_assert_uint_eq(listener_counts()->proxy_headers, 0);
	ck_assert_uint_eq(listener_counts()->proxy_errors, 1);
	ck_assert_uint_eq(rig.counts.connects, 0);
	rig_close();
}

START_TEST(payload_in_the_segment_of_the_header_stays_whole)
{
	open_with(REQUIRED, "");
	make_greeting();
	add_payload();
	begin_with(made.bytes, made.len);
	ck_assert_int_eq(rig.session->state, SESSION_DIALING);
	ck_assert(!rig.session->client.registered);
	expect_server_gets(PAYLOAD, strlen(PAYLOAD));
	ck_assert_uint_eq(rig.session->to_backend.bytes, strlen(PAYLOAD));
	ck_assert_uint_eq(listener_counts()->proxy_headers, 1);
	end_by_client();
	rig_close();
}
END_TEST

START_TEST(a_header_may_come_byte_by_byte)
{
	open_with(REQUIRED, "");
	make_greeting();
	begin_with(made.bytes, 1);
	for (size_t i = 1; i < made.len; i++) {
		rig_turn();
		ck_assert_int_eq(rig.session->state, SESSION_GREETING);
		ck_assert_uint_eq(rig.counts.connects, 0);
		say(made.bytes + i, 1);
		wait_for_events(rig.session->client.source.fd, POLLIN);
	}
	rig_until(rig.session->state != SESSION_GREETING);
	say(PAYLOAD, strlen(PAYLOAD));
	expect_server_gets(PAYLOAD, strlen(PAYLOAD));
	end_by_client();
	rig_close();
}
END_TEST

START_TEST(the_headers_source_is_the_client_to_logs_and_balance)
{
	const struct flow_record *record;
	struct addr source = addr_of("192.0.2.1:1025");

	open_with(REQUIRED, ", balance: maglev");
	make_greeting();
	add_payload();
	begin_with(made.bytes, made.len);
	ck_assert(addr_equal(session_source(rig.session), &source));
	ck_assert_uint_eq(session_key(rig.session), addr_hash_host(&source));
	ck_assert_uint_eq(listener_counts()->keyed_trusted, 0);
	expect_server_gets(PAYLOAD, strlen(PAYLOAD));
	end_by_client();
	record = flow_ring_front(rig.env.ring);
	ck_assert_ptr_nonnull(record);
	expect_addr(&record->proxy_source, "192.0.2.1:1025");
	expect_addr(&record->proxy_destination, "198.51.100.2:443");
	ck_assert_str_eq(record->vpce, "vpce-08d2");
	ck_assert_uint_eq(record->client_bytes, strlen(PAYLOAD));
	rig_close();
}
END_TEST

START_TEST(sessions_are_counted_by_the_endpoint_they_came_through)
{
	uint64_t sessions = 0;

	open_with(REQUIRED, "");
	make_greeting();
	begin_with(made.bytes, made.len);
	rig_until(rig.session->state == SESSION_RELAYING);
	rig.server = accept_from(rig.listener);
	end_by_client();
	ck_assert_str_eq(listener_stats_vpce(rig.snapshot->listeners[0], 0, &sessions),
			 "vpce-08d2");
	ck_assert_uint_eq(sessions, 1);
	ck_assert_ptr_null(listener_stats_vpce(rig.snapshot->listeners[0], 1, &sessions));
	rig_close();
}
END_TEST

START_TEST(half_a_header_is_waited_for_until_its_deadline)
{
	open_with(REQUIRED, "");
	make_greeting();
	begin_with(made.bytes, made.len - 1);
	rig_pass(4900);
	ck_assert_int_eq(rig.session->state, SESSION_GREETING);
	rig_pass(200);
	expect_refused(REASON_PROXY_HEADER_TIMEOUT);
}
END_TEST

START_TEST(optional_gives_a_header_that_began_the_time_of_a_header)
{
	open_with(OPTIONAL ", header_timeout: 2s", "");
	make_greeting();
	begin_with(made.bytes, 1);
	for (int i = 0; i < 19; i++)
		rig_pass(100);
	ck_assert_int_eq(rig.session->state, SESSION_GREETING);
	rig_pass(200);
	expect_refused(REASON_PROXY_HEADER_TIMEOUT);
}
END_TEST

START_TEST(a_peer_that_must_speak_and_does_not_is_reset)
{
	open_with(REQUIRED ", header_timeout: 300ms", "");
	begin_with("", 0);
	rig_pass(250);
	ck_assert_int_eq(rig.session->state, SESSION_GREETING);
	rig_pass(100);
	expect_refused(REASON_PROXY_HEADER_TIMEOUT);
}
END_TEST

START_TEST(a_header_of_an_untrusted_peer_is_refused_where_one_is_required)
{
	open_with(", proxy_protocol: required" STRANGER, "");
	make_greeting();
	begin_with(made.bytes, made.len);
	expect_refused(REASON_PROXY_UNTRUSTED);
}
END_TEST

START_TEST(a_header_of_an_untrusted_peer_is_payload_where_one_is_optional)
{
	open_with(", proxy_protocol: optional" STRANGER, "");
	make_greeting();
	begin_with(made.bytes, made.len);
	ck_assert_int_eq(rig.session->state, SESSION_DIALING);
	ck_assert_ptr_null(rig.session->greeting);
	expect_server_gets(made.bytes, made.len);
	end_by_client();
	ck_assert_uint_eq(listener_counts()->proxy_headers, 0);
	rig_close();
}
END_TEST

START_TEST(optional_lets_the_server_speak_first_and_is_deaf_to_later_headers)
{
	open_with(OPTIONAL, "");
	begin_with("", 0);
	rig_pass(150);
	ck_assert_int_eq(rig.session->state, SESSION_GREETING);
	rig_pass(100);
	rig_until(rig.session->state == SESSION_RELAYING);
	rig.server = accept_from(rig.listener);
	send_pattern(rig.server, 0, 100);
	rig_until_readable(rig.client);
	expect_pattern(rig.client, 0, 100);
	make_greeting();
	say(made.bytes, made.len);
	expect_server_gets(made.bytes, made.len);
	ck_assert_uint_eq(listener_counts()->proxy_headers, 0);
	end_by_client();
	rig_close();
}
END_TEST

START_TEST(optional_goes_on_at_the_first_byte_of_something_else)
{
	open_with(OPTIONAL, "");
	begin_with("", 0);
	say("PRI * HTTP/2.0", 14);
	expect_server_gets("PRI * HTTP/2.0", 14);
	end_by_client();
	rig_close();
}
END_TEST

START_TEST(optional_relays_what_ends_before_it_became_a_header)
{
	char text[8];

	open_with(OPTIONAL, "");
	begin_with("PRO", 3);
	ck_assert_int_eq(rig.session->state, SESSION_GREETING);
	shutdown(rig.client, SHUT_WR);
	rig_until(rig.session->state == SESSION_RELAYING);
	rig.server = accept_from(rig.listener);
	rig_until(rig.session->to_backend.state == RELAY_SHUT);
	wait_for_events(rig.server, POLLIN);
	ck_assert_int_eq(recv(rig.server, text, sizeof(text), MSG_DONTWAIT), 3);
	ck_assert_mem_eq(text, "PRO", 3);
	expect_fin(rig.server);
	close(rig.server);
	rig.server = -1;
	rig_expect_end(REASON_CLIENT_FIN);
	rig_close();
}
END_TEST

static void expect_bad(const void *bytes, size_t size)
{
	open_with(REQUIRED, "");
	begin_with(bytes, size);
	expect_refused(REASON_PROXY_HEADER_BAD);
}

START_TEST(what_is_no_header_is_refused_where_one_is_required)
{
	expect_bad("GET / HTTP/1.0\r\n", 16);
	expect_bad("PROXY TCP4 nobody nowhere 1 2\r\n", 31);
	make_tcp4(&made);
	made.bytes[13] = 0x12; /* a datagram */
	expect_bad(made.bytes, made.len);
	open_with(OPTIONAL, "");
	begin_with("PROXY TCP4 nobody nowhere 1 2\r\n", 31);
	expect_refused(REASON_PROXY_HEADER_BAD);
}
END_TEST

START_TEST(a_connection_that_ends_within_the_header_is_refused_at_once)
{
	open_with(REQUIRED, "");
	make_greeting();
	begin_with(made.bytes, 20);
	shutdown(rig.client, SHUT_WR);
	expect_refused(REASON_PROXY_HEADER_BAD);
}
END_TEST

static void expect_probe(enum reason reason)
{
	rig_expect_end(reason);
	ck_assert_uint_eq(rig.counts.probes, 1);
	ck_assert_uint_eq(rig.counts.clients, 0);
	ck_assert_uint_eq(listener_counts()->probes, 1);
	ck_assert_uint_eq(listener_counts()->proxy_errors, 0);
	ck_assert_uint_eq(flow_ring_length(rig.env.ring), 0);
	rig_close();
}

START_TEST(a_probe_without_a_byte_is_welcome_where_a_header_is_required)
{
	open_with(REQUIRED, "");
	begin_with("", 0);
	shutdown(rig.client, SHUT_WR);
	rig_until_readable(rig.client);
	expect_fin(rig.client);
	expect_probe(REASON_CLIENT_FIN);
	open_with(REQUIRED, "");
	begin_with("", 0);
	close_hard(rig.client);
	rig.client = -1;
	rig_until(!rig.env.session_count);
	expect_probe(rig.counts.reasons[REASON_CLIENT_FIN] ? REASON_CLIENT_FIN
							   : REASON_CLIENT_ABORT);
}
END_TEST

START_TEST(a_local_header_is_a_probe_whatever_it_says_then)
{
	open_with(REQUIRED, "");
	make_fixed(&made, 0x20, 0);
	add_payload();
	begin_with(made.bytes, made.len);
	ck_assert_ptr_eq(session_source(rig.session), &rig.session->client.peer);
	expect_server_gets(PAYLOAD, strlen(PAYLOAD));
	close(rig.client);
	rig.client = -1;
	rig_until_readable(rig.server);
	close(rig.server);
	rig.server = -1;
	rig_until(!rig.env.session_count);
	ck_assert_uint_eq(listener_counts()->proxy_headers, 1);
	expect_probe(REASON_CLIENT_FIN);
}
END_TEST

START_TEST(v1_unknown_is_a_session_of_the_peer)
{
	open_with(REQUIRED, "");
	begin_with("PROXY UNKNOWN\r\nhello", 20);
	ck_assert_ptr_eq(session_source(rig.session), &rig.session->client.peer);
	expect_server_gets(PAYLOAD, strlen(PAYLOAD));
	end_by_client();
	ck_assert_uint_eq(rig.counts.probes, 0);
	ck_assert_uint_eq(flow_ring_length(rig.env.ring), 1);
	rig_close();
}
END_TEST

static void expect_probe_after_reset(const char *line)
{
	say(line, strlen(line));
	rig_until(rig.session->state == SESSION_RELAYING);
	rig.server = accept_from(rig.listener);
	close_hard(rig.client);
	rig.client = -1;
	expect_probe(REASON_CLIENT_RST);
}

START_TEST(a_check_by_version_1_is_a_probe_however_it_ends)
{
	char line[PROXYPROTO_V1_MAX];

	open_with(REQUIRED, "");
	begin_with("", 0);
	expect_probe_after_reset("PROXY UNKNOWN\r\n");
	open_with(REQUIRED, "");
	begin_with("", 0);
	snprintf(line, sizeof(line), "PROXY TCP4 127.0.0.1 127.0.0.1 %u 80\r\n",
		 rig.session->client.peer.port);
	expect_probe_after_reset(line);
}
END_TEST

START_TEST(a_silent_client_behind_a_balancer_is_no_probe_of_the_balancers)
{
	open_with(REQUIRED, "");
	make_greeting();
	begin_with(made.bytes, made.len);
	rig_until(rig.session->state == SESSION_RELAYING);
	rig.server = accept_from(rig.listener);
	rig_pass(60000);
	end_by_client();
	ck_assert_uint_eq(rig.counts.probes, 0);
	ck_assert_uint_eq(flow_ring_length(rig.env.ring), 1);
	rig_close();
}
END_TEST

START_TEST(without_memory_for_what_a_header_says_the_session_ends)
{
	open_with(REQUIRED, "");
	make_greeting();
	begin_with(made.bytes, 20);
	say(made.bytes + 20, made.len - 20);
	wait_for_events(rig.session->client.source.fd, POLLIN);
	no_memory = true;
	rig_until(!rig.env.session_count);
	no_memory = false;
	rig_expect_end(REASON_NO_MEMORY);
	expect_reset(rig.client);
	ck_assert_uint_eq(listener_counts()->proxy_errors, 0);
	rig_close();
}
END_TEST

START_TEST(a_session_told_to_close_while_it_is_greeted_dials_nobody)
{
	open_with(REQUIRED, "");
	begin_with("PROXY", 5);
	ck_assert_uint_eq(rig.session->state, SESSION_GREETING);
	session_close(rig.session, REASON_KILLED, 0, 3000);
	rig_expect_end(REASON_KILLED_RST);
	expect_reset(rig.client);
	rig_close();
}
END_TEST

START_TEST(an_aborted_session_gives_back_what_its_header_took)
{
	open_with(REQUIRED, "");
	make_greeting();
	begin_with(made.bytes, 20);
	session_abort(rig.session, REASON_DRAIN_RST);
	rig_expect_end(REASON_DRAIN_RST);
	rig_close();
}
END_TEST

/* Read what the backend got as a header; the payload must be all that is behind it. */
static void expect_header_then_payload(void)
{
	uint8_t buf[2048];
	size_t got = 0;

	rig_until(rig.session->state == SESSION_RELAYING);
	rig.server = accept_from(rig.listener);
	do {
		ssize_t n;

		rig_until_readable(rig.server);
		n = recv(rig.server, buf + got, sizeof(buf) - got, MSG_DONTWAIT);
		ck_assert_int_gt(n, 0);
		got += (size_t)n;
	} while (read_bytes(buf, got) == PROXYPROTO_NEED_MORE || got < length + strlen(PAYLOAD));
	ck_assert_int_eq(read_bytes(buf, got), PROXYPROTO_OK);
	ck_assert_uint_eq(got, length + strlen(PAYLOAD));
	ck_assert_mem_eq(buf + length, PAYLOAD, strlen(PAYLOAD));
	ck_assert_uint_eq(rig.session->to_backend.bytes, strlen(PAYLOAD));
	ck_assert_uint_eq(rig.session->target->counts[0].c.sent_bytes, got);
}

START_TEST(the_backend_is_told_the_client_without_a_header)
{
	static const char *const versions[] = {"v1", "v2"};

	for (size_t i = 0; i < 2; i++) {
		char pool[64];

		snprintf(pool, sizeof(pool), ", proxy_protocol: %s", versions[i]);
		open_with("", pool);
		begin_with(PAYLOAD, strlen(PAYLOAD));
		expect_header_then_payload();
		ck_assert_int_eq(header.version, (int)i + 1);
		ck_assert_int_eq(header.command, PROXYPROTO_PROXY);
		ck_assert(addr_equal(&header.source, &rig.session->client.peer));
		ck_assert(addr_equal(&header.destination, &rig.session->client.local));
		end_by_client();
		rig_close();
	}
}
END_TEST

START_TEST(the_backend_is_told_what_the_header_said_tlvs_included)
{
	open_with(REQUIRED, ", proxy_protocol: v2, proxy_crc32c: true");
	make_greeting();
	make_tlv(&made, 0x04, "pad", 3);
	make_tlv(&made, 0x02, "example.net", 11);
	add_payload();
	begin_with(made.bytes, made.len);
	expect_header_then_payload();
	ck_assert_uint_eq(length, 16 + 12 + 7 + 13 + 14);
	expect_addr(&header.source, "192.0.2.1:1025");
	expect_addr(&header.destination, "198.51.100.2:443");
	ck_assert_str_eq(header.vpce, "vpce-08d2");
	ck_assert_uint_eq(header.tlv_size, 13 + 14);
	end_by_client();
	rig_close();
}
END_TEST

START_TEST(a_server_that_speaks_first_gets_the_header_at_once)
{
	uint8_t buf[64];
	ssize_t got;

	open_with("", ", proxy_protocol: v2");
	begin_with("", 0);
	rig_until(rig.session->state == SESSION_RELAYING);
	rig.server = accept_from(rig.listener);
	wait_for_events(rig.server, POLLIN);
	got = recv(rig.server, buf, sizeof(buf), MSG_DONTWAIT);
	ck_assert_int_eq(got, 28);
	ck_assert_int_eq(read_bytes(buf, (size_t)got), PROXYPROTO_OK);
	ck_assert_uint_eq(rig.session->client_first_us, 0);
	end_by_client();
	rig_close();
}
END_TEST

START_TEST(a_check_of_the_balancers_own_is_passed_on_as_such)
{
	open_with(REQUIRED, ", proxy_protocol: v2");
	make_fixed(&made, 0x20, 0);
	add_payload();
	begin_with(made.bytes, made.len);
	expect_header_then_payload();
	ck_assert_int_eq(header.command, PROXYPROTO_LOCAL);
	end_by_client();
	rig_close();
}
END_TEST

START_TEST(a_retry_gives_the_next_target_header_and_payload)
{
	char list[2 * ADDR_TEXT], text[ADDR_TEXT];
	int gone = listen_on("127.0.0.1:0", 1);
	struct addr addr = local_of(gone);

	close(gone);
	snprintf(list, sizeof(list), "\"%s\", @", addr_format(&addr, text));
	rig_open_with(REQUIRED, ", balance: first, proxy_protocol: v1", list, "log: json");
	make_greeting();
	add_payload();
	begin_with(made.bytes, made.len);
	expect_header_then_payload();
	expect_addr(&header.source, "192.0.2.1:1025");
	ck_assert_uint_eq(rig.session->retries, 1);
	end_by_client();
	rig_close();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		payload_in_the_segment_of_the_header_stays_whole,
		a_header_may_come_byte_by_byte,
		the_headers_source_is_the_client_to_logs_and_balance,
		sessions_are_counted_by_the_endpoint_they_came_through,
		half_a_header_is_waited_for_until_its_deadline,
		optional_gives_a_header_that_began_the_time_of_a_header,
		a_peer_that_must_speak_and_does_not_is_reset,
		a_header_of_an_untrusted_peer_is_refused_where_one_is_required,
		a_header_of_an_untrusted_peer_is_payload_where_one_is_optional,
		optional_lets_the_server_speak_first_and_is_deaf_to_later_headers,
		optional_goes_on_at_the_first_byte_of_something_else,
		optional_relays_what_ends_before_it_became_a_header,
		what_is_no_header_is_refused_where_one_is_required,
		a_connection_that_ends_within_the_header_is_refused_at_once,
		a_probe_without_a_byte_is_welcome_where_a_header_is_required,
		a_local_header_is_a_probe_whatever_it_says_then,
		v1_unknown_is_a_session_of_the_peer,
		a_check_by_version_1_is_a_probe_however_it_ends,
		a_silent_client_behind_a_balancer_is_no_probe_of_the_balancers,
		without_memory_for_what_a_header_says_the_session_ends,
		a_session_told_to_close_while_it_is_greeted_dials_nobody,
		an_aborted_session_gives_back_what_its_header_took,
		the_backend_is_told_the_client_without_a_header,
		the_backend_is_told_what_the_header_said_tlvs_included,
		a_server_that_speaks_first_gets_the_header_at_once,
		a_check_of_the_balancers_own_is_passed_on_as_such,
		a_retry_gives_the_next_target_header_and_payload,
	};

	return run_tests("session_greeting", tests, COUNT(tests));
}
