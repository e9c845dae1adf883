/* SPDX-License-Identifier: Apache-2.0
 *
 * SOCK_SEQPACKET keeps packets whole and in order; sockets travel as SCM_RIGHTS (unix(7)).
 */
#include "proxy/offload/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proxy/base/panic.h"

#define RIGHTS (2 * sizeof(int))

union rights {
	char bytes[CMSG_SPACE(RIGHTS)];
	struct cmsghdr aligned;
};

static int send_now(int socket_fd, const struct offload_message *message, const int fds[2])
{
	struct iovec part = {.iov_base = (void *)message, .iov_len = sizeof(*message)};
	struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
	union rights rights;
	ssize_t sent;

	if (fds) {
		struct cmsghdr *header;

		memset(&rights, 0, sizeof(rights));
		packet.msg_control = rights.bytes;
		packet.msg_controllen = sizeof(rights.bytes);
		header = CMSG_FIRSTHDR(&packet);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(RIGHTS);
		memcpy(CMSG_DATA(header), fds, RIGHTS);
	}
	do
		sent = sendmsg(socket_fd, &packet, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
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

/* Both or none: a table that is full takes one of them, perhaps. */
static void take_rights(const struct cmsghdr *header, int ret_fds[2])
{
	int one;

	if (header->cmsg_len == CMSG_LEN(RIGHTS)) {
		memcpy(ret_fds, CMSG_DATA(header), RIGHTS);
	} else if (header->cmsg_len == CMSG_LEN(sizeof(one))) {
		memcpy(&one, CMSG_DATA(header), sizeof(one));
		close(one);
	}
}

int message_receive(int socket_fd, struct offload_message *ret_message, int ret_fds[2])
{
	struct iovec part = {.iov_base = ret_message, .iov_len = sizeof(*ret_message)};
	union rights rights;
	struct msghdr packet = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = rights.bytes,
				.msg_controllen = sizeof(rights.bytes)};
	struct cmsghdr *header;
	ssize_t got;

	do
		got = recvmsg(socket_fd, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (got != sizeof(*ret_message))
		return -EPIPE; /* 0: the other end is closed */
	ret_fds[0] = ret_fds[1] = -1;
	header = CMSG_FIRSTHDR(&packet);
	if (header && header->cmsg_type == SCM_RIGHTS)
		take_rights(header, ret_fds);
	return 1;
}
