/* SPDX-License-Identifier: Apache-2.0
 *
 * The worker thread. Happy path: it takes an fd table of its own, builds its loop and caches, says
 * WORKER_READY, and then turns its loop: sessions, listeners, and main's orders are all sources of
 * the same epoll.
 *
 * Its own fd table (close_range(2), CLOSE_RANGE_UNSHARE) makes RLIMIT_NOFILE count per worker and
 * spares every system call the atomics of a shared table. Failure modes: where close_range() is
 * refused the table stays shared and everything else works the same, since fds arrive by
 * SCM_RIGHTS either way; without memory the thread says so in its READY answer and main gives up.
 */
#include "proxy/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/panic.h"
#include "proxy/base/sys.h"
#include "proxy/flowlog.h"
#include "proxy/listener.h"
#include "proxy/pipe.h"
#include "proxy/sandbox.h"
#include "proxy/session/session.h"
#include "proxy/slab.h"
#include "proxy/worker/channel.h"

#define COPY_BUFFER  (128 * 1024)
#define PIPES_KEPT   16
#define PIPE_TRIM_MS 10000

struct worker {
	struct worker_conf conf;
	pthread_t thread;
	int main_fd; /* main's end */
	bool own_fds;
	/* From here on the thread's own. */
	struct loop_source control;
	struct session_env sessions;
	struct listener_env accepting;
	struct list listeners; /* struct listener::link */
	struct timer trim;
	struct view *view;
	struct pipe_cache pipes;
	struct slab slab;
	_Alignas(64) struct worker_counts counts;
};

int worker_fd(const struct worker *worker)
{
	return worker->main_fd;
}

struct worker_counts *worker_counts(struct worker *worker)
{
	return &worker->counts;
}

bool worker_has_own_fds(const struct worker *worker)
{
	return worker->own_fds;
}

int worker_send(struct worker *worker, const struct worker_message *message, int fd)
{
	return channel_send(worker->main_fd, message, fd);
}

int worker_receive(struct worker *worker, struct worker_message *ret_message)
{
	int fd;

	return channel_receive(worker->main_fd, ret_message, &fd);
}

static void answer(struct worker *worker, const struct worker_message *message, int err)
{
	struct worker_message reply = *message;

	reply.err = err;
	channel_send(worker->control.fd, &reply, -1); /* main is gone: the process is as well */
}

static int take_view(struct worker *worker, struct snapshot *snapshot)
{
	struct view *view =
		view_new(snapshot, worker->conf.index, worker->conf.count, worker->sessions.random);

	if (!view)
		return -ENOMEM;
	view_put(worker->view);
	worker->view = view;
	list_for_each (link, &worker->listeners)
		listener_retune(container_of(link, struct listener, link));
	return 0;
}

static int start_listener(struct worker *worker, const struct worker_message *message, int fd)
{
	struct listener *listener;

	if (fd < 0)
		return -EMFILE; /* SCM_RIGHTS found no room in our table */
	listener = listener_start(&worker->accepting, fd, &message->bound, &message->local,
				  message->key, message->shared);
	if (!listener)
		return -ENOMEM;
	list_push_back(&worker->listeners, &listener->link);
	return 0;
}

static void each_listener(struct worker *worker, uint64_t key, void (*act)(struct listener *))
{
	list_for_each_safe (link, &worker->listeners) {
		struct listener *listener = container_of(link, struct listener, link);

		if (listener->key == key)
			act(listener);
	}
}

static void close_sessions(struct worker *worker, const struct worker_message *message)
{
	struct session_env *env = &worker->sessions;

	list_for_each (link, &env->sessions) {
		struct session *session = container_of(link, struct session, link);
		uint64_t below_ms = (uint64_t)message->jitter_ms + 1;
		uint32_t jitter_ms = (uint32_t)((env->random >> 32) % below_ms);

		env->random = env->random * UINT64_C(6364136223846793005) + 1442695040888963407;
		session_close(session, REASON_DRAIN, jitter_ms, message->wait_ms);
	}
}

