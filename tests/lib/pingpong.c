/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests and answers whose every byte is checked: `pingpong serve` sends back what comes, and
 * `pingpong load` asks on each connection again and again, the next time when it has the whole
 * answer. Connections are never all at the same point, so whatever happens to them in between
 * (a promotion, say) meets them in every state.
 *
 * Happy path: connect, `turns` requests of random length, FIN, and the server's FIN. One JSON line
 * at the end, with the slowest turn, so that a stall shows even if the kernel mended it.
 * Failure modes: a wrong byte, an early FIN, a reset or a failed connect is counted and told on
 * stderr; what is open at the deadline is counted and told as well. Exit status 1 then.
 */
#include <errno.h>
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
#include "tests/lib/pattern.h"

struct peer {
	struct peer *next; /* of all */
	struct peer **at;
	int fd;
	uint64_t seed;
	uint64_t base;   /* where this turn's bytes begin in the stream */
	size_t length;   /* of this turn, or of what is to be sent back */
	size_t sent;     /* of it */
	size_t received; /* of it */
	unsigned turn;
	double asked_s;
	bool finishing;
	uint8_t rest[]; /* serving: what is to be sent back */
};

static struct {
	uint64_t at_once, total, turns, most, seed, deadline;
} options = {.at_once = 1, .total = 1, .turns = 10, .most = 4096, .seed = 1, .deadline = 60};

static struct {
	uint64_t opened, exact, failed, turns, bytes;
	double slowest_s;
	unsigned open;
} tally;

static struct sockaddr_storage target;
static socklen_t target_len;
static volatile sig_atomic_t stopping;
static struct peer *peers;
static int epoll_fd;
static bool serving;
static uint8_t scratch[CHUNK_MAX];

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void tell(const struct peer *peer, const char *problem, int error)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char text[ADDR_TEXT] = "?";
	struct addr addr;

	if (!getsockname(peer->fd, (struct sockaddr *)&sa, &len)) {
		addr_from_sockaddr((struct sockaddr *)&sa, len, &addr);
		addr_format(&addr, text);
	}
	fprintf(stderr, "%s: %s (%s), turn %u, sent %zu received %zu of %zu, for %.1f s\n", text,
		problem, strerror(error), peer->turn, peer->sent, peer->received, peer->length,
		now_s() - peer->asked_s);
}

static void peer_end(struct peer *peer, const char *problem, int error)
{
	if (problem) {
		if (++tally.failed <= 5)
			tell(peer, problem, error);
	} else {
		tally.exact++;
	}
	close(peer->fd);
	*peer->at = peer->next;
	if (peer->next)
		peer->next->at = peer->at;
	tally.open--;
	free(peer);
}

static struct peer *peer_new(int fd)
{
	struct peer *peer = calloc(1, sizeof(*peer) + (serving ? CHUNK_MAX : 0));
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = peer};

	if (!peer || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
		die("a new connection");
	peer->fd = fd;
	peer->seed = options.seed * 1000003 + tally.opened++;
	peer->at = &peers;
	peer->next = peers;
	if (peers)
		peers->at = &peer->next;
	peers = peer;
	tally.open++;
	return peer;
}

/* --- who asks --- */

static void ask(struct peer *peer)
{
	peer->base += peer->length;
	peer->sent = peer->received = peer->length = 0;
	peer->asked_s = now_s();
	if (peer->turn++ < options.turns) {
		peer->length = random_chunk(options.most);
		return;
	}
	peer->finishing = true;
	shutdown(peer->fd, SHUT_WR);
}

static bool is_right(const struct peer *peer, size_t count)
{
	return !memcmp(scratch, pattern_at(peer->seed, peer->base + peer->received), count);
}

static void note_turn(const struct peer *peer)
{
	double took = now_s() - peer->asked_s;

	tally.turns++;
	tally.bytes += peer->length;
	if (took > tally.slowest_s)
		tally.slowest_s = took;
}

/* 0, or an errno; EAGAIN is nothing to report. */
static int push(struct peer *peer, const uint8_t *bytes)
{
	while (peer->sent < peer->length) {
		ssize_t n =
			send(peer->fd, bytes + peer->sent, peer->length - peer->sent, MSG_NOSIGNAL);

		if (n < 0)
			return errno == ENOTCONN ? EAGAIN : errno;
		peer->sent += (size_t)n;
	}
	return 0;
}

