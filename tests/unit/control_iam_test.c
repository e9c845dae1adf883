/* SPDX-License-Identifier: Apache-2.0
 *
 * Policies: what is filled in, what is merged, whose they are.
 */
#include <jansson.h>

#include "control/iam.h"
#include "control/source.h"
#include "tests/unit/control_settings_rig.h"

static const struct source_action ecs_actions[] = {
	{"ecs:ListTasks", "*",
	 "{\"ArnEquals\": {\"ecs:cluster\": "
	 "[\"arn:{partition}:ecs:{region}:{account}:cluster/{cluster}\"]}}"},
	{"ecs:DescribeTasks", "arn:{partition}:ecs:{region}:{account}:task/{cluster}/*", NULL},
	{"ecs:DescribeServices",
	 "arn:{partition}:ecs:{region}:{account}:service/{cluster}/{service}", NULL},
	{"ec2:DescribeInstances", "*", NULL},
	{NULL, NULL, NULL},
};
static const struct source_action ec2_actions[] = {
	{"ec2:DescribeInstances", "*", NULL},
	{"ec2:DescribeAvailabilityZones", "*", NULL},
	{NULL, NULL, NULL},
};
static const struct source_kind ecs_kind = {.name = "ecs", .is_aws = true, .actions = ecs_actions};
static const struct source_kind ec2_kind = {.name = "ec2", .is_aws = true, .actions = ec2_actions};
static const struct source_action asg_actions[] = {
	{"autoscaling:DescribeAutoScalingGroups", "*",
	 "{\"StringEquals\": {\"aws:RequestedRegion\": \"{region}\"}}"},
	{NULL, NULL, NULL},
};
static const struct source_kind asg_kind = {.name = "asg", .is_aws = true, .actions = asg_actions};
static const struct source_kind *const kinds[] = {&ecs_kind, &ec2_kind, &asg_kind, NULL};

/* The policy of these parts of a file, as one line of JSON that begins where policies differ. */
static void expect(const char *control, const char *discover, const char *region,
		   const char *expected)
{
	char yaml[1024];

	snprintf(yaml, sizeof(yaml),
		 ADMIN "control: %s\n" VALID_LISTENERS "pools: [{name: p, discover: %s}]\n",
		 control, discover);
	struct settings *settings = settings_valid(yaml);
	json_t *policy = iam_policy(settings, kinds, region);
	json_error_t error;
	json_t *wanted = json_loads(expected, 0, &error);

	ck_assert_msg(wanted != NULL, "%s", error.text);
	ck_assert_ptr_nonnull(policy);
	char *found = json_dumps(policy, 0);

	ck_assert_msg(json_equal(policy, wanted), "%s", found);
	free(found);
	json_decref(policy);
	json_decref(wanted);
	settings_free(settings);
}

#define DOCUMENT(statements) "{\"Version\": \"2012-10-17\", \"Statement\": [" statements "]}"
#define ALLOW(actions, resources)                                                                  \
	"{\"Effect\": \"Allow\", \"Action\": [" actions "], \"Resource\": [" resources "]}"
#define DESCRIBE "\"ec2:DescribeAvailabilityZones\", \"ec2:DescribeInstances\""

START_TEST(statements_of_the_same_resource_are_one)
{
	expect("{}", "{ec2: {tags: {a: b}, port: 1}}", "eu-west-1",
	       DOCUMENT(ALLOW(DESCRIBE, "\"*\"")));
	expect("{}", "{ec2: [{name: x, tags: {a: b}, port: 1}, {name: y, tags: {a: c}, port: 1}]}",
	       NULL, DOCUMENT(ALLOW(DESCRIBE, "\"*\"")));
}
END_TEST

