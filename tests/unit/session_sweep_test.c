/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks over sessions: a bounded number each turn, each session once, whatever ends meanwhile. The
 * sessions are no more than links and ids, which is all a walk looks at.
 */
#include "proxy/session/sweep.h"
#include "tests/unit/core_rig.h"

#define MANY 1200

static struct session_env env;
static struct session sessions[MANY + 1];
static unsigned visits[MANY + 1], visited, done;
static struct session *last_wanted; /* the visit that ends the walk; NULL: none */
static struct session *to_end;      /* ends while another is visited */

static bool visit(struct session_sweep *sweep, struct session *session)
{
	visits[session - sessions]++;
	visited++;
	if (to_end) {
		session_sweep_pass(&env, to_end);
		list_remove(&to_end->link);
		to_end = NULL;
	}
	return session != last_wanted;
}

static void on_done(struct session_sweep *sweep)
{
	done++;
}

static void add(int i)
{
	sessions[i].id = env.next_id++;
	list_push_back(&env.sessions, &sessions[i].link);
}

static void begin(struct session_sweep *sweep, int count)
{
	ck_assert_int_eq(loop_init(&env.loop), 0);
	list_init(&env.sessions);
	list_init(&env.sweeps);
	env.next_id = 1;
	for (int i = 0; i < count; i++)
		add(i);
	*sweep = (struct session_sweep){.visit = visit, .done = on_done};
	session_sweep_start(&env, sweep);
}

static unsigned turns_until_done(unsigned walks)
{
	unsigned turns = 0;

	while (done < walks) {
		loop_turn(&env.loop);
		ck_assert_uint_lt(turns++, MANY);
	}
	ck_assert(list_empty(&env.sweeps));
	return turns;
}

static void end(void)
{
	loop_fini(&env.loop);
}

START_TEST(many_sessions_are_visited_in_several_turns_each_once)
{
	struct session_sweep sweep;

	begin(&sweep, MANY);
	ck_assert_uint_eq(turns_until_done(1), 3);
	for (int i = 0; i < MANY; i++)
		ck_assert_uint_eq(visits[i], 1);
	end();
}
END_TEST

START_TEST(worker_without_sessions_is_done_at_once)
{
	struct session_sweep sweep;

	begin(&sweep, 0);
	ck_assert_uint_eq(turns_until_done(1), 1);
	end();
}
END_TEST

START_TEST(session_that_ends_before_its_visit_is_passed_by)
{
	struct session_sweep first, second;

	begin(&first, MANY);
	second = (struct session_sweep){.visit = visit, .done = on_done};
	session_sweep_start(&env, &second);
	loop_turn(&env.loop);
	/* Both stand before the same session now, and that one ends. */
	session_sweep_pass(&env, &sessions[500]);
	list_remove(&sessions[500].link);
	turns_until_done(2);
	ck_assert_uint_eq(visits[500], 0);
	ck_assert_uint_eq(visits[501], 2);
	ck_assert_uint_eq(visited, 2 * (MANY - 1));
	end();
}
END_TEST

START_TEST(next_session_may_end_while_one_is_visited)
{
	struct session_sweep sweep;

	begin(&sweep, 3);
	to_end = &sessions[1];
	turns_until_done(1);
	ck_assert_uint_eq(visits[0], 1);
	ck_assert_uint_eq(visits[1], 0);
	ck_assert_uint_eq(visits[2], 1);
	end();
}
END_TEST

START_TEST(session_that_begins_later_is_not_visited)
{
	struct session_sweep sweep;

	begin(&sweep, MANY);
	loop_turn(&env.loop);
	add(MANY);
	turns_until_done(1);
	ck_assert_uint_eq(visits[MANY - 1], 1);
	ck_assert_uint_eq(visits[MANY], 0);
	end();
}
END_TEST

START_TEST(visitor_may_have_seen_enough)
{
	struct session_sweep sweep;

	begin(&sweep, MANY);
	last_wanted = &sessions[700];
	ck_assert_uint_eq(turns_until_done(1), 2);
	ck_assert_uint_eq(visited, 701);
	end();
}
END_TEST

START_TEST(walk_under_way_is_done_when_the_worker_stops)
{
	struct session_sweep sweep;

	begin(&sweep, MANY);
	loop_turn(&env.loop);
	session_sweep_stop_all(&env);
	ck_assert_uint_eq(done, 1);
	ck_assert(list_empty(&env.loop.ready));
	ck_assert_uint_eq(visited, 500);
	end();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		many_sessions_are_visited_in_several_turns_each_once,
		worker_without_sessions_is_done_at_once,
		session_that_ends_before_its_visit_is_passed_by,
		next_session_may_end_while_one_is_visited,
		session_that_begins_later_is_not_visited,
		visitor_may_have_seen_enough,
		walk_under_way_is_done_when_the_worker_stops,
	};

	return run_tests("session_sweep", tests, COUNT(tests));
}
