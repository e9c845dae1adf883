/* SPDX-License-Identifier: Apache-2.0
 *
 * The live figures: as text from two samples, and on a terminal of our own.
 */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/figures.h"
#include "proxy/live.h"
#include "proxy/snapshot.h"

#define TARGETS 3

static struct config config = {.pool_count = 1};
static struct target *targets[TARGETS];
static struct pool pool = {.targets = targets, .target_count = TARGETS};
static struct snapshot snapshot = {.config = &config, .pools = &pool};
static struct stats_sum sum;
static struct live_screen screen = {.width = 200, .height = 24};
static struct live_sample before, now;
static char *text;

static void setup(void)
{
	static const char *const names[TARGETS] = {"demo-1", "demo-2", "10.1.2.3:8080"};
	struct addr addr;

	ck_assert_int_eq(addr_parse("127.0.0.1:80", &addr), 0);
	for (int i = 0; i < TARGETS; i++)
		targets[i] = target_new(names[i], &addr, 2);
	sum.total.sessions = 100;
	sum.total.sessions_open = 3;
	sum.total.client_sent_bytes = 1000000;
	sum.total.client_received_bytes = 500;
	sum.total.reasons[REASON_CLIENT_FIN] = 96;
	sum.total.reasons[REASON_CLIENT_RST] = 1;
	sum.sys_calls[SYS_RECV] = 1450;
	targets[0]->counts[0].c.sessions = 60;
	targets[1]->counts[1].c.sessions = 40;
	targets[2]->counts[1].c.sessions = 1;
	ck_assert_int_eq(live_sample_init(&before, &sum, &snapshot, 5 * US_PER_SEC), 0);
}

static void teardown(void)
{
	live_sample_fini(&before);
	live_sample_fini(&now);
	free(text);
	for (int i = 0; i < TARGETS; i++)
		target_put(targets[i]);
}

/* Two seconds of traffic later. */
static void let_time_pass(void)
{
	sum.total.sessions += 20;
	sum.total.client_sent_bytes += 8200000;
	sum.total.client_received_bytes += 600;
	targets[0]->counts[1].c.sessions += 14;
	targets[0]->counts[0].c.open = 2;
	targets[0]->counts[1].c.open = 1;
	targets[0]->counts[1].c.sent_bytes += 600;
	targets[0]->counts[1].c.received_bytes += 3000;
	targets[1]->counts[0].c.sessions += 6;
	targets[1]->counts[0].c.connect_failures += 2;
	ck_assert_int_eq(live_sample_init(&now, &sum, &snapshot, 7 * US_PER_SEC), 0);
}

static unsigned lines_of(const char *at)
{
	unsigned lines = 0;

	for (; (at = strchr(at, '\n')); at++)
		lines++;
	return lines;
}

START_TEST(bytes_read_the_way_people_say_them)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {{0, "0 B"},           {999, "999 B"},      {1000, "1.0 kB"},
		     {9940, "9.9 kB"},     {9950, "10 kB"},     {999499, "999 kB"},
		     {999500, "1.0 MB"},   {4100000, "4.1 MB"}, {12000000000, "12 GB"},
		     {UINT64_MAX, "18 EB"}};
	char buf[FIGURE_TEXT];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_str_eq(figure_bytes(cases[i].bytes, buf), cases[i].text);
}
END_TEST

START_TEST(rate_is_per_second_and_never_negative)
{
	ck_assert_uint_eq(figure_rate(100, 120, 2 * US_PER_SEC), 10);
	ck_assert_uint_eq(figure_rate(0, 3, 2 * US_PER_SEC), 2);
	ck_assert_uint_eq(figure_rate(120, 100, US_PER_SEC), 0);
	ck_assert_uint_eq(figure_rate(0, 100, 0), 0);
	ck_assert_uint_eq(figure_rate(0, 40000000000, US_PER_SEC), 40000000000);
}
END_TEST

START_TEST(picture_shows_totals_and_rates_of_all_and_of_each_target)
{
	let_time_pass();
	text = live_picture(&before, &now, &screen);
	ck_assert_str_eq(text, "  sessions           3 open        120 total       10 conn/s"
			       "    ended: client_fin 96, client_rst 1\n"
			       "  bytes           4.1 MB/s to clients    300 B/s to backends\n"
			       "  demo-1             3 open         74 total        7 conn/s"
			       "   1.8 kB/s\n"
			       "  demo-2             0 open         46 total        3 conn/s"
			       "      0 B/s  2 failed\n"
			       "  10.1.2.3:8080      0 open          1 total        0 conn/s"
			       "      0 B/s\n");
}
END_TEST

