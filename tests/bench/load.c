/* SPDX-License-Identifier: Apache-2.0
 *
 * The benchmark's closed-loop load: every connection waits for its answer before it goes on.
 *
 *   load --mode MODE --target ADDR:PORT [--conns N] [--bytes N] [--seconds S] [--count N]
 *        [--server-closes] [--two-writes]
 *
 *   download, upload  bytes one way without end
 *   request           a request, `bytes` of answer, and again
 *   connect           connect, request, `bytes` of answer, close, and again
 *   greet             connect, wait for the backend to speak, close, and again
 *   hold              ask once on each connection, then keep them all open
 *
 * Happy path: connect everything, start the load, print "ready"; a line on stdin starts the timed
 * part (so that the caller can read its clocks first, with the load already in full swing), which
 * ends after --seconds or --count answers; one line of JSON says what was seen.
 * Failure modes: a connection that breaks is counted in `errors` and, unless the mode reconnects
 * anyway, not replaced; if none can be set up at all the tool exits 1.
 */
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>

#include "tests/bench/hist.h"
#include "tests/bench/sock.h"

enum { CHUNK_BYTES = 256 * 1024, EVENTS = 256, STDIN_SLOT = -1 };

enum mode { DOWNLOAD, UPLOAD, REQUEST, CONNECT, GREET, HOLD };
static const char *const mode_names[] = {"download", "upload", "request",
					 "connect",  "greet",  "hold"};

struct link {
	int fd;
	bool asked; /* the request has left */
	uint32_t got_bytes;
	uint64_t began_ns; /* of the request, or of the connect */
};

static struct {
	enum mode mode;
	struct address target;
	unsigned conns;
	uint32_t reply_bytes;
	uint32_t flags;
	double seconds;
	uint64_t count; /* stop after so many answers; 0 for no such end */
} plan = {.conns = 1, .reply_bytes = 1024, .seconds = 1};

static struct link *links;
static int epoll_fd;
static char chunk[CHUNK_BYTES];
static unsigned dials; /* so far: spreads the source addresses */

/* What the timed part saw. */
static struct {
	uint64_t answers, bytes, errors;
	struct hist latency;
} seen;

static void watch(unsigned slot, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u32 = slot};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, links[slot].fd, &event) < 0)
		die("epoll_ctl");
}

static void dial(unsigned slot)
{
	struct link *link = &links[slot];

	*link = (struct link){.began_ns = now_ns()};
	link->fd = begin_connect(&plan.target, 0, dials++);
	if (link->fd < 0) {
		errno = -link->fd;
		die("connect");
	}
	watch(slot, EPOLLIN | EPOLLOUT | EPOLLET);
}

static void drop(struct link *link)
{
	seen.errors++;
	close(link->fd);
	link->fd = -1;
}

static void ask(struct link *link)
{
	link->got_bytes = 0;
	link->began_ns = now_ns();
	if (send_request(link->fd, WIRE_REPLY, plan.flags, plan.reply_bytes) < 0)
		drop(link);
}

static void on_download(struct link *link)
{
	ssize_t got = recv(link->fd, chunk, sizeof(chunk), 0);

	if (got > 0)
		seen.bytes += (uint64_t)got;
	else if (got == 0 || errno != EAGAIN)
		drop(link);
}

static void on_upload(struct link *link)
{
	ssize_t sent = send(link->fd, chunk, sizeof(chunk), MSG_NOSIGNAL);

	if (sent > 0)
		seen.bytes += (uint64_t)sent;
	else if (errno != EAGAIN)
		drop(link);
}

static void on_reply(struct link *link)
{
	ssize_t got = recv(link->fd, chunk, sizeof(chunk), 0);

	if (got <= 0) {
		if (got == 0 || errno != EAGAIN)
			drop(link);
		return;
	}
	seen.bytes += (uint64_t)got;
	link->got_bytes += (uint32_t)got;
	if (link->got_bytes < plan.reply_bytes)
		return;
	seen.answers++;
	hist_add(&seen.latency, now_ns() - link->began_ns);
	ask(link);
}

static void redial(unsigned slot, bool answered)
{
	struct link *link = &links[slot];

	if (answered) {
		seen.answers++;
		hist_add(&seen.latency, now_ns() - link->began_ns);
	} else {
		seen.errors++;
	}
	close(link->fd);
	dial(slot);
}

/* Short-lived connections are watched by edge, so one registration serves connect and answer. */
static void on_short_lived(unsigned slot, uint32_t events)
{
	struct link *link = &links[slot];
	uint32_t wanted = plan.mode == GREET ? WIRE_GREETING_BYTES : plan.reply_bytes;
	bool waits_for_eof = plan.flags & WIRE_CLOSE && plan.mode == CONNECT;

	if (events & EPOLLOUT && !link->asked && plan.mode == CONNECT) {
		link->asked = true;
		if (send_request(link->fd, WIRE_REPLY, plan.flags, plan.reply_bytes) < 0) {
			redial(slot, false);
			return;
		}
	}
	while (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		ssize_t got = recv(link->fd, chunk, sizeof(chunk), 0);

		if (got < 0 && errno == EAGAIN)
			return;
		link->got_bytes += got > 0 ? (uint32_t)got : 0;
		bool whole = link->got_bytes >= wanted;
		if (got <= 0 || (whole && !waits_for_eof)) {
			redial(slot, whole && got >= 0);
			return;
		}
	}
}

static void on_event(unsigned slot, uint32_t events)
{
	struct link *link = &links[slot];

	if (plan.mode == DOWNLOAD)
		on_download(link);
	else if (plan.mode == UPLOAD)
		on_upload(link);
	else if (plan.mode == REQUEST)
		on_reply(link);
	else if (plan.mode == HOLD)
		drop(link);
	else
		on_short_lived(slot, events);
}

