/* SPDX-License-Identifier: Apache-2.0
 *
 * The event loop: which source hears of what, the order within a turn, and how long it sleeps,
 * which is read off the timeout that epoll_wait(2) is given.
 */
/* link: -Wl,--wrap=epoll_wait */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/loop.h"
#include "tests/unit/conf_rig.h"

int __real_epoll_wait(int fd, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout);

static int last_timeout; /* what the loop asked for */
static int waits;
static int fail_with; /* errno of the next wait */

/* Sleeps never: the tests look at `last_timeout` instead. */
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	last_timeout = timeout;
	waits++;
	if (fail_with) {
		errno = fail_with;
		fail_with = 0;
		return -1;
	}
	return __real_epoll_wait(fd, events, max, 0);
}

struct watched {
	struct loop_source source;
	struct loop_task task;
	uint32_t events;
	unsigned calls;
	struct watched *victim; /* closed by the first event */
};

static struct loop loop;
static char order[64];

static void note(char what)
{
	size_t len = strlen(order);

	if (len + 1 < sizeof(order))
		order[len] = what;
}

static void on_event(struct loop_source *source, uint32_t events)
{
	struct watched *watched = container_of(source, struct watched, source);

	note('e');
	watched->events = events;
	watched->calls++;
	if (watched->victim && watched->victim->source.fd >= 0) {
		close(watched->victim->source.fd);
		watched->victim->source.fd = -1;
	}
}

static void open_watched(struct watched *watched, uint32_t events)
{
	*watched = (struct watched){.source = {.on_event = on_event}};
	watched->source.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	ck_assert_int_ge(watched->source.fd, 0);
	ck_assert_int_eq(loop_add(&loop, &watched->source, events), 0);
}

static void open_loop(void)
{
	memset(order, 0, sizeof(order));
	ck_assert_int_eq(loop_init(&loop), 0);
}

START_TEST(source_hears_its_events_until_it_is_removed)
{
	struct watched watched;

	open_loop();
	open_watched(&watched, EPOLLIN);
	loop_turn(&loop);
	loop_turn(&loop);
	ck_assert_uint_eq(watched.calls, 2);
	ck_assert_uint_eq(watched.events, EPOLLIN);
	loop_remove(&loop, &watched.source);
	loop_turn(&loop);
	ck_assert_uint_eq(watched.calls, 2);
	close(watched.source.fd);
	loop_fini(&loop);
}
END_TEST

START_TEST(edge_triggered_source_hears_an_edge_once)
{
	struct watched watched;
	uint64_t one = 1;

	open_loop();
	open_watched(&watched, EPOLLIN | EPOLLET);
	loop_turn(&loop);
	loop_turn(&loop);
	ck_assert_uint_eq(watched.calls, 1);
	ck_assert_int_eq(write(watched.source.fd, &one, sizeof(one)), sizeof(one));
	loop_turn(&loop);
	ck_assert_uint_eq(watched.calls, 2);
	close(watched.source.fd);
	loop_fini(&loop);
}
END_TEST

START_TEST(source_closed_earlier_in_the_batch_hears_nothing)
{
	struct watched pair[2];

	open_loop();
	open_watched(&pair[0], EPOLLIN);
	open_watched(&pair[1], EPOLLIN);
	pair[0].victim = &pair[1];
	pair[1].victim = &pair[0];
	loop_turn(&loop);
	ck_assert_uint_eq(pair[0].calls + pair[1].calls, 1);
	for (int i = 0; i < 2; i++)
		if (pair[i].source.fd >= 0)
			close(pair[i].source.fd);
	loop_fini(&loop);
}
END_TEST

START_TEST(adding_a_bad_fd_is_an_error)
{
	struct watched watched = {.source = {.on_event = on_event, .fd = 1023}};

	open_loop();
	ck_assert_int_eq(loop_add(&loop, &watched.source, EPOLLIN), -EBADF);
	loop_fini(&loop);
}
END_TEST

static void on_timer(struct timer *timer)
{
	note('t');
}

static void on_ready(struct loop_task *task)
{
	note('r');
}

static void on_deferred(struct loop_task *task)
{
	note('d');
}

START_TEST(turn_runs_events_then_timers_then_ready_tasks_then_frees)
{
	struct loop_task ready = {.run = on_ready}, deferred = {.run = on_deferred};
	struct watched watched;
	struct timer timer;

	open_loop();
	list_init(&ready.link);
	list_init(&deferred.link);
	timer_init(&timer, on_timer);
	timer_wheel_init(&loop.wheel, loop.wheel.now_ms - 100); /* as if 100 ms had passed */
	timer_arm(&loop.wheel, &timer, 1);
	open_watched(&watched, EPOLLIN);
	loop_defer(&loop, &deferred);
	loop_ready(&loop, &ready);
	loop_turn(&loop);
	ck_assert_str_eq(order, "etrd");
	close(watched.source.fd);
	loop_fini(&loop);
}
END_TEST

START_TEST(loop_sleeps_until_the_next_timer_and_not_at_all_with_work_to_do)
{
	struct loop_task task = {.run = on_ready};
	struct timer timer;

	open_loop();
	list_init(&task.link);
	loop_turn(&loop);
	ck_assert_int_eq(last_timeout, -1);
	timer_init(&timer, on_timer);
	loop_arm(&loop, &timer, 60000);
	loop_turn(&loop);
	ck_assert_int_gt(last_timeout, 0);
	ck_assert_int_le(last_timeout, 60000);
	loop_ready(&loop, &task);
	loop_turn(&loop);
	ck_assert_int_eq(last_timeout, 0);
	timer_cancel(&timer);
	loop_fini(&loop);
}
END_TEST

