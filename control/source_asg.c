/* SPDX-License-Identifier: Apache-2.0
 *
 * `asg`: the instances of Auto Scaling groups.
 *
 * Happy path: DescribeAutoScalingGroups says which instances belong to the groups,
 * DescribeAutoScalingInstances (50 a call) in which state of their life each is by now,
 * DescribeInstances where they are. Only InService is offered; every other state drains, since an
 * instance goes on running while it waits for a lifecycle hook to end.
 * Failure modes: a group that is named and not in the answer, an instance in service that a later
 * answer does not have, a state that is not known, and those of control/instances.h: the last set
 * stays. An instance not in service that is no longer there is gone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/asking.h"
#include "control/filters.h"
#include "control/instances.h"
#include "control/source.h"
#include "proxy/base/conf/discover_rules.h"
#include "proxy/base/conf/keys.h"
#include "proxy/base/jot.h"

#define IN_SERVICE    "InService"
#define GROUPS_PAGE   100 /* the most that MaxRecords may be there */
#define LIFECYCLE_IDS 50  /* in one DescribeAutoScalingInstances */

struct asg {
	struct source source;
	struct asking asking;
	struct instances instances;
	json_t *question; /* the input of DescribeAutoScalingGroups */
	json_t *groups;   /* names that were in the answer: an object of nothing */
	json_t *states;   /* id to lifecycle state, as the groups have it */
	json_t *later;    /* id to lifecycle state, as asked for one by one */
};

/* docs.aws.amazon.com/autoscaling/ec2/APIReference/API_AutoScalingInstanceDetails.html */
static const char *const states_known[] = {
	IN_SERVICE,
	"Pending",
	"Pending:Wait",
	"Pending:Proceed",
	"Quarantined",
	"Terminating",
	"Terminating:Wait",
	"Terminating:Proceed",
	"Terminating:Retained",
	"Terminated",
	"Detaching",
	"Detached",
	"EnteringStandby",
	"Standby",
	"ReplacingRootVolume",
	"ReplacingRootVolume:Wait",
	"ReplacingRootVolume:Proceed",
	"RootVolumeReplaced",
	"Warmed:Pending",
	"Warmed:Pending:Wait",
	"Warmed:Pending:Proceed",
	"Warmed:Pending:Retained",
	"Warmed:Terminating",
	"Warmed:Terminating:Wait",
	"Warmed:Terminating:Proceed",
	"Warmed:Terminating:Retained",
	"Warmed:Terminated",
	"Warmed:Stopped",
	"Warmed:Running",
	"Warmed:Hibernated",
};

static struct asg *asg_of(struct source *source)
{
	return container_of(source, struct asg, source);
}

static bool is_known(const char *state)
{
	for (size_t i = 0; i < ARRAY_SIZE(states_known); i++)
		if (strcmp(states_known[i], state) == 0)
			return true;
	return false;
}

/* --- opening --- */

static json_t *group_at(const void *of, size_t index)
{
	return json_string(((const struct node *)of)->children[index]->text);
}

static json_t *make_question(const struct node *conf)
{
	const struct node *names = node_get(conf, "groups");
	json_t *list = names ? jot_array(names->count, group_at, names) : json_array();

	if (!list || filters_add(list, node_get(conf, "tags"), "tag:", "Values") < 0) {
		json_decref(list);
		return NULL;
	}
	return JOT({names ? "AutoScalingGroupNames" : "Filters", list},
		   {"MaxRecords", json_integer(GROUPS_PAGE)});
}

static void forget(struct asg *asg)
{
	json_decref(asg->groups);
	json_decref(asg->states);
	json_decref(asg->later);
	asg->groups = asg->states = asg->later = NULL;
}

static void asg_close(struct source *source)
{
	struct asg *asg = asg_of(source);

	asking_cancel(&asg->asking);
	instances_fini(&asg->instances);
	forget(asg);
	json_decref(asg->question);
	free(asg);
}

static int asg_open(const struct node *conf, const struct source_world *world,
		    struct conf_errors *errors, struct source **ret_source)
{
	const struct schema_map *map = discover_source_map("asg");
	struct asg *asg = calloc(1, sizeof(*asg));
	struct labels labels;

	if (!asg)
		return -ENOMEM;
	asg->source = (struct source){.kind = &source_asg, .conf = conf, .world = *world};
	asking_init(&asg->asking, &asg->source);
	labels_open("asg", conf, "from_tags", &labels);
	instances_init(&asg->instances, &asg->asking,
		       (enum instance_address)schema_number(map, conf, "address"), &labels);
	asg->question = make_question(conf);
	if (!asg->question) {
		asg_close(&asg->source);
		return -ENOMEM;
	}
	*ret_source = &asg->source;
	return 0;
}

/* --- the end: what each instance's state and place make of it --- */

static int lost(struct asg *asg, const char *id, const char *call)
{
	source_failed(&asg->source, "incomplete",
		      "%s is in service, but %s does not know it, so the targets stay as they are",
		      id, call);
	return -ENODATA;
}

