/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns who we are to Auto Scaling. Happy path: the instance's id and region from its metadata, its
 * group from DescribeAutoScalingInstances, the hook that waits for its end from
 * DescribeLifecycleHooks, and the group's desired capacity where somebody wants to know; again
 * every few minutes, so that what is wrong with it is said before it is needed.
 *
 * Failure modes: a question that fails is asked again soon, and then ever more seldom; what is
 * known stays. Several hooks are none, unless one is named, because completing somebody else's
 * would take away the time that he has asked for.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/journal.h"
#include "control/lifecycle/internal.h"
#include "proxy/base/jot.h"
#include "proxy/base/loop.h"

#define AGAIN_MS     300000
#define FAILED_MS    5000
#define FAILED_TIMES 6 /* doubled so often */
#define TERMINATING  "autoscaling:EC2_INSTANCE_TERMINATING"
#define HEARTBEAT_S  3600 /* of a hook that does not say, as documented */

/* What is wrong, once; "" for nothing. */
static void note_problem(struct lifecycle *lifecycle, const char *kind, const char *problem)
{
	struct self *self = &lifecycle->self;

	if (*problem && strcmp(problem, self->problem) != 0)
		lifecycle_note(lifecycle, LOG_WARN, kind, "%s", problem);
	snprintf(self->problem, sizeof(self->problem), "%s", problem);
}

static void fail(struct lifecycle *lifecycle, const char *problem)
{
	struct self *self = &lifecycle->self;
	unsigned doubled = self->failures < FAILED_TIMES ? self->failures : FAILED_TIMES;

	note_problem(lifecycle, "lifecycle_group_unknown", problem);
	self->failures++;
	loop_arm(lifecycle->conf.loop, &self->timer,
		 lifecycle_jitter((uint64_t)FAILED_MS << doubled));
}

static void fail_without_memory(struct lifecycle *lifecycle)
{
	fail(lifecycle, "out of memory");
}

/* Everything was answered. */
static void settle(struct lifecycle *lifecycle)
{
	struct self *self = &lifecycle->self;
	char problem[sizeof(self->problem)] = "";
	bool first = !self->known;

	if (*self->group && !self->hooks)
		snprintf(problem, sizeof(problem), "group %s has no%s%s hook for %s", self->group,
			 lifecycle->conf.hook ? " " : "",
			 lifecycle->conf.hook ? lifecycle->conf.hook : "", TERMINATING);
	else if (*self->group && !*self->hook)
		snprintf(problem, sizeof(problem),
			 "group %s has %u hooks for %s; say which is ours with "
			 "control.lifecycle_hook",
			 self->group, self->hooks, TERMINATING);
	self->known = true;
	self->failures = 0;
	if (first && !*problem)
		lifecycle_note(lifecycle, LOG_INFO, "lifecycle_watching", "%s is in %s%s%s%s",
			       self->instance, *self->group ? "group " : "no group", self->group,
			       *self->hook ? ", whose hook is " : "", self->hook);
	note_problem(lifecycle, "lifecycle_no_hook", problem);
	loop_arm(lifecycle->conf.loop, &self->timer, lifecycle_jitter(AGAIN_MS));
	action_continue(lifecycle);
}

/* Takes `input`. */
static void ask(struct lifecycle *lifecycle, const char *action, json_t *input,
		int (*on_page)(void *context, const json_t *page),
		void (*on_end)(void *context, const struct aws_error *error))
{
	struct aws_op op = {.service = AWS_AUTOSCALING,
			    .action = action,
			    .input = input,
			    .on_page = on_page,
			    .on_end = on_end,
			    .context = lifecycle};

	lifecycle->self.run = aws_start(lifecycle->self.aws, &op);
	if (!lifecycle->self.run)
		fail_without_memory(lifecycle);
}

/* Whether the call went well; else it was said. */
static bool was_well(struct lifecycle *lifecycle, const struct aws_error *error)
{
	lifecycle->self.run = NULL;
	if (error)
		fail(lifecycle, error->text);
	return !error;
}

static json_t *list_of_one(const char *text)
{
	return json_pack("[s]", text);
}

/* --- the group's size --- */

static int on_size_page(void *context, const json_t *page)
{
	struct lifecycle *lifecycle = context;
	const json_t *group = json_array_get(aws_list(page, "AutoScalingGroups"), 0);
	int64_t nodes;

	if (group && !aws_number(group, "DesiredCapacity", &nodes))
		return -EPROTO;
	if (group)
		lifecycle->conf.on_size(lifecycle->conf.context, nodes < 1 ? 1 : (uint32_t)nodes);
	return 0;
}

static void on_size_end(void *context, const struct aws_error *error)
{
	if (was_well(context, error))
		settle(context);
}

static void ask_size(struct lifecycle *lifecycle)
{
	ask(lifecycle, "DescribeAutoScalingGroups",
	    JOT({"AutoScalingGroupNames", list_of_one(lifecycle->self.group)}), on_size_page,
	    on_size_end);
}

/* --- its hooks --- */