static void abort_sessions(struct worker *worker)
{
	list_for_each_safe (link, &worker->sessions.sessions)
		session_abort(container_of(link, struct session, link), REASON_DRAIN_RST);
}

static int obey(struct worker *worker, const struct worker_message *message, int fd)
{
	switch (message->op) {
	case WORKER_VIEW:
		return take_view(worker, message->snapshot);
	case WORKER_LISTEN:
		return start_listener(worker, message, fd);
	case WORKER_DRAIN:
		each_listener(worker, message->key, listener_drain);
		return 0;
	case WORKER_UNLISTEN:
		each_listener(worker, message->key, listener_stop);
		return 0;
	case WORKER_PORTS:
		ports_set_range(worker->sessions.ports, message->port_low, message->port_high);
		return 0;
	case WORKER_CLOSE:
		close_sessions(worker, message);
		return 0;
	case WORKER_ABORT:
		abort_sessions(worker);
		return 0;
	case WORKER_STOP:
		worker->sessions.loop.stopping = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static void on_order(struct loop_source *source, uint32_t events)
{
	struct worker *worker = container_of(source, struct worker, control);
	struct worker_message message;
	int fd;

	while (channel_receive(source->fd, &message, &fd) > 0)
		answer(worker, &message, obey(worker, &message, fd));
}

static void on_session_end(struct session_env *env)
{
	struct worker *worker = container_of(env, struct worker, sessions);

	if (worker->conf.total_limit)
		atomic_fetch_sub_explicit(worker->conf.total_open, 1, memory_order_relaxed);
	if (worker->accepting.paused)
		list_for_each (link, &worker->listeners)
			listener_resume(container_of(link, struct listener, link));
	__atomic_store_n(&worker->counts.buffer_bytes, worker->slab.used, __ATOMIC_RELAXED);
}

static void on_trim(struct timer *timer)
{
	struct worker *worker = container_of(timer, struct worker, trim);

	pipe_trim(&worker->pipes, PIPES_KEPT);
	loop_arm(&worker->sessions.loop, &worker->trim, PIPE_TRIM_MS);
}

/* Keep stdin, stdout, stderr and the control socket; leave the rest to main's table. */
static bool take_own_fds(int keep)
{
	if (close_range((unsigned)keep + 1, ~0U, CLOSE_RANGE_UNSHARE))
		return false;
	if (keep > 3)
		close_range(3, (unsigned)keep - 1, 0);
	return true;
}

static void init_env(struct worker *worker)
{
	struct session_env *env = &worker->sessions;
	struct worker_conf *conf = &worker->conf;

	list_init(&env->sessions);
	slab_init(&worker->slab, conf->buffers);
	pipe_cache_init(&worker->pipes, &worker->slab, &worker->counts, conf->max_pipes);
	env->loop.busy_poll_us = conf->busy_poll_us;
	env->loop.turns = &worker->counts.turns;
	env->kit = (struct relay_kit){.buffer_size = COPY_BUFFER,
				      .slab = &worker->slab,
				      .pipes = &worker->pipes,
				      .counts = &worker->counts};
	env->ring = conf->ring;
	env->counts = &worker->counts;
	env->worker = conf->index;
	env->next_id = conf->index + 1;
	env->id_step = conf->count;
	env->on_end = on_session_end;
	worker->accepting = (struct listener_env){.sessions = env,
						  .view = &worker->view,
						  .total_open = conf->total_open,
						  .total_limit = conf->total_limit,
						  .worker_limit = conf->max_sessions,
						  .reserve_fd = -1};
	list_init(&worker->listeners);
	timer_init(&worker->trim, on_trim);
	loop_arm(&env->loop, &worker->trim, PIPE_TRIM_MS);
}

static int open_resources(struct worker *worker)
{
	struct session_env *env = &worker->sessions;
	int err = loop_init(&env->loop);

	if (err)
		return err;
	init_env(worker);
	env->cache = session_cache_new();
	env->ports = ports_new(worker->conf.index, worker->conf.count);
	env->kit.buffer = malloc(COPY_BUFFER);
	if (!env->cache || !env->ports || !env->kit.buffer)
		return -ENOMEM;
	ports_set_range(env->ports, worker->conf.port_low, worker->conf.port_high);
	err = take_view(worker, worker->conf.snapshot);
	if (err)
		return err;
	worker->accepting.reserve_fd = fcntl(env->loop.epoll_fd, F_DUPFD_CLOEXEC, 0);
	return loop_add(&env->loop, &worker->control, EPOLLIN);
}

static void seed_random(struct session_env *env)
{
	if (getrandom(&env->random, sizeof(env->random), 0) != sizeof(env->random) || !env->random)
		env->random = clock_us() | 1;
}

static void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set); /* a cpuset that shrank meanwhile: run anywhere */
}

