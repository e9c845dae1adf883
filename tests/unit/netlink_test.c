/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking the kernel about real sockets on loopback. A handshake is kept half done without
 * privileges by TCP_DEFER_ACCEPT: the listener ignores the client's ACK until data comes.
 */
#include <check.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/addr.h"
#include "proxy/netlink.h"

#define HALF_OPEN 3

static struct addr parsed(const char *text)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse(text, &addr), 0);
	return addr;
}

static struct addr with_port(const char *text, uint16_t port)
{
	struct addr addr = parsed(text);

	addr.port = port;
	return addr;
}

/* A listener on `text`; the port that it got goes to `ret_port`. */
static int listen_on(const char *text, int v6_only, uint16_t *ret_port)
{
	struct addr addr = parsed(text);
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&addr, &sa);
	int fd = socket(addr.family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (addr.family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	len = sizeof(sa);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	addr_from_sockaddr((struct sockaddr *)&sa, len, &addr);
	*ret_port = addr.port;
	return fd;
}

static int connect_to(const char *text, uint16_t port)
{
	struct addr addr = with_port(text, port);
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&addr, &sa);
	int fd = socket(addr.family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

static unsigned syn_recv(const char *text, uint16_t port)
{
	struct addr addr = with_port(text, port);
	unsigned count = 999;

	ck_assert_int_eq(netlink_count_syn_recv(&addr, &count), 0);
	return count;
}

static const struct {
	const char *bind;
	const char *client; /* connects to this */
	const char *other;  /* an address that the clients did not connect to */
} half_open_cases[] = {
	{"127.0.0.1:0", "127.0.0.1:0", "127.0.0.2:0"},
	{"0.0.0.0:0", "127.0.0.3:0", "127.0.0.2:0"},
	{"[::1]:0", "[::1]:0", "[::2]:0"},
	{"[::]:0", "[::1]:0", "127.0.0.1:0"},
	{"[::]:0", "127.0.0.3:0", "[::1]:0"},
};

START_TEST(unfinished_handshakes_are_counted_until_they_finish)
{
	const char *bound = half_open_cases[_i].bind;
	const char *client = half_open_cases[_i].client;
	int clients[HALF_OPEN];
	int seconds = 60;
	uint16_t port;
	int listener = listen_on(bound, 0, &port);

	ck_assert_int_eq(
		setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)), 0);
	ck_assert_uint_eq(syn_recv(bound, port), 0);
	for (int i = 0; i < HALF_OPEN; i++)
		clients[i] = connect_to(client, port);
	ck_assert_uint_eq(syn_recv(bound, port), HALF_OPEN);
	ck_assert_uint_eq(syn_recv(client, port), HALF_OPEN);
	ck_assert_uint_eq(syn_recv("[::]:0", port), HALF_OPEN);
	ck_assert_uint_eq(syn_recv(half_open_cases[_i].other, port), 0);
	for (int i = 0; i < HALF_OPEN; i++) {
		ck_assert_int_eq(write(clients[i], "x", 1), 1);
		ck_assert_int_ge(accept(listener, NULL, NULL), 0);
		ck_assert_uint_eq(syn_recv(bound, port), (unsigned)(HALF_OPEN - 1 - i));
	}
}
END_TEST

START_TEST(another_port_is_not_counted)
{
	int seconds = 60;
	uint16_t port, other;
	int listener = listen_on("127.0.0.1:0", 0, &port);

	listen_on("127.0.0.1:0", 0, &other);
	ck_assert_int_eq(
		setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)), 0);
	connect_to("127.0.0.1:0", port);
	ck_assert_uint_eq(syn_recv("127.0.0.1:0", other), 0);
	ck_assert_uint_eq(syn_recv("127.0.0.1:0", port), 1);
}
END_TEST

struct walked {
	struct addr remote;
	unsigned count;
};

static void count_walked(const struct addr *remote, void *data)
{
	struct walked *walked = data;

	walked->count += addr_equal(remote, &walked->remote);
}

static unsigned towards(const char *text, uint16_t port)
{
	struct addr addr = with_port(text, port);
	struct walked walked = {.remote = addr_unmap(&addr)};
	struct netlink_walk *walk;
	int r;

	ck_assert_int_eq(netlink_walk_start(count_walked, &walked, &walk), 0);
	ck_assert_int_ge(netlink_walk_fd(walk), 0);
	do
		r = netlink_walk_step(walk);
	while (r > 0);
	ck_assert_int_eq(r, 0);
	netlink_walk_free(walk);
	return walked.count;
}

