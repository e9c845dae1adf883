/* SPDX-License-Identifier: Apache-2.0
 *
 * One source of one pool at run time: when it is asked, what it said, what of that is in force.
 *
 *      timer, hint, trigger                                last-known-good file
 *             |                                                   ^
 *           fetch --> source --> set --> guard --apply--> current --> proxy (link)
 *                       |                  |
 *                     failed: backoff     hold: until confirmed or approved
 *
 * Happy path: every interval (with jitter, stretched by the fleet's share of the budget) the source
 * is asked; a set that passes the guard becomes `current`, is written down and pushed.
 * Failure modes: an error keeps `current` for ever and asks again with backoff; before the first
 * answer the last-known-good file is `current`, unverified, unless it is too old. Nothing at all
 * (no answer, no file, nothing at the proxy) pushes nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/guard.h"
#include "control/source.h"
#include "control/target_set.h"
#include "proxy/base/list.h"
#include "proxy/base/timer.h"

struct feed_set;
struct journal;
struct lastgood;
struct link;

enum feed_origin {
	FEED_NOTHING,  /* no set is known yet */
	FEED_PROXY,    /* what the proxy had when we came */
	FEED_LASTGOOD, /* what the file had */
	FEED_SOURCE    /* what the source said */
};

extern const char *const feed_origin_names[];

struct feed {
	struct list link; /* struct feed_set::feeds */
	struct feed_set *set;
	char *pool;
	char *name; /* under which it is pushed: the kind, or its `name:` */
	const struct source_kind *kind;
	struct source *source;
	struct aws *aws; /* NULL for dns and file */
	char key[65];    /* of the last-known-good file */
	struct guard_conf guard;
	uint32_t interval_ms; /* as configured */
	double stretch;       /* of it, so that the fleet stays in the budget; 1 at least */
	struct timer timer;
	bool running; /* a fetch is under way */
	bool again;   /* and another is wanted after it */

	struct target_set *current;  /* NULL: none */
	struct target_set *unjudged; /* the last snapshot, as long as the proxy was never met */
	bool met_proxy;              /* what it had is known, and judged against */
	bool unpushed;               /* `current` did not even get as far as the link */
	enum feed_origin origin;
	struct guard_hold hold;
	uint64_t generation;       /* of the last push in force */
	uint64_t asked_us;         /* CLOCK_MONOTONIC; 0: never */
	uint64_t answered_wall_us; /* the last snapshot that was whole, or the file's; 0: never */
	uint64_t applied_wall_us;  /* `current` began to hold */
	uint64_t took_us;          /* the last fetch */
	uint32_t failures_in_a_row;
	uint64_t failing_since_wall_us;
	char error_kind[24]; /* of the last fetch, "" when it was well */
	char problem[512];
	char push_problem[256]; /* "" when the proxy has `current` */
	int save_err;           /* of the last write of the file */
	uint64_t next_save_us;  /* CLOCK_MONOTONIC: when a set that stays is written again */
	bool said_old;          /* that `current` is of a file that is too old by now */

	uint64_t fetches;
	uint64_t failures;
	uint64_t applies;
	uint64_t holds; /* rows that began */
};

/* All feeds of one configuration. */
struct feed_set {
	struct list feeds; /* struct feed::link */
	struct loop *loop;
	struct link *link;         /* NULL: --once --dry-run reads the proxy itself */
	struct lastgood *lastgood; /* or NULL */
	struct journal *journal;
	uint64_t last_good_max_age_us;
	uint32_t fleet_size;
};

/* On the list of `set`, with nothing in it but its names. NULL without memory. The caller then sets
 * source, aws, key, guard and interval_ms. */
struct feed *feed_new(struct feed_set *set, const char *pool, const char *name,
		      const struct source_kind *kind);

/* NULL if there is none. */
struct feed *feed_find(const struct feed_set *set, const char *pool, const char *name);

void feed_start(struct feed *feed); /* the proxy's set and the file first, then the source */

/* The proxy came up, for each feed (struct link_conf::on_up). What it has counts more than the
 * file, and the first time a snapshot that came before it is judged against that. */
void feed_on_proxy(struct feed *feed);

/* What became of a push (struct link_conf::on_pushed). */
void feed_on_pushed(struct feed *feed, uint64_t generation, const char *problem);

/* Ask now: coalesced, and AWS at most once a second. `why` is for the journal; NULL: not noted. */
void feed_trigger(struct feed *feed, const char *why);

/* Let the held set through. 0; -ENOENT when nothing is held; -ESTALE when `digest` (or NULL) is
 * not what is held. `who` is for the journal. */
int feed_approve(struct feed *feed, const char *digest, const char *who);

/* Forget what is held; the next snapshot is judged anew. */
int feed_reject(struct feed *feed, const char *who);

/* Between two questions: as wished by the source, and stretched for the fleet. */
uint32_t feed_interval_ms(const struct feed *feed);

/* Off the list, its source closed; the proxy keeps its set. `aws` stays with its owner. */
void feed_free(struct feed *feed);

/* Everything known of it, for the API, `sluicectl discovery` and tests. NULL without memory. */
json_t *feed_describe(const struct feed *feed, bool with_targets);
