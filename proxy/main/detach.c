/* SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: a child is forked, which does everything; the parent reads a pipe until the child
 * writes one byte to it, and exits 0. Session, working directory and descriptors are the child's as
 * they were ours: under a service manager that is what is wanted, and in a shell setsid(1) is.
 *
 * Failure mode: the child ends before it serves, and the pipe without a byte; its exit status is
 * the parent's. A death by a signal counts as a start that failed.
 */
#include "proxy/main/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/options.h"

static int waiting = -1; /* the pipe's end of the child */

static int await(pid_t child, int fd)
{
	int status;
	char byte;
	ssize_t got;

	do
		got = read(fd, &byte, 1);
	while (got < 0 && errno == EINTR);
	if (got == 1)
		return EXIT_OK;
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return EXIT_CONFIG;
	return WEXITSTATUS(status);
}

int detach_begin(void)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	child = fork();
	if (child > 0) {
		close(fds[1]);
		_exit(await(child, fds[0]));
	}
	close(fds[0]);
	if (child < 0) {
		int err = -errno;

		close(fds[1]);
		return err;
	}
	waiting = fds[1];
	return 0;
}

void detach_done(void)
{
	if (waiting < 0)
		return;
	while (write(waiting, "", 1) < 0 && errno == EINTR)
		;
	close(waiting);
	waiting = -1;
}
