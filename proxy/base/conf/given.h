/* SPDX-License-Identifier: Apache-2.0
 *
 * What flags and variables say about the configuration: a list of values by their path in the
 * schema, which is then laid over a tree as if it had been written there. A flag beats a variable,
 * both beat the file; only what a service manager passes on (STATE_DIRECTORY) gives way to it.
 *
 * Failure modes: memory. A value whose place in the tree is taken by something of the wrong shape
 * is left out, since the schema is about to refuse that shape.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct node;
struct schema_key;

#define GIVEN_PATH_BIND   "listeners.bind"
#define GIVEN_PATH_TARGET "pools.targets"
#define GIVEN_PATH_ADMIN  "admin.http"
#define GIVEN_PATH_SOCKET "admin.socket"
#define GIVEN_PATH_STATE  "state_directory"

struct given_value {
	char *path;       /* in the schema: "log.format" */
	char *text;       /* as given */
	char *origin;     /* for messages: "--log jsn", "SLUICE_LOG" */
	bool is_flag;     /* not a variable */
	bool is_fallback; /* the file beats it, too */
};

/* In the order they were given. Begins as zero. */
struct given {
	struct given_value *values;
	size_t count;
};

void given_fini(struct given *given);

/* All are copied. 0 or -ENOMEM. */
int given_add(struct given *given, const char *path, const char *text, const char *origin,
	      bool is_flag);

/* One value for each item of a variable's list: "10.0.0.1:80,10.0.0.2:80". 0 or -ENOMEM. */
int given_add_list(struct given *given, const char *path, const char *text, const char *origin);

/* What systemd passes on: STATE_DIRECTORY, of whose list the first counts. 0 or -ENOMEM. */
int given_add_inherited(struct given *given, char *const envp[]);

/* Where in the schema `text` belongs, given to the flag or variable of `path`: a Unix socket's
 * address is not for GIVEN_PATH_ADMIN but for GIVEN_PATH_SOCKET. */
const char *given_place(const char *path, const char *text);

/* Forget what `variable` said. */
void given_drop_variable(struct given *given, const char *variable);

/* The first value for `path`, or NULL. */
const struct given_value *given_find(const struct given *given, const char *path);

/* The row of the schema that has this flag or variable. */
struct given_key {
	const struct schema_key *key;
	char path[64];
};

bool given_by_flag(const char *flag, struct given_key *ret_key);
bool given_by_variable(const char *variable, struct given_key *ret_key);

/* Whether values for `path` add up; all others are given once. */
bool given_is_list(const char *path);

/* Lay everything but listeners and targets over the tree. 0 or -ENOMEM. */
int given_overlay(const struct given *given, struct node *root);
