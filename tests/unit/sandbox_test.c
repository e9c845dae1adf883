/* SPDX-License-Identifier: Apache-2.0
 *
 * What is refused, how, and to whom. Everything happens in children that are forked for it, since
 * none of it can be undone; a child's exit status is its answer.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/sandbox.h"

#define SKIPPED 77 /* not root, or no seccomp here */

/* Runs `child` in a process of its own; its wait status. */
static int run(int (*child)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (!pid)
		_exit(child());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* The child counts its checks by line, so that a failure says where. */
#define EXPECT(cond)                                                                               \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			dprintf(STDERR_FILENO, "line %d: %s (errno %d)\n", __LINE__, #cond,        \
				errno);                                                            \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

static void assert_succeeds(int (*child)(void))
{
	int status = run(child);

	ck_assert_msg(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) != SKIPPED)
		ck_assert_int_eq(WEXITSTATUS(status), 0);
}

static int enter(enum sandbox_role role)
{
	int r = sandbox_enter(role);

	return r == -EINVAL || r == -ENOSYS ? SKIPPED : r;
}

#define ENTER(role)                                                                                \
	do {                                                                                       \
		int r = enter(role);                                                               \
		if (r == SKIPPED)                                                                  \
			return SKIPPED;                                                            \
		EXPECT(r == 0);                                                                    \
	} while (0)

static int refused(long result)
{
	return result == -1 && errno == EPERM;
}

static int worker_is_refused_files_and_programs(void)
{
	static char *const argv[] = {(char *)"/bin/true", NULL};

	ENTER(SANDBOX_WORKER);
	EXPECT(refused(open("/etc/passwd", O_RDONLY)));
	EXPECT(refused(execv(argv[0], argv)));
	EXPECT(refused(syscall(SYS_ptrace, 0, 0, 0, 0)));
	EXPECT(refused(kill(getpid(), 0)));
	return 0;
}

static int worker_moves_bytes(void)
{
	int ends[2], fd;
	char byte = 'x';
	char *memory;

	ENTER(SANDBOX_WORKER);
	EXPECT(!pipe2(ends, O_NONBLOCK));
	EXPECT(write(ends[1], &byte, 1) == 1);
	EXPECT(read(ends[0], &byte, 1) == 1);
	EXPECT(splice(ends[0], NULL, ends[1], NULL, 1, SPLICE_F_NONBLOCK) == -1);
	EXPECT(fcntl(ends[0], F_SETPIPE_SZ, 65536) == 65536);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(fd >= 0);
	EXPECT(shutdown(fd, SHUT_WR) == -1 && errno == ENOTCONN);
	memory = malloc(1 << 20);
	EXPECT(memory);
	free(memory);
	return close(fd);
}

static int writer_cannot_reach_the_network(void)
{
	int unix_fd;

	ENTER(SANDBOX_WRITER);
	EXPECT(refused(socket(AF_INET, SOCK_STREAM, 0)));
	unix_fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	EXPECT(unix_fd >= 0);
	EXPECT(refused(open("/dev/null", O_WRONLY)));
	EXPECT(write(STDOUT_FILENO, "", 0) == 0);
	return 0;
}

static int resolver_resolves_and_runs_nothing(void)
{
	static char *const argv[] = {(char *)"/bin/true", NULL};
	struct addrinfo *found = NULL;

	ENTER(SANDBOX_RESOLVER);
	EXPECT(!getaddrinfo("localhost", NULL, NULL, &found));
	freeaddrinfo(found);
	EXPECT(refused(execv(argv[0], argv)));
	EXPECT(refused(unlink("/nonexistent")));
	return 0;
}

static int checker_connects_and_does_nothing_else(void)
{
	int fd;

	ENTER(SANDBOX_HEALTH);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT(fd >= 0);
	EXPECT(recv(fd, NULL, 0, 0) == -1 && errno == ENOTCONN);
	EXPECT(refused(open("/etc/passwd", O_RDONLY)));
	EXPECT(refused(listen(fd, 1)));
	EXPECT(refused(accept(fd, NULL, NULL)));
	return close(fd);
}

static int admin_answers_and_reaches_nobody(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	EXPECT(fd >= 0 && !listen(fd, 1));
	ENTER(SANDBOX_ADMIN);
	EXPECT(accept4(fd, NULL, NULL, 0) == -1 && errno == EAGAIN);
	EXPECT(refused(connect(fd, (struct sockaddr *)&any, sizeof(any))));
	EXPECT(refused(socket(AF_INET, SOCK_STREAM, 0)));
	EXPECT(refused(open("/etc/passwd", O_RDONLY)));
	return close(fd);
}

