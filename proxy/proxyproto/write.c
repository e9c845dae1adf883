/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes a header. Happy path: addresses of one family in the version that was asked for, TLVs and
 * checksum behind them. There is no failure: addresses that a version has no words for are left
 * out, as UNKNOWN (v1) or UNSPEC (v2) says.
 */
#include <stdio.h>
#include <string.h>

#include "proxy/base/panic.h"
#include "proxy/proxyproto.h"
#include "proxy/proxyproto/crc32c.h"
#include "proxy/proxyproto/wire.h"

/* Both ends in the form they are written in. */
struct ends {
	uint16_t family; /* of both, or AF_UNSPEC: nothing can be said */
	struct addr source;
	struct addr destination;
};

/* A dual-stack socket's v4-mapped addresses become plain; a zone is nobody else's business. */
static struct addr plain(const struct addr *addr)
{
	struct addr copy = addr ? addr_unmap(addr) : (struct addr){0};

	copy.scope = 0;
	return copy;
}

static bool is_ip(const struct addr *addr)
{
	return addr->family == AF_INET || addr->family == AF_INET6;
}

static struct ends ends_of(const struct proxyproto_out *out)
{
	struct ends ends = {0};

	if (out->local)
		return ends;
	ends.source = plain(out->source);
	ends.destination = plain(out->destination);
	if (ends.source.family == ends.destination.family)
		ends.family = ends.source.family;
	else if (is_ip(&ends.source) && is_ip(&ends.destination))
		ends.family = AF_INET6;
	return ends;
}

static size_t write_v1(const struct proxyproto_out *out, uint8_t *buf)
{
	struct ends ends = ends_of(out);
	char source[ADDR_TEXT], destination[ADDR_TEXT], line[2 * ADDR_TEXT + 32];
	int len;

	if (is_ip(&ends.source) && ends.source.family == ends.destination.family)
		len = snprintf(line, sizeof(line), "PROXY TCP%c %s %s %u %u\r\n",
			       ends.family == AF_INET ? '4' : '6',
			       addr_format_host(&ends.source, source),
			       addr_format_host(&ends.destination, destination), ends.source.port,
			       ends.destination.port);
	else
		len = snprintf(line, sizeof(line), "PROXY UNKNOWN\r\n");
	must(len > 0 && len <= PROXYPROTO_V1_MAX);
	memcpy(buf, line, (size_t)len);
	return (size_t)len;
}

static void put_v6(const struct addr *addr, uint8_t *at)
{
	memset(at, 0, 16);
	if (addr->family == AF_INET6) {
		memcpy(at, &addr->v6, 16);
		return;
	}
	at[10] = at[11] = 0xff; /* v4-mapped; RFC 4291, section 2.5.5.2 */
	memcpy(at + 12, &addr->v4, 4);
}

static void put_path(const struct addr *addr, uint8_t *at)
{
	size_t len = addr->path ? strlen(addr->path) : 0;

	memset(at, 0, V2_PATH_SIZE);
	if (len)
		memcpy(at, addr->path, len < V2_PATH_SIZE ? len : V2_PATH_SIZE);
}

static size_t put_ports(const struct ends *ends, uint8_t *at)
{
	wire_put_u16(at, ends->source.port);
	wire_put_u16(at + 2, ends->destination.port);
	return 4;
}

/* Returns the addresses' size. */
static size_t put_addresses(const struct ends *ends, uint8_t *at, uint8_t *ret_family)
{
	switch (ends->family) {
	case AF_INET:
		*ret_family = V2_TCP4;
		memcpy(at, &ends->source.v4, 4);
		memcpy(at + 4, &ends->destination.v4, 4);
		return 8 + put_ports(ends, at + 8);
	case AF_INET6:
		*ret_family = V2_TCP6;
		put_v6(&ends->source, at);
		put_v6(&ends->destination, at + 16);
		return 32 + put_ports(ends, at + 32);
	case AF_UNIX:
		*ret_family = V2_UNIX_STREAM;
		put_path(&ends->source, at);
		put_path(&ends->destination, at + V2_PATH_SIZE);
		return 2 * V2_PATH_SIZE;
	default:
		*ret_family = V2_UNSPEC;
		return 0;
	}
}

/* A place for the checksum, still zero, which is how it goes into the sum. */
static size_t put_checksum(uint8_t *at)
{
	at[0] = TLV_CRC32C;
	wire_put_u16(at + 1, 4);
	wire_put_u32(at + TLV_HEAD_SIZE, 0);
	return TLV_HEAD_SIZE + 4;
}

static size_t write_v2(const struct proxyproto_out *out, uint8_t *buf)
{
	struct ends ends = ends_of(out);
	size_t length = V2_FIXED_SIZE;
	size_t checksum = 0;

	memcpy(buf, V2_SIGNATURE, V2_SIGNATURE_SIZE);
	buf[12] = out->local ? V2_LOCAL : V2_PROXY;
	length += put_addresses(&ends, buf + length, &buf[13]);
	if (out->crc32c) {
		checksum = length + TLV_HEAD_SIZE;
		length += put_checksum(buf + length);
	}
	if (!out->local && out->tlv_size) { /* a receiver would skip those of LOCAL */
		memcpy(buf + length, out->tlvs, out->tlv_size);
		length += out->tlv_size;
	}
	wire_put_u16(buf + 14, (uint16_t)(length - V2_FIXED_SIZE));
	if (checksum)
		wire_put_u32(buf + checksum, crc32c(0, buf, length));
	return length;
}

size_t proxyproto_write(const struct proxyproto_out *out, uint8_t *buf)
{
	must(out->version == 1 || out->version == 2);
	must(out->tlv_size <= PROXYPROTO_TLVS_MAX);
	return out->version == 1 ? write_v1(out, buf) : write_v2(out, buf);
}
