/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders that concern sessions: closing a target's, killing one, describing them, a few hundred a
 * turn; and a listener that is held.
 */
#include "proxy/session_info.h"
#include "tests/unit/worker_rig.h"

#define MANY 16

static int clients[MANY], servers[MANY];
static int open_count;

static void open_sessions(int count)
{
	start("");
	ck_assert_int_eq(tell(listen_order(), rig.front), 0);
	for (open_count = 0; open_count < count; open_count++)
		clients[open_count] = serve(&servers[open_count]);
}

static void close_sessions(void)
{
	ck_assert_int_eq(tell_op(WORKER_ABORT), 0);
	for (int i = 0; i < open_count; i++) {
		close(clients[i]);
		close(servers[i]);
	}
	stop();
}

static uint64_t reasons(enum reason reason)
{
	return count_read(&worker_counts(rig.worker)->reasons[reason]);
}

static struct target *target(void)
{
	return rig.conf.snapshot->pools[0].targets[0];
}

START_TEST(target_s_sessions_are_closed_at_quiet_moments)
{
	open_sessions(3);
	ck_assert_int_eq(tell((struct worker_message){.op = WORKER_CLOSE_TARGET,
						      .target = target(),
						      .wait_ms = 60000},
			      -1),
			 0);
	for (int i = 0; i < 3; i++)
		expect_fin(clients[i]);
	tell_op(WORKER_OPS); /* it has seen to the last one, too */
	ck_assert_uint_eq(reasons(REASON_TARGET_REMOVED), 3);
	close_sessions();
}
END_TEST

START_TEST(another_target_s_sessions_are_left_alone)
{
	struct addr addr = addr_of("10.0.0.1:80");
	struct target *other = target_new("other", &addr, 1);

	open_sessions(2);
	ck_assert_int_eq(tell((struct worker_message){.op = WORKER_CLOSE_TARGET,
						      .target = other,
						      .rst = true},
			      -1),
			 0);
	send_pattern(clients[0], 1000, 10);
	expect_pattern(servers[0], 1000, 10);
	ck_assert_uint_eq(reasons(REASON_TARGET_REMOVED_RST), 0);
	close_sessions();
	ck_assert_uint_eq(other->refs, 1);
	target_put(other);
}
END_TEST

START_TEST(target_s_sessions_are_reset_at_once_if_that_is_the_order)
{
	open_sessions(2);
	ck_assert_int_eq(tell((struct worker_message){.op = WORKER_CLOSE_TARGET,
						      .target = target(),
						      .reason = REASON_TARGET_DOWN,
						      .rst = true},
			      -1),
			 0);
	expect_reset(clients[0]);
	expect_reset(servers[0]);
	expect_reset(clients[1]);
	tell_op(WORKER_OPS);
	ck_assert_uint_eq(reasons(REASON_TARGET_DOWN_RST), 2);
	close_sessions();
}
END_TEST

START_TEST(second_order_does_not_put_the_first_one_s_deadline_off)
{
	open_sessions(1);
	ck_assert_int_eq(
		tell((struct worker_message){.op = WORKER_CLOSE_TARGET, .target = target()}, -1),
		0);
	ck_assert_int_eq(tell((struct worker_message){.op = WORKER_CLOSE_TARGET,
						      .target = target(),
						      .wait_ms = UINT32_MAX},
			      -1),
			 0);
	expect_reset(clients[0]);
	close_sessions();
}
END_TEST

static struct session_info infos[MANY];

/* The sessions that answer the query; in infos. */
static uint32_t list(struct session_query query)
{
	struct worker_message message = {.op = WORKER_SESSIONS, .query = &query, .infos = infos};
	struct worker_message answer;

	ck_assert_int_eq(worker_send(rig.worker, &message, -1), 0);
	answer = await();
	ck_assert_uint_eq(answer.op, WORKER_SESSIONS);
	ck_assert_int_eq(answer.err, 0);
	return answer.info_count;
}

START_TEST(one_session_is_killed_by_its_id)
{
	open_sessions(3);
	ck_assert_uint_eq(list((struct session_query){.limit = 10}), 3);
	ck_assert_int_eq(
		tell((struct worker_message){.op = WORKER_KILL, .key = infos[1].id, .rst = true},
		     -1),
		0);
	expect_reset(clients[1]);
	ck_assert_uint_eq(reasons(REASON_KILLED_RST), 1);
	ck_assert_int_eq(tell((struct worker_message){.op = WORKER_KILL, .key = infos[1].id}, -1),
			 -ENOENT);
	ck_assert_int_eq(tell((struct worker_message){.op = WORKER_KILL,
						      .key = infos[0].id,
						      .wait_ms = 60000},
			      -1),
			 0);
	expect_fin(clients[0]);
	ck_assert_uint_eq(list((struct session_query){.limit = 10}), 1);
	close_sessions();
}
END_TEST

