/* SPDX-License-Identifier: Apache-2.0
 *
 * How a thread beside the workers begins and ends: named, with every signal blocked, since main
 * alone takes signals, and joined within a time if need be.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

struct thread {
	pthread_t id;
	const char *name; /* at most 15 bytes, static */
	void (*run)(void *arg);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t over;
	bool ended;
};

/* Run `run(arg)` on a thread of its own. `thread` must outlive it. 0 or -errno. */
int thread_start(struct thread *thread, const char *name, void (*run)(void *arg), void *arg);

void thread_join(struct thread *thread);

/* False when the thread did not end in time: it is detached, and `thread` and `arg` must stay
 * valid until the process ends. */
bool thread_join_within(struct thread *thread, unsigned timeout_ms);
