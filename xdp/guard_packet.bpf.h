/* SPDX-License-Identifier: Apache-2.0
 *
 * A packet as the guard sees it: is it TCP, from whom, for which port, and is it sound?
 *
 * Happy path: Ethernet, up to two VLAN tags, IPv4 or IPv6 (with extension headers), TCP.
 * Failure modes: PACKET_OTHER for what is none of the guard's business; PACKET_BROKEN for headers
 * that promise more than is there, which the kernel would throw away as well.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdbool.h>

#include "xdp/abi.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define VLAN_TAGS      2
#define EXTENSIONS     6
#define MORE_FRAGMENTS 0x2000
#define OFFSET4        0x1fff
#define OFFSET6        0xfff8

struct vlan_tag {
	__be16 tag;
	__be16 protocol;
};

/* RFC 8200, 4.3 and later: those that say their own length, in units of 8 bytes behind the first.
 */
struct extension {
	__u8 next;
	__u8 length;
	__be16 offset; /* of a fragment header */
	__be32 rest;
};

struct guard_packet {
	__be32 source[4]; /* IPv4: mapped into IPv6 */
	__be32 destination[4];
	__be16 source_port;
	__be16 destination_port;
	__u16 ip_at; /* from the frame's beginning */
	__u16 tcp_at;
	__u8 header; /* bytes of TCP, options included */
	__u8 flags;  /* TCP_* */
	bool ipv6;
	bool plain; /* neither IP options nor extension headers */
};

enum packet_kind { PACKET_TCP, PACKET_OTHER, PACKET_BROKEN };

static __always_inline void map_address(__be32 address, __be32 ret_address[4])
{
	ret_address[0] = 0;
	ret_address[1] = 0;
	ret_address[2] = bpf_htonl(0xffff);
	ret_address[3] = address;
}

/* `tcp` is where the segment should begin; `length` what IP says it has. */
static __always_inline enum packet_kind read_tcp(struct tcphdr *tcp, void *end, __u32 length,
						 struct guard_packet *packet)
{
	if (length < sizeof(*tcp) || (void *)(tcp + 1) > end)
		return PACKET_BROKEN;
	packet->source_port = tcp->source;
	packet->destination_port = tcp->dest;
	packet->header = tcp->doff * 4;
	packet->flags = ((__u8 *)tcp)[13];
	/* Whose listener it would be for is known, so it counts as that one's (is_nonsense()). */
	if (packet->header > length || (void *)tcp + packet->header > end)
		packet->header = 0;
	return PACKET_TCP;
}

static __always_inline enum packet_kind read_ip4(void *data, __u32 at, void *end,
						 struct guard_packet *packet)
{
	struct iphdr *ip = data + at;
	__u32 header, total, offset;

	if ((void *)(ip + 1) > end)
		return PACKET_BROKEN;
	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	if (!total) /* BIG TCP */
		total = end - (void *)ip;
	if (ip->version != 4 || header < sizeof(*ip) || total < header || (void *)ip + total > end)
		return PACKET_BROKEN;
	if (ip->protocol != IPPROTO_TCP)
		return PACKET_OTHER;
	offset = bpf_ntohs(ip->frag_off) & OFFSET4;
	if (offset) /* one that would overwrite the flags (RFC 3128), or a later part */
		return offset == 1 ? PACKET_BROKEN : PACKET_OTHER;
	map_address(ip->saddr, packet->source);
	map_address(ip->daddr, packet->destination);
	packet->ipv6 = false;
	packet->plain = header == sizeof(*ip) && !(ip->frag_off & bpf_htons(MORE_FRAGMENTS));
	packet->tcp_at = at + header;
	return read_tcp((void *)ip + header, end, total - header, packet);
}

static __always_inline bool is_extension(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_FRAGMENT;
}

