/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose directory is whose, by the locks of processes that live and die. On a bpffs that only this
 * test sees.
 *
 * Needs root. Without it the program says so and fails, as a tool that is missing does.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/offload/pinning.h"

static char home[64];
static char root[128];

static void setup(void)
{
	ck_assert_msg(geteuid() == 0, "needs root");
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	snprintf(home, sizeof(home), "/tmp/pinning-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(home));
	ck_assert_int_eq(mount("bpf", home, "bpf", 0, NULL), 0);
	snprintf(root, sizeof(root), "%s/pins", home);
}

static void leave(void)
{
	umount2(home, MNT_DETACH);
	rmdir(home);
}

static unsigned count(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	unsigned found = 0;

	while (dir && (entry = readdir(dir)))
		found += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return found;
}

static struct pinning *begin(void)
{
	struct pinning *pins;

	ck_assert_int_eq(pinning_open(root, &pins), 0);
	return pins;
}

/* A process that has a directory, and dies with `tag` in it. */
static void die_with(const char *tag)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct pinning *pins;
		char path[300];

		if (pinning_open(root, &pins))
			_exit(1);
		while (pinning_next_estate(pins))
			;
		snprintf(path, sizeof(path), "%s/%s", pinning_path(pins), tag);
		if (mkdir(path, 0700))
			_exit(1);
		raise(SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
}

static bool has(const char *path, const char *tag)
{
	char whole[400];

	snprintf(whole, sizeof(whole), "%s/%s", path, tag);
	return !access(whole, F_OK);
}

static void remove_tag(const char *path, const char *tag)
{
	char whole[400];

	snprintf(whole, sizeof(whole), "%s/%s", path, tag);
	ck_assert_int_eq(rmdir(whole), 0);
}

START_TEST(an_orderly_end_leaves_nothing)
{
	struct pinning *pins = begin();

	ck_assert(!pinning_are_inherited(pins));
	ck_assert_uint_eq(count(root), 1);
	pinning_close(pins, false);
	ck_assert_int_eq(access(root, F_OK), -1);
}
END_TEST

START_TEST(what_a_living_process_has_is_his)
{
	struct pinning *one = begin();
	struct pinning *other = begin();

	ck_assert(!pinning_has_estate(root));
	ck_assert(!pinning_are_inherited(other));
	ck_assert_ptr_null(pinning_next_estate(other));
	ck_assert_str_ne(pinning_path(one), pinning_path(other));
	pinning_close(other, false);
	ck_assert_uint_eq(count(root), 1);
	pinning_close(one, false);
}
END_TEST

START_TEST(what_the_dead_had_is_ours_under_our_name)
{
	struct pinning *pins;
	char start[160];

	die_with("tag");
	ck_assert(pinning_has_estate(root));
	pins = begin();
	ck_assert(pinning_are_inherited(pins));
	ck_assert(has(pinning_path(pins), "tag"));
	snprintf(start, sizeof(start), "%s/%d-", root, (int)getpid());
	ck_assert_int_eq(strncmp(pinning_path(pins), start, strlen(start)), 0);
	ck_assert(!pinning_has_estate(root));
	remove_tag(pinning_path(pins), "tag");
	pinning_close(pins, false);
	ck_assert_int_eq(access(root, F_OK), -1);
}
END_TEST

START_TEST(of_several_dead_the_last_to_begin_comes_first)
{
	struct pinning *living = begin();
	struct pinning *pins;
	const char *estate;

	die_with("first");
	pins = begin();
	die_with("second");
	ck_assert(has(pinning_path(pins), "first"));
	pinning_close(pins, true);
	pinning_close(living, true);
	pins = begin();
	estate = pinning_next_estate(pins);
	ck_assert_ptr_nonnull(estate);
	ck_assert(has(pinning_path(pins), "second"));
	ck_assert(has(estate, "first"));
	remove_tag(estate, "first");
	pinning_drop_estate(pins);
	remove_tag(pinning_path(pins), "second");
	while (pinning_next_estate(pins))
		pinning_drop_estate(pins);
	pinning_close(pins, false);
	ck_assert_int_eq(access(root, F_OK), -1);
}
END_TEST

START_TEST(what_cannot_be_used_is_left_for_who_can)
{
	struct pinning *pins;

	die_with("strange");
	pins = begin();
	ck_assert_int_eq(pinning_renounce(pins), 0);
	ck_assert(!pinning_are_inherited(pins));
	ck_assert(!has(pinning_path(pins), "strange"));
	ck_assert_uint_eq(count(root), 2);
	pinning_close(pins, false);
	ck_assert_uint_eq(count(root), 1);
}
END_TEST

START_TEST(who_cannot_enter_anothers_has_one_beside_it)
{
	char place[OFFLOAD_PIN_MAX], beside[OFFLOAD_PIN_MAX];

	pinning_place(root, 0, place);
	ck_assert_str_eq(place, root);
	pinning_make(place, 65534);
	pinning_place(root, 65534, place);
	ck_assert_str_eq(place, root);

	snprintf(beside, sizeof(beside), "%s-0", root);
	pinning_place(root, 0, place);
	ck_assert_str_eq(place, beside);
	pinning_make(place, 0);
	ck_assert_int_eq(pinning_check(place), 0);
	ck_assert_int_eq(rmdir(beside), 0);
	ck_assert_int_eq(rmdir(root), 0);
}
END_TEST

START_TEST(elsewhere_than_on_bpffs_nothing_can_be_pinned)
{
	char plain[] = "/tmp/pinning-plain-XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(plain));
	snprintf(root, sizeof(root), "%s/pins", plain);
	ck_assert_int_eq(pinning_check(root), -ENOTSUP);
	ck_assert_int_eq(rmdir(plain), 0);
	ck_assert_int_lt(pinning_check(root), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pinning");
	TCase *tcase = tcase_create("pinning");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, leave);
	tcase_add_test(tcase, an_orderly_end_leaves_nothing);
	tcase_add_test(tcase, what_a_living_process_has_is_his);
	tcase_add_test(tcase, what_the_dead_had_is_ours_under_our_name);
	tcase_add_test(tcase, of_several_dead_the_last_to_begin_comes_first);
	tcase_add_test(tcase, what_cannot_be_used_is_left_for_who_can);
	tcase_add_test(tcase, who_cannot_enter_anothers_has_one_beside_it);
	tcase_add_test(tcase, elsewhere_than_on_bpffs_nothing_can_be_pinned);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
