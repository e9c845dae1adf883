/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of /metrics, each a file: metrics_NAME.c. All run on main's thread.
 */
#pragma once

struct admin_ops;
struct exposition;

/* Build, phase, limits, events by kind. */
void metrics_process(struct exposition *out, const struct admin_ops *ops);

/* What workers count, summed up, and how evenly they share the work. */
void metrics_workers(struct exposition *out, const struct admin_ops *ops);

/* What became of packets at the door. */
void metrics_guard(struct exposition *out, const struct admin_ops *ops);

/* Sessions in the kernel's hands. */
void metrics_offload(struct exposition *out, const struct admin_ops *ops);

void metrics_listeners(struct exposition *out, const struct admin_ops *ops);
void metrics_pools(struct exposition *out, const struct admin_ops *ops);
void metrics_targets(struct exposition *out, const struct admin_ops *ops);
