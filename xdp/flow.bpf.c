/* SPDX-License-Identifier: Apache-2.0
 *
 * The entry points of flow splice: where packets arrive (tc ingress after GRO, or XDP), where the
 * kernel sends (tc egress), and where user space looks at a socket (getsockopt).
 *
 * Happy path: a packet of a known flow is translated and sent on, everything else goes its way.
 * Failure modes: see xdp/rewrite.bpf.h.
 */
#include "xdp/rewrite.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Kernels from 6.2 tell how the checksum is carried; without that, helpers do it, slower. */
extern void *bpf_cast_to_kern_ctx(void *obj) __ksym __weak;

#define TC_NEXT (-1) /* TCX_NEXT, TC_ACT_UNSPEC */
#define TC_UP   0    /* TC_ACT_OK */
#define TC_DROP 2    /* TC_ACT_SHOT */

#define NONE_KNOWN 0xff /* in place of ip_summed */

#define TCP_AT(ipv6) (ETH_HLEN + ((ipv6) ? IP6_SIZE : IP4_SIZE))

/* --- which flow --- */

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

/* Both headers are there and plain. Sets index; *ret_length is of the TCP segment, header
 * included. */
static __always_inline bool find(void *data, void *end, __u32 frame, bool ipv6, bool answer,
				 __u32 *ret_index, __u32 *ret_length)
{
	struct tcphdr *tcp = data + TCP_AT(ipv6);
	__u32 *index;

	if ((void *)(tcp + 1) > end)
		return false;
	if (ipv6) {
		struct ipv6hdr *ip = data + ETH_HLEN;

		if (ip->nexthdr != IPPROTO_TCP)
			return false;
		index = find6(ip, tcp->source, tcp->dest, answer);
		*ret_length = bpf_ntohs(ip->payload_len);
	} else {
		struct iphdr *ip = data + ETH_HLEN;

		if (!is_plain4(ip) || ip->protocol != IPPROTO_TCP)
			return false;
		index = find4(ip, tcp->source, tcp->dest, answer);
		*ret_length = bpf_ntohs(ip->tot_len) - IP4_SIZE;
		if (!ip->tot_len)
			*ret_length = 0;
	}
	if (!index)
		return false;
	if (!*ret_length) /* BIG TCP */
		*ret_length = frame - TCP_AT(ipv6);
	*ret_index = *index;
	return true;
}

/* --- the path takes less than is sent: ICMP about a packet that we sent on --- */

/* Those who sent it are told by the kernel, which is why the flow goes back to it. */
static __always_inline void tell_mtu(__u32 index, __u32 mtu)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, &index);

	if (!flow || flow->state != FLOW_ACTIVE || flow->mtu_seen == mtu)
		return;
	flow->mtu_seen = mtu;
	tell(flow, index, FLOW_EVENT_MTU, mtu);
}

#define ICMP_AT4    (ETH_HLEN + IP4_SIZE)
#define ICMP_AT6    (ETH_HLEN + IP6_SIZE)
#define ICMP_SIZE   8
#define UNREACHABLE 3 /* RFC 792, with code 4: fragmentation needed */
#define TOO_BIG     2 /* RFC 4443 */

static __always_inline void look_at_icmp4(struct __sk_buff *skb)
{
	struct {
		struct {
			__u8 type;
			__u8 code;
			__be16 check;
			__be16 unused;
			__be16 mtu;
		} icmp;
		struct iphdr ip;
		__be16 ports[2];
	} in;
	__u32 *index;

	if (bpf_skb_load_bytes(skb, ICMP_AT4, &in, sizeof(in)) || in.icmp.type != UNREACHABLE ||
	    in.icmp.code != 4 || !is_plain4(&in.ip) || in.ip.protocol != IPPROTO_TCP)
		return;
	index = find4(&in.ip, in.ports[0], in.ports[1], true);
	if (index)
		tell_mtu(*index, bpf_ntohs(in.icmp.mtu));
}

