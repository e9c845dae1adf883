/* SPDX-License-Identifier: Apache-2.0
 *
 * One question, one answer, remembered for a second by addresses: connections come in numbers from
 * the same clients and go to the same backends. Failure modes: no route, or no netlink.
 */
#include "xdp/route.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"

#define SLOTS   256
#define LASTING US_PER_SEC

struct route_answer {
	struct addr local;
	struct addr peer;
	uint64_t until_us;
	unsigned ifindex;
};

struct route_table {
	struct mnl_socket *socket;
	unsigned sequence;
	struct route_answer answers[SLOTS];
};

int route_open(struct route_table **ret_table)
{
	struct route_table *table = calloc(1, sizeof(*table));
	int err;

	if (!table)
		return -ENOMEM;
	table->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!table->socket || mnl_socket_bind(table->socket, 0, MNL_SOCKET_AUTOPID)) {
		err = -errno;
		route_close(table);
		return err;
	}
	*ret_table = table;
	return 0;
}

void route_close(struct route_table *table)
{
	if (!table)
		return;
	if (table->socket)
		mnl_socket_close(table->socket);
	free(table);
}

static void put_addr(struct nlmsghdr *header, uint16_t type, const struct addr *addr)
{
	if (addr->family == AF_INET)
		mnl_attr_put(header, type, sizeof(addr->v4), &addr->v4);
	else
		mnl_attr_put(header, type, sizeof(addr->v6), &addr->v6);
}

static int read_interface(const struct nlmsghdr *header, void *data)
{
	const struct rtmsg *route = mnl_nlmsg_get_payload(header);
	unsigned *ifindex = data;
	const struct nlattr *attr;

	if (route->rtm_type == RTN_LOCAL) {
		*ifindex = if_nametoindex("lo");
		return MNL_CB_STOP;
	}
	mnl_attr_for_each(attr, header,
			  sizeof(*route)) if (mnl_attr_get_type(attr) == RTA_OIF) *ifindex =
		mnl_attr_get_u32(attr);
	return MNL_CB_STOP;
}

static int ask(struct route_table *table, const struct addr *local, const struct addr *peer,
	       unsigned *ret_ifindex)
{
	char buffer[4096];
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct rtmsg *route = mnl_nlmsg_put_extra_header(header, sizeof(*route));
	unsigned ifindex = 0;
	ssize_t got;

	header->nlmsg_type = RTM_GETROUTE;
	header->nlmsg_flags = NLM_F_REQUEST;
	header->nlmsg_seq = ++table->sequence;
	route->rtm_family = (unsigned char)peer->family;
	route->rtm_dst_len = peer->family == AF_INET ? 32 : 128;
	route->rtm_src_len = route->rtm_dst_len;
	put_addr(header, RTA_DST, peer);
	put_addr(header, RTA_SRC, local);
	if (peer->scope)
		mnl_attr_put_u32(header, RTA_OIF, peer->scope);
	if (mnl_socket_sendto(table->socket, header, header->nlmsg_len) < 0)
		return -errno;
	got = mnl_socket_recvfrom(table->socket, buffer, sizeof(buffer));
	if (got < 0)
		return -errno;
	if (mnl_cb_run(buffer, (size_t)got, table->sequence, mnl_socket_get_portid(table->socket),
		       read_interface, &ifindex) < 0)
		return -errno;
	if (!ifindex)
		return -ENETUNREACH;
	*ret_ifindex = ifindex;
	return 0;
}

int route_find(struct route_table *table, const struct addr *local, const struct addr *peer,
	       unsigned *ret_ifindex)
{
	struct addr from = addr_unmap(local);
	struct addr to = addr_unmap(peer);
	uint64_t hash = addr_hash_host(&from) * 31 + addr_hash_host(&to);
	struct route_answer *answer = &table->answers[hash % SLOTS];
	uint64_t now = clock_us();
	int err;

	from.port = to.port = 0;
	if (now >= answer->until_us || !addr_equal(&answer->local, &from) ||
	    !addr_equal(&answer->peer, &to)) {
		err = ask(table, &from, &to, &answer->ifindex);
		if (err) {
			answer->until_us = 0;
			return err;
		}
		answer->local = from;
		answer->peer = to;
		answer->until_us = now + LASTING;
	}
	*ret_ifindex = answer->ifindex;
	return 0;
}
