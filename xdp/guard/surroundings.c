/* SPDX-License-Identifier: Apache-2.0
 *
 * What the guard's answers must agree with: the kernel's settings for cookies and clocks, the
 * window scale it would choose, the MTU of an interface.
 *
 * The window scale is measured instead of computed, on a connection over loopback: the formula has
 * changed several times, and the connection that is opened from a cookie uses the kernel's result.
 * Failure modes: what cannot be found out gets the answer that is always safe.
 */
#include <linux/bpf.h>

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "xdp/guard/internal.h"

#define IP4_TCP      40
#define IP6_TCP      60
#define MTU_FALLBACK 1280 /* the least of IPv6 */

int surroundings_sysctl(const char *path)
{
	char text[16] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t bytes;

	if (fd < 0)
		return -1;
	bytes = read(fd, text, sizeof(text) - 1);
	close(fd);
	return bytes > 0 ? atoi(text) : -1;
}

bool surroundings_have_cookies(void)
{
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_tcp_raw_gen_syncookie_ipv4,
				       NULL) == 1;
}

static int listen_on_loopback(uint32_t receive_buffer, struct sockaddr_in *ret_address)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int size = (int)receive_buffer;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (size)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&address, len) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)&address, &len)) {
		close(fd);
		return -1;
	}
	*ret_address = address;
	return fd;
}

static uint8_t scale_of(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ||
	    !(info.tcpi_options & TCPI_OPT_WSCALE))
		return GUARD_NO_SCALE;
	return info.tcpi_rcv_wscale;
}

uint8_t surroundings_window_scale(uint32_t receive_buffer)
{
	struct sockaddr_in address;
	int listening = listen_on_loopback(receive_buffer, &address);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	uint8_t scale = GUARD_NO_SCALE;
	int accepted = -1;

	if (listening < 0 || client < 0)
		goto end;
	/* Over loopback the handshake is done before connect() returns, which says EINPROGRESS. */
	(void)connect(client, (struct sockaddr *)&address, sizeof(address));
	fcntl(listening, F_SETFL, O_NONBLOCK);
	accepted = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	if (accepted >= 0)
		scale = scale_of(accepted);
end:
	if (accepted >= 0)
		close(accepted);
	if (client >= 0)
		close(client);
	if (listening >= 0)
		close(listening);
	return scale;
}

void surroundings_mss(const char *interface, struct guard_interface *ret_mss)
{
	struct ifreq request = {.ifr_mtu = 0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int mtu = MTU_FALLBACK;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (fd >= 0 && !ioctl(fd, SIOCGIFMTU, &request) && request.ifr_mtu > IP6_TCP)
		mtu = request.ifr_mtu > UINT16_MAX ? UINT16_MAX : request.ifr_mtu;
	if (fd >= 0)
		close(fd);
	*ret_mss = (struct guard_interface){.mss4 = (__u16)(mtu - IP4_TCP),
					    .mss6 = (__u16)(mtu - IP6_TCP)};
}

bool surroundings_is_veth(const char *interface)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq request = {.ifr_data = (char *)&info};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool is = false;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (fd >= 0) {
		is = !ioctl(fd, SIOCETHTOOL, &request) && !strcmp(info.driver, "veth");
		close(fd);
	}
	return is;
}
