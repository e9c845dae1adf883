/* SPDX-License-Identifier: Apache-2.0
 *
 * A listener at run time, as far as all workers share it: its counters and the exact number of its
 * open sessions. Like a target it outlives configuration snapshots; one reference per snapshot.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/stats.h"

#define LISTENER_CACHE_LINE 64

#define VPCE_IDS_MAX 64 /* further ones are counted together */

struct vpce_counts;

struct listener_stats {
	_Alignas(LISTENER_CACHE_LINE) _Atomic uint32_t open; /* over all workers */
	_Atomic uint32_t refs;
	uint32_t worker_count;
	struct vpce_counts *vpce;
	bool hidden_warned; /* main's: it has said that all clients look alike */
	char *name;
	struct {
		_Alignas(LISTENER_CACHE_LINE) struct listener_counts c;
	} counts[]; /* one per worker */
};

/* One reference, counts at zero. NULL without memory. */
struct listener_stats *listener_stats_new(const char *name, unsigned worker_count);
void listener_stats_get(struct listener_stats *stats);
void listener_stats_put(struct listener_stats *stats); /* accepts NULL */

/* Take one of `limit` places (0: no limit); false when all are taken. */
bool listener_stats_reserve(struct listener_stats *stats, uint32_t limit);
void listener_stats_release(struct listener_stats *stats);

/* Whether sessions are balanced by their clients' addresses and none has one: all there were so far
 * (LISTENER_KEYED_MIN at least) came from trusted balancers that said nothing of the client. */
#define LISTENER_KEYED_MIN 100
bool listener_stats_clients_hidden(const struct listener_stats *stats);

/* Count a session that came through an AWS VPC endpoint. Callable from any thread. */
void listener_stats_count_vpce(struct listener_stats *stats, const char *id);

/* The `index`-th endpoint seen so far and its sessions, from 0 on; NULL past the last one. All that
 * found no room are "other". `*ret_sessions` is untouched then. Callable from any thread. */
const char *listener_stats_vpce(const struct listener_stats *stats, size_t index,
				uint64_t *ret_sessions);
