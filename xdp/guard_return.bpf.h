/* SPDX-License-Identifier: Apache-2.0
 *
 * Who comes back amid a flood: somebody with a connection, somebody with a cookie, or nobody.
 *
 * Failure modes: a packet that cannot be read has neither connection nor cookie.
 */
#pragma once

#include "xdp/guard_cookie.bpf.h"

/* The kernel has a socket for it that is no listening one. */
static __always_inline bool is_connected(struct xdp_md *ctx, const struct guard_packet *packet)
{
	struct bpf_sock_tuple tuple = {0};
	__u32 size = packet->ipv6 ? sizeof(tuple.ipv6) : sizeof(tuple.ipv4);
	struct bpf_sock *socket;
	bool found;

	if (packet->ipv6) {
		__builtin_memcpy(tuple.ipv6.saddr, packet->source, 16);
		__builtin_memcpy(tuple.ipv6.daddr, packet->destination, 16);
		tuple.ipv6.sport = packet->source_port;
		tuple.ipv6.dport = packet->destination_port;
	} else {
		tuple.ipv4.saddr = packet->source[3];
		tuple.ipv4.daddr = packet->destination[3];
		tuple.ipv4.sport = packet->source_port;
		tuple.ipv4.dport = packet->destination_port;
	}
	socket = bpf_skc_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!socket)
		return false;
	found = socket->state != BPF_TCP_LISTEN;
	bpf_sk_release(socket);
	return found;
}

static __always_inline bool is_cookie(struct xdp_md *ctx, const struct guard_packet *packet)
{
	struct tcphdr tcp;

	if (packet->flags & TCP_SYN || bpf_xdp_load_bytes(ctx, packet->tcp_at, &tcp, sizeof(tcp)))
		return false;
	if (packet->ipv6) {
		struct ipv6hdr ip = {0};

		__builtin_memcpy(&ip.saddr, packet->source, 16);
		__builtin_memcpy(&ip.daddr, packet->destination, 16);
		return !bpf_tcp_raw_check_syncookie_ipv6(&ip, &tcp);
	}
	struct iphdr ip = {.saddr = packet->source[3], .daddr = packet->destination[3]};

	return !bpf_tcp_raw_check_syncookie_ipv4(&ip, &tcp);
}

/* An acknowledgement becomes the SYN that its connection began with; the checksum follows what was
 * changed (RFC 1624), so it is as right or as unfinished as before. */
static __always_inline bool begin_again(struct xdp_md *ctx, const struct guard_packet *packet)
{
	struct tcphdr tcp, before;
	__be16 *words = (__be16 *)&tcp, *was = (__be16 *)&before;
	__u64 sum;

	if (bpf_xdp_load_bytes(ctx, packet->tcp_at, &tcp, sizeof(tcp)))
		return false;
	before = tcp;
	tcp.seq = bpf_htonl(bpf_ntohl(tcp.seq) - 1);
	tcp.ack_seq = 0;
	((__u8 *)&tcp)[13] = TCP_SYN;
	sum = (__u16)~tcp.check;
	for (int i = 2; i < 7; i++) /* seq, ack, flags */
		sum += (__u64)(__u16)~was[i] + words[i];
	tcp.check = (__u16)~fold(sum);
	return !bpf_xdp_store_bytes(ctx, packet->tcp_at, &tcp, sizeof(tcp));
}
