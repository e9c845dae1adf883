/* SPDX-License-Identifier: Apache-2.0
 *
 * What is said before the payload, in both directions: the PROXY header that a trusted balancer
 * sends ahead of its client's bytes, and the one that the pool's targets get.
 *
 * Happy path in: the header is in the socket's queue when it is accepted, and the session dials in
 * the same turn; otherwise it waits in GREETING for events. From then on the header's source is
 * the client, to balancing as to logs. A peer that is not trusted is not sniffed: whoever can send
 * a header can be anybody. Happy path out: the header leaves in one segment with the first bytes.
 *
 * Failure modes: a peer that must send one and is not trusted, a malformed or half header, none
 * within its time: RST, a reason of its own, and a line in the operational log. A listener for
 * which headers are optional gives up waiting for a first byte early, because the server may be
 * who speaks first. A peer that leaves without a byte was a probe.
 */
#include "proxy/greeting.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/sys.h"
#include "proxy/listener_stats.h"
#include "proxy/proxyproto.h"
#include "proxy/session/internal.h"
#include "proxy/target.h"

const struct addr *session_source(const struct session *session)
{
	const struct greeting *greeting = session->greeting;

	return greeting && greeting->source.family ? &greeting->source : &session->client.peer;
}

static struct listener_counts *counts_of(const struct session *session)
{
	return &session->listener_stats->counts[session->env->worker].c;
}

static void refuse(struct session *session, enum reason reason, const char *error)
{
	static struct log_limit limit;
	char client[ADDR_TEXT];

	count_add(&counts_of(session)->proxy_errors, 1);
	log_limited(&limit, LOG_WARN, "proxy_header_refused",
		    "listener=%s client=%s reason=%s error=\"%s\"", session->listener->name,
		    addr_format(&session->client.peer, client), reason_names[reason], error);
	session_end(session, reason, RESET_BOTH);
}

/* It came and left without a byte. */
static void end_probe(struct session *session, enum reason reason)
{
	session->is_probe = true;
	session_end(session, reason, reason == REASON_CLIENT_FIN ? RESET_NONE : RESET_BOTH);
}

static void go_on(struct session *session)
{
	timer_cancel(&session->timer);
	session_move(session, SESSION_ACCEPTED);
	session_dial(session);
}

static void take_header(struct session *session, struct greeting *greeting)
{
	session->greeting = greeting;
	session->is_probe = greeting->local;
	count_add(&counts_of(session)->proxy_headers, 1);
	if (greeting->vpce)
		listener_stats_count_vpce(session->listener_stats, greeting->vpce);
}

static void arm(struct session *session, uint32_t delay_ms)
{
	loop_arm(&session->env->loop, &session->timer, delay_ms);
}

static void wait_for_more(struct session *session, bool begun)
{
	if (begun && !session->header_begun) {
		session->header_begun = true;
		if (session->listener->proxy_protocol == PROXY_ACCEPT_OPTIONAL)
			arm(session, session->listener->header_timeout_ms);
	}
	session_watch_client(session);
}

void session_hear(struct session *session)
{
	struct leg *client = &session->client;
	struct greeting_found found;
	enum greeting_result result = greeting_look(
		client->source.fd, session->listener->proxy_protocol,
		client->rdhup || client->last_words, session->env->kit.buffer, &found);

	if (result == GREETING_NEED_MORE) {
		wait_for_more(session, found.begun);
	} else if (result == GREETING_CONTINUE) {
		if (found.greeting)
			take_header(session, found.greeting);
		if (client->error)
			session_end(session, REASON_CLIENT_ABORT, RESET_BOTH);
		else
			go_on(session);
	} else if (found.reason == REASON_PROXY_HEADER_BAD) {
		refuse(session, found.reason, found.error);
	} else if (found.reason == REASON_NO_MEMORY) {
		session_end(session, found.reason, RESET_BOTH);
	} else {
		end_probe(session, found.reason);
	}
}

void session_greet(struct session *session)
{
	const struct listener_conf *listener = session->listener;
	bool required = listener->proxy_protocol == PROXY_ACCEPT_REQUIRED;

	if (listener->proxy_protocol == PROXY_ACCEPT_OFF ||
	    (!required && !session_is_from_trusted(session))) {
		session_dial(session);
		return;
	}
	if (!session_is_from_trusted(session)) {
		refuse(session, REASON_PROXY_UNTRUSTED, "the peer is not trusted");
		return;
	}
	session_move(session, SESSION_GREETING);
	arm(session, required ? listener->header_timeout_ms : listener->proxy_timeout_ms);
	session_hear(session);
}

void session_greeting_timed_out(struct session *session)
{
	if (session->listener->proxy_protocol == PROXY_ACCEPT_OPTIONAL && !session->header_begun)
		go_on(session);
	else
		refuse(session, REASON_PROXY_HEADER_TIMEOUT,
		       session->header_begun ? "half a header" : "not a byte");
}

/* Whether the client's bytes will follow at once, in the same segment. */
static bool has_bytes_waiting(const struct session *session)
{
	int waiting = 0;

	SYS(IOCTL, ioctl(session->client.source.fd, FIONREAD, &waiting));
	return waiting > 0;
}

static struct proxyproto_out describe_client(struct session *session)
{
	const struct pool_conf *conf = session->pool->pool->conf;
	const struct greeting *greeting = session->greeting;
	struct proxyproto_out out = {.version = conf->proxy_protocol == PROXY_SEND_V1 ? 1 : 2,
				     .crc32c = conf->proxy_crc32c,
				     .source = &session->client.peer,
				     .destination = &session->client.local};

	session_note_local(&session->client);
	if (!greeting)
		return out;
	out.local = greeting->local;
	out.tlvs = greeting->bytes;
	out.tlv_size = greeting->tlv_size;
	if (greeting->source.family) {
		out.source = &greeting->source;
		out.destination = &greeting->destination;
	}
	return out;
}

bool session_announce(struct session *session)
{
	struct relay *relay = &session->to_backend;
	uint64_t sent = relay->sent_bytes;
	uint8_t header[PROXYPROTO_WRITE_MAX];
	struct proxyproto_out out;
	size_t length;
	int err;

	if (session->pool->pool->conf->proxy_protocol == PROXY_SEND_OFF)
		return true;
	out = describe_client(session);
	length = proxyproto_write(&out, header);
	err = relay_precede(relay, &session->backend, header, length, has_bytes_waiting(session),
			    &session->env->kit);
	count_add(&session->target->counts[session->env->worker].c.sent_bytes,
		  relay->sent_bytes - sent);
	if (!err)
		return true;
	session_end(session, REASON_NO_MEMORY, RESET_BOTH);
	return false;
}
