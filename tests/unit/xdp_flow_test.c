/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow splice by its steps, on a loopback of its own: a client, a backend, and between them two
 * sockets that become a flow and come back.
 *
 * Needs root. Without it the program says so and fails, as a tool that is missing does.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "xdp/flow.h"

#define PATIENCE_MS 20000

enum { CLIENT, BACKEND }; /* legs */

static struct flow_engine *engine;
static int ends[2];  /* the peers' sockets */
static int inner[2]; /* the proxy's */
static struct flow_legs legs;
static uint32_t slot;

/* --- a network of our own --- */

static void raise_loopback(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

static void name_of(int fd, bool peer, struct addr *ret_addr)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	ck_assert_int_eq(peer ? getpeername(fd, (struct sockaddr *)&sa, &len)
			      : getsockname(fd, (struct sockaddr *)&sa, &len),
			 0);
	addr_from_sockaddr((struct sockaddr *)&sa, len, ret_addr);
}

/* A connection over loopback: `ret_fds[0]` connected to `ret_fds[1]`. */
static void connect_pair(const char *host, int ret_fds[2])
{
	struct sockaddr_storage sa;
	struct addr addr;
	socklen_t len;
	int listening;

	ck_assert_int_eq(addr_parse(host, &addr), 0);
	listening = socket(addr.family, SOCK_STREAM, 0);
	len = addr_to_sockaddr(&addr, &sa);
	ck_assert_int_eq(bind(listening, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(listen(listening, 1), 0);
	len = sizeof(sa);
	ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&sa, &len), 0);
	ret_fds[0] = socket(addr.family, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(ret_fds[0], (struct sockaddr *)&sa, len), 0);
	ret_fds[1] = accept(listening, NULL, NULL);
	ck_assert_int_ge(ret_fds[1], 0);
	close(listening);
}

static void open_engine(void)
{
	struct flow_interface lo = {
		.ifindex = if_nametoindex("lo"), .name = "lo", .loopback = true};
	struct flow_setup conf = {.sessions = 16, .interfaces = &lo, .interface_count = 1};
	char problem[256] = "";
	int err = flow_open(&conf, &engine, problem, sizeof(problem));

	ck_assert_msg(err == 0, "%s", problem);
}

static void describe(void)
{
	for (unsigned leg = 0; leg < 2; leg++) {
		name_of(inner[leg], false, &legs.local[leg]);
		name_of(inner[leg], true, &legs.peer[leg]);
		legs.ifindex[leg] = if_nametoindex("lo");
		ck_assert_int_eq(flow_snapshot(inner[leg], &legs.before[leg]), 0);
	}
}

static void begin(const char *host)
{
	int pair[2];

	connect_pair(host, pair);
	ends[CLIENT] = pair[0];
	inner[CLIENT] = pair[1];
	connect_pair(host, pair);
	inner[BACKEND] = pair[0];
	ends[BACKEND] = pair[1];
	describe();
}

static void setup(void)
{
	ck_assert_msg(geteuid() == 0, "needs root");
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	raise_loopback();
	open_engine();
}

static void close_all(void)
{
	for (unsigned leg = 0; leg < 2; leg++) {
		close(ends[leg]);
		close(inner[leg]);
	}
}

static void shut(void)
{
	close_all();
	flow_close(engine, false);
}

/* --- steps --- */

static void write_note(void)
{
	struct flow_note note = {.snapshots = {legs.before[0], legs.before[1]}};

	note.promoted_ns = clock_us() * 1000;
	ck_assert_int_eq(flow_note_write(engine, slot, &note), 0);
}

static void insert(void)
{
	int err = 1;

	ck_assert_int_eq(flow_judge(&legs), FLOW_FINE);
	ck_assert_int_eq(flow_take(engine, &slot), 0);
	flow_fill(engine, slot, &legs);
	flow_insert(engine, &slot, 1, &err);
	ck_assert_int_eq(err, 0);
	write_note();
}

