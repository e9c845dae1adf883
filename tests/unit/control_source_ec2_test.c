/* SPDX-License-Identifier: Apache-2.0
 *
 * The ec2 source against canned answers. Happy path: every page is asked for and seen, and each
 * running instance is a target. The rest is what must not become a set.
 */
/* link: -Wl,--wrap=aws_start -Wl,--wrap=aws_start_batches -Wl,--wrap=aws_cancel */
#include "tests/unit/instances_rig.h"

#define WEB "{tags: {role: web}, port: 80}"

static struct source_rig rig;

static json_t *two_running(void)
{
	return page_with_running(page_with_running(NULL, "i-1", "10.0.0.1"), "i-2", "10.0.0.2");
}

START_TEST(running_instances_are_targets_in_their_zones)
{
	double_open(&rig, &source_ec2, WEB);
	answer_json("DescribeInstances", two_running());
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "10.0.0.1:80 id=i-1 zone=euw1-az1\n10.0.0.2:80 id=i-2 zone=euw1-az1");
	expect_asked(0, "DescribeInstances",
		     "{'Filter': [{'Name': 'instance-state-name', 'Value': ['running']},"
		     " {'Name': 'tag:role', 'Value': ['web']}], 'MaxResults': 1000}");
	expect_asked(1, "DescribeAvailabilityZones", "{}");
	expect_notice(&rig, "");
	double_close(&rig);
}
END_TEST

START_TEST(tags_and_filters_go_to_the_api)
{
	double_open(&rig, &source_ec2,
		    "{tags: {role: [web, app]}, filters: {vpc-id: vpc-1}, port: 80}");
	answer_json("DescribeInstances", two_running());
	answer("DescribeAvailabilityZones", ZONES);
	double_fetch(&rig);
	expect_asked(0, "DescribeInstances",
		     "{'Filter': [{'Name': 'instance-state-name', 'Value': ['running']},"
		     " {'Name': 'tag:role', 'Value': ['web', 'app']},"
		     " {'Name': 'vpc-id', 'Value': ['vpc-1']}], 'MaxResults': 1000}");
	double_close(&rig);
}
END_TEST

START_TEST(every_page_counts)
{
	double_open(&rig, &source_ec2, WEB);
	answer_json("DescribeInstances", page_of_range(0, 1000))->more = true;
	answer_json("DescribeInstances", page_of_range(1000, 1000))->more = true;
	answer_json("DescribeInstances", page_of_range(2000, 1));
	answer("DescribeAvailabilityZones", ZONES);
	double_fetch(&rig);
	ck_assert_uint_eq(target_set_count(rig.set), 2001);
	ck_assert_ptr_nonnull(target_set_find(rig.set, "i-02000", "10.0.8.1:80"));
	double_close(&rig);
}
END_TEST

START_TEST(one_page_that_fails_discards_all)
{
	double_open(&rig, &source_ec2, WEB);
	answer_json("DescribeInstances", page_of_range(0, 1000))->more = true;
	answer_error("DescribeInstances", AWS_THROTTLED);
	expect_failure(&rig, "throttled", "the service said no");

	/* And what was seen of it does not come back. */
	answer_json("DescribeInstances", page_with_running(NULL, "i-1", "10.0.0.1"));
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "10.0.0.1:80 id=i-1 zone=euw1-az1");
	double_close(&rig);
}
END_TEST

START_TEST(a_page_that_comes_twice_changes_nothing)
{
	double_open(&rig, &source_ec2, WEB);
	answer_json("DescribeInstances", two_running())->more = true;
	answer_json("DescribeInstances", two_running());
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "10.0.0.1:80 id=i-1 zone=euw1-az1\n10.0.0.2:80 id=i-2 zone=euw1-az1");
	double_close(&rig);
}
END_TEST

START_TEST(pages_that_contradict_each_other_are_not_believed)
{
	double_open(&rig, &source_ec2, WEB);
	answer_json("DescribeInstances", two_running())->more = true;
	answer_json("DescribeInstances", page_with_running(NULL, "i-2", "10.0.0.9"));
	expect_failure(&rig, "contradiction", "i-2");
	double_close(&rig);
}
END_TEST

static void expect_garbage(const char *page)
{
	answer("DescribeInstances", page);
	expect_failure(&rig, "garbage", "the service said no");
}

