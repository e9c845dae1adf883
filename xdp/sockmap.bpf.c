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
 * since; and the buffers that wait, each of which takes up memory, however short). Above
 * JOINT_LIMIT it tells user space, which lets the gates of both ways fall, for good: everything
 * from then on is passed to user space, and the sender's window closes as usual. A socket whose
 * joint is not known (any more) is passed too. A FIN without data is dropped, since redirected it
 * breaks the connection; user space hears of it all the same.
 *
 * The kernel hands a verdict whole buffers, also where their head has been had already: one that
 * user space had half read, and whatever a retransmission overlaps. So the program goes by sequence
 * numbers, and trims what is not due.
 *
 * What a socket passes up behind what it is to send waits in one queue with it, counts against no
 * window there, and is charged to the socket by the kernel's thread, which does not lock it: what
 * is charged meanwhile may be lost from its accounts, of which the kernel complains when the socket
 * goes (Linux 6.18). So user space first closes the windows of both sockets, waits until nothing is
 * queued, and lets both gates fall at once. A send buffer has room for all of it, so that nothing
 * waits there for a peer.
 *
 * On a machine whose CPUs are busy both the kernel's thread and user space come late, and a peer on
 * the same machine sends a gigabyte in that time. A verdict cannot refuse what TCP has taken and
 * acknowledged, but a socket's filter is asked before: above JOINT_BRAKE it drops what comes, as a
 * full queue on the way would. Should more come all the same (a window of many megabytes may be
 * under way), the gate falls without waiting, and there is an end to what may be unread: then the
 * joint is lost, and has to be reset.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "xdp/abi.h"
#include "xdp/kernel.h"

char LICENSE[] SEC("license") = "GPL";

extern void *bpf_cast_to_kern_ctx(void *obj) __ksym; /* Linux 6.2 */

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

/* The other socket's send queue. */
struct send_queue {
	__u32 end;   /* sequence number after the last byte */
	__u32 acked; /* and of the first that its peer has not acknowledged */
	__u32 queued;
};

/* False: it is gone. */
static __always_inline int reached(__u64 cookie, struct send_queue *ret_queue)
{
	struct bpf_sock *target = bpf_map_lookup_elem(&joint_targets, &cookie);
	struct tcp_sock *tcp;

	if (!target)
		return 0;
	tcp = bpf_skc_to_tcp_sock(target);
	if (tcp) {
		ret_queue->end = tcp->write_seq;
		ret_queue->acked = tcp->snd_una;
		ret_queue->queued = (__u32)tcp->inet_conn.icsk_inet.sk.sk_wmem_queued;
	}
	bpf_sk_release(target);
	return !!tcp;
}

static __always_inline struct tcp_sock *own(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	return sk ? bpf_skc_to_tcp_sock(sk) : NULL;
}

/* A record that finds no room is made up for by user space's look now and then. */
static __always_inline void tell(const struct joint_way *way, __u32 index)
{
	struct joint_event event = {.index = index, .serial = way->serial};

	bpf_ringbuf_output(&joint_events, &event, sizeof(event), 0);
}

static __always_inline void drop_gate(struct joint_way *way, __u32 index)
{
	way->gated = 1;
	tell(way, index);
}

static __always_inline void lose(struct __sk_buff *skb, struct joint_way *way, __u32 index,
				 enum joint_loss why)
{
	struct tcp_sock *tcp = own(skb);

	if (way->lost)
		return;
	way->unread = tcp ? tcp->rcv_nxt - tcp->copied_seq : 0;
	way->lost = why;
	drop_gate(way, index);
}

/* --- bytes that are not due --- */

#define TRIM_STEP 4095 /* as much as bpf_skb_adjust_room() takes off at once */

struct trimming {
	struct __sk_buff *skb;
	__u32 left;
	__u32 failed;
};

static long trim_some(__u32 turn, void *context)
{
	struct trimming *trimming = context;
	__u32 count = trimming->left < TRIM_STEP ? trimming->left : TRIM_STEP;

	if (!count)
		return 1;
	if (bpf_skb_adjust_room(trimming->skb, -(__s32)count, 0, 0)) {
		trimming->failed = 1;
		return 1;
	}
	trimming->left -= count;
	return 0;
}

