/* SPDX-License-Identifier: Apache-2.0
 *
 * The clocks of a session. Time passes only where a test says so; the kernel's own timers are not
 * waited for, but asked what they are set to.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait */
#include "tests/unit/session_rig.h"

static int option_of(const struct leg *leg, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	ck_assert_int_eq(getsockopt(leg->source.fd, level, name, &value, &len), 0);
	return value;
}

/* One byte through the session, so that it was active just now. */
static void move_byte(void)
{
	rig_turn(); /* so that the turn's time is now */
	send_pattern(rig.client, 0, 1);
	rig_until_readable(rig.server);
	expect_pattern(rig.server, 0, 1);
}

static void expect_fin_both_ways(void)
{
	expect_fin(rig.client);
	expect_fin(rig.server);
}

static void expect_reset_both_ways(void)
{
	expect_reset(rig.client);
	expect_reset(rig.server);
}

START_TEST(idle_session_is_closed_with_fin_at_its_time_and_not_before)
{
	rig_open(", timeouts: {idle: 60s}");
	rig_relay();
	rig_pass(59999);
	ck_assert_uint_eq(rig.env.session_count, 1);
	expect_silence(rig.client);
	rig_pass(2);
	rig_expect_end(REASON_IDLE);
	expect_fin_both_ways();
	rig_close();
}
END_TEST

START_TEST(bytes_postpone_idleness_without_touching_the_timer)
{
	uint64_t due;

	rig_open(", timeouts: {idle: 60s}");
	rig_relay();
	rig_pass(2000); /* past the first second, when it matures */
	due = rig.session->timer.due_ms;
	for (int i = 0; i < 5; i++) {
		rig_pass(10000);
		move_byte();
		ck_assert_uint_eq(rig.session->timer.due_ms, due);
	}
	rig_pass(59000);
	ck_assert_uint_eq(rig.env.session_count, 1);
	rig_pass(1001);
	rig_expect_end(REASON_IDLE);
	rig_close();
}
END_TEST

START_TEST(idle_zero_means_never)
{
	rig_open(", timeouts: {idle: 0}");
	rig_relay();
	rig_pass(UINT64_C(40) * 86400 * 1000);
	ck_assert_uint_eq(rig.env.session_count, 1);
	session_abort(rig.session, REASON_DRAIN_RST);
	rig_close();
}
END_TEST

/* Fill the way to the client until the session is blocked on it; returns the bytes sent. */
static uint64_t block_client(void)
{
	uint64_t sent = 0;

	while (!rig.session->to_client.blocked) {
		sent += send_until_full(rig.server, sent);
		rig_wait_ms = 10;
		loop_turn(&rig.env.loop);
	}
	return sent;
}

START_TEST(idle_session_that_holds_bytes_is_reset)
{
	rig_open(", timeouts: {idle: 60s}");
	rig_relay_sized(4096);
	block_client();
	rig_pass(61000);
	rig_expect_end(REASON_IDLE_RST);
	rig_close();
}
END_TEST

START_TEST(half_closed_session_has_its_own_time)
{
	rig_open(", timeouts: {idle: 1h, half_close: 30s}");
	rig_relay();
	shutdown(rig.client, SHUT_WR);
	rig_until_readable(rig.server);
	rig_pass(29999);
	ck_assert_uint_eq(rig.env.session_count, 1);
	rig_pass(2);
	rig_expect_end(REASON_HALF_CLOSE);
	rig_close();
}
END_TEST

START_TEST(half_close_counts_from_the_fin_and_not_from_the_last_byte)
{
	rig_open(", timeouts: {idle: 1h, half_close: 30s}");
	rig_relay();
	move_byte();
	rig_pass(600000); /* ten quiet minutes */
	shutdown(rig.client, SHUT_WR);
	rig_until_readable(rig.server);
	rig_pass(29000);
	ck_assert_uint_eq(rig.env.session_count, 1);
	send_pattern(rig.server, 0, 100); /* the answer to what the client asked */
	rig_until_readable(rig.client);
	expect_pattern(rig.client, 0, 100);
	rig_pass(29000);
	ck_assert_uint_eq(rig.env.session_count, 1);
	rig_pass(1001);
	rig_expect_end(REASON_HALF_CLOSE);
	rig_close();
}
END_TEST

