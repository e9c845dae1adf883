/* SPDX-License-Identifier: Apache-2.0
 *
 * Pins of the guard's links: what is pinned stays at the door when we die, until another process
 * takes it over, or sweeps it away.
 *
 * Happy path: the directory is made while we may, and handed to the user who will unpin. A pin's
 * name ends in the pid of its owner, so that whoever comes later can tell whether he is still here.
 * Failure modes: no bpffs, no privilege; said with the remedy, or (in a sweep) left as it is.
 */
#include <linux/bpf.h>

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "xdp/guard/hook.h"
#include "xdp/guard/internal.h"

/* --- the directory --- */

/* On bpffs, or nothing can be pinned there. */
static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (unsigned)fs.f_type == BPF_FS_MAGIC;
}

/* Each part of the path that is missing; the last one will be `owner`'s, who unpins. */
static int make_directory(const char *path, unsigned owner)
{
	char part[256];

	for (const char *end = strchr(path + 1, '/');; end = strchr(end + 1, '/')) {
		int len = end ? (int)(end - path) : (int)strlen(path);

		if (snprintf(part, sizeof(part), "%.*s", len, path) >= (int)sizeof(part))
			return -ENAMETOOLONG;
		if (access(part, F_OK) && mkdir(part, 0700))
			return -errno;
		if (!end)
			break;
	}
	return owner != geteuid() && chown(path, owner, (gid_t)-1) ? -errno : 0;
}

int pins_open(struct guard *guard, const struct guard_conf *conf, char *problem, size_t size)
{
	int err = 0;

	guard->keep = conf->keep;
	if (!conf->pin_path)
		return 0;
	snprintf(guard->pin_path, sizeof(guard->pin_path), "%s", conf->pin_path);
	if (conf->keep)
		err = make_directory(conf->pin_path, conf->owner);
	if (!err)
		guard->pin_dir_fd = open(conf->pin_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!conf->keep || (guard->pin_dir_fd >= 0 && is_bpffs(conf->pin_path)))
		return 0;
	snprintf(problem, size,
		 "guard.on_crash: keep needs a bpf file system for %s: `mount -t bpf bpf "
		 "/sys/fs/bpf`, or guard.on_crash: open",
		 conf->pin_path);
	return err ? err : -EOPNOTSUPP;
}

/* --- ours, and those of one whose place we take --- */

int pins_find(const char *path, unsigned ifindex, __u32 program, char ret_name[PIN_NAME])
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	int found = -ENOENT;

	while (directory && found < 0 && (entry = readdir(directory))) {
		char full[512];
		int fd;

		snprintf(full, sizeof(full), "%s/%s", path, entry->d_name);
		fd = entry->d_name[0] == '.' || strlen(entry->d_name) >= PIN_NAME
			     ? -1
			     : bpf_obj_get(full);
		if (fd < 0)
			continue;
		if (hook_leads_to(fd, ifindex, program)) {
			memcpy(ret_name, entry->d_name, strlen(entry->d_name) + 1);
			found = fd;
		} else {
			close(fd);
		}
	}
	if (directory)
		closedir(directory);
	return found;
}

static void pin_name(const struct guard_attached *attached, char *ret_name, size_t size)
{
	snprintf(ret_name, size, "%s-%u-%d", attached->hook.name, attached->ifindex, (int)getpid());
}

int pins_put(struct guard *guard, struct guard_attached *attached)
{
	char name[PIN_NAME], path[sizeof(guard->pin_path) + PIN_NAME];
	int err;

	pin_name(attached, name, sizeof(name));
	snprintf(path, sizeof(path), "%s/%s", guard->pin_path, name);
	if (attached->pin[0])
		err = renameat(guard->pin_dir_fd, attached->pin, guard->pin_dir_fd, name);
	else
		err = bpf_obj_pin(attached->link_fd, path);
	if (err)
		return -errno;
	snprintf(attached->pin, sizeof(attached->pin), "%s", name);
	return 0;
}

void pins_drop(const struct guard *guard, struct guard_attached *attached)
{
	if (attached->pin[0])
		unlinkat(guard->pin_dir_fd, attached->pin, 0);
	attached->pin[0] = '\0';
}

/* --- what others left --- */

static bool is_wanted(unsigned ifindex, const struct guard_hook *hooks, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (if_nametoindex(hooks[i].name) == ifindex)
			return true;
	return false;
}

static bool is_alive(const char *name)
{
	const char *pid = strrchr(name, '-');

	return pid && (!kill((pid_t)atoi(pid + 1), 0) || errno != ESRCH);
}

/* Whether what this pin holds guards nothing that anybody wants guarded. */
static bool is_left(const char *path, const char *name, const struct guard_hook *hooks,
		    size_t count)
{
	struct link_view view;
	char full[512];
	bool left;
	int fd;

	snprintf(full, sizeof(full), "%s/%s", path, name);
	fd = bpf_obj_get(full);
	if (fd < 0)
		return false;
	left = !hook_view_link(fd, &view) && !is_alive(name) &&
	       (!view.ifindex || (hook_program_at(view.ifindex) == view.program &&
				  !is_wanted(view.ifindex, hooks, count)));
	close(fd);
	return left;
}

size_t guard_sweep(const char *pin_path, const struct guard_hook *hooks, size_t hook_count)
{
	DIR *directory = opendir(pin_path);
	const struct dirent *entry;
	size_t swept = 0;

	while (directory && (entry = readdir(directory)))
		if (entry->d_name[0] != '.' &&
		    is_left(pin_path, entry->d_name, hooks, hook_count) &&
		    !unlinkat(dirfd(directory), entry->d_name, 0))
			swept++;
	if (directory)
		closedir(directory);
	return swept;
}
