/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel is owed before a flow is settled. Some tests have a real socket in the client
 * leg's place, in repair, with bytes that it believes to be under way: what is handed to the
 * program arrives at it, or does not.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/ipv6.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/unit/xdp_program_rig.h"

#define UNDER_WAY   300 /* bytes that the kernel sent itself */
#define PATIENCE_MS 20000

static struct segment begin(int round, unsigned leg)
{
	rig_session(round != 0, FLOW_KERNEL_PENDING | FLOW_TIMESTAMPS);
	return rig_segment(leg, round != 0);
}

/* --- without a socket: marks alone --- */

/* It goes up as it is, but stands where the kernel expects its sender. */
static void expect_ack_for_kernel(const struct segment *segment, uint32_t seq)
{
	struct segment wanted = *segment;
	struct frame in, out, moved;

	wanted.seq = seq;
	rig_build(&wanted, &moved);
	ck_assert_int_eq(rig_run_segment(HOOK_TC, segment, &in, &out), FATE_UP);
	ck_assert(rig_is_untouched(&moved, &out));
}

START_TEST(acknowledgements_up_to_the_mark_are_the_kernels)
{
	for (unsigned leg = 0; leg < 2; leg++) {
		struct segment segment = begin(_i, leg);
		uint32_t seq = rig_flows[leg].kernel_seq;

		rig_flows[leg].kernel_end += 100;
		segment.seq += 5000;
		segment.ack += 50;
		expect_ack_for_kernel(&segment, seq);
		rig_add_clock(&segment, 1, 2);
		segment.ack += 50;
		expect_ack_for_kernel(&segment, seq);
		ck_assert_uint_eq(rig_flows[leg].last_ack, segment.ack);
		segment.ack++;
		rig_flows[!leg].seq_end += 1;
		rig_expect_translated(HOOK_TC, &segment);
	}
	ck_assert_uint_eq(rig_counted(FLOW_COUNT_PASSED_ACKS), 4);
}
END_TEST

START_TEST(the_mark_may_lie_beyond_the_wrap)
{
	struct segment segment;

	rig_numbers.ours[CLIENT] = 0u - 20;
	rig_numbers.peer[CLIENT] = 0u - 5;
	segment = begin(_i, CLIENT);
	rig_flows[CLIENT].kernel_end += 100;
	segment.seq += 10;
	segment.ack += 90;
	expect_ack_for_kernel(&segment, rig_flows[CLIENT].kernel_seq);
	segment.ack += 20;
	rig_expect_translated(HOOK_TC, &segment);
}
END_TEST

START_TEST(data_is_never_the_kernels)
{
	static const uint8_t flags[] = {ACK | PSH, ACK | FIN, RST | ACK, RST};

	for (size_t i = 0; i < sizeof(flags); i++) {
		struct segment segment = begin(_i, BACKEND);

		rig_flows[BACKEND].kernel_end += 100;
		segment.flags = flags[i];
		segment.payload = i == 0 ? 1 : 0;
		rig_expect_translated(HOOK_TC, &segment);
	}
	ck_assert_uint_eq(rig_counted(FLOW_COUNT_COPIED_ACKS), 0);
}
END_TEST

START_TEST(a_clock_that_stands_still_is_shown_ahead_of_the_kernels)
{
	struct segment segment = begin(_i, CLIENT);
	struct flow before[2];
	struct frame in, out;

	rig_add_clock(&segment, rig_numbers.peer_clock[CLIENT], 0);
	rig_flows[CLIENT].kernel_clock = rig_numbers.our_clock[BACKEND] + 500;
	rig_copy(before);
	segment.payload = 5;
	ck_assert_int_eq(rig_run_segment(HOOK_TC, &segment, &in, &out), FATE_SENT);
	ck_assert_uint_eq(rig_flows[CLIENT].clock_sent, rig_flows[CLIENT].kernel_clock);
	ck_assert_uint_eq(rig_flows[CLIENT].tsval_delta, before[CLIENT].tsval_delta + 500);
	ck_assert_uint_eq(rig_flows[BACKEND].tsecr_delta, before[BACKEND].tsecr_delta - 500);
	/* Once: from there it goes on by itself. */
	segment.seq += 5;
	ck_assert_int_eq(rig_run_segment(HOOK_TC, &segment, &in, &out), FATE_SENT);
	ck_assert_uint_eq(rig_flows[CLIENT].tsval_delta, before[CLIENT].tsval_delta + 500);
	/* Nobody who guesses moves it. */
	rig_flows[CLIENT].kernel_clock += 1000;
	segment.seq += 1u << 31;
	ck_assert_int_eq(rig_run_segment(HOOK_TC, &segment, &in, &out), FATE_SENT);
	ck_assert_uint_eq(rig_flows[CLIENT].tsval_delta, before[CLIENT].tsval_delta + 500);
}
END_TEST

