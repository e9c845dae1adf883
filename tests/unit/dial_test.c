/* SPDX-License-Identifier: Apache-2.0
 *
 * Connect attempts: what the socket comes with, whose port it has, and that nothing is left behind
 * by one that fails. Kernels before 6.3 are played by refusing IP_LOCAL_PORT_RANGE.
 */
/* link: -Wl,--wrap=setsockopt,--wrap=connect,--wrap=socket */
#include "proxy/dial.h"
#include "proxy/model.h"
#include "proxy/ports.h"
#include "tests/unit/core_rig.h"

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __real_connect(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len);
int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);

static bool old_kernel, no_socket;
static int connect_errno, connects;
static unsigned ranges_set;

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	if (level == IPPROTO_IP && name == IP_LOCAL_PORT_RANGE) {
		ranges_set++;
		if (old_kernel) {
			errno = ENOPROTOOPT;
			return -1;
		}
	}
	return __real_setsockopt(fd, level, name, value, len);
}

int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	connects++;
	if (connect_errno) {
		errno = connect_errno;
		return -1;
	}
	return __real_connect(fd, sa, len);
}

int __wrap_socket(int domain, int type, int protocol)
{
	if (no_socket) {
		errno = EMFILE;
		return -1;
	}
	return __real_socket(domain, type, protocol);
}

static struct tcp_conf tcp;
static struct ports *ports;
static struct addr to;
static int listener, before_fds;

/* A backend, and the ports `low` to `high` to reach it from. */
static void open_backend(const char *host, uint16_t low, uint16_t high)
{
	listener = listen_on(host, 64);
	to = local_of(listener);
	ports = ports_new(0, 1);
	ports_set_range(ports, low, high);
	before_fds = open_fds();
}

static void close_backend(void)
{
	ck_assert_int_eq(open_fds(), before_fds);
	ports_free(ports);
	close(listener);
}

/* `count` ports that are free now; nobody else takes them but by chance. They must be within the
 * host's own range, or IP_LOCAL_PORT_RANGE means nothing. */
static uint16_t free_range(uint16_t count)
{
	unsigned first = 0, last = 0;
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "r");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%u %u", &first, &last), 2);
	fclose(file);
	for (unsigned low = first; low + count <= last; low++) {
		unsigned i;

		for (i = 0; i < count; i++) {
			struct sockaddr_in in = {.sin_family = AF_INET,
						 .sin_port = htons((uint16_t)(low + i))};
			int fd = socket(AF_INET, SOCK_STREAM, 0);
			int err = bind(fd, (struct sockaddr *)&in, sizeof(in));

			close(fd);
			if (err)
				break;
		}
		if (i == count)
			return (uint16_t)low;
	}
	ck_abort_msg("no free ports");
}

static int dial(uint32_t inflight, int *ret_fd, struct port_lease *ret_lease)
{
	struct dial_request request = {.to = &to, .tcp = &tcp, .inflight = inflight};

	return dial_start(&request, ports, ret_fd, ret_lease);
}

static void expect_connected(int fd)
{
	wait_for_events(fd, POLLOUT);
	ck_assert_int_eq(dial_error(fd), 0);
}

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	ck_assert_int_eq(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

START_TEST(dialed_socket_is_non_blocking_close_on_exec_and_prompt)
{
	struct port_lease lease;
	int fd;

	open_backend("127.0.0.1:0", 32768, 60999);
	ck_assert_int_eq(dial(0, &fd, &lease), 0);
	ck_assert_ptr_null(lease.queue);
	expect_connected(fd);
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_OOBINLINE), 1);
	close(fd);
	close_backend();
}
END_TEST

