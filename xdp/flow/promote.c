/* SPDX-License-Identifier: Apache-2.0
 *
 * From two sockets to a flow. See xdp/flow.h for the order of the steps.
 *
 * What makes it safe: the deltas come from snapshots in which nothing was queued, so every byte
 * that the kernel took later has its place in the other connection already; up to there
 * acknowledgements stay the kernel's (kernel_end), and only when it has all of them are the sockets
 * silenced.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "xdp/flow/internal.h"

#define TIMESTAMP_BYTES 12 /* of options, with their padding */

/* The kernel's clock goes on while peers with a slow one (RFC 7323 allows a tick each second) stand
 * still: what is translated must not be behind what the kernel has sent by then, or it is dropped
 * (RFC 7323, 5.3). What it sends later the program sees. */
#define CLOCK_AHEAD_MS 100

const char *const flow_refusal_names[FLOW_REFUSALS] = {
	[FLOW_FINE] = "fine",     [FLOW_NOT_ESTABLISHED] = "not_established",
	[FLOW_BUSY] = "busy",     [FLOW_MSS] = "mss",
	[FLOW_ECN] = "ecn",       [FLOW_CLOCK] = "microsecond_timestamps",
	[FLOW_SIGNED] = "signed", [FLOW_FAMILY] = "family",
	[FLOW_ROUTE] = "route",   [FLOW_FULL] = "full",
	[FLOW_TUPLE] = "tuple",   [FLOW_ERROR] = "error",
	[FLOW_DOUBT] = "doubt",   [FLOW_TIMESTAMPS_DIFFER] = "timestamps",
};

int flow_snapshot(int fd, struct snapshot_tcp *ret_snapshot)
{
	struct snapshot_tcp snapshot = {0};
	socklen_t len = sizeof(snapshot);

	if (getsockopt(fd, SNAPSHOT_LEVEL, SNAPSHOT_NAME, &snapshot, &len))
		return -errno;
	if (len != sizeof(snapshot))
		return -ENOPROTOOPT;
	*ret_snapshot = snapshot;
	return 0;
}

/* Nothing of ours is unsent, so that what is translated does not overtake it; bytes that wait to be
 * read are no matter, as they are relayed before the flow is settled. */
static bool is_idle(const struct snapshot_tcp *leg)
{
	return leg->write_seq == leg->snd_nxt && !leg->out_of_order;
}

static bool is_known(const struct addr *addr)
{
	return addr->family == AF_INET || addr->family == AF_INET6;
}

static enum flow_refusal judge_leg(const struct snapshot_tcp *leg)
{
	if (leg->tcp_state != TCP_ESTABLISHED)
		return FLOW_NOT_ESTABLISHED;
	if (leg->microseconds)
		return FLOW_CLOCK;
	if (leg->signed_)
		return FLOW_SIGNED;
	/* A socket that was made anew has not heard its peer's clock before the first packet. */
	if (leg->timestamps && !leg->ts_recent)
		return FLOW_BUSY;
	return is_idle(leg) ? FLOW_FINE : FLOW_BUSY;
}

enum flow_refusal flow_judge(const struct flow_legs *legs)
{
	const struct snapshot_tcp *client = &legs->before[0];
	const struct snapshot_tcp *backend = &legs->before[1];
	struct addr one = addr_unmap(&legs->peer[0]);
	struct addr other = addr_unmap(&legs->peer[1]);
	enum flow_refusal refusal = judge_leg(client);

	if (refusal == FLOW_FINE)
		refusal = judge_leg(backend);
	if (refusal != FLOW_FINE)
		return refusal;
	if (!is_known(&one) || one.family != other.family)
		return FLOW_FAMILY;
	if ((client->ecn & 1) != (backend->ecn & 1))
		return FLOW_ECN;
	if (client->timestamps != backend->timestamps)
		return FLOW_TIMESTAMPS_DIFFER;
	/* What we told the one that it may send must fit what the other told us that it takes. */
	if (client->advmss > backend->mss_clamp || backend->advmss > client->mss_clamp)
		return FLOW_MSS;
	return FLOW_FINE;
}

