/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding who listens: this process, another one, one whose listener is in a thread's own
 * descriptor table, one that runs another program, and the listener of a Unix socket.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/addr.h"
#include "proxy/holder.h"

/* A listener on a free port of 127.0.0.1, or one more on the port that `addr` has. */
static int listen_on(struct addr *addr)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(addr, &sa);
	int fd = socket(addr->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, 8) < 0)
		return -1;
	if (addr->family != AF_UNIX) {
		getsockname(fd, (struct sockaddr *)&sa, &len);
		addr_from_sockaddr((struct sockaddr *)&sa, len, addr);
	}
	return fd;
}

static struct addr loopback(void)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse("127.0.0.1:0", &addr), 0);
	return addr;
}

/* A child that listens in its own way, tells the address, and waits to be killed. */
struct child {
	pid_t pid;
	struct addr addr;
};

static struct child child_start(void (*run)(int ready))
{
	struct child child;
	int ready[2];

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	child.pid = fork();
	if (child.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(ready[1]);
		_exit(1);
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &child.addr, sizeof(child.addr)), sizeof(child.addr));
	close(ready[0]);
	return child;
}

static void child_stop(struct child *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
}

static void tell(int ready, const struct addr *addr)
{
	if (write(ready, addr, sizeof(*addr)) != sizeof(*addr))
		_exit(1);
}

static void run_plain(int ready)
{
	struct addr addr = {.family = AF_INET, .v4.s_addr = htonl(INADDR_LOOPBACK)};

	if (listen_on(&addr) < 0)
		_exit(1);
	tell(ready, &addr);
	pause();
}

/* As a worker does: the listener is in the thread's descriptor table, not in the process's. */
static void *listen_apart(void *arg)
{
	if (unshare(CLONE_FILES) < 0)
		_exit(1);
	run_plain(*(int *)arg);
	return NULL;
}

static void run_apart(int ready)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, listen_apart, &ready) != 0)
		_exit(1);
	pthread_join(thread, NULL);
}

static int talk[2]; /* its second end is stdin and stdout of the other program */

/* Another program that inherited a listener: cat, since what it echoes proves that it runs. */
static void run_other_program(int ready)
{
	struct addr addr = {.family = AF_INET, .v4.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = listen_on(&addr);

	if (fd < 0 || fcntl(fd, F_SETFD, 0) < 0 || dup2(talk[1], 0) < 0 || dup2(talk[1], 1) < 0)
		_exit(1);
	tell(ready, &addr);
	execlp("cat", "cat", NULL);
}

START_TEST(own_process_is_found_once_with_name_and_user)
{
	struct addr addr = loopback();
	struct holder found[4];
	char name[HOLDER_NAME];

	ck_assert_int_ge(listen_on(&addr), 0);
	ck_assert_int_ge(listen_on(&addr), 0);
	ck_assert_int_eq(holder_find(&addr, found, 4), 1);
	ck_assert_int_eq(found[0].pid, getpid());
	ck_assert_uint_eq(found[0].uid, geteuid());
	ck_assert_int_eq(prctl(PR_GET_NAME, name), 0);
	ck_assert_str_eq(found[0].name, name);
	ck_assert(found[0].is_sluice);
}
END_TEST

START_TEST(free_address_is_held_by_nobody)
{
	struct addr addr = loopback();
	struct holder found[4];

	ck_assert_int_eq(close(listen_on(&addr)), 0);
	ck_assert_int_eq(holder_find(&addr, found, 4), 0);
}
END_TEST

START_TEST(other_process_is_found)
{
	struct child child = child_start(run_plain);
	struct holder found[4];

	ck_assert_int_eq(holder_find(&child.addr, found, 4), 1);
	ck_assert_int_eq(found[0].pid, child.pid);
	ck_assert(found[0].is_sluice);
	child_stop(&child);
	ck_assert_int_eq(holder_find(&child.addr, found, 4), 0);
}
END_TEST

START_TEST(listener_in_a_threads_own_table_is_found)
{
	struct child child = child_start(run_apart);
	struct holder found[4];

	ck_assert_int_eq(holder_find(&child.addr, found, 4), 1);
	ck_assert_int_eq(found[0].pid, child.pid);
	child_stop(&child);
}
END_TEST

START_TEST(listener_in_a_table_of_a_thread_of_this_process_is_found)
{
	struct addr addr;
	struct holder found[4];
	pthread_t thread;
	int ready[2];

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, listen_apart, &ready[1]), 0);
	ck_assert_int_eq(read(ready[0], &addr, sizeof(addr)), sizeof(addr));
	ck_assert_int_eq(holder_find(&addr, found, 4), 1);
	ck_assert_int_eq(found[0].pid, getpid());
}
END_TEST

