/* SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: a message is a packet, sent at once. Failure modes: the pair is full, then it waits
 * in its outbox with duplicates of its sockets; no memory for that is the end of the process.
 */
#include "proxy/offload/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/panic.h"
#include "proxy/offload/packet.h"

static int send_now(int socket_fd, const struct offload_message *message, const int fds[2])
{
	return packet_send(socket_fd, message, sizeof(*message), fds, MSG_DONTWAIT);
}

/* One that found the pair full. */
struct waiting_message {
	struct list link; /* struct outbox::waiting */
	struct offload_message message;
	int fds[2]; /* duplicates; -1: none */
};

void outbox_init(struct outbox *outbox, int fd)
{
	outbox->fd = fd;
	list_init(&outbox->waiting);
}

static void forget(struct waiting_message *waiting)
{
	list_remove(&waiting->link);
	for (unsigned leg = 0; leg < 2; leg++)
		if (waiting->fds[leg] >= 0)
			close(waiting->fds[leg]);
	free(waiting);
}

void outbox_fini(struct outbox *outbox)
{
	list_for_each_safe (link, &outbox->waiting)
		forget(container_of(link, struct waiting_message, link));
}

void outbox_put(struct outbox *outbox, const struct offload_message *message, const int fds[2])
{
	struct waiting_message *waiting;

	if (list_empty(&outbox->waiting) && send_now(outbox->fd, message, fds) != -EAGAIN)
		return;
	waiting = calloc(1, sizeof(*waiting));
	must(waiting);
	waiting->message = *message;
	for (unsigned leg = 0; leg < 2; leg++)
		waiting->fds[leg] = fds ? fcntl(fds[leg], F_DUPFD_CLOEXEC, 0) : -1;
	list_push_back(&outbox->waiting, &waiting->link);
}

void outbox_flush(struct outbox *outbox)
{
	while (!list_empty(&outbox->waiting)) {
		struct waiting_message *waiting =
			container_of(outbox->waiting.next, struct waiting_message, link);

		if (send_now(outbox->fd, &waiting->message,
			     waiting->fds[0] >= 0 ? waiting->fds : NULL) == -EAGAIN)
			return;
		forget(waiting);
	}
}

int message_receive(int socket_fd, struct offload_message *ret_message, int ret_fds[2])
{
	return packet_receive(socket_fd, ret_message, sizeof(*ret_message), ret_fds, MSG_DONTWAIT);
}
