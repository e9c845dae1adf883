/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of a session share: session.c tells the story, choose.c finds it a backend by its
 * key.c, or lets it wait for one (queue.c), greeting.c hears and says what comes before the
 * payload, fitness.c says whether it is for the kernel, offload.c hands it over and takes it back,
 * adopt.c begins one that is there already, joint.c lets the kernel move its bytes, closing.c ends
 * it, timing.c watches its clocks, cache.c keeps its memory.
 */
#pragma once

#include <sys/epoll.h>

#include "proxy/pool_state.h"
#include "proxy/session/session.h"

#define SESSION_LEG_EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET)

/* What a session must know that waits for a slot, or whose first attempt failed. On its own, so
 * that the many who need no more than one attempt keep no memory for it. */
struct session_search {
	struct pool_waiter waiter;
	struct session *session;
	uint64_t deadline_us; /* of its wait; 0: it has not waited */
};

/* queue.c: its search, which begins if it has none. NULL without memory. */
struct session_search *session_search(struct session *session);

/* All state changes go through here; must()s the transition table. */
void session_move(struct session *session, enum session_state state);

/* greeting.c: hear the client's PROXY header, if its listener expects one, and then dial. */
void session_greet(struct session *session);
void session_hear(struct session *session); /* more has come */
void session_greeting_timed_out(struct session *session);

/* greeting.c: tell the backend who the client is, if the pool wants it. False: the session ended.
 */
bool session_announce(struct session *session);

/* greeting.c: the client, as the header says where there is one; to be borrowed. */
const struct addr *session_source(const struct session *session);

/* choose.c: pick a target and start dialing it, over and over until an attempt is under way; ends
 * the session when there is nobody left to try. */
void session_dial(struct session *session);

/* choose.c: dial a target that was reserved for it, with a reference. */
void session_dial_granted(struct session *session, struct target *target);

/* choose.c: its pool in the worker's newest view. */
struct pool_view *session_pool_now(const struct session *session);

/* choose.c: the attempt under way failed. Dials another target, or ends the session. */
void session_attempt_failed(struct session *session, enum reason reason);

/* key.c: the hash of the address that the pool may balance by; counts the session the first time.
 */
uint64_t session_key(struct session *session);

/* key.c: its address is that of a balancer. */
bool session_is_from_trusted(const struct session *session);

/* session.c: one of the worker's from now on; its place at the listener is taken already. */
void session_init(struct session *session, struct session_env *env, struct view *view,
		  const struct listener_conf *listener);
void session_join(struct session *session, struct listener_stats *stats);

/* session.c: the backend's handshake is done. */
void session_connected(struct session *session);

/* session.c: move what can be moved, both ways, and see what follows from it. */
void session_pump(struct session *session);

/* session.c: run one relay if it has work, with all the accounting. */
void session_run_relay(struct session *session, bool to_backend);

/* session.c: watch the client's socket. Ends the session when epoll has no room for it. */
bool session_watch_client(struct session *session);

/* closing.c: a leg reported an error; deliver what it sent before, then reset the other one. */
void session_leg_failed(struct session *session);

/* closing.c: go on with that, on an event or when the timer says so. */
void session_flush(struct session *session);

/* closing.c: the one way out. Logs, counts, closes both sockets (with RST where `reset`). */
enum session_reset { RESET_NONE, RESET_CLIENT = 1, RESET_BACKEND = 2, RESET_BOTH = 3 };
void session_end(struct session *session, enum reason reason, enum session_reset reset);

/* closing.c: give back the slot. */
void session_release_target(struct session *session);

/* closing.c: a slot of its target was given back; under a limit of the whole pool another target
 * may be what somebody waits for. */
void session_serve_pool(const struct session *session);

/* queue.c: wait for a slot of `pool`. False if that cannot be; else it waits, or has ended. */
bool session_queue(struct session *session, struct pool_view *pool);
void session_queue_on_timer(struct session *session);
void session_queue_on_client(struct session *session);

/* queue.c: the search is over; a slot it was granted goes to the next. */
void session_search_end(struct session *session);

/* outlier.c: what sessions meet at a target: a failure, or that it works. */
void session_target_failed(struct session *session);
void session_target_works(struct session *session);

/* record.c: ask both sockets for their local addresses while they know them, for the flow log. */
void session_note_addresses(struct session *session);
void session_note_local(struct leg *leg); /* whatever the log wants */

/* timing.c */
void session_on_timer(struct timer *timer);
void session_arm_relaying(struct session *session); /* for the nearest of its clocks */

/* timing.c: a peer stopped reading; see in time that TCP_USER_TIMEOUT does not take it for dead. */
void session_watch_window(struct session *session);

/* offload.c: after bytes moved: hand it over to the kernel, if its pool wants that and it is fit.
 */
void session_offer(struct session *session);

/* The end of waiting for a quiet moment. */
static inline uint64_t session_closing_until_us(const struct session *session)
{
	return session->closing_us + session->closing_wait_ms * UINT64_C(1000);
}

#define SESSION_LIFETIME_WAIT_MS 25000 /* for a quiet moment, when the lifetime is over */

/* fitness.c: worth it, and able to; asks the kernel for both windows, and may narrow ours. */
bool session_is_fit(struct session *session);
void session_widen(struct session *session); /* fitness.c: what was narrowed, as it stays here */

/* fitness.c: what the backend may send in one segment, so that its packets can be passed on; 0:
 * what fits our way. */
uint16_t session_mss(const struct session *session);

/* offload.c: its figures, from the kernel's tables. OFFLOADED only. */
void session_take_figures(struct session *session);

/* offload.c: see how a session does that has no sockets here; ask it back if something is due. */
void session_look(struct session *session);

/* offload.c: it goes on without sockets. */
void session_arm_look(struct session *session);

/* adopt.c: its target may be known by now. False: it will not be, and the session has ended. */
bool session_find_target_again(struct session *session);

/* offload.c: it ends, however far it got. */
void session_leave_offload(struct session *session);

/* joint.c: let the kernel join its sockets. */
void session_join_sockets(struct session *session);

/* joint.c: the kernel moves the bytes of this way, so the relay must not. */
bool session_is_carried(struct session *session, bool to_backend);

/* joint.c: what the kernel was handed this way is not all sent. */
bool session_joint_is_holding(struct session *session, bool to_backend);

/* joint.c: see how it does; false: it has ended, or is about to. */
bool session_joint_look(struct session *session);
void session_joint_figures(struct session *session);
void session_joint_rearm(struct session *session); /* after its ways were looked at */
uint64_t session_joint_due(const struct session *session);

/* joint.c: its sockets are closed. */
void session_part(struct session *session);

/* timing.c: when something is due, CLOCK_MONOTONIC in microseconds; UINT64_MAX: nothing. */
uint64_t session_relaying_due(const struct session *session);

/* session.c: bytes that went by, one way. */
void session_account(struct session *session, uint64_t received, uint64_t sent, bool to_backend);

/* session.c: it is no probe, unless it said that it is one. Counted the first time. */
void session_note_client(struct session *session);

/* cache.c */
struct session *session_alloc(struct session_cache *cache); /* zeroed, or NULL */
void session_free(struct session_cache *cache, struct session *session);

/* A small pseudo-random number, for jitter alone (xorshift64). */
uint32_t session_random(struct session_env *env, uint64_t below);

static inline uint32_t session_age_us(const struct session *session)
{
	uint64_t age = session->env->loop.now_us - session->accepted_us;

	return age > UINT32_MAX ? UINT32_MAX : age ? (uint32_t)age : 1;
}
