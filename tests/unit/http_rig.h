/* SPDX-License-Identifier: Apache-2.0
 *
 * A web server with a script, in the same loop as the client under test: the nth request that
 * arrives, on whatever connection, gets the nth reply. Nothing of it waits or sleeps.
 */
#pragma once

#include <unistd.h>

#include "control/aws/http.h"
#include "proxy/base/loop.h"
#include "tests/unit/core_rig.h"

enum rig_action {
	RIG_KEEP,  /* send it, and read on */
	RIG_CLOSE, /* send it, then FIN */
	RIG_RESET, /* send it, then RST */
	RIG_STALL  /* send it, and never more */
};

struct rig_reply {
	const char *bytes;
	enum rig_action action;
	size_t size;      /* 0: strlen(bytes) */
	const char *body; /* with it, `bytes` is the head up to here, Content-Length is added */
};

#define REPLY(text, what)                                                                          \
	{                                                                                          \
		.bytes = (text), .action = (what)                                                  \
	}

/* A whole answer: HTTP("200", "Date: ...\r\n", "{}") */
#define HTTP(status, headers, text)                                                                \
	{                                                                                          \
		.bytes = "HTTP/1.1 " status " Said\r\n" headers, .body = (text),                   \
		.action = RIG_KEEP                                                                 \
	}

#define RIG_REQUESTS 64
#define RIG_REQUEST  16384

struct rig;

struct rig_conn {
	struct list link; /* struct rig::conns */
	struct rig *rig;
	struct loop_source source;
	struct loop_task release;
	char request[RIG_REQUEST];
	size_t size;
	const struct rig_reply *reply;
	char *made; /* of a reply with a body; NULL: its bytes as they are */
	size_t sent;
};

struct rig {
	struct loop loop;
	struct loop_source listener;
	char url[64]; /* "http://127.0.0.1:12345" */
	struct list conns;
	unsigned accepted;
	unsigned open; /* connections now */
	unsigned open_most;
	const struct rig_reply *replies;
	size_t reply_count;
	bool endless; /* after the last reply: {"nextToken": "N"} with a number that grows */
	size_t requested;
	char *requests[RIG_REQUESTS];
};

static inline void rig_release(struct loop_task *task)
{
	struct rig_conn *conn = container_of(task, struct rig_conn, release);

	free(conn->made);
	free(conn);
}

