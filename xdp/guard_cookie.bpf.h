/* SPDX-License-Identifier: Apache-2.0
 *
 * SYN cookies made at the door; xdp/guard_return.bpf.h knows them again. They are the kernel's own
 * (same secret), so that the kernel opens the connection from the answer, if it believes that there
 * was a flood.
 *
 * Happy path: the SYN's options are read, the answer is written over it and leaves where it came
 * from. What the kernel is to know later must be in the cookie (the MSS) or in the timestamp, whose
 * lowest bits carry window scale and SACK; without timestamps on both sides there is only the MSS.
 * The same where the kernel adds a secret offset to each client's timestamps, which cannot be known
 * here (net.ipv4.tcp_timestamps=1; with 2 it does not).
 * Failure modes: a SYN with IP options or extension headers, or a driver without room at the end of
 * a packet, gets no answer: false.
 */
#pragma once

#include "xdp/bounded.bpf.h"
#include "xdp/guard_packet.bpf.h"
#include "xdp/guard_tables.bpf.h"

__u32 guard_plain_clock; /* timestamps have no secret offset */

#define OPTIONS_MAX    40
#define OPTION_END     0
#define OPTION_NOP     1
#define OPTION_MSS     2
#define OPTION_SCALE   3
#define OPTION_SACK_OK 4
#define OPTION_TIME    8
#define OPTIONS_MSS    4 /* bytes of an answer's options: alone, with timestamps, and scaled */
#define OPTIONS_CLOCK  16
#define OPTIONS_SCALED 20
#define NS_PER_MS      1000000
#define ANSWER_TTL     64
#define DEFAULT_MSS4   536
#define DEFAULT_MSS6   1220
#define SCALE_MAX      14
#define FLAGS_SYN_ACK  0x12

/* include/net/tcp.h of the kernel: what cookie_timestamp_decode() finds in a TSecr. */
#define CLOCK_BITS     6
#define CLOCK_NO_SCALE 0xf
#define CLOCK_SACK     (1 << 4)

struct guard_syn {
	__u8 header[64]; /* TCP with its options, 60 at most */
	__be32 clock;    /* its TSval, as on the wire */
	__u32 at;        /* of the option that is looked at */
	__u32 length;
	__u8 has_clock;
	__u8 has_sack;
	__u8 scale; /* GUARD_NO_SCALE: none */
	__u8 reserved;
};

/* One packet is answered at a time on each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct guard_syn);
} guard_scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GUARD_INTERFACES);
	__type(key, __u32);
	__type(value, struct guard_interface);
} guard_interfaces SEC(".maps");

struct answer_tcp {
	__be16 source;
	__be16 destination;
	__be32 seq;
	__be32 ack;
	__u8 offset;
	__u8 flags;
	__be16 window;
	__be16 check;
	__be16 urgent;
	__be32 options[5];
};

/* What the sum over TCP covers besides (RFC 9293, 3.1; RFC 8200, 8.1). */
struct pseudo {
	__be32 source[4];
	__be32 destination[4];
	__be32 length;
	__be32 protocol;
};

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)((sum & 0xffff) + (sum >> 16));
}

/* --- what the client can --- */

static __always_inline __u8 byte_at(const struct guard_syn *syn, __u32 at)
{
	return syn->header[at & 63];
}

static __always_inline void take_option(struct guard_syn *syn, __u8 kind, __u8 length, __u32 at)
{
	if (kind == OPTION_SACK_OK && length == 2)
		syn->has_sack = 1;
	if (kind == OPTION_SCALE && length == 3)
		syn->scale = byte_at(syn, at + 2) > SCALE_MAX ? SCALE_MAX : byte_at(syn, at + 2);
	if (kind == OPTION_TIME && length == 10) {
		syn->has_clock = 1;
		syn->clock = bpf_htonl((__u32)byte_at(syn, at + 2) << 24 |
				       (__u32)byte_at(syn, at + 3) << 16 |
				       (__u32)byte_at(syn, at + 4) << 8 | byte_at(syn, at + 5));
	}
}

/* For bpf_loop(): 0 goes on. */
static long read_option(__u32 turn, void *context)
{
	__u32 zero = 0, at, length;
	struct guard_syn *syn = bpf_map_lookup_elem(&guard_scratch, &zero);
	__u8 kind;

	if (!syn || syn->at >= syn->length)
		return 1;
	at = syn->at;
	kind = byte_at(syn, at);
	if (kind == OPTION_END)
		return 1;
	if (kind == OPTION_NOP) {
		syn->at = at + 1;
		return 0;
	}
	length = byte_at(syn, at + 1);
	if (length < 2 || at + length > syn->length)
		return 1;
	take_option(syn, kind, length, at);
	syn->at = at + length;
	return 0;
}

