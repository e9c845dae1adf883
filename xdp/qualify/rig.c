/* SPDX-License-Identifier: Apache-2.0
 *
 * The network of the self-test: two namespaces with a veth pair between them, the proxy's side and
 * that of client and backend. Both vanish with the last fd and socket in them.
 *
 * Failure modes: no right to namespaces (loopback then); no veth in this kernel.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "xdp/qualify/internal.h"

#define PROXY_SIDE     "sluice0"
#define ENDS_SIDE      "sluice1"
#define RECEIVE_BUFFER 65536 /* a reader that stalls is felt soon */

int rig_fail(struct rig *rig, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(rig->problem, sizeof(rig->problem), format, args);
	va_end(args);
	return -EPROTO;
}

/* --- devices --- */

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

/* A pair: our end here, the other in the namespace `peer_ns`. */
static int make_pair(const char *here, const char *there, int peer_ns)
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

static int control(int fd, const char *name, unsigned long command, struct ifreq *question)
{
	snprintf(question->ifr_name, sizeof(question->ifr_name), "%s", name);
	return ioctl(fd, command, question) ? -errno : 0;
}

static int give_address(int fd, const char *name, unsigned long command, const char *text)
{
	struct ifreq question = {0};
	struct sockaddr_in address = {.sin_family = AF_INET};

	inet_pton(AF_INET, text, &address.sin_addr);
	memcpy(&question.ifr_addr, &address, sizeof(address));
	return control(fd, name, command, &question);
}

/* What leaves has its checksum already, as on a wire: XDP cannot complete it. */
static void complete_checksums(int fd, const char *name)
{
	struct ethtool_value value = {.cmd = ETHTOOL_STXCSUM};
	struct ifreq question = {.ifr_data = (void *)&value};

	control(fd, name, SIOCETHTOOL, &question);
}

static int raise_link(int fd, const char *name, uint8_t ret_mac[6])
{
	struct ifreq question = {.ifr_flags = IFF_UP | IFF_RUNNING};
	int err = control(fd, name, SIOCSIFFLAGS, &question);

	if (!err)
		err = control(fd, name, SIOCGIFHWADDR, &question);
	if (!err)
		memcpy(ret_mac, question.ifr_hwaddr.sa_data, 6);
	return err;
}

/* A new namespace has one, but it is down. */
static int raise_loopback(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint8_t mac[6];
	int err;

	if (fd < 0)
		return -errno;
	err = raise_link(fd, "lo", mac);
	close(fd);
	return err;
}

static int set_up(const char *name, const char *address, uint8_t ret_mac[6])
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	complete_checksums(fd, name);
	err = give_address(fd, name, SIOCSIFADDR, address);
	if (!err)
		err = give_address(fd, name, SIOCSIFNETMASK, "255.255.255.0");
	if (!err)
		err = raise_link(fd, name, ret_mac);
	close(fd);
	return err;
}

/* --- namespaces --- */

