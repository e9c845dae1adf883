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

struct pool_state; /* proxy/pool_state.h */

/* One member that gets less than its share of new sessions for now (slow start). */
struct pool_ramp {
	uint32_t index; /* of the member */
	uint64_t earn;  /* its share of one session, out of RAMP_UNIT */
};

#define RAMP_UNIT (UINT64_C(1) << 32)

struct pool_tier {
	struct balancer *all;    /* of all members, those of other tiers with weight 0; or NULL */
	struct balancer *steady; /* without the ramping ones, if there are both; or NULL */
};

struct pool {
	const struct pool_conf *conf;
	uint64_t plan_version; /* registry_plan_version() of what it is made of */
	struct pool_state *state;
	struct target **targets; /* by member index */
	uint32_t *weights;       /* effective; 0: takes nothing new */
	uint8_t *tier_of;        /* enum tier */
	size_t target_count;
	struct pool_tier tiers[TIERS]; /* empty ones are NULL */
	struct pool_ramp *ramps;       /* by member index */
	size_t ramp_count;
	uint16_t local_share; /* thousandths of sessions that ask TIER_LOCAL first, else REMOTE */
	bool refuse;          /* takes nobody: panic, and the operator wants it so */
	bool all_down;        /* "down", not "draining", when no member has a weight */
	bool unresolved;      /* it has names, and none resolves: "down", not "empty" */
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
