/* SPDX-License-Identifier: Apache-2.0
 *
 * Admin's thread. Happy path: it enters its sandbox, turns its loop, and after each turn lets the
 * library look at every door; answers that main puts into `done` wake it, and so does a tick a
 * second, which wakes main in turn.
 *
 * Failure modes: a door cannot be opened (the start fails as a whole); the process ends or is
 * replaced while requests are under way, then they are answered first, within half a second.
 */
#include "proxy/admin/transport.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/sandbox.h"

#define TICK_MS      1000
#define WIND_DOWN_MS 500

static const char *const door_names[DOORS] = {
	[DOOR_SOCKET] = "socket", [DOOR_HTTP] = "http", [DOOR_PROBE] = "probe"};

/* The path is decoded by us, segment by segment. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
	return strlen(text);
}

static struct MHD_Daemon *start_daemon(struct door *door)
{
	bool probe = door->kind == DOOR_PROBE;
	struct MHD_OptionItem options[] = {
		{MHD_OPTION_CONNECTION_MEMORY_LIMIT, TRANSPORT_MEMORY, NULL},
		{MHD_OPTION_CONNECTION_LIMIT, TRANSPORT_VISITORS, NULL},
		{MHD_OPTION_PER_IP_CONNECTION_LIMIT, TRANSPORT_PER_HOST, NULL},
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

/* The library looks for itself after each turn. */
static void on_library(struct loop_source *source, uint32_t events)
{
}

static int open_door(struct transport *transport, struct door *door)
{
	const union MHD_DaemonInfo *info;
	int err;

	door->daemon = start_daemon(door);
	if (!door->daemon)
		return -ENOMEM;
	info = MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	door->source = (struct loop_source){.on_event = on_library, .fd = info->epoll_fd};
	err = loop_add(&transport->loop, &door->source, EPOLLIN);
	if (err || door->kind != DOOR_PROBE)
		return err;
	door->callers = (struct loop_source){.on_event = probe_accept, .fd = door->fd};
	return loop_add(&transport->loop, &door->callers, EPOLLIN);
}

/* Open connections end with it; so does the listening socket, unless it was given back before. */
static void close_door(struct door *door)
{
	if (!door->daemon)
		return;
	MHD_stop_daemon(door->daemon);
	door->daemon = NULL;
	if (door->kind == DOOR_PROBE && door->fd >= 0)
		close(door->fd);
	door->fd = -1;
}

/* Nobody new; those who are in, or wait to be let in, are served. */
static void quiesce(struct door *door)
{
	if (!door->daemon || door->fd < 0)
		return;
	if (door->kind == DOOR_PROBE) {
		probe_accept(&door->callers, EPOLLIN);
		door->callers.fd = -1;
	} else {
		MHD_run(door->daemon);
		MHD_quiesce_daemon(door->daemon);
	}
	close(door->fd);
	door->fd = -1;
}

static void on_done(struct loop_source *source, uint32_t events)
{
	struct transport *transport = container_of(source, struct transport, done_source);
	struct admin_request *request;

	request_queue_quiet(&transport->done);
	while ((request = request_queue_take(&transport->done)))
		visitor_answered(request);
}

static void note_stuck(struct transport *transport)
{
	char why[64] = "";
	bool stuck = watch_is_stuck(transport->watch, why, sizeof(why));

	if (stuck != transport->stuck)
		log_event(stuck ? LOG_ERROR : LOG_WARN, stuck ? "stuck" : "no_longer_stuck",
			  "what=\"%s\"", why);
	transport->stuck = stuck;
}

static void on_tick(struct timer *timer)
{
	struct transport *transport = container_of(timer, struct transport, tick);

	watch_tick(transport->watch, transport->loop.now_us);
	note_stuck(transport);
	request_queue_wake(transport->inbox);
	loop_arm(&transport->loop, timer, TICK_MS);
}

static bool is_polling(const struct transport *transport)
{
	list_for_each (link, &transport->visitors) {
		const struct visitor *visitor = container_of(link, struct visitor, link);

		if (visitor->away && visitor->request->route->flags & ROUTE_SLOW)
			return true;
	}
	return false;
}

/* Main looks at the deadlines of long polls whenever it is woken. */
static void on_poll_tick(struct timer *timer)
{
	struct transport *transport = container_of(timer, struct transport, poll_tick);

	if (!is_polling(transport))
		return;
	request_queue_wake(transport->inbox);
	loop_arm(&transport->loop, timer, TRANSPORT_POLL_MS);
}