/* Steps over extension headers; `at` moves to what is behind them, *next says what that is. */
static __always_inline enum packet_kind skip_extensions(void *data, void *end, __u32 *at,
							__u8 *next)
{
	for (int i = 0; i < EXTENSIONS && is_extension(*next); i++) {
		struct extension *extension = data + *at;

		if ((void *)(extension + 1) > end)
			return PACKET_BROKEN;
		if (*next == IPPROTO_FRAGMENT) {
			if (extension->offset & bpf_htons(OFFSET6))
				return PACKET_OTHER;
			*at += sizeof(*extension);
		} else {
			*at += sizeof(*extension) + extension->length * 8;
		}
		*next = extension->next;
	}
	/* Nobody needs so many, and TCP may hide behind them. */
	return is_extension(*next) ? PACKET_BROKEN : PACKET_TCP;
}

static __always_inline enum packet_kind read_ip6(void *data, __u32 at, void *end,
						 struct guard_packet *packet)
{
	struct ipv6hdr *ip = data + at;
	__u32 behind = at + sizeof(*ip), length;
	enum packet_kind kind;
	__u8 next;

	if ((void *)(ip + 1) > end)
		return PACKET_BROKEN;
	length = bpf_ntohs(ip->payload_len);
	if (!length)
		length = end - (void *)(ip + 1);
	if (ip->version != 6 || (void *)(ip + 1) + length > end)
		return PACKET_BROKEN;
	next = ip->nexthdr;
	kind = skip_extensions(data, end, &behind, &next);
	if (kind != PACKET_TCP)
		return kind;
	if (next != IPPROTO_TCP)
		return PACKET_OTHER;
	length += at + sizeof(*ip);
	if (length < behind)
		return PACKET_BROKEN;
	__builtin_memcpy(packet->source, &ip->saddr, 16);
	__builtin_memcpy(packet->destination, &ip->daddr, 16);
	packet->ipv6 = true;
	packet->plain = behind == at + sizeof(*ip);
	packet->tcp_at = behind;
	return read_tcp(data + behind, end, length - behind, packet);
}

static __always_inline enum packet_kind read_packet(struct xdp_md *ctx, struct guard_packet *packet)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = data;
	__u32 at = sizeof(*ethernet);
	__be16 protocol;

	if ((void *)(ethernet + 1) > end)
		return PACKET_OTHER;
	protocol = ethernet->h_proto;
	for (int i = 0; i < VLAN_TAGS; i++) {
		struct vlan_tag *tag = data + at;

		if (protocol != bpf_htons(ETH_P_8021Q) && protocol != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > end)
			return PACKET_OTHER;
		protocol = tag->protocol;
		at += sizeof(*tag);
	}
	packet->ip_at = at;
	if (protocol == bpf_htons(ETH_P_IP))
		return read_ip4(data, at, end, packet);
	if (protocol == bpf_htons(ETH_P_IPV6))
		return read_ip6(data, at, end, packet);
	return PACKET_OTHER;
}

/* An address that nobody can have sent from. */
static __always_inline bool is_impossible_source(const struct guard_packet *packet)
{
	__u32 first = bpf_ntohl(packet->source[packet->ipv6 ? 0 : 3]);

	if (packet->ipv6)
		return first >> 24 == 0xff || !(packet->source[0] | packet->source[1] |
						packet->source[2] | packet->source[3]);
	return first >> 28 == 0xe || first >> 24 == 0 || first == 0xffffffff;
}

/* From itself to itself: the "land" of old. */
static __always_inline bool is_own_echo(const struct guard_packet *packet)
{
	return packet->source_port == packet->destination_port &&
	       packet->source[3] == packet->destination[3] &&
	       packet->source[2] == packet->destination[2] &&
	       packet->source[1] == packet->destination[1] &&
	       packet->source[0] == packet->destination[0];
}

/* No TCP sends it (RFC 9293, 3.1 and 3.10): a header that is cut off, ports or flags that mean
 * nothing, a source that cannot be. */
static __always_inline bool is_nonsense(const struct guard_packet *packet)
{
	__u8 flags = packet->flags;

	if (packet->header < sizeof(struct tcphdr) || !packet->source_port)
		return true;
	if (!(flags & (TCP_SYN | TCP_RST | TCP_ACK)))
		return true;
	if (flags & TCP_SYN && flags & (TCP_FIN | TCP_RST))
		return true;
	return is_impossible_source(packet) || is_own_echo(packet);
}
