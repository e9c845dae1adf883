/* SPDX-License-Identifier: Apache-2.0
 *
 * Find a session its backend. Happy path: pool_view_reserve() takes a slot on a member, a connect
 * is under way. A failed attempt puts the target on the session's tried list and picks again, as
 * long as the pool's `retries` and the retry budget allow. Every attempt chooses by the worker's
 * newest view. Where all are full, the session may wait for a slot (queue.c).
 *
 * Failure modes, each with its own reason: the pool is empty, unresolved, draining or full; all
 * that could be tried failed (the reason is the last attempt's); no fd, no source port, no memory.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/balance.h"
#include "proxy/base/clock.h"
#include "proxy/base/panic.h"
#include "proxy/base/sys.h"
#include "proxy/dial.h"
#include "proxy/pool_state.h"
#include "proxy/session/internal.h"

#define DIAL_EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET)

/* A dial that takes longer than this is worth watching the client for. */
#define SLOW_DIAL_MS 50

static enum reason reason_for_none(const struct session *session, const struct pool *pool, int none)
{
	if (session->attempted && (none == BALANCE_TRIED || none == BALANCE_FULL))
		return session->reason;
	switch (none) {
	case BALANCE_DRAINING:
		return pool->all_down ? REASON_POOL_DOWN : REASON_POOL_DRAINING;
	case BALANCE_FULL:
	case BALANCE_TRIED:
		return REASON_POOL_FULL;
	default:
		return pool->unresolved ? REASON_POOL_DOWN : REASON_POOL_EMPTY;
	}
}

static enum reason reason_for_dial(int err)
{
	switch (err) {
	case -EADDRNOTAVAIL:
	case -EADDRINUSE:
		return REASON_NO_SOURCE_PORT;
	case -EMFILE:
	case -ENFILE:
		return REASON_NO_FD;
	case -ENOMEM:
	case -ENOBUFS:
	case -ENOSPC:
		return REASON_NO_MEMORY;
	case -ECONNREFUSED:
	case -ENOENT: /* a Unix socket's path */
	case -EAGAIN: /* a Unix socket's backlog, unix(7) */
		return REASON_CONNECT_REFUSED;
	case -ETIMEDOUT:
		return REASON_CONNECT_TIMEOUT;
	default:
		return REASON_CONNECT_UNREACHABLE;
	}
}

/* The pool as it is now: a session may have begun with an older view, whose targets are drained. A
 * pool that has left the configuration serves by what it had. */
struct pool_view *session_pool_now(const struct session *session)
{
	struct view *view = session->env->view ? *session->env->view : NULL;
	struct pool_view *pool = NULL;

	if (view && view != session->view)
		pool = view_pool(view, session->pool->pool->state, session->listener->pool);
	return pool ? pool : session->pool;
}

/* Views number their members each in its own way, so the session remembers targets. Without memory
 * for that it may meet the same one again. */
static void note_tried(struct session *session)
{
	struct session_search *search = session_search(session);
	struct pool_waiter *waiter = search ? &search->waiter : NULL;

	if (waiter && waiter->tried_count < POOL_TRIED_MAX &&
	    !pool_waiter_has_tried(waiter, session->target))
		waiter->tried[waiter->tried_count++] = target_mark(session->target);
}

static void add_tried(const struct pool_waiter *waiter, const struct pool *pool,
		      struct balance_query *query)
{
	for (size_t i = 0; i < pool->target_count && query->tried_count < waiter->tried_count; i++)
		if (pool_waiter_has_tried(waiter, pool->targets[i]))
			query->tried[query->tried_count++] = (uint32_t)i;
}

/* Remember which target is reserved: for us alone, so with a reference if our own view may not know
 * it. */
static void take_target(struct session *session, struct target *target, bool held)
{
	session->target = target;
	session->target_held = held;
	session->cross_zone = atomic_load_explicit(&target->cross_zone, memory_order_relaxed);
}

/* Reserve a slot on the best member that has not been tried: 0, or negative as balance_pick(). */
static int choose(struct session *session, struct pool_view *pool)
{
	struct balance_query query = {.key_hash = session_key(session)};
	bool held = pool != session->pool;
	int index;

	if (session->search && session->search->waiter.tried_count == POOL_TRIED_MAX)
		return BALANCE_TRIED;
	if (session->search)
		add_tried(&session->search->waiter, pool->pool, &query);
	index = pool_view_reserve(pool, &query);
	if (index < 0)
		return index;
	if (held)
		target_get(pool->pool->targets[index]);
	take_target(session, pool->pool->targets[index], held);
	return 0;
}

/* The source addresses take turns; only those of the target's family will do. */
static const struct addr *next_source(struct pool_view *pool, uint16_t family)
{
	const struct pool_conf *conf = pool->pool->conf;

	for (size_t i = 0; i < conf->source_count; i++) {
		const struct addr *source =
			&conf->sources[pool->next_source++ % conf->source_count];

		if (source->family == family)
			return source;
	}
	return NULL;
}

