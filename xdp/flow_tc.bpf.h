/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow splice by tc: on ingress, after GRO, packets of a flow are translated; on egress the kernel
 * is kept from speaking for sockets that are only there to keep a place.
 *
 * Happy path: the headers stand in one piece, the segment is translated and redirected.
 * Failure modes: whatever is not quite right goes up, as if this were not there; what must not go
 * up is dropped, and sent again by its peer.
 */
#pragma once

#include <bpf/bpf_core_read.h>

#include "xdp/flow_kernel.bpf.h"
#include "xdp/kernel.h"

/* Kernels from 6.2 tell how the checksum is carried; without that, helpers do it, slower. */
extern void *bpf_cast_to_kern_ctx(void *obj) __ksym __weak;

/* As if the kernel did not tell. */
const volatile bool sums_by_helpers = false;

#define TC_NEXT (-1) /* TCX_NEXT, TC_ACT_UNSPEC */
#define TC_UP   0    /* TC_ACT_OK */
#define TC_DROP 2    /* TC_ACT_SHOT */

#define NONE_KNOWN 0xff /* in place of ip_summed */

/* --- ingress --- */

static __always_inline __u8 checksum_kind(struct __sk_buff *skb)
{
	if (!sums_by_helpers && bpf_cast_to_kern_ctx) {
		struct sk_buff *kernel = bpf_cast_to_kern_ctx(skb);

		return BPF_CORE_READ_BITFIELD_PROBED(kernel, ip_summed);
	}
	return NONE_KNOWN;
}

/* `sum` is what the segment's own change adds, `addresses` that of the addresses. */
static __always_inline void fix_checksum(struct __sk_buff *skb, struct tcphdr *tcp, __u8 kind,
					 bool ipv6, __u64 sum, __u64 addresses)
{
	if (kind == CHECKSUM_PARTIAL) {
		/* The field holds the sum of the pseudo-header, not inverted; the rest is summed
		 * by whoever sends it. */
		tcp->check = fold((__u64)tcp->check + fold(addresses));
		return;
	}
	tcp->check = ~fold((__u64)(__u16)~tcp->check + sum + fold(addresses));
	/* The whole packet's sum is there: the field took up the change of the addresses, which for
	 * IPv6 are in that sum themselves, so that the two cancel out. */
	if (kind == CHECKSUM_COMPLETE && !ipv6)
		bpf_csum_update(skb, (__u16)~fold(addresses));
}

/* Pointers into the packet are stale afterwards. */
static __always_inline void fix_checksum_slowly(struct __sk_buff *skb, bool ipv6, __u64 sum,
						__u64 addresses)
{
	__u32 at = TCP_AT(ipv6) + offsetof(struct tcphdr, check);

	bpf_l4_csum_replace(skb, at, 0, fold(sum), 0);
	bpf_l4_csum_replace(skb, at, 0, fold(addresses), BPF_F_PSEUDO_HDR);
	/* The helper does as for IPv4; without a sum over the packet, this does nothing. */
	if (ipv6)
		bpf_csum_update(skb, fold(addresses));
}

/* The same, where no address changes. */
static __always_inline void fix_own_checksum(struct __sk_buff *skb, struct tcphdr *tcp, __u8 kind,
					     bool ipv6, __u64 sum)
{
	if (kind == NONE_KNOWN)
		bpf_l4_csum_replace(skb, TCP_AT(ipv6) + offsetof(struct tcphdr, check), 0,
				    fold(sum), 0);
	else if (kind != CHECKSUM_PARTIAL)
		tcp->check = ~fold((__u64)(__u16)~tcp->check + sum);
}

static __always_inline int pass_ack(struct __sk_buff *skb, const struct segment *segment,
				    const struct own_socket *own, bool ipv6)
{
	struct tcphdr *tcp = (void *)(long)skb->data + TCP_AT(ipv6);
	__u8 kind = checksum_kind(skb);
	__u64 sum;

	if ((void *)(tcp + 1) > (void *)(long)skb->data_end)
		return TC_NEXT;
	sum = place(tcp, own->found ? own->rcv_nxt : segment->flow->kernel_seq);
	fix_own_checksum(skb, tcp, kind, ipv6, sum);
	return TC_NEXT;
}

