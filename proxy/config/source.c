/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a configuration comes from: a file, or --listen and --target; either way flags and
 * variables are laid over it. Failure modes: a file that cannot be read or parsed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/conf/given.h"
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

static int add_listener(struct node *listeners, const struct given_value *value)
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
	for (size_t i = 0; i < options->line.given.count; i++) {
		const struct given_value *value = &options->line.given.values[i];
		struct conf_where where = {.source = value->origin};
		int err = 0;

		if (strcmp(value->path, GIVEN_PATH_BIND) == 0)
			err = add_listener(listeners, value);
		else if (strcmp(value->path, GIVEN_PATH_TARGET) == 0)
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

int config_read(const struct options *options, struct conf_errors *errors, struct node **ret_root)
{
	struct node *root;
	int err = options->line.config_file
			  ? yaml_tree_load(options->line.config_file, errors, &root)
			  : read_options(options, &root);

	if (err < 0)
		return err;
	err = given_overlay(&options->line.given, root);
	if (err < 0) {
		node_free(root);
		return err;
	}
	*ret_root = root;
	return 0;
}
