/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel's own socket is owed while a flow is FLOW_KERNEL_PENDING: acknowledgements of
 * what it sent itself. By tc alone; XDP, which cannot make two packets of one, leaves pending flows
 * to it.
 *
 * Happy path: a pure acknowledgement of what the kernel sent goes up, placed where the socket
 * expects it. One that acknowledges what was translated as well, or that carries data for the other
 * leg, is translated; and a copy of it, made a pure acknowledgement of as much as the kernel sent,
 * arrives once more. A segment that the kernel has whole is not translated: it was the kernel's to
 * acknowledge, and the other peer may be gone by now.
 * Failure modes: no such socket any more, or no memory for the copy: the kernel sends again what it
 * believes to be lost, and is told by the answer to that.
 */
#pragma once

#include "xdp/flow_find.bpf.h"

#define HEADER_MAX 60 /* of TCP, with options */

/* Where the kernel's socket stands. */
struct own_socket {
	bool found;
	__u32 snd_una;
	__u32 write_seq;
	__u32 rcv_nxt;
};

static __always_inline bool read_tuple(struct __sk_buff *skb, bool ipv6,
				       struct bpf_sock_tuple *ret_tuple)
{
	void *data = (void *)(long)skb->data;
	struct tcphdr *tcp = data + TCP_AT(ipv6);
	struct ipv6hdr *ip6 = data + ETH_HLEN;
	struct iphdr *ip = data + ETH_HLEN;

	if ((void *)(tcp + 1) > (void *)(long)skb->data_end)
		return false;
	if (ipv6) {
		__builtin_memcpy(ret_tuple->ipv6.saddr, &ip6->saddr, 16);
		__builtin_memcpy(ret_tuple->ipv6.daddr, &ip6->daddr, 16);
		ret_tuple->ipv6.sport = tcp->source;
		ret_tuple->ipv6.dport = tcp->dest;
	} else {
		ret_tuple->ipv4.saddr = ip->saddr;
		ret_tuple->ipv4.daddr = ip->daddr;
		ret_tuple->ipv4.sport = tcp->source;
		ret_tuple->ipv4.dport = tcp->dest;
	}
	return true;
}

static __always_inline void ask_socket(struct __sk_buff *skb, bool ipv6,
				       struct own_socket *ret_socket)
{
	struct bpf_sock_tuple tuple = {0};
	struct tcp_sock *tcp;
	struct bpf_sock *sock;

	if (!read_tuple(skb, ipv6, &tuple))
		return;
	sock = bpf_skc_lookup_tcp(skb, &tuple, ipv6 ? sizeof(tuple.ipv6) : sizeof(tuple.ipv4),
				  BPF_F_CURRENT_NETNS, 0);
	if (!sock)
		return;
	tcp = sock->state == BPF_TCP_LISTEN ? NULL : bpf_skc_to_tcp_sock(sock);
	if (tcp) {
		ret_socket->snd_una = tcp->snd_una;
		ret_socket->write_seq = tcp->write_seq;
		ret_socket->rcv_nxt = tcp->rcv_nxt;
		ret_socket->found = true;
	}
	bpf_sk_release(sock);
}

/* --- the copy --- */

/* What is put back, once the copy is made. */
struct kept {
	__be32 ack;
	__be16 length; /* of IP's header */
	__be16 flags;  /* and TCP's header length */
	__sum16 tcp_check;
	__sum16 ip_check;
	__u64 sum; /* what all that differs by */
};

/* Of a TCP header with nothing behind it, whose checksum is not in it yet. */
static __always_inline __u64 sum_header(struct __sk_buff *skb, bool ipv6,
					const struct segment *segment)
{
	__u32 length = sizeof(struct tcphdr) + segment->options;
	__u32 zero = 0;
	struct options *scratch = bpf_map_lookup_elem(&options_scratch, &zero);

	if (!scratch || length > HEADER_MAX)
		return 0;
	__builtin_memset(scratch->bytes, 0, sizeof(scratch->bytes));
	if (bpf_skb_load_bytes(skb, TCP_AT(ipv6), scratch->bytes, bounded(length)))
		return 0;
	return (__u64)bpf_csum_diff(NULL, 0, (__be32 *)scratch->bytes, sizeof(scratch->bytes), 0);
}

