/* SPDX-License-Identifier: Apache-2.0
 *
 * How a thread of ours begins and ends: named, with every signal blocked (main alone takes
 * signals), through one hook in which it gives up the privileges its role does not need.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

/* What a thread is for; decides which system calls and capabilities it keeps. */
enum thread_role {
	THREAD_MAIN,     /* opens, binds, reads configuration, takes signals */
	THREAD_WORKER,   /* moves bytes */
	THREAD_WRITER,   /* writes a log to a descriptor it was given */
	THREAD_RESOLVER, /* asks the system's resolver for names */
	THREAD_ROLES
};

struct thread {
	pthread_t id;
	const char *name; /* at most 15 bytes, static */
	enum thread_role role;
	void (*run)(void *arg);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t over;
	bool ended;
};

/* Called first on every thread started from now on. Set by main before the first thread. */
void thread_on_start(void (*hook)(enum thread_role role));

/* Run `run(arg)` on a thread of its own. `thread` must outlive it. 0 or -errno. */
int thread_start(struct thread *thread, const char *name, enum thread_role role,
		 void (*run)(void *arg), void *arg);

void thread_join(struct thread *thread);

/* False when the thread did not end in time: it is detached, and `thread` and `arg` must stay
 * valid until the process ends. */
bool thread_join_within(struct thread *thread, unsigned timeout_ms);
