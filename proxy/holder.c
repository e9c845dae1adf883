/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding who listens on an address, from socket to process.
 *
 * The happy path is: the kernel lists the listening sockets in question with their inodes (netlink,
 * or /proc/net/unix for a path), then the descriptors of every process are read until one is a link
 * to such an inode. A worker has a descriptor table of its own, in which alone its listener is, so
 * each thread's table is read too, unless the kernel says that it is the process's own (kcmp(2)).
 *
 * Failure modes: processes of other users, and any that end meanwhile, are passed over; a socket
 * whose process cannot be seen leads to nobody. A socket that was bound but does not listen is not
 * looked for.
 */
#include "proxy/holder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/base/addr.h"
#include "proxy/netlink.h"

/* With more sockets than this on one address the rest are the same processes' again. */
#define SOCKETS_MAX 512

/* "/proc/PID/task/TID/fd/NUMBER" */
#define PATH_TEXT 96

struct sockets {
	struct netlink_listener listeners[SOCKETS_MAX];
	size_t count;
};

/* Whether a socket that was bound as `name` is the one at `path`. The kernel knows a socket by the
 * name it was bound to, and sluice binds beside the path, to PATH.PID, and renames. */
static bool is_named(const char *name, const char *path)
{
	size_t length = strlen(path);

	if (strncmp(name, path, length) != 0)
		return false;
	name += length;
	return !*name || (name[0] == '.' && name[1] && !name[1 + strspn(name + 1, "0123456789")]);
}

/* One line of /proc/net/unix (proc_pid_net(5)), e.g.
 * `0000000000000000: 00000002 00000000 00010000 0001 01 22334 /run/x.sock`. Accepted connections
 * carry the path of their listener, hence the flag. */
static bool parse_unix_line(const char *line, const char *path, uint32_t *ret_inode)
{
	unsigned flags;
	unsigned inode;
	int at = 0;

	if (sscanf(line, "%*[^:]: %*x %*x %x %*x %*x %u %n", &flags, &inode, &at) != 2 || !at)
		return false;
	if (!(flags & __SO_ACCEPTCON) || !is_named(line + at, path))
		return false;
	*ret_inode = inode;
	return true;
}

static int find_unix_sockets(const char *path, struct sockets *sockets)
{
	FILE *file = fopen("/proc/self/net/unix", "re");
	char line[256];

	if (!file)
		return -errno;
	while (sockets->count < SOCKETS_MAX && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (parse_unix_line(line, path, &sockets->listeners[sockets->count].inode))
			sockets->count++;
	}
	fclose(file);
	return 0;
}

static int find_sockets(const struct addr *addr, struct sockets *sockets)
{
	int r;

	sockets->count = 0;
	if (addr->family == AF_UNIX)
		return addr->path ? find_unix_sockets(addr->path, sockets) : -EINVAL;
	r = netlink_listen_inodes(addr, sockets->listeners, SOCKETS_MAX);
	if (r < 0)
		return r;
	sockets->count = (size_t)r;
	return 0;
}

/* Whether descriptor `name` of the directory is one of the sockets. */
static bool is_socket(int dir, const char *name, const struct sockets *sockets)
{
	char link[64];
	unsigned inode;
	ssize_t len = readlinkat(dir, name, link, sizeof(link) - 1);

	if (len < 0)
		return false;
	link[len] = '\0';
	if (sscanf(link, "socket:[%u]", &inode) != 1)
		return false;
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->listeners[i].inode == inode)
			return true;
	return false;
}

static bool table_holds(const char *path, const struct sockets *sockets)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	bool found = false;

	if (!dir)
		return false;
	while (!found && (entry = readdir(dir)))
		found = is_socket(dirfd(dir), entry->d_name, sockets);
	closedir(dir);
	return found;
}

/* The number that a directory of /proc is named by, 0 for any other name. */
static pid_t number_of(const struct dirent *entry)
{
	return isdigit((unsigned char)entry->d_name[0]) ? (pid_t)atoi(entry->d_name) : 0;
}

/* A failing kcmp (not built in, not permitted) leaves it open, and the table is read. */
static bool shares_table(pid_t pid, pid_t tid)
{
	return pid == tid || syscall(SYS_kcmp, pid, tid, KCMP_FILES, 0, 0) == 0;
}

static bool threads_hold(pid_t pid, const struct sockets *sockets)
{
	char path[PATH_TEXT];
	const struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		pid_t tid = number_of(entry);

		if (!tid || shares_table(pid, tid))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%d/fd", pid, tid);
		found = table_holds(path, sockets);
	}
	closedir(dir);
	return found;
}

static bool process_holds(pid_t pid, const struct sockets *sockets)
{
	char path[PATH_TEXT];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	return table_holds(path, sockets) || threads_hold(pid, sockets);
}

/* 0 or -errno; `ret_name` is HOLDER_NAME bytes. */
static int read_name(pid_t pid, char *ret_name)
{
	char path[PATH_TEXT];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, ret_name, HOLDER_NAME - 1);
	if (len < 0)
		len = 0;
	ret_name[len] = '\0';
	ret_name[strcspn(ret_name, "\n")] = '\0';
	close(fd);
	return 0;
}

static bool runs_our_file(pid_t pid)
{
	char path[PATH_TEXT];
	struct stat theirs;
	struct stat ours;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return stat(path, &theirs) == 0 && stat("/proc/self/exe", &ours) == 0 &&
	       theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

/* The real user. Not the owner of /proc/PID: that is root for whoever has dropped privileges. */
static int read_uid(pid_t pid, uid_t *ret_uid)
{
	char path[PATH_TEXT];
	char line[128];
	FILE *file;
	int r = -ESRCH;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (r < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "Uid: %u", ret_uid) == 1)
			r = 0;
	fclose(file);
	return r;
}

static int describe(pid_t pid, struct holder *ret_holder)
{
	struct holder holder = {.pid = pid};
	char own_name[HOLDER_NAME];
	int r = read_uid(pid, &holder.uid);

	if (r == 0)
		r = read_name(pid, holder.name);
	if (r == 0)
		r = read_name(getpid(), own_name);
	if (r < 0)
		return r;
	holder.is_sluice = !strcmp(holder.name, own_name) || runs_our_file(pid);
	*ret_holder = holder;
	return 0;
}

int holder_find(const struct addr *addr, struct holder *ret_holders, size_t max)
{
	struct sockets sockets;
	const struct dirent *entry;
	size_t count = 0;
	int r = find_sockets(addr, &sockets);
	DIR *dir;

	if (r < 0 || !sockets.count)
		return r;
	dir = opendir("/proc");
	if (!dir)
		return -errno;
	/* A process that ends between the two steps no longer holds anything. */
	while (count < max && (entry = readdir(dir))) {
		pid_t pid = number_of(entry);

		if (pid && process_holds(pid, &sockets) && describe(pid, &ret_holders[count]) == 0)
			count++;
	}
	closedir(dir);
	return (int)count;
}
