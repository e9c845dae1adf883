/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets as main sees them: it keeps the registry, tells it of time and configurations, and gives
 * every worker a new snapshot when the registry says that a plan changed. Changes that come
 * together make one snapshot: a change is published at once if the last one is 50 ms ago, else when
 * it is.
 *
 * Failure mode: no memory, or a worker that does not answer; what runs stays, whoever waits for the
 * change is told so, and a second later it is tried again.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/events.h"
#include "proxy/main/operations.h"
#include "proxy/main/supervisor.h"
#include "proxy/registry.h"
#include "proxy/static_targets.h"
#include "proxy/target.h"

#define EVENTS_KEPT 1024
#define GAP_MS      50 /* between two snapshots */
#define RETRY_MS    1000

static void on_changed(void *context)
{
	struct supervisor *sv = context;

	uint64_t since_ms = (clock_us() - sv->published_us) / US_PER_MS;

	if (sv->snapshot && !timer_is_armed(&sv->publish_timer))
		loop_arm(&sv->loop, &sv->publish_timer, since_ms < GAP_MS ? GAP_MS - since_ms : 0);
}

static void on_close_sessions(void *context, struct target *target, uint32_t spread_ms,
			      enum reason reason)
{
	struct worker_message message = {.op = WORKER_CLOSE_TARGET,
					 .target = target,
					 .reason = reason,
					 .jitter_ms = spread_ms,
					 .wait_ms = CLOSE_WAIT_MS};

	crew_tell(context, &message);
}

static void on_publish_timer(struct timer *timer)
{
	struct supervisor *sv = container_of(timer, struct supervisor, publish_timer);
	int err = publish_targets(sv, sv->config);

	if (!err)
		return;
	log_event(LOG_ERROR, "targets_not_applied", "error=\"%s\"", strerror(-err));
	loop_arm(&sv->loop, timer, RETRY_MS);
}

static void on_tick_timer(struct timer *timer)
{
	struct supervisor *sv = container_of(timer, struct supervisor, tick_timer);

	loop_arm(&sv->loop, timer, registry_tick(sv->registry, clock_us()) / US_PER_MS + 1);
}

static void on_failures(struct loop_source *source, uint32_t events)
{
	struct supervisor *sv = container_of(source, struct supervisor, failures);
	uint64_t count;

	if (read(source->fd, &count, sizeof(count)) == sizeof(count))
		registry_outliers(sv->registry);
}

int publish_start(struct supervisor *sv)
{
	struct registry_hooks hooks = {
		.context = sv, .changed = on_changed, .close_sessions = on_close_sessions};
	int err = worker_wires_open(sv->limits.workers, &sv->wires);

	if (err)
		return err;
	timer_init(&sv->publish_timer, on_publish_timer);
	timer_init(&sv->tick_timer, on_tick_timer);
	sv->events = events_new(EVENTS_KEPT);
	if (!sv->events)
		return -ENOMEM;
	sv->failures = (struct loop_source){.on_event = on_failures, .fd = sv->wires.outlier_fd};
	err = loop_add(&sv->loop, &sv->failures, EPOLLIN);
	return err ? err
		   : registry_new(sv->limits.workers, sv->events, &hooks,
				  sv->config->config->state_directory, &sv->registry);
}

int publish_configure(struct supervisor *sv, const struct config *config)
{
	int err = registry_adopt(sv->registry, config);

	if (!err)
		err = static_targets_put(sv->registry, config, sv->resolver);
	if (!err)
		checks_sync(sv, true); /* settings may differ where the targets do not */
	return err;
}

/* No worker sends anybody there any more, by any view that it still holds. */
static void shut_targets(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->config->pool_count; i++) {
		const struct pool *pool = &snapshot->pools[i];

		for (size_t j = 0; j < pool->target_count; j++)
			if (!pool->weights[j])
				atomic_store(&pool->targets[j]->shut, true);
	}
}

static int tell_workers(struct supervisor *sv, struct config_ref *config)
{
	struct worker_message message = {.op = WORKER_VIEW};
	struct snapshot *snapshot;
	int err = snapshot_build(config, sv->snapshot, sv->registry, sv->limits.workers, &snapshot);

	if (err)
		return err;
	message.snapshot = snapshot;
	err = crew_tell(sv, &message);
	if (err) {
		snapshot_put(snapshot);
		return err;
	}
	snapshot_put(sv->snapshot);
	sv->snapshot = snapshot;
	shut_targets(snapshot);
	return 0;
}

int publish_targets(struct supervisor *sv, struct config_ref *config)
{
	int err;

	timer_cancel(&sv->publish_timer);
	sv->published_us = clock_us();
	err = tell_workers(sv, config);
	registry_flush(sv->registry);
	operations_published(sv, err);
	if (err)
		return err;
	checks_sync(sv, false);
	loop_arm(&sv->loop, &sv->tick_timer, 0); /* it may have something to wait for now */
	return 0;
}

void publish_stop(struct supervisor *sv)
{
	timer_cancel(&sv->publish_timer);
	timer_cancel(&sv->tick_timer);
	registry_free(sv->registry);
	events_free(sv->events);
	worker_wires_close(&sv->wires);
}
