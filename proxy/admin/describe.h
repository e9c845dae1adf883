/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets, pools and listeners as the admin API shows them. On main's thread; NULL without memory.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct desk;
struct pool_record;
struct target_record;

/* TARGET of the API. */
json_t *describe_target(struct desk *desk, const struct target_record *record);

/* Its history, newest first. */
json_t *describe_history(const struct target_record *record);

/* A pool without its members; and with them. */
json_t *describe_pool(struct desk *desk, const struct pool_record *pool);
json_t *describe_pool_members(struct desk *desk, const struct pool_record *pool);

/* All pools, without their members. */
json_t *describe_pools(struct desk *desk);

/* Listener `index` of what workers run by. */
json_t *describe_listener(struct desk *desk, size_t index);

/* GET /v1/status. */
json_t *describe_status(struct desk *desk);

/* RFC 3339, null for 0. */
json_t *describe_time(uint64_t wall_us);
