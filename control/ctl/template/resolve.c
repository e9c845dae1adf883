/* SPDX-License-Identifier: Apache-2.0
 *
 * What a template's values come to before anything is deployed. Happy path: functions are evaluated
 * from the inside, by parameters (their defaults, or what was given), Mappings and Conditions.
 *
 * Failure modes: what depends on more than that is not known, and so is what is nested deeper than
 * anybody writes or takes too many steps, which ends conditions that lead to themselves.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/ctl/template/template.h"
#include "proxy/base/conf/units.h"
#include "proxy/base/conf/yaml_tree.h"

#define NESTED_MAX 16
#define STEPS_MAX  10000 /* for one value: conditions may name others, many times over */

struct resolving {
	const struct template *template;
	const struct node *variables; /* of the innermost Fn::Sub, or NULL */
	unsigned depth;
	unsigned *steps; /* that are left */
};

static bool resolve(struct resolving state, const struct node *value, char *ret_text);

static bool copy(const char *text, size_t length, char *ret_text)
{
	if (length >= TEMPLATE_TEXT)
		return false;
	memcpy(ret_text, text, length);
	ret_text[length] = '\0';
	return true;
}

/* One step deeper, unless that leads too far. */
static bool descend(struct resolving *state)
{
	if (state->depth++ == NESTED_MAX || *state->steps == 0)
		return false;
	--*state->steps;
	return true;
}

/* What --parameters says of one. */
static bool given(const char *list, const char *name, char *ret_text)
{
	size_t length = strlen(name);

	for (const char *p = list; p && *p; p += *p == ',') {
		size_t item = strcspn(p, ",");

		if (item > length && strncmp(p, name, length) == 0 && p[length] == '=')
			return copy(p + length + 1, item - length - 1, ret_text);
		p += item;
	}
	return false;
}

static bool resolve_name(struct resolving state, const char *name, char *ret_text)
{
	const struct node *parameters = node_get(state.template->root, "Parameters");
	const struct node *parameter = node_get(parameters, name);
	const struct node *variable = node_get(state.variables, name);
	const char *text = node_get_text(parameter, "Default");

	if (variable) {
		state.variables = NULL;
		return resolve(state, variable, ret_text);
	}
	if (parameter && given(state.template->parameters, name, ret_text))
		return true;
	return text && copy(text, strlen(text), ret_text);
}

static const struct node *item(const struct node *list, size_t index)
{
	return index < node_items(list) ? list->children[index] : NULL;
}

static bool resolve_map(struct resolving state, const struct node *path, char *ret_text)
{
	const struct node *at = node_get(state.template->root, "Mappings");
	char key[TEMPLATE_TEXT];

	for (size_t i = 0; i < 3; i++) {
		if (!resolve(state, item(path, i), key))
			return false;
		at = node_get(at, key);
	}
	return resolve(state, at, ret_text);
}

/* `${Name}` is a value, `${!Name}` is itself without the exclamation mark. */
static bool resolve_sub(struct resolving state, const struct node *sub, char *ret_text)
{
	const struct node *pattern = sub->kind == NODE_SEQUENCE ? item(sub, 0) : sub;
	const char *p = pattern && pattern->kind == NODE_SCALAR ? pattern->text : NULL;
	char name[256], value[TEMPLATE_TEXT];
	size_t used = 0;

	state.variables = item(sub, 1);
	if (!p)
		return false;
	while (*p) {
		const char *end = strncmp(p, "${", 2) == 0 ? strchr(p, '}') : NULL;

		if (!end || p[2] == '!') {
			snprintf(value, sizeof(value), "%c", *p++);
		} else {
			snprintf(name, sizeof(name), "%.*s", (int)(end - p - 2), p + 2);
			if (!resolve_name(state, name, value))
				return false;
			p = end + 1;
		}
		if (used + strlen(value) >= TEMPLATE_TEXT)
			return false;
		used += (size_t)sprintf(ret_text + used, "%s", value);
	}
	ret_text[used] = '\0';
	return true;
}

/* -1: not known. */
static int condition(struct resolving state, const struct node *value);

