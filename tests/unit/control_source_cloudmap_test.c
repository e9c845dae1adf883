/* SPDX-License-Identifier: Apache-2.0
 *
 * The cloudmap source against canned answers: the revision comes first, and what does not make
 * sense of it keeps the last set.
 */
/* link: -Wl,--wrap=aws_start -Wl,--wrap=aws_start_batches -Wl,--wrap=aws_cancel */
#include "tests/unit/instances_rig.h"

#define SERVICE     "namespace: corp\nservice: api\n"
#define REVISION(n) "{'InstancesRevision': " #n "}"

static struct source_rig rig;

/* `instances` is a list of {..}. */
static void answer_instances(int revision, const char *instances)
{
	char text[4096];

	snprintf(text, sizeof(text), "{'InstancesRevision': %d, 'Instances': [%s]}", revision,
		 instances);
	answer("DiscoverInstances", text);
}

#define ONE                                                                                        \
	"{'InstanceId': 'a', 'HealthStatus': 'HEALTHY', 'Attributes': {"                           \
	"'AWS_INSTANCE_IPV4': '10.0.0.1', 'AWS_INSTANCE_PORT': '8080'}}"
#define TWO                                                                                        \
	"{'InstanceId': 'b', 'HealthStatus': 'HEALTHY', 'Attributes': {"                           \
	"'AWS_INSTANCE_IPV4': '10.0.0.2', 'AWS_INSTANCE_PORT': '8080'}}"

START_TEST(instances_are_targets_at_their_addresses_and_ports)
{
	double_open(&rig, &source_cloudmap, SERVICE);
	answer("DiscoverInstancesRevision", REVISION(7));
	answer_instances(7, ONE "," TWO);
	expect_set(&rig, "10.0.0.1:8080 id=a\n10.0.0.2:8080 id=b");
	expect_asked(0, "DiscoverInstancesRevision",
		     "{'NamespaceName': 'corp', 'ServiceName': 'api'}");
	expect_asked(1, "DiscoverInstances",
		     "{'NamespaceName': 'corp', 'ServiceName': 'api', 'MaxResults': 1000,"
		     " 'HealthStatus': 'ALL'}");
	double_close(&rig);
}
END_TEST

START_TEST(instances_are_asked_for_only_when_the_revision_is_another)
{
	double_open(&rig, &source_cloudmap, SERVICE);
	answer("DiscoverInstancesRevision", REVISION(7));
	answer_instances(7, ONE);
	expect_set(&rig, "10.0.0.1:8080 id=a");
	answer("DiscoverInstancesRevision", REVISION(7));
	expect_set(&rig, "10.0.0.1:8080 id=a");
	answer("DiscoverInstancesRevision", REVISION(8));
	answer_instances(8, ONE "," TWO);
	expect_set(&rig, "10.0.0.1:8080 id=a\n10.0.0.2:8080 id=b");

	/* A service that was made anew counts from the start. */
	answer("DiscoverInstancesRevision", REVISION(1));
	answer_instances(1, TWO);
	expect_set(&rig, "10.0.0.2:8080 id=b");
	double_close(&rig);
}
END_TEST

/* With an interval of 2 s, every fifth fetch. */
START_TEST(health_is_asked_for_although_the_revision_stays)
{
	double_open(&rig, &source_cloudmap, SERVICE);
	answer("DiscoverInstancesRevision", REVISION(7));
	answer_instances(7, ONE);
	expect_set(&rig, "10.0.0.1:8080 id=a");
	for (unsigned i = 1; i < 5; i++) {
		answer("DiscoverInstancesRevision", REVISION(7));
		expect_set(&rig, "10.0.0.1:8080 id=a");
	}
	answer("DiscoverInstancesRevision", REVISION(7));
	answer_instances(7, "{'InstanceId': 'a', 'HealthStatus': 'UNHEALTHY', 'Attributes': {"
			    "'AWS_INSTANCE_IPV4': '10.0.0.1', 'AWS_INSTANCE_PORT': '8080'}}");
	expect_set(&rig, "10.0.0.1:8080 id=a draining");
	double_close(&rig);
}
END_TEST

START_TEST(after_an_error_instances_are_asked_for_anew)
{
	double_open(&rig, &source_cloudmap, SERVICE);
	answer("DiscoverInstancesRevision", REVISION(7));
	answer_error("DiscoverInstances", AWS_THROTTLED);
	expect_failure(&rig, "throttled", "said no");
	answer("DiscoverInstancesRevision", REVISION(7));
	answer_instances(7, ONE);
	expect_set(&rig, "10.0.0.1:8080 id=a");
	answer_error("DiscoverInstancesRevision", AWS_DENIED);
	expect_failure(&rig, "denied", "said no");
	double_close(&rig);
}
END_TEST

#define SICK(health)                                                                               \
	"{'InstanceId': 'a', " health "'Attributes': {"                                            \
	"'AWS_INSTANCE_IPV4': '10.0.0.1', 'AWS_INSTANCE_PORT': '8080'}}"

