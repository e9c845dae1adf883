/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the admin API as a whole: its addresses, main's desk, the watch, the thread. The happy path
 * is: admin_open() binds while that is still allowed, admin_start() listens and lets the Unix path
 * lead to us, main serves its desk whenever it is woken, admin_stop() answers what waits.
 *
 * Failure modes: an address is taken, not ours, or the path is no socket (the start fails and says
 * which); descriptors run out while serving: main accepts nothing, and shares its table with us, so
 * the library pauses and goes on by itself.
 */
#include "proxy/admin/admin.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/admin/desk.h"
#include "proxy/admin/transport.h"
#include "proxy/base/bind.h"
#include "proxy/base/clock.h"
#include "proxy/events.h"
#include "proxy/model.h"

#define BACKLOG            512
#define REQUESTS_PER_SERVE 32 /* then main's other business has its turn */

struct admin {
	struct request_queue inbox;
	struct desk desk;
	struct watch watch;
	struct transport transport;
	char *path; /* of the Unix socket; NULL: none */
	dev_t dev;  /* of that path as we made it */
	ino_t ino;
	bool started;
};

static void explain(const struct addr *addr, int err, char *why)
{
	char text[ADDR_TEXT];

	snprintf(why, ADMIN_WHY, "%s: %s", addr_format(addr, text),
		 err == -EEXIST && addr->family == AF_UNIX ? "the path is there, and no socket"
							   : strerror(-err));
}

static int open_tcp(struct admin *admin, enum door_kind kind, const struct addr *addr, bool replace,
		    char *why)
{
	struct addr actual;
	int err;

	if (!addr->family)
		return 0;
	err = bind_tcp(addr, false, replace, &admin->transport.doors[kind].fd, 1, &actual);
	if (err)
		explain(addr, err, why);
	return err;
}

static int open_unix(struct admin *admin, const struct admin_conf *conf, bool replace, char *why)
{
	int err;

	if (!conf->socket.family)
		return 0;
	admin->path = strdup(conf->socket.path);
	err = admin->path ? bind_unix(admin->path, conf->mode, replace,
				      &admin->transport.doors[DOOR_SOCKET].fd)
			  : -ENOMEM;
	if (err)
		explain(&conf->socket, err, why);
	return err;
}

static void free_all(struct admin *admin)
{
	for (int i = 0; i < DOORS; i++)
		if (admin->transport.doors[i].fd >= 0)
			close(admin->transport.doors[i].fd);
	if (admin->path)
		bind_unix_remove(admin->path, admin->dev, admin->ino);
	request_queue_fini(&admin->inbox);
	request_queue_fini(&admin->transport.done);
	watch_fini(&admin->watch);
	free(admin->path);
	free(admin);
}

static struct admin *admin_new(void)
{
	struct admin *admin = calloc(1, sizeof(*admin));

	if (!admin)
		return NULL;
	if (request_queue_init(&admin->inbox))
		goto fail;
	if (request_queue_init(&admin->transport.done)) {
		request_queue_fini(&admin->inbox);
		goto fail;
	}
	lobby_init(&admin->transport.lobby, &admin->transport.loop);
	for (int i = 0; i < DOORS; i++)
		door_init(&admin->transport.doors[i], i, &admin->transport.lobby);
	admin->transport.inbox = &admin->inbox;
	admin->transport.watch = &admin->watch;
	desk_init(&admin->desk, &admin->transport.done);
	return admin;
fail:
	free(admin);
	return NULL;
}

int admin_open(const struct admin_conf *conf, bool replace, struct admin **ret_admin, char *why)
{
	struct admin *admin;
	int err;

	if (!conf->socket.family && !conf->http.family && !conf->probe.family) {
		*ret_admin = NULL;
		return 0;
	}
	admin = admin_new();
	if (!admin) {
		snprintf(why, ADMIN_WHY, "out of memory or descriptors");
		return -ENOMEM;
	}
	err = open_tcp(admin, DOOR_HTTP, &conf->http, replace, why);
	if (!err)
		err = open_tcp(admin, DOOR_PROBE, &conf->probe, replace, why);
	if (!err)
		err = open_unix(admin, conf, replace, why);
	if (err) {
		free_all(admin);
		return err;
	}
	*ret_admin = admin;
	return 0;
}

static void on_event(void *context)
{
	struct admin *admin = context;

	if (!list_empty(&admin->desk.polls))
		request_queue_wake(&admin->inbox);
}

static int listen_all(struct admin *admin)
{
	for (int i = 0; i < DOORS; i++) {
		int fd = admin->transport.doors[i].fd;

		if (fd >= 0 && listen(fd, BACKLOG))
			return -errno;
	}
	return admin->path ? bind_unix_publish(admin->path, &admin->dev, &admin->ino) : 0;
}

int admin_start(struct admin *admin, const struct admin_ops *ops,
		struct worker_counts *const *counts, unsigned worker_count, char *why)
{
	int err = watch_init(&admin->watch, &admin->desk.ops, counts, worker_count);

	admin->desk.ops = *ops;
	admin->desk.ops.counts = counts;
	admin->desk.ops.worker_count = worker_count;
	admin->desk.rates = &admin->watch.rates;
	if (!err)
		err = listen_all(admin);
	if (!err)
		err = transport_start(&admin->transport);
	if (err) {
		snprintf(why, ADMIN_WHY, "%s", strerror(-err));
		return err;
	}
	events_on_add(ops->events, on_event, admin);
	admin->started = true;
	return 0;
}

int admin_fd(const struct admin *admin)
{
	return admin->inbox.fd;
}

void admin_serve(struct admin *admin)
{
	struct request *request;
	int count = 0;

	request_queue_quiet(&admin->inbox);
	watch_beat(&admin->watch);
	while (count < REQUESTS_PER_SERVE && (request = request_queue_take(&admin->inbox))) {
		desk_handle(&admin->desk, request);
		count++;
	}
	if (count == REQUESTS_PER_SERVE)
		request_queue_wake(&admin->inbox);
	desk_turn(&admin->desk, clock_us());
}

void admin_published(struct admin *admin, uint64_t ticket, int err)
{
	desk_published(&admin->desk, ticket, err);
}

void admin_yield(struct admin *admin)
{
	atomic_store(&admin->transport.lobby.leaving,
		     true); /* first: its answers shall end connections */
	desk_yield(&admin->desk);
	request_queue_wake(&admin->transport.done);
}

void admin_stop(struct admin *admin)
{
	if (!admin)
		return;
	if (admin->started) {
		events_on_add(admin->desk.ops.events, NULL, NULL);
		desk_close(&admin->desk);
		transport_stop(&admin->transport);
	}
	free_all(admin);
}
