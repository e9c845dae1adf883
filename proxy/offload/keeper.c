/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper: one thread with an fd table of its own, through which the sockets go of every session
 * whose packets the kernel translates, on their way to a cellar. It alone changes maps and attaches
 * programs, and it is the only thread besides main that keeps capabilities (CAP_NET_ADMIN for
 * TCP_REPAIR, CAP_BPF and CAP_PERFMON for programs on interfaces that appear).
 *
 * Happy path: packets from workers and events of the programs, each handled at once; insertions
 * gather until the end of a turn.
 * Failure modes: a worker that does not read (its messages wait here, in order); no fd table of its
 * own (the shared one is used).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/sandbox.h"
#include "proxy/offload/internal.h"
#include "proxy/offload/pinning.h"
#include "xdp/route.h"
#include "xdp/watch.h"

const char *const offload_count_names[OFFLOAD_COUNTS] = {
	[OFFLOAD_OFFERED] = "offered",
	[OFFLOAD_PROMOTED] = "promoted",
	[OFFLOAD_RECALLED] = "recalled",
	[OFFLOAD_RECALL_BUSY] = "recall_busy",
	[OFFLOAD_ENDED] = "ended",
	[OFFLOAD_ADOPTED] = "adopted",
	[OFFLOAD_ADOPT_RESET] = "adopt_reset",
	[OFFLOAD_GATES] = "gates",
};

/* --- messages --- */

void keeper_tell(struct offload *offload, uint32_t worker, const struct offload_message *message,
		 const int fds[2])
{
	outbox_put(&offload->sides[worker].outbox, message, fds);
}

static void obey(struct counter_side *side, const struct offload_message *message, const int fds[2])
{
	struct offload *offload = side->offload;

	switch (message->op) {
	case OFFLOAD_INSERT:
		offload_note(offload, OFFLOAD_OFFERED);
		keeper_ask(offload, side->worker, message->ticket);
		break;
	case OFFLOAD_BURY:
		keeper_bury(offload, message->ticket, fds);
		break;
	case OFFLOAD_CANCEL:
		keeper_cancel(offload, message->index);
		break;
	case OFFLOAD_RECALL:
	case OFFLOAD_ABORT:
		keeper_recall(offload, message->index, message->ticket,
			      message->op == OFFLOAD_ABORT);
		break;
	case OFFLOAD_JOIN:
		offload_note(offload, OFFLOAD_OFFERED);
		joiner_join(offload, side->worker, message->joint, fds);
		break;
	case OFFLOAD_PART:
		joiner_part(offload, side->worker, message);
		break;
	}
}

static void on_worker(struct loop_source *source, uint32_t events)
{
	struct counter_side *side = container_of(source, struct counter_side, source);
	struct offload_message message;
	int fds[2];
	int got = 0;

	if (events & EPOLLOUT)
		outbox_flush(&side->outbox);
	while (source->fd >= 0 && (got = message_receive(source->fd, &message, fds)) > 0)
		obey(side, &message, fds);
	if (got < 0)
		loop_remove(&side->offload->loop, source);
}

static void on_stop(struct loop_source *source, uint32_t events)
{
	struct offload *offload = container_of(source, struct offload, stop);

	offload->loop.stopping = true;
}

/* --- the thread --- */

/* Sockets come and go here by the thousand: no other thread's table is touched for them. */
static void take_own_fds(void)
{
	close_range(~0U, ~0U, CLOSE_RANGE_UNSHARE);
}

static int register_all(struct offload *offload)
{
	int err = loop_add(&offload->loop, &offload->stop, EPOLLIN);

	if (!err && offload->engine)
		err = loop_add(&offload->loop, &offload->events, EPOLLIN);
	if (!err && offload->sockmap)
		err = loop_add(&offload->loop, &offload->gates, EPOLLIN);
	for (unsigned i = 0; i < offload->conf.workers && !err; i++)
		err = loop_add(&offload->loop, &offload->sides[i].source,
			       EPOLLIN | EPOLLOUT | EPOLLET);
	if (!err && offload->engine)
		err = keeper_watch_start(offload);
	if (!err && offload->engine)
		keeper_doubt_start(offload);
	return err;
}

