/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the socket, the deadline and the bytes of a check. The happy path is: a non-blocking
 * connect, the request (after a PROXY header if the pool speaks that), as much of the answer as the
 * probe wants to see, a verdict. Edge-triggered: every event sends and reads all it can, which the
 * bound on the answer keeps short.
 *
 * The connection is always closed by a reset: the verdict is known, nobody wants the rest, and
 * neither side keeps a TIME_WAIT for what happens every second.
 *
 * Failure modes, all of which end in a verdict: refused, unreachable, silent, too slow, closed or
 * reset in between, an answer without an end. No fd, no memory, no source port of ours: that is
 * VERDICT_NONE.
 */
#include "proxy/health/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/panic.h"
#include "proxy/base/sys.h"
#include "proxy/dial.h"
#include "proxy/health/words.h"
#include "proxy/ports.h"
#include "proxy/proxyproto.h"

#define ANSWER_ROOM 256 /* at first; doubles */

static const uint8_t follows[CHECK_STATES] = {
	[CHECK_IDLE] = 1 << CHECK_CONNECTING,
	[CHECK_CONNECTING] = 1 << CHECK_TALKING | 1 << CHECK_OVER,
	[CHECK_TALKING] = 1 << CHECK_OVER,
	[CHECK_OVER] = 1 << CHECK_IDLE,
};

static const struct probe *const probes[HEALTH_KINDS] = {
	[HEALTH_TCP] = &tcp_probe,
	[HEALTH_HTTP] = &http_probe,
	[HEALTH_TLS] = &tls_probe,
	[HEALTH_SEND_EXPECT] = &send_expect_probe,
};

static const struct probe *probe_of(const struct check *check)
{
	return probes[check->order.conf->kind];
}

static void change(struct check *check, enum check_state state)
{
	must(follows[check->state] & 1 << state);
	check->state = state;
}

