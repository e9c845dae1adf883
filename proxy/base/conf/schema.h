/* SPDX-License-Identifier: Apache-2.0
 *
 * The schema of sluice.yaml: one table (keys*.c) that validation, defaults, --help, --check --show
 * and the man page are made from, and that both daemons read. It knows no struct of the proxy.
 *
 * Happy path: a tree is read, schema_check() says all that is wrong with it, schema_complete()
 * turns what is right into its normal form (shorthands written out, defaults and inherited values
 * filled in, keys in the table's order), and schema_number() and schema_text() read it.
 * Failure modes: schema_check() reports and goes on; schema_complete() is only for a tree without
 * errors, and can only run out of memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/conf/errors.h"
#include "proxy/base/conf/tree.h"

enum schema_kind {
	/* Numbers: min and max are inclusive bounds. */
	SCHEMA_INTEGER,
	SCHEMA_PERCENT,
	SCHEMA_SIZE,     /* bytes */
	SCHEMA_DURATION, /* milliseconds */
	SCHEMA_SECONDS,  /* a duration of whole seconds; milliseconds all the same */
	SCHEMA_RANGE,    /* 200-399, or one number; both within the bounds: see units_range() */
	SCHEMA_BOOL,
	SCHEMA_MODE, /* of a file */
	SCHEMA_ENUM, /* index into `values` */

	/* Texts: max is the most bytes. */
	SCHEMA_TEXT,
	SCHEMA_NAME,  /* [a-z0-9][a-z0-9_.-]*, so it never needs escaping */
	SCHEMA_TOKEN, /* no spaces */
	SCHEMA_BYTES, /* a text, or hex:0d0a; max is of the bytes that it stands for */
	SCHEMA_BIND,
	SCHEMA_TCP,    /* like BIND, but one TCP port alone */
	SCHEMA_SOCKET, /* a Unix socket's path, with unix: in front or without */
	SCHEMA_TARGET,
	SCHEMA_IP,
	SCHEMA_BLOCK, /* 10.0.0.0/8 */

	/* Collections. */
	SCHEMA_MAP,   /* of the keys in `map` */
	SCHEMA_LIST,  /* of `item`; min and max bound its length */
	SCHEMA_LABELS /* any keys, each with a text or a list of texts, e.g. AWS tags */
};

enum schema_flag {
	SCHEMA_REQUIRED = 1 << 0,
	SCHEMA_FILLED = 1 << 1, /* a mapping that is there, with its defaults, even if unwritten */
	SCHEMA_INHERITS = 1 << 2,  /* what is unwritten comes from the root's key of this name */
	SCHEMA_SINGLE_OK = 1 << 3, /* a list that may be written as its only item */
};

struct schema_key {
	const char *name;
	enum schema_kind kind;
	unsigned flags;       /* enum schema_flag */
	const char *word;     /* stands for 0, or for "none": auto, off, unlimited */
	const char *values;   /* of an enum: "auto|copy|splice" */
	const char *fallback; /* the default, as it would be written; NULL: none */
	uint64_t min;
	uint64_t max;                  /* 0: no bound */
	const struct schema_map *map;  /* of SCHEMA_MAP */
	const struct schema_key *item; /* of SCHEMA_LIST */
	const char *only_for; /* "http|tls": goes with these values of the map's selector */
	const char *doc;      /* one line */
	const char *flag;     /* "--workers", or NULL */
	const char *variable; /* "SLUICE_WORKERS", or NULL */
	const char *metavar;  /* what --help calls the flag's value */
};

struct schema_map {
	const char *noun;      /* "listener" */
	const char *shorthand; /* the key that a bare scalar stands for, or NULL */
	const char *selector;  /* an enum's key that decides which others there are, or NULL */
	const char *one_of;    /* "a|b": exactly one of these keys; NULL: no such rule */
	const char *any_of;    /* "a|b": at least one */
	void (*check)(const struct node *node, struct conf_errors *errors); /* or NULL */
	const struct schema_key *keys;
	size_t count;
};

/* The whole of sluice.yaml. */
extern const struct schema_map schema_root;

void schema_check(const struct schema_map *map, const struct node *node,
		  struct conf_errors *errors);

/* 0 or -ENOMEM, after which the tree is good for nothing but node_free(). */
int schema_complete(const struct schema_map *root_map, struct node *root);

/* Write a shorthand out, if `node` is one: `log: json` becomes `log: {format: json}`. 0 or -ENOMEM,
 * after which again only node_free() is left. */
int schema_expand(const struct schema_key *key, struct node *node);

/* Of a completed mapping; a key that is neither written nor has a default reads as 0 or NULL. */
uint64_t schema_number(const struct schema_map *map, const struct node *node, const char *name);
const char *schema_text(const struct node *node, const char *key);

/* Whether `key` exists in `node` (a mapping or its shorthand), as its selector stands. */
bool schema_applies(const struct schema_map *map, const struct schema_key *key,
		    const struct node *node);

/* NULL if `map` has none of that name. */
const struct schema_key *schema_find(const struct schema_map *map, const char *name);

/* Every key of `map` and below, in order, with its path ("pools.balance"); lists add nothing to
 * the path. Ends early when `visit` returns false. */
bool schema_walk(const struct schema_map *map,
		 bool (*visit)(const struct schema_key *key, const char *path, void *context),
		 void *context);
