/* SPDX-License-Identifier: Apache-2.0
 *
 * The checker as main has it: a thread of its own in real time, told what to check and reporting
 * back, under its own seccomp filter.
 */
/* link: -Wl,--wrap=epoll_create1,--wrap=pthread_create,--wrap=eventfd,--wrap=calloc */
#include <pthread.h>
#include <sys/eventfd.h>

#include "proxy/base/log.h"
#include "proxy/health.h"
#include "tests/unit/health_rig.h"

#define MANY 10000

int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg);
int __real_eventfd(unsigned count, int flags);
int __wrap_eventfd(unsigned count, int flags);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

static enum { NO_EPOLL = 1, NO_THREAD, NO_EVENTFD, NO_MEMORY } lack;

int __wrap_epoll_create1(int flags)
{
	errno = EMFILE;
	return lack == NO_EPOLL ? -1 : __real_epoll_create1(flags);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg)
{
	return lack == NO_THREAD ? EAGAIN : __real_pthread_create(thread, attr, run, arg);
}

int __wrap_eventfd(unsigned count, int flags)
{
	errno = EMFILE;
	return lack == NO_EVENTFD ? -1 : __real_eventfd(count, flags);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return lack == NO_MEMORY ? NULL : __real_calloc(count, size);
}

static struct {
	struct health *health;
	struct health_conf conf;
	struct health_job *jobs;
	int wake_fd;
	int listener;
	int fds_before;
} rig;

/* Targets that are all the one listener. */
static void prepare(size_t count)
{
	log_set_level(LOG_ERROR);
	rig.fds_before = open_fds();
	rig.listener = listen_on("127.0.0.1:0", 4096);
	fcntl(rig.listener, F_SETFL, O_NONBLOCK);
	rig.conf = health_conf_of(HEALTH_TCP);
	rig.conf.interval_ms = 20;
	rig.conf.fast_interval_ms = 5;
	rig.conf.timeout_ms = PATIENCE_MS;
	rig.jobs = calloc(count, sizeof(*rig.jobs));
	for (size_t i = 0; i < count; i++)
		rig.jobs[i] = (struct health_job){.key = i,
						  .addr = local_of(rig.listener),
						  .conf = &rig.conf,
						  .status = HEALTH_UNKNOWN};
	rig.wake_fd = __real_eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ck_assert_int_eq(health_start(rig.wake_fd, 64, &rig.health), 0);
}

static void finish(void)
{
	health_stop(rig.health);
	close(rig.wake_fd);
	if (rig.listener >= 0)
		close(rig.listener);
	free(rig.jobs);
	ck_assert_int_eq(open_fds(), rig.fds_before);
}

