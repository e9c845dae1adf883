/* SPDX-License-Identifier: Apache-2.0
 *
 * How main makes snapshots.
 */
#pragma once

#include "proxy/snapshot.h"

struct registry;

/* Of the registry's plans, which must be of this configuration (registry_configure()). One
 * reference on the result, which has its own on `config`. `previous` (may be NULL) lends its
 * listeners' counts. 0, -ENOMEM, or -E2BIG (more than BALANCE_MEMBERS_MAX targets in a pool). */
int snapshot_build(struct config_ref *config, const struct snapshot *previous,
		   struct registry *registry, unsigned worker_count,
		   struct snapshot **ret_snapshot);