static void reset_connection(struct check *check)
{
	struct linger reset = {.l_onoff = 1, .l_linger = 0};

	if (check->source.fd < 0)
		return;
	if (check->order.addr->family != AF_UNIX)
		SYS(SETSOCKOPT,
		    setsockopt(check->source.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	SYS(CLOSE, close(check->source.fd));
	check->source.fd = -1;
}

static bool is_gone(int error)
{
	return error == EPIPE || error == ECONNRESET;
}

static void release(struct check *check)
{
	reset_connection(check);
	timer_cancel(&check->deadline);
	free(check->request);
	free(check->answer);
	check->request = check->answer = NULL;
	check->request_size = check->sent = check->answer_size = check->answer_room = 0;
	check->was_reset = false;
}

/* The verdict's text stands already. */
static void finish(struct check *check, enum verdict_kind kind)
{
	check->verdict.kind = kind;
	check->verdict.took_us = (uint32_t)(check->loop->now_us - check->started_us);
	release(check);
	change(check, CHECK_OVER);
	loop_ready(check->loop, &check->over);
}

/* It is we who lack something, or this host. */
static bool is_our_lack(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS ||
	       error == ENOSPC || error == EADDRNOTAVAIL;
}

static void give_up(struct check *check, int error)
{
	check->verdict.error = error;
	finish(check, VERDICT_NONE);
}

static void fail_connect(struct check *check, int error)
{
	words_connect_failed(error, check->verdict.text, PROBE_TEXT);
	if (is_our_lack(error))
		give_up(check, error);
	else
		finish(check, VERDICT_BAD);
}

/* The connection ended before the answer did; `error` is 0 for a FIN. */
static void fail_ended(struct check *check, int error)
{
	bool reset = check->was_reset || is_gone(error);
	const char *how = reset ? "reset" : error ? "failed" : "closed";

	words_ended(how, probe_of(check)->lack, check->answer_size, check->verdict.text,
		    PROBE_TEXT);
	if (is_our_lack(error))
		give_up(check, error);
	else
		finish(check, VERDICT_BAD);
}

static void on_deadline(struct timer *timer)
{
	struct check *check = container_of(timer, struct check, deadline);

	words_late(check->state == CHECK_TALKING, probe_of(check)->lack, check->answer_size,
		   check->order.conf->timeout_ms, check->verdict.text, PROBE_TEXT);
	finish(check, VERDICT_BAD);
}

/* False while some of the request is left, or when the check is over. A peer that has gone may have
 * answered before: then nothing is left to send, but there is something to read. */
static bool send_request(struct check *check)
{
	while (check->sent < check->request_size) {
		ssize_t n = SYS(SEND, send(check->source.fd, check->request + check->sent,
					   check->request_size - check->sent, MSG_NOSIGNAL));

		if (n >= 0) {
			check->sent += (size_t)n;
		} else if (is_gone(errno)) {
			check->was_reset |= errno == ECONNRESET;
			check->sent = check->request_size;
		} else if (errno != EAGAIN) {
			fail_ended(check, errno);
			return false;
		} else {
			return false;
		}
	}
	return true;
}

static bool grow_answer(struct check *check)
{
	size_t room = check->answer_room ? check->answer_room * 2 : ANSWER_ROOM;
	uint8_t *answer;

	if (check->answer_size < check->answer_room)
		return true;
	answer = realloc(check->answer, room);
	if (!answer)
		return false;
	check->answer = answer;
	check->answer_room = room;
	return true;
}

static void judge(struct check *check, size_t fresh)
{
	const struct probe *probe = probe_of(check);
	const struct probe_answer answer = {check->answer, check->answer_size, fresh};
	char *text = check->verdict.text;
	enum probe_outcome outcome = probe->judge(check->order.conf, &answer, text);

	if (outcome == PROBE_MORE && check->answer_size < PROBE_ANSWER_MAX)
		return;
	if (outcome == PROBE_MORE)
		words_endless(probe->lack, check->answer_size, text, PROBE_TEXT);
	finish(check, outcome == PROBE_GOOD ? VERDICT_GOOD : VERDICT_BAD);
}

static void read_answer(struct check *check)
{
	while (check->state == CHECK_TALKING) {
		ssize_t n;

		if (!grow_answer(check)) {
			give_up(check, ENOMEM);
			return;
		}
		n = SYS(RECV, recv(check->source.fd, check->answer + check->answer_size,
				   check->answer_room - check->answer_size, 0));
		if (n > 0) {
			check->answer_size += (size_t)n;
			judge(check, (size_t)n);
		} else if (n == 0) {
			fail_ended(check, 0);
		} else if (errno == EAGAIN) {
			return;
		} else {
			fail_ended(check, errno);
		}
	}
}

/* An RST in answer to a SYN is ECONNREFUSED (tcp(7)), so ECONNRESET means that there was a
 * connection: reset so early, or a moment later, must be the same to a check. */
static bool on_connect(struct check *check, uint32_t events)
{
	int error = dial_error(check->source.fd);

	if (error && error != ECONNRESET) {
		fail_connect(check, error);
		return false;
	}
	if (!error && !(events & EPOLLOUT))
		return false;
	check->was_reset = error;
	change(check, CHECK_TALKING);
	return true;
}

static void on_event(struct loop_source *source, uint32_t events)
{
	struct check *check = container_of(source, struct check, source);
	bool sent;

	if (check->state == CHECK_CONNECTING && !on_connect(check, events))
		return;
	sent = send_request(check);
	if (probe_of(check)->judge) {
		read_answer(check);
	} else if (sent) {
		strcpy(check->verdict.text, "connected");
		finish(check, VERDICT_GOOD);
	}
}

/* The PROXY header of a connection that is our own (LOCAL, or UNKNOWN), then the request. */
static int build_request(struct check *check)
{
	const struct check_order *order = &check->order;
	const struct probe *probe = probe_of(check);
	struct proxyproto_out out = {.version = order->proxy == PROXY_SEND_V1 ? 1 : 2,
				     .local = true};
	uint8_t header[PROXYPROTO_WRITE_MAX], *request = NULL;
	size_t header_size = order->proxy ? proxyproto_write(&out, header) : 0, size = 0;

	if (probe->request) {
		request = probe->request(order->conf, order->addr, order->random, &size);
		if (!request)
			return -ENOMEM;
	}
	check->request = malloc(header_size + size + 1);
	if (check->request) {
		memcpy(check->request, header, header_size);
		memcpy(check->request + header_size, request ? request : header, size);
		check->request_size = header_size + size;
	}
	free(request);
	return check->request ? 0 : -ENOMEM;
}

static int open_connection(struct check *check)
{
	static const struct tcp_conf plain;
	struct dial_request request = {.to = check->order.addr, .tcp = &plain};
	struct port_lease lease;
	int r = dial_start(&request, NULL, &check->source.fd, &lease);

	if (r < 0)
		return r;
	return loop_add(check->loop, &check->source, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

static void tell_owner(struct loop_task *task)
{
	struct check *check = container_of(task, struct check, over);

	change(check, CHECK_IDLE);
	check->on_verdict(check);
}

void check_init(struct check *check, struct loop *loop, void (*on_verdict)(struct check *check))
{
	*check = (struct check){.source = {.on_event = on_event, .fd = -1},
				.loop = loop,
				.on_verdict = on_verdict,
				.over.run = tell_owner};
	timer_init(&check->deadline, on_deadline);
	list_init(&check->over.link);
}

void check_start(struct check *check, const struct check_order *order)
{
	int r;

	change(check, CHECK_CONNECTING);
	check->order = *order;
	check->started_us = check->loop->now_us;
	r = build_request(check);
	if (!r)
		r = open_connection(check);
	if (r < 0)
		fail_connect(check, -r);
	else
		loop_arm(check->loop, &check->deadline, order->conf->timeout_ms);
}

void check_abort(struct check *check)
{
	release(check);
	list_remove(&check->over.link);
	check->state = CHECK_IDLE;
}