START_TEST(what_lacks_its_list_id_or_state_is_not_believed)
{
	double_open(&rig, &source_ec2, WEB);
	expect_garbage("{'requestId': 'r'}");
	expect_garbage("{'reservationSet': 'text'}");
	expect_garbage("{'reservationSet': [{'reservationId': 'r-1'}]}");
	expect_garbage("{'reservationSet': [{'instancesSet': [{'instanceId': 'i-1'}]}]}");
	expect_garbage("{'reservationSet': [{'instancesSet':"
		       " [{'instanceState': {'name': 'running'}}]}]}");
	expect_garbage("{'reservationSet': [{'instancesSet': [{'instanceId': 'i-1',"
		       " 'instanceState': {'name': 'running'}, 'privateIpAddress': '10.0.0'}]}]}");
	double_close(&rig);
}
END_TEST

START_TEST(nothing_at_all_is_an_empty_set_for_the_guard_to_judge)
{
	double_open(&rig, &source_ec2, WEB);
	answer("DescribeInstances", "{'reservationSet': '', 'requestId': 'r'}");
	expect_set(&rig, "");
	ck_assert_ptr_nonnull(rig.set);
	double_close(&rig);
}
END_TEST

START_TEST(an_answer_that_lags_offers_nothing_that_stops)
{
	double_open(&rig, &source_ec2, WEB);
	answer_json("DescribeInstances",
		    page_with(page_with_running(NULL, "i-1", "10.0.0.1"), "i-2", "shutting-down",
			      ", 'privateIpAddress': '10.0.0.2'"));
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "10.0.0.1:80 id=i-1 zone=euw1-az1");
	double_close(&rig);
}
END_TEST

START_TEST(public_and_ipv6_addresses_are_taken_where_asked_for)
{
	static const char both[] = ", 'privateIpAddress': '10.0.0.1', 'ipAddress': '192.0.2.1',"
				   " 'ipv6Address': '2001:DB8::1'";

	double_open(&rig, &source_ec2, "{tags: {role: web}, port: 80, address: public}");
	answer_json("DescribeInstances", page_with(NULL, "i-1", "running", both));
	expect_set(&rig, "192.0.2.1:80 id=i-1");
	double_close(&rig);
	double_open(&rig, &source_ec2, "{tags: {role: web}, port: 80, address: ipv6}");
	answer_json("DescribeInstances", page_with(NULL, "i-1", "running", both));
	expect_set(&rig, "[2001:db8::1]:80 id=i-1");
	double_close(&rig);
}
END_TEST

START_TEST(the_first_interface_has_the_ipv6_address)
{
	double_open(&rig, &source_ec2, "{tags: {role: web}, port: 80, address: ipv6}");
	answer_json("DescribeInstances",
		    page_with(NULL, "i-1", "running",
			      ", 'networkInterfaceSet': ["
			      " {'attachment': {'deviceIndex': '1', 'networkCardIndex': '0'},"
			      "  'ipv6AddressesSet': [{'ipv6Address': '2001:db8::9'}]},"
			      " {'attachment': {'deviceIndex': '0', 'networkCardIndex': '0'},"
			      "  'ipv6AddressesSet': [{'ipv6Address': '2001:db8::1'},"
			      "                       {'ipv6Address': '2001:db8::2'}]}]"));
	expect_set(&rig, "[2001:db8::1]:80 id=i-1");
	double_close(&rig);
}
END_TEST

static json_t *one_without(void)
{
	return page_with(page_with_running(NULL, "i-1", "10.0.0.1"), "i-2", "running", "");
}

START_TEST(an_instance_that_never_had_an_address_is_noted)
{
	double_open(&rig, &source_ec2, WEB);
	answer_json("DescribeInstances", page_with(one_without(), "i-3", "running", ""));
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "10.0.0.1:80 id=i-1 zone=euw1-az1");
	expect_notice(&rig, "i-2 runs, but has no private address, and is left out "
			    "(and 1 more findings)");

	answer_json("DescribeInstances", two_running());
	double_fetch(&rig);
	expect_notice(&rig, "");
	double_close(&rig);
}
END_TEST

START_TEST(a_target_whose_address_is_missing_keeps_the_set)
{
	double_open(&rig, &source_ec2, WEB);
	answer_json("DescribeInstances", two_running());
	answer("DescribeAvailabilityZones", ZONES);
	double_fetch(&rig);
	double_keep(&rig);
	answer_json("DescribeInstances", one_without());
	expect_failure(&rig, "incomplete",
		       "i-2 is a target and runs, but the answer has no "
		       "private address for it");
	double_close(&rig);
}
END_TEST

START_TEST(a_target_whose_address_moved_on_is_gone_from_there)
{
	double_open(&rig, &source_ec2, WEB);
	answer_json("DescribeInstances", two_running());
	answer("DescribeAvailabilityZones", ZONES);
	double_fetch(&rig);
	double_keep(&rig);
	answer_json("DescribeInstances", page_with_running(one_without(), "i-3", "10.0.0.2"));
	expect_set(&rig, "10.0.0.1:80 id=i-1 zone=euw1-az1\n10.0.0.2:80 id=i-3 zone=euw1-az1");
	double_close(&rig);
}
END_TEST