static __always_inline struct guard_syn *read_syn(struct xdp_md *ctx,
						  const struct guard_packet *packet)
{
	__u32 zero = 0, length = packet->header;
	struct guard_syn *syn = bpf_map_lookup_elem(&guard_scratch, &zero);

	if (!syn || length < sizeof(struct tcphdr) || length > 60 ||
	    bpf_xdp_load_bytes(ctx, packet->tcp_at, syn->header, length))
		return NULL;
	syn->at = sizeof(struct tcphdr);
	syn->length = length;
	syn->has_clock = 0;
	syn->has_sack = 0;
	syn->scale = GUARD_NO_SCALE;
	bpf_loop(OPTIONS_MAX, read_option, NULL, 0);
	return syn;
}

/* --- the answer --- */

/* As cookie_init_timestamp() of the kernel: never ahead of its clock. */
static __always_inline __be32 clock_with(const struct guard_syn *syn, bool scaled, __u64 now_ns)
{
	__u32 now = (__u32)(now_ns / NS_PER_MS);
	__u32 clock = (now >> CLOCK_BITS << CLOCK_BITS) |
		      (scaled ? syn->scale & CLOCK_NO_SCALE : CLOCK_NO_SCALE) |
		      (syn->has_sack ? CLOCK_SACK : 0);

	return bpf_htonl(clock > now ? clock - (1 << CLOCK_BITS) : clock);
}

/* Returns how many bytes of options. */
static __always_inline __u32 write_options(const struct guard_gate *gate,
					   const struct guard_syn *syn, __u16 mss, __u64 now_ns,
					   __be32 options[5])
{
	bool scaled = syn->scale != GUARD_NO_SCALE && gate->window_scale != GUARD_NO_SCALE;

	options[0] = bpf_htonl(OPTION_MSS << 24 | 4 << 16 | mss);
	if (!syn->has_clock || !guard_plain_clock)
		return OPTIONS_MSS;
	options[1] =
		syn->has_sack
			? bpf_htonl(OPTION_SACK_OK << 24 | 2 << 16 | OPTION_TIME << 8 | 10)
			: bpf_htonl(OPTION_NOP << 24 | OPTION_NOP << 16 | OPTION_TIME << 8 | 10);
	options[2] = clock_with(syn, scaled, now_ns);
	options[3] = syn->clock;
	if (!scaled)
		return OPTIONS_CLOCK;
	options[4] = bpf_htonl(OPTION_NOP << 24 | OPTION_SCALE << 16 | 3 << 8 | gate->window_scale);
	return OPTIONS_SCALED;
}

static __always_inline __u16 own_mss(struct xdp_md *ctx, const struct guard_gate *gate, bool ipv6)
{
	__u32 ifindex = ctx->ingress_ifindex;
	struct guard_interface *interface = bpf_map_lookup_elem(&guard_interfaces, &ifindex);
	__u16 mss = ipv6 ? DEFAULT_MSS6 : DEFAULT_MSS4;

	if (interface)
		mss = ipv6 ? interface->mss6 : interface->mss4;
	return gate->mss && gate->mss < mss ? gate->mss : mss;
}

/* `tcp` but for its addresses' part. Returns its length. */
static __always_inline __u32 write_tcp(struct xdp_md *ctx, const struct guard_gate *gate,
				       const struct guard_packet *packet,
				       const struct guard_syn *syn, __u32 cookie, __u64 now_ns,
				       struct answer_tcp *tcp)
{
	const struct tcphdr *theirs = (const struct tcphdr *)syn->header;
	__u32 length =
		sizeof(struct tcphdr) +
		write_options(gate, syn, own_mss(ctx, gate, packet->ipv6), now_ns, tcp->options);

	tcp->source = packet->destination_port;
	tcp->destination = packet->source_port;
	tcp->seq = bpf_htonl(cookie);
	tcp->ack = bpf_htonl(bpf_ntohl(theirs->seq) + 1);
	tcp->offset = length << 2;
	tcp->flags = FLAGS_SYN_ACK;
	tcp->window = bpf_htons(gate->window);
	return length;
}

/* Bytes behind the answer are 0 in `tcp`, which adds nothing. IPv4's mapped addresses have 0xffff
 * twice more than it should, which adds nothing either: in a one's complement sum that is 0. */
static __always_inline __be16 sum_up(const struct guard_packet *packet, struct answer_tcp *tcp,
				     __u32 length)
{
	struct pseudo pseudo = {.length = bpf_htonl(length), .protocol = bpf_htonl(IPPROTO_TCP)};
	__s64 sum;

	__builtin_memcpy(pseudo.source, packet->destination, 16);
	__builtin_memcpy(pseudo.destination, packet->source, 16);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&pseudo, sizeof(pseudo), 0);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)tcp, sizeof(*tcp), sum);
	return (__be16)~fold(sum);
}

