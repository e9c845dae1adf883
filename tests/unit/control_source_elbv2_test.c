/* SPDX-License-Identifier: Apache-2.0
 *
 * The elbv2 source against canned answers. Happy path: the group is looked up once, the health of
 * its targets each time; addresses stand for themselves, instances are looked up.
 */
/* link: -Wl,--wrap=aws_start -Wl,--wrap=aws_start_batches -Wl,--wrap=aws_cancel */
#include "tests/unit/instances_rig.h"

#define TG  "{target_group: tg}"
#define ARN "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/tg/0123456789abcdef"

#define GROUP(type, family)                                                                        \
	"{'TargetGroups': [{'TargetGroupArn': '" ARN "', 'TargetGroupName': 'tg', 'Port': '80',"   \
	" 'TargetType': '" type "', 'IpAddressType': '" family "'}]}"
#define TARGET(id, port, zone, state, more)                                                        \
	"{'Target': {'Id': '" id "', 'Port': '" port "'" zone "}, 'HealthCheckPort': '80',"        \
	" 'TargetHealth': {'State': '" state "'" more "}}"
#define HEALTH(members) "{'TargetHealthDescriptions': [" members "]}"

static struct source_rig rig;

static void open_group(const char *yaml, const char *group)
{
	double_open(&rig, &source_elbv2, yaml);
	answer("DescribeTargetGroups", group);
}

START_TEST(addresses_bring_their_zone_along)
{
	open_group(TG, GROUP("ip", "ipv4"));
	answer("DescribeTargetHealth",
	       HEALTH(TARGET("10.0.0.1", "80", ", 'AvailabilityZone': 'eu-west-1b'", "healthy",
			     "") "," TARGET("10.0.0.2", "81", ", 'AvailabilityZone': 'all'",
					    "healthy", "") "," TARGET("2001:db8::1", "82", "",
								      "healthy", "")));
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "10.0.0.1:80 zone=euw1-az2\n10.0.0.2:81\n[2001:db8::1]:82");
	expect_asked(0, "DescribeTargetGroups", "{'Names': ['tg']}");
	expect_asked(1, "DescribeTargetHealth", "{'TargetGroupArn': '" ARN "'}");
	double_close(&rig);
}
END_TEST

START_TEST(instances_are_looked_up)
{
	open_group(TG, GROUP("instance", "ipv4"));
	answer("DescribeTargetHealth", HEALTH(TARGET("i-1", "80", "", "healthy", "") "," TARGET(
					       "i-1", "81", "", "healthy",
					       "") "," TARGET("i-2", "80", "", "draining", "")));
	answer_json(
		"DescribeInstances",
		page_with_running(page_with_running(NULL, "i-1", "10.0.0.1"), "i-2", "10.0.0.2"));
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "10.0.0.1:80 id=i-1 zone=euw1-az1\n10.0.0.1:81 id=i-1 zone=euw1-az1\n"
			 "10.0.0.2:80 id=i-2 zone=euw1-az1 draining");
	expect_asked(2, "DescribeInstances",
		     "{'Filter': [{'Name': 'instance-id', 'Value': ['i-1', 'i-2']}],"
		     " 'MaxResults': 1000}");
	double_close(&rig);
}
END_TEST

START_TEST(instances_of_an_ipv6_group_are_reached_by_ipv6)
{
	open_group(TG, GROUP("instance", "ipv6"));
	answer("DescribeTargetHealth", HEALTH(TARGET("i-1", "80", "", "healthy", "")));
	answer_json("DescribeInstances",
		    page_with(NULL, "i-1", "running",
			      ", 'privateIpAddress': '10.0.0.1', 'ipv6Address': '2001:db8::1'"));
	expect_set(&rig, "[2001:db8::1]:80 id=i-1");
	double_close(&rig);
}
END_TEST