#define ECS_DOCUMENT(head, cluster, service)                                                       \
	DOCUMENT("{\"Effect\": \"Allow\", \"Action\": [\"ecs:ListTasks\"], \"Resource\": "         \
		 "[\"*\"], \"Condition\": {\"ArnEquals\": {\"ecs:cluster\": "                      \
		 "[\"arn:" head ":cluster/" cluster "\"]}}}," ALLOW(                               \
			 "\"ecs:DescribeTasks\"",                                                  \
			 "\"arn:" head ":task/" cluster                                            \
			 "/*\"") "," ALLOW("\"ecs:DescribeServices\"",                             \
					   "\"arn:" head ":service/" cluster "/" service           \
					   "\"") "," ALLOW("\"ec2:DescribeInstances\"", "\"*\""))

START_TEST(braces_are_filled_or_become_a_star)
{
	expect("{}", "{ecs: {cluster: c, service: s}}", NULL, ECS_DOCUMENT("*:ecs:*:*", "c", "s"));
	expect("{}", "{ecs: {cluster: c, service: s}}", "cn-north-1",
	       ECS_DOCUMENT("aws-cn:ecs:cn-north-1:*", "c", "s"));
	expect("{region: eu-west-1}", "{ecs: {cluster: c, service: s}}", "us-east-1",
	       ECS_DOCUMENT("aws:ecs:eu-west-1:*", "c", "s"));
	expect("{region: eu-west-1}", "{ecs: {cluster: c, service: s, region: us-gov-west-1}}",
	       NULL, ECS_DOCUMENT("aws-us-gov:ecs:us-gov-west-1:*", "c", "s"));
}
END_TEST

#define GROUPS(condition)                                                                          \
	DOCUMENT("{\"Effect\": \"Allow\", \"Action\": "                                            \
		 "[\"autoscaling:DescribeAutoScalingGroups\"], \"Resource\": [\"*\"], "            \
		 "\"Condition\": {" condition "}}")

START_TEST(a_condition_on_what_is_not_known_allows_any)
{
	expect("{}", "{asg: {groups: g, port: 1}}", "eu-west-1",
	       GROUPS("\"StringEquals\": {\"aws:RequestedRegion\": \"eu-west-1\"}"));
	expect("{}", "{asg: {groups: g, port: 1}}", NULL,
	       GROUPS("\"StringLike\": {\"aws:RequestedRegion\": \"*\"}"));
}
END_TEST

START_TEST(an_arn_stands_for_its_last_part_and_says_where)
{
	expect("{}",
	       "{ecs: {cluster: 'arn:aws:ecs:eu-west-3:123456789012:cluster/prod',\n"
	       "  service: 'arn:aws:ecs:eu-west-3:123456789012:service/prod/web'}}",
	       NULL, ECS_DOCUMENT("aws:ecs:eu-west-3:123456789012", "prod", "web"));
}
END_TEST

START_TEST(resources_of_the_same_actions_are_one_statement)
{
	expect("{region: eu-west-1, queue: 'https://sqs.eu-west-1.amazonaws.com/123456789012/q'}",
	       "{file: {path: /x}}", NULL,
	       DOCUMENT(ALLOW("\"sqs:DeleteMessage\", \"sqs:ReceiveMessage\"",
			      "\"arn:aws:sqs:eu-west-1:123456789012:q\"")));
	expect("{region: eu-west-1}",
	       "{ecs: [{name: x, cluster: c, service: s}, {name: y, cluster: c, service: t}]}",
	       NULL,
	       DOCUMENT(
		       "{\"Effect\": \"Allow\", \"Action\": [\"ecs:ListTasks\"], \"Resource\": "
		       "[\"*\"], \"Condition\": {\"ArnEquals\": {\"ecs:cluster\": "
		       "[\"arn:aws:ecs:eu-west-1:*:cluster/c\"]}}}," ALLOW(
			       "\"ecs:DescribeTasks\"",
			       "\"arn:aws:ecs:eu-west-1:*:task/c/*\"") "," ALLOW("\"ecs:"
										 "DescribeServices"
										 "\"",
										 "\"arn:aws:ecs:eu-"
										 "west-1:*:service/"
										 "c/s\","
										 "\"arn:aws:ecs:eu-"
										 "west-1:*:service/"
										 "c/t\"") "," ALLOW("\"ec2:DescribeInstances\"",
												    "\"*\"")));
}
END_TEST

