/* SPDX-License-Identifier: Apache-2.0
 *
 * The ecs source against canned answers: which tasks are asked about, which of them are offered,
 * and what is only a part of an answer. Where a task is reached: control_source_ecs_place_test.c.
 */
/* link: -Wl,--wrap=aws_start -Wl,--wrap=aws_start_batches -Wl,--wrap=aws_cancel */
#include "tests/unit/ecs_rig.h"

static struct source_rig rig;

START_TEST(running_tasks_are_targets_in_their_zones)
{
	double_open(&rig, &source_ecs, SERVICE "port: 8080\n");
	answer_tasks("'a', 'b'", "");
	answer_task(task_of("a", "10.0.0.1", ", 'availabilityZone': 'eu-west-1a'"));
	answer_task(task_of("b", "10.0.0.2", ", 'availabilityZone': 'eu-west-1b'"));
	answer("DescribeAvailabilityZones", ZONES);
	expect_set(&rig,
		   "10.0.0.1:8080 id=" TASK("a") " zone=euw1-az1\n"
						 "10.0.0.2:8080 id=" TASK("b") " zone=euw1-az2");
	expect_asked(0, "DescribeServices", "{'cluster': 'prod', 'services': ['api']}");
	expect_asked(1, "ListTasks",
		     "{'cluster': 'prod', 'serviceName': 'api', 'desiredStatus': 'RUNNING',"
		     " 'maxResults': 100}");
	expect_asked(2, "ListTasks",
		     "{'cluster': 'prod', 'serviceName': 'api', 'desiredStatus': 'STOPPED',"
		     " 'maxResults': 100}");
	expect_asked(3, "DescribeTasks",
		     "{'cluster': 'prod', 'tasks': ['" TASK("a") "', '" TASK("b") "']}");
	ck_assert_uint_eq(asked_count("DescribeTaskDefinition"), 0);
	double_close(&rig);
}
END_TEST

START_TEST(a_definition_is_asked_for_once_and_forgotten_with_its_last_task)
{
	double_open(&rig, &source_ecs, SERVICE);
	answer_one("");
	answer_definition("def:1", "awsvpc", WEB);
	expect_set(&rig, "10.0.0.1:8080 id=" TASK("a"));
	expect_asked(4, "DescribeTaskDefinition", "{'taskDefinition': 'def:1'}");
	answer_one("");
	expect_set(&rig, "10.0.0.1:8080 id=" TASK("a"));
	answer_one(", 'taskDefinitionArn': 'def:2'");
	answer_definition("def:2", "awsvpc", "{'portMappings': [{'containerPort': 9}]}");
	expect_set(&rig, "10.0.0.1:9 id=" TASK("a"));
	answer_one("");
	answer_definition("def:1", "awsvpc", WEB);
	expect_set(&rig, "10.0.0.1:8080 id=" TASK("a"));
	double_close(&rig);
}
END_TEST

static const struct {
	const char *keys;
	const char *conf;
	const char *flags; /* NULL: no target */
} standings[] = {
	{", 'lastStatus': 'PROVISIONING'", "", NULL},
	{", 'lastStatus': 'PENDING'", "", NULL},
	{", 'lastStatus': 'ACTIVATING'", "", NULL},
	{", 'lastStatus': 'DEACTIVATING'", "", " draining"},
	{", 'lastStatus': 'STOPPING'", "", " draining"},
	{", 'lastStatus': 'DEPROVISIONING'", "", NULL},
	{", 'lastStatus': 'STOPPED'", "", NULL},
	{", 'lastStatus': 'DELETED'", "", NULL},
	{", 'desiredStatus': 'STOPPED'", "", " draining"},
	{", 'desiredStatus': 'STOPPED', 'lastStatus': 'PENDING'", "", NULL},
	{", 'healthStatus': 'UNHEALTHY'", "", " draining"},
	{", 'healthStatus': 'HEALTHY'", "", ""},
	{", 'healthStatus': 'UNKNOWN'", "", ""},
	{", 'healthStatus': null", "", ""},
	{", 'healthStatus': 'HEALTHY'", "require_healthy: true\n", ""},
	{", 'healthStatus': 'UNKNOWN'", "require_healthy: true\n", " draining"},
	{", 'healthStatus': 'UNHEALTHY'", "require_healthy: true\n", " draining"},
};

