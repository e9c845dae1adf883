/* SPDX-License-Identifier: Apache-2.0
 *
 * Which flow a packet is of: by its own addresses, by those of the packet that an ICMP error
 * quotes, or by those behind IP options and extension headers.
 *
 * Happy path: TCP right behind a plain IP header, one look into a table.
 * Failure modes: what is of a flow but cannot be translated (an extension header, a fragment, a
 * path that takes less) is told by an event, so that user space asks the flow back to its sockets;
 * but only if it has the numbers of that connection, which nobody knows who has to guess.
 */
#pragma once

#include <linux/in.h>

#include "xdp/flow_verdict.bpf.h"

#define IP4_SIZE  20
#define IP6_SIZE  40
#define FRAGMENTS 0x3fff /* IPv4: "more fragments", or an offset */
#define OFFSET    0x1fff

#define TCP_AT(ipv6) (ETH_HLEN + ((ipv6) ? IP6_SIZE : IP4_SIZE))

enum found {
	FOUND_NOTHING,
	FOUND_FLOW,
	FOUND_ICMP,
	FOUND_ODD, /* an IP header with something behind it that might be TCP of ours */
};

/* The flow's index, by a packet's addresses, or those of the answer to it. */
static __always_inline __u32 *find4(const struct iphdr *ip, __be16 from, __be16 to, bool answer)
{
	struct flow_key4 key = {
		.source = answer ? ip->daddr : ip->saddr,
		.destination = answer ? ip->saddr : ip->daddr,
		.source_port = answer ? to : from,
		.destination_port = answer ? from : to,
	};

	return bpf_map_lookup_elem(&flow_index4, &key);
}

static __always_inline __u32 *find6(const struct ipv6hdr *ip, __be16 from, __be16 to, bool answer)
{
	struct flow_key6 key = {
		.source_port = answer ? to : from,
		.destination_port = answer ? from : to,
	};

	__builtin_memcpy(key.source, answer ? &ip->daddr : &ip->saddr, 16);
	__builtin_memcpy(key.destination, answer ? &ip->saddr : &ip->daddr, 16);
	return bpf_map_lookup_elem(&flow_index6, &key);
}

static __always_inline bool is_plain4(const struct iphdr *ip)
{
	return ip->version == 4 && ip->ihl == 5 && !(ip->frag_off & bpf_htons(FRAGMENTS));
}

/* What an IPv4 header says of its packet. Sets what follows the header, in bytes. */
static __always_inline enum found classify4(const struct iphdr *ip, __u32 *ret_length)
{
	__u32 length = bpf_ntohs(ip->tot_len);

	if (ip->version != 4)
		return FOUND_NOTHING;
	if (!is_plain4(ip))
		return ip->protocol == IPPROTO_TCP ? FOUND_ODD : FOUND_NOTHING;
	if (ip->protocol != IPPROTO_TCP)
		return ip->protocol == IPPROTO_ICMP ? FOUND_ICMP : FOUND_NOTHING;
	if (length && length < IP4_SIZE + sizeof(struct tcphdr))
		return FOUND_NOTHING;
	*ret_length = length ? length - IP4_SIZE : 0;
	return FOUND_FLOW;
}

static __always_inline enum found classify6(const struct ipv6hdr *ip, __u32 *ret_length)
{
	if (ip->version != 6)
		return FOUND_NOTHING;
	switch (ip->nexthdr) {
	case IPPROTO_TCP:
		*ret_length = bpf_ntohs(ip->payload_len);
		return FOUND_FLOW;
	case IPPROTO_ICMPV6:
		return FOUND_ICMP;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_DSTOPTS:
		return FOUND_ODD;
	default:
		return FOUND_NOTHING;
	}
}

/* FOUND_FLOW: sets index, options and payload; the TCP header is there, its options perhaps not in
 * one piece with it. `giant`: the frame is of GRO and may be longer than its IP header can say. */