/* Fast open holds the SYN back for data, so there must be some to send; tcp(7). */
static bool may_open_fast(const struct session *session)
{
	int waiting = 0;

	if (!session->pool->pool->conf->tcp.fast_open)
		return false;
	if (session->pool->pool->conf->proxy_protocol != PROXY_SEND_OFF)
		return true;
	SYS(IOCTL, ioctl(session->client.source.fd, FIONREAD, &waiting));
	return waiting > 0;
}

static int start_attempt(struct session *session)
{
	struct session_env *env = session->env;
	const struct pool_conf *conf = session->pool->pool->conf;
	struct dial_request request = {
		.to = &session->target->addr,
		.from = next_source(session->pool, session->target->addr.family),
		.tcp = &conf->tcp,
		.inflight = target_inflight(session->target),
		.mss = session_mss(session),
		.fast_open = may_open_fast(session),
	};
	int fd, err;

	count_add(&env->counts->connects, 1);
	err = dial_start(&request, env->ports, &fd, &session->lease);
	if (err)
		return err;
	session->backend.source.fd = fd;
	session->backend.peer = session->target->addr;
	session->deadline_us = env->loop.now_us + conf->timeouts.connect_ms * US_PER_MS;
	err = loop_add(&env->loop, &session->backend.source, DIAL_EVENTS);
	if (err)
		return err;
	session->backend.registered = true;
	session_move(session, SESSION_DIALING);
	loop_arm(&env->loop, &session->timer,
		 conf->timeouts.connect_ms < SLOW_DIAL_MS ? conf->timeouts.connect_ms
							  : SLOW_DIAL_MS);
	return 0;
}

/* Undo an attempt, so that the next one starts clean. */
static void drop_attempt(struct session *session)
{
	if (session->backend.source.fd >= 0)
		SYS(CLOSE, close(session->backend.source.fd));
	session->backend =
		(struct leg){.source = {.on_event = session->backend.source.on_event, .fd = -1}};
	session->to_backend.blocked = false;
	if (session->closing_target)
		session->closing = 0;
	session->closing_target = false;
	ports_give_back(&session->lease);
	session_release_target(session);
}

/* The first attempt is free; each further one is paid for from the pool's budget. */
static bool may_attempt(struct session *session)
{
	struct session_env *env = session->env;

	if (!session->attempted)
		return true;
	if (session->retries >= session->pool->pool->conf->retries)
		return false;
	if (!pool_view_spend(session->pool, env->loop.now_us)) {
		count_add(&env->counts->retries_denied, 1);
		return false;
	}
	session->retries++;
	count_add(&env->counts->retries, 1);
	count_add(&session->target->counts[env->worker].c.retries, 1);
	return true;
}

/* What the target is to blame for. */
static bool is_target_s(enum reason reason)
{
	return reason == REASON_CONNECT_REFUSED || reason == REASON_CONNECT_TIMEOUT ||
	       reason == REASON_CONNECT_UNREACHABLE;
}

static void note_failure(struct session *session, enum reason reason)
{
	struct session_env *env = session->env;

	session->reason = (uint8_t)reason;
	count_add(&session->target->counts[env->worker].c.connect_failures, 1);
	note_tried(session);
	if (is_target_s(reason))
		session_target_failed(session);
	if (reason == REASON_NO_SOURCE_PORT)
		count_add(&env->counts->source_port_exhausted, 1);
	drop_attempt(session);
}

/* What no other target could do better. */
static bool is_ours(enum reason reason)
{
	return reason == REASON_NO_FD || reason == REASON_NO_MEMORY;
}

/* Have a target reserved. False when there is none: then the session waits for one, or has ended.
 * Newcomers do not overtake those who wait. */
static bool find_target(struct session *session)
{
	struct pool_view *pool = session_pool_now(session);
	bool in_line = !session->search && pool_state_is_awaited(pool->pool->state);
	int none;

	if (pool->pool->refuse) {
		session_end(session, REASON_POOL_DOWN, RESET_BOTH);
		return false;
	}
	none = in_line ? BALANCE_FULL : choose(session, pool);
	if (!none)
		return true;
	if (none != BALANCE_FULL || !session_queue(session, pool))
		session_end(session, reason_for_none(session, pool->pool, none), RESET_BOTH);
	return false;
}

/* Dial the target that is reserved. False when that failed at once and another may be tried. */
static bool dial_target(struct session *session)
{
	enum reason reason;
	int err;

	if (!may_attempt(session)) {
		session_end(session, session->reason, RESET_BOTH);
		return true;
	}
	session->attempted = true;
	err = start_attempt(session);
	if (!err)
		return true;
	reason = reason_for_dial(err);
	note_failure(session, reason);
	if (!is_ours(reason))
		return false;
	session_end(session, reason, RESET_BOTH);
	return true;
}

void session_dial(struct session *session)
{
	while (find_target(session))
		if (dial_target(session))
			return;
}

void session_dial_granted(struct session *session, struct target *target)
{
	if (!target_is_welcoming(target)) { /* since it was granted */
		target_release(target);
		target_put(target);
		session_dial(session);
		return;
	}
	take_target(session, target, true);
	if (!dial_target(session))
		session_dial(session);
}

void session_attempt_failed(struct session *session, enum reason reason)
{
	note_failure(session, reason);
	session_move(session, SESSION_ACCEPTED);
	timer_cancel(&session->timer);
	session_dial(session);
}
