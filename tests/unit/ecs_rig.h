/* SPDX-License-Identifier: Apache-2.0
 *
 * Pieces of answers of Amazon ECS, with the names that they have on the wire, and the order in
 * which the ecs source asks for them.
 */
#pragma once

#include "tests/unit/instances_rig.h"

#define SERVICE "cluster: prod\nservice: api\n"
#define TASK(n) "arn:aws:ecs:eu-west-1:1:task/prod/" n
#define ACTIVE  "{'services': [{'status': 'ACTIVE', 'runningCount': 1}], 'failures': []}"

/* `tasks` is a list of names, such as "'a', 'b'". */
static inline void answer_listed(const char *tasks)
{
	json_t *names, *arns = json_array();
	char text[4096];

	snprintf(text, sizeof(text), "[%s]", tasks);
	names = json_of(text);
	for (size_t i = 0; i < json_array_size(names); i++) {
		snprintf(text, sizeof(text), TASK("%s"),
			 json_string_value(json_array_get(names, i)));
		json_array_append_new(arns, json_string(text));
	}
	json_decref(names);
	answer_json("ListTasks", json_pack("{s:o}", "taskArns", arns));
}

/* A service with these tasks that should run, and these that should stop. */
static inline void answer_tasks(const char *running, const char *stopped)
{
	answer("DescribeServices", ACTIVE);
	answer_listed(running);
	answer_listed(stopped);
}

/* A running one with an interface of its own; `more` is of its keys, with a comma in front, and
 * overrides those here. */
static inline json_t *task_of(const char *name, const char *address, const char *more)
{
	char text[2048];
	json_t *task, *keys;

	snprintf(text, sizeof(text),
		 "{'taskArn': '" TASK(
			 "%s") "', 'lastStatus': 'RUNNING', 'desiredStatus': 'RUNNING',"
			       " 'healthStatus': 'UNKNOWN', 'taskDefinitionArn': 'def:1', "
			       "'attachments': ["
			       "{'type': 'Service Connect', 'status': 'ATTACHED', 'details': []},"
			       "{'type': 'ElasticNetworkInterface', 'status': 'ATTACHED', "
			       "'details': ["
			       "{'name': 'networkInterfaceId', 'value': 'eni-%s'},"
			       "{'name': 'privateIPv4Address', 'value': '%s'}]}]}",
		 name, name, address);
	task = json_of(text);
	snprintf(text, sizeof(text), "{'x': 0 %s}", more);
	keys = json_of(text);
	json_object_update(task, keys);
	json_decref(keys);
	return task;
}

/* Adds to the last answer, or begins one; takes `task`. */
static inline void answer_task(json_t *task)
{
	struct double_answer *last = &aws_double.answers[aws_double.count - 1];

	if (strcmp(last->action, "DescribeTasks") != 0)
		last = answer_json("DescribeTasks", json_pack("{s:[], s:[]}", "tasks", "failures"));
	json_array_append_new(json_object_get(last->page, "tasks"), task);
}

/* `containers` is a list of {'name': .., 'portMappings': [..]}. */
static inline void answer_definition(const char *arn, const char *mode, const char *containers)
{
	char text[2048];

	snprintf(text, sizeof(text),
		 "{'taskDefinition': {'taskDefinitionArn': '%s', 'networkMode': '%s',"
		 " 'containerDefinitions': [%s]}}",
		 arn, mode, containers);
	answer("DescribeTaskDefinition", text);
}

#define WEB "{'name': 'web', 'portMappings': [{'containerPort': 8080, 'name': 'http'}]}"

/* One task named "a" at 10.0.0.1, all answers but the last. */
static inline void answer_one(const char *more)
{
	answer_tasks("'a'", "");
	answer_task(task_of("a", "10.0.0.1", more));
}
