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
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "proxy/admin/describe.h"
#include "proxy/base/jot.h"
#include "proxy/base/panic.h"
#include "proxy/events.h"
#include "proxy/registry.h"

#define WHO_TEXT   64
#define AUDIT_PATH 160
#define AUDIT_WHY  96

void desk_init(struct desk *desk, struct request_queue *done)
{
	*desk = (struct desk){.done = done};
	list_init(&desk->publishing);
	list_init(&desk->polls);
}

/* The user's name, from /etc/passwd alone: whatever else names users may take its time. */
static bool user_name(uid_t uid, char *buf, size_t size)
{
	FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *entry;
	bool found = false;

	while (file && !found && (entry = fgetpwent(file))) {
		found = entry->pw_uid == uid;
		if (found)
			snprintf(buf, size, "%.32s", entry->pw_name);
	}
	if (file)
		fclose(file);
	return found;
}

void desk_who(const struct admin_request *request, char *buf, size_t size)
{
	char name[33];

	if (user_name(request->uid, name, sizeof(name)))
		snprintf(buf, size, "uid %u (%s)", (unsigned)request->uid, name);
	else
		snprintf(buf, size, "uid %u", (unsigned)request->uid);
}

/* Whatever a peer can put into a path, or into a key that is refused, must not look like anything
 * else in a log. `least` is the first character that may pass. */
static void copy_printable(const char *from, char least, char *to, size_t size)
{
	size_t i = 0;

	for (; from[i] && i + 1 < size; i++)
		to[i] = from[i] >= least && from[i] < 0x7f ? from[i] : '?';
	to[i] = '\0';
}

static void audit(struct desk *desk, const struct admin_request *request)
{
	bool ok = request->status < 300;
	const char *error = json_string_value(json_object_get(request->answer, "error"));
	char who[WHO_TEXT], path[AUDIT_PATH], why[AUDIT_WHY];

	desk_who(request, who, sizeof(who));
	copy_printable(request->path, '!', path, sizeof(path));
	copy_printable(error ? error : "", ' ', why, sizeof(why));
	events_add(desk->ops.events, ok ? LOG_INFO : LOG_WARN, "audit", NULL, NULL,
		   "%s, pid %d: %s %s: %d%s%s", who, (int)request->pid,
		   request_method_names[request->method], path, request->status, *why ? ", " : "",
		   why);
}

/* The answer is complete: off it goes, and is no longer ours to look at. */
static void leave(struct desk *desk, struct admin_request *request)
{
	must(request->status);
	if (request->method != METHOD_GET)
		audit(desk, request);
	request_queue_put(desk->done, request);
}

static void replace_answer(struct admin_request *request, int status, json_t *answer)
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
static void finish(struct desk *desk, struct admin_request *request)
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

void desk_publish(struct desk *desk, struct admin_request *request,
		  const struct target_record *record)
{
	must(request->status);
	request->key = record ? record->key : 0;
	request->ticket = desk->ops.publish(desk->ops.context);
}

static void refuse_to_wait(struct desk *desk, struct admin_request *request)
{
	request_refuse(request, 503, "another process serves by now");
	leave(desk, request);
}

void desk_handle(struct desk *desk, struct admin_request *request)
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
		struct admin_request *request = container_of(link, struct admin_request, link);

		if (request->ticket > ticket)
			continue;
		list_remove(&request->link);
		finish(desk, request);
	}
}

void desk_turn(struct desk *desk, uint64_t now_us)
{
	list_for_each_safe (link, &desk->polls) {
		struct admin_request *request = container_of(link, struct admin_request, link);

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
		refuse_to_wait(desk, container_of(link, struct admin_request, link));
}

void desk_close(struct desk *desk)
{
	struct list *const waiting[] = {&desk->publishing, &desk->polls};

	for (int i = 0; i < 2; i++)
		list_for_each_safe (link, waiting[i]) {
			struct admin_request *request =
				container_of(link, struct admin_request, link);

			list_remove(&request->link);
			replace_answer(request, 503,
				       JOT({"error", json_string("this process ends")}));
			leave(desk, request);
		}
}
