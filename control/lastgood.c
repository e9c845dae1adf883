/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of the last-known-good sets: KEY.set in the state directory. See control/lastgood.h.
 *
 * A file whose time lies ahead of the clock counts as fresh: clocks are wrong at boot more often
 * than files are, and its targets have to pass a health check all the same.
 */
#include "control/lastgood.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/lastgood_file.h"
#include "proxy/base/clock.h"
#include "proxy/base/statefile.h"

#define SUFFIX    ".set"
#define NAME_ROOM (LASTGOOD_KEY + sizeof(SUFFIX))
/* Far more than 65,536 targets take. */
#define SIZE_MAX_BYTES (64 << 20)

struct lastgood {
	int dir_fd; /* -1: nothing is kept */
};

int lastgood_open(const char *directory, struct lastgood **ret_lastgood)
{
	struct lastgood *lastgood = malloc(sizeof(*lastgood));
	int err = 0;

	if (!lastgood)
		return -ENOMEM;
	lastgood->dir_fd = -1;
	if (directory)
		err = statefile_directory(directory, &lastgood->dir_fd);
	if (err)
		free(lastgood);
	else
		*ret_lastgood = lastgood;
	return err;
}

void lastgood_close(struct lastgood *lastgood)
{
	if (lastgood && lastgood->dir_fd >= 0)
		close(lastgood->dir_fd);
	free(lastgood);
}

static const char *name_of(const char *key, char *buf)
{
	snprintf(buf, NAME_ROOM, "%s" SUFFIX, key);
	return buf;
}

int lastgood_save(struct lastgood *lastgood, const char *key, const char *pool, const char *source,
		  const struct target_set *set, uint64_t wall_us)
{
	struct lastgood_owner owner = {key, pool, source};
	char name[NAME_ROOM];
	char *text;
	int err;

	if (!lastgood || lastgood->dir_fd < 0)
		return 0;
	text = lastgood_encode(&owner, set, wall_us);
	err = text ? statefile_replace(lastgood->dir_fd, name_of(key, name), text, strlen(text))
		   : -ENOMEM;
	free(text);
	return err;
}

static bool is_too_old(uint64_t saved_us, uint64_t now_us, uint64_t max_age_us)
{
	return now_us > saved_us && now_us - saved_us > max_age_us;
}

/* The set of a file that is whole and of this owner. */
static int load_file(int dir_fd, const struct lastgood_owner *owner, struct target_set **ret_set,
		     uint64_t *ret_saved_wall_us)
{
	char name[NAME_ROOM];
	char *text;
	size_t size;
	int err = statefile_read(dir_fd, name_of(owner->key, name), SIZE_MAX_BYTES, &text, &size);

	if (err == -EINVAL)
		err = -EBADMSG;
	else if (!err) {
		err = lastgood_decode(text, size, owner, ret_set, ret_saved_wall_us);
		free(text);
	}
	/* Nothing else is to be done if even this fails: the next save replaces it. */
	if (err == -EBADMSG || err == -EINVAL)
		(void)statefile_put_aside(dir_fd, name);
	return err;
}

int lastgood_load(struct lastgood *lastgood, const char *key, const char *pool, const char *source,
		  uint64_t now_wall_us, uint64_t max_age_us, struct target_set **ret_set,
		  uint64_t *ret_saved_wall_us)
{
	struct lastgood_owner owner = {key, pool, source};
	struct target_set *set;
	uint64_t saved_us;
	int err;

	if (!lastgood || lastgood->dir_fd < 0)
		return -ENOENT;
	err = load_file(lastgood->dir_fd, &owner, &set, &saved_us);
	if (err)
		return err;
	if (is_too_old(saved_us, now_wall_us, max_age_us)) {
		target_set_free(set);
		return -ESTALE;
	}
	*ret_set = set;
	*ret_saved_wall_us = saved_us;
	return 0;
}

/* Whether it is a file of ours that nobody in `keys` needs. What was put aside or left half written
 * belongs to nobody. */
static bool is_stray(const char *name, const char *const *keys, size_t count)
{
	char own[NAME_ROOM];

	if (strspn(name, "0123456789abcdef") != LASTGOOD_KEY - 1 ||
	    strncmp(name + LASTGOOD_KEY - 1, SUFFIX, strlen(SUFFIX)))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!strcmp(name, name_of(keys[i], own)))
			return false;
	return true;
}

void lastgood_sweep(struct lastgood *lastgood, const char *const *keys, size_t count,
		    uint64_t now_wall_us, uint64_t max_age_us)
{
	int fd = lastgood && lastgood->dir_fd >= 0
			 ? openat(lastgood->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
			 : -1;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	struct stat stat;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)))
		if (is_stray(entry->d_name, keys, count) &&
		    !fstatat(fd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) &&
		    is_too_old((uint64_t)stat.st_mtime * US_PER_SEC, now_wall_us, max_age_us))
			unlinkat(fd, entry->d_name, 0);
	closedir(dir);
}
