/* SPDX-License-Identifier: Apache-2.0
 *
 * All targets of all pools, and why each takes sessions or not. Main's thread owns it.
 *
 * A pool's targets are the union of its *sources*: "config" (the file), "control" (pushed by
 * sluice-control), "operator" (added by hand), or any other name that pushes. Each source gives a
 * whole set with a generation. Identity is id + address + port: a new id at an old address is a new
 * target, with fresh health, ramp and no override.
 *
 * Happy path: sources, health checks, sessions' failures and operators report here; each report
 * that changes what runs marks the pool as changed and calls `changed`; main then asks for a plan
 * of the pool and makes a snapshot of it. registry_tick() makes time pass: ejections and overrides
 * that end, ramps, removed targets that are empty or past their deadline.
 *
 * Records stay valid until the next registry_tick() or registry_configure(), which may forget those
 * of targets that are gone.
 *
 * Failure modes: no memory leaves everything as it was, with -ENOMEM; a state directory that cannot
 * be written is an event and an error to the operator who asked, the override holds until exit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/model.h"
#include "proxy/reason.h"

struct events;
struct pool_state;
struct registry;
struct target;

/* What registry code asks of whoever runs it. */
struct registry_hooks {
	void *context;
	void (*changed)(void *context); /* some pool's plan may differ; many calls are one change */
	/* Close this target's sessions at quiet moments within `spread_ms`, then reset. */
	void (*close_sessions)(void *context, struct target *target, uint32_t spread_ms,
			       enum reason reason);
};

/* One target as a source describes it. Strings are the caller's; the registry copies. */
struct target_spec {
	const char *id; /* NULL: the address is the identity */
	struct addr addr;
	const char
		*written; /* how to call it instead of its address ("db:5432/10.0.0.1"), or NULL */
	const char *zone; /* or NULL */
	uint32_t weight;  /* 0..1000 */
	uint32_t max_connections; /* 0: unlimited */
	bool backup;
	bool draining;   /* the source wants it to take nothing new */
	bool unverified; /* only remembered: if it is new to the pool, it serves after a passed
			    check */
};

/* What one source says of a target. Strings are the registry's. */
struct target_listing {
	const char *source;
	const char *zone; /* or NULL */
	uint32_t weight;
	uint32_t max_connections;
	bool backup;
	bool draining;
};

enum health_status {
	HEALTH_UNCHECKED, /* the pool has no check */
	HEALTH_UNKNOWN,   /* not checked yet: used only while no target of the pool is up */
	HEALTH_UP,
	HEALTH_GOING_DOWN, /* still up, the last check failed */
	HEALTH_DOWN,
	HEALTH_GOING_UP, /* still down, the last check succeeded */
	HEALTH_STATUSES
};

/* Why a target takes new sessions, or not: the first that holds. */
enum standing {
	STANDING_REMOVED,     /* no source lists it any more; its sessions go on */
	STANDING_MAINTENANCE, /* an operator's override */
	STANDING_DRAINING,    /* an operator's override, its source, or weight 0 */
	STANDING_DOWN,        /* health checks */
	STANDING_EJECTED,     /* sessions' failures */
	STANDING_CHECKING,    /* new, its first check is under way */
	STANDING_IDLE_BACKUP, /* a backup, while others serve */
	STANDING_RAMPING,     /* serves, with a growing share */
	STANDING_SERVING,
	STANDINGS
};

extern const char *const health_status_names[HEALTH_STATUSES];
extern const char *const standing_names[STANDINGS];

enum override_kind { OVERRIDE_NONE, OVERRIDE_DRAIN, OVERRIDE_MAINTENANCE, OVERRIDE_KINDS };

/* An operator's word on a target; it survives reload, push and restart. */
struct override {
	enum override_kind kind;
	int32_t weight;         /* -1: not overridden */
	char who[64];           /* "uid 1000 (alice)" */
	char why[128];          /* or "" */
	uint64_t since_wall_us; /* 0: there is no override at all */
	uint64_t until_wall_us; /* 0: for good */
};

#define TARGET_HISTORY 16

struct target_moment {
	uint64_t wall_us;
	char text[160];
};

/* What is known of a target. Read by anyone on main's thread, changed by registry code alone.
 * Strings are the record's own. */