START_TEST(a_role_has_its_own_policy_and_must_be_assumed)
{
	expect("{region: eu-west-1}",
	       "{ec2: {tags: {a: b}, port: 1, role_arn: 'arn:aws:iam::123456789012:role/x'}}", NULL,
	       "{\"sluice-control\": " DOCUMENT(ALLOW(
		       "\"sts:AssumeRole\"",
		       "\"arn:aws:iam::123456789012:role/x\"")) ", "
								"\"arn:aws:iam::123456789012:role/"
								"x\": " DOCUMENT(ALLOW(
									DESCRIBE, "\"*\"")) "}");
}
END_TEST

#define OWN_REGION "\"StringEquals\": {\"aws:RequestedRegion\": \"eu-west-1\"}"
#define LOOKS(actions)                                                                             \
	"{\"Effect\": \"Allow\", \"Action\": [" actions                                            \
	"], \"Resource\": [\"*\"], \"Condition\": {" OWN_REGION "}}"
#define HOOK_ACTIONS                                                                               \
	ALLOW("\"autoscaling:CompleteLifecycleAction\", "                                          \
	      "\"autoscaling:RecordLifecycleActionHeartbeat\"",                                    \
	      "\"arn:aws:autoscaling:eu-west-1:*:autoScalingGroup:*\"")

START_TEST(the_lifecycle_asks_for_its_group_and_answers_its_hook)
{
	expect("{region: eu-west-1, lifecycle: auto, fleet_size: 3}", "{file: {path: /x}}", NULL,
	       DOCUMENT(LOOKS("\"autoscaling:DescribeAutoScalingInstances\", "
			      "\"autoscaling:DescribeLifecycleHooks\"") "," HOOK_ACTIONS));
	expect("{region: eu-west-1, lifecycle: auto}", "{file: {path: /x}}", NULL,
	       DOCUMENT(LOOKS("\"autoscaling:DescribeAutoScalingGroups\", "
			      "\"autoscaling:DescribeAutoScalingInstances\", "
			      "\"autoscaling:DescribeLifecycleHooks\"") "," HOOK_ACTIONS));
}
END_TEST

START_TEST(the_lifecycle_and_an_own_queue_need_more)
{
	struct settings *settings = settings_valid(
		ADMIN "control: {region: eu-west-1, lifecycle: auto, queue: auto,\n"
		      "  queue_topic: 'arn:aws:sns:eu-west-1:123456789012:t'}\n" VALID_LISTENERS
		      "pools: [{name: p, discover: {file: {path: /x}}}]\n");
	json_t *policy = iam_policy(settings, kinds, NULL);
	char *text = json_dumps(policy, 0);

	ck_assert(strstr(text, "autoscaling:CompleteLifecycleAction"));
	ck_assert(strstr(text, "arn:aws:sns:eu-west-1:123456789012:t\""));
	ck_assert(strstr(text, "arn:aws:sqs:eu-west-1:123456789012:sluice-control-*"));
	ck_assert_ptr_null(strstr(text, "ec2:"));
	free(text);
	json_decref(policy);
	settings_free(settings);
}
END_TEST

START_TEST(without_aws_nothing_is_allowed)
{
	expect("{}", "{file: {path: /x}}", NULL, DOCUMENT(""));
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		statements_of_the_same_resource_are_one,
		braces_are_filled_or_become_a_star,
		a_condition_on_what_is_not_known_allows_any,
		an_arn_stands_for_its_last_part_and_says_where,
		resources_of_the_same_actions_are_one_statement,
		a_role_has_its_own_policy_and_must_be_assumed,
		the_lifecycle_asks_for_its_group_and_answers_its_hook,
		the_lifecycle_and_an_own_queue_need_more,
		without_aws_nothing_is_allowed,
	};

	return run_tests("control_iam", tests, COUNT(tests));
}
