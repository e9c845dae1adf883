/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions that ran before this process did: where they find their places, and what becomes of
 * those that have none any more. The door is a double.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait */
/* link: -Wl,--wrap=offload_recall,--wrap=offload_abort,--wrap=offload_look */
#include "proxy/session/offload.h"
#include "tests/unit/session_rig.h"

static struct {
	unsigned aborts;
	struct offload_ticket ticket;
	struct flow_view view;
} door;

void __wrap_offload_recall(struct offload_ticket *ticket);
void __wrap_offload_abort(struct offload_ticket *ticket);
void __wrap_offload_look(const struct offload_ticket *ticket, struct flow_view *ret_view);

void __wrap_offload_recall(struct offload_ticket *ticket)
{
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

static void find(const char *target)
{
	struct flow_note *note = &door.ticket.note;

	memset(&door, 0, sizeof(door));
	snprintf(note->listener, sizeof(note->listener), "a");
	snprintf(note->pool, sizeof(note->pool), "p");
	snprintf(note->target, sizeof(note->target), "%s", target);
	note->accepted_wall_us = clock_wall_us() - 60 * US_PER_SEC;
	note->promoted_ns = (clock_us() - 50 * US_PER_SEC) * 1000;
	note->client_bytes = 100;
	note->backend_bytes = 2000;
	note->connect_us = 77;
	door.view.bytes[0] = 10;
	door.view.bytes[1] = 20;
	ck_assert_int_eq(addr_parse("10.0.0.9:1234", &door.ticket.legs.peer[0]), 0);
	door.ticket.legs.peer[1] = rig.backend;
}

static void find_known(void)
{
	char name[ADDR_TEXT];

	find(addr_format(&rig.backend, name));
}

static void adopt(void)
{
	rig.session = session_adopt(&rig.env.loop, &door.ticket);
	ck_assert_uint_eq(rig.adopted, 1);
}

static struct target *the_target(void)
{
	return rig.snapshot->pools[0].targets[0];
}

static void end_it(void)
{
	session_offload_owner.on_end(rig.session, OFFLOAD_END_CLIENT_FIN);
	rig_expect_end(REASON_CLIENT_FIN);
}

/* --- what is promised --- */

START_TEST(it_has_its_place_again_at_whatever_has_limits)
{
	rig_open(", max_connections: 1");
	find_known();
	adopt();
	ck_assert_int_eq(rig.session->state, SESSION_OFFLOADED);
	ck_assert_uint_eq(target_inflight(the_target()), 1);
	ck_assert_uint_eq(rig.snapshot->pools[0].state->inflight, 1);
	ck_assert_uint_eq(rig.snapshot->listeners[0]->open, 1);
	ck_assert_uint_eq(rig.counts.sessions_open, 1);
	ck_assert(!target_reserve(the_target()));
	end_it();
	rig_close();
}
END_TEST

START_TEST(its_record_tells_of_all_its_life_and_the_counters_of_ours)
{
	const struct flow_record *record;

	rig_open("");
	find_known();
	adopt();
	door.view.bytes[0] += 5;
	end_it();
	record = flow_ring_front(rig.env.ring);
	ck_assert_ptr_nonnull(record);
	ck_assert_uint_eq(record->client_bytes, 115);
	ck_assert_uint_eq(record->backend_bytes, 2020);
	ck_assert_uint_eq(record->connect_us, 77);
	ck_assert_uint_eq(record->duration_us, 60 * US_PER_SEC);
	ck_assert_uint_eq(rig.counts.client_received_bytes, 5);
	rig_close();
}
END_TEST

START_TEST(who_is_past_every_limit_is_kept_all_the_same)
{
	rig_open(", max_connections: 1");
	ck_assert(target_reserve(the_target()));
	find_known();
	adopt();
	ck_assert_ptr_nonnull(rig.session);
	ck_assert_uint_eq(target_inflight(the_target()), 2);
	end_it();
	target_release(the_target());
	rig_close();
}
END_TEST

START_TEST(a_target_that_was_written_down_and_is_no_more_ends_it)
{
	rig_open("");
	find("10.9.9.9:99");
	adopt();
	rig_pass(1000);
	ck_assert_uint_eq(door.aborts, 1);
	rig_expect_end(REASON_TARGET_REMOVED_RST);
	rig_close();
}
END_TEST

START_TEST(a_target_that_may_still_be_discovered_is_awaited)
{
	char name[ADDR_TEXT];

	rig_open(", discover: {file: {path: /x}}");
	find("10.9.9.9:99");
	adopt();
	ck_assert_uint_eq(rig.snapshot->pools[0].state->inflight, 1);
	for (int i = 0; i < 10; i++)
		rig_pass(1000);
	ck_assert_uint_eq(rig.env.session_count, 1);
	/* It is there now, as far as the session can tell. */
	free(rig.session->target->name);
	rig.session->target->name = strdup(addr_format(&rig.backend, name));
	rig_pass(1000);
	ck_assert_ptr_eq(rig.session->target, the_target());
	ck_assert_uint_eq(target_inflight(the_target()), 1);
	ck_assert_uint_eq(rig.snapshot->pools[0].state->inflight, 1);
	end_it();
	rig_close();
}
END_TEST

START_TEST(a_target_that_is_never_discovered_ends_it_when_a_start_must_be_over)
{
	rig_open_with("", ", discover: {file: {path: /x}}", "@", "log: json\nstart_wait: 5s");
	find("10.9.9.9:99");
	adopt();
	for (int i = 0; i < 8 && rig.env.session_count; i++)
		rig_pass(1000);
	ck_assert_uint_eq(door.aborts, 1);
	rig_expect_end(REASON_TARGET_REMOVED_RST);
	rig_close();
}
END_TEST

static char *const names[] = {door.ticket.note.listener, door.ticket.note.pool};

START_TEST(without_its_listener_or_pool_it_is_not_wanted)
{
	rig_open("");
	find_known();
	snprintf(names[_i], 8, "gone");
	adopt();
	ck_assert_ptr_null(rig.session);
	ck_assert_uint_eq(rig.counts.reasons[REASON_DRAIN_RST], 1);
	rig_close();
}
END_TEST

START_TEST(a_clock_that_was_set_makes_nobody_younger_than_his_promotion)
{
	rig_open("");
	find_known();
	door.ticket.note.accepted_wall_us = clock_wall_us() + 3600 * US_PER_SEC;
	adopt();
	ck_assert_uint_eq(rig.env.loop.now_us - rig.session->accepted_us, 50 * US_PER_SEC);
	end_it();
	rig_close();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session_adopt");
	TCase *tcase = tcase_create("adopt");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, it_has_its_place_again_at_whatever_has_limits);
	tcase_add_test(tcase, its_record_tells_of_all_its_life_and_the_counters_of_ours);
	tcase_add_test(tcase, who_is_past_every_limit_is_kept_all_the_same);
	tcase_add_test(tcase, a_target_that_was_written_down_and_is_no_more_ends_it);
	tcase_add_test(tcase, a_target_that_may_still_be_discovered_is_awaited);
	tcase_add_test(tcase, a_target_that_is_never_discovered_ends_it_when_a_start_must_be_over);
	tcase_add_loop_test(tcase, without_its_listener_or_pool_it_is_not_wanted, 0, 2);
	tcase_add_test(tcase, a_clock_that_was_set_makes_nobody_younger_than_his_promotion);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
