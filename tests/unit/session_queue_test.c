/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions that wait for a slot: how each wait ends, that nobody overtakes, and that a slot which
 * was granted in vain goes on to the next.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=calloc */
#include "proxy/session_info.h"
#include "tests/unit/session_rig.h"

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

static bool no_memory;

void *__wrap_calloc(size_t count, size_t size)
{
	return no_memory ? NULL : __real_calloc(count, size);
}

static int clients[8], servers[8];
static struct session *sessions[8];
static int begun, served;

static struct pool_state *state(void)
{
	return rig.snapshot->pools[0].state;
}

static struct session *begin(void)
{
	rig_begin(0);
	clients[begun] = rig.client;
	rig.client = -1;
	sessions[begun] = rig.session;
	return sessions[begun++];
}

static void until_relaying(struct session *session)
{
	rig_until(session->state == SESSION_RELAYING);
	servers[served++] = accept_from(rig.listener);
}

/* One slot, which a session has, and so many who wait for it. */
static void open_queue(const char *pool, int waiting)
{
	begun = served = 0;
	rig_open_with("", pool, "{address: @, max_connections: 1}", "log: json");
	until_relaying(begin());
	while (waiting--)
		ck_assert_uint_eq(begin()->state, SESSION_QUEUED);
}

static void close_queue(void)
{
	while (!list_empty(&rig.env.sessions))
		session_abort(container_of(rig.env.sessions.next, struct session, link),
			      REASON_DRAIN_RST);
	rig_turn();
	for (int i = 0; i < begun; i++)
		close(clients[i]);
	for (int i = 0; i < served; i++)
		close(servers[i]);
	rig_close();
}

START_TEST(freed_slot_goes_to_the_oldest_session_that_waits)
{
	open_queue(", queue: 5", 2);
	ck_assert_uint_eq(state()->waiting_count, 2);
	send_pattern(clients[1], 0, 100);
	session_abort(sessions[0], REASON_DRAIN_RST);
	ck_assert_uint_eq(state()->inflight, 1);
	until_relaying(sessions[1]);
	ck_assert_uint_eq(sessions[2]->state, SESSION_QUEUED);
	ck_assert_ptr_null(sessions[1]->search);
	rig_until_readable(servers[1]);
	expect_pattern(servers[1], 0, 100);
	ck_assert_uint_eq(state()->queued, 2);
	close_queue();
}
END_TEST

START_TEST(full_queue_ends_with_a_reason_of_its_own)
{
	open_queue(", queue: 1", 1);
	begin();
	ck_assert_uint_eq(rig.counts.reasons[REASON_QUEUE_FULL], 1);
	ck_assert_uint_eq(state()->queue_full, 1);
	expect_reset(clients[2]);
	close_queue();
}
END_TEST

START_TEST(without_a_queue_a_full_pool_refuses)
{
	open_queue("", 0);
	begin();
	ck_assert_uint_eq(rig.counts.reasons[REASON_POOL_FULL], 1);
	close_queue();
}
END_TEST

START_TEST(without_memory_to_wait_a_full_pool_refuses)
{
	open_queue(", queue: 5", 0);
	no_memory = true;
	begin();
	no_memory = false;
	ck_assert_uint_eq(rig.counts.reasons[REASON_POOL_FULL], 1);
	close_queue();
}
END_TEST

START_TEST(wait_is_over_after_the_queue_s_time)
{
	open_queue(", queue: {size: 5, timeout: 2s}", 1);
	rig_pass(1990);
	ck_assert_uint_eq(sessions[1]->state, SESSION_QUEUED);
	rig_pass(20);
	rig_turn();
	ck_assert_uint_eq(rig.counts.reasons[REASON_QUEUE_TIMEOUT], 1);
	ck_assert_uint_eq(state()->queue_timeouts, 1);
	expect_reset(clients[1]);
	close_queue();
}
END_TEST

