/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the list of live sessions, and the end of one. Happy path: each worker gives the first so
 * many in the wanted order, which are merged, cut and described. Failure modes: an argument is
 * unknown or out of bounds (400), a pool, target or session is (404), workers do not answer (503).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin/desk.h"
#include "proxy/admin/handlers.h"
#include "proxy/base/jot.h"
#include "proxy/model.h"
#include "proxy/registry.h"
#include "proxy/snapshot.h"

#define LIMIT_DEFAULT 500
#define LIMIT_MAX     5000

static const char *const sort_names[SESSION_SORTS] = {
	[SESSION_SORT_ID] = "id",
	[SESSION_SORT_BYTES] = "bytes",
	[SESSION_SORT_AGE] = "age",
};

static const char *const phase_names[SESSION_PHASES] = {
	[SESSION_PHASE_ACCEPTED] = "accepted", [SESSION_PHASE_GREETING] = "greeting",
	[SESSION_PHASE_QUEUED] = "queued",     [SESSION_PHASE_DIALING] = "dialing",
	[SESSION_PHASE_RELAYING] = "relaying", [SESSION_PHASE_OFFLOADED] = "offloaded",
	[SESSION_PHASE_FLUSHING] = "flushing",
};

static int by_id(const void *a, const void *b)
{
	const struct session_info *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int by_bytes(const void *a, const void *b)
{
	const struct session_info *x = a, *y = b;
	uint64_t x_bytes = x->client_bytes + x->backend_bytes;
	uint64_t y_bytes = y->client_bytes + y->backend_bytes;

	return x_bytes == y_bytes ? by_id(a, b) : (x_bytes < y_bytes) - (x_bytes > y_bytes);
}

static int by_age(const void *a, const void *b)
{
	const struct session_info *x = a, *y = b;

	return x->age_ms == y->age_ms ? by_id(a, b)
				      : (x->age_ms < y->age_ms) - (x->age_ms > y->age_ms);
}

static int (*const orders[SESSION_SORTS])(const void *, const void *) = {
	[SESSION_SORT_ID] = by_id,
	[SESSION_SORT_BYTES] = by_bytes,
	[SESSION_SORT_AGE] = by_age,
};

static const char *relay_name(const struct session_info *info)
{
	if (info->joined)
		return "sockmap";
	if (info->phase == SESSION_PHASE_OFFLOADED)
		return "flow";
	return info->spliced ? "splice" : "copy";
}

static json_t *address(const struct addr *addr)
{
	char text[ADDR_TEXT];

	return addr->family ? jot_text(addr_format(addr, text)) : json_null();
}

static json_t *unless_empty(const char *text)
{
	return *text ? jot_text(text) : json_null();
}

static json_t *ends_json(const struct session_info *info)
{
	return JOT(
		{"client", address(&info->client)}, {"client_local", address(&info->client_local)},
		{"backend_local", address(&info->backend_local)},
		{"proxy_source", address(&info->proxy_source)}, {"vpce", unless_empty(info->vpce)});
}

static json_t *session_item(const void *of, size_t index)
{
	const struct session_info *info = (const struct session_info *)of + index;

	return jot_with(JOT({"id", json_sprintf("%llu", (unsigned long long)info->id)},
			    {"state", json_string(phase_names[info->phase])},
			    {"listener", jot_text(info->listener)}, {"pool", jot_text(info->pool)},
			    {"target", unless_empty(info->target)},
			    {"age_ms", json_integer((json_int_t)info->age_ms)},
			    {"idle_ms", json_integer((json_int_t)info->idle_ms)},
			    {"client_bytes", json_integer((json_int_t)info->client_bytes)},
			    {"backend_bytes", json_integer((json_int_t)info->backend_bytes)},
			    {"relay", json_string(relay_name(info))},
			    {"retries", json_integer(info->retries)},
			    {"worker", json_integer(info->worker)}),
			ends_json(info));
}

static bool read_sort(struct request *request, enum session_sort *ret_sort)
{
	const char *text = request_argument(request, "sort");

	*ret_sort = SESSION_SORT_ID;
	if (!text)
		return true;
	for (int i = 0; i < SESSION_SORTS; i++)
		if (!strcmp(text, sort_names[i])) {
			*ret_sort = i;
			if (i == SESSION_SORT_ID || !request_argument(request, "after"))
				return true;
			request_refuse(request, 400, "argument \"after\" goes with sort=id only");
			return false;
		}
	request_refuse(request, 400, "argument \"sort\" must be id, bytes or age");
	return false;
}

static bool check_listener(struct desk *desk, struct request *request, const char *name)
{
	const struct config *config = desk->ops.snapshot(desk->ops.context)->config;

	for (size_t i = 0; name && i < config->listener_count; i++)
		if (!strcmp(config->listeners[i].name, name))
			return true;
	if (name)
		request_refuse(request, 404, "there is no listener \"%s\"", name);
	return !name;
}

/* Names that a query gives must exist, so that an empty list means something. */
static bool read_query(struct desk *desk, struct request *request, struct session_query *ret_query)
{
	const char *target = request_argument(request, "target");
	uint64_t limit, after;

	*ret_query = (struct session_query){.listener = request_argument(request, "listener"),
					    .pool = request_argument(request, "pool")};
	if (!request_number(request, "limit", LIMIT_DEFAULT, LIMIT_MAX, &limit) ||
	    !request_number(request, "after", 0, INT64_MAX, &after) ||
	    !read_sort(request, &ret_query->sort) ||
	    !check_listener(desk, request, ret_query->listener))
		return false;
	if (ret_query->pool && !find_pool(desk, request, ret_query->pool))
		return false;
	if (target) {
		const struct target_record *record =
			find_target(desk, request, ret_query->pool, target);

		if (!record)
			return false;
		ret_query->target = record->target;
	}
	ret_query->after = after;
	ret_query->limit = (uint32_t)limit;
	return true;
}

/* The id to go on after, if this was not all. Without an order by id there is no going on. */
static json_t *next_json(const struct session_query *query, const struct session_info *sessions,
			 size_t shown, size_t count)
{
	if (query->sort != SESSION_SORT_ID || !shown || (count == shown && shown < query->limit))
		return json_null();
	return json_sprintf("%llu", (unsigned long long)sessions[shown - 1].id);
}

void get_sessions(struct desk *desk, struct request *request)
{
	struct session_query query;
	struct session_info *sessions = NULL;
	size_t count = 0, shown;
	int err;

	if (!read_query(desk, request, &query))
		return;
	err = desk->ops.sessions(desk->ops.context, &query, &sessions, &count);
	if (err) {
		request_refuse(request, 503, "the workers did not answer: %s", strerror(-err));
		return;
	}
	if (count)
		qsort(sessions, count, sizeof(*sessions), orders[query.sort]);
	shown = count < query.limit ? count : query.limit;
	request_reply(request, 200,
		      JOT({"sessions", jot_array(shown, session_item, sessions)},
			  {"next", next_json(&query, sessions, shown, count)}));
	free(sessions);
}

void delete_session(struct desk *desk, struct request *request)
{
	const char *text = request->segments[2];
	unsigned long long id;
	char *end;
	bool reset;
	int err;

	if (!request_flag(request, "rst", &reset))
		return;
	errno = 0;
	id = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno)
		err = -ENOENT;
	else
		err = desk->ops.kill_session(desk->ops.context, id, reset);
	if (err == -ENOENT)
		request_refuse(request, 404, "there is no session \"%s\"", text);
	else if (err)
		request_refuse(request, 503, "the workers did not answer: %s", strerror(-err));
	else
		request_reply(request, 200, JOT({"id", jot_text(text)}));
}
