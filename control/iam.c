/* SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: one statement for each action, its braces filled; statements that differ in nothing
 * but their actions become one, and so do those that differ in nothing but their resource. See
 * iam.h.
 */
#include "control/iam.h"

#include <stdbool.h>
#include <string.h>

#include "control/iam/fill.h"
#include "control/queue.h"
#include "control/settings.h"
#include "control/source.h"
#include "proxy/base/conf/schema.h"
#include "proxy/base/jot.h"
#include "proxy/base/panic.h"

#define OWN "sluice-control"

static const struct source_action lifecycle_actions[] = {
	{"autoscaling:DescribeAutoScalingInstances", "*", SOURCE_OWN_REGION},
	{"autoscaling:DescribeLifecycleHooks", "*", SOURCE_OWN_REGION},
	{"autoscaling:RecordLifecycleActionHeartbeat",
	 "arn:{partition}:autoscaling:{region}:{account}:autoScalingGroup:*", NULL},
	{"autoscaling:CompleteLifecycleAction",
	 "arn:{partition}:autoscaling:{region}:{account}:autoScalingGroup:*", NULL},
	{NULL, NULL, NULL},
};

/* With fleet_size: auto. */
static const struct source_action fleet_actions[] = {
	{"autoscaling:DescribeAutoScalingGroups", "*", SOURCE_OWN_REGION},
	{NULL, NULL, NULL},
};

#define OWN_QUEUES "arn:{partition}:sqs:{region}:{account}:sluice-control-*"

static const struct source_action own_queue_actions[] = {
	{"sqs:CreateQueue", OWN_QUEUES, NULL},
	{"sqs:TagQueue", OWN_QUEUES, NULL},
	{"sqs:GetQueueAttributes", OWN_QUEUES, NULL},
	{"sqs:SetQueueAttributes", OWN_QUEUES, NULL},
	{"sqs:ListQueueTags", OWN_QUEUES, NULL},
	{"sqs:ReceiveMessage", OWN_QUEUES, NULL},
	{"sqs:DeleteMessage", OWN_QUEUES, NULL},
	{"sqs:DeleteQueue", OWN_QUEUES, NULL},
	{"sqs:ListQueues", "*", SOURCE_OWN_REGION},
	{"sns:Subscribe", "arn:{partition}:sns:{region}:{account}:{queue_topic}", NULL},
	{"sns:Unsubscribe", "*", SOURCE_OWN_REGION},
	{NULL, NULL, NULL},
};

static const struct source_action given_queue_actions[] = {
	{"sqs:ReceiveMessage", "arn:{partition}:sqs:{region}:{account}:{queue}", NULL},
	{"sqs:DeleteMessage", "arn:{partition}:sqs:{region}:{account}:{queue}", NULL},
	{NULL, NULL, NULL},
};

static const struct source_action role_actions[] = {
	{"sts:AssumeRole", "{role_arn}", NULL},
	{NULL, NULL, NULL},
};

static bool contains(const json_t *array, const json_t *text)
{
	const json_t *item;
	size_t index;

	json_array_foreach (array, index, item)
		if (json_equal(item, text))
			return true;
	return false;
}

/* Into its place in the alphabet, once. False without memory. */
static bool insert(json_t *array, json_t *text)
{
	size_t at = 0;

	if (contains(array, text))
		return true;
	while (at < json_array_size(array) &&
	       strcmp(json_string_value(json_array_get(array, at)), json_string_value(text)) < 0)
		at++;
	return json_array_insert(array, at, text) == 0;
}

/* Whether both statements say the same under `key`, absence included. */
static bool same(const json_t *a, const json_t *b, const char *key)
{
	const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);

	return x && y ? json_equal(x, y) : x == y;
}

static bool insert_all(json_t *array, const json_t *from)
{
	json_t *item;
	size_t index;
	bool ok = true;

	json_array_foreach (from, index, item)
		ok &= insert(array, item);
	return ok;
}

/* Add what `statement` has under `merged` to the one that is equal in `kept`, if there is such. */
static bool merge(json_t *statements, const json_t *statement, const char *kept, const char *merged,
		  bool *ret_ok)
{
	json_t *other;
	size_t index;

	json_array_foreach (statements, index, other) {
		if (!same(other, statement, kept) || !same(other, statement, "Condition"))
			continue;
		*ret_ok = insert_all(json_object_get(other, merged),
				     json_object_get(statement, merged));
		return true;
	}
	return false;
}

static bool has_star(const json_t *value)
{
	const json_t *item;
	const char *key;
	size_t index;

	if (json_is_string(value))
		return strchr(json_string_value(value), '*') != NULL;
	json_object_foreach ((json_t *)value, key, item)
		if (has_star(item))
			return true;
	json_array_foreach (value, index, item)
		if (has_star(item))
			return true;
	return false;
}

/* To StringEquals a star is a star, and what is not known would match nothing. */
static json_t *filled_condition(const struct filling *filling, const json_t *condition)
{
	json_t *filled = filling_value(filling, condition);
	json_t *exact = json_object_get(filled, "StringEquals");

	if (!exact || !has_star(exact))
		return filled;
	if (json_object_set(filled, "StringLike", exact) == 0 &&
	    json_object_del(filled, "StringEquals") == 0)
		return filled;
	json_decref(filled);
	return NULL;
}

