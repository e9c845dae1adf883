/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns whether there is a proxy, and how it is asked. Happy path: the first status and the first
 * reading of every pool make it up; the failure of the long poll makes it lost, and it is asked
 * again after a quarter of a second, later up to two seconds.
 *
 * Failure modes: no socket, or one that we may not use, is said with what to do about it; memory
 * that is short counts as an answer that did not come.
 */
#include "control/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "control/link/internal.h"
#include "proxy/base/clock.h"
#include "proxy/base/loop.h"
#include "proxy/base/panic.h"

#define AGAIN_FIRST_MS 200
#define AGAIN_LAST_MS  1300 /* with jitter: 2 s */
#define STATUS_MS      10000
#define URL_TEXT       256

uint64_t link_jitter(uint64_t ms)
{
	uint32_t random = 0;

	/* Without it the delay is only not spread. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		return ms;
	return ms + (uint64_t)random * (ms / 2 + 1) / UINT32_MAX;
}

struct link_pool *link_pool(const struct link *link, const char *name)
{
	for (size_t i = 0; i < link->pool_count; i++)
		if (!strcmp(link->pools[i].name, name))
			return &link->pools[i];
	return NULL;
}

struct http_call *link_ask(struct link *link, const struct link_request *request)
{
	static const char *const json[] = {"Content-Type: application/json", NULL};
	char url[URL_TEXT];

	snprintf(url, sizeof(url), "http://localhost%s", request->path);
	return http_start(link->conf.http,
			  &(struct http_request){
				  .method = request->method,
				  .url = url,
				  .headers = request->body ? json : NULL,
				  .body = request->body,
				  .body_size = request->body ? strlen(request->body) : 0,
				  .unix_socket = link->socket,
				  .timeout_ms = request->timeout_ms,
				  .max_bytes = 256u << 20,
				  .direct = true,
				  .on_end = request->on_end,
				  .context = request->context,
			  });
}

json_t *link_answer(const struct http_answer *answer, long status, char *ret_problem, size_t size)
{
	json_t *root = NULL;
	const char *error;

	if (answer->err != AWS_OK) {
		snprintf(ret_problem, size, "%s", answer->problem ? answer->problem : "no answer");
		return NULL;
	}
	root = json_loadb(answer->body, answer->size, JSON_REJECT_DUPLICATES, NULL);
	if (answer->status == status && json_is_object(root))
		return root;
	error = json_string_value(json_object_get(root, "error"));
	if (error)
		snprintf(ret_problem, size, "%s", error);
	else
		snprintf(ret_problem, size, "an answer that is not the proxy's: HTTP %ld",
			 answer->status);
	json_decref(root);
	return NULL;
}

static void wait_to_connect(struct link *link)
{
	uint64_t ms = AGAIN_FIRST_MS << (link->attempts < 4 ? link->attempts : 4);

	link->attempts++;
	loop_arm(link->conf.loop, &link->connect,
		 link_jitter(ms < AGAIN_LAST_MS ? ms : AGAIN_LAST_MS));
}

/* libcurl only says that it could not connect. */
static void explain(const struct link *link, const char *problem, char *buf, size_t size)
{
	int err = access(link->socket, R_OK | W_OK) ? errno : 0;

	if (err == ENOENT)
		snprintf(buf, size,
			 "no socket at %s: the proxy does not run, or has another admin.socket",
			 link->socket);
	else if (err == EACCES)
		snprintf(buf, size,
			 "%s may not be used by uid %u: run as the proxy's user, or as a member of "
			 "its group",
			 link->socket, (unsigned)geteuid());
	else
		snprintf(buf, size, "the proxy at %s: %s", link->socket, problem);
}

void link_lost(struct link *link, const char *problem)
{
	bool was_up = link->up;
	char text[sizeof(link->problem)];

	explain(link, problem, text, sizeof(text));
	link->up = false;
	link->sessions = -1;
	watch_cancel(link);
	push_pause(link);
	wait_to_connect(link);
	drain_gone(link);
	if (!was_up && !strcmp(text, link->problem))
		return;
	memcpy(link->problem, text, sizeof(text));
	link->conf.on_down(link->conf.context, link->problem);
}

void link_came(struct link *link)
{
	link->up = true;
	link->problem[0] = '\0';
	loop_arm(link->conf.loop, &link->connect, link_jitter(STATUS_MS));
	loop_arm(link->conf.loop, &link->listen, 0);
	link->conf.on_up(link->conf.context);
}

static void free_pools(struct link *link)
{
	for (size_t i = 0; i < link->pool_count; i++) {
		struct link_pool *pool = &link->pools[i];

		seen_fini(&pool->seen);
		target_set_free(pool->down);
		free(pool->name);
	}
	free(link->pools);
}

static int copy_conf(struct link *link, const struct link_conf *conf)
{
	link->conf = *conf;
	link->conf.socket = NULL; /* ours are the copies */
	link->conf.pools = NULL;
	link->socket = strdup(conf->socket);
	link->pools = calloc(conf->pool_count + 1, sizeof(*link->pools));
	if (!link->socket || !link->pools)
		return -ENOMEM;
	for (size_t i = 0; i < conf->pool_count; i++) {
		link->pools[i].link = link;
		link->pools[i].name = strdup(conf->pools[i]);
		link->pool_count++;
		if (!link->pools[i].name)
			return -ENOMEM;
	}
	return 0;
}

int link_start(const struct link_conf *conf, struct link **ret_link)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link)
		return -ENOMEM;
	list_init(&link->pushes);
	timer_init(&link->connect, watch_connect);
	timer_init(&link->listen, watch_listen);
	timer_init(&link->poll, watch_poll);
	timer_init(&link->drain_end, drain_tell);
	link->sessions = -1;
	if (copy_conf(link, conf)) {
		link_stop(link);
		return -ENOMEM;
	}
	loop_arm(conf->loop, &link->connect, 0);
	*ret_link = link;
	return 0;
}