START_TEST(lifetime_has_up_to_ten_percent_of_jitter)
{
	uint32_t least = UINT32_MAX, most = 0;

	rig_open(", timeouts: {lifetime: 100s}");
	for (int i = 0; i < 200; i++) {
		rig_begin(0);
		if (rig.session->lifetime_ms < least)
			least = rig.session->lifetime_ms;
		if (rig.session->lifetime_ms > most)
			most = rig.session->lifetime_ms;
		session_abort(rig.session, REASON_DRAIN_RST);
		rig_turn();
		close(rig.client);
	}
	rig.client = -1;
	ck_assert_uint_ge(least, 100000);
	ck_assert_uint_le(most, 110000);
	ck_assert_uint_gt(most - least, 5000);
	rig_close();
}
END_TEST

START_TEST(session_past_its_lifetime_ends_at_a_quiet_moment)
{
	rig_open(", timeouts: {lifetime: 100s, idle: 1h}");
	rig_relay();
	rig.session->lifetime_ms = 100000;
	rig_pass(99500);
	move_byte();
	rig_pass(600); /* over, but a byte moved 0.6 s ago */
	ck_assert_uint_eq(rig.env.session_count, 1);
	ck_assert_uint_eq(rig.session->closing, REASON_LIFETIME);
	rig_pass(401);
	rig_expect_end(REASON_LIFETIME);
	expect_fin_both_ways();
	rig_close();
}
END_TEST

START_TEST(session_past_its_lifetime_that_never_rests_is_reset)
{
	rig_open(", timeouts: {lifetime: 100s, idle: 1h}");
	rig_relay();
	rig.session->lifetime_ms = 100000;
	rig_pass(99900);
	for (int i = 0; i < 50; i++) {
		move_byte();
		rig_pass(500);
	}
	ck_assert_uint_eq(rig.env.session_count, 1);
	move_byte();
	rig_pass(600);
	rig_expect_end(REASON_LIFETIME_RST);
	expect_reset_both_ways();
	rig_close();
}
END_TEST

START_TEST(session_told_to_close_does_so_when_it_is_quiet)
{
	rig_open("");
	rig_relay();
	rig_pass(5000);
	session_close(rig.session, REASON_DRAIN, 2000, 10000);
	rig_pass(1999);
	ck_assert_uint_eq(rig.env.session_count, 1);
	rig_pass(2);
	rig_expect_end(REASON_DRAIN);
	expect_fin_both_ways();
	rig_close();
}
END_TEST

START_TEST(session_told_to_close_waits_one_second_after_the_last_byte)
{
	rig_open("");
	rig_relay();
	rig_pass(5000);
	move_byte();
	session_close(rig.session, REASON_DRAIN, 0, 10000);
	rig_pass(999);
	ck_assert_uint_eq(rig.env.session_count, 1);
	rig_pass(2);
	rig_expect_end(REASON_DRAIN);
	expect_fin_both_ways();
	rig_close();
}
END_TEST

START_TEST(session_told_to_close_that_holds_bytes_is_reset_at_the_deadline)
{
	rig_open(", timeouts: {idle: 1h}");
	rig_relay_sized(4096);
	block_client();
	session_close(rig.session, REASON_DRAIN, 0, 10000);
	rig_pass(9999);
	ck_assert_uint_eq(rig.env.session_count, 1);
	rig_pass(2);
	rig_expect_end(REASON_DRAIN_RST);
	rig_close();
}
END_TEST