static __always_inline __u64 sum_addresses(const void *at, bool ipv6)
{
	const struct ipv6hdr *ip6 = at;
	const struct iphdr *ip = at;
	__u64 sum = 0;

	if (!ipv6)
		return (__u64)ip->saddr + ip->daddr;
	for (int i = 0; i < 4; i++)
		sum += (__u64)ip6->saddr.in6_u.u6_addr32[i] + ip6->daddr.in6_u.u6_addr32[i];
	return sum;
}

/* The IP header's length is a pure acknowledgement's; what lies behind it, IP cuts off. */
static __always_inline void shorten(void *at, bool ipv6, __u32 length, struct kept *kept)
{
	struct ipv6hdr *ip6 = at;
	struct iphdr *ip = at;

	if (ipv6) {
		kept->length = ip6->payload_len;
		ip6->payload_len = bpf_htons(length);
		kept->sum += (__u64)(__u16)~kept->length + ip6->payload_len;
		return;
	}
	kept->length = ip->tot_len;
	kept->ip_check = ip->check;
	ip->tot_len = bpf_htons(length + IP4_SIZE);
	ip->check = ~fold((__u64)(__u16)~ip->check + (__u16)~kept->length + ip->tot_len);
}

/* The packet is made a pure acknowledgement of `ack`, with its checksum in full. */
static __always_inline bool strip_down(struct __sk_buff *skb, const struct segment *segment,
				       bool ipv6, __u32 ack, struct kept *kept)
{
	__u32 length = sizeof(struct tcphdr) + segment->options;
	void *data = (void *)(long)skb->data;
	struct tcphdr *tcp = data + TCP_AT(ipv6);
	__be16 *flags = (__be16 *)tcp + 6;
	__u64 sum;

	if ((void *)(tcp + 1) > (void *)(long)skb->data_end)
		return false;
	kept->ack = tcp->ack_seq;
	kept->flags = *flags;
	kept->tcp_check = tcp->check;
	shorten(data + ETH_HLEN, ipv6, length, kept);
	tcp->ack_seq = bpf_htonl(ack);
	*flags &= bpf_htons(0xf010); /* but for the header's length, ACK alone */
	tcp->check = 0;
	sum = changed(kept->ack, tcp->ack_seq) + (__u16)~kept->flags + *flags;
	kept->sum += sum + (__u16)~kept->tcp_check;
	sum = sum_addresses(data + ETH_HLEN, ipv6) + bpf_htons(IPPROTO_TCP) + bpf_htons(length);
	sum += sum_header(skb, ipv6, segment);
	tcp->check = ~fold(sum);
	kept->sum += tcp->check;
	bpf_csum_update(skb, fold(kept->sum)); /* where the whole packet's sum is there */
	return true;
}

static __always_inline bool put_back(struct __sk_buff *skb, bool ipv6, const struct kept *kept)
{
	void *data = (void *)(long)skb->data;
	struct tcphdr *tcp = data + TCP_AT(ipv6);
	struct ipv6hdr *ip6 = data + ETH_HLEN;
	struct iphdr *ip = data + ETH_HLEN;

	if ((void *)(tcp + 1) > (void *)(long)skb->data_end)
		return false;
	if (ipv6) {
		ip6->payload_len = kept->length;
	} else {
		ip->tot_len = kept->length;
		ip->check = kept->ip_check;
	}
	tcp->ack_seq = kept->ack;
	*((__be16 *)tcp + 6) = kept->flags;
	tcp->check = kept->tcp_check;
	bpf_csum_update(skb, (__u16)~fold(kept->sum));
	return true;
}

/* Acknowledged, or a window that opened: the kernel may wait for that too. */
static __always_inline bool is_news(const struct segment *segment, const struct own_socket *own,
				    __u32 ack)
{
	return is_after(ack, own->snd_una) ||
	       (ack == own->snd_una && segment->window > segment->flow->last_window);
}

