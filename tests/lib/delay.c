/* SPDX-License-Identifier: Apache-2.0
 *
 * A program in which time passes at bad moments: the calls that the Makefile lists as DELAYS come
 * here through the linker's --wrap, in build/delay/sluice alone. Before each of them it may be that
 * nothing happens for a while, so that packets arrive between any two steps of a promotion.
 *
 *   SLUICE_FAULT_DELAY="40:3000"	before 40 of 100 such calls, up to 3000 microseconds
 *
 * Happy path: looks at sockets (the private option), TCP_REPAIR and the packets between a worker
 * and the keeper wait; all other options of sockets do not. It waits by looking at the clock, which
 * no sandbox can refuse. Failure mode: a variable that cannot be read ends the process with status
 * 2 before main(), since a test without delays would prove nothing.
 */
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "xdp/abi.h"

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);

static unsigned percent;
static unsigned most_us;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

__attribute__((constructor)) static void read_environment(void)
{
	const char *text = getenv("SLUICE_FAULT_DELAY");

	if (!text)
		return;
	if (sscanf(text, "%u:%u", &percent, &most_us) != 2 || percent > 100 || !most_us) {
		fprintf(stderr, "SLUICE_FAULT_DELAY: PERCENT:MICROSECONDS, not \"%s\"\n", text);
		_Exit(2);
	}
}

/* Each thread rolls its own dice. */
static void pass_time(void)
{
	static _Thread_local uint64_t state;
	uint64_t until;

	if (!percent)
		return;
	if (!state)
		state = now_ns() ^ (uint64_t)(uintptr_t)&state;
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	if ((state >> 33) % 100 >= percent)
		return;
	until = now_ns() + 1000 * ((state >> 40) % most_us);
	while (now_ns() < until)
		;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	if (level == SNAPSHOT_LEVEL && name == SNAPSHOT_NAME)
		pass_time();
	return __real_getsockopt(fd, level, name, value, len);
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	if (level == SOL_TCP && name == TCP_REPAIR)
		pass_time();
	return __real_setsockopt(fd, level, name, value, len);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	pass_time();
	return __real_sendmsg(fd, message, flags);
}
