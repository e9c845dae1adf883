/* SPDX-License-Identifier: Apache-2.0
 *
 * How sessions end: what a leg sent before it failed is delivered before the other is reset, for as
 * long as that may take; what is logged and counted; and what the record says.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait */
#include "tests/unit/session_rig.h"

/* Everything `from` can send before it blocks, some of it still in the proxy. Then RST. */
static uint64_t reset_behind_bytes(int *from, const struct relay *relay)
{
	uint64_t sent = 0;

	while (!relay->blocked) {
		sent += send_until_full(*from, sent);
		rig_wait_ms = 10;
		loop_turn(&rig.env.loop);
	}
	close_hard(*from);
	*from = -1;
	return sent;
}

static void expect_bytes_then_reset(int fd, uint64_t least)
{
	static uint8_t buf[65536];
	uint64_t got = 0;
	ssize_t n;

	do {
		while (!is_readable(fd)) { /* the send queue is looked at by the clock */
			rig_now_us += US_PER_MS;
			rig_wait_ms = 1;
			loop_turn(&rig.env.loop);
		}
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n > 0) {
			pattern_check(buf, got, (size_t)n);
			got += (uint64_t)n;
		}
	} while (n > 0);
	ck_assert_int_eq(n, -1);
	ck_assert_int_eq(errno, ECONNRESET);
	ck_assert_uint_ge(got, least);
}

START_TEST(what_a_backend_sent_before_its_reset_is_delivered_first)
{
	uint64_t received;

	rig_open("");
	rig_relay_sized(16384);
	reset_behind_bytes(&rig.server, &rig.session->to_client);
	rig_until(rig.session->state == SESSION_FLUSHING);
	received = rig.session->to_client.bytes;
	expect_bytes_then_reset(rig.client, received);
	rig_expect_end(REASON_BACKEND_RST);
	rig_close();
}
END_TEST

START_TEST(what_a_client_sent_before_its_reset_is_delivered_first)
{
	uint64_t received;

	rig_open("");
	rig_relay_sized(16384);
	reset_behind_bytes(&rig.client, &rig.session->to_backend);
	rig_until(rig.session->state == SESSION_FLUSHING);
	received = rig.session->to_backend.bytes;
	expect_bytes_then_reset(rig.server, received);
	rig_expect_end(REASON_CLIENT_RST);
	rig_close();
}
END_TEST

/* Both are there before the proxy looks, so one event tells of them. */
static void reset_with_data(int *from, const struct leg *leg)
{
	send_pattern(*from, 0, 1000);
	close_hard(*from);
	*from = -1;
	wait_for_events(leg->source.fd, POLLHUP);
}

START_TEST(data_and_reset_that_arrive_together_are_no_clean_end)
{
	rig_open("");
	rig_relay();
	reset_with_data(&rig.client, &rig.session->client);
	expect_bytes_then_reset(rig.server, 1000);
	rig_expect_end(REASON_CLIENT_RST);
	close(rig.server);
	memset(rig.counts.reasons, 0, sizeof(rig.counts.reasons));
	rig.counts.sessions = rig.ended = 0;
	rig_relay();
	reset_with_data(&rig.server, &rig.session->backend);
	expect_bytes_then_reset(rig.client, 1000);
	rig_expect_end(REASON_BACKEND_RST);
	rig_close();
}
END_TEST

START_TEST(delivery_to_a_peer_that_does_not_read_ends_after_five_seconds)
{
	rig_open("");
	rig_relay_sized(4096);
	reset_behind_bytes(&rig.server, &rig.session->to_client);
	rig_until(rig.session->state == SESSION_FLUSHING);
	for (int i = 0; i < 49; i++)
		rig_pass(100);
	ck_assert_uint_eq(rig.env.session_count, 1);
	rig_pass(200);
	rig_expect_end(REASON_BACKEND_RST);
	rig_close();
}
END_TEST

START_TEST(delivery_ends_at_once_when_the_other_peer_resets_too)
{
	rig_open("");
	rig_relay_sized(4096);
	reset_behind_bytes(&rig.server, &rig.session->to_client);
	rig_until(rig.session->state == SESSION_FLUSHING);
	close_hard(rig.client);
	rig.client = -1;
	rig_expect_end(REASON_BACKEND_RST);
	rig_close();
}
END_TEST

