/* SPDX-License-Identifier: Apache-2.0
 *
 * SOCK_SEQPACKET keeps packets whole and in order; sockets travel as SCM_RIGHTS (unix(7)).
 */
#include "proxy/offload/packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define RIGHTS (2 * sizeof(int))

union rights {
	char bytes[CMSG_SPACE(RIGHTS)];
	struct cmsghdr aligned;
};

int packet_send(int socket_fd, const void *data, size_t size, const int fds[2], int flags)
{
	struct iovec part = {.iov_base = (void *)data, .iov_len = size};
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
		sent = sendmsg(socket_fd, &packet, flags | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
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

int packet_receive(int socket_fd, void *ret_data, size_t size, int ret_fds[2], int flags)
{
	struct iovec part = {.iov_base = ret_data, .iov_len = size};
	union rights rights;
	struct msghdr packet = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = rights.bytes,
				.msg_controllen = sizeof(rights.bytes)};
	struct cmsghdr *header;
	ssize_t got;

	do
		got = recvmsg(socket_fd, &packet, flags | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : -errno;
	if ((size_t)got != size)
		return -EPIPE; /* 0: the other end is closed */
	ret_fds[0] = ret_fds[1] = -1;
	header = CMSG_FIRSTHDR(&packet);
	if (header && header->cmsg_type == SCM_RIGHTS)
		take_rights(header, ret_fds);
	return 1;
}
