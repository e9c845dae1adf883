/* SPDX-License-Identifier: Apache-2.0
 *
 * THE table: every key of sluice.yaml with its kind, bounds, default, flag, variable and meaning.
 * Nothing else in the source states a default. An enum's values stand in the order of the C enum
 * that they become. The root's keys that listeners and pools inherit stand in front of these.
 * The sources of `discover:` have their rows in keys_discover.c.
 */
#include "proxy/base/conf/keys.h"

#define KIB (UINT64_C(1) << 10)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

static const struct schema_key ip_item = {.name = "address", .kind = SCHEMA_IP};
static const struct schema_key block_item = {.name = "block", .kind = SCHEMA_BLOCK};

/* --- what the root, listeners and pools share --- */

static const struct schema_key log_keys[] = {
	{.name = "format",
	 .kind = SCHEMA_ENUM,
	 .values = "off|text|json",
	 .fallback = "off",
	 .doc = "one line for each finished session",
	 .flag = "--log",
	 .variable = "SLUICE_LOG",
	 .metavar = "FORMAT"},
	{.name = "only",
	 .kind = SCHEMA_ENUM,
	 .values = "all|errors",
	 .fallback = "all",
	 .doc = "leave out sessions that ended well"},
	{.name = "sample",
	 .kind = SCHEMA_INTEGER,
	 .fallback = "1",
	 .min = 1,
	 .max = 1000000,
	 .doc = "log one in this many ordinary sessions; errors always"},
	{.name = "path",
	 .kind = SCHEMA_TEXT,
	 .max = 4095,
	 .doc = "the flow log's file, reopened on SIGUSR1; stdout if not given",
	 .flag = "--log-file",
	 .variable = "SLUICE_LOG_FILE",
	 .metavar = "PATH"},
};
static const struct schema_map log_map = {
	.noun = "log", .shorthand = "format", .keys = log_keys, .count = ARRAY_SIZE(log_keys)};

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
static const struct schema_map timeouts_map = {
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

/* Buffers end at INT_MAX / 2, because the kernel doubles what it is given (socket(7)). */
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
	{                                                                                          \
		.name = "congestion", .kind = SCHEMA_NAME, .max = 15,                              \
		.doc = "congestion control, e.g. bbr; the kernel's default if not given"           \
	}

static const struct schema_key tcp_keys[] = {TCP_KEYS};
static const struct schema_map tcp_map = {
	.noun = "tcp part", .keys = tcp_keys, .count = ARRAY_SIZE(tcp_keys)};

static const struct schema_key leg_keys[] = {
	TCP_KEYS,
	{.name = "fast_open", .kind = SCHEMA_BOOL, .fallback = "false", .doc = "TCP Fast Open"},
};
static const struct schema_map leg_map = {
	.noun = "tcp part", .keys = leg_keys, .count = ARRAY_SIZE(leg_keys)};

/* --- listeners --- */

static const struct schema_key listener_keys[] = {
	{.name = "name",
	 .kind = SCHEMA_NAME,
	 .flags = SCHEMA_REQUIRED,
	 .max = 31,
	 .doc = "what logs and figures call it"},
	{.name = "bind",
	 .kind = SCHEMA_BIND,
	 .flags = SCHEMA_REQUIRED,
	 .doc = "where to accept connections; :PORT is IPv6 and IPv4",
	 .flag = "--listen",
	 .variable = "SLUICE_LISTEN",
	 .metavar = "ADDR"},
	{.name = "pool",
	 .kind = SCHEMA_NAME,
	 .flags = SCHEMA_REQUIRED,
	 .max = 31,
	 .doc = "where connections go"},
	{.name = "v6_only",
	 .kind = SCHEMA_BOOL,
	 .fallback = "false",
	 .doc = "leave IPv4 alone on an IPv6 address"},
	{.name = "mode",
	 .kind = SCHEMA_MODE,
	 .fallback = "0660",
	 .max = 0777,
	 .doc = "of a Unix socket's file"},
	{.name = "max_connections",
	 .kind = SCHEMA_INTEGER,
	 .word = "unlimited",
	 .fallback = "unlimited",
	 .min = 1,
	 .max = 10000000,
	 .doc = "at once; unlimited leaves the limit for all"},
	{.name = "steer",
	 .kind = SCHEMA_ENUM,
	 .values = "hash|cpu",
	 .fallback = "hash",
	 .doc = "which worker gets a connection: by hash, or by receiving CPU"},
	{.name = "tcp",
	 .kind = SCHEMA_MAP,
	 .flags = SCHEMA_FILLED | SCHEMA_INHERITS,
	 .map = &leg_map,
	 .doc = "socket options towards clients"},
	{.name = "trusted",
	 .kind = SCHEMA_LIST,
	 .flags = SCHEMA_SINGLE_OK,
	 .max = 256,
	 .item = &block_item,
	 .doc = "balancers, whose byte-less probes are never logged"},
};
static const struct schema_map listener_map = {
	.noun = "listener", .keys = listener_keys, .count = ARRAY_SIZE(listener_keys)};
static const struct schema_key listener_item = {
	.name = "listener", .kind = SCHEMA_MAP, .map = &listener_map};

/* --- pools --- */

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
};
static const struct schema_map target_map = {.noun = "target",
					     .shorthand = "address",
					     .keys = target_keys,
					     .count = ARRAY_SIZE(target_keys)};
