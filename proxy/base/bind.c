/* SPDX-License-Identifier: Apache-2.0
 *
 * Binding. Happy path: an address that nobody listens on is bound as often as there are sockets to
 * share it; a Unix socket is made under a name of its own, and takes the path's place once it
 * listens.
 *
 * Failure modes: the address is taken, not ours, or privileged; the path is no socket, or one that
 * is served; the host has no IPv6, then [::] becomes 0.0.0.0 unless only IPv6 was wanted.
 */
#include "proxy/base/bind.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUN_PATH_MAX 107 /* of sun_path, unix(7), less its NUL */

static void set_on(int fd, int level, int option)
{
	int on = 1;

	setsockopt(fd, level, option, &on, sizeof(on));
}

static int bind_fd(int fd, const struct addr *addr)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(addr, &sa);

	return bind(fd, (struct sockaddr *)&sa, len) ? -errno : 0;
}

static int open_tcp(const struct addr *addr, bool v6_only, bool reuse_port, int *ret_fd)
{
	int fd = socket(addr->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int only = v6_only;
	int err;

	if (fd < 0)
		return -errno;
	set_on(fd, SOL_SOCKET, SO_REUSEADDR);
	if (reuse_port)
		set_on(fd, SOL_SOCKET, SO_REUSEPORT);
	if (addr->family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
	err = bind_fd(fd, addr);
	if (err) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

/* -EADDRINUSE when anybody listens there, even one that would share. */
static int probe(const struct addr *addr, bool v6_only)
{
	int fd, err = open_tcp(addr, v6_only, false, &fd);

	if (err)
		return err;
	close(fd);
	return 0;
}

static int open_sockets(const struct addr *addr, bool v6_only, bool shared, int *ret_fds,
			unsigned count)
{
	int err = shared ? 0 : probe(addr, v6_only);

	for (unsigned i = 0; i < count && !err; i++)
		err = open_tcp(addr, v6_only, true, &ret_fds[i]);
	return err;
}

static bool is_any6(const struct addr *addr)
{
	return addr->family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&addr->v6);
}

int bind_tcp(const struct addr *addr, bool v6_only, bool shared, int *ret_fds, unsigned count,
	     struct addr *ret_actual)
{
	struct addr actual = *addr;
	int err = open_sockets(&actual, v6_only, shared, ret_fds, count);

	if (err == -EAFNOSUPPORT && is_any6(addr) && !v6_only) {
		actual = (struct addr){.family = AF_INET, .port = addr->port};
		err = open_sockets(&actual, v6_only, shared, ret_fds, count);
	}
	if (!err)
		*ret_actual = actual;
	return err;
}

bool bind_is_wildcard(const struct addr *addr)
{
	return is_any6(addr) || (addr->family == AF_INET && addr->v4.s_addr == INADDR_ANY);
}

/* Whether somebody accepts on the path; a file without a listener is only a leftover. */
static bool is_served(const char *path)
{
	struct addr addr = {.family = AF_UNIX, .path = path};
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&addr, &sa);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool served;

	if (fd < 0)
		return false;
	served = !connect(fd, (struct sockaddr *)&sa, len) || errno == EAGAIN;
	close(fd);
	return served;
}

static int check_path(const char *path, bool shared)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return !shared && is_served(path) ? -EADDRINUSE : 0;
}

/* Where the socket is until it listens. */
static int name_beside(const char *path, char beside[ADDR_TEXT])
{
	int len = snprintf(beside, ADDR_TEXT, "%s.%d", path, (int)getpid());

	return len > SUN_PATH_MAX ? -ENAMETOOLONG : 0;
}

int bind_unix(const char *path, uint32_t mode, bool shared, int *ret_fd)
{
	char beside[ADDR_TEXT];
	struct addr addr = {.family = AF_UNIX, .path = beside};
	int err = check_path(path, shared);
	int fd;

	if (!err)
		err = name_beside(path, beside);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(beside);
	err = bind_fd(fd, &addr);
	if (!err && chmod(beside, mode)) {
		err = -errno;
		unlink(beside);
	}
	if (err) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

int bind_unix_publish(const char *path, dev_t *ret_dev, ino_t *ret_ino)
{
	char beside[ADDR_TEXT];
	struct stat st;
	int err = name_beside(path, beside);

	if (err)
		return err;
	if (stat(beside, &st) || rename(beside, path))
		return -errno;
	*ret_dev = st.st_dev;
	*ret_ino = st.st_ino;
	return 0;
}

void bind_unix_remove(const char *path, dev_t dev, ino_t ino)
{
	char beside[ADDR_TEXT];
	struct stat st;

	if (!name_beside(path, beside))
		unlink(beside);
	if (!lstat(path, &st) && st.st_dev == dev && st.st_ino == ino)
		unlink(path);
}