START_TEST(configured_buffers_and_congestion_control_are_set)
{
	struct port_lease lease;
	char congestion[] = "reno", name[16] = "";
	int fd;

	open_backend("127.0.0.1:0", 32768, 60999);
	tcp = (struct tcp_conf){
		.send_buffer = 50000, .receive_buffer = 60000, .congestion = congestion};
	ck_assert_int_eq(dial(0, &fd, &lease), 0);
	ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_SNDBUF), 100000);
	ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_RCVBUF), 120000);
	ck_assert_int_eq(
		getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &(socklen_t){sizeof(name)}), 0);
	ck_assert_str_eq(name, "reno");
	close(fd);
	close_backend();
}
END_TEST

/* What the other leg takes and what is configured; of a connection the kernel tells what is left
 * beside its timestamps. */
START_TEST(the_lower_mss_is_set)
{
	static const struct {
		uint16_t wanted, configured, lower;
	} cases[] = {{0, 1400, 1400}, {9000, 1400, 1400}, {1200, 1400, 1200}, {1200, 0, 1200}};
	struct port_lease lease;

	open_backend("127.0.0.1:0", 32768, 60999);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dial_request request = {.to = &to, .tcp = &tcp, .mss = cases[i].wanted};
		int fd, mss;

		tcp.mss = cases[i].configured;
		ck_assert_int_eq(dial_start(&request, ports, &fd, &lease), 0);
		expect_connected(fd);
		mss = option_of(fd, IPPROTO_TCP, TCP_MAXSEG);
		ck_assert_int_le(mss, cases[i].lower);
		ck_assert_int_ge(mss, cases[i].lower - 12);
		close(fd);
	}
	close_backend();
}
END_TEST

START_TEST(fast_open_is_set_when_asked_for)
{
	struct dial_request request = {.to = &to, .tcp = &tcp};
	struct port_lease lease;
	int fd;

	open_backend("127.0.0.1:0", 32768, 60999);
	ck_assert_int_eq(dial_start(&request, ports, &fd, &lease), 0);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT), 0);
	close(fd);
	request.fast_open = true;
	ck_assert_int_eq(dial_start(&request, ports, &fd, &lease), 0);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT), 1);
	close(fd);
	close_backend();
}
END_TEST

START_TEST(keepalive_and_user_timeout_are_set_when_asked_for)
{
	struct port_lease lease;
	int fd;

	open_backend("127.0.0.1:0", 32768, 60999);
	ck_assert_int_eq(dial(0, &fd, &lease), 0);
	dial_keepalive(fd, &(struct tcp_conf){0});
	ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	dial_keepalive(fd, &(struct tcp_conf){.keepalive_idle_ms = 60000,
					      .keepalive_interval_ms = 10000,
					      .keepalive_count = 3,
					      .user_timeout_ms = 90000});
	ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 10);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 90000);
	close(fd);
	close_backend();
}
END_TEST

START_TEST(source_address_is_used)
{
	struct addr from = addr_of("127.0.0.77:0"), local;
	struct dial_request request = {.to = &to, .from = &from, .tcp = &tcp};
	struct port_lease lease;
	int fd;

	open_backend("127.0.0.1:0", 32768, 60999);
	ck_assert_int_eq(dial_start(&request, ports, &fd, &lease), 0);
	expect_connected(fd);
	local = local_of(fd);
	local.port = 0;
	ck_assert(addr_equal(&local, &from));
	close(fd);
	close_backend();
}
END_TEST

START_TEST(source_address_that_is_not_ours_is_an_error_that_leaves_nothing)
{
	struct addr from = addr_of("192.0.2.1:0");
	struct dial_request request = {.to = &to, .from = &from, .tcp = &tcp};
	struct port_lease lease;
	int fd;

	open_backend("127.0.0.1:0", 32768, 60999);
	ck_assert_int_eq(dial_start(&request, ports, &fd, &lease), -EADDRNOTAVAIL);
	close_backend();
}
END_TEST

START_TEST(without_an_fd_the_error_says_so)
{
	struct port_lease lease;
	int fd;

	open_backend("127.0.0.1:0", 32768, 60999);
	no_socket = true;
	ck_assert_int_eq(dial(0, &fd, &lease), -EMFILE);
	no_socket = false;
	close_backend();
}
END_TEST

