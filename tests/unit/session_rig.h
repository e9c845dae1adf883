/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's surroundings without the worker: sessions between real sockets, in a loop that is
 * turned by hand and whose clock stands still until a test moves it. Tests that use it link with
 * --wrap=clock_gettime and --wrap=epoll_wait.
 */
#pragma once

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "proxy/base/clock.h"
#include "proxy/flowlog.h"
#include "proxy/flowring.h"
#include "proxy/listener_stats.h"
#include "proxy/pipe.h"
#include "proxy/session/internal.h"
#include "proxy/slab.h"
#include "tests/unit/plan_rig.h"

#define RIG_BUFFER (128 * 1024)

int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);
int __real_epoll_wait(int fd, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout);

static uint64_t rig_now_us = 1000 * US_PER_SEC;
static bool rig_stops_clock; /* while it is open: the test runner times its tests, too */
static int rig_wait_ms;      /* how long a turn may really wait for an event */

int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
	if (!rig_stops_clock)
		return __real_clock_gettime(id, now);
	*now = (struct timespec){.tv_sec = (time_t)(rig_now_us / US_PER_SEC),
				 .tv_nsec = (long)(rig_now_us % US_PER_SEC) * 1000};
	return 0;
}

int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	return __real_epoll_wait(fd, events, max, timeout ? rig_wait_ms : 0);
}

struct session_rig {
	struct session_env env;
	struct slab slab;
	struct pipe_cache pipes;
	struct worker_counts counts;
	struct pool_mailbox mailbox;
	struct snapshot *snapshot;
	struct view *view;
	struct session *session; /* the last one that was begun; may be freed */
	struct addr backend;     /* of `listener` */
	int listener;
	int client; /* the client's end */
	int server; /* the backend's end, once rig_accept() had it */
	unsigned ended;
	unsigned adopted;
	int fds_before;
};

static struct session_rig rig;

static inline void rig_on_end(struct session_env *env)
{
	rig.ended++;
}

static inline void rig_on_adopt(struct session_env *env)
{
	rig.adopted++;
}

static inline void rig_make_env(void)
{
	ck_assert_int_eq(loop_init(&rig.env.loop), 0);
	slab_init(&rig.slab, UINT64_MAX / 4);
	pipe_cache_init(&rig.pipes, &rig.slab, &rig.counts, 8);
	rig.env.kit = (struct relay_kit){.buffer = malloc(RIG_BUFFER),
					 .buffer_size = RIG_BUFFER,
					 .slab = &rig.slab,
					 .pipes = &rig.pipes,
					 .counts = &rig.counts};
	rig.env.ports = ports_new(0, 1);
	rig.env.ring = flow_ring_new(64);
	rig.env.counts = &rig.counts;
	rig.env.cache = session_cache_new();
	rig.env.next_id = 1;
	rig.env.id_step = 1;
	rig.env.random = 0x9e3779b97f4a7c15;
	rig.env.on_end = rig_on_end;
	rig.env.on_adopt = rig_on_adopt;
	rig.env.view = &rig.view;
	rig.env.outlier_fd = eventfd(0, EFD_NONBLOCK);
	pool_mailbox_init(&rig.mailbox, eventfd(0, EFD_NONBLOCK));
	rig.env.mailbox = &rig.mailbox;
	list_init(&rig.env.sessions);
	list_init(&rig.env.sweeps);
	ck_assert_int_eq(session_queue_start(&rig.env), 0);
}

/* `listener` and `pool` continue their maps in YAML ("", or ", key: value"), `targets` is a list in
 * which @ is the rig's backend, `top` more lines. */
static inline void rig_open_with(const char *listener, const char *pool, const char *targets,
				 const char *top)
{
	struct config_ref *config;
	char yaml[2048], list[512], addr[ADDR_TEXT];
	size_t len = 0;

	memset(&rig, 0, sizeof(rig));
	rig_stops_clock = true;
	rig.fds_before = open_fds();
	rig.client = rig.server = -1;
	rig.listener = listen_on("127.0.0.1:0", 64);
	rig.backend = local_of(rig.listener);
	for (const char *at = targets; *at; at++)
		len += (size_t)(*at == '@' ? snprintf(list + len, sizeof(list) - len, "\"%s\"",
						      addr_format(&rig.backend, addr))
					   : snprintf(list + len, sizeof(list) - len, "%c", *at));
	list[len] = '\0';
	snprintf(yaml, sizeof(yaml),
		 "%s\nlisteners: [{name: a, bind: \"127.0.0.1:80\", pool: p%s}]\n"
		 "pools: [{name: p, targets: [%s]%s}]\n",
		 top, listener, list, pool);
	config = config_ref_new(load_valid(yaml), config_free);
	ck_assert_int_eq(plan_and_build(config, NULL, 1, &rig.snapshot), 0);
	config_ref_put(config);
	rig.view = view_new(rig.snapshot, 0, 1, 42);
	rig_make_env();
}

