/* SPDX-License-Identifier: Apache-2.0
 *
 * What workers wake each other by: opened whole or not at all, and kept where a worker takes an fd
 * table of its own, under the same numbers.
 */
/* link: -Wl,--wrap=eventfd */
#include <sys/eventfd.h>

#include "tests/unit/worker_rig.h"

int __real_eventfd(unsigned count, int flags);
int __wrap_eventfd(unsigned count, int flags);

static int opened, fail_at;

int __wrap_eventfd(unsigned count, int flags)
{
	if (fail_at && ++opened == fail_at) {
		errno = EMFILE;
		return -1;
	}
	return __real_eventfd(count, flags);
}

START_TEST(wires_are_opened_whole_or_not_at_all)
{
	struct worker_wires wires = {0};
	int before = open_fds();

	for (fail_at = 1; fail_at <= 4; fail_at++) {
		opened = 0;
		ck_assert_int_eq(worker_wires_open(3, &wires), -EMFILE);
		ck_assert_ptr_null(wires.mailboxes);
		ck_assert_int_eq(open_fds(), before);
	}
	fail_at = 0;
	ck_assert_int_eq(worker_wires_open(3, &wires), 0);
	ck_assert_int_eq(open_fds(), before + 4);
	worker_wires_close(&wires);
	worker_wires_close(&wires);
	ck_assert_int_eq(open_fds(), before);
}
END_TEST

START_TEST(slot_that_another_thread_grants_reaches_the_worker)
{
	struct target *target;
	int client, server;

	prepare("");
	target = rig.conf.snapshot->pools[0].targets[0];
	target->max_connections = 1;
	target->pool->queue_size = 5;
	rig.conf.snapshot->config->pools[0].queue_size = 5;
	ck_assert(target_reserve(target));
	ck_assert_int_eq(worker_start(&rig.conf, &rig.worker), 0);
	ck_assert_int_eq(tell(listen_order(), rig.front), 0);
	client = connect_to(&rig.front_addr);
	send_pattern(client, 0, 10);
	while (!atomic_load(&target->pool->waiting_count))
		ck_assert_int_eq(tell_op(WORKER_OPS), -EINVAL);
	target_release(target); /* by this thread, as if it were a worker */
	server = accept_from(rig.backend);
	expect_pattern(server, 0, 10);
	close(client);
	close(server);
	ck_assert_int_eq(tell_op(WORKER_ABORT), 0);
	stop();
}
END_TEST

START_TEST(failures_that_a_worker_sees_are_heard_by_main)
{
	int client;

	prepare("");
	rig.conf.snapshot->config->pools[0].outlier.failures = 1;
	close(rig.backend);
	rig.backend = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(worker_start(&rig.conf, &rig.worker), 0);
	ck_assert_int_eq(tell(listen_order(), rig.front), 0);
	client = connect_to(&rig.front_addr);
	wait_for_events(rig.wires.outlier_fd, POLLIN);
	expect_reset(client);
	close(client);
	stop();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		wires_are_opened_whole_or_not_at_all,
		slot_that_another_thread_grants_reaches_the_worker,
		failures_that_a_worker_sees_are_heard_by_main,
	};

	return run_tests("worker_wires", tests, COUNT(tests));
}
