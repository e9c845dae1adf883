/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of binding: whose address is whose, and what becomes of a Unix path.
 */
#include <sys/stat.h>
#include <sys/un.h>

#include "proxy/base/bind.h"
#include "tests/unit/core_rig.h"

static char directory[] = "/tmp/sluice-bind-XXXXXX";
static char path[64];

static void setup(void)
{
	strcpy(directory + sizeof(directory) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/s", directory);
}

static void teardown(void)
{
	unlink(path);
	ck_assert_int_eq(rmdir(directory), 0);
}

/* A socket that serves the path, and its identity. */
static int serve(bool shared, dev_t *ret_dev, ino_t *ret_ino)
{
	int fd = -1;

	ck_assert_int_eq(bind_unix(path, 0600, shared, &fd), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(bind_unix_publish(path, ret_dev, ret_ino), 0);
	return fd;
}

START_TEST(a_path_leads_nowhere_before_it_is_published)
{
	struct stat st;
	int fd;

	ck_assert_int_eq(bind_unix(path, 0640, false, &fd), 0);
	ck_assert_int_eq(stat(path, &st), -1);
	bind_unix_remove(path, 0, 0);
	close(fd);
}
END_TEST

START_TEST(a_leftover_is_replaced_and_a_served_path_is_not)
{
	dev_t dev;
	ino_t ino;
	int other, fd = serve(false, &dev, &ino);

	ck_assert_int_eq(bind_unix(path, 0600, false, &other), -EADDRINUSE);
	close(fd);
	fd = serve(false, &dev, &ino);
	close(fd);
	bind_unix_remove(path, dev, ino);
}
END_TEST

START_TEST(who_was_replaced_does_not_remove_the_successors_path)
{
	dev_t dev[2];
	ino_t ino[2];
	struct stat st;
	int first = serve(false, &dev[0], &ino[0]);
	int second = serve(true, &dev[1], &ino[1]);

	bind_unix_remove(path, dev[0], ino[0]);
	ck_assert_int_eq(stat(path, &st), 0);
	bind_unix_remove(path, dev[1], ino[1]);
	ck_assert_int_eq(stat(path, &st), -1);
	close(first);
	close(second);
}
END_TEST

START_TEST(a_file_is_never_replaced)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	close(fd);
	ck_assert_int_eq(bind_unix(path, 0600, true, &fd), -EEXIST);
}
END_TEST

START_TEST(a_path_too_long_is_refused)
{
	char longer[108];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	ck_assert_int_eq(bind_unix(longer, 0600, false, &(int){-1}), -ENAMETOOLONG);
}
END_TEST

START_TEST(a_served_port_is_shared_only_by_wish)
{
	struct addr addr = addr_of("127.0.0.1:0"), actual;
	int fds[2] = {-1, -1}, others[1] = {-1};

	ck_assert_int_eq(bind_tcp(&addr, false, false, fds, 1, &actual), 0);
	ck_assert_int_eq(listen(fds[0], 1), 0);
	addr = local_of(fds[0]);
	ck_assert_int_eq(bind_tcp(&addr, false, false, others, 1, &actual), -EADDRINUSE);
	ck_assert_int_eq(bind_tcp(&addr, false, true, &fds[1], 1, &actual), 0);
	ck_assert(addr_equal(&actual, &addr));
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(wildcards_are_known)
{
	struct addr any4 = addr_of("0.0.0.0:1"), any6 = addr_of("[::]:1"), one = addr_of("[::1]:1");

	ck_assert(bind_is_wildcard(&any4));
	ck_assert(bind_is_wildcard(&any6));
	ck_assert(!bind_is_wildcard(&one));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bind");
	TCase *tcase = tcase_create("bind");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_path_leads_nowhere_before_it_is_published);
	tcase_add_test(tcase, a_leftover_is_replaced_and_a_served_path_is_not);
	tcase_add_test(tcase, who_was_replaced_does_not_remove_the_successors_path);
	tcase_add_test(tcase, a_file_is_never_replaced);
	tcase_add_test(tcase, a_path_too_long_is_refused);
	tcase_add_test(tcase, a_served_port_is_shared_only_by_wish);
	tcase_add_test(tcase, wildcards_are_known);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
