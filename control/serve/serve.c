/* SPDX-License-Identifier: Apache-2.0
 *
 * The doors of the daemon. Happy path: each is bound before the sandbox, then people are let in and
 * sent to the desk; at the end those who are being answered are seen off.
 * Failure modes: see control/serve.h.
 */
#include "control/serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/serve/desk.h"
#include "proxy/base/addr.h"
#include "proxy/base/bind.h"
#include "proxy/base/clock.h"
#include "proxy/base/http/door.h"

#define BACKLOG      128
#define WIND_DOWN_MS 500
#define OURS         2 /* DOOR_SOCKET, DOOR_HTTP */

struct serve {
	struct lobby lobby;
	struct door doors[OURS];
	struct desk desk; /* the texts of its conf are ours */
	bool started;
	dev_t dev; /* of the socket's path as we made it */
	ino_t ino;
};

static void find_way(struct door *door, struct request *request)
{
	request_route(request, serve_routes, serve_route_count);
}

static uint64_t submit(struct door *door, struct request *request)
{
	return serve_desk_submit(&container_of(door->lobby, struct serve, lobby)->desk, request);
}

static int open_socket(struct serve *serve, char *ret_why)
{
	const struct serve_conf *conf = &serve->desk.conf;
	int err = bind_unix(conf->socket, conf->mode, false, &serve->doors[DOOR_SOCKET].fd);

	if (err)
		snprintf(ret_why, SERVE_WHY, "%s: %s", conf->socket,
			 err == -EEXIST ? "the path is there, and no socket" : strerror(-err));
	return err;
}

static int open_http(struct serve *serve, char *ret_why)
{
	const char *text = serve->desk.conf.http;
	struct addr addr, actual;
	int err = addr_parse(text, &addr);

	if (!err)
		err = bind_tcp(&addr, false, false, &serve->doors[DOOR_HTTP].fd, 1, &actual);
	if (err)
		snprintf(ret_why, SERVE_WHY, "%s: %s", text, strerror(-err));
	return err;
}

static bool copy(const char **text)
{
	if (!*text)
		return true;
	*text = strdup(*text);
	return *text;
}

static void free_all(struct serve *serve)
{
	for (int i = 0; i < OURS; i++)
		door_close(&serve->doors[i]);
	free((char *)serve->desk.conf.socket);
	free((char *)serve->desk.conf.http);
	free((char *)serve->desk.conf.proxy);
	free(serve);
}

static struct serve *serve_new(const struct serve_conf *conf)
{
	struct serve *serve = calloc(1, sizeof(*serve));
	bool ok;

	if (!serve)
		return NULL;
	lobby_init(&serve->lobby, conf->loop);
	serve->lobby.route = find_way;
	serve->lobby.submit = submit;
	for (int i = 0; i < OURS; i++)
		door_init(&serve->doors[i], i, &serve->lobby);
	serve_desk_init(&serve->desk, conf);
	ok = copy(&serve->desk.conf.socket);
	ok &= copy(&serve->desk.conf.http);
	ok &= copy(&serve->desk.conf.proxy);
	if (ok)
		return serve;
	serve_desk_close(&serve->desk);
	free_all(serve);
	return NULL;
}

int serve_open(const struct serve_conf *conf, struct serve **ret_serve, char *ret_why)
{
	struct serve *serve;
	int err = 0;

	*ret_serve = NULL;
	if (!conf->socket && !conf->http)
		return 0;
	serve = serve_new(conf);
	if (!serve) {
		snprintf(ret_why, SERVE_WHY, "out of memory");
		return -ENOMEM;
	}
	if (conf->socket)
		err = open_socket(serve, ret_why);
	if (!err && conf->http)
		err = open_http(serve, ret_why);
	if (err)
		serve_close(serve);
	else
		*ret_serve = serve;
	return err;
}

int serve_start(struct serve *serve)
{
	int err = 0;

	if (!serve)
		return 0;
	lobby_prepare_libraries();
	for (int i = 0; i < OURS && !err; i++) {
		struct door *door = &serve->doors[i];

		if (door->fd >= 0)
			err = listen(door->fd, BACKLOG) ? -errno : door_open(door);
	}
	if (!err && serve->desk.conf.socket)
		err = bind_unix_publish(serve->desk.conf.socket, &serve->dev, &serve->ino);
	serve->started = !err;
	return err;
}

static void on_wound_down(struct timer *timer)
{
}

/* A loop that is told to stop would not sleep. */
static void wind_down(struct serve *serve)
{
	struct loop *loop = serve->lobby.loop;
	uint64_t until_us = clock_us() + WIND_DOWN_MS * US_PER_MS;
	struct timer end;

	loop->stopping = false;
	serve->lobby.leaving = true;
	for (int i = 0; i < OURS; i++)
		door_quiesce(&serve->doors[i]);
	timer_init(&end, on_wound_down);
	loop_arm(loop, &end, WIND_DOWN_MS);
	do {
		for (int i = 0; i < OURS; i++)
			door_run(&serve->doors[i]);
		if (!lobby_is_busy(&serve->lobby))
			break;
		loop_turn(loop);
	} while (clock_us() < until_us);
	loop->stopping = true;
	timer_cancel(&end);
	lobby_give_up(&serve->lobby);
}

void serve_close(struct serve *serve)
{
	if (!serve)
		return;
	serve_desk_close(&serve->desk);
	if (serve->desk.conf.socket)
		bind_unix_remove(serve->desk.conf.socket, serve->dev, serve->ino);
	if (serve->started)
		wind_down(serve);
	free_all(serve);
}
