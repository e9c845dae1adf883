/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what /metrics says of the guard at the door; nothing where none is configured. See metrics.c
 * for how it can fail.
 */
#include "proxy/admin/admin.h"
#include "proxy/admin/metrics_parts.h"
#include "proxy/admission.h"
#include "proxy/base/exposition.h"
#include "proxy/model.h"
#include "proxy/snapshot.h"

static void write_verdicts(struct exposition *out, const struct admin_ops *ops,
			   const char *listener)
{
	struct guard_counts counts;

	admission_read(ops->admission, listener, &counts);
	for (int dry = 0; dry < 2; dry++)
		for (int i = 0; i < GUARD_VERDICTS; i++) {
			uint64_t packets = dry ? counts.dry[i] : counts.packets[i];

			if (!packets && dry)
				continue;
			exposition_sample(out, "");
			if (listener)
				exposition_label(out, "listener", listener);
			exposition_label(out, "verdict", admission_verdict_names[i]);
			exposition_label(out, "dry_run", dry ? "true" : "false");
			exposition_integer(out, packets);
		}
}

void metrics_guard(struct exposition *out, const struct admin_ops *ops)
{
	const struct config *config = ops->snapshot(ops->context)->config;
	const struct guard_hook *hooks;
	size_t count;

	if (!ops->admission)
		return;
	hooks = admission_hooks(ops->admission, &count);
	exposition_metric(out, "sluice_guard_attached", "gauge",
			  "1 for each interface that the guard stands at.");
	for (size_t i = 0; i < count; i++) {
		exposition_sample(out, "");
		exposition_label(out, "interface", hooks[i].name);
		exposition_label(out, "mode", admission_mode_names[hooks[i].mode]);
		exposition_integer(out, 1);
	}
	admission_entries(ops->admission, &count);
	exposition_single(out, "sluice_guard_entries", "gauge",
			  "Blocks of addresses that operators allowed or denied.", count);
	exposition_metric(
		out, "sluice_guard_packets_total", "counter",
		"Packets for a listener by what became of them at the door; with dry_run, "
		"what would have. Without a listener: so broken that it cannot be told.");
	write_verdicts(out, ops, NULL);
	for (size_t i = 0; i < config->listener_count; i++)
		if (config->listeners[i].bind.family != AF_UNIX)
			write_verdicts(out, ops, config->listeners[i].name);
}
