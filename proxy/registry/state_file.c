/* SPDX-License-Identifier: Apache-2.0
 *
 * The file in the state directory. Happy path: read once at start; written beside itself, synced
 * and renamed over itself, so that after a power cut it is the old one or the new one.
 *
 * Failure modes: no directory, or one that may not be used: an event, and -errno with each attempt
 * to write. A file that cannot be read or understood, all of it or in parts: an event, and it is
 * kept aside as overrides.json.bad, so that a person can look at it and nothing overwrites it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/jot.h"
#include "proxy/events.h"
#include "proxy/registry/store.h"

#define FILE_NAME "overrides.json"
#define NEW_NAME  "overrides.json.new"
#define BAD_NAME  "overrides.json.bad"
/* Far more than 10,000 targets take. */
#define SIZE_MAX_BYTES (64 << 20)

static int open_directory(struct store *store)
{
	if (mkdir(store->directory, 0700) < 0 && errno != EEXIST && errno != EROFS)
		return -errno;
	store->dir_fd = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return store->dir_fd < 0 ? -errno : 0;
}

/* All of it, NUL-ended. 0 or -errno; -ENOENT is no fault. The caller frees. */
static int read_file(int dir_fd, char **ret_text, size_t *ret_size)
{
	int fd = openat(dir_fd, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t size = 0;
	ssize_t got = 0;
	struct stat stat;
	char *text;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode) || stat.st_size > SIZE_MAX_BYTES) {
		close(fd);
		return -EINVAL;
	}
	text = malloc((size_t)stat.st_size + 1);
	while (text && size < (size_t)stat.st_size &&
	       (got = read(fd, text + size, (size_t)stat.st_size - size)) > 0)
		size += (size_t)got;
	close(fd);
	if (!text || got < 0) {
		free(text);
		return text ? -EIO : -ENOMEM;
	}
	*ret_text = text;
	*ret_size = size;
	return 0;
}

static void put_aside(struct store *store, const char *why)
{
	bool kept = !renameat(store->dir_fd, FILE_NAME, store->dir_fd, BAD_NAME);

	events_add(store->events, LOG_ERROR, "state_bad", NULL, NULL, "%s/%s: %s%s",
		   store->directory, FILE_NAME, why,
		   kept ? "; kept aside as " BAD_NAME : "; it could not be put aside");
}

static void parse(struct store *store, const char *text, size_t size)
{
	json_error_t error;
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	char why[256];

	if (!root) {
		snprintf(why, sizeof(why), "line %d: %s", error.line, error.text);
		put_aside(store, why);
		return;
	}
	if (state_from_json(store, root) < 0) {
		put_aside(store, "parts of it make no sense, the rest is used");
		store->dirty = true;
	}
	json_decref(root);
}

void state_load(struct store *store)
{
	char *text = NULL;
	size_t size = 0;

	store->err = open_directory(store);
	if (store->err) {
		events_add(store->events, LOG_ERROR, "state_unusable", NULL, NULL,
			   "%s: %s; what operators say will not survive a restart",
			   store->directory, strerror(-store->err));
		return;
	}
	int err = read_file(store->dir_fd, &text, &size);

	if (!err)
		parse(store, text, size);
	else if (err != -ENOENT)
		put_aside(store, strerror(-err));
	free(text);
}

static int write_all(int fd, const char *text)
{
	size_t size = strlen(text);

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

static int replace_file(int dir_fd, const char *text)
{
	int fd = openat(dir_fd, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
			0600);
	int err;

	if (fd < 0)
		return -errno;
	err = write_all(fd, text);
	/* A network's file system may tell only now that there was no room. */
	if (close(fd) < 0 && !err)
		err = -errno;
	if (!err && renameat(dir_fd, NEW_NAME, dir_fd, FILE_NAME) < 0)
		err = -errno;
	if (err) {
		unlinkat(dir_fd, NEW_NAME, 0);
		return err;
	}
	return fsync(dir_fd) < 0 ? -errno : 0;
}

int state_write(struct store *store)
{
	json_t *root;
	char *text;
	int err;

	if (store->dir_fd < 0) {
		err = open_directory(store);
		if (err)
			return err;
	}
	root = state_to_json(store);
	text = jot_dump(root);
	err = text ? replace_file(store->dir_fd, text) : -ENOMEM;
	free(text);
	json_decref(root);
	return err;
}
