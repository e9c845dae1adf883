/* SPDX-License-Identifier: Apache-2.0
 *
 * The schedule: when which target is checked, in a time that jumps from one timer to the next as
 * long as no check is under way, and what is reported.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=connect,--wrap=socket */
#define RIG_CLOCK
#include <sys/eventfd.h>

#include "proxy/health/checker.h"
#include "tests/unit/health_rig.h"

#define STARTS_MAX 1000
#define HOUR_MS    3600000
#define HOST       "127.0.0.77" /* where nobody else is */
#define HOST_BITS  0x7f00004d
#define TIME_WAIT  6 /* TCP_TIME_WAIT of netinet/tcp.h, which fights linux/tcp.h */

int __real_connect(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len);
int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);

static struct {
	struct checker checker;
	struct reports reports;
	struct health_conf conf;
	struct health_job jobs[200];
	struct health_report report; /* the last one taken */
	unsigned reported;
	uint64_t starts_ms[STARTS_MAX]; /* when each check began */
	uint32_t last_host;             /* that was connected to */
	unsigned starts;
	unsigned most_under_way;
	int listener;
	int fds_before;
	bool no_fd;
	unsigned refusals; /* of a descriptor */
	int connect_error;
} rig;

int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	if (rig.starts < STARTS_MAX)
		rig.starts_ms[rig.starts] = rig_now_ms;
	rig.starts++;
	if (rig.connect_error) {
		errno = rig.connect_error;
		return -1;
	}
	rig.last_host = ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr);
	return __real_connect(fd, sa, len);
}

int __wrap_socket(int domain, int type, int protocol)
{
	if (rig.no_fd) {
		rig.refusals++;
		errno = EMFILE;
		return -1;
	}
	return __real_socket(domain, type, protocol);
}

