/* SPDX-License-Identifier: Apache-2.0
 *
 * One netlink socket in two groups. Happy path: a datagram, its messages, a call for each.
 * Failure modes: the socket overflows (ENOBUFS), which is told, since nothing else would tell.
 */
#include "xdp/watch.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MAC_BYTES 6
#define DATAGRAM  16384

struct watch {
	struct mnl_socket *socket;
	const struct watch_listener *listener; /* during watch_read() */
	void *context;
};

int watch_open(struct watch **ret_watch)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	int err;

	if (!watch)
		return -ENOMEM;
	watch->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!watch->socket ||
	    mnl_socket_bind(watch->socket, RTMGRP_LINK | RTMGRP_NEIGH, MNL_SOCKET_AUTOPID)) {
		err = -errno;
		watch_close(watch);
		return err;
	}
	*ret_watch = watch;
	return 0;
}

void watch_close(struct watch *watch)
{
	if (!watch)
		return;
	if (watch->socket)
		mnl_socket_close(watch->socket);
	free(watch);
}

int watch_fd(const struct watch *watch)
{
	return mnl_socket_get_fd(watch->socket);
}

static const uint8_t *read_mac(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) == MAC_BYTES ? mnl_attr_get_payload(attr) : NULL;
}

static void read_link(const struct watch *watch, const struct nlmsghdr *header)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(header);
	const uint8_t *mac = NULL;
	const struct nlattr *attr;
	const char *name = "";

	if (link->ifi_family != AF_UNSPEC)
		return; /* a bridge speaks of its ports */
	mnl_attr_for_each(attr, header, sizeof(*link))
	{
		if (mnl_attr_get_type(attr) == IFLA_IFNAME)
			name = mnl_attr_get_str(attr);
		else if (mnl_attr_get_type(attr) == IFLA_ADDRESS)
			mac = read_mac(attr);
	}
	watch->listener->on_link(watch->context, (unsigned)link->ifi_index, name, mac,
				 header->nlmsg_type == RTM_NEWLINK);
}

static void read_neighbour(const struct watch *watch, const struct nlmsghdr *header)
{
	const struct ndmsg *neighbour = mnl_nlmsg_get_payload(header);
	struct addr addr = {.family = neighbour->ndm_family};
	const uint8_t *mac = NULL;
	const struct nlattr *attr;
	bool known = false;

	if (neighbour->ndm_state & (NUD_FAILED | NUD_INCOMPLETE))
		return; /* what was known is still the best there is */
	mnl_attr_for_each(attr, header, sizeof(*neighbour))
	{
		if (mnl_attr_get_type(attr) == NDA_DST)
			known = addr_from_bytes(neighbour->ndm_family, mnl_attr_get_payload(attr),
						mnl_attr_get_payload_len(attr), &addr);
		else if (mnl_attr_get_type(attr) == NDA_LLADDR)
			mac = read_mac(attr);
	}
	if (known && mac)
		watch->listener->on_neighbour(watch->context, (unsigned)neighbour->ndm_ifindex,
					      &addr, mac);
}

static int read_message(const struct nlmsghdr *header, void *data)
{
	switch (header->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		read_link(data, header);
		break;
	case RTM_NEWNEIGH:
		read_neighbour(data, header);
		break;
	}
	return MNL_CB_OK;
}

void watch_read(struct watch *watch, const struct watch_listener *listener, void *context)
{
	char buffer[DATAGRAM];

	watch->listener = listener;
	watch->context = context;
	for (;;) {
		ssize_t got = mnl_socket_recvfrom(watch->socket, buffer, sizeof(buffer));

		if (got > 0)
			mnl_cb_run(buffer, (size_t)got, 0, 0, read_message, watch);
		else if (got < 0 && (errno == ENOBUFS || errno == ENOSPC))
			listener->on_lost(context);
		else if (got == 0 || errno != EINTR)
			return;
	}
}
