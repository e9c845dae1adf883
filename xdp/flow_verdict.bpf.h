/* SPDX-License-Identifier: Apache-2.0
 *
 * What is to be done with a segment of a flow, and what is learnt from it.
 *
 * Happy path: an ACTIVE flow's segment is translated; what its receiver will believe of it (it
 * stands in the window, and acknowledges what was sent: RFC 9293, 3.10.7.4, and RFC 5961) raises
 * the flow's figures.
 * Failure modes: somebody who has to guess numbers gets his packets sent on, as by a router, and
 * changes nothing here.
 */
#pragma once

#include "xdp/rewrite.bpf.h"

/* --- which flow, and what is to be done --- */

enum verdict {
	VERDICT_NONE, /* no flow of ours: as if we were not there */
	VERDICT_UP,   /* of a flow, but the kernel's */
	VERDICT_ACK,  /* an acknowledgement that the kernel is owed: see place() */
	VERDICT_DROP,
	VERDICT_TRANSLATE,
};

/* What is known of a segment before it is changed. */
struct segment {
	struct flow *flow;
	struct flow *other; /* the way back */
	__u32 index;        /* of `flow` */
	__u32 seq;
	__u32 end; /* behind its payload and FIN */
	__u32 ack;
	__u32 payload;
	__u32 options; /* bytes of them */
	__u32 window;  /* scaled */
	__u8 hops;     /* that are left */
	bool syn;
	bool fin;
	bool rst;
	bool has_ack;
	bool believed; /* by its receiver */
};

static __always_inline bool is_after(__u32 a, __u32 b)
{
	return (__s32)(a - b) > 0;
}

/* `segment->index` is set. False: it is no flow's after all. */
static __always_inline bool find_pair(struct segment *segment)
{
	__u32 index = segment->index;

	segment->flow = bpf_map_lookup_elem(&flows, &index);
	index ^= 1;
	segment->other = bpf_map_lookup_elem(&flows, &index);
	return segment->flow && segment->other;
}

/* Its packets are ours. */
static __always_inline bool is_in_force(const struct flow *flow)
{
	return flow->state == FLOW_HOLD || flow->state == FLOW_ACTIVE;
}

/* Nobody waits for anything any more, save perhaps for an acknowledgement that was lost. */
static __always_inline bool is_over(const struct segment *segment)
{
	const struct flow *flow = segment->flow;
	const struct flow *other = segment->other;

	return (flow->peer_fin_acked && other->peer_fin_acked) || flow->rst_seen || other->rst_seen;
}

/* Who begins anew where a connection is over need not wait until it is forgotten (RFC 9293, 3.6.1):
 * from its SYN on, what comes is the kernel's. One on a live tuple the kernel answers itself. */
