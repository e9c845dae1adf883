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

/* One item of a pool's `discover:`. */
extern const struct schema_key schema_discover;

extern const struct schema_map schema_timeouts;
extern const struct schema_map schema_tcp; /* the root's */
extern const struct schema_map schema_leg; /* that of a listener or pool, which has more */
