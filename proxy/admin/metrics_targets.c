/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what /metrics says of targets. There may be 10,000 of them, a dozen samples each, and main
 * waits: so each target's labels are written once and copied, and its counters summed up once.
 * Happy path: a row is filled for each target, then every metric is a walk over the rows. See
 * metrics.c for how it can fail.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "proxy/admin/admin.h"
#include "proxy/admin/metrics_parts.h"
#include "proxy/base/clock.h"
#include "proxy/base/exposition.h"
#include "proxy/model.h"
#include "proxy/registry.h"
#include "proxy/target.h"

#define UNKNOWN UINT64_MAX /* has no sample */

/* What values are made of. */
struct facts {
	const struct target_record *record;
	struct target_counts sum;
};

/* As far as health checks and sessions' failures can tell. */
static uint64_t is_up(const struct facts *facts)
{
	const struct target_record *record = facts->record;
	bool healthy = record->health == HEALTH_UNCHECKED || record->health == HEALTH_UP ||
		       record->health == HEALTH_GOING_DOWN;

	return healthy && !record->ejected_until_us && !record->removed_us;
}

static uint64_t weight(const struct facts *facts)
{
	return facts->record->effective_weight;
}

static uint64_t sessions_open(const struct facts *facts)
{
	return target_inflight(facts->record->target);
}

static uint64_t sessions(const struct facts *facts)
{
	return facts->sum.sessions;
}

static uint64_t failures(const struct facts *facts)
{
	return facts->sum.connect_failures;
}

static uint64_t retries(const struct facts *facts)
{
	return facts->sum.retries;
}

static uint64_t sent(const struct facts *facts)
{
	return facts->sum.sent_bytes;
}

static uint64_t received(const struct facts *facts)
{
	return facts->sum.received_bytes;
}

static uint64_t cross_zone(const struct facts *facts)
{
	return facts->sum.cross_zone_bytes;
}

static uint64_t ports_left(const struct facts *facts)
{
	int32_t left = atomic_load(&facts->record->target->source_ports_left);

	return left < 0 ? UNKNOWN : (uint64_t)left;
}

static const struct {
	const char *name;
	const char *type;
	const char *help;
	uint64_t (*value)(const struct facts *facts);
} metrics[] = {
	{"sluice_target_up", "gauge",
	 "0 while checks or sessions' failures speak against it, or it is removed.", is_up},
	{"sluice_target_effective_weight", "gauge", "Its share of new sessions; 0 takes none.",
	 weight},
	{"sluice_target_sessions_open", "gauge", "Sessions dialing or open.", sessions_open},
	{"sluice_target_sessions_total", "counter", "Sessions connected.", sessions},
	{"sluice_target_connect_failures_total", "counter", "Connects that failed.", failures},
	{"sluice_target_retries_total", "counter",
	 "Attempts that came here after another target failed.", retries},
	{"sluice_target_sent_bytes_total", "counter", "Bytes sent to it.", sent},
	{"sluice_target_received_bytes_total", "counter", "Bytes received from it.", received},
	{"sluice_target_cross_zone_bytes_total", "counter",
	 "Bytes of both directions while it was in another zone than the proxy.", cross_zone},
	{"sluice_target_source_ports_left", "gauge",
	 "Local ports that a new connection could still leave from, as of some seconds ago.",
	 ports_left},
};

#define METRICS (sizeof(metrics) / sizeof(metrics[0]))

/* Filled in one visit to each target: ten would wait for memory ten times as long. */
struct row {
	const struct target_record *record;
	size_t labels_at; /* in struct rows::labels */
	size_t labels_size;
	uint64_t values[METRICS];
};

struct rows {
	struct row *rows;
	size_t count;
	struct exposition labels;
};

static void begin(struct exposition *out, const struct rows *all, const struct row *row)
{
	exposition_sample(out, "");
	exposition_labels(out, all->labels.text + row->labels_at, row->labels_size);
}

static void write_all(struct exposition *out, const struct rows *all)
{
	for (size_t i = 0; i < METRICS; i++) {
		exposition_metric(out, metrics[i].name, metrics[i].type, metrics[i].help);
		for (size_t j = 0; j < all->count; j++) {
			if (all->rows[j].values[i] == UNKNOWN)
				continue;
			begin(out, all, &all->rows[j]);
			exposition_integer(out, all->rows[j].values[i]);
		}
	}
}

static void write_states(struct exposition *out, const struct rows *all)
{
	exposition_metric(out, "sluice_target_state", "gauge",
			  "Always 1; the label says why it takes sessions, or not.");
	for (size_t i = 0; i < all->count; i++) {
		begin(out, all, &all->rows[i]);
		exposition_label(out, "state", standing_names[all->rows[i].record->standing]);
		exposition_integer(out, 1);
	}
}

static void write_checks(struct exposition *out, const struct rows *all)
{
	exposition_metric(out, "sluice_target_check_duration_seconds", "gauge",
			  "How long the last health check took.");
	for (size_t i = 0; i < all->count; i++) {
		const struct target_record *record = all->rows[i].record;

		if (!record->checked_wall_us)
			continue;
		begin(out, all, &all->rows[i]);
		exposition_real(out, (double)record->check_us / (double)US_PER_SEC);
	}
}

static void add_row(struct rows *all, const struct target_record *record)
{
	const struct target *target = record->target;
	struct row *row = &all->rows[all->count++];
	struct facts facts = {.record = record};

	stats_target_sum(&target->counts[0].c, sizeof(target->counts[0]), target->worker_count,
			 &facts.sum);
	for (size_t i = 0; i < METRICS; i++)
		row->values[i] = metrics[i].value(&facts);
	row->record = record;
	row->labels_at = all->labels.size;
	exposition_labels_begin(&all->labels);
	exposition_label(&all->labels, "pool", record->pool->conf->name);
	exposition_label(&all->labels, "target", target->name);
	row->labels_size = all->labels.size - row->labels_at;
}

static bool collect(struct rows *all, struct registry *registry)
{
	size_t most = 0;

	for (size_t i = 0; i < registry_pool_count(registry); i++)
		most += registry_pool_at(registry, i)->target_count;
	all->rows = calloc(most + 1, sizeof(*all->rows));
	if (!all->rows)
		return false;
	for (size_t i = 0; i < registry_pool_count(registry); i++) {
		const struct pool_record *pool = registry_pool_at(registry, i);

		for (size_t j = 0; j < pool->target_count; j++)
			add_row(all, pool->targets[j]);
	}
	return !all->labels.failed;
}

void metrics_targets(struct exposition *out, const struct admin_ops *ops)
{
	struct rows all = {0};

	if (collect(&all, ops->registry)) {
		write_states(out, &all);
		write_all(out, &all);
		write_checks(out, &all);
	} else {
		out->failed = true;
	}
	free(all.rows);
	free(exposition_take(&all.labels));
}