/* --- with one --- */

static int own_socket = -1;
static int wire = -1; /* hears what arrives on loopback */

static void must_do(int result)
{
	ck_assert_msg(result >= 0, "%s", strerror(errno));
}

/* All addresses of the rig are loopback's. */
static void make_network(bool ipv6)
{
	int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq link = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING};
	uint8_t address[16];

	must_do(fd);
	must_do(ioctl(fd, SIOCSIFFLAGS, &link));
	for (unsigned ours = 0; ours < 2; ours++) {
		struct in6_ifreq six = {.ifr6_prefixlen = 128, .ifr6_ifindex = 1};
		struct ifreq four = {.ifr_name = "lo"};
		struct sockaddr_in *sin = (struct sockaddr_in *)&four.ifr_addr;

		rig_address(CLIENT, ours, ipv6, address);
		memcpy(&six.ifr6_addr, address, 16);
		sin->sin_family = AF_INET;
		memcpy(&sin->sin_addr, address, 4);
		if (ipv6)
			must_do(ioctl(fd, SIOCSIFADDR, &six));
		else
			must_do(ioctl(fd, SIOCSIFADDR, &four)); /* with all of 10.0.0.0/8 */
	}
	close(fd);
}

static socklen_t write_end(bool ours, bool ipv6, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *four = (struct sockaddr_in *)ret;
	uint8_t address[16];

	memset(ret, 0, sizeof(*ret));
	rig_address(CLIENT, ours, ipv6, address);
	if (ipv6) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(rig_ports[CLIENT][ours]);
		memcpy(&six->sin6_addr, address, 16);
		return sizeof(*six);
	}
	four->sin_family = AF_INET;
	four->sin_port = htons(rig_ports[CLIENT][ours]);
	memcpy(&four->sin_addr, address, 4);
	return sizeof(*four);
}

static void set_tcp(int name, uint32_t value)
{
	must_do(setsockopt(own_socket, IPPROTO_TCP, name, &value, sizeof(value)));
}

