/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a connection, top to bottom: a client was accepted, its PROXY header is read if there
 * is to be one (greeting.c), a target is chosen and dialed (choose.c), bytes are relayed both ways,
 * each FIN is passed on by itself, and when both relays are shut it ends (closing.c) with one
 * reason and one flow record.
 *
 * Until the backend is connected nothing is read from the client: its bytes wait in the kernel, so
 * a retry on another target loses nothing. Failure modes: no memory or no room in epoll ends the
 * session with RST; an error on one leg becomes RST on the other, after what the first one sent
 * was delivered; a target that cannot be connected is left for another one while the retry budget
 * lasts.
 */
#include "proxy/session/session.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/panic.h"
#include "proxy/base/sys.h"
#include "proxy/dial.h"
#include "proxy/listener_stats.h"
#include "proxy/session/internal.h"
#include "proxy/slab.h"
#include "proxy/target.h"

static void on_client_event(struct loop_source *source, uint32_t events);
static void on_backend_event(struct loop_source *source, uint32_t events);
static void on_ready(struct loop_task *task);

static const bool transitions[SESSION_STATES][SESSION_STATES] = {
	[SESSION_ACCEPTED] = {[SESSION_GREETING] = true,
			      [SESSION_OFFLOADED] = true, /* adopted */
			      [SESSION_QUEUED] = true,
			      [SESSION_DIALING] = true,
			      [SESSION_CLOSED] = true},
	[SESSION_GREETING] = {[SESSION_ACCEPTED] = true, [SESSION_CLOSED] = true},
	[SESSION_QUEUED] = {[SESSION_ACCEPTED] = true, /* it was granted a slot */
			    [SESSION_CLOSED] = true},
	[SESSION_DIALING] = {[SESSION_ACCEPTED] = true, /* a retry selects again */
			     [SESSION_RELAYING] = true,
			     [SESSION_CLOSED] = true},
	[SESSION_RELAYING] =
		{[SESSION_OFFLOADED] = true, [SESSION_FLUSHING] = true, [SESSION_CLOSED] = true},
	[SESSION_OFFLOADED] = {[SESSION_RELAYING] = true, /* it was asked back */
			       [SESSION_CLOSED] = true},
	[SESSION_FLUSHING] = {[SESSION_CLOSED] = true},
};

void session_move(struct session *session, enum session_state state)
{
	must(transitions[session->state][state]);
	session->state = (uint8_t)state;
}

static uint32_t lifetime_with_jitter(struct session_env *env, uint32_t lifetime_ms)
{
	return lifetime_ms ? lifetime_ms + session_random(env, lifetime_ms / 10 + 1) : 0;
}

void session_init(struct session *session, struct session_env *env, struct view *view,
		  const struct listener_conf *listener)
{
	session->env = env;
	session->view = view;
	session->listener = listener;
	session->pool = &view->pools[listener->pool];
	session->id = env->next_id;
	env->next_id += env->id_step;
	session->accepted_us = session->active_us = env->loop.now_us;
	session->lifetime_ms =
		lifetime_with_jitter(env, session->pool->pool->conf->timeouts.lifetime_ms);
	session->client.source = (struct loop_source){.on_event = on_client_event, .fd = -1};
	session->backend.source = (struct loop_source){.on_event = on_backend_event, .fd = -1};
	list_init(&session->task.link);
	session->task.run = on_ready;
	timer_init(&session->timer, session_on_timer);
}

void session_join(struct session *session, struct listener_stats *stats)
{
	struct session_env *env = session->env;

	session->listener_stats = stats;
	view_get(session->view);
	list_push_back(&env->sessions, &session->link);
	env->session_count++;
	count_add(&env->counts->sessions_open, 1);
	count_add(&stats->counts[env->worker].c.open, 1);
}

static void reset_now(int fd)
{
	struct linger abort = {.l_onoff = 1, .l_linger = 0};

	SYS(SETSOCKOPT, setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort)));
	SYS(CLOSE, close(fd));
}