START_TEST(life_cycle_and_health_decide_who_is_offered)
{
	const char *flags = standings[_i].flags;
	char conf[128], expected[128] = "";

	snprintf(conf, sizeof(conf), SERVICE "port: 80\n%s", standings[_i].conf);
	if (flags)
		snprintf(expected, sizeof(expected), "10.0.0.1:80 id=" TASK("a") "%s", flags);
	double_open(&rig, &source_ecs, conf);
	answer_one(standings[_i].keys);
	expect_set(&rig, expected);
	double_close(&rig);
}
END_TEST

START_TEST(a_state_that_is_not_known_keeps_the_last_set)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	answer_one(", 'lastStatus': 'HIBERNATING'");
	expect_failure(&rig, "unknown_state", "in the state \"HIBERNATING\"");
	double_close(&rig);
}
END_TEST

START_TEST(tasks_that_are_to_stop_are_listed_too_and_drain)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	answer_tasks("'a'", "'b', 'a'");
	answer_task(task_of("a", "10.0.0.1", ""));
	answer_task(task_of("b", "10.0.0.2", ", 'desiredStatus': 'STOPPED'"));
	expect_set(&rig, "10.0.0.1:80 id=" TASK("a") "\n10.0.0.2:80 id=" TASK("b") " draining");
	double_close(&rig);
}
END_TEST

START_TEST(tasks_that_have_stopped_for_good_are_not_described_again)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	answer_tasks("'a'", "'b', 'c'");
	answer_task(task_of("a", "10.0.0.1", ""));
	answer_task(task_of("b", "10.0.0.2", ", 'desiredStatus': 'STOPPED'"));
	answer_task(task_of("c", "10.0.0.3", ", 'lastStatus': 'STOPPED'"));
	double_fetch(&rig);
	for (unsigned again = 0; again < 3; again++) {
		answer_tasks("'a'", "'b', 'c'");
		answer_task(task_of("a", "10.0.0.1", ""));
		if (again == 0)
			answer_task(task_of("b", "10.0.0.2", ", 'lastStatus': 'STOPPED'"));
		expect_set(&rig, "10.0.0.1:80 id=" TASK("a"));
	}
	expect_asked(3, "DescribeTasks", "{'cluster': 'prod', 'tasks': ['" TASK("a") "']}");
	double_close(&rig);
}
END_TEST

/* --- pages and batches --- */

static void answer_many(unsigned first, unsigned count, bool more)
{
	json_t *arns = json_array();

	for (unsigned i = first; i < first + count; i++)
		json_array_append_new(arns, json_sprintf(TASK("%04u"), i));
	answer_json("ListTasks", json_pack("{s:o}", "taskArns", arns))->more = more;
}

static void answer_described(unsigned first, unsigned count)
{
	json_t *tasks = json_array();

	for (unsigned i = first; i < first + count; i++) {
		char name[16], address[32];

		snprintf(name, sizeof(name), "%04u", i);
		snprintf(address, sizeof(address), "10.0.%u.%u", i / 250, i % 250);
		json_array_append_new(tasks, task_of(name, address, ""));
	}
	answer_json("DescribeTasks", json_pack("{s:o, s:[]}", "tasks", tasks, "failures"));
}

START_TEST(every_page_is_listed_and_every_batch_described)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	answer("DescribeServices", ACTIVE);
	answer_many(0, 100, true);
	answer_many(100, 100, true);
	answer_many(200, 50, false);
	answer_listed("");
	answer_described(0, 100);
	answer_described(100, 100);
	answer_described(200, 50);
	double_fetch(&rig);
	ck_assert_uint_eq(target_set_count(rig.set), 250);
	ck_assert_uint_eq(asked_count("DescribeTasks"), 3);
	double_close(&rig);
}
END_TEST

