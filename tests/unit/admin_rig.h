/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the admin API share: a registry with two pools, a snapshot, and a main that
 * does nothing but remember what it was told.
 */
#pragma once

#include <jansson.h>
#include <stdatomic.h>

#include "proxy/admin/desk.h"
#include "proxy/events.h"
#include "proxy/offload.h"
#include "proxy/registry.h"
#include "proxy/snapshot_build.h"
#include "proxy/static_targets.h"
#include "proxy/target.h"
#include "tests/unit/core_rig.h"

#define RIG_WORKERS 2
#define RIG_UID     54321

static const char rig_yaml[] =
	"listeners:\n"
	"  - {name: front, bind: \"127.0.0.1:80\", pool: web}\n"
	"  - {name: side, bind: \"127.0.0.1:81\", pool: db}\n"
	"pools:\n"
	"  - {name: web, targets: [\"10.0.0.1:80\", {address: \"10.0.0.2:80\", zone: z2}]}\n"
	"  - {name: db, targets: [\"10.0.0.1:80\", \"unix:/run/a b.sock\"]}\n";

/* What main was told, and what it is to answer. */
static struct rig_main {
	struct admin_facts facts;
	struct admin_listener listener;
	bool has_offload;
	struct offload_counts offload;
	struct session_info sessions[8];
	size_t session_count;
	struct session_query query;
	char query_pool[32]; /* what query.pool was: the request is gone by then */
	uint64_t ticket;
	bool publish_later;
	unsigned published;
	int drain, undrain, reload, pause, kill, close, list;
	bool paused, reset;
	uint32_t spread_ms;
	uint64_t killed;
	const struct target *closed;
	const char *reload_error;
	_Atomic unsigned woken;
	unsigned looked;
} rig_main;

static struct config_ref *rig_config;
static struct snapshot *rig_snapshot;
static struct registry *rig_registry;
static struct events *rig_events;
static struct desk rig_desk;
static struct request_queue rig_done;
static struct worker_counts rig_counts[RIG_WORKERS];
static uint64_t rig_calls[RIG_WORKERS][SYS_KINDS];
static struct worker_counts *const rig_all[RIG_WORKERS] = {&rig_counts[0], &rig_counts[1]};
static struct admin_rates rig_rates;
static uint64_t rig_begun; /* the last event before the test */

static inline void rig_facts(void *context, struct admin_facts *ret_facts)
{
	*ret_facts = rig_main.facts;
}

static inline const struct snapshot *rig_get_snapshot(void *context)
{
	return rig_snapshot;
}

static inline void rig_listener(void *context, size_t index, struct admin_listener *ret_listener)
{
	*ret_listener = rig_main.listener;
}

static inline bool rig_offload(void *context, struct offload_counts *ret_counts)
{
	*ret_counts = rig_main.offload;
	return rig_main.has_offload;
}

static inline void rig_look(void *context)
{
	rig_main.looked++;
}

static inline int rig_cpu(void *context, unsigned index)
{
	return index ? (int)index : -1;
}

static inline int rig_sessions(void *context, const struct session_query *query,
			       struct session_info **ret_sessions, size_t *ret_count)
{
	struct session_info *sessions = malloc(sizeof(rig_main.sessions));

	rig_main.query = *query;
	snprintf(rig_main.query_pool, sizeof(rig_main.query_pool), "%s",
		 query->pool ? query->pool : "");
	if (rig_main.list) {
		free(sessions);
		return rig_main.list;
	}
	memcpy(sessions, rig_main.sessions, sizeof(rig_main.sessions));
	*ret_sessions = sessions;
	*ret_count = rig_main.session_count;
	return 0;
}

static inline uint64_t rig_publish(void *context)
{
	rig_main.ticket++;
	rig_main.published++;
	if (!rig_main.publish_later)
		desk_published(&rig_desk, rig_main.ticket, 0);
	return rig_main.ticket;
}

static inline int rig_drain(void *context)
{
	return rig_main.drain;
}

static inline int rig_undrain(void *context)
{
	return rig_main.undrain;
}

static inline int rig_reload(void *context, struct conf_errors *ret_errors)
{
	struct conf_where where = {.source = "sluice.yaml", .line = 3, .column = 5};

	conf_warn(ret_errors, &where, "a warning");
	if (rig_main.reload_error)
		conf_error(ret_errors, &where, "%s", rig_main.reload_error);
	return rig_main.reload_error ? -EINVAL : rig_main.reload;
}

static inline int rig_pause(void *context, const char *name, bool pause)
{
	rig_main.paused = pause;
	return strcmp(name, "front") != 0 ? -ENOENT : rig_main.pause;
}

static inline int rig_kill(void *context, uint64_t id, bool reset)
{
	rig_main.killed = id;
	rig_main.reset = reset;
	return rig_main.kill;
}

static inline int rig_close(void *context, struct target *target, uint32_t spread_ms, bool reset,
			    uint64_t *ret_closing)
{
	rig_main.closed = target;
	rig_main.spread_ms = spread_ms;
	rig_main.reset = reset;
	*ret_closing = 7;
	return rig_main.close;
}

static inline void rig_wake(void *context, unsigned index)
{
	rig_main.woken++;
}

