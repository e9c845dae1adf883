/* SPDX-License-Identifier: Apache-2.0
 *
 * The asg source against canned answers: groups, the lifecycle of their instances, and where those
 * are. Happy path: what is in service is offered, everything else drains.
 */
/* link: -Wl,--wrap=aws_start -Wl,--wrap=aws_start_batches -Wl,--wrap=aws_cancel */
#include "tests/unit/instances_rig.h"

#define WEB "{groups: web, port: 80}"

#define GROUP(name, members)                                                                       \
	"{'AutoScalingGroups': [{'AutoScalingGroupName': '" name "', 'Instances': " members        \
	"}], 'NextToken': ''}"
#define MEMBER(id, state) "{'InstanceId': '" id "', 'LifecycleState': '" state "'}"
#define LIVES(members)    "{'AutoScalingInstances': " members "}"

static struct source_rig rig;

/* The group "web" of two, of which the second is by now in `state`. */
static void answer_two(const char *state)
{
	char text[512];

	answer("DescribeAutoScalingGroups",
	       GROUP("web", "[" MEMBER("i-1", "InService") "," MEMBER("i-2", "InService") "]"));
	snprintf(text, sizeof(text),
		 LIVES("[" MEMBER("i-1", "InService") "," MEMBER("i-2", "%s") "]"), state);
	answer("DescribeAutoScalingInstances", text);
}

static void answer_places(void)
{
	answer_json(
		"DescribeInstances",
		page_with_running(page_with_running(NULL, "i-1", "10.0.0.1"), "i-2", "10.0.0.2"));
}

START_TEST(instances_in_service_are_offered)
{
	double_open(&rig, &source_asg, WEB);
	answer_two("InService");
	answer_places();
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "10.0.0.1:80 id=i-1 zone=euw1-az1\n10.0.0.2:80 id=i-2 zone=euw1-az1");
	expect_asked(0, "DescribeAutoScalingGroups",
		     "{'AutoScalingGroupNames': ['web'], 'MaxRecords': 100}");
	expect_asked(1, "DescribeAutoScalingInstances", "{'InstanceIds': ['i-1', 'i-2']}");
	expect_asked(2, "DescribeInstances",
		     "{'Filter': [{'Name': 'instance-id', 'Value': ['i-1', 'i-2']}],"
		     " 'MaxResults': 1000}");
	double_close(&rig);
}
END_TEST

START_TEST(groups_are_found_by_tags)
{
	double_open(&rig, &source_asg, "{tags: {role: web, env: [a, b]}, port: 80}");
	answer_two("InService");
	answer_places();
	answer("DescribeAvailabilityZones", ZONES);
	double_fetch(&rig);
	expect_asked(0, "DescribeAutoScalingGroups",
		     "{'Filters': [{'Name': 'tag:role', 'Values': ['web']},"
		     " {'Name': 'tag:env', 'Values': ['a', 'b']}], 'MaxRecords': 100}");
	double_close(&rig);
}
END_TEST