START_TEST(tags_say_port_weight_zone_and_backup)
{
	double_open(&rig, &source_ec2,
		    "{tags: {role: web}, from_tags: {port: p, weight: w, zone: z, backup: b}}");
	answer_json("DescribeInstances",
		    page_with(NULL, "i-1", "running",
			      ", 'privateIpAddress': '10.0.0.1',"
			      " 'placement': {'availabilityZone': 'eu-west-1a'},"
			      " 'tagSet': [{'key': 'p', 'value': '8080'}, {'key': 'w',"
			      " 'value': '50'}, {'key': 'z', 'value': 'eu-west-1a'},"
			      " {'key': 'b', 'value': 'true'}]"));
	expect_set(&rig, "10.0.0.1:8080 id=i-1 zone=eu-west-1a weight=50 backup");
	expect_notice(&rig, "");
	double_close(&rig);
}
END_TEST

START_TEST(a_bad_tag_leaves_the_default_and_a_notice)
{
	double_open(&rig, &source_ec2,
		    "{tags: {role: web}, port: 80, weight: 7, from_tags: {port: p, weight: w, "
		    "zone: z, backup: b}}");
	answer_json("DescribeInstances",
		    page_with(NULL, "i-1", "running",
			      ", 'privateIpAddress': '10.0.0.1', 'tagSet': ["
			      "{'key': 'p', 'value': '70000'}, {'key': 'w', 'value': '-1'},"
			      "{'key': 'z', 'value': 'a b'}, {'key': 'b', 'value': 'maybe'}]"));
	expect_set(&rig, "10.0.0.1:80 id=i-1 weight=7");
	expect_notice(&rig, "i-1 says z \"a b\", which is no zone (and 3 more findings)");
	double_close(&rig);
}
END_TEST

START_TEST(a_target_whose_port_cannot_be_read_keeps_the_set)
{
	static const char *const format =
		", 'privateIpAddress': '10.0.0.1', 'tagSet': [{'key': 'p', 'value': '%s'}]";
	char more[128];

	double_open(&rig, &source_ec2, "{tags: {role: web}, from_tags: {port: p}}");
	snprintf(more, sizeof(more), format, "80a");
	answer_json("DescribeInstances", page_with(NULL, "i-1", "running", more));
	expect_set(&rig, "");
	expect_notice(&rig, "i-1 says p \"80a\", which is no number from 1 to 65535 "
			    "(and 1 more findings)");
	snprintf(more, sizeof(more), format, "80");
	answer_json("DescribeInstances", page_with(NULL, "i-1", "running", more));
	expect_set(&rig, "10.0.0.1:80 id=i-1");
	double_keep(&rig);
	snprintf(more, sizeof(more), format, "80a");
	answer_json("DescribeInstances", page_with(NULL, "i-1", "running", more));
	expect_failure(&rig, "incomplete", "no port");
	double_close(&rig);
}
END_TEST

START_TEST(a_whole_source_may_be_backup)
{
	double_open(&rig, &source_ec2, "{tags: {role: web}, port: 80, backup: true, weight: 5}");
	answer_json("DescribeInstances",
		    page_with(NULL, "i-1", "running", ", 'privateIpAddress': '10.0.0.1'"));
	expect_set(&rig, "10.0.0.1:80 id=i-1 weight=5 backup");
	double_close(&rig);
}
END_TEST

START_TEST(zones_are_asked_for_once)
{
	double_open(&rig, &source_ec2, WEB);
	answer_json("DescribeInstances", two_running());
	answer("DescribeAvailabilityZones", ZONES);
	double_fetch(&rig);
	answer_json("DescribeInstances", two_running());
	expect_set(&rig, "10.0.0.1:80 id=i-1 zone=euw1-az1\n10.0.0.2:80 id=i-2 zone=euw1-az1");
	double_close(&rig);
}
END_TEST

START_TEST(a_zone_that_has_no_id_keeps_its_name_and_is_not_asked_for_each_time)
{
	static const char local[] = ", 'privateIpAddress': '10.0.0.1',"
				    " 'placement': {'availabilityZone': 'eu-west-1-lon-1a'}";

	double_open(&rig, &source_ec2, WEB);
	answer_json("DescribeInstances", page_with(NULL, "i-1", "running", local));
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "10.0.0.1:80 id=i-1 zone=eu-west-1-lon-1a");
	answer_json("DescribeInstances", page_with(NULL, "i-1", "running", local));
	expect_set(&rig, "10.0.0.1:80 id=i-1 zone=eu-west-1-lon-1a");
	double_close(&rig);
}
END_TEST

