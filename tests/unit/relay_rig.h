/* SPDX-License-Identifier: Apache-2.0
 *
 * One relay between two real connections: `sender` writes, the relay moves from `from` to `to`,
 * `receiver` reads. Calls of the relay on its own two sockets can be made to fail or to count.
 */
#pragma once

#include <fcntl.h>

#include "proxy/base/sys.h"
#include "proxy/pipe.h"
#include "proxy/relay.h"
#include "proxy/slab.h"
#include "tests/unit/core_rig.h"

#define RIG_BUFFER (128 * 1024)
#define PLENTY     (UINT64_MAX / 4)

struct relay_rig {
	int sender;
	int receiver;
	struct leg from;
	struct leg to;
	struct relay relay;
	struct relay_kit kit;
	struct slab slab;
	struct pipe_cache pipes;
	struct worker_counts counts;
	enum relay_mode mode;
};

static inline void relay_rig_open_on(struct relay_rig *rig, int client[2], int backend[2],
				     uint64_t buffers)
{
	memset(rig, 0, sizeof(*rig));
	rig->sender = client[0];
	rig->from.source.fd = client[1];
	rig->to.source.fd = backend[0];
	rig->receiver = backend[1];
	slab_init(&rig->slab, buffers);
	pipe_cache_init(&rig->pipes, &rig->slab, &rig->counts, 4);
	rig->kit = (struct relay_kit){.buffer = malloc(RIG_BUFFER),
				      .buffer_size = RIG_BUFFER,
				      .slab = &rig->slab,
				      .pipes = &rig->pipes,
				      .counts = &rig->counts,
				      .now_us = 1};
	ck_assert_ptr_nonnull(rig->kit.buffer);
	memset(sys_calls, 0, sizeof(sys_calls));
}

/* Over TCP; `to_buffer` makes the way from the relay to the receiver small (0: the kernel's). */
static inline void relay_rig_open(struct relay_rig *rig, uint64_t buffers, int to_buffer)
{
	int client[2], backend[2];

	tcp_pair(client);
	tcp_pair_sized(backend, to_buffer);
	relay_rig_open_on(rig, client, backend, buffers);
}

static inline void relay_rig_open_unix(struct relay_rig *rig, uint64_t buffers)
{
	int client[2], backend[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, client), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, backend), 0);
	relay_rig_open_on(rig, client, backend, buffers);
	rig->from.peer.family = rig->to.peer.family = AF_UNIX;
}

/* Nothing may be left behind: no chunk, no pipe, no budget. */
static inline void relay_rig_close(struct relay_rig *rig)
{
	relay_drop(&rig->relay, &rig->kit);
	pipe_cache_fini(&rig->pipes);
	ck_assert_uint_eq(rig->counts.pipes_open, 0);
	slab_fini(&rig->slab);
	free(rig->kit.buffer);
	close(rig->sender);
	close(rig->receiver);
	close(rig->from.source.fd);
	close(rig->to.source.fd);
}

/* What epoll would say of `from` now, noted as a session does. */
static inline void relay_rig_look(struct relay_rig *rig)
{
	struct pollfd poll_fd = {.fd = rig->from.source.fd, .events = POLLIN | POLLRDHUP | POLLPRI};

	ck_assert_int_ge(poll(&poll_fd, 1, 0), 0);
	if (poll_fd.revents & ~POLLPRI)
		rig->from.readable = true;
	if (poll_fd.revents & POLLPRI)
		rig->from.urgent = true;
	if (poll_fd.revents & (POLLERR | POLLHUP))
		rig->from.last_words = true;
	else if (poll_fd.revents & POLLRDHUP)
		rig->from.rdhup = true;
}

/* Wait until `len` bytes are in the relay's receive queue. */
static inline void relay_rig_arrived(struct relay_rig *rig, int len)
{
	int queued = 0;

	while (queued < len) {
		wait_for_events(rig->from.source.fd, POLLIN);
		ck_assert_int_eq(ioctl(rig->from.source.fd, FIONREAD, &queued), 0);
	}
	relay_rig_look(rig);
}

static inline void relay_rig_wait(struct relay_rig *rig, short events)
{
	wait_for_events(rig->from.source.fd, events);
	relay_rig_look(rig);
}

static inline enum relay_result relay_rig_run(struct relay_rig *rig)
{
	return relay_run(&rig->relay, &rig->from, &rig->to, rig->mode, &rig->kit);
}

/* Send `len` bytes of the pattern and let them arrive. They must fit into the kernel's buffers. */
static inline void relay_rig_feed(struct relay_rig *rig, uint64_t from, size_t len)
{
	send_pattern(rig->sender, from, len);
	relay_rig_arrived(rig, (int)len);
}

static inline void relay_rig_expect_event(struct relay_rig *rig, enum relay_result result)
{
	ck_assert_int_eq(relay_rig_run(rig), result);
}
