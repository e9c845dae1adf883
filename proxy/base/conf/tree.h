/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration as a tree in which every node knows where it was written. It may come from YAML
 * (proxy/base/conf/yaml_tree.h), from flags, or be filled in from the table of defaults.
 *
 * A mapping's children carry their key as `name`. A node owns its children and texts; it borrows
 * the `source` of its place.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "proxy/base/conf/errors.h"

enum node_kind { NODE_SCALAR, NODE_SEQUENCE, NODE_MAPPING };

struct node {
	enum node_kind kind;
	struct conf_where where;
	char *name;                   /* its key, when it is the value in a mapping */
	struct conf_where name_where; /* of the key */
	char *text;                   /* of a scalar */
	struct node **children;
	size_t count;
	size_t room;
};

/* NULL without memory. `name` and `text` are copied and may be NULL; `text` makes it a scalar. */
struct node *node_new(enum node_kind kind, const struct conf_where *where, const char *name,
		      const char *text);
void node_free(struct node *node); /* accepts NULL; frees what is below as well */

/* Takes `child`, which may be NULL (an allocation that failed); on failure `child` is freed. */
int node_add(struct node *parent, struct node *child);

/* The child called `name`, or NULL; also NULL if `mapping` is NULL or no mapping. */
struct node *node_get(const struct node *mapping, const char *name);

/* As node_get(), but only a scalar's text. */
const char *node_get_text(const struct node *mapping, const char *name);

/* How long a list is; 0 if `list` is NULL or no list. */
size_t node_items(const struct node *list);

/* Unlink and free the child called `name`, if there is one and `mapping` is a mapping. */
void node_remove(struct node *mapping, const char *name);

struct node *node_clone(const struct node *node); /* NULL without memory */

/* "a mapping", "a list", "\"text\"", "nothing": for messages. Returns `buf`. */
const char *node_describe(const struct node *node, char *buf, size_t size);

/* As YAML that yields the same tree again. */
void node_print(const struct node *node, FILE *out);

/* One scalar, in quotes where it needs them. The text is clean: see text_is_clean(). */
void node_print_text(const char *text, FILE *out);
