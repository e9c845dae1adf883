/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what is only looked at: status, configuration, pools, explanations, events, figures,
 * readiness. Happy path: main's data are described, nothing changes. Failure modes: there is no
 * such pool or target; an argument is out of bounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/admin/describe.h"
#include "proxy/admin/desk.h"
#include "proxy/admin/handlers.h"
#include "proxy/admin/metrics.h"
#include "proxy/base/clock.h"
#include "proxy/base/conf/tree.h"
#include "proxy/base/jot.h"
#include "proxy/events.h"
#include "proxy/model.h"
#include "proxy/registry.h"
#include "proxy/snapshot.h"

#define EVENTS_DEFAULT 100
#define EVENTS_MAX     1000
#define WAIT_MAX_S     30

void get_status(struct desk *desk, struct request *request)
{
	desk->ops.look(desk->ops.context);
	request_reply(request, 200, describe_status(desk));
}

/* As YAML that loads to the same again; NULL without memory. */
static json_t *config_text(const struct config *config)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	json_t *json = NULL;

	if (!out)
		return NULL;
	node_print(config->tree, out);
	if (fclose(out) == 0)
		json = jot_text(text);
	free(text);
	return json;
}

void get_config(struct desk *desk, struct request *request)
{
	const struct snapshot *snapshot = desk->ops.snapshot(desk->ops.context);

	request_reply(request, 200,
		      JOT({"generation", json_integer((json_int_t)snapshot->generation)},
			  {"yaml", config_text(snapshot->config)}));
}

void get_pools(struct desk *desk, struct request *request)
{
	request_reply(request, 200, JOT({"pools", describe_pools(desk)}));
}

void get_pool(struct desk *desk, struct request *request)
{
	const struct pool_record *pool = find_pool(desk, request, request->segments[2]);

	if (pool)
		request_reply(request, 200, describe_pool_members(desk, pool));
}

void get_explain(struct desk *desk, struct request *request)
{
	const struct target_record *record =
		find_target(desk, request, request_argument(request, "pool"), request->segments[2]);

	if (!record)
		return;
	request_reply(
		request, 200,
		jot_with(describe_target(desk, record),
			 JOT({"history", describe_history(record)},
			     {"pool_state",
			      JOT({"panic", json_boolean(record->pool->panic)},
				  {"usable", json_integer((json_int_t)record->pool->usable)},
				  {"healthy", json_integer((json_int_t)record->pool->healthy)})})));
}

static json_t *event_json(const struct event *event)
{
	return JOT({"id", json_integer((json_int_t)event->id)},
		   {"time", describe_time(event->wall_us)},
		   {"level", json_string(log_level_names[event->level])},
		   {"kind", jot_text(event->kind)},
		   {"pool", event->pool[0] ? jot_text(event->pool) : json_null()},
		   {"target", event->target[0] ? jot_text(event->target) : json_null()},
		   {"text", jot_text(event->text)});
}

/* `last_id` is what to ask for next: the last one given, or the last there is. */
static json_t *events_json(const struct events *events, uint64_t after, uint64_t limit)
{
	json_t *list = json_array();
	const struct event *event;
	uint64_t last = events_last_id(events);

	for (uint64_t at = after; limit && (event = events_next(events, at)); limit--) {
		at = event->id;
		if (json_array_append_new(list, event_json(event)) < 0) {
			json_decref(list);
			list = NULL;
			break;
		}
		if (limit == 1)
			last = at;
	}
	return JOT({"events", list}, {"last_id", json_integer((json_int_t)last)});
}

void get_events(struct desk *desk, struct request *request)
{
	uint64_t after, limit, wait_s, pid;

	if (!request_number(request, "after", 0, INT64_MAX, &after) ||
	    !request_number(request, "limit", EVENTS_DEFAULT, EVENTS_MAX, &limit) ||
	    !request_number(request, "wait_s", 0, WAIT_MAX_S, &wait_s) ||
	    !request_number(request, "pid", 0, INT32_MAX, &pid))
		return;
	if (pid && (pid_t)pid != getpid()) {
		request_refuse(request, 409, "another process serves by now");
		return;
	}
	if (wait_s && !request->waited && events_last_id(desk->ops.events) <= after) {
		request->waited = true;
		request->after = after;
		request->due_us = clock_us() + wait_s * US_PER_SEC;
		return;
	}
	request_reply(request, 200, events_json(desk->ops.events, after, limit));
}

void get_metrics(struct desk *desk, struct request *request)
{
	desk->ops.look(desk->ops.context);
	request_reply_text(request, "text/plain; version=0.0.4; charset=utf-8",
			   metrics_text(&desk->ops));
}

void get_readyz(struct desk *desk, struct request *request)
{
	struct admin_facts facts = {0};

	desk->ops.facts(desk->ops.context, &facts);
	request_reply(request, facts.not_ready ? 503 : 200,
		      JOT({"ready", json_boolean(!facts.not_ready)},
			  {"reason", jot_text(facts.not_ready)}));
}