/* Dial with a queue of its own ports, from wherever `from` says. */
static void check_ports_in_order(const struct addr *from)
{
	uint16_t low = free_range(4);
	struct dial_request request = {.to = &to, .from = from, .tcp = &tcp, .inflight = 1000};
	struct port_lease leases[4];
	int fds[4];

	ports_set_range(ports, low, (uint16_t)(low + 3));
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(dial_start(&request, ports, &fds[i], &leases[i]), 0);
		ck_assert_ptr_nonnull(leases[i].queue);
		ck_assert_uint_eq(leases[i].port, low + i);
		expect_connected(fds[i]);
		ck_assert_uint_eq(local_of(fds[i]).port, low + i);
	}
	for (int i = 0; i < 4; i++) {
		close_hard(fds[i]);
		ports_give_back(&leases[i]);
	}
}

START_TEST(busy_target_gets_the_ports_of_the_queue_in_order)
{
	struct addr from = addr_of("127.0.0.77:0");

	open_backend("127.0.0.1:0", 32768, 60999);
	check_ports_in_order(NULL);
	check_ports_in_order(&from);
	ck_assert_uint_eq(ranges_set, 8);
	close_backend();
}
END_TEST

START_TEST(older_kernel_gets_the_same_ports_by_bind)
{
	struct addr from = addr_of("127.0.0.77:0");

	old_kernel = true;
	open_backend("127.0.0.1:0", 32768, 60999);
	check_ports_in_order(NULL);
	check_ports_in_order(&from);
	ck_assert_uint_eq(ranges_set, 1); /* asked once in all */
	close_backend();
}
END_TEST

START_TEST(queue_serves_ipv6_targets_as_well)
{
	struct port_lease lease;
	uint16_t low = free_range(4);
	int fd;

	open_backend("[::1]:0", low, (uint16_t)(low + 3));
	ck_assert_int_eq(dial(1000, &fd, &lease), 0);
	expect_connected(fd);
	ck_assert_uint_eq(local_of(fd).port, low);
	close(fd);
	ports_give_back(&lease);
	close_backend();
}
END_TEST

