/* SPDX-License-Identifier: Apache-2.0
 *
 * Accepting. Happy path: epoll (level-triggered here) says somebody is queued, a burst of
 * accept4(2) starts that many sessions. The burst adapts: it doubles while it does not empty the
 * queue and falls back to what was there, so a quiet listener spends no accept4() on learning
 * EAGAIN and a flood cannot keep the worker from its sessions.
 *
 * Failure modes. No fds: the listener pauses, its clients wait in the kernel's queue, and it
 * resumes when a session ends or after 100 ms; after a second of that a burst of clients is
 * accepted on the reserved fd and reset, so that nobody waits for nothing. A connection limit
 * resets the client at once. Closing a listening socket would reset what is queued, so a drain
 * first refuses SYNs, by a filter (socket(7), SO_ATTACH_FILTER) or, where kernels deny that to the
 * unprivileged (6.18 was seen to), by a TTL that nobody sends with; and main says when
 * nobody is left in SYN_RECV; then the queue is emptied and the socket closed.
 */
#include "proxy/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/sys.h"
#include "proxy/listener_options.h"
#include "proxy/listener_stats.h"
#include "proxy/view.h"

#define BURST_MAX 64
#define NO_TTL    255
#define PAUSE_MS  100
#define SHED_US   US_PER_SEC /* of pause, then clients are turned away */

static void on_acceptable(struct loop_source *source, uint32_t events);
static void on_pause_over(struct timer *timer);
static void set_min_ttl(int fd, uint16_t family, int ttl);
static void free_task(struct loop_task *task);

/* Serve by the worker's current view; false when that does not have this listener (any more). */
static bool adopt_view(struct listener *listener)
{
	struct view *view = *listener->env->view;
	const struct config *config = view->snapshot->config;
	const struct listener_conf *conf = config_listener_of(config, &listener->bound);

	if (!conf)
		return false;
	view_get(view);
	view_put(listener->view);
	listener->view = view;
	listener->index = (size_t)(conf - config->listeners);
	return true;
}

static const struct listener_conf *conf_of(const struct listener *listener)
{
	return &listener->view->snapshot->config->listeners[listener->index];
}

static struct listener_stats *stats_of(const struct listener *listener)
{
	return listener->view->snapshot->listeners[listener->index];
}

struct listener *listener_start(struct listener_env *env, int fd, const struct addr *bound,
				const struct addr *local, uint64_t key, bool shared)
{
	struct listener *listener = calloc(1, sizeof(*listener));

	if (!listener)
		goto fail;
	listener->source = (struct loop_source){.on_event = on_acceptable, .fd = fd};
	listener->events = EPOLLIN | (shared ? EPOLLEXCLUSIVE : 0);
	listener->burst = 1;
	timer_init(&listener->pause, on_pause_over);
	listener->task.run = free_task;
	list_init(&listener->task.link);
	list_init(&listener->link);
	listener->env = env;
	listener->bound = *bound;
	listener->local = *local;
	listener->key = key;
	if (!adopt_view(listener) ||
	    loop_add(&env->sessions->loop, &listener->source, listener->events))
		goto fail;
	return listener;
fail:
	if (listener)
		view_put(listener->view);
	free(listener);
	close(fd);
	return NULL;
}

void listener_retune(struct listener *listener)
{
	if (listener->source.fd >= 0 && adopt_view(listener))
		listener_set_options(listener->source.fd, conf_of(listener), NULL);
}

static void turn_away(struct listener *listener, int fd)
{
	struct linger abort = {.l_onoff = 1, .l_linger = 0};

	count_add(&stats_of(listener)->counts[listener->env->sessions->worker].c.shed, 1);
	SYS(SETSOCKOPT, setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort)));
	SYS(CLOSE, close(fd));
}

static bool reserve_place(struct listener *listener)
{
	struct listener_env *env = listener->env;

	if (env->sessions->session_count >= env->worker_limit)
		return false;
	if (env->total_limit &&
	    atomic_fetch_add_explicit(env->total_open, 1, memory_order_relaxed) >=
		    env->total_limit) {
		atomic_fetch_sub_explicit(env->total_open, 1, memory_order_relaxed);
		return false;
	}
	if (listener_stats_reserve(stats_of(listener), conf_of(listener)->max_connections))
		return true;
	if (env->total_limit)
		atomic_fetch_sub_explicit(env->total_open, 1, memory_order_relaxed);
	return false;
}

/* A child inherits what its draining listener refuses newcomers by; it is no newcomer. */
static void welcome(const struct listener *listener, int fd)
{
	int none = 0;

	if (listener->by_ttl)
		set_min_ttl(fd, listener->bound.family, 0);
	else
		SYS(SETSOCKOPT, setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none)));
}

static void begin_session(struct listener *listener, int fd, const struct sockaddr *sa,
			  socklen_t len)
{
	static struct log_limit limit;
	struct addr peer;

	count_add(&stats_of(listener)->counts[listener->env->sessions->worker].c.accepted, 1);
	if (!reserve_place(listener)) {
		count_add(&listener->env->sessions->counts->reasons[REASON_LIMIT], 1);
		log_limited(&limit, LOG_WARN, "connection_limit", "listener=%s",
			    conf_of(listener)->name);
		turn_away(listener, fd);
		return;
	}
	if (listener->draining)
		welcome(listener, fd);
	addr_from_sockaddr(sa, len, &peer);
	session_begin(listener->env->sessions, listener->view, listener->index, fd, &peer,
		      &listener->local);
}

