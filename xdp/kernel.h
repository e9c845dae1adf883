/* SPDX-License-Identifier: Apache-2.0
 *
 * The few kernel structs that our programs look into, with the few members they read. Where those
 * stand in the running kernel is found at load time, from its BTF (CO-RE, libbpf); a member that a
 * kernel lacks is asked for with bpf_core_field_exists().
 */
#pragma once

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct rb_node;

struct rb_root {
	struct rb_node *rb_node;
};

struct sock_common {
	unsigned char skc_state;
};

struct sock {
	struct sock_common __sk_common;
	int sk_rcvbuf;
	int sk_wmem_queued;
};

struct inet_sock {
	struct sock sk;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
};

struct tcp_options_received {
	__u32 ts_recent;
	__u16 tstamp_ok : 1;
	__u16 wscale_ok : 1;
	__u16 sack_ok : 3;
	__u16 snd_wscale : 4;
	__u16 rcv_wscale : 4;
	__u16 mss_clamp;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 snd_una;
	__u32 snd_nxt;
	__u32 write_seq;
	__u32 rcv_nxt;
	__u32 copied_seq;
	__u32 snd_wnd;
	__u32 rcv_wnd;
	__u32 mss_cache;
	__u32 segs_in;
	__u32 packets_out;
	__u32 tsoffset;
	__u16 advmss;
	__u8 ecn_flags;
	__u8 tcp_usec_ts : 1; /* Linux 6.7 */
	struct tcp_options_received rx_opt;
	struct rb_root out_of_order_queue;
	const void *md5sig_info; /* CONFIG_TCP_MD5SIG */
	const void *ao_info;     /* Linux 6.7, CONFIG_TCP_AO */
};

struct sk_buff {
	char cb[48];
	__u8 ip_summed : 2;
};

/* In sk_buff.cb from when TCP has it. */
struct tcp_skb_cb {
	__u32 seq;
};

#pragma clang attribute pop

/* ip_summed, include/linux/skbuff.h */
#define CHECKSUM_COMPLETE 2
#define CHECKSUM_PARTIAL  3