START_TEST(a_batch_that_fails_discards_all)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	answer("DescribeServices", ACTIVE);
	answer_many(0, 100, true);
	answer_many(100, 20, false);
	answer_listed("");
	answer_described(0, 100);
	answer_error("DescribeTasks", AWS_THROTTLED);
	expect_failure(&rig, "throttled", "said no");
	double_close(&rig);
}
END_TEST

/* --- parts --- */

#define MISSING(n) "{'arn': '" TASK(n) "', 'reason': 'MISSING'}"

static void answer_failure(const char *failure)
{
	json_t *page = aws_double.answers[aws_double.count - 1].page;

	json_array_append_new(json_object_get(page, "failures"), json_of(failure));
}

START_TEST(a_running_task_that_is_missing_makes_the_answer_a_part)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	answer_tasks("'a', 'b'", "");
	answer_task(task_of("a", "10.0.0.1", ""));
	answer_failure(MISSING("b"));
	expect_failure(&rig, "incomplete", TASK("b") ": MISSING");

	/* Nothing of it is left for the next one. */
	answer_one("");
	expect_set(&rig, "10.0.0.1:80 id=" TASK("a"));
	double_close(&rig);
}
END_TEST

START_TEST(a_stopped_task_that_is_missing_is_gone)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	answer_tasks("'a'", "'b'");
	answer_task(task_of("a", "10.0.0.1", ""));
	answer_failure(MISSING("b"));
	expect_set(&rig, "10.0.0.1:80 id=" TASK("a"));
	answer_tasks("'a'", "'b'");
	answer_task(task_of("a", "10.0.0.1", ""));
	expect_set(&rig, "10.0.0.1:80 id=" TASK("a"));
	expect_asked(3, "DescribeTasks", "{'cluster': 'prod', 'tasks': ['" TASK("a") "']}");
	double_close(&rig);
}
END_TEST

START_TEST(any_other_failure_of_a_stopped_task_makes_it_a_part)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	answer_tasks("'a'", "'b'");
	answer_task(task_of("a", "10.0.0.1", ""));
	answer_failure("{'arn': '" TASK("b") "', 'reason': 'AGENT'}");
	expect_failure(&rig, "incomplete", "AGENT");
	double_close(&rig);
}
END_TEST

START_TEST(a_task_that_is_passed_over_in_silence_makes_it_a_part)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	answer_tasks("'a', 'b'", "");
	answer_task(task_of("a", "10.0.0.1", ""));
	expect_failure(&rig, "incomplete", TASK("b") ": it says nothing of it");
	double_close(&rig);
}
END_TEST

START_TEST(answers_about_others_or_without_their_keys_are_garbage)
{
	double_open(&rig, &source_ecs, SERVICE);
	answer_tasks("'a'", "");
	answer_task(task_of("stranger", "10.0.0.9", ""));
	expect_failure(&rig, "garbage", "");
	answer_one(", 'lastStatus': ''");
	expect_failure(&rig, "garbage", "");
	answer("DescribeServices", ACTIVE);
	answer("ListTasks", "{}");
	expect_failure(&rig, "garbage", "");
	answer("DescribeServices", "{'services': []}");
	expect_failure(&rig, "garbage", "");
	answer_one("");
	answer("DescribeTaskDefinition", "{'taskDefinition': {'taskDefinitionArn': 'def:1'}}");
	expect_failure(&rig, "garbage", "");
	answer_one("");
	answer_definition("def:9", "awsvpc", WEB);
	expect_failure(&rig, "garbage", "another one than def:1");
	double_close(&rig);
}
END_TEST

/* --- the service --- */

START_TEST(a_service_that_is_missing_or_inactive_fails)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	answer("DescribeServices",
	       "{'services': [], 'failures': [{'arn': 'x', 'reason': 'MISSING'}]}");
	expect_failure(&rig, "no_service", "service api in cluster prod is MISSING");
	answer("DescribeServices", "{'services': [{'status': 'INACTIVE'}]}");
	expect_failure(&rig, "no_service", "is INACTIVE");
	double_close(&rig);
}
END_TEST

