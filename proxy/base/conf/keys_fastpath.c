/* SPDX-License-Identifier: Apache-2.0
 *
 * The table's rows for `fast_path:`, which says where and how the kernel translates what `offload:`
 * of a pool lets it.
 */
#include "proxy/base/conf/keys.h"

#define HOOK_KEY(text)                                                                             \
	{                                                                                          \
		.name = "hook", .kind = SCHEMA_ENUM, .values = "auto|tc|xdp|xdp-generic",          \
		.fallback = "auto", .doc = (text)                                                  \
	}

static const struct schema_key interface_keys[] = {
	{.name = "name",
	 .kind = SCHEMA_TOKEN,
	 .flags = SCHEMA_REQUIRED,
	 .max = 15,
	 .doc = "of a network interface"},
	HOOK_KEY("where its packets are met; auto: as the fast path's `hook` says"),
};
static const struct schema_map interface_map = {.noun = "interface",
						.shorthand = "name",
						.keys = interface_keys,
						.count = ARRAY_SIZE(interface_keys)};
static const struct schema_key interface_item = {
	.name = "interface", .kind = SCHEMA_MAP, .map = &interface_map};

static const struct schema_key fast_path_keys[] = {
	HOOK_KEY("where packets are met: behind GRO (tc), in the driver or behind it (XDP); auto: "
		 "tc"),
	{.name = "interfaces",
	 .kind = SCHEMA_LIST,
	 .flags = SCHEMA_SINGLE_OK,
	 .max = 32,
	 .item = &interface_item,
	 .doc = "sessions over others stay on the relay; none given: all are used"},
	{.name = "sessions",
	 .kind = SCHEMA_INTEGER,
	 .fallback = "65536",
	 .min = 1,
	 .max = 4194304,
	 .doc = "that the kernel carries at once; each takes 1 KiB of its memory"},
	{.name = "pin",
	 .kind = SCHEMA_TEXT,
	 .fallback = "/sys/fs/bpf/sluice",
	 .max = 128,
	 .doc = "a directory on a bpf file system, by which sessions outlive a crash; or off"},
};
const struct schema_map schema_fast_path = {
	.noun = "fast path", .keys = fast_path_keys, .count = ARRAY_SIZE(fast_path_keys)};
