/* SPDX-License-Identifier: Apache-2.0
 *
 * A program whose hours pass in seconds: the clocks come here through the linker's --wrap, in
 * build/hasten/sluice-control alone, and run faster; the event loop sleeps as much shorter.
 *
 *   HASTEN="400:1700000000.5"	400 times as fast since that moment of the real wall clock
 *
 * Happy path: both clocks are stretched about a fixed point: the wall clock about the moment given,
 * so that a simulator in another process can say the same time of day, the monotonic one about the
 * start. Clocks that count CPU time are left alone, and so are the libraries' own (libcurl,
 * OpenSSL), which are not linked through here: a certificate stays valid, a request's deadline is a
 * real one. Failure modes: without the variable time is as always; one that cannot be read ends the
 * process with status 2 before main(), since a test that waits for hours would prove nothing.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

#define NS_PER_S 1000000000.0

int __real_clock_gettime(clockid_t id, struct timespec *ret_now);
int __real_epoll_wait(int fd, struct epoll_event *events, int room, int timeout_ms);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret_now);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int room, int timeout_ms);
time_t __wrap_time(time_t *ret_now);

static int64_t factor = 1;
static struct timespec wall_start;
static struct timespec monotonic_start;

static int64_t since_ns(const struct timespec *start, const struct timespec *now)
{
	return (int64_t)(now->tv_sec - start->tv_sec) * 1000000000 + now->tv_nsec - start->tv_nsec;
}

static void stretch(const struct timespec *start, struct timespec *now)
{
	int64_t ns = since_ns(start, now) * factor + start->tv_nsec;

	now->tv_sec = start->tv_sec + (time_t)(ns / 1000000000);
	now->tv_nsec = ns % 1000000000;
	if (now->tv_nsec < 0) {
		now->tv_sec--;
		now->tv_nsec += 1000000000;
	}
}

__attribute__((constructor)) static void read_environment(void)
{
	const char *text = getenv("HASTEN");
	double wall;
	long times;

	__real_clock_gettime(CLOCK_MONOTONIC, &monotonic_start);
	if (!text)
		return;
	if (sscanf(text, "%ld:%lf", &times, &wall) != 2 || times < 1 || times > 100000) {
		fprintf(stderr, "hasten: cannot read HASTEN=%s\n", text);
		exit(2);
	}
	factor = times;
	wall_start.tv_sec = (time_t)wall;
	wall_start.tv_nsec = (long)((wall - (double)wall_start.tv_sec) * NS_PER_S);
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ret_now)
{
	int err = __real_clock_gettime(id, ret_now);

	if (err || factor == 1)
		return err;
	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
		stretch(&wall_start, ret_now);
	else if (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE || id == CLOCK_BOOTTIME)
		stretch(&monotonic_start, ret_now);
	return 0;
}

time_t __wrap_time(time_t *ret_now)
{
	struct timespec now;

	__wrap_clock_gettime(CLOCK_REALTIME, &now);
	if (ret_now)
		*ret_now = now.tv_sec;
	return now.tv_sec;
}

/* A sleep is never rounded to none, which would make the loop spin. */
int __wrap_epoll_wait(int fd, struct epoll_event *events, int room, int timeout_ms)
{
	int64_t shorter = timeout_ms > 0 ? (timeout_ms + factor - 1) / factor : timeout_ms;

	return __real_epoll_wait(fd, events, room, (int)shorter);
}
