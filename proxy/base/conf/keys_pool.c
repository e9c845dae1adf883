/* SPDX-License-Identifier: Apache-2.0
 *
 * The table's rows for one item of `pools:` and its targets; health has its own in keys_health.c.
 */
#include <string.h>

#include "proxy/base/conf/discover_rules.h"
#include "proxy/base/conf/keys.h"

static const struct schema_key ip_item = {.name = "address", .kind = SCHEMA_IP};

static const struct schema_key target_keys[] = {
	{.name = "address",
	 .kind = SCHEMA_TARGET,
	 .flags = SCHEMA_REQUIRED,
	 .doc = "where to connect to; names are resolved again and again"},
	{.name = "weight",
	 .kind = SCHEMA_INTEGER,
	 .fallback = "100",
	 .max = 1000,
	 .doc = "its share of new sessions; 0 drains it"},
	{.name = "max_connections",
	 .kind = SCHEMA_INTEGER,
	 .word = "unlimited",
	 .fallback = "unlimited",
	 .min = 1,
	 .max = 10000000,
	 .doc = "at once, over all workers"},
	{.name = "id",
	 .kind = SCHEMA_TOKEN,
	 .max = 255,
	 .doc = "whose address it is; a new id at an old address is a new target"},
	{.name = "zone", .kind = SCHEMA_TOKEN, .max = 63, .doc = "where it stands, for zone_aware"},
	{.name = "backup",
	 .kind = SCHEMA_BOOL,
	 .fallback = "false",
	 .doc = "used only while no other target can be"},
};
static const struct schema_map target_map = {.noun = "target",
					     .shorthand = "address",
					     .keys = target_keys,
					     .count = ARRAY_SIZE(target_keys)};
static const struct schema_key target_item = {
	.name = "target", .kind = SCHEMA_MAP, .map = &target_map};

static const struct schema_key queue_keys[] = {
	{.name = "size",
	 .kind = SCHEMA_INTEGER,
	 .fallback = "0",
	 .max = 1000000,
	 .doc = "clients that may wait; 0: none"},
	{.name = "timeout",
	 .kind = SCHEMA_DURATION,
	 .fallback = "5s",
	 .min = 1,
	 .max = HOUR,
	 .doc = "how long each of them waits"},
};
static const struct schema_map queue_map = {
	.noun = "queue", .shorthand = "size", .keys = queue_keys, .count = ARRAY_SIZE(queue_keys)};

