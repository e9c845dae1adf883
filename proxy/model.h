/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration as plain structs: what config.c makes of a file, flags and environment, and
 * what everything else reads. Immutable once built; owned by a snapshot (proxy/snapshot.h) and
 * freed with it. Strings and arrays belong to the struct config they hang from. Times are
 * milliseconds, sizes are bytes, 0 means "off" or "derive it" where the comment says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/addr.h"

struct node;

enum balance_kind {
	BALANCE_ROUND_ROBIN,
	BALANCE_LEAST_CONNECTIONS,
	BALANCE_RANDOM_TWO,
	BALANCE_MAGLEV,
	BALANCE_FIRST,
	BALANCE_KINDS
};

enum relay_mode {
	RELAY_AUTO,   /* copy, and splice while events are bulky */
	RELAY_COPY,   /* never splice */
	RELAY_SPLICE, /* always splice */
	RELAY_MODES
};

enum steer_mode {
	STEER_HASH, /* the kernel's hash over the 4-tuple */
	STEER_CPU,  /* the worker whose index is the receiving CPU's */
	STEER_MODES
};

enum flow_format { FLOW_OFF, FLOW_TEXT, FLOW_JSON, FLOW_FORMATS };

enum flow_only { FLOW_ONLY_ALL, FLOW_ONLY_ERRORS, FLOW_ONLY_KINDS };

/* Socket options of one leg: of a listener's clients or of a pool's backends. */
struct tcp_conf {
	uint32_t keepalive_idle_ms; /* 0: keepalive off; whole seconds */
	uint32_t keepalive_interval_ms;
	uint32_t keepalive_count;
	uint32_t user_timeout_ms; /* TCP_USER_TIMEOUT, tcp(7); lifted while the window is closed */
	uint32_t send_buffer;     /* SO_SNDBUF; 0: the kernel tunes it */
	uint32_t receive_buffer;  /* SO_RCVBUF; 0: the kernel tunes it */
	char *congestion;         /* TCP_CONGESTION; NULL: the kernel's default */
	bool fast_open;           /* TCP_FASTOPEN on a listener, TCP_FASTOPEN_CONNECT on a pool */
};

struct timeouts_conf {
	uint32_t connect_ms;    /* one attempt */
	uint32_t idle_ms;       /* no byte either way; 0: never */
	uint32_t half_close_ms; /* from the first FIN, while nothing moves; 0: never */
	uint32_t lifetime_ms;   /* of a session, plus up to 10 % of jitter; 0: unlimited */
};

struct listener_conf {
	char *name;
	struct addr bind;         /* the first of a range */
	uint16_t port_end;        /* the last port of a range, bind.port if there is none */
	bool v6_only;             /* [::] is dual-stack unless this is set */
	uint32_t mode;            /* of a Unix socket's file, e.g. 0660 */
	uint32_t pool;            /* index into config.pools */
	uint32_t max_connections; /* 0: only the global limit */
	enum steer_mode steer;
	struct tcp_conf tcp;
	struct addr_block *trusted; /* balancers whose byte-less probes are never logged */
	size_t trusted_count;
};

struct target_conf {
	char *address;    /* as written: "10.0.0.1:80", "db.internal:5432", "unix:/run/x.sock" */
	char *host;       /* the name to resolve, or NULL when `addr` is already numeric */
	struct addr addr; /* port is set even while the host is unresolved */
	uint32_t weight;  /* 0..1000; 0 takes no new session (draining) */
	uint32_t max_connections; /* 0: unlimited */
};

struct pool_conf {
	char *name;
	enum balance_kind balance;
	enum relay_mode relay;
	struct timeouts_conf timeouts;
	struct tcp_conf tcp;
	uint32_t retries;              /* further targets tried after a failed connect */
	uint32_t retry_budget_percent; /* retries allowed, as a share of new sessions */
	struct addr *sources;          /* addresses to connect from, used in turn; port 0 */
	size_t source_count;
	struct target_conf *targets;
	size_t target_count;
	bool discovered; /* has a `discover:` part, so an empty target list is no mistake */
};

struct flow_conf {
	enum flow_format format;
	enum flow_only only;
	uint32_t sample; /* log one in this many ordinary sessions; errors always; >= 1 */
	char *path;      /* NULL: stdout */
};

struct config {
	uint32_t workers; /* 0: derive from CPUs and quota */
	char *user;       /* NULL: stay who we are */
	bool reload_ports_unprivileged;
	uint32_t max_connections; /* 0: derive from RLIMIT_NOFILE and memory */
	uint64_t buffers;         /* hard cap on bytes parked in user space, over all workers */
	uint32_t busy_poll_us;    /* spin this long before sleeping; 0: off */
	uint32_t drain_timeout_ms;
	uint32_t lame_duck_ms;
	uint32_t resolve_interval_ms;
	char *log_level; /* of the operational log: error, warn, info, debug */
	struct flow_conf flow;
	struct listener_conf *listeners;
	size_t listener_count;
	struct pool_conf *pools;
	size_t pool_count;
	struct node *tree; /* what it was built from, defaults filled in; for config_show() */
};

/* The listener that a bound address belongs to, a port of a range included; NULL if none does. */
const struct listener_conf *config_listener_of(const struct config *config,
					       const struct addr *bound);
