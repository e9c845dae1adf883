/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor --template: what a template's values come to, and what its attributes contradict.
 */
#include "control/ctl/template/template.h"
#include "proxy/base/conf/check.h"
#include "proxy/base/conf/yaml_tree.h"
#include "tests/unit/ctl_rig.h"

static struct template template_of(const char *text, const char *parameters)
{
	struct template template = {.parameters = parameters};
	struct conf_errors errors = {0};

	ck_assert_int_eq(
		yaml_tree_parse_template("t.yaml", text, strlen(text), &errors, &template.root), 0);
	ck_assert(!conf_failed(&errors));
	conf_errors_fini(&errors);
	return template;
}

/* What the root's key "V" comes to, "?" if that is not known. */
static void check_value(const char *text, const char *parameters, const char *expected)
{
	struct template template = template_of(text, parameters);
	char found[TEMPLATE_TEXT] = "?";

	if (!template_text(&template, node_get(template.root, "V"), found))
		snprintf(found, sizeof(found), "?");
	ck_assert_msg(strcmp(found, expected) == 0, "%s: %s, not %s", text, found, expected);
	template_fini(&template);
}

#define PARAMETERS "Parameters: { A: { Default: one }, B: { Type: String } }\n"

START_TEST(parameters_are_their_defaults_unless_given)
{
	check_value(PARAMETERS "V: !Ref A", NULL, "one");
	check_value(PARAMETERS "V: { Ref: A }", "B=x,A=two", "two");
	check_value(PARAMETERS "V: !Ref B", "AB=x", "?");
	check_value(PARAMETERS "V: !Ref B", "A=x,B=", "");
	check_value(PARAMETERS "V: !Ref AWS::Region", NULL, "?");
	check_value(PARAMETERS "V: !GetAtt A.Arn", NULL, "?");
}
END_TEST

START_TEST(texts_are_filled_in_and_dollars_kept)
{
	check_value(PARAMETERS "V: !Sub \"<${A}> $5 ${!x} ${A\"", NULL, "<one> $5 ${!x} ${A");
	check_value(PARAMETERS "V: !Sub [\"${C}-${A}\", {C: !Ref A}]", NULL, "one-one");
	check_value(PARAMETERS "V: !Sub \"${B}\"", NULL, "?");
	check_value(PARAMETERS "V: !Sub [\"${A}\", {A: !Sub \"${A}\"}]", NULL, "one");
}
END_TEST

START_TEST(mappings_and_conditions_are_looked_up)
{
	static const char *const maps =
		PARAMETERS "Mappings: { M: { one: { K: 1 }, two: { K: 2 } } }\n"
			   "V: !FindInMap [M, !Ref A, K]";
	static const char *const conditions =
		PARAMETERS "Conditions:\n"
			   "  One: !Equals [!Ref A, one]\n"
			   "  Both: !And [!Condition One, !Not [!Equals [a, b]]]\n"
			   "  Either: !Or [!Equals [!Ref B, x], !Condition Both]\n"
			   "V: !If [Either, yes, no]";

	check_value(maps, NULL, "1");
	check_value(maps, "A=two", "2");
	check_value(maps, "A=three", "?");
	check_value(conditions, NULL, "yes");
	check_value(conditions, "A=x,B=y", "no");
	check_value(conditions, "A=x", "?");
}
END_TEST

START_TEST(circles_end)
{
	check_value("Conditions: { A: !Condition A }\nV: !If [A, 1, 2]", NULL, "?");
	check_value("Conditions: { A: !Not [!Condition A] }\nV: !If [A, 1, 2]", NULL, "?");
}
END_TEST

START_TEST(conditions_that_multiply_end_too)
{
	char text[2048], *end = text;

	end += sprintf(end, "Conditions:\n");
	for (int i = 0; i < 15; i++)
		end += sprintf(end,
			       "  C%d: !And [!Condition C%d, !Condition C%d, !Condition C%d]\n", i,
			       i + 1, i + 1, i + 1);
	sprintf(end, "V: !If [C0, 1, 2]");
	check_value(text, NULL, "?");
}
END_TEST

START_TEST(what_is_too_long_is_not_known)
{
	char text[3 * TEMPLATE_TEXT], longest[2 * TEMPLATE_TEXT];

	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	snprintf(text, sizeof(text), "V: %s", longest);
	check_value(text, NULL, "?");
	snprintf(text, sizeof(text), "V: !Sub %s", longest);
	check_value(text, NULL, "?");
}
END_TEST