/* A segment that is about to be translated: the kernel is told of as much as is its own, once; what
 * it knows already is seen at its socket. Pointers into the packet are stale afterwards. False: the
 * packet is to be dropped. */
static __always_inline bool tell_kernel(struct __sk_buff *skb, const struct segment *segment,
					const struct own_socket *own, bool ipv6)
{
	__u32 end = segment->flow->kernel_end;
	struct kept kept = {0};
	__u32 ack = is_after(segment->ack, end) ? end : segment->ack;

	if (!own->found || !segment->believed || segment->rst || !is_news(segment, own, ack))
		return true;
	if (!strip_down(skb, segment, ipv6, ack, &kept))
		return false;
	bpf_clone_redirect(skb, skb->ifindex, BPF_F_INGRESS);
	count(FLOW_COUNT_COPIED_ACKS);
	return put_back(skb, ipv6, &kept);
}

/* --- clocks: none that leaves may be behind one that left before --- */

/* Linux's own layout: the options begin with the timestamps. */
static __always_inline __be32 *clock_of(struct tcphdr *tcp, void *end, __u32 options)
{
	__be32 *time = (__be32 *)(tcp + 1);

	if (options < 12 || (void *)(time + 3) > end || time[0] != bpf_htonl(NOPS_TIME))
		return NULL;
	return &time[1];
}

/* Its sender's clock is slower than the kernel's, which was seen on the same connection: from now
 * on it is shown ahead by as much as it takes, and what is echoed of it is taken back likewise. */
static __always_inline void catch_up(struct __sk_buff *skb, const struct segment *segment,
				     bool ipv6)
{
	struct tcphdr *tcp = (void *)(long)skb->data + TCP_AT(ipv6);
	void *end = (void *)(long)skb->data_end;
	struct flow *flow = segment->flow;
	__be32 *clock;
	__u32 behind;

	if ((void *)(tcp + 1) > end || !segment->believed || !flow->kernel_clock ||
	    !(flow->flags & FLOW_TIMESTAMPS))
		return;
	clock = clock_of(tcp, end, segment->options);
	if (!clock)
		return;
	behind = flow->kernel_clock - (bpf_ntohl(*clock) + flow->tsval_delta);
	if (!is_after(behind, 0))
		return;
	flow->tsval_delta += behind;
	segment->other->tsecr_delta -= behind;
}

/* What the kernel sends on a flow's way out. Returns what raising its clock adds to a sum. */
static __always_inline __u64 raise_clock(struct tcphdr *tcp, void *end,
					 const struct segment *segment)
{
	struct flow *leaving = segment->other;
	__be32 *clock = clock_of(tcp, end, segment->options);
	__u64 sum = 0;

	if (!clock)
		return 0;
	if (leaving->clock_sent && is_after(leaving->clock_sent, bpf_ntohl(*clock)))
		sum = shift(clock, leaving->clock_sent - bpf_ntohl(*clock));
	if (!leaving->kernel_clock || is_after(bpf_ntohl(*clock), leaving->kernel_clock))
		leaving->kernel_clock = bpf_ntohl(*clock);
	return sum;
}

/* A segment of a flow that is not settled: the mark is where its socket is by now, and nothing that
 * is translated stands before that. User space sets it too, but knows later; and snd_nxt, which the
 * kernel raises after it has sent, may be known later than the acknowledgement. */
static __always_inline void raise_mark(struct flow *flow, const struct own_socket *own)
{
	if (own->found && is_after(own->write_seq, flow->kernel_end))
		flow->kernel_end = own->write_seq;
}

/* Its sender repeats what the kernel's socket has, and was not told so by the other peer. */
static __always_inline bool is_had(const struct segment *segment, const struct own_socket *own)
{
	__u32 told = segment->other->told_ack - segment->flow->seq_delta;

	return own->found && segment->believed && !segment->rst &&
	       (segment->payload || segment->fin) && !is_after(segment->end, own->rcv_nxt) &&
	       is_after(segment->end, told);
}
