/* SPDX-License-Identifier: Apache-2.0
 *
 * Traffic whose every byte is checked: `pump serve` and `pump load`, one epoll loop each.
 *
 * Happy path: the loader opens connections and sends on each a header that names a seed and two
 * lengths, then `up` bytes and a FIN; at the same time the server sends `down` bytes and a FIN.
 * Both ends know what they must receive (an offset into one shared pattern of prime length, so
 * lost, repeated, swapped or foreign bytes all show) and that a clean FIN ends it exactly there.
 * Writes and reads are cut at random lengths. Each end prints one JSON line when it is done;
 * SIGTERM lets open sessions finish first.
 *
 * Failure modes: a wrong byte, an early or late FIN, a reset or a failed connect is counted, told
 * on stderr (the first few) and makes the exit status 1; so does reaching the deadline.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/addr.h"
#include "tests/lib/pump_peer.h"

static struct sockaddr_storage target;
static socklen_t target_len;
static volatile sig_atomic_t stopping;

static void load_open(void)
{
	int fd = socket(target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct peer *peer;

	if (fd < 0)
		die("socket");
	peer = peer_new(fd, false);
	peer->slot = tally.opened % options.connections;
	if (waiting)
		waiting[peer->slot] = peer;
	peer->header = (struct header){MAGIC, mix(options.seed + tally.opened++), options.up,
				       options.down};
	if (options.vary && options.up)
		peer->header.up = 1 + random_next() % options.up;
	if (options.vary && options.down)
		peer->header.down = 1 + random_next() % options.down;
	if (connect(fd, (struct sockaddr *)&target, target_len) && errno != EINPROGRESS) {
		tally.connect_failed++;
		peer_end(peer, "connect", errno);
		return;
	}
	peer_watch(peer, EPOLLIN | EPOLLOUT);
}

static bool load_wants_more(void)
{
	return !stopping && (!options.total || tally.opened < options.total);
}

static void turn(int timeout_ms)
{
	struct epoll_event events[256];
	int n = epoll_wait(epoll_fd, events, 256, timeout_ms);

	for (int i = 0; i < n; i++)
		if (events[i].data.ptr)
			peer_on_event(events[i].data.ptr, events[i].events);
}

/* A session that waits watches EPOLLIN alone, so opening the barrier must wake each of them. */
static void load_open_barrier(void)
{
	options.barrier = false;
	for (unsigned i = 0; i < options.connections; i++)
		if (waiting[i])
			peer_rewatch(waiting[i]);
	free(waiting);
	waiting = NULL;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* True when everything ended before the deadline. */
static bool load(void)
{
	double deadline = now_s() + (double)options.deadline_s;

	if (options.barrier)
		waiting = calloc(options.connections, sizeof(*waiting));
	while ((load_wants_more() || tally.open) && now_s() < deadline) {
		while (load_wants_more() && tally.open < options.connections)
			load_open();
		turn(100);
		if (waiting && tally.connected == tally.open)
			load_open_barrier();
	}
	free(waiting);
	return !tally.open;
}

static void serve_accept(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct peer *peer = peer_new(fd, true);

		tally.opened++;
		tally.connected++;
		peer->connected = true;
		peer_rewatch(peer);
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		die("accept4");
}

static void print_address(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char text[ADDR_TEXT];
	struct addr addr;

	if (getsockname(fd, (struct sockaddr *)&sa, &len))
		die("getsockname");
	addr_from_sockaddr((struct sockaddr *)&sa, len, &addr);
	printf("{\"event\":\"listening\",\"port\":%u,\"host\":\"%s\"}\n", addr.port,
	       addr_format_host(&addr, text));
	fflush(stdout);
}

/* True always: what the peers did wrong is in the tally. */
static bool serve(void)
{
	int listener = socket(target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct epoll_event event = {.events = EPOLLIN};
	double deadline = 0;
	int one = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&target, target_len) || listen(listener, 65535))
		die("listen");
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event))
		die("epoll_ctl");
	print_address(listener);
	while (!stopping || (tally.open && now_s() < deadline)) {
		turn(100);
		serve_accept(listener);
		if (stopping && !deadline)
			deadline = now_s() + 5;
	}
	return true;
}

static void on_stop(int sig)
{
	stopping = 1;
}

static const struct {
	const char *name;
	uint64_t *value;
} option_table[] = {
	{"up", &options.up},
	{"down", &options.down},
	{"at_once", &options.connections},
	{"total", &options.total},
	{"seed", &options.seed},
	{"chunk", &options.chunk},
	{"deadline", &options.deadline_s},
	{"barrier", &options.barrier},
	{"vary", &options.vary},
};

static bool option_take(const char *word)
{
	const char *value = strchr(word, '=');
	size_t len = value ? (size_t)(value - word) : 0;

	for (size_t i = 0; i < sizeof(option_table) / sizeof(option_table[0]); i++) {
		if (len != strlen(option_table[i].name) ||
		    strncmp(word, option_table[i].name, len) != 0)
			continue;
		*option_table[i].value = strtoull(value + 1, NULL, 10);
		return true;
	}
	return false;
}

static void parse(int argc, char **argv)
{
	struct addr addr;
	bool good = argc >= 3 && !addr_parse(argv[2], &addr);

	for (int i = 3; i < argc; i++)
		good = good && option_take(argv[i]);
	if (!good || !options.connections || !options.chunk || options.chunk > CHUNK_MAX) {
		fputs("usage: pump serve ADDR\n"
		      "       pump load ADDR [up=BYTES] [down=BYTES] [at_once=N] [total=N|0]\n"
		      "            [seed=N] [chunk=BYTES] [deadline=SECONDS] [barrier=1] "
		      "[vary=1]\n",
		      stderr);
		exit(2);
	}
	target_len = addr_to_sockaddr(&addr, &target);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_stop};
	struct rlimit files;
	bool done;

	parse(argc, argv);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	random_state = options.seed;
	pattern_init();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		die("epoll_create1");
	done = strcmp(argv[1], "serve") ? load() : serve();
	printf("{\"event\":\"report\",\"opened\":%llu,\"exact\":%llu,\"failed\":%llu,"
	       "\"connect_failed\":%llu,\"open\":%u,\"bytes\":%llu}\n",
	       (unsigned long long)tally.opened, (unsigned long long)tally.exact,
	       (unsigned long long)tally.failed, (unsigned long long)tally.connect_failed,
	       tally.open, (unsigned long long)tally.bytes);
	return done && !tally.failed ? 0 : 1;
}
