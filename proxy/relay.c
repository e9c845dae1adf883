/* SPDX-License-Identifier: Apache-2.0
 *
 * The relay. Happy path, small messages: recv(2) into the worker's buffer, send(2) on, and no
 * second recv() to see EAGAIN, since a short read has emptied the queue and the next byte raises a
 * new edge. Happy path, bulk: an event that moved 60 KiB or more makes the next one splice through
 * a pooled pipe, until an event moves less. A short splice proves nothing (the pipe's slots may
 * have run out first), so splicing goes on to EAGAIN.
 *
 * Back-pressure: what send() did not take is kept in one chunk, or stays in the pipe, and nothing
 * is read until it is gone. When the worker may keep no more (the `buffers` cap), bytes are only
 * peeked at, sent, and then consumed as far as they were taken, so they wait in the kernel's
 * receive queue and any number of stalled peers costs no user memory.
 *
 * EOF and failure: RDHUP without ERR or HUP turns a short read into EOF, and the last data is then
 * sent with MSG_MORE so that it leaves in one segment with the FIN. Data followed by RST reports
 * IN|RDHUP|ERR|HUP and a short read: taken for EOF that would forge a clean end, so after ERR or
 * HUP only recv() == 0 with no error recorded counts. An urgent byte cuts reads short at its mark;
 * it is found by SIOCATMARK and passed on as MSG_OOB.
 */
#include "proxy/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/panic.h"
#include "proxy/base/sys.h"
#include "proxy/pipe.h"
#include "proxy/slab.h"
#include "proxy/stats.h"

#define BULK_BYTES   (60 * 1024)   /* an event that moves this much is worth a pipe */
#define EVENT_BUDGET (1024 * 1024) /* bytes per event, then others get their turn */

/* One run of a relay: what the steps below share. */
struct run {
	struct relay *relay;
	struct leg *from;
	struct leg *to;
	const struct relay_kit *kit;
	size_t moved;
};

/* A step either hands over to the next one or settles the run. */
enum step {
	STEP_GO_ON,
	STEP_WAIT,
	STEP_FROM_FAILED,
	STEP_TO_FAILED,
};

bool relay_is_holding(const struct relay *relay)
{
	return relay->rest || (relay->pipe && relay->pipe->filled);
}

bool relay_has_work(const struct relay *relay, const struct leg *from)
{
	if (relay->state == RELAY_SHUT || relay->blocked)
		return false;
	return relay->state == RELAY_DRAINING || relay_is_holding(relay) || from->readable;
}

void relay_drop(struct relay *relay, const struct relay_kit *kit)
{
	slab_put(kit->slab, relay->rest);
	relay->rest = NULL;
	pipe_put(kit->pipes, relay->pipe);
	relay->pipe = NULL;
}

static enum step from_failed(struct run *run, int error)
{
	run->from->readable = false;
	if (!run->from->error)
		run->from->error = error;
	return STEP_FROM_FAILED;
}

static enum step to_failed(struct run *run, int error)
{
	if (!run->to->error)
		run->to->error = error;
	return STEP_TO_FAILED;
}

/* The source said all it will say. A recorded error outranks that; so do bytes still to come. */
static enum step end_of_stream(struct run *run)
{
	if (run->from->error)
		return from_failed(run, run->from->error);
	run->from->readable = false;
	if (run->relay->bytes >= run->relay->whole_bytes)
		run->relay->state = RELAY_DRAINING;
	return STEP_GO_ON;
}

static enum step send_blocked(struct run *run)
{
	run->relay->blocked = true;
	return STEP_WAIT;
}

/* Offer `len` bytes; *ret_sent is how many were taken (0 when it blocks). */
static enum step offer(struct run *run, const void *data, size_t len, int flags, size_t *ret_sent)
{
	ssize_t sent;

	do
		sent = SYS(SEND, send(run->to->source.fd, data, len, MSG_NOSIGNAL | flags));
	while (sent < 0 && errno == EINTR);
	*ret_sent = sent > 0 ? (size_t)sent : 0;
	run->relay->sent_bytes += *ret_sent;
	return sent >= 0 || errno == EAGAIN ? STEP_GO_ON : to_failed(run, errno);
}

int relay_precede(struct relay *relay, struct leg *to, const void *bytes, size_t len, bool more,
		  const struct relay_kit *kit)
{
	struct run run = {.relay = relay, .to = to, .kit = kit};
	size_t sent;

	if (offer(&run, bytes, len, more ? MSG_MORE : 0, &sent) != STEP_GO_ON || sent == len)
		return 0;
	relay->rest = slab_get(kit->slab, (const uint8_t *)bytes + sent, len - sent);
	if (!relay->rest)
		return -ENOMEM;
	relay->blocked = true;
	return 0;
}

