/* SPDX-License-Identifier: Apache-2.0
 *
 * The founding case's load: many held connections, requests on an open-loop schedule across all of
 * them, and new connections on a schedule of their own.
 *
 *   swarm --target ADDR:PORT [--target ...] [--conns N] [--procs N] [--rate PER_SECOND]
 *         [--new-rate PER_SECOND] [--seconds S] [--setup-seconds S] [--answers N]
 *
 * Happy path: it forks (each process has its own fd table, hence its own fd limit), every process
 * connects its share and gets one answer (or --answers) on each connection; a line of JSON,
 * {"setup": ...}, says how that went; a line on stdin starts the schedule; a second line of JSON
 * says what was seen. Latency counts from the moment a request or connect was due, not from when it
 * got its turn; what has no answer when the time is up is counted as unanswered, and its age enters
 * the percentiles, so a stall cannot hide. Failure modes: a connection that breaks or cannot be
 * made is counted and not replaced; set-up ends at its deadline with what it has; a process that
 * dies ends the run with exit 1.
 */
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/bench/findings.h"
#include "tests/bench/sock.h"

enum { EVENTS = 256, TARGETS = 8, NEW_SLOTS = 2048, DIALS_AT_ONCE = 64, REPLY_BYTES = 128 };

enum state { EMPTY, CONNECTING, ASKED, IDLE };

struct link {
	int fd;
	enum state state;
	uint32_t got_bytes;
	uint32_t answers; /* in set-up */
	uint64_t due_ns;  /* when the request under way, or the connect, should have left */
};

static struct {
	struct address targets[TARGETS];
	unsigned target_count, conns, procs, answers;
	double rate, new_rate, seconds, setup_seconds;
} plan = {.conns = 48000,
	  .procs = 4,
	  .answers = 1,
	  .rate = 12000,
	  .new_rate = 300,
	  .seconds = 10,
	  .setup_seconds = 60};

static struct findings *mine;
static struct link *links; /* the held ones, then NEW_SLOTS short-lived ones */
static unsigned share;     /* of the held connections */
static unsigned group;     /* this process's number: its source addresses */
static int epoll_fd;
static bool setting_up;
static unsigned dialling; /* held connections not yet answered once */
static unsigned dials;

static bool is_held(const struct link *link)
{
	return link < links + share;
}

static void end_link(struct link *link)
{
	close(link->fd);
	link->state = EMPTY;
	link->fd = -1;
}

static void on_broken(struct link *link)
{
	if (!is_held(link))
		mine->connects_failed++;
	else if (setting_up)
		dialling--;
	else
		mine->broken++;
	end_link(link);
}

static void ask(struct link *link)
{
	link->got_bytes = 0;
	link->state = ASKED;
	if (send_request(link->fd, WIRE_REPLY, 0, REPLY_BYTES) < 0)
		on_broken(link);
}

static void dial(struct link *link, uint64_t due_ns)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
	unsigned number = dials++;

	*link = (struct link){.state = CONNECTING, .due_ns = due_ns};
	link->fd = begin_connect(&plan.targets[number % plan.target_count], group,
				 number / plan.target_count);
	event.data.u32 = (uint32_t)(link - links);
	if (link->fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, link->fd, &event) < 0)
		on_broken(link);
}

static void on_answer(struct link *link)
{
	uint64_t waited_ns = now_ns() - link->due_ns;

	if (!is_held(link)) {
		mine->connects++;
		hist_add(&mine->connect_latency, waited_ns);
		end_link(link);
		return;
	}
	link->state = IDLE;
	if (setting_up && ++link->answers < plan.answers) {
		ask(link);
		return;
	}
	if (setting_up) {
		mine->opened++;
		dialling--;
		return;
	}
	mine->requests++;
	hist_add(&mine->request_latency, waited_ns);
}

