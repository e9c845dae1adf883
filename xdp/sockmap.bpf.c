/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockmap: what one socket of a session receives is sent by the other one, in the kernel.
 *
 * Happy path: the stream verdict counts the bytes and redirects them to the socket that `targets`
 * names for this one. Two maps, because both of a session's sockets must be there as targets before
 * the verdict runs on either of them, and only `sources` carries the program.
 *
 * Failure modes. The kernel queues without bound for a socket that does not take any more, so the
 * program reckons what is on its way (handed on, less what the other socket's write_seq has grown
 * by), and above JOINT_LIMIT lets a gate fall, for good: everything from then on is passed to user
 * space, which is told, and the sender's window closes as usual. A socket whose joint is not known
 * (any more) is passed too. A FIN without data is dropped, since redirected it breaks the
 * connection; user space hears of it all the same.
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

/* How far the other socket's kernel has come in sending. False: it is gone. */
static __always_inline int written(__u64 cookie, __u32 *ret_seq)
{
	struct bpf_sock *target = bpf_map_lookup_elem(&joint_targets, &cookie);
	struct tcp_sock *tcp;

	if (!target)
		return 0;
	tcp = bpf_skc_to_tcp_sock(target);
	if (tcp)
		*ret_seq = tcp->write_seq;
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

SEC("sk_skb/stream_verdict")
int joint_verdict(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct joint_way *way;
	__u32 *index;
	__u32 seq;

	if (!skb->len)
		return SK_DROP;
	index = bpf_map_lookup_elem(&joint_index, &cookie);
	if (!index)
		return SK_PASS;
	way = bpf_map_lookup_elem(&joint_ways, index);
	if (!way || way->gated)
		return SK_PASS;
	if (!written(cookie, &seq)) {
		drop_gate(way, *index);
		return SK_PASS;
	}
	if (!way->based) {
		way->based = 1;
		way->base = seq;
	}
	if ((__u32)way->passed - (seq - way->base) > JOINT_LIMIT) {
		drop_gate(way, *index);
		return SK_PASS;
	}
	way->passed += skb->len;
	way->last_ns = bpf_ktime_get_ns();
	return bpf_sk_redirect_hash(skb, &joint_targets, &cookie, 0);
}
