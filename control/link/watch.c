/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what is known of the proxy. Happy path: the status says which process it is, the last event
 * is looked up, every pool is read, and it is up; from then on a long poll of its events ends when
 * something happens to a pool, which is then read again, at most every few seconds, or when the
 * proxy does, and then the link is lost.
 *
 * Failure modes: any of it fails before it is up: the whole of it again. While it is up only the
 * long poll counts, and another process that answers; a pool that was not read is read next time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/link/internal.h"
#include "proxy/base/clock.h"
#include "proxy/base/loop.h"

#define ANSWER_MS       5000
#define READ_MS         30000
#define WATCH_S         25
#define WATCH_MS        40000
#define STATUS_MS       10000
#define DRAIN_STATUS_MS 1500
#define PATH_TEXT       128
#define LISTEN_PAUSE_MS 100 /* so that a burst of events is one answer */
#define POLL_GAP_MS     3000
#define POLL_AT_LAST_MS 60000
#define READ_SHARE      30 /* a gap is so many times what the reading took */

static struct http_call *get(struct link *link, const char *path, uint32_t timeout_ms,
			     void (*on_end)(void *context, const struct http_answer *answer),
			     void *context)
{
	return link_ask(link, &(struct link_request){.method = "GET",
						     .path = path,
						     .timeout_ms = timeout_ms,
						     .on_end = on_end,
						     .context = context});
}

void watch_cancel(struct link *link)
{
	struct http_call *status = link->status, *watch = link->watch;

	timer_cancel(&link->connect);
	timer_cancel(&link->listen);
	timer_cancel(&link->poll);
	link->status = link->watch = NULL;
	link->reading = 0;
	http_cancel(status);
	http_cancel(watch);
	for (size_t i = 0; i < link->pool_count; i++) {
		struct http_call *call = link->pools[i].call;

		link->pools[i].call = NULL;
		http_cancel(call);
	}
}

/* --- pools --- */

static void wait_to_poll(struct link *link, uint64_t ms)
{
	if (!timer_is_armed(&link->poll))
		loop_arm(link->conf.loop, &link->poll, ms);
}

/* It has none of our sources, or the answer says which. */
static int take_pool(struct link_pool *pool, const struct http_answer *answer, char *problem,
		     size_t size)
{
	struct seen_list seen = {0};
	struct target_set *down = NULL;
	json_t *root;
	int err = 0;

	if (answer->err != AWS_OK || answer->status != 404) {
		root = link_answer(answer, 200, problem, size);
		if (!root)
			return -EIO;
		err = seen_read(root, &seen, &down);
		json_decref(root);
	}
	if (err) {
		snprintf(problem, size, "pool %s: %s", pool->name,
			 err == -ENOMEM ? strerror(-err) : "an answer that is not the proxy's");
		return err;
	}
	seen_fini(&pool->seen);
	target_set_free(pool->down);
	pool->seen = seen;
	pool->down = down;
	return 0;
}

/* Which process it is was learnt with the status; all of its pools are known now. */
static void all_read(struct link *link)
{
	link_came(link);
	push_all(link);
	wait_to_poll(link, link_jitter(POLL_AT_LAST_MS));
}

/* Reading thousands of targets is work for the proxy: a few percent of its time at most. */
static void space_out(struct link *link, uint64_t took_us)
{
	uint64_t gap_ms = took_us / US_PER_MS * READ_SHARE;

	link->gap_ms = gap_ms < POLL_GAP_MS ? POLL_GAP_MS : gap_ms;
	if (link->gap_ms > POLL_AT_LAST_MS)
		link->gap_ms = POLL_AT_LAST_MS;
}

static void on_pool(void *context, const struct http_answer *answer)
{
	struct link_pool *pool = context;
	struct link *link = pool->link;
	char problem[200];
	int err;

	pool->call = NULL;
	space_out(link, answer->took_us);
	err = take_pool(pool, answer, problem, sizeof(problem));
	if (!link->up && err)
		link_lost(link, problem);
	else if (!link->up && --link->reading == 0)
		all_read(link);
	else if (link->up && !err)
		push_compare(pool);
	else if (link->up)
		pool->stale = true;
	if (link->up && pool->stale)
		wait_to_poll(link, link->gap_ms);
}

static int read_pool(struct link_pool *pool)
{
	struct link *link = pool->link;
	char path[PATH_TEXT];

	snprintf(path, sizeof(path), "/v1/pools/%s", pool->name);
	pool->stale = false;
	pool->asked_us = clock_us();
	pool->call = get(link, path, READ_MS, on_pool, pool);
	return pool->call ? 0 : -ENOMEM;
}

void watch_poll(struct timer *timer)
{
	struct link *link = container_of(timer, struct link, poll);
	uint64_t now_us = clock_us();
	bool some = false;

	for (size_t i = 0; i < link->pool_count; i++) {
		struct link_pool *pool = &link->pools[i];
		bool old = now_us - pool->asked_us >= POLL_AT_LAST_MS * US_PER_MS;

		if (!pool->call && (pool->stale || old) && read_pool(pool))
			pool->stale = true;
		some |= pool->stale;
	}
	wait_to_poll(link, some ? link->gap_ms : link_jitter(POLL_AT_LAST_MS));
}

