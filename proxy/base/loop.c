/* SPDX-License-Identifier: Apache-2.0
 *
 * The event loop. A turn is: sleep in epoll_wait(2) until an event or the next timer, dispatch the
 * events, run due timers, give every ready task one go, free what was deferred.
 *
 * While a task is ready, epoll_wait(2) is asked with a timeout of 0, so a session that stopped on
 * its byte budget shares the worker with fresh events. EINTR is an empty turn; any other failure
 * of epoll_wait(2) would be our own broken state.
 */
#include "proxy/base/loop.h"

#include <errno.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/panic.h"
#include "proxy/base/sys.h"

#define EVENTS_PER_TURN 256

int loop_init(struct loop *loop)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return -errno;
	*loop = (struct loop){.epoll_fd = fd, .now_us = clock_us()};
	list_init(&loop->ready);
	list_init(&loop->deferred);
	timer_wheel_init(&loop->wheel, loop->now_us / US_PER_MS);
	return 0;
}

void loop_fini(struct loop *loop)
{
	close(loop->epoll_fd);
	loop->epoll_fd = -1;
}

static int loop_ctl(struct loop *loop, int op, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	return SYS(EPOLL_CTL, epoll_ctl(loop->epoll_fd, op, source->fd, &event)) ? -errno : 0;
}

int loop_add(struct loop *loop, struct loop_source *source, uint32_t events)
{
	return loop_ctl(loop, EPOLL_CTL_ADD, source, events);
}

void loop_change(struct loop *loop, struct loop_source *source, uint32_t events)
{
	loop_ctl(loop, EPOLL_CTL_MOD, source, events);
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	loop_ctl(loop, EPOLL_CTL_DEL, source, 0);
}

void loop_ready(struct loop *loop, struct loop_task *task)
{
	if (list_empty(&task->link))
		list_push_back(&loop->ready, &task->link);
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
	list_remove(&task->link);
	list_push_back(&loop->deferred, &task->link);
}

/* The wheel turns after the events of a turn, so to them it still stands where the sleep began. */
void loop_arm(struct loop *loop, struct timer *timer, uint64_t delay_ms)
{
	uint64_t behind_ms = loop->now_us / US_PER_MS - loop->wheel.now_ms;

	timer_arm(&loop->wheel, timer, behind_ms + delay_ms);
}

static int loop_wait(struct loop *loop, struct epoll_event *events)
{
	bool idle = list_empty(&loop->ready) && list_empty(&loop->deferred) && !loop->stopping;
	int timeout = idle ? timer_wheel_timeout(&loop->wheel) : 0;
	uint64_t spin_until = timeout && loop->busy_poll_us ? clock_us() + loop->busy_poll_us : 0;
	int count;

	do {
		count = SYS(EPOLL_WAIT, epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN,
						   spin_until ? 0 : timeout));
		if (count || !spin_until)
			break;
		if (clock_us() >= spin_until)
			spin_until = 0;
	} while (1);
	must(count >= 0 || errno == EINTR);
	loop->now_us = clock_us();
	return count;
}

static void run_list(struct list *list)
{
	struct list batch;
	struct list *link;

	if (list_empty(list))
		return;
	list_push_back(list, &batch);
	list_remove(list);
	while ((link = list_pop_front(&batch))) {
		struct loop_task *task = container_of(link, struct loop_task, link);

		task->run(task);
	}
}

void loop_turn(struct loop *loop)
{
	struct epoll_event events[EVENTS_PER_TURN];
	int count = loop_wait(loop, events);

	if (loop->turns)
		__atomic_store_n(loop->turns, *loop->turns + 1, __ATOMIC_RELAXED);
	for (int i = 0; i < count; i++) {
		struct loop_source *source = events[i].data.ptr;

		if (source->fd >= 0)
			source->on_event(source, events[i].events);
	}
	timer_wheel_advance(&loop->wheel, loop->now_us / US_PER_MS);
	run_list(&loop->ready);
	loop_reap(loop);
}

void loop_reap(struct loop *loop)
{
	run_list(&loop->deferred);
}

void loop_run(struct loop *loop)
{
	while (!loop->stopping)
		loop_turn(loop);
}
