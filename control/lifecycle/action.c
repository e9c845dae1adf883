/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the group's wait for us. Happy path: a heartbeat at once and then three within each of the
 * hook's timeouts, until the drain has ended; then the action is completed.
 * (docs.aws.amazon.com/autoscaling/ec2/userguide/completing-lifecycle-hooks.html)
 *
 * Failure modes: a call that fails is made again soon, because only a heartbeat in time keeps the
 * instance; an action that the group does not know (it has not begun yet, it timed out, somebody
 * completed it) is asked for REFUSALS times, and then nobody waits for us any more. A group without
 * a hook does not wait, and one with several that were not told apart waits for whomever they are.
 */
#include <stdio.h>
#include <string.h>

#include "control/journal.h"
#include "control/lifecycle/internal.h"
#include "control/link.h"
#include "proxy/base/jot.h"
#include "proxy/base/loop.h"

#define AGAIN_MS        5000
#define HEARTBEAT_MS    300000 /* at the latest, however long the hook would wait */
#define HEARTBEAT_PARTS 3
#define REFUSALS        12

static bool is_ending(const struct lifecycle *lifecycle)
{
	return lifecycle->phase == LIFECYCLE_DRAINED;
}

static void end(struct lifecycle *lifecycle)
{
	lifecycle->action.state = ACTION_OVER;
	timer_cancel(&lifecycle->action.timer);
}

static void note_heartbeat(struct lifecycle *lifecycle)
{
	lifecycle->action.heartbeats++;
	lifecycle_note(lifecycle, LOG_INFO, "lifecycle_heartbeat",
		       "hook %s of group %s waits; sessions=%lld", lifecycle->self.hook,
		       lifecycle->self.group,
		       (long long)(lifecycle->link ? link_sessions(lifecycle->link) : -1));
}

static void note_completed(struct lifecycle *lifecycle)
{
	lifecycle_note(lifecycle, LOG_INFO, "lifecycle_completed",
		       "hook %s of group %s may go on, after %u heartbeats", lifecycle->self.hook,
		       lifecycle->self.group, lifecycle->action.heartbeats);
}

static void note_failure(struct lifecycle *lifecycle, const struct aws_error *error)
{
	struct action *action = &lifecycle->action;

	if (!action->failing)
		lifecycle_note(lifecycle, LOG_WARN, "lifecycle_action_failed", "%s", error->text);
	action->failing = true;
	action->refused = strcmp(error->code, "ValidationError") == 0 ? action->refused + 1 : 0;
	if (action->refused < REFUSALS)
		return;
	lifecycle_note(lifecycle, LOG_ERROR, "lifecycle_over",
		       "the group does not wait for this instance: %s", error->text);
	end(lifecycle);
}

static uint64_t next_ms(const struct lifecycle *lifecycle, bool failed)
{
	uint64_t ms = lifecycle->self.heartbeat_ms / HEARTBEAT_PARTS;

	if (failed && ms > AGAIN_MS)
		ms = AGAIN_MS;
	return lifecycle_jitter(ms < HEARTBEAT_MS ? ms : HEARTBEAT_MS);
}

/* Whether the call went well. The next one is due either way. */
static bool was_well(struct lifecycle *lifecycle, const struct aws_error *error)
{
	struct action *action = &lifecycle->action;

	action->run = NULL;
	if (error) {
		note_failure(lifecycle, error);
	} else {
		action->failing = false;
		action->refused = 0;
	}
	if (action->state == ACTION_WANTED)
		loop_arm(lifecycle->conf.loop, &action->timer, next_ms(lifecycle, error));
	return !error;
}

static void on_heartbeat(void *context, const struct aws_error *error)
{
	struct lifecycle *lifecycle = context;

	if (!was_well(lifecycle, error))
		return;
	note_heartbeat(lifecycle);
	action_continue(lifecycle); /* the drain may have ended meanwhile */
}

static void on_completed(void *context, const struct aws_error *error)
{
	struct lifecycle *lifecycle = context;

	if (!was_well(lifecycle, error))
		return;
	note_completed(lifecycle);
	end(lifecycle);
}

static json_t *about_us(const struct lifecycle *lifecycle)
{
	return JOT({"AutoScalingGroupName", json_string(lifecycle->self.group)},
		   {"LifecycleHookName", json_string(lifecycle->self.hook)},
		   {"InstanceId", json_string(lifecycle->self.instance)});
}

static struct aws_run *call(struct lifecycle *lifecycle)
{
	struct aws_op op = {.service = AWS_AUTOSCALING, .context = lifecycle};

	if (is_ending(lifecycle)) {
		op.action = "CompleteLifecycleAction";
		op.input = jot_with(about_us(lifecycle),
				    JOT({"LifecycleActionResult", json_string("CONTINUE")}));
		op.on_end = on_completed;
	} else {
		op.action = "RecordLifecycleActionHeartbeat";
		op.input = about_us(lifecycle);
		op.on_end = on_heartbeat;
	}
	return aws_start(lifecycle->self.aws, &op);
}

/* Whether there is a hook that is ours; else say why not, once it is known. */
static bool has_hook(struct lifecycle *lifecycle)
{
	const struct self *self = &lifecycle->self;

	if (!self->known) {
		self_hurry(lifecycle);
		return false;
	}
	if (*self->hook)
		return true;
	lifecycle_note(lifecycle, self->hooks ? LOG_ERROR : LOG_WARN, "lifecycle_no_hook",
		       "nothing will be completed: %s",
		       *self->problem ? self->problem
				      : "this instance is in no Auto Scaling group");
	end(lifecycle);
	return false;
}

static void on_due(struct timer *timer)
{
	struct lifecycle *lifecycle = container_of(timer, struct lifecycle, action.timer);
	struct action *action = &lifecycle->action;

	if (action->run || !has_hook(lifecycle))
		return;
	action->run = call(lifecycle);
	if (!action->run)
		loop_arm(lifecycle->conf.loop, &action->timer, AGAIN_MS);
}

void action_init(struct lifecycle *lifecycle)
{
	timer_init(&lifecycle->action.timer, on_due);
}

void action_stop(struct lifecycle *lifecycle)
{
	timer_cancel(&lifecycle->action.timer);
	aws_cancel(lifecycle->action.run);
}

void action_begin(struct lifecycle *lifecycle)
{
	if (lifecycle->action.state != ACTION_NONE)
		return;
	lifecycle->action.state = ACTION_WANTED;
	loop_arm(lifecycle->conf.loop, &lifecycle->action.timer, 0);
}

void action_continue(struct lifecycle *lifecycle)
{
	struct action *action = &lifecycle->action;

	if (action->state != ACTION_WANTED || action->run)
		return;
	if (is_ending(lifecycle) || !timer_is_armed(&action->timer))
		loop_arm(lifecycle->conf.loop, &action->timer, 0);
}