static void close_resources(struct worker *worker)
{
	struct session_env *env = &worker->sessions;

	list_for_each_safe (link, &worker->listeners)
		listener_stop(container_of(link, struct listener, link));
	abort_sessions(worker);
	loop_reap(&env->loop);
	view_put(worker->view);
	pipe_cache_fini(&worker->pipes);
	slab_fini(&worker->slab);
	session_cache_free(env->cache);
	ports_free(env->ports);
	free(env->kit.buffer);
	if (worker->accepting.reserve_fd >= 0)
		close(worker->accepting.reserve_fd);
	loop_fini(&env->loop);
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	struct worker_message ready = {.op = WORKER_READY};
	char name[16];
	int err;

	snprintf(name, sizeof(name), "worker-%u", worker->conf.index % 1000);
	pthread_setname_np(pthread_self(), name);
	pin(worker->conf.cpu);
	if (worker->conf.own_fds)
		worker->own_fds = take_own_fds(worker->control.fd);
	worker->counts.sys_calls = sys_calls;
	seed_random(&worker->sessions);
	err = open_resources(worker);
	if (!err)
		err = sandbox_enter(SANDBOX_WORKER);
	answer(worker, &ready, err);
	if (!err)
		loop_run(&worker->sessions.loop);
	if (!err)
		close_resources(worker);
	close(worker->control.fd);
	return NULL;
}

/* Wait for the answer that says how the thread came up. One that did not has ended. */
static int await_thread(struct worker *worker)
{
	struct pollfd poll_fd = {.fd = worker->main_fd, .events = POLLIN};
	int theirs = worker->control.fd;
	struct worker_message message;
	int got, err;

	do {
		poll(&poll_fd, 1, -1);
		got = worker_receive(worker, &message);
	} while (!got);
	err = got < 0 ? got : message.err;
	if (err)
		pthread_join(worker->thread, NULL);
	if (worker->own_fds)
		close(theirs); /* the copy that stayed in main's table */
	return err;
}

int worker_start(const struct worker_conf *conf, struct worker **ret_worker)
{
	struct worker *worker = aligned_alloc(64, (sizeof(*worker) + 63) & ~(size_t)63);
	sigset_t all, before;
	int fds[2];
	int err;

	if (!worker)
		return -ENOMEM;
	memset(worker, 0, sizeof(*worker));
	worker->conf = *conf;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds)) {
		err = -errno;
		goto fail;
	}
	worker->main_fd = fds[0];
	worker->control = (struct loop_source){.on_event = on_order, .fd = fds[1]};
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are main's */
	err = -pthread_create(&worker->thread, NULL, worker_main, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!err)
		err = await_thread(worker);
	else
		close(fds[1]);
	if (err) {
		close(fds[0]);
		goto fail;
	}
	*ret_worker = worker;
	return 0;
fail:
	free(worker);
	return err;
}

void worker_join(struct worker *worker)
{
	pthread_join(worker->thread, NULL);
	close(worker->main_fd);
	free(worker);
}