/* EC2 says "running" all the while. */
START_TEST(every_other_known_state_drains)
{
	static const char *const states[] = {
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

	double_open(&rig, &source_asg, WEB);
	for (size_t i = 0; i < COUNT(states); i++) {
		answer_two(states[i]);
		answer_places();
		if (i == 0)
			answer("DescribeAvailabilityZones", ZONES);
		expect_set(&rig, "10.0.0.1:80 id=i-1 zone=euw1-az1\n"
				 "10.0.0.2:80 id=i-2 zone=euw1-az1 draining");
	}
	double_close(&rig);
}
END_TEST

START_TEST(a_state_that_is_not_known_keeps_the_last_set)
{
	double_open(&rig, &source_asg, WEB);
	answer_two("Levitating");
	answer_places();
	answer("DescribeAvailabilityZones", ZONES);
	expect_failure(&rig, "unknown_state", "i-2 is in the lifecycle state \"Levitating\"");
	double_close(&rig);
}
END_TEST

START_TEST(fifty_lifecycles_and_two_hundred_places_are_asked_for_at_a_time)
{
	json_t *members = json_array();

	for (unsigned i = 0; i < 401; i++)
		json_array_append_new(members, json_pack("{s:o, s:s}", "InstanceId",
							 json_sprintf("i-%05u", i),
							 "LifecycleState", "InService"));
	double_open(&rig, &source_asg, WEB);
	answer_json("DescribeAutoScalingGroups",
		    json_pack("{s:[{s:s, s:O}]}", "AutoScalingGroups", "AutoScalingGroupName",
			      "web", "Instances", members));
	/* What an answer has besides is not minded. */
	for (unsigned i = 0; i < 9; i++)
		answer_json("DescribeAutoScalingInstances",
			    json_pack("{s:O}", "AutoScalingInstances", members));
	answer_json("DescribeInstances", page_of_range(0, 200));
	answer_json("DescribeInstances", page_of_range(200, 200));
	answer_json("DescribeInstances", page_of_range(400, 1));
	answer("DescribeAvailabilityZones", ZONES);
	double_fetch(&rig);
	ck_assert_uint_eq(target_set_count(rig.set), 401);
	ck_assert_uint_eq(asked_count("DescribeAutoScalingInstances"), 9);
	ck_assert_uint_eq(asked_count("DescribeInstances"), 3);
	json_decref(members);
	double_close(&rig);
}
END_TEST

START_TEST(a_later_batch_that_fails_discards_all)
{
	json_t *members = json_array();

	for (unsigned i = 0; i < 51; i++)
		json_array_append_new(members, json_pack("{s:o, s:s}", "InstanceId",
							 json_sprintf("i-%05u", i),
							 "LifecycleState", "InService"));
	double_open(&rig, &source_asg, WEB);
	answer_json("DescribeAutoScalingGroups",
		    json_pack("{s:[{s:s, s:O}]}", "AutoScalingGroups", "AutoScalingGroupName",
			      "web", "Instances", members));
	answer_json("DescribeAutoScalingInstances",
		    json_pack("{s:o}", "AutoScalingInstances", members));
	answer_error("DescribeAutoScalingInstances", AWS_SERVER);
	expect_failure(&rig, "server", "the service said no");
	double_close(&rig);
}
END_TEST

START_TEST(pages_of_groups_are_joined)
{
	double_open(&rig, &source_asg, "{groups: [web, app], port: 80}");
	answer("DescribeAutoScalingGroups", GROUP("web", "[" MEMBER("i-1", "InService") "]"))
		->more = true;
	answer("DescribeAutoScalingGroups", GROUP("app", "[" MEMBER("i-2", "InService") "]"));
	answer("DescribeAutoScalingInstances",
	       LIVES("[" MEMBER("i-1", "InService") "," MEMBER("i-2", "InService") "]"));
	answer_places();
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "10.0.0.1:80 id=i-1 zone=euw1-az1\n10.0.0.2:80 id=i-2 zone=euw1-az1");
	double_close(&rig);
}
END_TEST

START_TEST(a_named_group_that_is_absent_empties_nothing)
{
	double_open(&rig, &source_asg, "{groups: [web, app], port: 80}");
	answer("DescribeAutoScalingGroups", GROUP("web", "[" MEMBER("i-1", "InService") "]"));
	expect_failure(&rig, "not_found", "no Auto Scaling group \"app\"");
	answer("DescribeAutoScalingGroups", "{'AutoScalingGroups': ''}");
	expect_failure(&rig, "not_found", "no Auto Scaling group \"web\"");
	double_close(&rig);
}
END_TEST

START_TEST(a_group_without_instances_is_an_empty_set_for_the_guard_to_judge)
{
	double_open(&rig, &source_asg, WEB);
	answer("DescribeAutoScalingGroups", GROUP("web", "''"));
	expect_set(&rig, "");
	ck_assert_ptr_nonnull(rig.set);
	double_close(&rig);
}
END_TEST

START_TEST(answers_that_lack_something_are_not_believed)
{
	double_open(&rig, &source_asg, WEB);
	answer("DescribeAutoScalingGroups", "{}");
	expect_failure(&rig, "garbage", "");
	answer("DescribeAutoScalingGroups",
	       "{'AutoScalingGroups': [{'AutoScalingGroupName': 'web'}]}");
	expect_failure(&rig, "garbage", "");
	answer("DescribeAutoScalingGroups", "{'AutoScalingGroups': [{'Instances': ''}]}");
	expect_failure(&rig, "garbage", "");
	answer("DescribeAutoScalingGroups", GROUP("web", "[{'InstanceId': 'i-1'}]"));
	expect_failure(&rig, "garbage", "");
	answer("DescribeAutoScalingGroups", GROUP("web", "[" MEMBER("i-1", "InService") "]"));
	answer("DescribeAutoScalingInstances", "{}");
	expect_failure(&rig, "garbage", "");
	double_close(&rig);
}
END_TEST

