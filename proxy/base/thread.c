/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the beginning and the end of a thread. The happy path is: thread_start() blocks all signals,
 * so that the new thread inherits that mask, and creates it; the thread names itself and runs;
 * thread_join() takes its rest.
 *
 * Failure modes: no thread can be created (EAGAIN, passed up); a thread hangs in a system call
 * that nothing can interrupt, such as a write to a stopped terminal: thread_join_within() gives up
 * on it, since an exit that waits for somebody's Ctrl-Q is no exit.
 */
#include "proxy/base/thread.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "proxy/base/clock.h"
#include "proxy/base/panic.h"

static void *thread_main(void *arg)
{
	struct thread *thread = arg;

	pthread_setname_np(pthread_self(), thread->name);
	thread->run(thread->arg);
	pthread_mutex_lock(&thread->lock);
	thread->ended = true;
	pthread_cond_signal(&thread->over);
	pthread_mutex_unlock(&thread->lock);
	return NULL;
}

static void init_sync(struct thread *thread)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	must(!pthread_cond_init(&thread->over, &attr));
	pthread_condattr_destroy(&attr);
	must(!pthread_mutex_init(&thread->lock, NULL));
}

static void fini_sync(struct thread *thread)
{
	pthread_cond_destroy(&thread->over);
	pthread_mutex_destroy(&thread->lock);
}

int thread_start(struct thread *thread, const char *name, void (*run)(void *arg), void *arg)
{
	sigset_t all, before;
	int r;

	*thread = (struct thread){.name = name, .run = run, .arg = arg};
	init_sync(thread);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread->id, NULL, thread_main, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		fini_sync(thread);
	return -r;
}

void thread_join(struct thread *thread)
{
	must(!pthread_join(thread->id, NULL));
	fini_sync(thread);
}

bool thread_join_within(struct thread *thread, unsigned timeout_ms)
{
	uint64_t at_us = clock_us() + timeout_ms * US_PER_MS;
	struct timespec at = {
		.tv_sec = at_us / US_PER_SEC,
		.tv_nsec = at_us % US_PER_SEC * 1000,
	};
	bool ended;
	int r = 0;

	pthread_mutex_lock(&thread->lock);
	while (!thread->ended && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&thread->over, &thread->lock, &at);
	ended = thread->ended;
	pthread_mutex_unlock(&thread->lock);
	if (ended)
		thread_join(thread);
	else
		pthread_detach(thread->id);
	return ended;
}
