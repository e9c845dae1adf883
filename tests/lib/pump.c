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
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PATTERN   1048573u /* prime: no power of two that a relay works in divides it */
#define CHUNK_MAX 262144u
#define MAGIC     UINT64_C(0x736c756963653031)

struct header {
	uint64_t magic;
	uint64_t seed;
	uint64_t up;
	uint64_t down;
};

struct peer {
	int fd;
	bool serving; /* the accepting end: waits for a header before anything else */
	bool connected;
	bool fin_sent;
	bool fin_seen;
	uint32_t events; /* what epoll watches now */
	uint64_t slot;   /* in waiting[], until the barrier opens */
	struct header header;
	size_t header_done;
	uint64_t sent;
	uint64_t received;
};

static struct {
	uint64_t up, down;
	uint64_t connections; /* open at once */
	uint64_t total;       /* 0: until SIGTERM */
	uint64_t seed;
	uint64_t deadline_s;
	uint64_t chunk;
	uint64_t barrier; /* load starts when all are connected */
	uint64_t vary;    /* lengths are drawn from 1 to up, 1 to down */
} options = {.connections = 1, .total = 1, .seed = 1, .deadline_s = 60, .chunk = CHUNK_MAX};

static struct {
	uint64_t opened, exact, failed, connect_failed, bytes;
	unsigned open, connected;
} tally;

static uint8_t pattern[PATTERN + CHUNK_MAX];
static uint8_t scratch[CHUNK_MAX];
static struct sockaddr_storage target;
static socklen_t target_len;
static volatile sig_atomic_t stopping;
static uint64_t random_state;
static int epoll_fd;
static struct peer **waiting; /* options.connections of them, with a barrier */

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static uint64_t random_next(void)
{
	random_state += UINT64_C(0x9e3779b97f4a7c15);
	return mix(random_state);
}

/* Log-uniform, so that single bytes are as common as large blocks. */
static size_t random_chunk(void)
{
	uint64_t r = random_next();
	size_t len = 1 + (r >> 32) % (UINT64_C(2) << (r % 18));

	return len < options.chunk ? len : options.chunk;
}

static void pattern_init(void)
{
	for (size_t i = 0; i < PATTERN; i++)
		pattern[i] = (uint8_t)(mix(i + 1) >> 24);
	memcpy(pattern + PATTERN, pattern, CHUNK_MAX);
}

/* The stream of one direction, from `offset` on; CHUNK_MAX bytes are contiguous. */
static const uint8_t *stream_at(const struct peer *peer, bool up, uint64_t offset)
{
	return pattern + (mix(peer->header.seed * 2 + up) % PATTERN + offset) % PATTERN;
}

static uint64_t bytes_to_send(const struct peer *peer)
{
	return peer->serving ? peer->header.down : peer->header.up;
}

static uint64_t bytes_to_receive(const struct peer *peer)
{
	return peer->serving ? peer->header.up : peer->header.down;
}

/* ---- one session ---- */

static void peer_end(struct peer *peer, const char *problem, int error)
{
	struct linger linger = {.l_onoff = 1};

	if (problem) {
		tally.failed++;
		if (tally.failed <= 5)
			fprintf(stderr, "%s %llx: %s (%s), sent %llu/%llu received %llu/%llu\n",
				peer->serving ? "server" : "client",
				(unsigned long long)peer->header.seed, problem, strerror(error),
				(unsigned long long)peer->sent,
				(unsigned long long)bytes_to_send(peer),
				(unsigned long long)peer->received,
				(unsigned long long)bytes_to_receive(peer));
		setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	} else {
		tally.exact++;
	}
	if (waiting && !peer->serving)
		waiting[peer->slot] = NULL;
	close(peer->fd);
	tally.open--;
	tally.connected -= peer->connected;
	free(peer);
}

static void peer_watch(struct peer *peer, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = peer};

	if (events == peer->events)
		return;
	if (epoll_ctl(epoll_fd, peer->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, peer->fd, &event))
		die("epoll_ctl");
	peer->events = events;
}

/* 0 to go on, or an errno; EAGAIN is nothing to report. */
static int peer_send_header(struct peer *peer)
{
	ssize_t n = send(peer->fd, (char *)&peer->header + peer->header_done,
			 sizeof(peer->header) - peer->header_done, MSG_NOSIGNAL);

	if (n < 0)
		return errno;
	peer->header_done += (size_t)n;
	return 0;
}

static int peer_send(struct peer *peer)
{
	uint64_t left = bytes_to_send(peer) - peer->sent;
	size_t len = random_chunk();
	ssize_t n;

	if (!peer->serving && peer->header_done < sizeof(peer->header))
		return peer_send_header(peer);
	if (!left) {
		peer->fin_sent = true;
		return shutdown(peer->fd, SHUT_WR) ? errno : 0;
	}
	n = send(peer->fd, stream_at(peer, !peer->serving, peer->sent), len < left ? len : left,
		 MSG_NOSIGNAL);
	if (n < 0)
		return errno;
	peer->sent += (uint64_t)n;
	tally.bytes += (uint64_t)n;
	return 0;
}

static int peer_receive_header(struct peer *peer)
{
	ssize_t n = recv(peer->fd, (char *)&peer->header + peer->header_done,
			 sizeof(peer->header) - peer->header_done, 0);

	if (n < 0)
		return errno;
	if (!n)
		return EPIPE;
	peer->header_done += (size_t)n;
	if (peer->header_done == sizeof(peer->header) && peer->header.magic != MAGIC)
		return EBADMSG;
	return 0;
}

