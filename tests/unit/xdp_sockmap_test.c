/* SPDX-License-Identifier: Apache-2.0
 *
 * Joined sockets on a loopback of their own: a client, a backend, and between them two sockets that
 * the kernel joins.
 *
 * Needs root. Without it the program says so and fails, as a tool that is missing does.
 */
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
static struct joint_event last_event;
static unsigned event_count;
static uint8_t buffer[256 * 1024];

/* --- a network of our own --- */

static void raise_loopback(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

static void open_map(void)
{
	char problem[256] = "";

	ck_assert_msg(geteuid() == 0, "needs root");
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	raise_loopback();
	ck_assert_msg(sockmap_open(256, &map, problem, sizeof(problem)) == 0, "%s", problem);
}

static void close_map(void)
{
	sockmap_close(map);
}

static void connect_pair(int ret_fds[2])
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

static void begin(void)
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
	event_count = 0;
}

static void join(void)
{
	ck_assert_int_eq(sockmap_join(map, inner, &joint), 0);
}

static void begin_joined(void)
{
	begin();
	join();
}

static void end(void)
{
	for (unsigned leg = 0; leg < 2; leg++) {
		close(ends[leg]);
		close(inner[leg]);
	}
	sockmap_part(map, &joint);
}

/* --- peers --- */

static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 7 ^ offset >> 8 ^ offset >> 16);
}

/* As much of `count` as is taken at once. */
static size_t send_some(unsigned way, size_t count)
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

static bool is_readable(int fd)
{
	struct pollfd at = {.fd = fd, .events = POLLIN};

	return poll(&at, 1, 10) > 0;
}

/* Whatever is there, checked; false at the end of the stream. */
static bool receive_some(unsigned way)
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

static void expect_all(unsigned way)
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
static void exchange(unsigned way, uint64_t count)
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

/* --- what the proxy does --- */

static void await(int fd, short events)
{
	struct pollfd at = {.fd = fd, .events = events};

	ck_assert_int_eq(poll(&at, 1, (int)(PATIENCE_US / US_PER_MS)), 1);
	ck_assert(at.revents & events);
}

/* A FIN arrived on a leg: pass it on behind the bytes. */
static void pass_fin(unsigned way)
{
	uint64_t until_us = clock_us() + PATIENCE_US;

	await(inner[way], POLLRDHUP);
	while (!sockmap_is_through(map, &joint, way, inner[way], inner[!way], true)) {
		ck_assert(clock_us() < until_us);
		poll(NULL, 0, 1);
	}
	ck_assert_int_eq(shutdown(inner[!way], SHUT_WR), 0);
}

static void on_gate(void *context, const struct joint_event *event)
{
	last_event = *event;
	event_count++;
}

static bool is_gated(unsigned way)
{
	struct sockmap_view view;

	sockmap_look(map, &joint, way, &view);
	return view.gated;
}