START_TEST(lines_are_cut_to_the_width_and_colours_do_not_count)
{
	let_time_pass();
	screen.width = 20;
	text = live_picture(&before, &now, &screen);
	ck_assert_str_eq(strtok(text, "\n"), "  sessions          ");
	free(text);
	screen.colour = true;
	text = live_picture(&before, &now, &screen);
	ck_assert_str_eq(strtok(text, "\n"), "\033[1m  sessions          \033[0m");
}
END_TEST

START_TEST(target_that_fails_now_is_coloured_and_one_that_failed_once_is_not)
{
	let_time_pass();
	screen.colour = true;
	text = live_picture(&before, &now, &screen);
	ck_assert(strstr(text, "\033[33m  demo-2 "));
	ck_assert(!strstr(text, "\033[33m  demo-1 "));
	free(text);
	text = live_picture(&now, &now, &screen);
	ck_assert(!strstr(text, "\033[33m"));
}
END_TEST

START_TEST(targets_beyond_the_screen_are_counted)
{
	let_time_pass();
	screen.height = 6;
	text = live_picture(&before, &now, &screen);
	ck_assert_uint_eq(lines_of(text), 4);
	ck_assert(strstr(text, "  and 2 more targets\n"));
}
END_TEST

START_TEST(target_that_moved_or_came_new_is_compared_with_itself)
{
	struct target *first = targets[0];

	targets[0]->counts[0].c.sessions += 4;
	targets[0] = targets[1];
	targets[1] = first;
	ck_assert_int_eq(live_sample_init(&now, &sum, &snapshot, 7 * US_PER_SEC), 0);
	before.target_count = 1; /* so demo-2 is new */
	text = live_picture(&before, &now, &screen);
	ck_assert(strstr(text, "  demo-1             0 open         64 total        2 conn/s"));
	ck_assert(strstr(text, "  demo-2             0 open         40 total       20 conn/s"));
}
END_TEST

START_TEST(name_cannot_drive_the_terminal)
{
	free(targets[2]->name);
	targets[2]->name = strdup("unix:/\033[2J\n");
	let_time_pass();
	text = live_picture(&before, &now, &screen);
	ck_assert_ptr_null(strchr(text, '\033'));
	ck_assert(strstr(text, "unix:/?[2J? "));
}
END_TEST

START_TEST(every_reason_at_its_largest_fits)
{
	for (int i = 0; i < REASONS; i++)
		sum.total.reasons[i] = UINT64_MAX;
	let_time_pass();
	text = live_picture(&before, &now, &screen);
	ck_assert_uint_eq(lines_of(text), 5);
	free(text);
	text = live_summary(&now, 1);
	ck_assert_uint_eq(lines_of(text), 6);
}
END_TEST

START_TEST(summary_says_what_came_of_it)
{
	let_time_pass();
	text = live_summary(&now, 12345678);
	ck_assert_str_eq(text, "120 sessions in 12.3 s, 9.2 MB to clients, 1.1 kB to backends\n"
			       "  ended         client_fin 96, client_rst 1\n"
			       "  demo-1        74 sessions, 600 B to it, 3.0 kB from it\n"
			       "  demo-2        46 sessions, 0 B to it, 0 B from it, 2 failed\n"
			       "  10.1.2.3:8080 1 session, 0 B to it, 0 B from it\n"
			       "  system calls  12.1 a session, 157590 a GB\n");
}
END_TEST

START_TEST(summary_of_nothing_divides_by_nothing)
{
	memset(&sum, 0, sizeof(sum));
	ck_assert_int_eq(live_sample_init(&now, &sum, &snapshot, 1), 0);
	text = live_summary(&now, 1000000);
	ck_assert_int_eq(strncmp(text, "0 sessions in 1.0 s, 0 B to clients", 35), 0);
	ck_assert_ptr_null(strstr(text, "system calls"));
	ck_assert_ptr_null(strstr(text, "ended"));
	sum.total.sessions = 1;
	free(text);
	live_sample_fini(&now);
	ck_assert_int_eq(live_sample_init(&now, &sum, &snapshot, 1), 0);
	text = live_summary(&now, 1000000);
	ck_assert_int_eq(strncmp(text, "1 session in", 12), 0);
}
END_TEST

/* A terminal of 60 by 10; returns our side of it. */
static int open_terminal(int *ret_fd)
{
	struct winsize size = {.ws_col = 60, .ws_row = 10};
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	ck_assert_int_ge(master, 0);
	ck_assert_int_eq(grantpt(master), 0);
	ck_assert_int_eq(unlockpt(master), 0);
	*ret_fd = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(*ret_fd, 0);
	ck_assert_int_eq(ioctl(master, TIOCSWINSZ, &size), 0);
	return master;
}

