/* SPDX-License-Identifier: Apache-2.0
 *
 * One immutable generation of what the proxy serves: the configuration, the targets it resolves to
 * now, and a balancer per pool. Main builds it off the workers (at start, on reload, when a name
 * resolves differently) and hands it to each worker by pointer; a session keeps the one it began
 * with, through its worker's `struct view` (proxy/worker.h), so the atomic count moves once per
 * worker, not once per session.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/balance.h"
#include "proxy/model.h"
#include "proxy/target.h"

struct listener_stats; /* proxy/listener.h: outlives snapshots, as targets do */

struct pool {
	const struct pool_conf *conf;
	struct balancer *balancer;
	struct target **targets; /* by member index */
	uint32_t *weights;
	size_t target_count;
	bool unresolved; /* it has names, and none resolves: "down", not "empty" */
};

struct snapshot {
	_Atomic uint32_t refs;
	uint64_t generation; /* 1 at start, one more with each publication */
	struct config *config;
	struct config_ref *config_ref;     /* proxy/snapshot_build.h: what owns it */
	struct pool *pools;                /* config->pool_count of them, same order */
	struct listener_stats **listeners; /* config->listener_count of them, same order */
};

/* A configuration is counted by itself, since a name that resolves differently makes a new snapshot
 * of the same configuration. */
struct config_ref {
	struct config *config;
	_Atomic uint32_t refs;
	void (*free)(struct config *config); /* who made it knows how */
};

/* Takes over `config`; one reference. NULL without memory (and `config` stays the caller's). */
struct config_ref *config_ref_new(struct config *config, void (*free_config)(struct config *));
void config_ref_put(struct config_ref *ref); /* accepts NULL */

void snapshot_get(struct snapshot *snapshot);
void snapshot_put(struct snapshot *snapshot); /* accepts NULL; the last one frees everything */
