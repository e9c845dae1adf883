/* SPDX-License-Identifier: Apache-2.0
 *
 * A session whose sockets the kernel joins (sockmap; proxy/offload.h): it keeps them, and its
 * worker, and is RELAYING as ever, but the bytes of a way pass by its relay. Happy path: joined
 * after the first bytes; a look now and then keeps its figures right; a FIN that arrives is passed
 * on once everything before it is in the other socket's send queue.
 *
 * A way comes back to its relay for two reasons: its FIN, or a peer does not read, for which both
 * ways' gates have to fall, and do at a quiet moment (xdp/sockmap.h). Then what the kernel was
 * handed has to be sent before the relay reads again, for good. It copies from then on, since
 * splice(2) does not see bytes that went by a verdict, and it goes by the count of bytes for the
 * end, since read(2) says EOF too early. Failure modes: refused, it is relayed; a leg fails: the
 * other one gets what was sent before, as on a relay. The session ends quietly only when nothing is
 * under way, else with RST. Bytes that the kernel had no memory for end it as our own lack of
 * memory does.
 */
#include <errno.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/offload.h"
#include "proxy/session/internal.h"
#include "proxy/session/offload.h"

/* No wake-up for each packet. Of urgent bytes nobody wants to hear: they went by like any other,
 * and their mark means nothing any more. */
#define CARRIED_EVENTS (EPOLLRDHUP | EPOLLET)
#define OURS_EVENTS    (SESSION_LEG_EVENTS & ~EPOLLPRI)
#define LOOK_US        (5 * US_PER_SEC)
#define WAIT_MS_MAX    50

static struct relay *relay_of(struct session *session, bool to_backend)
{
	return to_backend ? &session->to_backend : &session->to_client;
}

static struct leg *from_of(struct session *session, bool to_backend)
{
	return to_backend ? &session->client : &session->backend;
}

static bool is_ours(const struct session *session, bool to_backend)
{
	return to_backend ? session->ours_to_backend : session->ours_to_client;
}

/* Its FIN is here; after that of the other leg, epoll says HUP. */
static bool has_finished(const struct leg *leg)
{
	return !leg->error && (leg->rdhup || leg->last_words);
}

static void watch(struct session *session, uint32_t events)
{
	loop_change(&session->env->loop, &session->client.source, events);
	loop_change(&session->env->loop, &session->backend.source, events);
	session->client.urgent = session->backend.urgent = false;
}

/* Whoever moves bytes next: an ended session has closed its sockets. */
static void go_on(struct session *session)
{
	if (session->state == SESSION_RELAYING)
		session_pump(session);
	else if (session->state == SESSION_FLUSHING)
		session_flush(session);
}

/* --- there --- */

void session_join_sockets(struct session *session)
{
	const int fds[2] = {session->client.source.fd, session->backend.source.fd};

	/* A verdict sees whole buffers: of one that is half read, the first half as well. */
	if (session->client.readable || session->backend.readable)
		return;
	session->stays =
		offload_join(session->env->door, session, fds, &session->joint) != FLOW_FINE;
	if (!session->joint)
		return;
	session->joint->before[0] = session->to_backend.bytes;
	session->joint->before[1] = session->to_client.bytes;
}

void session_on_joined(void *owner)
{
	struct session *session = owner;

	watch(session, CARRIED_EVENTS);
	go_on(session);
}

void session_on_not_joined(void *owner, enum flow_refusal why)
{
	struct session *session = owner;

	session->joint = NULL;
	session->turns = 0;
	session->stays = why != FLOW_BUSY && why != FLOW_FULL;
	session->client.readable = session->backend.readable = true;
	go_on(session);
}

void session_on_gate(void *owner)
{
	go_on(owner);
}

/* --- one way --- */

/* Bytes that the kernel moved since the last look. */
static void take_figures(struct session *session, bool to_backend)
{
	struct offload_joint *joint = session->joint;
	struct relay *relay = relay_of(session, to_backend);
	uint64_t active_us = session->active_us;
	unsigned way = !to_backend;
	struct sockmap_view view;
	uint64_t bytes;

	offload_joint_look(joint, way, &view);
	bytes = view.passed - joint->seen[way];
	joint->seen[way] = view.passed;
	relay->bytes += bytes;
	relay->sent_bytes += bytes;
	session->offloaded_bytes += bytes;
	count_add(&session->env->counts->offloaded_bytes, bytes);
	session_account(session, bytes, bytes, to_backend);
	session->active_us = active_us > view.last_ns / 1000 ? active_us : view.last_ns / 1000;
}

/* How much will have come when everything has; known once the FIN is here. */
static void count_whole(struct session *session, bool to_backend)
{
	struct relay *relay = relay_of(session, to_backend);
	struct leg *from = from_of(session, to_backend);
	unsigned way = !to_backend;

	if (relay->whole_bytes != UINT64_MAX || !has_finished(from))
		return;
	relay->whole_bytes = offload_joint_received(session->joint, way, from->source.fd, true) +
			     session->joint->before[way];
	from->readable = true; /* it may have been there and not been believed */
}