static void on_event(struct link *link, uint32_t events)
{
	char buffer[4096];

	if (link->state == CONNECTING && events & EPOLLOUT && !(events & EPOLLERR))
		ask(link);
	while (link->state != EMPTY && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		ssize_t got = recv(link->fd, buffer, sizeof(buffer), 0);

		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0) {
			on_broken(link);
			return;
		}
		link->got_bytes += (uint32_t)got;
		if (link->got_bytes >= REPLY_BYTES) {
			on_answer(link);
			return;
		}
	}
}

/* Wait in nanoseconds where the kernel can (5.11), in milliseconds where not. */
static int wait_events(struct epoll_event *events, uint64_t wait_ns)
{
	struct timespec timeout = {.tv_sec = (time_t)(wait_ns / 1000000000u),
				   .tv_nsec = (long)(wait_ns % 1000000000u)};
	int count = (int)syscall(SYS_epoll_pwait2, epoll_fd, events, EVENTS, &timeout, NULL, 0);

	if (count < 0 && errno == ENOSYS)
		count = epoll_wait(epoll_fd, events, EVENTS, (int)(wait_ns / 1000000u));
	return count;
}

static void handle_events(uint64_t wait_ns)
{
	struct epoll_event events[EVENTS];
	int count = wait_events(events, wait_ns);

	for (int i = 0; i < count; i++)
		on_event(&links[events[i].data.u32], events[i].events);
}

static void set_up(void)
{
	uint64_t start_ns = now_ns();
	uint64_t deadline_ns = start_ns + (uint64_t)(plan.setup_seconds * 1e9);
	unsigned next = 0;

	setting_up = true;
	while ((next < share || dialling > 0) && now_ns() < deadline_ns) {
		while (next < share && dialling < DIALS_AT_ONCE) {
			dialling++;
			dial(&links[next++], now_ns());
		}
		handle_events(100000000);
	}
	setting_up = false;
	mine->setup_ns = now_ns() - start_ns;
}

/* The next held connection, in turn, that is free to ask; NULL when a whole round finds none. */
static struct link *next_idle(void)
{
	static unsigned at;

	for (unsigned i = 0; i < share; i++) {
		struct link *link = &links[at++ % share];

		if (link->state == IDLE)
			return link;
	}
	return NULL;
}

static void fire_request(uint64_t due_ns)
{
	struct link *link = next_idle();

	if (!link) {
		mine->unanswered++;
		return;
	}
	link->due_ns = due_ns;
	ask(link);
}

static void fire_connect(uint64_t due_ns)
{
	for (unsigned i = 0; i < NEW_SLOTS; i++) {
		if (links[share + i].state == EMPTY) {
			dial(&links[share + i], due_ns);
			return;
		}
	}
	mine->connects_unanswered++;
}

static void follow_schedule(void)
{
	uint64_t start_ns = now_ns(), end_ns = start_ns + (uint64_t)(plan.seconds * 1e9);
	double request_gap = 1e9 * plan.procs / plan.rate;
	double connect_gap = plan.new_rate > 0 ? 1e9 * plan.procs / plan.new_rate : 1e18;
	/* The processes' schedules interleave instead of striking together. */
	double request_at = (double)start_ns + request_gap * group / plan.procs;
	double connect_at = (double)start_ns + connect_gap * group / plan.procs;

	for (uint64_t now = start_ns; now < end_ns; now = now_ns()) {
		for (; request_at <= (double)now; request_at += request_gap)
			fire_request((uint64_t)request_at);
		for (; connect_at <= (double)now; connect_at += connect_gap)
			fire_connect((uint64_t)connect_at);
		double next = request_at < connect_at ? request_at : connect_at;
		next = next < (double)end_ns ? next : (double)end_ns;
		now = now_ns();
		handle_events(next > (double)now ? (uint64_t)(next - (double)now) : 0);
	}
}

/* Answers may still be on their way when the schedule ends: give them a second, then count what
 * never came. */
