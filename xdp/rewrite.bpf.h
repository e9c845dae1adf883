/* SPDX-License-Identifier: Apache-2.0
 *
 * One translation for every entry point: turn a packet of one TCP connection into one of another.
 *
 * After both connections are established their sequence numbers differ by a constant, so seq, ack,
 * the edges of SACK blocks and both timestamps get a constant added each (RFC 9293, 2018, 7323);
 * windows are scaled anew (RFC 7323, 2.3), rounded up so that one that is open never becomes 0.
 * Checksums are updated for what changed alone (RFC 1624).
 *
 * Happy path: Linux's own layout of options (NOP NOP timestamps, NOP NOP SACK) without a loop;
 * any other layout is copied out, walked with bpf_loop(), and copied back.
 * Failure modes: none; options that cannot be read are left as they are, as their receiver will.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdbool.h>

#include "xdp/abi.h"
#include "xdp/bounded.bpf.h"
#include "xdp/flow_maps.bpf.h"

#define OPTIONS_MAX 40
#define OPTION_END  0
#define OPTION_NOP  1
#define OPTION_SACK 5
#define OPTION_TIME 8

#define NOPS_TIME 0x0101080a /* NOP NOP timestamps, length 10 */
#define NOPS_SACK 0x01010500 /* NOP NOP SACK, length in the last byte */

/* --- sums (RFC 1071, RFC 1624) --- */

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)((sum & 0xffff) + (sum >> 16));
}

/* What replacing `before` by `after` adds to a sum. */
static __always_inline __u64 changed(__u32 before, __u32 after)
{
	return (__u64)(__u32)~before + after;
}

/* Add to a number in network order; returns what that adds to a sum. */
static __always_inline __u64 shift(__be32 *number, __u32 delta)
{
	__be32 before = *number;

	*number = bpf_htonl(bpf_ntohl(before) + delta);
	return changed(before, *number);
}

/* --- options --- */

struct options {
	__u8 bytes[64]; /* OPTIONS_MAX of them are used; the verifier likes powers of two */
	__u64 sum;
	__u32 at;
	__u32 length;
	__u32 flags; /* enum flow_flag */
	__u32 clock; /* the TSval that it has now; 0: none */
	__u32 ack_delta;
	__u32 tsval_delta;
	__u32 tsecr_delta;
};

/* One packet is translated at a time on each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct options);
} options_scratch SEC(".maps");

/* A number that may stand at an odd place: the bytes one by one. */
static __always_inline __u64 shift_bytes(__u8 *at, __u32 delta)
{
	__u32 before = (__u32)at[0] << 24 | (__u32)at[1] << 16 | (__u32)at[2] << 8 | at[3];
	__u32 after = before + delta;

	at[0] = after >> 24;
	at[1] = after >> 16;
	at[2] = after >> 8;
	at[3] = after;
	return changed(bpf_htonl(before), bpf_htonl(after));
}

/* A sum of bytes that begin at an odd place has its halves swapped (RFC 1071, 2(B)). */
static __always_inline __u64 placed(__u64 sum, __u32 at)
{
	__u16 folded = fold(sum);

	return at & 1 ? (__u16)(folded << 8 | folded >> 8) : folded;
}

/* bpf_loop() hands on pointers to the stack alone, so the scratch is looked up again. */
static long walk_option(__u32 round, void *unused)
{
	__u32 zero = 0;
	struct options *options = bpf_map_lookup_elem(&options_scratch, &zero);
	__u32 at, length;
	__u8 *option;

	if (!options)
		return 1;
	at = options->at;
	if (at >= options->length || at >= OPTIONS_MAX)
		return 1;
	option = &options->bytes[at & 63];
	if (*option == OPTION_END)
		return 1;
	if (*option == OPTION_NOP) {
		options->at = at + 1;
		return 0;
	}
	if (at + 1 >= OPTIONS_MAX)
		return 1;
	length = options->bytes[(at + 1) & 63];
	if (length < 2 || at + length > options->length)
		return 1;
	if (*option == OPTION_TIME && length == 10 && at <= OPTIONS_MAX - 10) {
		if (options->flags & FLOW_TIMESTAMPS) {
			__u64 sum = shift_bytes(option + 2, options->tsval_delta);

			options->clock = (__u32)option[2] << 24 | (__u32)option[3] << 16 |
					 (__u32)option[4] << 8 | option[5];
			if (option[6] | option[7] | option[8] | option[9])
				sum += shift_bytes(option + 6, options->tsecr_delta);
			options->sum += placed(sum, at);
		}
	} else if (*option == OPTION_SACK && !((length - 2) & 7)) {
		__u64 sum = 0;

		for (__u32 edge = 0; edge < 8; edge++) {
			if (2 + edge * 4 + 4 > length || at + 2 + edge * 4 + 4 > OPTIONS_MAX)
				break;
			sum += shift_bytes(&options->bytes[(at + 2 + edge * 4) & 63],
					   options->ack_delta);
		}
		options->sum += placed(sum, at);
	}
	options->at = at + length;
	return 0;
}

/* Any layout: what changing `length` bytes of options adds to the sum. */
static __always_inline __u64 walk_options(struct options *options, const struct flow *flow,
					  __u32 length)
{
	options->sum = 0;
	options->clock = 0;
	options->at = 0;
	options->length = length;
	options->flags = flow->flags;
	options->ack_delta = flow->ack_delta;
	options->tsval_delta = flow->tsval_delta;
	options->tsecr_delta = flow->tsecr_delta;
	bpf_loop(OPTIONS_MAX, walk_option, NULL, 0);
	count(FLOW_COUNT_SLOW_OPTIONS);
	return options->sum;
}

