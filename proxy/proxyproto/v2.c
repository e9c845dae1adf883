/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads version 2, which is binary (section 2.2 of the specification).
 *
 * Happy path: the fixed part says how long the rest is, all of it is there, addresses come first
 * and TLVs fill what is left. Failure modes: not all there yet; a version, command, family or
 * length that may not be; a TLV that reaches past the end; a checksum that is wrong. Of LOCAL
 * nothing but a wrong checksum is held against the sender: its addresses and TLVs are to be
 * ignored. TLVs that find no room among those to pass on are left out whole.
 */
#include <string.h>

#include "proxy/proxyproto/crc32c.h"
#include "proxy/proxyproto/read.h"
#include "proxy/proxyproto/wire.h"

static const char bad_checksum[] = "the checksum is wrong";

/* The size of the addresses, or -1 for what the specification has no meaning for. */
static int addresses_size(uint8_t family)
{
	switch (family) {
	case V2_UNSPEC:
		return 0;
	case V2_TCP4:
	case V2_UDP4:
		return 2 * 4 + 2 * 2;
	case V2_TCP6:
	case V2_UDP6:
		return 2 * 16 + 2 * 2;
	case V2_UNIX_STREAM:
	case V2_UNIX_DATAGRAM:
		return 2 * V2_PATH_SIZE;
	default:
		return -1;
	}
}

/* A path may fill its place to the last byte. One that is empty or abstract has no name here. */
static void read_path(const uint8_t *at, char *path, struct addr *ret_addr)
{
	memcpy(path, at, V2_PATH_SIZE);
	path[V2_PATH_SIZE] = '\0';
	*ret_addr = (struct addr){.family = AF_UNIX, .path = *path ? path : NULL};
}

static void read_addresses(const uint8_t *at, uint8_t family, struct proxyproto *header)
{
	struct addr *source = &header->source, *destination = &header->destination;

	header->datagram = (family & 0x0f) == 2;
	switch (family >> 4) {
	case 1:
		header->family = source->family = destination->family = AF_INET;
		memcpy(&source->v4, at, 4);
		memcpy(&destination->v4, at + 4, 4);
		source->port = wire_get_u16(at + 8);
		destination->port = wire_get_u16(at + 10);
		break;
	case 2:
		header->family = source->family = destination->family = AF_INET6;
		memcpy(&source->v6, at, 16);
		memcpy(&destination->v6, at + 16, 16);
		source->port = wire_get_u16(at + 32);
		destination->port = wire_get_u16(at + 34);
		break;
	case 3:
		header->family = AF_UNIX;
		read_path(at, header->paths[0], source);
		read_path(at + V2_PATH_SIZE, header->paths[1], destination);
		break;
	}
}

/* Of the whole header, with zeros in place of the checksum itself. */
static bool checksum_is_right(const uint8_t *bytes, size_t length, size_t at)
{
	static const uint8_t zeros[4];
	uint32_t crc = crc32c(0, bytes, at);

	crc = crc32c(crc, zeros, sizeof(zeros));
	crc = crc32c(crc, bytes + at + sizeof(zeros), length - at - sizeof(zeros));
	return crc == wire_get_u32(bytes + at);
}

/* Kept only if it could be printed anywhere: it ends up in logs and as a label. */
static void read_vpce(const uint8_t *id, size_t size, char *vpce)
{
	if (!size || size >= PROXYPROTO_VPCE_MAX)
		return;
	for (size_t i = 0; i < size; i++)
		if (id[i] <= ' ' || id[i] >= 0x7f)
			return;
	memcpy(vpce, id, size);
	vpce[size] = '\0';
}

static void keep(const uint8_t *tlv, size_t size, struct proxyproto *header)
{
	if (size > PROXYPROTO_TLVS_MAX - (size_t)header->tlv_size)
		return;
	memcpy(header->tlvs + header->tlv_size, tlv, size);
	header->tlv_size += (uint16_t)size;
}

/* NULL, or what is wrong with them. */
static const char *read_tlvs(const uint8_t *bytes, size_t at, size_t length,
			     struct proxyproto *header)
{
	size_t size;

	for (; at < length; at += size) {
		const uint8_t *value = bytes + at + TLV_HEAD_SIZE;

		if (length - at < TLV_HEAD_SIZE)
			return "the header ends within the head of a TLV";
		size = TLV_HEAD_SIZE + (size_t)wire_get_u16(bytes + at + 1);
		if (size > length - at)
			return "a TLV is longer than the header";
		if (bytes[at] == TLV_CRC32C) {
			if (size != TLV_HEAD_SIZE + 4 ||
			    !checksum_is_right(bytes, length, at + TLV_HEAD_SIZE))
				return bad_checksum;
		} else if (bytes[at] != TLV_NOOP) {
			keep(bytes + at, size, header);
		}
		if (bytes[at] == TLV_AWS && size > TLV_HEAD_SIZE && value[0] == TLV_AWS_VPCE)
			read_vpce(value + 1, size - TLV_HEAD_SIZE - 1, header->vpce);
	}
	return NULL;
}

/* Family and addresses of LOCAL are to be ignored, so where its TLVs begin is known only without
 * any. */
static const char *read_local(const uint8_t *bytes, size_t length)
{
	struct proxyproto ignored = {0};
	const char *error = NULL;

	if (bytes[13] == V2_UNSPEC)
		error = read_tlvs(bytes, V2_FIXED_SIZE, length, &ignored);
	return error == bad_checksum ? error : NULL;
}

static const char *read_proxy(const uint8_t *bytes, size_t length, struct proxyproto *header)
{
	int addresses = addresses_size(bytes[13]);

	header->command = PROXYPROTO_PROXY;
	if (addresses < 0)
		return "the family or the transport is unknown";
	if (V2_FIXED_SIZE + (size_t)addresses > length)
		return "the header is too short for its addresses";
	read_addresses(bytes + V2_FIXED_SIZE, bytes[13], header);
	return read_tlvs(bytes, V2_FIXED_SIZE + (size_t)addresses, length, header);
}

/* What can be told before all of it is there. */
static const char *check_fixed(const uint8_t *bytes, size_t size)
{
	if (size > 12 && bytes[12] != V2_LOCAL && bytes[12] != V2_PROXY)
		return "the version or the command is unknown";
	if (size >= V2_FIXED_SIZE && V2_FIXED_SIZE + wire_get_u16(bytes + 14) > PROXYPROTO_READ_MAX)
		return "the header is longer than any that makes sense";
	return NULL;
}

enum proxyproto_result proxyproto_read_v2(const uint8_t *bytes, size_t size,
					  struct proxyproto *header, size_t *ret_length,
					  const char **ret_error)
{
	const char *error = check_fixed(bytes, size);
	size_t length;

	if (!error) {
		if (size < V2_FIXED_SIZE)
			return PROXYPROTO_NEED_MORE;
		length = V2_FIXED_SIZE + wire_get_u16(bytes + 14);
		if (size < length)
			return PROXYPROTO_NEED_MORE;
		memset(header, 0, sizeof(*header));
		header->version = 2;
		error = bytes[12] == V2_LOCAL ? read_local(bytes, length)
					      : read_proxy(bytes, length, header);
	}
	if (error) {
		*ret_error = error;
		return PROXYPROTO_BAD;
	}
	*ret_length = length;
	return PROXYPROTO_OK;
}
