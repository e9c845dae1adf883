/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks a tree against the table and reports everything that is wrong. See schema.h.
 */
#include "proxy/base/conf/schema.h"

#include <stdio.h>
#include <string.h>

#include "proxy/base/conf/nearest.h"
#include "proxy/base/conf/text.h"
#include "proxy/base/conf/value.h"
#include "proxy/base/panic.h"

#define FOUND_MAX 128
#define LABEL_MAX 256 /* AWS allows 128 characters in a key and 256 in a value */

const struct schema_key *schema_find(const struct schema_map *map, const char *name)
{
	for (size_t i = 0; i < map->count; i++)
		if (strcmp(map->keys[i].name, name) == 0)
			return &map->keys[i];
	return NULL;
}

uint64_t schema_number(const struct schema_map *map, const struct node *node, const char *name)
{
	const struct schema_key *key = schema_find(map, name);
	const char *text = node_get_text(node, name), *why;
	uint64_t number = 0;

	must(key);
	if (text)
		must(value_parse(key, text, &number, &why) == 0);
	return number;
}

const char *schema_text(const struct node *node, const char *key)
{
	return node_get_text(node, key);
}

static bool is_shorthand(const struct schema_map *map, const char *name, const struct node *node)
{
	return node->kind == NODE_SCALAR && map->shorthand && strcmp(map->shorthand, name) == 0;
}

/* What the selector says, written or by default. */
static const char *selection(const struct schema_map *map, const struct node *node)
{
	if (is_shorthand(map, map->selector, node))
		return node->text;
	const struct node *written = node_get(node, map->selector);

	return written ? written->text : schema_find(map, map->selector)->fallback;
}

bool schema_applies(const struct schema_map *map, const struct schema_key *key,
		    const struct node *node)
{
	const char *selected = key->only_for ? selection(map, node) : NULL;
	uint64_t index;

	return !key->only_for || (selected && value_list_find(key->only_for, selected, &index));
}

/* `found` is NULL when the text itself says it all. */
static void wrong_value(const struct schema_key *key, const struct node *node, const char *why,
			struct conf_errors *errors)
{
	char found[FOUND_MAX], expected[VALUE_EXPECTED_MAX], scratch[64];
	const char *near = NULL;

	if (key->kind == SCHEMA_ENUM && node->kind == NODE_SCALAR)
		near = nearest_in_list(node->text, key->values, scratch, sizeof(scratch));
	conf_error(errors, &node->where, "%s: found %s%s%s; expected %s%s%s%s", key->name,
		   node_describe(node, found, sizeof(found)), why ? ", which " : "", why ? why : "",
		   value_expected(key, expected, sizeof(expected)), near ? "; did you mean \"" : "",
		   near ? near : "", near ? "\"?" : "");
}

static void check_scalar(const struct schema_key *key, const struct node *node,
			 struct conf_errors *errors)
{
	const char *why;
	uint64_t number;

	if (node->kind != NODE_SCALAR || node->text[0] == '\0')
		wrong_value(key, node, NULL, errors);
	else if (value_parse(key, node->text, &number, &why) < 0)
		wrong_value(key, node, key->kind == SCHEMA_ENUM ? NULL : why, errors);
}

static void unknown_key(const struct schema_map *map, const struct node *node,
			struct conf_errors *errors)
{
	struct nearest nearest;
	char all[VALUE_EXPECTED_MAX];
	size_t used = 0;

	nearest_init(&nearest, node->name);
	all[0] = '\0';
	for (size_t i = 0; i < map->count; i++) {
		nearest_offer(&nearest, map->keys[i].name);
		if (used < sizeof(all))
			used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
						 i ? ", " : "", map->keys[i].name);
	}
	const char *near = nearest_best(&nearest);

	conf_error(errors, &node->name_where,
		   "found unknown key \"%.80s\" in the %s; expected one of %s%s%s%s", node->name,
		   map->noun, all, near ? "; did you mean \"" : "", near ? near : "",
		   near ? "\"?" : "");
}

static unsigned count_present(const struct node *node, const char *list)
{
	unsigned present = 0;

	while (*list) {
		size_t len = strcspn(list, "|");
		char name[64];

		snprintf(name, sizeof(name), "%.*s", (int)len, list);
		present += node_get(node, name) != NULL;
		list += len + (list[len] == '|');
	}
	return present;
}

static void check_presence(const struct schema_map *map, const struct node *node,
			   struct conf_errors *errors)
{
	char buf[VALUE_EXPECTED_MAX];

	for (size_t i = 0; i < map->count; i++) {
		const struct schema_key *key = &map->keys[i];

		if (key->flags & SCHEMA_REQUIRED && schema_applies(map, key, node) &&
		    !node_get(node, key->name) && !is_shorthand(map, key->name, node))
			conf_error(errors, &node->where, "found no \"%s\" in the %s; expected %s",
				   key->name, map->noun, value_expected(key, buf, sizeof(buf)));
	}
	if (map->any_of && count_present(node, map->any_of) == 0)
		conf_error(errors, &node->where, "found none in the %s; expected %s", map->noun,
			   value_list_words(map->any_of, buf, sizeof(buf)));
	if (map->one_of && count_present(node, map->one_of) != 1)
		conf_error(errors, &node->where, "found %s in the %s; expected either %s",
			   count_present(node, map->one_of) ? "both" : "neither", map->noun,
			   value_list_words(map->one_of, buf, sizeof(buf)));
}

