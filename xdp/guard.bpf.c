/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard at the door (XDP): looks at what arrives for our listeners before the kernel has spent
 * anything on it, and lets everything else by.
 *
 * Happy path: a packet's headers are sound, its port is a gate, no rule denies its source, it is no
 * SYN: passed. A SYN is charged to its source. Amid a flood of SYNs each is answered with a cookie
 * (xdp/guard_cookie.bpf.h), and its source is charged when it comes back with it: so nobody can use
 * up the rate of somebody else by writing his address.
 * Failure modes: what is not understood is passed, unless the kernel would throw it away too. Maps
 * that are full (sources) forget the oldest.
 */
#include "xdp/guard_cookie.bpf.h"
#include "xdp/guard_packet.bpf.h"
#include "xdp/guard_return.bpf.h"
#include "xdp/guard_tables.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define SECOND_NS         1000000000ULL
#define FLOOD_LINGERS_NS  (10 * SECOND_NS) /* after the last SYN that was too many */
#define VOUCH_NS          (30 * SECOND_NS)
#define STRAY_INTERVAL_NS (SECOND_NS / 200)
#define STRAY_BURST       50

/* Whether one more may pass now; `arrival` is the bucket. */
static __always_inline bool charge(__u64 *arrival, __u64 now, __u64 interval, __u64 tolerance)
{
	__u64 next = *arrival > now ? *arrival : now;

	if (next + interval - now > tolerance)
		return false;
	*arrival = next + interval;
	return true;
}

static __always_inline bool charge_source(const struct guard_gate *gate,
					  const struct guard_packet *packet, __u64 now)
{
	struct guard_source source = {.listener = gate->listener};
	__u64 first = now + gate->syn_interval_ns;
	__u64 *arrival;

	if (!gate->syn_interval_ns)
		return true;
	source.family = packet->ipv6 ? 6 : 4;
	source.prefix = packet->ipv6 ? (__u64)packet->source[0] << 32 | packet->source[1]
				     : packet->source[3];
	arrival = bpf_map_lookup_elem(&guard_sources, &source);
	if (arrival)
		return charge(arrival, now, gate->syn_interval_ns, gate->syn_tolerance_ns);
	bpf_map_update_elem(&guard_sources, &source, &first, BPF_ANY);
	return true;
}

/* A SYN (`counts`) may begin a flood, or prolong it. */
static __always_inline bool is_flooded(const struct guard_gate *gate, struct guard_pulse *pulse,
				       __u64 now, bool counts)
{
	if (counts &&
	    !charge(&pulse->flood_ns, now, gate->flood_interval_ns, gate->flood_tolerance_ns))
		pulse->cookies_until_ns = now + FLOOD_LINGERS_NS;
	return pulse->cookies_until_ns > now;
}

/* The kernel believes cookies for two minutes after it has seen a SYN that it answers with one. Any
 * SYN will not do: it is lost where its source has no route. So now and then one who came back with
 * his cookie is made to ask the kernel: his acknowledgement becomes the SYN that he began with, and
 * to the kernel's answer, which is none of his connection's, he says again what he has (RFC 9293,
 * 3.10.7.4; RFC 5961, 4). */
static __always_inline bool is_to_vouch(struct guard_pulse *pulse, __u64 now)
{
	__u64 due = pulse->vouch_ns;

	return now >= due &&
	       __sync_val_compare_and_swap(&pulse->vouch_ns, due, now + VOUCH_NS) == due;
}

static __always_inline __u32 meet_syn(struct xdp_md *ctx, const struct guard_gate *gate,
				      struct guard_pulse *pulse, const struct guard_packet *packet,
				      bool cookies)
{
	__u64 now = bpf_ktime_get_ns();
	bool flooded = is_flooded(gate, pulse, now, true);

	if (!cookies || !(gate->flags & (GUARD_COOKIES_ALWAYS | GUARD_COOKIES_AUTO)) ||
	    !(gate->flags & GUARD_COOKIES_ALWAYS || flooded))
		return charge_source(gate, packet, now) ? GUARD_SYN_PASSED : GUARD_RATE_LIMITED;
	if (gate->flags & GUARD_DRY_RUN)
		return GUARD_COOKIE_SENT;
	return send_cookie(ctx, gate, packet, now) ? GUARD_COOKIE_SENT : GUARD_UNANSWERABLE;
}

