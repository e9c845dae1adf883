/* SPDX-License-Identifier: Apache-2.0
 *
 * Binding. Happy path: one SO_REUSEPORT socket per worker is bound, and listens once everything
 * else is ready; a Unix socket is bound beside its path and renamed over it, so that the path
 * always names a socket that somebody serves.
 *
 * SO_REUSEPORT would silently share a port with another process of the same user, so a plain
 * socket tries the address first. Failure modes: the address is taken (the message names who holds
 * it and what to try), not ours, or privileged; a host without IPv6 gets 0.0.0.0 for [::].
 */
#include "proxy/main/binding.h"

#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/holder.h"
#include "proxy/listener_options.h"
#include "proxy/model.h"

#define HOLDERS_NAMED 3

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

/* A socket bound to `addr`; 0 or -errno. */
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

static void explain_busy(const struct binding *binding, char *why)
{
	struct holder holders[HOLDERS_NAMED];
	int count = holder_find(&binding->actual, holders, HOLDERS_NAMED);
	int len = snprintf(why, BINDING_WHY, "in use");

	for (int i = 0; i < count && i < HOLDERS_NAMED; i++)
		len += snprintf(why + len, (size_t)(BINDING_WHY - len), "%s %s (pid %d)",
				i ? "," : " by", holders[i].name, (int)holders[i].pid);
	if (count <= 0)
		len += snprintf(why + len, (size_t)(BINDING_WHY - len),
				" by a process of another user");
	snprintf(why + len, (size_t)(BINDING_WHY - len), "; stop it, choose another address%s",
		 count > 0 && holders[0].is_sluice ? ", or take over from it with --replace" : "");
}

static void explain(const struct binding *binding, int err, char *why)
{
	if (err == -EADDRINUSE)
		explain_busy(binding, why);
	else if (err == -EACCES && binding->bound.family != AF_UNIX)
		snprintf(why, BINDING_WHY,
			 "not permitted; ports below 1024 need root, CAP_NET_BIND_SERVICE or a "
			 "lower "
			 "net.ipv4.ip_unprivileged_port_start");
	else if (err == -EADDRNOTAVAIL)
		snprintf(why, BINDING_WHY, "no interface of this host has that address");
	else
		snprintf(why, BINDING_WHY, "%s", strerror(-err));
}

static int open_sockets(struct binding *binding, const struct listener_conf *conf, bool shared)
{
	int err = shared ? 0 : probe(&binding->actual, conf->v6_only);

	for (unsigned i = 0; i < binding->fd_count && !err; i++)
		err = open_tcp(&binding->actual, conf->v6_only, true, &binding->fds[i]);
	return err;
}

static bool is_any6(const struct addr *addr)
{
	return addr->family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&addr->v6);
}

static int bind_tcp(struct binding *binding, const struct listener_conf *conf, bool shared)
{
	int err = open_sockets(binding, conf, shared);

	if (err == -EAFNOSUPPORT && is_any6(&binding->bound) && !conf->v6_only) {
		binding->actual = (struct addr){.family = AF_INET, .port = binding->bound.port};
		err = open_sockets(binding, conf, shared);
	}
	return err;
}

/* Whether somebody accepts on the path; a file without a listener is only a leftover. */
static bool is_served(const struct addr *addr)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(addr, &sa);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool served;

	if (fd < 0)
		return false;
	served = !connect(fd, (struct sockaddr *)&sa, len) || errno == EAGAIN;
	close(fd);
	return served;
}

