/* SPDX-License-Identifier: Apache-2.0
 *
 * The entry points of flow splice: where packets arrive (tc ingress after GRO, or XDP), where the
 * kernel sends (tc egress), and where user space looks at a socket (getsockopt).
 *
 * Happy path: a packet of a known flow is translated and sent on, everything else goes its way.
 * Failure modes: see xdp/flow_find.bpf.h and xdp/flow_verdict.bpf.h.
 */
#include "xdp/flow_snapshot.bpf.h"
#include "xdp/flow_tc.bpf.h"
#include "xdp/flow_xdp.bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("tc")
int flow_ingress(struct __sk_buff *skb)
{
	if (skb->vlan_present)
		return TC_NEXT; /* the VLAN's own device sees it without the tag */
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return splice(skb, false);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return splice(skb, true);
	return TC_NEXT;
}

SEC("tc")
int flow_egress(struct __sk_buff *skb)
{
	if (skb->ingress_ifindex)
		return TC_NEXT; /* what we sent on passes here too */
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return guard(skb, false);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return guard(skb, true);
	return TC_NEXT;
}

SEC("xdp")
int flow_xdp(struct xdp_md *ctx)
{
	struct ethhdr *ethernet = (void *)(long)ctx->data;

	if ((void *)(ethernet + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	if (ethernet->h_proto == bpf_htons(ETH_P_IP))
		return splice_xdp(ctx, false);
	if (ethernet->h_proto == bpf_htons(ETH_P_IPV6))
		return splice_xdp(ctx, true);
	return XDP_PASS;
}

/* --- what user space remembers of a session beside its flows --- */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct flow_note);
} flow_notes SEC(".maps");

/* --- a socket as it stands --- */

/* The kernel holds the socket's lock meanwhile, so the numbers fit together. */
SEC("cgroup/getsockopt")
int flow_snapshot_socket(struct bpf_sockopt *ctx)
{
	struct snapshot_tcp *out = ctx->optval;
	struct tcp_sock *tcp;

	if (ctx->level != SNAPSHOT_LEVEL || ctx->optname != SNAPSHOT_NAME) {
		/* The kernel shows a program one page at most; 0 lets what is longer through. */
		if (ctx->optlen > 4096)
			ctx->optlen = 0;
		return 1;
	}
	if ((void *)(out + 1) > ctx->optval_end || !ctx->sk)
		return 1;
	tcp = launder(ctx->sk);
	if (!tcp)
		return 1;
	read_socket(tcp, out);
	ctx->optlen = sizeof(*out);
	barrier(); /* the verifier takes two stores, not one of twice the size */
	ctx->retval = 0;
	return 1;
}
