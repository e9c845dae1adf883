/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators said, so that it survives a restart: per pool a `shelf` with the words on targets,
 * those that are not there now too, and the operator's own targets. All of it is one JSON file in
 * the state directory; without a directory it holds until exit.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "proxy/base/list.h"
#include "proxy/registry.h"
#include "proxy/registry/internal.h"

/* An override, kept by the identity it is about. */
struct word {
	struct identity identity; /* struct shelf::words */
	struct list link;         /* struct shelf::word_list */
	char *id;                 /* or NULL */
	char *address;            /* as text; what identity.addr.path borrows from */
	struct override override;
	uint64_t seen_wall_us; /* when its target was last listed */
};

struct shelf {
	struct list link; /* struct store::shelves */
	char *name;       /* of the pool */
	struct table words;
	struct list word_list;
	struct roster *roster; /* that has the pool's targets now, or NULL */
	json_t *targets;       /* an array: source "operator", while there is no roster */
};

struct store {
	struct list shelves; /* struct shelf::link */
	struct events *events;
	char *directory;   /* or NULL */
	int dir_fd;        /* -1: none, or it cannot be used */
	int err;           /* of the last attempt to write, or of the directory */
	bool dirty;        /* something is not written yet */
	bool recalling;    /* what is added now comes from the file */
	uint64_t tried_us; /* the last attempt to write */
};

/* `directory` may be NULL. What cannot be read is an event, and kept aside. NULL without memory. */
struct store *store_new(const char *directory, struct events *events);
void store_free(struct store *store); /* accepts NULL */

/* The pool's, made if need be. NULL without memory. */
struct shelf *store_shelf(struct store *store, const char *pool);

struct word *shelf_find(const struct shelf *shelf, const char *id, const struct addr *addr);
/* In place of what was said before. 0 or -ENOMEM. */
int shelf_keep(struct shelf *shelf, const char *id, const struct addr *addr,
	       const struct override *override);
void shelf_drop(struct shelf *shelf, struct word *word);

/* Write the file: now, or soon if it was written a moment ago. 0, or the last -errno. */
int store_save(struct store *store);
/* When store_flush() wants to be called, CLOCK_MONOTONIC in microseconds, or FOREVER. */
uint64_t store_due(const struct store *store);
void store_flush(struct store *store);

/* The operator's own targets: from the shelf to a roster that begins, and back when it ends. */
void store_recall_targets(struct roster *roster);
void store_keep_targets(struct roster *roster);

/* --- state_json.c --- */

/* All shelves. NULL without memory. */
json_t *state_to_json(const struct store *store);
/* What a file said. 0; -EINVAL when some of it could not be understood, the rest is taken over. */
int state_from_json(struct store *store, const json_t *root);
/* The targets of source "operator". NULL without memory. */
json_t *state_targets(struct roster *roster);
/* One of them; strings are the JSON's. 0 or -EINVAL. */
int state_target(const json_t *json, struct target_spec *ret_spec);

/* --- state_file.c --- */

/* Read the directory's file into the store; open the directory. */
void state_load(struct store *store);
/* 0 or -errno. */
int state_write(struct store *store);
