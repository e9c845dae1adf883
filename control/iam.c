/* SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: one statement for each action, its braces filled; statements that differ in nothing
 * but their actions become one, and so do those that differ in nothing but their resource. See
 * iam.h.
 *
 * An ARN that stands in the configuration gives its account and region, and stands for its last
 * part: `cluster: arn:aws:ecs:eu-west-1:123456789012:cluster/prod` is {cluster} = prod. A queue's
 * URL does the same.
 */
#include "control/iam.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/endpoint.h"
#include "control/settings.h"
#include "control/source.h"
#include "proxy/base/conf/schema.h"
#include "proxy/base/jot.h"
#include "proxy/base/panic.h"

#define OWN "sluice-control"

static const struct source_action lifecycle_actions[] = {
	{"autoscaling:DescribeAutoScalingInstances", "*", NULL},
	{"autoscaling:DescribeLifecycleHooks", "*", NULL},
	{"autoscaling:RecordLifecycleActionHeartbeat",
	 "arn:{partition}:autoscaling:{region}:{account}:autoScalingGroup:*", NULL},
	{"autoscaling:CompleteLifecycleAction",
	 "arn:{partition}:autoscaling:{region}:{account}:autoScalingGroup:*", NULL},
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
	{"sqs:ListQueues", "*", NULL},
	{"sns:Subscribe", "arn:{partition}:sns:{region}:{account}:{queue_topic}", NULL},
	{"sns:ListSubscriptionsByTopic", "arn:{partition}:sns:{region}:{account}:{queue_topic}",
	 NULL},
	{"sns:Unsubscribe", "*", NULL},
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

/* What the braces stand for. */
struct filling {
	const struct node *conf;
	const char *partition;
	char region[64];
	char account[64];
};

/* The field of an ARN, from 0; false if it is none or the field is empty. */
static bool arn_field(const char *arn, unsigned field, char *buf, size_t size)
{
	size_t len;

	if (strncmp(arn, "arn:", 4) != 0)
		return false;
	for (; field; field--) {
		arn = strchr(arn, ':');
		if (!arn)
			return false;
		arn++;
	}
	len = strcspn(arn, ":");
	if (len == 0 || len >= size)
		return false;
	snprintf(buf, size, "%.*s", (int)len, arn);
	return true;
}

/* https://HOST/ACCOUNT/NAME */
static bool url_account(const char *url, char *buf, size_t size)
{
	const char *host = strstr(url, "://");
	const char *account = host ? strchr(host + 3, '/') : NULL;
	size_t len = account ? strcspn(account + 1, "/") : 0;

	if (len == 0 || len >= size || account[1 + len] != '/')
		return false;
	snprintf(buf, size, "%.*s", (int)len, account + 1);
	return true;
}

/* The first ARN that knows it; in the table's order a role comes last. */
static void fill_from_arns(struct filling *filling)
{
	for (size_t i = 0; i < filling->conf->count; i++) {
		const struct node *value = filling->conf->children[i];
		const char *text = value->text;

		if (!text)
			continue;
		if (!*filling->region)
			arn_field(text, 3, filling->region, sizeof(filling->region));
		if (!*filling->account)
			arn_field(text, 4, filling->account, sizeof(filling->account));
		if (!*filling->account && strcmp(value->name, "queue") == 0)
			url_account(text, filling->account, sizeof(filling->account));
	}
}

static void filling_init(struct filling *filling, const struct node *conf, const char *own_region,
			 const char *fallback_region)
{
	*filling = (struct filling){.conf = conf};
	if (own_region)
		snprintf(filling->region, sizeof(filling->region), "%s", own_region);
	fill_from_arns(filling);
	if (!*filling->region && fallback_region)
		snprintf(filling->region, sizeof(filling->region), "%s", fallback_region);
	filling->partition = *filling->region ? endpoint_partition(filling->region) : "*";
	if (!*filling->region)
		strcpy(filling->region, "*");
	if (!*filling->account)
		strcpy(filling->account, "*");
}

static const char *last_part(const char *text)
{
	const char *slash = strrchr(text, '/'), *colon = strrchr(text, ':');

	if (strncmp(text, "arn:", 4) != 0 && !strstr(text, "://"))
		return text;
	return (slash ? slash : colon) + 1;
}

static const char *filling_of(const struct filling *filling, const char *name)
{
	const char *text;

	if (strcmp(name, "partition") == 0)
		return filling->partition;
	if (strcmp(name, "region") == 0)
		return filling->region;
	if (strcmp(name, "account") == 0)
		return filling->account;
	text = schema_text(filling->conf, name);
	if (text && strcmp(name, "role_arn") == 0)
		return text;
	return text ? last_part(text) : "*";
}

/* A text whose {words} are filled in; the caller frees. NULL without memory. */
static char *fill(const struct filling *filling, const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
	char *filled = NULL, name[64];
	size_t size;
	FILE *out = open_memstream(&filled, &size);

	if (!out)
		return NULL;
	while (*text) {
		size_t len = *text == '{' ? strspn(text + 1, letters) : 0;

		if (len == 0 || len >= sizeof(name) || text[1 + len] != '}') {
			fputc(*text++, out);
			continue;
		}
		snprintf(name, sizeof(name), "%.*s", (int)len, text + 1);
		fputs(filling_of(filling, name), out);
		text += len + 2;
	}
	return fclose(out) == 0 ? filled : NULL;
}

static json_t *filled_text(const struct filling *filling, const char *text)
{
	char *filled = fill(filling, text);
	json_t *value = filled ? json_string(filled) : NULL;

	free(filled);
	return value;
}

/* A copy of a condition, every text in it filled in. NULL without memory. */
static json_t *filled_value(const struct filling *filling, const json_t *value)
{
	json_t *copy, *item;
	const char *key;
	size_t index;
	bool ok = true;

	if (json_is_string(value))
		return filled_text(filling, json_string_value(value));
	copy = json_is_object(value) ? json_object() : json_array();
	json_object_foreach ((json_t *)value, key, item)
		ok &= json_object_set_new(copy, key, filled_value(filling, item)) == 0;
	json_array_foreach (value, index, item)
		ok &= json_array_append_new(copy, filled_value(filling, item)) == 0;
	if (ok)
		return copy;
	json_decref(copy);
	return NULL;
}

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

/* {"Effect": "Allow", "Action": [..], "Resource": [..]}; NULL without memory. */
static json_t *make_statement(const struct filling *filling, const struct source_action *action)
{
	json_t *actions = json_pack("[s]", action->action);
	json_t *resource = filled_text(filling, action->resource);
	json_t *statement = JOT({"Effect", json_string("Allow")}, {"Action", actions},
				{"Resource", resource ? json_pack("[o]", resource) : NULL});
	json_t *condition;

	if (!statement || !action->condition)
		return statement;
	condition = json_loads(action->condition, 0, NULL);
	must(condition);
	statement = jot_with(statement, JOT({"Condition", filled_value(filling, condition)}));
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
	struct filling filling;

	filling_init(&filling, source->conf, source->place.region, region);
	if (!statements || !add_actions(statements, &filling, kind->actions))
		return false;
	return !role || add_actions(statements_of(principals, OWN), &filling, role_actions);
}

static bool add_own(json_t *principals, const struct settings *settings, const char *region)
{
	json_t *statements = statements_of(principals, OWN);
	const struct source_action *queue = given_queue_actions;
	struct filling filling;
	bool ok = statements != NULL;

	filling_init(&filling, node_get(settings->tree, "control"), settings->place.region, region);
	if (ok && settings->lifecycle)
		ok = add_actions(statements, &filling, lifecycle_actions);
	if (!ok || strcmp(settings->queue, "off") == 0)
		return ok;
	if (strcmp(settings->queue, "auto") == 0)
		queue = own_queue_actions;
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