static void relay_some(unsigned way)
{
	ssize_t count, taken;

	if (!sockmap_is_written(map, &joint, way, inner[!way]))
		return;
	count = recv(inner[way], buffer, sizeof(buffer), MSG_DONTWAIT | MSG_PEEK);
	if (count <= 0)
		return;
	taken = send(inner[!way], buffer, (size_t)count, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (taken > 0)
		ck_assert_int_eq(recv(inner[way], buffer, (size_t)taken, MSG_DONTWAIT), taken);
}

/* --- tests --- */

START_TEST(bytes_move_both_ways_without_a_reader_in_between)
{
	struct sockmap_view view;

	begin_joined();
	for (unsigned way = 0; way < 2; way++) {
		exchange(way, 1);
		exchange(way, 5000000);
		exchange(way, 3);
		sockmap_look(map, &joint, way, &view);
		ck_assert_uint_eq(view.passed, 5000004);
		ck_assert_uint_ne(view.last_ns, 0);
		ck_assert(!view.gated);
		ck_assert(sockmap_is_written(map, &joint, way, inner[!way]));
		ck_assert_uint_eq(sockmap_received(&joint, way, inner[way], false), 5000004);
	}
	end();
}
END_TEST

START_TEST(bytes_that_were_there_before_are_the_first)
{
	begin();
	send_some(CLIENT, 3000);
	send_some(BACKEND, 70000);
	join();
	expect_all(CLIENT);
	expect_all(BACKEND);
	exchange(CLIENT, 1000);
	exchange(BACKEND, 1000);
	end();
}
END_TEST

START_TEST(what_was_relayed_before_is_not_counted)
{
	struct sockmap_view view;
	char early[100];

	begin();
	for (unsigned way = 0; way < 2; way++) {
		ck_assert_int_eq(send(ends[way], early, sizeof(early), 0), sizeof(early));
		ck_assert_int_eq(recv(inner[way], early, sizeof(early), MSG_WAITALL), 100);
		ck_assert_int_eq(send(inner[way], early, sizeof(early), 0), sizeof(early));
		ck_assert_int_eq(recv(ends[way], early, sizeof(early), MSG_WAITALL), 100);
	}
	join();
	exchange(CLIENT, 10);
	sockmap_look(map, &joint, CLIENT, &view);
	ck_assert_uint_eq(view.passed, 10);
	shutdown(ends[CLIENT], SHUT_WR);
	pass_fin(CLIENT);
	await(ends[BACKEND], POLLRDHUP);
	end();
}
END_TEST

/* Two hundred times, since it is a race in the kernel that this is about. */
START_TEST(a_fin_does_not_overtake_the_bytes_before_it)
{
	for (unsigned i = 0; i < 200; i++) {
		unsigned way = i & 1;
		uint64_t goal = (uint64_t)(i * 7919 % 400000 + 1);

		begin_joined();
		while (sent[way] < goal) {
			send_some(way, goal - sent[way]);
			if (sent[way] < goal)
				receive_some(way);
		}
		shutdown(ends[way], SHUT_WR);
		pass_fin(way);
		expect_all(way);
		await(ends[!way], POLLRDHUP);
		ck_assert(!receive_some(way));
		exchange(!way, 10000); /* half-closed */
		shutdown(ends[!way], SHUT_WR);
		pass_fin(!way);
		await(ends[way], POLLRDHUP);
		ck_assert(!receive_some(!way));
		end();
	}
}
END_TEST

static void settle_if_pressed(void)
{
	for (unsigned way = 0; way < 2; way++) {
		struct sockmap_view view;

		sockmap_look(map, &joint, way, &view);
		if (view.pressed && !view.gated)
			sockmap_settle(map, &joint, inner, false);
	}
}

/* Sends until nothing is taken for a while: the only way to see that somebody is blocked. */
static void send_until_blocked(unsigned way, uint64_t most)
{
	for (int idle = 0; idle < 50;) {
		struct pollfd at = {.fd = ends[way], .events = POLLOUT};

		settle_if_pressed();
		idle = poll(&at, 1, 10) > 0 && send_some(way, sizeof(buffer)) ? 0 : idle + 1;
		ck_assert_msg(sent[way] <= most, "the sender is not held back");
	}
}

/* With nothing queued, whole pages are all that a socket has set aside: what else it has was added
 * or taken off twice, which the kernel complains of when the socket goes. */
static void expect_tidy_accounts(void)
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

static void drain_by_relay(unsigned way)
{
	uint64_t until_us = clock_us() + PATIENCE_US;

	sockmap_take_over(inner[way], inner[!way]);
	while (got[way] < sent[way]) {
		ck_assert(clock_us() < until_us);
		relay_some(way);
		if (is_readable(ends[!way]))
			ck_assert(receive_some(way));
	}
}

START_TEST(a_stalled_reader_blocks_the_sender_and_has_every_byte_later)
{
	unsigned way = (unsigned)_i;

	begin_joined();
	exchange(way, 100);
	send_until_blocked(way, UINT64_C(48) << 20);
	ck_assert(is_gated(way) && is_gated(!way));
	sockmap_events(map, on_gate, NULL);
	ck_assert_uint_eq(event_count, 1);
	ck_assert_uint_eq(last_event.index, joint.index + way);
	ck_assert_uint_eq(last_event.serial, joint.serial);
	ck_assert_uint_ne(send_some(!way, 100000), 0); /* the other way goes on */
	drain_by_relay(!way);
	drain_by_relay(way);
	expect_tidy_accounts();
	send_some(way, 100);
	drain_by_relay(way);
	end();
}
END_TEST

/* As if there were no memory to send with. */
static void starve(int fd)
{
	const int size = 1;

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

static void feed_up(int fd)
{
	const int size = 64 << 20;

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)), 0);
}

