/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a task is offered, drains, or is none of ours. Pure.
 *
 * lastStatus says where a task is, desiredStatus where it is going: one that runs but is to stop
 * takes nothing new, since ECS sends SIGTERM at about the time it says so. Failure mode: a status
 * that is not known is said to be so, and the caller keeps what it had.
 */
#include <string.h>

#include "control/source_ecs/ecs.h"

static bool is(const char *text, const char *what)
{
	return text && strcmp(text, what) == 0;
}

static enum ecs_standing by_status(const char *status)
{
	static const struct {
		const char *status;
		enum ecs_standing standing;
	} rows[] = {
		{"PROVISIONING", ECS_ABSENT},   {"PENDING", ECS_ABSENT},
		{"ACTIVATING", ECS_ABSENT},     {"RUNNING", ECS_OFFERED},
		{"DEACTIVATING", ECS_DRAINING}, {"STOPPING", ECS_DRAINING},
		{"DEPROVISIONING", ECS_ABSENT}, {"STOPPED", ECS_ABSENT},
		{"DELETED", ECS_ABSENT},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (is(status, rows[i].status))
			return rows[i].standing;
	return ECS_NOT_KNOWN;
}

/* A task set that is not the primary one has not been given traffic yet, or no more: only what is
 * being stopped still drains. Tasks name their set by what started them. */
static enum ecs_standing by_task_set(const struct ecs *ecs, const json_t *task)
{
	const char *by = aws_text(task, "startedBy");
	const char *status = by ? aws_text(ecs->task_sets, by) : NULL;

	if (!ecs->task_sets || ecs->all_task_sets || is(status, "PRIMARY"))
		return ECS_OFFERED;
	return is(status, "DRAINING") ? ECS_DRAINING : ECS_ABSENT;
}

/* UNKNOWN is what a task has whose containers have no check, and one whose check says nothing yet.
 */
static enum ecs_standing by_health(const struct ecs *ecs, const json_t *task)
{
	const char *health = aws_text(task, "healthStatus");

	if (is(health, "HEALTHY") || (!is(health, "UNHEALTHY") && !ecs->require_healthy))
		return ECS_OFFERED;
	return ECS_DRAINING;
}

/* The one of both that allows less; they stand in that order. */
static enum ecs_standing less(enum ecs_standing a, enum ecs_standing b)
{
	return a > b ? a : b;
}

enum ecs_standing ecs_judge(const struct ecs *ecs, const json_t *task)
{
	enum ecs_standing standing = by_status(aws_text(task, "lastStatus"));

	if (standing > ECS_DRAINING)
		return standing;
	if (is(aws_text(task, "desiredStatus"), "STOPPED"))
		standing = ECS_DRAINING;
	standing = less(standing, by_health(ecs, task));
	return less(standing, by_task_set(ecs, task));
}
