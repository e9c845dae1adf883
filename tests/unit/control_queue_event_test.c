/* SPDX-License-Identifier: Apache-2.0
 *
 * Which sources an event may concern, and that what is none concerns all.
 */
#include "control/queue/event.h"
#include "tests/unit/conf_rig.h"

#define ECS_TASK                                                                                   \
	"{\"source\":\"aws.ecs\",\"detail-type\":\"ECS Task State Change\",\"region\":"            \
	"\"eu-west-1\",\"detail\":{\"clusterArn\":\"arn:aws:ecs:eu-west-1:1:cluster/prod\","       \
	"\"group\":\"service:api\"}}"

/* With a mapping as YAML. */
static bool concerns(const char *body, const char *kind, const char *yaml, const char *region)
{
	struct conf_errors errors = {0};
	struct node *conf = tree_of(yaml, &errors);
	json_t *event = event_read(body);
	bool found = event_concerns(event, kind, conf, region);

	json_decref(event);
	node_free(conf);
	conf_errors_fini(&errors);
	return found;
}

START_TEST(a_task_concerns_its_service_and_what_ecs_registers_it_in)
{
	ck_assert(concerns(ECS_TASK, "ecs", "{cluster: prod, service: api}", NULL));
	ck_assert(concerns(ECS_TASK, "ecs",
			   "{cluster: 'arn:aws:ecs:eu-west-1:1:cluster/prod', service: "
			   "'arn:aws:ecs:eu-west-1:1:service/prod/api'}",
			   "eu-west-1"));
	ck_assert(!concerns(ECS_TASK, "ecs", "{cluster: test, service: api}", NULL));
	ck_assert(!concerns(ECS_TASK, "ecs", "{cluster: prod, service: web}", NULL));
	ck_assert(concerns(ECS_TASK, "elbv2", "{target_group: t}", NULL));
	ck_assert(concerns(ECS_TASK, "cloudmap", "{namespace: n}", NULL));
	ck_assert(!concerns(ECS_TASK, "ec2", "{port: 1}", NULL));
	ck_assert(!concerns(ECS_TASK, "asg", "{groups: [a]}", NULL));
}
END_TEST

START_TEST(an_event_of_another_region_concerns_nobody_here)
{
	ck_assert(!concerns(ECS_TASK, "ecs", "{cluster: prod, service: api}", "us-east-1"));
	ck_assert(!concerns(ECS_TASK, "elbv2", "{target_group: t}", "us-east-1"));
}
END_TEST

START_TEST(a_container_instance_concerns_every_service_of_its_cluster)
{
	static const char body[] = "{\"source\":\"aws.ecs\",\"detail\":{\"clusterArn\":\"x/"
				   "prod\",\"status\":\"DRAINING\"}}";

	ck_assert(concerns(body, "ecs", "{cluster: prod, service: api}", NULL));
	ck_assert(!concerns(body, "ecs", "{cluster: test, service: api}", NULL));
}
END_TEST

START_TEST(an_instance_concerns_all_that_look_at_instances)
{
	static const char body[] = "{\"source\":\"aws.ec2\",\"detail\":{\"state\":\"running\"}}";

	ck_assert(concerns(body, "ec2", "{port: 1}", NULL));
	ck_assert(concerns(body, "asg", "{groups: [a]}", NULL));
	ck_assert(concerns(body, "elbv2", "{target_group: t}", NULL));
	ck_assert(!concerns(body, "cloudmap", "{namespace: n}", NULL));
}
END_TEST

START_TEST(a_lifecycle_action_concerns_its_group)
{
	static const char body[] =
		"{\"source\":\"aws.autoscaling\",\"detail\":{\"AutoScalingGroupName\":\"web\"}}";

	ck_assert(concerns(body, "asg", "{groups: [api, web]}", NULL));
	ck_assert(!concerns(body, "asg", "{groups: [api]}", NULL));
	ck_assert(concerns(body, "asg", "{tags: {a: b}}", NULL));
	ck_assert(concerns(body, "ec2", "{port: 1}", NULL));
}
END_TEST

START_TEST(load_balancing_and_cloud_map_concern_their_own)
{
	ck_assert(concerns("{\"source\":\"aws.elasticloadbalancing\"}", "elbv2", "{a: b}", NULL));
	ck_assert(!concerns("{\"source\":\"aws.elasticloadbalancing\"}", "ec2", "{a: b}", NULL));
	ck_assert(concerns("{\"source\":\"aws.servicediscovery\"}", "cloudmap", "{a: b}", NULL));
	ck_assert(!concerns("{\"source\":\"aws.servicediscovery\"}", "ecs", "{a: b}", NULL));
}
END_TEST

START_TEST(what_is_not_known_concerns_all)
{
	static const char *const bodies[] = {
		"",
		"hello",
		"[]",
		"null",
		"{}",
		"{\"source\":\"aws.health\"}",
		"{",
		"42",
		"{\"source\":3,\"detail\":[]}",
		"\xff",
		"{\"Message\":\"not json\"}",
	};

	for (size_t i = 0; i < COUNT(bodies); i++)
		ck_assert_msg(concerns(bodies[i], "ec2", "{port: 1}", "eu-west-1"), "%s",
			      bodies[i]);
	ck_assert(concerns(NULL, "ecs", "{cluster: c}", NULL));
	ck_assert(concerns("{\"source\":\"aws.ecs\",\"detail\":7}", "ecs",
			   "{cluster: c, service: s}", NULL));
}
END_TEST

START_TEST(the_envelope_of_a_notification_is_opened)
{
	static const char body[] =
		"{\"Type\":\"Notification\",\"MessageId\":\"m\",\"TopicArn\":\"t\",\"Message\":"
		"\"{\\\"source\\\":\\\"aws.ecs\\\",\\\"detail-type\\\":\\\"Task\\\","
		"\\\"detail\\\":{\\\"clusterArn\\\":\\\"x/prod\\\"}}\"}";
	json_t *event = event_read(body);
	char name[64];

	ck_assert_str_eq(event_name(event, name, sizeof(name)), "aws.ecs: Task");
	json_decref(event);
	ck_assert(concerns(body, "ecs", "{cluster: prod, service: s}", NULL));
	ck_assert(!concerns(body, "ecs", "{cluster: test, service: s}", NULL));
	ck_assert(!concerns(body, "ec2", "{port: 1}", NULL));
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		a_task_concerns_its_service_and_what_ecs_registers_it_in,
		an_event_of_another_region_concerns_nobody_here,
		a_container_instance_concerns_every_service_of_its_cluster,
		an_instance_concerns_all_that_look_at_instances,
		a_lifecycle_action_concerns_its_group,
		load_balancing_and_cloud_map_concern_their_own,
		what_is_not_known_concerns_all,
		the_envelope_of_a_notification_is_opened,
	};

	return run_tests("control_queue_event", tests, COUNT(tests));
}
