/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /metrics: counters in Prometheus' text form, version 0.0.4
 * (prometheus.io/docs/instrumenting/exposition_formats).
 */
#pragma once

struct admin_ops;

/* On main's thread. The caller frees it. NULL without memory. */
char *metrics_text(const struct admin_ops *ops);
