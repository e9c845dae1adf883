/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of a worker share: worker.c is the thread and what it owns, orders.c does what
 * main says, query.c answers which sessions there are, channel.c carries the packets, wires.c is
 * what workers wake each other by.
 */
#pragma once

#include <pthread.h>

#include "proxy/listener.h"
#include "proxy/pipe.h"
#include "proxy/session/session.h"
#include "proxy/slab.h"
#include "proxy/worker.h"

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

/* worker.c: new sessions begin with this snapshot. 0 or -ENOMEM. */
int worker_take_view(struct worker *worker, struct snapshot *snapshot);

/* worker.c */
void worker_abort_sessions(struct worker *worker);

/* orders.c: the control socket is readable. */
void worker_on_order(struct loop_source *source, uint32_t events);

/* orders.c: tell main that an order is carried out, or why not. */
void worker_answer(struct worker *worker, const struct worker_message *message, int err);

/* query.c: WORKER_SESSIONS; answers when it is done. 0 or -ENOMEM. */
int worker_list_sessions(struct worker *worker, const struct worker_message *message);
