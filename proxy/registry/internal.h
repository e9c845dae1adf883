/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the registry share.
 *
 * A `roster` is a pool's targets, a `member` one of them, a `listing` what one source says of it.
 * Whatever changes a member touches it (roster_touch), and whoever changed something settles the
 * roster in the end (roster_settle): only there are standings worked out, flags of workers set,
 * and changes told. Touching and settling cost the same for 10 members as for 10,000, unless the
 * pool's mode (panic, backups in use) changes with them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/list.h"
#include "proxy/registry.h"
#include "proxy/registry/table.h"

#define SOURCE_CONFIG   "config"
#define SOURCE_CONTROL  "control" /* pushes what `discover:` asks for */
#define SOURCE_OPERATOR "operator"

/* Members of a plan are numbered in 16 bits by the balancers. */
#define ROSTER_TARGETS_MAX 65536

#define FOREVER UINT64_MAX

struct word;
struct shelf;
struct store;

/* How a target takes part in its pool's decisions. */
enum member_class {
	CLASS_OUT,     /* removed, maintenance, draining: by somebody's word */
	CLASS_GOOD,    /* up, or not checked at all */
	CLASS_UNKNOWN, /* its first check is under way */
	CLASS_EJECTED, /* good, but for what sessions met */
	CLASS_DOWN,
	CLASSES
};

enum rank { PRIMARY, BACKUP, RANKS };

/* What is said to be the same target: id, address and port. Strings are borrowed. */
struct identity {
	struct table_node node;
	const char *id; /* or NULL */
	struct addr addr;
};

uint64_t identity_hash(const char *id, const struct addr *addr);

/* The one of this identity in a table of them, or NULL. */
struct identity *identity_find(const struct table *table, const char *id, const struct addr *addr);

/* A source of one pool. */
struct source {
	char *name;
	char kind[32]; /* as `discover:` names it, or "" */
	uint64_t generation;
	uint64_t wall_us;  /* of the last push */
	size_t order;      /* in roster->sources: the first decides on a target's attributes */
	size_t count;      /* its listings */
	uint32_t position; /* of the next target added by itself */
	bool unverified;   /* the last set was only remembered */
};

/* What one source says of one target. */
struct listing {
	struct listing *next; /* struct member::listings, in the order of sources */
	struct source *source;
	char *zone; /* or NULL */
	uint32_t weight;
	uint32_t max_connections;
	uint32_t position; /* within the source's set */
	uint64_t serial;   /* of the last set that had it */
	bool backup;
	bool draining;
	bool unverified;
};

struct member {
	struct target_record record; /* first: records are members to registry code */
	struct identity identity;    /* struct roster::members */
	struct table_node by_key;    /* struct registry::by_key */
	struct roster *roster;
	struct listing *listings;   /* none once removed */
	struct listing *kept;       /* the last one it had: what a removed target looked like */
	struct list timed;          /* struct roster::timed, if time changes something about it */
	struct list dirty;          /* struct roster::dirty, if touched */
	enum member_class in_class; /* as counted in the roster */
	enum rank rank;             /* as counted in the roster */
	uint64_t draft_serial;      /* of the last set that named it */
	uint64_t eject_us;          /* how long its last ejection is, and ... */
	uint32_t eject_failures;    /* ... after how many failures */
	uint64_t decay_us;          /* when `ejections` goes down by one */
	uint64_t close_us;          /* when its sessions are closed (again); 0: never */
	bool fresh;                 /* not counted yet */
	bool usable;                /* by its own health and ours, leaving panic aside */
	bool dead;                  /* forgotten at the end of this tick */
};

/* What holds for a whole pool; every member's standing depends on it. */
struct mode {
	bool any_up;        /* somebody is known to be good: the unknown ones wait */
	bool below;         /* too few are healthy */
	bool backup_in_use; /* primaries are not enough */
	bool panic;
};

struct roster {
	struct pool_record record; /* first */
	struct registry *registry;
	char *name;
	struct pool_conf settings; /* numbers of the newest configuration; its pointers are void */
	struct table members;      /* struct member::identity */
	size_t capacity;           /* of record.targets */
	size_t source_capacity;
	struct source **sources; /* in their order */
	struct list timed;
	struct list dirty;
	size_t classes[RANKS][CLASSES]; /* members of each */
	struct mode mode;
	bool backup_told;  /* that backups are in use */
	bool unsorted;     /* record.targets is out of order */
	bool changed;      /* its plan, since the last settling */
	bool quiet;        /* many come and go at once: one event tells it */
	bool any_dead;     /* of its members */
	bool leaving;      /* not in the configuration any more */
	bool undiscovered; /* the configuration has no `discover:` for it any more */
	uint64_t serial;   /* of sets */
	size_t listed;     /* not removed */
	size_t gone_count; /* records of targets that are gone */
	uint64_t due_us;   /* when time next changes something */
	struct shelf *shelf;
	struct list link; /* struct registry::leaving */
};

