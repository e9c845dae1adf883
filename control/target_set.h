/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole snapshot of what one source says: the targets, each with its identity and what it is
 * worth. Once sealed it is sorted and immutable, so that two sets compare and hash by walking them.
 *
 * A target's identity is its id together with its address: a new id at an old address is another
 * target, since addresses are used again.
 *
 * Ownership: a set owns the texts it was given. Failure modes: memory; two targets of the same
 * identity that say different things, which makes the snapshot one that cannot be believed.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FOUND_WEIGHT     100 /* of a target that says nothing of it */
#define FOUND_WEIGHT_MAX 1000

struct found_target {
	const char *id;      /* task ARN, instance id, ...; NULL: the address is the identity */
	const char *address; /* numeric: "10.0.0.1:80", "[2001:db8::1]:80" */
	const char *zone;    /* zone id ("use1-az1") or name; NULL: not known */
	uint32_t weight;     /* 0..1000 */
	uint32_t max_connections; /* 0: unlimited */
	bool backup;
	bool draining; /* goes on with what it has, and takes nothing new */
};

#define SET_DIGEST_TEXT 33 /* 128 bits in hex, and a NUL */

struct target_set;

struct target_set *target_set_new(void);      /* NULL without memory */
void target_set_free(struct target_set *set); /* accepts NULL */

/* Copies it, texts included. 0; -ENOMEM; -EINVAL where the admin API would refuse it: an address
 * that is not numeric or has no port, an id with spaces or of over 255 bytes, a zone of over 63,
 * a weight over 1000. */
int target_set_add(struct target_set *set, const struct found_target *target);

/* Sort, and drop repetitions. 0; -EEXIST when two of one identity differ, then *ret_twice is one
 * of them; nothing may be added later. */
int target_set_seal(struct target_set *set, const struct found_target **ret_twice);

/* A sealed one of a sealed one. NULL without memory. */
struct target_set *target_set_copy(const struct target_set *set);

size_t target_set_count(const struct target_set *set);  /* NULL has none */
size_t target_set_usable(const struct target_set *set); /* of them not draining, weight over 0 */
const struct found_target *target_set_at(const struct target_set *set, size_t index);

/* By identity; NULL if there is none. */
const struct found_target *target_set_find(const struct target_set *set, const char *id,
					   const char *address);

bool target_set_equal(const struct target_set *a, const struct target_set *b);

/* Of everything in it, SHA-256 cut to 128 bits; `ret_text` has SET_DIGEST_TEXT bytes. */
void target_set_digest(const struct target_set *set, char *ret_text);

enum set_change { SET_ADDED, SET_REMOVED, SET_DRAINED, SET_RETURNED, SET_CHANGED };

extern const char *const set_change_names[];

/* What leads from `before` (NULL: nothing) to `after`, in order of identity; `was` is NULL for what
 * was added, `is` for what was removed. Returns how many there were; `visit` may be NULL. */
size_t target_set_diff(const struct target_set *before, const struct target_set *after,
		       void (*visit)(void *context, enum set_change change,
				     const struct found_target *was, const struct found_target *is),
		       void *context);

/* An array as `PUT /v1/pools/NAME/sources/SOURCE` takes it. NULL without memory. */
json_t *target_set_to_json(const struct target_set *set);

/* And back, sealed. 0, -ENOMEM, or -EINVAL with a sentence in `ret_problem` (`size` bytes). Keys
 * that are not known are refused. */
int target_set_from_json(const json_t *array, struct target_set **ret_set, char *ret_problem,
			 size_t size);
