/* SPDX-License-Identifier: Apache-2.0
 *
 * How a session ends. Happy path: both relays are shut, session_end() writes the flow record,
 * counts the reason and closes both sockets.
 *
 * A leg that failed (reset, timed out) first gets delivered what it had sent: its receive queue is
 * read to the end, and the other leg's send queue watched until the peer has acknowledged all of
 * it, for 5 s at most; only then the other leg is reset. Without that wait most of what was sent
 * before an RST never arrives, because a reset discards the send queue. A probe (no byte either
 * way, closed by the client without an error, at once or by a trusted balancer; or one whose PROXY
 * header said so, however whoever checks ended it) is counted and not logged.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/panic.h"
#include "proxy/base/sys.h"
#include "proxy/flowlog.h"
#include "proxy/greeting.h"
#include "proxy/listener_stats.h"
#include "proxy/pool_state.h"
#include "proxy/session/internal.h"
#include "proxy/session/sweep.h"
#include "proxy/target.h"

#define FLUSH_US       (5 * US_PER_SEC)
#define FLUSH_POLL_MAX 50 /* ms between looks at the send queue */

static enum reason reason_for_leg(bool client, int error)
{
	switch (error) {
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case ENETUNREACH:
		return client ? REASON_CLIENT_TIMEOUT : REASON_BACKEND_TIMEOUT;
	case ENOMEM:
	case ENOBUFS:
		return REASON_NO_MEMORY;
	case ECONNRESET:
	case EPIPE:
	case ECONNREFUSED:
		return client ? REASON_CLIENT_RST : REASON_BACKEND_RST;
	default:
		return REASON_INTERNAL;
	}
}

void session_leg_failed(struct session *session)
{
	struct session_env *env = session->env;
	bool client = session->client.error != 0;
	struct leg *failed = client ? &session->client : &session->backend;

	session->reason = (uint8_t)reason_for_leg(client, failed->error);
	if (session->reason == REASON_BACKEND_RST && !session->backend_first_us &&
	    session->pool->pool->conf->outlier.resets)
		session_target_failed(session);
	if ((session->client.error && session->backend.error) ||
	    session->reason == REASON_NO_MEMORY) {
		session_end(session, session->reason, RESET_BOTH);
		return;
	}
	session_move(session, SESSION_FLUSHING);
	session->client_failed = client;
	session->deadline_us = env->loop.now_us + FLUSH_US;
	failed->readable = true;
	failed->last_words = true;
	loop_arm(&env->loop, &session->timer, 1);
	session_flush(session);
}

/* Bytes the other leg's peer has not acknowledged yet; tcp(7), unix(7). */
static int send_queue(int fd)
{
	int queued = 0;

	return SYS(IOCTL, ioctl(fd, SIOCOUTQ, &queued)) ? 0 : queued;
}

void session_flush(struct session *session)
{
	struct session_env *env = session->env;
	struct relay *relay = session->client_failed ? &session->to_backend : &session->to_client;
	struct leg *failed = session->client_failed ? &session->client : &session->backend;
	struct leg *other = session->client_failed ? &session->backend : &session->client;
	bool handed_over;
	uint64_t waited_ms;

	session_run_relay(session, session->client_failed);
	handed_over = !relay_is_holding(relay) && !relay->blocked &&
		      (relay->state != RELAY_OPEN || !failed->readable);
	if (session->joint)
		handed_over = !session_joint_is_holding(session, session->client_failed) &&
			      !relay_is_holding(relay) && !relay->blocked;
	if (other->error || env->loop.now_us >= session->deadline_us ||
	    (handed_over && !send_queue(other->source.fd))) {
		session_end(session, session->reason,
			    session->client_failed ? RESET_BACKEND : RESET_CLIENT);
		return;
	}
	waited_ms = (env->loop.now_us + FLUSH_US - session->deadline_us) / US_PER_MS;
	loop_arm(&env->loop, &session->timer,
		 waited_ms < FLUSH_POLL_MAX ? waited_ms + 1 : FLUSH_POLL_MAX);
}

static bool client_hung_up(enum reason reason)
{
	return reason == REASON_CLIENT_FIN || reason == REASON_CLIENT_ABORT ||
	       reason == REASON_CLIENT_RST;
}

