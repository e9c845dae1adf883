/* SPDX-License-Identifier: Apache-2.0
 *
 * The table's rows for `guard:`: the root's says where the guard stands and what holds for every
 * listener, a listener's what holds for itself instead.
 */
#include "proxy/base/conf/keys.h"

#define ENTRIES_MAX 10000

static const struct schema_key block_item = {.name = "block", .kind = SCHEMA_BLOCK};

#define DOOR_KEYS                                                                                  \
	{.name = "allow",                                                                          \
	 .kind = SCHEMA_LIST,                                                                      \
	 .flags = SCHEMA_SINGLE_OK,                                                                \
	 .max = ENTRIES_MAX,                                                                       \
	 .item = &block_item,                                                                      \
	 .doc = "sources that no limit is for; the most specific block of allow and deny counts"}, \
		{.name = "deny",                                                                   \
		 .kind = SCHEMA_LIST,                                                              \
		 .flags = SCHEMA_SINGLE_OK,                                                        \
		 .max = ENTRIES_MAX,                                                               \
		 .item = &block_item,                                                              \
		 .doc = "sources whose packets are dropped"},                                      \
		{.name = "syn_rate",                                                               \
		 .kind = SCHEMA_INTEGER,                                                           \
		 .word = "unlimited",                                                              \
		 .fallback = "unlimited",                                                          \
		 .min = 1,                                                                         \
		 .max = 1000000,                                                                   \
		 .doc = "new connections a second from one IPv4 address or IPv6 /64"},             \
		{.name = "syn_burst",                                                              \
		 .kind = SCHEMA_INTEGER,                                                           \
		 .fallback = "50",                                                                 \
		 .min = 1,                                                                         \
		 .max = 1000000,                                                                   \
		 .doc = "so many of them may come at once"},                                       \
		{.name = "cookies",                                                                \
		 .kind = SCHEMA_ENUM,                                                              \
		 .values = "off|auto|always",                                                      \
		 .fallback = "off",                                                                \
		 .doc = "answer SYNs with cookies: amid a flood, or always; needs "                \
			"net.ipv4.tcp_syncookies=2"},                                              \
		{.name = "flood_rate",                                                             \
		 .kind = SCHEMA_INTEGER,                                                           \
		 .fallback = "1000",                                                               \
		 .min = 1,                                                                         \
		 .max = 100000000,                                                                 \
		 .doc = "SYNs a second to one port, from all sources, that are no flood yet"},     \
	{                                                                                          \
		.name = "dry_run", .kind = SCHEMA_BOOL, .fallback = "false",                       \
		.doc = "count what would be done, and pass everything"                             \
	}

static const struct schema_key interface_keys[] = {
	{.name = "name",
	 .kind = SCHEMA_TOKEN,
	 .flags = SCHEMA_REQUIRED,
	 .max = 15,
	 .doc = "of a network interface"},
	{.name = "mode",
	 .kind = SCHEMA_ENUM,
	 .values = "auto|native|generic",
	 .fallback = "auto",
	 .doc = "in its driver, or behind it; auto: in the driver if it can, and not of veth"},
};
static const struct schema_map interface_map = {.noun = "interface",
						.shorthand = "name",
						.keys = interface_keys,
						.count = ARRAY_SIZE(interface_keys)};
static const struct schema_key interface_item = {
	.name = "interface", .kind = SCHEMA_MAP, .map = &interface_map};

static const struct schema_key guard_keys[] = {
	{.name = "interfaces",
	 .kind = SCHEMA_LIST,
	 .flags = SCHEMA_REQUIRED | SCHEMA_SINGLE_OK,
	 .min = 1,
	 .max = 32,
	 .item = &interface_item,
	 .doc = "where packets for listeners are looked at as they arrive (XDP)"},
	{.name = "on_crash",
	 .kind = SCHEMA_ENUM,
	 .values = "open|keep",
	 .fallback = "open",
	 .doc = "what becomes of the guard if the proxy dies: gone with it, or in force"},
	DOOR_KEYS,
};
const struct schema_map schema_guard = {
	.noun = "guard", .keys = guard_keys, .count = ARRAY_SIZE(guard_keys)};

static const struct schema_key door_keys[] = {DOOR_KEYS};
const struct schema_map schema_door = {
	.noun = "guard", .keys = door_keys, .count = ARRAY_SIZE(door_keys)};
