/* SPDX-License-Identifier: Apache-2.0
 *
 * Where to listen and where to connect, as an operator writes it: what base/addr.h parses, and
 * besides it `:port`, port ranges and host names. All return 0, or -EINVAL with `ret_why` saying
 * what is the matter in words that follow "which ...".
 */
#pragma once

#include "proxy/base/addr.h"

#define ENDPOINT_HOST_MAX  253  /* RFC 1035 section 2.3.4, without the final dot */
#define ENDPOINT_PORTS_MAX 4096 /* in one range: each is a socket per worker */

struct endpoint {
	struct addr addr;                 /* of a name: only the port. AF_UNIX borrows `text` */
	uint16_t port_end;                /* last of a range, else addr.port; 0 for AF_UNIX */
	char host[ENDPOINT_HOST_MAX + 1]; /* name to resolve, or "" */
};

/* `10.0.0.1:80`, `[::]:443`, `:8080` (which is [::], dual-stack), `:8000-8099`, `unix:/path`. */
int endpoint_parse_bind(const char *text, struct endpoint *ret_endpoint, const char **ret_why);

/* `10.0.0.1:80`, `[2001:db8::1]:80`, `db.internal:5432`, `unix:/path`; never a port 0. */
int endpoint_parse_target(const char *text, struct endpoint *ret_endpoint, const char **ret_why);

/* A bare numeric address; the port comes out as 0. */
int endpoint_parse_ip(const char *text, struct addr *ret_addr, const char **ret_why);

/* As a bind address, but one port of IPv4 or IPv6 alone. */
int endpoint_parse_tcp(const char *text, struct addr *ret_addr, const char **ret_why);

/* A Unix socket: `/path` or `unix:/path`; borrows `text`. */
int endpoint_parse_socket(const char *text, struct addr *ret_addr, const char **ret_why);

/* Whether one socket address could be claimed by both. `v6_only` of a wildcard says it leaves IPv4
 * alone. */
bool endpoint_overlaps(const struct endpoint *a, bool a_v6_only, const struct endpoint *b,
		       bool b_v6_only);
