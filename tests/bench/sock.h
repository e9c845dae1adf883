/* SPDX-License-Identifier: Apache-2.0
 *
 * The few socket and clock calls that the backend and both load tools share. A tool that cannot
 * get what it needs from the kernel says so and exits 1: a benchmark has nothing to rescue.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/wire.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

static inline _Noreturn void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Raise the soft limit to the hard one; returns how many fds that allows, at most 2^20. */
static inline unsigned raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("setrlimit");
	return limit.rlim_cur < 1u << 20 ? (unsigned)limit.rlim_cur : 1u << 20;
}

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t length; /* 0: none */
};

static inline bool parse_host(const char *host, uint16_t port, struct address *ret_address)
{
	struct address address = {.length = sizeof(address.v4)};

	if (inet_pton(AF_INET, host, &address.v4.sin_addr) == 1) {
		address.v4.sin_family = AF_INET;
		address.v4.sin_port = htons(port);
	} else if (inet_pton(AF_INET6, host, &address.v6.sin6_addr) == 1) {
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_port = htons(port);
		address.length = sizeof(address.v6);
	} else {
		return false;
	}
	*ret_address = address;
	return true;
}

/* "127.0.0.1:9000" or "[::1]:9000" */
static inline struct address parse_address(const char *text)
{
	struct address address = {.length = 0};
	const char *colon = strrchr(text, ':');
	const char *begin = text + (*text == '[');
	const char *end = colon ? colon - (*text == '[') : begin;
	char host[INET6_ADDRSTRLEN] = "";

	if (end > begin && (size_t)(end - begin) < sizeof(host))
		memcpy(host, begin, (size_t)(end - begin));
	if (!colon || !atoi(colon + 1) || !parse_host(host, (uint16_t)atoi(colon + 1), &address)) {
		fprintf(stderr, "%s: expected A.B.C.D:PORT or [V6]:PORT\n", text);
		exit(1);
	}
	return address;
}

static inline bool is_loopback(const struct address *address)
{
	return address->any.sa_family == AF_INET &&
	       ntohl(address->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* One of 64 by `number` in 127.1.GROUP.0: the tool's own search for a port must never be what is
 * measured. */
static inline int bind_source(int fd, unsigned group, unsigned number)
{
	struct sockaddr_in source = {.sin_family = AF_INET};
	int on = 1;

	source.sin_addr.s_addr = htonl(0x7f010001u + (group << 8) + number % 64);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&source, sizeof(source));
}

/* A non-blocking socket that has begun to connect. Returns -errno. */
static inline int begin_connect(const struct address *target, unsigned group, unsigned number)
{
	int fd = socket(target->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (is_loopback(target) && bind_source(fd, group, number) < 0)
		goto fail;
	if (connect(fd, &target->any, target->length) < 0 && errno != EINPROGRESS)
		goto fail;
	return fd;

fail:
	on = -errno;
	close(fd);
	return on;
}

/* Requests are 100 bytes into an empty send buffer: they go whole or the connection is broken. */
static inline int send_request(int fd, enum wire_op op, uint32_t flags, uint32_t reply_bytes)
{
	struct wire_request request = {
		.magic = WIRE_MAGIC, .op = op, .flags = flags, .reply_bytes = reply_bytes};

	if (send(fd, &request, sizeof(request), MSG_NOSIGNAL) == (ssize_t)sizeof(request))
		return 0;
	return errno ? -errno : -EPIPE;
}
