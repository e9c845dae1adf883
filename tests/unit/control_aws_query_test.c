/* SPDX-License-Identifier: Apache-2.0
 *
 * Inputs as forms, in both dialects.
 */
#include <errno.h>

#include "control/aws/query.h"
#include "tests/unit/conf_rig.h"

static int encode(bool is_ec2, const char *input, char **ret_form)
{
	json_t *tree = json_loads(input, 0, NULL);
	int err;

	ck_assert_msg(tree != NULL, "%s", input);
	err = query_encode("Do", "2000-01-01", is_ec2, tree, ret_form);
	json_decref(tree);
	return err;
}

static void expect_form(bool is_ec2, const char *input, const char *expected)
{
	char *form = NULL;

	ck_assert_int_eq(encode(is_ec2, input, &form), 0);
	ck_assert_str_eq(form, expected);
	free(form);
}

#define HEAD "Action=Do&Version=2000-01-01"

START_TEST(input_without_parameters_is_action_and_version)
{
	expect_form(true, "{}", HEAD);
	expect_form(false, "{\"None\": null, \"Empty\": []}", HEAD);
}
END_TEST

START_TEST(lists_are_numbered_for_ec2_and_have_member_for_the_others)
{
	const char *input = "{\"Filter\": [{\"Name\": \"x\", \"Value\": [\"y\", \"z\"]}]}";

	expect_form(true, input, HEAD "&Filter.1.Name=x&Filter.1.Value.1=y&Filter.1.Value.2=z");
	expect_form(false, input,
		    HEAD "&Filter.member.1.Name=x&Filter.member.1.Value.member.1=y"
			 "&Filter.member.1.Value.member.2=z");
}
END_TEST

START_TEST(values_are_written_by_their_type)
{
	expect_form(true, "{\"A\": true, \"B\": false, \"C\": -12, \"D\": {\"E\": \"\"}}",
		    HEAD "&A=true&B=false&C=-12&D.E=");
}
END_TEST

START_TEST(everything_but_unreserved_characters_is_encoded)
{
	expect_form(true, "{\"tag:x\": \"a b&c=d/e+~*\\u00fc \"}",
		    HEAD "&tag%3Ax=a+b%26c%3Dd%2Fe%2B~%2A%C3%BC+");
}
END_TEST

START_TEST(what_no_form_can_say_is_refused)
{
	char name[QUERY_NAME + 16], input[QUERY_NAME + 64];
	char *form = NULL;

	ck_assert_int_eq(encode(true, "[1]", &form), -EINVAL);
	ck_assert_int_eq(encode(true, "{\"A\": 1.5}", &form), -EINVAL);
	ck_assert_int_eq(encode(true, "{\"A\":[[[[[[[[[[1]]]]]]]]]]}", &form), -EINVAL);
	memset(name, 'n', sizeof(name));
	snprintf(input, sizeof(input), "{\"%.*s\": 1}", QUERY_NAME, name);
	ck_assert_int_eq(encode(true, input, &form), -EINVAL);
	ck_assert_ptr_null(form);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		input_without_parameters_is_action_and_version,
		lists_are_numbered_for_ec2_and_have_member_for_the_others,
		values_are_written_by_their_type,
		everything_but_unreserved_characters_is_encoded,
		what_no_form_can_say_is_refused,
	};

	return run_tests("control_aws_query", tests, COUNT(tests));
}
