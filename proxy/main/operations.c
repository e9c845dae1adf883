/* SPDX-License-Identifier: Apache-2.0
 *
 * What the admin API may do to the running process: the functions behind struct admin_ops
 * (proxy/admin/admin.h), each a few lines in front of a part of main that does it anyway.
 *
 * Happy path: admin_fd() is readable, admin_serve() runs the handlers, and these functions run
 * within. Failure modes are the called parts' own; nothing is said here, the API's answer says it.
 */
#include "proxy/main/operations.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proxy/admin/admin.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/version.h"
#include "proxy/main/binding.h"
#include "proxy/main/supervisor.h"
#include "proxy/netlink.h"
#include "proxy/offload.h"
#include "proxy/options.h"
#include "proxy/registry.h"
#include "proxy/target.h"

static const char *const phase_names[] = {
	[PHASE_SERVING] = "serving",     [PHASE_LAME_DUCK] = "lame_duck",
	[PHASE_LISTENERS] = "listeners", [PHASE_SESSIONS] = "sessions",
	[PHASE_CLOSING] = "closing",     [PHASE_DONE] = "done",
};

static const struct config *config_of(const struct supervisor *sv)
{
	return sv->snapshot->config;
}

/* Every listener is bound when the first request is answered, so what is left to wait for are
 * discovered pools' first sets, and, by choice, pools that can serve. */
static const char *why_not_ready(struct supervisor *sv)
{
	bool waiting = clock_us() - sv->started_us < config_of(sv)->start_wait_ms * US_PER_MS;

	if (sv->phase != PHASE_SERVING)
		return "draining";
	for (size_t i = 0; i < registry_pool_count(sv->registry); i++) {
		const struct pool_record *pool = registry_pool_at(sv->registry, i);
		const char *problem = NULL;

		if (pool->awaited && waiting)
			problem = "waits for its first set of targets";
		else if (config_of(sv)->readiness == READINESS_POOLS && !pool->usable)
			problem = "has no usable target";
		if (!problem)
			continue;
		snprintf(sv->not_ready, sizeof(sv->not_ready), "pool %s %s", pool->conf->name,
			 problem);
		return sv->not_ready;
	}
	return NULL;
}

static void facts(void *context, struct admin_facts *ret_facts)
{
	struct supervisor *sv = context;
	const struct limits *limits = &sv->limits;
	uint64_t now = clock_us(), wall = clock_wall_us();
	uint64_t sessions = (uint64_t)limits->sessions * limits->workers;

	if (sv->total_limit && sv->total_limit < sessions)
		sessions = sv->total_limit;
	*ret_facts = (struct admin_facts){
		.version = SLUICE_VERSION,
		.phase = phase_names[sv->phase],
		.config_file = sv->options->line.config_file,
		.not_ready = why_not_ready(sv),
		.started_wall_us = wall - (now - sv->started_us),
		.uptime_us = now - sv->started_us,
		.max_connections = sessions,
		.per_worker = limits->sessions,
		.fds_per_table = limits->fds,
		.buffers_bytes = config_of(sv)->buffers,
		.source_ports = (uint64_t)limits->port_high - limits->port_low + 1,
		.reload_failed = sv->reload_failed,
	};
	if (sv->phase != PHASE_SERVING)
		ret_facts->drain_deadline_wall_us = wall + sv->phase_deadline_us - now;
}

static const struct snapshot *snapshot(void *context)
{
	struct supervisor *sv = context;

	return sv->snapshot;
}

static bool offload(void *context, struct offload_counts *ret_counts)
{
	struct supervisor *sv = context;

	if (sv->offload)
		offload_sum(sv->offload, ret_counts);
	return sv->offload;
}

/* Add up the accept queues of a listener's bindings, those on their way out left aside. */
static void measure(const struct binding *binding, struct admin_listener *listener)
{
	struct netlink_queue queue;

	if (binding->path || netlink_listen_queue(&binding->actual, &queue))
		return;
	if (listener->queue_depth < 0)
		listener->queue_depth = listener->queue_limit = listener->queue_overflows = 0;
	listener->queue_depth += (int64_t)queue.depth;
	listener->queue_limit += (int64_t)queue.limit;
	listener->queue_overflows += (int64_t)queue.drops;
}

static void listener(void *context, size_t index, struct admin_listener *ret_listener)
{
	struct supervisor *sv = context;
	const struct listener_conf *conf = &config_of(sv)->listeners[index];

	*ret_listener = (struct admin_listener){
		.draining = true, .queue_depth = -1, .queue_limit = -1, .queue_overflows = -1};
	list_for_each (link, &sv->bindings) {
		const struct binding *binding = container_of(link, struct binding, link);

		if (config_listener_of(config_of(sv), &binding->bound) != conf)
			continue;
		ret_listener->draining = false;
		ret_listener->paused |= binding->paused;
		measure(binding, ret_listener);
	}
}

