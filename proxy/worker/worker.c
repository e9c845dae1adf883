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
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/panic.h"
#include "proxy/base/sandbox.h"
#include "proxy/base/sys.h"
#include "proxy/flowlog.h"
#include "proxy/offload.h"
#include "proxy/pool_state.h"
#include "proxy/session/offload.h"
#include "proxy/session/sweep.h"
#include "proxy/worker/channel.h"
#include "proxy/worker/internal.h"

#define COPY_BUFFER  (128 * 1024)
#define PIPES_KEPT   16
#define PIPE_TRIM_MS 10000

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

void worker_wake(struct worker *worker)
{
	if (worker->conf.wires)
		eventfd_write(worker->conf.wires->mailboxes[worker->conf.index].event_fd, 1);
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

int worker_take_view(struct worker *worker, struct snapshot *snapshot)
{
	struct view *view =
		view_new(snapshot, worker->conf.index, worker->conf.count, worker->sessions.random);

	if (!view)
		return -ENOMEM;
	view_inherit(view, worker->view);
	view_put(worker->view);
	worker->view = view;
	list_for_each (link, &worker->listeners)
		listener_retune(container_of(link, struct listener, link));
	session_serve_queues(&worker->sessions);
	return 0;
}

void worker_abort_sessions(struct worker *worker)
{
	list_for_each_safe (link, &worker->sessions.sessions)
		session_abort(container_of(link, struct session, link), REASON_DRAIN_RST);
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

static void on_session_adopted(struct session_env *env)
{
	struct worker *worker = container_of(env, struct worker, sessions);

	if (worker->conf.total_limit)
		atomic_fetch_add_explicit(worker->conf.total_open, 1, memory_order_relaxed);
}

static void on_trim(struct timer *timer)
{
	struct worker *worker = container_of(timer, struct worker, trim);

	pipe_trim(&worker->pipes, PIPES_KEPT);
	loop_arm(&worker->sessions.loop, &worker->trim, PIPE_TRIM_MS);
}

/* Of the door to the offload; -1: there is none. */
static int offload_fd(const struct worker *worker)
{
	const struct worker_conf *conf = &worker->conf;

	return conf->offload ? offload_worker_fd(conf->offload, conf->index) : -1;
}

static bool is_kept(const struct worker *worker, int fd)
{
	const struct worker_wires *wires = worker->conf.wires;

	if (fd == worker->control.fd || (wires && fd == wires->outlier_fd) ||
	    fd == offload_fd(worker))
		return true;
	for (unsigned i = 0; wires && i < wires->count; i++)
		if (fd == wires->mailboxes[i].event_fd)
			return true;
	return false;
}

static int last_kept(const struct worker *worker)
{
	const struct worker_wires *wires = worker->conf.wires;
	int last = worker->control.fd;

	if (offload_fd(worker) > last)
		last = offload_fd(worker);
	if (wires && wires->outlier_fd > last)
		last = wires->outlier_fd;
	for (unsigned i = 0; wires && i < wires->count; i++)
		if (wires->mailboxes[i].event_fd > last)
			last = wires->mailboxes[i].event_fd;
	return last;
}

/* Keep stdin, stdout, stderr, the control socket, and what workers wake each other by; leave the
 * rest to main's table. */
static bool take_own_fds(const struct worker *worker)
{
	int last = last_kept(worker);

	if (close_range((unsigned)last + 1, ~0U, CLOSE_RANGE_UNSHARE))
		return false;
	for (int fd = 3; fd < last; fd++)
		if (!is_kept(worker, fd))
			close_range((unsigned)fd, (unsigned)fd, 0);
	return true;
}

static void init_env(struct worker *worker)
{
	struct session_env *env = &worker->sessions;
	struct worker_conf *conf = &worker->conf;

	list_init(&env->sessions);
	list_init(&env->sweeps);
	env->view = &worker->view;
	env->mailbox = conf->wires ? &conf->wires->mailboxes[conf->index] : NULL;
	env->outlier_fd = conf->wires ? conf->wires->outlier_fd : -1;
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
	env->on_adopt = on_session_adopted;
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
	err = session_queue_start(env);
	if (!err && worker->conf.offload)
		err = offload_door_open(worker->conf.offload, worker->conf.index, &env->loop,
					&session_offload_owner, &env->door);
	if (!err)
		err = worker_take_view(worker, worker->conf.snapshot);
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
	worker_abort_sessions(worker);
	session_sweep_stop_all(env);
	offload_door_close(env->door);
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
		worker->own_fds = take_own_fds(worker);
	__atomic_store_n(&worker->counts.sys_calls, sys_calls, __ATOMIC_RELEASE);
	seed_random(&worker->sessions);
	err = open_resources(worker);
	if (!err)
		err = sandbox_enter(SANDBOX_WORKER);
	worker_answer(worker, &ready, err);
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
	worker->control = (struct loop_source){.on_event = worker_on_order, .fd = fds[1]};
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