/* However small their send buffers were. */
START_TEST(a_way_goes_on_while_the_other_one_stands_still)
{
	unsigned way = (unsigned)_i;

	begin();
	starve(inner[CLIENT]);
	starve(inner[BACKEND]);
	join();
	send_until_blocked(!way, UINT64_C(48) << 20);
	send_until_blocked(way, UINT64_C(48) << 20);
	ck_assert(is_gated(way) && is_gated(!way));
	drain_by_relay(way);
	for (unsigned i = 0; i < 20; i++) {
		send_some(way, sizeof(buffer));
		drain_by_relay(way);
	}
	drain_by_relay(!way);
	expect_tidy_accounts();
	end();
}
END_TEST

/* Nobody has the CPU to settle anything. */
static void press_on(unsigned way, size_t message)
{
	const int on = 1;

	setsockopt(ends[way], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (int idle = 0; idle < 30;) {
		struct pollfd at = {.fd = ends[way], .events = POLLOUT};

		idle = poll(&at, 1, 10) > 0 && send_some(way, message) ? 0 : idle + 1;
		ck_assert_msg(sent[way] < UINT64_C(400) << 20, "it queues without bound");
	}
}

/* In large pieces, and in small ones, which take up as much memory. */
START_TEST(who_sends_while_neither_kernel_nor_user_space_has_a_cpu_is_braked)
{
	static const size_t messages[] = {sizeof(buffer), 100};
	struct sockmap_view view;

	begin_joined();
	starve(inner[CLIENT]); /* once they are joined, when it does harm */
	starve(inner[BACKEND]);
	for (unsigned way = 0; way < 2; way++) {
		press_on(way, messages[_i]);
		sockmap_look(map, &joint, way, &view);
		ck_assert(view.pressed && !view.gated && view.lost == JOINT_KEPT);
		ck_assert_uint_lt(view.passed, sent[way]);
	}
	feed_up(inner[CLIENT]);
	feed_up(inner[BACKEND]);
	for (uint64_t until_us = clock_us() + PATIENCE_US; !is_gated(CLIENT);) {
		ck_assert(clock_us() < until_us);
		settle_if_pressed();
		receive_some(CLIENT);
		receive_some(BACKEND);
	}
	drain_by_relay(CLIENT);
	drain_by_relay(BACKEND);
	expect_tidy_accounts();
	end();
}
END_TEST

/* Windows may be larger than what lies between brake and gate: as if there were no brake. */
static void take_brakes_off(void)
{
	for (unsigned leg = 0; leg < 2; leg++)
		ck_assert_int_eq(setsockopt(inner[leg], SOL_SOCKET, SO_DETACH_BPF, &inner[leg],
					    sizeof(inner[leg])),
				 0);
}

START_TEST(what_cannot_be_passed_up_is_bounded_and_said_to_be_lost)
{
	struct sockmap_view view = {.lost = JOINT_KEPT};

	begin_joined();
	take_brakes_off();
	starve(inner[BACKEND]);
	send_until_blocked(CLIENT, UINT64_C(48) << 20);
	while (view.lost == JOINT_KEPT) {
		send_some(BACKEND, sizeof(buffer));
		ck_assert_msg(sent[BACKEND] < UINT64_C(400) << 20, "it queues without bound");
		sockmap_look(map, &joint, BACKEND, &view);
	}
	ck_assert(view.gated && view.lost == JOINT_OVERFULL);
	ck_assert_uint_gt(view.unread, JOINT_UNREAD);
	end();
}
END_TEST

START_TEST(a_gate_falls_even_if_only_one_backend_of_many_stalls)
{
	int other[2][2];

	begin_joined();
	connect_pair(other[0]);
	connect_pair(other[1]);
	for (unsigned i = 0; i < 20; i++) {
		struct sockmap_joint second;
		int fds[2] = {other[0][1], other[1][0]};
		char byte = 'x';

		if (i == 0)
			ck_assert_int_eq(sockmap_join(map, fds, &second), 0);
		ck_assert_int_eq(send(other[0][0], &byte, 1, 0), 1);
		ck_assert_int_eq(recv(other[1][1], &byte, 1, MSG_WAITALL), 1);
		if (i == 10)
			send_until_blocked(CLIENT, UINT64_C(48) << 20);
	}
	ck_assert(is_gated(CLIENT));
	drain_by_relay(CLIENT);
	for (unsigned i = 0; i < 2; i++) {
		close(other[i][0]);
		close(other[i][1]);
	}
	end();
}
END_TEST

static uint32_t queue_end(int fd, int queue)
{
	uint32_t seq = 0;
	socklen_t len = sizeof(seq);

	ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)), 0);
	ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, &len), 0);
	return seq;
}