START_TEST(the_group_is_looked_up_once_and_after_a_failure)
{
	static const char *const health = HEALTH(TARGET("10.0.0.1", "80", "", "healthy", ""));

	open_group("{target_group: '" ARN "'}", GROUP("ip", "ipv4"));
	answer("DescribeTargetHealth", health);
	expect_set(&rig, "10.0.0.1:80");
	expect_asked(0, "DescribeTargetGroups", "{'TargetGroupArns': ['" ARN "']}");
	answer("DescribeTargetHealth", health);
	expect_set(&rig, "10.0.0.1:80");
	answer_error("DescribeTargetHealth", AWS_REFUSED);
	expect_failure(&rig, "refused", "the service said no");
	answer("DescribeTargetGroups", GROUP("ip", "ipv4"));
	answer("DescribeTargetHealth", health);
	expect_set(&rig, "10.0.0.1:80");
	double_close(&rig);
}
END_TEST

/* What becomes of a target in this state; "" is a usable one. */
static void expect_state(const char *state, const char *reason, const char *words)
{
	char text[512], expected[64];

	snprintf(text, sizeof(text),
		 HEALTH("{'Target': {'Id': '10.0.0.1', 'Port': '80'},"
			" 'TargetHealth': {'State': '%s', 'Reason': '%s'}}"),
		 state, reason);
	snprintf(expected, sizeof(expected), "10.0.0.1:80%s", words);
	answer("DescribeTargetHealth", text);
	expect_set(&rig, expected);
}

START_TEST(each_state_has_its_meaning)
{
	open_group(TG, GROUP("ip", "ipv4"));
	expect_state("healthy", "", "");
	expect_state("unavailable", "Target.HealthCheckDisabled", "");
	expect_state("unused", "Target.NotInUse", "");
	expect_state("unused", "Target.InvalidState", " draining");
	expect_state("unused", "Target.IpUnusable", " draining");
	expect_state("unused", "", " draining");
	expect_state("initial", "Elb.InitialHealthChecking", " draining");
	expect_state("unhealthy", "Target.Timeout", " draining");
	expect_state("unhealthy.draining", "", " draining");
	expect_state("draining", "Target.DeregistrationInProgress", " draining");
	double_close(&rig);
}
END_TEST

START_TEST(who_minds_no_health_still_minds_draining)
{
	open_group("{target_group: tg, require_healthy: false}", GROUP("ip", "ipv4"));
	expect_state("initial", "Elb.InitialHealthChecking", "");
	expect_state("unhealthy", "Target.Timeout", "");
	expect_state("unused", "Target.InvalidState", " draining");
	expect_state("unhealthy.draining", "", " draining");
	expect_state("draining", "", " draining");
	double_close(&rig);
}
END_TEST

START_TEST(a_state_that_is_not_known_keeps_the_last_set)
{
	open_group(TG, GROUP("ip", "ipv4"));
	answer("DescribeTargetHealth",
	       HEALTH(TARGET("10.0.0.1", "80", "", "healthy", "") "," TARGET("10.0.0.2", "80", "",
									     "levitating", "")));
	expect_failure(&rig, "unknown_state", "10.0.0.2 is in the state \"levitating\"");
	double_close(&rig);
}
END_TEST

START_TEST(groups_of_load_balancers_and_functions_are_refused_by_name)
{
	open_group(TG, GROUP("alb", "ipv4"));
	expect_failure(&rig, "refused", "target group tg is of type alb");
	answer("DescribeTargetGroups", GROUP("lambda", "ipv4"));
	expect_failure(&rig, "refused", "target group tg is of type lambda");
	double_close(&rig);
}
END_TEST

START_TEST(answers_that_lack_something_are_not_believed)
{
	static const char *const bad[] = {
		"{}",
		"{'TargetHealthDescriptions': [{}]}",
		HEALTH("{'Target': {'Id': '10.0.0.1'}, 'TargetHealth': {'State': 'healthy'}}"),
		HEALTH("{'Target': {'Port': '80'}, 'TargetHealth': {'State': 'healthy'}}"),
		HEALTH("{'Target': {'Id': '10.0.0.1', 'Port': '80'}, 'TargetHealth': {}}"),
		HEALTH(TARGET("10.0.0.1", "70000", "", "healthy", "")),
		HEALTH(TARGET("i-1", "80", "", "healthy", "")),
	};

	double_open(&rig, &source_elbv2, TG);
	for (size_t i = 0; i < COUNT(bad); i++) {
		answer("DescribeTargetGroups", GROUP("ip", "ipv4"));
		answer("DescribeTargetHealth", bad[i]);
		expect_failure(&rig, "garbage", "");
	}
	answer("DescribeTargetGroups", "{'TargetGroups': ''}");
	expect_failure(&rig, "garbage", "");
	answer("DescribeTargetGroups", "{'TargetGroups': [{'TargetType': 'ip'}]}");
	expect_failure(&rig, "garbage", "");
	double_close(&rig);
}
END_TEST