START_TEST(sessions_are_described_in_pages)
{
	struct addr client;

	open_sessions(5);
	client = local_of(clients[0]);
	ck_assert_uint_eq(list((struct session_query){.limit = 2}), 2);
	ck_assert(addr_equal(&infos[0].client, &client));
	ck_assert(addr_equal(&infos[0].client_local, &rig.front_addr));
	ck_assert_str_eq(infos[0].target, target()->name);
	ck_assert_str_eq(infos[0].listener, "a");
	ck_assert_uint_eq(infos[0].client_bytes, 1000);
	ck_assert_uint_eq(infos[0].backend_bytes, 500);
	ck_assert_uint_eq(infos[0].phase, SESSION_PHASE_RELAYING);
	ck_assert_uint_eq(list((struct session_query){.limit = 10, .after = infos[1].id}), 3);
	ck_assert_uint_eq(list((struct session_query){.limit = 10, .after = infos[2].id}), 0);
	ck_assert_uint_eq(list((struct session_query){.limit = 0}), 0);
	close_sessions();
}
END_TEST

START_TEST(sessions_are_found_by_listener_pool_and_target)
{
	struct addr addr = addr_of("10.0.0.1:80");
	struct target *other = target_new("other", &addr, 1);

	open_sessions(2);
	ck_assert_uint_eq(list((struct session_query){.limit = 9, .listener = "a"}), 2);
	ck_assert_uint_eq(list((struct session_query){.limit = 9, .listener = "b"}), 0);
	ck_assert_uint_eq(list((struct session_query){.limit = 9, .pool = "p"}), 2);
	ck_assert_uint_eq(list((struct session_query){.limit = 9, .pool = "q"}), 0);
	ck_assert_uint_eq(list((struct session_query){.limit = 9, .target = target()}), 2);
	ck_assert_uint_eq(list((struct session_query){.limit = 9, .target = other}), 0);
	close_sessions();
	target_put(other);
}
END_TEST

START_TEST(sessions_with_the_most_bytes_come_first)
{
	static const size_t more[] = {300, 100, 700, 200, 600, 500, 400};

	open_sessions(COUNT(more));
	for (size_t i = 0; i < COUNT(more); i++) {
		send_pattern(clients[i], 1000, more[i]);
		expect_pattern(servers[i], 1000, more[i]);
	}
	ck_assert_uint_eq(list((struct session_query){.limit = 3, .sort = SESSION_SORT_BYTES}), 3);
	ck_assert_uint_eq(infos[0].client_bytes, 1700);
	ck_assert_uint_eq(infos[1].client_bytes, 1600);
	ck_assert_uint_eq(infos[2].client_bytes, 1500);
	close_sessions();
}
END_TEST

START_TEST(held_listener_accepts_nobody_until_it_is_released)
{
	int client, server;

	start("");
	ck_assert_int_eq(tell(listen_order(), rig.front), 0);
	ck_assert_int_eq(tell_op(WORKER_PAUSE), 0);
	ck_assert_int_eq(tell_op(WORKER_PAUSE), 0);
	client = connect_to(&rig.front_addr);
	send_pattern(client, 0, 10);
	ck_assert_int_eq(tell_op(WORKER_OPS), -EINVAL); /* some turns pass */
	ck_assert_int_eq(tell_op(WORKER_OPS), -EINVAL);
	ck_assert_uint_eq(count_read(&worker_counts(rig.worker)->sessions), 0);
	ck_assert_int_eq(tell_op(WORKER_RESUME), 0);
	server = accept_from(rig.backend);
	expect_pattern(server, 0, 10);
	close(client);
	close(server);
	ck_assert_int_eq(tell_op(WORKER_RESUME), 0);
	ck_assert_int_eq(tell_op(WORKER_PAUSE), 0);
	client = connect_to(&rig.front_addr);
	ck_assert_int_eq(tell_op(WORKER_DRAIN), 0); /* who is queued is served all the same */
	server = accept_from(rig.backend);
	close(client);
	close(server);
	ck_assert_int_eq(tell_op(WORKER_ABORT), 0);
	stop();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		target_s_sessions_are_closed_at_quiet_moments,
		another_target_s_sessions_are_left_alone,
		target_s_sessions_are_reset_at_once_if_that_is_the_order,
		second_order_does_not_put_the_first_one_s_deadline_off,
		one_session_is_killed_by_its_id,
		sessions_are_described_in_pages,
		sessions_are_found_by_listener_pool_and_target,
		sessions_with_the_most_bytes_come_first,
		held_listener_accepts_nobody_until_it_is_released,
	};

	return run_tests("worker_orders", tests, COUNT(tests));
}