START_TEST(only_unhealthy_instances_drain)
{
	double_open(&rig, &source_cloudmap, SERVICE);
	answer("DiscoverInstancesRevision", REVISION(1));
	answer_instances(1, SICK("'HealthStatus': 'UNKNOWN', "));
	expect_set(&rig, "10.0.0.1:8080 id=a");
	answer("DiscoverInstancesRevision", REVISION(2));
	answer_instances(2, SICK(""));
	expect_set(&rig, "10.0.0.1:8080 id=a");
	answer("DiscoverInstancesRevision", REVISION(3));
	answer_instances(3, SICK("'HealthStatus': 'UNHEALTHY', "));
	expect_set(&rig, "10.0.0.1:8080 id=a draining");
	double_close(&rig);
}
END_TEST

START_TEST(with_health_all_unhealthy_instances_are_used)
{
	double_open(&rig, &source_cloudmap, SERVICE "health: all\n");
	answer("DiscoverInstancesRevision", REVISION(1));
	answer_instances(1, SICK("'HealthStatus': 'UNHEALTHY', "));
	expect_set(&rig, "10.0.0.1:8080 id=a");
	double_close(&rig);
}
END_TEST

START_TEST(attributes_say_port_weight_zone_and_backup)
{
	double_open(&rig, &source_cloudmap,
		    SERVICE "family: ipv6\nport: 80\n"
			    "from_attributes: {weight: w, zone: rack, backup: b, port: p}\n");
	answer("DiscoverInstancesRevision", REVISION(1));
	answer_instances(1, "{'InstanceId': 'a', 'Attributes': {'AWS_INSTANCE_IPV4': '10.0.0.1',"
			    " 'AWS_INSTANCE_IPV6': '2001:db8::1', 'AWS_INSTANCE_PORT': '9', 'p':"
			    " '81', 'w': '5', 'rack': 'r1', 'b': 'true'}},"
			    "{'InstanceId': 'b', 'Attributes': {'AWS_INSTANCE_IPV6': '2001:db8::2'"
			    "}}");
	expect_set(&rig, "[2001:db8::1]:81 id=a zone=r1 weight=5 backup\n[2001:db8::2]:80 id=b");
	double_close(&rig);
}
END_TEST

START_TEST(names_of_zones_become_ids)
{
	double_open(&rig, &source_cloudmap, SERVICE);
	answer("DiscoverInstancesRevision", REVISION(1));
	answer_instances(1, "{'InstanceId': 'a', 'Attributes': {'AWS_INSTANCE_IPV4': '10.0.0.1',"
			    " 'AWS_INSTANCE_PORT': '9', 'AVAILABILITY_ZONE': 'eu-west-1b'}}");
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "10.0.0.1:9 id=a zone=euw1-az2");
	answer("DiscoverInstancesRevision", REVISION(1));
	expect_set(&rig, "10.0.0.1:9 id=a zone=euw1-az2");
	double_close(&rig);
}
END_TEST

/* `count` of them, as a list for answer_instances(). */
static json_t *page_of(unsigned count)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++) {
		char id[16], address[32];

		snprintf(id, sizeof(id), "i%04u", i);
		snprintf(address, sizeof(address), "10.0.%u.%u", i / 250, i % 250);
		json_array_append_new(list, json_pack("{s:s, s:{s:s, s:s}}", "InstanceId", id,
						      "Attributes", "AWS_INSTANCE_IPV4", address,
						      "AWS_INSTANCE_PORT", "80"));
	}
	return json_pack("{s:o, s:i}", "Instances", list, "InstancesRevision", 1);
}

START_TEST(as_many_as_an_answer_can_hold_are_taken_for_a_part)
{
	double_open(&rig, &source_cloudmap, SERVICE);
	answer("DiscoverInstancesRevision", REVISION(1));
	answer_json("DiscoverInstances", page_of(999));
	double_fetch(&rig);
	ck_assert_uint_eq(target_set_count(rig.set), 999);
	answer("DiscoverInstancesRevision", REVISION(2));
	answer_json("DiscoverInstances", page_of(1000));
	expect_failure(&rig, "truncated", "1000 instances of api");
	double_close(&rig);
}
END_TEST

START_TEST(an_answer_older_than_the_revision_is_not_used)
{
	double_open(&rig, &source_cloudmap, SERVICE);
	answer("DiscoverInstancesRevision", REVISION(8));
	answer_instances(7, ONE);
	expect_failure(&rig, "stale", "older revision");

	/* A newer one is: it changed in between. */
	answer("DiscoverInstancesRevision", REVISION(8));
	answer_instances(9, ONE);
	expect_set(&rig, "10.0.0.1:8080 id=a");
	answer("DiscoverInstancesRevision", REVISION(9));
	expect_set(&rig, "10.0.0.1:8080 id=a");
	double_close(&rig);
}
END_TEST

