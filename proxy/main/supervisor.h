/* SPDX-License-Identifier: Apache-2.0
 *
 * Main's own state, which the files of this folder share. Main opens every listener and file,
 * builds every snapshot, hears every signal, and leaves the data path to the workers.
 *
 *   SERVING -> LAME_DUCK -> LISTENERS -> SESSIONS -> CLOSING -> DONE
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/loop.h"
#include "proxy/main/limits.h"
#include "proxy/snapshot_build.h"
#include "proxy/worker.h"
#include "proxy/zone.h"

struct admin;
struct admission;
struct census;
struct conf_errors;
struct events;
struct flow_ring;
struct flowlog;
struct health;
struct offload;
struct options;
struct registry;
struct resolver;

enum phase {
	PHASE_SERVING,
	PHASE_LAME_DUCK, /* still accepting, readiness says no */
	PHASE_LISTENERS, /* no new connections; what is queued is still accepted */
	PHASE_SESSIONS,  /* sessions go on by themselves */
	PHASE_CLOSING,   /* the rest is closed, at quiet moments if there are any */
	PHASE_DONE
};

struct supervisor {
	struct options *options;
	struct loop loop;
	struct loop_source signals;      /* signalfd(2) */
	struct loop_source names;        /* eventfd(2): a name resolves differently */
	struct loop_source failures;     /* the wires' eventfd: a target fails too often */
	struct loop_source checks;       /* eventfd(2): health checks have something to report */
	struct loop_source asked;        /* admin_fd() */
	struct loop_source zone_wake;    /* eventfd(2): the zone is known, or will not be */
	struct zone_finder *zone_finder; /* while it asks */
	bool zone_is_found;              /* by asking, so the answer is for good */
	struct limits limits;
	struct config_ref *config;
	struct snapshot *snapshot;
	struct resolver *resolver; /* NULL until a target has a name */
	struct events *events;
	struct registry *registry;
	struct health *health;
	uint64_t checked_set; /* what health was told last, in one number */
	struct admin *admin;  /* NULL: no admin address */
	uint64_t ticket;      /* of the last change that an operator waits for */
	char not_ready[128];  /* the last reason given */
	uint64_t published_us;
	struct timer publish_timer; /* a change that workers don't know yet */
	struct timer tick_timer;    /* the registry's */
	struct worker_wires wires;
	struct offload *offload;     /* NULL: no pool wants it, or it cannot be had */
	bool offload_refused;        /* the self-test failed */
	bool sockmap_refused;        /* likewise */
	struct admission *admission; /* NULL: no guard at the door is configured */
	struct timer guard_timer;
	struct worker **workers;
	struct worker_counts **counts; /* theirs, same order */
	unsigned worker_count;
	uint64_t last_order; /* serial of the last message to a worker */
	struct flow_ring **rings;
	struct flowlog *flowlog;  /* NULL: never asked for */
	struct list bindings;     /* struct binding::link, listening */
	struct list drained;      /* struct binding::link, on their way out */
	struct list predecessors; /* struct predecessor::link, told to drain */
	struct census *census;    /* of source ports in use; NULL: none is under way */
	struct loop_source census_source;
	struct timer census_timer; /* armed: somebody looked lately */
	uint64_t census_looked_us;
	struct timer drain_timer;
	struct timer watch_timer;
	uint64_t next_key;
	_Atomic uint32_t total_open;
	uint32_t total_limit;
	uint64_t started_us;
	bool reload_failed; /* the last one */
	enum phase phase;
	unsigned stop_signals;
	struct timer phase_timer;
	uint64_t phase_deadline_us;
	uint64_t duck_until_us; /* a lame duck goes on accepting until here at least */
	uint64_t duck_clients;  /* who had come so far ... */
	uint64_t duck_quiet_us; /* ... and since when nobody has */
};

/* start.c: bring everything up, or say on stderr why not. 0 or -errno. Takes over `config`. */
int supervisor_start(struct supervisor *sv, struct options *options, struct config *config);

/* Run until the drain is over. */
void supervisor_run(struct supervisor *sv);

/* Stop the threads, print what is to be printed, free everything. */
void supervisor_finish(struct supervisor *sv);

/* crew.c: send one order to every worker and wait until all have answered. The first error. */
int crew_tell(struct supervisor *sv, const struct worker_message *message);

/* crew.c: end one session, at a quiet moment or with RST now. 0, -ENOENT, or another -errno. */
int crew_kill_session(struct supervisor *sv, uint64_t id, bool reset);