/* A segment of the client's that it did not send, `back` bytes before what it sends next. */
static void inject(uint16_t back, uint16_t count)
{
	struct {
		uint32_t addresses[2];
		uint16_t protocol, len;
		struct tcphdr tcp;
		uint8_t data[400];
	} pseudo = {.protocol = htons(IPPROTO_TCP), .tcp = {.doff = 5, .ack = 1, .psh = 1}};
	struct sockaddr_in from, to;
	socklen_t len = sizeof(from);
	size_t size = sizeof(pseudo.tcp) + count;
	int on = 1, off = -1, raw = socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
	uint32_t sum = 0;

	ck_assert_uint_le(count, sizeof(pseudo.data));
	getsockname(ends[CLIENT], (struct sockaddr *)&from, &len);
	getpeername(ends[CLIENT], (struct sockaddr *)&to, &len);
	setsockopt(ends[CLIENT], IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on));
	pseudo.tcp.seq = htonl(queue_end(ends[CLIENT], TCP_SEND_QUEUE) - back);
	pseudo.tcp.ack_seq = htonl(queue_end(ends[CLIENT], TCP_RECV_QUEUE));
	setsockopt(ends[CLIENT], IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off));
	pseudo.tcp.source = from.sin_port;
	pseudo.tcp.dest = to.sin_port;
	pseudo.tcp.window = htons(1000);
	pseudo.addresses[0] = pseudo.addresses[1] = to.sin_addr.s_addr;
	pseudo.len = htons((uint16_t)size);
	for (uint16_t i = 0; i < count; i++)
		pseudo.data[i] = byte_at(sent[CLIENT] - back + i);
	for (size_t i = 0; i < sizeof(pseudo) / 2; i++)
		sum += ((const uint16_t *)&pseudo)[i];
	sum = (sum & 0xffff) + (sum >> 16);
	pseudo.tcp.check = (uint16_t) ~(sum + (sum >> 16));
	ck_assert_int_eq(sendto(raw, &pseudo.tcp, size, 0, (struct sockaddr *)&to, sizeof(to)),
			 (ssize_t)size);
	close(raw);
}

/* The kernel hands a verdict the whole of it, what was had before included. */
START_TEST(a_retransmission_that_overlaps_is_handed_on_once)
{
	struct sockmap_view view;

	begin_joined();
	exchange(CLIENT, 100);
	inject(50, 200);
	exchange(CLIENT, 1000); /* of which 150 are there already */
	exchange(BACKEND, 1000);
	inject(1, 400);
	exchange(CLIENT, 1000);
	exchange(CLIENT, 300000);
	sockmap_look(map, &joint, CLIENT, &view);
	ck_assert_uint_eq(view.passed, sent[CLIENT]);
	ck_assert(!view.lost && !view.gated);
	ck_assert(sockmap_is_through(map, &joint, CLIENT, inner[CLIENT], inner[BACKEND], false));
	expect_tidy_accounts();
	end();
}
END_TEST

