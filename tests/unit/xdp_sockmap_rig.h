/* SPDX-License-Identifier: Apache-2.0
 *
 * Joined sockets on a loopback of their own: a client, a backend, and between them two sockets that
 * the kernel joins.
 *
 * Needs root. Without it the program says so and fails, as a tool that is missing does.
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "xdp/sockmap.h"

#define PATIENCE_US (20 * US_PER_SEC)

enum { CLIENT, BACKEND }; /* legs */

static struct sockmap *map;
static struct sockmap_joint joint;
static int ends[2];  /* the peers' sockets */
static int inner[2]; /* the proxy's */
static uint64_t sent[2];
static uint64_t got[2]; /* this way, at its far end */
static uint8_t buffer[256 * 1024];

/* --- a network of our own --- */

static inline void raise_loopback(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

static inline void open_map(void)
{
	char problem[256] = "";

	ck_assert_msg(geteuid() == 0, "needs root");
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	raise_loopback();
	ck_assert_msg(sockmap_open(256, &map, problem, sizeof(problem)) == 0, "%s", problem);
}

static inline void close_map(void)
{
	sockmap_close(map);
}

static inline void connect_pair(int ret_fds[2])
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	int listening = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(listening, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(listen(listening, 1), 0);
	ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&sa, &len), 0);
	ret_fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(ret_fds[0], (struct sockaddr *)&sa, len), 0);
	ret_fds[1] = accept(listening, NULL, NULL);
	ck_assert_int_ge(ret_fds[1], 0);
	close(listening);
}

static inline void begin(void)
{
	int client[2], backend[2];

	connect_pair(client);
	connect_pair(backend);
	ends[CLIENT] = client[0];
	inner[CLIENT] = client[1];
	inner[BACKEND] = backend[0];
	ends[BACKEND] = backend[1];
	memset(sent, 0, sizeof(sent));
	memset(got, 0, sizeof(got));
}

static inline void join(void)
{
	ck_assert_int_eq(sockmap_join(map, inner, &joint), 0);
}

static inline void begin_joined(void)
{
	begin();
	join();
}

static inline void end(void)
{
	for (unsigned leg = 0; leg < 2; leg++) {
		close(ends[leg]);
		close(inner[leg]);
	}
	sockmap_part(map, &joint);
}

/* --- peers --- */

static inline uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 7 ^ offset >> 8 ^ offset >> 16);
}

/* As much of `count` as is taken at once. */
static inline size_t send_some(unsigned way, size_t count)
{
	ssize_t taken;

	if (count > sizeof(buffer))
		count = sizeof(buffer);
	for (size_t i = 0; i < count; i++)
		buffer[i] = byte_at(sent[way] + i);
	taken = send(ends[way], buffer, count, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (taken < 0)
		ck_assert_int_eq(errno, EAGAIN);
	if (taken > 0)
		sent[way] += (uint64_t)taken;
	return taken > 0 ? (size_t)taken : 0;
}

static inline bool is_readable(int fd)
{
	struct pollfd at = {.fd = fd, .events = POLLIN};

	return poll(&at, 1, 10) > 0;
}

/* Whatever is there, checked; false at the end of the stream. */
static inline bool receive_some(unsigned way)
{
	ssize_t count = recv(ends[!way], buffer, sizeof(buffer), MSG_DONTWAIT);

	ck_assert(count >= 0 || errno == EAGAIN);
	for (ssize_t i = 0; i < count; i++) /* an assertion costs a system call */
		if (buffer[i] != byte_at(got[way] + (uint64_t)i))
			ck_abort_msg("byte %llu is wrong", (unsigned long long)got[way] + i);
	if (count > 0)
		got[way] += (uint64_t)count;
	return count != 0;
}

static inline void expect_all(unsigned way)
{
	uint64_t until_us = clock_us() + PATIENCE_US;

	while (got[way] < sent[way]) {
		ck_assert_msg(clock_us() < until_us, "%llu of %llu bytes",
			      (unsigned long long)got[way], (unsigned long long)sent[way]);
		if (is_readable(ends[!way]))
			ck_assert(receive_some(way));
	}
	ck_assert_uint_eq(got[way], sent[way]);
}

/* Never so much under way that a gate falls, however late the kernel's thread is. */
static inline void exchange(unsigned way, uint64_t count)
{
	uint64_t goal = sent[way] + count;
	uint64_t until_us = clock_us() + PATIENCE_US;

	while (got[way] < goal) {
		ck_assert(clock_us() < until_us);
		if (sent[way] < goal && sent[way] - got[way] < JOINT_LIMIT / 4)
			send_some(way, goal - sent[way]);
		if (is_readable(ends[!way]))
			ck_assert(receive_some(way));
	}
	ck_assert_uint_eq(got[way], goal);
}

/* --- accounts --- */

/* With nothing queued, whole pages are all that a socket has set aside: what else it has was added
 * or taken off twice, which the kernel complains of when the socket goes. */
static inline void expect_tidy_accounts(void)
{
	for (unsigned leg = 0; leg < 2; leg++) {
		uint64_t until_us = clock_us() + PATIENCE_US;
		uint32_t memory[SK_MEMINFO_VARS];
		socklen_t len = sizeof(memory);

		do {
			ck_assert(clock_us() < until_us);
			poll(NULL, 0, 1);
			ck_assert_int_eq(
				getsockopt(inner[leg], SOL_SOCKET, SO_MEMINFO, memory, &len), 0);
		} while (memory[SK_MEMINFO_RMEM_ALLOC] || memory[SK_MEMINFO_WMEM_QUEUED]);
		ck_assert_uint_eq(memory[SK_MEMINFO_FWD_ALLOC] % (unsigned)getpagesize(), 0);
	}
}
