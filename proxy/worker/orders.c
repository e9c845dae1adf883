/* SPDX-License-Identifier: Apache-2.0
 *
 * What main orders. Happy path: one packet, one thing done, one answer. What concerns many sessions
 * is done a few each turn: closing is answered when it has begun, since main waits for sessions to
 * end by other means; killing and listing are answered when they are done.
 *
 * Failure modes: no memory for a walk over the sessions, a listener's fd that did not fit, a
 * session that is not there; all of them are the answer.
 */
#include <errno.h>
#include <stdlib.h>

#include "proxy/session/sweep.h"
#include "proxy/target.h"
#include "proxy/worker/channel.h"
#include "proxy/worker/internal.h"

/* A walk over the sessions that an order wants. */
struct errand {
	struct session_sweep sweep;
	struct worker *worker;
	struct worker_message message;
	int err; /* WORKER_KILL: its answer */
};

void worker_answer(struct worker *worker, const struct worker_message *message, int err)
{
	struct worker_message reply = *message;

	reply.err = err;
	channel_send(worker->control.fd, &reply, -1); /* main is gone: the process is as well */
}

static int start_listener(struct worker *worker, const struct worker_message *message, int fd)
{
	struct listener *listener;

	if (fd < 0)
		return -EMFILE; /* SCM_RIGHTS found no room in our table */
	listener = listener_start(&worker->accepting, fd, &message->bound, &message->local,
				  message->key, message->shared);
	if (!listener)
		return -ENOMEM;
	list_push_back(&worker->listeners, &listener->link);
	return 0;
}

static int each_listener(struct worker *worker, uint64_t key, void (*act)(struct listener *))
{
	list_for_each_safe (link, &worker->listeners) {
		struct listener *listener = container_of(link, struct listener, link);

		if (listener->key == key)
			act(listener);
	}
	return 0;
}

static bool concerns(const struct worker_message *message, const struct session *session)
{
	return message->op == WORKER_CLOSE || session->target == message->target;
}

static enum reason reason_of(const struct worker_message *message)
{
	if (message->op == WORKER_CLOSE)
		return REASON_DRAIN;
	return message->reason ? message->reason : REASON_TARGET_REMOVED;
}

static bool visit_to_close(struct session_sweep *sweep, struct session *session)
{
	struct errand *errand = container_of(sweep, struct errand, sweep);
	const struct worker_message *message = &errand->message;
	uint32_t delay_ms = session_jitter(sweep->env, message->jitter_ms);

	if (!concerns(message, session))
		return true;
	if (message->rst)
		session_abort(session, session_reason_by_force(reason_of(message)));
	else if (message->op == WORKER_CLOSE)
		session_close(session, REASON_DRAIN, delay_ms, message->wait_ms);
	else
		session_close_for_target(session, reason_of(message), delay_ms, message->wait_ms);
	return true;
}

static void on_closed(struct session_sweep *sweep)
{
	struct errand *errand = container_of(sweep, struct errand, sweep);

	target_put(errand->message.target);
	free(errand);
}

static bool visit_to_kill(struct session_sweep *sweep, struct session *session)
{
	struct errand *errand = container_of(sweep, struct errand, sweep);

	if (session->id != errand->message.key)
		return session->id < errand->message.key;
	errand->err = 0;
	if (errand->message.rst)
		session_abort(session, REASON_KILLED_RST);
	else
		session_close(session, REASON_KILLED, 0, errand->message.wait_ms);
	return false;
}

static void on_killed(struct session_sweep *sweep)
{
	struct errand *errand = container_of(sweep, struct errand, sweep);

	worker_answer(errand->worker, &errand->message, errand->err);
	free(errand);
}

static struct errand *errand_new(struct worker *worker, const struct worker_message *message)
{
	struct errand *errand = calloc(1, sizeof(*errand));

	if (!errand)
		return NULL;
	errand->worker = worker;
	errand->message = *message;
	return errand;
}

static int close_sessions(struct worker *worker, const struct worker_message *message)
{
	struct errand *errand = errand_new(worker, message);

	if (!errand)
		return -ENOMEM;
	if (message->target)
		target_get(message->target);
	errand->sweep.visit = visit_to_close;
	errand->sweep.done = on_closed;
	session_sweep_start(&worker->sessions, &errand->sweep);
	return 0;
}

static int kill_session(struct worker *worker, const struct worker_message *message)
{
	struct errand *errand = errand_new(worker, message);

	if (!errand)
		return -ENOMEM;
	errand->err = -ENOENT;
	errand->sweep.visit = visit_to_kill;
	errand->sweep.done = on_killed;
	session_sweep_start(&worker->sessions, &errand->sweep);
	return 0;
}

static int set_ports(struct worker *worker, const struct worker_message *message)
{
	ports_set_range(worker->sessions.ports, message->port_low, message->port_high);
	return 0;
}

static int stop(struct worker *worker)
{
	worker->sessions.loop.stopping = true;
	return 0;
}

static int abort_all(struct worker *worker)
{
	worker_abort_sessions(worker);
	return 0;
}

static int obey(struct worker *worker, const struct worker_message *message, int fd)
{
	switch (message->op) {
	case WORKER_VIEW:
		return worker_take_view(worker, message->snapshot);
	case WORKER_LISTEN:
		return start_listener(worker, message, fd);
	case WORKER_DRAIN:
		return each_listener(worker, message->key, listener_drain);
	case WORKER_UNLISTEN:
		return each_listener(worker, message->key, listener_stop);
	case WORKER_PAUSE:
		return each_listener(worker, message->key, listener_hold);
	case WORKER_RESUME:
		return each_listener(worker, message->key, listener_release);
	case WORKER_CLOSE:
	case WORKER_CLOSE_TARGET:
		return close_sessions(worker, message);
	case WORKER_KILL:
		return kill_session(worker, message);
	case WORKER_SESSIONS:
		return worker_list_sessions(worker, message);
	case WORKER_PORTS:
		return set_ports(worker, message);
	case WORKER_ABORT:
		return abort_all(worker);
	case WORKER_STOP:
		return stop(worker);
	default:
		return -EINVAL;
	}
}

/* Those that are answered when they are done, unless they could not begin. */
static bool is_answered_later(uint32_t op)
{
	return op == WORKER_KILL || op == WORKER_SESSIONS;
}

void worker_on_order(struct loop_source *source, uint32_t events)
{
	struct worker *worker = container_of(source, struct worker, control);
	struct worker_message message;
	int fd, err;

	while (channel_receive(source->fd, &message, &fd) > 0) {
		err = obey(worker, &message, fd);
		if (err || !is_answered_later(message.op))
			worker_answer(worker, &message, err);
	}
}