static int new_namespace(int *ret_fd)
{
	int fd;

	if (unshare(CLONE_NEWNET))
		return -errno;
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int open_private(struct rig *rig)
{
	int err = new_namespace(&rig->ends_ns);

	if (!err)
		err = make_pair(ENDS_SIDE, PROXY_SIDE, rig->proxy_ns);
	if (!err)
		err = set_up(ENDS_SIDE, "192.0.2.2", rig->mac_ends);
	if (!err && setns(rig->proxy_ns, CLONE_NEWNET))
		err = -errno;
	if (!err)
		err = set_up(PROXY_SIDE, "192.0.2.1", rig->mac_proxy);
	if (!err)
		err = raise_loopback();
	inet_pton(AF_INET, "192.0.2.1", &rig->proxy);
	inet_pton(AF_INET, "192.0.2.2", &rig->other);
	strcpy(rig->ifname, PROXY_SIDE);
	rig->private = true;
	return err;
}

static void open_loopback(struct rig *rig)
{
	rig->proxy.s_addr = rig->other.s_addr = htonl(INADDR_LOOPBACK);
	strcpy(rig->ifname, "lo");
}

int rig_open(struct rig *rig)
{
	int err;

	*rig = (struct rig){
		.proxy_ns = -1, .ends_ns = -1, .pass = -1, .ends = {-1, -1}, .inner = {-1, -1}};
	err = new_namespace(&rig->proxy_ns);
	if (err == -EPERM) {
		open_loopback(rig);
		err = 0;
	} else if (!err) {
		err = open_private(rig);
	}
	rig->ifindex = if_nametoindex(rig->ifname);
	if (err)
		rig_fail(rig, "no network to try it in: %s", strerror(-err));
	return err;
}

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void rig_close(struct rig *rig)
{
	rig_hang_up(rig);
	drop(&rig->pass);
	drop(&rig->proxy_ns);
	drop(&rig->ends_ns);
}

/* r0 = XDP_PASS; exit */
int rig_receive_xdp(struct rig *rig)
{
	const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	DECLARE_LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "Apache-2.0", pass, 2, NULL);
	int err = 0;

	if (program < 0)
		return program;
	if (setns(rig->ends_ns, CLONE_NEWNET))
		err = -errno;
	if (!err)
		rig->pass =
			bpf_link_create(program, (int)if_nametoindex(ENDS_SIDE), BPF_XDP, &opts);
	if (!err && rig->pass < 0)
		err = rig->pass;
	if (setns(rig->proxy_ns, CLONE_NEWNET) && !err)
		err = -errno;
	close(program);
	return err;
}

/* --- the connection --- */

/* A socket of the ends' side, or of ours. */
static int make_socket(const struct rig *rig, bool ends, int flags)
{
	const int size = RECEIVE_BUFFER;
	int fd;

	if (rig->private && ends && setns(rig->ends_ns, CLONE_NEWNET))
		return -errno;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd < 0)
		fd = -errno;
	if (rig->private && ends && setns(rig->proxy_ns, CLONE_NEWNET) && fd >= 0) {
		close(fd);
		return -errno;
	}
	if (fd >= 0 && ends)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

/* `*ret_near` connected to `*ret_far`, which was accepted on `address`. */
static int join(int near, int listening, struct in_addr address, int *ret_far)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = address};
	struct timeval patience = {.tv_sec = RIG_PATIENCE_MS / 1000};
	socklen_t len = sizeof(sa);
	int far;

	setsockopt(near, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(listening, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (bind(listening, (struct sockaddr *)&sa, len) || listen(listening, 1) ||
	    getsockname(listening, (struct sockaddr *)&sa, &len) ||
	    connect(near, (struct sockaddr *)&sa, len))
		return -errno;
	far = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	if (far < 0)
		return -errno;
	*ret_far = far;
	return 0;
}

/* One leg: who connects is the client's end, or we to the backend. */
static int connect_leg(struct rig *rig, unsigned leg)
{
	bool ends_connect = leg == CLIENT;
	int near = make_socket(rig, ends_connect, 0);
	int listening = make_socket(rig, !ends_connect, 0);
	int far = -1;
	int err = near < 0 ? near : listening < 0 ? listening : 0;

	if (!err)
		err = join(near, listening, ends_connect ? rig->proxy : rig->other, &far);
	if (listening >= 0)
		close(listening);
	if (err) {
		if (near >= 0)
			close(near);
		return err;
	}
	rig->ends[leg] = ends_connect ? near : far;
	rig->inner[leg] = ends_connect ? far : near;
	return fcntl(rig->ends[leg], F_SETFL, O_NONBLOCK) ? -errno : 0;
}

int rig_connect(struct rig *rig)
{
	int err = connect_leg(rig, CLIENT);

	if (!err)
		err = connect_leg(rig, BACKEND);
	if (err)
		rig_fail(rig, "no connection: %s", strerror(-err));
	for (unsigned leg = 0; leg < LEGS; leg++)
		rig->sent[leg] = rig->received[leg] = 0;
	return err;
}

void rig_hang_up(struct rig *rig)
{
	for (unsigned leg = 0; leg < LEGS; leg++) {
		drop(&rig->ends[leg]);
		drop(&rig->inner[leg]);
	}
}
