/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a session is worth offering to the kernel, and could be carried there. Happy path: its
 * pool's mode says what proves that it will last; nothing is held, nothing has ended; and with
 * `auto` neither peer may send more than the other takes. Failure modes: windows that do not fit
 * are narrowed, which is undone for one that stays on the relay.
 */
#include "proxy/offload.h"
#include "proxy/session/internal.h"
#include "proxy/session/offload.h"

/* `auto`: what a promotion costs, some 57 us of CPU, is earned back by about this much: 6 round
 * trips of 1 KiB, or bulk of 120 kB (a wire's segments one by one) to 550 kB (merged ones), as
 * measured by tests/bench/fastpath. */
#define WORTH_BYTES (256 * 1024)
#define WORTH_TURNS 8

#define MSS_MAX 32767 /* of TCP_MAXSEG, tcp(7) */

static bool is_tcp(const struct leg *leg)
{
	return leg->peer.family == AF_INET || leg->peer.family == AF_INET6;
}

/* The backend is told to send what the client takes, so that its segments can be passed on. */
uint16_t session_mss(const struct session *session)
{
	uint16_t mss;

	if (!session->env->door || session->pool->pool->conf->offload == OFFLOAD_OFF ||
	    !is_tcp(&session->client))
		return 0;
	mss = offload_mss(session->client.source.fd);
	return mss <= MSS_MAX ? mss : 0;
}

/* Bytes or messages enough that more are likely. */
static bool has_proved_itself(const struct session *session)
{
	if (session->pool->pool->conf->offload == OFFLOAD_FLOW)
		return session->to_backend.bytes || session->to_client.bytes;
	if (session->pool->pool->conf->offload == OFFLOAD_SOCKMAP) /* again only after some */
		return session->turns >= 2;
	return session->to_backend.bytes + session->to_client.bytes >= WORTH_BYTES ||
	       session->turns >= WORTH_TURNS;
}

static bool has_two_open_ways(const struct session *session)
{
	return session->state == SESSION_RELAYING && !session->closing && !session->first_fin &&
	       session->to_backend.state == RELAY_OPEN && session->to_client.state == RELAY_OPEN &&
	       !session->client.urgent && !session->backend.urgent &&
	       !relay_is_holding(&session->to_backend) && !relay_is_holding(&session->to_client) &&
	       session->client.registered && is_tcp(&session->client) && is_tcp(&session->backend);
}

/* Bulk beyond the other peer's window is dropped there and sent again, at times after a timeout.
 * Who wants flows at once has them before there is bulk. */
static bool fits(struct session *session)
{
	const int fds[2] = {session->client.source.fd, session->backend.source.fd};
	bool bulk =
		session->to_backend.bulk || session->to_client.bulk || session->turns < WORTH_TURNS;
	bool narrowed = session->narrowed, fit;

	if (session->pool->pool->conf->offload != OFFLOAD_AUTO)
		return true;
	fit = offload_fits(fds, bulk, &narrowed);
	session->narrowed = narrowed;
	return fit;
}

bool session_is_fit(struct session *session)
{
	return has_proved_itself(session) && has_two_open_ways(session) && fits(session);
}

void session_widen(struct session *session)
{
	const int fds[2] = {session->client.source.fd, session->backend.source.fd};

	if (session->narrowed)
		offload_widen(fds);
	session->narrowed = false;
}
