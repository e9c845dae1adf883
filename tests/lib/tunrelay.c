/* SPDX-License-Identifier: Apache-2.0
 *
 * A wire with bad manners: `tunrelay NAMESPACE DEVICE NAMESPACE DEVICE [delay=US]
 * [reorder=PER_MILLE] [drop=PER_MILLE] [copy=PER_MILLE] [seed=N]` makes a TAP device in each of two
 * network namespaces (files, see setns(2)) and carries frames between them. Each takes `delay`
 * microseconds; some are overtaken by those behind them, as they take three times that and a little
 * more; some are lost, some arrive twice.
 *
 * Happy path: "up" on stdout once both devices are there, then frames until SIGTERM.
 * Failure modes: when more frames are under way than there is room for, those that come are lost,
 * as on any wire; what cannot be opened ends it with status 2.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/pattern.h"

#define FRAME_MAX 9216
#define ROOM      4096 /* frames under way */

struct frame {
	uint64_t due_us;
	int to;
	size_t length;
	uint8_t bytes[FRAME_MAX];
};

static struct {
	uint64_t delay, reorder, drop, copy, seed;
} options = {.delay = 1000, .seed = 1};

static struct frame *heap[ROOM + 1]; /* from 1 on, the next to arrive first */
static unsigned heap_count;
static volatile sig_atomic_t stopping;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int open_device(const char *namespace, const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int space = open(namespace, O_RDONLY | O_CLOEXEC);
	int fd;

	if (space < 0 || setns(space, CLONE_NEWNET))
		die(namespace);
	close(space);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request))
		die(name);
	return fd;
}

/* --- what is under way --- */

static void exchange(unsigned a, unsigned b)
{
	struct frame *frame = heap[a];

	heap[a] = heap[b];
	heap[b] = frame;
}

static void heap_put(struct frame *frame)
{
	unsigned at = ++heap_count;

	heap[at] = frame;
	for (; at > 1 && heap[at]->due_us < heap[at / 2]->due_us; at /= 2)
		exchange(at, at / 2);
}

static struct frame *heap_take(void)
{
	struct frame *first = heap[1];
	unsigned at = 1;

	heap[1] = heap[heap_count--];
	for (;;) {
		unsigned least = at;

		for (unsigned child = 2 * at; child <= 2 * at + 1 && child <= heap_count; child++)
			if (heap[child]->due_us < heap[least]->due_us)
				least = child;
		if (least == at)
			return first;
		exchange(at, least);
		at = least;
	}
}

/* --- the wire --- */

static bool happens(uint64_t per_mille)
{
	return random_next() % 1000 < per_mille;
}

static void send_on(int to, const uint8_t *bytes, size_t length)
{
	struct frame *frame;

	if (heap_count == ROOM || happens(options.drop))
		return;
	frame = malloc(sizeof(*frame));
	if (!frame)
		die("malloc");
	frame->to = to;
	frame->length = length;
	memcpy(frame->bytes, bytes, length);
	frame->due_us = now_us() + options.delay;
	if (happens(options.reorder))
		frame->due_us += 2 * options.delay + random_next() % 1000;
	heap_put(frame);
}

static void take_in(int from, int to)
{
	uint8_t bytes[FRAME_MAX];
	ssize_t length;

	while ((length = read(from, bytes, sizeof(bytes))) > 0) {
		send_on(to, bytes, (size_t)length);
		if (happens(options.copy))
			send_on(to, bytes, (size_t)length);
	}
}

static void deliver(void)
{
	while (heap_count && heap[1]->due_us <= now_us()) {
		struct frame *frame = heap_take();

		/* A device that is down takes nothing. */
		if (write(frame->to, frame->bytes, frame->length) < 0 && errno != EIO &&
		    errno != EAGAIN)
			die("write");
		free(frame);
	}
}

static void carry(const int ends[2])
{
	struct pollfd polls[2] = {{.fd = ends[0], .events = POLLIN},
				  {.fd = ends[1], .events = POLLIN}};

	while (!stopping) {
		struct timespec wait = {0, 100000000};
		uint64_t now = now_us();

		if (heap_count && heap[1]->due_us < now + 100000)
			wait.tv_nsec =
				heap[1]->due_us > now ? (long)(heap[1]->due_us - now) * 1000 : 0;
		if (ppoll(polls, 2, &wait, NULL) > 0)
			for (unsigned i = 0; i < 2; i++)
				take_in(ends[i], ends[!i]);
		deliver();
	}
}

static void on_stop(int sig)
{
	stopping = 1;
}

static bool option_take(const char *word)
{
	static const struct {
		const char *name;
		uint64_t *value;
	} table[] = {{"delay", &options.delay},
		     {"reorder", &options.reorder},
		     {"drop", &options.drop},
		     {"copy", &options.copy},
		     {"seed", &options.seed}};
	const char *value = strchr(word, '=');
	size_t len = value ? (size_t)(value - word) : 0;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (len != strlen(table[i].name) || strncmp(word, table[i].name, len) != 0)
			continue;
		*table[i].value = strtoull(value + 1, NULL, 10);
		return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_stop};
	bool good = argc >= 5;
	int ends[2];

	for (int i = 5; i < argc; i++)
		good = good && option_take(argv[i]);
	if (!good) {
		fputs("usage: tunrelay NAMESPACE DEVICE NAMESPACE DEVICE [delay=US] "
		      "[reorder=PER_MILLE] [drop=PER_MILLE] [copy=PER_MILLE] [seed=N]\n",
		      stderr);
		exit(2);
	}
	random_state = options.seed;
	sigaction(SIGTERM, &action, NULL);
	for (unsigned i = 0; i < 2; i++)
		ends[i] = open_device(argv[1 + 2 * i], argv[2 + 2 * i]);
	puts("up");
	fflush(stdout);
	carry(ends);
	return 0;
}
