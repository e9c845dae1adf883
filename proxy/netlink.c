/* SPDX-License-Identifier: Apache-2.0
 *
 * Dumps of TCP sockets through NETLINK_SOCK_DIAG (sock_diag(7)), with libmnl.
 *
 * The happy path is: one request per address family, filtered by the kernel on states and on one
 * port, then each socket of the answer is compared here with the address in question. Both families
 * are always asked, because an IPv6 socket may carry IPv4 traffic under a v4-mapped address.
 *
 * Failure modes: the kernel's refusal comes up as -errno and no result is set. A dump is no
 * snapshot: sockets that come and go while the kernel walks its tables may be missed or seen, so
 * a count is good for a decision that is taken again a moment later.
 */
#include "proxy/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/addr.h"

/* The kernel fills what it is given, up to 32 KiB a message. */
#define BUFFER_SIZE 32768

#define STATE(name) (UINT32_C(1) << TCP_##name)

/* All that hold a local port of their own choosing. SYN_RECV is a listener's, under its port. */
#define STATES_IN_USE                                                                              \
	(STATE(ESTABLISHED) | STATE(SYN_SENT) | STATE(FIN_WAIT1) | STATE(FIN_WAIT2) |              \
	 STATE(CLOSE_WAIT) | STATE(LAST_ACK) | STATE(CLOSING))

/* One socket of an answer, its addresses unmapped. */
struct seen {
	struct addr local;
	struct addr remote;
	uint8_t state;
	bool v6_only; /* told of listening sockets alone */
	uint32_t inode;
	uid_t uid;
	uint32_t queued; /* of a listening socket: waiting for accept() ... */
	uint32_t limit;  /* ... and how many may */
	uint32_t drops;  /* SYNs and handshakes refused since it listens; 0 unless asked for */
};

struct dump {
	uint32_t states;
	uint8_t extensions;  /* bits of INET_DIAG_* - 1 */
	uint16_t local_port; /* host order; 0: any */
	uint16_t remote_port;
	void (*on_socket)(const struct seen *seen, void *data);
	void *data;
};

static struct addr address_of(uint8_t family, const uint32_t *words, uint16_t port)
{
	struct addr addr = {.family = family, .port = ntohs(port)};

	if (family == AF_INET)
		memcpy(&addr.v4, words, sizeof(addr.v4));
	else
		memcpy(&addr.v6, words, sizeof(addr.v6));
	return addr_unmap(&addr);
}

/* sk_drops, which tcp_listendrop() counts (net/tcp.h). */
static uint32_t drops_of(const struct nlmsghdr *header)
{
	const struct nlattr *attr;
	const uint32_t *meminfo;

	mnl_attr_for_each(attr, header, sizeof(struct inet_diag_msg))
	{
		if (mnl_attr_get_type(attr) != INET_DIAG_SKMEMINFO ||
		    mnl_attr_get_payload_len(attr) < (SK_MEMINFO_DROPS + 1) * sizeof(*meminfo))
			continue;
		meminfo = mnl_attr_get_payload(attr);
		return meminfo[SK_MEMINFO_DROPS];
	}
	return 0;
}

static bool is_v6_only(const struct nlmsghdr *header)
{
	const struct nlattr *attr;

	mnl_attr_for_each(
		attr, header,
		sizeof(struct inet_diag_msg)) if (mnl_attr_get_type(attr) == INET_DIAG_SKV6ONLY &&
						  mnl_attr_get_payload_len(
							  attr)) return mnl_attr_get_u8(attr);
	return false;
}

static int on_message(const struct nlmsghdr *header, void *data)
{
	const struct dump *dump = data;
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(header);
	struct seen seen;

	if (mnl_nlmsg_get_payload_len(header) < sizeof(*msg))
		return MNL_CB_OK;
	seen = (struct seen){
		.local = address_of(msg->idiag_family, msg->id.idiag_src, msg->id.idiag_sport),
		.remote = address_of(msg->idiag_family, msg->id.idiag_dst, msg->id.idiag_dport),
		.state = msg->idiag_state,
		.v6_only = is_v6_only(header),
		.inode = msg->idiag_inode,
		.uid = msg->idiag_uid,
		.queued = msg->idiag_rqueue,
		.limit = msg->idiag_wqueue,
		.drops = drops_of(header),
	};
	dump->on_socket(&seen, dump->data);
	return MNL_CB_OK;
}