void session_begin(struct session_env *env, struct view *view, size_t listener_index, int fd,
		   const struct addr *peer, const struct addr *local)
{
	struct listener_stats *stats = view->snapshot->listeners[listener_index];
	struct session *session = session_alloc(env->cache);

	count_add(&env->counts->sessions, 1);
	if (!session) {
		count_add(&env->counts->reasons[REASON_NO_MEMORY], 1);
		reset_now(fd);
		listener_stats_release(stats);
		env->on_end(env);
		return;
	}
	session_init(session, env, view, &view->snapshot->config->listeners[listener_index]);
	session->client.source.fd = fd;
	session->client.peer = *peer;
	session->client.local = *local;
	session_join(session, stats);
	pool_view_earn(session->pool);
	session_greet(session);
}

bool session_watch_client(struct session *session)
{
	if (session->client.registered)
		return true;
	session->client.registered = true;
	if (!loop_add(&session->env->loop, &session->client.source, SESSION_LEG_EVENTS))
		return true;
	session_end(session, REASON_NO_MEMORY, RESET_BOTH);
	return false;
}

static void note_connected(struct session *session)
{
	const struct pool_conf *conf = session->pool->pool->conf;
	uint64_t began_us = session->deadline_us - conf->timeouts.connect_ms * US_PER_MS;

	histogram_add(&session->env->counts->connect_time, session->env->loop.now_us - began_us);
	if (!conf->outlier.resets)
		session_target_works(session);
}

/* The backend's first byte. */
static void note_first_byte(struct session *session)
{
	session->backend_first_us = session_age_us(session);
	histogram_add(&session->env->counts->first_byte_time,
		      session->backend_first_us - session->connect_us);
	if (session->pool->pool->conf->outlier.resets)
		session_target_works(session);
}

/* The handshake is done. The client's first bytes are usually here already: they are sent before
 * its socket is even registered, and registering then reports only what came later. */
void session_connected(struct session *session)
{
	struct session_env *env = session->env;

	session_move(session, SESSION_RELAYING);
	session->connect_us = session_age_us(session);
	session_search_end(session);
	note_connected(session);
	session->active_us = env->loop.now_us;
	count_add(&session->target->counts[env->worker].c.sessions, 1);
	count_add(&session->target->counts[env->worker].c.open, 1);
	session_note_addresses(session);
	session_arm_relaying(session);
	if (!session_announce(session))
		return;
	if (!session->client.registered)
		session->client.readable = true;
	session_pump(session);
	if (session->state == SESSION_RELAYING)
		session_watch_client(session);
}

void session_note_client(struct session *session)
{
	if (session->is_client || session->is_probe)
		return;
	session->is_client = true;
	count_add(&session->env->counts->clients, 1);
}

/* Count what one run of a relay moved, and note first bytes. */
void session_account(struct session *session, uint64_t received, uint64_t sent, bool to_backend)
{
	struct session_env *env = session->env;
	struct target_counts *target = &session->target->counts[env->worker].c;
	struct listener_counts *listener = &session->listener_stats->counts[env->worker].c;

	if (!received && !sent)
		return;
	session->active_us = env->loop.now_us;
	session->moved = true;
	session_note_client(session);
	if (session->cross_zone)
		count_add(&target->cross_zone_bytes, to_backend ? sent : received);
	if (to_backend) {
		if (received && !session->client_first_us)
			session->client_first_us = session_age_us(session);
		count_add(&env->counts->client_received_bytes, received);
		count_add(&listener->received_bytes, received);
		count_add(&target->sent_bytes, sent);
	} else {
		if (!session->backend_first_us)
			note_first_byte(session);
		count_add(&env->counts->client_sent_bytes, sent);
		count_add(&listener->sent_bytes, sent);
		count_add(&target->received_bytes, received);
	}
}