/* Linux's own layout, in place. False: it is another one, and nothing was changed. */
static __always_inline bool rewrite_usual_options(struct tcphdr *tcp, void *end, __u32 length,
						  const struct flow *flow, __u64 *sum, __u32 *clock)
{
	__be32 *time = (__be32 *)(tcp + 1);
	__be32 *sack = time;
	__u32 rest = length;
	bool has_time = false;

	if (!length)
		return true;
	if (length >= 12 && (void *)(time + 3) <= end && time[0] == bpf_htonl(NOPS_TIME)) {
		has_time = true;
		sack = time + 3;
		rest -= 12;
	}
	if (rest) {
		if (rest < 12 || (void *)(sack + 3) > end)
			return false;
		__u32 head = bpf_ntohl(sack[0]);

		if ((head & 0xffffff00) != NOPS_SACK || (head & 0xff) + 2 != rest ||
		    (rest & 7) != 4)
			return false;
		for (int block = 0; block < 4; block++) {
			__be32 *edges = sack + 1 + block * 2;

			if ((__u32)(block + 1) * 8 + 4 > rest || (void *)(edges + 2) > end)
				break;
			*sum += shift(&edges[0], flow->ack_delta);
			*sum += shift(&edges[1], flow->ack_delta);
		}
	}
	if (!has_time)
		return true;
	if (flow->flags & FLOW_TIMESTAMPS) {
		*sum += shift(&time[1], flow->tsval_delta);
		*clock = bpf_ntohl(time[1]);
		if (time[2])
			*sum += shift(&time[2], flow->tsecr_delta);
	}
	return true;
}

/* --- the TCP header --- */

static __always_inline __u16 rescale(__be16 window, const struct flow *flow)
{
	__u32 bytes = (__u32)bpf_ntohs(window) << (flow->window_in & 15);
	__u32 shift_out = flow->window_out & 15;
	__u32 scaled = (bytes + ((1u << shift_out) - 1)) >> shift_out;

	return bpf_htons(scaled > 0xffff ? 0xffff : scaled);
}

/* Everything but options and checksum; returns what it adds to the sum. */
static __always_inline __u64 rewrite_tcp(struct tcphdr *tcp, const struct flow *flow)
{
	__u64 sum = (__u16)~tcp->source + (__u64)(__u16)~tcp->dest;

	tcp->source = flow->source_port;
	tcp->dest = flow->destination_port;
	sum += (__u64)tcp->source + tcp->dest;
	sum += shift(&tcp->seq, flow->seq_delta);
	if (tcp->ack)
		sum += shift(&tcp->ack_seq, flow->ack_delta);
	if (!tcp->rst) {
		__be16 before = tcp->window;

		tcp->window = rescale(before, flow);
		sum += (__u64)(__u16)~before + tcp->window;
	}
	return sum;
}

/* --- the IP headers: what changing the addresses adds to a sum --- */

static __always_inline __u64 readdress4(struct iphdr *ip, const struct flow *flow)
{
	__u64 sum = changed(ip->saddr, flow->source[0]) + changed(ip->daddr, flow->destination[0]);

	ip->saddr = flow->source[0];
	ip->daddr = flow->destination[0];
	return sum;
}

static __always_inline __u64 readdress6(struct ipv6hdr *ip, const struct flow *flow)
{
	__u64 sum = 0;

	for (int i = 0; i < 4; i++) {
		sum += changed(ip->saddr.in6_u.u6_addr32[i], flow->source[i]);
		sum += changed(ip->daddr.in6_u.u6_addr32[i], flow->destination[i]);
		ip->saddr.in6_u.u6_addr32[i] = flow->source[i];
		ip->daddr.in6_u.u6_addr32[i] = flow->destination[i];
	}
	return sum;
}

/* One hop further. The time to live shares its word with the protocol. */
static __always_inline __u64 pass_on4(struct iphdr *ip)
{
	__be16 *word = (__be16 *)&ip->ttl;
	__be16 before = *word;

	ip->ttl--;
	return (__u64)(__u16)~before + *word;
}

static __always_inline __u64 pass_on6(struct ipv6hdr *ip)
{
	__be16 *word = (__be16 *)&ip->nexthdr; /* and the hop limit */
	__be16 before = *word;

	ip->hop_limit--;
	return (__u64)(__u16)~before + *word;
}

/* What the IP header becomes, its checksum included. Returns what its addresses add to a sum;
 * `ret_outer` gets what else it adds to one over the whole packet. */
static __always_inline __u64 rewrite_ip(void *at, const struct flow *flow, bool ipv6, bool hop,
					__u64 *ret_outer)
{
	struct iphdr *ip = at;
	__u64 addresses, hops = 0;

	if (ipv6) {
		*ret_outer = hop ? pass_on6(at) : 0;
		return readdress6(at, flow);
	}
	addresses = readdress4(ip, flow);
	if (hop)
		hops = pass_on4(ip);
	ip->check = ~fold((__u64)(__u16)~ip->check + addresses + hops);
	/* The header's own sum is always the same. */
	*ret_outer = 0;
	return addresses;
}

static __always_inline bool needs_hop(const struct flow *flow)
{
	return flow->exit != FLOW_EXIT_UP;
}

/* Two bytes at a time: a copy of arrays would be made byte by byte. */
static __always_inline void rewrite_macs(struct ethhdr *ethernet, const struct flow *flow)
{
	__u16 *to = (__u16 *)ethernet;
	const __u16 *destination = (const __u16 *)flow->mac_destination;
	const __u16 *source = (const __u16 *)flow->mac_source;

#pragma unroll
	for (int i = 0; i < ETH_ALEN / 2; i++) {
		to[i] = destination[i];
		to[i + ETH_ALEN / 2] = source[i];
	}
}
