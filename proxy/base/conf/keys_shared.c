/* SPDX-License-Identifier: Apache-2.0
 *
 * The table's rows for `timeouts:` and `tcp:`, which the root has for all, and listeners and pools
 * for themselves.
 */
#include "proxy/base/conf/keys.h"

#define KIB (UINT64_C(1) << 10)
#define GIB (UINT64_C(1) << 30)

static const struct schema_key timeouts_keys[] = {
	{.name = "connect",
	 .kind = SCHEMA_DURATION,
	 .fallback = "2s",
	 .min = 1,
	 .max = HOUR,
	 .doc = "for one attempt to connect to a target"},
	{.name = "idle",
	 .kind = SCHEMA_DURATION,
	 .fallback = "1h",
	 .max = 30 * DAY,
	 .doc = "while no byte moves either way; 0: never"},
	{.name = "half_close",
	 .kind = SCHEMA_DURATION,
	 .fallback = "30s",
	 .max = 30 * DAY,
	 .doc = "after the first FIN, while nothing moves; 0: never"},
	{.name = "lifetime",
	 .kind = SCHEMA_DURATION,
	 .fallback = "0",
	 .max = 30 * DAY,
	 .doc = "of a session, plus up to 10 % of jitter; 0: unlimited"},
};
const struct schema_map schema_timeouts = {
	.noun = "timeouts", .keys = timeouts_keys, .count = ARRAY_SIZE(timeouts_keys)};

static const struct schema_key keepalive_keys[] = {
	{.name = "idle",
	 .kind = SCHEMA_SECONDS,
	 .fallback = "60s",
	 .min = SECOND,
	 .max = 32767 * SECOND,
	 .doc = "quiet time before the first probe"},
	{.name = "interval",
	 .kind = SCHEMA_SECONDS,
	 .fallback = "10s",
	 .min = SECOND,
	 .max = 32767 * SECOND,
	 .doc = "between probes"},
	{.name = "count",
	 .kind = SCHEMA_INTEGER,
	 .fallback = "3",
	 .min = 1,
	 .max = 127,
	 .doc = "unanswered probes that end a connection"},
};
static const struct schema_map keepalive_map = {
	.noun = "keepalive", .keys = keepalive_keys, .count = ARRAY_SIZE(keepalive_keys)};

/* Buffers end at INT_MAX / 2, because the kernel doubles what it is given (socket(7)); `mss` is
 * bounded by TCP_MIN_MSS and MAX_TCP_WINDOW of include/net/tcp.h. */
#define TCP_KEYS                                                                                   \
	{.name = "keepalive",                                                                      \
	 .kind = SCHEMA_MAP,                                                                       \
	 .flags = SCHEMA_FILLED,                                                                   \
	 .word = "off",                                                                            \
	 .map = &keepalive_map,                                                                    \
	 .doc = "probes that find dead peers and keep a balancer's flow"},                         \
		{.name = "user_timeout",                                                           \
		 .kind = SCHEMA_DURATION,                                                          \
		 .fallback = "90s",                                                                \
		 .max = 24 * DAY,                                                                  \
		 .doc = "sent data unacknowledged this long ends a session; 0: the kernel's"},     \
		{.name = "send_buffer",                                                            \
		 .kind = SCHEMA_SIZE,                                                              \
		 .word = "auto",                                                                   \
		 .fallback = "auto",                                                               \
		 .min = 4 * KIB,                                                                   \
		 .max = GIB - 1,                                                                   \
		 .doc = "SO_SNDBUF"},                                                              \
		{.name = "receive_buffer",                                                         \
		 .kind = SCHEMA_SIZE,                                                              \
		 .word = "auto",                                                                   \
		 .fallback = "auto",                                                               \
		 .min = 4 * KIB,                                                                   \
		 .max = GIB - 1,                                                                   \
		 .doc = "SO_RCVBUF"},                                                              \
		{.name = "mss",                                                                    \
		 .kind = SCHEMA_INTEGER,                                                           \
		 .word = "auto",                                                                   \
		 .fallback = "auto",                                                               \
		 .min = 88,                                                                        \
		 .max = 32767,                                                                     \
		 .doc = "bytes that peers are told to put into one segment at most"},              \
	{                                                                                          \
		.name = "congestion", .kind = SCHEMA_NAME, .max = 15,                              \
		.doc = "congestion control, e.g. bbr; if not given the kernel's default, but "     \
		       "over loopback never one that paces"                                        \
	}

static const struct schema_key tcp_keys[] = {TCP_KEYS};
const struct schema_map schema_tcp = {
	.noun = "tcp part", .keys = tcp_keys, .count = ARRAY_SIZE(tcp_keys)};

static const struct schema_key leg_keys[] = {
	TCP_KEYS,
	{.name = "fast_open", .kind = SCHEMA_BOOL, .fallback = "false", .doc = "TCP Fast Open"},
};
const struct schema_map schema_leg = {
	.noun = "tcp part", .keys = leg_keys, .count = ARRAY_SIZE(leg_keys)};