/* --- addresses --- */

static void write_words(const struct addr *addr, __be32 ret_words[4])
{
	struct addr plain = addr_unmap(addr);

	memset(ret_words, 0, 4 * sizeof(ret_words[0]));
	if (plain.family == AF_INET)
		ret_words[0] = plain.v4.s_addr;
	else
		memcpy(ret_words, &plain.v6, sizeof(plain.v6));
}

bool flow_key_of(const struct addr *local, const struct addr *peer, struct flow_key4 *ret_key4,
		 struct flow_key6 *ret_key6)
{
	__be32 from[4];
	__be32 to[4];

	write_words(peer, from);
	write_words(local, to);
	memset(ret_key4, 0, sizeof(*ret_key4));
	memset(ret_key6, 0, sizeof(*ret_key6));
	if (addr_unmap(peer).family == AF_INET) {
		ret_key4->source = from[0];
		ret_key4->destination = to[0];
		ret_key4->source_port = htons(peer->port);
		ret_key4->destination_port = htons(local->port);
		return false;
	}
	memcpy(ret_key6->source, from, sizeof(from));
	memcpy(ret_key6->destination, to, sizeof(to));
	ret_key6->source_port = htons(peer->port);
	ret_key6->destination_port = htons(local->port);
	return true;
}

static void read_words(const __be32 words[4], __be16 port, bool ipv6, struct addr *ret_addr)
{
	*ret_addr = (struct addr){.family = ipv6 ? AF_INET6 : AF_INET, .port = ntohs(port)};
	if (ipv6)
		memcpy(&ret_addr->v6, words, sizeof(ret_addr->v6));
	else
		ret_addr->v4.s_addr = words[0];
}

void flow_addresses_of(const struct flow *leaving, struct addr *ret_local, struct addr *ret_peer)
{
	bool ipv6 = leaving->flags & FLOW_IPV6;

	read_words(leaving->source, leaving->source_port, ipv6, ret_local);
	read_words(leaving->destination, leaving->destination_port, ipv6, ret_peer);
}

/* --- filling --- */

/* The most that one segment may carry on this leg, options included. */
static uint16_t room_of(const struct snapshot_tcp *leg)
{
	unsigned cached = leg->mss_cache + (leg->timestamps ? TIMESTAMP_BYTES : 0);

	return (uint16_t)(leg->mss_clamp < cached ? leg->mss_clamp : cached);
}

static enum flow_exit exit_of(const struct flow_engine *engine, unsigned in, unsigned out)
{
	const struct flow_port *from = flow_port_of(engine, in);
	const struct flow_port *to = flow_port_of(engine, out);

	if (to && to->interface.loopback)
		return from && from->interface.loopback ? FLOW_EXIT_UP : FLOW_EXIT_INGRESS;
	return from && from->interface.hook != FLOW_HOOK_TC ? FLOW_EXIT_MAC : FLOW_EXIT_NEIGHBOUR;
}

static void fill_clocks(struct flow *flow, const struct snapshot_tcp *in,
			const struct snapshot_tcp *out)
{
	if (in->timestamps && out->timestamps) {
		flow->flags |= FLOW_TIMESTAMPS;
		/* What the one adds the other takes off again. */
		flow->tsval_delta = out->ts_now + CLOCK_AHEAD_MS - in->ts_recent;
		flow->tsecr_delta = out->ts_recent - (in->ts_now + CLOCK_AHEAD_MS);
		flow->kernel_clock = out->ts_now;
	}
}