static __always_inline enum found find(void *data, void *end, __u32 frame, bool giant, bool ipv6,
				       bool answer, struct segment *segment)
{
	struct tcphdr *tcp = data + TCP_AT(ipv6);
	__u32 room = frame - TCP_AT(ipv6);
	__u32 length, header, *index;
	enum found found;

	if ((void *)(tcp + 1) > end)
		return FOUND_NOTHING;
	found = ipv6 ? classify6(data + ETH_HLEN, &length) : classify4(data + ETH_HLEN, &length);
	if (found != FOUND_FLOW)
		return found;
	index = ipv6 ? find6(data + ETH_HLEN, tcp->source, tcp->dest, answer)
		     : find4(data + ETH_HLEN, tcp->source, tcp->dest, answer);
	if (!index)
		return FOUND_NOTHING;
	if (!length && giant)
		length = room;
	header = tcp->doff * 4;
	if (header < sizeof(*tcp) || length < header || length > room)
		return FOUND_NOTHING;
	segment->index = *index;
	segment->options = header - sizeof(*tcp);
	segment->payload = length - header;
	segment->hops = ipv6 ? ((struct ipv6hdr *)(data + ETH_HLEN))->hop_limit
			     : ((struct iphdr *)(data + ETH_HLEN))->ttl;
	return FOUND_FLOW;
}

/* --- what is not right at hand, by tc and by XDP --- */

struct source {
	void *ctx; /* struct __sk_buff, or struct xdp_md */
	bool xdp;
};

static __always_inline bool load(struct source source, __u32 at, void *to, __u32 bytes)
{
	return source.xdp ? !bpf_xdp_load_bytes(source.ctx, at, to, bytes)
			  : !bpf_skb_load_bytes(source.ctx, at, to, bytes);
}

/* --- the path takes less than is sent: ICMP about a packet that we sent on --- */

#define ICMP_SIZE   8
#define UNREACHABLE 3 /* RFC 792, with code 4: fragmentation needed */
#define TOO_BIG     2 /* RFC 4443 */

struct icmp_error {
	__u8 type;
	__u8 code;
	__be16 check;
	__be16 unused;
	__be16 mtu; /* ICMPv6: with `unused` in front, but no path takes more than 65535 */
};

struct quoted {
	__be16 ports[2];
	__be32 seq;
};

/* Those who sent it have to be told by the kernel, which is why the flow goes back to it. What is
 * quoted must be under way still (RFC 5927, 4.1). */
static __always_inline void tell_mtu(__u32 *index, const struct quoted *quoted, __u32 mtu)
{
	struct segment segment = {.index = index ? *index : 0};
	__u32 seq = bpf_ntohl(quoted->seq);
	__u32 sent;

	if (!index || !find_pair(&segment) || segment.flow->state != FLOW_ACTIVE)
		return;
	sent = segment.other->seq_end + segment.other->seq_delta;
	if (seq - segment.flow->last_ack >= sent - segment.flow->last_ack &&
	    !is_near(&segment, sent, seq))
		return;
	segment.flow->mtu_seen = mtu;
	tell(segment.flow, segment.index, FLOW_EVENT_MTU, mtu);
}

static __always_inline void look_at_icmp4(struct source source)
{
	struct {
		struct icmp_error icmp;
		struct iphdr ip;
		struct quoted tcp;
	} in;

	if (!load(source, TCP_AT(false), &in, sizeof(in)) || in.icmp.type != UNREACHABLE ||
	    in.icmp.code != 4 || !is_plain4(&in.ip) || in.ip.protocol != IPPROTO_TCP)
		return;
	tell_mtu(find4(&in.ip, in.tcp.ports[0], in.tcp.ports[1], true), &in.tcp,
		 bpf_ntohs(in.icmp.mtu));
}

