/* SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: the event's source says which kinds it may concern (docs.aws.amazon.com/eventbridge/
 * latest/ref/events.html), its region which place, and its cluster, service or group which source.
 * See event.h.
 */
#include "control/queue/event.h"

#include <stdio.h>
#include <string.h>

#include "control/aws/aws.h"
#include "proxy/base/conf/tree.h"

#define KINDS 3

/* ECS registers tasks in target groups and in Cloud Map, Auto Scaling instances in target groups.
 */
static const struct concern {
	const char *source;
	const char *kinds[KINDS + 1];
} concerns[] = {
	{"aws.ecs", {"ecs", "elbv2", "cloudmap"}},    {"aws.ec2", {"ec2", "asg", "elbv2"}},
	{"aws.autoscaling", {"asg", "ec2", "elbv2"}}, {"aws.elasticloadbalancing", {"elbv2"}},
	{"aws.servicediscovery", {"cloudmap"}},
};

static json_t *read_object(const char *text)
{
	json_t *root = text ? json_loads(text, 0, NULL) : NULL;

	if (json_is_object(root))
		return root;
	json_decref(root);
	return NULL;
}

json_t *event_read(const char *body)
{
	json_t *root = read_object(body), *inside;
	const char *message = aws_text(root, "Message");

	if (!message)
		return root ? root : json_object();
	inside = read_object(message);
	json_decref(root);
	return inside ? inside : json_object();
}

static bool is_of_kind(const char *source, const char *kind)
{
	for (size_t i = 0; i < sizeof(concerns) / sizeof(concerns[0]); i++) {
		if (strcmp(concerns[i].source, source) != 0)
			continue;
		for (const char *const *at = concerns[i].kinds; *at; at++)
			if (strcmp(*at, kind) == 0)
				return true;
		return false;
	}
	return true;
}

static const char *tail(const char *text)
{
	const char *slash = strrchr(text, '/');

	return slash ? slash + 1 : text;
}

/* Names or ARNs, either of which may not be known. */
static bool may_be_same(const char *a, const char *b)
{
	return !a || !b || strcmp(tail(a), tail(b)) == 0;
}

static const char *key_text(const struct node *conf, const char *key)
{
	const struct node *node = node_get(conf, key);

	return node ? node->text : NULL;
}

static bool may_be_of_service(const json_t *detail, const struct node *conf)
{
	const char *group = aws_text(detail, "group");

	if (!may_be_same(aws_text(detail, "clusterArn"), key_text(conf, "cluster")))
		return false;
	if (!group || strncmp(group, "service:", 8) != 0)
		return true;
	return may_be_same(group + 8, key_text(conf, "service"));
}

static bool may_be_of_groups(const json_t *detail, const struct node *conf)
{
	const char *group = aws_text(detail, "AutoScalingGroupName");
	const struct node *groups = node_get(conf, "groups");

	if (!group || !groups)
		return true;
	for (size_t i = 0; i < groups->count; i++)
		if (strcmp(groups->children[i]->text, group) == 0)
			return true;
	return false;
}

bool event_concerns(const json_t *event, const char *kind, const struct node *conf,
		    const char *region)
{
	const char *source = aws_text(event, "source"), *where = aws_text(event, "region");
	const json_t *detail = aws_object(event, "detail");

	if (!source)
		return true;
	if (where && region && strcmp(where, region) != 0)
		return false;
	if (!is_of_kind(source, kind))
		return false;
	if (strcmp(source, "aws.ecs") == 0 && strcmp(kind, "ecs") == 0)
		return may_be_of_service(detail, conf);
	if (strcmp(source, "aws.autoscaling") == 0 && strcmp(kind, "asg") == 0)
		return may_be_of_groups(detail, conf);
	return true;
}

const char *event_name(const json_t *event, char *buf, size_t size)
{
	const char *source = aws_text(event, "source"), *type = aws_text(event, "detail-type");

	snprintf(buf, size, "%.60s: %.100s", source ? source : "a message",
		 type ? type : "of no known type");
	return buf;
}
