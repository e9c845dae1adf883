/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of targets. Happy path: libyaml gives a tree that knows its lines, the rows below check it
 * and fill it in, and each item is added to the set.
 *
 * JSON is read twice: by Jansson, which is strict about what JSON is and knows types, and as the
 * YAML that it also is, for the lines. The two trees have the same shape.
 */
#include "control/source_file/parse.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "control/target_set.h"
#include "proxy/base/addr.h"
#include "proxy/base/conf/keys.h"
#include "proxy/base/conf/yaml_tree.h"

#define EXPECTED "a list of targets, or a mapping with the key \"targets\""

/* Without defaults for weight and backup, which are the source's to say. */
static const struct schema_key target_keys[] = {
	{.name = "id", .kind = SCHEMA_TOKEN, .max = 255},
	{.name = "address", .kind = SCHEMA_TEXT, .flags = SCHEMA_REQUIRED, .max = ADDR_TEXT - 1},
	{.name = "weight", .kind = SCHEMA_INTEGER, .max = FOUND_WEIGHT_MAX},
	{.name = "zone", .kind = SCHEMA_TOKEN, .max = 63},
	{.name = "backup", .kind = SCHEMA_BOOL},
	{.name = "max_connections", .kind = SCHEMA_INTEGER, .fallback = "0", .max = UINT32_MAX},
	{.name = "draining", .kind = SCHEMA_BOOL, .fallback = "false"},
};
static const struct schema_map target_map = {.noun = "target",
					     .shorthand = "address",
					     .keys = target_keys,
					     .count = ARRAY_SIZE(target_keys)};
static const struct schema_key target_item = {
	.name = "target", .kind = SCHEMA_MAP, .map = &target_map};
static const struct schema_key file_keys[] = {
	{.name = "targets", .kind = SCHEMA_LIST, .flags = SCHEMA_REQUIRED, .item = &target_item},
};
static const struct schema_map file_map = {
	.noun = "file of targets", .keys = file_keys, .count = ARRAY_SIZE(file_keys)};

/* --- what JSON has and YAML has not: types --- */

static bool has_type(const struct schema_key *key, const json_t *value)
{
	switch (key->kind) {
	case SCHEMA_INTEGER:
		return json_is_integer(value);
	case SCHEMA_BOOL:
		return json_is_boolean(value);
	default:
		return json_is_string(value);
	}
}

static const char *type_name(const struct schema_key *key)
{
	if (key->kind == SCHEMA_INTEGER)
		return "a number";
	return key->kind == SCHEMA_BOOL ? "true or false" : "a string";
}

/* Keys that are not known are left to the rows. */
static void check_types(const json_t *target, const struct node *node, struct conf_errors *errors)
{
	for (size_t i = 0; i < ARRAY_SIZE(target_keys); i++) {
		const struct schema_key *key = &target_keys[i];
		const json_t *value = json_object_get(target, key->name);
		const struct node *at = node_get(node, key->name);

		if (value && at && !has_type(key, value))
			conf_error(errors, &at->where,
				   "%s: found another type of JSON; expected %s, without quotes "
				   "unless it is a string",
				   key->name, type_name(key));
	}
}

/* Both trees are of the same bytes. */
static void check_json_types(const json_t *root, const struct node *node,
			     struct conf_errors *errors)
{
	const json_t *list = json_is_object(root) ? json_object_get(root, "targets") : root;
	const struct node *nodes = json_is_object(root) ? node_get(node, "targets") : node;

	for (size_t i = 0; i < node_items(nodes) && i < json_array_size(list); i++)
		check_types(json_array_get(list, i), nodes->children[i], errors);
}

/* 0, or -EINVAL with the place in `errors`. */
static int load_json(const struct file_form *form, const void *bytes, size_t size,
		     struct conf_errors *errors, json_t **ret_root)
{
	json_error_t problem;
	json_t *root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &problem);

	if (!root) {
		struct conf_where where = {.source = form->path,
					   .line = (uint32_t)problem.line,
					   .column = (uint32_t)problem.column};

		if (json_error_code(&problem) == json_error_out_of_memory)
			return -ENOMEM;
		conf_error(errors, &where, "found no JSON (%s); expected " EXPECTED, problem.text);
		return -EINVAL;
	}
	*ret_root = root;
	return 0;
}