static void take_over(struct session *session, bool to_backend)
{
	struct relay *relay = relay_of(session, to_backend);

	take_figures(session, to_backend); /* the last: `passed` does not grow any more */
	if (to_backend)
		session->ours_to_backend = true;
	else
		session->ours_to_client = true;
	sockmap_take_over(from_of(session, to_backend)->source.fd,
			  from_of(session, !to_backend)->source.fd);
	relay->no_splice = true;
	relay->whole_bytes = UINT64_MAX;
	from_of(session, to_backend)->readable = true;
	watch(session, OURS_EVENTS);
}

/* The FIN is all that is left of this way. */
static void finish(struct session *session, bool to_backend)
{
	take_figures(session, to_backend);
	if (to_backend)
		session->ours_to_backend = true;
	else
		session->ours_to_client = true;
	from_of(session, to_backend)->readable = false;
	relay_of(session, to_backend)->state = RELAY_DRAINING;
}

/* The kernel dropped bytes of this way. */
static void fail(struct session *session, bool to_backend, const struct sockmap_view *view)
{
	static struct log_limit limit;
	char client[ADDR_TEXT];

	log_limited(&limit, LOG_WARN, "sockmap_lost",
		    "client=%s to=%s passed=%llu unread=%u error=\"%s\"",
		    addr_format(&session->client.peer, client), to_backend ? "backend" : "client",
		    (unsigned long long)view->passed, view->unread, sockmap_losses[view->lost]);
	from_of(session, to_backend)->error = ENOMEM;
}

/* A way presses: it has to be gated. `view` is of it. */
static void settle(struct session *session, unsigned way, struct sockmap_view *view)
{
	const int fds[2] = {session->client.source.fd, session->backend.source.fd};

	if (offload_joint_settle(session->joint, fds, session->joint_wait_ms == WAIT_MS_MAX))
		offload_joint_look(session->joint, way, view);
	else
		session->joint_waits = true;
}

bool session_is_carried(struct session *session, bool to_backend)
{
	struct offload_joint *joint = session->joint;
	struct leg *from = from_of(session, to_backend);
	int to_fd = from_of(session, !to_backend)->source.fd;
	unsigned way = !to_backend;
	struct sockmap_view view;

	if (!joint->made)
		return true; /* the keeper is at it */
	offload_joint_look(joint, way, &view);
	if (view.lost && !from->error)
		fail(session, to_backend, &view);
	if (is_ours(session, to_backend)) {
		count_whole(session, to_backend);
		return false;
	}
	if (view.pressed && !view.gated)
		settle(session, way, &view);
	if (view.gated && offload_joint_is_written(joint, way, to_fd)) {
		take_over(session, to_backend);
		count_whole(session, to_backend);
		return false;
	}
	if (!view.gated && has_finished(from) &&
	    offload_joint_is_through(joint, way, from->source.fd, to_fd, true)) {
		finish(session, to_backend);
		return false;
	}
	session->joint_waits = session->joint_waits || view.gated || has_finished(from);
	return true;
}

bool session_joint_is_holding(struct session *session, bool to_backend)
{
	struct offload_joint *joint = session->joint;
	struct relay *relay = relay_of(session, to_backend);
	struct leg *from = from_of(session, to_backend);
	int to_fd = from_of(session, !to_backend)->source.fd;
	struct sockmap_view view;

	if (!joint->made)
		return true;
	if (relay->state == RELAY_SHUT)
		return false;
	if (is_ours(session, to_backend))
		return relay->state == RELAY_OPEN && from->readable;
	offload_joint_look(joint, !to_backend, &view);
	if (view.gated)
		return true; /* it will be ours soon */
	if (from->error)
		return !offload_joint_is_written(joint, !to_backend, to_fd);
	return !offload_joint_is_through(joint, !to_backend, from->source.fd, to_fd,
					 has_finished(from));
}

/* --- the whole --- */

void session_joint_figures(struct session *session)
{
	if (!session->joint || !session->joint->made)
		return;
	for (int to_backend = 0; to_backend < 2; to_backend++)
		if (!is_ours(session, to_backend))
			take_figures(session, to_backend);
}

uint64_t session_joint_due(const struct session *session)
{
	uint64_t wait_us = session->joint_wait_ms ? session->joint_wait_ms * US_PER_MS : LOOK_US;

	return session->env->loop.now_us + wait_us;
}

void session_joint_rearm(struct session *session)
{
	uint8_t before = session->joint_wait_ms;

	if (!session->joint_waits)
		session->joint_wait_ms = 0;
	else
		session->joint_wait_ms =
			before < WAIT_MS_MAX / 2 ? (uint8_t)(2 * before + 1) : WAIT_MS_MAX;
	session_arm_relaying(session);
}

bool session_joint_look(struct session *session)
{
	session_joint_figures(session);
	session_pump(session);
	return session->state == SESSION_RELAYING;
}

void session_part(struct session *session)
{
	if (session->joint)
		offload_part(session->joint);
	session->joint = NULL;
}
