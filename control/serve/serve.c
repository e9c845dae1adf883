/* SPDX-License-Identifier: Apache-2.0
 *
 * The doors. Happy path: each is a socket that was bound before the sandbox, with a daemon of
 * libmicrohttpd whose epoll descriptor is in our loop; whatever is due at it is done in one go.
 * Failure modes: see control/serve.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "control/serve/internal.h"
#include "proxy/base/addr.h"
#include "proxy/base/bind.h"
#include "proxy/base/clock.h"

#define BACKLOG     64
#define VISITORS    64          /* of one door ... */
#define PER_HOST    32          /* ... and of one address */
#define MEMORY      (32u << 10) /* for request line and headers of one connection */
#define PATIENCE_S  30          /* for a peer that says or reads nothing */
#define CLOSE_TURNS 8           /* answers that are being written when we end */

static void run(struct serve_door *door)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	MHD_run(door->daemon);
	if (MHD_get_timeout(door->daemon, &wait_ms) != MHD_YES) {
		timer_cancel(&door->timer);
		return;
	}
	if (!wait_ms)
		loop_ready(door->serve->conf.loop, &door->again);
	else
		loop_arm(door->serve->conf.loop, &door->timer, wait_ms);
}

static void on_library(struct loop_source *source, uint32_t events)
{
	run(container_of(source, struct serve_door, source));
}

static void on_again(struct loop_task *task)
{
	run(container_of(task, struct serve_door, again));
}

static void on_timer(struct timer *timer)
{
	run(container_of(timer, struct serve_door, timer));
}

static int listen_on(struct serve_door *door)
{
	if (listen(door->fd, BACKLOG))
		return -errno;
	door->daemon = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, exchange_handle, door, MHD_OPTION_LISTEN_SOCKET,
		door->fd, MHD_OPTION_CONNECTION_LIMIT, VISITORS, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		PER_HOST, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
		MHD_OPTION_CONNECTION_TIMEOUT, PATIENCE_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_NOTIFY_COMPLETED, exchange_completed, door, MHD_OPTION_END);
	if (!door->daemon)
		return -ENOMEM;
	door->fd = -1;
	door->source = (struct loop_source){
		.on_event = on_library,
		.fd = MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd};
	return loop_add(door->serve->conf.loop, &door->source, EPOLLIN);
}

int serve_start(struct serve *serve)
{
	int err = 0;

	/* Libraries would open files when they are used first: gmtime_r(3), for the Date header,
	 * and the seed of Jansson's hash tables. */
	tzset();
	json_object_seed(0);
	for (int i = 0; i < SERVE_DOORS && !err; i++)
		if (serve->doors[i].fd >= 0)
			err = listen_on(&serve->doors[i]);
	if (!err && serve->conf.socket)
		err = bind_unix_publish(serve->conf.socket, &serve->dev, &serve->ino);
	serve->published = !err && serve->conf.socket;
	return err;
}

static int open_socket(struct serve *serve, char *ret_why)
{
	int err = bind_unix(serve->conf.socket, serve->conf.mode, false,
			    &serve->doors[SERVE_SOCKET].fd);

	if (err)
		snprintf(ret_why, SERVE_WHY, "%s: %s", serve->conf.socket,
			 err == -EEXIST ? "the path is there, and no socket" : strerror(-err));
	return err;
}

static int open_http(struct serve *serve, char *ret_why)
{
	struct addr addr, actual;
	int err = addr_parse(serve->conf.http, &addr);

	if (!err)
		err = bind_tcp(&addr, false, false, &serve->doors[SERVE_HTTP].fd, 1, &actual);
	if (err)
		snprintf(ret_why, SERVE_WHY, "%s: %s", serve->conf.http, strerror(-err));
	return err;
}

static int copy(const char *text, const char **ret_copy)
{
	*ret_copy = text ? strdup(text) : NULL;
	return text && !*ret_copy ? -ENOMEM : 0;
}

static struct serve *serve_new(const struct serve_conf *conf)
{
	struct serve *serve = calloc(1, sizeof(*serve));

	if (!serve)
		return NULL;
	serve->conf = *conf;
	serve->conf.socket = serve->conf.http = serve->conf.proxy = NULL;
	serve->started_wall_us = clock_wall_us();
	for (int i = 0; i < SERVE_DOORS; i++) {
		struct serve_door *door = &serve->doors[i];

		*door = (struct serve_door){.serve = serve, .kind = i, .fd = -1};
		door->again.run = on_again;
		list_init(&door->again.link);
		timer_init(&door->timer, on_timer);
	}
	if (!copy(conf->socket, &serve->conf.socket) && !copy(conf->http, &serve->conf.http) &&
	    !copy(conf->proxy, &serve->conf.proxy))
		return serve;
	serve_close(serve);
	return NULL;
}

int serve_open(const struct serve_conf *conf, struct serve **ret_serve, char *ret_why)
{
	struct serve *serve = serve_new(conf);
	int err = serve ? 0 : -ENOMEM;

	if (err)
		snprintf(ret_why, SERVE_WHY, "out of memory");
	if (!err && serve->conf.socket)
		err = open_socket(serve, ret_why);
	if (!err && serve->conf.http)
		err = open_http(serve, ret_why);
	if (err)
		serve_close(serve);
	else
		*ret_serve = serve;
	return err;
}

/* An answer that is on its way is given a few turns to leave. */
static void close_door(struct serve_door *door)
{
	if (door->daemon) {
		for (int i = 0; i < CLOSE_TURNS; i++)
			MHD_run(door->daemon);
		loop_remove(door->serve->conf.loop, &door->source);
		MHD_stop_daemon(door->daemon);
	}
	if (door->fd >= 0)
		close(door->fd);
	timer_cancel(&door->timer);
	list_remove(&door->again.link);
}

void serve_close(struct serve *serve)
{
	if (!serve)
		return;
	if (serve->published)
		bind_unix_remove(serve->conf.socket, serve->dev, serve->ino);
	for (int i = 0; i < SERVE_DOORS; i++)
		close_door(&serve->doors[i]);
	free((char *)serve->conf.socket);
	free((char *)serve->conf.http);
	free((char *)serve->conf.proxy);
	free(serve);
}
