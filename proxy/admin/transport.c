/* SPDX-License-Identifier: Apache-2.0
 *
 * Admin's thread. Happy path: it enters its sandbox and turns its loop, in which the doors are;
 * answers that main puts into `done` wake it, and so does a tick a second, which wakes main in
 * turn.
 *
 * Failure modes: a door cannot be opened (the start fails as a whole); the process ends or is
 * replaced while requests are under way, then they are answered first, within half a second.
 */
#include "proxy/admin/transport.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/jot.h"
#include "proxy/base/log.h"
#include "proxy/base/sandbox.h"

#define TICK_MS      1000
#define WIND_DOWN_MS 500

static const char *const door_names[DOORS] = {
	[DOOR_SOCKET] = "socket", [DOOR_HTTP] = "http", [DOOR_PROBE] = "probe"};

static int open_door(struct transport *transport, struct door *door)
{
	int err = door_open(door);

	if (err || door->kind != DOOR_PROBE)
		return err;
	transport->probe = (struct loop_source){.on_event = probe_accept, .fd = door->fd};
	return loop_add(&transport->loop, &transport->probe, EPOLLIN);
}

/* Nobody new; those who are in, or wait to be let in, are served. */
static void quiesce(struct transport *transport, struct door *door)
{
	if (door->kind != DOOR_PROBE) {
		door_quiesce(door);
		return;
	}
	if (!door->daemon || door->fd < 0)
		return;
	probe_accept(&transport->probe, EPOLLIN);
	transport->probe.fd = -1;
	close(door->fd);
	door->fd = -1;
}

/* --- a request's way --- */

/* /healthz is answered without anybody's help. */
static bool is_healthz(const struct request *request)
{
	return request->method == METHOD_GET && !strcmp(request->path, "/healthz");
}

static void answer_healthz(const struct watch *watch, struct request *request)
{
	char why[64];
	bool stuck = watch_is_stuck(watch, why, sizeof(why));

	request_reply(request, stuck ? 503 : 200,
		      JOT({"healthy", json_boolean(!stuck)},
			  {"reason", stuck ? jot_text(why) : json_null()}));
}

static void find_way(struct door *door, struct request *request)
{
	const struct transport *transport = container_of(door->lobby, struct transport, lobby);

	if (door->kind != DOOR_PROBE)
		request_route(request, desk_routes, desk_route_count);
	else if (is_healthz(request))
		answer_healthz(transport->watch, request);
	else
		request_route(request, desk_probe_routes, desk_probe_route_count);
}

static uint64_t patience_ms(const struct door *door, const struct request *request)
{
	if (door->kind == DOOR_PROBE)
		return TRANSPORT_READY_MS;
	return request->route->flags & ROUTE_SLOW ? TRANSPORT_SLOW_MS : TRANSPORT_MAIN_MS;
}

static uint64_t submit(struct door *door, struct request *request)
{
	struct transport *transport = container_of(door->lobby, struct transport, lobby);
	uint64_t patience = patience_ms(door, request);

	if (request->route->flags & ROUTE_SLOW && !timer_is_armed(&transport->poll_tick))
		loop_arm(&transport->loop, &transport->poll_tick, TRANSPORT_POLL_MS);
	request_queue_put(transport->inbox, request);
	return patience;
}

static void on_done(struct loop_source *source, uint32_t events)
{
	struct transport *transport = container_of(source, struct transport, done_source);
	struct request *request;

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
	list_for_each (link, &transport->lobby.visitors) {
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

/* Who keeps a connection for later shall find the successor by then. */
static void yield_doors(struct transport *transport)
{
	transport->yielded = true;
	for (int i = 0; i < DOORS; i++)
		quiesce(transport, &transport->doors[i]);
	list_for_each (link, &transport->lobby.visitors) {
		const struct visitor *visitor = container_of(link, struct visitor, link);

		if (visitor->served && !visitor->request)
			shutdown(visitor->fd, SHUT_RDWR);
	}
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
		lobby_give_up(&transport->lobby);
		loop_turn(&transport->loop);
	} while (lobby_is_busy(&transport->lobby) && clock_us() < until_us);
	timer_cancel(&end);
	lobby_give_up(&transport->lobby);
}

static void run(void *arg)
{
	struct transport *transport = arg;

	sandbox_enter(SANDBOX_ADMIN); /* where it cannot be had, main has said so */
	while (!atomic_load(&transport->stopping)) {
		if (atomic_load(&transport->lobby.leaving) && !transport->yielded)
			yield_doors(transport);
		loop_turn(&transport->loop);
	}
	wind_down(transport);
	for (int i = 0; i < DOORS; i++)
		door_close(&transport->doors[i]);
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

int transport_start(struct transport *transport)
{
	int err = loop_init(&transport->loop);

	if (err)
		return err;
	transport->lobby.route = find_way;
	transport->lobby.submit = submit;
	lobby_prepare_libraries();
	list_init(&transport->callers);
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
		door_close(&transport->doors[i]);
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
