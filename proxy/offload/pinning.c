/* SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: every directory is tried for its lock; those that give it have no owner any more. The
 * newest becomes ours, under our name.
 *
 * Failure modes: no bpffs, or no right to write there, is the caller's to tell. A directory that
 * vanishes between two steps had an owner who stopped in good order. One that cannot be renamed
 * keeps its name; the lock is what counts. Processes of several users have a root each, since none
 * can enter another's once it has given up its capabilities.
 */
#include "proxy/offload/pinning.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "proxy/base/clock.h"

#define ESTATES_MAX 64
#define NAME_MAX_   64
#define TRIES       8

struct pin_dir {
	char path[OFFLOAD_PIN_MAX + NAME_MAX_];
	int lock_fd; /* -1: none */
	uint64_t since_us;
};

struct pinning {
	char root[OFFLOAD_PIN_MAX];
	struct pin_dir own;
	struct pin_dir estates[ESTATES_MAX]; /* oldest first */
	unsigned estate_count;
	struct pin_dir current; /* of pinning_next_estate() */
	bool inherited;
};

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (unsigned)fs.f_type == BPF_FS_MAGIC;
}

void pinning_place(const char *root, unsigned user, char ret_place[OFFLOAD_PIN_MAX])
{
	struct stat status;

	if (stat(root, &status) || status.st_uid == user)
		snprintf(ret_place, OFFLOAD_PIN_MAX, "%s", root);
	else
		snprintf(ret_place, OFFLOAD_PIN_MAX, "%s-%u", root, user);
}

void pinning_make(const char *root, unsigned user)
{
	bool made = !mkdir(root, 0700);

	if (!made && errno != EEXIST)
		return;
	if (!is_bpffs(root)) {
		if (made)
			rmdir(root);
	} else if (user != geteuid() && chown(root, user, (gid_t)-1)) {
		return; /* not root: it has to be there, and ours */
	}
}

void pinning_drop(const char *root)
{
	if (is_bpffs(root))
		rmdir(root);
}

int pinning_check(const char *root)
{
	bool made = !mkdir(root, 0700);

	if (!made && errno != EEXIST)
		return -errno;
	if (!is_bpffs(root)) {
		if (made)
			rmdir(root);
		return -ENOTSUP;
	}
	return access(root, W_OK | X_OK) ? -errno : 0;
}

static void let_go(struct pin_dir *dir)
{
	if (dir->lock_fd >= 0)
		close(dir->lock_fd);
	dir->lock_fd = -1;
}

/* True: it is there, and nobody's but ours. */
static bool lock(struct pin_dir *dir)
{
	struct stat status;

	dir->lock_fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir->lock_fd < 0)
		return false;
	/* Its owner may have removed it while it was being opened. */
	if (!flock(dir->lock_fd, LOCK_EX | LOCK_NB) && !fstat(dir->lock_fd, &status) &&
	    status.st_nlink && !access(dir->path, F_OK))
		return true;
	let_go(dir);
	return false;
}

static bool set_path(struct pin_dir *dir, const char *root, const char *name)
{
	int len = snprintf(dir->path, sizeof(dir->path), "%s/%s", root, name);

	return len > 0 && (size_t)len < sizeof(dir->path);
}

/* `PID-SINCE`. Others are not ours. */
static bool read_name(const char *name, uint64_t *ret_since_us)
{
	unsigned long long since;
	int end = 0;

	if (sscanf(name, "%*u-%llu%n", &since, &end) != 1 || name[end])
		return false;
	*ret_since_us = since;
	return true;
}

static int by_age(const void *a, const void *b)
{
	const struct pin_dir *one = a, *other = b;

	return one->since_us < other->since_us ? -1 : one->since_us > other->since_us;
}