static bool settle(uint32_t ret_more[2])
{
	struct snapshot_tcp now[2];

	for (unsigned leg = 0; leg < 2; leg++)
		ck_assert_int_eq(flow_snapshot(inner[leg], &now[leg]), 0);
	return flow_settled(engine, slot, &legs, now, ret_more);
}

static void promote(void)
{
	uint32_t more[2];

	insert();
	flow_grace();
	ck_assert(settle(more));
	ck_assert_int_eq(flow_bury(engine, slot, inner), 0);
}

/* Everything that `text` is arrives, and nothing else. */
static void send_text(int from, int to, const char *text)
{
	char got[256] = "";
	size_t have = 0;

	ck_assert_int_eq(send(from, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	while (have < strlen(text)) {
		struct pollfd ready = {.fd = to, .events = POLLIN};
		ssize_t bytes;

		ck_assert_int_eq(poll(&ready, 1, PATIENCE_MS), 1);
		bytes = recv(to, got + have, sizeof(got) - 1 - have, 0);
		ck_assert_int_gt(bytes, 0);
		have += (size_t)bytes;
	}
	ck_assert_str_eq(got, text);
}

static void ping_pong(void)
{
	send_text(ends[CLIENT], ends[BACKEND], "a question");
	send_text(ends[BACKEND], ends[CLIENT], "an answer that is longer");
}

static struct flow_event seen[16];
static size_t seen_count;

static void on_event(void *context, const struct flow_event *event)
{
	(void)context;
	if (seen_count < 16)
		seen[seen_count++] = *event;
}

static void wait_for_event(enum flow_event_kind kind)
{
	for (;;) {
		struct pollfd ready = {.fd = flow_events_fd(engine), .events = POLLIN};

		for (size_t i = 0; i < seen_count; i++)
			if (seen[i].kind == kind)
				return;
		ck_assert_int_eq(poll(&ready, 1, PATIENCE_MS), 1);
		flow_events(engine, on_event, NULL);
	}
}

static const char *const hosts[] = {"127.0.0.1:0", "[::1]:0"};

/* --- what is promised --- */

START_TEST(a_flow_carries_bytes_both_ways_without_its_sockets)
{
	struct flow_view view;

	begin(hosts[_i]);
	promote();
	ping_pong();
	flow_look(engine, slot, &view);
	ck_assert_uint_eq(view.bytes[CLIENT], strlen("a question"));
	ck_assert_uint_eq(view.bytes[BACKEND], strlen("an answer that is longer"));
}
END_TEST

START_TEST(both_fins_close_it)
{
	struct flow_view view;

	begin(hosts[_i]);
	promote();
	ping_pong();
	shutdown(ends[CLIENT], SHUT_WR);
	send_text(ends[BACKEND], ends[CLIENT], "after the first FIN");
	shutdown(ends[BACKEND], SHUT_WR);
	wait_for_event(FLOW_EVENT_CLOSED);
	flow_look(engine, slot, &view);
	ck_assert(view.closed);
}
END_TEST

START_TEST(what_the_kernel_took_meanwhile_is_relayed_first)
{
	char buffer[256];
	uint32_t more[2];
	ssize_t bytes;

	begin(hosts[_i]);
	ck_assert_int_eq(send(ends[CLIENT], "early ", 6, 0), 6);
	/* The snapshot is older than these six bytes. */
	insert();
	flow_grace();
	ck_assert(!settle(more));
	ck_assert_uint_eq(more[CLIENT], 6);
	ck_assert_uint_eq(more[BACKEND], 0);
	send(ends[CLIENT], "later", 5, 0);
	bytes = recv(inner[CLIENT], buffer, sizeof(buffer), 0);
	ck_assert_int_eq(bytes, 6);
	ck_assert_int_eq(send(inner[BACKEND], buffer, (size_t)bytes, 0), bytes);
	for (int tries = 0; !settle(more); tries++) {
		ck_assert_int_lt(tries, PATIENCE_MS);
		poll(NULL, 0, 1);
	}
	ck_assert_int_eq(flow_bury(engine, slot, inner), 0);
	ck_assert_int_eq(recv(ends[BACKEND], buffer, 11, MSG_WAITALL), 11);
	ck_assert_int_eq(memcmp(buffer, "early later", 11), 0);
	ping_pong();
}
END_TEST

static void ask_back(void)
{
	struct flow_tomb tombs[2];

	flow_hold(engine, slot);
	flow_grace();
	for (int tries = 0; !flow_is_quiet(engine, slot); tries++) {
		ck_assert_int_lt(tries, PATIENCE_MS);
		poll(NULL, 0, 1);
	}
	for (unsigned leg = 0; leg < 2; leg++) {
		tombs[leg] = (struct flow_tomb){legs.local[leg], legs.peer[leg], legs.before[leg]};
		close(inner[leg]);
	}
	ck_assert_int_eq(flow_rebuild(engine, slot, tombs, inner), 0);
	flow_remove(engine, slot);
}

static void talk_to_proxy(void)
{
	for (unsigned leg = 0; leg < 2; leg++) {
		send_text(ends[leg], inner[leg], "to the proxy");
		send_text(inner[leg], ends[leg], "from the proxy");
	}
}

START_TEST(a_flow_that_is_asked_back_goes_on_as_sockets)
{
	char buffer[64];

	begin(hosts[_i]);
	promote();
	ping_pong();
	ask_back();
	talk_to_proxy();
	shutdown(inner[CLIENT], SHUT_WR);
	ck_assert_int_eq(recv(ends[CLIENT], buffer, sizeof(buffer), 0), 0);
}
END_TEST

/* As if it had been silent for hours before its first packet was translated. */
static void set_clock_ahead(int fd)
{
	const int on = 1;
	const int off = -1; /* without a probe */
	uint32_t clock;
	socklen_t len = sizeof(clock);

	ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_TIMESTAMP, &clock, &len), 0);
	clock = (clock + 10000000) & ~1u;
	ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)), 0);
	ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_TIMESTAMP, &clock, sizeof(clock)), 0);
	ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)), 0);
}