static const struct schema_key target_item = {
	.name = "target", .kind = SCHEMA_MAP, .map = &target_map};

#define RELAY_KEY(more, ...)                                                                       \
	{                                                                                          \
		.name = "relay", .kind = SCHEMA_ENUM, .flags = (more),                             \
		.values = "auto|copy|splice", .fallback = "auto",                                  \
		.doc = "how bytes are moved; auto copies small and splices bulky data",            \
		__VA_ARGS__                                                                        \
	}

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
	{.name = "timeouts",
	 .kind = SCHEMA_MAP,
	 .flags = SCHEMA_FILLED | SCHEMA_INHERITS,
	 .map = &timeouts_map,
	 .doc = "of its sessions"},
	{.name = "tcp",
	 .kind = SCHEMA_MAP,
	 .flags = SCHEMA_FILLED | SCHEMA_INHERITS,
	 .map = &leg_map,
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
static const struct schema_map pool_map = {
	.noun = "pool", .keys = pool_keys, .count = ARRAY_SIZE(pool_keys)};
static const struct schema_key pool_item = {.name = "pool", .kind = SCHEMA_MAP, .map = &pool_map};

/* --- the root --- */

static const struct schema_key root_keys[] = {
	{.name = "workers",
	 .kind = SCHEMA_INTEGER,
	 .word = "auto",
	 .fallback = "auto",
	 .min = 1,
	 .max = 1024,
	 .doc = "threads that move bytes; auto: one per CPU within the quota",
	 .flag = "--workers",
	 .variable = "SLUICE_WORKERS",
	 .metavar = "N"},
	{.name = "user",
	 .kind = SCHEMA_TEXT,
	 .max = 31,
	 .doc = "whom to become after binding, if started as root",
	 .flag = "--user",
	 .variable = "SLUICE_USER",
	 .metavar = "NAME"},
	{.name = "reload_ports",
	 .kind = SCHEMA_ENUM,
	 .values = "privileged|unprivileged",
	 .fallback = "privileged",
	 .doc = "whether a reload may bind ports below 1024"},
	{.name = "max_connections",
	 .kind = SCHEMA_INTEGER,
	 .word = "auto",
	 .fallback = "auto",
	 .min = 1,
	 .max = 10000000,
	 .doc = "at once, in all; auto: as file descriptors and memory allow",
	 .flag = "--max-connections",
	 .variable = "SLUICE_MAX_CONNECTIONS",
	 .metavar = "N"},
	{.name = "buffers",
	 .kind = SCHEMA_SIZE,
	 .fallback = "64MiB",
	 .min = 64 * KIB,
	 .max = TIB,
	 .doc = "hard cap on unsent bytes held in user memory"},
	{.name = "busy_poll_us",
	 .kind = SCHEMA_INTEGER,
	 .fallback = "0",
	 .max = 10000,
	 .doc = "microseconds to spin before sleeping; 0: off"},
	{.name = "drain_timeout",
	 .kind = SCHEMA_DURATION,
	 .fallback = "25s",
	 .max = DAY,
	 .doc = "how long sessions may go on after SIGTERM",
	 .flag = "--drain-timeout",
	 .variable = "SLUICE_DRAIN_TIMEOUT",
	 .metavar = "TIME"},
	{.name = "lame_duck",
	 .kind = SCHEMA_DURATION,
	 .fallback = "0",
	 .max = DAY,
	 .doc = "how long to go on accepting after SIGTERM",
	 .flag = "--lame-duck",
	 .variable = "SLUICE_LAME_DUCK",
	 .metavar = "TIME"},
	{.name = "resolve_interval",
	 .kind = SCHEMA_DURATION,
	 .fallback = "30s",
	 .min = SECOND,
	 .max = DAY,
	 .doc = "how often names of targets are resolved again"},
	{.name = "log_level",
	 .kind = SCHEMA_ENUM,
	 .values = "error|warn|info|debug",
	 .fallback = "info",
	 .doc = "of the operational log on stderr",
	 .flag = "--log-level",
	 .variable = "SLUICE_LOG_LEVEL",
	 .metavar = "LEVEL"},
	{.name = "log",
	 .kind = SCHEMA_MAP,
	 .flags = SCHEMA_FILLED,
	 .map = &log_map,
	 .doc = "the flow log"},
	RELAY_KEY(0, .flag = "--relay", .variable = "SLUICE_RELAY", .metavar = "MODE"),
	{.name = "timeouts",
	 .kind = SCHEMA_MAP,
	 .flags = SCHEMA_FILLED,
	 .map = &timeouts_map,
	 .doc = "for every pool that doesn't say otherwise"},
	{.name = "tcp",
	 .kind = SCHEMA_MAP,
	 .flags = SCHEMA_FILLED,
	 .map = &tcp_map,
	 .doc = "for every listener and pool that doesn't say otherwise"},
	{.name = "listeners",
	 .kind = SCHEMA_LIST,
	 .flags = SCHEMA_REQUIRED,
	 .min = 1,
	 .max = 1024,
	 .item = &listener_item,
	 .doc = "where connections are accepted"},
	{.name = "pools",
	 .kind = SCHEMA_LIST,
	 .flags = SCHEMA_REQUIRED,
	 .min = 1,
	 .max = 1024,
	 .item = &pool_item,
	 .doc = "where connections go"},
};

const struct schema_map schema_root = {
	.noun = "configuration", .keys = root_keys, .count = ARRAY_SIZE(root_keys)};
