/* SPDX-License-Identifier: Apache-2.0
 *
 * Which tasks a service has, and what each is like: ListTasks, DescribeTasks and, once for each
 * revision, DescribeTaskDefinition.
 *
 * Tasks that should run are listed first and those that should stop second, so one that changes
 * sides in between is seen, twice rather than not at all. ECS keeps stopped tasks for about an
 * hour; what has stopped for good is not described again.
 * Failure modes: a task that is listed but not described makes the answer a part, and the snapshot
 * fails: its successor will have it right. Only of a task that was to stop, MISSING is an answer:
 * it is gone.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/source_ecs/ecs.h"

/* The first is told; later ones are of the same kind. */
static void note_problem(struct ecs *ecs, const char *what, const char *arn, const char *reason)
{
	if (!ecs->problem[0])
		snprintf(ecs->problem, sizeof(ecs->problem),
			 "%s %.130s: %.60s, so the answer is only a part; it is asked again", what,
			 arn, reason);
}

/* True after source_failed(). */
static bool is_partial(struct ecs *ecs)
{
	if (ecs->problem[0])
		source_failed(&ecs->source, "incomplete", "%s", ecs->problem);
	return ecs->problem[0];
}

/* --- what tasks are like --- */

static int take_task(struct ecs *ecs, json_t *task)
{
	const char *arn = aws_text(task, "taskArn"), *status = aws_text(task, "lastStatus");

	if (!arn || !status || !json_object_get(ecs->tasks, arn))
		return -EPROTO;
	if (strcmp(status, "STOPPED") == 0 && json_object_set_new(ecs->over, arn, json_null()) < 0)
		return -ENOMEM;
	return json_object_set(ecs->tasks, arn, task) < 0 ? -ENOMEM : 0;
}

/* `tasks` has true for those that were to stop, null for the others, until they have come. */
static int take_failure(struct ecs *ecs, const json_t *failure)
{
	const char *arn = aws_text(failure, "arn"), *reason = aws_text(failure, "reason");
	const json_t *listed = arn ? json_object_get(ecs->tasks, arn) : NULL;

	if (!reason)
		return -EPROTO;
	if (json_is_true(listed) && strcmp(reason, "MISSING") == 0) {
		json_object_del(ecs->tasks, arn);
		return json_object_set_new(ecs->over, arn, json_null()) < 0 ? -ENOMEM : 0;
	}
	note_problem(ecs, "DescribeTasks does not describe", arn ? arn : "a task", reason);
	return 0;
}

static int on_described_page(void *context, const json_t *page)
{
	struct ecs *ecs = context;
	const json_t *tasks = aws_list(page, "tasks"), *failures = aws_list(page, "failures");
	int err = tasks ? 0 : -EPROTO;

	for (size_t i = 0; !err && i < json_array_size(tasks); i++)
		err = take_task(ecs, json_array_get(tasks, i));
	for (size_t i = 0; !err && i < json_array_size(failures); i++)
		err = take_failure(ecs, json_array_get(failures, i));
	return err;
}

static void on_described(void *context)
{
	struct ecs *ecs = context;
	const char *arn;
	json_t *task;

	json_object_foreach (ecs->tasks, arn, task)
		if (!json_is_object(task))
			note_problem(ecs, "DescribeTasks does not describe", arn,
				     "it says nothing of it");
	if (!is_partial(ecs))
		ecs_ask_definitions(ecs);
}

static json_t *keys_of(const json_t *object)
{
	json_t *keys = json_array(), *value;
	const char *key;

	json_object_foreach ((json_t *)object, key, value)
		if (json_array_append_new(keys, json_string(key)) < 0) {
			json_decref(keys);
			return NULL;
		}
	return keys;
}

static void describe(struct ecs *ecs)
{
	json_t *input = json_pack("{s:s}", "cluster", ecs->cluster);

	if (json_object_size(ecs->tasks) == 0) {
		json_decref(input);
		on_described(ecs);
		return;
	}
	if (ecs->wants_tags)
		json_object_set_new(input, "include", json_pack("[s]", "TAGS"));
	asking_batches(
		&ecs->asking,
		&(struct aws_op){.service = AWS_ECS, .action = "DescribeTasks", .input = input},
		"tasks", keys_of(ecs->tasks), ECS_BATCH, on_described_page, on_described, ecs);
}

/* --- which there are --- */

static int take_listed(struct ecs *ecs, const char *arn)
{
	bool stopped = ecs->listing_stopped;

	if (stopped && json_object_get(ecs->was_over, arn))
		return json_object_set_new(ecs->over, arn, json_null()) < 0 ? -ENOMEM : 0;
	if (json_object_get(ecs->tasks, arn))
		return 0;
	return json_object_set_new(ecs->tasks, arn, stopped ? json_true() : json_null()) < 0
		       ? -ENOMEM
		       : 0;
}