static const struct schema_key pool_keys[] = {
	{.name = "name",
	 .kind = SCHEMA_NAME,
	 .flags = SCHEMA_REQUIRED,
	 .max = 31,
	 .doc = "what listeners, logs and figures call it"},
	{.name = "balance",
	 .kind = SCHEMA_ENUM,
	 .values = "round_robin|least_connections|random_two|maglev|first",
	 .fallback = "round_robin",
	 .doc = "how a target is chosen",
	 .flag = "--balance",
	 .variable = "SLUICE_BALANCE",
	 .metavar = "NAME"},
	RELAY_KEY(SCHEMA_INHERITS),
	OFFLOAD_KEY(SCHEMA_INHERITS),
	{.name = "timeouts",
	 .kind = SCHEMA_MAP,
	 .flags = SCHEMA_FILLED | SCHEMA_INHERITS,
	 .map = &schema_timeouts,
	 .doc = "of its sessions"},
	{.name = "tcp",
	 .kind = SCHEMA_MAP,
	 .flags = SCHEMA_FILLED | SCHEMA_INHERITS,
	 .map = &schema_leg,
	 .doc = "socket options towards targets"},
	{.name = "retries",
	 .kind = SCHEMA_INTEGER,
	 .fallback = "2",
	 .max = 7,
	 .doc = "further targets tried after a failed connect"},
	{.name = "retry_budget",
	 .kind = SCHEMA_PERCENT,
	 .fallback = "20%",
	 .max = 100,
	 .doc = "retries allowed, as a share of new sessions"},
	{.name = "source",
	 .kind = SCHEMA_LIST,
	 .flags = SCHEMA_SINGLE_OK,
	 .max = 64,
	 .item = &ip_item,
	 .doc = "addresses to connect from, used in turn"},
	{.name = "max_connections",
	 .kind = SCHEMA_INTEGER,
	 .word = "unlimited",
	 .fallback = "unlimited",
	 .min = 1,
	 .max = 10000000,
	 .doc = "at once, over all its targets"},
	{.name = "queue",
	 .kind = SCHEMA_MAP,
	 .flags = SCHEMA_FILLED,
	 .map = &queue_map,
	 .doc = "clients that wait while every target is full"},
	{.name = "connect_rate",
	 .kind = SCHEMA_INTEGER,
	 .word = "unlimited",
	 .fallback = "unlimited",
	 .min = 1,
	 .max = 1000000,
	 .doc = "new connections a second to each target"},
	{.name = "slow_start",
	 .kind = SCHEMA_DURATION,
	 .word = "off",
	 .fallback = "off",
	 .max = DAY,
	 .doc = "how long the share of a new or recovered target grows"},
	{.name = "load_factor",
	 .kind = SCHEMA_PERCENT,
	 .word = "off",
	 .fallback = "off",
	 .min = 100,
	 .max = 1000,
	 .doc = "maglev: most of the mean load that one target takes"},
	{.name = "zone_aware",
	 .kind = SCHEMA_BOOL,
	 .fallback = "true",
	 .doc = "targets of the own zone first, once that is known"},
	{.name = "proxy_protocol",
	 .kind = SCHEMA_ENUM,
	 .values = "off|v1|v2",
	 .fallback = "off",
	 .doc = "the PROXY header that targets get"},
	{.name = "proxy_crc32c",
	 .kind = SCHEMA_BOOL,
	 .fallback = "false",
	 .doc = "v2: add a checksum to the header"},
	{.name = "health",
	 .kind = SCHEMA_MAP,
	 .flags = SCHEMA_FILLED,
	 .map = &schema_health,
	 .doc = "active checks"},
	{.name = "outlier",
	 .kind = SCHEMA_MAP,
	 .flags = SCHEMA_FILLED,
	 .map = &schema_outlier,
	 .doc = "ejection of targets that fail sessions"},
	{.name = "max_ejected",
	 .kind = SCHEMA_PERCENT,
	 .fallback = "10%",
	 .max = 100,
	 .doc = "of its targets, rounded up; never the last one"},
	{.name = "min_healthy",
	 .kind = SCHEMA_PERCENT,
	 .fallback = "0%",
	 .max = 100,
	 .doc = "with fewer healthy targets than this, or none, it panics"},
	{.name = "panic",
	 .kind = SCHEMA_ENUM,
	 .values = "open|refuse",
	 .fallback = "open",
	 .doc = "use every target then, or none"},
	{.name = "on_down",
	 .kind = SCHEMA_ENUM,
	 .values = "keep|close",
	 .fallback = "keep",
	 .doc = "what happens to the sessions of a target that is down"},
	{.name = "drain_timeout",
	 .kind = SCHEMA_DURATION,
	 .word = "never",
	 .fallback = "5m",
	 .max = 30 * DAY,
	 .doc = "how long sessions of a removed or drained target may go on"},
	{.name = "drain_spread",
	 .kind = SCHEMA_DURATION,
	 .fallback = "30s",
	 .max = DAY,
	 .doc = "over how long they are closed after that"},
	{.name = "targets",
	 .kind = SCHEMA_LIST,
	 .max = 65536,
	 .item = &target_item,
	 .doc = "static targets",
	 .flag = "--target",
	 .variable = "SLUICE_TARGETS",
	 .metavar = "ADDR"},
	{.name = "discover",
	 .kind = SCHEMA_LIST,
	 .flags = SCHEMA_SINGLE_OK,
	 .min = 1,
	 .max = 16,
	 .item = &schema_discover,
	 .doc = "where sluice-control finds more targets"},
};

/* Settings that mean something only beside another one. */
static void check_pool(const struct node *node, struct conf_errors *errors)
{
	const struct node *crc32c = node_get(node, "proxy_crc32c");
	const struct node *factor = node_get(node, "load_factor");
	const char *protocol = node_get_text(node, "proxy_protocol");
	const char *balance = node_get_text(node, "balance");

	discover_check_names(node_get(node, "discover"), errors);
	if (crc32c && crc32c->text && strcmp(crc32c->text, "true") == 0 &&
	    (!protocol || strcmp(protocol, "v2") != 0))
		conf_error(errors, &crc32c->where,
			   "proxy_crc32c: found \"true\" with proxy_protocol %.16s; expected v2, "
			   "which alone has a checksum",
			   protocol ? protocol : "off");
	if (factor && factor->text && strcmp(factor->text, "off") != 0 &&
	    (!balance || strcmp(balance, "maglev") != 0))
		conf_error(errors, &factor->where,
			   "load_factor: found \"%.16s\" with balance %.32s; expected maglev, "
			   "which alone has one",
			   factor->text, balance ? balance : "round_robin");
}

static const struct schema_map pool_map = {
	.noun = "pool", .check = check_pool, .keys = pool_keys, .count = ARRAY_SIZE(pool_keys)};
const struct schema_key schema_pool = {.name = "pool", .kind = SCHEMA_MAP, .map = &pool_map};