START_TEST(other_program_is_named_and_is_not_sluice)
{
	struct holder found[4];
	struct child child;
	char byte = 'x';

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk), 0);
	child = child_start(run_other_program);
	ck_assert_int_eq(write(talk[0], &byte, 1), 1);
	ck_assert_int_eq(read(talk[0], &byte, 1), 1);
	ck_assert_int_eq(holder_find(&child.addr, found, 4), 1);
	ck_assert_int_eq(found[0].pid, child.pid);
	ck_assert_str_eq(found[0].name, "cat");
	ck_assert(!found[0].is_sluice);
	child_stop(&child);
}
END_TEST

START_TEST(wildcard_finds_the_holder_of_one_address)
{
	struct child child = child_start(run_plain);
	struct addr any = {.family = AF_INET6, .port = child.addr.port};
	struct holder found[4];

	ck_assert_int_eq(holder_find(&any, found, 4), 1);
	ck_assert_int_eq(found[0].pid, child.pid);
	child_stop(&child);
}
END_TEST

START_TEST(all_holders_are_found_up_to_max)
{
	struct addr addr = loopback();
	struct holder found[4];
	pid_t twin;

	ck_assert_int_ge(listen_on(&addr), 0);
	twin = fork();
	if (twin == 0) {
		pause();
		_exit(0);
	}
	ck_assert_int_eq(holder_find(&addr, found, 4), 2);
	ck_assert(found[0].pid == getpid() || found[1].pid == getpid());
	ck_assert(found[0].pid == twin || found[1].pid == twin);
	ck_assert_int_eq(holder_find(&addr, found, 1), 1);
	kill(twin, SIGKILL);
	waitpid(twin, NULL, 0);
}
END_TEST

START_TEST(listener_of_a_unix_socket_is_found)
{
	char dir[] = "/tmp/holder-test-XXXXXX";
	char path[64];
	struct addr addr = {.family = AF_UNIX, .path = path};
	struct holder found[4];
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a socket", dir);
	fd = listen_on(&addr);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(holder_find(&addr, found, 4), 1);
	ck_assert_int_eq(found[0].pid, getpid());
	close(fd);
	ck_assert_int_eq(holder_find(&addr, found, 4), 0);
	unlink(path);
	rmdir(dir);
}
END_TEST

START_TEST(listener_that_was_bound_beside_its_path_is_found)
{
	char dir[] = "/tmp/holder-test-XXXXXX";
	char path[64], bound[80];
	struct addr addr = {.family = AF_UNIX, .path = bound};
	struct addr wanted = {.family = AF_UNIX, .path = path};
	struct holder found[4];
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	snprintf(bound, sizeof(bound), "%s.%d", path, (int)getpid());
	fd = listen_on(&addr);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(rename(bound, path), 0);
	ck_assert_int_eq(holder_find(&wanted, found, 4), 1);
	ck_assert_int_eq(found[0].pid, getpid());
	unlink(path);
	close(fd);
	snprintf(bound, sizeof(bound), "%s.old", path);
	fd = listen_on(&addr);
	ck_assert_int_eq(holder_find(&wanted, found, 4), 0);
	close(fd);
	unlink(bound);
	rmdir(dir);
}
END_TEST

START_TEST(client_of_a_unix_socket_is_not_taken_for_its_holder)
{
	char dir[] = "/tmp/holder-test-XXXXXX";
	char path[64];
	struct addr addr = {.family = AF_UNIX, .path = path};
	struct sockaddr_storage sa;
	struct holder found[4];
	socklen_t len;
	int fd, client, server;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	fd = listen_on(&addr);
	len = addr_to_sockaddr(&addr, &sa);
	client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&sa, len), 0);
	server = accept(fd, NULL, NULL);
	ck_assert_int_ge(server, 0);
	close(fd);
	ck_assert_int_eq(holder_find(&addr, found, 4), 0);
	unlink(path);
	rmdir(dir);
}
END_TEST

START_TEST(unnamed_unix_address_is_refused)
{
	struct addr addr = {.family = AF_UNIX};
	struct holder found;

	ck_assert_int_eq(holder_find(&addr, &found, 1), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("holder");
	TCase *tcase = tcase_create("holder");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, own_process_is_found_once_with_name_and_user);
	tcase_add_test(tcase, free_address_is_held_by_nobody);
	tcase_add_test(tcase, other_process_is_found);
	tcase_add_test(tcase, listener_in_a_threads_own_table_is_found);
	tcase_add_test(tcase, listener_in_a_table_of_a_thread_of_this_process_is_found);
	tcase_add_test(tcase, other_program_is_named_and_is_not_sluice);
	tcase_add_test(tcase, wildcard_finds_the_holder_of_one_address);
	tcase_add_test(tcase, all_holders_are_found_up_to_max);
	tcase_add_test(tcase, listener_of_a_unix_socket_is_found);
	tcase_add_test(tcase, listener_that_was_bound_beside_its_path_is_found);
	tcase_add_test(tcase, client_of_a_unix_socket_is_not_taken_for_its_holder);
	tcase_add_test(tcase, unnamed_unix_address_is_refused);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