/* Options in any layout. Pointers into the packet are stale afterwards, whatever comes of it. */
static __always_inline bool rewrite_other_options(struct __sk_buff *skb, __u32 at,
						  const struct segment *segment, __u64 *sum,
						  __u32 *clock)
{
	__u32 zero = 0;
	struct options *options = bpf_map_lookup_elem(&options_scratch, &zero);
	__u32 length = segment->options;

	if (!options || !length || length > OPTIONS_MAX)
		return false;
	length = bounded(length);
	if (bpf_skb_load_bytes(skb, at, options->bytes, length))
		return false;
	*sum += walk_options(options, segment->flow, length);
	*clock = options->clock;
	return !bpf_skb_store_bytes(skb, at, options->bytes, length, 0);
}

static __always_inline int leave(struct __sk_buff *skb, const struct flow *flow)
{
	switch (flow->exit) {
	case FLOW_EXIT_UP:
		count(FLOW_COUNT_LOCAL);
		return TC_UP;
	case FLOW_EXIT_INGRESS:
		count(FLOW_COUNT_LOCAL);
		return bpf_redirect(flow->exit_ifindex, BPF_F_INGRESS);
	case FLOW_EXIT_NEIGHBOUR:
		count(FLOW_COUNT_REDIRECTED);
		return bpf_redirect_neigh(flow->exit_ifindex, NULL, 0, 0);
	default:
		count(FLOW_COUNT_REDIRECTED);
		return bpf_redirect(flow->exit_ifindex, 0);
	}
}

/* More at once than the other leg takes, in a way that nobody will cut up for us. */
static __always_inline bool is_oversized(struct __sk_buff *skb, const struct segment *segment)
{
	__u32 gso_size = skb->gso_size;

	if (segment->flow->exit == FLOW_EXIT_UP || segment->flow->exit == FLOW_EXIT_INGRESS)
		return false;
	return (gso_size ? gso_size : segment->payload) + segment->options > segment->flow->out_mss;
}

/* Options, TCP header and IP header, in place. False: the packet is to be dropped. */
static __always_inline bool rewrite(struct __sk_buff *skb, const struct segment *segment, bool ipv6)
{
	struct flow *flow = segment->flow;
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	struct tcphdr *tcp = data + TCP_AT(ipv6);
	__u8 kind = checksum_kind(skb);
	__u64 addresses, outer, sum = 0;
	__u32 clock = 0;

	if ((void *)(tcp + 1) > end)
		return false;
	if (!rewrite_usual_options(tcp, end, segment->options, flow, &sum, &clock)) {
		if (!rewrite_other_options(skb, TCP_AT(ipv6) + sizeof(*tcp), segment, &sum, &clock))
			return false;
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
		tcp = data + TCP_AT(ipv6);
		if ((void *)(tcp + 1) > end)
			return false;
	}
	note_clock(segment, clock);
	sum += rewrite_tcp(tcp, flow);
	addresses = rewrite_ip(data + ETH_HLEN, flow, ipv6, needs_hop(flow), &outer);
	if (flow->exit == FLOW_EXIT_INGRESS || flow->exit == FLOW_EXIT_MAC)
		rewrite_macs(data, flow);
	if (kind == NONE_KNOWN)
		fix_checksum_slowly(skb, ipv6, sum, addresses);
	else
		fix_checksum(skb, tcp, kind, ipv6, sum, addresses);
	if (outer && (kind == NONE_KNOWN || kind == CHECKSUM_COMPLETE))
		bpf_csum_update(skb, fold(outer));
	return true;
}

/* The headers, options included, stand in one piece. */
static __always_inline bool pull(struct __sk_buff *skb, __u32 bytes)
{
	if ((void *)(long)skb->data + bytes <= (void *)(long)skb->data_end)
		return true;
	return skb->len >= bytes && !bpf_skb_pull_data(skb, bytes);
}

static __always_inline int splice(struct __sk_buff *skb, bool ipv6)
{
	struct source source = {.ctx = skb};
	struct segment segment = {0};
	struct own_socket own = {0};
	struct tcphdr *tcp;
	enum found found;

	if (!pull(skb, TCP_AT(ipv6) + sizeof(*tcp)))
		return TC_NEXT;
	found = find((void *)(long)skb->data, (void *)(long)skb->data_end, skb->len, skb->gso_size,
		     ipv6, false, &segment);
	if (found != FOUND_FLOW)
		return look_further(source, found, ipv6) == VERDICT_DROP ? TC_DROP : TC_NEXT;
	if (!pull(skb, TCP_AT(ipv6) + sizeof(*tcp) + segment.options))
		return TC_NEXT;
	tcp = (void *)(long)skb->data + TCP_AT(ipv6);
	if ((void *)(tcp + 1) > (void *)(long)skb->data_end || !read_segment(tcp, &segment))
		return TC_NEXT;
	if (segment.flow->flags & FLOW_KERNEL_PENDING) {
		ask_socket(skb, ipv6, &own);
		raise_mark(segment.flow, &own);
	}
	switch (decide(&segment)) {
	case VERDICT_TRANSLATE:
		if (!is_had(&segment, &own))
			break;
		note_ack(&segment);
		return TC_NEXT;
	case VERDICT_DROP:
		return TC_DROP;
	case VERDICT_ACK:
		return pass_ack(skb, &segment, &own, ipv6);
	default:
		return TC_NEXT;
	}
	if (!tell_kernel(skb, &segment, &own, ipv6) ||
	    !can_leave(&segment, is_oversized(skb, &segment)))
		return TC_DROP;
	if (segment.flow->flags & FLOW_KERNEL_PENDING) {
		note_told(&segment);
		catch_up(skb, &segment, ipv6);
	}
	note_segment(&segment);
	return rewrite(skb, &segment, ipv6) ? leave(skb, segment.flow) : TC_DROP;
}