static int judge(struct asg *asg, const char *id, const char *before, struct target_set *set)
{
	const char *state = json_string_value(json_object_get(asg->later, id));
	const struct instance *instance = instances_find(&asg->instances, id);
	bool was_serving = strcmp(before, IN_SERVICE) == 0;

	if (!state)
		return was_serving ? lost(asg, id, "DescribeAutoScalingInstances") : 0;
	if (!is_known(state)) {
		source_failed(&asg->source, "unknown_state",
			      "%s is in the lifecycle state \"%.60s\", which this version does not "
			      "know, so the targets stay as they are",
			      id, state);
		return -EPROTO;
	}
	if (!instance)
		return strcmp(state, IN_SERVICE) == 0 ? lost(asg, id, "DescribeInstances") : 0;
	return instances_offer(&asg->instances, instance, 0, strcmp(state, IN_SERVICE) != 0, set);
}

static void on_instances(void *context)
{
	struct asg *asg = context;
	struct target_set *set = source_new_set(&asg->source);
	int err = set ? 0 : -ENOMEM;
	const char *id;
	json_t *state;

	json_object_foreach (asg->states, id, state) {
		if (!err)
			err = judge(asg, id, json_string_value(state), set);
		if (err)
			break;
	}
	instances_end(&asg->instances, set, err);
}

/* --- asking --- */

/* In the groups' answer and in that of DescribeAutoScalingInstances alike. */
static int read_states(const json_t *list, json_t *states)
{
	int err = list && states ? 0 : -EPROTO;

	for (size_t i = 0; !err && i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		const char *id = aws_text(item, "InstanceId");
		const char *state = aws_text(item, "LifecycleState");

		if (!id || !state)
			err = -EPROTO;
		else if (json_object_set_new(states, id, json_string(state)) < 0)
			err = -ENOMEM;
	}
	return err;
}

static json_t *ids_of(const json_t *states)
{
	json_t *ids = json_array();
	const char *id;
	json_t *state;

	json_object_foreach ((json_t *)states, id, state) {
		if (json_array_append_new(ids, json_string(id)) < 0) {
			json_decref(ids);
			return NULL;
		}
	}
	return ids;
}

static int on_lifecycle_page(void *context, const json_t *page)
{
	struct asg *asg = context;

	return read_states(aws_list(page, "AutoScalingInstances"), asg->later);
}

static void on_lifecycle(void *context)
{
	struct asg *asg = context;

	instances_ask(&asg->instances, ids_of(asg->later), on_instances, asg);
}

static int on_groups_page(void *context, const json_t *page)
{
	struct asg *asg = context;
	const json_t *groups = aws_list(page, "AutoScalingGroups");
	int err = groups ? 0 : -EPROTO;

	for (size_t i = 0; !err && i < json_array_size(groups); i++) {
		const json_t *group = json_array_get(groups, i);
		const char *name = aws_text(group, "AutoScalingGroupName");

		if (!name)
			err = -EPROTO;
		else if (json_object_set_new(asg->groups, name, json_null()) < 0)
			err = -ENOMEM;
		else
			err = read_states(aws_list(group, "Instances"), asg->states);
	}
	return err;
}

/* Every group that is named must be there: a slip of the pen must not empty a pool. */
static const char *absent_group(const struct asg *asg)
{
	const struct node *names = node_get(asg->source.conf, "groups");

	for (size_t i = 0; i < node_items(names); i++)
		if (!json_object_get(asg->groups, names->children[i]->text))
			return names->children[i]->text;
	return NULL;
}

static void on_groups(void *context)
{
	struct asg *asg = context;
	const char *absent = absent_group(asg);

	if (absent) {
		source_failed(
			&asg->source, "not_found",
			"there is no Auto Scaling group \"%.200s\" in this account and region",
			absent);
		return;
	}
	if (json_object_size(asg->states) == 0) {
		on_instances(asg);
		return;
	}
	asking_batches(&asg->asking,
		       &(struct aws_op){.service = AWS_AUTOSCALING,
					.action = "DescribeAutoScalingInstances",
					.input = json_object(),
					.token_out = "NextToken",
					.token_in = "NextToken"},
		       "InstanceIds", ids_of(asg->states), LIFECYCLE_IDS, on_lifecycle_page,
		       on_lifecycle, asg);
}

static void asg_fetch(struct source *source)
{
	struct asg *asg = asg_of(source);

	forget(asg);
	asg->groups = json_object();
	asg->states = json_object();
	asg->later = json_object();
	instances_clear(&asg->instances);
	asking_call(&asg->asking,
		    &(struct aws_op){.service = AWS_AUTOSCALING,
				     .action = "DescribeAutoScalingGroups",
				     .input = json_deep_copy(asg->question),
				     .token_out = "NextToken",
				     .token_in = "NextToken"},
		    on_groups_page, on_groups, asg);
}

static uint32_t asg_calls_x100(const struct source *source, size_t expected)
{
	uint32_t lifecycle = (uint32_t)((expected + LIFECYCLE_IDS - 1) / LIFECYCLE_IDS);

	return 100 * (1 + lifecycle + instances_ask_calls(expected));
}

static const struct source_action actions[] = {
	{"autoscaling:DescribeAutoScalingGroups", "*", SOURCE_OWN_REGION},
	{"autoscaling:DescribeAutoScalingInstances", "*", SOURCE_OWN_REGION},
	{"ec2:DescribeInstances", "*", SOURCE_OWN_REGION},
	{"ec2:DescribeAvailabilityZones", "*", SOURCE_OWN_REGION},
	{0},
};

const struct source_kind source_asg = {
	.name = "asg",
	.is_aws = true,
	.actions = actions,
	.open = asg_open,
	.close = asg_close,
	.fetch = asg_fetch,
	.calls_x100 = asg_calls_x100,
};