void session_run_relay(struct session *session, bool to_backend)
{
	struct relay *relay = to_backend ? &session->to_backend : &session->to_client;
	struct leg *from = to_backend ? &session->client : &session->backend;
	struct leg *to = to_backend ? &session->backend : &session->client;
	struct session_env *env = session->env;
	uint64_t received = relay->bytes;
	uint64_t sent = relay->sent_bytes;
	enum relay_result result;

	if (session->joint && session_is_carried(session, to_backend))
		return;
	if (!relay_has_work(relay, from))
		return;
	env->kit.now_us = env->loop.now_us;
	result = relay_run(relay, from, to, session->pool->pool->conf->relay, &env->kit);
	__atomic_store_n(&env->counts->buffer_bytes, env->kit.slab->used, __ATOMIC_RELAXED);
	session_account(session, relay->bytes - received, relay->sent_bytes - sent, to_backend);
	if (result == RELAY_AGAIN)
		loop_ready(&env->loop, &session->task);
	if (result == RELAY_DONE && !session->first_fin) {
		session->first_fin = to_backend ? REASON_CLIENT_FIN : REASON_BACKEND_FIN;
		session->active_us = env->loop.now_us; /* half_close counts from here */
		(to_backend ? &session->to_client : &session->to_backend)->is_last = true;
		session_arm_relaying(session);
	}
}

void session_pump(struct session *session)
{
	session->joint_waits = false;
	session_run_relay(session, true);
	session_run_relay(session, false);
	if (session->client.error || session->backend.error)
		session_leg_failed(session);
	else if (session->to_backend.state == RELAY_SHUT && session->to_client.state == RELAY_SHUT)
		session_end(session, session->first_fin, RESET_NONE);
	else if (session->joint)
		session_joint_rearm(session);
	else if (session->to_backend.blocked || session->to_client.blocked)
		session_watch_window(session);
	else if (session->env->door)
		session_offer(session);
}

/* Remember what an edge told. SO_ERROR clears the socket's error, so it is kept in the leg: a
 * later recv() == 0 must not pass for a clean end. */
static void leg_note(struct leg *leg, struct relay *into, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		leg->readable = true;
	if (events & EPOLLPRI)
		leg->urgent = true;
	if (events & EPOLLOUT)
		into->blocked = false;
	if (events & (EPOLLHUP | EPOLLERR))
		leg->last_words = true;
	else if (events & EPOLLRDHUP)
		leg->rdhup = true;
	if (events & EPOLLERR && !leg->error)
		leg->error = dial_error(leg->source.fd);
}

static void on_client_event(struct loop_source *source, uint32_t events)
{
	struct session *session = container_of(source, struct session, client.source);

	leg_note(&session->client, &session->to_client, events);
	if (session->state == SESSION_RELAYING)
		session_pump(session);
	else if (session->state == SESSION_FLUSHING)
		session_flush(session);
	else if (session->state == SESSION_GREETING)
		session_hear(session);
	else if (session->state == SESSION_QUEUED)
		session_queue_on_client(session);
	else if (session->client.error)
		session_end(session, REASON_CLIENT_ABORT, RESET_BOTH);
}

/* What connect(2) came to. A reset of an established connection counts as connected. */
static void on_dialed(struct session *session)
{
	switch (session->backend.error) {
	case 0:
	case ECONNRESET:
	case EPIPE:
		session_connected(session);
		break;
	case ECONNREFUSED:
		session_attempt_failed(session, REASON_CONNECT_REFUSED);
		break;
	case ETIMEDOUT:
		session_attempt_failed(session, REASON_CONNECT_TIMEOUT);
		break;
	default:
		session_attempt_failed(session, REASON_CONNECT_UNREACHABLE);
	}
}

static void on_backend_event(struct loop_source *source, uint32_t events)
{
	struct session *session = container_of(source, struct session, backend.source);

	leg_note(&session->backend, &session->to_backend, events);
	if (session->state == SESSION_RELAYING)
		session_pump(session);
	else if (session->state == SESSION_FLUSHING)
		session_flush(session);
	else if (session->state == SESSION_DIALING)
		on_dialed(session);
}

/* A byte budget was spent in the last turn, and the others have had theirs since. */
static void on_ready(struct loop_task *task)
{
	struct session *session = container_of(task, struct session, task);

	if (session->state == SESSION_RELAYING)
		session_pump(session);
	else if (session->state == SESSION_FLUSHING)
		session_flush(session);
}
