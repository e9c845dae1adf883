/* SPDX-License-Identifier: Apache-2.0
 *
 * The benchmark's backend: an epoll server that answers each request of wire.h with the bytes it
 * asks for.
 *
 *   backend --listen ADDR:PORT [--listen ...] [--procs N] [--greet]
 *
 * Happy path: bind, print "ready", serve until SIGTERM. With --procs it forks, and every process
 * binds its own SO_REUSEPORT sockets: each then has its own fd table, hence its own fd limit. With
 * --greet it sends 32 bytes as soon as it accepts.
 * Failure modes: a socket that cannot be bound ends it at once; a peer that breaks the protocol or
 * resets is closed and forgotten.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/bench/sock.h"

enum { CHUNK_BYTES = 256 * 1024, ACCEPT_BURST = 64, EVENTS = 256, LISTENS = 8 };

/* One connection, found by its fd. */
struct peer {
	bool listening;
	bool waits_for_room; /* EPOLLOUT is armed */
	uint32_t received_bytes;
	uint64_t owed_bytes; /* of the answer under way */
	struct wire_request request;
};

static struct peer *peers;
static unsigned peer_limit;
static char chunk[CHUNK_BYTES];
static int epoll_fd;
static bool greets;

static void arm(int fd, int op, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	if (epoll_ctl(epoll_fd, op, fd, &event) < 0)
		die("epoll_ctl");
}

static void watch_room(int fd, bool wanted)
{
	if (peers[fd].waits_for_room == wanted)
		return;
	peers[fd].waits_for_room = wanted;
	arm(fd, EPOLL_CTL_MOD, EPOLLIN | (wanted ? EPOLLOUT : 0u));
}

/* Send what is owed, one chunk a turn; false when the connection is over. */
static bool flush(int fd)
{
	struct peer *peer = &peers[fd];
	uint64_t size = peer->owed_bytes < CHUNK_BYTES ? peer->owed_bytes : CHUNK_BYTES;

	if (peer->request.flags & WIRE_TWO_WRITES && size > 1)
		size = (size + 1) / 2;
	ssize_t sent = send(fd, chunk, size, MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EAGAIN;
	if (peer->request.op != WIRE_STREAM)
		peer->owed_bytes -= (uint64_t)sent;
	return peer->owed_bytes > 0 || !(peer->request.flags & WIRE_CLOSE);
}

static bool begin_answer(int fd)
{
	struct peer *peer = &peers[fd];

	if (peer->request.magic != WIRE_MAGIC)
		return false;
	if (peer->request.op == WIRE_SINK)
		return true;
	peer->received_bytes = 0;
	peer->owed_bytes = peer->request.op == WIRE_STREAM ? 1u << 30 : peer->request.reply_bytes;
	if (!flush(fd))
		return false;
	if (peer->request.flags & WIRE_TWO_WRITES) {
		peer->request.flags &= ~(uint32_t)WIRE_TWO_WRITES;
		if (!flush(fd))
			return false;
	}
	watch_room(fd, peer->owed_bytes > 0);
	return true;
}

static bool on_readable(int fd)
{
	struct peer *peer = &peers[fd];
	bool sinks = peer->received_bytes == WIRE_REQUEST_BYTES;
	char *into = sinks ? chunk : (char *)&peer->request + peer->received_bytes;
	size_t room = sinks ? CHUNK_BYTES : WIRE_REQUEST_BYTES - peer->received_bytes;
	ssize_t got = recv(fd, into, room, 0);

	if (got <= 0)
		return got < 0 && errno == EAGAIN;
	if (sinks)
		return true;
	peer->received_bytes += (uint32_t)got;
	return peer->received_bytes < WIRE_REQUEST_BYTES || begin_answer(fd);
}

static bool on_room(int fd)
{
	if (!flush(fd))
		return false;
	watch_room(fd, peers[fd].owed_bytes > 0);
	return true;
}

static void on_accept(int listener)
{
	for (int i = 0; i < ACCEPT_BURST; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;

		if (fd < 0)
			return;
		if ((unsigned)fd >= peer_limit) {
			close(fd);
			continue;
		}
		peers[fd] = (struct peer){.listening = false};
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (greets && send(fd, chunk, WIRE_GREETING_BYTES, MSG_NOSIGNAL) < 0) {
			close(fd);
			continue;
		}
		arm(fd, EPOLL_CTL_ADD, EPOLLIN);
	}
}

static void on_event(const struct epoll_event *event)
{
	int fd = event->data.fd;
	bool alive = true;

	if (peers[fd].listening) {
		on_accept(fd);
		return;
	}
	if (event->events & ~(uint32_t)EPOLLOUT)
		alive = on_readable(fd);
	if (alive && event->events & EPOLLOUT && peers[fd].waits_for_room)
		alive = on_room(fd);
	if (!alive)
		close(fd);
}

static int open_listener(const char *text)
{
	struct address address = parse_address(text);
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
	    on = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(fd, &address.any, address.length) < 0 || listen(fd, 65535) < 0)
		die(text);
	return fd;
}

static _Noreturn void serve(char *const *listens, unsigned listen_count)
{
	struct epoll_event events[EVENTS];

	peer_limit = raise_fd_limit();
	peers = calloc(peer_limit, sizeof(*peers));
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!peers || epoll_fd < 0)
		die("backend");
	for (unsigned i = 0; i < listen_count; i++) {
		int fd = open_listener(listens[i]);

		peers[fd].listening = true;
		arm(fd, EPOLL_CTL_ADD, EPOLLIN);
	}
	if (write(STDOUT_FILENO, "ready\n", 6) != 6)
		exit(1);
	for (;;) {
		int count = epoll_wait(epoll_fd, events, EVENTS, -1);

		for (int i = 0; i < count; i++)
			on_event(&events[i]);
	}
}

/* Children die with their parent, so ending the one pid that was recorded ends all. */
static void fork_servers(char *const *listens, unsigned listen_count, unsigned procs)
{
	for (unsigned i = 1; i < procs; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid > 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(listens, listen_count);
	}
	serve(listens, listen_count);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
						{"procs", required_argument, NULL, 'p'},
						{"greet", no_argument, NULL, 'g'},
						{0}};
	char *listens[LISTENS];
	unsigned listen_count = 0, procs = 1;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'l' && listen_count < LISTENS)
			listens[listen_count++] = optarg;
		else if (option == 'p')
			procs = (unsigned)atoi(optarg);
		else if (option == 'g')
			greets = true;
		else
			return 2;
	}
	if (listen_count == 0) {
		fprintf(stderr, "usage: backend --listen ADDR:PORT ... [--procs N] [--greet]\n");
		return 2;
	}
	fork_servers(listens, listen_count, procs);
}
