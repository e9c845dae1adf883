/* SPDX-License-Identifier: Apache-2.0
 *
 * Doors. Happy path: each has a daemon of libmicrohttpd whose epoll descriptor is in our loop;
 * whenever that is readable the daemon does what is due, and again in the next turn if it wants to.
 * Failure modes: the daemon cannot be started, for want of memory or descriptors.
 */
#include "proxy/base/http/door.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void lobby_init(struct lobby *lobby, struct loop *loop)
{
	*lobby = (struct lobby){.loop = loop};
	list_init(&lobby->visitors);
}

bool lobby_is_busy(const struct lobby *lobby)
{
	list_for_each (link, &lobby->visitors)
		if (container_of(link, struct visitor, link)->request)
			return true;
	return false;
}

void lobby_give_up(struct lobby *lobby)
{
	list_for_each (link, &lobby->visitors) {
		struct visitor *visitor = container_of(link, struct visitor, link);

		if (visitor->away)
			visitor_give_up(visitor);
	}
}

/* gmtime_r(3), for the Date header, and the seed of Jansson's hash tables. */
void lobby_prepare_libraries(void)
{
	tzset();
	json_object_seed(0);
}

/* The path is decoded by us, segment by segment. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
	return strlen(text);
}

static struct MHD_Daemon *start_daemon(struct door *door)
{
	bool probe = door->kind == DOOR_PROBE;
	struct MHD_OptionItem options[] = {
		{MHD_OPTION_CONNECTION_MEMORY_LIMIT, DOOR_MEMORY, NULL},
		{MHD_OPTION_CONNECTION_LIMIT, DOOR_VISITORS, NULL},
		{MHD_OPTION_PER_IP_CONNECTION_LIMIT, DOOR_PER_HOST, NULL},
		{MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
		{MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)leave_escaped, NULL},
		{MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)visitor_notify, door},
		{MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)visitor_completed, door},
		{probe ? MHD_OPTION_END : MHD_OPTION_LISTEN_SOCKET, door->fd, NULL},
		{MHD_OPTION_END, 0, NULL},
	};
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;

	return MHD_start_daemon(flags | (probe ? MHD_USE_NO_LISTEN_SOCKET : 0), 0, NULL, NULL,
				visitor_handle, door, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

static void on_library(struct loop_source *source, uint32_t events)
{
	door_run(container_of(source, struct door, source));
}

static void on_again(struct loop_task *task)
{
	door_run(container_of(task, struct door, again));
}

void door_init(struct door *door, enum door_kind kind, struct lobby *lobby)
{
	*door = (struct door){.kind = kind, .fd = -1, .lobby = lobby};
	door->again.run = on_again;
	list_init(&door->again.link);
}

int door_open(struct door *door)
{
	const union MHD_DaemonInfo *info;

	door->daemon = start_daemon(door);
	if (!door->daemon)
		return -ENOMEM;
	info = MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	door->source = (struct loop_source){.on_event = on_library, .fd = info->epoll_fd};
	return loop_add(door->lobby->loop, &door->source, EPOLLIN);
}

void door_bring(struct door *door, int fd, const struct sockaddr *peer, socklen_t len)
{
	MHD_add_connection(door->daemon, fd, peer, len);
	loop_ready(door->lobby->loop, &door->again);
}

/* Time limits are the visitors' own timers, so the daemon wants to be run at once, or not. */
void door_run(struct door *door)
{
	MHD_UNSIGNED_LONG_LONG timeout;

	if (!door->daemon)
		return;
	MHD_run(door->daemon);
	if (MHD_get_timeout(door->daemon, &timeout) == MHD_YES && !timeout)
		loop_ready(door->lobby->loop, &door->again);
}

void door_quiesce(struct door *door)
{
	if (!door->daemon || door->fd < 0)
		return;
	MHD_run(door->daemon);
	MHD_quiesce_daemon(door->daemon);
	close(door->fd);
	door->fd = -1;
}

/* The library closes what it listens on. */
void door_close(struct door *door)
{
	if (door->daemon) {
		loop_remove(door->lobby->loop, &door->source);
		MHD_stop_daemon(door->daemon);
		if (door->kind != DOOR_PROBE)
			door->fd = -1;
	}
	door->daemon = NULL;
	list_remove(&door->again.link);
	if (door->fd >= 0)
		close(door->fd);
	door->fd = -1;
}
