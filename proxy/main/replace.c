/* SPDX-License-Identifier: Apache-2.0
 *
 * Replacing a running process. Happy path: whoever listens on the configured addresses is found
 * through sock_diag(7) and /proc, our sockets join its SO_REUSEPORT groups, a steering program
 * sends every new connection to ours, our workers serve, and the predecessor gets SIGTERM with a
 * mark that spares it the lame duck. It drains as at any stop. When it is gone the steering ends.
 *
 * Failure modes: the address is held by something else, or by a process that we may not look into:
 * an error that names it, before anything was bound. Nobody holds it: an ordinary start.
 */
#include "proxy/main/replace.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/holder.h"
#include "proxy/main/binding.h"
#include "proxy/main/supervisor.h"
#include "proxy/netlink.h"
#include "proxy/options.h"

#define HOLDERS_MAX   16
#define LISTENERS_MAX 1024

/* A process that we replace, until it has ended. */
struct predecessor {
	struct loop_source source; /* its pidfd_open(2) */
	struct list link;          /* struct supervisor::predecessors */
	struct supervisor *sv;
	pid_t pid;
};

static bool is_known(const struct supervisor *sv, pid_t pid)
{
	list_for_each (link, &sv->predecessors)
		if (container_of(link, struct predecessor, link)->pid == pid)
			return true;
	return false;
}

static int add_predecessor(struct supervisor *sv, pid_t pid)
{
	struct predecessor *predecessor;

	if (pid == getpid() || is_known(sv, pid))
		return 0;
	predecessor = calloc(1, sizeof(*predecessor));
	if (!predecessor)
		return -ENOMEM;
	predecessor->source.fd = -1;
	predecessor->pid = pid;
	predecessor->sv = sv;
	list_push_back(&sv->predecessors, &predecessor->link);
	return 0;
}

static int find_on(struct supervisor *sv, const struct addr *addr)
{
	struct holder holders[HOLDERS_MAX];
	char text[ADDR_TEXT];
	int count = holder_find(addr, holders, HOLDERS_MAX);

	for (int i = 0; i < count && i < HOLDERS_MAX; i++) {
		int err = holders[i].is_sluice ? add_predecessor(sv, holders[i].pid) : -EADDRINUSE;

		if (err == -EADDRINUSE)
			log_event(LOG_ERROR, "replace_refused", "bind=%s held_by=%s pid=%d",
				  addr_format(addr, text), holders[i].name, (int)holders[i].pid);
		if (err)
			return err;
	}
	return 0;
}

int replace_find(struct supervisor *sv)
{
	const struct config *config = sv->config->config;

	if (!sv->options->replace)
		return 0;
	for (size_t i = 0; i < config->listener_count; i++) {
		struct addr addr = config->listeners[i].bind;

		for (unsigned port = addr.port; port <= config->listeners[i].port_end; port++) {
			int err;

			addr.port = (uint16_t)port;
			err = find_on(sv, &addr);
			if (err)
				return err;
		}
	}
	if (list_empty(&sv->predecessors))
		log_event(LOG_WARN, "replace_nobody", "nobody serves these addresses");
	return 0;
}

unsigned replace_count_listening(struct supervisor *sv, struct binding *binding)
{
	struct netlink_listener listeners[LISTENERS_MAX];
	int count;

	if (list_empty(&sv->predecessors) || binding->path)
		return 0;
	count = netlink_listen_inodes(&binding->actual, listeners, LISTENERS_MAX);
	return count > 0 ? (unsigned)count : 0;
}

static void end_take_over(struct supervisor *sv)
{
	const struct config *config = sv->config->config;

	list_for_each (link, &sv->bindings) {
		struct binding *binding = container_of(link, struct binding, link);

		binding_end_take_over(binding, config_listener_of(config, &binding->bound));
	}
}

static void forget(struct predecessor *predecessor)
{
	list_remove(&predecessor->link);
	if (predecessor->source.fd >= 0)
		close(predecessor->source.fd);
	free(predecessor);
}

/* Its pidfd is readable: it has ended. */
static void on_gone(struct loop_source *source, uint32_t events)
{
	struct predecessor *predecessor = container_of(source, struct predecessor, source);
	struct supervisor *sv = predecessor->sv;

	log_event(LOG_INFO, "predecessor_gone", "pid=%d", (int)predecessor->pid);
	forget(predecessor);
	if (list_empty(&sv->predecessors))
		end_take_over(sv);
}

static void tell_to_drain(struct supervisor *sv, struct predecessor *predecessor)
{
	union sigval mark = {.sival_int = REPLACE_MAGIC};

	predecessor->source = (struct loop_source){
		.on_event = on_gone, .fd = (int)syscall(SYS_pidfd_open, predecessor->pid, 0)};
	if (predecessor->source.fd >= 0)
		loop_add(&sv->loop, &predecessor->source, EPOLLIN);
	if (sigqueue(predecessor->pid, SIGTERM, mark)) {
		log_event(LOG_ERROR, "predecessor_not_told", "pid=%d error=\"%s\"",
			  (int)predecessor->pid, strerror(errno));
		forget(predecessor);
		return;
	}
	log_event(LOG_INFO, "predecessor_told", "pid=%d", (int)predecessor->pid);
}

void replace_predecessors(struct supervisor *sv)
{
	list_for_each_safe (link, &sv->predecessors)
		tell_to_drain(sv, container_of(link, struct predecessor, link));
	if (list_empty(&sv->predecessors))
		end_take_over(sv);
}

void replace_fini(struct supervisor *sv)
{
	list_for_each_safe (link, &sv->predecessors)
		forget(container_of(link, struct predecessor, link));
}
