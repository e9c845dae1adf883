/* SPDX-License-Identifier: Apache-2.0
 *
 * A session that ran before this process did, and has no socket here. Happy path: its listener,
 * pool and target are found by the names in its note, its place is taken at each of them past any
 * limit, and it goes on as one that was offloaded a moment ago.
 *
 * Bytes that went by before are in its figures, not in this process's counters.
 *
 * Failure modes: its listener or pool is no more, or there is no memory: it is reset. Its target is
 * not known: where targets are discovered or have names, they may still be on their way, so a
 * stand-in has its place at the pool for as long as a start may take; then, or at once where
 * targets are written down, it is reset because its target was removed.
 */
#include <stdio.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/greeting.h"
#include "proxy/listener_stats.h"
#include "proxy/pool_state.h"
#include "proxy/session/internal.h"
#include "proxy/session/offload.h"
#include "proxy/target.h"

static int find_listener(const struct view *view, const char *name)
{
	const struct config *config = view->snapshot->config;

	for (size_t i = 0; i < config->listener_count; i++)
		if (!strcmp(config->listeners[i].name, name))
			return (int)i;
	return -1;
}

static struct pool_view *find_pool(struct view *view, const char *name)
{
	for (size_t i = 0; i < view->snapshot->config->pool_count; i++)
		if (!strcmp(view->pools[i].pool->conf->name, name))
			return &view->pools[i];
	return NULL;
}

/* By address first, as most are told apart by that without a look at their names. */
static struct target *find_target(const struct pool *pool, const char *name,
				  const struct addr *address)
{
	struct addr wanted = addr_unmap(address);

	for (size_t i = 0; i < pool->target_count; i++) {
		struct addr addr = addr_unmap(&pool->targets[i]->addr);

		addr.scope = wanted.scope;
		if (addr_equal(&addr, &wanted) && !strcmp(pool->targets[i]->name, name))
			return pool->targets[i];
	}
	return NULL;
}

static void count_at(const struct session *session, struct target *target)
{
	target_adopt(target);
	count_add(&target->counts[session->env->worker].c.sessions, 1);
	count_add(&target->counts[session->env->worker].c.open, 1);
}

static void take_place(struct session *session, struct target *target, bool held)
{
	count_at(session, target);
	session->target = target;
	session->target_held = held;
	session->cross_zone = atomic_load_explicit(&target->cross_zone, memory_order_relaxed);
}

/* It counts in the pool, and has a name for the log. */
static bool take_stand_in(struct session *session, const char *name)
{
	struct target *target =
		target_new(name, &session->backend.peer, session->listener_stats->worker_count);

	if (!target)
		return false;
	target->pool = session->pool->pool->state;
	pool_state_get(target->pool);
	take_place(session, target, true);
	session->stand_in = true;
	return true;
}

static bool may_come(const struct pool *pool)
{
	return pool->conf->discovered || pool->unresolved;
}

bool session_find_target_again(struct session *session)
{
	const struct pool *pool = session_pool_now(session)->pool;
	struct target *found = find_target(pool, session->target->name, &session->backend.peer);

	if (found) {
		session->stand_in = false;
		session_release_target(session);
		target_get(found);
		take_place(session, found, true);
		return true;
	}
	if (may_come(pool) && session->env->loop.now_us < session->deadline_us)
		return true;
	session_end(session, REASON_TARGET_REMOVED_RST, RESET_BOTH);
	return false;
}

/* When it began, by the clock that never jumps. */
static uint64_t began_us(const struct session_env *env, const struct flow_note *note)
{
	uint64_t wall = clock_wall_us();
	uint64_t age = wall > note->accepted_wall_us ? wall - note->accepted_wall_us : 0;
	uint64_t promoted_us = note->promoted_ns / 1000;
	uint64_t began = env->loop.now_us > age ? env->loop.now_us - age : 0;

	return began < promoted_us ? began : promoted_us;
}

static void take_relays(struct session *session, struct offload_ticket *ticket)
{
	struct flow_view view;

	offload_look(ticket, &view);
	for (unsigned leg = 0; leg < 2; leg++) {
		struct relay *relay = leg ? &session->to_client : &session->to_backend;
		uint64_t before = leg ? ticket->note.backend_bytes : ticket->note.client_bytes;

		relay->bytes = relay->sent_bytes = before + view.bytes[leg];
		session->offloaded_bytes += view.bytes[leg];
		ticket->seen[leg] = view.bytes[leg];
	}
}