static void count_the_rest(void)
{
	uint64_t deadline_ns = now_ns() + 1000000000;

	while (now_ns() < deadline_ns)
		handle_events(deadline_ns - now_ns() + 1);
	for (unsigned i = 0; i < share + NEW_SLOTS; i++) {
		struct link *link = &links[i];

		if (i < share && link->state == IDLE) {
			mine->held++;
		} else if (i < share && link->state == ASKED) {
			mine->unanswered++;
			hist_add(&mine->request_latency, now_ns() - link->due_ns);
		} else if (i >= share && link->state != EMPTY) {
			mine->connects_unanswered++;
			hist_add(&mine->connect_latency, now_ns() - link->due_ns);
		}
	}
}

/* One process's life. `ready_fd` takes a byte when set-up is over, `go_fd` ends when all may start.
 */
static _Noreturn void run_process(int ready_fd, int go_fd)
{
	char byte = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_TIMERSLACK, 1000);
	raise_fd_limit();
	share = plan.conns / plan.procs;
	links = calloc(share + NEW_SLOTS, sizeof(*links));
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!links || epoll_fd < 0)
		die("swarm");
	set_up();
	if (write(ready_fd, &byte, 1) != 1 || read(go_fd, &byte, 1) != 0)
		exit(1);
	follow_schedule();
	count_the_rest();
	exit(0);
}

static void run(void)
{
	struct findings *all = mmap(NULL, plan.procs * sizeof(*all), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int ready[2], go[2], status;
	char byte;

	if (all == MAP_FAILED || pipe(ready) < 0 || pipe(go) < 0)
		die("swarm");
	for (group = 0; group < plan.procs; group++) {
		mine = &all[group];
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0) {
			close(ready[0]);
			close(go[1]);
			run_process(ready[1], go[0]);
		}
	}
	close(ready[1]);
	for (unsigned i = 0; i < plan.procs; i++)
		if (read(ready[0], &byte, 1) != 1)
			exit(1);
	const struct findings *sum = findings_sum(all, plan.procs);
	printf("{\"setup\": %.3f, \"opened\": %lu}\n", (double)sum->setup_ns / 1e9, sum->opened);
	fflush(stdout);
	if (read(STDIN_FILENO, &byte, 1) != 1)
		exit(1);
	close(go[1]);
	for (unsigned i = 0; i < plan.procs; i++)
		if (wait(&status) < 0 || status != 0)
			exit(1);
	findings_print(findings_sum(all, plan.procs));
}

static void parse_option(int option, const char *value)
{
	if (option == 't' && plan.target_count < TARGETS)
		plan.targets[plan.target_count++] = parse_address(value);
	else if (option == 'c')
		plan.conns = (unsigned)atoi(value);
	else if (option == 'p')
		plan.procs = (unsigned)atoi(value);
	else if (option == 'r')
		plan.rate = atof(value);
	else if (option == 'n')
		plan.new_rate = atof(value);
	else if (option == 'a')
		plan.answers = (unsigned)atoi(value);
	else if (option == 's')
		plan.seconds = atof(value);
	else if (option == 'u')
		plan.setup_seconds = atof(value);
	else
		exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"target", required_argument, NULL, 't'},
						{"conns", required_argument, NULL, 'c'},
						{"procs", required_argument, NULL, 'p'},
						{"rate", required_argument, NULL, 'r'},
						{"new-rate", required_argument, NULL, 'n'},
						{"seconds", required_argument, NULL, 's'},
						{"answers", required_argument, NULL, 'a'},
						{"setup-seconds", required_argument, NULL, 'u'},
						{0}};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		parse_option(option, optarg);
	if (plan.target_count == 0 || plan.procs == 0 || plan.rate <= 0) {
		fprintf(stderr, "usage: swarm --target ADDR:PORT ... [--conns N] [--procs N]\n");
		return 2;
	}
	run();
	return 0;
}
