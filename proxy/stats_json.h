/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters as JSON, for the log and for the admin API alike. NULL when memory is short.
 */
#pragma once

#include <jansson.h>

struct listener_stats;
struct stats_sum;
struct target;

/* Every total by its name, `reasons`, `syscalls` and their ratios. */
json_t *stats_totals_json(const struct stats_sum *sum);

json_t *stats_listener_json(const struct listener_stats *stats);

/* Without its weight, which is not the target's own. */
json_t *stats_target_json(const struct target *target);
