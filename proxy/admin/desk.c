/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns requests from the moment main takes them until they are answered. The happy path is: the
 * handler answers at once; or it changed something, and the answer waits until every worker has
 * taken that; or it waits for an event. A change is an audit event when its answer leaves.
 *
 * Failure modes: workers did not take a change, then the answer says so instead; the process ends,
 * then what waits is told so; a
 * successor serves, then whoever waits for an event is sent there.
 */
#include "proxy/admin/desk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proxy/admin/describe.h"
#include "proxy/base/jot.h"
#include "proxy/base/panic.h"
#include "proxy/events.h"
#include "proxy/registry.h"

void desk_init(struct desk *desk, struct request_queue *done)
{
	*desk = (struct desk){.done = done};
	list_init(&desk->publishing);
	list_init(&desk->polls);
}

static void audit(struct desk *desk, const struct request *request)
{
	char text[REQUEST_AUDIT];

	request_audit(request, text);
	events_add(desk->ops.events, request->status < 300 ? LOG_INFO : LOG_WARN, "audit", NULL,
		   NULL, "%s", text);
}

/* The answer is complete: off it goes, and is no longer ours to look at. */
static void leave(struct desk *desk, struct request *request)
{
	must(request->status);
	if (request->method != METHOD_GET)
		audit(desk, request);
	request_queue_put(desk->done, request);
}

static void replace_answer(struct request *request, int status, json_t *answer)
{
	json_decref(request->answer);
	request->answer = NULL;
	request->status = 0;
	request_reply(request, status, answer);
}

static const char *why_not_taken(int err)
{
	return err == -ETIMEDOUT ? "a worker does not answer" : strerror(-err);
}

/* What was changed runs on every worker now, or it does not. */
static void finish(struct desk *desk, struct request *request)
{
	struct target_record *record;
	char key[24];

	if (desk->published_err) {
		replace_answer(
			request, 503,
			JOT({"error", json_sprintf("the change is known, but not in force: %s",
						   why_not_taken(desk->published_err))}));
	} else if (request->key && request->status < 300) {
		snprintf(key, sizeof(key), "%llu", (unsigned long long)request->key);
		if (!registry_find(desk->ops.registry, NULL, key, &record) &&
		    record->key == request->key)
			replace_answer(request, request->status, describe_target(desk, record));
	}
	leave(desk, request);
}

void desk_publish(struct desk *desk, struct request *request, const struct target_record *record)
{
	must(request->status);
	request->key = record ? record->key : 0;
	request->ticket = desk->ops.publish(desk->ops.context);
}

static void refuse_to_wait(struct desk *desk, struct request *request)
{
	request_refuse(request, 503, "another process serves by now");
	leave(desk, request);
}

void desk_handle(struct desk *desk, struct request *request)
{
	request->route->handle(desk, request);
	if (!request->status && desk->yielded)
		refuse_to_wait(desk, request);
	else if (!request->status)
		list_push_back(&desk->polls, &request->link);
	else if (request->ticket > desk->published)
		list_push_back(&desk->publishing, &request->link);
	else if (request->ticket)
		finish(desk, request);
	else
		leave(desk, request);
}

void desk_published(struct desk *desk, uint64_t ticket, int err)
{
	desk->published = ticket;
	desk->published_err = err;
	list_for_each_safe (link, &desk->publishing) {
		struct request *request = container_of(link, struct request, link);

		if (request->ticket > ticket)
			continue;
		list_remove(&request->link);
		finish(desk, request);
	}
}

void desk_turn(struct desk *desk, uint64_t now_us)
{
	list_for_each_safe (link, &desk->polls) {
		struct request *request = container_of(link, struct request, link);

		if (events_last_id(desk->ops.events) <= request->after && now_us < request->due_us)
			continue;
		list_remove(&request->link);
		request->due_us = 0;
		desk_handle(desk, request);
	}
}

void desk_yield(struct desk *desk)
{
	struct list *link;

	desk->yielded = true;
	while ((link = list_pop_front(&desk->polls)))
		refuse_to_wait(desk, container_of(link, struct request, link));
}

void desk_close(struct desk *desk)
{
	struct list *const waiting[] = {&desk->publishing, &desk->polls};

	for (int i = 0; i < 2; i++)
		list_for_each_safe (link, waiting[i]) {
			struct request *request = container_of(link, struct request, link);

			list_remove(&request->link);
			replace_answer(request, 503,
				       JOT({"error", json_string("this process ends")}));
			leave(desk, request);
		}
}