static void run(void *arg)
{
	struct offload *offload = arg;

	take_own_fds();
	for (unsigned i = 0; i < offload->conf.workers; i++)
		close(offload->worker_fds[i]); /* in this table; the workers have theirs */
	if (offload->engine)
		keeper_adopt(offload);
	sandbox_enter(SANDBOX_OFFLOAD);
	sem_post(&offload->ready);
	loop_run(&offload->loop);
	if (offload->engine && !offload->leave)
		keeper_reset_all(offload);
	flow_close(offload->engine, offload->leave);
	joiner_close(offload);
}

static int open_pairs(struct offload *offload)
{
	for (unsigned i = 0; i < offload->conf.workers; i++) {
		struct counter_side *side = &offload->sides[i];
		int fds[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds))
			return -errno;
		side->offload = offload;
		side->worker = i;
		side->source = (struct loop_source){.on_event = on_worker, .fd = fds[0]};
		outbox_init(&side->outbox, fds[0]);
		offload->worker_fds[i] = fds[1];
	}
	return 0;
}

/* Every session's sockets need a place. */
static int open_cellars(struct offload *offload)
{
	uint32_t slots;
	int err;

	offload->limit = offload->conf.sessions;
	if (!offload->engine)
		return 0; /* joined sockets stay with their workers */
	slots = flow_capacity(offload->engine);
	err = cellars_open(slots, &offload->cellars);
	if (!err)
		offload->limit = cellars_room(offload->cellars);
	if (!err && offload->limit > slots)
		offload->limit = slots;
	return err;
}

static int allocate(struct offload *offload)
{
	uint32_t sessions = offload->engine ? flow_capacity(offload->engine) : 0;

	offload->graves = calloc(sessions + 1, sizeof(offload->graves[0]));
	offload->sides = calloc(offload->conf.workers, sizeof(offload->sides[0]));
	offload->worker_fds = calloc(offload->conf.workers, sizeof(int));
	if (!offload->graves || !offload->sides || !offload->worker_fds)
		return -ENOMEM;
	for (uint32_t i = 0; i < sessions; i++) {
		list_init(&offload->graves[i].link);
		offload->graves[i].index = 2 * i;
		offload->graves[i].row = CELLAR_NOWHERE;
	}
	for (unsigned i = 0; i < offload->conf.workers; i++) {
		outbox_init(&offload->sides[i].outbox, -1);
		offload->sides[i].source.fd = offload->worker_fds[i] = -1;
	}
	return open_pairs(offload);
}

static int open_flows(struct offload *offload, char *problem, size_t size)
{
	struct flow_setup conf = {.sessions = offload->conf.sessions,
				  .pin_path = offload->pins ? pinning_path(offload->pins) : NULL};

	return flow_open(&conf, &offload->engine, problem, size);
}

/* What another version left may be of no use. */
static int open_pinned_flows(struct offload *offload, char *problem, size_t size)
{
	int err = pinning_open(offload->conf.pin_path, &offload->pins);

	if (err) {
		snprintf(problem, size, "%s: %s", offload->conf.pin_path, strerror(-err));
		return err;
	}
	keeper_drop_others(pinning_path(offload->pins));
	err = open_flows(offload, problem, size);
	if (!err || !pinning_are_inherited(offload->pins))
		return err;
	err = pinning_renounce(offload->pins);
	return err ? err : open_flows(offload, problem, size);
}

static int open_engine(struct offload *offload, char *problem, size_t size)
{
	int err = offload->conf.pin_path ? open_pinned_flows(offload, problem, size)
					 : open_flows(offload, problem, size);

	if (err)
		return err;
	offload->events = (struct loop_source){.on_event = keeper_on_events,
					       .fd = flow_events_fd(offload->engine)};
	err = route_open(&offload->routes);
	if (!err)
		err = keeper_watch_open(offload);
	if (err)
		snprintf(problem, size, "the kernel's tables of routes: %s", strerror(-err));
	else
		problem[0] = '\0'; /* the first try's */
	return err;
}

/* What could not be taken on is left to who can. */
static void close_flows(struct offload *offload)
{
	offload->leave = offload->pins && pinning_are_inherited(offload->pins);
	flow_close(offload->engine, offload->leave);
	offload->engine = NULL;
	pinning_close(offload->pins, offload->leave);
	offload->pins = NULL;
}

/* Of the ways that are asked for, those that can be had; an error if that is none. */
static int open_ways(struct offload *offload, char *problem, size_t size)
{
	int flow = offload->conf.flow ? open_engine(offload, problem, size) : -ENOTSUP;
	int sockmap = -ENOTSUP;

	if (flow)
		close_flows(offload);
	if (offload->conf.sockmap)
		sockmap = joiner_open(offload, problem, size);
	return flow && sockmap ? (offload->conf.flow ? flow : sockmap) : 0;
}

