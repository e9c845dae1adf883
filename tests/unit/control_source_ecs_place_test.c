/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the ecs source finds a task: by network mode, family, container, and the number or name of
 * a port. What it asks of whom and which tasks count: control_source_ecs_test.c.
 */
/* link: -Wl,--wrap=aws_start -Wl,--wrap=aws_start_batches -Wl,--wrap=aws_cancel */
#include "tests/unit/ecs_rig.h"

static struct source_rig rig;

#define ID "id=" TASK("a")
#define TWO_CONTAINERS                                                                             \
	WEB ", {'name': 'admin', 'portMappings': [{'containerPort': 9000, 'name': 'adm',"          \
	    " 'protocol': 'tcp'}, {'containerPort': 53, 'protocol': 'udp'}]}"

static const struct {
	const char *conf;
	const char *mode;
	const char *containers;
	const char *expected; /* the target, or part of the problem */
} picks[] = {
	{"port: 8080\n", "awsvpc", TWO_CONTAINERS, "10.0.0.1:8080 " ID},
	{"port: 7777\n", "awsvpc", TWO_CONTAINERS, "10.0.0.1:7777 " ID},
	{"port_name: adm\n", "awsvpc", TWO_CONTAINERS, "10.0.0.1:9000 " ID},
	{"container: admin\n", "awsvpc", TWO_CONTAINERS, "10.0.0.1:9000 " ID},
	{"container: admin\nport: 5\n", "awsvpc", TWO_CONTAINERS, "10.0.0.1:5 " ID},
	{"", "awsvpc", WEB ", {'name': 'side'}", "10.0.0.1:8080 " ID},
	{"port: 8005\n", "awsvpc",
	 "{'name': 'w', 'portMappings': [{'containerPortRange': '8000-8010'}]}",
	 "10.0.0.1:8005 " ID},
	{"", "awsvpc", TWO_CONTAINERS, "def:1: it has 2 TCP port mappings that fit"},
	{"", "awsvpc", "{'name': 'w'}",
	 "def:1: it has no TCP port mapping that fits; give it one, or"},
	{"", "awsvpc", "{'name': 'w', 'portMappings': [{'containerPort': 53, 'protocol': 'udp'}]}",
	 "no TCP port mapping that fits"},
	{"port_name: http2\n", "awsvpc", TWO_CONTAINERS, "no TCP port mapping named \"http2\""},
	{"container: db\n", "awsvpc", TWO_CONTAINERS, "no container \"db\""},
	{"port: 80\n", "none", WEB, "network mode is none"},
	{"port: 80\n", "bridge", WEB, "no TCP port mapping that fits; give it one"},
	{"port: 8080\n", "bridge", WEB ", {'name': 'x', 'portMappings': [{'containerPort': 8080}]}",
	 "it has 2 TCP port mappings that fit"},
};

START_TEST(the_port_is_picked_from_the_task_definition)
{
	const char *expected = picks[_i].expected;
	bool fits = strstr(expected, " " ID) != NULL;
	bool awsvpc = strcmp(picks[_i].mode, "awsvpc") == 0;
	char conf[128];

	snprintf(conf, sizeof(conf), SERVICE "%s", picks[_i].conf);
	double_open(&rig, &source_ecs, conf);
	answer_one(awsvpc ? "" : ", 'attachments': []");
	if (!awsvpc || !strstr(conf, "port: "))
		answer_definition("def:1", picks[_i].mode, picks[_i].containers);
	if (fits)
		expect_set(&rig, expected);
	else
		expect_failure(&rig, "configuration", expected);
	double_close(&rig);
}
END_TEST

START_TEST(an_ipv6_address_comes_from_the_containers_interfaces)
{
	double_open(&rig, &source_ecs, SERVICE "family: ipv6\nport: 80\n");
	answer_one(", 'containers': [{'name': 'web', 'networkInterfaces': ["
		   "{'privateIpv4Address': '10.0.0.1', 'ipv6Address': '2001:db8::1'}]}]");
	expect_set(&rig, "[2001:db8::1]:80 " ID);
	answer_one(", 'containers': []");
	expect_set(&rig, "");
	expect_notice(&rig, "task " TASK("a") " has no IPv6 address, and is left out");
	double_close(&rig);
}
END_TEST

START_TEST(an_address_that_the_attachment_lacks_is_taken_from_the_containers)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	answer_one(", 'attachments': [{'type': 'ElasticNetworkInterface', 'status': 'DELETED',"
		   " 'details': [{'name': 'privateIPv4Address', 'value': '10.0.0.9'}]}],"
		   " 'containers': [{'networkInterfaces': [{'privateIpv4Address': '10.0.0.1'}]}]");
	answer_definition("def:1", "awsvpc", WEB);
	expect_set(&rig, "10.0.0.1:80 " ID);
	double_close(&rig);
}
END_TEST