/* Line and attribute of each contradiction, "8 Port fail\n". */
static void check_lines(const char *resources, const char *configuration, const char *expected)
{
	struct template template = template_of(resources, NULL);
	struct conf_errors errors = {0};
	struct node *conf = NULL;
	struct printing printing;
	const json_t *line;
	size_t i;

	ck_assert_int_eq(
		yaml_tree_parse("conf", configuration, strlen(configuration), &errors, &conf), 0);
	conf_settle(conf, false, &errors);
	ck_assert_msg(!conf_failed(&errors), "%s", conf_error_text(&errors, 0));
	json_t *lines = template_judge(&template, conf);

	print_begin(&printing);
	json_array_foreach (lines, i, line)
		fprintf(printing.out, "%lld %s %s\n",
			json_integer_value(json_object_get(line, "line")),
			json_string_value(json_object_get(line, "attribute")),
			json_string_value(json_object_get(line, "verdict")));
	printed(&printing, expected);
	json_decref(lines);
	node_free(conf);
	template_fini(&template);
	conf_errors_fini(&errors);
}

#define CONFIGURATION                                                                              \
	"admin: { probe: \":9901\" }\nlame_duck: 20s\nlame_duck_max: 30s\ndrain_timeout: 30s\n"    \
	"listeners: [{ name: a, bind: \":80-89\", pool: p }]\n"                                    \
	"pools: [{ name: p, targets: [\"10.0.0.1:80\"] }]\n"
#define GROUP                                                                                      \
	"Resources:\n  T:\n    Type: AWS::ElasticLoadBalancingV2::TargetGroup\n    Properties:\n"

START_TEST(defaults_of_aws_are_judged_where_nothing_is_written)
{
	check_lines(GROUP "      {Protocol: TCP, Port: 85}\n", CONFIGURATION,
		    "2 HealthCheckPort fail\n"
		    "2 HealthCheckProtocol fail\n"
		    "2 HealthCheckPath fail\n"
		    "2 HealthCheckIntervalSeconds fail\n"
		    "2 target_health_state.unhealthy.connection_termination.enabled fail\n");
}
END_TEST

START_TEST(groups_of_other_balancers_are_passed_over)
{
	check_lines(GROUP "      {Protocol: HTTP, Port: 4711, TargetGroupAttributes: [{Key: x}]}\n",
		    CONFIGURATION, "");
}
END_TEST

START_TEST(the_lame_duck_counts_only_where_there_is_one)
{
	static const char task[] = "Resources:\n"
				   "  T:\n"
				   "    Type: AWS::ECS::TaskDefinition\n"
				   "    Properties:\n"
				   "      ContainerDefinitions:\n"
				   "        - {Name: sluice-control, StopTimeout: 1}\n"
				   "        - {Name: app, StopTimeout: 1}\n"
				   "        - {Name: x, EntryPoint: [sluice], StopTimeout: 64}\n";
	static const char none[] = "drain_timeout: 59s\n"
				   "listeners: [{ name: a, bind: \":80\", pool: p }]\n"
				   "pools: [{ name: p, targets: [\"10.0.0.1:80\"] }]\n";

	check_lines(task, CONFIGURATION, "8 StopTimeout fail\n");
	check_lines(task, none, "");
}
END_TEST

START_TEST(a_group_without_a_hook_is_warned_of)
{
	static const char group[] =
		"Resources: { G: { Type: AWS::AutoScaling::AutoScalingGroup } }\n";
	static const char hook[] =
		"Resources:\n"
		"  G: { Type: AWS::AutoScaling::AutoScalingGroup }\n"
		"  H:\n"
		"    Type: AWS::AutoScaling::LifecycleHook\n"
		"    Properties:\n"
		"      LifecycleTransition: autoscaling:EC2_INSTANCE_TERMINATING\n"
		"      HeartbeatTimeout: 59\n";

	check_lines(group, "control: { lifecycle: auto }\n" CONFIGURATION,
		    "1 LifecycleHookSpecificationList warn\n");
	check_lines(hook, "control: { lifecycle: auto }\n" CONFIGURATION,
		    "7 HeartbeatTimeout fail\n");
	check_lines(group, CONFIGURATION, "");
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		parameters_are_their_defaults_unless_given,
		texts_are_filled_in_and_dollars_kept,
		mappings_and_conditions_are_looked_up,
		circles_end,
		conditions_that_multiply_end_too,
		what_is_too_long_is_not_known,
		defaults_of_aws_are_judged_where_nothing_is_written,
		groups_of_other_balancers_are_passed_over,
		the_lame_duck_counts_only_where_there_is_one,
		a_group_without_a_hook_is_warned_of,
	};

	return run_tests("ctl_template", tests, COUNT(tests));
}
