/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers and refusals of each protocol, how they are read, and what is cut out of them.
 */
#include <errno.h>

#include "control/aws/answer.h"
#include "tests/unit/conf_rig.h"

static void expect_answer(enum aws_service service, const char *body, const char *expected)
{
	json_t *root = NULL;
	char *dump;

	ck_assert_msg(answer_read(service, "Do", body, strlen(body), &root) == 0, "%s", body);
	dump = json_dumps(root, JSON_COMPACT);
	ck_assert_str_eq(dump, expected);
	free(dump);
	json_decref(root);
}

static void expect_garbage(enum aws_service service, const char *body)
{
	json_t *root = NULL;

	ck_assert_msg(answer_read(service, "Do", body, strlen(body), &root) == -EPROTO, "%s", body);
	ck_assert_ptr_null(root);
}

START_TEST(tree_is_what_stands_inside_the_response_or_its_result)
{
	expect_answer(AWS_EC2, "<DoResponse><a>1</a></DoResponse>", "{\"a\":\"1\"}");
	expect_answer(AWS_ELBV2,
		      "<DoResponse><DoResult><a>1</a></DoResult><ResponseMetadata><RequestId>x"
		      "</RequestId></ResponseMetadata></DoResponse>",
		      "{\"a\":\"1\"}");
	expect_answer(AWS_AUTOSCALING,
		      "<DoResponse><ResponseMetadata><RequestId>x</RequestId></ResponseMetadata>"
		      "</DoResponse>",
		      "{}");
	expect_answer(AWS_ECS, "{\"a\":[1]}", "{\"a\":[1]}");
	expect_answer(AWS_SQS, "", "{}");
}
END_TEST

START_TEST(answer_of_another_kind_is_not_believed)
{
	expect_garbage(AWS_EC2, "<html><body>log in, please</body></html>");
	expect_garbage(AWS_EC2, "<OtherResponse><a/></OtherResponse>");
	expect_garbage(AWS_EC2, "<DoResponse/>");
	expect_garbage(AWS_EC2, "{}");
	expect_garbage(AWS_EC2, "");
	expect_garbage(AWS_ECS, "");
	expect_garbage(AWS_ECS, "[]");
	expect_garbage(AWS_ECS, "{\"a\":1");
	expect_garbage(AWS_ECS, "{\"a\":1}{}");
	expect_garbage(AWS_ECS, "{\"a\":1,\"a\":2}");
	expect_garbage(AWS_SQS, " ");
}
END_TEST

static void expect_refusal(const char *body, const char *header, const char *code,
			   const char *message)
{
	struct refusal refusal;

	answer_refusal(body, strlen(body), header, &refusal);
	ck_assert_str_eq(refusal.code, code);
	ck_assert_str_eq(refusal.message, message);
}

START_TEST(refusals_of_every_protocol_have_code_and_message)
{
	expect_refusal("<?xml version=\"1.0\"?>\n<Response><Errors><Error><Code>A</Code>"
		       "<Message>b</Message></Error></Errors><RequestID>x</RequestID></Response>",
		       NULL, "A", "b");
	expect_refusal("<ErrorResponse><Error><Type>Sender</Type><Code>A</Code><Message>b"
		       "</Message></Error></ErrorResponse>",
		       NULL, "A", "b");
	expect_refusal("{\"__type\":\"com.amazonaws.ecs#A\",\"message\":\"b\"}", NULL, "A", "b");
	expect_refusal("{\"__type\":\"A\",\"Message\":\"b\"}", NULL, "A", "b");
	expect_refusal("{\"message\":\"b\"}", "A:http://internal.amazon.com/coral/", "A", "b");
}
END_TEST

START_TEST(refusal_that_says_nothing_is_empty)
{
	expect_refusal("", NULL, "", "");
	expect_refusal("<html>503</html>", NULL, "", "");
	expect_refusal("<Response><Errors><Error>", NULL, "", "");
	expect_refusal("[\"A\"]", NULL, "", "");
	expect_refusal("{\"__type\":7,\"message\":{}}", NULL, "", "");
}
END_TEST

