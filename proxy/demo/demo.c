/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the demo backends: three listening sockets, one thread, one epoll instance and the
 * connections. The happy path of a connection is: read until a request head is complete, put the
 * answer's head and short body into its buffer, send that and then what is left of N bytes, go on
 * with the next request, pipelined or not.
 *
 * Failure modes: a peer that resets or vanishes loses its connection; garbage is answered with 400,
 * then the backend sends FIN and discards what still comes, since closing on unread bytes would
 * reset the answer away; a head larger than the buffer is garbage; when descriptors or the bound on
 * connections are used up, accepting rests until a connection ends.
 */
#include "proxy/demo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/addr.h"
#include "proxy/base/list.h"
#include "proxy/base/sandbox.h"
#include "proxy/base/thread.h"
#include "proxy/demo/http.h"

#define CONNECTIONS_MAX 8192
#define HEAD_MAX        4096
#define ANSWER_MAX      512
#define FILL_BYTES      (64 * 1024) /* sent at once of a bulk answer */
#define EVENTS_PER_TURN 256

enum conn_state {
	CONN_READING, /* a request's head, or a body to be skipped */
	CONN_ANSWERING,
	CONN_DISCARDING, /* FIN was sent; until the peer's */
};

struct backend {
	unsigned number; /* what it calls itself, from 1 */
	int fd;
	struct addr addr;
	uint64_t accepted;
};

struct conn {
	struct list link; /* demo.conns */
	struct backend *backend;
	uint64_t number; /* of its backend's connections, from 1 */
	int fd;
	enum conn_state state;
	bool is_last;  /* no further request after this answer */
	bool is_gone;  /* to be freed */
	uint32_t mask; /* of epoll events asked for */
	size_t head_len;
	uint64_t skip; /* bytes of a request's body still to come */
	size_t answer_len;
	size_t answer_sent;
	uint64_t fill_left;
	char head[HEAD_MAX];
	char answer[ANSWER_MAX];
};

struct demo {
	struct thread thread;
	struct backend backends[DEMO_BACKENDS];
	struct list conns; /* struct conn::link */
	unsigned conn_count;
	bool resting; /* not accepting */
	int epoll_fd;
	int stop_fd; /* eventfd(2) */
};

static char fill[FILL_BYTES]; /* text, since somebody will look at it on a terminal */

static int watch(struct demo *demo, int op, int fd, uint32_t mask, void *owner)
{
	struct epoll_event event = {.events = mask, .data.ptr = owner};

	return epoll_ctl(demo->epoll_fd, op, fd, &event) < 0 ? -errno : 0;
}

static void rest(struct demo *demo, bool resting)
{
	if (demo->resting == resting)
		return;
	demo->resting = resting;
	for (unsigned i = 0; i < DEMO_BACKENDS; i++)
		watch(demo, EPOLL_CTL_MOD, demo->backends[i].fd, resting ? 0 : EPOLLIN,
		      &demo->backends[i]);
}

static void conn_free(struct demo *demo, struct conn *conn)
{
	list_remove(&conn->link);
	close(conn->fd);
	free(conn);
	demo->conn_count--;
	rest(demo, false);
}

static struct conn *conn_new(struct demo *demo, struct backend *backend, int fd)
{
	struct conn *conn = malloc(sizeof(*conn));

	if (!conn)
		return NULL;
	*conn = (struct conn){
		.backend = backend, .number = ++backend->accepted, .fd = fd, .mask = EPOLLIN};
	if (watch(demo, EPOLL_CTL_ADD, fd, conn->mask, conn) < 0) {
		free(conn);
		return NULL;
	}
	list_push_back(&demo->conns, &conn->link);
	demo->conn_count++;
	return conn;
}