/* crew.c: each worker's first `query->limit` sessions; `*ret_sessions` becomes the caller's. */
struct session_info;
struct session_query;
int crew_list_sessions(struct supervisor *sv, const struct session_query *query,
		       struct session_info **ret_sessions, size_t *ret_count);

/* crew.c: give each worker its listening socket. */
struct binding;
int crew_listen(struct supervisor *sv, struct binding *binding);

/* How long a session that main closes looks for a quiet moment, before it is reset. */
#define CLOSE_WAIT_MS 3000

/* crew.c: sessions open now, over all workers. */
uint64_t crew_sessions(struct supervisor *sv);

/* crew.c: sessions ever accepted that are known not to be probes. */
uint64_t crew_clients(struct supervisor *sv);

/* counters.c: one JSON line to the flow log's file, or stdout. */
void counters_print(struct supervisor *sv);

/* drain.c */
void drain_signal(struct supervisor *sv, bool replaced);
int drain_cancel(struct supervisor *sv); /* 0, -EALREADY: not draining, -EBUSY: too late */
void drain_binding(struct supervisor *sv, struct binding *binding);
void drain_init(struct supervisor *sv);

/* watch.c: look at counters and source ports now and then, from now on. */
void watch_start(struct supervisor *sv);

/* source_ports.c: how many are left towards each target. Somebody looks: count soon, and every few
 * seconds for a while; or count now, which may take long. */
void source_ports_init(struct supervisor *sv);
void source_ports_look(struct supervisor *sv);
void source_ports_now(struct supervisor *sv);
void source_ports_stop(struct supervisor *sv);

/* zones.c: the own zone as the configuration wants it, told to the registry. 0 or -ENOMEM. */
int zones_configure(struct supervisor *sv, const struct config *config);
void zones_stop(struct supervisor *sv);

/* listeners.c: bind what is not bound yet into `bindings`; let those listen and serve. 0 or the
 * first -errno, logged. */
int listeners_bind(struct supervisor *sv, const struct config *config, struct list *bindings);
int listeners_listen(struct supervisor *sv, const struct config *config, struct list *bindings);

/* counters.c */
struct stats_sum;
void supervisor_sum(struct supervisor *sv, struct stats_sum *ret_sum);

/* fastpath.c: the kernel's fast path, if some pool wants it: before sockets are bound, so that the
 * keeper of its sockets has none of them. Without it everything is relayed, which is said once. */
void fastpath_qualify(struct supervisor *sv, const struct config *config); /* still privileged */
void fastpath_start(struct supervisor *sv, const struct config *config);
void fastpath_reloaded(struct supervisor *sv, const struct config *config);
void fastpath_stop(struct supervisor *sv);

/* guarding.c: the user that this process runs as in the end. */
unsigned supervisor_future_user(const struct config *config);

/* guarding.c: the guard at the door, if one is configured: before privileges are given up. 0 or
 * -errno, logged. Whether a reload could have the one it asks for: 0, or -EINVAL with the reason.
 */
int guarding_start(struct supervisor *sv, const struct config *config);
int guarding_check(struct supervisor *sv, const struct config *config, struct conf_errors *errors);
void guarding_apply(struct supervisor *sv, const struct config *before, const struct config *now);
void guarding_stop(struct supervisor *sv);

/* publish.c: the registry, what it holds of a configuration, and a snapshot of that for every
 * worker. 0 or -errno. */
int publish_start(struct supervisor *sv);
int publish_configure(struct supervisor *sv, const struct config *config);
int publish_targets(struct supervisor *sv, struct config_ref *config);
void publish_stop(struct supervisor *sv);

/* checks.c: tell the health checker whom to check, if that has changed or `anyway`. */
int checks_start(struct supervisor *sv);
void checks_sync(struct supervisor *sv, bool anyway);
void checks_stop(struct supervisor *sv);

/* inherit.c: what was pushed to the process that this one replaces. */
void inherit_sources(struct supervisor *sv);

/* reload.c: read the configuration again, and serve by it. 0 or -errno, and then nothing has
 * changed; -EINVAL with all that is wrong in `ret_errors`, which has warnings in any case. */
int reload_config(struct supervisor *sv, struct conf_errors *ret_errors);
void reload_on_signal(struct supervisor *sv);
void reload_names(struct supervisor *sv);
int reload_resolver(struct supervisor *sv, const struct config *config);

/* logs.c */
int logs_start(struct supervisor *sv);
void logs_reopen(struct supervisor *sv);