START_TEST(a_reset_is_told)
{
	struct linger abort = {.l_onoff = 1, .l_linger = 0};

	begin_joined();
	exchange(CLIENT, 1000);
	setsockopt(ends[CLIENT], SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
	close(ends[CLIENT]);
	ends[CLIENT] = -1;
	await(inner[CLIENT], POLLERR);
	end();
}
END_TEST

START_TEST(a_peer_that_has_finished_is_refused_and_nothing_is_lost)
{
	unsigned leg = (unsigned)_i;
	char byte = 'x';

	begin();
	ck_assert_int_eq(send(ends[leg], &byte, 1, 0), 1);
	shutdown(ends[leg], SHUT_WR);
	await(inner[leg], POLLRDHUP);
	ck_assert_int_eq(sockmap_join(map, inner, &joint), -EOPNOTSUPP);
	ck_assert_int_eq(recv(inner[leg], &byte, 1, 0), 1);
	ck_assert_int_eq(recv(inner[leg], &byte, 1, 0), 0);
	ck_assert_int_eq(send(inner[leg], &byte, 1, 0), 1);
	ck_assert_int_eq(recv(ends[leg], &byte, 1, MSG_WAITALL), 1);
	for (unsigned i = 0; i < 2; i++) {
		close(ends[i]);
		close(inner[i]);
	}
}
END_TEST

START_TEST(slots_are_used_again_and_run_out)
{
	enum { JOINTS = 256 };
	static int fds[JOINTS][4];
	static struct sockmap_joint joints[JOINTS];

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < JOINTS; i++) {
			begin_joined();
			memcpy(fds[i], ends, sizeof(ends));
			memcpy(fds[i] + 2, inner, sizeof(inner));
			joints[i] = joint;
		}
		begin();
		ck_assert_int_eq(sockmap_join(map, inner, &joint), -ENOSPC);
		for (unsigned leg = 0; leg < 2; leg++) {
			close(ends[leg]);
			close(inner[leg]);
		}
		for (unsigned i = 0; i < JOINTS; i++) {
			for (unsigned j = 0; j < 4; j++)
				close(fds[i][j]);
			sockmap_part(map, &joints[i]);
		}
	}
	begin_joined();
	exchange(CLIENT, 1000);
	end();
}
END_TEST

START_TEST(this_kernel_passes_the_self_test)
{
	char problem[256] = "";

	ck_assert_msg(sockmap_test(map, problem, sizeof(problem)) == 0, "%s", problem);
}
END_TEST

START_TEST(kernels_known_to_lose_bytes_are_refused)
{
	static const struct {
		const char *release;
		int err;
	} cases[] = {{"5.10.234-1", -ENOTSUP},
		     {"5.15.0", -ENOTSUP},
		     {"6.1.189-amzn2023", -ENOTSUP},
		     {"6.6.100", -ENOTSUP},
		     {"6.12.110", -ENOTSUP},
		     {"6.12.111+deb13", 0},
		     {"6.14.0-1018-aws", -ENOTSUP},
		     {"6.18.15", 0},
		     {"7.2.0", 0},
		     {"nonsense", -ENOTSUP}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char problem[256] = "";

		ck_assert_msg(sockmap_judge_release(cases[i].release, problem, sizeof(problem)) ==
				      cases[i].err,
			      "%s", cases[i].release);
		ck_assert_int_eq(!cases[i].err, !problem[0]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xdp sockmap");
	TCase *tcase = tcase_create("joint");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, open_map, close_map);
	tcase_add_test(tcase, bytes_move_both_ways_without_a_reader_in_between);
	tcase_add_test(tcase, bytes_that_were_there_before_are_the_first);
	tcase_add_test(tcase, what_was_relayed_before_is_not_counted);
	tcase_add_test(tcase, a_fin_does_not_overtake_the_bytes_before_it);
	tcase_add_loop_test(tcase, a_stalled_reader_blocks_the_sender_and_has_every_byte_later, 0,
			    2);
	tcase_add_loop_test(tcase, a_way_goes_on_while_the_other_one_stands_still, 0, 2);
	tcase_add_loop_test(
		tcase, who_sends_while_neither_kernel_nor_user_space_has_a_cpu_is_braked, 0, 2);
	tcase_add_test(tcase, what_cannot_be_passed_up_is_bounded_and_said_to_be_lost);
	tcase_add_test(tcase, a_gate_falls_even_if_only_one_backend_of_many_stalls);
	tcase_add_test(tcase, a_retransmission_that_overlaps_is_handed_on_once);
	tcase_add_test(tcase, a_reset_is_told);
	tcase_add_loop_test(tcase, a_peer_that_has_finished_is_refused_and_nothing_is_lost, 0, 2);
	tcase_add_test(tcase, slots_are_used_again_and_run_out);
	tcase_add_test(tcase, this_kernel_passes_the_self_test);
	tcase_add_test(tcase, kernels_known_to_lose_bytes_are_refused);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