static void fill_one(struct flow_engine *engine, uint32_t index, const struct flow_legs *legs,
		     unsigned leg, uint32_t serial)
{
	const struct snapshot_tcp *in = &legs->before[leg];
	const struct snapshot_tcp *out = &legs->before[!leg];
	struct flow *flow = &engine->flows[index + leg];

	memset(flow, 0, sizeof(*flow));
	write_words(&legs->local[!leg], flow->source);
	write_words(&legs->peer[!leg], flow->destination);
	flow->source_port = htons(legs->local[!leg].port);
	flow->destination_port = htons(legs->peer[!leg].port);
	flow->seq_delta = out->write_seq - in->copied_seq;
	flow->ack_delta = out->copied_seq - in->write_seq;
	flow->flags = FLOW_KERNEL_PENDING;
	if (addr_unmap(&legs->peer[0]).family == AF_INET6)
		flow->flags |= FLOW_IPV6;
	fill_clocks(flow, in, out);
	flow->window_in = in->wscale ? in->snd_wscale : 0;
	flow->window_out = out->wscale ? out->rcv_wscale : 0;
	flow->exit_ifindex = legs->ifindex[!leg];
	flow->exit = exit_of(engine, legs->ifindex[leg], legs->ifindex[!leg]);
	flow->out_mss = room_of(out);
	flow->kernel_end = in->write_seq;
	flow->kernel_seq = in->rcv_nxt;
	flow->last_ack = in->snd_una;
	flow->told_ack = in->snd_una - 1; /* so far what the kernel says is news */
	flow->seq_end = in->rcv_nxt;
	flow->last_window = in->snd_wnd;
	flow->edge = in->rcv_nxt + in->rcv_wnd;
	flow->last_ns = clock_us() * 1000;
	flow->serial = serial;
	__atomic_store_n(&flow->state, FLOW_ACTIVE, __ATOMIC_RELEASE);
}

void flow_readdress(struct flow_engine *engine, uint32_t index, unsigned leg,
		    const uint8_t mac_peer[6], const uint8_t mac_local[6])
{
	struct flow *flow = &engine->flows[index + !leg];

	memcpy(flow->mac_destination, mac_peer, sizeof(flow->mac_destination));
	memcpy(flow->mac_source, mac_local, sizeof(flow->mac_source));
}

void flow_fill(struct flow_engine *engine, uint32_t index, const struct flow_legs *legs)
{
	uint32_t serial = __atomic_add_fetch(&engine->serial, 1, __ATOMIC_RELAXED);

	for (unsigned leg = 0; leg < 2; leg++)
		fill_one(engine, index, legs, leg, serial);
	for (unsigned leg = 0; leg < 2; leg++)
		flow_readdress(engine, index, leg, legs->mac_peer[leg], legs->mac_local[leg]);
}

/* --- from here on packets find it --- */

/* A slot that came second to a tuple (and whose owner died before it could know) leaves the first
 * one's key alone. */
static int remove_own(int map, const void *key, uint32_t index)
{
	uint32_t found;

	if (bpf_map_lookup_elem(map, key, &found) || found != index)
		return 0;
	return bpf_map_delete_elem(map, key);
}

static int find_or_add(struct flow_engine *engine, uint32_t index, unsigned leg, bool add)
{
	const struct flow *leaving = &engine->flows[index + !leg];
	uint32_t value = index + leg;
	struct addr local, peer;
	struct flow_key4 key4;
	struct flow_key6 key6;
	const void *key;
	int map, err;

	flow_addresses_of(leaving, &local, &peer);
	if (flow_key_of(&local, &peer, &key4, &key6)) {
		map = engine->index6_fd;
		key = &key6;
	} else {
		map = engine->index4_fd;
		key = &key4;
	}
	if (add)
		err = bpf_map_update_elem(map, key, &value, BPF_NOEXIST);
	else
		err = remove_own(map, key, value);
	return err ? -errno : 0;
}

static int insert_one(struct flow_engine *engine, uint32_t index)
{
	int err = find_or_add(engine, index, 0, true);

	if (err)
		return err;
	err = find_or_add(engine, index, 1, true);
	if (err)
		find_or_add(engine, index, 0, false);
	return err;
}