START_TEST(session_told_to_close_while_dialing_closes_once_connected)
{
	rig_open("");
	rig_begin(0);
	ck_assert_uint_eq(rig.session->state, SESSION_DIALING);
	session_close(rig.session, REASON_DRAIN, 0, 10000);
	rig_until(rig.session->state == SESSION_RELAYING);
	rig.server = accept_from(rig.listener);
	rig_pass(1001);
	rig_expect_end(REASON_DRAIN);
	expect_fin_both_ways();
	rig_close();
}
END_TEST

static int second; /* listening, beside rig.listener */

/* Dialing a target whose sessions are all closed; then that attempt fails. */
static void fail_while_closing(void)
{
	struct addr other;
	char list[128], text[ADDR_TEXT];

	second = listen_on("127.0.0.1:0", 8);
	other = local_of(second);
	snprintf(list, sizeof(list), "@, \"%s\"", addr_format(&other, text));
	rig_open_with("", ", balance: first", list, "log: json");
	rig_begin(0);
	ck_assert_uint_eq(rig.session->state, SESSION_DIALING);
	session_close_for_target(rig.session, REASON_TARGET_REMOVED, 0, 10000);
}

static void expect_to_live(bool lives)
{
	session_attempt_failed(rig.session, REASON_CONNECT_TIMEOUT);
	rig_until(rig.session->state == SESSION_RELAYING);
	rig.server = accept_from(second);
	rig_pass(20000);
	ck_assert_uint_eq(rig.env.session_count, lives);
	if (lives)
		session_abort(rig.session, REASON_DRAIN_RST);
	rig_turn();
	rig_close();
	close(second);
}

START_TEST(session_whose_target_s_are_closed_lives_on_with_another)
{
	fail_while_closing();
	expect_to_live(true);
}
END_TEST

START_TEST(session_told_to_close_as_well_closes_on_any_target)
{
	fail_while_closing();
	session_close(rig.session, REASON_DRAIN, 0, 15000);
	expect_to_live(false);
}
END_TEST