/* True on a line; the end of stdin means that the caller is gone. */
static bool was_told(void)
{
	if (read(STDIN_FILENO, chunk, 16) <= 0)
		exit(0);
	return true;
}

/* Run until the time, the count, or (before the timed part) a line on stdin. A batch of events is
 * always finished: an edge that is skipped does not come again. */
static void pump(uint64_t until_ns, bool until_told)
{
	struct epoll_event events[EVENTS];
	bool told = false;

	while (!told) {
		uint64_t now = now_ns();

		if (now >= until_ns || (!until_told && plan.count && seen.answers >= plan.count))
			return;
		uint64_t wait_ms = (until_ns - now) / 1000000u;
		int count = epoll_wait(epoll_fd, events, EVENTS,
				       wait_ms < 60000 ? (int)wait_ms : 60000);
		for (int i = 0; i < count; i++) {
			if ((int)events[i].data.u32 == STDIN_SLOT)
				told = was_told() && until_told;
			else
				on_event(events[i].data.u32, events[i].events);
		}
	}
}

/* One request and its answer, waited for: the connection stands all the way to the backend. */
static void establish(unsigned slot)
{
	struct link *link = &links[slot];
	struct pollfd poller = {.events = POLLOUT};
	ssize_t got = -1;

	link->fd = begin_connect(&plan.target, 0, dials++);
	if (link->fd < 0)
		die("connect");
	poller.fd = link->fd;
	if (poll(&poller, 1, 5000) == 1 && send_request(link->fd, WIRE_REPLY, 0, 64) == 0) {
		poller.events = POLLIN;
		if (poll(&poller, 1, 5000) == 1)
			got = recv(link->fd, chunk, 64, 0);
	}
	if (got <= 0) {
		fprintf(stderr, "connection %u got no answer\n", slot);
		exit(1);
	}
	watch(slot, plan.mode == UPLOAD ? EPOLLOUT : EPOLLIN);
}

static void start_all(void)
{
	for (unsigned i = 0; i < plan.conns; i++) {
		if (plan.mode == CONNECT || plan.mode == GREET)
			dial(i);
		else
			establish(i);
	}
	for (unsigned i = 0; i < plan.conns; i++) {
		if (plan.mode == REQUEST)
			ask(&links[i]);
		else if (plan.mode == DOWNLOAD && send_request(links[i].fd, WIRE_STREAM, 0, 0) < 0)
			die("request");
		else if (plan.mode == UPLOAD && send_request(links[i].fd, WIRE_SINK, 0, 0) < 0)
			die("request");
	}
}

static void listen_to_stdin(void)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)STDIN_SLOT};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
		die("stdin must be a pipe or a terminal");
}

static void report(double seconds)
{
	printf("{\"seconds\": %.6f, \"answers\": %llu, \"bytes\": %llu, \"errors\": %llu, "
	       "\"dials\": %u, "
	       "\"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n",
	       seconds, (unsigned long long)seen.answers, (unsigned long long)seen.bytes,
	       (unsigned long long)seen.errors, dials, hist_percentile_us(&seen.latency, 0.50),
	       hist_percentile_us(&seen.latency, 0.99), (double)seen.latency.max_ns / 1e3);
	fflush(stdout);
}

static void run(void)
{
	const uint64_t warm_up_ns = 100000000;

	start_all();
	listen_to_stdin();
	if (plan.mode != HOLD && plan.count == 0)
		pump(now_ns() + warm_up_ns, true);
	printf("ready\n");
	fflush(stdout);
	pump(UINT64_MAX / 2, true);

	uint64_t errors = seen.errors;
	memset(&seen, 0, sizeof(seen));
	seen.errors = errors;
	uint64_t start_ns = now_ns();
	pump(start_ns + (uint64_t)(plan.seconds * 1e9), false);
	report((double)(now_ns() - start_ns) / 1e9);
}

static int parse_mode(const char *name)
{
	for (unsigned i = 0; i < sizeof(mode_names) / sizeof(*mode_names); i++)
		if (strcmp(name, mode_names[i]) == 0)
			return (int)i;
	fprintf(stderr, "%s: no such mode\n", name);
	exit(2);
}

static void parse_option(int option, const char *value)
{
	switch (option) {
	case 'm':
		plan.mode = (enum mode)parse_mode(value);
		break;
	case 't':
		plan.target = parse_address(value);
		break;
	case 'c':
		plan.conns = (unsigned)atoi(value);
		break;
	case 'b':
		plan.reply_bytes = (uint32_t)atoi(value);
		break;
	case 's':
		plan.seconds = atof(value);
		break;
	case 'n':
		plan.count = (uint64_t)atoll(value);
		break;
	case 'x':
		plan.flags |= WIRE_CLOSE;
		break;
	case 'w':
		plan.flags |= WIRE_TWO_WRITES;
		break;
	default:
		exit(2);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"mode", required_argument, NULL, 'm'},
						{"target", required_argument, NULL, 't'},
						{"conns", required_argument, NULL, 'c'},
						{"bytes", required_argument, NULL, 'b'},
						{"seconds", required_argument, NULL, 's'},
						{"count", required_argument, NULL, 'n'},
						{"server-closes", no_argument, NULL, 'x'},
						{"two-writes", no_argument, NULL, 'w'},
						{0}};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		parse_option(option, optarg);
	raise_fd_limit();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	links = calloc(plan.conns ? plan.conns : 1, sizeof(*links));
	if (!plan.target.length || plan.conns == 0 || epoll_fd < 0 || !links) {
		fprintf(stderr, "usage: load --mode MODE --target ADDR:PORT ...\n");
		return 2;
	}
	run();
	return 0;
}