START_TEST(both_legs_failing_at_once_end_the_session_at_once)
{
	rig_open("");
	rig_relay();
	rig.session->client.error = ECONNRESET;
	rig.session->backend.error = ECONNRESET;
	session_leg_failed(rig.session);
	ck_assert_uint_eq(rig.env.session_count, 0);
	ck_assert_uint_eq(rig.counts.reasons[REASON_CLIENT_RST], 1);
	rig_close();
}
END_TEST

static void fail_client(int error)
{
	rig_open("");
	rig_relay();
	rig.session->client.error = error;
	session_leg_failed(rig.session);
}

START_TEST(reason_names_what_a_leg_failed_of)
{
	static const struct {
		int error;
		enum reason reason;
	} cases[] = {
		{ECONNRESET, REASON_CLIENT_RST},
		{EPIPE, REASON_CLIENT_RST},
		{ETIMEDOUT, REASON_CLIENT_TIMEOUT},
		{EHOSTUNREACH, REASON_CLIENT_TIMEOUT},
		{ENETUNREACH, REASON_CLIENT_TIMEOUT},
		{ENOMEM, REASON_NO_MEMORY},
		{EIO, REASON_INTERNAL},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		fail_client(cases[i].error);
		rig_pass(5001);
		rig_expect_end(cases[i].reason);
		rig_close();
	}
}
END_TEST

START_TEST(aborted_session_resets_both_ends)
{
	rig_open("");
	rig_relay();
	session_abort(rig.session, REASON_DRAIN_RST);
	expect_reset(rig.client);
	expect_reset(rig.server);
	rig_expect_end(REASON_DRAIN_RST);
	rig_close();
}
END_TEST

START_TEST(session_that_ends_while_it_waits_for_its_turn_is_not_touched_again)
{
	rig_open("");
	rig_relay();
	loop_ready(&rig.env.loop, &rig.session->task); /* a byte budget was spent */
	send_pattern(rig.client, 0, 10);
	wait_for_events(rig.session->client.source.fd, POLLIN);
	session_abort(rig.session, REASON_DRAIN_RST); /* with an event of its client pending */
	rig_turn();
	rig_turn();
	rig_close();
}
END_TEST

/* The client comes and goes without a byte. */
static void probe(uint64_t stays_ms)
{
	rig_relay();
	rig_pass(stays_ms);
	close(rig.client);
	rig.client = -1;
	rig_until_readable(rig.server);
	close(rig.server);
	rig.server = -1;
	rig_expect_end(REASON_CLIENT_FIN);
}

static bool was_logged(void)
{
	bool logged = flow_ring_front(rig.env.ring) != NULL;

	if (logged)
		flow_ring_pop(rig.env.ring);
	return logged;
}

START_TEST(probe_is_counted_and_not_logged)
{
	rig_open("");
	probe(0);
	ck_assert(!was_logged());
	ck_assert_uint_eq(rig.counts.probes, 1);
	ck_assert_uint_eq(rig.snapshot->listeners[0]->counts[0].c.probes, 1);
	ck_assert_uint_eq(rig.counts.clients, 0);
	rig_close();
}
END_TEST

START_TEST(silent_client_that_stays_a_second_is_no_probe)
{
	rig_open("");
	probe(1000);
	ck_assert(was_logged());
	ck_assert_uint_eq(rig.counts.probes, 0);
	ck_assert_uint_eq(rig.counts.clients, 1);
	rig_close();
}
END_TEST

START_TEST(probe_of_a_trusted_balancer_may_take_its_time)
{
	rig_open_with(", trusted: [127.0.0.0/8]", "", "@", "log: json");
	probe(5000);
	ck_assert(!was_logged());
	ck_assert_uint_eq(rig.counts.probes, 1);
	rig_close();
}
END_TEST

START_TEST(client_that_sent_a_byte_is_no_probe)
{
	rig_open("");
	rig_relay();
	send_pattern(rig.client, 0, 1);
	close(rig.client);
	rig.client = -1;
	rig_until_readable(rig.server);
	expect_pattern(rig.server, 0, 1);
	close(rig.server);
	rig.server = -1;
	rig_expect_end(REASON_CLIENT_FIN);
	ck_assert(was_logged());
	rig_close();
}
END_TEST

START_TEST(errors_alone_are_logged_if_that_is_asked_for)
{
	rig_open_with("", "", "@", "log: {format: json, only: errors}");
	probe(2000);
	ck_assert(!was_logged());
	memset(rig.counts.reasons, 0, sizeof(rig.counts.reasons));
	rig.counts.sessions = rig.ended = 0;
	rig_relay();
	session_abort(rig.session, REASON_CONNECT_TIMEOUT);
	ck_assert(was_logged());
	rig_close();
}
END_TEST