static void prepare(unsigned max_checks)
{
	log_set_level(LOG_ERROR);
	rig.fds_before = open_fds();
	rig.listener = listen_on(HOST ":0", 1024);
	fcntl(rig.listener, F_SETFL, O_NONBLOCK);
	rig.conf = health_conf_of(HEALTH_TCP);
	rig.conf.interval_ms = 10000;
	for (size_t i = 0; i < COUNT(rig.jobs); i++)
		rig.jobs[i] = (struct health_job){.key = 100 + i,
						  .addr = local_of(rig.listener),
						  .conf = &rig.conf,
						  .status = HEALTH_UNKNOWN};
	reports_init(&rig.reports, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	ck_assert_int_eq(checker_init(&rig.checker, &rig.reports, max_checks), 0);
}

static void set(size_t count)
{
	struct subject_table table;

	ck_assert_int_eq(subject_table_init(&table, rig.jobs, count), 0);
	checker_set(&rig.checker, &table);
	ck_assert_uint_eq(rig.checker.table.count, count);
}

static void finish(void)
{
	checker_fini(&rig.checker);
	ck_assert_uint_eq(rig.checker.under_way, 0);
	ck_assert_uint_eq(reports_take(&rig.reports, &rig.report, 1), 0);
	close(rig.reports.wake_fd);
	reports_fini(&rig.reports);
	if (rig.listener >= 0)
		close(rig.listener);
	ck_assert_int_eq(open_fds(), rig.fds_before);
}

/* Close what was accepted, so that no queue fills. */
static void accept_all(void)
{
	int fd;

	while (rig.listener >= 0 && (fd = accept4(rig.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
}

static void turn(void)
{
	rig_jump = !rig.checker.under_way;
	loop_turn(&rig.checker.loop);
	if (rig.checker.under_way > rig.most_under_way)
		rig.most_under_way = rig.checker.under_way;
	accept_all();
	while (reports_take(&rig.reports, &rig.report, 1))
		rig.reported++;
}

/* Until so many checks have begun since the start, and those are over. */
static void run_until(unsigned starts)
{
	while (rig.starts < starts || rig.checker.under_way)
		turn();
}

static void run_for(uint64_t ms)
{
	uint64_t end_ms = rig_now_ms + ms;

	while (rig_now_ms < end_ms)
		turn();
}

static uint64_t gap_ms(unsigned start)
{
	return rig.starts_ms[start] - rig.starts_ms[start - 1];
}

/* From now on nobody listens. */
static void kill_server(void)
{
	accept_all();
	close(rig.listener);
	rig.listener = -1;
}

static void restart_server(void)
{
	char text[32];

	snprintf(text, sizeof(text), HOST ":%u", rig.jobs[0].addr.port);
	rig.listener = listen_on(text, 1024);
	fcntl(rig.listener, F_SETFL, O_NONBLOCK);
}

START_TEST(new_targets_are_spread_over_their_fast_interval)
{
	uint64_t began_ms = rig_now_ms;

	prepare(100);
	set(10);
	run_until(10);
	for (unsigned i = 0; i < 10; i++) {
		uint64_t due_ms = began_ms + i * 50;

		ck_assert_uint_eq(rig.starts_ms[i], i ? due_ms : due_ms + 1);
	}
	ck_assert_uint_eq(rig.reported, 10);
	finish();
}
END_TEST

START_TEST(settled_target_is_checked_at_the_slow_interval)
{
	prepare(100);
	set(1);
	run_until(6);
	for (unsigned i = 1; i < 6; i++)
		ck_assert_uint_eq(gap_ms(i), 10000);
	ck_assert_int_eq(rig.report.status, HEALTH_UP);
	ck_assert_str_eq(rig.report.text, "connected");
	ck_assert_uint_eq(rig.report.key, 100);
	finish();
}
END_TEST

START_TEST(changing_and_down_targets_are_checked_at_the_fast_interval)
{
	prepare(100);
	set(1);
	run_until(1);
	kill_server();
	run_until(6);
	ck_assert_uint_eq(gap_ms(1), 10000);
	for (unsigned i = 2; i < 6; i++)
		ck_assert_uint_eq(gap_ms(i), 500);
	ck_assert_int_eq(rig.report.status, HEALTH_DOWN);
	ck_assert_str_eq(rig.report.text, "connect refused");
	restart_server();
	run_until(9);
	ck_assert_int_eq(rig.report.status, HEALTH_UP);
	ck_assert_uint_eq(gap_ms(7), 500);
	ck_assert_uint_eq(gap_ms(8), 10000);
	finish();
}
END_TEST

START_TEST(jitter_blurs_the_interval_and_keeps_its_mean)
{
	uint64_t least = UINT64_MAX, most = 0, sum = 0;

	prepare(100);
	rig.conf.jitter_percent = 20;
	set(1);
	run_until(501);
	for (unsigned i = 1; i <= 500; i++) {
		least = gap_ms(i) < least ? gap_ms(i) : least;
		most = gap_ms(i) > most ? gap_ms(i) : most;
		sum += gap_ms(i);
	}
	ck_assert_uint_ge(least, 9000);
	ck_assert_uint_lt(least, 9200);
	ck_assert_uint_le(most, 11000);
	ck_assert_uint_gt(most, 10800);
	ck_assert_uint_gt(sum / 500, 9850);
	ck_assert_uint_lt(sum / 500, 10150);
	finish();
}
END_TEST

START_TEST(long_check_is_followed_by_a_rest)
{
	/* Time passes although a check is under way: it is to a server that says nothing. */
	prepare(100);
	rig.conf.kind = HEALTH_HTTP;
	rig.conf.timeout_ms = 5000;
	set(1);
	while (rig.starts < 3) {
		rig_jump = true;
		loop_turn(&rig.checker.loop);
		loop_turn(&rig.checker.loop);
	}
	ck_assert_uint_eq(gap_ms(2), 5000 + 250);
	finish();
}
END_TEST

START_TEST(no_more_checks_are_under_way_than_allowed)
{
	prepare(3);
	rig.conf.kind = HEALTH_HTTP; /* each takes its whole timeout: nobody answers */
	set(100);
	while (rig.starts < 103) {
		rig_jump = true;
		loop_turn(&rig.checker.loop);
		ck_assert_uint_le(rig.checker.under_way, 3);
		if (rig.checker.under_way > rig.most_under_way)
			rig.most_under_way = rig.checker.under_way;
	}
	ck_assert_uint_eq(rig.most_under_way, 3);
	/* Who stands in line had no turn yet: all hundred are over now, each once. */
	while (reports_take(&rig.reports, &rig.report, 1)) {
		ck_assert_uint_eq(rig.report.failed, 1);
		rig.reported++;
	}
	ck_assert_uint_eq(rig.reported, 100);
	finish();
}
END_TEST

START_TEST(unchanged_target_keeps_its_state_and_its_time)
{
	prepare(100);
	set(1);
	run_until(1);
	kill_server();
	run_until(3);
	ck_assert_int_eq(rig.report.status, HEALTH_GOING_DOWN);
	set(2);
	set(1);
	run_until(4);
	ck_assert_uint_eq(gap_ms(3), 500);
	ck_assert_int_eq(rig.report.status, HEALTH_DOWN);
	finish();
}
END_TEST

START_TEST(changed_interval_applies_at_once)
{
	prepare(100);
	rig.conf.interval_ms = HOUR_MS;
	set(1);
	run_until(1);
	rig.conf.interval_ms = 3000;
	rig_now_ms += 5;
	set(1);
	run_until(4);
	ck_assert_uint_lt(gap_ms(1), 500);
	ck_assert_uint_eq(gap_ms(2), 3000);
	ck_assert_int_eq(rig.report.status, HEALTH_UP);
	finish();
}
END_TEST

START_TEST(other_address_or_proxy_header_is_checked_at_once)
{
	prepare(100);
	set(1);
	run_until(1);
	ck_assert_uint_eq(rig.last_host, HOST_BITS);
	rig.jobs[0].addr.v4.s_addr = htonl(HOST_BITS + 1);
	set(1);
	run_until(2);
	ck_assert_uint_lt(gap_ms(1), 500);
	ck_assert_uint_eq(rig.last_host, HOST_BITS + 1);
	rig.jobs[0].addr.v4.s_addr = htonl(HOST_BITS);
	rig.jobs[0].proxy = PROXY_SEND_V2;
	set(1);
	run_until(3);
	ck_assert_uint_lt(gap_ms(2), 500);
	finish();
}
END_TEST

START_TEST(check_under_way_is_begun_again_when_it_is_to_ask_for_something_else)
{
	prepare(1);
	set(1);
	while (!rig.checker.under_way)
		turn();
	rig.conf.timeout_ms++;
	set(1);
	ck_assert_uint_eq(rig.checker.under_way, 0);
	run_until(2);
	ck_assert_uint_eq(rig.reported, 1);
	finish();
}
END_TEST

START_TEST(removed_target_is_forgotten_at_any_stage)
{
	prepare(1);
	rig.conf.kind = HEALTH_HTTP; /* lasts until somebody answers */
	set(3);
	rig_jump = true;
	while (rig_now_ms < 1000400)
		loop_turn(&rig.checker.loop); /* one under way, one in line, one due */
	ck_assert_uint_eq(rig.checker.under_way, 1);
	set(0);
	ck_assert_uint_eq(rig.checker.under_way, 0);
	ck_assert(list_empty(&rig.checker.line));
	run_for(20);
	ck_assert_uint_eq(rig.reported, 0);
	finish();
}
END_TEST

START_TEST(target_in_another_life_begins_as_if_new)
{
	prepare(100);
	set(1);
	run_until(4);
	ck_assert_uint_eq(rig.reported, 1);
	rig.jobs[0].life = 1; /* it left and returned between two looks */
	set(1);
	run_until(5);
	ck_assert_uint_eq(rig.reported, 2); /* not the tenth time after the last report */
	ck_assert_uint_le(gap_ms(4), 1);
	finish();
}
END_TEST

START_TEST(removed_target_takes_its_untaken_report_with_it)
{
	prepare(10);
	set(1);
	while (list_empty(&rig.reports.waiting)) {
		rig_jump = !rig.checker.under_way;
		loop_turn(&rig.checker.loop);
	}
	set(0);
	ck_assert_uint_eq(reports_take(&rig.reports, &rig.report, 1), 0);
	finish();
}
END_TEST

START_TEST(slot_of_a_removed_target_goes_to_the_next_in_line)
{
	const struct subject *waiting;

	prepare(1);
	rig.conf.kind = HEALTH_HTTP;
	rig.conf.timeout_ms = 60000;
	set(2);
	rig_jump = true;
	while (list_empty(&rig.checker.line))
		loop_turn(&rig.checker.loop);
	ck_assert_uint_eq(rig.starts, 1);
	waiting = container_of(rig.checker.line.next, struct subject, link);
	rig.jobs[0] = rig.jobs[waiting->key - 100];
	set(1);
	ck_assert_uint_eq(rig.starts, 2);
	finish();
}
END_TEST

START_TEST(verdict_is_reported_when_it_is_news_and_every_tenth_time)
{
	prepare(10);
	set(1);
	run_until(10);
	ck_assert_uint_eq(rig.reported, 1);
	run_until(11);
	ck_assert_uint_eq(rig.reported, 2);
	ck_assert_uint_eq(rig.report.passed, 11);
	kill_server();
	run_until(14); /* 1 of 3, 2 of 3, down */
	ck_assert_uint_eq(rig.reported, 5);
	ck_assert_uint_eq(rig.report.failed, 3);
	run_until(23);
	ck_assert_uint_eq(rig.reported, 5);
	run_until(24);
	ck_assert_uint_eq(rig.reported, 6);
	rig.connect_error = EHOSTUNREACH;
	run_until(25);
	turn();
	ck_assert_uint_eq(rig.reported, 7);
	ck_assert_str_eq(rig.report.text, "host unreachable");
	finish();
}
END_TEST

START_TEST(check_without_a_descriptor_is_no_verdict_and_is_put_off)
{
	prepare(10);
	set(1);
	run_until(1);
	ck_assert_uint_eq(rig.reported, 1);
	rig.no_fd = true;
	run_for(60000);
	ck_assert_uint_eq(rig.reported, 1);
	ck_assert_uint_eq(rig.starts, 1);
	ck_assert_uint_eq(rig.refusals, (60000 - 10000) / 500 + 1);
	rig.no_fd = false;
	kill_server();
	run_until(4);
	ck_assert_int_eq(rig.report.status, HEALTH_DOWN);
	ck_assert_uint_eq(rig.report.failed, 3);
	finish();
}
END_TEST

START_TEST(flapping_target_says_how_long_it_must_succeed)
{
	prepare(10);
	set(1);
	for (int i = 0; i < 2; i++) {
		while (rig.report.status != HEALTH_UP)
			turn();
		kill_server();
		while (rig.report.status != HEALTH_DOWN)
			turn();
		restart_server();
	}
	while (rig.report.status != HEALTH_GOING_UP)
		turn();
	ck_assert_str_eq(rig.report.text, "connected; it flaps, so 4 in a row are needed");
	while (rig.report.status != HEALTH_UP)
		turn();
	ck_assert_uint_eq(rig.report.passed, 4);
	ck_assert_str_eq(rig.report.text, "connected");
	finish();
}
END_TEST

START_TEST(checks_leave_no_time_wait)
{
	char line[512];
	FILE *sockets;
	unsigned waiting = 0, ours = htonl(HOST_BITS);

	prepare(50);
	rig.conf.interval_ms = 500;
	set(200);
	run_until(1000);
	sockets = fopen("/proc/self/net/tcp", "re");
	ck_assert_ptr_nonnull(sockets);
	while (fgets(line, sizeof(line), sockets)) {
		unsigned from, to, state;

		if (sscanf(line, " %*u: %x:%*x %x:%*x %x", &from, &to, &state) == 3)
			waiting += state == TIME_WAIT && (from == ours || to == ours);
	}
	fclose(sockets);
	ck_assert_uint_eq(waiting, 0);
	finish();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		new_targets_are_spread_over_their_fast_interval,
		settled_target_is_checked_at_the_slow_interval,
		changing_and_down_targets_are_checked_at_the_fast_interval,
		jitter_blurs_the_interval_and_keeps_its_mean,
		long_check_is_followed_by_a_rest,
		no_more_checks_are_under_way_than_allowed,
		unchanged_target_keeps_its_state_and_its_time,
		changed_interval_applies_at_once,
		other_address_or_proxy_header_is_checked_at_once,
		check_under_way_is_begun_again_when_it_is_to_ask_for_something_else,
		removed_target_is_forgotten_at_any_stage,
		target_in_another_life_begins_as_if_new,
		removed_target_takes_its_untaken_report_with_it,
		slot_of_a_removed_target_goes_to_the_next_in_line,
		verdict_is_reported_when_it_is_news_and_every_tenth_time,
		check_without_a_descriptor_is_no_verdict_and_is_put_off,
		flapping_target_says_how_long_it_must_succeed,
		checks_leave_no_time_wait,
	};

	return run_tests("health_checker", tests, COUNT(tests));
}