#define NOWHERE "{'InstanceId': 'b', 'Attributes': {'AWS_INSTANCE_CNAME': 'x.test'}}"

START_TEST(an_instance_without_an_address_is_left_out_unless_it_is_a_target)
{
	double_open(&rig, &source_cloudmap, SERVICE);
	answer("DiscoverInstancesRevision", REVISION(1));
	answer_instances(1, ONE "," NOWHERE);
	expect_set(&rig, "10.0.0.1:8080 id=a");
	expect_notice(&rig, "instance b has no IPv4 address, and is left out");
	answer("DiscoverInstancesRevision", REVISION(2));
	answer_instances(2, ONE "," TWO);
	expect_set(&rig, "10.0.0.1:8080 id=a\n10.0.0.2:8080 id=b");
	double_keep(&rig);
	answer("DiscoverInstancesRevision", REVISION(3));
	answer_instances(3, ONE "," NOWHERE);
	expect_failure(&rig, "incomplete", "instance b is a target");
	double_close(&rig);
}
END_TEST

START_TEST(an_instance_without_a_port_is_left_out_with_a_note)
{
	double_open(&rig, &source_cloudmap, SERVICE);
	answer("DiscoverInstancesRevision", REVISION(1));
	answer_instances(1, "{'InstanceId': 'a', 'Attributes': {'AWS_INSTANCE_IPV4': '10.0.0.1'}}");
	expect_set(&rig, "");
	expect_notice(&rig, "instance a has no port, and is left out");
	double_close(&rig);
}
END_TEST

START_TEST(answers_that_lack_their_keys_are_garbage)
{
	double_open(&rig, &source_cloudmap, SERVICE);
	answer("DiscoverInstancesRevision", "{}");
	expect_failure(&rig, "garbage", "");
	answer("DiscoverInstancesRevision", REVISION(1));
	answer("DiscoverInstances", "{'InstancesRevision': 1}");
	expect_failure(&rig, "garbage", "");
	answer("DiscoverInstancesRevision", REVISION(1));
	answer_instances(1, "{'Attributes': {'AWS_INSTANCE_IPV4': '10.0.0.1'}}");
	expect_failure(&rig, "garbage", "");
	double_close(&rig);
}
END_TEST

START_TEST(an_empty_service_is_an_answer)
{
	double_open(&rig, &source_cloudmap, SERVICE);
	answer("DiscoverInstancesRevision", REVISION(1));
	answer_instances(1, "");
	expect_set(&rig, "");
	double_close(&rig);
}
END_TEST

START_TEST(a_source_closed_amid_a_call_is_silent)
{
	double_open(&rig, &source_cloudmap, SERVICE);
	source_cloudmap.fetch(rig.source);
	double_close(&rig);
	ck_assert_uint_eq(rig.answers, 0);
}
END_TEST

START_TEST(a_fetch_costs_its_calls)
{
	double_open(&rig, &source_cloudmap, SERVICE);
	ck_assert_uint_eq(source_cloudmap.calls_x100(rig.source, 1000), 120);
	double_close(&rig);
	double_open(&rig, &source_cloudmap, SERVICE "interval: 30s\n");
	ck_assert_uint_eq(source_cloudmap.calls_x100(rig.source, 10), 200);
	double_close(&rig);
}
END_TEST

static bool may_call(const char *action)
{
	const struct source_action *actions = source_cloudmap.actions_of(rig.conf);

	for (; actions->action; actions++)
		if (strcmp(actions->action, action) == 0)
			return true;
	return false;
}

START_TEST(zones_are_only_asked_for_where_names_of_them_count)
{
	double_open(&rig, &source_cloudmap, SERVICE "from_attributes: {zone: rack}\n");
	ck_assert(!may_call("ec2:DescribeAvailabilityZones"));
	double_close(&rig);
	double_open(&rig, &source_cloudmap, SERVICE);
	ck_assert(may_call("ec2:DescribeAvailabilityZones"));
	double_close(&rig);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		instances_are_targets_at_their_addresses_and_ports,
		instances_are_asked_for_only_when_the_revision_is_another,
		health_is_asked_for_although_the_revision_stays,
		after_an_error_instances_are_asked_for_anew,
		only_unhealthy_instances_drain,
		with_health_all_unhealthy_instances_are_used,
		attributes_say_port_weight_zone_and_backup,
		names_of_zones_become_ids,
		as_many_as_an_answer_can_hold_are_taken_for_a_part,
		an_answer_older_than_the_revision_is_not_used,
		an_instance_without_an_address_is_left_out_unless_it_is_a_target,
		an_instance_without_a_port_is_left_out_with_a_note,
		answers_that_lack_their_keys_are_garbage,
		an_empty_service_is_an_answer,
		a_source_closed_amid_a_call_is_silent,
		a_fetch_costs_its_calls,
		zones_are_only_asked_for_where_names_of_them_count,
	};

	return run_tests("control_source_cloudmap", tests, COUNT(tests));
}
