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

/* Whether the kernel may translate packets of established sessions by itself (xdp/). */
enum offload_mode {
	OFFLOAD_OFF,
	OFFLOAD_AUTO, /* those that have proved to last */
	OFFLOAD_FLOW, /* as soon as they are established */
	OFFLOAD_SOCKMAP,
	OFFLOAD_MODES
};

enum steer_mode {
	STEER_HASH, /* the kernel's hash over the 4-tuple */
	STEER_CPU,  /* the worker whose index is the receiving CPU's */
	STEER_MODES
};

/* What a listener expects in front of its clients' bytes. */
enum proxy_accept {
	PROXY_ACCEPT_OFF,
	PROXY_ACCEPT_OPTIONAL, /* from trusted peers, if it comes */
	PROXY_ACCEPT_REQUIRED, /* trusted peers only, and never without */
	PROXY_ACCEPT_MODES
};

/* What a pool's targets get in front of the client's bytes. */
enum proxy_send { PROXY_SEND_OFF, PROXY_SEND_V1, PROXY_SEND_V2, PROXY_SEND_MODES };

enum health_kind {
	HEALTH_OFF,
	HEALTH_TCP,         /* the handshake */
	HEALTH_HTTP,        /* a status within a range */
	HEALTH_TLS,         /* a ClientHello answered by a ServerHello */
	HEALTH_SEND_EXPECT, /* bytes sent, bytes found in the answer */
	HEALTH_KINDS
};

enum on_down { ON_DOWN_KEEP, ON_DOWN_CLOSE, ON_DOWN_KINDS };

enum panic_mode { PANIC_OPEN, PANIC_REFUSE, PANIC_MODES };

/* Which of a pool's targets are asked first. */
enum tier {
	TIER_LOCAL,  /* primary targets of our zone, or all if zones don't matter */
	TIER_REMOTE, /* primary targets of other zones */
	TIER_BACKUP,
	TIERS
};

enum readiness_mode { READINESS_LISTENERS, READINESS_POOLS, READINESS_MODES };

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
	uint16_t mss;             /* TCP_MAXSEG: what peers may send at once; 0: what fits */
	char *congestion;         /* TCP_CONGESTION; NULL: the kernel's default */
	bool fast_open;           /* TCP_FASTOPEN on a listener, TCP_FASTOPEN_CONNECT on a pool */
};

struct timeouts_conf {
	uint32_t connect_ms;    /* one attempt */
	uint32_t idle_ms;       /* no byte either way; 0: never */
	uint32_t half_close_ms; /* from the first FIN, while nothing moves; 0: never */
	uint32_t lifetime_ms;   /* of a session, plus up to 10 % of jitter; 0: unlimited */
};

/* Whether SYNs are answered with cookies. */
enum cookie_mode { COOKIES_OFF, COOKIES_AUTO, COOKIES_ALWAYS, COOKIE_MODES };

enum hook_mode { HOOK_AUTO, HOOK_NATIVE, HOOK_GENERIC, HOOK_MODES };

/* What the guard does at a listener's door. */
struct door_conf {
	struct addr_block *allow;
	size_t allow_count;
	struct addr_block *deny;
	size_t deny_count;
	uint32_t syn_rate; /* a second and source; 0: unlimited */
	uint32_t syn_burst;
	enum cookie_mode cookies;
	uint32_t flood_rate; /* SYNs a second to one port; more is a flood */
	bool dry_run;
};

struct interface_conf {
	char *name;
	enum hook_mode mode;
};

/* Where the guard stands. Without interfaces there is none. */
struct guard_house_conf {
	struct interface_conf *interfaces;
	size_t interface_count;
	bool keep; /* when this process dies */
};

/* Where the fast path meets packets. */
enum fast_hook { FAST_HOOK_AUTO, FAST_HOOK_TC, FAST_HOOK_XDP, FAST_HOOK_XDP_GENERIC, FAST_HOOKS };

struct fast_interface_conf {
	char *name;
	enum fast_hook hook; /* auto: the fast path's */
};

/* How the kernel does what `offload` lets it. */
struct fast_path_conf {
	enum fast_hook hook;
	struct fast_interface_conf *interfaces; /* none: all of this host's */
	size_t interface_count;
	uint32_t sessions; /* at once */
	char *pin;         /* a directory on bpffs, or "off" */
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
	struct door_conf door;
	struct addr_block *trusted; /* balancers: may send a PROXY header; probes never logged */
	size_t trusted_count;
	enum proxy_accept proxy_protocol;
	uint32_t proxy_timeout_ms;  /* `optional`: for a first byte, then there is no header */
	uint32_t header_timeout_ms; /* for the whole header, once one is required or has begun */
};

