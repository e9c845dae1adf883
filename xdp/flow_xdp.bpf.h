/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow splice by XDP: packets of a flow are translated before the kernel makes a buffer of them.
 *
 * Happy path: translated, with the MACs that user space keeps fresh, and sent on.
 * Failure modes: those of tc (xdp/flow_tc.bpf.h).
 */
#pragma once

#include "xdp/flow_find.bpf.h"

static __always_inline bool rewrite_other_options_xdp(struct xdp_md *ctx, __u32 at,
						      const struct segment *segment, __u64 *sum,
						      __u32 *clock)
{
	__u32 zero = 0;
	struct options *options = bpf_map_lookup_elem(&options_scratch, &zero);
	__u32 length = segment->options;

	if (!options || !length || length > OPTIONS_MAX)
		return false;
	length = bounded(length);
	if (bpf_xdp_load_bytes(ctx, at, options->bytes, length))
		return false;
	*sum += walk_options(options, segment->flow, length);
	*clock = options->clock;
	return !bpf_xdp_store_bytes(ctx, at, options->bytes, length);
}

static __always_inline bool rewrite_xdp(struct xdp_md *ctx, const struct segment *segment,
					bool ipv6)
{
	struct flow *flow = segment->flow;
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct tcphdr *tcp = data + TCP_AT(ipv6);
	__u64 outer, sum = 0;
	__u32 clock = 0;

	if ((void *)(tcp + 1) > end)
		return false;
	if (!rewrite_usual_options(tcp, end, segment->options, flow, &sum, &clock)) {
		if (!rewrite_other_options_xdp(ctx, TCP_AT(ipv6) + sizeof(*tcp), segment, &sum,
					       &clock))
			return false;
		data = (void *)(long)ctx->data;
		end = (void *)(long)ctx->data_end;
		tcp = data + TCP_AT(ipv6);
		if ((void *)(tcp + 1) > end)
			return false;
	}
	note_clock(segment, clock);
	sum += rewrite_tcp(tcp, flow);
	sum += fold(rewrite_ip(data + ETH_HLEN, flow, ipv6, true, &outer));
	tcp->check = ~fold((__u64)(__u16)~tcp->check + sum);
	rewrite_macs(data, flow);
	return true;
}

static __always_inline int leave_xdp(struct xdp_md *ctx, const struct flow *flow)
{
	count(FLOW_COUNT_REDIRECTED);
	return flow->exit_ifindex == ctx->ingress_ifindex ? XDP_TX
							  : bpf_redirect(flow->exit_ifindex, 0);
}

static __always_inline int splice_xdp(struct xdp_md *ctx, bool ipv6)
{
	struct source source = {.ctx = ctx, .xdp = true};
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct tcphdr *tcp = data + TCP_AT(ipv6);
	struct segment segment = {0};
	enum found found = find(data, end, end - data, false, ipv6, false, &segment);

	if (found != FOUND_FLOW)
		return look_further(source, found, ipv6) == VERDICT_DROP ? XDP_DROP : XDP_PASS;
	if ((void *)(tcp + 1) > end || !read_segment(tcp, &segment))
		return XDP_PASS;
	/* Its way goes over tc, where the kernel can be told apart of it. */
	if (segment.flow->flags & FLOW_KERNEL_PENDING)
		return XDP_PASS;
	switch (decide(&segment)) {
	case VERDICT_TRANSLATE:
		break;
	case VERDICT_DROP:
		return XDP_DROP;
	default:
		return XDP_PASS;
	}
	if (!can_leave(&segment, segment.payload + segment.options > segment.flow->out_mss))
		return XDP_DROP;
	note_segment(&segment);
	return rewrite_xdp(ctx, &segment, ipv6) ? leave_xdp(ctx, segment.flow) : XDP_DROP;
}
