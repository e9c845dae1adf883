/* SPDX-License-Identifier: Apache-2.0
 *
 * A main() for a fuzz target without a fuzzer: `replay DIR...` runs every file of the directories
 * through it once, so that what a fuzzer found stays found in builds that have none.
 *
 * Happy path: read, run, count, print the count. Failure modes: the target aborts, which is what it
 * is for; a directory or file that cannot be read, or no file at all, exits 1.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *running = "no input";

/* Name the input that broke the target. Both signals end the process once this returns: abort(3)
 * raises again, and a fault repeats with the default action that SA_RESETHAND restored. */
static void on_break(int sig)
{
	static const char text[] = "replay: broken by ";
	ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)sig;
	ignored = write(STDERR_FILENO, running, strlen(running));
	ignored = write(STDERR_FILENO, "\n", 1);
	(void)ignored;
}

static int replay_file(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	uint8_t *data = NULL;
	struct stat info;
	int ret = -1;

	if (fd < 0 || fstat(fd, &info) < 0)
		goto fail;
	/* No byte more than the input, so that a sanitizer sees a read behind its end. */
	data = malloc((size_t)info.st_size);
	if (!data || read(fd, data, (size_t)info.st_size) != info.st_size)
		goto fail;
	running = name;
	LLVMFuzzerTestOneInput(data, (size_t)info.st_size);
	ret = 0;
fail:
	if (ret < 0)
		perror(name);
	free(data);
	if (fd >= 0)
		close(fd);
	return ret;
}

/* How many files were run, or -1. */
static int replay_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (!dir) {
		perror(path);
		return -1;
	}
	while (count >= 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		count = replay_file(dirfd(dir), entry->d_name) < 0 ? -1 : count + 1;
	}
	closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_break, .sa_flags = SA_RESETHAND};
	int total = 0;

	sigaction(SIGABRT, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);

	for (int i = 1; i < argc; i++) {
		int count = replay_dir(argv[i]);

		if (count < 0)
			return EXIT_FAILURE;
		total += count;
	}
	printf("replay: %d inputs\n", total);
	return total ? EXIT_SUCCESS : EXIT_FAILURE;
}
