/* SPDX-License-Identifier: Apache-2.0
 *
 * From a flow back to sockets, or to sockets that only keep its place, by TCP_REPAIR (tcp(7),
 * criu.org/TCP_connection): a socket is told its addresses, sequence numbers, options and windows,
 * and is established without a packet.
 *
 * Failure modes: no privilege (-EPERM), no fd; then the flow goes on. A socket that was made half
 * is closed while it is still in repair, so that its peer hears nothing.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "xdp/flow/internal.h"

/* include/net/tcp.h */
#define OPTION_MSS        2
#define OPTION_WINDOW     3
#define OPTION_SACK_OK    4
#define OPTION_TIMESTAMPS 8

#define TIMESTAMP_BYTES 12
#define MSS_MAX         32767 /* of TCP_MAXSEG */
#define CLOCK_SLACK_MS  50    /* ahead of every TSval that the peer can have seen */

/* What has yielded meanwhile stays so. */
static void turn(struct flow_engine *engine, uint32_t index, enum flow_state from,
		 enum flow_state to)
{
	for (unsigned leg = 0; leg < 2; leg++) {
		uint8_t expected = (uint8_t)from;

		__atomic_compare_exchange_n(&engine->flows[index + leg].state, &expected,
					    (uint8_t)to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	}
}

void flow_hold(struct flow_engine *engine, uint32_t index)
{
	turn(engine, index, FLOW_ACTIVE, FLOW_HOLD);
}

void flow_resume(struct flow_engine *engine, uint32_t index)
{
	turn(engine, index, FLOW_HOLD, FLOW_ACTIVE);
}

bool flow_has_ended(struct flow_engine *engine, uint32_t index)
{
	const struct flow *pair = &engine->flows[index];

	for (unsigned leg = 0; leg < 2; leg++)
		if (pair[leg].fin_seen || pair[leg].rst_seen || pair[leg].peer_fin)
			return true;
	return false;
}

bool flow_is_quiet(struct flow_engine *engine, uint32_t index)
{
	const struct flow *pair = &engine->flows[index];

	if (flow_has_ended(engine, index))
		return false;
	for (unsigned leg = 0; leg < 2; leg++) {
		const struct flow *flow = &pair[leg];

		/* Behind a closed window there are bytes that wait to be sent. */
		if (!flow->last_window)
			return false;
		if (pair[!leg].last_ack != flow->seq_end + flow->seq_delta)
			return false;
	}
	return true;
}

static int set(int fd, int name, const void *value, socklen_t len)
{
	return setsockopt(fd, IPPROTO_TCP, name, value, len) ? -errno : 0;
}

static int set_int(int fd, int name, int value)
{
	return set(fd, name, &value, sizeof(value));
}

static int set_queue(int fd, int queue, uint32_t seq)
{
	int err = set_int(fd, TCP_REPAIR_QUEUE, queue);

	return err ? err : set(fd, TCP_QUEUE_SEQ, &seq, sizeof(seq));
}

static int set_options(int fd, const struct snapshot_tcp *snapshot)
{
	struct tcp_repair_opt options[4];
	size_t count = 0;

	options[count++] = (struct tcp_repair_opt){OPTION_MSS, snapshot->mss_clamp};
	if (snapshot->wscale)
		options[count++] = (struct tcp_repair_opt){
			OPTION_WINDOW, snapshot->snd_wscale | (uint32_t)snapshot->rcv_wscale << 16};
	if (snapshot->sack)
		options[count++] = (struct tcp_repair_opt){OPTION_SACK_OK, 0};
	if (snapshot->timestamps)
		options[count++] = (struct tcp_repair_opt){OPTION_TIMESTAMPS, 0};
	return set(fd, TCP_REPAIR_OPTIONS, options, (socklen_t)(count * sizeof(options[0])));
}

/* Without a handshake the kernel takes the least MSS that there is, for as long as the route stays
 * as it is, unless it is told before that more is allowed. */
static int set_mss(int fd, const struct snapshot_tcp *snapshot)
{
	/* The kernel has taken the room for timestamps off what it told, not off what it was told.
	 */
	int told = snapshot->advmss + (snapshot->timestamps ? TIMESTAMP_BYTES : 0);
	int mss = snapshot->mss_clamp < told ? snapshot->mss_clamp : told;

	return set_int(fd, TCP_MAXSEG, mss < MSS_MAX ? mss : MSS_MAX);
}

int flow_make_socket(const struct flow_tomb *tomb, uint32_t snd, uint32_t rcv, int *ret_fd)
{
	struct sockaddr_storage sa;
	struct addr local = addr_unmap(&tomb->local);
	struct addr peer = addr_unmap(&tomb->peer);
	socklen_t len = addr_to_sockaddr(&local, &sa);
	int fd = socket(local.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	err = set_int(fd, TCP_REPAIR, TCP_REPAIR_ON);
	if (!err)
		err = set_queue(fd, TCP_SEND_QUEUE, snd);
	if (!err)
		err = set_queue(fd, TCP_RECV_QUEUE, rcv);
	if (!err)
		err = set_mss(fd, &tomb->snapshot);
	if (!err && bind(fd, (struct sockaddr *)&sa, len))
		err = -errno;
	len = addr_to_sockaddr(&peer, &sa);
	if (!err && connect(fd, (struct sockaddr *)&sa, len))
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

/* The clock as the peer has seen it: it went on at a thousand a second since the snapshot, and may
 * have been shown to be further by what was translated, if the other peer was silent before the
 * snapshot or has a faster clock. One that is behind has every segment dropped (RFC 7323, 5.3). Its
 * lowest bit chooses the microsecond clock since Linux 6.7, so it stays clear. */
static uint32_t clock_of(const struct snapshot_tcp *snapshot, uint64_t since_ns,
			 const struct flow *out)
{
	uint64_t ms = (clock_us() * 1000 - since_ns) / 1000000;
	uint32_t clock = snapshot->ts_now + (uint32_t)ms;

	if (out->clock_sent && (int32_t)(out->clock_sent - clock) > 0)
		clock = out->clock_sent;
	return (clock + CLOCK_SLACK_MS) & ~1u;
}

static int revive(int fd, const struct flow *in, const struct flow *out,
		  const struct flow_tomb *tomb, uint64_t since_ns)
{
	uint32_t received = out->last_ack - in->seq_delta;
	struct tcp_repair_window window = {
		.snd_wl1 = received,
		.snd_wnd = in->last_window,
		.max_window = in->last_window ? in->last_window : 1,
		.rcv_wnd = out->last_window,
		.rcv_wup = received,
	};
	uint32_t clock = clock_of(&tomb->snapshot, since_ns, out);
	int err = set_options(fd, &tomb->snapshot);

	if (!err && tomb->snapshot.timestamps)
		err = set(fd, TCP_TIMESTAMP, &clock, sizeof(clock));
	if (!err)
		err = set(fd, TCP_REPAIR_WINDOW, &window, sizeof(window));
	if (!err)
		err = set_int(fd, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
	return err;
}

/* What this leg's peer sent and need not send again: as far as the other peer has acknowledged it.
 * What is behind that was lost or never fitted; it comes again, to a socket. */
static uint32_t received_of(const struct flow *pair, unsigned leg)
{
	return pair[!leg].last_ack - pair[leg].seq_delta;
}

static int make_both(const struct flow *pair, const struct flow_tomb tombs[2], int ret_fds[2])
{
	int fds[2] = {-1, -1};
	int err = 0;

	for (unsigned leg = 0; leg < 2 && !err; leg++)
		err = flow_make_socket(&tombs[leg], pair[leg].last_ack, received_of(pair, leg),
				       &fds[leg]);
	if (err) {
		if (fds[0] >= 0)
			close(fds[0]);
		return err;
	}
	memcpy(ret_fds, fds, sizeof(fds));
	return 0;
}

int flow_rebury(struct flow_engine *engine, uint32_t index, const struct flow_tomb tombs[2],
		int ret_fds[2])
{
	return make_both(&engine->flows[index], tombs, ret_fds);
}

int flow_rebuild(struct flow_engine *engine, uint32_t index, const struct flow_tomb tombs[2],
		 int ret_fds[2])
{
	const struct flow *pair = &engine->flows[index];
	struct flow_note note;
	int fds[2];
	int err = flow_note_read(engine, index, &note);

	if (!err)
		err = make_both(pair, tombs, fds);
	if (err)
		return err;
	engine->flows[index].mark = FLOW_MARK_REVIVED;
	for (unsigned leg = 0; leg < 2 && !err; leg++)
		err = revive(fds[leg], &pair[leg], &pair[!leg], &tombs[leg], note.promoted_ns);
	if (err) {
		for (unsigned leg = 0; leg < 2; leg++) {
			set_int(fds[leg], TCP_REPAIR, TCP_REPAIR_ON);
			close(fds[leg]);
		}
		engine->flows[index].mark = FLOW_MARK_NONE;
		return err;
	}
	/* It is counted where it is relayed. */
	for (unsigned leg = 0; leg < 2; leg++)
		engine->flows[index + leg].seq_end = received_of(pair, leg);
	memcpy(ret_fds, fds, sizeof(fds));
	return 0;
}