START_TEST(a_clock_that_was_translated_is_not_fallen_behind)
{
	for (unsigned leg = 0; leg < 2; leg++) {
		begin(hosts[_i]);
		promote();
		set_clock_ahead(ends[leg]);
		ping_pong();
		ask_back();
		talk_to_proxy();
		if (leg == CLIENT)
			close_all();
	}
}
END_TEST

START_TEST(a_reset_is_passed_on)
{
	struct linger hard = {.l_onoff = 1};
	char byte;

	begin(hosts[_i]);
	promote();
	ping_pong();
	setsockopt(ends[CLIENT], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(ends[CLIENT]);
	ends[CLIENT] = -1;
	ck_assert_int_eq(recv(ends[BACKEND], &byte, 1, 0), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	wait_for_event(FLOW_EVENT_RST);
}
END_TEST

/* --- after a death --- */

static struct {
	unsigned found[3]; /* by enum flow_found */
	struct flow_note note;
	struct flow_tomb tombs[2];
} estate;

static void on_found(void *context, uint32_t index, enum flow_found what,
		     const struct flow_note *note, const struct flow_tomb tombs[2])
{
	(void)context;
	ck_assert_uint_eq(index, slot);
	estate.found[what]++;
	estate.note = *note;
	memcpy(estate.tombs, tombs, sizeof(estate.tombs));
}

static void adopt(enum flow_found what)
{
	memset(&estate, 0, sizeof(estate));
	ck_assert_int_eq(flow_adopt(engine, on_found, NULL), 1);
	ck_assert_uint_eq(estate.found[what], 1);
}

static void close_inner(void)
{
	for (unsigned leg = 0; leg < 2; leg++) {
		close(inner[leg]);
		inner[leg] = -1;
	}
}

START_TEST(what_was_silenced_is_found_with_its_tuples_and_kept_again)
{
	begin(hosts[_i]);
	promote();
	flow_hold(engine, slot); /* and died before it let go */
	close_inner();
	adopt(FLOW_FOUND_RUNNING);
	ping_pong();
	for (unsigned leg = 0; leg < 2; leg++) {
		ck_assert(addr_equal(&estate.tombs[leg].local, &legs.local[leg]));
		ck_assert(addr_equal(&estate.tombs[leg].peer, &legs.peer[leg]));
	}
	ck_assert_int_eq(flow_rebury(engine, slot, estate.tombs, inner), 0);
	ping_pong();
}
END_TEST

START_TEST(whose_end_was_told_is_not_told_again)
{
	begin(hosts[_i]);
	promote();
	flow_told(engine, slot);
	close_inner();
	adopt(FLOW_FOUND_OVER);
}
END_TEST

static void expect_reset(int fd)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	char byte;

	ck_assert_int_eq(poll(&ready, 1, PATIENCE_MS), 1);
	ck_assert_int_eq(recv(fd, &byte, 1, 0), -1);
	ck_assert_int_eq(errno, ECONNRESET);
}

/* Packets are translated, and the kernel knows nothing of them; sockets die silently (0 and 1), or
 * with a FIN that comes too late (2 and 3). */
START_TEST(who_died_in_the_middle_of_it_leaves_nobody_waiting)
{
	const int on = 1;

	begin(hosts[_i & 1]);
	insert();
	ping_pong();
	for (unsigned leg = 0; leg < 2 && _i < 2; leg++)
		ck_assert_int_eq(setsockopt(inner[leg], IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)),
				 0);
	close_inner();
	adopt(FLOW_FOUND_BROKEN);
	flow_reset(engine, slot, estate.tombs);
	expect_reset(ends[CLIENT]);
	expect_reset(ends[BACKEND]);
	ck_assert_int_eq(flow_adopt(engine, on_found, NULL), 0);
}
END_TEST

