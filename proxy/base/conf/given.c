/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of what was given, and how it gets into a tree. See given.h.
 */
#include "proxy/base/conf/given.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/conf/schema.h"
#include "proxy/base/conf/tree.h"

static const struct conf_where command_line = {.source = "command line"};

static void value_fini(struct given_value *value)
{
	free(value->path);
	free(value->text);
	free(value->origin);
}

const char *given_place(const char *path, const char *text)
{
	bool is_socket = strncmp(text, "unix:", strlen("unix:")) == 0;

	return is_socket && strcmp(path, GIVEN_PATH_ADMIN) == 0 ? GIVEN_PATH_SOCKET : path;
}

int given_add(struct given *given, const char *path, const char *text, const char *origin,
	      bool is_flag)
{
	struct given_value *values = reallocarray(given->values, given->count + 1, sizeof(*values));

	if (!values)
		return -ENOMEM;
	given->values = values;
	struct given_value value = {.path = strdup(given_place(path, text)),
				    .text = strdup(text),
				    .origin = strdup(origin),
				    .is_flag = is_flag};

	if (!value.path || !value.text || !value.origin) {
		value_fini(&value);
		return -ENOMEM;
	}
	given->values[given->count++] = value;
	return 0;
}

void given_drop_variable(struct given *given, const char *variable)
{
	size_t kept = 0;

	for (size_t i = 0; i < given->count; i++) {
		struct given_value *value = &given->values[i];

		if (!value->is_flag && strcmp(value->origin, variable) == 0)
			value_fini(value);
		else
			given->values[kept++] = *value;
	}
	given->count = kept;
}

const struct given_value *given_find(const struct given *given, const char *path)
{
	for (size_t i = 0; i < given->count; i++)
		if (strcmp(given->values[i].path, path) == 0)
			return &given->values[i];
	return NULL;
}

int given_add_list(struct given *given, const char *path, const char *text, const char *origin)
{
	while (*text) {
		size_t len = strcspn(text, ",");
		char *item = strndup(text, len);
		int err = item ? given_add(given, path, item, origin, false) : -ENOMEM;

		free(item);
		if (err < 0)
			return err;
		text += len + (text[len] == ',');
	}
	return 0;
}

int given_add_inherited(struct given *given, char *const envp[])
{
	static const char prefix[] = "STATE_DIRECTORY=";

	for (; *envp && !given_find(given, GIVEN_PATH_STATE); envp++) {
		const char *text = *envp + strlen(prefix);

		if (strncmp(*envp, prefix, strlen(prefix)) != 0 || strcspn(text, ":") == 0)
			continue;
		char *first = strndup(text, strcspn(text, ":"));
		int err =
			first ? given_add(given, GIVEN_PATH_STATE, first, "STATE_DIRECTORY", false)
			      : -ENOMEM;

		free(first);
		if (err < 0)
			return err;
		given->values[given->count - 1].is_fallback = true;
	}
	return 0;
}

void given_fini(struct given *given)
{
	for (size_t i = 0; i < given->count; i++)
		value_fini(&given->values[i]);
	free(given->values);
	memset(given, 0, sizeof(*given));
}

/* One row of the schema by its flag or its variable. */
struct lookup {
	const char *name;
	bool by_flag;
	struct given_key found;
};

static bool lookup_visit(const struct schema_key *key, const char *path, void *context)
{
	struct lookup *lookup = context;
	const char *name = lookup->by_flag ? key->flag : key->variable;

	if (!name || strcmp(name, lookup->name) != 0)
		return true;
	lookup->found.key = key;
	snprintf(lookup->found.path, sizeof(lookup->found.path), "%s", path);
	return false;
}

static bool find_key(const char *name, bool by_flag, struct given_key *ret_key)
{
	struct lookup lookup = {.name = name, .by_flag = by_flag};

	if (schema_walk(&schema_root, lookup_visit, &lookup))
		return false;
	*ret_key = lookup.found;
	return true;
}

bool given_by_flag(const char *flag, struct given_key *ret_key)
{
	return find_key(flag, true, ret_key);
}

bool given_by_variable(const char *variable, struct given_key *ret_key)
{
	return find_key(variable, false, ret_key);
}

bool given_is_list(const char *path)
{
	return strcmp(path, GIVEN_PATH_BIND) == 0 || strcmp(path, GIVEN_PATH_TARGET) == 0;
}

static int overlay(const struct schema_map *map, struct node *node, const char *path,
		   const struct given_value *value);

/* The child on the way down, made if it is a mapping that nobody wrote. */
static int step_into(const struct schema_key *key, struct node *mapping, const char *rest,
		     const struct given_value *value)
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
	if (!child) {
		child = node_new(NODE_MAPPING, &command_line, key->name, NULL);
		if (node_add(mapping, child) < 0)
			return -ENOMEM;
	}
	if (schema_expand(key, child) < 0)
		return -ENOMEM;
	return overlay(key->map, child, rest, value);
}

/* Set what `path` leads to from `node`, in every item of a list on the way. */
static int overlay(const struct schema_map *map, struct node *node, const char *path,
		   const struct given_value *value)
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
	return node_add(node, node_new(NODE_SCALAR, &where, name, value->text));
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

int given_overlay(const struct given *given, struct node *root)
{
	for (size_t i = 0; i < given->count; i++) {
		const struct given_value *value = &given->values[i];
		int err;

		if (given_is_list(value->path))
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