static void on_listener(struct demo *demo, struct backend *backend)
{
	while (demo->conn_count < CONNECTIONS_MAX) {
		int fd = accept4(backend->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
			return;
		if (fd < 0)
			break;
		if (!conn_new(demo, backend, fd)) {
			close(fd);
			break;
		}
	}
	rest(demo, true);
}

static void write_answer(struct conn *conn, const struct http_request *request)
{
	char body[128];
	int body_len = 0, len;
	uint64_t full;

	if (request->status != 200)
		body_len = snprintf(body, sizeof(body), "%d: try / or /bytes/1000000\n",
				    request->status);
	else if (!request->is_bulk)
		body_len = snprintf(body, sizeof(body),
				    "Hello from demo backend %u. You are connection %llu.\n",
				    conn->backend->number, (unsigned long long)conn->number);
	full = body_len ? (uint64_t)body_len : request->bytes;
	len = http_answer_head(request, full, conn->answer, sizeof(conn->answer));
	if (!request->wants_head)
		memcpy(conn->answer + len, body, body_len);
	conn->answer_len = len + (request->wants_head ? 0 : body_len);
	conn->answer_sent = 0;
	conn->fill_left = body_len || request->wants_head ? 0 : request->bytes;
	conn->is_last = !request->keep_alive;
	conn->skip = request->body_length;
	conn->state = CONN_ANSWERING;
}

static void drop_head(struct conn *conn, size_t len)
{
	conn->head_len -= len;
	memmove(conn->head, conn->head + len, conn->head_len);
}

/* Begins an answer if a whole request is there. */
static void take_request(struct conn *conn)
{
	struct http_request request;
	size_t skip = conn->skip < conn->head_len ? conn->skip : conn->head_len;

	drop_head(conn, skip);
	conn->skip -= skip;
	if (http_parse(conn->head, conn->head_len, &request)) {
		drop_head(conn, request.length);
		write_answer(conn, &request);
	} else if (conn->head_len == sizeof(conn->head)) {
		request = (struct http_request){.status = 400};
		conn->head_len = 0;
		write_answer(conn, &request);
	}
}

/* Sends one piece. False when there is nothing left to send, or no way to. */
static bool send_piece(struct conn *conn)
{
	bool filling = conn->answer_sent == conn->answer_len;
	const char *data = filling ? fill : conn->answer + conn->answer_sent;
	size_t len = filling ? FILL_BYTES : conn->answer_len - conn->answer_sent;
	ssize_t n;

	if (filling && len > conn->fill_left)
		len = conn->fill_left;
	if (!len)
		return false;
	n = send(conn->fd, data, len, MSG_NOSIGNAL | (!filling && conn->fill_left ? MSG_MORE : 0));
	if (n < 0) {
		conn->is_gone = errno != EAGAIN && errno != EINTR;
		return false;
	}
	if (filling)
		conn->fill_left -= n;
	else
		conn->answer_sent += n;
	return true;
}

static void send_answer(struct conn *conn)
{
	/* One bulk answer must not starve the others: a few pieces a turn. */
	for (int i = 0; i < 4 && send_piece(conn); i++)
		;
	if (conn->is_gone || conn->answer_sent < conn->answer_len || conn->fill_left)
		return;
	conn->state = CONN_READING;
	if (conn->is_last) {
		shutdown(conn->fd, SHUT_WR);
		conn->state = CONN_DISCARDING;
	}
}

static void read_more(struct conn *conn)
{
	ssize_t n;

	if (conn->state == CONN_DISCARDING)
		conn->head_len = 0;
	n = recv(conn->fd, conn->head + conn->head_len, sizeof(conn->head) - conn->head_len, 0);
	if (n > 0)
		conn->head_len += n;
	else
		conn->is_gone = !n || (errno != EAGAIN && errno != EINTR);
}

static void on_conn(struct demo *demo, struct conn *conn)
{
	uint32_t mask;

	if (conn->state == CONN_ANSWERING)
		send_answer(conn);
	else
		read_more(conn);
	while (!conn->is_gone && conn->state == CONN_READING) {
		take_request(conn);
		if (conn->state == CONN_READING)
			break;
		send_answer(conn);
	}
	mask = conn->state == CONN_ANSWERING ? EPOLLOUT : EPOLLIN;
	if (!conn->is_gone && mask != conn->mask) {
		conn->mask = mask;
		conn->is_gone = watch(demo, EPOLL_CTL_MOD, conn->fd, mask, conn) < 0;
	}
	if (conn->is_gone)
		conn_free(demo, conn);
}

static bool is_backend(const struct demo *demo, const void *owner)
{
	return owner >= (const void *)&demo->backends[0] &&
	       owner < (const void *)&demo->backends[DEMO_BACKENDS];
}

static void serve(void *arg)
{
	struct epoll_event events[EVENTS_PER_TURN];
	struct demo *demo = arg;

	sandbox_enter(SANDBOX_WORKER); /* where it cannot be had, main has said so */
	for (;;) {
		int count = epoll_wait(demo->epoll_fd, events, EVENTS_PER_TURN, -1);

		for (int i = 0; i < count; i++) {
			void *owner = events[i].data.ptr;

			if (!owner)
				return;
			if (is_backend(demo, owner))
				on_listener(demo, owner);
			else
				on_conn(demo, owner);
		}
	}
}

static int backend_listen(struct backend *backend)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int r = addr_parse("127.0.0.1:0", &backend->addr);

	if (r < 0)
		return r;
	backend->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (backend->fd < 0)
		return -errno;
	len = addr_to_sockaddr(&backend->addr, &sa);
	if (bind(backend->fd, (struct sockaddr *)&sa, len) < 0 ||
	    listen(backend->fd, SOMAXCONN) < 0 ||
	    getsockname(backend->fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	addr_from_sockaddr((struct sockaddr *)&sa, len, &backend->addr);
	return 0;
}

static void draw_fill(void)
{
	memset(fill, '.', sizeof(fill));
	for (size_t i = 63; i < sizeof(fill); i += 64)
		fill[i] = '\n';
}

static int open_all(struct demo *demo)
{
	int r;

	demo->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	demo->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (demo->epoll_fd < 0 || demo->stop_fd < 0)
		return -errno;
	r = watch(demo, EPOLL_CTL_ADD, demo->stop_fd, EPOLLIN, NULL);
	for (unsigned i = 0; !r && i < DEMO_BACKENDS; i++) {
		r = backend_listen(&demo->backends[i]);
		if (!r)
			r = watch(demo, EPOLL_CTL_ADD, demo->backends[i].fd, EPOLLIN,
				  &demo->backends[i]);
	}
	return r;
}

static void demo_free(struct demo *demo)
{
	list_for_each_safe (link, &demo->conns)
		conn_free(demo, container_of(link, struct conn, link));
	for (unsigned i = 0; i < DEMO_BACKENDS; i++)
		if (demo->backends[i].fd >= 0)
			close(demo->backends[i].fd);
	if (demo->epoll_fd >= 0)
		close(demo->epoll_fd);
	if (demo->stop_fd >= 0)
		close(demo->stop_fd);
	free(demo);
}

int demo_start(struct demo **ret_demo)
{
	struct demo *demo = calloc(1, sizeof(*demo));
	int r;

	if (!demo)
		return -ENOMEM;
	draw_fill();
	list_init(&demo->conns);
	demo->epoll_fd = demo->stop_fd = -1;
	for (unsigned i = 0; i < DEMO_BACKENDS; i++)
		demo->backends[i] = (struct backend){.number = i + 1, .fd = -1};
	r = open_all(demo);
	if (!r)
		r = thread_start(&demo->thread, "demo", serve, demo);
	if (r < 0) {
		demo_free(demo);
		return r;
	}
	*ret_demo = demo;
	return 0;
}

const struct addr *demo_addr(const struct demo *demo, unsigned index)
{
	return &demo->backends[index].addr;
}

void demo_stop(struct demo *demo)
{
	if (!demo)
		return;
	eventfd_write(demo->stop_fd, 1);
	thread_join(&demo->thread);
	demo_free(demo);
}
