/* SPDX-License-Identifier: Apache-2.0
 *
 * What an accepted connection inherits, asked of accepted connections.
 */
/* link: -Wl,--wrap=setsockopt */
#include "proxy/listener_options.h"
#include "proxy/model.h"
#include "tests/unit/core_rig.h"

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);

static int refused_level, refused_name; /* the option that the kernel does not take */
static bool refuse_all;
static unsigned calls;

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	calls++;
	if (refuse_all || (level == refused_level && name == refused_name && name)) {
		errno = EPERM;
		return -1;
	}
	return __real_setsockopt(fd, level, name, value, len);
}

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	ck_assert_int_eq(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* A connection that a listener with these options accepted. */
static int accepted_with(const struct listener_conf *conf)
{
	int listener = listen_on("127.0.0.1:0", 1);
	struct addr addr = local_of(listener);
	const char *option = NULL;
	int client, fd;

	ck_assert_int_eq(listener_set_options(listener, conf, &option), 0);
	ck_assert_ptr_null(option);
	client = connect_to(&addr);
	fd = accept_from(listener);
	close(client);
	close(listener);
	return fd;
}

START_TEST(connection_inherits_everything_that_is_configured)
{
	char congestion[] = "reno", name[16] = "";
	struct listener_conf conf = {.bind = addr_of("127.0.0.1:0"),
				     .tcp = {.keepalive_idle_ms = 60000,
					     .keepalive_interval_ms = 10000,
					     .keepalive_count = 3,
					     .user_timeout_ms = 90000,
					     .send_buffer = 50000,
					     .receive_buffer = 60000,
					     .congestion = congestion}};
	int fd = accepted_with(&conf);

	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_OOBINLINE), 1);
	ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 10);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 90000);
	ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_SNDBUF), 100000);
	ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_RCVBUF), 120000);
	ck_assert_int_eq(
		getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &(socklen_t){sizeof(name)}), 0);
	ck_assert_str_eq(name, "reno");
	close(fd);
}
END_TEST

START_TEST(connection_inherits_only_the_basics_when_nothing_is_configured)
{
	struct listener_conf conf = {.bind = addr_of("127.0.0.1:0")};
	int fd = accepted_with(&conf);

	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_OOBINLINE), 1);
	ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	close(fd);
}
END_TEST

START_TEST(reload_can_turn_options_off_again)
{
	struct listener_conf conf = {.bind = addr_of("127.0.0.1:0"),
				     .tcp = {.keepalive_idle_ms = 60000,
					     .keepalive_interval_ms = 10000,
					     .keepalive_count = 3,
					     .user_timeout_ms = 90000,
					     .mss = 1400}};
	int listener = listen_on("127.0.0.1:0", 1);

	ck_assert_int_eq(listener_set_options(listener, &conf, NULL), 0);
	ck_assert_int_eq(option_of(listener, IPPROTO_TCP, TCP_MAXSEG), 1400);
	conf.tcp = (struct tcp_conf){0};
	ck_assert_int_eq(listener_set_options(listener, &conf, NULL), 0);
	ck_assert_int_eq(option_of(listener, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_eq(option_of(listener, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	ck_assert_int_ne(option_of(listener, IPPROTO_TCP, TCP_MAXSEG), 1400);
	close(listener);
}
END_TEST

START_TEST(unknown_congestion_control_is_named_and_the_rest_is_set)
{
	char congestion[] = "no_such_thing";
	struct listener_conf conf = {
		.bind = addr_of("127.0.0.1:0"),
		.tcp = {.congestion = congestion, .receive_buffer = 60000},
	};
	int listener = listen_on("127.0.0.1:0", 1);
	const char *option = NULL;

	ck_assert_int_eq(listener_set_options(listener, &conf, &option), -ENOENT);
	ck_assert_str_eq(option, "TCP_CONGESTION");
	ck_assert_int_eq(option_of(listener, SOL_SOCKET, SO_RCVBUF), 120000);
	ck_assert_int_eq(listener_set_options(listener, &conf, NULL), -ENOENT);
	close(listener);
}
END_TEST

START_TEST(first_of_several_refusals_is_the_one_that_is_named)
{
	char congestion[] = "no_such_thing";
	struct listener_conf conf = {.bind = addr_of("127.0.0.1:0"),
				     .tcp = {.congestion = congestion}};
	int listener = listen_on("127.0.0.1:0", 1);
	const char *option = NULL;

	refused_level = SOL_SOCKET;
	refused_name = SO_OOBINLINE;
	ck_assert_int_eq(listener_set_options(listener, &conf, &option), -EPERM);
	ck_assert_str_eq(option, "SO_OOBINLINE");
	refuse_all = true;
	ck_assert_int_eq(listener_set_options(listener, &conf, &option), -EPERM);
	ck_assert_str_eq(option, "TCP_NODELAY");
	close(listener);
}
END_TEST

START_TEST(fast_open_is_on_only_while_it_is_configured)
{
	struct listener_conf conf = {.bind = addr_of("127.0.0.1:0"), .tcp = {.fast_open = true}};
	int listener = listen_on("127.0.0.1:0", 1);

	ck_assert_int_eq(option_of(listener, IPPROTO_TCP, TCP_FASTOPEN), 0);
	ck_assert_int_eq(listener_set_options(listener, &conf, NULL), 0);
	ck_assert_int_gt(option_of(listener, IPPROTO_TCP, TCP_FASTOPEN), 0);
	conf.tcp.fast_open = false;
	ck_assert_int_eq(listener_set_options(listener, &conf, NULL), 0);
	ck_assert_int_eq(option_of(listener, IPPROTO_TCP, TCP_FASTOPEN), 0);
	close(listener);
}
END_TEST

START_TEST(unix_socket_gets_buffers_and_no_tcp_option)
{
	struct listener_conf conf = {.bind = addr_of("unix:/run/x.sock"),
				     .tcp = {.keepalive_idle_ms = 60000, .send_buffer = 50000}};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	calls = 0;
	ck_assert_int_eq(listener_set_options(fd, &conf, NULL), 0);
	ck_assert_uint_eq(calls, 1);
	ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_SNDBUF), 100000);
	close(fd);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		connection_inherits_everything_that_is_configured,
		connection_inherits_only_the_basics_when_nothing_is_configured,
		reload_can_turn_options_off_again,
		unknown_congestion_control_is_named_and_the_rest_is_set,
		first_of_several_refusals_is_the_one_that_is_named,
		fast_open_is_on_only_while_it_is_configured,
		unix_socket_gets_buffers_and_no_tcp_option,
	};

	return run_tests("listener_options", tests, COUNT(tests));
}