static __always_inline void look_at_icmp6(struct __sk_buff *skb)
{
	struct {
		struct {
			__u8 type;
			__u8 code;
			__be16 check;
			__be32 mtu;
		} icmp;
		struct ipv6hdr ip;
		__be16 ports[2];
	} in;
	__u32 *index;

	if (bpf_skb_load_bytes(skb, ICMP_AT6, &in, sizeof(in)) || in.icmp.type != TOO_BIG ||
	    in.ip.nexthdr != IPPROTO_TCP)
		return;
	index = find6(&in.ip, in.ports[0], in.ports[1], true);
	if (index)
		tell_mtu(*index, bpf_ntohl(in.icmp.mtu));
}

static __always_inline bool is_icmp(struct __sk_buff *skb, bool ipv6)
{
	__u8 protocol = 0;

	if (ipv6)
		bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, nexthdr), &protocol, 1);
	else
		bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct iphdr, protocol), &protocol, 1);
	return protocol == (ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

/* --- tc ingress --- */

static __always_inline __u8 checksum_kind(struct __sk_buff *skb)
{
	if (bpf_cast_to_kern_ctx) {
		struct sk_buff *kernel = bpf_cast_to_kern_ctx(skb);

		return BPF_CORE_READ_BITFIELD_PROBED(kernel, ip_summed);
	}
	return NONE_KNOWN;
}

/* `sum` is what the segment's own change adds, `addresses` that of the addresses. */
static __always_inline void fix_checksum(struct __sk_buff *skb, struct tcphdr *tcp, __u8 kind,
					 bool ipv6, __u64 sum, __u64 addresses)
{
	if (kind == NONE_KNOWN)
		return;
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

static __always_inline void fix_checksum_slowly(struct __sk_buff *skb, bool ipv6, __u64 sum,
						__u64 addresses)
{
	__u32 at = TCP_AT(ipv6) + offsetof(struct tcphdr, check);

	bpf_l4_csum_replace(skb, at, 0, fold(sum), 0);
	bpf_l4_csum_replace(skb, at, 0, fold(addresses), BPF_F_PSEUDO_HDR);
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

static __always_inline int pass_ack(struct __sk_buff *skb, const struct segment *segment, bool ipv6)
{
	struct tcphdr *tcp = (void *)(long)skb->data + TCP_AT(ipv6);
	__u8 kind = checksum_kind(skb);
	__u64 sum;

	if ((void *)(tcp + 1) > (void *)(long)skb->data_end)
		return TC_NEXT;
	sum = ack_kernel(tcp, segment->flow);
	fix_own_checksum(skb, tcp, kind, ipv6, sum);
	return TC_NEXT;
}

/* Options in any layout. Pointers into the packet are stale afterwards, whatever comes of it. */
static __always_inline bool rewrite_other_options(struct __sk_buff *skb, __u32 at,
						  const struct segment *segment, __u64 *sum)
{
	__u32 zero = 0;
	struct options *options = bpf_map_lookup_elem(&options_scratch, &zero);
	__u32 length = segment->options;

	if (!options || !length || length > OPTIONS_MAX)
		return false;
	if (bpf_skb_load_bytes(skb, at, options->bytes, length))
		return false;
	*sum += walk_options(options, segment->flow, length);
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
	__u32 most = segment->flow->out_mss;

	if (segment->flow->exit == FLOW_EXIT_UP || segment->flow->exit == FLOW_EXIT_INGRESS)
		return false;
	return (skb->gso_size ? skb->gso_size : segment->payload) + segment->options > most;
}

static __always_inline int translate(struct __sk_buff *skb, const struct segment *segment,
				     bool ipv6)
{
	struct flow *flow = segment->flow;
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	struct tcphdr *tcp = data + TCP_AT(ipv6);
	bool hop = flow->exit != FLOW_EXIT_UP;
	__u8 kind = checksum_kind(skb);
	__u64 addresses, sum = 0;

	if ((void *)(tcp + 1) > end)
		return TC_DROP;
	if (!rewrite_usual_options(tcp, end, segment->options, flow, &sum)) {
		if (!rewrite_other_options(skb, TCP_AT(ipv6) + sizeof(*tcp), segment, &sum))
			return TC_DROP;
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
		tcp = data + TCP_AT(ipv6);
		if ((void *)(tcp + 1) > end)
			return TC_DROP;
	}
	sum += rewrite_tcp(tcp, flow);
	if (ipv6) {
		struct ipv6hdr *ip = data + ETH_HLEN;

		if (hop && ip->hop_limit <= 1) {
			count(FLOW_COUNT_TTL);
			return TC_DROP;
		}
		ip->hop_limit -= hop;
		addresses = readdress6(ip, flow);
	} else {
		struct iphdr *ip = data + ETH_HLEN;

		addresses = readdress4(ip, flow);
		if (!pass_on4(ip, addresses, hop)) {
			count(FLOW_COUNT_TTL);
			return TC_DROP;
		}
	}
	if (flow->exit == FLOW_EXIT_INGRESS || flow->exit == FLOW_EXIT_MAC) {
		struct ethhdr *ethernet = data;

		__builtin_memcpy(ethernet->h_dest, flow->mac_destination, ETH_ALEN);
		__builtin_memcpy(ethernet->h_source, flow->mac_source, ETH_ALEN);
	}
	fix_checksum(skb, tcp, kind, ipv6, sum, addresses);
	if (kind == NONE_KNOWN)
		fix_checksum_slowly(skb, ipv6, sum, addresses);
	return leave(skb, flow);
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
	struct segment segment;
	struct tcphdr *tcp;
	__u32 length, header;

	if (!pull(skb, TCP_AT(ipv6) + sizeof(*tcp)))
		return TC_NEXT;
	if (!find((void *)(long)skb->data, (void *)(long)skb->data_end, skb->len, ipv6, false,
		  &segment.index, &length)) {
		if (is_icmp(skb, ipv6)) {
			if (ipv6)
				look_at_icmp6(skb);
			else
				look_at_icmp4(skb);
		}
		return TC_NEXT;
	}
	tcp = (void *)(long)skb->data + TCP_AT(ipv6);
	if ((void *)(tcp + 1) > (void *)(long)skb->data_end)
		return TC_NEXT;
	header = tcp->doff * 4;
	if (header < sizeof(*tcp) || length < header || length > skb->len)
		return TC_NEXT;
	if (!pull(skb, TCP_AT(ipv6) + header))
		return TC_NEXT;
	tcp = (void *)(long)skb->data + TCP_AT(ipv6);
	if ((void *)(tcp + 1) > (void *)(long)skb->data_end ||
	    !read_segment(tcp, length - header, &segment))
		return TC_NEXT;
	switch (decide(&segment)) {
	case VERDICT_TRANSLATE:
		break;
	case VERDICT_DROP:
		return TC_DROP;
	case VERDICT_ACK:
		return pass_ack(skb, &segment, ipv6);
	default:
		return TC_NEXT;
	}
	if (is_oversized(skb, &segment)) {
		count(FLOW_COUNT_OVERSIZED);
		tell(segment.flow, segment.index, FLOW_EVENT_ODD, segment.payload);
		return TC_DROP;
	}
	note_segment(&segment);
	return translate(skb, &segment, ipv6);
}

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

/* --- tc egress: what the kernel itself would still send for an active flow --- */

/* What the kernel still owes its peer carries an acknowledgement from before packets were
 * translated; one that is too old makes a peer drop the segment, data and all (RFC 5961, 5.2). So
 * it says what the other peer has acknowledged since. */
static __always_inline void freshen(struct __sk_buff *skb, const struct flow *flow, __u32 index,
				    bool ipv6)
{
	struct tcphdr *tcp = (void *)(long)skb->data + TCP_AT(ipv6);
	__u8 kind = checksum_kind(skb);
	__u32 ack, other_index = index ^ 1;
	struct flow *other = bpf_map_lookup_elem(&flows, &other_index);
	__be32 before;

	if (!other || (void *)(tcp + 1) > (void *)(long)skb->data_end || !tcp->ack)
		return;
	before = tcp->ack_seq;
	ack = other->last_ack - flow->seq_delta;
	if (!is_after(ack, bpf_ntohl(before)))
		return;
	tcp->ack_seq = bpf_htonl(ack);
	fix_own_checksum(skb, tcp, kind, ipv6, changed(before, tcp->ack_seq));
}

static __always_inline int guard(struct __sk_buff *skb, bool ipv6)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	__u32 index, length;
	struct flow *flow;

	if (!find(data, end, skb->len, ipv6, true, &index, &length))
		return TC_NEXT;
	flow = bpf_map_lookup_elem(&flows, &index);
	if (!flow || flow->state != FLOW_ACTIVE)
		return TC_NEXT;
	if (flow->flags & FLOW_KERNEL_PENDING) {
		freshen(skb, flow, index, ipv6);
		return TC_NEXT;
	}
	count(FLOW_COUNT_GUARDED);
	return TC_DROP;
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

/* --- XDP --- */

static __always_inline bool rewrite_other_options_xdp(struct xdp_md *ctx, __u32 at,
						      const struct segment *segment, __u64 *sum)
{
	__u32 zero = 0;
	struct options *options = bpf_map_lookup_elem(&options_scratch, &zero);
	__u32 length = segment->options;

	if (!options || !length || length > OPTIONS_MAX)
		return false;
	if (bpf_xdp_load_bytes(ctx, at, options->bytes, length))
		return false;
	*sum += walk_options(options, segment->flow, length);
	return !bpf_xdp_store_bytes(ctx, at, options->bytes, length);
}

static __always_inline int translate_xdp(struct xdp_md *ctx, const struct segment *segment,
					 bool ipv6)
{
	struct flow *flow = segment->flow;
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct tcphdr *tcp = data + TCP_AT(ipv6);
	struct ethhdr *ethernet;
	__u64 addresses, sum = 0;

	if ((void *)(tcp + 1) > end)
		return XDP_DROP;
	if (!rewrite_usual_options(tcp, end, segment->options, flow, &sum)) {
		if (!rewrite_other_options_xdp(ctx, TCP_AT(ipv6) + sizeof(*tcp), segment, &sum))
			return XDP_DROP;
		data = (void *)(long)ctx->data;
		end = (void *)(long)ctx->data_end;
		tcp = data + TCP_AT(ipv6);
		if ((void *)(tcp + 1) > end)
			return XDP_DROP;
	}
	sum += rewrite_tcp(tcp, flow);
	if (ipv6) {
		struct ipv6hdr *ip = data + ETH_HLEN;

		if (ip->hop_limit <= 1)
			return XDP_DROP;
		ip->hop_limit--;
		addresses = readdress6(ip, flow);
	} else {
		struct iphdr *ip = data + ETH_HLEN;

		addresses = readdress4(ip, flow);
		if (!pass_on4(ip, addresses, true))
			return XDP_DROP;
	}
	tcp->check = ~fold((__u64)(__u16)~tcp->check + sum + fold(addresses));
	ethernet = data;
	__builtin_memcpy(ethernet->h_dest, flow->mac_destination, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, flow->mac_source, ETH_ALEN);
	count(FLOW_COUNT_REDIRECTED);
	return flow->exit_ifindex == ctx->ingress_ifindex ? XDP_TX
							  : bpf_redirect(flow->exit_ifindex, 0);
}

static __always_inline int splice_xdp(struct xdp_md *ctx, bool ipv6)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct tcphdr *tcp = data + TCP_AT(ipv6);
	struct segment segment;
	__u32 length, header;

	if (!find(data, end, end - data, ipv6, false, &segment.index, &length) ||
	    (void *)(tcp + 1) > end)
		return XDP_PASS;
	header = tcp->doff * 4;
	if (header < sizeof(*tcp) || length < header ||
	    !read_segment(tcp, length - header, &segment))
		return XDP_PASS;
	switch (decide(&segment)) {
	case VERDICT_TRANSLATE:
		break;
	case VERDICT_DROP:
		return XDP_DROP;
	case VERDICT_ACK:
		tcp->check = ~fold((__u64)(__u16)~tcp->check + ack_kernel(tcp, segment.flow));
		return XDP_PASS;
	default:
		return XDP_PASS;
	}
	if (segment.payload + segment.options > segment.flow->out_mss) {
		count(FLOW_COUNT_OVERSIZED);
		tell(segment.flow, segment.index, FLOW_EVENT_ODD, segment.payload);
		return XDP_DROP;
	}
	note_segment(&segment);
	return translate_xdp(ctx, &segment, ipv6);
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

#define FIELD(tcp, field) BPF_CORE_READ(tcp, field)
#define BITS(tcp, field)  BPF_CORE_READ_BITFIELD_PROBED(tcp, field)

static __always_inline void read_socket(struct tcp_sock *tcp, struct snapshot_tcp *out)
{
	__u64 now = bpf_ktime_get_ns();

	out->tcp_state = FIELD(tcp, inet_conn.icsk_inet.sk.__sk_common.skc_state);
	out->snd_una = FIELD(tcp, snd_una);
	out->snd_nxt = FIELD(tcp, snd_nxt);
	out->write_seq = FIELD(tcp, write_seq);
	out->rcv_nxt = FIELD(tcp, rcv_nxt);
	out->copied_seq = FIELD(tcp, copied_seq);
	out->ts_recent = FIELD(tcp, rx_opt.ts_recent);
	out->snd_wnd = FIELD(tcp, snd_wnd);
	out->rcv_wnd = FIELD(tcp, rcv_wnd);
	out->advmss = FIELD(tcp, advmss);
	out->mss_clamp = FIELD(tcp, rx_opt.mss_clamp);
	out->mss_cache = FIELD(tcp, mss_cache);
	out->snd_wscale = BITS(tcp, rx_opt.snd_wscale);
	out->rcv_wscale = BITS(tcp, rx_opt.rcv_wscale);
	out->timestamps = BITS(tcp, rx_opt.tstamp_ok);
	out->sack = BITS(tcp, rx_opt.sack_ok) != 0;
	out->wscale = BITS(tcp, rx_opt.wscale_ok);
	out->ecn = FIELD(tcp, ecn_flags);
	out->microseconds = 0;
	if (bpf_core_field_exists(tcp->tcp_usec_ts))
		out->microseconds = BITS(tcp, tcp_usec_ts);
	out->ts_now = (__u32)(now / (out->microseconds ? 1000 : 1000000)) + FIELD(tcp, tsoffset);
	out->out_of_order = FIELD(tcp, out_of_order_queue.rb_node) != NULL;
	out->signed_ = 0;
	if (bpf_core_field_exists(tcp->md5sig_info))
		out->signed_ |= FIELD(tcp, md5sig_info) != NULL;
	if (bpf_core_field_exists(tcp->ao_info))
		out->signed_ |= FIELD(tcp, ao_info) != NULL;
	out->reserved = 0;
	out->packets_out = FIELD(tcp, packets_out);
	out->segs_in = FIELD(tcp, segs_in);
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} socket_address SEC(".maps");

/* The pointer as a number that probes may go on from: through a map, because the verifier allows
 * no step beyond struct bpf_sock, and bpf_rdonly_cast() is only there from 6.2 on. */
static __always_inline struct tcp_sock *launder(struct bpf_sock *sock)
{
	__u32 zero = 0;
	volatile __u64 *address = bpf_map_lookup_elem(&socket_address, &zero);

	if (!address)
		return NULL;
	*address = (__u64)(long)sock;
	return (struct tcp_sock *)(long)*address;
}

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