/* Whether no client stands behind the peer, as far as its header says: it names nobody, or the
 * very connection that it comes on, as HAProxy's checks do with version 1. */
static bool is_peers_own(const struct session *session)
{
	struct addr source = addr_unmap(session_source(session));
	struct addr peer = addr_unmap(&session->client.peer);

	return addr_equal(&source, &peer);
}

static bool is_probe(const struct session *session)
{
	bool own = is_peers_own(session);

	if (session->is_probe)
		return client_hung_up(session->reason) || !reason_is_error(session->reason);
	if (session->to_backend.bytes)
		return false;
	if (session->greeting && own)
		return client_hung_up(session->reason);
	if (session->to_client.bytes || session->reason != REASON_CLIENT_FIN)
		return false;
	return session->env->loop.now_us - session->accepted_us < US_PER_SEC ||
	       (own && session_is_from_trusted(session));
}

static bool is_logged(const struct session *session)
{
	const struct flow_conf *flow = &session->view->snapshot->config->flow;

	if (!session->env->ring || flow->format == FLOW_OFF)
		return false;
	if (reason_is_error(session->reason))
		return true;
	return flow->only == FLOW_ONLY_ALL &&
	       session->id / session->env->id_step % flow->sample == 0;
}

static void report(struct session *session)
{
	struct session_env *env = session->env;
	struct flow_record record;

	count_add(&env->counts->reasons[session->reason], 1);
	if (is_probe(session)) {
		count_add(&env->counts->probes, 1);
		count_add(&session->listener_stats->counts[env->worker].c.probes, 1);
		return;
	}
	session_note_client(session);
	histogram_add(&env->counts->session_time, env->loop.now_us - session->accepted_us);
	if (!is_logged(session))
		return;
	session_describe(session, &record);
	if (!flow_ring_push(env->ring, &record))
		count_add(&env->counts->log_dropped, 1);
}

/* Sets fd to -1, by which the loop knows a stale event. */
static void leg_close(struct leg *leg, bool reset)
{
	struct linger abort = {.l_onoff = 1, .l_linger = 0};

	if (leg->source.fd < 0)
		return;
	if (reset)
		SYS(SETSOCKOPT,
		    setsockopt(leg->source.fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort)));
	SYS(CLOSE, close(leg->source.fd));
	leg->source.fd = -1;
}

static void free_task(struct loop_task *task)
{
	struct session *session = container_of(task, struct session, task);

	session_free(session->env->cache, session);
}

void session_serve_pool(const struct session *session)
{
	const struct pool_state *pool = session->pool->pool->state;

	if (pool_state_is_awaited(pool) && pool->max_connections)
		pool_view_serve(session_pool_now(session));
}

void session_release_target(struct session *session)
{
	struct target *target = session->target;

	if (!target)
		return;
	if (session->connect_us)
		count_sub(&target->counts[session->env->worker].c.open, 1);
	target_release(target);
	session->target = NULL;
	if (session->target_held)
		target_put(target);
	session_serve_pool(session);
}

void session_end(struct session *session, enum reason reason, enum session_reset reset)
{
	struct session_env *env = session->env;

	session_leave_offload(session);
	session_joint_figures(session);
	session_move(session, SESSION_CLOSED);
	session->reason = (uint8_t)reason;
	report(session);
	leg_close(&session->client, reset & RESET_CLIENT);
	leg_close(&session->backend, reset & RESET_BACKEND);
	session_part(session);
	ports_give_back(&session->lease);
	greeting_free(session->greeting);
	session->greeting = NULL;
	relay_drop(&session->to_backend, &env->kit);
	relay_drop(&session->to_client, &env->kit);
	session_release_target(session);
	session_search_end(session);
	timer_cancel(&session->timer);
	session_sweep_pass(env, session);
	list_remove(&session->link);
	env->session_count--;
	count_sub(&env->counts->sessions_open, 1);
	count_sub(&session->listener_stats->counts[env->worker].c.open, 1);
	listener_stats_release(session->listener_stats);
	view_put(session->view);
	session->task.run = free_task;
	loop_defer(&env->loop, &session->task);
	env->on_end(env);
}

void session_abort(struct session *session, enum reason reason)
{
	session_end(session, reason, RESET_BOTH);
}
