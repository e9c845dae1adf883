/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream transport address small enough to keep four of per session. Parsing and printing use
 * one notation everywhere: `10.0.0.1:80`, `[2001:db8::1]:80`, `unix:/path`.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Long enough for `unix:` and a full sun_path, and so for every other form. */
#define ADDR_TEXT 128

struct addr {
	uint16_t family; /* AF_INET, AF_INET6, AF_UNIX; 0 is "none" */
	uint16_t port;   /* host order; 0 for AF_UNIX */
	uint32_t scope;  /* interface index of a link-local AF_INET6 address */
	union {
		struct in_addr v4;
		struct in6_addr v6;
		const char *path; /* AF_UNIX: borrowed from the configuration; NULL is unnamed */
	};
};

_Static_assert(sizeof(struct addr) == 24, "four of these live in every session");

/* Parse a numeric address with its port (or unix:/path, then `ret_addr` borrows from `text`).
 * 0, or -EINVAL. Never asks a resolver. */
int addr_parse(const char *text, struct addr *ret_addr);

/* Print into `buf` of ADDR_TEXT bytes; returns `buf`. "-" for none. A v4-mapped address prints as
 * plain IPv4, so that a dual-stack listener logs what an operator would type. */
const char *addr_format(const struct addr *addr, char *buf);

/* Without the port. */
const char *addr_format_host(const struct addr *addr, char *buf);

/* Fill `ret_sa`; returns the length to hand to bind(2) or connect(2). */
socklen_t addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *ret_sa);

/* An address as it stands in a packet or a netlink attribute, without a port. False: not of that
 * family's size. */
bool addr_from_bytes(int family, const void *bytes, size_t size, struct addr *ret_addr);

/* From what accept(2) or getsockname(2) gave. An AF_UNIX name is not kept (path NULL). */
void addr_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct addr *ret_addr);

bool addr_equal(const struct addr *a, const struct addr *b);

/* A v4-mapped address as the IPv4 address it carries, any other as it is. */
struct addr addr_unmap(const struct addr *addr);

/* 127.0.0.0/8, also v4-mapped, or ::1. */
bool addr_is_loopback(const struct addr *addr);

/* A well-mixed hash of the host alone, without its port; v4-mapped equals IPv4. */
uint64_t addr_hash_host(const struct addr *addr);

/* An address block such as 10.0.0.0/8 or fd00::/8. */
struct addr_block {
	struct addr base;
	uint8_t bits;
};

/* 0, or -EINVAL (also when bits below the prefix are set). A bare address is a /32 or a /128. */
int addr_block_parse(const char *text, struct addr_block *ret_block);

/* v4-mapped addresses match IPv4 blocks. */
bool addr_block_contains(const struct addr_block *block, const struct addr *addr);