static inline void rig_hang_up(struct rig_conn *conn, bool reset)
{
	struct linger linger = {.l_onoff = 1};

	if (reset)
		setsockopt(conn->source.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(conn->source.fd);
	conn->source.fd = -1;
	conn->rig->open--;
	list_remove(&conn->link);
	loop_defer(&conn->rig->loop, &conn->release);
}

static inline void rig_send(struct rig_conn *conn)
{
	const struct rig_reply *reply = conn->reply;
	const char *bytes = conn->made ? conn->made : reply->bytes;
	size_t size = reply->size ? reply->size : strlen(bytes);
	ssize_t n = 0;

	while (conn->sent < size && n >= 0) {
		n = send(conn->source.fd, bytes + conn->sent, size - conn->sent,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		conn->sent += n > 0 ? (size_t)n : 0;
	}
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0 || reply->action == RIG_CLOSE || reply->action == RIG_RESET)
		rig_hang_up(conn, reply->action == RIG_RESET);
	else if (reply->action == RIG_KEEP)
		conn->reply = NULL;
}

static inline void rig_reply(struct rig_conn *conn, const struct rig_reply *reply)
{
	free(conn->made);
	conn->made = NULL;
	if (reply->body)
		ck_assert_int_gt(asprintf(&conn->made, "%sContent-Length: %zu\r\n\r\n%s",
					  reply->bytes, strlen(reply->body), reply->body),
				 0);
	conn->reply = reply;
	conn->sent = 0;
	rig_send(conn);
}

static inline void rig_reply_endless(struct rig_conn *conn)
{
	static const struct rig_reply reply = {.action = RIG_KEEP};

	ck_assert_msg(conn->rig->endless, "a request that has no reply");
	free(conn->made);
	ck_assert_int_gt(asprintf(&conn->made,
				  "HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n"
				  "{\"nextToken\":\"%06zu\"}",
				  conn->rig->requested),
			 0);
	conn->reply = &reply;
	conn->sent = 0;
	rig_send(conn);
}

/* The bytes of the first whole request, 0 while there is none. */
static inline size_t rig_request_size(struct rig_conn *conn)
{
	const char *end = strstr(conn->request, "\r\n\r\n");
	const char *length = strcasestr(conn->request, "\r\nContent-Length:");
	size_t size;

	if (!end)
		return 0;
	size = (size_t)(end + 4 - conn->request);
	if (length && length < end)
		size += strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
	return size <= conn->size ? size : 0;
}

static inline void rig_answer(struct rig_conn *conn)
{
	struct rig *rig = conn->rig;
	size_t size = rig_request_size(conn);

	if (!size)
		return;
	if (rig->requested < RIG_REQUESTS)
		rig->requests[rig->requested] = strndup(conn->request, size);
	conn->size -= size;
	memmove(conn->request, conn->request + size, conn->size + 1);
	if (rig->requested++ >= rig->reply_count)
		rig_reply_endless(conn);
	else
		rig_reply(conn, &rig->replies[rig->requested - 1]);
}

static inline void rig_on_conn(struct loop_source *source, uint32_t events)
{
	struct rig_conn *conn = container_of(source, struct rig_conn, source);
	ssize_t n = recv(source->fd, conn->request + conn->size, RIG_REQUEST - 1 - conn->size,
			 MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		rig_hang_up(conn, false);
		return;
	}
	conn->size += n > 0 ? (size_t)n : 0;
	conn->request[conn->size] = '\0';
	if (conn->reply)
		rig_send(conn);
	else
		rig_answer(conn);
}

static inline void rig_on_accept(struct loop_source *source, uint32_t events)
{
	struct rig *rig = container_of(source, struct rig, listener);
	struct rig_conn *conn = calloc(1, sizeof(*conn));

	ck_assert_ptr_nonnull(conn);
	conn->rig = rig;
	conn->release.run = rig_release;
	list_init(&conn->release.link);
	conn->source.on_event = rig_on_conn;
	conn->source.fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	ck_assert_int_ge(conn->source.fd, 0);
	list_push_back(&rig->conns, &conn->link);
	ck_assert_int_eq(loop_add(&rig->loop, &conn->source, EPOLLIN | EPOLLOUT | EPOLLET), 0);
	rig->accepted++;
	rig->open++;
	if (rig->open > rig->open_most)
		rig->open_most = rig->open;
}

/* `host` as listen_on() takes it. The replies are borrowed. */
static inline void rig_init(struct rig *rig, const char *host, const struct rig_reply *replies,
			    size_t count)
{
	*rig = (struct rig){.replies = replies, .reply_count = count};
	char text[ADDR_TEXT];
	struct addr addr;

	ck_assert_int_eq(loop_init(&rig->loop), 0);
	list_init(&rig->conns);
	rig->listener = (struct loop_source){.on_event = rig_on_accept, .fd = listen_on(host, 64)};
	ck_assert_int_eq(loop_add(&rig->loop, &rig->listener, EPOLLIN), 0);
	addr = local_of(rig->listener.fd);
	snprintf(rig->url, sizeof(rig->url), "http://%s", addr_format(&addr, text));
}

static inline void rig_fini(struct rig *rig)
{
	while (!list_empty(&rig->conns))
		rig_hang_up(container_of(rig->conns.next, struct rig_conn, link), false);
	close(rig->listener.fd);
	loop_reap(&rig->loop);
	loop_fini(&rig->loop);
	for (size_t i = 0; i < rig->requested && i < RIG_REQUESTS; i++)
		free(rig->requests[i]);
}
