/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of the `ecs` source share: the state of a snapshot, and the two judgements that
 * are made of each task (may it be offered, and where is it).
 *
 *      service -> tasks (listed, described) -> definitions -> hosts, interfaces -> places -> set
 *
 * source_ecs.c asks for the service and makes the set, tasks.c and hosts.c do the asking between,
 * standing.c and place.c judge without asking anybody.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/asking.h"
#include "control/instances.h"
#include "control/labels.h"
#include "control/source.h"
#include "proxy/base/addr.h"

#define ECS_BATCH 100 /* of every call that takes a list, and of a page */

enum ecs_standing {
	ECS_OFFERED,
	ECS_DRAINING,
	ECS_ABSENT,    /* not begun, or over */
	ECS_NOT_KNOWN, /* a state that this version has not heard of */
};

struct ecs {
	struct source source;
	struct asking asking;
	struct instances instances; /* the hosts; also the zones and notes of all tasks */
	struct labels labels;       /* what a task's tags say; its port is that of the target */
	const char *cluster;
	const char *service;
	const char *container; /* NULL: any */
	const char *port_name; /* NULL: by number */
	uint16_t port;         /* of the container; 0: not given */
	bool ipv6;
	bool public;
	bool require_healthy;
	bool all_task_sets;
	bool wants_tags;

	/* Of a snapshot. Objects by ARN. */
	char status[64];   /* of the service */
	int64_t running;   /* tasks, as the service counts them */
	json_t *task_sets; /* id to status; NULL: the service deploys without */
	bool has_primary;  /* of them */
	bool listing_stopped;
	json_t *tasks; /* each one's description; until it has come null, or true if it is to stop
			*/
	const char *asked_definition;
	json_t *interfaces; /* of awsvpc tasks, when their public address counts */
	size_t interfaces_asked;
	json_t *publics;   /* network interface to public address */
	char problem[300]; /* what makes the answers a part only; "": nothing */

	/* Beyond it: what never changes. */
	json_t *over;        /* tasks that have stopped for good, as far as they are listed */
	json_t *was_over;    /* that of the snapshot before */
	json_t *definitions; /* {"mode": .., "containers": [{name, portMappings}]} of those in use
			      */
	json_t *hosts;       /* container instance to EC2 instance */
	size_t host_count;   /* of the last snapshot, for the estimate */
};

/* --- judgements --- */

/* By its life cycle and health (docs.aws.amazon.com/AmazonECS/latest/developerguide/
 * task-lifecycle-explanation.html), and by its task set. */
enum ecs_standing ecs_judge(const struct ecs *ecs, const json_t *task);

/* awsvpc: the task has an interface of its own, or its definition says that it will. */
bool ecs_is_awsvpc(const struct ecs *ecs, const json_t *task);

/* Whether the place cannot be told without the task definition: it can where the port is given, and
 * is one at an interface of the task's own. */
bool ecs_needs_definition(const struct ecs *ecs, const json_t *task);

/* The network interface of an awsvpc task, or NULL. */
const char *ecs_interface(const json_t *task);

/* Where a task is reached, at `said_port` unless that is 0. 0; -ENODATA with the word for what the
 * answer does not have (yet) in `ret_what` (`size` bytes); or -EINVAL with the clause that says how
 * configuration and task definition do not go together. */
int ecs_place(const struct ecs *ecs, const json_t *task, uint16_t said_port, struct addr *ret_addr,
	      char *ret_what, size_t size);

/* --- asking; each goes on to the next, and source_ecs.c ends it --- */

void ecs_list_tasks(struct ecs *ecs);
void ecs_ask_definitions(struct ecs *ecs);
void ecs_ask_hosts(struct ecs *ecs);
void ecs_make_set(struct ecs *ecs);

/* Every task that may become a target, in the order of the answer: those whose place matters. */
#define ecs_each_task(ecs, arn, task)                                                              \
	json_object_foreach ((ecs)->tasks, arn, task)                                              \
		if (ecs_judge(ecs, task) <= ECS_DRAINING)