START_TEST(public_addresses_are_those_of_the_interfaces)
{
	double_open(&rig, &source_ecs, SERVICE "address: public\nport: 80\n");
	answer_one("");
	answer("DescribeNetworkInterfaces",
	       "{'networkInterfaceSet': [{'networkInterfaceId': 'eni-a',"
	       " 'association': {'publicIp': '192.0.2.1'}}]}");
	expect_set(&rig, "192.0.2.1:80 " ID);
	expect_asked(4, "DescribeNetworkInterfaces",
		     "{'Filter': [{'Name': 'network-interface-id', 'Value': ['eni-a']}],"
		     " 'MaxResults': 1000}");
	answer_one("");
	answer("DescribeNetworkInterfaces",
	       "{'networkInterfaceSet': [{'networkInterfaceId': 'eni-a'}]}");
	expect_set(&rig, "");
	expect_notice(&rig, "task " TASK("a") " has no public address, and is left out");
	double_close(&rig);
}
END_TEST

/* --- bridge and host --- */

#define ON_HOST(n) ", 'attachments': [], 'containerInstanceArn': 'ci/" n "', 'containers': "
#define BOUND(inside, outside)                                                                     \
	"[{'name': 'web', 'networkBindings': [{'bindIP': '0.0.0.0', 'containerPort': " inside      \
	", 'hostPort': " outside ", 'protocol': 'tcp'}]}]"
#define HOST_1 "{'containerInstanceArn': 'ci/1', 'ec2InstanceId': 'i-1'}"

static void answer_hosts(const char *hosts)
{
	char text[1024];

	snprintf(text, sizeof(text), "{'containerInstances': [%s], 'failures': []}", hosts);
	answer("DescribeContainerInstances", text);
}

static void answer_instance(const char *id, const char *address)
{
	answer_json("DescribeInstances", page_with_running(NULL, id, address));
}

START_TEST(bridge_tasks_are_at_the_host_ports_that_docker_chose)
{
	double_open(&rig, &source_ecs, SERVICE "port: 8080\n");
	answer_tasks("'a', 'b'", "");
	answer_task(task_of("a", "", ON_HOST("1") BOUND("8080", "32768")));
	answer_task(task_of("b", "", ON_HOST("1") BOUND("8080", "32769")));
	answer_definition("def:1", "bridge", WEB);
	answer_hosts(HOST_1);
	answer_instance("i-1", "10.1.0.1");
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "10.1.0.1:32768 " ID "\n10.1.0.1:32769 id=" TASK("b"));
	expect_asked(5, "DescribeContainerInstances",
		     "{'cluster': 'prod', 'containerInstances': ['ci/1']}");
	expect_asked(6, "DescribeInstances",
		     "{'Filter': [{'Name': 'instance-id', 'Value': ['i-1']}], 'MaxResults': 1000}");
	ck_assert_uint_eq(source_ecs.calls_x100(rig.source, 2), 500);

	/* Which instance it is never changes; where it is may. */
	answer_one(ON_HOST("1") BOUND("8080", "32768"));
	answer_instance("i-1", "10.1.0.2");
	expect_set(&rig, "10.1.0.2:32768 " ID);
	double_close(&rig);
}
END_TEST

static const struct {
	const char *conf;
	const char *containers; /* of the definition */
	const char *bound;      /* of the task */
	const char *address;
} bindings[] = {
	/* The one for our family, where Docker bound both. */
	{"", WEB,
	 "[{'name': 'web', 'networkBindings': [{'bindIP': '::', 'containerPort': 8080, 'hostPort': "
	 "40001}, {'bindIP': '0.0.0.0', 'containerPort': 8080, 'hostPort': 40002}]}]",
	 "10.1.0.1:40002"},
	{"", WEB,
	 "[{'name': 'web', 'networkBindings': [{'bindIP': '::', 'containerPort': 8080, 'hostPort': "
	 "40001}]}]",
	 "10.1.0.1:40001"},
	/* TCP's, not UDP's, and that of the right container and port. */
	{"", WEB,
	 "[{'name': 'side', 'networkBindings': [{'containerPort': 8080, 'hostPort': 1}]},"
	 " {'name': 'web', 'networkBindings': [{'containerPort': 8080, 'hostPort': 2, 'protocol': "
	 "'udp'}, {'containerPort': 8081, 'hostPort': 3}, {'containerPort': 8080, 'hostPort': "
	 "4}]}]",
	 "10.1.0.1:4"},
	{"port: 8003\n", "{'name': 'web', 'portMappings': [{'containerPortRange': '8000-8010'}]}",
	 "[{'name': 'web', 'networkBindings': [{'containerPortRange': '8000-8010', "
	 "'hostPortRange': '49153-49163'}]}]",
	 "10.1.0.1:49156"},
	{"port: 8005\n", "{'name': 'web', 'portMappings': [{'containerPortRange': '8000-8010'}]}",
	 "[{'name': 'web', 'networkBindings': [{'containerPortRange': '8000-8002', "
	 "'hostPortRange': '49153-49155'}, {'containerPortRange': '8003-8010', 'hostPortRange': "
	 "'50000-50007'}]}]",
	 "10.1.0.1:50002"},
	/* Fixed in the definition, so that it holds without a binding. */
	{"", "{'name': 'web', 'portMappings': [{'containerPort': 8080, 'hostPort': 80}]}", "[]",
	 "10.1.0.1:80"},
	{"port_name: http\n", TWO_CONTAINERS, BOUND("8080", "32768"), "10.1.0.1:32768"},
};