static __always_inline enum joint_loss trim(struct __sk_buff *skb, struct joint_way *way)
{
	struct sk_buff *kernel = bpf_cast_to_kern_ctx(skb);
	const struct tcp_skb_cb *place = (const void *)kernel->cb;
	struct trimming trimming = {.skb = skb};
	__u32 begins = place->seq, len = skb->len;

	if (!way->begun) { /* nothing was handed on or passed up yet */
		struct tcp_sock *tcp = own(skb);

		if (!tcp)
			return JOINT_GAP;
		way->next = tcp->copied_seq;
		way->begun = 1;
	}
	trimming.left = way->next - begins;
	if (trimming.left >= len)
		return JOINT_GAP;
	way->next = begins + len;
	if (trimming.left)
		bpf_loop(len / TRIM_STEP + 1, trim_some, &trimming, 0);
	return trimming.left || trimming.failed ? JOINT_UNTRIMMED : JOINT_KEPT;
}

/* --- limits --- */

/* Far more is unread than any window can have offered. */
static __always_inline int is_overfull(struct __sk_buff *skb)
{
	struct tcp_sock *tcp = own(skb);

	return tcp && tcp->rcv_nxt - tcp->copied_seq >
			      (__u32)tcp->inet_conn.icsk_inet.sk.sk_rcvbuf + JOINT_UNREAD;
}

static __always_inline int pass_up(struct __sk_buff *skb, struct joint_way *way, __u32 index)
{
	if (!way->lost && !is_overfull(skb))
		return SK_PASS;
	lose(skb, way, index, JOINT_OVERFULL);
	return SK_DROP;
}

/* Buffers that wait to be written, or up to twice as many: those since some moment whose bytes
 * are written, and those since one before it. Each takes up memory, however short. */
static __always_inline __u32 count_waiting(struct joint_way *way, __u32 write_seq)
{
	if ((__s32)(write_seq - way->base - way->mark) >= 0) {
		way->waiting_before = way->waiting;
		way->waiting = 0;
		way->mark = (__u32)way->passed;
	}
	return way->waiting + way->waiting_before;
}

static __always_inline void press(struct joint_way *way, __u32 index)
{
	if (way->pressed)
		return;
	way->pressed = 1;
	tell(way, index);
}

/* Whether this way may go on. */
static __always_inline int may_hand_on(struct joint_way *way, const struct joint_way *back,
				       __u64 cookie, __u32 index)
{
	__u32 under_way, waiting;
	struct send_queue to;

	if (back->gated || !reached(cookie, &to))
		return 0;
	if (!way->based) {
		way->based = 1;
		way->base = to.end;
		way->mark = (__u32)way->passed;
	}
	under_way = (__u32)way->passed - (to.acked - way->base);
	waiting = count_waiting(way, to.end);
	if (under_way > JOINT_LIMIT || waiting > JOINT_WAITING || to.queued > JOINT_QUEUED)
		press(way, index);
	if (under_way > JOINT_BRAKE || waiting > JOINT_BRAKE_WAITING)
		way->braked = 1;
	return under_way <= JOINT_HARD_LIMIT && waiting <= JOINT_HARD_WAITING;
}

SEC("sk_skb/stream_verdict")
int joint_verdict(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct joint_way *way, *back;
	__u32 *index, other;

	if (!skb->len)
		return SK_DROP;
	index = bpf_map_lookup_elem(&joint_index, &cookie);
	if (!index)
		return SK_PASS;
	other = *index ^ 1;
	way = bpf_map_lookup_elem(&joint_ways, index);
	back = bpf_map_lookup_elem(&joint_ways, &other);
	if (!way || !back)
		return SK_PASS;
	if (!way->lost) {
		enum joint_loss loss = trim(skb, way);

		if (loss != JOINT_KEPT)
			lose(skb, way, *index, loss);
	}
	if (way->gated)
		return pass_up(skb, way, *index);
	if (!may_hand_on(way, back, cookie, *index)) {
		drop_gate(way, *index);
		return SK_PASS;
	}
	way->passed += skb->len;
	way->waiting++;
	way->last_ns = bpf_ktime_get_ns();
	return bpf_sk_redirect_hash(skb, &joint_targets, &cookie, 0);
}

/* --- the brake --- */

/* In a TCP header (RFC 9293, 3.1), which is where the kernel lets a socket's filter begin. */
#define DATA_OFFSET_AT 12
#define DROP           0
#define KEEP           (~0)

/* A socket's filter: how many bytes of a segment are kept. Who has pressed is gated soon, so
 * nothing is dropped for long. */
SEC("socket")
int joint_brake(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	__u32 *index = bpf_map_lookup_elem(&joint_index, &cookie);
	const struct joint_way *way = index ? bpf_map_lookup_elem(&joint_ways, index) : NULL;
	__u8 offset;

	if (!way || !way->braked || way->gated ||
	    bpf_skb_load_bytes(skb, DATA_OFFSET_AT, &offset, sizeof(offset)))
		return KEEP;
	return skb->len > (__u32)(offset >> 4) * 4 ? DROP : KEEP;
}