struct target_record {
	struct target *target;
	struct pool_record *pool;
	uint64_t key; /* unique in this process, never reused: what health checks are keyed by */
	char *id;     /* or NULL */
	char *zone;   /* or NULL */
	char *source; /* the first source that lists it, "" once removed */
	uint32_t weight;
	uint32_t max_connections;
	bool backup;
	bool source_draining;
	bool unverified; /* held back until a check passes, or a source vouches for it */
	enum health_status health;
	uint32_t checks_passed; /* in a row, or ... */
	uint32_t checks_failed;
	uint32_t checks_needed;    /* to come up; more than `rise` while it flaps. 0: `rise` */
	uint64_t checked_wall_us;  /* 0: never */
	uint32_t check_us;         /* how long the last one took */
	char check_text[128];      /* what it said: "HTTP 503", "connect refused" */
	uint64_t ejected_until_us; /* CLOCK_MONOTONIC; 0: not ejected */
	uint32_t ejections;        /* lately: decays while all is well */
	struct override override;
	uint64_t added_wall_us;
	uint64_t ramp_start_us;  /* 0: not ramping */
	uint64_t removed_us;     /* 0: still listed by a source */
	uint32_t returns;        /* how often it was listed again after that */
	uint64_t drain_until_us; /* when its sessions are closed; 0: no deadline */
	uint64_t gone_us;        /* removed and empty since; forgotten 10 minutes later */
	enum standing standing;
	uint64_t standing_wall_us;                    /* since when */
	uint32_t effective_weight;                    /* in the plan: 0 takes nothing new */
	bool in_panic;                                /* used only because of panic */
	struct target_moment history[TARGET_HISTORY]; /* a ring, the newest at (moments - 1) % 16 */
	uint32_t moments;                             /* ever */
};

struct source_record {
	char *name;
	const char *kind; /* as `discover:` names it ("ec2"); NULL: it is not from there */
	uint64_t generation;
	uint64_t wall_us; /* when it was pushed */
	size_t target_count;
	bool unverified; /* its last set was only remembered */
};

struct pool_record {
	const struct pool_conf *conf; /* of the newest configuration; valid until the next one */
	struct pool_state *state;
	struct target_record **targets; /* removed and gone ones too */
	size_t target_count;
	struct source_record *sources;
	size_t source_count;
	size_t usable;   /* targets that may take sessions, backups too */
	size_t healthy;  /* of the primary, not administratively out ones */
	size_t eligible; /* the primary, not administratively out ones */
	bool panic;
	bool backup_in_use;
	bool awaited;     /* has `discover:` and no set yet */
	uint64_t changes; /* of its plan, ever */
};

/* --- building and changing --- */

/* `state_directory` may be NULL. 0 or -errno; a directory that cannot be used is an event. */
int registry_new(unsigned worker_count, struct events *events, const struct registry_hooks *hooks,
		 const char *state_directory, struct registry **ret_registry);
void registry_free(struct registry *registry); /* accepts NULL */

/* The pools of a new configuration, in its order. Pools that are gone lose their targets; those
 * that stay keep them; settings take effect at once. Static targets come by registry_put() as
 * source "config", every time the configuration or a name's addresses change. 0 or -ENOMEM. */
int registry_configure(struct registry *registry, const struct config *config);

/* The same in two steps, so that it can be taken back: between them nothing that was pushed is
 * lost, and another registry_adopt(), of the configuration before, restores what was. */
int registry_adopt(struct registry *registry, const struct config *config);
void registry_commit(struct registry *registry);

/* Own zone, once known; NULL: not known. A zone has a name and an id, and targets are labelled with
 * either, so it may be several names with commas between: "use1-az1,us-east-1a". 0 or -ENOMEM. */
int registry_set_zone(struct registry *registry, const char *zone);
const char *registry_zone(const struct registry *registry); /* or NULL */
bool registry_is_own_zone(const struct registry *registry, const char *zone);

enum put_result { PUT_APPLIED, PUT_SAME };

/* A source's whole set. Newer generations apply; an equal one with the same content is PUT_SAME;
 * -ESTALE otherwise, with the current generation. -ENOENT: no such pool; -EINVAL: two specs of one
 * identity, or a bad one; -E2BIG: too many; -ENOMEM. Generation 0 always applies, and counts up
 * ("config" and "operator" use it). Of one identity twice in "config" the first counts: two names
 * of one server are one target. */