static __always_inline void write_ip4(const struct guard_packet *packet, __u32 length,
				      struct iphdr *ip)
{
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = bpf_htons(sizeof(*ip) + length);
	ip->frag_off = bpf_htons(0x4000); /* "don't fragment" */
	ip->ttl = ANSWER_TTL;
	ip->protocol = IPPROTO_TCP;
	ip->saddr = packet->destination[3];
	ip->daddr = packet->source[3];
	ip->check = (__be16)~fold(bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(*ip), 0));
}

static __always_inline void write_ip6(const struct guard_packet *packet, __u32 length,
				      struct ipv6hdr *ip)
{
	ip->version = 6;
	ip->payload_len = bpf_htons(length);
	ip->nexthdr = IPPROTO_TCP;
	ip->hop_limit = ANSWER_TTL;
	__builtin_memcpy(&ip->saddr, packet->destination, 16);
	__builtin_memcpy(&ip->daddr, packet->source, 16);
}

/* The frame gets its new length, and goes back to whom it came from. */
static __always_inline bool turn_round(struct xdp_md *ctx, __u32 length)
{
	__u64 size = (__u64)(ctx->data_end - ctx->data);
	struct ethhdr *ethernet;
	__u8 mac[ETH_ALEN];

	/* So that the difference is taken first: nothing may be added to data_end. */
	asm volatile("" : "+r"(size));
	if (bpf_xdp_adjust_tail(ctx, (int)length - (int)size))
		return false;
	ethernet = (void *)(long)ctx->data;
	if ((void *)(ethernet + 1) > (void *)(long)ctx->data_end)
		return false;
	__builtin_memcpy(mac, ethernet->h_dest, ETH_ALEN);
	__builtin_memcpy(ethernet->h_dest, ethernet->h_source, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, mac, ETH_ALEN);
	return true;
}

static __always_inline bool store_tcp(struct xdp_md *ctx, __u32 at, struct answer_tcp *tcp,
				      __u32 length)
{
	if (length < sizeof(struct tcphdr) || length > sizeof(*tcp))
		return false;
	return !bpf_xdp_store_bytes(ctx, at, tcp, length);
}

static __always_inline bool answer4(struct xdp_md *ctx, const struct guard_gate *gate,
				    const struct guard_packet *packet, struct guard_syn *syn,
				    __u64 now_ns)
{
	struct iphdr ip = {.saddr = packet->source[3], .daddr = packet->destination[3]};
	struct answer_tcp tcp = {0};
	__s64 cookie = bpf_tcp_raw_gen_syncookie_ipv4(&ip, (struct tcphdr *)syn->header,
						      bounded(syn->length));
	__u32 length;

	if (cookie < 0)
		return false;
	length = write_tcp(ctx, gate, packet, syn, (__u32)cookie, now_ns, &tcp);
	tcp.check = sum_up(packet, &tcp, length);
	write_ip4(packet, length, &ip);
	return turn_round(ctx, packet->tcp_at + length) &&
	       !bpf_xdp_store_bytes(ctx, packet->ip_at, &ip, sizeof(ip)) &&
	       store_tcp(ctx, packet->tcp_at, &tcp, length);
}

static __always_inline bool answer6(struct xdp_md *ctx, const struct guard_gate *gate,
				    const struct guard_packet *packet, struct guard_syn *syn,
				    __u64 now_ns)
{
	struct ipv6hdr ip = {0};
	struct answer_tcp tcp = {0};
	__s64 cookie;
	__u32 length;

	__builtin_memcpy(&ip.saddr, packet->source, 16);
	__builtin_memcpy(&ip.daddr, packet->destination, 16);
	cookie = bpf_tcp_raw_gen_syncookie_ipv6(&ip, (struct tcphdr *)syn->header,
						bounded(syn->length));
	if (cookie < 0)
		return false;
	length = write_tcp(ctx, gate, packet, syn, (__u32)cookie, now_ns, &tcp);
	tcp.check = sum_up(packet, &tcp, length);
	write_ip6(packet, length, &ip);
	return turn_round(ctx, packet->tcp_at + length) &&
	       !bpf_xdp_store_bytes(ctx, packet->ip_at, &ip, sizeof(ip)) &&
	       store_tcp(ctx, packet->tcp_at, &tcp, length);
}

/* The SYN becomes its answer. False: there is none. */
static __always_inline bool send_cookie(struct xdp_md *ctx, const struct guard_gate *gate,
					const struct guard_packet *packet, __u64 now_ns)
{
	struct guard_syn *syn = packet->plain ? read_syn(ctx, packet) : NULL;

	if (!syn)
		return false;
	return packet->ipv6 ? answer6(ctx, gate, packet, syn, now_ns)
			    : answer4(ctx, gate, packet, syn, now_ns);
}
