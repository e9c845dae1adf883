/* SPDX-License-Identifier: Apache-2.0
 *
 * When a session is offered to the kernel, what becomes of it there, and what brings it back. The
 * door is a double that says what the test wants; the sockets are real.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=offload_offer,--wrap=offload_cancel */
/* link: -Wl,--wrap=offload_fits,--wrap=offload_recall,--wrap=offload_abort,--wrap=offload_look */
/* link: -Wl,--wrap=offload_widen */
#include <fcntl.h>

#include "proxy/session/offload.h"
#include "tests/unit/session_rig.h"

static struct {
	unsigned offers;
	unsigned cancels;
	unsigned recalls;
	unsigned aborts;
	enum flow_refusal answer;
	struct offload_ticket ticket;
	struct flow_note note;
	struct flow_view view;
	bool is_wide; /* windows do not fit */
	bool bulk;    /* as was asked last */
	unsigned fit_asks;
	unsigned widenings;
	int fds[2]; /* those that were offered, once the session forgot them: duplicates */
} door;

enum flow_refusal __wrap_offload_offer(struct offload_door *at, void *owner, const int fds[2],
				       const struct addr local[2], const struct addr peer[2],
				       const struct flow_note *note,
				       struct offload_ticket **ret_ticket);
bool __wrap_offload_fits(const int fds[2], bool bulk, bool *ret_narrowed);
void __wrap_offload_widen(const int fds[2]);
void __wrap_offload_cancel(struct offload_ticket *ticket);
void __wrap_offload_recall(struct offload_ticket *ticket);
void __wrap_offload_abort(struct offload_ticket *ticket);
void __wrap_offload_look(const struct offload_ticket *ticket, struct flow_view *ret_view);

enum flow_refusal __wrap_offload_offer(struct offload_door *at, void *owner, const int fds[2],
				       const struct addr local[2], const struct addr peer[2],
				       const struct flow_note *note,
				       struct offload_ticket **ret_ticket)
{
	door.offers++;
	if (door.answer != FLOW_FINE)
		return door.answer;
	door.ticket = (struct offload_ticket){.owner = owner};
	door.note = *note;
	for (unsigned leg = 0; leg < 2; leg++) {
		ck_assert(local[leg].family == AF_INET && local[leg].port);
		ck_assert(peer[leg].family == AF_INET && peer[leg].port);
		door.fds[leg] = fcntl(fds[leg], F_DUPFD_CLOEXEC, 0);
	}
	*ret_ticket = &door.ticket;
	return FLOW_FINE;
}

bool __wrap_offload_fits(const int fds[2], bool bulk, bool *ret_narrowed)
{
	door.fit_asks++;
	door.bulk = bulk;
	if (door.is_wide)
		*ret_narrowed = true;
	return !door.is_wide;
}

void __wrap_offload_widen(const int fds[2])
{
	door.widenings++;
}

void __wrap_offload_cancel(struct offload_ticket *ticket)
{
	door.cancels++;
}

void __wrap_offload_recall(struct offload_ticket *ticket)
{
	door.recalls++;
}

void __wrap_offload_abort(struct offload_ticket *ticket)
{
	door.aborts++;
}

void __wrap_offload_look(const struct offload_ticket *ticket, struct flow_view *ret_view)
{
	*ret_view = door.view;
}

/* --- steps --- */

static void open_rig(const char *pool)
{
	memset(&door, 0, sizeof(door));
	door.fds[0] = door.fds[1] = -1;
	rig_open(pool);
	rig.env.door = (struct offload_door *)&door; /* never looked into by a session */
	rig_relay();
}

static void close_rig(void)
{
	for (unsigned leg = 0; leg < 2; leg++)
		if (door.fds[leg] >= 0)
			close(door.fds[leg]);
	rig_close();
}

static void move_bytes(size_t count)
{
	send_pattern(rig.client, 0, count);
	rig_until_readable(rig.server);
	expect_pattern(rig.server, 0, count);
	rig_turn();
}

/* A quarter of what makes `auto` offer a session: a whole in fewer turns than do. */
#define QUARTER (64 * 1024)

static void move_bulk(void)
{
	for (int i = 0; i < 4; i++)
		move_bytes(QUARTER);
}

static void go(void)
{
	session_offload_owner.on_gone(rig.session);
	ck_assert_int_eq(rig.session->state, SESSION_OFFLOADED);
}

static void open_and_go(const char *pool)
{
	open_rig(pool);
	move_bytes(1);
	ck_assert_uint_eq(door.offers, 1);
	go();
}

static void come_back(void)
{
	int fds[2] = {door.fds[0], door.fds[1]};

	door.fds[0] = door.fds[1] = -1;
	session_offload_owner.on_back(rig.session, fds, false);
}

static void end_it(void)
{
	session_offload_owner.on_end(rig.session, OFFLOAD_END_BACKEND_FIN);
	rig_expect_end(REASON_BACKEND_FIN);
}