START_TEST(keepalive_is_set_once_a_session_has_lived_a_second)
{
	rig_open(", tcp: {keepalive: {idle: 45s, interval: 5s, count: 4}, user_timeout: 70s}");
	rig_relay();
	rig_pass(999);
	ck_assert_int_eq(option_of(&rig.session->backend, SOL_SOCKET, SO_KEEPALIVE), 0);
	rig_pass(2);
	ck_assert_int_eq(option_of(&rig.session->backend, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_eq(option_of(&rig.session->backend, IPPROTO_TCP, TCP_KEEPIDLE), 45);
	ck_assert_int_eq(option_of(&rig.session->backend, IPPROTO_TCP, TCP_USER_TIMEOUT), 70000);
	session_abort(rig.session, REASON_DRAIN_RST);
	rig_close();
}
END_TEST

/* Turn until everything that was sent to the client's closed window is acknowledged. */
static void settle(const struct leg *leg)
{
	struct tcp_info info;

	do {
		socklen_t len = sizeof(info);

		memset(&info, 0, sizeof(info));
		ck_assert_int_eq(getsockopt(leg->source.fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	} while (info.tcpi_unacked);
}

static int user_timeout_of(const struct leg *leg)
{
	return option_of(leg, IPPROTO_TCP, TCP_USER_TIMEOUT);
}

/* As the listener's sockets would have it. */
static void set_client_timeout(uint32_t timeout_ms)
{
	ck_assert_int_eq(setsockopt(rig.session->client.source.fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
				    &timeout_ms, sizeof(timeout_ms)),
			 0);
}

static void drain_client(uint64_t sent)
{
	uint64_t got = 0;

	while (got < sent) {
		got += take_pattern(rig.client, got);
		rig_wait_ms = 10;
		loop_turn(&rig.env.loop);
	}
}

START_TEST(user_timeout_is_lifted_while_a_client_does_not_read_and_put_back)
{
	uint64_t sent;

	rig_open_with(", tcp: {user_timeout: 20s}", ", timeouts: {idle: 1h}", "@", "log: json");
	rig_relay_sized(4096);
	set_client_timeout(20000);
	rig_pass(2000);
	sent = block_client();
	settle(&rig.session->client);
	ck_assert_int_eq(user_timeout_of(&rig.session->client), 20000);
	rig_pass(10001); /* half of it */
	ck_assert_int_eq(user_timeout_of(&rig.session->client), 0);
	rig_pass(3600000 / 2); /* as long as it takes */
	ck_assert_int_eq(user_timeout_of(&rig.session->client), 0);
	drain_client(sent);
	ck_assert(!rig.session->to_client.blocked);
	rig_pass(10001);
	ck_assert_int_eq(user_timeout_of(&rig.session->client), 20000);
	session_abort(rig.session, REASON_DRAIN_RST);
	rig_close();
}
END_TEST

START_TEST(short_user_timeout_is_lifted_in_time_as_well)
{
	rig_open_with(", tcp: {user_timeout: 1s}", ", timeouts: {idle: 1h}", "@", "log: json");
	rig_relay_sized(4096);
	set_client_timeout(1000);
	block_client();
	settle(&rig.session->client);
	rig_pass(501);
	ck_assert_int_eq(user_timeout_of(&rig.session->client), 0);
	session_abort(rig.session, REASON_DRAIN_RST);
	rig_close();
}
END_TEST

START_TEST(timeout_stays_in_force_for_a_client_that_reads)
{
	rig_open_with(", tcp: {user_timeout: 20s}", ", timeouts: {idle: 1h}", "@", "log: json");
	rig_relay();
	set_client_timeout(20000);
	for (int i = 0; i < 10; i++) {
		rig_pass(10001);
		move_byte();
		ck_assert_int_eq(user_timeout_of(&rig.session->client), 20000);
	}
	session_abort(rig.session, REASON_DRAIN_RST);
	rig_close();
}
END_TEST

START_TEST(first_fin_does_not_leave_the_timeout_lifted)
{
	uint64_t sent;

	rig_open_with(", tcp: {user_timeout: 20s}", ", timeouts: {idle: 1h, half_close: 0}", "@",
		      "log: json");
	rig_relay_sized(4096);
	set_client_timeout(20000);
	sent = block_client();
	settle(&rig.session->client);
	rig_pass(10001);
	ck_assert_int_eq(user_timeout_of(&rig.session->client), 0);
	drain_client(sent);
	shutdown(rig.client, SHUT_WR); /* re-arms the timer for the session's other clocks */
	rig_until_readable(rig.server);
	rig_pass(10001);
	ck_assert_int_eq(user_timeout_of(&rig.session->client), 20000);
	session_abort(rig.session, REASON_DRAIN_RST);
	rig_close();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		idle_session_is_closed_with_fin_at_its_time_and_not_before,
		bytes_postpone_idleness_without_touching_the_timer,
		idle_zero_means_never,
		idle_session_that_holds_bytes_is_reset,
		half_closed_session_has_its_own_time,
		half_close_counts_from_the_fin_and_not_from_the_last_byte,
		lifetime_has_up_to_ten_percent_of_jitter,
		session_past_its_lifetime_ends_at_a_quiet_moment,
		session_past_its_lifetime_that_never_rests_is_reset,
		session_told_to_close_does_so_when_it_is_quiet,
		session_told_to_close_waits_one_second_after_the_last_byte,
		session_told_to_close_that_holds_bytes_is_reset_at_the_deadline,
		session_told_to_close_while_dialing_closes_once_connected,
		session_whose_target_s_are_closed_lives_on_with_another,
		session_told_to_close_as_well_closes_on_any_target,
		keepalive_is_set_once_a_session_has_lived_a_second,
		user_timeout_is_lifted_while_a_client_does_not_read_and_put_back,
		short_user_timeout_is_lifted_in_time_as_well,
		timeout_stays_in_force_for_a_client_that_reads,
		first_fin_does_not_leave_the_timeout_lifted,
	};

	return run_tests("session_timing", tests, COUNT(tests));
}
