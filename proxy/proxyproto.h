/* SPDX-License-Identifier: Apache-2.0
 *
 * The PROXY protocol, versions 1 and 2, read and written
 * (haproxy.org/download/3.0/doc/proxy-protocol.txt). Pure: bytes in, a struct out, no I/O.
 *
 * Happy path: proxyproto_read() is given what recv(MSG_PEEK) saw and says how long the header is.
 * Failure modes: not enough bytes yet, no PROXY header at all, or a malformed one with a text that
 * says why.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/addr.h"

#define PROXYPROTO_V1_MAX   107  /* with its CRLF */
#define PROXYPROTO_TLVS_MAX 1024 /* TLV bytes that are kept and passed on */
#define PROXYPROTO_READ_MAX 4096 /* a longer header is refused */
#define PROXYPROTO_VPCE_MAX 64

enum proxyproto_command { PROXYPROTO_LOCAL, PROXYPROTO_PROXY };

struct proxyproto {
	uint8_t version;    /* 1 or 2 */
	uint8_t command;    /* enum proxyproto_command; v1 UNKNOWN is LOCAL with v1 semantics */
	uint8_t family;     /* AF_INET, AF_INET6, AF_UNIX, or AF_UNSPEC: no addresses given */
	bool datagram;      /* SOCK_DGRAM was said; refused by the session */
	struct addr source; /* family 0 where there is none */
	struct addr destination; /* paths of AF_UNIX point into paths[] */
	char paths[2][109];
	char vpce[PROXYPROTO_VPCE_MAX]; /* AWS VPC endpoint id (type 0xEA, subtype 0x01), or "" */
	uint16_t tlv_size;
	uint8_t tlvs[PROXYPROTO_TLVS_MAX]; /* as they came, without NOOP and CRC32C, to pass on */
};

enum proxyproto_result {
	PROXYPROTO_NEED_MORE, /* a beginning of a header, or nothing yet */
	PROXYPROTO_NONE,      /* these bytes begin no header */
	PROXYPROTO_BAD,
	PROXYPROTO_OK
};

/* `*ret_header` is worth something, and `*ret_length` the header's length, with OK alone;
 * `*ret_error` is a static text, with BAD. CRC32C is checked where it is given. A copy of the
 * struct still points into the first one's paths[]. */
enum proxyproto_result proxyproto_read(const uint8_t *bytes, size_t size,
				       struct proxyproto *ret_header, size_t *ret_length,
				       const char **ret_error);

struct proxyproto_out {
	uint8_t version;           /* 1 or 2 */
	bool local;                /* our own connection, e.g. a health check */
	bool crc32c;               /* v2 */
	const struct addr *source; /* what to say, unless local */
	const struct addr *destination;
	const uint8_t *tlvs; /* v2, appended as they are; may be NULL */
	uint16_t tlv_size;
};

#define PROXYPROTO_WRITE_MAX (16 + 216 + 7 + PROXYPROTO_TLVS_MAX)

/* Returns the length written, never more than PROXYPROTO_WRITE_MAX. Addresses of different families
 * are written as IPv6 (v4-mapped, v2) or UNKNOWN (v1), Unix ones as AF_UNIX (v2) or UNKNOWN. */
size_t proxyproto_write(const struct proxyproto_out *out, uint8_t *buf);