/* --- offering --- */

START_TEST(a_pool_that_does_not_want_it_never_offers)
{
	open_rig("");
	for (int i = 0; i < 10; i++)
		move_bytes(10000);
	ck_assert_uint_eq(door.offers, 0);
	session_abort(rig.session, REASON_KILLED_RST);
	close_rig();
}
END_TEST

START_TEST(auto_waits_for_bytes_that_make_it_worth_while)
{
	open_rig(", offload: auto");
	for (int i = 0; i < 3; i++)
		move_bytes(QUARTER);
	move_bytes(QUARTER - 1);
	ck_assert_uint_eq(door.offers, 0);
	move_bytes(1);
	ck_assert_uint_eq(door.offers, 1);
	session_abort(rig.session, REASON_KILLED_RST);
	ck_assert_uint_eq(door.cancels, 1);
	close_rig();
}
END_TEST

START_TEST(auto_takes_a_few_small_messages_for_a_promise_of_more)
{
	open_rig(", offload: auto");
	for (int i = 0; i < 20 && !door.offers; i++)
		move_bytes(10);
	ck_assert_uint_eq(door.offers, 1);
	session_abort(rig.session, REASON_KILLED_RST);
	close_rig();
}
END_TEST

START_TEST(auto_waits_until_windows_fit)
{
	open_rig(", offload: auto");
	door.is_wide = true;
	move_bulk();
	ck_assert(door.bulk);
	while (door.fit_asks < 8)
		move_bytes(1);
	ck_assert(!door.bulk);
	ck_assert_uint_eq(door.offers, 0);
	door.is_wide = false;
	move_bytes(1);
	ck_assert_uint_eq(door.offers, 1);
	session_abort(rig.session, REASON_KILLED_RST);
	close_rig();
}
END_TEST

START_TEST(windows_that_were_narrowed_for_nothing_are_wide_again)
{
	open_rig(", offload: auto");
	door.is_wide = true;
	door.answer = FLOW_ECN;
	move_bulk();
	ck_assert_uint_eq(door.widenings, 0);
	door.is_wide = false;
	move_bytes(1);
	ck_assert_uint_eq(door.offers, 1);
	ck_assert_uint_eq(door.widenings, 1);
	session_abort(rig.session, REASON_KILLED_RST);
	close_rig();
}
END_TEST

START_TEST(who_is_refused_for_good_is_not_offered_again)
{
	open_rig(", offload: flow");
	door.answer = FLOW_MSS;
	move_bytes(1);
	move_bytes(1);
	move_bytes(1);
	ck_assert_uint_eq(door.offers, 1);
	session_abort(rig.session, REASON_KILLED_RST);
	close_rig();
}
END_TEST

START_TEST(who_is_busy_is_offered_again)
{
	open_rig(", offload: flow");
	door.answer = FLOW_BUSY;
	move_bytes(1);
	move_bytes(1);
	ck_assert_uint_ge(door.offers, 2);
	session_abort(rig.session, REASON_KILLED_RST);
	close_rig();
}
END_TEST

START_TEST(who_has_finished_one_way_is_not_offered)
{
	open_rig(", offload: flow");
	shutdown(rig.client, SHUT_WR);
	rig_until_readable(rig.server);
	expect_fin(rig.server);
	send_pattern(rig.server, 0, 1);
	rig_until_readable(rig.client);
	ck_assert_uint_eq(door.offers, 0);
	session_abort(rig.session, REASON_KILLED_RST);
	close_rig();
}
END_TEST

START_TEST(its_note_says_who_it_is)
{
	open_rig(", offload: flow");
	move_bytes(7);
	ck_assert_str_eq(door.note.listener, "a");
	ck_assert_str_eq(door.note.pool, "p");
	ck_assert_uint_eq(door.note.client_bytes, 7);
	ck_assert_uint_eq(door.note.session_id, rig.session->id);
	session_abort(rig.session, REASON_KILLED_RST);
	close_rig();
}
END_TEST

/* --- gone --- */

START_TEST(it_holds_no_socket_and_ends_with_nobody_reset)
{
	open_and_go(", offload: flow");
	ck_assert_int_eq(rig.session->client.source.fd, -1);
	ck_assert_int_eq(rig.session->backend.source.fd, -1);
	end_it();
	expect_silence(rig.client);
	expect_silence(rig.server);
	close_rig();
}
END_TEST

START_TEST(what_the_kernel_moved_is_counted_once)
{
	open_and_go(", offload: flow");
	door.view.bytes[0] = 1000;
	door.view.bytes[1] = 50000;
	rig_pass(5001);
	rig_pass(5001);
	ck_assert_uint_eq(rig.counts.client_received_bytes, 1001);
	ck_assert_uint_eq(rig.counts.client_sent_bytes, 50000);
	door.view.bytes[0] = 1500;
	end_it();
	ck_assert_uint_eq(rig.counts.client_received_bytes, 1501);
	close_rig();
}
END_TEST

