/* SPDX-License-Identifier: Apache-2.0
 *
 * One question, one answer, remembered for a second by addresses: connections come in numbers from
 * the same clients and go to the same backends. Failure modes: no route, or no netlink.
 */
#include "xdp/route.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "proxy/base/clock.h"

#define SLOTS   256
#define LASTING US_PER_SEC

struct route_answer {
	struct addr local;
	struct addr peer;
	struct addr gateway; /* family 0: none */
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

static int read_route(const struct nlmsghdr *header, void *data)
{
	const struct rtmsg *route = mnl_nlmsg_get_payload(header);
	struct route_answer *answer = data;
	const struct nlattr *attr;

	if (route->rtm_type == RTN_LOCAL) {
		answer->ifindex = if_nametoindex("lo");
		return MNL_CB_STOP;
	}
	mnl_attr_for_each(attr, header, sizeof(*route))
	{
		if (mnl_attr_get_type(attr) == RTA_OIF)
			answer->ifindex = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == RTA_GATEWAY)
			addr_from_bytes(route->rtm_family, mnl_attr_get_payload(attr),
					mnl_attr_get_payload_len(attr), &answer->gateway);
	}
	return MNL_CB_STOP;
}

/* One request, and what `read` makes of the answer. */
static int exchange(struct route_table *table, struct nlmsghdr *header, mnl_cb_t read, void *data)
{
	char buffer[4096];
	ssize_t got;

	header->nlmsg_seq = ++table->sequence;
	if (mnl_socket_sendto(table->socket, header, header->nlmsg_len) < 0)
		return -errno;
	got = mnl_socket_recvfrom(table->socket, buffer, sizeof(buffer));
	if (got < 0 || mnl_cb_run(buffer, (size_t)got, table->sequence,
				  mnl_socket_get_portid(table->socket), read, data) < 0)
		return -errno;
	return 0;
}

static int ask(struct route_table *table, const struct addr *local, const struct addr *peer,
	       struct route_answer *answer)
{
	char buffer[256];
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct rtmsg *route = mnl_nlmsg_put_extra_header(header, sizeof(*route));
	int err;

	answer->ifindex = 0;
	answer->gateway = (struct addr){0};
	header->nlmsg_type = RTM_GETROUTE;
	header->nlmsg_flags = NLM_F_REQUEST;
	route->rtm_family = (unsigned char)peer->family;
	route->rtm_dst_len = peer->family == AF_INET ? 32 : 128;
	route->rtm_src_len = route->rtm_dst_len;
	put_addr(header, RTA_DST, peer);
	put_addr(header, RTA_SRC, local);
	if (peer->scope)
		mnl_attr_put_u32(header, RTA_OIF, peer->scope);
	err = exchange(table, header, read_route, answer);
	if (err)
		return err;
	return answer->ifindex ? 0 : -ENETUNREACH;
}

static int find(struct route_table *table, const struct addr *local, const struct addr *peer,
		const struct route_answer **ret_answer)
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
		answer->until_us = 0;
		err = ask(table, &from, &to, answer);
		if (err)
			return err;
		answer->local = from;
		answer->peer = to;
		answer->until_us = now + LASTING;
	}
	*ret_answer = answer;
	return 0;
}

int route_find(struct route_table *table, const struct addr *local, const struct addr *peer,
	       unsigned *ret_ifindex)
{
	const struct route_answer *answer;
	int err = find(table, local, peer, &answer);

	if (!err)
		*ret_ifindex = answer->ifindex;
	return err;
}

void route_forget(struct route_table *table)
{
	memset(table->answers, 0, sizeof(table->answers));
}

/* --- neighbours --- */

static int read_neighbour(const struct nlmsghdr *header, void *data)
{
	const struct ndmsg *neighbour = mnl_nlmsg_get_payload(header);
	struct route_hop *hop = data;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, header,
			  sizeof(*neighbour)) if (mnl_attr_get_type(attr) == NDA_LLADDR &&
						  mnl_attr_get_payload_len(attr) ==
							  sizeof(hop->mac))
	{
		memcpy(hop->mac, mnl_attr_get_payload(attr), sizeof(hop->mac));
		return MNL_CB_STOP;
	}
	errno = EHOSTUNREACH;
	return MNL_CB_ERROR;
}

static struct nlmsghdr *put_neighbour(char *buffer, uint16_t type, const struct route_hop *hop,
				      struct ndmsg **ret_neighbour)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct ndmsg *neighbour = mnl_nlmsg_put_extra_header(header, sizeof(*neighbour));

	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST;
	neighbour->ndm_family = (unsigned char)hop->address.family;
	neighbour->ndm_ifindex = (int)hop->ifindex;
	put_addr(header, NDA_DST, &hop->address);
	*ret_neighbour = neighbour;
	return header;
}

static int read_own_mac(const struct route_table *table, struct route_hop *hop)
{
	struct ifreq request = {0};

	if (!if_indextoname(hop->ifindex, request.ifr_name) ||
	    ioctl(mnl_socket_get_fd(table->socket), SIOCGIFHWADDR, &request))
		return -errno;
	memcpy(hop->own_mac, request.ifr_hwaddr.sa_data, sizeof(hop->own_mac));
	return 0;
}

int route_find_hop(struct route_table *table, const struct addr *local, const struct addr *peer,
		   struct route_hop *ret_hop)
{
	const struct route_answer *answer;
	struct route_hop hop = {0};
	struct ndmsg *neighbour;
	char buffer[256];
	int err = find(table, local, peer, &answer);

	if (err)
		return err;
	hop.ifindex = answer->ifindex;
	hop.address = answer->gateway.family ? answer->gateway : answer->peer;
	hop.address.scope = 0;
	err = exchange(table, put_neighbour(buffer, RTM_GETNEIGH, &hop, &neighbour), read_neighbour,
		       &hop);
	if (!err)
		err = read_own_mac(table, &hop);
	if (err)
		return err == -ENOENT ? -EHOSTUNREACH : err;
	*ret_hop = hop;
	return 0;
}

static int read_nothing(const struct nlmsghdr *header, void *data)
{
	return MNL_CB_OK;
}

int route_use_hop(struct route_table *table, const struct route_hop *hop)
{
	char buffer[256];
	struct ndmsg *neighbour;
	struct nlmsghdr *header = put_neighbour(buffer, RTM_NEWNEIGH, hop, &neighbour);

	header->nlmsg_flags |= NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
	neighbour->ndm_flags = NTF_USE;
	neighbour->ndm_state = NUD_NONE;
	return exchange(table, header, read_nothing, NULL);
}
