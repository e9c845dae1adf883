/* SPDX-License-Identifier: Apache-2.0
 *
 * Brings a valid tree into its normal form (schema_complete() of schema.h).
 *
 * Happy path, for each mapping from the root down: missing parts are copied from the root where
 * the table says that a key inherits, shorthands are written out, children are put in the table's
 * order with defaults in the gaps. The root's own keys come before the lists that inherit them in
 * the table, so what is inherited is complete.
 * Failure modes: -ENOMEM alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/conf/schema.h"

static const struct conf_where by_default = {0};

/* Give `node`, a mapping, what `from` has and it lacks of `map`; mappings within mappings likewise.
 */
static int inherit(const struct schema_map *map, struct node *node, const struct node *from)
{
	for (size_t i = 0; i < from->count; i++) {
		const struct node *theirs = from->children[i];
		const struct schema_key *key = schema_find(map, theirs->name);
		struct node *ours = node_get(node, theirs->name);
		int err = 0;

		if (key && !ours)
			err = node_add(node, node_clone(theirs));
		else if (key && ours->kind == NODE_MAPPING && theirs->kind == NODE_MAPPING)
			err = inherit(key->map, ours, theirs);
		if (err < 0)
			return err;
	}
	return 0;
}

/* Make `node` the only child of a new node of `kind` that takes its place in the tree. */
static int wrap(struct node *node, enum node_kind kind, const char *child_name)
{
	struct node *child = node_new(node->kind, &node->where, child_name, NULL);

	if (!child)
		return -ENOMEM;
	child->text = node->text;
	child->children = node->children;
	child->count = node->count;
	child->room = node->room;
	node->kind = kind;
	node->text = NULL;
	node->children = NULL;
	node->count = node->room = 0;
	return node_add(node, child);
}

int schema_expand(const struct schema_key *key, struct node *node)
{
	if (key->kind != SCHEMA_MAP || !key->map->shorthand || node->kind != NODE_SCALAR)
		return 0;
	return wrap(node, NODE_MAPPING, key->map->shorthand);
}

static int complete_key(const struct schema_key *key, struct node *node, const struct node *root);

/* The value that `key` gets in `mapping` although it isn't written there, or none. */
static int add_missing(const struct schema_key *key, struct node *mapping, const struct node *root)
{
	const struct node *inherited =
		key->flags & SCHEMA_INHERITS ? node_get(root, key->name) : NULL;

	/* Of a mapping complete_key() takes what `key` has too. */
	if (inherited && inherited->kind == NODE_MAPPING)
		return node_add(mapping, node_new(NODE_MAPPING, &by_default, key->name, NULL));
	if (inherited)
		return node_add(mapping, node_clone(inherited));
	if (key->fallback)
		return node_add(mapping,
				node_new(NODE_SCALAR, &by_default, key->name, key->fallback));
	if (key->flags & SCHEMA_FILLED)
		return node_add(mapping, node_new(NODE_MAPPING, &by_default, key->name, NULL));
	return 0;
}

/* Selection by name: put the child called `name`, if there is one, at position `at`. */
static void move_to(struct node *mapping, size_t at, const char *name)
{
	for (size_t i = at + 1; i < mapping->count; i++) {
		if (strcmp(mapping->children[i]->name, name) == 0) {
			struct node *child = mapping->children[i];

			mapping->children[i] = mapping->children[at];
			mapping->children[at] = child;
			return;
		}
	}
}

static int complete_map(const struct schema_map *map, struct node *node, const struct node *root)
{
	size_t at = 0;

	for (size_t i = 0; i < map->count; i++) {
		const struct schema_key *key = &map->keys[i];
		struct node *child = node_get(node, key->name);
		int err = 0;

		if (!child && schema_applies(map, key, node))
			err = add_missing(key, node, root);
		if (err < 0)
			return err;
		child = node_get(node, key->name);
		if (!child)
			continue;
		err = complete_key(key, child, root);
		if (err < 0)
			return err;
		move_to(node, at++, key->name);
	}
	return 0;
}

static int complete_list(const struct schema_key *key, struct node *node, const struct node *root)
{
	if (node->kind != NODE_SEQUENCE) {
		int err = wrap(node, NODE_SEQUENCE, NULL);

		if (err < 0)
			return err;
	}
	for (size_t i = 0; i < node->count; i++) {
		int err = complete_key(key->item, node->children[i], root);

		if (err < 0)
			return err;
	}
	return 0;
}

static int complete_key(const struct schema_key *key, struct node *node, const struct node *root)
{
	const struct node *inherited =
		key->flags & SCHEMA_INHERITS ? node_get(root, key->name) : NULL;
	int err;

	if (key->kind == SCHEMA_LIST)
		return complete_list(key, node, root);
	if (key->kind != SCHEMA_MAP)
		return 0;
	err = schema_expand(key, node);
	if (err < 0)
		return err;
	if (node->kind == NODE_SCALAR)
		return 0; /* the word that stands for none of it */
	if (inherited)
		err = inherit(key->map, node, inherited);
	return err < 0 ? err : complete_map(key->map, node, root);
}

int schema_complete(const struct schema_map *root_map, struct node *root)
{
	return complete_map(root_map, root, root);
}