START_TEST(a_group_without_targets_is_an_empty_set_for_the_guard_to_judge)
{
	open_group(TG, GROUP("instance", "ipv4"));
	answer("DescribeTargetHealth", "{'TargetHealthDescriptions': ''}");
	expect_set(&rig, "");
	ck_assert_ptr_nonnull(rig.set);
	double_close(&rig);
}
END_TEST

START_TEST(a_usable_instance_that_ec2_does_not_know_keeps_the_set)
{
	open_group(TG, GROUP("instance", "ipv4"));
	answer("DescribeTargetHealth", HEALTH(TARGET("i-1", "80", "", "healthy", "")));
	answer("DescribeInstances", "{'reservationSet': ''}");
	expect_failure(&rig, "incomplete", "i-1 is a target of the group");
	answer("DescribeTargetGroups", GROUP("instance", "ipv4"));
	answer("DescribeTargetHealth", HEALTH(TARGET("i-1", "80", "", "draining", "")));
	answer("DescribeInstances", "{'reservationSet': ''}");
	expect_set(&rig, "");
	double_close(&rig);
}
END_TEST

START_TEST(a_place_that_cannot_be_asked_for_fails_the_snapshot)
{
	open_group(TG, GROUP("instance", "ipv4"));
	answer("DescribeTargetHealth", HEALTH(TARGET("i-1", "80", "", "healthy", "")));
	answer_error("DescribeInstances", AWS_DENIED);
	expect_failure(&rig, "denied", "the service said no");
	double_close(&rig);
}
END_TEST

START_TEST(a_target_listed_twice_in_different_states_is_not_believed)
{
	open_group(TG, GROUP("ip", "ipv4"));
	answer("DescribeTargetHealth",
	       HEALTH(TARGET("10.0.0.1", "80", "", "healthy", "") "," TARGET("10.0.0.1", "80", "",
									     "draining", "")));
	expect_failure(&rig, "contradiction", "10.0.0.1:80 is listed twice");
	double_close(&rig);
}
END_TEST

START_TEST(weight_and_backup_are_the_sources)
{
	open_group("{target_group: tg, weight: 9, backup: true}", GROUP("ip", "ipv4"));
	answer("DescribeTargetHealth", HEALTH(TARGET("10.0.0.1", "80", "", "healthy", "")));
	expect_set(&rig, "10.0.0.1:80 weight=9 backup");
	double_close(&rig);
}
END_TEST

START_TEST(the_estimate_depends_on_the_type_once_it_is_known)
{
	open_group(TG, GROUP("ip", "ipv4"));
	ck_assert_uint_eq(source_elbv2.calls_x100(rig.source, 401), 400);
	answer("DescribeTargetHealth", HEALTH(TARGET("10.0.0.1", "80", "", "healthy", "")));
	double_fetch(&rig);
	ck_assert_uint_eq(source_elbv2.calls_x100(rig.source, 401), 100);
	double_close(&rig);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		addresses_bring_their_zone_along,
		instances_are_looked_up,
		instances_of_an_ipv6_group_are_reached_by_ipv6,
		the_group_is_looked_up_once_and_after_a_failure,
		each_state_has_its_meaning,
		who_minds_no_health_still_minds_draining,
		a_state_that_is_not_known_keeps_the_last_set,
		groups_of_load_balancers_and_functions_are_refused_by_name,
		answers_that_lack_something_are_not_believed,
		a_group_without_targets_is_an_empty_set_for_the_guard_to_judge,
		a_usable_instance_that_ec2_does_not_know_keeps_the_set,
		a_place_that_cannot_be_asked_for_fails_the_snapshot,
		a_target_listed_twice_in_different_states_is_not_believed,
		weight_and_backup_are_the_sources,
		the_estimate_depends_on_the_type_once_it_is_known,
	};

	return run_tests("control_source_elbv2", tests, COUNT(tests));
}