static int on_listed_page(void *context, const json_t *page)
{
	struct ecs *ecs = context;
	const json_t *list = aws_list(page, "taskArns");
	int err = list ? 0 : -EPROTO;

	for (size_t i = 0; !err && i < json_array_size(list); i++) {
		const char *arn = json_string_value(json_array_get(list, i));

		err = arn ? take_listed(ecs, arn) : -EPROTO;
	}
	return err;
}

static void list(struct ecs *ecs, bool stopped, void (*next)(void *context))
{
	ecs->listing_stopped = stopped;
	asking_call(&ecs->asking,
		    &(struct aws_op){
			    .service = AWS_ECS,
			    .action = "ListTasks",
			    .input = json_pack("{s:s, s:s, s:s, s:i}", "cluster", ecs->cluster,
					       "serviceName", ecs->service, "desiredStatus",
					       stopped ? "STOPPED" : "RUNNING", "maxResults",
					       ECS_BATCH),
			    .token_out = "nextToken",
			    .token_in = "nextToken",
		    },
		    on_listed_page, next, ecs);
}

static void on_stopped_listed(void *context)
{
	describe(context);
}

static void on_running_listed(void *context)
{
	struct ecs *ecs = context;

	if (ecs->running > 0 && json_object_size(ecs->tasks) == 0) {
		source_failed(&ecs->source, "contradiction",
			      "DescribeServices counts %lld running tasks of %.100s, and ListTasks "
			      "lists none, so the targets stay as they are",
			      (long long)ecs->running, ecs->service);
		return;
	}
	list(ecs, true, on_stopped_listed);
}

void ecs_list_tasks(struct ecs *ecs)
{
	list(ecs, false, on_running_listed);
}

/* --- definitions --- */

/* Its environment may hold secrets, so no more is kept than what says which port is which. */
static json_t *essence_of(const json_t *definition)
{
	const json_t *containers = aws_list(definition, "containerDefinitions");
	const char *mode = aws_text(definition, "networkMode");
	json_t *kept = json_array();

	for (size_t i = 0; i < json_array_size(containers); i++) {
		const json_t *container = json_array_get(containers, i);
		json_t *mappings = json_object_get(container, "portMappings");

		if (json_array_append_new(kept, json_pack("{s:O?, s:O?}", "name",
							  json_object_get(container, "name"),
							  "portMappings", mappings)) < 0) {
			json_decref(kept);
			return NULL;
		}
	}
	return json_pack("{s:s, s:o}", "mode", mode && strcmp(mode, "default") ? mode : "bridge",
			 "containers", kept);
}

static int on_definition_page(void *context, const json_t *page)
{
	struct ecs *ecs = context;
	const json_t *definition = aws_object(page, "taskDefinition");
	const char *arn = aws_text(definition, "taskDefinitionArn");
	json_t *essence = arn ? essence_of(definition) : NULL;

	if (!arn || !aws_list(definition, "containerDefinitions")) {
		json_decref(essence);
		return -EPROTO;
	}
	return json_object_set_new(ecs->definitions, arn, essence) < 0 ? -ENOMEM : 0;
}

/* The first that is not known yet; NULL if all are. */
static const char *unknown_definition(const struct ecs *ecs)
{
	const char *arn;
	json_t *task;

	ecs_each_task (ecs, arn, task) {
		const char *definition = aws_text(task, "taskDefinitionArn");

		if (definition && ecs_needs_definition(ecs, task) &&
		    !json_object_get(ecs->definitions, definition))
			return definition;
	}
	return NULL;
}

static void on_definition(void *context)
{
	struct ecs *ecs = context;

	if (json_object_get(ecs->definitions, ecs->asked_definition))
		ecs_ask_definitions(ecs);
	else
		source_failed(&ecs->source, aws_error_kind_names[AWS_GARBAGE],
			      "DescribeTaskDefinition answers with another one than %.200s",
			      ecs->asked_definition);
}

void ecs_ask_definitions(struct ecs *ecs)
{
	const char *arn = unknown_definition(ecs);

	if (!arn) {
		ecs_ask_hosts(ecs);
		return;
	}
	ecs->asked_definition = arn;
	asking_call(&ecs->asking,
		    &(struct aws_op){.service = AWS_ECS,
				     .action = "DescribeTaskDefinition",
				     .input = json_pack("{s:s}", "taskDefinition", arn)},
		    on_definition_page, on_definition, ecs);
}
