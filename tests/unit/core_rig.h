/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the data path share: pairs of real loopback sockets, and reading and writing
 * them until something is certain. Nothing here sleeps: what has to be waited for is waited for
 * with poll(2).
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "proxy/base/addr.h"
#include "tests/unit/conf_rig.h"

/* Long enough for any machine; only a failing test ever waits for it. */
#define PATIENCE_MS 20000

static inline void wait_for_events(int fd, short events)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};

	ck_assert_int_eq(poll(&poll_fd, 1, PATIENCE_MS), 1);
}

static inline struct addr addr_of(const char *text)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse(text, &addr), 0);
	return addr;
}

/* The address a socket is bound to, or connected to. */
static inline struct addr local_of(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct addr addr;

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	addr_from_sockaddr((struct sockaddr *)&sa, len, &addr);
	return addr;
}

/* A listening socket on a free port of `host` ("127.0.0.1:0", "[::1]:0"). */
static inline int listen_on(const char *host, int backlog)
{
	struct addr addr = addr_of(host);
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&addr, &sa);
	int fd = socket(addr.family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(listen(fd, backlog), 0);
	return fd;
}

/* `buffer` fixes SO_RCVBUF, which must precede the handshake (0: the kernel's). */
static inline int start_connect_sized(const struct addr *addr, int buffer)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(addr, &sa);
	int fd = socket(addr->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	if (buffer)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	ck_assert(!connect(fd, (struct sockaddr *)&sa, len) || errno == EINPROGRESS);
	return fd;
}

static inline int start_connect_to(const struct addr *addr)
{
	return start_connect_sized(addr, 0);
}

static inline int connect_to(const struct addr *addr)
{
	int fd = start_connect_to(addr);

	wait_for_events(fd, POLLOUT);
	return fd;
}

static inline int accept_from(int listener)
{
	int fd;

	wait_for_events(listener, POLLIN);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* Two ends of one TCP connection, both non-blocking. `buffer` fixes all their buffers, so that
 * little fits in between (0: the kernel's). */
static inline void tcp_pair_sized(int ret_fds[2], int buffer)
{
	int listener = listen_on("127.0.0.1:0", 1);
	int on = 1;
	struct addr addr = local_of(listener);

	if (buffer)
		setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	ret_fds[0] = start_connect_sized(&addr, buffer);
	wait_for_events(ret_fds[0], POLLOUT);
	ret_fds[1] = accept_from(listener);
	close(listener);
	for (int i = 0; i < 2; i++) {
		setsockopt(ret_fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		setsockopt(ret_fds[i], SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
		if (buffer)
			setsockopt(ret_fds[i], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	}
}

static inline void tcp_pair(int ret_fds[2])
{
	tcp_pair_sized(ret_fds, 0);
}

/* The n-th byte of what every test sends: a wrong, missing or doubled byte shows. */
static inline uint8_t pattern_byte(uint64_t n)
{
	return (uint8_t)(n * 131 ^ n >> 8 ^ n >> 16);
}

static inline void pattern_fill(uint8_t *buf, uint64_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = pattern_byte(from + i);
}

static inline void pattern_check(const uint8_t *buf, uint64_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (buf[i] != pattern_byte(from + i))
			ck_abort_msg("byte %llu is wrong", (unsigned long long)(from + i));
}

/* Put `len` bytes of the pattern into the socket, which has room for them. */
static inline void send_pattern(int fd, uint64_t from, size_t len)
{
	uint8_t buf[4096];

	while (len) {
		size_t part = len < sizeof(buf) ? len : sizeof(buf);
		ssize_t sent;

		pattern_fill(buf, from, part);
		wait_for_events(fd, POLLOUT);
		sent = send(fd, buf, part, MSG_NOSIGNAL);
		ck_assert_int_gt(sent, 0);
		from += (uint64_t)sent;
		len -= (size_t)sent;
	}
}

/* As much of the pattern as the socket takes without waiting; returns how much. */
static inline uint64_t send_until_full(int fd, uint64_t from)
{
	uint8_t buf[4096];
	uint64_t total = 0;
	ssize_t sent;

	do {
		pattern_fill(buf, from + total, sizeof(buf));
		sent = send(fd, buf, sizeof(buf), MSG_NOSIGNAL | MSG_DONTWAIT);
		total += sent > 0 ? (uint64_t)sent : 0;
	} while (sent > 0);
	return total;
}

/* Read and check what is there now; returns how much. */
static inline uint64_t take_pattern(int fd, uint64_t from)
{
	static uint8_t buf[65536];
	uint64_t total = 0;
	ssize_t got;

	while ((got = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		pattern_check(buf, from + total, (size_t)got);
		total += (uint64_t)got;
	}
	return total;
}

/* Read and check exactly `len` bytes. */
static inline void expect_pattern(int fd, uint64_t from, uint64_t len)
{
	static uint8_t buf[65536];

	while (len) {
		size_t want = len < sizeof(buf) ? (size_t)len : sizeof(buf);
		ssize_t got;

		wait_for_events(fd, POLLIN);
		got = recv(fd, buf, want, MSG_DONTWAIT);
		ck_assert_int_gt(got, 0);
		pattern_check(buf, from, (size_t)got);
		from += (uint64_t)got;
		len -= (uint64_t)got;
	}
}

static inline void expect_fin(int fd)
{
	char byte;

	wait_for_events(fd, POLLIN);
	ck_assert_int_eq(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
}

static inline void expect_reset(int fd)
{
	char byte;

	wait_for_events(fd, POLLIN);
	ck_assert_int_eq(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	ck_assert_int_eq(errno, ECONNRESET);
}

/* Nothing to read, and neither FIN nor RST. */
static inline void expect_silence(int fd)
{
	char byte;

	ck_assert_int_eq(recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

/* Close with RST. */
static inline void close_hard(int fd)
{
	struct linger abort = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
	close(fd);
}

/* How many descriptors this process has open. */
static inline int open_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}
