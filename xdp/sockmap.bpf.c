/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockmap: what one socket of a session receives is sent by the other one, in the kernel.
 *
 * Happy path: the stream verdict counts the bytes and redirects them to the socket that `targets`
 * names for this one. Two maps, because both of a session's sockets must be there as targets before
 * the verdict runs on either of them, and only `sources` carries the program.
 *
 * Failure modes. The kernel queues without bound for a socket that does not take any more, so the
 * program reckons what is on its way (handed on, less what the other socket's peer has acknowledged
 * since), and above JOINT_LIMIT lets the gates fall, for good: everything from then on is passed to
 * user space, which is told, and the sender's window closes as usual. A socket whose joint is not
 * known (any more) is passed too. A FIN without data is dropped, since redirected it breaks the
 * connection; user space hears of it all the same.
 *
 * What a socket passes up waits in one queue with what it is to send, behind it, and counts against
 * no window there. So the gate of one way makes that of the other fall with the next packet, after
 * which nothing more comes into these queues; and user space gives each socket a send buffer that
 * has room for JOINT_LIMIT, so that nothing waits there for a peer. Should it wait all the same (no
 * memory, or no CPU for the kernel's thread), there is an end to what may be unread: then the joint
 * is lost, and has to be reset.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "xdp/abi.h"
#include "xdp/kernel.h"

char LICENSE[] SEC("license") = "GPL";

/* Key: the cookie of the socket that receives. Sizes are set by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 2);
	__type(key, __u64);
	__type(value, __u64);
} joint_targets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 2);
	__type(key, __u64);
	__type(value, __u64);
} joint_sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u32);
} joint_index SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct joint_way);
} joint_ways SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} joint_events SEC(".maps");

/* How far the other socket has come: written to, and acknowledged. False: it is gone. */
static __always_inline int reached(__u64 cookie, __u32 *ret_written, __u32 *ret_acked)
{
	struct bpf_sock *target = bpf_map_lookup_elem(&joint_targets, &cookie);
	struct tcp_sock *tcp;

	if (!target)
		return 0;
	tcp = bpf_skc_to_tcp_sock(target);
	if (tcp) {
		*ret_written = tcp->write_seq;
		*ret_acked = tcp->snd_una;
	}
	bpf_sk_release(target);
	return !!tcp;
}

/* A record that finds no room is made up for by user space's look now and then. */
static __always_inline void drop_gate(struct joint_way *way, __u32 index)
{
	struct joint_event event = {.index = index, .serial = way->serial};

	way->gated = 1;
	bpf_ringbuf_output(&joint_events, &event, sizeof(event), 0);
}

/* Far more is unread than any window can have offered. */
static __always_inline int is_overfull(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct tcp_sock *tcp;

	if (!sk)
		return 0;
	tcp = bpf_skc_to_tcp_sock(sk);
	return tcp && tcp->rcv_nxt - tcp->copied_seq >
			      (__u32)tcp->inet_conn.icsk_inet.sk.sk_rcvbuf + JOINT_UNREAD;
}

static __always_inline int pass_up(struct __sk_buff *skb, struct joint_way *way, __u32 index)
{
	if (!way->lost && !is_overfull(skb))
		return SK_PASS;
	if (!way->lost) {
		way->lost = 1;
		drop_gate(way, index);
	}
	return SK_DROP;
}

static __always_inline int is_other_gated(__u32 index)
{
	struct joint_way *other;

	index ^= 1;
	other = bpf_map_lookup_elem(&joint_ways, &index);
	return other && other->gated;
}

SEC("sk_skb/stream_verdict")
int joint_verdict(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct joint_way *way;
	__u32 write_seq, acked;
	__u32 *index;

	if (!skb->len)
		return SK_DROP;
	index = bpf_map_lookup_elem(&joint_index, &cookie);
	if (!index)
		return SK_PASS;
	way = bpf_map_lookup_elem(&joint_ways, index);
	if (!way)
		return SK_PASS;
	if (way->gated)
		return pass_up(skb, way, *index);
	if (is_other_gated(*index) || !reached(cookie, &write_seq, &acked)) {
		drop_gate(way, *index);
		return SK_PASS;
	}
	if (!way->based) {
		way->based = 1;
		way->base = write_seq;
	}
	if ((__u32)way->passed - (acked - way->base) > JOINT_LIMIT) {
		drop_gate(way, *index);
		return SK_PASS;
	}
	way->passed += skb->len;
	way->last_ns = bpf_ktime_get_ns();
	return bpf_sk_redirect_hash(skb, &joint_targets, &cookie, 0);
}
