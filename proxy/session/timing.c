/* SPDX-License-Identifier: Apache-2.0
 *
 * The clocks of a session, on one timer: that of the PROXY header while greeting; the
 * connect deadline while dialing; keepalive once it has
 * lived a second, then idle, half-close, lifetime and our own closing while relaying; the 5 s
 * bound while flushing. Bytes do not re-arm it. They only move `active_us`, and the timer, when it
 * comes, sees how much is left.
 *
 * TCP_USER_TIMEOUT has a trap: the kernel also counts it while the peer keeps its window closed,
 * and so kills a peer that is alive and merely slow (tcp_probe_timer, net/ipv4/tcp_timer.c). For a
 * blocked leg whose sent data is all acknowledged it is lifted, and put back when the leg moves.
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/base/clock.h"
#include "proxy/base/sys.h"
#include "proxy/dial.h"
#include "proxy/session/internal.h"

#define MATURE_US US_PER_SEC
#define QUIET_US  US_PER_SEC /* no byte for this long is a quiet moment */

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t after(uint64_t start_us, uint32_t delay_ms)
{
	return delay_ms ? start_us + delay_ms * US_PER_MS : UINT64_MAX;
}

static bool is_blocked(const struct session *session)
{
	return session->to_backend.blocked || session->to_client.blocked;
}

/* When the window of a blocked leg must have been looked at: well before the timeout strikes. One
 * whose timeout is lifted is looked at until it is back. */
static uint64_t window_due(const struct session *session)
{
	uint32_t backend_ms = session->pool->pool->conf->tcp.user_timeout_ms;
	uint32_t client_ms = session->listener->tcp.user_timeout_ms;
	uint64_t due = UINT64_MAX;

	if (session->to_backend.blocked || session->joint || session->backend.user_timeout_lifted)
		due = earliest(due, after(session->env->loop.now_us, backend_ms / 2));
	if (session->to_client.blocked || session->joint || session->client.user_timeout_lifted)
		due = earliest(due, after(session->env->loop.now_us, client_ms / 2));
	return due;
}

/* The nearest point at which a relaying session wants to be looked at. */
uint64_t session_relaying_due(const struct session *session)
{
	const struct timeouts_conf *limits = &session->pool->pool->conf->timeouts;
	uint64_t due = after(session->active_us, limits->idle_ms);

	if (!session->matured)
		due = earliest(due, session->accepted_us + session->connect_us + MATURE_US);
	if (session->first_fin)
		due = earliest(due, after(session->active_us, limits->half_close_ms));
	if (session->lifetime_ms && !session->closing)
		due = earliest(due, after(session->accepted_us, session->lifetime_ms));
	if (session->closing) {
		uint64_t quiet = session->active_us + QUIET_US;

		if (quiet < session->closing_us)
			quiet = session->closing_us;
		due = earliest(due, earliest(quiet, session_closing_until_us(session)));
	}
	if (session->joint)
		due = earliest(due, session_joint_due(session));
	return earliest(due, window_due(session));
}

static void arm_at(struct session *session, uint64_t due_us)
{
	uint64_t now = session->env->loop.now_us;

	if (due_us == UINT64_MAX)
		timer_cancel(&session->timer);
	else
		loop_arm(&session->env->loop, &session->timer,
			 due_us > now ? (due_us - now + US_PER_MS - 1) / US_PER_MS : 1);
}

void session_arm_relaying(struct session *session)
{
	arm_at(session, session_relaying_due(session));
}

void session_watch_window(struct session *session)
{
	uint64_t due = window_due(session);
	uint64_t armed_us = session->timer.due_ms * US_PER_MS;

	if (due != UINT64_MAX && (!timer_is_armed(&session->timer) || armed_us > due + US_PER_MS))
		arm_at(session, due);
}

/* All that was sent is acknowledged and more waits: the window is closed, the peer alive. */
static bool window_is_closed(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (SYS(GETSOCKOPT, getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len)))
		return false;
	return !info.tcpi_unacked && info.tcpi_notsent_bytes;
}

static void set_user_timeout(struct leg *leg, uint32_t timeout_ms)
{
	SYS(SETSOCKOPT, setsockopt(leg->source.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms,
				   sizeof(timeout_ms)));
}

static void check_window(struct leg *leg, bool blocked, uint32_t timeout_ms)
{
	bool lift;

	if (!timeout_ms || leg->peer.family == AF_UNIX)
		return;
	lift = blocked && window_is_closed(leg->source.fd);
	if (lift == leg->user_timeout_lifted)
		return;
	leg->user_timeout_lifted = lift;
	set_user_timeout(leg, lift ? 0 : timeout_ms);
}

static void mature(struct session *session)
{
	session->matured = true;
	if (session->backend.peer.family != AF_UNIX)
		dial_keepalive(session->backend.source.fd, &session->pool->pool->conf->tcp);
}