/* Accept, and close, what is there. */
static void serve(void)
{
	int fd;

	while (rig.listener >= 0 && (fd = accept4(rig.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
}

/* Wait for the next report. */
static struct health_report next_report(void)
{
	struct health_report report;

	while (!health_take(rig.health, &report, 1)) {
		eventfd_t count;

		wait_for_events(rig.wake_fd, POLLIN);
		eventfd_read(rig.wake_fd, &count);
		serve();
	}
	return report;
}

static void wait_for_status(uint64_t key, enum health_status status)
{
	struct health_report report;

	do {
		report = next_report();
	} while (report.key != key || report.status != status);
}

START_TEST(target_that_dies_and_comes_back_is_followed)
{
	struct health_report report;
	char text[32];

	prepare(1);
	ck_assert_int_eq(health_set(rig.health, rig.jobs, 1), 0);
	report = next_report();
	ck_assert_int_eq(report.status, HEALTH_UP);
	ck_assert_str_eq(report.text, "connected");
	serve();
	close(rig.listener);
	rig.listener = -1;
	do {
		report = next_report();
	} while (report.status != HEALTH_DOWN);
	ck_assert_str_eq(report.text, "connect refused");
	ck_assert_uint_eq(report.failed, 3);
	snprintf(text, sizeof(text), "127.0.0.1:%u", rig.jobs[0].addr.port);
	rig.listener = listen_on(text, 64);
	fcntl(rig.listener, F_SETFL, O_NONBLOCK);
	do {
		report = next_report();
	} while (report.status != HEALTH_UP);
	ck_assert_uint_eq(report.passed, 2);
	finish();
}
END_TEST

START_TEST(checks_run_under_the_filter_of_their_role)
{
	const enum health_kind kinds[] = {HEALTH_TCP, HEALTH_HTTP, HEALTH_TLS, HEALTH_SEND_EXPECT};
	struct health_conf confs[COUNT(kinds)];

	/* A refused call would end the process. */
	setenv("SLUICE_SECCOMP", "kill", 1);
	prepare(COUNT(kinds));
	for (size_t i = 0; i < COUNT(kinds); i++) {
		confs[i] = rig.conf;
		confs[i].kind = kinds[i];
		confs[i].timeout_ms = 10;
		confs[i].expect = bytes_of("x");
		rig.jobs[i].conf = &confs[i];
		rig.jobs[i].proxy = PROXY_SEND_V2;
	}
	ck_assert_int_eq(health_set(rig.health, rig.jobs, COUNT(kinds)), 0);
	wait_for_status(0, HEALTH_UP);
	wait_for_status(1, HEALTH_DOWN);
	wait_for_status(2, HEALTH_DOWN);
	wait_for_status(3, HEALTH_DOWN);
	finish();
}
END_TEST

START_TEST(many_targets_come_up_and_change)
{
	static bool up[MANY];

	prepare(MANY);
	rig.conf.fast_interval_ms = 200;
	rig.conf.interval_ms = 3600000;
	/* While it is still busy with one set, the next ones come. */
	for (size_t i = 0; i < 20; i++)
		ck_assert_int_eq(health_set(rig.health, rig.jobs + i, MANY - i), 0);
	for (size_t left = MANY - 19; left;) {
		struct health_report report = next_report();

		ck_assert_int_eq(report.status, HEALTH_UP);
		ck_assert_uint_lt(report.key, MANY);
		left -= report.key >= 19 && !up[report.key];
		up[report.key] = true;
	}
	finish();
}
END_TEST

START_TEST(stopping_takes_no_regard_of_what_is_under_way)
{
	health_stop(NULL);
	prepare(100);
	rig.conf.kind = HEALTH_HTTP; /* answered by nobody */
	rig.conf.fast_interval_ms = 1;
	ck_assert_int_eq(health_set(rig.health, rig.jobs, 100), 0);
	wait_for_events(rig.listener, POLLIN);
	ck_assert_int_eq(health_set(rig.health, rig.jobs, 50), 0);
	finish();
}
END_TEST

START_TEST(set_without_memory_changes_nothing)
{
	prepare(2);
	ck_assert_int_eq(health_set(rig.health, rig.jobs, 1), 0);
	wait_for_status(0, HEALTH_UP);
	lack = NO_MEMORY;
	ck_assert_int_eq(health_set(rig.health, rig.jobs + 1, 1), -ENOMEM);
	lack = 0;
	ck_assert_uint_eq(next_report().key, 0); /* the tenth, some time later */
	finish();
}
END_TEST

START_TEST(start_that_fails_leaves_nothing)
{
	const int errors[] = {
		[NO_EPOLL] = -EMFILE,
		[NO_THREAD] = -EAGAIN,
		[NO_EVENTFD] = -EMFILE,
		[NO_MEMORY] = -ENOMEM,
	};
	struct health *health = NULL;
	int fds = open_fds();

	for (lack = NO_EPOLL; lack <= NO_MEMORY; lack++) {
		ck_assert_int_eq(health_start(-1, 1, &health), errors[lack]);
		ck_assert_ptr_null(health);
		ck_assert_int_eq(open_fds(), fds);
	}
	lack = 0;
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		target_that_dies_and_comes_back_is_followed,
		checks_run_under_the_filter_of_their_role,
		many_targets_come_up_and_change,
		stopping_takes_no_regard_of_what_is_under_way,
		set_without_memory_changes_nothing,
		start_that_fails_leaves_nothing,
	};

	return run_tests("health", tests, COUNT(tests));
}
