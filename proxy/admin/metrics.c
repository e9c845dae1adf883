/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns /metrics. Happy path: every metric is written once with its help and type, then its series;
 * names end in their unit, and counters in `_total`. Labels are names from the configuration and
 * from a fixed set of words, and targets, whose series end with the registry's record of them.
 *
 * Failure mode: memory is short, then there are no figures at all.
 */
#include "proxy/admin/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/admin/admin.h"
#include "proxy/base/clock.h"
#include "proxy/listener_stats.h"
#include "proxy/model.h"
#include "proxy/reason.h"
#include "proxy/registry.h"
#include "proxy/snapshot.h"
#include "proxy/target.h"

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void single(FILE *out, const char *name, const char *type, const char *help, uint64_t value)
{
	head(out, name, type, help);
	fprintf(out, "%s %llu\n", name, (unsigned long long)value);
}

/* A label's value: backslash, quote and newline are escaped, whatever is not UTF-8 is for the
 * scraper to refuse, so it is left out. */
static void label(FILE *out, const char *name, const char *value)
{
	fprintf(out, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			fprintf(out, "\\%c", *value);
		else if (*value == '\n')
			fputs("\\n", out);
		else if ((unsigned char)*value < 0x80)
			fputc(*value, out);
	}
	fputc('"', out);
}

static void totals(FILE *out, const struct admin_ops *ops)
{
	struct stats_sum sum;

	stats_sum(ops->counts, ops->worker_count, &sum);
	single(out, "sluice_sessions_total", "counter", "Client connections accepted.",
	       sum.total.sessions);
	single(out, "sluice_sessions_open", "gauge", "Sessions open now.", sum.total.sessions_open);
	single(out, "sluice_client_received_bytes_total", "counter", "Bytes received from clients.",
	       sum.total.client_received_bytes);
	single(out, "sluice_client_sent_bytes_total", "counter", "Bytes sent to clients.",
	       sum.total.client_sent_bytes);
	single(out, "sluice_spliced_bytes_total", "counter",
	       "Bytes of both directions that did not pass through user space.",
	       sum.total.spliced_bytes);
	head(out, "sluice_sessions_ended_total", "counter", "Sessions ended, by reason.");
	for (int i = 0; i < REASONS; i++)
		if (reason_names[i])
			fprintf(out, "sluice_sessions_ended_total{reason=\"%s\"} %llu\n",
				reason_names[i], (unsigned long long)sum.total.reasons[i]);
}

static void process(FILE *out, const struct admin_ops *ops)
{
	struct admin_facts facts = {0};

	ops->facts(ops->context, &facts);
	head(out, "sluice_info", "gauge", "Always 1; the labels say what runs.");
	fputs("sluice_info{", out);
	label(out, "version", facts.version);
	fputs("} 1\n", out);
	head(out, "sluice_uptime_seconds", "gauge", "Time since the process started.");
	fprintf(out, "sluice_uptime_seconds %.3f\n", (double)facts.uptime_us / (double)US_PER_SEC);
	single(out, "sluice_ready", "gauge", "1 if /readyz says yes.", !facts.not_ready);
}

static void listeners(FILE *out, const struct admin_ops *ops)
{
	const struct snapshot *snapshot = ops->snapshot(ops->context);

	head(out, "sluice_listener_accepted_total", "counter", "Connections accepted.");
	for (size_t i = 0; i < snapshot->config->listener_count; i++) {
		const struct listener_stats *stats = snapshot->listeners[i];
		struct listener_counts sum;

		stats_listener_sum(&stats->counts[0].c, sizeof(stats->counts[0]),
				   stats->worker_count, &sum);
		fputs("sluice_listener_accepted_total{", out);
		label(out, "listener", stats->name);
		fprintf(out, "} %llu\n", (unsigned long long)sum.accepted);
	}
}

/* What is said of each target. */
struct target_series {
	const char *name;
	const char *type;
	const char *help;
	uint64_t (*value)(const struct target_record *record);
};

static struct target_counts counts_of(const struct target_record *record)
{
	const struct target *target = record->target;
	struct target_counts sum;

	stats_target_sum(&target->counts[0].c, sizeof(target->counts[0]), target->worker_count,
			 &sum);
	return sum;
}

static uint64_t is_up(const struct target_record *record)
{
	return record->effective_weight > 0;
}

static uint64_t open_now(const struct target_record *record)
{
	return target_inflight(record->target);
}

static uint64_t connected(const struct target_record *record)
{
	return counts_of(record).sessions;
}

static uint64_t failures(const struct target_record *record)
{
	return counts_of(record).connect_failures;
}

static uint64_t sent(const struct target_record *record)
{
	return counts_of(record).sent_bytes;
}

static uint64_t received(const struct target_record *record)
{
	return counts_of(record).received_bytes;
}

static const struct target_series of_targets[] = {
	{"sluice_target_up", "gauge", "1 if it takes new sessions.", is_up},
	{"sluice_target_sessions_open", "gauge", "Sessions dialing or open.", open_now},
	{"sluice_target_sessions_total", "counter", "Sessions connected.", connected},
	{"sluice_target_connect_failures_total", "counter", "Connects that failed.", failures},
	{"sluice_target_sent_bytes_total", "counter", "Bytes sent to it.", sent},
	{"sluice_target_received_bytes_total", "counter", "Bytes received from it.", received},
};

static void one_target(FILE *out, const struct target_series *series,
		       const struct target_record *record)
{
	char key[24];

	snprintf(key, sizeof(key), "%llu", (unsigned long long)record->key);
	fprintf(out, "%s{", series->name);
	label(out, "pool", record->pool->conf->name);
	fputc(',', out);
	label(out, "target", record->target->name);
	fputc(',', out);
	label(out, "key",
	      key); /* a target may come back under its old name while that one drains */
	fprintf(out, "} %llu\n", (unsigned long long)series->value(record));
}

static void targets(FILE *out, const struct admin_ops *ops)
{
	for (size_t s = 0; s < sizeof(of_targets) / sizeof(of_targets[0]); s++) {
		head(out, of_targets[s].name, of_targets[s].type, of_targets[s].help);
		for (size_t i = 0; i < registry_pool_count(ops->registry); i++) {
			const struct pool_record *pool = registry_pool_at(ops->registry, i);

			for (size_t j = 0; j < pool->target_count; j++)
				one_target(out, &of_targets[s], pool->targets[j]);
		}
	}
}

char *metrics_text(const struct admin_ops *ops)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool failed;

	if (!out)
		return NULL;
	process(out, ops);
	totals(out, ops);
	listeners(out, ops);
	targets(out, ops);
	failed = ferror(out);
	if (!fclose(out) && !failed)
		return text;
	free(text);
	return NULL;
}