START_TEST(turn_with_something_to_free_does_not_sleep)
{
	struct loop_task task = {.run = on_deferred};
	struct timer timer;

	open_loop();
	list_init(&task.link);
	timer_init(&timer, on_timer);
	loop_arm(&loop, &timer, 10000);
	loop_defer(&loop, &task); /* between turns, as a worker that stops does */
	loop_turn(&loop);
	ck_assert_int_eq(last_timeout, 0);
	ck_assert_str_eq(order, "d");
	timer_cancel(&timer);
	loop_fini(&loop);
}
END_TEST

START_TEST(loop_that_stops_does_not_sleep)
{
	struct timer timer;

	open_loop();
	timer_init(&timer, on_timer);
	loop_arm(&loop, &timer, 10000);
	loop.stopping = true;
	loop_turn(&loop); /* as a worker does, to see its last events and frees through */
	ck_assert_int_eq(last_timeout, 0);
	timer_cancel(&timer);
	loop_fini(&loop);
}
END_TEST

START_TEST(ready_task_runs_once_a_turn_even_if_it_readies_itself)
{
	struct loop_task task = {.run = on_ready};

	open_loop();
	list_init(&task.link);
	loop_ready(&loop, &task);
	loop_ready(&loop, &task);
	loop_turn(&loop);
	ck_assert_str_eq(order, "r");
	loop_turn(&loop);
	ck_assert_str_eq(order, "r");
	loop_fini(&loop);
}
END_TEST

static void on_ready_again(struct loop_task *task)
{
	note('r');
	loop_ready(&loop, task);
}

START_TEST(task_that_readies_itself_waits_for_the_next_turn)
{
	struct loop_task task = {.run = on_ready_again};

	open_loop();
	list_init(&task.link);
	loop_ready(&loop, &task);
	for (int i = 0; i < 3; i++)
		loop_turn(&loop);
	ck_assert_str_eq(order, "rrr");
	ck_assert_int_eq(last_timeout, 0);
	loop_fini(&loop);
}
END_TEST

START_TEST(deferred_task_leaves_the_ready_list)
{
	struct loop_task task = {.run = on_ready};

	open_loop();
	list_init(&task.link);
	loop_ready(&loop, &task);
	task.run = on_deferred;
	loop_defer(&loop, &task);
	loop_ready(&loop, &task); /* a stale event: it is on a list already */
	loop_turn(&loop);
	ck_assert_str_eq(order, "d");
	loop_fini(&loop);
}
END_TEST

START_TEST(delay_counts_from_the_turn_and_not_from_the_last_time_the_wheel_moved)
{
	struct timer timer;

	open_loop();
	timer_init(&timer, on_timer);
	/* As when epoll_wait(2) slept for 5 s and an event now arms a timer: the wheel comes
	 * after the events. */
	loop.now_us += 5 * US_PER_SEC;
	loop_arm(&loop, &timer, 1000);
	timer_wheel_advance(&loop.wheel, loop.now_us / US_PER_MS + 998);
	ck_assert_str_eq(order, "");
	timer_wheel_advance(&loop.wheel, loop.now_us / US_PER_MS + 1001);
	ck_assert_str_eq(order, "t");
	loop_fini(&loop);
}
END_TEST

START_TEST(interrupted_wait_is_an_empty_turn)
{
	struct watched watched;

	open_loop();
	open_watched(&watched, EPOLLIN);
	fail_with = EINTR;
	loop_turn(&loop);
	ck_assert_uint_eq(watched.calls, 0);
	loop_turn(&loop);
	ck_assert_uint_eq(watched.calls, 1);
	close(watched.source.fd);
	loop_fini(&loop);
}
END_TEST

START_TEST(busy_polling_spins_before_it_sleeps_and_stops_at_an_event)
{
	struct watched watched;
	int before = waits;

	open_loop();
	loop.busy_poll_us = 2000;
	loop_turn(&loop);
	ck_assert_int_gt(waits - before, 1);
	ck_assert_int_eq(last_timeout, -1);
	open_watched(&watched, EPOLLIN);
	before = waits;
	loop_turn(&loop);
	ck_assert_int_eq(waits - before, 1);
	ck_assert_int_eq(last_timeout, 0);
	close(watched.source.fd);
	loop_fini(&loop);
}
END_TEST

static void on_stop(struct loop_source *source, uint32_t events)
{
	loop.stopping = true;
}

START_TEST(run_counts_its_turns_and_ends_when_told)
{
	struct watched watched;
	uint64_t turns = 0;

	open_loop();
	loop.turns = &turns;
	open_watched(&watched, EPOLLIN);
	watched.source.on_event = on_stop;
	loop_run(&loop);
	ck_assert_uint_eq(turns, 1);
	close(watched.source.fd);
	loop_fini(&loop);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		source_hears_its_events_until_it_is_removed,
		edge_triggered_source_hears_an_edge_once,
		source_closed_earlier_in_the_batch_hears_nothing,
		adding_a_bad_fd_is_an_error,
		turn_runs_events_then_timers_then_ready_tasks_then_frees,
		loop_sleeps_until_the_next_timer_and_not_at_all_with_work_to_do,
		turn_with_something_to_free_does_not_sleep,
		loop_that_stops_does_not_sleep,
		ready_task_runs_once_a_turn_even_if_it_readies_itself,
		task_that_readies_itself_waits_for_the_next_turn,
		deferred_task_leaves_the_ready_list,
		delay_counts_from_the_turn_and_not_from_the_last_time_the_wheel_moved,
		interrupted_wait_is_an_empty_turn,
		busy_polling_spins_before_it_sleeps_and_stops_at_an_event,
		run_counts_its_turns_and_ends_when_told,
	};

	return run_tests("loop", tests, COUNT(tests));
}
