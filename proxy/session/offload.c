/* SPDX-License-Identifier: Apache-2.0
 *
 * A session that the kernel carries on by itself (proxy/offload.h). Happy path: after some bytes it
 * is offered; while that goes on it is relayed as ever; when its packets don't pass us any more
 * its sockets are forgotten, and a look now and then keeps its figures and clocks right; both FINs
 * end it.
 *
 * Whatever needs sockets asks it back first: our own closings, timeouts, and a silence as long as
 * the keepalive time, after which the sockets' own keepalive finds out whether the peers live.
 * Failure modes: refused for good, it stays on the relay; refused for now, it is offered again
 * after more bytes; not to be had back (bytes keep being under way, or one side has finished), it
 * is reset at the deadline that a relayed session has as well.
 */
#include "proxy/offload.h"

#include <string.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/panic.h"
#include "proxy/base/sys.h"
#include "proxy/dial.h"
#include "proxy/session/internal.h"
#include "proxy/session/offload.h"
#include "proxy/target.h"

#define LOOK_MS         5000 /* at the least this often */
#define LOOK_AGAIN_MS   500  /* for the target of one that was adopted */
#define CLOSING_LOOK_MS 500

static void write_text(char *to, size_t size, const char *from)
{
	strncpy(to, from, size - 1);
}

static void complete(void *owner, struct flow_note *note)
{
	const struct session *session = owner;

	note->client_bytes = session->to_backend.bytes;
	note->backend_bytes = session->to_client.bytes;
	note->client_first_us = session->client_first_us;
	note->backend_first_us = session->backend_first_us;
}

static void describe(struct session *session, struct flow_note *ret_note)
{
	struct flow_note note = {
		.session_id = session->id,
		.accepted_wall_us =
			clock_wall_us() - (session->env->loop.now_us - session->accepted_us),
		.connect_us = session->connect_us,
		.retries = session->retries,
	};

	complete(session, &note);
	write_text(note.listener, sizeof(note.listener), session->listener->name);
	write_text(note.pool, sizeof(note.pool), session->pool->pool->conf->name);
	write_text(note.target, sizeof(note.target), session->target->name);
	session_note_greeting(session->greeting, &note);
	*ret_note = note;
}

void session_offer(struct session *session)
{
	const int fds[2] = {session->client.source.fd, session->backend.source.fd};
	struct addr local[2], peer[2];
	struct flow_note note;
	enum offload_mode mode = session->pool->pool->conf->offload;
	enum flow_refusal refusal;

	if (mode == OFFLOAD_OFF || session->stays || session->ticket || session->joint)
		return;
	if (!session->moved)
		return;
	session->moved = false;
	if (session->turns < UINT8_MAX)
		session->turns++;
	if (!session_is_fit(session))
		return;
	if (mode == OFFLOAD_SOCKMAP) {
		session_join_sockets(session);
		return;
	}
	session_note_local(&session->client);
	session_note_local(&session->backend);
	local[0] = session->client.local;
	local[1] = session->backend.local;
	peer[0] = session->client.peer;
	peer[1] = session->backend.peer;
	describe(session, &note);
	refusal = offload_offer(session->env->door, session, fds, local, peer, &note,
				&session->ticket);
	session->stays = refusal != FLOW_FINE && refusal != FLOW_BUSY && refusal != FLOW_FULL;
	if (refusal != FLOW_FINE && refusal != FLOW_BUSY)
		session_widen(session);
}

/* --- what the keeper says --- */

static bool is_clear(void *owner)
{
	struct session *session = owner;

	return !relay_is_holding(&session->to_backend) && !relay_is_holding(&session->to_client) &&
	       !session->client.readable && !session->backend.readable && !session->client.error &&
	       !session->backend.error;
}

/* The keeper has them by now: closing ours ends nothing. */
static void forget_socket(struct session *session, struct leg *leg)
{
	loop_remove(&session->env->loop, &leg->source);
	SYS(CLOSE, close(leg->source.fd));
	leg->source.fd = -1;
	leg->registered = false;
	leg->rdhup = false;
}

