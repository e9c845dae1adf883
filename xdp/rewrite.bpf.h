/* SPDX-License-Identifier: Apache-2.0
 *
 * One translation for every entry point: find the flow that a packet belongs to, decide whether it
 * is translated, and turn it from a packet of one TCP connection into one of another.
 *
 * After both connections are established their sequence numbers differ by a constant, so seq, ack,
 * the edges of SACK blocks and both timestamps get a constant added each (RFC 9293, 2018, 7323);
 * windows are scaled anew (RFC 7323, 2.3), rounded up so that one that is open never becomes 0.
 * Checksums are updated for what changed alone (RFC 1624).
 *
 * Happy path: Linux's own layout of options (NOP NOP timestamps, NOP NOP SACK) without a loop;
 * any other layout is copied out, walked with bpf_loop(), and copied back.
 * Failure modes: what cannot be translated is told by an event, so that user space asks the flow
 * back to its sockets; the packet itself is passed up or dropped, and sent again by its peer.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdbool.h>

#include "xdp/abi.h"
#include "xdp/kernel.h"

#define OPTIONS_MAX 40
#define OPTION_END  0
#define OPTION_NOP  1
#define OPTION_SACK 5
#define OPTION_TIME 8

#define NOPS_TIME 0x0101080a /* NOP NOP timestamps, length 10 */
#define NOPS_SACK 0x01010500 /* NOP NOP SACK, length in the last byte */
#define NOPS      0x01010101

#define IP4_SIZE  20
#define IP6_SIZE  40
#define FRAGMENTS 0x3fff /* IPv4: "more fragments", or an offset */

/* --- maps: sizes are set by user space before they are made --- */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, struct flow_key4);
	__type(value, __u32);
} flow_index4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, struct flow_key6);
	__type(value, __u32);
} flow_index6 SEC(".maps");

/* Mapped into the proxy, which sets states and reads figures without a system call. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FLOW_COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} flow_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} flow_events SEC(".maps");

struct options {
	__u8 bytes[64]; /* OPTIONS_MAX of them are used; the verifier likes powers of two */
	__u64 sum;
	__u32 at;
	__u32 length;
	__u32 flags; /* enum flow_flag */
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

static __always_inline void count(__u32 which)
{
	__u64 *counter = bpf_map_lookup_elem(&flow_counters, &which);

	if (counter)
		(*counter)++;
}

static __always_inline void tell(const struct flow *flow, __u32 index, __u32 kind, __u32 detail)
{
	struct flow_event *event = bpf_ringbuf_reserve(&flow_events, sizeof(*event), 0);

	if (!event) {
		count(FLOW_COUNT_EVENTS_LOST);
		return;
	}
	event->index = index;
	event->serial = flow->serial;
	event->kind = kind;
	event->detail = detail;
	bpf_ringbuf_submit(event, 0);
}

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