int registry_put(struct registry *registry, const char *pool, const char *source,
		 uint64_t generation, const struct target_spec *specs, size_t count,
		 uint64_t *ret_generation);

/* Sluice-control pushes that source, as another process knew: "ec2". Without effect if there is
 * none, or if the configuration says otherwise. */
void registry_name_kind(struct registry *registry, const char *pool, const char *source_name,
			const char *kind);

/* The source left: its targets are removed unless another lists them. 0, -ENOENT, -ENOMEM. */
int registry_drop_source(struct registry *registry, const char *pool, const char *source);

/* Add to, or take from, source "operator". -EEXIST, -ENOENT; -EPERM: another source lists it, which
 * would bring it back (drain it instead). */
int registry_add(struct registry *registry, const char *pool, const struct target_spec *spec);
int registry_remove(struct registry *registry, struct target_record *record);

/* Set or (kind none, weight -1) lift the operator's word. `override` is copied. 0, -ENOMEM, or the
 * -errno of the state directory (it holds all the same, until exit). */
int registry_override(struct registry *registry, struct target_record *record,
		      const struct override *override);

/* Write what the state directory does not have yet: what was said in a burst waits up to 100 ms,
 * and must not be answered before. */
void registry_flush(struct registry *registry);

/* A check's outcome, already judged by rise and fall. `text` as in check_text. Unknown keys are
 * ignored: the target has left meanwhile. */
struct health_report {
	uint64_t key;
	enum health_status status;
	uint32_t passed; /* in a row */
	uint32_t failed;
	uint32_t needed; /* passed ones, to come up; 0: `rise` */
	uint32_t took_us;
	char text[128];
};
void registry_health(struct registry *registry, const struct health_report *report);

/* Sessions failed to connect: look at the targets' `failures` of all pools, and eject. Cheap when
 * nothing is amiss; called by main when a worker says so. */
void registry_outliers(struct registry *registry);

/* Time passes. Returns microseconds from `now_us` until it wants to be called again; what changes
 * in between may want it sooner, so call it after `changed` as well. */
uint64_t registry_tick(struct registry *registry, uint64_t now_us);

/* --- reading --- */

size_t registry_pool_count(const struct registry *registry);
struct pool_record *registry_pool_at(struct registry *registry, size_t index);
struct pool_record *registry_pool(struct registry *registry, const char *name); /* or NULL */

/* By its name, key in decimal, id, or "address:port", if only one fits; `pool` may be NULL for any.
 * 0, -ENOENT, or -ENOTUNIQ. */
int registry_find(struct registry *registry, const char *pool, const char *target,
		  struct target_record **ret_record);

/* What the `index`-th source that lists it says, in the order in which they decide. False behind
 * the last. */
bool registry_listing(const struct target_record *record, size_t index,
		      struct target_listing *ret_listing);

/* A sentence on why it takes sessions or not, for people: "down since 12:03:04: connect refused, 3
 * of 3 checks failed". Returns its length, as snprintf(3). */
int registry_explain(const struct target_record *record, char *buf, size_t size);

/* --- the plan --- */

struct plan_member {
	struct target *target; /* borrowed from the registry */
	uint32_t weight;       /* effective; 0: takes nothing new, listed for its counters */
	uint16_t ramp;         /* thousandths of its fair share of new sessions; 1000: all of it */
	uint8_t tier;          /* enum tier */
};

/* What a snapshot of a pool is made of. */
struct pool_plan {
	struct pool_state *state; /* borrowed */
	struct plan_member *members;
	size_t count;
	uint16_t local_share; /* thousandths of sessions that try TIER_LOCAL first, else REMOTE */
	bool refuse;          /* panic, and the pool refuses then */
	bool all_down;        /* there are targets, and health says none should be used */
};

/* Of the pool at `index` in the configuration. 0 or -ENOMEM. */
int registry_plan(struct registry *registry, size_t index, struct pool_plan *ret_plan);
void pool_plan_fini(struct pool_plan *plan);

/* Grows with each change of that plan: equal means that the last one still holds. */
uint64_t registry_plan_version(const struct registry *registry, size_t index);
