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
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/addr.h"
#include "proxy/base/panic.h"
#include "xdp/qualify/internal.h"

#define PROXY_SIDE     "sluice0"
#define ENDS_SIDE      "sluice1"
#define RECEIVE_BUFFER 65536 /* a reader that stalls is felt soon */

enum { PROXY, OTHER, SIDES };

static const char *const addresses[SIDES][2] = {
	[PROXY] = {"192.0.2.1", "2001:db8::1"},
	[OTHER] = {"192.0.2.2", "2001:db8::2"},
};

int rig_fail(struct rig *rig, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(rig->problem, sizeof(rig->problem), format, args);
	va_end(args);
	return -EPROTO;
}

/* --- devices --- */

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

/* IPv6 may be missing here or switched off: then it is not tried. */
static int set_up(struct rig *rig, const char *name, unsigned side, uint8_t ret_mac[6])
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	complete_checksums(fd, name);
	err = give_address(fd, name, SIOCSIFADDR, addresses[side][0]);
	if (!err)
		err = give_address(fd, name, SIOCSIFNETMASK, "255.255.255.0");
	if (!err)
		err = raise_link(fd, name, ret_mac);
	if (!err && rig_give_address6(name, addresses[side][1]))
		rig->has_ipv6 = false;
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
		err = rig_make_pair(ENDS_SIDE, PROXY_SIDE, rig->proxy_ns);
	if (!err)
		err = set_up(rig, ENDS_SIDE, OTHER, rig->mac_ends);
	if (!err && setns(rig->proxy_ns, CLONE_NEWNET))
		err = -errno;
	if (!err)
		err = set_up(rig, PROXY_SIDE, PROXY, rig->mac_proxy);
	if (!err)
		err = raise_loopback();
	strcpy(rig->ifname, PROXY_SIDE);
	rig->private = true;
	return err;
}

static bool has_loopback6(void)
{
	const struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && !bind(fd, (const struct sockaddr *)&sa, sizeof(sa));

	if (fd >= 0)
		close(fd);
	return has;
}

static void open_loopback(struct rig *rig)
{
	rig->has_ipv6 = has_loopback6();
	strcpy(rig->ifname, "lo");
}

int rig_open(struct rig *rig)
{
	int err;

	*rig = (struct rig){.has_ipv6 = true,
			    .proxy_ns = -1,
			    .ends_ns = -1,
			    .pass = -1,
			    .ends = {-1, -1},
			    .inner = {-1, -1}};
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
	fd = socket(rig->ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
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

/* Where one side listens, the port still open. */
static socklen_t address_of(const struct rig *rig, unsigned side, struct sockaddr_storage *ret_sa)
{
	const char *host = rig->ipv6 ? "::1" : "127.0.0.1";
	char text[ADDR_TEXT];
	struct addr addr;

	if (rig->private)
		host = addresses[side][rig->ipv6];
	snprintf(text, sizeof(text), rig->ipv6 ? "[%s]:0" : "%s:0", host);
	must(!addr_parse(text, &addr));
	return addr_to_sockaddr(&addr, ret_sa);
}

/* `near` connected to `*ret_far`, which was accepted on that side. */
static int join(const struct rig *rig, int near, int listening, unsigned side, int *ret_far)
{
	struct timeval patience = {.tv_sec = RIG_PATIENCE_MS / 1000};
	struct sockaddr_storage sa;
	socklen_t len = address_of(rig, side, &sa);
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
		err = join(rig, near, listening, ends_connect ? PROXY : OTHER, &far);
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
