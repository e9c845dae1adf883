/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what the proxy shall have of each source, and sends it until it has it. Happy path: the set
 * is written down once, a PUT with a generation above all that were seen is answered with 200, and
 * it is in force. A newer set that comes meanwhile goes out as soon as the answer is there.
 *
 * Failure modes: 409: the proxy's generation is taken over and the set sent again; any other 4xx is
 * told, and sent again when something changes or half a minute later; the rest is told, and sent
 * again with growing delay. While the link is lost nothing is sent.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/link/internal.h"
#include "proxy/base/clock.h"
#include "proxy/base/jot.h"
#include "proxy/base/loop.h"

#define PUSH_MS          30000
#define AGAIN_FIRST_MS   200
#define AGAIN_LAST_MS    1300
#define REFUSED_AGAIN_MS 30000
#define CONFLICTS        3 /* in a row, repeated at once */
#define PATH_TEXT        128

static struct push *find(const struct link *link, const char *pool, const char *source)
{
	list_for_each (at, &link->pushes) {
		struct push *push = container_of(at, struct push, link);

		if (!strcmp(push->pool, pool) && !strcmp(push->source, source))
			return push;
	}
	return NULL;
}

void push_free(struct push *push)
{
	if (!push)
		return;
	list_remove(&push->link);
	timer_cancel(&push->timer);
	http_cancel(push->call);
	free(push->body);
	free(push->targets);
	free(push->pool);
	free(push->source);
	free(push);
}

/* `problem` NULL: it is in force. The same one is told once. */
static void tell(struct push *push, const char *problem)
{
	const struct link_conf *conf = &push->owner->conf;
	char text[sizeof(push->problem)];

	snprintf(text, sizeof(text), "%s", problem ? problem : "");
	if (problem && !strcmp(text, push->problem))
		return;
	memcpy(push->problem, text, sizeof(text));
	conf->on_pushed(conf->context, push->pool, push->source, push->generation,
			problem ? push->problem : NULL);
}

static void wait(struct push *push, uint64_t ms)
{
	loop_arm(push->owner->conf.loop, &push->timer, ms);
}

static void fail(struct push *push, const char *problem)
{
	uint64_t ms = AGAIN_FIRST_MS << (push->failures < 4 ? push->failures : 4);

	push->failures++;
	push->due = true;
	wait(push, link_jitter(ms < AGAIN_LAST_MS ? ms : AGAIN_LAST_MS));
	tell(push, problem);
}

static void refuse(struct push *push, const char *problem)
{
	push->due = push->refused = true;
	wait(push, link_jitter(REFUSED_AGAIN_MS));
	tell(push, problem);
}

/* Somebody else pushed it, or an earlier life of ours: go above that. */
static void conflict(struct push *push, const struct http_answer *answer, const char *problem)
{
	json_t *root = json_loadb(answer->body, answer->size, JSON_REJECT_DUPLICATES, NULL);
	json_int_t generation = json_integer_value(json_object_get(root, "generation"));

	json_decref(root);
	if (generation > 0 && (uint64_t)generation > push->generation)
		push->generation = (uint64_t)generation;
	if (push->failures >= CONFLICTS) {
		fail(push, problem);
		return;
	}
	push->failures++;
	push->due = true;
	wait(push, 0);
}

static void take_problem(struct push *push, const struct http_answer *answer, const char *problem)
{
	if (answer->err == AWS_OK && answer->status == 409)
		conflict(push, answer, problem);
	else if (answer->err == AWS_OK && answer->status >= 400 && answer->status < 500)
		refuse(push, problem);
	else
		fail(push, problem);
}

/* It is in force; or it was, and a newer one already waits. */
static void succeed(struct push *push)
{
	push->failures = 0;
	if (push->due)
		wait(push, 0);
	else if (push->targets)
		tell(push, NULL);
	else
		push_free(push);
}

static void on_end(void *context, const struct http_answer *answer)
{
	struct push *push = context;
	bool gone = answer->err == AWS_OK && answer->status == 404;
	char problem[sizeof(push->problem)];
	json_t *root = link_answer(answer, 200, problem, sizeof(problem));

	push->call = NULL;
	free(push->body);
	push->body = NULL;
	push->ended_us = clock_us();
	if (root || (gone && !push->targets))
		succeed(push);
	else if (push->due) /* of what failed nobody needs to hear any more */
		wait(push, link_jitter(AGAIN_FIRST_MS));
	else
		take_problem(push, answer, problem);
	json_decref(root);
}

