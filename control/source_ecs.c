/* SPDX-License-Identifier: Apache-2.0
 *
 * `ecs`: the tasks of an Amazon ECS service, wherever their network puts them.
 *
 * Happy path: DescribeServices, ListTasks and DescribeTasks, each time; what never changes (task
 * definitions, the hosts of container instances) is asked once. A task that runs and is to go on
 * running is offered, one that stops or is UNHEALTHY drains, of a service that deploys by task sets
 * only those of the primary one are offered. See control/source_ecs/ecs.h for the steps.
 * Failure modes: failures[] of any call make it a part, and parts are not used; a service that is
 * not there, or whose count contradicts its tasks, fails. A running task without an address keeps
 * the last set if it is a target already, and is left out with a note if it never was.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/source_ecs/ecs.h"
#include "proxy/base/conf/discover_rules.h"
#include "proxy/base/conf/schema.h"

#define ID_MAX 255

static struct ecs *ecs_of(struct source *source)
{
	return container_of(source, struct ecs, source);
}

/* --- the set --- */

/* Long names of clusters make ARNs longer than an id may be; a task's own id is unique as well. */
static const char *id_of(const char *arn)
{
	const char *slash = strrchr(arn, '/');

	return strlen(arn) > ID_MAX && slash ? slash + 1 : arn;
}

/* 0 when it is left out; -errno after source_failed(). */
static int miss(struct ecs *ecs, const char *id, const char *what)
{
	if (!source_current(&ecs->source, id)) {
		notes_add(&ecs->instances.notes, "task %.100s has no %s, and is left out", id,
			  what);
		return 0;
	}
	source_failed(&ecs->source, "incomplete",
		      "task %.150s is a target and runs, but the answer has no %s for it, so the "
		      "targets stay as they are",
		      id, what);
	return -ENODATA;
}

static int misfit(struct ecs *ecs, const json_t *task, const char *what)
{
	const char *definition = aws_text(task, "taskDefinitionArn");

	source_failed(&ecs->source, "configuration", "task definition %.200s: %s",
		      definition ? definition : "of no name", what);
	return -EINVAL;
}

/* The task's own zone; that of its host is the same. */
static const char *zone_of(const struct ecs *ecs, const struct said *said, const json_t *task)
{
	return said->zone ? said->zone
			  : zones_id(&ecs->instances.zones, aws_text(task, "availabilityZone"));
}

static int offer(struct ecs *ecs, const char *arn, const json_t *task, bool draining,
		 struct target_set *set)
{
	const char *id = id_of(arn);
	struct said said =
		labels_read(&ecs->labels, id, aws_list(task, "tags"), &ecs->instances.notes);
	char address[ADDR_TEXT], what[200];
	struct addr addr;
	int err = ecs_place(ecs, task, said.port, &addr, what, sizeof(what));

	if (err && draining)
		return 0;
	if (err)
		return err == -EINVAL ? misfit(ecs, task, what) : miss(ecs, id, what);
	return source_add(&ecs->source, set,
			  &(struct found_target){
				  .id = id,
				  .address = addr_format(&addr, address),
				  .zone = zone_of(ecs, &said, task),
				  .weight = said.weight,
				  .backup = said.backup,
				  .draining = draining,
			  });
}

static int fill(struct ecs *ecs, struct target_set *set)
{
	const char *arn;
	json_t *task;
	int err = 0;

	json_object_foreach (ecs->tasks, arn, task) {
		enum ecs_standing standing = ecs_judge(ecs, task);

		if (standing == ECS_NOT_KNOWN) {
			source_failed(&ecs->source, "unknown_state",
				      "task %.150s is in the state \"%.40s\", which this version "
				      "does not know, so the targets stay as they are",
				      arn, aws_text(task, "lastStatus"));
			return -EPROTO;
		}
		if (standing <= ECS_DRAINING)
			err = offer(ecs, arn, task, standing == ECS_DRAINING, set);
		if (err)
			return err;
	}
	return 0;
}

