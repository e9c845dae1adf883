/* SPDX-License-Identifier: Apache-2.0
 *
 * Choose a target: pure, no I/O, no clock.
 *
 * A `balancer` is the immutable part (members, weights, Maglev table), built off the workers and
 * shared by all of them, and by all snapshots in which its pool is the same. A `balance_cursor` is
 * one worker's own moving part (position in the round, random state). Happy path: balance_pick()
 * gives a member's index, the caller reserves a slot on it and dials; a failed attempt adds the
 * index to `tried` and asks again.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/model.h"

struct target;
struct balancer;
struct balance_cursor;

struct balance_member {
	struct target *target; /* borrowed; only its in-flight count, limit and `closed` are read */
	const char *key;       /* borrowed; stable identity, what Maglev hashes */
	uint32_t weight;       /* 0: takes nothing new */
};

/* Why balance_pick() found nobody; always negative, so it shares its return with an index. */
enum balance_none {
	BALANCE_EMPTY = -1,    /* no members */
	BALANCE_DRAINING = -2, /* all weights are 0, or all with one are closed */
	BALANCE_FULL = -3,     /* some are left that are open, all at their limit */
	BALANCE_TRIED = -4,    /* all usable ones were tried */
};

#define BALANCE_MEMBERS_MAX 65536
#define BALANCE_TRIED_MAX   8

struct balance_query {
	uint64_t key_hash;                 /* of the client's address; for Maglev */
	uint32_t tried[BALANCE_TRIED_MAX]; /* member indices not to return again */
	uint8_t tried_count;
};

extern const char *const balance_kind_names[BALANCE_KINDS];

/* Copies `members`. One reference; NULL without memory. At most BALANCE_MEMBERS_MAX members.
 * `load_percent` is for Maglev: most of its fair share of what is in flight that a member gets; 0:
 * no bound. */
struct balancer *balancer_new(enum balance_kind kind, const struct balance_member *members,
			      size_t count, uint32_t load_percent);
struct balancer *balancer_get(struct balancer *balancer); /* accepts NULL, returns its argument */
void balancer_put(struct balancer *balancer);             /* accepts NULL */

/* `worker` of `worker_count` decides where the round starts, so that workers do not all begin at
 * the first target. `balancer` must outlive the cursor. */
struct balance_cursor *balance_cursor_new(const struct balancer *balancer, unsigned worker,
					  unsigned worker_count, uint64_t seed);
void balance_cursor_free(struct balance_cursor *cursor); /* accepts NULL */

/* Go on from where the cursor of an earlier balancer stands, as far as their targets are the same,
 * so that frequent changes do not begin every round anew. Without memory, or if the kind differs,
 * the cursor stays as it is. */
void balance_cursor_resume(struct balance_cursor *cursor, const struct balance_cursor *before);

/* The index of the member to dial, or one of enum balance_none. Does not reserve. */
int balance_pick(struct balance_cursor *cursor, const struct balance_query *query);