static int accept_one(struct listener *listener)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int fd = SYS(ACCEPT, accept4(listener->source.fd, (struct sockaddr *)&sa, &len,
				     SOCK_NONBLOCK | SOCK_CLOEXEC));

	if (fd < 0)
		return -errno;
	begin_session(listener, fd, (struct sockaddr *)&sa, len);
	return 0;
}

static bool is_shortage(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOBUFS || err == -ENOMEM;
}

/* With nothing but the reserved fd: accept and reset, so that clients learn at once. */
static void shed_burst(struct listener *listener)
{
	struct listener_env *env = listener->env;

	for (int i = 0; i < BURST_MAX; i++) {
		int fd;

		if (env->reserve_fd >= 0)
			close(env->reserve_fd);
		fd = SYS(ACCEPT, accept4(listener->source.fd, NULL, NULL, SOCK_CLOEXEC));
		if (fd >= 0) {
			count_add(&env->sessions->counts->reasons[REASON_NO_FD], 1);
			turn_away(listener, fd);
		}
		env->reserve_fd = fcntl(env->sessions->loop.epoll_fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			break;
	}
}

static void pause_accepting(struct listener *listener, int err)
{
	static struct log_limit limit;
	struct session_env *sessions = listener->env->sessions;

	if (!listener->paused_since_us) {
		listener->paused_since_us = sessions->loop.now_us;
		count_add(&sessions->counts->accept_pauses, 1);
		log_limited(&limit, LOG_WARN, "accept_paused", "listener=%s errno=%d sessions=%u",
			    conf_of(listener)->name, -err, sessions->session_count);
	} else if (sessions->loop.now_us - listener->paused_since_us >= SHED_US) {
		shed_burst(listener);
	}
	loop_remove(&sessions->loop, &listener->source);
	listener->env->paused++;
	loop_arm(&sessions->loop, &listener->pause, PAUSE_MS);
}

/* Returns 0, or why the last accept4() failed. */
static int accept_burst(struct listener *listener)
{
	uint32_t accepted = 0;
	int err = 0;

	while (accepted < listener->burst) {
		err = accept_one(listener);
		if (err == -ECONNABORTED || err == -EINTR || err == -EPROTO)
			continue;
		if (err)
			break;
		accepted++;
	}
	if (!err)
		listener->burst = listener->burst < BURST_MAX / 2 ? listener->burst * 2 : BURST_MAX;
	else if (err == -EAGAIN)
		listener->burst = accepted ? accepted : 1;
	if (accepted)
		listener->paused_since_us = 0;
	return err;
}

static void on_acceptable(struct loop_source *source, uint32_t events)
{
	struct listener *listener = container_of(source, struct listener, source);
	int err = accept_burst(listener);

	if (is_shortage(err))
		pause_accepting(listener, err);
}

static void resume(struct listener *listener)
{
	struct loop *loop = &listener->env->sessions->loop;

	if (loop_add(loop, &listener->source, listener->events))
		loop_arm(loop, &listener->pause, PAUSE_MS); /* no memory for it now */
	else
		listener->env->paused--;
}

void listener_resume(struct listener *listener)
{
	if (!timer_is_armed(&listener->pause))
		return;
	timer_cancel(&listener->pause);
	resume(listener);
}

static void on_pause_over(struct timer *timer)
{
	resume(container_of(timer, struct listener, pause));
}

void listener_hold(struct listener *listener)
{
	if (listener->held || listener->draining)
		return;
	listener->held = true;
	if (timer_is_armed(&listener->pause)) {
		timer_cancel(&listener->pause);
		listener->env->paused--;
	} else {
		loop_remove(&listener->env->sessions->loop, &listener->source);
	}
}

void listener_release(struct listener *listener)
{
	if (!listener->held)
		return;
	listener->held = false;
	listener->env->paused++;
	resume(listener);
}

/* A filter that sees the TCP header and drops what carries SYN (RFC 9293, 3.1, byte 13). */
static int refuse_by_filter(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x02, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return SYS(SETSOCKOPT,
		   setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
}

/* The lowest TTL and hop limit a packet for this socket may have: 255 shuts everybody out, and the
 * handshakes under way are not asked (ip(7), IP_MINTTL; tcp_v4_rcv(), net/ipv4/tcp_ipv4.c). */
static void set_min_ttl(int fd, uint16_t family, int ttl)
{
	SYS(SETSOCKOPT, setsockopt(fd, IPPROTO_IP, IP_MINTTL, &ttl, sizeof(ttl)));
	if (family == AF_INET6)
		SYS(SETSOCKOPT, setsockopt(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, &ttl, sizeof(ttl)));
}

void listener_drain(struct listener *listener)
{
	listener_release(listener);
	listener->draining = true;
	if (listener->bound.family == AF_UNIX)
		return;
	listener->by_ttl = refuse_by_filter(listener->source.fd) != 0;
	if (listener->by_ttl)
		set_min_ttl(listener->source.fd, listener->bound.family, NO_TTL);
}

/* Everything still queued gets a session or, without fds, a reset of its own. */
static void accept_all(struct listener *listener)
{
	int err;

	do {
		listener->burst = BURST_MAX;
		err = accept_burst(listener);
		if (is_shortage(err)) {
			shed_burst(listener);
			err = -EAGAIN;
		}
	} while (!err);
}

void listener_stop(struct listener *listener)
{
	if (timer_is_armed(&listener->pause))
		listener->env->paused--;
	timer_cancel(&listener->pause);
	accept_all(listener);
	list_remove(&listener->link);
	SYS(CLOSE, close(listener->source.fd));
	listener->source.fd = -1;
	loop_defer(&listener->env->sessions->loop, &listener->task);
}

static void free_task(struct loop_task *task)
{
	struct listener *listener = container_of(task, struct listener, task);

	view_put(listener->view);
	free(listener);
}