static __always_inline void meet_syn(const struct segment *segment, bool opens)
{
	if (opens && segment->flow->state == FLOW_ACTIVE && is_over(segment))
		segment->flow->state = segment->other->state = FLOW_YIELDED;
	tell(segment->flow, segment->index, FLOW_EVENT_SYN, 0);
	count(FLOW_COUNT_PASSED_SYN);
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

/* Stands within what its sender was offered, and is not older than what its receiver has
 * acknowledged; nothing of its sender's lies behind a FIN. */
static __always_inline bool is_in_window(const struct segment *segment)
{
	__u32 acked = segment->other->last_ack - segment->flow->seq_delta;

	if (segment->fin && is_after(segment->flow->seq_end, segment->end))
		return false;
	return segment->end - acked <= segment->flow->edge - acked ||
	       is_near(segment, segment->flow->edge, segment->end);
}

/* Where its sender stands, or where its receiver said that it stands: elsewhere a reset is answered
 * and not believed (RFC 5961, 3.2). */
static __always_inline bool resets_exactly(const struct segment *segment)
{
	return segment->seq == segment->flow->seq_end ||
	       segment->seq == segment->other->last_ack - segment->flow->seq_delta;
}

/* The rules of the receiver, RFC 9293, 3.10.7.4. */
static __always_inline bool is_believed(const struct segment *segment)
{
	if (segment->rst)
		return resets_exactly(segment);
	return is_in_window(segment) && acks_what_was_sent(segment);
}

/* `segment` has its index, options and payload. False: it is no flow's after all. */
static __always_inline bool read_segment(const struct tcphdr *tcp, struct segment *segment)
{
	if (!find_pair(segment))
		return false;
	segment->seq = bpf_ntohl(tcp->seq);
	segment->end = segment->seq + segment->payload + tcp->fin;
	segment->ack = bpf_ntohl(tcp->ack_seq);
	segment->window = (__u32)bpf_ntohs(tcp->window) << (segment->flow->window_in & 15);
	segment->syn = tcp->syn;
	segment->fin = tcp->fin;
	segment->rst = tcp->rst;
	segment->has_ack = tcp->ack;
	segment->believed = is_believed(segment);
	return true;
}

/* What it acknowledges, and what the other side is offered from there on: windows are rounded up
 * when they are scaled anew, and one beyond the edge is how a window is probed. */
static __always_inline void note_ack(const struct segment *segment)
{
	__u32 edge = segment->ack - segment->other->seq_delta + segment->window +
		     (1u << (segment->flow->window_out & 15)) + 1;

	if (is_after(segment->ack, segment->flow->last_ack))
		segment->flow->last_ack = segment->ack;
	segment->flow->last_window = segment->window;
	if (is_after(edge, segment->other->edge))
		segment->other->edge = edge;
}

static __always_inline enum verdict decide(const struct segment *segment)
{
	struct flow *flow = segment->flow;

	if (!is_in_force(flow))
		return VERDICT_UP;
	if (segment->syn) {
		meet_syn(segment, !segment->has_ack && !segment->fin && !segment->rst);
		return VERDICT_UP;
	}
	if (flow->state == FLOW_HOLD) {
		/* What it acknowledges is how the flow is seen to be quiet. */
		if (segment->believed && !segment->rst)
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
		/* Moved to where the kernel expects it, a guess would be believed. */
		if (!segment->believed)
			return VERDICT_UP;
		note_ack(segment);
		count(FLOW_COUNT_PASSED_ACKS);
		return VERDICT_ACK;
	}
	return VERDICT_TRANSLATE;
}

/* An acknowledgement for the kernel. Its sender may be far ahead of what the kernel has seen of it,
 * and the kernel drops what is out of its window, acknowledgement and all: so it stands where the
 * kernel expects it. Returns what that adds to the sum. */
static __always_inline __u64 place(struct tcphdr *tcp, __u32 seq)
{
	__be32 before = tcp->seq;

	tcp->seq = bpf_htonl(seq);
	return changed(before, tcp->seq);
}

/* A FIN or RST goes by, or the acknowledgement of a FIN is awaited. */
static __always_inline void note_end(const struct segment *segment)
{
	struct flow *flow = segment->flow;
	struct flow *other = segment->other;

	if (segment->rst && !flow->rst_seen) {
		flow->rst_seen = 1;
		tell(flow, segment->index, FLOW_EVENT_RST, 0);
	}
	if (segment->fin && !flow->fin_seen) {
		flow->fin_seen = other->fin_seen ? 2 : 1;
		other->peer_fin_end = segment->end + flow->seq_delta;
		other->peer_fin = 1;
		tell(flow, segment->index, FLOW_EVENT_FIN, 0);
	}
	/* Nothing lies behind a FIN, so its acknowledgement is exactly that. Not "at least":
	 * another CPU may have just noted the FIN, and on arm64 be seen to have done so before
	 * where it ends is. */
	if (flow->peer_fin && !flow->peer_fin_acked && segment->has_ack &&
	    segment->ack == flow->peer_fin_end) {
		flow->peer_fin_acked = 1;
		if (other->peer_fin_acked)
			tell(flow, segment->index, FLOW_EVENT_CLOSED, 0);
	}
}

/* Bytes that were not there before: what comes twice counts once; behind a gap the gap is counted,
 * too, since it will be filled. What the kernel takes itself, user space knows (xdp/flow/look.c).
 */
static __always_inline __u32 fresh_bytes(const struct segment *segment)
{
	__u32 end = segment->end - segment->fin;

	return is_after(end, segment->flow->seq_end) ? end - segment->flow->seq_end : 0;
}

/* Before anything is changed: what is learnt from it, in its own sequence space. From a segment
 * that its receiver will not believe nothing is. */
static __always_inline void note_segment(const struct segment *segment)
{
	struct flow *flow = segment->flow;

	if (!segment->believed)
		return;
	flow->last_ns = bpf_ktime_get_coarse_ns(); /* a tick is exact enough, and costs a fifth */
	__sync_fetch_and_add(&flow->packets, 1);
	if (!segment->rst) {
		note_ack(segment);
		if (fresh_bytes(segment))
			__sync_fetch_and_add(&flow->bytes, fresh_bytes(segment));
		if (is_after(segment->end, flow->seq_end))
			flow->seq_end = segment->end;
	}
	if (segment->fin || segment->rst || flow->peer_fin)
		note_end(segment);
}

/* What is sent on acknowledges for the other side; only of interest while the kernel does too. */
static __always_inline void note_told(const struct segment *segment)
{
	struct flow *flow = segment->flow;

	if (segment->believed && !segment->rst && is_after(segment->ack, flow->told_ack))
		flow->told_ack = segment->ack;
}

/* The clock that the other side was shown: whoever makes a socket for it must not be behind. */
static __always_inline void note_clock(const struct segment *segment, __u32 clock)
{
	struct flow *flow = segment->flow;

	if (segment->believed && clock && (!flow->clock_sent || is_after(clock, flow->clock_sent)))
		flow->clock_sent = clock;
}

/* What a translation cannot mend: a segment that the other leg does not take, or no hop left. From
 * sockets both go on as they should. */
static __always_inline bool can_leave(const struct segment *segment, bool oversized)
{
	bool stuck = needs_hop(segment->flow) && segment->hops <= 1;

	if (!oversized && !stuck)
		return true;
	count(oversized ? FLOW_COUNT_OVERSIZED : FLOW_COUNT_TTL);
	if (segment->believed) {
		note_ack(segment); /* or the flow would never be seen to be quiet */
		tell(segment->flow, segment->index, FLOW_EVENT_ODD, segment->payload);
	}
	return false;
}
