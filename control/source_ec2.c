/* SPDX-License-Identifier: Apache-2.0
 *
 * `ec2`: the running instances that fit tags and filters.
 *
 * Happy path: one DescribeInstances of 1,000 a page, and each instance is a target with its id, its
 * address of the kind that is wanted, and its zone's id.
 * Failure modes: those of control/instances.h. An instance that stops is no longer in the answer,
 * and so is drained by the proxy.
 */
#include <errno.h>
#include <stdlib.h>

#include "control/asking.h"
#include "control/filters.h"
#include "control/instances.h"
#include "control/source.h"
#include "proxy/base/conf/discover_rules.h"
#include "proxy/base/conf/schema.h"
#include "proxy/base/jot.h"
#include "proxy/base/list.h"

#define STATE "instance-state-name"
#define PAGE  1000

struct ec2 {
	struct source source;
	struct asking asking;
	struct instances instances;
	json_t *filters;
};

static struct ec2 *ec2_of(struct source *source)
{
	return container_of(source, struct ec2, source);
}

static json_t *read_filters(const struct node *conf)
{
	json_t *filters = json_pack("[{s:s, s:[s]}]", "Name", STATE, "Value", "running");

	if (!filters || filters_add(filters, node_get(conf, "tags"), "tag:", "Value") < 0 ||
	    filters_add(filters, node_get(conf, "filters"), "", "Value") < 0) {
		json_decref(filters);
		return NULL;
	}
	return filters;
}

/* What the schema cannot see. */
static int check(const struct node *conf, const json_t *filters, struct conf_errors *errors)
{
	const struct node *state = node_get(node_get(conf, "filters"), STATE);
	size_t values = filters_values(filters, "Value");

	if (state)
		conf_error(errors, &state->name_where,
			   "found the filter \"" STATE "\"; expected none, as only instances that "
			   "run are targets");
	if (values > INSTANCES_FILTER_VALUES)
		conf_error(errors, &conf->where,
			   "found %zu values in tags and filters; expected %d at most, as "
			   "DescribeInstances takes %d and one is for the state",
			   values - 1, INSTANCES_FILTER_VALUES - 1, INSTANCES_FILTER_VALUES);
	return state || values > INSTANCES_FILTER_VALUES ? -EINVAL : 0;
}

static void ec2_close(struct source *source)
{
	struct ec2 *ec2 = ec2_of(source);

	asking_cancel(&ec2->asking);
	instances_fini(&ec2->instances);
	json_decref(ec2->filters);
	free(ec2);
}

static int ec2_open(const struct node *conf, const struct source_world *world,
		    struct conf_errors *errors, struct source **ret_source)
{
	const struct schema_map *map = discover_source_map("ec2");
	struct ec2 *ec2 = calloc(1, sizeof(*ec2));
	struct labels labels;
	int err = -ENOMEM;

	if (!ec2)
		return -ENOMEM;
	ec2->source = (struct source){.kind = &source_ec2, .conf = conf, .world = *world};
	asking_init(&ec2->asking, &ec2->source);
	labels_open("ec2", conf, "from_tags", &labels);
	instances_init(&ec2->instances, &ec2->asking,
		       (enum instance_address)schema_number(map, conf, "address"), &labels);
	ec2->filters = read_filters(conf);
	if (ec2->filters)
		err = check(conf, ec2->filters, errors);
	if (err)
		ec2_close(&ec2->source);
	else
		*ret_source = &ec2->source;
	return err;
}

/* The filter asked for running ones alone, but an answer may lag behind. */
static void on_instances(void *context)
{
	struct ec2 *ec2 = context;
	struct instances *instances = &ec2->instances;
	struct target_set *set = source_new_set(&ec2->source);
	int err = set ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < instances->count; i++)
		if (instances->at[i].running)
			err = instances_offer(instances, &instances->at[i], 0, false, set);
	instances_end(instances, set, err);
}

static void ec2_fetch(struct source *source)
{
	struct ec2 *ec2 = ec2_of(source);

	instances_clear(&ec2->instances);
	instances_select(&ec2->instances, json_deep_copy(ec2->filters), on_instances, ec2);
}

static uint32_t ec2_calls_x100(const struct source *source, size_t expected)
{
	return expected > PAGE ? (uint32_t)((expected + PAGE - 1) / PAGE * 100) : 100;
}

static const struct source_action actions[] = {
	{"ec2:DescribeInstances", "*", SOURCE_OWN_REGION},
	{"ec2:DescribeAvailabilityZones", "*", SOURCE_OWN_REGION},
	{0},
};

const struct source_kind source_ec2 = {
	.name = "ec2",
	.is_aws = true,
	.actions = actions,
	.open = ec2_open,
	.close = ec2_close,
	.fetch = ec2_fetch,
	.calls_x100 = ec2_calls_x100,
};
