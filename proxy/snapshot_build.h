/* SPDX-License-Identifier: Apache-2.0
 *
 * How main makes snapshots. A configuration is counted by itself, since a name that resolves
 * differently makes a new snapshot of the same configuration.
 */
#pragma once

#include "proxy/snapshot.h"

struct resolver;

struct config_ref {
	struct config *config;
	_Atomic uint32_t refs;
};

/* Takes over `config`; one reference. NULL without memory (and `config` stays the caller's). */
struct config_ref *snapshot_config_new(struct config *config);
void snapshot_config_put(struct config_ref *ref); /* accepts NULL */

/* One reference on the result, which has its own on `config`. `previous` (may be NULL) lends its
 * targets' and listeners' counts. 0 or -ENOMEM. */
int snapshot_build(struct config_ref *config, const struct snapshot *previous,
		   struct resolver *resolver, unsigned worker_count,
		   struct snapshot **ret_snapshot);