/* --- the tree --- */

/* Write a bare list out as the mapping that it stands for. */
static int under_targets(const struct file_form *form, struct node **root)
{
	const struct conf_where where = {.source = form->path, .line = 1, .column = 1};
	struct node *mapping, *list = *root;

	if (list->kind == NODE_MAPPING)
		return 0;
	mapping = node_new(NODE_MAPPING, &where, NULL, NULL);
	list->name = mapping ? strdup("targets") : NULL;
	if (!list->name) {
		node_free(mapping);
		return -ENOMEM;
	}
	list->name_where = where;
	*root = mapping;
	return node_add(mapping, list);
}

static int load_tree(const struct file_form *form, const void *bytes, size_t size,
		     struct conf_errors *errors, struct node **ret_root)
{
	struct node *root = NULL;
	json_t *json = NULL;
	int err = form->json ? load_json(form, bytes, size, errors, &json) : 0;

	if (!err)
		err = yaml_tree_parse_list(form->path, bytes, size, EXPECTED, errors, &root);
	if (!err && form->json)
		check_json_types(json, root, errors);
	if (!err)
		err = under_targets(form, &root);
	json_decref(json);
	if (err) {
		node_free(root);
		return err;
	}
	*ret_root = root;
	return 0;
}

static bool is_true(const struct node *node, const char *key, bool otherwise)
{
	return node_get(node, key) ? schema_number(&target_map, node, key) : otherwise;
}

/* False, with a finding, for what no pool could connect to. */
static bool address_is_valid(const struct node *target, struct conf_errors *errors)
{
	const struct node *node = node_get(target, "address");
	struct addr addr;

	if (addr_parse(node->text, &addr) == 0 && (addr.family == AF_UNIX || addr.port))
		return true;
	conf_error(errors, &node->where,
		   "address: found \"%.80s\"; expected a numeric address with its port, such as "
		   "10.0.0.1:80 or \"[2001:db8::1]:80\"",
		   node->text);
	return false;
}

static int add_target(const struct file_form *form, const struct node *node, struct target_set *set)
{
	const struct found_target target = {
		.id = schema_text(node, "id"),
		.address = schema_text(node, "address"),
		.zone = schema_text(node, "zone"),
		.weight = node_get(node, "weight")
				  ? (uint32_t)schema_number(&target_map, node, "weight")
				  : form->weight,
		.max_connections = (uint32_t)schema_number(&target_map, node, "max_connections"),
		.backup = is_true(node, "backup", form->backup),
		.draining = is_true(node, "draining", false),
	};

	return target_set_add(set, &target);
}

/* `root` keeps to the rows. */
static int add_targets(const struct file_form *form, struct node *root, struct conf_errors *errors,
		       struct target_set *set)
{
	const struct node *list;
	int err = schema_complete(&file_map, root);

	list = node_get(root, "targets");
	for (size_t i = 0; !err && i < node_items(list); i++)
		if (address_is_valid(list->children[i], errors))
			err = add_target(form, list->children[i], set);
	return !err && conf_failed(errors) ? -EINVAL : err;
}

int file_targets_parse(const struct file_form *form, const void *bytes, size_t size,
		       struct conf_errors *errors, struct target_set **ret_set)
{
	struct target_set *set = target_set_new();
	struct node *root = NULL;
	int err = set ? load_tree(form, bytes, size, errors, &root) : -ENOMEM;

	if (!err)
		schema_check(&file_map, root, errors);
	if (!err && conf_failed(errors))
		err = -EINVAL;
	if (!err)
		err = add_targets(form, root, errors, set);
	node_free(root);
	if (err) {
		target_set_free(set);
		return err;
	}
	*ret_set = set;
	return 0;
}