static void *enter_as_worker(void *arg)
{
	*(int *)arg = enter(SANDBOX_WORKER);
	if (!*(int *)arg)
		*(int *)arg = refused(open("/dev/null", O_RDONLY)) ? 0 : 1;
	return NULL;
}

static int control_asks_and_keeps_but_neither_listens_nor_runs(void)
{
	static char *const argv[] = {(char *)"/bin/true", NULL};
	char path[] = "/tmp/sluice-sandbox-XXXXXX", other[64];
	struct addrinfo *found = NULL;
	int fd, watch, status;

	ENTER(SANDBOX_CONTROL);
	fd = mkstemp(path);
	EXPECT(fd >= 0);
	snprintf(other, sizeof(other), "%s.new", path);
	EXPECT(!fsync(fd) && !rename(path, other));
	watch = inotify_init1(IN_CLOEXEC);
	EXPECT(watch >= 0 && inotify_add_watch(watch, other, IN_MODIFY) >= 0);
	EXPECT(!unlink(other));
	status = getaddrinfo("localhost", "80", NULL, &found);
	EXPECT(status == 0 || status == EAI_NONAME || status == EAI_AGAIN);
	EXPECT(refused(execv(argv[0], argv)));
	EXPECT(refused(listen(socket(AF_INET, SOCK_STREAM, 0), 1)));
	EXPECT(refused(syscall(SYS_ptrace, 0, 0, 0, 0)));
	EXPECT(refused(kill(getpid(), 0)));
	return 0;
}

static int secrets_are_in_no_dump(void)
{
	struct rlimit limit;

	EXPECT(!sandbox_forbid_dumps());
	EXPECT(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	EXPECT(!getrlimit(RLIMIT_CORE, &limit) && limit.rlim_max == 0);
	return 0;
}

static int main_goes_on_opening_beside_a_confined_thread(void)
{
	pthread_t thread;
	int answer = -1;

	ENTER(SANDBOX_MAIN);
	EXPECT(!pthread_create(&thread, NULL, enter_as_worker, &answer));
	EXPECT(!pthread_join(thread, NULL));
	if (answer == SKIPPED)
		return SKIPPED;
	EXPECT(answer == 0);
	EXPECT(open("/dev/null", O_RDONLY) >= 0);
	EXPECT(listen(socket(AF_INET, SOCK_STREAM, 0), 1) == 0);
	EXPECT(kill(getpid(), 0) == 0);
	EXPECT(refused(syscall(SYS_execve, "/bin/true", NULL, NULL)));
	EXPECT(refused(syscall(SYS_mount, 0, 0, 0, 0, 0)));
	return 0;
}

START_TEST(refused_call_gives_eperm_in_production)
{
	unsetenv("SLUICE_SECCOMP");
	assert_succeeds(worker_is_refused_files_and_programs);
	assert_succeeds(writer_cannot_reach_the_network);
	assert_succeeds(checker_connects_and_does_nothing_else);
	assert_succeeds(admin_answers_and_reaches_nobody);
	assert_succeeds(main_goes_on_opening_beside_a_confined_thread);
	assert_succeeds(control_asks_and_keeps_but_neither_listens_nor_runs);
}
END_TEST

START_TEST(a_process_with_secrets_leaves_no_dump)
{
	assert_succeeds(secrets_are_in_no_dump);
}
END_TEST

START_TEST(what_a_role_is_for_works_even_where_a_refusal_kills)
{
	setenv("SLUICE_SECCOMP", "kill", 1);
	assert_succeeds(worker_moves_bytes);
}
END_TEST

START_TEST(resolver_resolves_names_and_runs_no_program)
{
	unsetenv("SLUICE_SECCOMP");
	assert_succeeds(resolver_resolves_and_runs_nothing);
}
END_TEST

static int open_a_file_as_worker(void)
{
	ENTER(SANDBOX_WORKER);
	return open("/dev/null", O_RDONLY) >= 0 ? 0 : 1;
}

START_TEST(refused_call_kills_in_kill_mode)
{
	int status;

	setenv("SLUICE_SECCOMP", "kill", 1);
	status = run(open_a_file_as_worker);
	if (WIFEXITED(status))
		ck_assert_int_eq(WEXITSTATUS(status), SKIPPED);
	else
		ck_assert_int_eq(WTERMSIG(status), SIGSYS);
}
END_TEST

START_TEST(nothing_is_filtered_when_off)
{
	setenv("SLUICE_SECCOMP", "off", 1);
	assert_succeeds(open_a_file_as_worker);
}
END_TEST

static uint64_t capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return UINT64_MAX;
	return ((uint64_t)(data[1].permitted | data[1].effective | data[1].inheritable) << 32) |
	       data[0].permitted | data[0].effective | data[0].inheritable;
}

