/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the checker's thread and the two ways in and out of it: what is to be checked goes in, one
 * whole table at a time, reports come out. The happy path is: health_set() builds the table on its
 * caller's thread, leaves it under a lock and wakes the checker, which compares and goes on.
 *
 * Failure modes: no memory for the new table, then the old one stays; the checker is slower than
 * main, then a table it did not take yet is replaced by the newer one, which is as whole.
 */
#include "proxy/health.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proxy/base/panic.h"
#include "proxy/base/sandbox.h"
#include "proxy/base/thread.h"
#include "proxy/health/checker.h"

struct health {
	struct thread thread;
	struct checker checker;
	struct reports reports;
	struct loop_source wake; /* eventfd(2): there is something below */
	pthread_mutex_t lock;    /* of what follows */
	struct subject_table next;
	bool stopping;
};

static void on_wake(struct loop_source *source, uint32_t events)
{
	struct health *health = container_of(source, struct health, wake);
	struct subject_table next;
	eventfd_t count;

	(void)events;
	eventfd_read(source->fd, &count);
	pthread_mutex_lock(&health->lock);
	next = health->next;
	health->next = (struct subject_table){0};
	health->checker.loop.stopping = health->stopping;
	pthread_mutex_unlock(&health->lock);
	if (next.buckets)
		checker_set(&health->checker, &next);
}

static void check_all(void *arg)
{
	struct health *health = arg;

	sandbox_enter(SANDBOX_HEALTH); /* where it cannot be had, main has said so */
	loop_run(&health->checker.loop);
}

static int open_wake(struct health *health)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	health->wake = (struct loop_source){.on_event = on_wake, .fd = fd};
	return loop_add(&health->checker.loop, &health->wake, EPOLLIN);
}

/* Takes a half-built one too, whose thread does not run. */
static void health_free(struct health *health)
{
	checker_fini(&health->checker);
	if (health->wake.fd >= 0)
		close(health->wake.fd);
	subject_table_fini(&health->next);
	reports_fini(&health->reports);
	pthread_mutex_destroy(&health->lock);
	free(health);
}

int health_start(int wake_fd, unsigned max_checks, struct health **ret_health)
{
	struct health *health = calloc(1, sizeof(*health));
	int r;

	if (!health)
		return -ENOMEM;
	health->wake.fd = -1;
	r = checker_init(&health->checker, &health->reports, max_checks);
	if (r < 0) {
		free(health);
		return r;
	}
	must(!pthread_mutex_init(&health->lock, NULL));
	reports_init(&health->reports, wake_fd);
	r = open_wake(health);
	if (!r)
		r = thread_start(&health->thread, "health", check_all, health);
	if (r < 0)
		health_free(health);
	else
		*ret_health = health;
	return r;
}

int health_set(struct health *health, const struct health_job *jobs, size_t count)
{
	struct subject_table fresh, untaken;
	int r = subject_table_init(&fresh, jobs, count);

	if (r < 0)
		return r;
	pthread_mutex_lock(&health->lock);
	untaken = health->next;
	health->next = fresh;
	pthread_mutex_unlock(&health->lock);
	eventfd_write(health->wake.fd, 1);
	subject_table_fini(&untaken);
	return 0;
}

size_t health_take(struct health *health, struct health_report *ret_reports, size_t max)
{
	return reports_take(&health->reports, ret_reports, max);
}

void health_stop(struct health *health)
{
	if (!health)
		return;
	pthread_mutex_lock(&health->lock);
	health->stopping = true;
	pthread_mutex_unlock(&health->lock);
	eventfd_write(health->wake.fd, 1);
	thread_join(&health->thread);
	health_free(health);
}
