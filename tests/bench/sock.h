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

/* "127.0.0.1:9000" */
static inline struct sockaddr_in parse_address(const char *text)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	const char *colon = strrchr(text, ':');
	char host[INET_ADDRSTRLEN] = "";

	if (colon && (size_t)(colon - text) < sizeof(host)) {
		memcpy(host, text, (size_t)(colon - text));
		address.sin_port = htons((uint16_t)atoi(colon + 1));
	}
	if (!address.sin_port || inet_pton(AF_INET, host, &address.sin_addr) != 1) {
		fprintf(stderr, "%s: expected A.B.C.D:PORT\n", text);
		exit(1);
	}
	return address;
}

/* A non-blocking socket that has begun to connect. The source is 127.1.GROUP.x, one of 64 by
 * `number`: the tool's own search for a port must never be what is measured. Returns -errno. */
static inline int begin_connect(const struct sockaddr_in *target, unsigned group, unsigned number)
{
	struct sockaddr_in source = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return -errno;
	source.sin_addr.s_addr = htonl(0x7f010001u + (group << 8) + number % 64);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&source, sizeof(source)) < 0)
		goto fail;
	if (connect(fd, (const struct sockaddr *)target, sizeof(*target)) < 0 &&
	    errno != EINPROGRESS)
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
