/* SPDX-License-Identifier: Apache-2.0
 *
 * Callers of admin.probe. Load balancers that speak the PROXY protocol to their targets put its
 * header before health checks too, those that don't do not. Happy path: the first bytes are looked
 * at (MSG_PEEK), a header is taken away, and the connection goes to the HTTP library as if it had
 * just been accepted.
 *
 * Failure modes: the header is malformed, or not there in time; too many callers wait: the
 * connection is closed. Out of descriptors: callers wait in the kernel's queue.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/admin/transport.h"
#include "proxy/proxyproto.h"

#define ACCEPTS_PER_TURN 16

/* Somebody whose first bytes are awaited. */
struct caller {
	struct loop_source source;
	struct loop_task release;
	struct list link; /* struct transport::callers */
	struct timer timer;
	struct transport *transport;
	struct sockaddr_storage peer;
	socklen_t peer_len;
};

static void on_release(struct loop_task *task)
{
	free(container_of(task, struct caller, release));
}

/* Its fd is closed or given away by now. */
static void forget(struct caller *caller)
{
	caller->source.fd = -1;
	timer_cancel(&caller->timer);
	list_remove(&caller->link);
	caller->transport->waiting--;
	loop_defer(&caller->transport->loop, &caller->release);
}

static void turn_away(struct caller *caller)
{
	close(caller->source.fd);
	forget(caller);
}

static void on_late(struct timer *timer)
{
	turn_away(container_of(timer, struct caller, timer));
}

/* The library owns the descriptor from here on, whatever comes of it. */
static void hand_over(struct caller *caller)
{
	loop_remove(&caller->transport->loop, &caller->source);
	door_bring(&caller->transport->doors[DOOR_PROBE], caller->source.fd,
		   (struct sockaddr *)&caller->peer, caller->peer_len);
	forget(caller);
}

/* Take `length` bytes that have been seen already. */
static bool skip(int fd, size_t length)
{
	uint8_t bytes[PROXYPROTO_READ_MAX];

	return recv(fd, bytes, length, 0) == (ssize_t)length;
}

static void on_bytes(struct loop_source *source, uint32_t events)
{
	struct caller *caller = container_of(source, struct caller, source);
	uint8_t bytes[PROXYPROTO_READ_MAX];
	ssize_t size = recv(source->fd, bytes, sizeof(bytes), MSG_PEEK);
	struct proxyproto header;
	const char *error;
	size_t length;

	if (size < 0 && errno == EAGAIN)
		return;
	if (size <= 0) {
		turn_away(caller);
		return;
	}
	switch (proxyproto_read(bytes, (size_t)size, &header, &length, &error)) {
	case PROXYPROTO_NEED_MORE:
		if (events & EPOLLRDHUP)
			turn_away(caller);
		break;
	case PROXYPROTO_NONE:
		hand_over(caller);
		break;
	case PROXYPROTO_BAD:
		turn_away(caller);
		break;
	case PROXYPROTO_OK:
		if (skip(source->fd, length))
			hand_over(caller);
		else
			turn_away(caller);
		break;
	}
}

static void welcome(struct transport *transport, int fd, const struct sockaddr_storage *peer,
		    socklen_t len)
{
	struct caller *caller =
		transport->waiting < DOOR_VISITORS ? calloc(1, sizeof(*caller)) : NULL;

	if (!caller) {
		close(fd);
		return;
	}
	caller->transport = transport;
	caller->peer = *peer;
	caller->peer_len = len;
	caller->source = (struct loop_source){.on_event = on_bytes, .fd = fd};
	caller->release.run = on_release;
	list_init(&caller->release.link);
	timer_init(&caller->timer, on_late);
	list_push_back(&transport->callers, &caller->link);
	transport->waiting++;
	loop_arm(&transport->loop, &caller->timer, TRANSPORT_PREFIX_MS);
	/* Edge-triggered: bytes that were looked at and left are no news. */
	if (loop_add(&transport->loop, &caller->source, EPOLLIN | EPOLLRDHUP | EPOLLET))
		turn_away(caller);
}

void probe_accept(struct loop_source *source, uint32_t events)
{
	struct transport *transport = container_of(source, struct transport, probe);

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);
		int fd = accept4(source->fd, (struct sockaddr *)&peer, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		welcome(transport, fd, &peer, len);
	}
}

void probe_close(struct transport *transport)
{
	list_for_each_safe (link, &transport->callers)
		turn_away(container_of(link, struct caller, link));
	loop_reap(&transport->loop);
}