static int peer_receive(struct peer *peer)
{
	ssize_t n;

	if (peer->serving && peer->header_done < sizeof(peer->header))
		return peer_receive_header(peer);
	n = recv(peer->fd, scratch, random_chunk(), 0);
	if (n < 0)
		return errno;
	if (!n) {
		peer->fin_seen = true;
		return peer->received == bytes_to_receive(peer) ? 0 : EPIPE;
	}
	if (peer->received + (uint64_t)n > bytes_to_receive(peer) ||
	    memcmp(scratch, stream_at(peer, peer->serving, peer->received), (size_t)n) != 0)
		return EBADMSG;
	peer->received += (uint64_t)n;
	return 0;
}

static bool peer_may_send(const struct peer *peer)
{
	if (peer->fin_sent)
		return false;
	if (peer->serving)
		return peer->header_done == sizeof(peer->header);
	return peer->header_done < sizeof(peer->header) || !options.barrier;
}

static void peer_rewatch(struct peer *peer)
{
	peer_watch(peer, (peer->fin_seen ? 0u : EPOLLIN) | (peer_may_send(peer) ? EPOLLOUT : 0u));
}

static void peer_on_event(struct peer *peer, uint32_t events)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (!peer->connected) {
		getsockopt(peer->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error) {
			tally.connect_failed++;
			peer_end(peer, "connect", error);
			return;
		}
		peer->connected = true;
		tally.connected++;
	}
	if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) && !peer->fin_seen)
		error = peer_receive(peer);
	if (error && error != EAGAIN) {
		peer_end(peer, "receive", error);
		return;
	}
	error = (events & EPOLLOUT) && peer_may_send(peer) ? peer_send(peer) : 0;
	if (error && error != EAGAIN) {
		peer_end(peer, "send", error);
		return;
	}
	if (peer->fin_sent && peer->fin_seen)
		peer_end(peer, NULL, 0);
	else
		peer_rewatch(peer);
}

static struct peer *peer_new(int fd, bool serving)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		die("calloc");
	peer->fd = fd;
	peer->serving = serving;
	tally.open++;
	return peer;
}

/* ---- the two roles ---- */

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
	char host[64], port[16];

	if (getsockname(fd, (struct sockaddr *)&sa, &len))
		die("getsockname");
	if (sa.ss_family == AF_UNIX ||
	    getnameinfo((struct sockaddr *)&sa, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		printf("{\"event\":\"listening\"}\n");
	else
		printf("{\"event\":\"listening\",\"host\":\"%s\",\"port\":%s}\n", host, port);
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

/* ---- the command line ---- */

static void on_stop(int sig)
{
	stopping = 1;
}

static void target_parse(char *text)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
	struct sockaddr_un *un = (struct sockaddr_un *)&target;
	struct addrinfo *found;
	char *port = strrchr(text, ':');

	if (!strncmp(text, "unix:", 5)) {
		un->sun_family = AF_UNIX;
		snprintf(un->sun_path, sizeof(un->sun_path), "%s", text + 5);
		target_len = sizeof(*un);
		return;
	}
	if (!port)
		die(text);
	*port++ = '\0';
	if (*text == '[') {
		text++;
		text[strcspn(text, "]")] = '\0';
	}
	if (getaddrinfo(text, port, &hints, &found))
		die(text);
	memcpy(&target, found->ai_addr, found->ai_addrlen);
	target_len = found->ai_addrlen;
	freeaddrinfo(found);
}

static const struct {
	const char *name;
	bool flag;
	uint64_t *value;
} option_table[] = {
	{"--up", false, &options.up},
	{"--down", false, &options.down},
	{"--at-once", false, &options.connections},
	{"--total", false, &options.total},
	{"--seed", false, &options.seed},
	{"--chunk", false, &options.chunk},
	{"--deadline", false, &options.deadline_s},
	{"--barrier", true, &options.barrier},
	{"--vary", true, &options.vary},
};

static void usage(void)
{
	fputs("usage: pump serve ADDR\n"
	      "       pump load ADDR [--up BYTES] [--down BYTES] [--at-once N] [--total N|0]\n"
	      "                      [--seed N] [--chunk BYTES] [--deadline SECONDS]\n"
	      "                      [--barrier] [--vary]\n",
	      stderr);
	exit(2);
}

/* Returns how many words it took, 0 for an unknown one. */
static int option_take(char **words)
{
	for (size_t i = 0; i < sizeof(option_table) / sizeof(option_table[0]); i++) {
		if (strcmp(words[0], option_table[i].name) != 0)
			continue;
		if (!option_table[i].flag && !words[1])
			return 0;
		*option_table[i].value = option_table[i].flag ? 1 : strtoull(words[1], NULL, 10);
		return option_table[i].flag ? 1 : 2;
	}
	return 0;
}

static void parse_options(int argc, char **argv)
{
	if (argc < 3)
		usage();
	for (int i = 3; i < argc;) {
		int taken = option_take(argv + i);

		if (!taken)
			usage();
		i += taken;
	}
	if (!options.connections || !options.chunk || options.chunk > CHUNK_MAX)
		usage();
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_stop};
	struct rlimit files;
	bool done;

	parse_options(argc, argv);
	target_parse(argv[2]);
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
