/* SPDX-License-Identifier: Apache-2.0
 *
 * A session's last description, taken while its sockets are still open: times, bytes, addresses of
 * both legs, and what TCP_INFO says of each. A socket that the peer has reset may have forgotten
 * its local address, so that is asked for when the session is connected (session_note_addresses).
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/base/clock.h"
#include "proxy/base/sys.h"
#include "proxy/flowlog.h"
#include "proxy/greeting.h"
#include "proxy/offload.h"
#include "proxy/session/internal.h"
#include "proxy/session_info.h"
#include "proxy/target.h"

void session_note_local(struct leg *leg)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (leg->local.family || leg->source.fd < 0)
		return;
	if (!SYS(GETSOCKNAME, getsockname(leg->source.fd, (struct sockaddr *)&sa, &len)))
		addr_from_sockaddr((struct sockaddr *)&sa, len, &leg->local);
}

void session_note_addresses(struct session *session)
{
	if (!session->env->ring || session->view->snapshot->config->flow.format == FLOW_OFF)
		return;
	session_note_local(&session->client);
	session_note_local(&session->backend);
}

static void describe_leg(const struct leg *leg, struct flow_leg *ret_leg)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	ret_leg->local = leg->local;
	ret_leg->peer = leg->peer;
	memset(&info, 0, sizeof(info));
	if (leg->source.fd < 0 || leg->peer.family == AF_UNIX ||
	    SYS(GETSOCKOPT, getsockopt(leg->source.fd, IPPROTO_TCP, TCP_INFO, &info, &len)))
		return;
	ret_leg->rtt_us = info.tcpi_rtt;
	ret_leg->retransmits = info.tcpi_total_retrans;
	ret_leg->delivery_rate = info.tcpi_delivery_rate;
}

static void describe_greeting(const struct greeting *greeting, struct flow_record *record)
{
	if (!greeting)
		return;
	record->proxy_source = greeting->source;
	record->proxy_destination = greeting->destination;
	if (greeting->vpce)
		snprintf(record->vpce, sizeof(record->vpce), "%s", greeting->vpce);
}

void session_describe(const struct session *session, struct flow_record *ret_record)
{
	uint64_t age_us = session->env->loop.now_us - session->accepted_us;

	*ret_record = (struct flow_record){
		.accepted_wall_us = clock_wall_us() - age_us,
		.connect_us = session->connect_us,
		.client_first_us = session->client_first_us,
		.backend_first_us = session->backend_first_us,
		.duration_us = age_us,
		.client_bytes = session->to_backend.bytes,
		.backend_bytes = session->to_client.bytes,
		.spliced_bytes =
			session->to_backend.spliced_bytes + session->to_client.spliced_bytes,
		.offloaded_bytes = session->offloaded_bytes,
		.id = session->id,
		.worker = session->env->worker,
		.reason = session->reason,
		.retries = session->retries,
		.joined = session->joint,
	};
	describe_leg(&session->client, &ret_record->client);
	describe_leg(&session->backend, &ret_record->backend);
	describe_greeting(session->greeting, ret_record);
	snprintf(ret_record->listener, sizeof(ret_record->listener), "%s", session->listener->name);
	snprintf(ret_record->pool, sizeof(ret_record->pool), "%s", session->pool->pool->conf->name);
	if (session->target)
		snprintf(ret_record->target, sizeof(ret_record->target), "%s",
			 session->target->name);
}

static const uint8_t phases[SESSION_STATES] = {
	[SESSION_ACCEPTED] = SESSION_PHASE_ACCEPTED, [SESSION_GREETING] = SESSION_PHASE_GREETING,
	[SESSION_QUEUED] = SESSION_PHASE_QUEUED,     [SESSION_DIALING] = SESSION_PHASE_DIALING,
	[SESSION_RELAYING] = SESSION_PHASE_RELAYING, [SESSION_OFFLOADED] = SESSION_PHASE_OFFLOADED,
	[SESSION_FLUSHING] = SESSION_PHASE_FLUSHING,
};

static void copy_name(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

/* A Unix path is the configuration's or the target's, which may go before the reader. */
static struct addr lasting(const struct addr *addr)
{
	struct addr copy = *addr;

	if (copy.family == AF_UNIX)
		copy.path = NULL;
	return copy;
}

void session_inform(struct session *session, struct session_info *ret_info)
{
	uint64_t now = session->env->loop.now_us;

	session_joint_figures(session);
	session_note_local(&session->client);
	session_note_local(&session->backend);
	*ret_info = (struct session_info){
		.id = session->id,
		.phase = phases[session->state],
		.retries = session->retries,
		.joined = session->joint && session->joint->made &&
			  !(session->ours_to_backend && session->ours_to_client),
		.spliced = session->to_backend.bulk || session->to_client.bulk,
		.worker = session->env->worker,
		.client = lasting(&session->client.peer),
		.client_local = lasting(&session->client.local),
		.backend_local = lasting(&session->backend.local),
		.age_ms = (now - session->accepted_us) / US_PER_MS,
		.idle_ms = (now - session->active_us) / US_PER_MS,
		.client_bytes = session->to_backend.bytes,
		.backend_bytes = session->to_client.bytes,
	};
	if (ret_info->joined)
		ret_info->phase = SESSION_PHASE_OFFLOADED;
	copy_name(ret_info->listener, sizeof(ret_info->listener), session->listener->name);
	copy_name(ret_info->pool, sizeof(ret_info->pool), session->pool->pool->conf->name);
	if (session->target)
		copy_name(ret_info->target, sizeof(ret_info->target), session->target->name);
	if (!session->greeting)
		return;
	ret_info->proxy_source = lasting(&session->greeting->source);
	if (session->greeting->vpce)
		copy_name(ret_info->vpce, sizeof(ret_info->vpce), session->greeting->vpce);
}
