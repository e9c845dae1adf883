/* SPDX-License-Identifier: Apache-2.0
 *
 * What ioctl(2) cannot do to the devices of the self-test: make a pair of them, in two namespaces,
 * and give one an IPv6 address that is not first looked for on the wire.
 *
 * Happy path: a request of rtnetlink(7), and its acknowledgement. Failure modes: a kernel without
 * veth, or without IPv6.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include "xdp/qualify/internal.h"

/* One request of rtnetlink(7) and its acknowledgement. */
static int request(struct nlmsghdr *header)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	char answer[4096];
	ssize_t got = -1;
	int err = 0;

	if (!socket)
		return -errno;
	header->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (!mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) &&
	    mnl_socket_sendto(socket, header, header->nlmsg_len) >= 0)
		got = mnl_socket_recvfrom(socket, answer, sizeof(answer));
	if (got < 0 || mnl_cb_run(answer, (size_t)got, header->nlmsg_seq,
				  mnl_socket_get_portid(socket), NULL, NULL) < 0)
		err = -errno;
	mnl_socket_close(socket);
	return err;
}

int rig_make_pair(const char *here, const char *there, int peer_ns)
{
	char buffer[1024];
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct nlattr *info, *data, *peer;

	header->nlmsg_type = RTM_NEWLINK;
	header->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	mnl_nlmsg_put_extra_header(header, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(header, IFLA_IFNAME, here);
	info = mnl_attr_nest_start(header, IFLA_LINKINFO);
	mnl_attr_put_strz(header, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(header, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(header, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(header, IFLA_IFNAME, there);
	mnl_attr_put_u32(header, IFLA_NET_NS_FD, (uint32_t)peer_ns);
	mnl_attr_nest_end(header, peer);
	mnl_attr_nest_end(header, data);
	mnl_attr_nest_end(header, info);
	return request(header);
}

/* Without IFA_F_NODAD it could not be used for a second. */
int rig_give_address6(const char *ifname, const char *text)
{
	char buffer[256];
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct ifaddrmsg *message;
	struct in6_addr address;

	inet_pton(AF_INET6, text, &address);
	header->nlmsg_type = RTM_NEWADDR;
	header->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
	message->ifa_family = AF_INET6;
	message->ifa_prefixlen = 64;
	message->ifa_flags = IFA_F_NODAD;
	message->ifa_index = if_nametoindex(ifname);
	mnl_attr_put(header, IFA_LOCAL, sizeof(address), &address);
	mnl_attr_put(header, IFA_ADDRESS, sizeof(address), &address);
	return request(header);
}
