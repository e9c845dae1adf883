/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a configuration comes from: a file, or --listen and --target; either way flags and
 * variables are laid over it as if they had been written there, at their path in the schema.
 *
 * Failure modes: a file that cannot be read or parsed. A value whose place in the file is taken by
 * something of the wrong shape is left out, since the schema is about to refuse that shape.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/conf/schema.h"
#include "proxy/base/conf/tree.h"
#include "proxy/base/conf/yaml_tree.h"
#include "proxy/config/parts.h"
#include "proxy/options.h"

#define ONLY_NAME "main"

static const struct conf_where command_line = {.source = "command line"};

static int add_text(struct node *mapping, const struct conf_where *where, const char *name,
		    const char *text)
{
	return node_add(mapping, node_new(NODE_SCALAR, where, name, text));
}

/* Add an empty collection and return it; NULL without memory. */
static struct node *add_new(struct node *parent, enum node_kind kind, const char *name)
{
	struct node *node = node_new(kind, &command_line, name, NULL);

	return node_add(parent, node) < 0 ? NULL : node;
}

static int add_listener(struct node *listeners, const struct option_value *value)
{
	struct conf_where where = {.source = value->origin};
	struct node *listener = add_new(listeners, NODE_MAPPING, NULL);
	char name[32] = ONLY_NAME;
	int err;

	if (!listener)
		return -ENOMEM;
	if (listeners->count > 1)
		snprintf(name, sizeof(name), ONLY_NAME "-%zu", listeners->count);
	err = add_text(listener, &where, "name", name);
	if (err == 0)
		err = add_text(listener, &where, "bind", value->text);
	if (err == 0)
		err = add_text(listener, &where, "pool", ONLY_NAME);
	return err;
}

static int add_given(const struct options *options, struct node *listeners, struct node *targets)
{
	for (size_t i = 0; i < options->count; i++) {
		const struct option_value *value = &options->values[i];
		struct conf_where where = {.source = value->origin};
		int err = 0;

		if (strcmp(value->path, OPTIONS_PATH_BIND) == 0)
			err = add_listener(listeners, value);
		else if (strcmp(value->path, OPTIONS_PATH_TARGET) == 0)
			err = add_text(targets, &where, NULL, value->text);
		if (err < 0)
			return err;
	}
	return 0;
}

static int read_options(const struct options *options, struct node **ret_root)
{
	struct node *root = node_new(NODE_MAPPING, &command_line, NULL, NULL);
	struct node *listeners = root ? add_new(root, NODE_SEQUENCE, "listeners") : NULL;
	struct node *pools = listeners ? add_new(root, NODE_SEQUENCE, "pools") : NULL;
	struct node *pool = pools ? add_new(pools, NODE_MAPPING, NULL) : NULL;
	int err = pool ? add_text(pool, &command_line, "name", ONLY_NAME) : -ENOMEM;
	struct node *targets = err == 0 ? add_new(pool, NODE_SEQUENCE, "targets") : NULL;

	err = targets ? add_given(options, listeners, targets) : -ENOMEM;
	if (err < 0) {
		node_free(root);
		return err;
	}
	*ret_root = root;
	return 0;
}

static int overlay(const struct schema_map *map, struct node *node, const char *path,
		   const struct option_value *value);

/* The child on the way down, made if it is a mapping that nobody wrote. */
static int step_into(const struct schema_key *key, struct node *mapping, const char *rest,
		     const struct option_value *value)
{
	struct node *child = node_get(mapping, key->name);

	if (key->kind == SCHEMA_LIST) {
		for (size_t i = 0; child && i < child->count; i++) {
			int err = overlay(key->item->map, child->children[i], rest, value);

			if (err < 0)
				return err;
		}
		return 0;
	}
	if (!child)
		child = add_new(mapping, NODE_MAPPING, key->name);
	if (!child || schema_expand(key, child) < 0)
		return -ENOMEM;
	return overlay(key->map, child, rest, value);
}

/* Set what `path` leads to from `node`, in every item of a list on the way. */
static int overlay(const struct schema_map *map, struct node *node, const char *path,
		   const struct option_value *value)
{
	struct conf_where where = {.source = value->origin};
	size_t len = strcspn(path, ".");
	char name[64];

	if (node->kind != NODE_MAPPING)
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)len, path);
	if (path[len])
		return step_into(schema_find(map, name), node, path + len + 1, value);
	node_remove(node, name);
	return add_text(node, &where, name, value->text);
}

/* A flag for the root beats what listeners and pools say for themselves. */
static void remove_overridden(struct node *root, const char *name)
{
	for (size_t i = 0; i < schema_root.count; i++) {
		const struct schema_key *list = &schema_root.keys[i];
		const struct node *items = node_get(root, list->name);
		const struct schema_key *key;

		if (list->kind != SCHEMA_LIST || !items)
			continue;
		key = schema_find(list->item->map, name);
		for (size_t j = 0; key && key->flags & SCHEMA_INHERITS && j < items->count; j++)
			node_remove(items->children[j], name);
	}
}

static int overlay_all(const struct options *options, struct node *root)
{
	for (size_t i = 0; i < options->count; i++) {
		const struct option_value *value = &options->values[i];
		int err;

		if (strcmp(value->path, OPTIONS_PATH_BIND) == 0 ||
		    strcmp(value->path, OPTIONS_PATH_TARGET) == 0)
			continue;
		if (value->is_fallback && node_get(root, value->path))
			continue;
		remove_overridden(root, value->path);
		err = overlay(&schema_root, root, value->path, value);
		if (err < 0)
			return err;
	}
	return 0;
}

int config_read(const struct options *options, struct conf_errors *errors, struct node **ret_root)
{
	struct node *root;
	int err = options->config_file ? yaml_tree_load(options->config_file, errors, &root)
				       : read_options(options, &root);

	if (err < 0)
		return err;
	err = overlay_all(options, root);
	if (err < 0) {
		node_free(root);
		return err;
	}
	*ret_root = root;
	return 0;
}
