/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of the table share. Everyone else includes schema.h.
 */
#pragma once

#include "proxy/base/conf/schema.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Durations in the table are milliseconds. */
#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

#define RELAY_KEY(more, ...)                                                                       \
	{                                                                                          \
		.name = "relay", .kind = SCHEMA_ENUM, .flags = (more),                             \
		.values = "auto|copy|splice", .fallback = "auto",                                  \
		.doc = "how bytes are moved; auto copies small and splices bulky data",            \
		__VA_ARGS__                                                                        \
	}

#define OFFLOAD_KEY(more, ...)                                                                     \
	{                                                                                          \
		.name = "offload", .kind = SCHEMA_ENUM, .flags = (more),                           \
		.values = "off|auto|flow|sockmap", .fallback = "off",                              \
		.doc = "whether the kernel carries established sessions by itself", __VA_ARGS__    \
	}

/* One item of the list of this name. */
extern const struct schema_key schema_listener;
extern const struct schema_key schema_pool;
extern const struct schema_key schema_discover; /* of a pool */

extern const struct schema_map schema_admin;
extern const struct schema_map schema_control;
extern const struct schema_map schema_door; /* guard, of a listener */
extern const struct schema_map schema_guard;
extern const struct schema_map schema_fast_path;
extern const struct schema_map schema_health;
extern const struct schema_map schema_outlier;
extern const struct schema_map schema_timeouts;
extern const struct schema_map schema_tcp; /* the root's */
extern const struct schema_map schema_leg; /* that of a listener or pool, which has more */
