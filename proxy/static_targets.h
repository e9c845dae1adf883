/* SPDX-License-Identifier: Apache-2.0
 *
 * The targets that stand in the configuration, as a source of the registry.
 */
#pragma once

struct config;
struct registry;
struct resolver;

/* Give the registry, configured with `config`, every pool's static targets as its source "config";
 * names as they resolve now. `resolver` may be NULL if no target has a name. 0, or the first
 * -errno, as registry_put(). */
int static_targets_put(struct registry *registry, const struct config *config,
		       struct resolver *resolver);