struct registry {
	struct roster **rosters; /* in the configuration's order */
	size_t roster_count;
	struct list parting; /* struct roster::link: pools that go with registry_commit() */
	struct list leaving; /* struct roster::link: pools that are gone, with their last targets */
	struct table by_key; /* struct member::by_key */
	uint64_t last_key;
	unsigned worker_count;
	struct events *events;
	struct registry_hooks hooks;
	char *zone; /* or NULL */
	struct store *store;
};

static inline struct member *member_of(struct target_record *record)
{
	return container_of(record, struct member, record);
}

static inline struct member *roster_member(const struct roster *roster, size_t index)
{
	return member_of(roster->record.targets[index]);
}

/* --- roster.c --- */

struct roster *roster_new(struct registry *registry, const char *name);
void roster_free(struct roster *roster); /* accepts NULL */
struct roster *roster_find(const struct registry *registry, const char *name);
void roster_sort(struct roster *roster); /* unless it is in order */

/* Room for `more` members and one more source. 0 or -ENOMEM. */
int roster_reserve(struct roster *roster, size_t more);

/* Take the numbers of a configuration. */
void roster_adapt(struct roster *roster, const struct pool_conf *conf);

/* --- source.c --- */

struct source *source_find(const struct roster *roster, const char *name);
/* Room for it is reserved. NULL without memory. */
struct source *source_new(struct roster *roster, const char *name);
void source_free(struct roster *roster, struct source *source); /* nothing is listed by it */
bool source_is_pushed(const struct source *source);             /* from outside this process */
/* Whether sluice-control pushes it, as far as configurations have told. */
bool source_is_discovered(const struct source *source);
/* What the newest configuration says of the kind of each; what it does not say stays. */
void sources_name_kinds(struct roster *roster);
/* Write the sources out for readers, and their places for ourselves. */
void sources_publish(struct roster *roster);

/* --- member.c --- */

/* In no roster's array yet, but in both tables, for which there is room. NULL without memory. */
struct member *member_new(struct roster *roster, const struct target_spec *spec);
void member_free(struct member *member); /* takes it out of the tables */
struct member *member_find(const struct roster *roster, const char *id, const struct addr *addr);

struct listing *listing_new(struct source *source, const struct target_spec *spec);
void listing_free(struct listing *listing); /* accepts NULL */
struct listing *member_listing(const struct member *member, const struct source *source);

/* Give a member what a source says of it, in place of what it said before. Takes it over. */
void member_attach(struct member *member, struct listing *listing);
/* The source does not list it any more. */
void member_detach(struct member *member, const struct source *source);

/* It need not wait for a check any more; says why in the history. */
void member_verify(struct member *member, const char *why);

/* --- standing.c --- */

void roster_touch(struct member *member);
void roster_touch_all(struct roster *roster);
void roster_settle(struct roster *roster, uint64_t now_us);

/* The targets that make the backup's or the ejection's reckoning: not out by somebody's word. */
size_t roster_eligible(const struct roster *roster, enum rank rank);
/* Of these, those that sessions may use, leaving panic aside. */
size_t roster_usable(const struct roster *roster, enum rank rank);

enum member_class member_class(const struct member *member);

/* What an operator or else its source says. */
uint32_t member_weight(const struct member *member);

/* It takes nothing new, but its sessions shall end within the pool's drain_timeout. */
bool member_is_drained(const struct member *member);

/* Count it as what it is now. For who cannot wait for the settling. */
void member_classify(struct member *member);

/* --- mode.c --- */

/* The mode that the counted classes make. */
struct mode roster_mode(const struct roster *roster);
bool mode_equal(const struct mode *a, const struct mode *b);
/* Say what is new since `before`: panic, backups. */
void roster_tell(struct roster *roster, const struct mode *before);

/* --- history.c --- */

/* A moment of the target's history. */
void member_note(struct member *member, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The standing has changed from `before`: a moment, and an event. */
void member_tell(struct member *member, enum standing before);

/* --- outlier.c --- */

/* Take back ejections that are too many, or that leave nobody. Reclassifies whom it touches. */
void outlier_trim(struct roster *roster);
/* No longer ejected; says why in the history. */
void outlier_release(struct member *member, const char *why);

/* --- override.c --- */

/* There is no word on it any more, here and in the store. */
void override_clear(struct member *member);
/* The word that was kept from before it came, if there is one. */
void override_recall(struct member *member);
/* `word` is no more: `how` it came, for the history and the events. Call it before it is freed. */
void override_tell_end(struct member *member, const struct override *word, const char *how);

/* --- tick.c --- */

/* The member's next moment, given `now_us`: joins or leaves the timed ones. */
void member_schedule(struct member *member, uint64_t now_us);