START_TEST(no_tasks_where_some_run_is_a_contradiction)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	answer("DescribeServices", ACTIVE);
	answer_listed("");
	expect_failure(&rig, "contradiction", "counts 1 running tasks");

	/* A service scaled to nothing says so in both. */
	answer("DescribeServices", "{'services': [{'status': 'ACTIVE', 'runningCount': 0}]}");
	answer_listed("");
	answer_listed("");
	expect_set(&rig, "");
	double_close(&rig);
}
END_TEST

#define SETS(a, b)                                                                                 \
	"{'services': [{'status': 'ACTIVE', 'runningCount': 2, 'taskSets': ["                      \
	"{'id': 'ecs-svc/1', 'status': '" a "'}, {'id': 'ecs-svc/2', 'status': '" b "'}]}]}"

static void answer_sets(const char *service)
{
	answer("DescribeServices", service);
	answer_listed("'a', 'b', 'c'");
	answer_listed("");
	answer_task(task_of("a", "10.0.0.1", ", 'startedBy': 'ecs-svc/1'"));
	answer_task(task_of("b", "10.0.0.2", ", 'startedBy': 'ecs-svc/2'"));
	answer_task(task_of("c", "10.0.0.3", ""));
}

START_TEST(of_task_sets_the_primary_one_is_offered)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	answer_sets(SETS("PRIMARY", "ACTIVE"));
	expect_set(&rig, "10.0.0.1:80 id=" TASK("a"));
	answer_sets(SETS("DRAINING", "PRIMARY"));
	expect_set(&rig, "10.0.0.1:80 id=" TASK("a") " draining\n10.0.0.2:80 id=" TASK("b"));
	answer("DescribeServices", SETS("ACTIVE", "ACTIVE"));
	expect_failure(&rig, "no_primary", "task_sets: all");
	double_close(&rig);
}
END_TEST

START_TEST(all_task_sets_are_offered_if_asked_for)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\ntask_sets: all\n");
	answer_sets(SETS("PRIMARY", "ACTIVE"));
	expect_set(&rig, "10.0.0.1:80 id=" TASK("a") "\n10.0.0.2:80 id=" TASK(
				 "b") "\n10.0.0.3:80 id=" TASK("c"));
	double_close(&rig);
}
END_TEST

/* --- what else a target is --- */

START_TEST(tags_are_asked_for_when_they_count)
{
	double_open(&rig, &source_ecs,
		    SERVICE "port: 80\nfrom_tags: {port: p, weight: w, zone: z, backup: b}\n");
	answer_tasks("'a', 'b'", "");
	answer_task(task_of("a", "10.0.0.1",
			    ", 'tags': [{'key': 'w', 'value': '7'}, {'key': 'p', 'value': '81'},"
			    " {'key': 'z', 'value': 'rack'}, {'key': 'b', 'value': 'true'}]"));
	answer_task(task_of("b", "10.0.0.2", ", 'tags': []"));
	expect_set(&rig, "10.0.0.1:81 id=" TASK("a") " zone=rack weight=7 backup\n"
						     "10.0.0.2:80 id=" TASK("b"));
	expect_asked(3, "DescribeTasks",
		     "{'cluster': 'prod', 'tasks': ['" TASK("a") "', '" TASK(
			     "b") "'],"
				  " 'include': ['TAGS']}");
	double_close(&rig);
}
END_TEST

START_TEST(a_running_task_without_an_address_is_left_out_unless_it_is_a_target)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	answer_one(", 'attachments': []");
	answer_definition("def:1", "awsvpc", WEB);
	expect_set(&rig, "");
	expect_notice(&rig, "task " TASK("a") " has no private address, and is left out");
	answer_one("");
	expect_set(&rig, "10.0.0.1:80 id=" TASK("a"));
	double_keep(&rig);
	answer_one(", 'attachments': []");
	expect_failure(&rig, "incomplete", TASK("a") " is a target and runs");

	/* One that stops has given its address back: it may go. */
	answer_one(", 'attachments': [], 'desiredStatus': 'STOPPED'");
	expect_set(&rig, "");
	double_close(&rig);
}
END_TEST

