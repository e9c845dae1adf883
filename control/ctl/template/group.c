/* SPDX-License-Identifier: Apache-2.0
 *
 * An Auto Scaling group of proxies: the hook that lets an instance drain, and the instance metadata
 * that tell it to.
 *
 * Failure mode: none; hooks of other transitions are passed over.
 */
#include <string.h>

#include "control/ctl/template/judge.h"

#define TERMINATING "autoscaling:EC2_INSTANCE_TERMINATING"

static bool is(const struct judge *judge, const struct node *value, const char *text)
{
	char found[TEMPLATE_TEXT];

	return template_text(judge->template, value, found) && strcmp(found, text) == 0;
}

static bool follows_lifecycle(const struct judge *judge)
{
	const char *lifecycle = node_get_text(node_get(judge->conf, "control"), "lifecycle");

	return lifecycle && strcmp(lifecycle, "auto") == 0;
}

static void check_name(struct judge *judge, const struct node *name)
{
	const char *wanted = node_get_text(node_get(judge->conf, "control"), "lifecycle_hook");
	char found[TEMPLATE_TEXT];

	if (wanted && template_text(judge->template, name, found) && strcmp(found, wanted) != 0)
		judge_say(judge, JUDGE_FAIL, &name->where, "LifecycleHookName", found,
			  judge_words(judge,
				      "control.lifecycle_hook: %.100s, the one that is "
				      "completed",
				      wanted),
			  "use one name");
}

static void check_timeout(struct judge *judge, const struct node *timeout)
{
	uint64_t seconds, stop_s = judge_stop_s(judge);

	if (!template_number(judge->template, timeout, &seconds) || seconds >= stop_s)
		return;
	judge_say(judge, JUDGE_FAIL, &timeout->where, "HeartbeatTimeout",
		  judge_words(judge, "%llu", (unsigned long long)seconds),
		  judge_words(judge, "lame duck and drain_timeout of %llu s together",
			      (unsigned long long)stop_s),
		  judge_words(judge, "set it to %llu or more", (unsigned long long)stop_s));
}

/* `hook` has the properties of one, wherever it stands. */
static void check_hook(struct judge *judge, const struct node *hook)
{
	if (!is(judge, node_get(hook, "LifecycleTransition"), TERMINATING))
		return;
	if (!follows_lifecycle(judge))
		judge_say(judge, JUDGE_FAIL, &node_get(hook, "LifecycleTransition")->where,
			  "LifecycleTransition", TERMINATING,
			  "control.lifecycle: off: nobody drains then, and nobody completes it",
			  "set control: { lifecycle: auto }");
	check_name(judge, node_get(hook, "LifecycleHookName"));
	check_timeout(judge, node_get(hook, "HeartbeatTimeout"));
}

void judge_hook(struct judge *judge)
{
	check_hook(judge, node_get(judge->resource, "Properties"));
}

static bool has_terminating_hook(const struct judge *judge)
{
	const struct node *hooks =
		template_property(judge->resource, "LifecycleHookSpecificationList");
	const struct node *resources = node_get(judge->template->root, "Resources");

	for (size_t i = 0; i < node_items(hooks); i++)
		if (is(judge, node_get(hooks->children[i], "LifecycleTransition"), TERMINATING))
			return true;
	for (size_t i = 0; i < resources->count; i++)
		if (is(judge, node_get(resources->children[i], "Type"),
		       "AWS::AutoScaling::LifecycleHook"))
			return true;
	return false;
}

void judge_group(struct judge *judge)
{
	const struct node *hooks =
		template_property(judge->resource, "LifecycleHookSpecificationList");

	for (size_t i = 0; i < node_items(hooks); i++)
		check_hook(judge, hooks->children[i]);
	if (follows_lifecycle(judge) && !has_terminating_hook(judge))
		judge_say(judge, JUDGE_WARN, &judge->resource->name_where,
			  "LifecycleHookSpecificationList", "no hook for " TERMINATING,
			  "control.lifecycle: auto: the instance does not wait for its sessions",
			  "add a hook, with a HeartbeatTimeout above lame duck and drain_timeout");
}

void judge_launch(struct judge *judge)
{
	const struct node *data = template_property(judge->resource, "LaunchTemplateData");
	const struct node *endpoint = node_get(node_get(data, "MetadataOptions"), "HttpEndpoint");
	const char *zone = node_get_text(judge->conf, "zone");

	if (!is(judge, endpoint, "disabled") ||
	    (!follows_lifecycle(judge) && (!zone || strcmp(zone, "auto") != 0)))
		return;
	judge_say(judge, JUDGE_FAIL, &endpoint->where, "MetadataOptions.HttpEndpoint", "disabled",
		  "zone: auto or control.lifecycle: auto, which ask instance metadata",
		  "set it to enabled, with HttpTokens: required");
}