static bool is_holding(struct session *session)
{
	return is_blocked(session) || relay_is_holding(&session->to_backend) ||
	       relay_is_holding(&session->to_client) ||
	       (session->joint && (session_joint_is_holding(session, true) ||
				   session_joint_is_holding(session, false)));
}

enum reason session_reason_by_force(enum reason reason)
{
	switch (reason) {
	case REASON_IDLE:
		return REASON_IDLE_RST;
	case REASON_LIFETIME:
		return REASON_LIFETIME_RST;
	case REASON_DRAIN:
		return REASON_DRAIN_RST;
	case REASON_TARGET_REMOVED:
		return REASON_TARGET_REMOVED_RST;
	case REASON_TARGET_DOWN:
		return REASON_TARGET_DOWN_RST;
	case REASON_KILLED:
		return REASON_KILLED_RST;
	default:
		return reason;
	}
}

static void end_own(struct session *session, enum reason reason, bool cleanly)
{
	if (cleanly)
		session_end(session, reason, RESET_NONE);
	else
		session_end(session, session_reason_by_force(reason), RESET_BOTH);
}

/* Our own closing: at a quiet moment with FIN, at its deadline with RST. */
static bool try_closing(struct session *session)
{
	uint64_t now = session->env->loop.now_us;
	bool quiet = now >= session->active_us + QUIET_US && !is_holding(session);

	if (!session->closing || now < session->closing_us)
		return false;
	if (!quiet && now < session_closing_until_us(session))
		return false;
	end_own(session, session->closing, quiet);
	return true;
}

static bool try_timeouts(struct session *session)
{
	const struct timeouts_conf *limits = &session->pool->pool->conf->timeouts;
	uint64_t now = session->env->loop.now_us;

	if (session->first_fin && now >= after(session->active_us, limits->half_close_ms)) {
		end_own(session, REASON_HALF_CLOSE, !is_holding(session));
		return true;
	}
	if (now >= after(session->active_us, limits->idle_ms)) {
		end_own(session, REASON_IDLE, !is_holding(session));
		return true;
	}
	if (!session->closing && now >= after(session->accepted_us, session->lifetime_ms)) {
		session->closing = REASON_LIFETIME;
		session->closing_us = now;
		session->closing_wait_ms = SESSION_LIFETIME_WAIT_MS;
	}
	return try_closing(session);
}

static void on_relaying_timer(struct session *session)
{
	if (!session->matured)
		mature(session);
	if (session->joint && !session_joint_look(session))
		return;
	check_window(&session->backend, session->to_backend.blocked || session->joint,
		     session->pool->pool->conf->tcp.user_timeout_ms);
	check_window(&session->client, session->to_client.blocked || session->joint,
		     session->listener->tcp.user_timeout_ms);
	if (!try_timeouts(session))
		session_arm_relaying(session);
}

/* The first time: a slow connect, worth noticing if the client gives up. Then: the deadline. */
static void on_dialing_timer(struct session *session)
{
	if (session->env->loop.now_us >= session->deadline_us)
		session_attempt_failed(session, REASON_CONNECT_TIMEOUT);
	else if (session_watch_client(session))
		arm_at(session, session->deadline_us);
}

void session_on_timer(struct timer *timer)
{
	struct session *session = container_of(timer, struct session, timer);

	switch (session->state) {
	case SESSION_GREETING:
		session_greeting_timed_out(session);
		break;
	case SESSION_QUEUED:
		session_queue_on_timer(session);
		break;
	case SESSION_DIALING:
		on_dialing_timer(session);
		break;
	case SESSION_RELAYING:
		on_relaying_timer(session);
		break;
	case SESSION_OFFLOADED:
		session_look(session);
		break;
	case SESSION_FLUSHING:
		session_flush(session);
		break;
	}
}

void session_close(struct session *session, enum reason reason, uint32_t delay_ms, uint32_t wait_ms)
{
	uint64_t from_us = session->env->loop.now_us + delay_ms * US_PER_MS;
	uint64_t until_us = from_us + wait_ms * US_PER_MS;

	/* It has no backend yet, and need not get one. */
	if (session->state == SESSION_QUEUED || session->state == SESSION_GREETING) {
		session_end(session, session_reason_by_force(reason), RESET_BOTH);
		return;
	}
	session->closing_target = false;
	if (session->closing && session_closing_until_us(session) <= until_us)
		return;
	session->closing = (uint8_t)reason;
	session->closing_us = from_us;
	session->closing_wait_ms = wait_ms;
	if (session->state == SESSION_RELAYING)
		session_arm_relaying(session);
	else if (session->state == SESSION_OFFLOADED)
		loop_arm(&session->env->loop, &session->timer, delay_ms);
}

void session_close_for_target(struct session *session, enum reason reason, uint32_t delay_ms,
			      uint32_t wait_ms)
{
	bool before = session->closing && !session->closing_target;

	session_close(session, reason, delay_ms, wait_ms);
	session->closing_target = !before;
}