START_TEST(silence_as_long_as_keepalive_asks_it_back)
{
	open_and_go(", offload: flow, tcp: {keepalive: {idle: 20s}}");
	door.view.quiet_ns = 4 * 1000000000ull;
	rig_pass(5001);
	ck_assert_uint_eq(door.recalls, 0);
	door.view.quiet_ns = 21 * 1000000000ull;
	rig_pass(5001);
	ck_assert_uint_ge(door.recalls, 1);
	end_it();
	close_rig();
}
END_TEST

START_TEST(it_comes_back_as_a_session_like_any_other)
{
	open_and_go(", offload: flow");
	come_back();
	ck_assert_int_eq(rig.session->state, SESSION_RELAYING);
	move_bytes(100);
	send_pattern(rig.server, 0, 50);
	rig_until_readable(rig.client);
	expect_pattern(rig.client, 0, 50);
	shutdown(rig.client, SHUT_WR);
	rig_until_readable(rig.server);
	expect_fin(rig.server);
	shutdown(rig.server, SHUT_WR);
	rig_expect_end(REASON_CLIENT_FIN);
	close_rig();
}
END_TEST

START_TEST(our_own_closing_asks_it_back_first)
{
	open_and_go(", offload: flow");
	door.view.quiet_ns = 2000000000; /* a quiet moment */
	session_close(rig.session, REASON_DRAIN, 0, 10000);
	rig_pass(2);
	ck_assert_uint_ge(door.recalls, 1);
	ck_assert_uint_eq(door.aborts, 0);
	come_back();
	rig_pass(1500);
	rig_expect_end(REASON_DRAIN);
	expect_fin(rig.client);
	expect_fin(rig.server);
	close_rig();
}
END_TEST

START_TEST(who_does_not_come_back_is_reset_at_the_deadline)
{
	open_and_go(", offload: flow");
	session_close(rig.session, REASON_DRAIN, 0, 3000);
	for (int i = 0; i < 40 && rig.env.session_count; i++)
		rig_pass(100);
	ck_assert_uint_eq(door.aborts, 1);
	ck_assert_uint_eq(rig.counts.reasons[REASON_DRAIN_RST], 1);
	close_rig();
}
END_TEST

START_TEST(one_half_that_stays_open_too_long_is_reset)
{
	open_and_go(", offload: flow, timeouts: {half_close: 10s}");
	door.view.fin[0] = true;
	door.view.first_fin = 1;
	for (int i = 0; i < 30 && rig.env.session_count; i++) {
		door.view.quiet_ns += 1000000000ull;
		rig_pass(1000);
	}
	ck_assert_uint_eq(door.recalls, 0);
	ck_assert_uint_eq(door.aborts, 1);
	ck_assert_uint_eq(rig.counts.reasons[REASON_HALF_CLOSE], 1);
	close_rig();
}
END_TEST

START_TEST(how_it_ended_is_its_reason)
{
	static const enum reason reasons[] = {REASON_CLIENT_FIN, REASON_BACKEND_FIN,
					      REASON_CLIENT_RST, REASON_BACKEND_RST};

	open_and_go(", offload: flow");
	session_offload_owner.on_end(rig.session, (enum offload_end)_i);
	rig_expect_end(reasons[_i]);
	close_rig();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session_offload");
	TCase *tcase = tcase_create("offload");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, a_pool_that_does_not_want_it_never_offers);
	tcase_add_test(tcase, auto_waits_for_bytes_that_make_it_worth_while);
	tcase_add_test(tcase, auto_takes_a_few_small_messages_for_a_promise_of_more);
	tcase_add_test(tcase, auto_waits_until_windows_fit);
	tcase_add_test(tcase, windows_that_were_narrowed_for_nothing_are_wide_again);
	tcase_add_test(tcase, who_is_refused_for_good_is_not_offered_again);
	tcase_add_test(tcase, who_is_busy_is_offered_again);
	tcase_add_test(tcase, who_has_finished_one_way_is_not_offered);
	tcase_add_test(tcase, its_note_says_who_it_is);
	tcase_add_test(tcase, it_holds_no_socket_and_ends_with_nobody_reset);
	tcase_add_test(tcase, what_the_kernel_moved_is_counted_once);
	tcase_add_test(tcase, silence_as_long_as_keepalive_asks_it_back);
	tcase_add_test(tcase, it_comes_back_as_a_session_like_any_other);
	tcase_add_test(tcase, our_own_closing_asks_it_back_first);
	tcase_add_test(tcase, who_does_not_come_back_is_reset_at_the_deadline);
	tcase_add_test(tcase, one_half_that_stays_open_too_long_is_reset);
	tcase_add_loop_test(tcase, how_it_ended_is_its_reason, 0, 4);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