static void check_key(const struct schema_key *key, const struct node *node,
		      struct conf_errors *errors);

/* A selector that is no valid one is complained of elsewhere, and nothing is held against it. */
static void check_applies(const struct schema_map *map, const struct schema_key *key,
			  const struct node *mapping, const struct node *node,
			  struct conf_errors *errors)
{
	char types[VALUE_EXPECTED_MAX];
	uint64_t index;

	if (schema_applies(map, key, mapping))
		return;
	const char *selected = selection(map, mapping);

	if (selected && value_list_find(schema_find(map, map->selector)->values, selected, &index))
		conf_error(errors, &node->name_where,
			   "found \"%s\" for %s %s; expected it for %s alone", key->name,
			   map->selector, selected,
			   value_list_words(key->only_for, types, sizeof(types)));
}

void schema_check(const struct schema_map *map, const struct node *node, struct conf_errors *errors)
{
	for (size_t i = 0; i < node->count; i++) {
		const struct schema_key *key = schema_find(map, node->children[i]->name);

		if (!key) {
			unknown_key(map, node->children[i], errors);
			continue;
		}
		check_applies(map, key, node, node->children[i], errors);
		check_key(key, node->children[i], errors);
	}
	check_presence(map, node, errors);
	if (map->check)
		map->check(node, errors);
}

/* The one key that is written; required others are missed. */
static void check_shorthand(const struct schema_map *map, const struct schema_key *key,
			    const struct node *node, struct conf_errors *errors)
{
	check_scalar(key, node, errors);
	check_presence(map, node, errors);
}

static void check_map(const struct schema_key *key, const struct node *node,
		      struct conf_errors *errors)
{
	const struct schema_map *map = key->map;
	const struct schema_key *short_key =
		map->shorthand ? schema_find(map, map->shorthand) : NULL;

	if (node->kind == NODE_MAPPING)
		schema_check(map, node, errors);
	else if (node->kind == NODE_SCALAR && short_key)
		check_shorthand(map, short_key, node, errors);
	else if (node->kind == NODE_SEQUENCE || !key->word || strcmp(node->text, key->word) != 0)
		wrong_value(key, node, NULL, errors);
}

static void check_list(const struct schema_key *key, const struct node *node,
		       struct conf_errors *errors)
{
	if (node->kind != NODE_SEQUENCE) {
		bool empty = node->kind == NODE_SCALAR && node->text[0] == '\0';

		if (key->flags & SCHEMA_SINGLE_OK && !empty)
			check_key(key->item, node, errors);
		else
			wrong_value(key, node, NULL, errors);
		return;
	}
	if (node->count < key->min || (key->max && node->count > key->max)) {
		char expected[VALUE_EXPECTED_MAX];

		conf_error(errors, &node->where, "%s: found %zu items; expected %s", key->name,
			   node->count, value_expected(key, expected, sizeof(expected)));
	}
	for (size_t i = 0; i < node->count; i++)
		check_key(key->item, node->children[i], errors);
}

static bool is_label_value(const struct node *node)
{
	if (node->kind == NODE_SCALAR)
		return strlen(node->text) <= LABEL_MAX && text_is_clean(node->text);
	for (size_t i = 0; i < node->count; i++)
		if (node->kind != NODE_SEQUENCE || node->children[i]->kind != NODE_SCALAR ||
		    !is_label_value(node->children[i]))
			return false;
	return node->kind == NODE_SEQUENCE && node->count > 0;
}

static void check_labels(const struct schema_key *key, const struct node *node,
			 struct conf_errors *errors)
{
	char found[FOUND_MAX];

	if (node->kind != NODE_MAPPING || node->count == 0) {
		wrong_value(key, node, node->kind == NODE_MAPPING ? "is empty" : NULL, errors);
		return;
	}
	for (size_t i = 0; i < node->count; i++) {
		const struct node *label = node->children[i];

		if (label->name[0] == '\0' || strlen(label->name) > LABEL_MAX)
			conf_error(errors, &label->name_where,
				   "%s: found a name of %zu bytes; expected 1 to %d", key->name,
				   strlen(label->name), LABEL_MAX);
		if (!is_label_value(label))
			conf_error(errors, &label->where,
				   "%s: found %s; expected a text of at most %d bytes or a list of "
				   "such",
				   key->name, node_describe(label, found, sizeof(found)),
				   LABEL_MAX);
	}
}

static void check_key(const struct schema_key *key, const struct node *node,
		      struct conf_errors *errors)
{
	switch (key->kind) {
	case SCHEMA_MAP:
		check_map(key, node, errors);
		break;
	case SCHEMA_LIST:
		check_list(key, node, errors);
		break;
	case SCHEMA_LABELS:
		check_labels(key, node, errors);
		break;
	default:
		check_scalar(key, node, errors);
	}
}

static bool walk(const struct schema_map *map, const char *prefix,
		 bool (*visit)(const struct schema_key *key, const char *path, void *context),
		 void *context)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct schema_key *key = &map->keys[i], *inner = key;
		char path[128];

		snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "." : "", key->name);
		if (!visit(key, path, context))
			return false;
		if (inner->kind == SCHEMA_LIST)
			inner = inner->item;
		if (inner->kind == SCHEMA_MAP && !walk(inner->map, path, visit, context))
			return false;
	}
	return true;
}

bool schema_walk(const struct schema_map *map,
		 bool (*visit)(const struct schema_key *key, const char *path, void *context),
		 void *context)
{
	return walk(map, "", visit, context);
}