static uint64_t look_ms(const struct session *session)
{
	return session->stand_in ? LOOK_AGAIN_MS : LOOK_MS;
}

void session_arm_look(struct session *session)
{
	loop_arm(&session->env->loop, &session->timer, look_ms(session));
}

static void on_gone(void *owner)
{
	struct session *session = owner;

	session_move(session, SESSION_OFFLOADED);
	session->matured = true; /* its sockets get their keepalive when they are made anew */
	forget_socket(session, &session->client);
	forget_socket(session, &session->backend);
	session_look(session);
}

static void on_refused(void *owner, enum flow_refusal why)
{
	struct session *session = owner;

	session->ticket = NULL;
	session->turns = 0; /* FULL and TUPLE pass: again after more bytes */
	session->stays = why == FLOW_ROUTE || why == FLOW_ERROR;
	session_widen(session);
}

static bool restore_leg(struct session *session, struct leg *leg, int fd,
			const struct tcp_conf *tcp)
{
	leg->source.fd = fd;
	leg->readable = true;
	leg->registered = true;
	dial_restore(fd, tcp);
	return !loop_add(&session->env->loop, &leg->source, SESSION_LEG_EVENTS);
}

static void on_back(void *owner, const int fds[2], bool odd)
{
	struct session *session = owner;
	bool watched;

	session_take_figures(session);
	session->ticket = NULL;
	session_move(session, SESSION_RELAYING);
	session->turns = 0;
	session->stuck = false;
	session->stays = odd;
	session->moved = false; /* a silent one stays, for its sockets to find out who lives */
	watched = restore_leg(session, &session->client, fds[0], &session->listener->tcp);
	watched =
		restore_leg(session, &session->backend, fds[1], &session->pool->pool->conf->tcp) &&
		watched;
	if (!watched) {
		session_end(session, REASON_NO_MEMORY, RESET_BOTH);
		return;
	}
	session_arm_relaying(session);
	session_pump(session);
}

static void on_stay(void *owner)
{
	struct session *session = owner;

	session->stuck = true;
	loop_arm(&session->env->loop, &session->timer,
		 session->closing ? CLOSING_LOOK_MS : LOOK_MS);
}

static void on_end(void *owner, enum offload_end how)
{
	static const enum reason reasons[] = {
		[OFFLOAD_END_CLIENT_FIN] = REASON_CLIENT_FIN,
		[OFFLOAD_END_BACKEND_FIN] = REASON_BACKEND_FIN,
		[OFFLOAD_END_CLIENT_RST] = REASON_CLIENT_RST,
		[OFFLOAD_END_BACKEND_RST] = REASON_BACKEND_RST,
	};
	struct session *session = owner;

	session_take_figures(session);
	session->ticket = NULL; /* the door's to free */
	/* A FIN that the relay saw was there before any that the keeper knows of. */
	if (session->first_fin && (how == OFFLOAD_END_CLIENT_FIN || how == OFFLOAD_END_BACKEND_FIN))
		session_end(session, session->first_fin, RESET_NONE);
	else
		session_end(session, reasons[how], RESET_NONE);
}

const struct offload_owner session_offload_owner = {
	.is_clear = is_clear,
	.complete = complete,
	.on_gone = on_gone,
	.on_refused = on_refused,
	.on_back = on_back,
	.on_stay = on_stay,
	.on_adopt = session_adopt,
	.on_end = on_end,
	.on_joined = session_on_joined,
	.on_not_joined = session_on_not_joined,
	.on_gate = session_on_gate,
};

/* --- looking after it --- */