void flow_insert(struct flow_engine *engine, const uint32_t *indexes, size_t count, int *ret_errs)
{
	for (size_t i = 0; i < count; i++)
		ret_errs[i] = insert_one(engine, indexes[i]);
}

void flow_remove(struct flow_engine *engine, uint32_t index)
{
	for (unsigned leg = 0; leg < 2; leg++)
		find_or_add(engine, index, leg, false);
	bpf_map_delete_elem(engine->notes_fd, &index);
	flow_give_back(engine, index);
}

void flow_grace(void)
{
	syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

/* What the kernel relays itself ends in a FIN of its own: the program sees neither that one nor its
 * acknowledgement, which is the kernel's. */
static void note_kernel_fin(struct flow *in, struct flow *out, bool acked)
{
	if (!in->fin_seen)
		in->fin_seen = out->fin_seen ? 2 : 1;
	out->peer_fin_end = out->kernel_end;
	__atomic_store_n(&out->peer_fin, 1, __ATOMIC_RELEASE); /* after where it ends */
	if (acked)
		out->peer_fin_acked = 1;
}

/* The program raises it as well: what it has written meanwhile is never lowered again, or it would
 * believe nobody any more. */
static void raise_to(__u32 *mark, __u32 value)
{
	__u32 now = __atomic_load_n(mark, __ATOMIC_RELAXED);

	while ((int32_t)(value - now) > 0 &&
	       !__atomic_compare_exchange_n(mark, &now, value, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED))
		;
}

bool flow_settled(struct flow_engine *engine, uint32_t index, const struct flow_legs *legs,
		  const struct snapshot_tcp now[2], uint32_t ret_more[2])
{
	struct flow *pair = &engine->flows[index];
	bool settled = true;
	uint32_t ends[2];
	bool done[2];

	for (unsigned leg = 0; leg < 2; leg++) {
		ret_more[leg] = now[leg].rcv_nxt - now[leg].copied_seq;
		ends[!leg] = legs->before[!leg].write_seq + now[leg].rcv_nxt -
			     legs->before[leg].copied_seq;
		/* Before any of it is relayed, so that its acknowledgements find the mark. */
		raise_to(&pair[!leg].kernel_end, ends[!leg]);
		pair[leg].kernel_seq = now[leg].rcv_nxt;
		raise_to(&pair[leg].seq_end, now[leg].rcv_nxt);
		raise_to(&pair[leg].last_ack, now[leg].snd_una);
		raise_to(&pair[leg].edge, now[leg].rcv_nxt + now[leg].rcv_wnd);
	}
	/* Once for both, as the program goes on noting: who settles has noted FINs as well. */
	for (unsigned leg = 0; leg < 2; leg++)
		done[leg] = now[leg].write_seq == ends[leg] &&
			    (now[leg].snd_una == now[leg].write_seq ||
			     (int32_t)(pair[leg].last_ack - now[leg].write_seq) >= 0);
	for (unsigned leg = 0; leg < 2; leg++) {
		if (now[leg].tcp_state == TCP_CLOSE_WAIT || now[leg].tcp_state == TCP_LAST_ACK ||
		    now[leg].tcp_state == TCP_CLOSING)
			note_kernel_fin(&pair[leg], &pair[!leg], done[!leg]);
		settled = settled && done[leg] && !ret_more[leg];
	}
	return settled;
}

int flow_bury(struct flow_engine *engine, uint32_t index, const int fds[2])
{
	const int on = 1;
	const int off = 0;

	for (unsigned leg = 0; leg < 2; leg++) {
		/* Its probes would go unanswered, and it would die of that and free its tuple. */
		if (setsockopt(fds[leg], SOL_SOCKET, SO_KEEPALIVE, &off, sizeof(off)) ||
		    setsockopt(fds[leg], IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)))
			return -errno;
	}
	for (unsigned leg = 0; leg < 2; leg++)
		__atomic_and_fetch(&engine->flows[index + leg].flags, (__u8)~FLOW_KERNEL_PENDING,
				   __ATOMIC_SEQ_CST);
	return 0;
}
