/* SPDX-License-Identifier: Apache-2.0
 *
 * Find a session its backend. Happy path: balance_pick() names a member, a slot on it is reserved,
 * a connect is under way. A failed attempt puts the member on the session's tried list and picks
 * again, as long as the pool's `retries` and the retry budget allow.
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
#include "proxy/session/internal.h"

#define DIAL_EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET)

/* A dial that takes longer than this is worth watching the client for. */
#define SLOW_DIAL_MS 50

static enum reason reason_for_none(const struct session *session, int none)
{
	if (session->tried_count && (none == BALANCE_TRIED || none == BALANCE_FULL))
		return session->reason;
	switch (none) {
	case BALANCE_DRAINING:
		return REASON_POOL_DRAINING;
	case BALANCE_FULL:
	case BALANCE_TRIED:
		return REASON_POOL_FULL;
	default:
		return session->pool->pool->unresolved ? REASON_POOL_DOWN : REASON_POOL_EMPTY;
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

/* Reserve a slot on the best member that has not been tried. The member is on the tried list from
 * here on; negative as balance_pick(). */
static int choose(struct session *session)
{
	struct balance_query query = {.key_hash = session_key(session)};
	int index;

	for (;;) {
		query.tried_count = session->tried_count;
		for (int i = 0; i < session->tried_count; i++)
			query.tried[i] = session->tried[i];
		index = balance_pick(session->pool->cursor, &query);
		if (index < 0)
			return index;
		if (session->tried_count == SESSION_TRIED_MAX)
			return BALANCE_TRIED;
		session->tried[session->tried_count++] = (uint16_t)index;
		if (target_reserve(session->pool->pool->targets[index]))
			return index;
		session->reason = REASON_POOL_FULL; /* another worker took the last slot */
	}
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
	ports_give_back(&session->lease);
	target_release(session->target);
	session->target = NULL;
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

static void note_failure(struct session *session, enum reason reason)
{
	struct session_env *env = session->env;

	session->reason = (uint8_t)reason;
	count_add(&session->target->counts[env->worker].c.connect_failures, 1);
	if (reason == REASON_NO_SOURCE_PORT)
		count_add(&env->counts->source_port_exhausted, 1);
	drop_attempt(session);
}

/* What no other target could do better. */
static bool is_ours(enum reason reason)
{
	return reason == REASON_NO_FD || reason == REASON_NO_MEMORY;
}

void session_dial(struct session *session)
{
	for (;;) {
		int index = choose(session);
		int err;

		if (index < 0) {
			session_end(session, reason_for_none(session, index), RESET_BOTH);
			return;
		}
		session->target = session->pool->pool->targets[index];
		if (!may_attempt(session)) {
			session_end(session, session->reason, RESET_BOTH);
			return;
		}
		session->attempted = true;
		err = start_attempt(session);
		if (!err)
			return;
		note_failure(session, reason_for_dial(err));
		if (is_ours(session->reason)) {
			session_end(session, session->reason, RESET_BOTH);
			return;
		}
	}
}

void session_attempt_failed(struct session *session, enum reason reason)
{
	note_failure(session, reason);
	session_move(session, SESSION_ACCEPTED);
	timer_cancel(&session->timer);
	session_dial(session);
}
