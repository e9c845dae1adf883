/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks over all sessions. Happy path: a task on the ready list visits some hundred sessions and
 * puts itself there again, until it has come to the end of the list, which is in the order of ids.
 * The one thing that can go wrong is that the session it stands before ends; then it stands before
 * the next.
 */
#include "proxy/session/sweep.h"

#define VISITS_PER_TURN 500

static void finish(struct session_sweep *sweep)
{
	list_remove(&sweep->link);
	sweep->done(sweep);
}

static void on_turn(struct loop_task *task)
{
	struct session_sweep *sweep = container_of(task, struct session_sweep, task);

	for (int i = 0; i < VISITS_PER_TURN; i++) {
		struct session *session = container_of(sweep->next, struct session, link);

		if (sweep->next == &sweep->env->sessions || session->id >= sweep->end_id) {
			finish(sweep);
			return;
		}
		sweep->next = sweep->next->next;
		if (!sweep->visit(sweep, session)) {
			finish(sweep);
			return;
		}
	}
	loop_ready(&sweep->env->loop, &sweep->task);
}

void session_sweep_start(struct session_env *env, struct session_sweep *sweep)
{
	sweep->env = env;
	sweep->next = env->sessions.next;
	sweep->end_id = env->next_id;
	sweep->task.run = on_turn;
	list_init(&sweep->task.link);
	list_push_back(&env->sweeps, &sweep->link);
	loop_ready(&env->loop, &sweep->task);
}

void session_sweep_stop_all(struct session_env *env)
{
	struct list *link;

	while ((link = list_pop_front(&env->sweeps))) {
		struct session_sweep *sweep = container_of(link, struct session_sweep, link);

		list_remove(&sweep->task.link);
		sweep->done(sweep);
	}
}

void session_sweep_pass(struct session_env *env, struct session *session)
{
	list_for_each (link, &env->sweeps) {
		struct session_sweep *sweep = container_of(link, struct session_sweep, link);

		if (sweep->next == &session->link)
			sweep->next = session->link.next;
	}
}