static inline struct admin_ops rig_ops(void)
{
	return (struct admin_ops){
		.registry = rig_registry,
		.events = rig_events,
		.facts = rig_facts,
		.offload = rig_offload,
		.snapshot = rig_get_snapshot,
		.listener = rig_listener,
		.look = rig_look,
		.worker_cpu = rig_cpu,
		.sessions = rig_sessions,
		.publish = rig_publish,
		.drain = rig_drain,
		.undrain = rig_undrain,
		.reload = rig_reload,
		.pause_listener = rig_pause,
		.kill_session = rig_kill,
		.close_target = rig_close,
		.wake_worker = rig_wake,
		.counts = rig_all,
		.worker_count = RIG_WORKERS,
	};
}

static inline void rig_changed(void *context)
{
}

static inline void rig_close_sessions(void *context, struct target *target, uint32_t spread_ms,
				      enum reason reason)
{
}

static inline void rig_setup(void)
{
	struct registry_hooks hooks = {.changed = rig_changed,
				       .close_sessions = rig_close_sessions};

	log_set_level(LOG_ERROR);
	rig_main = (struct rig_main){
		.facts = {.version = "1.2.3", .phase = "serving", .uptime_us = 1500000},
		.listener = {.queue_depth = 3, .queue_limit = 128, .queue_overflows = -1},
	};
	rig_config = config_ref_new(load_valid(rig_yaml), config_free);
	rig_events = events_new(64);
	ck_assert_int_eq(registry_new(RIG_WORKERS, rig_events, &hooks, NULL, &rig_registry), 0);
	ck_assert_int_eq(registry_configure(rig_registry, rig_config->config), 0);
	ck_assert_int_eq(static_targets_put(rig_registry, rig_config->config, NULL), 0);
	ck_assert_int_eq(snapshot_build(rig_config, NULL, rig_registry, RIG_WORKERS, &rig_snapshot),
			 0);
	for (int i = 0; i < RIG_WORKERS; i++)
		rig_counts[i] = (struct worker_counts){.sys_calls = rig_calls[i]};
	ck_assert_int_eq(request_queue_init(&rig_done), 0);
	desk_init(&rig_desk, &rig_done);
	rig_desk.ops = rig_ops();
	rig_begun = events_last_id(rig_events);
	rig_desk.rates = &rig_rates;
}

static inline void rig_teardown(void)
{
	request_queue_fini(&rig_done);
	snapshot_put(rig_snapshot);
	registry_free(rig_registry);
	events_free(rig_events);
	config_ref_put(rig_config);
}

/* Run a request as far as it goes: NULL while it is put aside. The caller frees it. */
static inline struct request *rig_ask_by(bool local, const char *method, const char *url,
					 const char *body)
{
	char path[512], *arguments, *rest;
	struct request *request;

	snprintf(path, sizeof(path), "%s", url);
	arguments = strchr(path, '?');
	if (arguments)
		*arguments++ = '\0';
	request = request_new(method, path);
	request->local = local;
	request->uid = RIG_UID;
	request->pid = 99;
	for (char *one = arguments ? strtok_r(arguments, "&", &rest) : NULL; one;
	     one = strtok_r(NULL, "&", &rest)) {
		char *value = strchr(one, '=');

		if (value)
			*value++ = '\0';
		ck_assert(request_add_argument(request, one, value));
	}
	if (!request_route(request, desk_routes, desk_route_count) ||
	    !request_parse(request, body, body ? strlen(body) : 0))
		return request;
	desk_handle(&rig_desk, request);
	return request_queue_take(&rig_done);
}

static inline struct request *rig_ask(const char *method, const char *url, const char *body)
{
	return rig_ask_by(true, method, url, body);
}

/* The answer to a request that must have this status; the caller releases it. */
static inline json_t *rig_answer(const char *method, const char *url, const char *body, int status)
{
	struct request *request = rig_ask(method, url, body);
	json_t *answer;

	ck_assert_ptr_nonnull(request);
	answer = json_incref(request->answer);
	ck_assert_msg(request->status == status, "%s %s: %d %s", method, url, request->status,
		      json_dumps(answer, 0));
	request_free(request);
	return answer;
}

/* It is refused, with a sentence that has `part` in it. */
static inline void rig_refused(const char *method, const char *url, const char *body, int status,
			       const char *part)
{
	json_t *answer = rig_answer(method, url, body, status);
	const char *error = json_string_value(json_object_get(answer, "error"));

	ck_assert_ptr_nonnull(error);
	ck_assert_msg(strstr(error, part) != NULL, "\"%s\" does not say: %s", error, part);
	json_decref(answer);
}

static inline const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static inline json_int_t number_of(const json_t *object, const char *key)
{
	ck_assert_msg(json_is_integer(json_object_get(object, key)), "no number: %s", key);
	return json_integer_value(json_object_get(object, key));
}

/* The newest event. */
static inline const struct event *rig_last_event(void)
{
	return events_next(rig_events, events_last_id(rig_events) - 1);
}

static inline int run_rigged(const char *name, const TTest *const *tests, size_t count, SFun setup,
			     SFun teardown)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, teardown);
	for (size_t i = 0; i < count; i++)
		tcase_add_test(tcase, tests[i]);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
