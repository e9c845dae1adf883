/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether this kernel can be trusted to join sockets. Kernels were seen to lose bytes, to let a FIN
 * overtake them and to queue without bound; which of them do is only partly known by release.
 *
 * Happy path: connections over loopback, joined as sessions are; bytes both ways are what was sent,
 * with what came early among them; a FIN straight behind data ends the stream where it ends; a
 * reader that stalls blocks its sender, and has every byte later; a reset arrives.
 * Failure modes: each trial has a deadline, which bytes that move put off, and a sentence.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "xdp/sockmap.h"

#define DEADLINE_US (5 * US_PER_SEC) /* without a byte that moves: the host may be busy */
#define BULK_BYTES  (512 * 1024)
#define FIN_TRIALS  24
#define STALL_MOST  (UINT64_C(64) * 1024 * 1024) /* more than every buffer between can take */

/* A client, a backend, and the two sockets between them. */
struct trial {
	struct sockmap *map;
	struct sockmap_joint joint;
	bool joined;
	int ends[2];
	int inner[2];
	uint64_t goal[2]; /* bytes each end sends, and then finishes */
	uint64_t sent[2];
	uint64_t got[2]; /* this way, at its far end */
	bool finished[2];
	bool passed_fin[2];
	bool relayed[2];
	bool eof[2];
	bool stalled; /* the backend does not read */
	bool wrong;
	uint64_t until_us;
	uint8_t buffer[64 * 1024];
};

static uint8_t byte_at(uint64_t offset, unsigned way)
{
	return (uint8_t)(offset ^ offset >> 8 ^ offset >> 16 ^ way * 0x55);
}

static int connect_pair(int ret_fds[2])
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(to);
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err = 0;

	ret_fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listening, (struct sockaddr *)&to, len) || listen(listening, 1) ||
	    getsockname(listening, (struct sockaddr *)&to, &len) ||
	    connect(ret_fds[0], (struct sockaddr *)&to, len))
		err = -errno;
	ret_fds[1] = err ? -1 : accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	if (!err && ret_fds[1] < 0)
		err = -errno;
	close(listening);
	return err;
}

static int begin(struct trial *trial, struct sockmap *map)
{
	int client[2] = {-1, -1}, backend[2] = {-1, -1};
	int err;

	memset(trial, 0, sizeof(*trial) - sizeof(trial->buffer));
	trial->map = map;
	trial->until_us = clock_us() + DEADLINE_US;
	err = connect_pair(client);
	if (!err)
		err = connect_pair(backend);
	trial->ends[0] = client[0];
	trial->inner[0] = client[1];
	trial->inner[1] = backend[0];
	trial->ends[1] = backend[1];
	return err;
}

static int join(struct trial *trial)
{
	int err = sockmap_join(trial->map, trial->inner, &trial->joint);

	trial->joined = !err;
	return err;
}

static void end(struct trial *trial)
{
	for (unsigned leg = 0; leg < 2; leg++) {
		if (trial->ends[leg] >= 0)
			close(trial->ends[leg]);
		if (trial->inner[leg] >= 0)
			close(trial->inner[leg]);
	}
	if (trial->joined)
		sockmap_part(trial->map, &trial->joint);
}

static short events_of(int fd)
{
	struct pollfd at = {.fd = fd, .events = POLLIN | POLLRDHUP};

	return poll(&at, 1, 0) > 0 ? at.revents : 0;
}

/* --- the peers --- */

static bool feed(struct trial *trial, unsigned way)
{
	uint64_t left = trial->goal[way] - trial->sent[way];
	size_t count = left < sizeof(trial->buffer) ? (size_t)left : sizeof(trial->buffer);
	ssize_t sent;

	if (trial->finished[way])
		return false;
	for (size_t i = 0; i < count; i++)
		trial->buffer[i] = byte_at(trial->sent[way] + i, way);
	sent = count ? send(trial->ends[way], trial->buffer, count, MSG_DONTWAIT | MSG_NOSIGNAL)
		     : 0;
	if (sent > 0)
		trial->sent[way] += (uint64_t)sent;
	if (trial->sent[way] == trial->goal[way]) {
		trial->finished[way] = true;
		shutdown(trial->ends[way], SHUT_WR);
	}
	return sent > 0 || trial->finished[way];
}

static bool drink(struct trial *trial, unsigned way)
{
	ssize_t got;

	if (trial->eof[way] || (trial->stalled && !way))
		return false;
	got = recv(trial->ends[!way], trial->buffer, sizeof(trial->buffer), MSG_DONTWAIT);
	for (ssize_t i = 0; i < got; i++)
		if (trial->buffer[i] != byte_at(trial->got[way] + (uint64_t)i, way))
			trial->wrong = true;
	if (got > 0)
		trial->got[way] += (uint64_t)got;
	trial->eof[way] = got == 0;
	return got >= 0;
}

/* --- the proxy between them --- */

static bool relay(struct trial *trial, unsigned way)
{
	int from = trial->inner[way], to = trial->inner[!way];
	ssize_t got, sent;

	if (!sockmap_is_written(trial->map, &trial->joint, way, to))
		return false;
	if (!trial->relayed[way])
		sockmap_take_over(from, to);
	trial->relayed[way] = true;
	got = recv(from, trial->buffer, sizeof(trial->buffer), MSG_DONTWAIT | MSG_PEEK);
	if (got <= 0)
		return false;
	sent = send(to, trial->buffer, (size_t)got, MSG_DONTWAIT | MSG_NOSIGNAL);
	return sent > 0 && recv(from, trial->buffer, (size_t)sent, MSG_DONTWAIT) == sent;
}