static __always_inline __u64 strip(__u8 *option, __u32 at, __u32 length)
{
	__u64 sum = 0;

	for (__u32 i = 0; i < 10; i++) {
		if (i >= length)
			break;
		/* Each byte by itself, at its own parity. */
		__u16 before = (at + i) & 1 ? option[i] << 8 : option[i];
		__u16 after = (at + i) & 1 ? OPTION_NOP << 8 : OPTION_NOP;

		sum += (__u16)~before + after;
		option[i] = OPTION_NOP;
	}
	return sum;
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

			if (option[6] | option[7] | option[8] | option[9])
				sum += shift_bytes(option + 6, options->tsecr_delta);
			options->sum += placed(sum, at);
		} else if (options->flags & FLOW_STRIP_TIMESTAMPS) {
			options->sum += strip(option, at, length);
		}
	} else if (*option == OPTION_SACK) {
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
						  const struct flow *flow, __u64 *sum)
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

		if ((head & 0xffffff00) != NOPS_SACK || (head & 0xff) + 2 != rest)
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
		if (time[2])
			*sum += shift(&time[2], flow->tsecr_delta);
	} else if (flow->flags & FLOW_STRIP_TIMESTAMPS) {
		for (int i = 0; i < 3; i++) {
			*sum += changed(time[i], bpf_htonl(NOPS));
			time[i] = bpf_htonl(NOPS);
		}
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

/* --- which flow, and what is to be done --- */

enum verdict {
	VERDICT_NONE, /* no flow of ours: as if we were not there */
	VERDICT_UP,   /* of a flow, but the kernel's */
	VERDICT_ACK,  /* an acknowledgement that the kernel is owed: see ack_kernel() */
	VERDICT_DROP,
	VERDICT_TRANSLATE,
};

/* What is known of a segment before it is changed. */
struct segment {
	struct flow *flow;
	struct flow *other; /* the way back */
	__u32 index;        /* of `flow` */
	__u32 seq;
	__u32 ack;
	__u32 payload;
	__u32 options; /* bytes of them */
	__u32 window;  /* scaled */
	bool syn;
	bool fin;
	bool rst;
	bool has_ack;
};

static __always_inline bool is_after(__u32 a, __u32 b)
{
	return (__s32)(a - b) > 0;
}

/* `segment->index` is set. False: it is no flow's after all. */
static __always_inline bool read_segment(const struct tcphdr *tcp, __u32 payload,
					 struct segment *segment)
{
	__u32 index = segment->index;

	segment->flow = bpf_map_lookup_elem(&flows, &index);
	index ^= 1;
	segment->other = bpf_map_lookup_elem(&flows, &index);
	if (!segment->flow || !segment->other)
		return false;
	segment->seq = bpf_ntohl(tcp->seq);
	segment->ack = bpf_ntohl(tcp->ack_seq);
	segment->payload = payload;
	segment->options = tcp->doff * 4 - sizeof(*tcp);
	segment->window = (__u32)bpf_ntohs(tcp->window) << (segment->flow->window_in & 15);
	segment->syn = tcp->syn;
	segment->fin = tcp->fin;
	segment->rst = tcp->rst;
	segment->has_ack = tcp->ack;
	return true;
}

/* The kernel is owed this acknowledgement, and nobody else needs it. */
static __always_inline bool is_for_kernel(const struct segment *segment)
{
	return segment->flow->flags & FLOW_KERNEL_PENDING && !segment->payload && !segment->fin &&
	       !segment->rst && !is_after(segment->ack, segment->flow->kernel_end);
}

/* While the kernel still moves bytes of its own on these connections, what it was sent and what it
 * offered is not known to the last byte: then whatever is near is believed. */
#define NEAR (1u << 30)

static __always_inline bool is_near(const struct segment *segment, __u32 a, __u32 b)
{
	return segment->flow->flags & FLOW_KERNEL_PENDING && a - b + NEAR < 2 * NEAR;
}

/* Acknowledges what was sent, or what was long acknowledged: nobody who guesses gets this right. */
static __always_inline bool acks_what_was_sent(const struct segment *segment)
{
	__u32 sent = segment->other->seq_end + segment->other->seq_delta;

	if (!segment->has_ack)
		return false;
	return sent - segment->ack < NEAR || is_near(segment, sent, segment->ack);
}

/* Stands within what its sender was offered, or repeats what it sent before. */
static __always_inline bool is_in_window(const struct segment *segment, __u32 end)
{
	return segment->flow->edge - end < NEAR || is_near(segment, segment->flow->edge, end);
}

/* Where its sender stands, or where its receiver said that it stands: elsewhere a reset is answered
 * and not believed (RFC 5961, 3.2). */
static __always_inline bool resets_exactly(const struct segment *segment)
{
	return segment->seq == segment->flow->seq_end ||
	       segment->seq == segment->other->last_ack - segment->flow->seq_delta;
}

/* What it acknowledges, and what its sender offers from there on. Windows are rounded up when they
 * are scaled anew, and one beyond the edge is how a window is probed. */
static __always_inline void note_ack(const struct segment *segment)
{
	__u32 edge = segment->ack - segment->other->seq_delta + segment->window +
		     (1u << (segment->other->window_in & 15)) + 1;

	if (!acks_what_was_sent(segment))
		return;
	if (is_after(segment->ack, segment->flow->last_ack))
		segment->flow->last_ack = segment->ack;
	segment->flow->last_window = segment->window;
	if (is_after(edge, segment->other->edge))
		segment->other->edge = edge;
}

static __always_inline enum verdict decide(const struct segment *segment)
{
	struct flow *flow = segment->flow;

	if (flow->state == FLOW_FREE)
		return VERDICT_UP;
	if (segment->syn) {
		tell(flow, segment->index, FLOW_EVENT_SYN, 0);
		count(FLOW_COUNT_PASSED_SYN);
		return VERDICT_UP;
	}
	if (flow->state == FLOW_HOLD) {
		/* What it acknowledges is how the flow is seen to be quiet. */
		note_ack(segment);
		if (!segment->payload && !segment->fin && !segment->rst)
			return VERDICT_UP;
		flow->held++;
		count(FLOW_COUNT_HELD);
		return VERDICT_DROP;
	}
	if (!segment->has_ack && !segment->rst) {
		count(FLOW_COUNT_MALFORMED);
		return VERDICT_DROP;
	}
	if (is_for_kernel(segment)) {
		note_ack(segment);
		count(FLOW_COUNT_PASSED_ACKS);
		return VERDICT_ACK;
	}
	return VERDICT_TRANSLATE;
}

/* Its sender may be far ahead of what the kernel has seen of it, and the kernel drops what is out
 * of its window, acknowledgement and all: so it stands where the kernel expects it. Returns what
 * that adds to the sum. */
static __always_inline __u64 ack_kernel(struct tcphdr *tcp, const struct flow *flow)
{
	__be32 before = tcp->seq;

	tcp->seq = bpf_htonl(flow->kernel_seq);
	return changed(before, tcp->seq);
}

/* A FIN or RST goes by, or the acknowledgement of a FIN is awaited. */
static __always_inline void note_end(const struct segment *segment, __u32 end)
{
	struct flow *flow = segment->flow;
	struct flow *other = segment->other;

	if (segment->rst && !flow->rst_seen) {
		flow->rst_seen = 1;
		tell(flow, segment->index, FLOW_EVENT_RST, 0);
	}
	if (segment->fin && !flow->fin_seen) {
		flow->fin_seen = 1;
		other->peer_fin_end = end + flow->seq_delta;
		other->peer_fin = 1;
		tell(flow, segment->index, FLOW_EVENT_FIN, 0);
	}
	if (flow->peer_fin && !flow->peer_fin_acked && segment->has_ack &&
	    !is_after(flow->peer_fin_end, segment->ack)) {
		flow->peer_fin_acked = 1;
		if (other->peer_fin_acked)
			tell(flow, segment->index, FLOW_EVENT_CLOSED, 0);
	}
}

/* Before anything is changed: what is learnt from it, in its own sequence space. From a segment
 * that its receiver will not believe nothing is. */
static __always_inline void note_segment(const struct segment *segment)
{
	struct flow *flow = segment->flow;
	__u32 end = segment->seq + segment->payload + (segment->fin ? 1 : 0);

	__sync_fetch_and_add(&flow->packets, 1);
	if (segment->rst ? !resets_exactly(segment) : !is_in_window(segment, end))
		return;
	if (segment->has_ack && !segment->rst && !acks_what_was_sent(segment))
		return;
	flow->last_ns = bpf_ktime_get_ns();
	if (!segment->rst) {
		note_ack(segment);
		if (is_after(end, flow->seq_end)) {
			__sync_fetch_and_add(&flow->bytes, end - flow->seq_end);
			flow->seq_end = end;
		}
	}
	if (segment->fin || segment->rst || flow->peer_fin)
		note_end(segment, end);
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

/* One hop further, and the header's checksum for that and for `addresses`. False: no hop is left.
 */
static __always_inline bool pass_on4(struct iphdr *ip, __u64 addresses, bool hop)
{
	__u64 sum = addresses;

	if (hop) {
		__be16 *ttl = (__be16 *)&ip->ttl; /* and the protocol behind it */
		__be16 before = *ttl;

		if (ip->ttl <= 1)
			return false;
		ip->ttl--;
		sum += (__u64)(__u16)~before + *ttl;
	}
	ip->check = ~fold((__u64)(__u16)~ip->check + sum);
	return true;
}
