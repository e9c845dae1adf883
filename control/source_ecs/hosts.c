/* SPDX-License-Identifier: Apache-2.0
 *
 * What tasks are reached through that DescribeTasks does not tell: the EC2 instances of those that
 * share their host's network, and the public addresses of interfaces.
 *
 * Happy path: DescribeContainerInstances, once for each container instance, and DescribeInstances
 * for their addresses; with `address: public`, DescribeNetworkInterfaces for awsvpc tasks.
 * Failure modes: a container instance that is not described fails the snapshot; so does one that is
 * no EC2 instance (ECS Anywhere), whose address AWS does not know.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/source_ecs/ecs.h"
#include "proxy/base/jot.h"

#define PAGE 1000 /* of DescribeNetworkInterfaces, at most */

/* --- the hosts' addresses, and all zones --- */

static void on_instances(void *context)
{
	ecs_make_set(context);
}

/* The ids of the hosts of this snapshot's tasks, each once; others are forgotten. */
static json_t *used_hosts(struct ecs *ecs)
{
	json_t *ids = json_array(), *used = json_object(), *task;
	const char *arn;

	ecs_each_task (ecs, arn, task) {
		const char *host = aws_text(task, "containerInstanceArn");

		if (ecs_is_awsvpc(ecs, task) || !host || json_object_get(used, host))
			continue;
		json_object_set(used, host, json_object_get(ecs->hosts, host));
		json_array_append(ids, json_object_get(ecs->hosts, host));
	}
	json_decref(ecs->hosts);
	ecs->hosts = used;
	ecs->host_count = json_array_size(ids);
	return ids;
}

static void ask_instances(struct ecs *ecs)
{
	const char *arn;
	json_t *task;

	ecs_each_task (ecs, arn, task)
		zones_want(&ecs->instances.zones, aws_text(task, "availabilityZone"));
	instances_ask(&ecs->instances, used_hosts(ecs), on_instances, ecs);
}

/* --- public addresses of interfaces --- */

static int on_interfaces_page(void *context, const json_t *page)
{
	struct ecs *ecs = context;
	const json_t *list = aws_list(page, "networkInterfaceSet");

	if (!list)
		return -EPROTO;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *interface = json_array_get(list, i);
		const char *id = aws_text(interface, "networkInterfaceId");
		const char *ip = aws_text(aws_object(interface, "association"), "publicIp");

		if (!id)
			return -EPROTO;
		if (ip && json_object_set_new(ecs->publics, id, json_string(ip)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static json_t *interfaces_of(const struct ecs *ecs)
{
	json_t *ids = json_array(), *task;
	const char *arn;

	ecs_each_task (ecs, arn, task) {
		const char *id = ecs_is_awsvpc(ecs, task) ? ecs_interface(task) : NULL;

		if (id)
			json_array_append_new(ids, json_string(id));
	}
	return ids;
}

static json_t *interface_at(const void *of, size_t index)
{
	const struct ecs *ecs = of;

	return json_incref(json_array_get(ecs->interfaces, ecs->interfaces_asked + index));
}

/* Ids go into a filter, where one that is gone does not fail the call. */
static void ask_more_interfaces(void *context)
{
	struct ecs *ecs = context;
	size_t left = json_array_size(ecs->interfaces) - ecs->interfaces_asked;
	size_t batch = left < INSTANCES_FILTER_VALUES ? left : INSTANCES_FILTER_VALUES;
	json_t *values;

	if (batch == 0) {
		ask_instances(ecs);
		return;
	}
	values = jot_array(batch, interface_at, ecs);
	ecs->interfaces_asked += batch;
	asking_call(&ecs->asking,
		    &(struct aws_op){.service = AWS_EC2,
				     .action = "DescribeNetworkInterfaces",
				     .input = json_pack("{s:[{s:s, s:o}], s:i}", "Filter", "Name",
							"network-interface-id", "Value", values,
							"MaxResults", PAGE),
				     .token_out = "nextToken",
				     .token_in = "NextToken"},
		    on_interfaces_page, ask_more_interfaces, ecs);
}

static void ask_interfaces(struct ecs *ecs)
{
	json_decref(ecs->interfaces);
	ecs->interfaces = ecs->public ? interfaces_of(ecs) : NULL;
	ecs->interfaces_asked = 0;
	ask_more_interfaces(ecs);
}

/* --- container instances to EC2 instances --- */

static void note_host(struct ecs *ecs, const char *arn, const char *why)
{
	if (!ecs->problem[0])
		snprintf(ecs->problem, sizeof(ecs->problem), "container instance %.120s %s",
			 arn ? arn : "?", why);
}

static int take_host(struct ecs *ecs, const json_t *host)
{
	const char *arn = aws_text(host, "containerInstanceArn");
	const char *id = aws_text(host, "ec2InstanceId");

	if (!arn || !id)
		return -EPROTO;
	if (strncmp(id, "i-", 2) != 0)
		note_host(ecs, arn,
			  "is no EC2 instance, so its address is not known; list such targets in "
			  "a `file`");
	return json_object_set_new(ecs->hosts, arn, json_string(id)) < 0 ? -ENOMEM : 0;
}

static int on_hosts_page(void *context, const json_t *page)
{
	struct ecs *ecs = context;
	const json_t *hosts = aws_list(page, "containerInstances");
	const json_t *failures = aws_list(page, "failures");
	int err = hosts ? 0 : -EPROTO;

	for (size_t i = 0; !err && i < json_array_size(hosts); i++)
		err = take_host(ecs, json_array_get(hosts, i));
	for (size_t i = 0; i < json_array_size(failures); i++)
		note_host(ecs, aws_text(json_array_get(failures, i), "arn"),
			  "is not described, so the answer is only a part; it is asked again");
	return err;
}

static const char *host_of(const struct ecs *ecs, const json_t *task)
{
	return ecs_is_awsvpc(ecs, task) ? NULL : aws_text(task, "containerInstanceArn");
}

static void on_hosts(void *context)
{
	struct ecs *ecs = context;
	const char *arn;
	json_t *task;

	ecs_each_task (ecs, arn, task) {
		const char *host = host_of(ecs, task);

		if (host && !json_object_get(ecs->hosts, host))
			note_host(ecs, host,
				  "is not described, so the answer is only a part; it is asked "
				  "again");
	}
	if (!ecs->problem[0]) {
		ask_interfaces(ecs);
		return;
	}
	json_object_clear(ecs->hosts);
	source_failed(&ecs->source, "incomplete", "%s", ecs->problem);
}

/* ARNs, each once, of those not known yet. */
static json_t *unknown_hosts(const struct ecs *ecs)
{
	json_t *arns = json_array(), *seen = json_object(), *task;
	const char *arn;

	ecs_each_task (ecs, arn, task) {
		const char *host = host_of(ecs, task);

		if (!host || json_object_get(ecs->hosts, host) || json_object_get(seen, host))
			continue;
		json_object_set_new(seen, host, json_null());
		json_array_append_new(arns, json_string(host));
	}
	json_decref(seen);
	return arns;
}

void ecs_ask_hosts(struct ecs *ecs)
{
	json_t *arns = unknown_hosts(ecs);

	if (json_array_size(arns) == 0) {
		json_decref(arns);
		on_hosts(ecs);
		return;
	}
	asking_batches(&ecs->asking,
		       &(struct aws_op){.service = AWS_ECS,
					.action = "DescribeContainerInstances",
					.input = json_pack("{s:s}", "cluster", ecs->cluster)},
		       "containerInstances", arns, ECS_BATCH, on_hosts_page, on_hosts, ecs);
}
