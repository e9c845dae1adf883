/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets from real files: what a file may say and where its mistakes are, which ways of changing
 * it are noticed, and that half of one is never taken for all of it.
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "tests/unit/source_rig.h"

static struct source_rig rig;
static char directory[] = "/tmp/sluice-file-XXXXXX";

static const char *in_dir(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", directory, name);
	return path;
}

static void append_to(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static int begin_writing(const char *name)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void put(const char *name, const char *text)
{
	int fd = begin_writing(name);

	append_to(fd, text);
	close(fd);
}

static void turn_link(const char *to, const char *name)
{
	ck_assert_int_eq(symlink(to, in_dir("link.tmp")), 0);
	ck_assert_int_eq(rename(in_dir("link.tmp"), in_dir(name)), 0);
}

static void open_file(const char *name, const char *more)
{
	char yaml[PATH_MAX + 64];

	snprintf(yaml, sizeof(yaml), "path: %s\n%s", in_dir(name), more);
	rig_open(&rig, &source_file, NULL, yaml);
}

static void setup(void)
{
	strcpy(directory + sizeof(directory) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void teardown(void)
{
	char command[64];

	rig_close(&rig);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(every_key_of_the_admin_api_is_read)
{
	put("t", "targets:\n"
		 "- 10.0.0.1:80\n"
		 "- {id: a, address: \"[2001:DB8::1]:80\", weight: 5, zone: use1-az1,\n"
		 "   backup: true, max_connections: 7, draining: true}\n");
	open_file("t", "");
	expect_answer(&rig, "10.0.0.1:80\n"
			    "[2001:db8::1]:80 id=a zone=use1-az1 weight=5 max=7 backup draining");
}
END_TEST

START_TEST(a_list_needs_no_key_above_it)
{
	put("t", "- 10.0.0.1:80\n- address: 10.0.0.2:80\n");
	open_file("t", "");
	expect_answer(&rig, "10.0.0.1:80\n10.0.0.2:80");
}
END_TEST

START_TEST(the_sources_weight_and_backup_are_those_of_targets_that_say_nothing)
{
	put("t", "- 10.0.0.1:80\n- {address: 10.0.0.2:80, weight: 1, backup: false}\n");
	open_file("t", "weight: 9\nbackup: true\n");
	expect_answer(&rig, "10.0.0.1:80 weight=9 backup\n10.0.0.2:80 weight=1");
}
END_TEST

START_TEST(json_is_read_as_a_list_and_as_an_object)
{
	put("t", "[{\"address\": \"10.0.0.1:80\", \"weight\": 5, \"draining\": true}]");
	open_file("t", "format: json\n");
	expect_answer(&rig, "10.0.0.1:80 weight=5 draining");
	put("t", "{\"targets\": [\n\t{\"id\": \"i\", \"address\": \"10.0.0.2:80\"}\n]}\n");
	expect_answer(&rig, "10.0.0.2:80 id=i");
}
END_TEST

static const struct {
	const char *format, *text, *problem;
} mistakes[] = {
	{"yaml", "- 10.0.0.1:80\n- {address: web:80}\n", "t:2:13: address: found \"web:80\""},
	{"yaml", "- 10.0.0.1\n", "t:1:3: address: found \"10.0.0.1\""},
	{"yaml", "- {address: 10.0.0.1:80, wieght: 1}\n",
	 "t:1:26: found unknown key \"wieght\" in the target; expected one of id, address"},
	{"yaml", "- {weight: 5}\n", "t:1:3: found no \"address\""},
	{"yaml", "- 10.0.0.1:80\n- {address: 10.0.0.2:80, weight: 1001}\n", "t:2:34: weight: "},
	{"yaml", "- {address: 10.0.0.2:80, id: \"a b\"}\n", "t:1:30: id: "},
	{"yaml", "targets: 5\n", "t:1:10: targets: "},
	{"yaml", "- 10.0.0.1:80\n- &a b\n", "t:2:3: "},
	{"yaml", "- 10.0.0.1\n- x\n- y\n", "(and 2 more)"},
	{"yaml", "", "t:1:1: found an empty file; expected a list of targets"},
	{"json", "[{\"address\": \"10.0.0.1:80\"},\n]", "t:2:1: found no JSON"},
	{"json", "[{\"address\": \"10.0.0.1:80\",\n \"address\": \"10.0.0.2:80\"}]",
	 "t:2:10: found no JSON (duplicate object key"},
	{"json", "- 10.0.0.1:80\n", "t:1:1: found no JSON"},
	{"json", "[\n{\"address\": \"10.0.0.1:80\", \"weight\": \"5\"}]",
	 "t:2:38: weight: found another type of JSON; expected a number"},
	{"json", "[\n{\"address\": \"10.0.0.1:80\", \"id\": null}]", "t:2:34: id: found another"},
	{"json", "[{\"address\": \"10.0.0.1:80\", \"draining\": 1}]", "t:1:41: draining: found"},
	{"json", "{\"hosts\": []}", "t:1:1: found no \"targets\" in the file of targets"},
};

START_TEST(a_mistake_is_named_by_file_and_line_and_fails_all_of_it)
{
	char more[32], place[PATH_MAX];

	snprintf(more, sizeof(more), "format: %s\n", mistakes[_i].format);
	put("t", mistakes[_i].text);
	open_file("t", more);
	expect_answer(&rig, "failed: invalid");
	expect_problem(&rig, mistakes[_i].problem);
	snprintf(place, sizeof(place), "%s/t:", directory);
	ck_assert_int_eq(strncmp(rig.problem, place, strlen(place)), 0);
}
END_TEST

START_TEST(one_target_that_is_listed_twice_differently_is_not_believed)
{
	put("t", "- 10.0.0.1:80\n- {address: 10.0.0.1:80, weight: 1}\n");
	open_file("t", "");
	expect_answer(&rig, "failed: contradiction");
}
END_TEST

START_TEST(an_empty_list_is_an_answer)
{
	put("t", "[]\n");
	open_file("t", "");
	expect_answer(&rig, "");
}
END_TEST

START_TEST(a_file_that_is_missing_fails_and_is_noticed_when_it_comes)
{
	open_file("t", "");
	expect_answer(&rig, "failed: unreadable");
	expect_problem(&rig, "No such file");
	put("t", "- 10.0.0.1:80\n");
	rig_until_hint(&rig, 1);
	expect_answer(&rig, "10.0.0.1:80");
}
END_TEST

START_TEST(a_fifo_and_a_directory_are_refused_without_waiting)
{
	ck_assert_int_eq(mkfifo(in_dir("t"), 0600), 0);
	open_file("t", "");
	expect_answer(&rig, "failed: unreadable");
	expect_problem(&rig, "no regular file");
	ck_assert_int_eq(unlink(in_dir("t")), 0);
	ck_assert_int_eq(mkdir(in_dir("t"), 0700), 0);
	expect_answer(&rig, "failed: unreadable");
}
END_TEST

START_TEST(a_file_renamed_over_it_is_noticed)
{
	put("t", "- 10.0.0.1:80\n");
	open_file("t", "");
	expect_answer(&rig, "10.0.0.1:80");
	put("t.new", "- 10.0.0.2:80\n");
	ck_assert_int_eq(rename(in_dir("t.new"), in_dir("t")), 0);
	rig_until_hint(&rig, 1);
	expect_answer(&rig, "10.0.0.2:80");
	put("t.new", "- 10.0.0.3:80\n");
	ck_assert_int_eq(rename(in_dir("t.new"), in_dir("t")), 0);
	rig_until_hint(&rig, 2);
	expect_answer(&rig, "10.0.0.3:80");
}
END_TEST

START_TEST(half_a_file_is_refused_until_its_writer_is_done)
{
	put("t", "- 10.0.0.1:80\n- 10.0.0.2:80\n");
	open_file("t", "");
	expect_answer(&rig, "10.0.0.1:80\n10.0.0.2:80");
	int fd = begin_writing("t");

	append_to(fd, "- 10.0.0.1:80\n"); /* whole lines: valid, but not all */
	expect_answer(&rig, "failed: busy");
	expect_answer(&rig, "failed: busy");
	append_to(fd, "- 10.0.0.3:80\n");
	close(fd);
	rig_until_hint(&rig, 1);
	expect_answer(&rig, "10.0.0.1:80\n10.0.0.3:80");
}
END_TEST

START_TEST(a_writer_that_was_replaced_holds_nothing_up)
{
	put("t", "- 10.0.0.1:80\n");
	open_file("t", "");
	expect_answer(&rig, "10.0.0.1:80");
	int fd = begin_writing("t");

	append_to(fd, "- 10.0");
	put("t.new", "- 10.0.0.2:80\n");
	ck_assert_int_eq(rename(in_dir("t.new"), in_dir("t")), 0);
	expect_answer(&rig, "10.0.0.2:80");
	close(fd);
}
END_TEST

/* As the kubelet does: t -> ..data/t, ..data -> a directory with a name of its own. */
START_TEST(a_mounted_config_map_is_followed_through_its_swaps)
{
	ck_assert_int_eq(mkdir(in_dir("..1"), 0755), 0);
	put("..1/t", "- 10.0.0.1:80\n");
	turn_link("..1", "..data");
	turn_link("..data/t", "t");
	open_file("t", "");
	expect_answer(&rig, "10.0.0.1:80");
	for (unsigned swap = 2; swap < 5; swap++) {
		char name[32], text[32], expected[32];
		unsigned hints = rig.hints;

		snprintf(name, sizeof(name), "..%u", swap);
		ck_assert_int_eq(mkdir(in_dir(name), 0755), 0);
		snprintf(text, sizeof(text), "- 10.0.0.%u:80\n", swap);
		snprintf(expected, sizeof(expected), "10.0.0.%u:80", swap);
		turn_link(name, "..data");
		put("..data/t", text);
		rig_until_hint(&rig, hints + 1);
		expect_answer(&rig, expected);
	}
}
END_TEST

START_TEST(a_link_that_leads_elsewhere_is_watched_at_both_ends)
{
	ck_assert_int_eq(mkdir(in_dir("here"), 0755), 0);
	ck_assert_int_eq(mkdir(in_dir("there"), 0755), 0);
	put("there/real", "- 10.0.0.1:80\n");
	turn_link(in_dir("there/real"), "here/t");
	open_file("here/t", "");
	expect_answer(&rig, "10.0.0.1:80");
	put("there/real", "- 10.0.0.2:80\n");
	rig_until_hint(&rig, 1);
	expect_answer(&rig, "10.0.0.2:80");
	put("there/other", "- 10.0.0.3:80\n");
	turn_link("../there/other", "here/t");
	rig_until_hint(&rig, 2);
	expect_answer(&rig, "10.0.0.3:80");
}
END_TEST

START_TEST(what_happens_to_its_neighbours_is_no_hint)
{
	put("t", "- 10.0.0.1:80\n");
	open_file("t", "");
	expect_answer(&rig, "10.0.0.1:80");
	put("u", "x");
	put("t", "- 10.0.0.2:80\n");
	rig_until_hint(&rig, 1);
	put("u", "y");
	expect_answer(&rig, "10.0.0.2:80");
	ck_assert_uint_eq(rig.hints, 1);
}
END_TEST

START_TEST(links_in_a_circle_are_an_error)
{
	turn_link("b", "a");
	turn_link("a", "b");
	open_file("a", "");
	expect_answer(&rig, "failed: unreadable");
}
END_TEST

START_TEST(a_source_closed_in_the_middle_is_silent)
{
	put("t", "- 10.0.0.1:80\n");
	open_file("t", "");
	source_file.fetch(rig.source);
	ck_assert_uint_eq(rig.answers, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control_source_file");
	TCase *tcase = tcase_create("all");
	const TTest *const tests[] = {
		every_key_of_the_admin_api_is_read,
		a_list_needs_no_key_above_it,
		the_sources_weight_and_backup_are_those_of_targets_that_say_nothing,
		json_is_read_as_a_list_and_as_an_object,
		one_target_that_is_listed_twice_differently_is_not_believed,
		an_empty_list_is_an_answer,
		a_file_that_is_missing_fails_and_is_noticed_when_it_comes,
		a_fifo_and_a_directory_are_refused_without_waiting,
		a_file_renamed_over_it_is_noticed,
		half_a_file_is_refused_until_its_writer_is_done,
		a_writer_that_was_replaced_holds_nothing_up,
		a_mounted_config_map_is_followed_through_its_swaps,
		a_link_that_leads_elsewhere_is_watched_at_both_ends,
		what_happens_to_its_neighbours_is_no_hint,
		links_in_a_circle_are_an_error,
		a_source_closed_in_the_middle_is_silent,
	};

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, a_mistake_is_named_by_file_and_line_and_fails_all_of_it, 0,
			    COUNT(mistakes));
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