START_TEST(zones_are_not_asked_for_when_the_answer_has_their_ids)
{
	double_open(&rig, &source_ec2, WEB);
	answer_json(
		"DescribeInstances",
		page_with(NULL, "i-1", "running",
			  ", 'privateIpAddress': '10.0.0.1', 'placement':"
			  " {'availabilityZone': 'eu-west-1a', 'availabilityZoneId': 'x-az9'}"));
	expect_set(&rig, "10.0.0.1:80 id=i-1 zone=x-az9");
	double_close(&rig);
}
END_TEST

START_TEST(zones_that_cannot_be_asked_for_fail_the_snapshot)
{
	double_open(&rig, &source_ec2, WEB);
	answer_json("DescribeInstances", two_running());
	answer_error("DescribeAvailabilityZones", AWS_DENIED);
	expect_failure(&rig, "denied", "the service said no");
	answer_json("DescribeInstances", two_running());
	answer("DescribeAvailabilityZones", "{'requestId': 'r'}");
	expect_failure(&rig, "garbage", "the service said no");
	double_close(&rig);
}
END_TEST

START_TEST(memory_that_runs_short_is_told_later)
{
	double_open(&rig, &source_ec2, WEB);
	aws_double.no_memory = true;
	expect_failure(&rig, "memory", "out of memory");
	double_close(&rig);
}
END_TEST

START_TEST(closing_amid_a_fetch_tells_nothing)
{
	double_open(&rig, &source_ec2, WEB);
	source_ec2.fetch(rig.source);
	ck_assert_ptr_nonnull(aws_double.run);
	double_close(&rig);
	ck_assert_ptr_null(aws_double.run);
	ck_assert_uint_eq(rig.answers, 0);
}
END_TEST

START_TEST(open_refuses_what_the_api_would)
{
	char yaml[2048] = "{port: 80, tags: {role: [";

	expect_refusal(&source_ec2, "{port: 80, filters: {instance-state-name: stopped}}",
		       "f:1:22: found the filter \"instance-state-name\"; expected none, as only "
		       "instances that run are targets");
	for (int i = 0; i < 200; i++)
		snprintf(yaml + strlen(yaml), sizeof(yaml) - strlen(yaml), "v%d%s", i,
			 i == 199 ? "]}}" : ", ");
	expect_refusal(&source_ec2, yaml,
		       "f:1:1: found 200 values in tags and filters; expected 199 at most, as "
		       "DescribeInstances takes 200 and one is for the state");
}
END_TEST

START_TEST(the_estimate_is_the_number_of_pages)
{
	double_open(&rig, &source_ec2, WEB);
	ck_assert_uint_eq(source_ec2.calls_x100(rig.source, 0), 100);
	ck_assert_uint_eq(source_ec2.calls_x100(rig.source, 1000), 100);
	ck_assert_uint_eq(source_ec2.calls_x100(rig.source, 1001), 200);
	double_close(&rig);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		running_instances_are_targets_in_their_zones,
		tags_and_filters_go_to_the_api,
		every_page_counts,
		one_page_that_fails_discards_all,
		a_page_that_comes_twice_changes_nothing,
		pages_that_contradict_each_other_are_not_believed,
		what_lacks_its_list_id_or_state_is_not_believed,
		nothing_at_all_is_an_empty_set_for_the_guard_to_judge,
		an_answer_that_lags_offers_nothing_that_stops,
		public_and_ipv6_addresses_are_taken_where_asked_for,
		the_first_interface_has_the_ipv6_address,
		an_instance_that_never_had_an_address_is_noted,
		a_target_whose_address_is_missing_keeps_the_set,
		a_target_whose_address_moved_on_is_gone_from_there,
		tags_say_port_weight_zone_and_backup,
		a_bad_tag_leaves_the_default_and_a_notice,
		a_target_whose_port_cannot_be_read_keeps_the_set,
		a_whole_source_may_be_backup,
		zones_are_asked_for_once,
		a_zone_that_has_no_id_keeps_its_name_and_is_not_asked_for_each_time,
		zones_are_not_asked_for_when_the_answer_has_their_ids,
		zones_that_cannot_be_asked_for_fail_the_snapshot,
		memory_that_runs_short_is_told_later,
		closing_amid_a_fetch_tells_nothing,
		open_refuses_what_the_api_would,
		the_estimate_is_the_number_of_pages,
	};

	return run_tests("control_source_ec2", tests, COUNT(tests));
}