START_TEST(sockets_that_spoke_already_make_it_broken)
{
	struct flow_tomb tombs[2];

	begin(hosts[_i]);
	promote();
	ping_pong();
	flow_hold(engine, slot);
	flow_grace();
	for (unsigned leg = 0; leg < 2; leg++)
		tombs[leg] = (struct flow_tomb){legs.local[leg], legs.peer[leg], legs.before[leg]};
	close_inner();
	ck_assert_int_eq(flow_rebuild(engine, slot, tombs, inner), 0);
	adopt(FLOW_FOUND_BROKEN);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xdp_flow");
	TCase *tcase = tcase_create("flow");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, shut);
	tcase_add_loop_test(tcase, a_flow_carries_bytes_both_ways_without_its_sockets, 0, 2);
	tcase_add_loop_test(tcase, both_fins_close_it, 0, 2);
	tcase_add_loop_test(tcase, what_the_kernel_took_meanwhile_is_relayed_first, 0, 2);
	tcase_add_loop_test(tcase, a_flow_that_is_asked_back_goes_on_as_sockets, 0, 2);
	tcase_add_loop_test(tcase, a_clock_that_was_translated_is_not_fallen_behind, 0, 2);
	tcase_add_loop_test(tcase, a_reset_is_passed_on, 0, 2);
	tcase_add_loop_test(tcase, what_was_silenced_is_found_with_its_tuples_and_kept_again, 0, 2);
	tcase_add_loop_test(tcase, whose_end_was_told_is_not_told_again, 0, 2);
	tcase_add_loop_test(tcase, who_died_in_the_middle_of_it_leaves_nobody_waiting, 0, 4);
	tcase_add_loop_test(tcase, sockets_that_spoke_already_make_it_broken, 0, 2);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