/* First of all, what earlier events left behind. */
static enum step flush_rest(struct run *run)
{
	struct chunk *rest = run->relay->rest;
	size_t sent;
	enum step step;

	if (!rest)
		return STEP_GO_ON;
	step = offer(run, rest->data + rest->start, rest->end - rest->start, 0, &sent);
	if (step != STEP_GO_ON)
		return step;
	rest->start += (uint32_t)sent;
	run->moved += sent;
	if (rest->start < rest->end)
		return send_blocked(run);
	slab_put(run->kit->slab, rest);
	run->relay->rest = NULL;
	return STEP_GO_ON;
}

/* Keep what send() did not take of `len` bytes in the worker's buffer. */
static enum step keep_rest(struct run *run, size_t sent, size_t len)
{
	if (sent == len)
		return STEP_GO_ON;
	run->relay->rest = slab_get(run->kit->slab, run->kit->buffer + sent, len - sent);
	return run->relay->rest ? send_blocked(run) : from_failed(run, ENOMEM);
}

/* The receiver's socket does not take from pipes after all: copy what is in this one. */
static enum step read_pipe(struct run *run)
{
	struct pipe *pipe = run->relay->pipe;
	enum step step = STEP_GO_ON;

	while (step == STEP_GO_ON && pipe->filled) {
		size_t size = run->kit->buffer_size;
		ssize_t got = read(pipe->read_fd, run->kit->buffer,
				   pipe->filled < size ? pipe->filled : size);
		size_t sent;

		if (got <= 0)
			return to_failed(run, got ? errno : EPIPE);
		pipe->filled -= (uint32_t)got;
		step = offer(run, run->kit->buffer, (size_t)got, 0, &sent);
		if (step == STEP_GO_ON)
			step = keep_rest(run, sent, (size_t)got);
	}
	return step;
}

static enum step flush_pipe(struct run *run)
{
	struct relay *relay = run->relay;
	struct pipe *pipe = relay->pipe;

	while (pipe && pipe->filled) {
		if (relay->no_splice)
			return read_pipe(run);
		ssize_t sent = SYS(SPLICE, splice(pipe->read_fd, NULL, run->to->source.fd, NULL,
						  pipe->filled, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));

		if (sent < 0 && errno == EAGAIN)
			return send_blocked(run);
		relay->no_splice = sent < 0 && errno == EINVAL;
		if (relay->no_splice || (sent < 0 && errno == EINTR))
			continue;
		if (sent <= 0)
			return to_failed(run, sent ? errno : EPIPE);
		pipe->filled -= (uint32_t)sent;
		relay->sent_bytes += (uint64_t)sent;
		relay->spliced_bytes += (uint64_t)sent;
		count_add(&run->kit->counts->spliced_bytes, (uint64_t)sent);
	}
	return STEP_GO_ON;
}

/* One urgent byte stands at the mark: take it alone and pass it on as what it is. */
static enum step pass_urgent_byte(struct run *run, bool *ret_passed)
{
	char byte;
	int at_mark = 0;
	ssize_t got;
	size_t sent;
	enum step step;

	*ret_passed = false;
	if (SYS(IOCTL, ioctl(run->from->source.fd, SIOCATMARK, &at_mark)) || !at_mark)
		return STEP_GO_ON;
	got = SYS(RECV, recv(run->from->source.fd, &byte, 1, MSG_PEEK));
	if (got <= 0)
		return STEP_GO_ON; /* not here yet; the ordinary read says how it stands */
	step = offer(run, &byte, 1, MSG_OOB, &sent);
	if (step != STEP_GO_ON)
		return step;
	if (!sent)
		return send_blocked(run);
	SYS(RECV, recv(run->from->source.fd, &byte, 1, 0));
	run->relay->bytes++;
	run->moved++;
	*ret_passed = true;
	return STEP_GO_ON;
}

/* Send what was read; keep the rest, or give it back to the kernel when it was only peeked at. */
static enum step forward(struct run *run, size_t len, bool peeked, bool is_last)
{
	size_t sent;
	enum step step = offer(run, run->kit->buffer, len, is_last ? MSG_MORE : 0, &sent);

	if (step != STEP_GO_ON)
		return step;
	run->moved += sent;
	if (peeked) {
		if (sent) /* TCP discards in place; a Unix socket copies, so needs the room */
			SYS(RECV, recv(run->from->source.fd, run->kit->buffer, sent, MSG_TRUNC));
		run->relay->bytes += sent;
		return sent < len ? send_blocked(run) : STEP_GO_ON;
	}
	run->relay->bytes += len;
	return keep_rest(run, sent, len);
}

static enum step copy_once(struct run *run)
{
	struct leg *from = run->from;
	size_t size = run->kit->buffer_size;
	bool peek = !slab_has_room(run->kit->slab, size);
	bool emptied, is_last;
	ssize_t got;
	enum step step;