static __always_inline void look_at_icmp6(struct source source)
{
	struct {
		struct icmp_error icmp;
		struct ipv6hdr ip;
		struct quoted tcp;
	} in;

	if (!load(source, TCP_AT(true), &in, sizeof(in)) || in.icmp.type != TOO_BIG ||
	    in.ip.nexthdr != IPPROTO_TCP)
		return;
	tell_mtu(find6(&in.ip, in.tcp.ports[0], in.tcp.ports[1], true), &in.tcp,
		 bpf_ntohs(in.icmp.mtu));
}

/* --- TCP behind something --- */

#define EXTENSIONS 4 /* that many headers are looked behind; nobody sends more */

/* Where TCP begins, 0: there is none, or not its beginning. */
static __always_inline __u32 tcp_behind4(const struct iphdr *ip)
{
	if (ip->ihl < 5 || ip->frag_off & bpf_htons(OFFSET))
		return 0;
	return ETH_HLEN + ip->ihl * 4;
}

static __always_inline __u32 tcp_behind6(struct source source, __u8 next)
{
	__u32 at = TCP_AT(true);

	for (int i = 0; i < EXTENSIONS; i++) {
		struct {
			__u8 next;
			__u8 length;   /* RFC 8200: units of 8 bytes, the first not counted */
			__be16 offset; /* of a fragment, and flags */
		} extension;

		if (next == IPPROTO_TCP)
			return at;
		if ((next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING &&
		     next != IPPROTO_FRAGMENT && next != IPPROTO_DSTOPTS) ||
		    !load(source, at, &extension, sizeof(extension)))
			return 0;
		if (next == IPPROTO_FRAGMENT && extension.offset & bpf_htons(0xfff8))
			return 0;
		at += next == IPPROTO_FRAGMENT ? 8 : 8 + extension.length * 8;
		next = extension.next;
	}
	return next == IPPROTO_TCP ? at : 0;
}

static __always_inline __u32 *find_odd4(struct source source, struct tcphdr *ret_tcp)
{
	struct iphdr ip;
	__u32 at;

	if (!load(source, ETH_HLEN, &ip, sizeof(ip)))
		return NULL;
	at = tcp_behind4(&ip);
	if (!at || !load(source, at, ret_tcp, sizeof(*ret_tcp)))
		return NULL;
	return find4(&ip, ret_tcp->source, ret_tcp->dest, false);
}

static __always_inline __u32 *find_odd6(struct source source, struct tcphdr *ret_tcp)
{
	struct ipv6hdr ip;
	__u32 at;

	if (!load(source, ETH_HLEN, &ip, sizeof(ip)))
		return NULL;
	at = tcp_behind6(source, ip.nexthdr);
	if (!at || !load(source, at, ret_tcp, sizeof(*ret_tcp)))
		return NULL;
	return find6(&ip, ret_tcp->source, ret_tcp->dest, false);
}

/* The kernel must not get it while it knows nothing of what went by: it would acknowledge bytes
 * that nobody reads. */
static __always_inline enum verdict decide_odd(struct source source, bool ipv6)
{
	struct tcphdr tcp = {0};
	struct segment segment = {0};
	__u32 *index = ipv6 ? find_odd6(source, &tcp) : find_odd4(source, &tcp);

	if (!index)
		return VERDICT_NONE;
	segment.index = *index;
	if (!read_segment(&tcp, &segment) || !is_in_force(segment.flow) || segment.syn)
		return VERDICT_NONE;
	if (segment.flow->state == FLOW_ACTIVE && segment.flow->flags & FLOW_KERNEL_PENDING)
		return VERDICT_UP;
	if (segment.flow->state == FLOW_ACTIVE && segment.believed)
		tell(segment.flow, segment.index, FLOW_EVENT_ODD, 0);
	return VERDICT_DROP;
}

/* A packet that is no flow's plain segment. */
static __always_inline enum verdict look_further(struct source source, enum found found, bool ipv6)
{
	if (found == FOUND_ODD)
		return decide_odd(source, ipv6);
	if (found == FOUND_ICMP && ipv6)
		look_at_icmp6(source);
	else if (found == FOUND_ICMP)
		look_at_icmp4(source);
	return VERDICT_NONE;
}
