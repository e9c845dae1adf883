/* SPDX-License-Identifier: Apache-2.0
 *
 * Binding a listener. Happy path: one SO_REUSEPORT socket per worker is bound (proxy/base/bind.h),
 * and listens once everything else is ready; a Unix path names our socket from that moment on.
 *
 * Failure modes: the address is taken (the message names who holds it and what to try), not ours,
 * or privileged; a host without IPv6 gets 0.0.0.0 for [::].
 */
#include "proxy/main/binding.h"

#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/bind.h"
#include "proxy/holder.h"
#include "proxy/listener_options.h"
#include "proxy/model.h"

#define HOLDERS_NAMED 3

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

static struct binding *binding_new(const struct listener_conf *conf, uint16_t port,
				   unsigned workers)
{
	struct binding *binding = calloc(1, sizeof(*binding));

	if (!binding)
		return NULL;
	list_init(&binding->link);
	binding->steer_fd = -1;
	snprintf(binding->name, sizeof(binding->name), "%s", conf->name);
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
	err = binding->path ? bind_unix(binding->path, conf->mode, shared, &binding->fds[0])
			    : bind_tcp(&binding->bound, conf->v6_only, shared, binding->fds,
				       binding->fd_count, &binding->actual);
	if (err) {
		explain(binding, err, why);
		binding_free(binding);
		return err;
	}
	if (!bind_is_wildcard(&binding->actual))
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
		err = bind_unix_publish(binding->path, &binding->dev, &binding->ino);
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
	if (binding->path)
		bind_unix_remove(binding->path, binding->dev, binding->ino);
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