static void read_soon(struct link *link)
{
	timer_cancel(&link->poll);
	loop_arm(link->conf.loop, &link->poll, link_jitter(link->gap_ms / 2));
}

/* --- events --- */

static void mark_stale(struct link *link, const char *pool)
{
	for (size_t i = 0; i < link->pool_count; i++)
		if (!pool || !strcmp(link->pools[i].name, pool))
			link->pools[i].stale = true;
}

static bool is_any_stale(const struct link *link)
{
	for (size_t i = 0; i < link->pool_count; i++)
		if (link->pools[i].stale)
			return true;
	return false;
}

static void see_event(struct link *link, const json_t *event)
{
	const char *kind = json_string_value(json_object_get(event, "kind"));
	const char *pool = json_string_value(json_object_get(event, "pool"));

	if (pool)
		mark_stale(link, pool);
	if (!kind || strcmp(kind, "reloaded") != 0)
		return;
	mark_stale(link, NULL);
	push_retry(link);
}

static void see_events(struct link *link, const json_t *root)
{
	const json_t *events = json_object_get(root, "events"), *event;
	bool waiting = is_any_stale(link);
	size_t index;

	json_array_foreach (events, index, event)
		see_event(link, event);
	link->event = (uint64_t)json_integer_value(json_object_get(root, "last_id"));
	if (!waiting && is_any_stale(link))
		read_soon(link);
}

static void on_events(void *context, const struct http_answer *answer)
{
	struct link *link = context;
	char problem[200];
	json_t *root = link_answer(answer, 200, problem, sizeof(problem));

	link->watch = NULL;
	if (!root) {
		link_lost(link, problem);
		return;
	}
	see_events(link, root);
	json_decref(root);
	link->attempts = 0; /* not before: who is lost as soon as it came is not asked faster */
	loop_arm(link->conf.loop, &link->listen, LISTEN_PAUSE_MS);
}

void watch_listen(struct timer *timer)
{
	struct link *link = container_of(timer, struct link, listen);
	char path[PATH_TEXT];

	snprintf(path, sizeof(path), "/v1/events?after=%llu&limit=1000&wait_s=%d&pid=%lld",
		 (unsigned long long)link->event, WATCH_S, (long long)link->pid);
	link->watch = get(link, path, WATCH_MS, on_events, link);
	if (!link->watch)
		link_lost(link, strerror(ENOMEM));
}

/* What happens from here on is seen; what happened before will be in the pools. */
static void on_last_event(void *context, const struct http_answer *answer)
{
	struct link *link = context;
	char problem[200];
	json_t *root = link_answer(answer, 200, problem, sizeof(problem));

	link->watch = NULL;
	if (!root) {
		link_lost(link, problem);
		return;
	}
	link->event = (uint64_t)json_integer_value(json_object_get(root, "last_id"));
	json_decref(root);
	link->reading = link->pool_count;
	if (!link->pool_count)
		all_read(link);
	for (size_t i = 0; i < link->pool_count; i++) {
		if (!read_pool(&link->pools[i]))
			continue;
		link_lost(link, strerror(ENOMEM));
		return;
	}
}

/* --- status --- */

static int64_t count_sessions(const json_t *status)
{
	const json_t *workers = json_object_get(status, "workers"), *worker;
	int64_t sum = 0;
	size_t index;

	json_array_foreach (workers, index, worker)
		sum += json_integer_value(json_object_get(worker, "sessions_open"));
	return sum;
}

/* Take over which process it is. True when that is another one than before. */
static bool take_status(struct link *link, const json_t *status)
{
	int64_t pid = json_integer_value(json_object_get(status, "pid"));
	const char *started = json_string_value(json_object_get(status, "started"));
	bool another;

	started = started ? started : "";
	another = pid != link->pid || strcmp(started, link->started) != 0;
	link->pid = pid;
	snprintf(link->started, sizeof(link->started), "%s", started);
	link->sessions = count_sessions(status);
	return another;
}

static void on_status(void *context, const struct http_answer *answer)
{
	struct link *link = context;
	char problem[200];
	json_t *root = link_answer(answer, 200, problem, sizeof(problem));
	bool another = root && take_status(link, root);

	json_decref(root);
	link->status = NULL;
	if (!root && !link->up) {
		link_lost(link, problem);
	} else if (!link->up) {
		link->watch = get(link, "/v1/events?limit=0", ANSWER_MS, on_last_event, link);
		if (!link->watch)
			link_lost(link, strerror(ENOMEM));
	} else if (another) {
		/* A successor took the socket over before the long poll ended. */
		link_lost(link, "another process serves there");
	} else {
		loop_arm(link->conf.loop, &link->connect,
			 link->on_drained ? DRAIN_STATUS_MS : link_jitter(STATUS_MS));
	}
}

void watch_connect(struct timer *timer)
{
	struct link *link = container_of(timer, struct link, connect);

	link->status = get(link, "/v1/status", ANSWER_MS, on_status, link);
	if (!link->status)
		link_lost(link, strerror(ENOMEM));
}