static inline void rig_open(const char *pool)
{
	rig_open_with("", pool, "@", "log: json");
}

static inline uint64_t rig_reasons(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < REASONS; i++)
		sum += rig.counts.reasons[i];
	return sum;
}

/* Everything must have come back: sessions, slots, ports, fds, memory. */
static inline void rig_close(void)
{
	struct pool *pool = &rig.snapshot->pools[0];

	ck_assert_uint_eq(rig.env.session_count, 0);
	ck_assert(list_empty(&rig.env.sessions));
	ck_assert_uint_eq(rig.counts.sessions_open, 0);
	ck_assert_uint_eq(rig.ended, rig.counts.sessions);
	ck_assert_uint_eq(rig_reasons(), rig.counts.sessions);
	ck_assert_uint_eq(rig.snapshot->listeners[0]->open, 0);
	ck_assert_uint_eq(rig.snapshot->listeners[0]->counts[0].c.open, 0);
	for (size_t i = 0; i < pool->target_count; i++) {
		ck_assert_uint_eq(target_inflight(pool->targets[i]), 0);
		ck_assert_uint_eq(pool->targets[i]->counts[0].c.open, 0);
	}
	ck_assert_uint_eq(pool->state->inflight, 0);
	ck_assert_uint_eq(pool->state->waiting_count, 0);
	ck_assert_uint_eq(rig.view->refs, 1);
	rig_wait_ms = 0;
	loop_turn(&rig.env.loop);
	view_put(rig.view);
	snapshot_put(rig.snapshot);
	pipe_cache_fini(&rig.pipes);
	slab_fini(&rig.slab);
	session_cache_free(rig.env.cache);
	ports_free(rig.env.ports);
	flow_ring_free(rig.env.ring);
	free(rig.env.kit.buffer);
	loop_fini(&rig.env.loop);
	close(rig.env.outlier_fd);
	close(rig.mailbox.event_fd);
	pool_mailbox_fini(&rig.mailbox);
	plan_forget();
	close(rig.listener);
	if (rig.client >= 0)
		close(rig.client);
	if (rig.server >= 0)
		close(rig.server);
	ck_assert_int_eq(open_fds(), rig.fds_before);
	rig_stops_clock = false;
}

/* A session of a new client; its end is rig.client, and rig.session while it lives. */
static inline void rig_begin(int buffer)
{
	int fds[2];
	struct addr peer, local;

	tcp_pair_sized(fds, buffer);
	rig.client = fds[0];
	peer = local_of(fds[0]);
	local = local_of(fds[1]);
	ck_assert(listener_stats_reserve(rig.snapshot->listeners[0], 0));
	rig.session = NULL;
	session_begin(&rig.env, rig.view, 0, fds[1], &peer, &local);
	if (!list_empty(&rig.env.sessions))
		rig.session = container_of(rig.env.sessions.prev, struct session, link);
}

/* One turn that does not wait. */
static inline void rig_turn(void)
{
	rig_wait_ms = 0;
	loop_turn(&rig.env.loop);
}

/* Let time pass in one jump. */
static inline void rig_pass(uint64_t ms)
{
	rig_now_us += ms * US_PER_MS;
	rig_turn();
}

/* Turn until `cond`. Time stands still meanwhile. */
#define rig_until(cond)                                                                            \
	do {                                                                                       \
		rig_wait_ms = 10;                                                                  \
		for (int rig_turns = 0; !(cond); rig_turns++) {                                    \
			if (rig_turns == PATIENCE_MS / 10)                                         \
				ck_abort_msg("never: " #cond);                                     \
			loop_turn(&rig.env.loop);                                                  \
		}                                                                                  \
	} while (0)

static inline bool is_readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

/* Turn until `fd` has something to tell: bytes, FIN or RST. */
static inline void rig_until_readable(int fd)
{
	rig_until(is_readable(fd));
}

/* A session that is relaying, with rig.client and rig.server at its ends. */
static inline void rig_relay_sized(int buffer)
{
	if (buffer)
		setsockopt(rig.listener, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	rig_begin(buffer);
	rig_until(rig.session->state == SESSION_RELAYING);
	rig.server = accept_from(rig.listener);
	if (buffer)
		setsockopt(rig.server, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	setsockopt(rig.server, SOL_SOCKET, SO_OOBINLINE, &(int){1}, sizeof(int));
}

static inline void rig_relay(void)
{
	rig_relay_sized(0);
}

/* Turn until the session is over; it must have ended for `reason`. */
static inline void rig_expect_end(enum reason reason)
{
	rig_until(!rig.env.session_count);
	if (rig.counts.reasons[reason] != 1)
		for (int i = 0; i < REASONS; i++)
			if (rig.counts.reasons[i])
				ck_abort_msg("ended for %s, not %s", reason_names[i],
					     reason_names[reason]);
}
