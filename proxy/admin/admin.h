/* SPDX-License-Identifier: Apache-2.0
 *
 * The admin API: HTTP/1.1 and JSON on a Unix socket (everything) and on TCP (reading only), and a
 * probe address with /healthz and /readyz alone.
 *
 * Happy path: a thread of its own (transport.c) reads and bounds a request, parses its JSON,
 * decides whether its peer may ask for that, and puts it into a queue; main, woken by admin_fd(),
 * calls admin_serve(), which runs the handlers on main's thread, where registry, events and
 * snapshot can be read without locks; the answers go back through a queue and the thread writes
 * them. A change is answered by admin_published(), a long poll when there is an event. Workers are
 * never involved, except by the orders that main gives them.
 *
 * Failure modes: a peer that is slow, too big, malformed or one of too many is cut off by the
 * thread alone; main does not answer: the thread says so with 503 after a while, and /healthz,
 * which never waits for main, too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/session_info.h"
#include "proxy/stats.h"

struct offload_counts;
struct addr;
struct admin;
struct admission;
struct admin_conf;
struct conf_errors;
struct events;
struct registry;
struct snapshot;
struct target;

/* --- what main tells and does --- */

/* Facts for GET /v1/status. Strings are main's, and good until it runs on. */
struct admin_facts {
	const char *version;
	const char *phase;       /* "serving", "lame_duck", "listeners", "sessions", "closing" */
	const char *config_file; /* NULL: flags and environment only */
	const char *not_ready;   /* a sentence; NULL: ready */
	uint64_t started_wall_us;
	uint64_t uptime_us;
	uint64_t drain_deadline_wall_us; /* 0: not draining, or no deadline */
	uint64_t max_connections;        /* over all workers */
	uint64_t per_worker;             /* sessions */
	uint64_t fds_per_table;
	uint64_t buffers_bytes;
	uint64_t source_ports; /* for one source address and one target */
	bool reload_failed;    /* the last one; what ran before it still runs */
};

/* What a snapshot does not say of a listener. -1: not known. */
struct admin_listener {
	bool paused;
	bool draining;
	int64_t queue_depth;
	int64_t queue_limit;
	int64_t queue_overflows;
};

/* How handlers get at the rest of the program. Every function runs on main's thread, from within
 * admin_serve(), but for the one that says otherwise. Integers are 0 or -errno. All are set. */
struct admin_ops {
	void *context;
	struct registry *registry;
	struct admission *admission; /* NULL: no guard is configured */
	struct events *events;       /* admin sets events_on_add() */

	void (*facts)(void *context, struct admin_facts *ret_facts);

	/* What workers run by now; valid until main runs on. */
	const struct snapshot *(*snapshot)(void *context);

	/* Of listener `index` of the snapshot's configuration. */
	void (*listener)(void *context, size_t index, struct admin_listener *ret_listener);

	/* What became of offered sessions. False: there is no offload. */
	bool (*offload)(void *context, struct offload_counts *ret_counts);

	/* Somebody looks at gauges that take time to fill (targets' source ports): have them filled
	 * soon, and again while somebody keeps looking. */
	void (*look)(void *context);

	/* The CPU that a worker is pinned to, or -1. */
	int (*worker_cpu)(void *context, unsigned index);

	/* The sessions of all workers that fit: each worker's first `limit` in the wanted order, in
	 * any order among each other. `*ret_sessions` is malloc'd and becomes the caller's. */
	int (*sessions)(void *context, const struct session_query *query,
			struct session_info **ret_sessions, size_t *ret_count);

	/* The registry was changed: see to it that workers take that. Returns a ticket; once every
	 * worker runs by a snapshot that was made after this call, main calls admin_published()
	 * with that ticket or a later one, from within this call or any time later. Tickets only
	 * grow. */
	uint64_t (*publish)(void *context);

	/* Drain this process as SIGTERM does. -EALREADY: it does so already. */
	int (*drain)(void *context);

	/* Serve on. -EBUSY: past the lame duck; -EALREADY: it is not draining. */
	int (*undrain)(void *context);

	/* As SIGHUP. -EINVAL with the reasons in `ret_errors` (its warnings too), which the caller
	 * finishes; other errors change nothing either. */
	int (*reload)(void *context, struct conf_errors *ret_errors);

	/* Accept nothing (what comes waits in the kernel's queue), or go on. By name; -ENOENT. */
	int (*pause_listener)(void *context, const char *name, bool pause);

	/* End one session: at a quiet moment, or with RST now. -ENOENT. */
	int (*kill_session)(void *context, uint64_t id, bool reset);

	/* End all sessions of a target, spread over `spread_ms`; `*ret_closing` is how many. */
	int (*close_target)(void *context, struct target *target, uint32_t spread_ms, bool reset,
			    uint64_t *ret_closing);

	/* Make an idle worker turn its loop once, so that it is not taken for a stuck one. Called
	 * on admin's thread: may only write an eventfd(2), or do as little. */
	void (*wake_worker)(void *context, unsigned index);

	/* The workers' counters, for handlers; admin_start() sets these two. */
	struct worker_counts *const *counts;
	unsigned worker_count;
};

/* --- main's side --- */

/* Room for a sentence on why an address cannot be had. */
#define ADMIN_WHY 512

/* Bind what `conf` names, before privileges are given up; nobody is answered yet, and the Unix path
 * still leads to whoever serves it now. `replace`: take addresses over from a running process. 0 or
 * -errno with the reason in `why`; nothing is bound then. With nothing to bind: 0 and NULL. */
int admin_open(const struct admin_conf *conf, bool replace, struct admin **ret_admin, char *why);

/* Listen and answer. `ops` is copied; `counts` are the workers' (for rates and to see who is
 * stuck), and outlive this. 0 or -errno, `why` filled. */
int admin_start(struct admin *admin, const struct admin_ops *ops,
		struct worker_counts *const *counts, unsigned worker_count, char *why);

/* Readable when admin_serve() has something to do: for main's loop. */
int admin_fd(const struct admin *admin);

/* Run the handlers of what was asked, answer long polls that are due. Never blocks by itself. */
void admin_serve(struct admin *admin);

/* Every worker has taken all changes up to `ticket`; or `err`, a -errno, says why not. */
void admin_published(struct admin *admin, uint64_t ticket, int err);

/* A successor serves the addresses from now on: accept nothing more, finish what was begun. */
void admin_yield(struct admin *admin);

/* Answer what waits with 503, end the thread, remove our Unix path, free. Accepts NULL, and one
 * that was never started. */
void admin_stop(struct admin *admin);