START_TEST(slot_granted_in_the_last_moment_is_used)
{
	open_queue(", queue: {size: 5, timeout: 2s}", 1);
	session_abort(sessions[0], REASON_DRAIN_RST); /* grants, and nobody has looked yet */
	session_queue_on_timer(sessions[1]);
	ck_assert_uint_eq(state()->queue_timeouts, 0);
	until_relaying(sessions[1]);
	close_queue();
}
END_TEST

START_TEST(client_that_resets_while_it_waits_is_gone)
{
	open_queue(", queue: 5", 1);
	close_hard(clients[1]);
	rig_until(rig.counts.reasons[REASON_CLIENT_ABORT]);
	ck_assert_uint_eq(state()->waiting_count, 0);
	clients[1] = dup(rig.listener);
	close_queue();
}
END_TEST

START_TEST(client_that_leaves_without_a_byte_is_gone)
{
	open_queue(", queue: 5", 1);
	shutdown(clients[1], SHUT_WR);
	rig_until(rig.counts.reasons[REASON_CLIENT_ABORT]);
	close_queue();
}
END_TEST

START_TEST(client_that_left_while_it_was_greeted_does_not_wait)
{
	static const char header[] = "PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n";
	struct target *target;

	begun = served = 0;
	rig_open_with(", proxy_protocol: required, trusted: [127.0.0.1]", ", queue: 5",
		      "{address: @, max_connections: 1}", "log: json");
	target = rig.snapshot->pools[0].targets[0];
	ck_assert(target_reserve(target));
	ck_assert_uint_eq(begin()->state, SESSION_GREETING);
	rig_turn(); /* its socket is watched, and there is nothing to tell */
	ck_assert_int_eq(send(clients[0], header, strlen(header), 0), (int)strlen(header));
	shutdown(clients[0], SHUT_WR);
	rig_until(rig.counts.reasons[REASON_CLIENT_ABORT]);
	target_release(target);
	close_queue();
}
END_TEST

START_TEST(client_that_has_sent_all_it_has_to_say_is_served)
{
	open_queue(", queue: 5", 1);
	send_pattern(clients[1], 0, 100);
	shutdown(clients[1], SHUT_WR);
	rig_until(sessions[1]->client.rdhup);
	ck_assert_uint_eq(sessions[1]->state, SESSION_QUEUED);
	session_abort(sessions[0], REASON_DRAIN_RST);
	until_relaying(sessions[1]);
	rig_until_readable(servers[1]);
	expect_pattern(servers[1], 0, 100);
	rig_until_readable(servers[1]);
	expect_fin(servers[1]);
	close_queue();
}
END_TEST

START_TEST(slot_of_one_who_leaves_goes_to_the_next)
{
	open_queue(", queue: 5", 2);
	session_abort(sessions[0], REASON_DRAIN_RST);
	session_abort(sessions[1], REASON_DRAIN_RST); /* granted, and not told yet */
	until_relaying(sessions[2]);
	close_queue();
}
END_TEST

START_TEST(newcomer_does_not_overtake)
{
	open_queue(", queue: 5", 1);
	rig.snapshot->pools[0].targets[0]->max_connections = 3;
	begin(); /* both would fit now: its coming serves the one before it first */
	ck_assert_uint_eq(state()->waiting_count, 0);
	until_relaying(sessions[1]);
	until_relaying(sessions[2]);
	ck_assert_uint_eq(state()->queued, 2);
	close_queue();
}
END_TEST

START_TEST(drain_ends_those_who_wait)
{
	open_queue(", queue: 5", 1);
	session_close(sessions[1], REASON_DRAIN, 0, 60000);
	ck_assert_uint_eq(rig.counts.reasons[REASON_DRAIN_RST], 1);
	ck_assert_uint_eq(state()->waiting_count, 0);
	close_queue();
}
END_TEST