static int named_condition(struct resolving state, const char *name)
{
	return condition(state, node_get(node_get(state.template->root, "Conditions"), name));
}

static int equals(struct resolving state, const struct node *pair)
{
	char a[TEMPLATE_TEXT], b[TEMPLATE_TEXT];

	if (!resolve(state, item(pair, 0), a) || !resolve(state, item(pair, 1), b))
		return -1;
	return strcmp(a, b) == 0;
}

/* Of `list` all (`decides` is 0) or one (it is 1). */
static int several(struct resolving state, const struct node *list, int decides)
{
	int result = !decides;

	for (size_t i = 0; i < node_items(list); i++) {
		int one = condition(state, list->children[i]);

		if (one == decides)
			return decides;
		if (one < 0)
			result = -1;
	}
	return result;
}

static int condition(struct resolving state, const struct node *value)
{
	const struct node *only = value && value->kind == NODE_MAPPING && value->count == 1
					  ? value->children[0]
					  : NULL;

	if (!only || !descend(&state))
		return -1;
	if (strcmp(only->name, "Condition") == 0 && only->kind == NODE_SCALAR)
		return named_condition(state, only->text);
	if (strcmp(only->name, "Fn::Equals") == 0)
		return equals(state, only);
	if (strcmp(only->name, "Fn::And") == 0)
		return several(state, only, 0);
	if (strcmp(only->name, "Fn::Or") == 0)
		return several(state, only, 1);
	if (strcmp(only->name, "Fn::Not") != 0)
		return -1;
	int inner = condition(state, item(only, 0));

	return inner < 0 ? -1 : !inner;
}

static bool resolve_if(struct resolving state, const struct node *parts, char *ret_text)
{
	const struct node *name = item(parts, 0);
	int is = name && name->kind == NODE_SCALAR ? named_condition(state, name->text) : -1;

	return is >= 0 && resolve(state, item(parts, is ? 1 : 2), ret_text);
}

static bool resolve(struct resolving state, const struct node *value, char *ret_text)
{
	if (!value || !descend(&state))
		return false;
	if (value->kind == NODE_SCALAR)
		return copy(value->text, strlen(value->text), ret_text);
	if (value->kind != NODE_MAPPING || value->count != 1)
		return false;
	const struct node *only = value->children[0];

	if (strcmp(only->name, "Ref") == 0)
		return only->kind == NODE_SCALAR && resolve_name(state, only->text, ret_text);
	if (strcmp(only->name, "Fn::FindInMap") == 0)
		return resolve_map(state, only, ret_text);
	if (strcmp(only->name, "Fn::Sub") == 0)
		return resolve_sub(state, only, ret_text);
	return strcmp(only->name, "Fn::If") == 0 && resolve_if(state, only, ret_text);
}

bool template_text(const struct template *template, const struct node *value, char *ret_text)
{
	unsigned steps = STEPS_MAX;

	return resolve((struct resolving){.template = template, .steps = &steps}, value, ret_text);
}

bool template_number(const struct template *template, const struct node *value,
		     uint64_t *ret_number)
{
	char text[TEMPLATE_TEXT];
	const char *why;

	return template_text(template, value, text) && units_integer(text, ret_number, &why) == 0;
}

const struct node *template_property(const struct node *resource, const char *name)
{
	return node_get(node_get(resource, "Properties"), name);
}

int template_load(const char *path, const char *parameters, struct conf_errors *errors,
		  struct template *ret_template)
{
	struct template template = {.parameters = parameters};
	int err = yaml_tree_load_template(path, errors, &template.root);

	if (err < 0)
		return err;
	const struct node *resources = node_get(template.root, "Resources");

	if (!resources || resources->kind != NODE_MAPPING)
		conf_error(errors, &template.root->where,
			   "found no \"Resources:\"; expected a CloudFormation template");
	if (conf_failed(errors)) {
		template_fini(&template);
		return -EINVAL;
	}
	*ret_template = template;
	return 0;
}

void template_fini(struct template *template)
{
	node_free(template->root);
	template->root = NULL;
}