/* Only sockets are ever replaced: a path that is anything else stays as it is. */
static int check_path(const struct binding *binding, bool shared)
{
	struct stat st;

	if (lstat(binding->path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return !shared && is_served(&binding->bound) ? -EADDRINUSE : 0;
}

static int bind_unix(struct binding *binding, const struct listener_conf *conf, bool shared)
{
	char beside[ADDR_TEXT];
	struct addr addr = {.family = AF_UNIX, .path = beside};
	int err = check_path(binding, shared);

	if (err)
		return err;
	if (snprintf(beside, sizeof(beside), "%s.%d", binding->path, (int)getpid()) > 107)
		return -ENAMETOOLONG;
	binding->fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (binding->fds[0] < 0)
		return -errno;
	unlink(beside);
	err = bind_fd(binding->fds[0], &addr);
	if (!err && chmod(beside, conf->mode))
		err = -errno;
	return err;
}

static bool is_wildcard(const struct addr *addr)
{
	return is_any6(addr) || (addr->family == AF_INET && addr->v4.s_addr == INADDR_ANY);
}

static struct binding *binding_new(const struct listener_conf *conf, uint16_t port,
				   unsigned workers)
{
	struct binding *binding = calloc(1, sizeof(*binding));

	if (!binding)
		return NULL;
	list_init(&binding->link);
	binding->steer_fd = -1;
	binding->bound = conf->bind;
	binding->bound.port = port;
	binding->fd_count = conf->bind.family == AF_UNIX ? 1 : workers;
	binding->fds = malloc(binding->fd_count * sizeof(*binding->fds));
	if (conf->bind.family == AF_UNIX)
		binding->path = strdup(conf->bind.path);
	if (!binding->fds || (conf->bind.family == AF_UNIX && !binding->path)) {
		free(binding->fds);
		free(binding->path);
		free(binding);
		return NULL;
	}
	memset(binding->fds, 0xff, binding->fd_count * sizeof(*binding->fds));
	if (binding->path)
		binding->bound.path = binding->path;
	binding->actual = binding->bound;
	return binding;
}

int binding_open(const struct listener_conf *conf, uint16_t port, unsigned workers, bool shared,
		 struct binding **ret_binding, char *why)
{
	struct binding *binding = binding_new(conf, port, workers);
	int err;

	if (!binding) {
		snprintf(why, BINDING_WHY, "no memory");
		return -ENOMEM;
	}
	err = binding->path ? bind_unix(binding, conf, shared) : bind_tcp(binding, conf, shared);
	if (err) {
		explain(binding, err, why);
		binding_free(binding);
		return err;
	}
	if (!is_wildcard(&binding->actual))
		binding->local = binding->actual;
	*ret_binding = binding;
	return 0;
}

/* The socket that takes a connection: base + (word modulo count); socket(7),
 * SO_ATTACH_REUSEPORT_CBPF. */
static int steer(int fd, uint32_t word, uint32_t count, uint32_t base)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + word),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, base),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program))
		       ? -errno
		       : 0;
}

/* The path names our socket from here on. */
static int publish_path(struct binding *binding)
{
	char beside[ADDR_TEXT];
	struct stat st;

	snprintf(beside, sizeof(beside), "%s.%d", binding->path, (int)getpid());
	if (stat(beside, &st) || rename(beside, binding->path))
		return -errno;
	binding->dev = st.st_dev;
	binding->ino = st.st_ino;
	return 0;
}

int binding_listen(struct binding *binding, const struct listener_conf *conf, char *why)
{
	const char *option = NULL;
	int err = 0;

	for (unsigned i = 0; i < binding->fd_count && !err; i++) {
		err = listener_set_options(binding->fds[i], conf, &option);
		if (err) {
			snprintf(why, BINDING_WHY, "%s was refused: %s", option, strerror(-err));
			return err;
		}
		if (listen(binding->fds[i], INT_MAX))
			err = -errno;
	}
	if (!err && binding->path)
		err = publish_path(binding);
	if (err) {
		explain(binding, err, why);
		return err;
	}
	if (conf->steer == STEER_CPU && !binding->path)
		err = steer(binding->fds[0], SKF_AD_CPU, binding->fd_count, 0);
	if (err)
		snprintf(why, BINDING_WHY, "steer: cpu was refused (SO_ATTACH_REUSEPORT_CBPF): %s",
			 strerror(-err));
	return err;
}

void binding_take_over(struct binding *binding, unsigned before)
{
	if (binding->path || !before)
		return;
	binding->steer_fd = dup(binding->fds[0]);
	steer(binding->fds[0], SKF_AD_RANDOM, binding->fd_count, before);
}

void binding_end_take_over(struct binding *binding, const struct listener_conf *conf)
{
	int none = 0;

	if (binding->steer_fd < 0)
		return;
	if (conf->steer == STEER_CPU)
		steer(binding->steer_fd, SKF_AD_CPU, binding->fd_count, 0);
	else
		setsockopt(binding->steer_fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &none,
			   sizeof(none));
	close(binding->steer_fd);
	binding->steer_fd = -1;
}

void binding_close_fds(struct binding *binding)
{
	for (unsigned i = 0; i < binding->fd_count; i++) {
		if (binding->fds[i] >= 0)
			close(binding->fds[i]);
		binding->fds[i] = -1;
	}
}

void binding_unlink(struct binding *binding)
{
	char beside[ADDR_TEXT];
	struct stat st;

	if (!binding->path)
		return;
	snprintf(beside, sizeof(beside), "%s.%d", binding->path, (int)getpid());
	unlink(beside);
	if (!lstat(binding->path, &st) && st.st_dev == binding->dev && st.st_ino == binding->ino)
		unlink(binding->path);
}

void binding_free(struct binding *binding)
{
	if (!binding)
		return;
	binding_close_fds(binding);
	if (binding->steer_fd >= 0)
		close(binding->steer_fd);
	free(binding->fds);
	free(binding->path);
	free(binding);
}