/* An acknowledgement amid a flood: of a connection, of a cookie, or of nothing. */
static __always_inline __u32 meet_ack(struct xdp_md *ctx, const struct guard_gate *gate,
				      struct guard_pulse *pulse, const struct guard_packet *packet)
{
	__u64 now = bpf_ktime_get_ns();
	bool flooded = is_flooded(gate, pulse, now, false);

	/* Without cookies sent none comes back. */
	if (gate->flags & GUARD_DRY_RUN || !(gate->flags & GUARD_COOKIES_ALWAYS || flooded) ||
	    is_connected(ctx, packet))
		return GUARD_PASSED;
	if (is_cookie(ctx, packet)) {
		if (is_to_vouch(pulse, now) && begin_again(ctx, packet))
			return GUARD_VOUCHED;
		return charge_source(gate, packet, now) ? GUARD_COOKIE_PROVED : GUARD_RATE_LIMITED;
	}
	/* A few, so that whoever holds a connection that is gone here learns of it. Not amid a
	 * flood: packets are lost then, and what comes behind a lost one looks like this. It comes
	 * again behind the one that was lost, unless the kernel has answered it with RST. */
	if (!flooded &&
	    charge(&pulse->stray_ns, now, STRAY_INTERVAL_NS, STRAY_BURST * STRAY_INTERVAL_NS))
		return GUARD_STRAY;
	return GUARD_COOKIE_REFUSED;
}

static __always_inline __u32 judge(struct xdp_md *ctx, const struct guard_gate *gate, __u32 index,
				   const struct guard_packet *packet, bool cookies)
{
	struct guard_pulse *pulse;
	__u32 rule;

	if (is_nonsense(packet))
		return GUARD_MALFORMED;
	rule = gate->flags & GUARD_HAS_RULES ? find_rule(gate->list, packet) : 0;
	if (rule)
		return rule == GUARD_RULE_DENY ? GUARD_DENIED : GUARD_ALLOWED;
	if (packet->flags & TCP_RST || (!cookies && !(packet->flags & TCP_SYN)))
		return GUARD_PASSED;
	pulse = bpf_map_lookup_elem(&guard_pulses, &index);
	if (!pulse)
		return GUARD_PASSED;
	if ((packet->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return meet_syn(ctx, gate, pulse, packet, cookies);
	if (cookies && (gate->flags & GUARD_COOKIES_ALWAYS || pulse->cookies_until_ns))
		return meet_ack(ctx, gate, pulse, packet);
	return GUARD_PASSED;
}

static __always_inline int act(__u32 verdict, bool dry_run)
{
	if (dry_run)
		return XDP_PASS;
	switch (verdict) {
	case GUARD_DENIED:
	case GUARD_RATE_LIMITED:
	case GUARD_COOKIE_REFUSED:
	case GUARD_UNANSWERABLE:
	case GUARD_MALFORMED:
		return XDP_DROP;
	case GUARD_COOKIE_SENT:
		return XDP_TX;
	default:
		return XDP_PASS;
	}
}

static __always_inline int stand(struct xdp_md *ctx, bool cookies)
{
	__u32 generation = guard_generation & 1;
	struct guard_packet packet;
	struct guard_gate *gate;
	__u32 verdict, index;

	switch (read_packet(ctx, &packet)) {
	case PACKET_OTHER:
		return XDP_PASS;
	case PACKET_BROKEN:
		count(0, GUARD_MALFORMED, guard_all_dry);
		return act(GUARD_MALFORMED, guard_all_dry);
	case PACKET_TCP:
		break;
	}
	gate = find_gate(generation, &packet, &index);
	if (!gate)
		return XDP_PASS;
	verdict = judge(ctx, gate, index, &packet, cookies);
	count(gate->listener, verdict, gate->flags & GUARD_DRY_RUN);
	return act(verdict, gate->flags & GUARD_DRY_RUN);
}

/* Linux 6.0 and later. */
SEC("xdp")
int guard_xdp(struct xdp_md *ctx)
{
	return stand(ctx, true);
}

/* Before that cookies cannot be made here. */
SEC("xdp")
int guard_xdp_plain(struct xdp_md *ctx)
{
	return stand(ctx, false);
}