static void check_towards(const char *text, uint16_t port, unsigned count)
{
	ck_assert_uint_eq(towards(text, port), count);
}

/* On a port that nobody's earlier connection lingers towards in TIME_WAIT. */
static int listen_on_quiet_port(const char *text, uint16_t *ret_port)
{
	for (int tries = 0; tries < 1000; tries++) {
		int listener = listen_on(text, 0, ret_port);

		if (!towards(text, *ret_port))
			return listener;
		close(listener);
	}
	ck_abort_msg("connections linger towards every port");
}

/* The client's FIN first; once it has read the server's, it is in TIME_WAIT. */
static void finish(int client, int server)
{
	char byte;

	ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
	ck_assert_int_eq(read(server, &byte, 1), 0);
	ck_assert_int_eq(close(server), 0);
	ck_assert_int_eq(read(client, &byte, 1), 0);
}

/* With linger 0, close(2) sends RST and leaves nothing behind. */
static void reset(int fd)
{
	struct linger now = {.l_onoff = 1};

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	ck_assert_int_eq(close(fd), 0);
}

static const struct {
	const char *bind;
	const char *client;
	const char *other;
} towards_cases[] = {
	{"127.0.0.1:0", "127.0.0.1:0", "127.0.0.2:0"},
	{"[::1]:0", "[::1]:0", "[::2]:0"},
	{"127.0.0.1:0", "[::ffff:127.0.0.1]:0", "[::1]:0"},
};

START_TEST(walk_sees_each_socket_towards_a_target_until_its_port_is_free)
{
	const char *bound = towards_cases[_i].bind;
	int clients[4];
	int servers[4];
	uint16_t port;
	int listener = listen_on_quiet_port(bound, &port);

	for (int i = 0; i < 4; i++) {
		clients[i] = connect_to(towards_cases[_i].client, port);
		servers[i] = accept(listener, NULL, NULL);
		ck_assert_int_ge(servers[i], 0);
	}
	check_towards(bound, port, 4);
	check_towards(towards_cases[_i].client, port, 4);
	check_towards(towards_cases[_i].other, port, 0);
	finish(clients[0], servers[0]); /* TIME_WAIT holds the port too */
	check_towards(bound, port, 4);
	shutdown(clients[1], SHUT_WR);
	check_towards(bound, port, 4);
	reset(clients[2]);
	check_towards(bound, port, 3);
}
END_TEST

START_TEST(walk_may_be_left_half_way)
{
	struct walked walked = {0};
	struct netlink_walk *walk;

	ck_assert_int_eq(netlink_walk_start(count_walked, &walked, &walk), 0);
	ck_assert_int_eq(netlink_walk_step(walk), 1);
	netlink_walk_free(walk);
	netlink_walk_free(NULL);
}
END_TEST

static int inodes(const char *text, uint16_t port, struct netlink_listener *ret, size_t max)
{
	struct addr addr = with_port(text, port);

	return netlink_listen_inodes(&addr, ret, max);
}

START_TEST(listener_is_found_by_inode_and_user)
{
	struct netlink_listener found[4];
	struct stat st;
	uint16_t port;
	int listener = listen_on("127.0.0.1:0", 0, &port);

	ck_assert_int_eq(fstat(listener, &st), 0);
	ck_assert_int_eq(inodes("127.0.0.1:0", port, found, 4), 1);
	ck_assert_uint_eq(found[0].inode, st.st_ino);
	ck_assert_uint_eq(found[0].uid, geteuid());
	close(listener);
	ck_assert_int_eq(inodes("127.0.0.1:0", port, found, 4), 0);
}
END_TEST

