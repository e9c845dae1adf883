/* SPDX-License-Identifier: Apache-2.0
 *
 * The relay on real connections: how few calls it makes, when it splices, what it keeps when the
 * receiver does not read, and that an end is passed on as what it was. Calls that fail are in
 * tests/unit/relay_fault_test.c.
 */
#include <signal.h>

#include "tests/unit/relay_rig.h"

static struct relay_rig rig;

START_TEST(small_message_costs_one_recv_and_one_send)
{
	relay_rig_open(&rig, PLENTY, 0);
	relay_rig_feed(&rig, 0, 1000);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert_uint_eq(sys_calls[SYS_RECV], 1);
	ck_assert_uint_eq(sys_calls[SYS_SEND], 1);
	ck_assert_uint_eq(sys_calls[SYS_SPLICE] + sys_calls[SYS_IOCTL] + sys_calls[SYS_PIPE], 0);
	ck_assert(!rig.from.readable);
	ck_assert(!relay_has_work(&rig.relay, &rig.from));
	ck_assert(!relay_is_holding(&rig.relay));
	ck_assert_uint_eq(rig.relay.bytes, 1000);
	ck_assert_uint_eq(rig.relay.sent_bytes, 1000);
	expect_pattern(rig.receiver, 0, 1000);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(unix_sockets_are_relayed_like_tcp)
{
	relay_rig_open_unix(&rig, PLENTY);
	relay_rig_feed(&rig, 0, 1000);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert_uint_eq(sys_calls[SYS_RECV], 1);
	expect_pattern(rig.receiver, 0, 1000);
	shutdown(rig.sender, SHUT_WR);
	relay_rig_wait(&rig, POLLRDHUP);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_DONE);
	expect_fin(rig.receiver);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(nothing_readable_costs_no_call)
{
	relay_rig_open(&rig, PLENTY, 0);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	for (int i = 0; i < SYS_KINDS; i++)
		ck_assert_uint_eq(sys_calls[i], 0);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(bytes_of_our_own_leave_in_one_segment_with_the_first_relayed)
{
	uint8_t own[100];

	pattern_fill(own, 0, sizeof(own));
	relay_rig_open(&rig, PLENTY, 0);
	relay_rig_feed(&rig, sizeof(own), 1000);
	ck_assert_int_eq(relay_precede(&rig.relay, &rig.to, own, sizeof(own), true, &rig.kit), 0);
	expect_silence(rig.receiver);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	expect_pattern(rig.receiver, 0, 1100);
	ck_assert_uint_eq(rig.relay.bytes, 1000);
	ck_assert_int_eq(relay_precede(&rig.relay, &rig.to, own, sizeof(own), false, &rig.kit), 0);
	expect_pattern(rig.receiver, 0, 100);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(bytes_of_our_own_that_do_not_fit_still_come_first)
{
	static uint8_t own[SLAB_CHUNK_MAX];

	pattern_fill(own, 0, sizeof(own));
	relay_rig_open(&rig, PLENTY, 4096);
	ck_assert_int_eq(relay_precede(&rig.relay, &rig.to, own, sizeof(own), false, &rig.kit), 0);
	ck_assert(rig.relay.blocked && relay_is_holding(&rig.relay));
	relay_rig_feed(&rig, sizeof(own), 1000);
	for (uint64_t got = 0; got < sizeof(own) + 1000;) {
		wait_for_events(rig.receiver, POLLIN);
		got += take_pattern(rig.receiver, got);
		ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	}
	ck_assert_uint_eq(rig.relay.bytes, 1000);
	relay_rig_close(&rig);
	relay_rig_open(&rig, 0, 4096);
	ck_assert_int_eq(relay_precede(&rig.relay, &rig.to, own, sizeof(own), false, &rig.kit),
			 -ENOMEM);
	relay_rig_close(&rig);
}
END_TEST

/* One event of `len` bytes, all of which get through. */
static void one_event(uint64_t from, size_t len)
{
	relay_rig_feed(&rig, from, len);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	expect_pattern(rig.receiver, from, len);
}

START_TEST(splicing_begins_after_a_bulky_event_and_ends_after_a_small_one)
{
	relay_rig_open(&rig, PLENTY, 0);
	one_event(0, 60 * 1024 - 1);
	ck_assert(!rig.relay.bulk);
	one_event(60 * 1024 - 1, 60 * 1024);
	ck_assert(rig.relay.bulk);
	ck_assert_uint_eq(sys_calls[SYS_SPLICE], 0);
	one_event(120 * 1024 - 1, 70 * 1024);
	ck_assert_uint_eq(rig.relay.spliced_bytes, 70 * 1024);
	ck_assert(rig.relay.bulk);
	one_event(190 * 1024 - 1, 1000);
	ck_assert_uint_eq(rig.relay.spliced_bytes, 71 * 1024 - 24);
	ck_assert(!rig.relay.bulk);
	one_event(190 * 1024 + 999, 70 * 1024);
	ck_assert_uint_eq(rig.relay.spliced_bytes, 71 * 1024 - 24);
	ck_assert_uint_eq(rig.counts.spliced_bytes, rig.relay.spliced_bytes);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(pipe_is_given_back_when_it_is_empty)
{
	relay_rig_open(&rig, PLENTY, 0);
	rig.mode = RELAY_SPLICE;
	one_event(0, 5000);
	ck_assert_ptr_null(rig.relay.pipe);
	ck_assert_uint_eq(rig.slab.used, 0);
	one_event(5000, 5000);
	ck_assert_uint_eq(sys_calls[SYS_PIPE], 1);
	relay_rig_close(&rig);
}
END_TEST

/* Not more at once than older kernels (6.1) take before anybody reads: 64 KiB. */
START_TEST(modes_force_copying_or_splicing)
{
	relay_rig_open(&rig, PLENTY, 0);
	rig.mode = RELAY_COPY;
	one_event(0, 60 * 1024);
	one_event(60 * 1024, 60 * 1024);
	ck_assert_uint_eq(rig.relay.spliced_bytes, 0);
	rig.mode = RELAY_SPLICE;
	one_event(120 * 1024, 10);
	ck_assert_uint_eq(rig.relay.spliced_bytes, 10);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(without_a_pipe_bulk_is_copied)
{
	relay_rig_open(&rig, PLENTY, 0);
	rig.pipes.limit = 0;
	rig.mode = RELAY_SPLICE;
	one_event(0, 60 * 1024);
	ck_assert_uint_eq(rig.relay.spliced_bytes, 0);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(full_read_is_followed_by_another)
{
	relay_rig_open(&rig, PLENTY, 0);
	rig.kit.buffer_size = 1000;
	relay_rig_feed(&rig, 0, 3000);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	ck_assert_uint_eq(sys_calls[SYS_RECV], 4); /* the last says EAGAIN */
	ck_assert(!rig.from.readable);
	expect_pattern(rig.receiver, 0, 3000);
	relay_rig_close(&rig);
}
END_TEST

/* Fill the way to the receiver until the relay blocks; returns how many bytes the relay took. */
static uint64_t block(uint64_t *sent)
{
	while (!rig.relay.blocked) {
		*sent += send_until_full(rig.sender, *sent);
		relay_rig_wait(&rig, POLLIN);
		ck_assert_int_ne(relay_rig_run(&rig), RELAY_TO_FAILED);
	}
	ck_assert(!relay_has_work(&rig.relay, &rig.from));
	return rig.relay.bytes;
}

/* Read everything at the receiver while the relay goes on. */
static void drain(uint64_t *sent, uint64_t *got, uint64_t total)
{
	while (*got < total) {
		struct pollfd out = {.fd = rig.to.source.fd, .events = POLLOUT};

		*got += take_pattern(rig.receiver, *got);
		if (*sent < total) {
			size_t left = (size_t)(total - *sent);
			uint8_t buf[4096];
			ssize_t n;

			pattern_fill(buf, *sent, sizeof(buf));
			n = send(rig.sender, buf, left < sizeof(buf) ? left : sizeof(buf),
				 MSG_NOSIGNAL | MSG_DONTWAIT);
			*sent += n > 0 ? (uint64_t)n : 0;
		}
		ck_assert_int_ge(poll(&out, 1, 0), 0);
		if (out.revents & POLLOUT)
			rig.relay.blocked = false;
		relay_rig_look(&rig);
		if (relay_has_work(&rig.relay, &rig.from))
			ck_assert_int_lt(relay_rig_run(&rig), RELAY_FROM_FAILED);
	}
}

START_TEST(unsent_rest_is_kept_in_one_chunk_and_flushed_when_writable)
{
	uint64_t sent = 0, got = 0;

	relay_rig_open(&rig, PLENTY, 4096);
	rig.mode = RELAY_COPY;
	block(&sent);
	ck_assert_ptr_nonnull(rig.relay.rest);
	ck_assert(relay_is_holding(&rig.relay));
	ck_assert_uint_eq(rig.slab.used, rig.relay.rest->capacity);
	ck_assert_uint_eq(rig.relay.bytes - rig.relay.sent_bytes,
			  rig.relay.rest->end - rig.relay.rest->start);
	drain(&sent, &got, sent + 100000);
	ck_assert_ptr_null(rig.relay.rest);
	ck_assert_uint_eq(rig.slab.used, 0);
	ck_assert_uint_eq(rig.relay.bytes, got);
	ck_assert_uint_eq(rig.relay.sent_bytes, got);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(blocked_splice_keeps_its_pipe_and_goes_on_when_writable)
{
	uint64_t sent = 0, got = 0;

	relay_rig_open(&rig, PLENTY, 4096);
	rig.mode = RELAY_SPLICE;
	block(&sent);
	ck_assert_ptr_nonnull(rig.relay.pipe);
	ck_assert_uint_eq(rig.relay.bytes - rig.relay.sent_bytes, rig.relay.pipe->filled);
	ck_assert_uint_eq(rig.slab.used, rig.relay.pipe->capacity);
	drain(&sent, &got, sent + 100000);
	ck_assert_ptr_null(rig.relay.pipe);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(at_the_cap_bytes_wait_in_the_kernel_and_none_is_lost_or_doubled)
{
	uint64_t sent = 0, got = 0;

	relay_rig_open(&rig, 0, 4096);
	block(&sent);
	ck_assert_ptr_null(rig.relay.rest);
	ck_assert_uint_eq(rig.slab.used, 0);
	ck_assert_uint_eq(rig.relay.bytes, rig.relay.sent_bytes);
	ck_assert(rig.from.readable); /* what was peeked at is still there */
	ck_assert_uint_gt(rig.counts.buffer_refusals, 0);
	drain(&sent, &got, sent + 300000);
	ck_assert_uint_eq(rig.relay.bytes, got);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(at_the_cap_unix_sockets_lose_and_double_nothing_either)
{
	uint64_t sent = 0, got = 0;

	relay_rig_open_unix(&rig, 0);
	block(&sent);
	ck_assert_uint_eq(rig.slab.used, 0);
	drain(&sent, &got, sent + 300000);
	ck_assert_uint_eq(rig.relay.bytes, got);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(close_to_the_cap_a_rest_always_finds_its_chunk)
{
	for (uint64_t limit = 0; limit <= 512 * 1024; limit += 32 * 1024) {
		uint64_t sent = 0, got = 0;

		relay_rig_open(&rig, limit, 4096);
		rig.mode = RELAY_COPY;
		block(&sent);
		ck_assert_uint_le(rig.slab.used, limit);
		ck_assert_int_eq(rig.from.error, 0);
		drain(&sent, &got, sent + 1000);
		relay_rig_close(&rig);
	}
}
END_TEST

START_TEST(fin_alone_is_passed_on)
{
	relay_rig_open(&rig, PLENTY, 0);
	shutdown(rig.sender, SHUT_WR);
	relay_rig_wait(&rig, POLLRDHUP);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_DONE);
	ck_assert_int_eq(rig.relay.state, RELAY_SHUT);
	expect_fin(rig.receiver);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_DONE);
	ck_assert_uint_eq(sys_calls[SYS_SHUTDOWN], 1);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(last_fin_is_left_to_the_close)
{
	relay_rig_open(&rig, PLENTY, 0);
	rig.relay.is_last = true;
	send_pattern(rig.sender, 0, 1000);
	shutdown(rig.sender, SHUT_WR);
	relay_rig_wait(&rig, POLLRDHUP);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_DONE);
	ck_assert_int_eq(rig.relay.state, RELAY_SHUT);
	ck_assert_uint_eq(sys_calls[SYS_SHUTDOWN], 0);
	close(rig.to.source.fd);
	rig.to.source.fd = -1;
	expect_pattern(rig.receiver, 0, 1000);
	expect_fin(rig.receiver);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(known_fin_behind_data_needs_no_second_read)
{
	relay_rig_open(&rig, PLENTY, 0);
	send_pattern(rig.sender, 0, 1000);
	shutdown(rig.sender, SHUT_WR);
	relay_rig_wait(&rig, POLLRDHUP);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_DONE);
	ck_assert_uint_eq(sys_calls[SYS_RECV], 1);
	expect_pattern(rig.receiver, 0, 1000);
	expect_fin(rig.receiver);
	relay_rig_close(&rig);
}
END_TEST

/* Segments that a socket has got. */
static uint32_t segments_in(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_segs_in;
}

START_TEST(last_data_and_fin_leave_together)
{
	uint32_t before;

	relay_rig_open(&rig, PLENTY, 0);
	before = segments_in(rig.receiver);
	send_pattern(rig.sender, 0, 1000);
	shutdown(rig.sender, SHUT_WR);
	relay_rig_wait(&rig, POLLRDHUP);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_DONE);
	wait_for_events(rig.receiver, POLLRDHUP);
	ck_assert_uint_eq(segments_in(rig.receiver), before + 1);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(fin_waits_behind_a_blocked_rest)
{
	uint64_t sent = 0, got = 0;

	relay_rig_open(&rig, PLENTY, 4096);
	rig.mode = RELAY_COPY;
	block(&sent);
	shutdown(rig.sender, SHUT_WR);
	while (rig.relay.state != RELAY_SHUT) {
		struct pollfd out = {.fd = rig.to.source.fd, .events = POLLOUT};

		got += take_pattern(rig.receiver, got);
		ck_assert_int_ge(poll(&out, 1, 0), 0);
		if (out.revents & POLLOUT)
			rig.relay.blocked = false;
		relay_rig_look(&rig);
		if (relay_has_work(&rig.relay, &rig.from))
			ck_assert_int_lt(relay_rig_run(&rig), RELAY_FROM_FAILED);
		if (rig.relay.state == RELAY_DRAINING)
			ck_assert(relay_is_holding(&rig.relay));
	}
	expect_pattern(rig.receiver, got, sent - got);
	expect_fin(rig.receiver);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(eof_while_splicing_is_found_by_recv)
{
	relay_rig_open(&rig, PLENTY, 0);
	rig.mode = RELAY_SPLICE;
	send_pattern(rig.sender, 0, 60000);
	shutdown(rig.sender, SHUT_WR);
	relay_rig_arrived(&rig, 60000);
	relay_rig_wait(&rig, POLLRDHUP);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_DONE);
	ck_assert_uint_eq(rig.relay.spliced_bytes, 60000);
	expect_pattern(rig.receiver, 0, 60000);
	expect_fin(rig.receiver);
	relay_rig_close(&rig);
}
END_TEST

/* `len` bytes and then RST, both there before the relay looks. */
static void reset_behind(size_t len)
{
	if (len)
		relay_rig_feed(&rig, 0, len);
	close_hard(rig.sender);
	rig.sender = -1;
	wait_for_events(rig.from.source.fd, POLLHUP);
}

START_TEST(data_and_reset_seen_together_are_no_clean_end)
{
	relay_rig_open(&rig, PLENTY, 0);
	reset_behind(1000);
	relay_rig_look(&rig);
	ck_assert(rig.from.last_words && !rig.from.rdhup);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_FROM_FAILED);
	ck_assert_int_eq(rig.from.error, ECONNRESET);
	expect_pattern(rig.receiver, 0, 1000);
	expect_silence(rig.receiver);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(error_noted_before_outranks_end_of_stream)
{
	relay_rig_open(&rig, PLENTY, 0);
	reset_behind(1000);
	relay_rig_look(&rig);
	/* As leg_note() does: SO_ERROR clears what recv() would have said. */
	rig.from.error = ECONNRESET;
	ck_assert_int_eq(getsockopt(rig.from.source.fd, SOL_SOCKET, SO_ERROR, &(int){0},
				    &(socklen_t){sizeof(int)}),
			 0);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_FROM_FAILED);
	expect_pattern(rig.receiver, 0, 1000);
	expect_silence(rig.receiver);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(reset_that_arrives_after_the_look_is_no_clean_end)
{
	static const enum relay_mode modes[] = {RELAY_COPY, RELAY_SPLICE};

	for (size_t i = 0; i < COUNT(modes); i++) {
		relay_rig_open(&rig, PLENTY, 0);
		rig.mode = modes[i];
		rig.kit.buffer_size = 1000; /* a full read, so that another follows */
		relay_rig_feed(&rig, 0, 1000);
		reset_behind(0); /* unnoticed: no event has told of it */
		ck_assert_int_eq(relay_rig_run(&rig), RELAY_FROM_FAILED);
		ck_assert_int_eq(rig.from.error, ECONNRESET);
		expect_pattern(rig.receiver, 0, 1000);
		expect_silence(rig.receiver);
		relay_rig_close(&rig);
	}
}
END_TEST

START_TEST(receiver_that_reset_fails_the_relay)
{
	static const enum relay_mode modes[] = {RELAY_COPY, RELAY_SPLICE};

	signal(SIGPIPE, SIG_IGN); /* workers block it: splice(2) knows no MSG_NOSIGNAL */
	for (size_t i = 0; i < COUNT(modes); i++) {
		relay_rig_open(&rig, PLENTY, 0);
		rig.mode = modes[i];
		close_hard(rig.receiver);
		rig.receiver = -1;
		wait_for_events(rig.to.source.fd, POLLHUP);
		relay_rig_feed(&rig, 0, 1000);
		ck_assert_int_eq(relay_rig_run(&rig), RELAY_TO_FAILED);
		ck_assert(rig.to.error == ECONNRESET || rig.to.error == EPIPE);
		relay_rig_close(&rig);
	}
}
END_TEST

START_TEST(fin_to_a_receiver_that_reset_ends_without_an_error_of_its_own)
{
	relay_rig_open(&rig, PLENTY, 0);
	close_hard(rig.receiver);
	rig.receiver = -1;
	wait_for_events(rig.to.source.fd, POLLHUP);
	shutdown(rig.sender, SHUT_WR);
	relay_rig_wait(&rig, POLLRDHUP);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_DONE);
	ck_assert_int_eq(rig.to.error, 0);
	relay_rig_close(&rig);
}
END_TEST

/* `before` bytes, an urgent one, `after` bytes. */
static void feed_urgent(size_t before, size_t after)
{
	uint8_t byte = pattern_byte(before);

	send_pattern(rig.sender, 0, before);
	ck_assert_int_eq(send(rig.sender, &byte, 1, MSG_OOB), 1);
	send_pattern(rig.sender, before + 1, after);
	relay_rig_wait(&rig, POLLPRI);
	relay_rig_arrived(&rig, 1);
}

/* Whether the next byte at the receiver is the urgent one. */
static bool is_at_mark(void)
{
	int at_mark = 0;

	ck_assert_int_eq(ioctl(rig.receiver, SIOCATMARK, &at_mark), 0);
	return at_mark;
}

static void check_urgent(size_t before, size_t after)
{
	relay_rig_open(&rig, PLENTY, 0);
	feed_urgent(before, after);
	ck_assert(rig.from.urgent);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	while (rig.relay.bytes < before + 1 + after) {
		relay_rig_wait(&rig, POLLIN);
		ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	}
	ck_assert(!rig.from.readable && !rig.from.urgent);
	wait_for_events(rig.receiver, POLLPRI);
	expect_pattern(rig.receiver, 0, before);
	ck_assert(is_at_mark());
	expect_pattern(rig.receiver, before, 1 + after);
	ck_assert(!is_at_mark());
	relay_rig_close(&rig);
}

START_TEST(urgent_byte_keeps_its_place_and_its_urgency)
{
	check_urgent(100, 0);
	check_urgent(100, 100);
	check_urgent(0, 100);
	check_urgent(0, 0);
	check_urgent(70000, 70000);
}
END_TEST

START_TEST(urgent_byte_turns_splicing_off_until_it_has_passed)
{
	relay_rig_open(&rig, PLENTY, 0);
	rig.mode = RELAY_SPLICE;
	feed_urgent(100, 100);
	while (rig.relay.bytes < 201) {
		relay_rig_wait(&rig, POLLIN);
		ck_assert_int_eq(relay_rig_run(&rig), RELAY_WAITS);
	}
	ck_assert_uint_eq(rig.relay.spliced_bytes, 0);
	wait_for_events(rig.receiver, POLLPRI);
	expect_pattern(rig.receiver, 0, 100);
	ck_assert(is_at_mark());
	expect_pattern(rig.receiver, 100, 101);
	one_event(201, 100);
	ck_assert_uint_eq(rig.relay.spliced_bytes, 100);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(fin_behind_an_urgent_byte_is_passed_on)
{
	relay_rig_open(&rig, PLENTY, 0);
	feed_urgent(100, 0);
	shutdown(rig.sender, SHUT_WR);
	relay_rig_wait(&rig, POLLRDHUP);
	ck_assert_int_eq(relay_rig_run(&rig), RELAY_DONE);
	expect_pattern(rig.receiver, 0, 101);
	expect_fin(rig.receiver);
	relay_rig_close(&rig);
}
END_TEST

START_TEST(dropping_a_relay_gives_back_what_it_holds)
{
	static const enum relay_mode modes[] = {RELAY_COPY, RELAY_SPLICE};

	for (size_t i = 0; i < COUNT(modes); i++) {
		uint64_t sent = 0;

		relay_rig_open(&rig, PLENTY, 4096);
		rig.mode = modes[i];
		block(&sent);
		ck_assert(relay_is_holding(&rig.relay));
		relay_drop(&rig.relay, &rig.kit);
		ck_assert(!relay_is_holding(&rig.relay));
		ck_assert_uint_eq(rig.slab.used, 0);
		ck_assert_uint_eq(rig.pipes.open, 0); /* a filled pipe is closed */
		relay_drop(&rig.relay, &rig.kit);
		relay_rig_close(&rig);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		small_message_costs_one_recv_and_one_send,
		unix_sockets_are_relayed_like_tcp,
		nothing_readable_costs_no_call,
		bytes_of_our_own_leave_in_one_segment_with_the_first_relayed,
		bytes_of_our_own_that_do_not_fit_still_come_first,
		splicing_begins_after_a_bulky_event_and_ends_after_a_small_one,
		pipe_is_given_back_when_it_is_empty,
		modes_force_copying_or_splicing,
		without_a_pipe_bulk_is_copied,
		full_read_is_followed_by_another,
		unsent_rest_is_kept_in_one_chunk_and_flushed_when_writable,
		blocked_splice_keeps_its_pipe_and_goes_on_when_writable,
		at_the_cap_bytes_wait_in_the_kernel_and_none_is_lost_or_doubled,
		at_the_cap_unix_sockets_lose_and_double_nothing_either,
		close_to_the_cap_a_rest_always_finds_its_chunk,
		fin_alone_is_passed_on,
		last_fin_is_left_to_the_close,
		known_fin_behind_data_needs_no_second_read,
		last_data_and_fin_leave_together,
		fin_waits_behind_a_blocked_rest,
		eof_while_splicing_is_found_by_recv,
		data_and_reset_seen_together_are_no_clean_end,
		error_noted_before_outranks_end_of_stream,
		reset_that_arrives_after_the_look_is_no_clean_end,
		receiver_that_reset_fails_the_relay,
		fin_to_a_receiver_that_reset_ends_without_an_error_of_its_own,
		urgent_byte_keeps_its_place_and_its_urgency,
		urgent_byte_turns_splicing_off_until_it_has_passed,
		fin_behind_an_urgent_byte_is_passed_on,
		dropping_a_relay_gives_back_what_it_holds,
	};

	return run_tests("relay", tests, COUNT(tests));
}