START_TEST(pool_s_slot_serves_a_session_on_another_target)
{
	begun = served = 0;
	rig_open_with("", ", max_connections: 1, queue: 5", "@", "log: json");
	until_relaying(begin());
	ck_assert_uint_eq(begin()->state, SESSION_QUEUED);
	session_abort(sessions[0], REASON_DRAIN_RST);
	until_relaying(sessions[1]);
	close_queue();
}
END_TEST

/* Replace the worker's view by one of the plan as it is now. */
static struct view *renew_view(void)
{
	struct view *before = rig.view;
	struct snapshot *next;

	ck_assert_int_eq(
		snapshot_build(rig.snapshot->config_ref, rig.snapshot, &plan_rig, 1, &next), 0);
	rig.view = view_new(next, 0, 1, 1);
	snapshot_put(next);
	return before;
}

START_TEST(new_view_with_room_serves_those_who_wait)
{
	struct planned *planned = &plan_rig.pools[0];
	struct view *before;
	struct target *second;

	open_queue(", queue: 5", 1);
	second = target_new("second", &rig.backend, 1);
	pool_state_get(state());
	second->pool = state();
	planned->targets[planned->target_count++] = second;
	planned->members[planned->plan.count++] =
		(struct plan_member){.target = second, .weight = 100, .ramp = 1000};
	before = renew_view();
	session_serve_queues(&rig.env);
	until_relaying(sessions[1]);
	ck_assert_ptr_eq(sessions[1]->target, second);
	ck_assert_uint_eq(second->refs, 3); /* the registry's, the view's, the session's */
	session_abort(sessions[1], REASON_DRAIN_RST);
	ck_assert_uint_eq(second->refs, 2);
	view_put(rig.view);
	rig.view = before;
	close_queue();
}
END_TEST

START_TEST(session_dials_by_the_newest_view)
{
	struct view *before;

	open_queue("", 0);
	plan_rig.pools[0].members[0].weight = 0;
	before = renew_view();
	rig_begin(0);
	ck_assert_uint_eq(rig.counts.reasons[REASON_POOL_DRAINING], 1);
	view_put(rig.view);
	rig.view = before;
	close_queue();
}
END_TEST

START_TEST(slot_on_a_target_that_is_closed_meanwhile_is_not_used)
{
	struct target *target;

	open_queue(", queue: 5", 1);
	target = rig.snapshot->pools[0].targets[0];
	session_abort(sessions[0], REASON_DRAIN_RST);
	target->closed = true;
	rig.snapshot->pools[0].weights[0] = 0;
	rig_until(rig.env.session_count == 0);
	ck_assert_uint_eq(rig.counts.reasons[REASON_POOL_DRAINING], 1);
	ck_assert_uint_eq(rig.counts.connects, 1);
	close_queue();
}
END_TEST

START_TEST(target_that_has_failed_is_not_granted_again)
{
	begun = served = 0;
	rig_open_with("", ", balance: first, queue: 5, outlier: {failures: 0}",
		      "\"127.0.0.1:1\", {address: @, max_connections: 1}", "log: json");
	until_relaying(begin()); /* the first one refuses, and always has room */
	begin();
	rig_until(sessions[1]->state == SESSION_QUEUED);
	rig_turn();
	ck_assert_uint_eq(sessions[1]->state, SESSION_QUEUED);
	ck_assert_uint_eq(rig.counts.connects, 3);
	session_abort(sessions[0], REASON_DRAIN_RST);
	until_relaying(sessions[1]);
	ck_assert_uint_eq(rig.counts.connects, 4);
	close_queue();
}
END_TEST

START_TEST(slots_of_a_pool_that_left_go_to_those_who_wait_there)
{
	struct target *target;

	open_queue(", queue: 5", 2);
	target = rig.snapshot->pools[0].targets[0];
	target->closed = true;
	state()->left = true;
	session_abort(sessions[0], REASON_DRAIN_RST);
	until_relaying(sessions[1]);
	target->shut = true; /* by an operator's word, before the pool left */
	session_abort(sessions[1], REASON_DRAIN_RST);
	rig_turn();
	ck_assert_uint_eq(sessions[2]->state, SESSION_QUEUED);
	close_queue();
}
END_TEST

