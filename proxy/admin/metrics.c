/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns /metrics. Happy path: every metric is written once with its help and type, then its samples;
 * names end in their unit, and counters in `_total`. Labels are names from the configuration, words
 * of fixed sets, and targets, whose series end when the registry forgets them. Metrics are
 * described in packaging/prometheus/README.md.
 *
 * Failure mode: memory is short, then there are no figures at all.
 */
#include "proxy/admin/metrics.h"

#include "proxy/admin/metrics_parts.h"
#include "proxy/base/exposition.h"

char *metrics_text(const struct admin_ops *ops)
{
	struct exposition out = {0};

	metrics_process(&out, ops);
	metrics_workers(&out, ops);
	metrics_offload(&out, ops);
	metrics_listeners(&out, ops);
	metrics_guard(&out, ops);
	metrics_pools(&out, ops);
	metrics_targets(&out, ops);
	return exposition_take(&out);
}