static void take_hook(struct lifecycle *lifecycle, const json_t *hook)
{
	struct self *self = &lifecycle->self;
	const char *name = aws_text(hook, "LifecycleHookName");
	const char *transition = aws_text(hook, "LifecycleTransition");
	int64_t timeout_s;

	if (!name || !transition || strcmp(transition, TERMINATING) != 0 ||
	    (lifecycle->conf.hook && strcmp(name, lifecycle->conf.hook) != 0))
		return;
	if (!aws_number(hook, "HeartbeatTimeout", &timeout_s) || timeout_s < 1)
		timeout_s = HEARTBEAT_S;
	self->heartbeat_ms = (uint32_t)(timeout_s < 86400 ? timeout_s : 86400) * 1000;
	snprintf(self->hook, sizeof(self->hook), "%s", self->hooks++ ? "" : name);
}

static int on_hooks_page(void *context, const json_t *page)
{
	struct lifecycle *lifecycle = context;
	const json_t *hooks = aws_list(page, "LifecycleHooks");

	lifecycle->self.hooks = 0;
	lifecycle->self.hook[0] = '\0';
	for (size_t i = 0; i < json_array_size(hooks); i++)
		take_hook(lifecycle, json_array_get(hooks, i));
	return hooks ? 0 : -EPROTO;
}

static void on_hooks_end(void *context, const struct aws_error *error)
{
	struct lifecycle *lifecycle = context;

	if (!was_well(lifecycle, error))
		return;
	if (lifecycle->conf.on_size)
		ask_size(lifecycle);
	else
		settle(lifecycle);
}

/* --- our group --- */

static int on_group_page(void *context, const json_t *page)
{
	struct self *self = &((struct lifecycle *)context)->self;
	const json_t *instances = aws_list(page, "AutoScalingInstances");
	const char *group = aws_text(json_array_get(instances, 0), "AutoScalingGroupName");

	if (!instances || (json_array_size(instances) && !group))
		return -EPROTO;
	snprintf(self->group, sizeof(self->group), "%s", group ? group : "");
	return 0;
}

static void on_group_end(void *context, const struct aws_error *error)
{
	struct lifecycle *lifecycle = context;
	struct self *self = &lifecycle->self;

	if (!was_well(lifecycle, error))
		return;
	if (*self->group) {
		ask(lifecycle, "DescribeLifecycleHooks",
		    JOT({"AutoScalingGroupName", json_string(self->group)}), on_hooks_page,
		    on_hooks_end);
		return;
	}
	self->hook[0] = '\0';
	self->hooks = 0;
	settle(lifecycle);
}

static void ask_group(struct lifecycle *lifecycle)
{
	ask(lifecycle, "DescribeAutoScalingInstances",
	    JOT({"InstanceIds", list_of_one(lifecycle->self.instance)}), on_group_page,
	    on_group_end);
}

/* --- this instance --- */

static void ask_metadata(struct lifecycle *lifecycle, const char *path,
			 void (*on_end)(void *context, const struct imds_answer *answer))
{
	lifecycle->self.call = imds_get(lifecycle->imds, path, on_end, lifecycle);
	if (!lifecycle->self.call)
		fail_without_memory(lifecycle);
}

static void on_region(void *context, const struct imds_answer *answer)
{
	struct lifecycle *lifecycle = context;
	struct aws_place place = lifecycle->conf.place;
	char problem[256];
	int err;

	lifecycle->self.call = NULL;
	if (answer->error) {
		fail(lifecycle, answer->error->text);
		return;
	}
	place.region = answer->body;
	err = aws_open(lifecycle->conf.hub, &place, &lifecycle->self.aws, problem, sizeof(problem));
	if (err)
		fail(lifecycle, err == -EINVAL ? problem : "out of memory");
	else
		ask_group(lifecycle);
}

static void on_instance(void *context, const struct imds_answer *answer)
{
	struct lifecycle *lifecycle = context;

	lifecycle->self.call = NULL;
	if (answer->error) {
		fail(lifecycle, answer->error->text);
		return;
	}
	snprintf(lifecycle->self.instance, sizeof(lifecycle->self.instance), "%s", answer->body);
	ask_metadata(lifecycle, "meta-data/placement/region", on_region);
}

static void on_due(struct timer *timer)
{
	struct lifecycle *lifecycle = container_of(timer, struct lifecycle, self.timer);

	if (lifecycle->self.aws)
		ask_group(lifecycle);
	else
		ask_metadata(lifecycle, "meta-data/instance-id", on_instance);
}

void self_start(struct lifecycle *lifecycle)
{
	timer_init(&lifecycle->self.timer, on_due);
	loop_arm(lifecycle->conf.loop, &lifecycle->self.timer, 0);
}

void self_hurry(struct lifecycle *lifecycle)
{
	struct self *self = &lifecycle->self;

	self->failures = 0;
	if (!self->run && !self->call)
		loop_arm(lifecycle->conf.loop, &self->timer, 0);
}

void self_stop(struct lifecycle *lifecycle)
{
	timer_cancel(&lifecycle->self.timer);
	imds_cancel(lifecycle->self.call);
	aws_cancel(lifecycle->self.run);
	aws_close(lifecycle->self.aws);
}