void link_stop(struct link *link)
{
	if (!link)
		return;
	watch_cancel(link);
	drain_cancel(link);
	list_for_each_safe (at, &link->pushes)
		push_free(container_of(at, struct push, link));
	free_pools(link);
	free(link->socket);
	free(link);
}

bool link_is_up(const struct link *link)
{
	return link->up;
}

const char *link_problem(const struct link *link)
{
	return link->up ? NULL : link->problem;
}

int64_t link_pid(const struct link *link)
{
	return link->up ? link->pid : 0;
}

bool link_is_settled(const struct link *link)
{
	list_for_each (at, &link->pushes) {
		const struct push *push = container_of(at, struct push, link);

		if (push->due || push->call || (timer_is_armed(&push->timer) && !push->refused))
			return false;
	}
	return link->up;
}

int64_t link_sessions(const struct link *link)
{
	return link->up ? link->sessions : -1;
}

const struct target_set *link_current(const struct link *link, const char *pool, const char *source)
{
	const struct link_pool *at = link_pool(link, pool);
	const struct seen *seen = at ? seen_find(&at->seen, source) : NULL;

	return seen ? seen->set : NULL;
}

static bool is_pushed(const struct link *link, const char *pool, const char *source)
{
	list_for_each (at, &link->pushes) {
		const struct push *push = container_of(at, struct push, link);

		if (!strcmp(push->pool, pool) && !strcmp(push->source, source))
			return true;
	}
	return false;
}

size_t link_sources(const struct link *link, const char *pool, const char **ret_names, size_t room)
{
	const struct link_pool *at = link_pool(link, pool);
	size_t count = 0;

	for (size_t i = 0; at && i < at->seen.count && count < room; i++) {
		const struct seen *seen = &at->seen.items[i];

		if (seen->discovered || is_pushed(link, pool, seen->name))
			ret_names[count++] = seen->name;
	}
	return count;
}

bool link_is_down(const struct link *link, const char *pool, const struct found_target *target)
{
	const struct link_pool *at = link_pool(link, pool);

	return link->up && at && target_set_find(at->down, target->id, target->address) != NULL;
}
