/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what /metrics says of the process as a whole. Happy path: facts are written down. See
 * metrics.c for how it can fail.
 */
#include <string.h>

#include "proxy/admin/admin.h"
#include "proxy/admin/metrics_parts.h"
#include "proxy/base/clock.h"
#include "proxy/base/exposition.h"
#include "proxy/events.h"
#include "proxy/snapshot.h"

static const char *const phases[] = {"serving", "lame_duck", "listeners", "sessions", "closing"};

static void build(struct exposition *out, const struct admin_facts *facts)
{
	exposition_metric(out, "sluice_build_info", "gauge", "Always 1; the label says what runs.");
	exposition_sample(out, "");
	exposition_label(out, "version", facts->version);
	exposition_integer(out, 1);
	exposition_metric(out, "sluice_start_time_seconds", "gauge",
			  "When the process started, since the epoch.");
	exposition_sample(out, "");
	exposition_real(out, (double)facts->started_wall_us / (double)US_PER_SEC);
}

static void phase(struct exposition *out, const struct admin_facts *facts)
{
	exposition_metric(out, "sluice_phase", "gauge",
			  "1 for the phase that the process is in: serving, or one of its drain.");
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		exposition_sample(out, "");
		exposition_label(out, "phase", phases[i]);
		exposition_integer(out, facts->phase && !strcmp(facts->phase, phases[i]));
	}
	exposition_single(out, "sluice_ready", "gauge", "1 if /readyz says yes.",
			  !facts->not_ready);
}

static void configuration(struct exposition *out, const struct admin_facts *facts,
			  uint64_t generation)
{
	exposition_single(out, "sluice_config_last_reload_successful", "gauge",
			  "0 if the last reload was refused and the configuration before it runs.",
			  !facts->reload_failed);
	exposition_single(out, "sluice_snapshot_generation", "gauge",
			  "Grows with every change of configuration or targets that workers took.",
			  generation);
}

static void limits(struct exposition *out, const struct admin_facts *facts)
{
	exposition_single(out, "sluice_sessions_limit", "gauge", "Most sessions at once.",
			  facts->max_connections);
	exposition_single(out, "sluice_worker_sessions_limit", "gauge",
			  "Most sessions at once of one worker.", facts->per_worker);
	exposition_single(out, "sluice_worker_fds_limit", "gauge",
			  "File descriptors in a worker's table.", facts->fds_per_table);
	exposition_single(out, "sluice_buffer_limit_bytes", "gauge",
			  "Most bytes that may be parked in chunks.", facts->buffers_bytes);
	exposition_single(out, "sluice_source_ports", "gauge",
			  "Local ports that the kernel gives out to connections, for one source "
			  "address and one target.",
			  facts->source_ports);
}

static void events(struct exposition *out, const struct events *events)
{
	const char *kind;
	uint64_t count;

	exposition_metric(out, "sluice_events_total", "counter", "Events, by kind.");
	for (size_t i = 0; (kind = events_kind(events, i, &count)); i++) {
		exposition_sample(out, "");
		exposition_label(out, "kind", kind);
		exposition_integer(out, count);
	}
}

void metrics_process(struct exposition *out, const struct admin_ops *ops)
{
	struct admin_facts facts = {0};

	ops->facts(ops->context, &facts);
	build(out, &facts);
	phase(out, &facts);
	configuration(out, &facts, ops->snapshot(ops->context)->generation);
	limits(out, &facts);
	events(out, ops->events);
}