static int ask(struct mnl_socket *netlink, const struct dump *dump, uint8_t family)
{
	char buf[MNL_ALIGN(sizeof(struct nlmsghdr)) + sizeof(struct inet_diag_req_v2)];
	struct nlmsghdr *header = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *request = mnl_nlmsg_put_extra_header(header, sizeof(*request));

	header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	header->nlmsg_seq = family;
	request->sdiag_family = family;
	request->sdiag_protocol = IPPROTO_TCP;
	request->idiag_states = dump->states;
	request->idiag_ext = dump->extensions;
	request->id.idiag_sport = htons(dump->local_port);
	request->id.idiag_dport = htons(dump->remote_port);
	return mnl_socket_sendto(netlink, header, header->nlmsg_len) < 0 ? -errno : 0;
}

/* One message, as large as the kernel makes them. 1: more are to come, 0: that was the last. */
static int hear(struct mnl_socket *netlink, const struct dump *dump, uint8_t family)
{
	_Alignas(struct nlmsghdr) char buf[BUFFER_SIZE];
	unsigned port = mnl_socket_get_portid(netlink);
	ssize_t len = mnl_socket_recvfrom(netlink, buf, sizeof(buf));
	int status;

	if (len < 0)
		return errno == EINTR ? 1 : -errno;
	status = mnl_cb_run(buf, (size_t)len, family, port, on_message, (void *)dump);
	if (status < 0)
		return -errno;
	return status > MNL_CB_STOP;
}

static int dump_family(struct mnl_socket *netlink, const struct dump *dump, uint8_t family)
{
	int r = ask(netlink, dump, family);

	do
		r = r < 0 ? r : hear(netlink, dump, family);
	while (r > 0);
	return r;
}

static int open_netlink(struct mnl_socket **ret_netlink)
{
	struct mnl_socket *netlink = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	int r;

	if (!netlink)
		return -errno;
	if (mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID) < 0) {
		r = -errno;
		mnl_socket_close(netlink);
		return r;
	}
	*ret_netlink = netlink;
	return 0;
}

static int dump_sockets(const struct dump *dump)
{
	struct mnl_socket *netlink;
	int r = open_netlink(&netlink);

	if (r < 0)
		return r;
	r = dump_family(netlink, dump, AF_INET);
	if (r == 0)
		r = dump_family(netlink, dump, AF_INET6);
	mnl_socket_close(netlink);
	return r;
}

static bool is_inet(const struct addr *addr)
{
	return addr->family == AF_INET || addr->family == AF_INET6;
}

static bool same_host(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return false;
	if (a->family == AF_INET)
		return a->v4.s_addr == b->v4.s_addr;
	return IN6_ARE_ADDR_EQUAL(&a->v6, &b->v6);
}

/* Whether a listener on `bound` takes connections to the address `local`; both unmapped. */
static bool covers(const struct addr *bound, bool v6_only, const struct addr *local)
{
	if (bound->family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&bound->v6))
		return !v6_only || local->family == AF_INET6;
	if (bound->family == AF_INET && bound->v4.s_addr == htonl(INADDR_ANY))
		return local->family == AF_INET;
	return same_host(bound, local);
}

struct syn_recv {
	struct addr bound;
	unsigned count;
};

static void count_syn_recv(const struct seen *seen, void *data)
{
	struct syn_recv *syn_recv = data;

	if (covers(&syn_recv->bound, false, &seen->local))
		syn_recv->count++;
}

int netlink_count_syn_recv(const struct addr *local, unsigned *ret_count)
{
	struct syn_recv syn_recv = {.bound = addr_unmap(local)};
	struct dump dump = {
		.states = STATE(SYN_RECV),
		.local_port = local->port,
		.on_socket = count_syn_recv,
		.data = &syn_recv,
	};
	int r = is_inet(local) ? dump_sockets(&dump) : -EAFNOSUPPORT;

	if (r < 0)
		return r;
	*ret_count = syn_recv.count;
	return 0;
}