static bool may_bind_low(void)
{
	return capabilities() & 1u << CAP_NET_BIND_SERVICE;
}

static int bind_low(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	for (int port = 1023; port > 900; port--) {
		sa.sin_port = htons(port);
		if (!bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || errno != EADDRINUSE)
			break;
	}
	int r = getsockname(fd, (struct sockaddr *)&sa, &(socklen_t){sizeof(sa)});

	close(fd);
	return !r && sa.sin_port ? 0 : -1;
}

static void *note_capabilities(void *arg)
{
	sandbox_enter(SANDBOX_WORKER);
	*(uint64_t *)arg = capabilities();
	return NULL;
}

static int nobody_keeps_one_capability(void)
{
	uint64_t of_thread = 1;
	pthread_t thread;

	if (geteuid() || !may_bind_low())
		return SKIPPED;
	EXPECT(!sandbox_drop_user("nobody", true));
	EXPECT(getuid() != 0 && geteuid() != 0 && getegid() != 0);
	EXPECT(capabilities() == 1u << CAP_NET_BIND_SERVICE);
	EXPECT(setresuid(0, 0, 0) < 0);
	EXPECT(setresgid(0, 0, 0) < 0);
	EXPECT(open("/etc/shadow", O_RDONLY) < 0);
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	EXPECT(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 0);
	EXPECT(!pthread_create(&thread, NULL, note_capabilities, &of_thread));
	EXPECT(!pthread_join(thread, NULL));
	EXPECT(of_thread == 0);
	EXPECT(capabilities() == 1u << CAP_NET_BIND_SERVICE);
	EXPECT(!sandbox_drop_net_bind());
	EXPECT(capabilities() == 0);
	return 0;
}

static int nobody_keeps_none_if_so_told(void)
{
	gid_t groups[64] = {0, 42};

	if (geteuid())
		return SKIPPED;
	EXPECT(!setgroups(2, groups));
	EXPECT(!sandbox_drop_user("nobody", false));
	EXPECT(capabilities() == 0);
	for (int i = getgroups(64, groups); i-- > 0;)
		EXPECT(groups[i] != 0 && groups[i] != 42);
	return 0;
}

static int kept_capability_binds_low_ports(void)
{
	if (geteuid() || !may_bind_low())
		return SKIPPED;
	EXPECT(!sandbox_drop_user("nobody", true));
	ENTER(SANDBOX_MAIN);
	return bind_low();
}

static int unknown_user_changes_nothing(void)
{
	if (geteuid())
		return SKIPPED;
	EXPECT(sandbox_drop_user("no-such-user-here", true) == -ENOENT);
	EXPECT(geteuid() == 0);
	return 0;
}

static int nobody_has_nothing_to_drop(void)
{
	if (!geteuid())
		EXPECT(!setresuid(65534, 65534, 65534));
	EXPECT(!sandbox_drop_user("root", true));
	EXPECT(geteuid() != 0);
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	return 0;
}

START_TEST(root_becomes_the_user_with_the_one_capability)
{
	setenv("SLUICE_SECCOMP", "off", 1);
	assert_succeeds(nobody_keeps_one_capability);
	assert_succeeds(nobody_keeps_none_if_so_told);
}
END_TEST

START_TEST(main_can_still_bind_low_ports_after_the_drop)
{
	assert_succeeds(kept_capability_binds_low_ports);
}
END_TEST

START_TEST(unknown_user_is_an_error_and_changes_nothing)
{
	assert_succeeds(unknown_user_changes_nothing);
}
END_TEST

START_TEST(ordinary_user_stays_and_forgoes_new_privileges)
{
	assert_succeeds(nobody_has_nothing_to_drop);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sandbox");
	TCase *cases = tcase_create("sandbox");
	SRunner *runner;
	int failed;

	tcase_add_test(cases, refused_call_gives_eperm_in_production);
	tcase_add_test(cases, a_process_with_secrets_leaves_no_dump);
	tcase_add_test(cases, what_a_role_is_for_works_even_where_a_refusal_kills);
	tcase_add_test(cases, resolver_resolves_names_and_runs_no_program);
	tcase_add_test(cases, refused_call_kills_in_kill_mode);
	tcase_add_test(cases, nothing_is_filtered_when_off);
	tcase_add_test(cases, root_becomes_the_user_with_the_one_capability);
	tcase_add_test(cases, main_can_still_bind_low_ports_after_the_drop);
	tcase_add_test(cases, unknown_user_is_an_error_and_changes_nothing);
	tcase_add_test(cases, ordinary_user_stays_and_forgoes_new_privileges);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