struct target_conf {
	char *address;    /* as written: "10.0.0.1:80", "db.internal:5432", "unix:/run/x.sock" */
	char *host;       /* the name to resolve, or NULL when `addr` is already numeric */
	struct addr addr; /* port is set even while the host is unresolved */
	uint32_t weight;  /* 0..1000; 0 takes no new session (draining) */
	uint32_t max_connections; /* 0: unlimited */
	char *id;                 /* identity across addresses; NULL: the address is the identity */
	char *zone;               /* NULL: not known */
	bool backup;              /* used only while no other target can be */
};

/* Bytes, as written in text or in hexadecimal. */
struct bytes_conf {
	uint8_t *data;
	size_t size;
};

struct health_conf {
	enum health_kind kind;
	uint16_t port;             /* 0: the target's own */
	uint32_t interval_ms;      /* between checks of a target whose state is settled */
	uint32_t fast_interval_ms; /* while its state is changing, or it is down */
	uint32_t timeout_ms;       /* for one whole check */
	uint32_t rise;             /* good checks in a row until up */
	uint32_t fall;             /* bad ones until down */
	uint32_t jitter_percent;   /* of each interval */
	char *method;              /* http */
	char *path;                /* http */
	char *host;          /* http: Host; tls: server name (SNI). NULL: the address, or none */
	uint16_t status_low; /* http: the range that counts as good */
	uint16_t status_high;
	struct bytes_conf send; /* send_expect; size 0: the server speaks first */
	struct bytes_conf expect;
};

/* Passive checks: what sessions meet. */
struct outlier_conf {
	uint32_t failures;            /* connects failed in a row until ejected; 0: off */
	bool resets;                  /* a reset before the first byte counts too */
	uint32_t ejection_ms;         /* the first time; doubles each further time, and decays */
	uint32_t ejection_max_ms;     /* its bound */
	uint32_t max_ejected_percent; /* of a pool's targets, rounded up; never the last one */
};

/* A source that `discover:` names, for sluice-control. */
struct discover_conf {
	char *name; /* what it is pushed as */
	char *kind; /* "ec2" */
};

struct pool_conf {
	char *name;
	enum balance_kind balance;
	enum relay_mode relay;
	enum offload_mode offload;
	struct timeouts_conf timeouts;
	struct tcp_conf tcp;
	uint32_t retries;              /* further targets tried after a failed connect */
	uint32_t retry_budget_percent; /* retries allowed, as a share of new sessions */
	struct addr *sources;          /* addresses to connect from, used in turn; port 0 */
	size_t source_count;
	struct target_conf *targets;
	size_t target_count;
	bool discovered; /* has a `discover:` part, so an empty target list is no mistake */
	struct discover_conf *discovers; /* its sources */
	size_t discover_count;
	enum proxy_send proxy_protocol;
	bool proxy_crc32c; /* v2: add the checksum */
	struct health_conf health;
	struct outlier_conf outlier;
	enum on_down on_down;
	uint32_t min_healthy_percent; /* below it, or with nobody healthy: panic */
	enum panic_mode panic;
	uint32_t max_connections; /* over all its targets; 0: unlimited */
	uint32_t queue_size;      /* sessions that may wait for a free slot; 0: none */
	uint32_t queue_timeout_ms;
	uint32_t slow_start_ms;    /* ramp of a new or recovered target's share; 0: none */
	uint32_t connect_rate;     /* new connections a second and target; 0: unlimited */
	uint32_t load_percent;     /* maglev: most of the mean load one target takes; 0: off */
	bool zone_aware;           /* own zone first, if it is known */
	uint32_t drain_timeout_ms; /* of a removed or drained target's sessions; 0: for ever */
	uint32_t drain_spread_ms;  /* their closing is spread over this */
};

/* Where operators and balancers ask. An address with family 0 is off. */
struct admin_conf {
	struct addr socket; /* AF_UNIX: everything */
	uint32_t mode;      /* of the socket's file, e.g. 0660 */
	struct addr http;   /* TCP: read-only */
	struct addr probe;  /* TCP: /healthz and /readyz, with or without a PROXY header */
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
	uint32_t lame_duck_ms;       /* 0: none */
	uint32_t lame_duck_quiet_ms; /* it also lasts until nobody came for this long ... */
	uint32_t lame_duck_max_ms;   /* ... at most until then */
	uint32_t resolve_interval_ms;
	char *log_level; /* of the operational log: error, warn, info, debug */
	struct flow_conf flow;
	struct admin_conf admin;
	struct fast_path_conf fast_path;
	struct guard_house_conf guard;
	char *state_directory;  /* where overrides survive a restart; NULL: nowhere */
	char *zone;             /* "off", "auto" or the zone's own name or id */
	uint32_t start_wait_ms; /* readiness waits this long for a discovered pool's first set */
	enum readiness_mode readiness;
	struct listener_conf *listeners;
	size_t listener_count;
	struct pool_conf *pools;
	size_t pool_count;
	struct node *tree; /* what it was built from, defaults filled in; for config_show() */
};

/* The listener that a bound address belongs to, a port of a range included; NULL if none does. */
const struct listener_conf *config_listener_of(const struct config *config,
					       const struct addr *bound);