	got = SYS(RECV, recv(from->source.fd, run->kit->buffer, size, peek ? MSG_PEEK : 0));
	if (got < 0 && errno == EINTR)
		return STEP_GO_ON;
	if (got < 0 && errno == EAGAIN) {
		from->readable = false;
		from->urgent = false;
		return STEP_GO_ON;
	}
	if (got < 0)
		return from_failed(run, errno);
	if (got == 0)
		return end_of_stream(run);
	emptied = (size_t)got < size && !from->last_words && !from->urgent;
	is_last = emptied && from->rdhup && run->relay->bytes + got >= run->relay->whole_bytes;
	if (peek)
		count_add(&run->kit->counts->buffer_refusals, 1);
	step = forward(run, (size_t)got, peek, is_last);
	if (!emptied || step == STEP_FROM_FAILED || (peek && step != STEP_GO_ON))
		return step;
	from->readable = false;
	if (is_last)
		run->relay->state = RELAY_DRAINING;
	return step;
}

static enum step splice_once(struct run *run)
{
	struct relay *relay = run->relay;
	struct pipe *pipe = relay->pipe;
	ssize_t got = SYS(SPLICE, splice(run->from->source.fd, NULL, pipe->write_fd, NULL,
					 pipe->capacity, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));

	if (got > 0) {
		pipe->filled += (uint32_t)got;
		relay->bytes += (uint64_t)got;
		run->moved += (size_t)got;
		return flush_pipe(run);
	}
	if (got < 0 && errno == EINTR)
		return STEP_GO_ON;
	if (got < 0 && errno == EAGAIN && !run->from->rdhup && !run->from->last_words) {
		run->from->readable = false;
		return STEP_GO_ON;
	}
	if (got < 0 && errno == EINVAL)
		relay->no_splice = true;
	else if (got < 0 && errno != EAGAIN)
		return from_failed(run, errno); /* told once: recv() would say 0 after it */
	return copy_once(run);                  /* recv() has the last word on EOF */
}

static bool wants_splice(const struct run *run, enum relay_mode mode)
{
	if (mode == RELAY_COPY || run->relay->no_splice || run->from->urgent)
		return false;
	return mode == RELAY_SPLICE || run->relay->bulk;
}

static enum step move_once(struct run *run, enum relay_mode mode)
{
	if (run->from->urgent) {
		bool passed;
		enum step step = pass_urgent_byte(run, &passed);

		if (step != STEP_GO_ON || passed)
			return step;
	}
	if (wants_splice(run, mode)) {
		if (!run->relay->pipe)
			run->relay->pipe = pipe_get(run->kit->pipes, run->kit->now_us);
		if (run->relay->pipe)
			return splice_once(run);
	}
	return copy_once(run);
}

static enum step flush(struct run *run)
{
	enum step step = flush_rest(run);

	return step == STEP_GO_ON ? flush_pipe(run) : step;
}

/* Pass the FIN on, or leave it to the close that follows at once. A peer that reset meanwhile makes
 * shutdown(2) fail: its own event says so. */
static enum relay_result shut(struct run *run)
{
	if (!run->relay->is_last && SYS(SHUTDOWN, shutdown(run->to->source.fd, SHUT_WR)) &&
	    errno != ENOTCONN) {
		to_failed(run, errno);
		return RELAY_TO_FAILED;
	}
	run->relay->state = RELAY_SHUT;
	return RELAY_DONE;
}

static enum relay_result settle(struct run *run, enum step step)
{
	if (step == STEP_FROM_FAILED)
		return RELAY_FROM_FAILED;
	if (step == STEP_TO_FAILED)
		return RELAY_TO_FAILED;
	if (run->relay->state == RELAY_DRAINING && !relay_is_holding(run->relay))
		return shut(run);
	return RELAY_WAITS;
}

enum relay_result relay_run(struct relay *relay, struct leg *from, struct leg *to,
			    enum relay_mode mode, const struct relay_kit *kit)
{
	struct run run = {.relay = relay, .from = from, .to = to, .kit = kit};
	enum step step;
	enum relay_result result;

	if (relay->state == RELAY_SHUT)
		return RELAY_DONE;
	relay->blocked = false;
	step = flush(&run);
	while (step == STEP_GO_ON && relay->state == RELAY_OPEN && from->readable) {
		if (run.moved >= EVENT_BUDGET) {
			relay->bulk = true;
			return RELAY_AGAIN;
		}
		step = move_once(&run, mode);
	}
	if (!relay->blocked || run.moved >= BULK_BYTES)
		relay->bulk = run.moved >= BULK_BYTES;
	result = settle(&run, step);
	if (relay->pipe && !relay->pipe->filled) {
		pipe_put(kit->pipes, relay->pipe);
		relay->pipe = NULL;
	}
	return result;
}
