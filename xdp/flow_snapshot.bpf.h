/* SPDX-License-Identifier: Apache-2.0
 *
 * A TCP socket as it stands, read from the kernel's own struct.
 *
 * Failure modes: none; a member that the running kernel lacks counts as unset.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "xdp/abi.h"
#include "xdp/kernel.h"

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