static int find_estates(struct pinning *pins)
{
	DIR *dir = opendir(pins->root);
	const struct dirent *entry;

	if (!dir)
		return -errno;
	while (pins->estate_count < ESTATES_MAX && (entry = readdir(dir))) {
		struct pin_dir estate = {.since_us = 0};

		if (read_name(entry->d_name, &estate.since_us) &&
		    set_path(&estate, pins->root, entry->d_name) && lock(&estate))
			pins->estates[pins->estate_count++] = estate;
	}
	closedir(dir);
	qsort(pins->estates, pins->estate_count, sizeof(pins->estates[0]), by_age);
	return 0;
}

static void name_own(struct pinning *pins, unsigned try, struct pin_dir *ret_dir)
{
	char name[NAME_MAX_];

	*ret_dir = (struct pin_dir){.lock_fd = -1, .since_us = clock_us() + try};
	snprintf(name, sizeof(name), "%d-%llu", (int)getpid(),
		 (unsigned long long)ret_dir->since_us);
	set_path(ret_dir, pins->root, name);
}

static int make_own(struct pinning *pins)
{
	pins->inherited = false;
	for (unsigned try = 0; try < TRIES; try++) {
		name_own(pins, try, &pins->own);
		if (mkdir(pins->own.path, 0700)) {
			if (errno == ENOENT) /* who stopped last took the root along */
				mkdir(pins->root, 0700);
			else if (errno != EEXIST)
				return -errno;
			continue;
		}
		if (lock(&pins->own))
			return 0;
		/* Another process that starts took it for a dead one's. */
	}
	return -EBUSY;
}

static void take_newest(struct pinning *pins)
{
	struct pin_dir renamed;

	pins->own = pins->estates[--pins->estate_count];
	pins->inherited = true;
	name_own(pins, 0, &renamed);
	if (!rename(pins->own.path, renamed.path))
		memcpy(pins->own.path, renamed.path, sizeof(renamed.path));
}

static struct pinning *pinning_new(const char *root)
{
	struct pinning *pins = calloc(1, sizeof(*pins));

	if (!pins)
		return NULL;
	snprintf(pins->root, sizeof(pins->root), "%s", root);
	pins->own.lock_fd = pins->current.lock_fd = -1;
	return pins;
}

bool pinning_has_estate(const char *root)
{
	struct pinning *pins = pinning_new(root);
	bool any = pins && !find_estates(pins) && pins->estate_count;

	pinning_close(pins, true);
	return any;
}

int pinning_open(const char *root, struct pinning **ret_pins)
{
	struct pinning *pins;
	int err = strlen(root) < sizeof(pins->root) ? pinning_check(root) : -ENAMETOOLONG;

	if (err)
		return err;
	pins = pinning_new(root);
	if (!pins)
		return -ENOMEM;
	err = find_estates(pins);
	if (!err && pins->estate_count)
		take_newest(pins);
	else if (!err)
		err = make_own(pins);
	if (err) {
		pinning_close(pins, true);
		return err;
	}
	*ret_pins = pins;
	return 0;
}

const char *pinning_path(const struct pinning *pins)
{
	return pins->own.path;
}

bool pinning_are_inherited(const struct pinning *pins)
{
	return pins->inherited;
}

int pinning_renounce(struct pinning *pins)
{
	let_go(&pins->own);
	return make_own(pins);
}

const char *pinning_next_estate(struct pinning *pins)
{
	let_go(&pins->current);
	if (!pins->estate_count)
		return NULL;
	pins->current = pins->estates[--pins->estate_count];
	return pins->current.path;
}

void pinning_drop_estate(struct pinning *pins)
{
	rmdir(pins->current.path);
	let_go(&pins->current);
}

void pinning_close(struct pinning *pins, bool leave)
{
	if (!pins)
		return;
	if (!leave && pins->own.lock_fd >= 0) {
		rmdir(pins->own.path);
		rmdir(pins->root); /* unless somebody else's is there */
	}
	let_go(&pins->own);
	let_go(&pins->current);
	while (pins->estate_count)
		let_go(&pins->estates[--pins->estate_count]);
	free(pins);
}
