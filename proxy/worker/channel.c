/* SPDX-License-Identifier: Apache-2.0
 *
 * The SOCK_SEQPACKET pair between main and a worker: one packet an order, one packet an answer, an
 * fd attached by SCM_RIGHTS (unix(7)) where there is one.
 *
 * Happy path: the packet fits the socket's buffer at once. Failure modes: the buffer is full (main
 * waits, it has nothing better to do), the other thread is gone (-EPIPE), the receiver's fd table
 * is full (the packet arrives without its fd).
 */
#include "proxy/worker/channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/worker.h"

int channel_send(int socket_fd, const struct worker_message *message, int fd)
{
	struct iovec iov = {.iov_base = (void *)message, .iov_len = sizeof(*message)};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	while (sendmsg(socket_fd, &msg, MSG_NOSIGNAL) < 0) {
		struct pollfd poll_fd = {.fd = socket_fd, .events = POLLOUT};

		if (errno == EAGAIN)
			poll(&poll_fd, 1, -1);
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* One packet, and the fd that came with it (-1: none). 1, 0 when there is none now, -errno. */
int channel_receive(int socket_fd, struct worker_message *ret_message, int *ret_fd)
{
	struct worker_message message;
	struct iovec iov = {.iov_base = &message, .iov_len = sizeof(message)};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *header;
	ssize_t got = recvmsg(socket_fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (got != sizeof(message))
		return -EPIPE;
	*ret_fd = -1;
	header = CMSG_FIRSTHDR(&msg);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(header), sizeof(*ret_fd));
	*ret_message = message;
	return 1;
}