START_TEST(long_words_line_breaks_and_a_given_secret_are_cut_out)
{
	char text[256] =
		"a: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/ b\r\nc";

	answer_redact(text, NULL);
	ck_assert_str_eq(text, "a: [...] b  c");
	strcpy(text, "token-1 and token-1, token-2");
	answer_redact(text, "token-1");
	ck_assert_str_eq(text, "[...] and [...], token-2");
	strcpy(text, "0123456789012345678901234567890123456789012345678901234567890123");
	answer_redact(text, "");
	ck_assert_str_eq(text, "[...]");
	text[0] = '\0';
	answer_redact(text, "secret");
	ck_assert_str_eq(text, "");
	expect_refusal(
		"{\"__type\":\"SignatureDoesNotMatch\",\"message\":\"POST\\n/\\n\\n"
		"x-amz-security-token:"
		"IQoJb3JpZ2luX2VjEAAaCXVzLWVhc3QtMSJHMEUCIQDnEXAMPLEnotreal0123456789abcdef\"}",
		NULL, "SignatureDoesNotMatch", "POST /  x-amz-security-token:[...]");
}
END_TEST

static json_t *json_of(const char *text)
{
	json_t *root = json_loads(text, 0, NULL);

	ck_assert_msg(root != NULL, "%s", text);
	return root;
}

START_TEST(reading_gives_nothing_for_what_is_absent_or_of_another_type)
{
	json_t *root =
		json_of("{\"t\":\"x\",\"e\":\"\",\"n\":5,\"a\":[1],\"o\":{},\"b\":\" \\n\"}");
	int64_t number = 77;

	ck_assert_str_eq(aws_text(root, "t"), "x");
	ck_assert_ptr_null(aws_text(root, "e"));
	ck_assert_ptr_null(aws_text(root, "n"));
	ck_assert_ptr_null(aws_text(NULL, "t"));
	ck_assert_uint_eq(json_array_size(aws_list(root, "a")), 1);
	ck_assert_ptr_nonnull(aws_list(root, "e"));
	ck_assert_uint_eq(json_array_size(aws_list(root, "e")), 0);
	ck_assert_ptr_nonnull(aws_list(root, "b"));
	ck_assert_ptr_null(aws_list(root, "t"));
	ck_assert_ptr_null(aws_list(root, "absent"));
	ck_assert_ptr_null(aws_list(NULL, "a"));
	ck_assert_ptr_nonnull(aws_object(root, "o"));
	ck_assert_ptr_null(aws_object(root, "a"));
	ck_assert(!aws_number(root, "t", &number) && !aws_number(NULL, "n", &number));
	ck_assert_int_eq(number, 77);
	json_decref(root);
}
END_TEST

START_TEST(numbers_and_booleans_are_read_from_both_protocols)
{
	json_t *root =
		json_of("{\"n\":5,\"t\":\"-12\",\"x\":\"5x\",\"e\":\"\",\"s\":\" 5\","
			"\"h\":\"99999999999999999999\",\"b\":true,\"c\":\"true\",\"d\":\"yes\"}");
	int64_t number;

	ck_assert(aws_number(root, "n", &number) && number == 5);
	ck_assert(aws_number(root, "t", &number) && number == -12);
	ck_assert(!aws_number(root, "x", &number));
	ck_assert(!aws_number(root, "e", &number));
	ck_assert(!aws_number(root, "s", &number));
	ck_assert(!aws_number(root, "h", &number));
	ck_assert(aws_true(root, "b") && aws_true(root, "c"));
	ck_assert(!aws_true(root, "d") && !aws_true(root, "n") && !aws_true(NULL, "b"));
	json_decref(root);
}
END_TEST

START_TEST(tags_are_found_in_both_spellings)
{
	json_t *root =
		json_of("{\"l\":[{\"key\":\"a\",\"value\":\"1\"},{\"Key\":\"b\",\"Value\":\"\"},"
			"7,{\"Key\":\"c\"}]}");
	const json_t *tags = aws_list(root, "l");

	ck_assert_str_eq(aws_tag(tags, "a"), "1");
	ck_assert_str_eq(aws_tag(tags, "b"), "");
	ck_assert_ptr_null(aws_tag(tags, "c"));
	ck_assert_ptr_null(aws_tag(tags, "d"));
	ck_assert_ptr_null(aws_tag(NULL, "a"));
	json_decref(root);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		tree_is_what_stands_inside_the_response_or_its_result,
		answer_of_another_kind_is_not_believed,
		refusals_of_every_protocol_have_code_and_message,
		refusal_that_says_nothing_is_empty,
		long_words_line_breaks_and_a_given_secret_are_cut_out,
		reading_gives_nothing_for_what_is_absent_or_of_another_type,
		numbers_and_booleans_are_read_from_both_protocols,
		tags_are_found_in_both_spellings,
	};

	return run_tests("control_aws_answer", tests, COUNT(tests));
}
