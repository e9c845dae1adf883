/* SPDX-License-Identifier: Apache-2.0
 *
 * libcurl's sockets and its one timer in our event loop (libcurl-multi(3), "multi_socket").
 *
 * Happy path: libcurl says which descriptor it waits for and when it wants to be called; an event
 * or the timer goes to curl_multi_socket_action(3), and what that finished is told.
 * Failure modes: a descriptor that epoll does not take stays unwatched, and its request ends by its
 * timeout. Between libcurl's "remove" and the end of the turn an event of the same batch may still
 * name the socket: its fd is -1 then, and its memory is freed at the end of the turn.
 */
#include <stdlib.h>

#include "control/aws/http/internal.h"

struct http_socket {
	struct list link; /* struct http::sockets */
	struct http *http;
	struct loop_source source;
	struct loop_task release;
	bool is_watched;
};

static void release_socket(struct loop_task *task)
{
	free(container_of(task, struct http_socket, release));
}

static void drop_socket(struct http_socket *sock)
{
	if (sock->is_watched)
		loop_remove(sock->http->loop, &sock->source);
	sock->source.fd = -1;
	list_remove(&sock->link);
	loop_defer(sock->http->loop, &sock->release);
}

/* libcurl takes CURL_CSELECT_ERR for the end without reading what is left, so an error is shown to
 * it as readiness: its own call then says what it was. */
static void on_socket(struct loop_source *source, uint32_t events)
{
	struct http_socket *sock = container_of(source, struct http_socket, source);
	struct http *http = sock->http;
	int flags = 0;
	int ignored;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		flags |= CURL_CSELECT_IN;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		flags |= CURL_CSELECT_OUT;
	curl_multi_socket_action(http->multi, source->fd, flags, &ignored);
	http_finish(http);
}

static struct http_socket *add_socket(struct http *http, curl_socket_t fd)
{
	struct http_socket *sock = calloc(1, sizeof(*sock));

	if (!sock)
		return NULL;
	sock->http = http;
	sock->source = (struct loop_source){.on_event = on_socket, .fd = fd};
	sock->release.run = release_socket;
	list_init(&sock->release.link);
	list_push_back(&http->sockets, &sock->link);
	curl_multi_assign(http->multi, fd, sock);
	return sock;
}

/* CURLMOPT_SOCKETFUNCTION. It never says -1: that would end every other request as well. */
static int on_wish(CURL *easy, curl_socket_t fd, int what, void *context, void *of_socket)
{
	struct http *http = context;
	struct http_socket *sock = of_socket;
	uint32_t events = 0;

	if (what == CURL_POLL_REMOVE) {
		if (sock) {
			curl_multi_assign(http->multi, fd, NULL);
			drop_socket(sock);
		}
		return 0;
	}
	if (what & CURL_POLL_IN)
		events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		events |= EPOLLOUT;
	if (!sock)
		sock = add_socket(http, fd);
	if (!sock)
		return 0;
	if (sock->is_watched)
		loop_remove(http->loop, &sock->source);
	sock->is_watched = loop_add(http->loop, &sock->source, events) == 0;
	return 0;
}

/* CURLMOPT_TIMERFUNCTION: -1 is "none", 0 "at once, but not from in here". */
static int on_timer_wish(CURLM *multi, long delay_ms, void *context)
{
	struct http *http = context;

	timer_cancel(&http->timer);
	if (delay_ms == 0)
		loop_ready(http->loop, &http->kick);
	else if (delay_ms > 0)
		loop_arm(http->loop, &http->timer, (uint64_t)delay_ms);
	return 0;
}

void turn_timers(struct http *http)
{
	int ignored;

	curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &ignored);
	http_finish(http);
}

static void on_due(struct timer *timer)
{
	turn_timers(container_of(timer, struct http, timer));
}

void turn_init(struct http *http)
{
	list_init(&http->sockets);
	timer_init(&http->timer, on_due);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_wish);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
}

void turn_fini(struct http *http)
{
	list_for_each_safe (link, &http->sockets)
		drop_socket(container_of(link, struct http_socket, link));
	timer_cancel(&http->timer);
	list_remove(&http->kick.link);
}