START_TEST(the_binding_that_stands_for_the_port_is_found)
{
	char conf[128], more[1024], expected[128];

	snprintf(conf, sizeof(conf), SERVICE "%s", bindings[_i].conf);
	snprintf(more, sizeof(more), ON_HOST("1") "%s", bindings[_i].bound);
	snprintf(expected, sizeof(expected), "%s " ID, bindings[_i].address);
	double_open(&rig, &source_ecs, conf);
	answer_one(more);
	answer_definition("def:1", "bridge", bindings[_i].containers);
	answer_hosts(HOST_1);
	answer_instance("i-1", "10.1.0.1");
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, expected);
	double_close(&rig);
}
END_TEST

START_TEST(a_binding_that_is_not_there_yet_is_waited_for)
{
	double_open(&rig, &source_ecs, SERVICE);
	answer_one(ON_HOST("1") "[]");
	answer_definition("def:1", "bridge", WEB);
	answer_hosts(HOST_1);
	answer_instance("i-1", "10.1.0.1");
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "");
	expect_notice(&rig, "task " TASK("a") " has no host port, and is left out");
	double_close(&rig);
}
END_TEST

START_TEST(tasks_in_the_hosts_network_are_at_the_containers_port)
{
	double_open(&rig, &source_ecs, SERVICE);
	answer_one(ON_HOST("1") "[]");
	answer_definition("def:1", "host", WEB);
	answer_hosts(HOST_1);
	answer_instance("i-1", "10.1.0.1");
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "10.1.0.1:8080 " ID);
	double_close(&rig);
}
END_TEST

START_TEST(a_definition_that_says_no_mode_is_bridge)
{
	double_open(&rig, &source_ecs, SERVICE);
	answer_one(ON_HOST("1") BOUND("8080", "32768"));
	answer("DescribeTaskDefinition",
	       "{'taskDefinition': {'taskDefinitionArn': 'def:1', 'containerDefinitions': [" WEB
	       "]}}");
	answer_hosts(HOST_1);
	answer_instance("i-1", "10.1.0.1");
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "10.1.0.1:32768 " ID);
	double_close(&rig);
}
END_TEST

START_TEST(a_host_that_is_not_described_makes_the_answer_a_part)
{
	double_open(&rig, &source_ecs, SERVICE);
	answer_one(ON_HOST("1") BOUND("8080", "32768"));
	answer_definition("def:1", "bridge", WEB);
	answer("DescribeContainerInstances",
	       "{'containerInstances': [], 'failures': [{'arn': 'ci/1', 'reason': 'MISSING'}]}");
	expect_failure(&rig, "incomplete", "container instance ci/1 is not described");
	answer_one(ON_HOST("1") BOUND("8080", "32768"));
	answer_hosts("");
	expect_failure(&rig, "incomplete", "container instance ci/1 is not described");
	double_close(&rig);
}
END_TEST

START_TEST(a_host_outside_of_ec2_is_said_to_be_one)
{
	double_open(&rig, &source_ecs, SERVICE);
	answer_one(ON_HOST("1") BOUND("8080", "32768"));
	answer_definition("def:1", "bridge", WEB);
	answer_hosts("{'containerInstanceArn': 'ci/1', 'ec2InstanceId': 'mi-0123'}");
	expect_failure(&rig, "incomplete", "is no EC2 instance");
	double_close(&rig);
}
END_TEST

START_TEST(a_host_that_ec2_does_not_know_keeps_its_targets)
{
	double_open(&rig, &source_ecs, SERVICE);
	answer_one(ON_HOST("1") BOUND("8080", "32768"));
	answer_definition("def:1", "bridge", WEB);
	answer_hosts(HOST_1);
	answer_instance("i-1", "10.1.0.1");
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig, "10.1.0.1:32768 " ID);
	double_keep(&rig);
	answer_one(ON_HOST("1") BOUND("8080", "32768"));
	answer("DescribeInstances", "{'reservationSet': ''}");
	expect_failure(&rig, "incomplete", "is a target and runs");
	double_close(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control_source_ecs_place");
	TCase *tcase = tcase_create("all");
	const TTest *const tests[] = {
		an_ipv6_address_comes_from_the_containers_interfaces,
		an_address_that_the_attachment_lacks_is_taken_from_the_containers,
		public_addresses_are_those_of_the_interfaces,
		bridge_tasks_are_at_the_host_ports_that_docker_chose,
		a_binding_that_is_not_there_yet_is_waited_for,
		tasks_in_the_hosts_network_are_at_the_containers_port,
		a_definition_that_says_no_mode_is_bridge,
		a_host_that_is_not_described_makes_the_answer_a_part,
		a_host_outside_of_ec2_is_said_to_be_one,
		a_host_that_ec2_does_not_know_keeps_its_targets,
	};

	tcase_add_loop_test(tcase, the_port_is_picked_from_the_task_definition, 0, COUNT(picks));
	tcase_add_loop_test(tcase, the_binding_that_stands_for_the_port_is_found, 0,
			    COUNT(bindings));
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