/* Each step reads one message, upon which the kernel makes the next one; the first is there as soon
 * as it was asked for. So a step never waits. */
struct netlink_walk {
	struct mnl_socket *netlink;
	struct dump dump;
	uint8_t family;
	void (*on_socket)(const struct addr *remote, void *data);
	void *data;
};

static void tell_remote(const struct seen *seen, void *data)
{
	const struct netlink_walk *walk = data;

	walk->on_socket(&seen->remote, walk->data);
}

int netlink_walk_start(void (*on_socket)(const struct addr *remote, void *data), void *data,
		       struct netlink_walk **ret_walk)
{
	struct netlink_walk *walk = calloc(1, sizeof(*walk));
	int r;

	if (!walk)
		return -ENOMEM;
	walk->dump = (struct dump){
		.states = STATES_IN_USE | STATE(TIME_WAIT),
		.on_socket = tell_remote,
		.data = walk,
	};
	walk->family = AF_INET;
	walk->on_socket = on_socket;
	walk->data = data;
	r = open_netlink(&walk->netlink);
	if (r == 0)
		r = ask(walk->netlink, &walk->dump, walk->family);
	if (r < 0) {
		netlink_walk_free(walk);
		return r;
	}
	*ret_walk = walk;
	return 0;
}

int netlink_walk_fd(const struct netlink_walk *walk)
{
	return mnl_socket_get_fd(walk->netlink);
}

int netlink_walk_step(struct netlink_walk *walk)
{
	int r = hear(walk->netlink, &walk->dump, walk->family);

	if (r || walk->family == AF_INET6)
		return r;
	walk->family = AF_INET6;
	r = ask(walk->netlink, &walk->dump, walk->family);
	return r < 0 ? r : 1;
}

void netlink_walk_free(struct netlink_walk *walk)
{
	if (walk && walk->netlink)
		mnl_socket_close(walk->netlink);
	free(walk);
}

struct listeners {
	struct addr wanted;
	struct netlink_listener *found;
	size_t count;
	size_t max;
};

static void keep_listener(const struct seen *seen, void *data)
{
	struct listeners *listeners = data;
	const struct addr *wanted = &listeners->wanted;

	if (!covers(&seen->local, seen->v6_only, wanted) &&
	    !covers(wanted, seen->v6_only, &seen->local))
		return;
	if (listeners->count < listeners->max)
		listeners->found[listeners->count++] = (struct netlink_listener){
			.inode = seen->inode,
			.uid = seen->uid,
		};
}

int netlink_listen_inodes(const struct addr *local, struct netlink_listener *ret_listeners,
			  size_t max)
{
	struct listeners listeners = {
		.wanted = addr_unmap(local),
		.found = ret_listeners,
		.max = max,
	};
	struct dump dump = {
		.states = STATE(LISTEN),
		.local_port = local->port,
		.on_socket = keep_listener,
		.data = &listeners,
	};
	int r = is_inet(local) ? dump_sockets(&dump) : -EAFNOSUPPORT;

	return r < 0 ? r : (int)listeners.count;
}

struct queues {
	struct addr bound;
	struct netlink_queue sum;
};

static void add_queue(const struct seen *seen, void *data)
{
	struct queues *queues = data;

	if (!same_host(&seen->local, &queues->bound))
		return;
	queues->sum.sockets++;
	queues->sum.depth += seen->queued;
	queues->sum.limit += seen->limit;
	queues->sum.drops += seen->drops;
}

int netlink_listen_queue(const struct addr *local, struct netlink_queue *ret_queue)
{
	struct queues queues = {.bound = addr_unmap(local)};
	struct dump dump = {
		.states = STATE(LISTEN),
		.extensions = 1 << (INET_DIAG_SKMEMINFO - 1),
		.local_port = local->port,
		.on_socket = add_queue,
		.data = &queues,
	};
	int r = is_inet(local) ? dump_sockets(&dump) : -EAFNOSUPPORT;

	if (r < 0)
		return r;
	*ret_queue = queues.sum;
	return 0;
}