static void load_on_event(struct peer *peer)
{
	for (;;) {
		int err = push(peer, pattern_at(peer->seed, peer->base));
		ssize_t n;

		if (err && err != EAGAIN)
			return peer_end(peer, "send", err);
		n = recv(peer->fd, scratch, sizeof(scratch), 0);
		if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
			return;
		if (n <= 0)
			return peer_end(peer, n || !peer->finishing ? "recv" : NULL, errno);
		if ((size_t)n > peer->length - peer->received || !is_right(peer, (size_t)n))
			return peer_end(peer, "wrong bytes", 0);
		peer->received += (size_t)n;
		if (peer->received < peer->length)
			continue;
		note_turn(peer);
		ask(peer);
	}
}

static void load_open(void)
{
	int fd = socket(target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct peer *peer;

	if (fd < 0)
		die("socket");
	if (connect(fd, (struct sockaddr *)&target, target_len) && errno != EINPROGRESS)
		die("connect");
	peer = peer_new(fd);
	ask(peer);
}

/* --- who answers --- */

static void serve_on_event(struct peer *peer)
{
	for (;;) {
		int err = push(peer, peer->rest);
		ssize_t n;

		if (err == EAGAIN)
			return;
		if (err)
			return peer_end(peer, "send", err);
		n = recv(peer->fd, peer->rest, CHUNK_MAX, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			return peer_end(peer, n ? "recv" : NULL, errno);
		peer->length = (size_t)n;
		peer->sent = 0;
	}
}

static void serve_accept(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		peer_new(fd);
}

/* --- both --- */

static void turn(int timeout_ms)
{
	struct epoll_event events[256];
	int n = epoll_wait(epoll_fd, events, 256, timeout_ms);

	for (int i = 0; i < n; i++) {
		struct peer *peer = events[i].data.ptr;

		if (peer && serving)
			serve_on_event(peer);
		else if (peer)
			load_on_event(peer);
	}
}

static void load(void)
{
	double deadline = now_s() + (double)options.deadline;

	while ((tally.open || (!stopping && tally.opened < options.total)) && now_s() < deadline) {
		while (!stopping && tally.open < options.at_once && tally.opened < options.total)
			load_open();
		turn(100);
	}
	for (struct peer *peer = peers; peer; peer = peer->next)
		tell(peer, "stands still", 0);
}

static void serve(void)
{
	int listener = socket(target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct epoll_event event = {.events = EPOLLIN};
	int one = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&target, target_len) || listen(listener, 65535))
		die("listen");
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
	puts("{\"event\":\"listening\"}");
	fflush(stdout);
	while (!stopping) {
		turn(100);
		serve_accept(listener);
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
	} table[] = {{"at_once", &options.at_once}, {"total", &options.total},
		     {"turns", &options.turns},     {"most", &options.most},
		     {"seed", &options.seed},       {"deadline", &options.deadline}};
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

static void parse(int argc, char **argv)
{
	struct addr addr;
	bool good = argc >= 3 && !addr_parse(argv[2], &addr);

	for (int i = 3; i < argc; i++)
		good = good && option_take(argv[i]);
	if (!good || !options.most || options.most > CHUNK_MAX) {
		fputs("usage: pingpong serve ADDR\n"
		      "       pingpong load ADDR [at_once=N] [total=N] [turns=N] [most=BYTES] "
		      "[seed=N]"
		      " [deadline=SECONDS]\n",
		      stderr);
		exit(2);
	}
	target_len = addr_to_sockaddr(&addr, &target);
	serving = !strcmp(argv[1], "serve");
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_stop};
	struct rlimit files;

	parse(argc, argv);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	sigaction(SIGTERM, &action, NULL);
	random_state = options.seed;
	pattern_init();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (serving)
		serve();
	else
		load();
	printf("{\"event\":\"report\",\"opened\":%lu,\"exact\":%lu,\"failed\":%lu,\"open\":%u,"
	       "\"turns\":%lu,\"bytes\":%lu,\"slowest_ms\":%.1f}\n",
	       tally.opened, tally.exact, tally.failed, tally.open, tally.turns, tally.bytes,
	       tally.slowest_s * 1000);
	return tally.failed || (!serving && tally.open) ? 1 : 0;
}
