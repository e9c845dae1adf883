/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what /metrics says of sessions that the kernel carries by itself. Happy path: the keeper's
 * counts are written down; without an offload there is nothing to say. See metrics.c for how it can
 * fail.
 */
#include "proxy/admin/admin.h"
#include "proxy/admin/metrics_parts.h"
#include "proxy/base/exposition.h"
#include "proxy/offload.h"

static const struct {
	const char *name;
	const char *help;
} metrics[OFFLOAD_COUNTS] = {
	[OFFLOAD_OFFERED] = {"sluice_offload_offered_total", "Sessions offered to the kernel."},
	[OFFLOAD_PROMOTED] = {"sluice_offload_promoted_total", "Sessions that it took over."},
	[OFFLOAD_RECALLED] = {"sluice_offload_recalled_total", "Sessions that came back from it."},
	[OFFLOAD_RECALL_BUSY] = {"sluice_offload_recall_busy_total",
				 "Sessions that could not come back, as bytes were under way."},
	[OFFLOAD_ENDED] = {"sluice_offload_ended_total", "Sessions that ended in the kernel."},
	[OFFLOAD_ADOPTED] = {"sluice_offload_adopted_total",
			     "Sessions that a process before this one had left in the kernel."},
	[OFFLOAD_ADOPT_RESET] = {"sluice_offload_adopt_reset_total",
				 "Of those, the ones that could not go on and were reset."},
	[OFFLOAD_GATES] =
		{"sluice_offload_gates_total",
		 "Sessions of joined sockets (sockmap) that are relayed again, as one did not "
		 "take what was sent to it."},
};

void metrics_offload(struct exposition *out, const struct admin_ops *ops)
{
	struct offload_counts counts = {0};

	if (!ops->offload(ops->context, &counts))
		return;
	exposition_single(out, "sluice_offload_sessions_open", "gauge",
			  "Sessions that the kernel carries now.", counts.open);
	exposition_single(out, "sluice_offload_sessions_limit", "gauge",
			  "Most sessions that the kernel may carry.", counts.limit);
	for (size_t i = 0; i < OFFLOAD_COUNTS; i++)
		exposition_single(out, metrics[i].name, "counter", metrics[i].help,
				  counts.counts[i]);
	exposition_metric(out, "sluice_offload_doubted", "gauge",
			  "1: nothing is promoted until a restart, for this reason.");
	for (unsigned i = 0; i < OFFLOAD_DOUBTS; i++) {
		exposition_sample(out, "");
		exposition_label(out, "why", offload_doubt_names[i]);
		exposition_integer(out, counts.doubts >> i & 1);
	}
	exposition_metric(out, "sluice_offload_refusals_total", "counter",
			  "Offers that came to nothing, by reason.");
	for (size_t i = FLOW_FINE + 1; i < FLOW_REFUSALS; i++) {
		exposition_sample(out, "");
		exposition_label(out, "reason", flow_refusal_names[i]);
		exposition_integer(out, counts.refusals[i]);
	}
}