static uint64_t seen_generation(const struct push *push)
{
	const struct link_pool *pool = link_pool(push->owner, push->pool);
	const struct seen *seen = pool ? seen_find(&pool->seen, push->source) : NULL;

	return seen ? seen->generation : 0;
}

static char *write_body(const struct push *push)
{
	char *body;

	if (asprintf(&body, "{\"generation\":%llu,%s\"targets\":%s}",
		     (unsigned long long)push->generation,
		     push->unverified ? "\"unverified\":true," : "", push->targets) < 0)
		return NULL;
	return body;
}

static void send(struct push *push)
{
	uint64_t seen = seen_generation(push);
	char path[PATH_TEXT];

	push->due = push->refused = false;
	push->generation = (seen > push->generation ? seen : push->generation) + 1;
	push->body = push->targets ? write_body(push) : NULL;
	snprintf(path, sizeof(path), "/v1/pools/%s/sources/%s", push->pool, push->source);
	if (!push->targets || push->body)
		push->call =
			link_ask(push->owner, &(struct link_request){
						      .method = push->targets ? "PUT" : "DELETE",
						      .path = path,
						      .body = push->body,
						      .timeout_ms = PUSH_MS,
						      .on_end = on_end,
						      .context = push,
					      });
	if (push->call)
		return;
	free(push->body);
	push->body = NULL;
	fail(push, strerror(ENOMEM));
}

static void on_due(struct timer *timer)
{
	struct push *push = container_of(timer, struct push, timer);

	if (push->owner->up && push->due && !push->call)
		send(push);
}

/* Soon, but not from within whoever asked for it. */
static void want(struct push *push)
{
	push->due = true;
	push->refused = false;
	push->failures = 0;
	if (push->owner->up && !push->call)
		wait(push, 0);
}

static struct push *make(struct link *link, const char *pool, const char *source)
{
	struct push *push = calloc(1, sizeof(*push));

	if (!push)
		return NULL;
	list_init(&push->link);
	timer_init(&push->timer, on_due);
	push->owner = link;
	push->pool = strdup(pool);
	push->source = strdup(source);
	if (!push->pool || !push->source) {
		push_free(push);
		return NULL;
	}
	list_push_back(&link->pushes, &push->link);
	return push;
}

static int replace(struct link *link, const char *pool, const char *source, char *targets,
		   bool unverified)
{
	struct push *push = find(link, pool, source);

	if (!push)
		push = make(link, pool, source);
	if (!push) {
		free(targets);
		return -ENOMEM;
	}
	free(push->targets);
	push->targets = targets;
	push->unverified = unverified;
	want(push);
	return 0;
}

int link_push(struct link *link, const char *pool, const char *source, const struct target_set *set,
	      bool unverified)
{
	json_t *array = target_set_to_json(set);
	char *targets = jot_dump(array);

	json_decref(array);
	return targets ? replace(link, pool, source, targets, unverified) : -ENOMEM;
}

int link_withdraw(struct link *link, const char *pool, const char *source)
{
	return replace(link, pool, source, NULL, false);
}

void push_all(struct link *link)
{
	list_for_each (at, &link->pushes)
		want(container_of(at, struct push, link));
}

void push_pause(struct link *link)
{
	list_for_each (at, &link->pushes) {
		struct push *push = container_of(at, struct push, link);
		struct http_call *call = push->call;

		timer_cancel(&push->timer);
		push->call = NULL;
		http_cancel(call);
		free(push->body);
		push->body = NULL;
	}
}

void push_retry(struct link *link)
{
	list_for_each (at, &link->pushes) {
		struct push *push = container_of(at, struct push, link);

		if (push->refused)
			want(push);
	}
}

void push_compare(struct link_pool *pool)
{
	list_for_each (at, &pool->link->pushes) {
		struct push *push = container_of(at, struct push, link);

		/* An answer on its way says more than what was read beside it. */
		if (strcmp(push->pool, pool->name) != 0 || push->due || push->call ||
		    push->ended_us >= pool->asked_us)
			continue;
		if (seen_generation(push) != push->generation)
			want(push);
	}
}
