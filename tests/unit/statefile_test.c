/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of files that are replaced whole: in which order it is done, and that a failure at any step
 * leaves the old one.
 */
/* link: -Wl,--wrap=fsync,--wrap=renameat,--wrap=write */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "proxy/base/statefile.h"
#include "tests/unit/conf_rig.h"

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);

static char steps[64];        /* what was done, a letter each */
static int failing_step = -1; /* of them */
static int dir_fd = -1;
static char directory[] = "/tmp/statefile_test.XXXXXX";

/* Whether this step is to go wrong, as on a full disk. */
static bool fails(char step)
{
	size_t at = strlen(steps);

	steps[at] = step;
	errno = ENOSPC;
	return (int)at == failing_step;
}

int __wrap_fsync(int fd)
{
	struct stat info;

	fstat(fd, &info);
	return fails(S_ISDIR(info.st_mode) ? 'd' : 'f') ? -1 : __real_fsync(fd);
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return fails('r') ? -1 : __real_renameat(from_fd, from, to_fd, to);
}

/* Check writes to its own pipes and files. */
ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
	if (dir_fd < 0 || size > 20)
		return __real_write(fd, bytes, size);
	return fails('w') ? -1 : __real_write(fd, bytes, size);
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(statefile_directory(directory, &dir_fd), 0);
}

static void teardown(void)
{
	unlinkat(dir_fd, "a", 0);
	unlinkat(dir_fd, "a.new", 0);
	unlinkat(dir_fd, "a.bad", 0);
	close(dir_fd);
	dir_fd = -1;
	rmdir(directory);
}

static int replace(const char *text, int failing)
{
	memset(steps, 0, sizeof(steps));
	failing_step = failing;
	return statefile_replace(dir_fd, "a", text, strlen(text));
}

static void content_is(const char *want)
{
	char *text;
	size_t size;

	ck_assert_int_eq(statefile_read(dir_fd, "a", 100, &text, &size), 0);
	ck_assert_str_eq(text, want);
	ck_assert_uint_eq(size, strlen(want));
	free(text);
}

START_TEST(a_file_is_synced_before_it_takes_the_name)
{
	ck_assert_int_eq(replace("one", -1), 0);
	ck_assert_str_eq(steps, "wfrd");
	content_is("one");
	ck_assert_int_eq(replace("two", -1), 0);
	content_is("two");
	ck_assert_int_ne(faccessat(dir_fd, "a.new", F_OK, 0), 0);
}
END_TEST

START_TEST(a_failure_at_any_step_leaves_the_old_file)
{
	ck_assert_int_eq(replace("one", -1), 0);
	for (int step = 0; step < 3; step++) {
		ck_assert_int_eq(replace("two", step), -ENOSPC);
		content_is("one");
		ck_assert_int_ne(faccessat(dir_fd, "a.new", F_OK, 0), 0);
	}
	ck_assert_int_eq(replace("two", 3), -ENOSPC);
	content_is("two");
}
END_TEST

START_TEST(what_is_no_file_or_too_large_is_not_read)
{
	char *text;
	size_t size;

	ck_assert_int_eq(statefile_read(dir_fd, "a", 100, &text, &size), -ENOENT);
	ck_assert_int_eq(replace("four", -1), 0);
	ck_assert_int_eq(statefile_read(dir_fd, "a", 3, &text, &size), -EINVAL);
	ck_assert_int_eq(statefile_put_aside(dir_fd, "a"), 0);
	ck_assert_int_eq(faccessat(dir_fd, "a.bad", F_OK, 0), 0);
	ck_assert_int_eq(mkfifoat(dir_fd, "a", 0600), 0);
	ck_assert_int_eq(statefile_read(dir_fd, "a", 100, &text, &size), -EINVAL);
	ck_assert_int_eq(statefile_put_aside(dir_fd, "nothing"), -ENOENT);
}
END_TEST

START_TEST(a_directory_that_cannot_be_is_an_error)
{
	int fd = -7;

	ck_assert_int_eq(statefile_directory("/proc/none/such", &fd), -ENOENT);
	ck_assert_int_eq(statefile_directory("/dev/null", &fd), -ENOTDIR);
	ck_assert_int_eq(fd, -7);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("statefile");
	TCase *tcase = tcase_create("statefile");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_file_is_synced_before_it_takes_the_name);
	tcase_add_test(tcase, a_failure_at_any_step_leaves_the_old_file);
	tcase_add_test(tcase, what_is_no_file_or_too_large_is_not_read);
	tcase_add_test(tcase, a_directory_that_cannot_be_is_an_error);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