/* Connect by hand from `port`, so that it is taken towards the backend. */
static int occupy(uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&to, &sa);
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(__real_connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

static void check_taken_ports_are_skipped(void)
{
	uint16_t low = free_range(4);
	struct port_lease lease, next;
	int taken[2], fd, next_fd;

	ports_set_range(ports, low, (uint16_t)(low + 3));
	taken[0] = occupy(low);
	taken[1] = occupy((uint16_t)(low + 1));
	ck_assert_int_eq(dial(1000, &fd, &lease), 0);
	ck_assert_uint_eq(lease.port, low + 2);
	expect_connected(fd);
	/* The two are set aside. */
	ck_assert_int_eq(dial(1000, &next_fd, &next), 0);
	ck_assert_uint_eq(next.port, low + 3);
	ck_assert_uint_eq(ports_left(&next), 0);
	close_hard(fd);
	close_hard(next_fd);
	ports_give_back(&lease);
	ports_give_back(&next);
	close(taken[0]);
	close(taken[1]);
}

START_TEST(ports_that_are_taken_are_skipped)
{
	open_backend("127.0.0.1:0", 32768, 60999);
	check_taken_ports_are_skipped();
	close_backend();
}
END_TEST

START_TEST(older_kernel_skips_taken_ports_as_well)
{
	old_kernel = true;
	open_backend("127.0.0.1:0", 32768, 60999);
	check_taken_ports_are_skipped();
	close_backend();
}
END_TEST

START_TEST(after_a_bounded_number_of_tries_the_kernel_may_search)
{
	struct port_lease lease = {0};
	int fd;

	open_backend("127.0.0.1:0", 40000, 40999);
	connect_errno = EADDRNOTAVAIL;
	ck_assert_int_eq(dial(1000, &fd, &lease), -EADDRNOTAVAIL);
	ck_assert_int_eq(connects, 17);
	ck_assert_uint_eq(ranges_set, 16); /* not for the last */
	ck_assert_ptr_null(lease.queue);
	connect_errno = 0;
	ck_assert_int_eq(dial(1000, &fd, &lease), 0);
	ck_assert_uint_eq(lease.port, 40016);
	ck_assert_uint_eq(ports_left(&lease), 983);
	close(fd);
	ports_give_back(&lease);
	close_backend();
}
END_TEST

START_TEST(kernel_that_finds_no_port_is_not_asked_again)
{
	struct port_lease lease;
	int fd;

	open_backend("127.0.0.1:0", 32768, 60999);
	connect_errno = EADDRNOTAVAIL;
	ck_assert_int_eq(dial(0, &fd, &lease), -EADDRNOTAVAIL);
	ck_assert_int_eq(connects, 1);
	close_backend();
}
END_TEST

START_TEST(other_failure_of_connect_gives_the_port_back)
{
	struct port_lease lease = {0};
	int fd;

	open_backend("127.0.0.1:0", 40000, 40999);
	connect_errno = ENETUNREACH;
	ck_assert_int_eq(dial(1000, &fd, &lease), -ENETUNREACH);
	ck_assert_int_eq(connects, 1);
	connect_errno = 0;
	ck_assert_int_eq(dial(1000, &fd, &lease), 0);
	ck_assert_uint_eq(ports_left(&lease), 999);
	close(fd);
	ports_give_back(&lease);
	close_backend();
}
END_TEST

START_TEST(refused_connection_is_read_once)
{
	struct port_lease lease;
	int fd;

	open_backend("127.0.0.1:0", 32768, 60999);
	shutdown(listener, SHUT_RDWR); /* the port stays ours, nobody listens */
	ck_assert_int_eq(dial(0, &fd, &lease), 0);
	wait_for_events(fd, POLLOUT);
	ck_assert_int_eq(dial_error(fd), ECONNREFUSED);
	ck_assert_int_eq(dial_error(fd), 0);
	close(fd);
	close_backend();
}
END_TEST

START_TEST(unix_target_is_dialed_without_a_port)
{
	char path[64], text[80];
	struct sockaddr_storage sa;
	struct port_lease lease;
	socklen_t len;
	int fd;

	snprintf(path, sizeof(path), "/tmp/sluice-dial-%d.sock", (int)getpid());
	snprintf(text, sizeof(text), "unix:%s", path);
	unlink(path);
	to = addr_of(text);
	len = addr_to_sockaddr(&to, &sa);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ports = ports_new(0, 1);
	before_fds = open_fds();
	ck_assert_int_eq(dial(UINT32_MAX, &fd, &lease), 0);
	ck_assert_ptr_null(lease.queue);
	expect_connected(fd);
	close(fd);
	unlink(path);
	ck_assert_int_eq(dial(0, &fd, &lease), -ENOENT);
	close_backend();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		dialed_socket_is_non_blocking_close_on_exec_and_prompt,
		configured_buffers_and_congestion_control_are_set,
		the_lower_mss_is_set,
		fast_open_is_set_when_asked_for,
		keepalive_and_user_timeout_are_set_when_asked_for,
		source_address_is_used,
		source_address_that_is_not_ours_is_an_error_that_leaves_nothing,
		without_an_fd_the_error_says_so,
		busy_target_gets_the_ports_of_the_queue_in_order,
		older_kernel_gets_the_same_ports_by_bind,
		queue_serves_ipv6_targets_as_well,
		ports_that_are_taken_are_skipped,
		older_kernel_skips_taken_ports_as_well,
		after_a_bounded_number_of_tries_the_kernel_may_search,
		kernel_that_finds_no_port_is_not_asked_again,
		other_failure_of_connect_gives_the_port_back,
		refused_connection_is_read_once,
		unix_target_is_dialed_without_a_port,
	};

	return run_tests("dial", tests, COUNT(tests));
}
