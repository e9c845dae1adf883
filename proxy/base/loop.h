/* SPDX-License-Identifier: Apache-2.0
 *
 * One worker's event loop: epoll, timers, a ready list for work that must go on without a new
 * event, and frees that wait for the end of the turn.
 *
 * A source is closed by setting its fd to -1 after close(2); its memory must live until the end of
 * the turn (loop_defer), so a stale event of the same batch finds fd -1 and is ignored.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "proxy/base/list.h"
#include "proxy/base/timer.h"

struct loop_source {
	void (*on_event)(struct loop_source *source, uint32_t events); /* EPOLL* bits */
	int fd;                                                        /* -1: none */
};

/* Something to run in the next turn (ready), or to free at the end of this one (deferred). */
struct loop_task {
	struct list link; /* struct loop::ready or ::deferred */
	void (*run)(struct loop_task *task);
};

struct loop {
	int epoll_fd;
	bool stopping;
	uint32_t busy_poll_us; /* spin this long before sleeping */
	uint64_t now_us;       /* CLOCK_MONOTONIC, read once a turn */
	uint64_t *turns;       /* counter, may be NULL */
	struct timer_wheel wheel;
	struct list ready;    /* struct loop_task::link */
	struct list deferred; /* struct loop_task::link */
};

int loop_init(struct loop *loop); /* 0 or -errno */
void loop_fini(struct loop *loop);

/* Register with epoll_ctl(2); 0 or -errno. close(2) of the fd removes it as well. */
int loop_add(struct loop *loop, struct loop_source *source, uint32_t events);
void loop_change(struct loop *loop, struct loop_source *source,
		 uint32_t events); /* what is added */
void loop_remove(struct loop *loop, struct loop_source *source);

/* Put on the ready list once; a task that is on a list already stays where it is. */
void loop_ready(struct loop *loop, struct loop_task *task);
void loop_defer(struct loop *loop, struct loop_task *task);

void loop_arm(struct loop *loop, struct timer *timer, uint64_t delay_ms);

/* Run the frees that wait for the end of a turn, when there will be none. */
void loop_reap(struct loop *loop);

/* Turn until `stopping`. */
void loop_run(struct loop *loop);

/* One turn: wait (unless something is ready), dispatch, timers, ready tasks, frees. */
void loop_turn(struct loop *loop);