START_TEST(sample_logs_one_ordinary_session_in_so_many)
{
	unsigned logged = 0;

	rig_open_with("", "", "@", "log: {format: json, sample: 5}");
	for (int i = 0; i < 20; i++) {
		rig.counts.reasons[REASON_CLIENT_FIN] = 0;
		probe(2000);
		logged += was_logged();
	}
	rig.counts.reasons[REASON_CLIENT_FIN] = 20;
	ck_assert_uint_eq(logged, 4);
	rig_close();
}
END_TEST

START_TEST(no_log_means_no_record)
{
	rig_open_with("", "", "@", "log: off");
	rig_relay();
	session_abort(rig.session, REASON_CONNECT_TIMEOUT);
	ck_assert(!was_logged());
	rig_close();
}
END_TEST

START_TEST(record_that_finds_the_ring_full_is_counted)
{
	rig_open("");
	flow_ring_free(rig.env.ring);
	rig.env.ring = flow_ring_new(2);
	for (int i = 0; i < 3; i++) {
		rig_relay();
		session_abort(rig.session, REASON_DRAIN_RST);
		close(rig.client);
		close(rig.server);
	}
	rig.client = rig.server = -1;
	ck_assert_uint_eq(rig.counts.log_dropped, 1);
	rig_close();
}
END_TEST

START_TEST(record_tells_the_whole_story)
{
	const struct flow_record *record;
	struct addr client, server;
	char name[ADDR_TEXT];

	rig_open("");
	rig_begin(0);
	rig_now_us += 1000;
	rig_until(rig.session->state == SESSION_RELAYING);
	rig.server = accept_from(rig.listener);
	client = local_of(rig.client);
	rig_now_us += 2000;
	rig_turn();
	send_pattern(rig.client, 0, 1000);
	rig_until_readable(rig.server);
	rig_now_us += 3000;
	rig_turn();
	send_pattern(rig.server, 0, 500);
	rig_until_readable(rig.client);
	rig_now_us += 4000;
	rig_turn();
	server = rig.session->backend.local;
	session_abort(rig.session, REASON_DRAIN_RST);
	record = flow_ring_front(rig.env.ring);
	ck_assert_ptr_nonnull(record);
	ck_assert_uint_eq(record->id, 1);
	ck_assert_int_eq(record->reason, REASON_DRAIN_RST);
	ck_assert_uint_eq(record->connect_us, 1000);
	ck_assert_uint_eq(record->client_first_us, 3000);
	ck_assert_uint_eq(record->backend_first_us, 6000);
	ck_assert_uint_eq(record->duration_us, 10000);
	ck_assert_uint_eq(record->client_bytes, 1000);
	ck_assert_uint_eq(record->backend_bytes, 500);
	ck_assert_str_eq(record->listener, "a");
	ck_assert_str_eq(record->pool, "p");
	ck_assert_str_eq(record->target, addr_format(&rig.backend, name));
	ck_assert(addr_equal(&record->client.peer, &client));
	ck_assert(addr_equal(&record->backend.peer, &rig.backend));
	ck_assert(addr_equal(&record->backend.local, &server));
	ck_assert_uint_ne(record->backend.local.port, 0);
	ck_assert_uint_gt(record->client.rtt_us + record->backend.rtt_us, 0);
	flow_ring_pop(rig.env.ring);
	rig_close();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_a_backend_sent_before_its_reset_is_delivered_first,
		what_a_client_sent_before_its_reset_is_delivered_first,
		data_and_reset_that_arrive_together_are_no_clean_end,
		delivery_to_a_peer_that_does_not_read_ends_after_five_seconds,
		delivery_ends_at_once_when_the_other_peer_resets_too,
		both_legs_failing_at_once_end_the_session_at_once,
		reason_names_what_a_leg_failed_of,
		aborted_session_resets_both_ends,
		session_that_ends_while_it_waits_for_its_turn_is_not_touched_again,
		probe_is_counted_and_not_logged,
		silent_client_that_stays_a_second_is_no_probe,
		probe_of_a_trusted_balancer_may_take_its_time,
		client_that_sent_a_byte_is_no_probe,
		errors_alone_are_logged_if_that_is_asked_for,
		sample_logs_one_ordinary_session_in_so_many,
		no_log_means_no_record,
		record_that_finds_the_ring_full_is_counted,
		record_tells_the_whole_story,
	};

	return run_tests("session_closing", tests, COUNT(tests));
}