static bool carry(struct trial *trial, unsigned way)
{
	struct sockmap_view view;

	if (trial->passed_fin[way])
		return false;
	sockmap_look(trial->map, &trial->joint, way, &view);
	if (view.pressed && !view.gated)
		sockmap_settle(trial->map, &trial->joint, trial->inner, true);
	if (view.gated && relay(trial, way))
		return true;
	if (!(events_of(trial->inner[way]) & POLLRDHUP) ||
	    !sockmap_is_through(trial->map, &trial->joint, way, trial->inner[way],
				trial->inner[!way], true))
		return false;
	trial->passed_fin[way] = true;
	return !shutdown(trial->inner[!way], SHUT_WR);
}

/* One round of everybody. False: nothing moves any more, or bytes were wrong. */
static bool turn(struct trial *trial, bool *ret_moved)
{
	bool moved = false;

	for (unsigned way = 0; way < 2; way++) {
		moved = feed(trial, way) || moved;
		moved = (trial->joined && carry(trial, way)) || moved;
		moved = drink(trial, way) || moved;
	}
	if (moved)
		trial->until_us = clock_us() + DEADLINE_US;
	else
		poll(NULL, 0, 1);
	*ret_moved = moved;
	return !trial->wrong && clock_us() < trial->until_us;
}

static bool is_complete(const struct trial *trial)
{
	return trial->eof[0] && trial->eof[1] && trial->got[0] == trial->goal[0] &&
	       trial->got[1] == trial->goal[1];
}

static bool run(struct trial *trial)
{
	bool moved;

	while (!is_complete(trial))
		if (!turn(trial, &moved))
			return false;
	return true;
}

/* --- trials: NULL, or what is wrong --- */

static const char *try_bytes(struct trial *trial, struct sockmap *map)
{
	if (begin(trial, map))
		return "loopback takes no connections";
	trial->goal[0] = trial->goal[1] = BULK_BYTES;
	feed(trial, 0); /* early */
	if (join(trial))
		return "the kernel does not join two sockets";
	return run(trial) ? NULL : "bytes are lost or changed";
}

static const char *try_fin(struct trial *trial, struct sockmap *map)
{
	if (begin(trial, map) || join(trial))
		return "the kernel does not join two sockets";
	trial->goal[0] = 200000;
	trial->goal[1] = 1;
	return run(trial) ? NULL : "a stream ends before its last byte";
}

static const char *try_stall(struct trial *trial, struct sockmap *map)
{
	int quiet = 0;

	if (begin(trial, map) || join(trial))
		return "the kernel does not join two sockets";
	trial->goal[0] = STALL_MOST;
	trial->goal[1] = 1;
	trial->stalled = true;
	while (quiet < 20) {
		bool moved;

		if (!turn(trial, &moved))
			return "a stalled reader does not block its sender";
		quiet = moved ? 0 : quiet + 1;
	}
	if (trial->finished[0])
		return "a stalled reader does not block its sender";
	trial->stalled = false;
	trial->goal[0] = trial->sent[0] + 1;
	return run(trial) ? NULL : "bytes are lost behind a reader that stalls";
}

static const char *try_reset(struct trial *trial, struct sockmap *map)
{
	struct linger abort = {.l_onoff = 1, .l_linger = 0};

	if (begin(trial, map) || join(trial))
		return "the kernel does not join two sockets";
	setsockopt(trial->ends[0], SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
	close(trial->ends[0]);
	trial->ends[0] = -1;
	while (!(events_of(trial->inner[0]) & POLLERR)) {
		if (clock_us() > trial->until_us)
			return "a reset is not told";
		poll(NULL, 0, 1);
	}
	return NULL;
}

int sockmap_test(struct sockmap *map, char *ret_problem, size_t size)
{
	static const struct {
		const char *(*run)(struct trial *trial, struct sockmap *map);
		unsigned times;
	} trials[] = {{try_bytes, 2}, {try_fin, FIN_TRIALS}, {try_stall, 1}, {try_reset, 2}};

	for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]); i++)
		for (unsigned time = 0; time < trials[i].times; time++) {
			struct trial trial;
			const char *problem = trials[i].run(&trial, map);

			end(&trial);
			if (problem) {
				snprintf(ret_problem, size, "the self-test: %s", problem);
				return -ENOTSUP;
			}
		}
	return 0;
}

int sockmap_judge_release(const char *release, char *ret_problem, size_t size)
{
	unsigned major = 0, minor = 0, patch = 0;
	bool fine;

	/* 6.1 shows a program no sequence numbers (bpf_cast_to_kern_ctx() came with 6.2). What came
	 * between had no fixes any more by the time that these were made. */
	sscanf(release, "%u.%u.%u", &major, &minor, &patch);
	fine = major > 6 || (major == 6 && (minor >= 18 || (minor == 12 && patch >= 111)));
	if (fine)
		return 0;
	snprintf(
		ret_problem, size,
		"Linux %.32s is not known to keep every byte of joined sockets (CVE-2025-38154 and "
		"others): 6.12 does from 6.12.111 on, and 6.18 and later",
		release);
	return -ENOTSUP;
}

int sockmap_qualify(char *ret_problem, size_t size)
{
	struct utsname name;
	struct sockmap *map = NULL;
	int err = uname(&name) ? -errno : sockmap_judge_release(name.release, ret_problem, size);

	if (!err)
		err = sockmap_open(4, &map, ret_problem, size);
	if (!err)
		err = sockmap_test(map, ret_problem, size);
	sockmap_close(map);
	return err;
}