/* --- egress: what the kernel itself would still send for an active flow --- */

/* What the other peer has acknowledged, as this leg's peer is told. */
static __always_inline __u32 fresh_ack(const struct segment *segment)
{
	return segment->other->last_ack - segment->flow->seq_delta;
}

/* Of a flow that is not settled: an acknowledgement that its peer had already, translated, is none,
 * and who acknowledged our FIN needs no byte again. Both may be gone, and would answer with a
 * reset. What stands before that is a probe, for an answer that the kernel needs. */
static __always_inline bool is_moot(const struct tcphdr *tcp, const struct segment *segment)
{
	__u32 told = segment->other->told_ack - segment->flow->seq_delta;

	if (tcp->rst || tcp->syn)
		return false;
	if (segment->payload || tcp->fin)
		return segment->flow->peer_fin_acked;
	return !is_after(bpf_ntohl(tcp->ack_seq), told) &&
	       !is_after(segment->flow->kernel_end, bpf_ntohl(tcp->seq));
}

/* What the kernel sends itself, it waits to have acknowledged. A FIN is the other peer's, who may
 * be the first: that is noted before he can be answered. */
static __always_inline void note_sent(const struct tcphdr *tcp, const struct segment *segment)
{
	__u32 end = bpf_ntohl(tcp->seq) + segment->payload + tcp->fin;

	if (is_after(end, segment->flow->kernel_end))
		segment->flow->kernel_end = end;
	if (tcp->fin && !segment->other->fin_seen)
		segment->other->fin_seen = segment->flow->fin_seen ? 2 : 1;
}

/* What the kernel still owes its peer carries an acknowledgement from before packets were
 * translated; one that is too old makes a peer drop the segment, data and all (RFC 5961, 5.2). So
 * it says what the other peer has acknowledged since; and is not older than what was translated. */
static __always_inline void freshen(struct __sk_buff *skb, struct tcphdr *tcp,
				    const struct segment *segment, bool ipv6)
{
	__u64 sum = raise_clock(tcp, (void *)(long)skb->data_end, segment);
	__u32 ack = fresh_ack(segment);
	__be32 before = tcp->ack_seq;

	if (tcp->ack && is_after(ack, bpf_ntohl(before))) {
		tcp->ack_seq = bpf_htonl(ack);
		sum += changed(before, tcp->ack_seq);
	}
	if (sum)
		fix_own_checksum(skb, tcp, checksum_kind(skb), ipv6, sum);
}

static __always_inline int guard(struct __sk_buff *skb, bool ipv6)
{
	struct segment segment = {0};
	struct tcphdr *tcp;

	if (find((void *)(long)skb->data, (void *)(long)skb->data_end, skb->len, skb->gso_size,
		 ipv6, true, &segment) != FOUND_FLOW ||
	    !find_pair(&segment) || !is_in_force(segment.flow))
		return TC_NEXT;
	tcp = (void *)(long)skb->data + TCP_AT(ipv6);
	if ((void *)(tcp + 1) > (void *)(long)skb->data_end)
		return TC_NEXT;
	if (segment.flow->flags & FLOW_KERNEL_PENDING && !is_moot(tcp, &segment)) {
		note_sent(tcp, &segment);
		freshen(skb, tcp, &segment, ipv6);
		return TC_NEXT;
	}
	if (tcp->syn && !tcp->ack && is_over(&segment)) {
		meet_syn(&segment, true);
		return TC_NEXT;
	}
	/* On hold, too: these sockets know nothing of what went by. */
	count(FLOW_COUNT_GUARDED);
	return TC_DROP;
}
