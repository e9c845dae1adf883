/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that are replaced as a whole. Happy path: written beside itself, synced, renamed over
 * itself, and the directory synced, since a rename is in the directory's data.
 *
 * Failure modes: whatever the file system says, as -errno; what was written beside goes away again.
 */
#include "proxy/base/statefile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_SUFFIX ".new"
#define BAD_SUFFIX ".bad"

int statefile_directory(const char *path, int *ret_dir_fd)
{
	int fd;

	if (mkdir(path, 0700) < 0 && errno != EEXIST && errno != EROFS)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_dir_fd = fd;
	return 0;
}

/* `size` bytes and a NUL. 0 or -errno. */
static int read_bytes(int fd, size_t size, char **ret_text, size_t *ret_size)
{
	char *text = malloc(size + 1);
	size_t used = 0;
	ssize_t got = 0;

	if (!text)
		return -ENOMEM;
	while (used < size && (got = read(fd, text + used, size - used)) > 0)
		used += (size_t)got;
	if (got < 0) {
		free(text);
		return -EIO;
	}
	text[used] = '\0';
	*ret_text = text;
	*ret_size = used;
	return 0;
}

int statefile_read(int dir_fd, const char *name, size_t max, char **ret_text, size_t *ret_size)
{
	/* What is no regular file must not make us wait. */
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat stat;
	int err;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode) || (size_t)stat.st_size > max)
		err = -EINVAL;
	else
		err = read_bytes(fd, (size_t)stat.st_size, ret_text, ret_size);
	close(fd);
	return err;
}

static int write_all(int fd, const char *text, size_t size)
{
	while (size) {
		ssize_t written = write(fd, text, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		text += written;
		size -= (size_t)written;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int statefile_replace(int dir_fd, const char *name, const char *text, size_t size)
{
	char beside[NAME_MAX + 1];
	int fd, err;

	snprintf(beside, sizeof(beside), "%s" NEW_SUFFIX, name);
	fd = openat(dir_fd, beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = write_all(fd, text, size);
	/* A network's file system may tell only now that there was no room. */
	if (close(fd) < 0 && !err)
		err = -errno;
	if (!err && renameat(dir_fd, beside, dir_fd, name) < 0)
		err = -errno;
	if (err) {
		unlinkat(dir_fd, beside, 0);
		return err;
	}
	return fsync(dir_fd) < 0 ? -errno : 0;
}

int statefile_put_aside(int dir_fd, const char *name)
{
	char aside[NAME_MAX + 1];

	snprintf(aside, sizeof(aside), "%s" BAD_SUFFIX, name);
	return renameat(dir_fd, name, dir_fd, aside) < 0 ? -errno : 0;
}