/* Bytes that went by since the last look, and when. */
void session_take_figures(struct session *session)
{
	struct offload_ticket *ticket = session->ticket;
	struct flow_view view;
	uint64_t now = session->env->loop.now_us;
	uint64_t moved_us;

	offload_look(ticket, &view);
	for (unsigned leg = 0; leg < 2; leg++) {
		struct relay *relay = leg ? &session->to_client : &session->to_backend;
		uint64_t bytes = view.bytes[leg] - ticket->seen[leg];

		relay->bytes += bytes;
		relay->sent_bytes += bytes;
		session->offloaded_bytes += bytes;
		count_add(&session->env->counts->offloaded_bytes, bytes);
		ticket->seen[leg] = view.bytes[leg];
		session_account(session, bytes, bytes, leg == 0);
	}
	session->owing = view.owes[0] ? REASON_CLIENT_TIMEOUT : REASON_BACKEND_TIMEOUT;
	moved_us = now > view.quiet_ns / 1000 ? now - view.quiet_ns / 1000 : 0;
	session->active_us = moved_us;
	if (!session->first_fin && view.first_fin)
		session->first_fin = view.first_fin == 1 ? REASON_CLIENT_FIN : REASON_BACKEND_FIN;
}

/* As long as a peer may be silent before we ask whether it lives. */
static uint64_t silence_us(const struct session *session)
{
	uint32_t client = session->listener->tcp.keepalive_idle_ms;
	uint32_t backend = session->pool->pool->conf->tcp.keepalive_idle_ms;
	uint32_t least = client && (!backend || client < backend) ? client : backend;

	return least ? least * US_PER_MS : UINT64_MAX;
}

/* The shorter of both; for ever if neither is set. */
static uint64_t user_timeout_us(const struct session *session)
{
	uint64_t client = session->listener->tcp.user_timeout_ms;
	uint64_t backend = session->pool->pool->conf->tcp.user_timeout_ms;
	uint64_t least = client && (!backend || client < backend) ? client : backend;

	return least ? least * US_PER_MS : UINT64_MAX / 2;
}

/* What a relayed session would do now; it cannot come back once a FIN went by. */
static bool end_by_force(struct session *session)
{
	const struct timeouts_conf *limits = &session->pool->pool->conf->timeouts;
	uint64_t now = session->env->loop.now_us;
	enum reason reason = REASON_NONE;

	if (session->closing && now >= session_closing_until_us(session))
		reason = session_reason_by_force(session->closing);
	else if (session->first_fin && limits->half_close_ms &&
		 now >= session->active_us + limits->half_close_ms * US_PER_MS)
		reason = REASON_HALF_CLOSE;
	else if (session->stuck && now >= session->active_us + user_timeout_us(session))
		reason = session->owing;
	if (reason == REASON_NONE)
		return false;
	session_end(session, reason, RESET_BOTH);
	return true;
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Its lifetime over, it is not asked back again and again while bytes are under way: that waits for
 * a quiet moment, as on the relay. */
static void note_lifetime(struct session *session, uint64_t now)
{
	if (session->closing || !session->lifetime_ms ||
	    now < session->accepted_us + session->lifetime_ms * US_PER_MS)
		return;
	session_close(session, REASON_LIFETIME, 0, SESSION_LIFETIME_WAIT_MS);
}

void session_look(struct session *session)
{
	uint64_t now = session->env->loop.now_us;
	uint64_t latest = now + look_ms(session) * US_PER_MS;
	uint64_t due, silent;

	session_take_figures(session);
	if (end_by_force(session) || (session->stand_in && !session_find_target_again(session)))
		return;
	note_lifetime(session, now);
	due = session_relaying_due(session);
	silent = session->active_us + earliest(silence_us(session), UINT64_MAX / 2);
	if (!session->first_fin)
		due = earliest(due, silent);
	if (due <= now && !session->first_fin)
		offload_recall(session->ticket);
	if (due <= now)
		due = latest;
	loop_arm(&session->env->loop, &session->timer,
		 (earliest(due, latest) - now) / US_PER_MS + 1);
}

void session_leave_offload(struct session *session)
{
	struct offload_ticket *ticket = session->ticket;

	if (!ticket)
		return;
	if (session->state == SESSION_OFFLOADED) {
		session_take_figures(session);
		offload_abort(ticket);
	} else {
		offload_cancel(ticket);
	}
	session->ticket = NULL;
}