START_TEST(a_new_task_at_an_old_address_is_another_target)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	answer_tasks("'b'", "'a'");
	answer_task(task_of("b", "10.0.0.1", ""));
	answer_task(task_of("a", "10.0.0.1", ", 'lastStatus': 'DEACTIVATING'"));
	expect_set(&rig, "10.0.0.1:80 id=" TASK("a") " draining\n10.0.0.1:80 id=" TASK("b"));
	double_close(&rig);
}
END_TEST

START_TEST(an_arn_that_is_too_long_for_an_id_gives_the_tasks_own)
{
	char arn[400];
	json_t *page;

	memset(arn, 'x', sizeof(arn));
	strcpy(arn + 300, "/0123456789abcdef");
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	answer("DescribeServices", ACTIVE);
	answer_json("ListTasks", json_pack("{s:[s]}", "taskArns", arn));
	answer_listed("");
	answer_task(task_of("a", "10.0.0.1", ""));
	page = aws_double.answers[aws_double.count - 1].page;
	json_object_set_new(json_array_get(json_object_get(page, "tasks"), 0), "taskArn",
			    json_string(arn));
	expect_set(&rig, "10.0.0.1:80 id=0123456789abcdef");
	double_close(&rig);
}
END_TEST

START_TEST(a_source_closed_amid_a_call_is_silent)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	source_ecs.fetch(rig.source);
	double_close(&rig);
	ck_assert_uint_eq(rig.answers, 0);
}
END_TEST

START_TEST(a_fetch_costs_its_calls)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	ck_assert_uint_eq(source_ecs.calls_x100(rig.source, 0), 400);
	ck_assert_uint_eq(source_ecs.calls_x100(rig.source, 100), 400);
	ck_assert_uint_eq(source_ecs.calls_x100(rig.source, 101), 600);
	double_close(&rig);
}
END_TEST

static bool may_call(const char *action)
{
	const struct source_action *actions = source_ecs.actions_of(rig.conf);

	for (; actions->action; actions++)
		if (strcmp(actions->action, action) == 0)
			return true;
	return false;
}

START_TEST(interfaces_are_only_asked_for_where_public_addresses_count)
{
	double_open(&rig, &source_ecs, SERVICE "port: 80\n");
	ck_assert(!may_call("ec2:DescribeNetworkInterfaces"));
	double_close(&rig);
	double_open(&rig, &source_ecs, SERVICE "address: public\nport: 80\n");
	ck_assert(may_call("ec2:DescribeNetworkInterfaces"));
	double_close(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control_source_ecs");
	TCase *tcase = tcase_create("all");
	const TTest *const tests[] = {
		running_tasks_are_targets_in_their_zones,
		a_definition_is_asked_for_once_and_forgotten_with_its_last_task,
		a_state_that_is_not_known_keeps_the_last_set,
		tasks_that_are_to_stop_are_listed_too_and_drain,
		tasks_that_have_stopped_for_good_are_not_described_again,
		every_page_is_listed_and_every_batch_described,
		a_batch_that_fails_discards_all,
		a_running_task_that_is_missing_makes_the_answer_a_part,
		a_stopped_task_that_is_missing_is_gone,
		any_other_failure_of_a_stopped_task_makes_it_a_part,
		a_task_that_is_passed_over_in_silence_makes_it_a_part,
		answers_about_others_or_without_their_keys_are_garbage,
		a_service_that_is_missing_or_inactive_fails,
		no_tasks_where_some_run_is_a_contradiction,
		of_task_sets_the_primary_one_is_offered,
		all_task_sets_are_offered_if_asked_for,
		tags_are_asked_for_when_they_count,
		a_running_task_without_an_address_is_left_out_unless_it_is_a_target,
		a_new_task_at_an_old_address_is_another_target,
		an_arn_that_is_too_long_for_an_id_gives_the_tasks_own,
		a_source_closed_amid_a_call_is_silent,
		a_fetch_costs_its_calls,
		interfaces_are_only_asked_for_where_public_addresses_count,
	};

	tcase_add_loop_test(tcase, life_cycle_and_health_decide_who_is_offered, 0,
			    COUNT(standings));
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