static void write_address(const struct addr *addr, struct flow_note_address *ret_note)
{
	struct addr plain = addr_unmap(addr);

	ret_note->port = htons(plain.port);
	if (plain.family == AF_INET) {
		ret_note->version = 4;
		memcpy(ret_note->words, &plain.v4, sizeof(plain.v4));
	} else if (plain.family == AF_INET6) {
		ret_note->version = 6;
		memcpy(ret_note->words, &plain.v6, sizeof(plain.v6));
	}
}

void session_note_greeting(const struct greeting *greeting, struct flow_note *note)
{
	if (!greeting)
		return;
	write_address(&greeting->source, &note->proxy_source);
	write_address(&greeting->destination, &note->proxy_destination);
	if (greeting->vpce)
		snprintf(note->vpce, sizeof(note->vpce), "%s", greeting->vpce);
}

static struct addr read_address(const struct flow_note_address *note)
{
	struct addr addr = {.port = ntohs(note->port)};

	if (note->version == 4) {
		addr.family = AF_INET;
		memcpy(&addr.v4, note->words, sizeof(addr.v4));
	} else if (note->version == 6) {
		addr.family = AF_INET6;
		memcpy(&addr.v6, note->words, sizeof(addr.v6));
	}
	return addr;
}

/* Without memory its line in the log says less. */
static void take_greeting(struct session *session, const struct flow_note *note)
{
	struct addr source = read_address(&note->proxy_source);
	struct addr destination = read_address(&note->proxy_destination);

	if (source.family || note->vpce[0])
		session->greeting = greeting_remember(&source, &destination, note->vpce);
}

static void take_note(struct session *session, struct offload_ticket *ticket)
{
	const struct flow_note *note = &ticket->note;
	struct session_env *env = session->env;

	session->ticket = ticket;
	session->accepted_us = began_us(env, note);
	session->deadline_us =
		env->loop.now_us + session->view->snapshot->config->start_wait_ms * US_PER_MS;
	session->connect_us = note->connect_us ? note->connect_us : 1;
	session->client_first_us = note->client_first_us;
	session->backend_first_us = note->backend_first_us;
	session->retries = (uint8_t)note->retries;
	session->is_client = true; /* of the process that accepted it */
	session->matured = true;   /* sockets that come back get their keepalive then */
	session->client.local = ticket->legs.local[0];
	session->client.peer = ticket->legs.peer[0];
	session->backend.local = ticket->legs.local[1];
	session->backend.peer = ticket->legs.peer[1];
	take_greeting(session, note);
	take_relays(session, ticket);
}

static struct session *refuse(struct session_env *env, enum reason reason)
{
	count_add(&env->counts->reasons[reason], 1);
	env->on_end(env);
	return NULL;
}

static struct session *begin(struct session_env *env, struct offload_ticket *ticket)
{
	struct view *view = *env->view;
	int listener = find_listener(view, ticket->note.listener);
	struct pool_view *pool = find_pool(view, ticket->note.pool);
	struct session *session;

	count_add(&env->counts->sessions, 1);
	env->on_adopt(env);
	if (listener < 0 || !pool)
		return refuse(env, REASON_DRAIN_RST);
	session = session_alloc(env->cache);
	if (!session)
		return refuse(env, REASON_NO_MEMORY);
	session_init(session, env, view, &view->snapshot->config->listeners[listener]);
	session->pool = pool;
	take_note(session, ticket);
	listener_stats_reserve(view->snapshot->listeners[listener], 0);
	session_join(session, view->snapshot->listeners[listener]);
	session_move(session, SESSION_OFFLOADED);
	return session;
}

void *session_adopt(struct loop *loop, struct offload_ticket *ticket)
{
	struct session_env *env = container_of(loop, struct session_env, loop);
	struct session *session = begin(env, ticket);
	struct target *target;

	if (!session)
		return NULL;
	target = find_target(session->pool->pool, ticket->note.target, &session->backend.peer);
	if (target) {
		take_place(session, target, false);
	} else if (!take_stand_in(session, ticket->note.target)) {
		session->ticket = NULL; /* the door's again */
		session_end(session, REASON_NO_MEMORY, RESET_BOTH);
		return NULL;
	}
	session_take_figures(session);
	session_arm_look(session);
	return session;
}