static void run_again(struct loop_task *task)
{
}

static void turn(struct transport *transport)
{
	loop_turn(&transport->loop);
	for (int i = 0; i < DOORS; i++) {
		struct door *door = &transport->doors[i];
		MHD_UNSIGNED_LONG_LONG timeout;

		if (!door->daemon)
			continue;
		MHD_run(door->daemon);
		if (MHD_get_timeout(door->daemon, &timeout) == MHD_YES && !timeout)
			loop_ready(&transport->loop, &transport->again);
	}
}

/* Who keeps a connection for later shall find the successor by then. */
static void yield_doors(struct transport *transport)
{
	transport->yielded = true;
	for (int i = 0; i < DOORS; i++)
		quiesce(&transport->doors[i]);
	list_for_each (link, &transport->visitors) {
		const struct visitor *visitor = container_of(link, struct visitor, link);

		if (visitor->served && !visitor->request)
			shutdown(visitor->fd, SHUT_RDWR);
	}
}

static bool is_busy(const struct transport *transport)
{
	list_for_each (link, &transport->visitors)
		if (container_of(link, struct visitor, link)->request)
			return true;
	return false;
}

static void on_wound_down(struct timer *timer)
{
}

/* Main takes no more requests. Those that are with it are refused, what is being written is
 * finished. A suspended connection must be resumed before its daemon may stop. */
static void wind_down(struct transport *transport)
{
	uint64_t until_us = clock_us() + WIND_DOWN_MS * US_PER_MS;
	struct timer end;

	yield_doors(transport);
	probe_close(transport);
	timer_init(&end, on_wound_down);
	loop_arm(&transport->loop, &end, WIND_DOWN_MS);
	do {
		list_for_each (link, &transport->visitors) {
			struct visitor *visitor = container_of(link, struct visitor, link);

			if (visitor->away)
				visitor_give_up(visitor);
		}
		turn(transport);
	} while (is_busy(transport) && clock_us() < until_us);
	timer_cancel(&end);
	list_for_each (link, &transport->visitors) {
		struct visitor *visitor = container_of(link, struct visitor, link);

		if (visitor->away)
			visitor_give_up(visitor);
	}
}

static void run(void *arg)
{
	struct transport *transport = arg;

	sandbox_enter(SANDBOX_ADMIN); /* where it cannot be had, main has said so */
	while (!atomic_load(&transport->stopping)) {
		if (atomic_load(&transport->yielding) && !transport->yielded)
			yield_doors(transport);
		turn(transport);
	}
	wind_down(transport);
	for (int i = 0; i < DOORS; i++)
		close_door(&transport->doors[i]);
}

static int open_doors(struct transport *transport)
{
	for (int i = 0; i < DOORS; i++) {
		struct door *door = &transport->doors[i];
		int err;

		if (door->fd < 0)
			continue;
		err = open_door(transport, door);
		if (err) {
			log_event(LOG_ERROR, "admin_failed", "door=%s error=\"%s\"",
				  door_names[door->kind], strerror(-err));
			return err;
		}
	}
	return 0;
}

/* The thread may open no file, which libraries would when they are used first: gmtime_r(3), for the
 * Date header, and the seed of Jansson's hash tables. */
static void prepare_libraries(void)
{
	tzset();
	json_object_seed(0);
}

int transport_start(struct transport *transport)
{
	int err = loop_init(&transport->loop);

	if (err)
		return err;
	prepare_libraries();
	list_init(&transport->visitors);
	list_init(&transport->callers);
	list_init(&transport->again.link);
	transport->again.run = run_again;
	timer_init(&transport->tick, on_tick);
	timer_init(&transport->poll_tick, on_poll_tick);
	transport->done_source =
		(struct loop_source){.on_event = on_done, .fd = transport->done.fd};
	err = loop_add(&transport->loop, &transport->done_source, EPOLLIN);
	if (!err)
		err = open_doors(transport);
	if (err)
		goto fail;
	loop_arm(&transport->loop, &transport->tick, TICK_MS);
	err = thread_start(&transport->thread, "admin", run, transport);
	if (!err)
		return 0;
fail:
	for (int i = 0; i < DOORS; i++)
		close_door(&transport->doors[i]);
	loop_fini(&transport->loop);
	return err;
}

void transport_stop(struct transport *transport)
{
	atomic_store(&transport->stopping, true);
	request_queue_wake(&transport->done);
	thread_join(&transport->thread);
	loop_fini(&transport->loop);
}