static int open_keeper(struct offload *offload, char *problem, size_t size)
{
	int err = loop_init(&offload->loop);

	if (!err)
		err = allocate(offload);
	if (!err)
		err = open_cellars(offload);
	if (!err)
		err = register_all(offload);
	if (err)
		snprintf(problem, size, "the keeper of the offload: %s", strerror(-err));
	return err;
}

static void free_all(struct offload *offload)
{
	for (unsigned i = 0; offload->sides && i < offload->conf.workers; i++) {
		outbox_fini(&offload->sides[i].outbox);
		if (offload->sides[i].source.fd >= 0)
			close(offload->sides[i].source.fd);
		if (offload->worker_fds[i] >= 0)
			close(offload->worker_fds[i]);
	}
	if (offload->stop.fd >= 0)
		close(offload->stop.fd);
	watch_close(offload->watch);
	route_close(offload->routes);
	pinning_close(offload->pins, offload->leave);
	sem_destroy(&offload->ready);
	cellars_close(offload->cellars);
	free(offload->graves);
	free(offload->sides);
	free(offload->worker_fds);
	free(offload);
}

static void init(struct offload *offload, const struct offload_conf *conf)
{
	offload->conf = *conf;
	sem_init(&offload->ready, 0, 0);
	list_init(&offload->asked);
	list_init(&offload->held);
	list_init(&offload->over);
	list_init(&offload->insert_task.link);
	offload->insert_task.run = keeper_insert_all;
	timer_init(&offload->hold_timer, keeper_on_hold_timer);
	timer_init(&offload->over_timer, keeper_on_over_timer);
	timer_init(&offload->sweep_timer, keeper_on_sweep_timer);
	offload->stop = (struct loop_source){.on_event = on_stop,
					     .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
}

int offload_start(const struct offload_conf *conf, struct offload **ret_offload, char *ret_problem,
		  size_t size)
{
	struct offload *offload = calloc(1, sizeof(*offload));
	int err;

	if (!offload)
		return -ENOMEM;
	init(offload, conf);
	err = open_ways(offload, ret_problem, size);
	if (!err)
		err = open_keeper(offload, ret_problem, size);
	if (!err)
		err = thread_start(&offload->thread, "offload", run, offload);
	if (err) {
		close_flows(offload);
		joiner_close(offload);
		free_all(offload);
		return err;
	}
	while (sem_wait(&offload->ready)) /* EINTR */
		;
	*ret_offload = offload;
	return 0;
}

void offload_place_pins(const char *pin_path, unsigned user, char ret_place[OFFLOAD_PIN_MAX])
{
	pinning_place(pin_path, user, ret_place);
}

bool offload_has_estate(const char *pin_path)
{
	return pinning_has_estate(pin_path);
}

void offload_make_pins(const char *pin_path, unsigned user)
{
	pinning_make(pin_path, user);
}

void offload_drop_pins(const char *pin_path)
{
	pinning_drop(pin_path);
}

int offload_check_pins(const char *pin_path)
{
	return pinning_check(pin_path);
}

void offload_stop(struct offload *offload, bool leave)
{
	if (!offload)
		return;
	offload->leave = leave;
	eventfd_write(offload->stop.fd, 1);
	thread_join(&offload->thread);
	loop_fini(&offload->loop);
	free_all(offload);
}

int offload_worker_fd(const struct offload *offload, unsigned index)
{
	return offload->worker_fds[index];
}

void offload_sum(const struct offload *offload, struct offload_counts *ret_counts)
{
	for (unsigned i = 0; i < OFFLOAD_COUNTS; i++)
		ret_counts->counts[i] =
			atomic_load_explicit(&offload->counts[i], memory_order_relaxed);
	for (unsigned i = 0; i < FLOW_REFUSALS; i++)
		ret_counts->refusals[i] =
			atomic_load_explicit(&offload->refusals[i], memory_order_relaxed);
	ret_counts->limit = offload->limit;
	ret_counts->doubts = atomic_load_explicit(&offload->doubts, memory_order_relaxed);
	ret_counts->open = atomic_load_explicit(&offload->open, memory_order_relaxed) +
			   atomic_load_explicit(&offload->joints, memory_order_relaxed);
}