static void look(void *context)
{
	source_ports_look(context);
}

static int worker_cpu(void *context, unsigned index)
{
	struct supervisor *sv = context;

	return limits_cpu(&sv->limits, index);
}

static uint64_t publish(void *context)
{
	struct supervisor *sv = context;

	sv->ticket++;
	if (!timer_is_armed(&sv->publish_timer)) { /* it made no difference to workers */
		registry_flush(sv->registry);
		admin_published(sv->admin, sv->ticket, 0);
	}
	return sv->ticket;
}

static int drain(void *context)
{
	struct supervisor *sv = context;

	if (sv->phase != PHASE_SERVING)
		return -EALREADY;
	drain_signal(sv, false);
	return 0;
}

static int undrain(void *context)
{
	return drain_cancel(context);
}

static int reload(void *context, struct conf_errors *ret_errors)
{
	return reload_config(context, ret_errors);
}

static int pause_listener(void *context, const char *name, bool pause)
{
	struct supervisor *sv = context;
	struct worker_message message = {.op = pause ? WORKER_PAUSE : WORKER_RESUME};
	int first = -ENOENT;

	list_for_each (link, &sv->bindings) {
		struct binding *binding = container_of(link, struct binding, link);
		int err;

		if (strcmp(config_listener_of(config_of(sv), &binding->bound)->name, name))
			continue;
		message.key = binding->key;
		err = crew_tell(sv, &message);
		if (!err)
			binding->paused = pause;
		if (first == -ENOENT || err)
			first = err;
	}
	return first;
}

static int sessions(void *context, const struct session_query *query,
		    struct session_info **ret_sessions, size_t *ret_count)
{
	return crew_list_sessions(context, query, ret_sessions, ret_count);
}

static int kill_session(void *context, uint64_t id, bool reset)
{
	return crew_kill_session(context, id, reset);
}

static int close_target(void *context, struct target *target, uint32_t spread_ms, bool reset,
			uint64_t *ret_closing)
{
	struct worker_message message = {.op = WORKER_CLOSE_TARGET,
					 .target = target,
					 .jitter_ms = spread_ms,
					 .wait_ms = CLOSE_WAIT_MS,
					 .reason = REASON_KILLED,
					 .rst = reset};

	*ret_closing = target_inflight(target);
	return crew_tell(context, &message);
}

static void wake_worker(void *context, unsigned index)
{
	struct supervisor *sv = context;

	worker_wake(sv->workers[index]);
}

int operations_open(struct supervisor *sv)
{
	char why[ADMIN_WHY];
	int err = admin_open(&sv->config->config->admin, sv->options->replace, &sv->admin, why);

	if (err)
		log_event(LOG_ERROR, "admin_failed", "error=\"%s\"", why);
	return err;
}

static void on_asked(struct loop_source *source, uint32_t events)
{
	struct supervisor *sv = container_of(source, struct supervisor, asked);

	admin_serve(sv->admin);
}

int operations_start(struct supervisor *sv)
{
	const struct admin_ops ops = {
		.context = sv,
		.registry = sv->registry,
		.admission = sv->admission,
		.events = sv->events,
		.facts = facts,
		.snapshot = snapshot,
		.listener = listener,
		.offload = offload,
		.look = look,
		.worker_cpu = worker_cpu,
		.sessions = sessions,
		.publish = publish,
		.drain = drain,
		.undrain = undrain,
		.reload = reload,
		.pause_listener = pause_listener,
		.kill_session = kill_session,
		.close_target = close_target,
		.wake_worker = wake_worker,
	};
	char why[ADMIN_WHY];
	int err;

	if (!sv->admin)
		return 0;
	err = admin_start(sv->admin, &ops, sv->counts, sv->worker_count, why);
	if (err) {
		log_event(LOG_ERROR, "admin_failed", "error=\"%s\"", why);
		return err;
	}
	sv->asked = (struct loop_source){.on_event = on_asked, .fd = admin_fd(sv->admin)};
	return loop_add(&sv->loop, &sv->asked, EPOLLIN);
}

void operations_published(struct supervisor *sv, int err)
{
	if (sv->admin && sv->ticket)
		admin_published(sv->admin, sv->ticket, err);
}

void operations_yield(struct supervisor *sv)
{
	if (sv->admin)
		admin_yield(sv->admin);
}

void operations_stop(struct supervisor *sv)
{
	admin_stop(sv->admin);
	sv->admin = NULL;
}
