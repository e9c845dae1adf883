/* SPDX-License-Identifier: Apache-2.0
 *
 * A connect attempt. Happy path: socket(2), the options that must precede the handshake, a source
 * address and port if there is one to give, connect(2) in progress.
 *
 * Source ports: one that is ours to choose is handed over as IP_LOCAL_PORT_RANGE with a range of
 * one (ip(7), Linux 6.3), which lets the kernel skip its search; older kernels get it by bind(2)
 * with SO_REUSEADDR. One that turns out taken is set aside and the next is tried; in the end the
 * kernel may search. Failure modes: no fd, no port, no route; all come back as -errno and leave
 * nothing behind.
 */
#include "proxy/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/congestion.h"
#include "proxy/base/sys.h"
#include "proxy/model.h"
#include "proxy/ports.h"

#define PORT_TRIES 16

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51 /* include/uapi/linux/in.h, Linux 6.3 */
#endif

/* Set once a kernel before 6.3 refused it: from then on ports are handed over by bind(2). */
static bool no_port_range;

/* Options on which a connection can do without: a refusal is no reason not to connect. */
static void set_int(int fd, int level, int name, int value)
{
	SYS(SETSOCKOPT, setsockopt(fd, level, name, &value, sizeof(value)));
}

/* The lower of what the configuration and what the other leg wants; 0: neither wants any. */
static uint16_t choose_mss(const struct dial_request *request)
{
	uint16_t configured = request->tcp->mss;

	if (!configured || (request->mss && request->mss < configured))
		return request->mss;
	return configured;
}

static void set_options(int fd, const struct dial_request *request)
{
	const struct tcp_conf *tcp = request->tcp;
	uint16_t mss = choose_mss(request);
	const char *congestion = congestion_choose(tcp->congestion, request->to);

	if (tcp->send_buffer)
		set_int(fd, SOL_SOCKET, SO_SNDBUF, (int)tcp->send_buffer);
	if (tcp->receive_buffer)
		set_int(fd, SOL_SOCKET, SO_RCVBUF, (int)tcp->receive_buffer);
	if (request->to->family == AF_UNIX)
		return;
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, SOL_SOCKET, SO_OOBINLINE, 1);
	if (congestion)
		SYS(SETSOCKOPT, setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion,
					   (socklen_t)strlen(congestion)));
	if (mss)
		set_int(fd, IPPROTO_TCP, TCP_MAXSEG, mss);
	if (request->fast_open)
		set_int(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
}

static int bind_source(int fd, const struct addr *from, uint16_t port)
{
	struct sockaddr_storage sa;
	struct addr with_port = *from;
	socklen_t len;

	with_port.port = port;
	len = addr_to_sockaddr(&with_port, &sa);
	return SYS(BIND, bind(fd, (struct sockaddr *)&sa, len)) ? -errno : 0;
}

/* Restrict the kernel's choice to one port; both families take the option at level IPPROTO_IP.
 * False, for good, on a kernel that does not know it. */
static bool set_port_range(int fd, uint16_t port)
{
	uint32_t range = (uint32_t)port << 16 | port;

	if (__atomic_load_n(&no_port_range, __ATOMIC_RELAXED))
		return false;
	if (!SYS(SETSOCKOPT,
		 setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range, sizeof(range))))
		return true;
	__atomic_store_n(&no_port_range, true, __ATOMIC_RELAXED);
	return false;
}

/* Give the socket its source: our port, the configured address, both, or neither. */
static int set_source(int fd, const struct dial_request *request, const struct port_lease *lease)
{
	struct addr any = {.family = request->to->family};

	if (lease->queue && !set_port_range(fd, lease->port)) {
		set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		return bind_source(fd, request->from ? request->from : &any, lease->port);
	}
	if (!request->from)
		return 0;
	set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	return bind_source(fd, request->from, 0);
}

static int start_connect(int fd, const struct addr *to)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(to, &sa);

	if (!SYS(CONNECT, connect(fd, (struct sockaddr *)&sa, len)) || errno == EINPROGRESS)
		return 0;
	return -errno;
}

/* One attempt from one source port; a new socket each time, since a bound one keeps its port. */
static int attempt(const struct dial_request *request, const struct port_lease *lease, int *ret_fd)
{
	int fd = SYS(SOCKET,
		     socket(request->to->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	int err;

	if (fd < 0)
		return -errno;
	set_options(fd, request);
	err = set_source(fd, request, lease);
	if (!err)
		err = start_connect(fd, request->to);
	if (err) {
		SYS(CLOSE, close(fd));
		return err;
	}
	*ret_fd = fd;
	return 0;
}

static bool port_was_taken(int err)
{
	return err == -EADDRNOTAVAIL || err == -EADDRINUSE;
}

int dial_start(const struct dial_request *request, struct ports *ports, int *ret_fd,
	       struct port_lease *ret_lease)
{
	struct port_lease lease = {0};
	int err;

	for (int try = 0; try <= PORT_TRIES; try++) {
		if (ports && request->to->family != AF_UNIX && try < PORT_TRIES)
			lease = ports_take(ports, request->from, request->to, request->inflight);
		err = attempt(request, &lease, ret_fd);
		if (!err) {
			*ret_lease = lease;
			return 0;
		}
		if (!lease.queue || !port_was_taken(err))
			break;
		ports_set_aside(&lease);
	}
	ports_give_back(&lease);
	return err;
}

int dial_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (SYS(GETSOCKOPT, getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len)))
		return errno;
	return error;
}

void dial_keepalive(int fd, const struct tcp_conf *tcp)
{
	if (tcp->keepalive_idle_ms) {
		set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
		set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)(tcp->keepalive_idle_ms / 1000));
		set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, (int)(tcp->keepalive_interval_ms / 1000));
		set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, (int)tcp->keepalive_count);
	}
	if (tcp->user_timeout_ms)
		set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)tcp->user_timeout_ms);
}

void dial_restore(int fd, const struct tcp_conf *tcp)
{
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, SOL_SOCKET, SO_OOBINLINE, 1);
	dial_keepalive(fd, tcp);
}
