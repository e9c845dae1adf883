/* SPDX-License-Identifier: Apache-2.0
 *
 * Main between the registry and the health checker. Happy path: after each change of what runs the
 * checker is told whom to check, if that differs; it writes an eventfd when it has reports, and
 * each goes to the registry.
 *
 * Failure mode: no memory for the list; the checker goes on with those it knows, and the next
 * change tries again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/health.h"
#include "proxy/main/supervisor.h"
#include "proxy/registry.h"
#include "proxy/target.h"

#define CHECKS_MAX 512 /* under way at once */
#define REPORTS    64

/* What is checked, as one number that differs when the set of keys does, or one of them began anew:
 * a target may leave and return between two looks. */
static uint64_t checked_set(struct registry *registry)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < registry_pool_count(registry); i++) {
		const struct pool_record *pool = registry_pool_at(registry, i);

		for (size_t j = 0; j < pool->target_count; j++)
			if (!pool->targets[j]->removed_us)
				sum += (pool->targets[j]->key * UINT64_C(0x9e3779b97f4a7c15) ^ i) *
				       (1 + 2 * (uint64_t)pool->targets[j]->returns);
	}
	return sum;
}

static size_t add_jobs(const struct pool_record *pool, struct health_job *jobs)
{
	size_t count = 0;

	if (!pool->conf || pool->conf->health.kind == HEALTH_OFF)
		return 0;
	for (size_t i = 0; i < pool->target_count; i++) {
		const struct target_record *record = pool->targets[i];

		if (record->removed_us)
			continue;
		jobs[count++] = (struct health_job){.key = record->key,
						    .life = record->returns,
						    .addr = record->target->addr,
						    .conf = &pool->conf->health,
						    .proxy = pool->conf->proxy_protocol,
						    .status = record->health};
	}
	return count;
}

void checks_sync(struct supervisor *sv, bool anyway)
{
	struct health_job *jobs;
	uint64_t set = checked_set(sv->registry);
	size_t most = 0, count = 0;

	if (set == sv->checked_set && !anyway)
		return;
	sv->checked_set = set;
	for (size_t i = 0; i < registry_pool_count(sv->registry); i++)
		most += registry_pool_at(sv->registry, i)->target_count;
	jobs = calloc(most + 1, sizeof(*jobs));
	if (!jobs)
		return;
	for (size_t i = 0; i < registry_pool_count(sv->registry); i++)
		count += add_jobs(registry_pool_at(sv->registry, i), jobs + count);
	if (health_set(sv->health, jobs, count))
		log_event(LOG_ERROR, "checks_not_changed", "error=\"%s\"", strerror(ENOMEM));
	free(jobs);
}

static void on_reports(struct loop_source *source, uint32_t events)
{
	struct supervisor *sv = container_of(source, struct supervisor, checks);
	struct health_report reports[REPORTS];
	uint64_t woken;
	size_t count;

	if (read(source->fd, &woken, sizeof(woken)) < 0)
		return;
	do {
		count = health_take(sv->health, reports, REPORTS);
		for (size_t i = 0; i < count; i++)
			registry_health(sv->registry, &reports[i]);
	} while (count == REPORTS);
}

int checks_start(struct supervisor *sv)
{
	int err;

	sv->checks = (struct loop_source){.on_event = on_reports,
					  .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	if (sv->checks.fd < 0)
		return -errno;
	err = loop_add(&sv->loop, &sv->checks, EPOLLIN);
	return err ? err : health_start(sv->checks.fd, CHECKS_MAX, &sv->health);
}

void checks_stop(struct supervisor *sv)
{
	health_stop(sv->health);
	close(sv->checks.fd);
}