START_TEST(slot_of_the_pool_granted_in_vain_serves_another_target)
{
	struct pool *pool;

	begun = served = 0;
	rig_open_with("", ", balance: first, max_connections: 1, queue: 5", "@, \"127.0.0.1:1\"",
		      "log: json");
	pool = &rig.snapshot->pools[0];
	until_relaying(begin());
	ck_assert_uint_eq(begin()->state, SESSION_QUEUED);
	ck_assert_uint_eq(begin()->state, SESSION_QUEUED);
	session_abort(sessions[0], REASON_DRAIN_RST);
	pool->targets[0]->closed = true;
	session_abort(sessions[1], REASON_DRAIN_RST); /* who had been granted it */
	ck_assert_uint_eq(state()->waiting_count, 0);
	ck_assert_uint_eq(target_inflight(pool->targets[1]), 1);
	close_queue();
}
END_TEST

START_TEST(too_early_for_the_connect_rate_waits_for_its_turn)
{
	struct target *target;

	begun = served = 0;
	rig_open_with("", ", connect_rate: 1, queue: 5", "@", "log: json");
	target = rig.snapshot->pools[0].targets[0];
	until_relaying(begin());
	ck_assert_uint_eq(begin()->state, SESSION_QUEUED);
	rig_pass(500);
	rig_turn();
	ck_assert_uint_eq(sessions[1]->state, SESSION_QUEUED);
	ck_assert_uint_eq(target_inflight(target), 1);
	rig_pass(510);
	until_relaying(sessions[1]);
	close_queue();
}
END_TEST

START_TEST(description_says_that_it_waits)
{
	struct session_info info;

	open_queue(", queue: 5", 1);
	rig_pass(300);
	session_inform(sessions[1], &info);
	ck_assert_uint_eq(info.phase, SESSION_PHASE_QUEUED);
	ck_assert_str_eq(info.target, "");
	ck_assert_str_eq(info.pool, "p");
	ck_assert_uint_eq(info.age_ms, 300);
	session_inform(sessions[0], &info);
	ck_assert_uint_eq(info.phase, SESSION_PHASE_RELAYING);
	ck_assert_str_eq(info.target, sessions[0]->target->name);
	ck_assert_uint_ne(info.backend_local.port, 0);
	close_queue();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		freed_slot_goes_to_the_oldest_session_that_waits,
		full_queue_ends_with_a_reason_of_its_own,
		without_a_queue_a_full_pool_refuses,
		without_memory_to_wait_a_full_pool_refuses,
		wait_is_over_after_the_queue_s_time,
		slot_granted_in_the_last_moment_is_used,
		client_that_resets_while_it_waits_is_gone,
		client_that_leaves_without_a_byte_is_gone,
		client_that_left_while_it_was_greeted_does_not_wait,
		client_that_has_sent_all_it_has_to_say_is_served,
		slot_of_one_who_leaves_goes_to_the_next,
		newcomer_does_not_overtake,
		drain_ends_those_who_wait,
		pool_s_slot_serves_a_session_on_another_target,
		new_view_with_room_serves_those_who_wait,
		session_dials_by_the_newest_view,
		slot_on_a_target_that_is_closed_meanwhile_is_not_used,
		target_that_has_failed_is_not_granted_again,
		slots_of_a_pool_that_left_go_to_those_who_wait_there,
		slot_of_the_pool_granted_in_vain_serves_another_target,
		too_early_for_the_connect_rate_waits_for_its_turn,
		description_says_that_it_waits,
	};

	return run_tests("session_queue", tests, COUNT(tests));
}