START_TEST(an_instance_in_service_that_a_later_answer_lacks_keeps_the_set)
{
	double_open(&rig, &source_asg, WEB);
	answer("DescribeAutoScalingGroups", GROUP("web", "[" MEMBER("i-1", "InService") "]"));
	answer("DescribeAutoScalingInstances", LIVES("''"));
	expect_failure(&rig, "incomplete", "DescribeAutoScalingInstances does not know it");
	answer_two("InService");
	answer_json("DescribeInstances", page_with_running(NULL, "i-1", "10.0.0.1"));
	answer("DescribeAvailabilityZones", ZONES);
	expect_failure(&rig, "incomplete", "i-2 is in service, but DescribeInstances");
	double_close(&rig);
}
END_TEST

START_TEST(one_that_was_ending_and_is_no_longer_there_is_gone)
{
	double_open(&rig, &source_asg, WEB);
	answer("DescribeAutoScalingGroups",
	       GROUP("web",
		     "[" MEMBER("i-1", "InService") "," MEMBER("i-2", "Terminating") "," MEMBER(
			     "i-3", "Terminating") "," MEMBER("i-4", "InService") "]"));
	answer("DescribeAutoScalingInstances",
	       LIVES("[" MEMBER("i-1", "InService") "," MEMBER(
		       "i-3", "Terminating:Proceed") "," MEMBER("i-4", "Terminating") "]"));
	/* i-3 is known no longer, i-4 has no address any more. */
	answer_json("DescribeInstances",
		    page_with(page_with_running(NULL, "i-1", "10.0.0.1"), "i-4", "terminated", ""));
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "10.0.0.1:80 id=i-1 zone=euw1-az1");
	expect_notice(&rig, "");
	double_close(&rig);
}
END_TEST

/* A group notices minutes later that an instance was stopped behind its back. */
START_TEST(one_in_service_that_does_not_run_drains)
{
	double_open(&rig, &source_asg, WEB);
	answer_two("InService");
	answer_json("DescribeInstances",
		    page_with(page_with_running(NULL, "i-1", "10.0.0.1"), "i-2", "stopping",
			      ", 'privateIpAddress': '10.0.0.2'"));
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "10.0.0.1:80 id=i-1 zone=euw1-az1\n10.0.0.2:80 id=i-2 draining");
	double_close(&rig);
}
END_TEST

START_TEST(one_in_service_whose_address_is_missing_keeps_the_set)
{
	double_open(&rig, &source_asg, WEB);
	answer_two("InService");
	answer_places();
	answer("DescribeAvailabilityZones", ZONES);
	double_fetch(&rig);
	double_keep(&rig);
	answer_two("InService");
	answer_json("DescribeInstances",
		    page_with(page_with_running(NULL, "i-1", "10.0.0.1"), "i-2", "running", ""));
	expect_failure(&rig, "incomplete", "i-2 is a target and runs");
	double_close(&rig);
}
END_TEST

START_TEST(memory_that_runs_short_is_told_later)
{
	double_open(&rig, &source_asg, WEB);
	aws_double.no_memory = true;
	expect_failure(&rig, "memory", "out of memory");
	double_close(&rig);
}
END_TEST

START_TEST(the_estimate_counts_every_batch)
{
	double_open(&rig, &source_asg, WEB);
	ck_assert_uint_eq(source_asg.calls_x100(rig.source, 0), 100);
	ck_assert_uint_eq(source_asg.calls_x100(rig.source, 1), 300);
	ck_assert_uint_eq(source_asg.calls_x100(rig.source, 401), 100 * (1 + 9 + 3));
	double_close(&rig);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		instances_in_service_are_offered,
		groups_are_found_by_tags,
		every_other_known_state_drains,
		a_state_that_is_not_known_keeps_the_last_set,
		fifty_lifecycles_and_two_hundred_places_are_asked_for_at_a_time,
		a_later_batch_that_fails_discards_all,
		pages_of_groups_are_joined,
		a_named_group_that_is_absent_empties_nothing,
		a_group_without_instances_is_an_empty_set_for_the_guard_to_judge,
		answers_that_lack_something_are_not_believed,
		an_instance_in_service_that_a_later_answer_lacks_keeps_the_set,
		one_that_was_ending_and_is_no_longer_there_is_gone,
		one_in_service_that_does_not_run_drains,
		one_in_service_whose_address_is_missing_keeps_the_set,
		memory_that_runs_short_is_told_later,
		the_estimate_counts_every_batch,
	};

	return run_tests("control_source_asg", tests, COUNT(tests));
}