START_TEST(only_listeners_that_collide_are_found)
{
	struct netlink_listener found[4];
	uint16_t v4, any_v4, any, only_v6;

	listen_on("127.0.0.1:0", 0, &v4);
	listen_on("0.0.0.0:0", 0, &any_v4);
	listen_on("[::]:0", 0, &any);
	listen_on("[::]:0", 1, &only_v6);

	ck_assert_int_eq(inodes("0.0.0.0:0", v4, found, 4), 1);
	ck_assert_int_eq(inodes("[::]:0", v4, found, 4), 1);
	ck_assert_int_eq(inodes("127.0.0.2:0", v4, found, 4), 0);
	ck_assert_int_eq(inodes("[::1]:0", v4, found, 4), 0);

	ck_assert_int_eq(inodes("127.0.0.2:0", any_v4, found, 4), 1);
	ck_assert_int_eq(inodes("[::1]:0", any_v4, found, 4), 0);

	ck_assert_int_eq(inodes("127.0.0.2:0", any, found, 4), 1);
	ck_assert_int_eq(inodes("[::1]:0", any, found, 4), 1);

	ck_assert_int_eq(inodes("127.0.0.2:0", only_v6, found, 4), 0);
	ck_assert_int_eq(inodes("0.0.0.0:0", only_v6, found, 4), 0);
	ck_assert_int_eq(inodes("[::1]:0", only_v6, found, 4), 1);
}
END_TEST

START_TEST(no_more_than_max_are_stored)
{
	struct netlink_listener found[2] = {{0}, {.inode = 77}};
	int on = 1;
	struct addr addr = parsed("127.0.0.1:0");

	for (int i = 0; i < 3; i++) {
		struct sockaddr_storage sa;
		socklen_t len = addr_to_sockaddr(&addr, &sa);
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, len), 0);
		ck_assert_int_eq(listen(fd, 1), 0);
		getsockname(fd, (struct sockaddr *)&sa, &len);
		addr_from_sockaddr((struct sockaddr *)&sa, len, &addr);
	}
	ck_assert_int_eq(netlink_listen_inodes(&addr, found, 1), 1);
	ck_assert_uint_eq(found[1].inode, 77);
}
END_TEST

/* listen_on() allows 16, and the kernel one more; it drops what comes then. */
START_TEST(accept_queue_is_measured_and_what_it_refused)
{
	struct netlink_queue queue;
	uint16_t port;
	int listener = listen_on("127.0.0.1:0", 0, &port);
	struct addr bound = with_port("127.0.0.1:0", port);
	int clients[20];

	for (int i = 0; i < 3; i++)
		clients[i] = connect_to("127.0.0.1:0", port);
	ck_assert_int_eq(netlink_listen_queue(&bound, &queue), 0);
	ck_assert_uint_eq(queue.sockets, 1);
	ck_assert_uint_eq(queue.depth, 3);
	ck_assert_uint_eq(queue.limit, 16);
	ck_assert_uint_eq(queue.drops, 0);
	for (int i = 3; i < 20; i++) {
		struct sockaddr_storage sa;
		socklen_t len = addr_to_sockaddr(&bound, &sa);

		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		ck_assert_int_eq(connect(clients[i], (struct sockaddr *)&sa, len), -1);
		ck_assert_int_eq(errno, EINPROGRESS);
	}
	ck_assert_int_eq(netlink_listen_queue(&bound, &queue), 0);
	ck_assert_uint_eq(queue.depth, 17);
	ck_assert_uint_ge(queue.drops, 1);
	for (int i = 0; i < 20; i++)
		close(clients[i]);
	close(listener);
	ck_assert_int_eq(netlink_listen_queue(&bound, &queue), 0);
	ck_assert_uint_eq(queue.sockets, 0);
}
END_TEST

START_TEST(unix_addresses_are_refused_and_results_untouched)
{
	struct addr addr = parsed("unix:/run/x.sock");
	struct netlink_listener found;
	unsigned one = 1;

	ck_assert_int_eq(netlink_count_syn_recv(&addr, &one), -EAFNOSUPPORT);
	ck_assert_int_eq(netlink_listen_inodes(&addr, &found, 1), -EAFNOSUPPORT);
	ck_assert_uint_eq(one, 1);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
	Suite *suite = suite_create("netlink");
	TCase *tcase = tcase_create("netlink");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tcase, unfinished_handshakes_are_counted_until_they_finish, 0,
			    COUNT(half_open_cases));
	tcase_add_test(tcase, another_port_is_not_counted);
	tcase_add_loop_test(tcase, walk_sees_each_socket_towards_a_target_until_its_port_is_free, 0,
			    COUNT(towards_cases));
	tcase_add_test(tcase, walk_may_be_left_half_way);
	tcase_add_test(tcase, listener_is_found_by_inode_and_user);
	tcase_add_test(tcase, only_listeners_that_collide_are_found);
	tcase_add_test(tcase, no_more_than_max_are_stored);
	tcase_add_test(tcase, accept_queue_is_measured_and_what_it_refused);
	tcase_add_test(tcase, unix_addresses_are_refused_and_results_untouched);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
