/* SPDX-License-Identifier: Apache-2.0
 *
 * What both directions of version 2 know of its layout: a fixed part, addresses by family, TLVs
 * (sections 2.2 and 2.2.1 to 2.2.4 of the specification).
 */
#pragma once

#include <stdint.h>

#define V2_SIGNATURE      "\r\n\r\n\0\r\nQUIT\n"
#define V2_SIGNATURE_SIZE 12
#define V2_FIXED_SIZE     16 /* signature, version and command, family and transport, length */
#define V2_PATH_SIZE      108

enum v2_command { V2_LOCAL = 0x20, V2_PROXY = 0x21 }; /* with the version */

enum v2_family {
	V2_UNSPEC = 0x00,
	V2_TCP4 = 0x11,
	V2_UDP4 = 0x12,
	V2_TCP6 = 0x21,
	V2_UDP6 = 0x22,
	V2_UNIX_STREAM = 0x31,
	V2_UNIX_DATAGRAM = 0x32,
};

#define TLV_HEAD_SIZE 3 /* type and length */

enum tlv_type {
	TLV_CRC32C = 0x03,
	TLV_NOOP = 0x04,
	TLV_AWS = 0xea, /* of Elastic Load Balancing; its first byte is a subtype */
};

#define TLV_AWS_VPCE 0x01 /* the id of the VPC endpoint the client came through */

static inline uint16_t wire_get_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void wire_put_u16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline uint32_t wire_get_u32(const uint8_t *at)
{
	return (uint32_t)wire_get_u16(at) << 16 | wire_get_u16(at + 2);
}

static inline void wire_put_u32(uint8_t *at, uint32_t value)
{
	wire_put_u16(at, (uint16_t)(value >> 16));
	wire_put_u16(at + 2, (uint16_t)value);
}