static void make_socket(bool ipv6)
{
	static const uint8_t bytes[UNDER_WAY];
	struct sockaddr_storage end;
	socklen_t len = write_end(true, ipv6, &end);

	own_socket = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must_do(own_socket);
	set_tcp(TCP_REPAIR, TCP_REPAIR_ON);
	set_tcp(TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
	set_tcp(TCP_QUEUE_SEQ, rig_numbers.ours[CLIENT]);
	set_tcp(TCP_REPAIR_QUEUE, TCP_RECV_QUEUE);
	set_tcp(TCP_QUEUE_SEQ, rig_numbers.peer[CLIENT]);
	/* A new address of IPv6 is not to be used at once. */
	for (unsigned ms = 0; bind(own_socket, (struct sockaddr *)&end, len); ms++) {
		ck_assert_msg(errno == EADDRNOTAVAIL && ms < PATIENCE_MS, "%s", strerror(errno));
		poll(NULL, 0, 1);
	}
	len = write_end(false, ipv6, &end);
	must_do(connect(own_socket, (struct sockaddr *)&end, len));
	set_tcp(TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
	ck_assert_int_eq(send(own_socket, bytes, sizeof(bytes), 0), sizeof(bytes));
}

static void setup(void)
{
	struct sockaddr_ll all = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = 1};

	rig_setup();
	rig_usual_numbers();
	must_do(unshare(CLONE_NEWNET));
	for (unsigned ipv6 = 0; ipv6 < 2; ipv6++)
		make_network(ipv6 != 0);
	wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	must_do(wire);
	must_do(bind(wire, (struct sockaddr *)&all, sizeof(all)));
}

static struct segment begin_with_socket(int round)
{
	struct segment segment = begin(round, CLIENT);

	make_socket(round != 0);
	segment.ack += UNDER_WAY;
	return segment;
}

static int unacknowledged(void)
{
	int bytes = -1;

	must_do(ioctl(own_socket, SIOCOUTQ, &bytes));
	return bytes;
}

static void expect_acknowledged(void)
{
	struct pollfd none = {.fd = -1};

	for (unsigned ms = 0; ms < PATIENCE_MS && unacknowledged(); ms++)
		poll(&none, 1, 1);
	ck_assert_int_eq(unacknowledged(), 0);
}

/* Of the tuple's own packets that arrived, the first. */
static void hear(struct frame *ret)
{
	struct pollfd incoming = {.fd = wire, .events = POLLIN};
	struct reference_frame layout;

	for (;;) {
		ssize_t got;

		ck_assert_int_eq(poll(&incoming, 1, PATIENCE_MS), 1);
		got = recv(wire, ret->bytes, sizeof(ret->bytes), 0);
		must_do((int)got);
		ret->length = (size_t)got;
		if (reference_parse(ret->bytes, ret->length, &layout) &&
		    read16(ret->bytes + layout.tcp) == rig_ports[CLIENT][0])
			return;
	}
}

/* A pure acknowledgement, whatever is behind it. */
static void expect_copy(const struct segment *of, uint32_t ack)
{
	struct segment wanted = *of;
	struct frame heard, plain;

	wanted.payload = 0;
	wanted.flags = ACK;
	wanted.ack = ack;
	rig_build(&wanted, &plain);
	hear(&heard);
	ck_assert_uint_ge(heard.length, plain.length);
	ck_assert_int_eq(memcmp(heard.bytes + 12, plain.bytes + 12, plain.length - 12), 0);
}

START_TEST(a_mark_that_is_old_is_raised_to_where_the_socket_is)
{
	struct segment segment = begin_with_socket(_i);

	segment.seq += 9000;
	expect_ack_for_kernel(&segment, rig_numbers.peer[CLIENT]);
	ck_assert_uint_eq(rig_flows[CLIENT].kernel_end, rig_numbers.ours[CLIENT] + UNDER_WAY);
	ck_assert_uint_eq(rig_counted(FLOW_COUNT_COPIED_ACKS), 0);
}
END_TEST

/* The kernel raises snd_nxt after it has sent: an acknowledgement may come before. */
START_TEST(what_the_kernel_has_yet_to_send_is_its_own_too)
{
	struct segment segment = begin_with_socket(_i);
	static const uint8_t bytes[100];

	set_tcp(TCP_REPAIR, (uint32_t)TCP_REPAIR_OFF_NO_WP);
	ck_assert_int_eq(send(own_socket, bytes, sizeof(bytes), MSG_DONTWAIT), sizeof(bytes));
	segment.ack += sizeof(bytes);
	expect_ack_for_kernel(&segment, rig_numbers.peer[CLIENT]);
	ck_assert_uint_eq(rig_flows[CLIENT].kernel_end, segment.ack);
}
END_TEST

START_TEST(what_the_kernel_has_it_acknowledges_itself)
{
	struct segment segment = begin_with_socket(_i & 1);

	segment.flags |= _i & 2 ? FIN : PSH;
	segment.payload = _i & 2 ? 0 : 10;
	segment.seq -= _i & 2 ? 1 : 10;
	rig_flows[BACKEND].told_ack = segment.seq + rig_flows[CLIENT].seq_delta;
	rig_expect(HOOK_TC, &segment, FATE_UP);
	/* Unless the other peer said that he has it. */
	rig_flows[BACKEND].told_ack += 10;
	rig_expect_translated(HOOK_TC, &segment);
}
END_TEST

START_TEST(what_the_kernel_has_in_part_goes_on)
{
	struct segment segment = begin_with_socket(_i);

	segment.payload = 10;
	segment.seq -= 9;
	rig_expect_translated(HOOK_TC, &segment);
}
END_TEST

START_TEST(what_carries_data_as_well_goes_on_and_a_copy_goes_to_the_kernel)
{
	struct segment segment = begin_with_socket(_i & 1);

	if (_i & 2)
		rig_run_flags = TEST_CHECKSUM_COMPLETE;
	if (_i & 4)
		rig_add_clock(&segment, rig_numbers.peer_clock[CLIENT], 0);
	segment.flags |= PSH;
	segment.payload = 701;
	rig_expect_translated(HOOK_TC, &segment);
	ck_assert_uint_eq(rig_counted(FLOW_COUNT_COPIED_ACKS), 1);
	expect_copy(&segment, rig_numbers.ours[CLIENT] + UNDER_WAY);
	expect_acknowledged();
	/* Once is enough. */
	segment.seq += 701;
	rig_expect_translated(HOOK_TC, &segment);
	ck_assert_uint_eq(rig_counted(FLOW_COUNT_COPIED_ACKS), 1);
}
END_TEST

START_TEST(what_acknowledges_more_than_is_the_kernels_does_both)
{
	struct segment segment = begin_with_socket(_i);

	rig_flows[BACKEND].seq_end += UNDER_WAY + 5000;
	segment.ack += 5000;
	rig_expect_translated(HOOK_TC, &segment);
	ck_assert_uint_eq(rig_flows[CLIENT].told_ack, segment.ack);
	expect_copy(&segment, rig_numbers.ours[CLIENT] + UNDER_WAY);
	expect_acknowledged();
}
END_TEST

START_TEST(a_window_that_opens_is_told_as_well)
{
	struct segment segment = begin_with_socket(_i);

	segment.ack = rig_numbers.ours[CLIENT];
	segment.payload = 10;
	rig_flows[CLIENT].last_window = (uint32_t)segment.window << rig_numbers.peer_shift[CLIENT];
	rig_expect_translated(HOOK_TC, &segment);
	ck_assert_uint_eq(rig_counted(FLOW_COUNT_COPIED_ACKS), 0);
	segment.seq += 10;
	segment.window++;
	rig_expect_translated(HOOK_TC, &segment);
	ck_assert_uint_eq(rig_counted(FLOW_COUNT_COPIED_ACKS), 1);
	expect_copy(&segment, segment.ack);
}
END_TEST

START_TEST(who_has_to_guess_tells_the_kernel_nothing)
{
	struct segment segment = begin_with_socket(_i);

	segment.payload = 10;
	segment.seq += 1u << 31;
	rig_expect_translated(HOOK_TC, &segment);
	segment = rig_segment(CLIENT, _i != 0);
	segment.flags = RST | ACK;
	segment.ack += UNDER_WAY;
	rig_expect_translated(HOOK_TC, &segment);
	ck_assert_uint_eq(rig_counted(FLOW_COUNT_COPIED_ACKS), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_loop_test(tcase, acknowledgements_up_to_the_mark_are_the_kernels, 0, 2);
	tcase_add_loop_test(tcase, the_mark_may_lie_beyond_the_wrap, 0, 2);
	tcase_add_loop_test(tcase, data_is_never_the_kernels, 0, 2);
	tcase_add_loop_test(tcase, a_clock_that_stands_still_is_shown_ahead_of_the_kernels, 0, 2);
	tcase_add_loop_test(tcase, a_mark_that_is_old_is_raised_to_where_the_socket_is, 0, 2);
	tcase_add_loop_test(tcase, what_the_kernel_has_yet_to_send_is_its_own_too, 0, 2);
	tcase_add_loop_test(tcase, what_the_kernel_has_it_acknowledges_itself, 0, 4);
	tcase_add_loop_test(tcase, what_the_kernel_has_in_part_goes_on, 0, 2);
	tcase_add_loop_test(tcase, what_carries_data_as_well_goes_on_and_a_copy_goes_to_the_kernel,
			    0, 8);
	tcase_add_loop_test(tcase, what_acknowledges_more_than_is_the_kernels_does_both, 0, 2);
	tcase_add_loop_test(tcase, a_window_that_opens_is_told_as_well, 0, 2);
	tcase_add_loop_test(tcase, who_has_to_guess_tells_the_kernel_nothing, 0, 2);
}

int main(void)
{
	return rig_main_with("xdp_program_kernel", add, setup);
}
