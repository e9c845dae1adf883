/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for a slot. Happy path: every target is full, the session stands in its pool's line, is
 * granted a slot that another session gave back, on whichever worker, and dials. If that fails and
 * all are full again, it stands where it stood, and its time runs on.
 *
 * Failure modes, each with its own reason: the queue is full, the time is over, the client has
 * left: it reset, or it closed without having sent anything, as probes do (one that has sent a
 * request and its FIN may be waiting for an answer).
 *
 * Nothing frees a slot that is merely too early for `connect_rate`, so while sessions wait in such
 * a pool their worker looks again every few milliseconds.
 */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/sys.h"
#include "proxy/pool_state.h"
#include "proxy/session/internal.h"
#include "proxy/target.h"

#define RATE_POLL_MS 10

static struct pool_state *pool_of(const struct session *session)
{
	return session->pool->pool->state;
}

struct session_search *session_search(struct session *session)
{
	if (session->search)
		return session->search;
	session->search = calloc(1, sizeof(*session->search));
	if (!session->search)
		return NULL;
	session->search->waiter.mailbox = session->env->mailbox;
	session->search->session = session;
	return session->search;
}

static bool begin_wait(struct session *session)
{
	uint32_t timeout_ms = session->pool->pool->conf->queue_timeout_ms;
	struct session_search *search = session_search(session);

	if (!search)
		return false;
	if (!search->deadline_us)
		search->deadline_us = timeout_ms
					      ? session->env->loop.now_us + timeout_ms * US_PER_MS
					      : UINT64_MAX;
	return true;
}

static void arm_deadline(struct session *session)
{
	uint64_t now = session->env->loop.now_us, due = session->search->deadline_us;

	if (due != UINT64_MAX)
		loop_arm(&session->env->loop, &session->timer,
			 due > now ? (due - now + US_PER_MS - 1) / US_PER_MS : 1);
}

bool session_queue(struct session *session, struct pool_view *pool)
{
	struct session_env *env = session->env;

	if (!env->mailbox || !pool->pool->conf->queue_size || !begin_wait(session))
		return false;
	session_move(session, SESSION_QUEUED);
	if (!session_watch_client(session))
		return true; /* it has ended */
	if (pool_state_wait(pool_of(session), &session->search->waiter)) {
		session_end(session, REASON_QUEUE_FULL, RESET_BOTH);
		return true;
	}
	arm_deadline(session);
	session_queue_on_client(session); /* it may have left while it was greeted */
	if (session->state != SESSION_QUEUED)
		return true;
	if (pool_view_serve(pool) && pool->pool->conf->connect_rate &&
	    !timer_is_armed(&env->queue_timer))
		loop_arm(&env->loop, &env->queue_timer, RATE_POLL_MS);
	return true;
}

static void go_on(struct session *session, struct target *target)
{
	session_move(session, SESSION_ACCEPTED);
	timer_cancel(&session->timer);
	session_dial_granted(session, target);
}

void session_queue_on_timer(struct session *session)
{
	struct target *granted = pool_state_leave(pool_of(session), &session->search->waiter);

	if (granted) {
		go_on(session, granted); /* at the last moment */
		return;
	}
	atomic_fetch_add(&pool_of(session)->queue_timeouts, 1);
	session_end(session, REASON_QUEUE_TIMEOUT, RESET_BOTH);
}

void session_queue_on_client(struct session *session)
{
	int unread = 0;

	if (session->client.rdhup)
		SYS(IOCTL, ioctl(session->client.source.fd, FIONREAD, &unread));
	if (session->client.error || (session->client.rdhup && !unread))
		session_end(session, REASON_CLIENT_ABORT, RESET_BOTH);
}

void session_search_end(struct session *session)
{
	struct session_search *search = session->search;
	struct target *granted;

	if (!search)
		return;
	granted = pool_state_leave(pool_of(session), &search->waiter);
	session->search = NULL;
	free(search);
	if (!granted)
		return;
	target_release(granted);
	target_put(granted);
	session_serve_pool(session);
}

static void on_granted(struct loop_source *source, uint32_t events)
{
	struct session_env *env = container_of(source, struct session_env, granted);
	struct pool_waiter *waiter;
	uint64_t count;

	if (read(source->fd, &count, sizeof(count)) < 0)
		return;
	while ((waiter = pool_mailbox_take(env->mailbox))) {
		struct session *session =
			container_of(waiter, struct session_search, waiter)->session;

		go_on(session, pool_state_leave(pool_of(session), waiter));
	}
}

void session_serve_queues(struct session_env *env)
{
	struct view *view = *env->view;
	bool again = false;

	for (size_t i = 0; i < view->snapshot->config->pool_count; i++)
		if (pool_view_serve(&view->pools[i]) && view->pools[i].pool->conf->connect_rate)
			again = true;
	if (again)
		loop_arm(&env->loop, &env->queue_timer, RATE_POLL_MS);
}

static void on_queue_timer(struct timer *timer)
{
	session_serve_queues(container_of(timer, struct session_env, queue_timer));
}

int session_queue_start(struct session_env *env)
{
	timer_init(&env->queue_timer, on_queue_timer);
	if (!env->mailbox)
		return 0;
	env->granted = (struct loop_source){.on_event = on_granted, .fd = env->mailbox->event_fd};
	return loop_add(&env->loop, &env->granted, EPOLLIN);
}