/* Of no use any more, by the tasks there are. */
static void forget_definitions(struct ecs *ecs)
{
	json_t *used = json_object(), *task;
	const char *arn;

	ecs_each_task (ecs, arn, task) {
		const char *definition = aws_text(task, "taskDefinitionArn");

		if (definition && json_object_get(ecs->definitions, definition))
			json_object_set(used, definition,
					json_object_get(ecs->definitions, definition));
	}
	json_decref(ecs->definitions);
	ecs->definitions = used;
}

void ecs_make_set(struct ecs *ecs)
{
	struct target_set *set = source_new_set(&ecs->source);
	int err = set ? fill(ecs, set) : -ENOMEM;

	if (!err)
		forget_definitions(ecs);
	instances_end(&ecs->instances, set, err);
}

/* --- the service --- */

static int take_service(struct ecs *ecs, const json_t *service)
{
	const json_t *sets = aws_list(service, "taskSets");
	const char *status = aws_text(service, "status");

	if (!status)
		return -EPROTO;
	snprintf(ecs->status, sizeof(ecs->status), "%s", status);
	aws_number(service, "runningCount", &ecs->running);
	if (json_array_size(sets) > 0)
		ecs->task_sets = json_object();
	for (size_t i = 0; i < json_array_size(sets); i++) {
		const json_t *set = json_array_get(sets, i);
		const char *id = aws_text(set, "id"), *now = aws_text(set, "status");

		if (!id || !now)
			return -EPROTO;
		ecs->has_primary |= strcmp(now, "PRIMARY") == 0;
		if (json_object_set_new(ecs->task_sets, id, json_string(now)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int on_service_page(void *context, const json_t *page)
{
	struct ecs *ecs = context;
	const json_t *services = aws_list(page, "services");
	const json_t *failure = json_array_get(aws_list(page, "failures"), 0);
	const char *reason = aws_text(failure, "reason");

	if (failure) {
		snprintf(ecs->status, sizeof(ecs->status), "%s", reason ? reason : "MISSING");
		return 0;
	}
	if (json_array_size(services) != 1)
		return -EPROTO;
	return take_service(ecs, json_array_get(services, 0));
}

/* DRAINING is a service that is being deleted: its tasks stop one by one, and drain. */
static void on_service(void *context)
{
	struct ecs *ecs = context;

	if (strcmp(ecs->status, "ACTIVE") != 0 && strcmp(ecs->status, "DRAINING") != 0)
		source_failed(&ecs->source, "no_service",
			      "service %.100s in cluster %.100s is %.40s; check `cluster`, "
			      "`service` and the region",
			      ecs->service, ecs->cluster, ecs->status);
	else if (ecs->task_sets && !ecs->all_task_sets && !ecs->has_primary)
		source_failed(
			&ecs->source, "no_primary",
			"service %.100s has task sets, of which none is the primary one; make "
			"one so, or say `task_sets: all`",
			ecs->service);
	else
		ecs_list_tasks(ecs);
}

static void clear(struct ecs *ecs)
{
	json_decref(ecs->task_sets);
	json_decref(ecs->tasks);
	json_decref(ecs->publics);
	json_decref(ecs->was_over);
	ecs->task_sets = NULL;
	ecs->tasks = json_object();
	ecs->publics = json_object();
	ecs->was_over = ecs->over;
	ecs->over = json_object();
	ecs->has_primary = false;
	ecs->running = 0;
	ecs->problem[0] = ecs->status[0] = '\0';
	instances_clear(&ecs->instances);
}

static void ecs_fetch(struct source *source)
{
	struct ecs *ecs = ecs_of(source);

	clear(ecs);
	asking_call(&ecs->asking,
		    &(struct aws_op){.service = AWS_ECS,
				     .action = "DescribeServices",
				     .input = json_pack("{s:s, s:[s]}", "cluster", ecs->cluster,
							"services", ecs->service)},
		    on_service_page, on_service, ecs);
}

/* --- open and close --- */

static void read_conf(struct ecs *ecs, const struct node *conf)
{
	const struct schema_map *map = discover_source_map("ecs");

	labels_open("ecs", conf, "from_tags", &ecs->labels);
	ecs->labels.otherwise.port = 0; /* `port` is the container's */
	ecs->cluster = schema_text(conf, "cluster");
	ecs->service = schema_text(conf, "service");
	ecs->container = schema_text(conf, "container");
	ecs->port_name = schema_text(conf, "port_name");
	ecs->port = (uint16_t)schema_number(map, conf, "port");
	ecs->ipv6 = schema_number(map, conf, "family");
	ecs->public = schema_number(map, conf, "address");
	ecs->require_healthy = schema_number(map, conf, "require_healthy");
	ecs->all_task_sets = schema_number(map, conf, "task_sets");
	ecs->wants_tags = node_get(conf, "from_tags");
}

static void ecs_close(struct source *source)
{
	struct ecs *ecs = ecs_of(source);

	asking_cancel(&ecs->asking);
	instances_fini(&ecs->instances);
	json_decref(ecs->task_sets);
	json_decref(ecs->tasks);
	json_decref(ecs->interfaces);
	json_decref(ecs->publics);
	json_decref(ecs->was_over);
	json_decref(ecs->over);
	json_decref(ecs->definitions);
	json_decref(ecs->hosts);
	free(ecs);
}

static int ecs_open(const struct node *conf, const struct source_world *world,
		    struct conf_errors *errors, struct source **ret_source)
{
	const struct labels none = {0};
	struct ecs *ecs = calloc(1, sizeof(*ecs));

	if (!ecs)
		return -ENOMEM;
	ecs->source = (struct source){.kind = &source_ecs, .conf = conf, .world = *world};
	read_conf(ecs, conf);
	asking_init(&ecs->asking, &ecs->source);
	instances_init(&ecs->instances, &ecs->asking,
		       ecs->ipv6     ? INSTANCE_IPV6
		       : ecs->public ? INSTANCE_PUBLIC
				     : INSTANCE_PRIVATE,
		       &none);
	ecs->over = json_object();
	ecs->definitions = json_object();
	ecs->hosts = json_object();
	*ret_source = &ecs->source;
	return 0;
}

/* One for the service, a page and a batch for each hundred, and one page of those that stop. */
static uint32_t ecs_calls_x100(const struct source *source, size_t expected)
{
	const struct ecs *ecs = container_of(source, const struct ecs, source);
	uint32_t batches = (uint32_t)((expected + ECS_BATCH - 1) / ECS_BATCH);
	uint32_t publics = ecs->public ? instances_ask_calls(expected) : 0;

	batches = batches ? batches : 1;
	return 100 * (2 + 2 * batches + publics + instances_ask_calls(ecs->host_count));
}

#define OWN_CLUSTER                                                                                \
	"{\"ArnEquals\": {\"ecs:cluster\": "                                                       \
	"\"arn:{partition}:ecs:{region}:{account}:cluster/{cluster}\"}}"
#define BELOW_CLUSTER(kind) "arn:{partition}:ecs:{region}:{account}:" kind "/{cluster}/"

/* Which network mode tasks use, their definitions say, so all that any mode takes is here. */
static const struct source_action actions[] = {
	{"ec2:DescribeNetworkInterfaces", "*", SOURCE_OWN_REGION}, /* see actions_of() */
	{"ecs:DescribeServices", BELOW_CLUSTER("service") "{service}", NULL},
	{"ecs:ListTasks", "*", OWN_CLUSTER},
	{"ecs:DescribeTasks", BELOW_CLUSTER("task") "*", NULL},
	{"ecs:DescribeTaskDefinition", "*", SOURCE_OWN_REGION},
	{"ecs:DescribeContainerInstances", BELOW_CLUSTER("container-instance") "*", NULL},
	{"ec2:DescribeInstances", "*", SOURCE_OWN_REGION},
	{"ec2:DescribeAvailabilityZones", "*", SOURCE_OWN_REGION},
	{0},
};

/* The first is for public addresses alone. */
static const struct source_action *actions_of(const struct node *conf)
{
	const char *address = schema_text(conf, "address");

	return address && strcmp(address, "public") == 0 ? actions : actions + 1;
}

const struct source_kind source_ecs = {
	.name = "ecs",
	.is_aws = true,
	.actions = actions,
	.actions_of = actions_of,
	.open = ecs_open,
	.close = ecs_close,
	.fetch = ecs_fetch,
	.calls_x100 = ecs_calls_x100,
};