/* {"Effect": "Allow", "Action": [..], "Resource": [..]}; NULL without memory. */
static json_t *make_statement(const struct filling *filling, const struct source_action *action)
{
	json_t *actions = json_pack("[s]", action->action);
	json_t *resource = filling_text(filling, action->resource);
	json_t *statement = JOT({"Effect", json_string("Allow")}, {"Action", actions},
				{"Resource", resource ? json_pack("[o]", resource) : NULL});
	json_t *condition;

	if (!statement || !action->condition)
		return statement;
	condition = json_loads(action->condition, 0, NULL);
	must(condition);
	statement = jot_with(statement, JOT({"Condition", filled_condition(filling, condition)}));
	json_decref(condition);
	return statement;
}

static bool add_actions(json_t *statements, const struct filling *filling,
			const struct source_action *actions)
{
	bool ok = true;

	for (; ok && actions->action; actions++) {
		json_t *statement = make_statement(filling, actions);

		ok = statement != NULL;
		if (ok && !merge(statements, statement, "Resource", "Action", &ok))
			ok = json_array_append(statements, statement) == 0;
		json_decref(statement);
	}
	return ok;
}

static json_t *document(json_t *statements)
{
	json_t *merged = json_array(), *statement;
	size_t index;
	bool ok = merged != NULL;

	json_array_foreach (statements, index, statement)
		if (ok && !merge(merged, statement, "Action", "Resource", &ok))
			ok = json_array_append(merged, statement) == 0;
	json_decref(statements);
	if (!ok) {
		json_decref(merged);
		return NULL;
	}
	return JOT({"Version", json_string("2012-10-17")}, {"Statement", merged});
}

/* The list of statements of a principal, made if there is none; NULL without memory. */
static json_t *statements_of(json_t *principals, const char *name)
{
	json_t *statements = json_object_get(principals, name);

	if (!statements && json_object_set_new(principals, name, json_array()) == 0)
		statements = json_object_get(principals, name);
	return statements;
}

static bool add_source(json_t *principals, const struct source_settings *source,
		       const struct source_kind *kind, const char *region)
{
	const char *role = source->place.role_arn;
	json_t *statements = statements_of(principals, role ? role : OWN);
	const struct source_action *actions =
		kind->actions_of ? kind->actions_of(source->conf) : kind->actions;
	struct filling filling;

	filling_init(&filling, source->conf, source->place.region, region);
	if (!statements || !add_actions(statements, &filling, actions))
		return false;
	return !role || add_actions(statements_of(principals, OWN), &filling, role_actions);
}

static bool add_own(json_t *principals, const struct settings *settings, const char *region)
{
	json_t *statements = statements_of(principals, OWN);
	const struct source_action *queue = given_queue_actions;
	bool is_auto = strcmp(settings->queue, "auto") == 0;
	char place[64];
	struct filling filling;
	bool ok = statements != NULL;

	filling_init(&filling, node_get(settings->tree, "control"), settings->place.region, region);
	if (ok && settings->lifecycle)
		ok = add_actions(statements, &filling, lifecycle_actions);
	if (ok && settings->lifecycle && !settings->fleet_size)
		ok = add_actions(statements, &filling, fleet_actions);
	if (!ok || strcmp(settings->queue, "off") == 0)
		return ok;
	if (is_auto)
		queue = own_queue_actions;
	if (queue_region(is_auto ? NULL : settings->queue, settings->queue_topic, place))
		filling_init(&filling, node_get(settings->tree, "control"), place, region);
	return add_actions(statements, &filling, queue);
}

static const struct source_kind *kind_of(const struct source_kind *const *kinds, const char *name)
{
	while (*kinds && strcmp((*kinds)->name, name) != 0)
		kinds++;
	return *kinds;
}

/* What was gathered, as one document or one for each principal. */
static json_t *documents(const json_t *principals)
{
	json_t *all = json_object(), *statements;
	const char *name;
	bool ok = all != NULL;

	if (json_object_size(principals) == 1) {
		json_decref(all);
		return document(json_incref(json_object_get(principals, OWN)));
	}
	json_object_foreach ((json_t *)principals, name, statements)
		ok = ok && json_object_set_new(all, name, document(json_incref(statements))) == 0;
	if (ok)
		return all;
	json_decref(all);
	return NULL;
}

json_t *iam_policy(const struct settings *settings, const struct source_kind *const *kinds,
		   const char *region)
{
	json_t *principals = json_object(), *policy = NULL;
	bool ok = principals && add_own(principals, settings, region);

	for (size_t i = 0; ok && i < settings->source_count; i++) {
		const struct source_settings *source = &settings->sources[i];
		const struct source_kind *kind = kind_of(kinds, source->kind);

		if (source->is_aws && kind)
			ok = add_source(principals, source, kind, region);
	}
	if (ok)
		policy = documents(principals);
	json_decref(principals);
	return policy;
}