/* What arrives at our side, up to and with `end`. */
static const char *screen_text(int master, const char *end)
{
	static char seen[65536];
	size_t len = 0;

	seen[0] = '\0';
	while (!strstr(seen, end)) {
		ssize_t n = read(master, seen + len, sizeof(seen) - 1 - len);

		ck_assert_int_gt(n, 0);
		len += n;
		seen[len] = '\0';
	}
	return seen;
}

START_TEST(pictures_are_drawn_in_place_and_wiped_away)
{
	int fd, master = open_terminal(&fd);
	struct live *live;
	const char *seen;

	setenv("TERM", "xterm", 1);
	setenv("NO_COLOR", "1", 1);
	live = live_new(fd);
	ck_assert_ptr_nonnull(live);
	live_draw(live, &sum, &snapshot, 5 * US_PER_SEC);
	seen = screen_text(master, "\033[6A\r");
	ck_assert_int_eq(strncmp(seen, "\r\033[J\r\n  sessions ", 17), 0);
	ck_assert(strstr(seen, " 0 conn/s"));
	ck_assert_ptr_null(strstr(seen, "\033[1m"));
	for (char *line = strtok((char *)seen, "\n"); line; line = strtok(NULL, "\n"))
		ck_assert_uint_le(strcspn(line, "\r"), 60);
	sum.total.sessions += 50;
	live_draw(live, &sum, &snapshot, 6 * US_PER_SEC);
	ck_assert(strstr(screen_text(master, "\033[6A\r"), " 50 conn/s"));
	live_free(live);
	ck_assert_str_eq(screen_text(master, "\033[J"), "\r\033[J");
	close(master);
	close(fd);
}
END_TEST

START_TEST(colours_come_unless_no_color_is_set)
{
	int fd, master = open_terminal(&fd);
	struct live *live;

	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
	live = live_new(fd);
	live_draw(live, &sum, &snapshot, 5 * US_PER_SEC);
	ck_assert(strstr(screen_text(master, "\033[6A\r"), "\033[1m  sessions "));
	live_free(live);
	close(master);
	close(fd);
}
END_TEST

START_TEST(stopped_terminal_misses_pictures_and_blocks_nobody)
{
	int fd, master = open_terminal(&fd);
	struct live *live;

	setenv("TERM", "xterm", 1);
	live = live_new(fd);
	for (int i = 0; i < 2000; i++) /* nobody reads */
		live_draw(live, &sum, &snapshot, (5 + i) * US_PER_SEC);
	live_free(live);
	close(master);
	close(fd);
}
END_TEST

START_TEST(what_is_no_terminal_gets_no_picture)
{
	int fd, master = open_terminal(&fd), file = open("/dev/null", O_WRONLY | O_CLOEXEC);

	setenv("TERM", "xterm", 1);
	ck_assert_ptr_null(live_new(file));
	setenv("TERM", "dumb", 1);
	ck_assert_ptr_null(live_new(fd));
	unsetenv("TERM");
	ck_assert_ptr_null(live_new(fd));
	live_free(NULL);
	close(file);
	close(master);
	close(fd);
}
END_TEST

static TCase *figures_case(void)
{
	TCase *tcase = tcase_create("figures");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, bytes_read_the_way_people_say_them);
	tcase_add_test(tcase, rate_is_per_second_and_never_negative);
	tcase_add_test(tcase, picture_shows_totals_and_rates_of_all_and_of_each_target);
	tcase_add_test(tcase, lines_are_cut_to_the_width_and_colours_do_not_count);
	tcase_add_test(tcase, target_that_fails_now_is_coloured_and_one_that_failed_once_is_not);
	tcase_add_test(tcase, targets_beyond_the_screen_are_counted);
	tcase_add_test(tcase, target_that_moved_or_came_new_is_compared_with_itself);
	tcase_add_test(tcase, name_cannot_drive_the_terminal);
	tcase_add_test(tcase, every_reason_at_its_largest_fits);
	tcase_add_test(tcase, summary_says_what_came_of_it);
	tcase_add_test(tcase, summary_of_nothing_divides_by_nothing);
	return tcase;
}

static TCase *terminal_case(void)
{
	TCase *tcase = tcase_create("terminal");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, pictures_are_drawn_in_place_and_wiped_away);
	tcase_add_test(tcase, colours_come_unless_no_color_is_set);
	tcase_add_test(tcase, stopped_terminal_misses_pictures_and_blocks_nobody);
	tcase_add_test(tcase, what_is_no_terminal_gets_no_picture);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("live");
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, figures_case());
	suite_add_tcase(suite, terminal_case());
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
