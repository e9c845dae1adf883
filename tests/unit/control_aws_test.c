/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations from their start to their only end: pages, batches, retries, and every way to fail.
 * Waits between retries are random(3)-free here: getrandom(2) gives zeros, so none is long.
 */
/* link: -Wl,--wrap=getrandom */
#include <sys/random.h>

#include "proxy/base/clock.h"
#include "tests/unit/aws_rig.h"

ssize_t __wrap_getrandom(void *buf, size_t size, unsigned flags);

ssize_t __wrap_getrandom(void *buf, size_t size, unsigned flags)
{
	memset(buf, 0, size);
	return (ssize_t)size;
}

#define OK         HTTP("200", "", "{\"a\":1}")
#define MORE(n)    HTTP("200", "", "{\"nextToken\": \"tok" n "\"}")
#define REFUSED(c) HTTP("400", "", "{\"__type\":\"" c "\",\"message\":\"why\"}")

static const char *body_of(size_t request)
{
	return strstr(rig.requests[request], "\r\n\r\n") + 4;
}

static struct aws_counts counts_of(enum aws_service service)
{
	struct aws_counts counts[AWS_SERVICES];

	aws_hub_counts(hub, counts);
	return counts[service];
}

START_TEST(operation_is_sent_signed_and_its_answer_is_shown)
{
	static const struct rig_reply replies[] = {OK};
	struct seen seen;
	const char *request;

	AWS_RIG(replies);
	seen = call();
	ck_assert_int_eq(seen.error.kind, AWS_OK);
	ck_assert_uint_eq(seen.pages, 1);
	ck_assert_str_eq(seen.last, "{\"a\":1}");
	request = rig.requests[0];
	ck_assert_ptr_nonnull(strstr(request, "POST / HTTP/1.1\r\n"));
	ck_assert_ptr_nonnull(strstr(request, "\r\nContent-Type: application/x-amz-json-1.1\r\n"));
	ck_assert_ptr_nonnull(
		strstr(request,
		       "\r\nX-Amz-Target: AmazonEC2ContainerServiceV20141113.DescribeThings\r\n"));
	ck_assert_ptr_nonnull(strstr(request, "\r\nX-Amz-Security-Token: " RIG_TOKEN "\r\n"));
	ck_assert_ptr_nonnull(
		strstr(request, "\r\nAuthorization: AWS4-HMAC-SHA256 Credential=" RIG_KEY));
	ck_assert_ptr_nonnull(strstr(request,
				     "/eu-west-1/ecs/aws4_request, SignedHeaders=content-type;"
				     "host;x-amz-date;x-amz-security-token;x-amz-target, "));
	ck_assert_str_eq(body_of(0), "{}");
	aws_rig_stop();
}
END_TEST

START_TEST(query_services_get_a_form_and_answer_in_xml)
{
	static const struct rig_reply replies[] = {
		HTTP("200", "", "<DoResponse><things></things></DoResponse>\r\n")};
	struct seen seen;
	struct aws_op op;

	AWS_RIG(replies);
	op = op_of(&seen);
	op.service = AWS_EC2;
	op.action = "Do";
	json_object_set_new(op.input, "A", json_pack("[s]", "x y"));
	aws_start(aws, &op);
	run_to_end(&seen);
	ck_assert_int_eq(seen.error.kind, AWS_OK);
	ck_assert_str_eq(seen.last, "{\"things\":\"\"}");
	ck_assert_str_eq(body_of(0), "Action=Do&Version=2016-11-15&A.1=x+y");
	ck_assert_ptr_nonnull(
		strstr(rig.requests[0],
		       "\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\r\n"));
	aws_rig_stop();
}
END_TEST

START_TEST(pages_follow_their_tokens_to_the_end)
{
	static const struct rig_reply replies[] = {MORE("1"), MORE("2"), OK};
	struct seen seen;

	AWS_RIG(replies);
	seen = call();
	ck_assert_int_eq(seen.error.kind, AWS_OK);
	ck_assert_uint_eq(seen.pages, 3);
	ck_assert_str_eq(body_of(0), "{}");
	ck_assert_str_eq(body_of(1), "{\"nextToken\":\"tok1\"}");
	ck_assert_str_eq(body_of(2), "{\"nextToken\":\"tok2\"}");
	aws_rig_stop();
}
END_TEST

START_TEST(token_that_comes_again_ends_as_garbage)
{
	static const struct rig_reply replies[] = {MORE("1"), MORE("2"), MORE("1")};
	struct seen seen;

	AWS_RIG(replies);
	seen = call();
	ck_assert_int_eq(seen.error.kind, AWS_GARBAGE);
	ck_assert_ptr_nonnull(strstr(seen.error.text, "leads back"));
	aws_rig_stop();
}
END_TEST

START_TEST(pages_without_end_end_as_garbage)
{
	struct seen seen;

	aws_rig_start_at(NULL, 0, &(struct aws_hub_conf){.fleet_size = 1, .api_rate = 100000});
	rig.endless = true;
	seen = call();
	ck_assert_int_eq(seen.error.kind, AWS_GARBAGE);
	ck_assert_ptr_nonnull(strstr(seen.error.text, "pages without end"));
	ck_assert_uint_eq(seen.pages, AWS_PAGES);
	aws_rig_stop();
}
END_TEST

START_TEST(page_that_its_owner_refuses_ends_the_operation)
{
	static const struct rig_reply replies[] = {MORE("1")};
	struct seen seen;
	struct aws_op op;

	AWS_RIG(replies);
	op = op_of(&seen);
	seen.page_err = -EPROTO;
	aws_start(aws, &op);
	run_to_end(&seen);
	ck_assert_int_eq(seen.error.kind, AWS_GARBAGE);
	ck_assert_uint_eq(rig.requested, 1);
	aws_rig_stop();
}
END_TEST

START_TEST(batches_come_one_after_the_other_each_with_its_pages)
{
	static const struct rig_reply replies[] = {MORE("1"), OK, MORE("1"), OK};
	struct seen seen;
	struct aws_op op;

	AWS_RIG(replies);
	op = op_of(&seen);
	json_object_set_new(op.input, "c", json_string("x"));
	aws_start_batches(aws, &op, "tasks", json_pack("[s,s,s]", "a", "b", "c"), 2);
	run_to_end(&seen);
	ck_assert_int_eq(seen.error.kind, AWS_OK);
	ck_assert_str_eq(body_of(0), "{\"c\":\"x\",\"tasks\":[\"a\",\"b\"]}");
	ck_assert_str_eq(body_of(1),
			 "{\"c\":\"x\",\"tasks\":[\"a\",\"b\"],\"nextToken\":\"tok1\"}");
	ck_assert_str_eq(body_of(2), "{\"c\":\"x\",\"tasks\":[\"c\"]}");
	ck_assert_uint_eq(seen.pages, 4);
	op = op_of(&seen);
	aws_start_batches(aws, &op, "tasks", json_array(), 2);
	run_to_end(&seen);
	ck_assert_int_eq(seen.error.kind, AWS_OK);
	ck_assert_uint_eq(rig.requested, 4);
	aws_rig_stop();
}
END_TEST

START_TEST(batch_that_fails_ends_all)
{
	static const struct rig_reply replies[] = {
		OK, HTTP("400", "", "{\"__type\":\"x#ClusterNotFound\",\"message\":\"no prod\"}")};
	struct seen seen;
	struct aws_op op;

	AWS_RIG(replies);
	op = op_of(&seen);
	aws_start_batches(aws, &op, "tasks", json_pack("[s,s,s]", "a", "b", "c"), 1);
	run_to_end(&seen);
	ck_assert_int_eq(seen.error.kind, AWS_REFUSED);
	ck_assert_str_eq(seen.error.code, "ClusterNotFound");
	ck_assert_int_eq(seen.error.status, 400);
	ck_assert_str_eq(seen.error.text,
			 "ecs:DescribeThings in eu-west-1: ClusterNotFound: no prod");
	ck_assert_uint_eq(rig.requested, 2);
	aws_rig_stop();
}
END_TEST

START_TEST(what_may_pass_is_tried_three_times_in_all)
{
	static const struct rig_reply replies[] = {
		/* Kept connections that break are libcurl's to try again. */
		REPLY("HTTP/1.1 500 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		      RIG_CLOSE),
		REPLY("", RIG_RESET), HTTP("503", "", "{}")};
	struct seen seen;
	struct aws_counts counts;

	AWS_RIG(replies);
	seen = call();
	ck_assert_int_eq(seen.error.kind, AWS_SERVER);
	ck_assert_int_eq(seen.error.status, 503);
	counts = counts_of(AWS_ECS);
	ck_assert_uint_eq(counts.calls, 3);
	ck_assert_uint_eq(counts.retries, 2);
	ck_assert_uint_eq(counts.errors[AWS_SERVER], 1);
	aws_rig_stop();
}
END_TEST

START_TEST(page_that_was_throttled_cut_or_garbled_is_got_the_next_time)
{
	static const struct rig_reply replies[] = {
		REFUSED("ThrottlingException"), MORE("1"),
		REPLY("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"a\"", RIG_CLOSE),
		HTTP("200", "", "what"), OK};
	struct seen seen;
	struct aws_counts counts;

	AWS_RIG(replies);
	seen = call();
	ck_assert_int_eq(seen.error.kind, AWS_OK);
	ck_assert_uint_eq(seen.pages, 2);
	counts = counts_of(AWS_ECS);
	ck_assert_uint_eq(counts.throttles, 1);
	ck_assert_uint_eq(counts.retries, 3);
	ck_assert_uint_eq(counts.errors[AWS_OK], 1);
	aws_rig_stop();
}
END_TEST

START_TEST(operation_that_is_for_once_is_not_tried_again)
{
	static const struct rig_reply replies[] = {HTTP("500", "", "")};
	struct seen seen;
	struct aws_op op;

	AWS_RIG(replies);
	op = op_of(&seen);
	op.once = true;
	aws_start(aws, &op);
	run_to_end(&seen);
	ck_assert_int_eq(seen.error.kind, AWS_SERVER);
	aws_rig_stop();
}
END_TEST

START_TEST(expired_token_in_the_middle_of_pages_is_renewed_once)
{
	static const struct rig_reply replies[] = {MORE("1"), REFUSED("ExpiredTokenException"), OK,
						   REFUSED("ExpiredTokenException"),
						   REFUSED("ExpiredTokenException")};
	struct seen seen;

	AWS_RIG(replies);
	seen = call();
	ck_assert_int_eq(seen.error.kind, AWS_OK);
	ck_assert_uint_eq(seen.pages, 2);
	ck_assert_uint_eq(world.refused, 1);
	seen = call();
	ck_assert_int_eq(seen.error.kind, AWS_CREDENTIALS);
	ck_assert_ptr_nonnull(strstr(seen.error.text, "renewed credentials were refused too"));
	ck_assert_uint_eq(world.refused, 2);
	aws_rig_stop();
}
END_TEST

START_TEST(denial_names_the_action_and_the_policy)
{
	static const struct rig_reply replies[] = {
		HTTP("403", "",
		     "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You may "
		     "not.</Message></Error></Errors>"),
		HTTP("403", "",
		     "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You may "
		     "not.</Message></Error></Errors></Response>")};
	struct seen seen;

	AWS_RIG(replies);
	seen = call(); /* it ends early, so the status alone is believed */
	ck_assert_int_eq(seen.error.kind, AWS_DENIED);
	ck_assert_str_eq(seen.error.code, "");
	seen = call();
	ck_assert_int_eq(seen.error.kind, AWS_DENIED);
	ck_assert_ptr_nonnull(strstr(seen.error.text, "ecs:DescribeThings in eu-west-1: "));
	ck_assert_ptr_nonnull(strstr(seen.error.text, "You may not."));
	ck_assert_ptr_nonnull(strstr(seen.error.text, "--iam-policy"));
	ck_assert_uint_eq(counts_of(AWS_ECS).retries, 0);
	aws_rig_stop();
}
END_TEST

START_TEST(clock_that_is_wrong_is_corrected_once)
{
	static const struct rig_reply replies[] = {
		HTTP("403", "Date: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
		     "{\"__type\":\"InvalidSignatureException\"}"),
		OK};
	int64_t expected_ms = 4102444800000 - (int64_t)(clock_wall_us() / US_PER_MS);
	struct seen seen;

	AWS_RIG(replies);
	seen = call();
	ck_assert_int_eq(seen.error.kind, AWS_OK);
	ck_assert_ptr_nonnull(strstr(rig.requests[1], "\r\nX-Amz-Date: 2100"));
	ck_assert_int_le(llabs(aws_hub_skew_ms(hub) - expected_ms), 60000);
	ck_assert_int_eq(world.skew_us / 1000, aws_hub_skew_ms(hub));
	ck_assert_uint_eq(world.refused, 0);
	aws_rig_stop();
}
END_TEST

START_TEST(clock_that_stays_wrong_is_an_error_that_says_so)
{
	static const struct rig_reply replies[] = {
		HTTP("403", "Date: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
		     "{\"__type\":\"RequestTimeTooSkewed\"}"),
		HTTP("403", "Date: Sat, 01 Jan 2050 00:00:00 GMT\r\n",
		     "{\"__type\":\"RequestTimeTooSkewed\"}")};
	struct seen seen;

	AWS_RIG(replies);
	seen = call();
	ck_assert_int_eq(seen.error.kind, AWS_CLOCK);
	ck_assert_ptr_nonnull(strstr(seen.error.text, "set this machine's clock"));
	aws_rig_stop();
}
END_TEST

START_TEST(nothing_of_the_session_comes_back_through_an_error)
{
	static const struct rig_reply replies[] = {
		HTTP("403", "",
		     "{\"__type\":\"SignatureDoesNotMatch\",\"message\":\"POST\\n\\n"
		     "x-amz-security-token:" RIG_TOKEN "\"}")};
	struct seen seen;

	AWS_RIG(replies);
	seen = call();
	ck_assert_int_eq(seen.error.kind, AWS_CREDENTIALS);
	ck_assert_ptr_nonnull(strstr(seen.error.text, "x-amz-security-token:[...]"));
	ck_assert_ptr_null(strstr(seen.error.text, RIG_TOKEN));
	aws_rig_stop();
}
END_TEST

START_TEST(failing_credentials_end_the_operation_unsent)
{
	struct seen seen;

	aws_rig_start_at(NULL, 0, &(struct aws_hub_conf){.fleet_size = 1});
	world.credential_error = (struct aws_error){.kind = AWS_CREDENTIALS, .text = "none found"};
	seen = call();
	ck_assert_int_eq(seen.error.kind, AWS_CREDENTIALS);
	ck_assert_str_eq(seen.error.text, "none found");
	ck_assert_uint_eq(counts_of(AWS_ECS).calls, 0);
	aws_rig_stop();
}
END_TEST

START_TEST(cancelled_operations_tell_nothing_wherever_they_stand)
{
	static const struct rig_reply replies[] = {REPLY("", RIG_STALL)};
	struct seen seen[3];
	struct aws_run *runs[3];
	struct aws_op op;

	AWS_RIG(replies);
	op = op_of(&seen[0]);
	aws_cancel(aws_start(aws, &op)); /* before it began */
	op = op_of(&seen[1]);
	runs[1] = aws_start(aws, &op);
	loop_turn(&rig.loop); /* it waits for credentials, or was given them */
	aws_cancel(runs[1]);
	op = op_of(&seen[2]);
	runs[2] = aws_start(aws, &op);
	while (!rig.requested)
		loop_turn(&rig.loop);
	aws_cancel(runs[2]);
	aws_cancel(NULL);
	for (int i = 0; i < 5; i++) {
		struct loop_task nothing = {.run = NULL};

		list_init(&nothing.link);
		rig.loop.stopping = true; /* never sleeps */
		loop_turn(&rig.loop);
	}
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(seen[i].ends + seen[i].pages, 0);
	aws_rig_stop();
}
END_TEST

START_TEST(end_of_one_may_cancel_others_and_close_the_place)
{
	static const struct rig_reply replies[] = {OK};
	struct seen seen, other, third;
	struct aws_op op;

	aws_rig_start_at(replies, 1, &(struct aws_hub_conf){.fleet_size = 1, .concurrency = 1});
	op = op_of(&seen);
	aws_start(aws, &op);
	op = op_of(&other);
	seen.to_cancel = aws_start(aws, &op);
	op = op_of(&third);
	aws_start(aws, &op); /* closed with the place */
	seen.close = true;
	run_to_end(&seen);
	ck_assert_int_eq(seen.error.kind, AWS_OK);
	ck_assert_ptr_null(aws);
	ck_assert_uint_eq(other.ends + third.ends, 0);
	aws_rig_stop();
}
END_TEST

START_TEST(places_of_one_role_share_credentials_and_budget)
{
	static const struct rig_reply replies[] = {OK};
	struct aws_place place = {.region = "eu-west-1", .endpoint = "http://127.0.0.1:1"};
	struct aws *others[3];
	char problem[128];

	AWS_RIG(replies);
	ck_assert_uint_eq(world.chains, 1);
	place.endpoint = rig.url;
	aws_open(hub, &place, &others[0], problem, sizeof(problem));
	ck_assert_uint_eq(world.chains, 1);
	place.region = "eu-central-1";
	aws_open(hub, &place, &others[1], problem, sizeof(problem));
	ck_assert_uint_eq(world.chains, 1);
	place.role_arn = "arn:aws:iam::1:role/r";
	aws_open(hub, &place, &others[2], problem, sizeof(problem));
	ck_assert_uint_eq(world.chains, 2);
	for (size_t i = 0; i < COUNT(others); i++)
		aws_close(others[i]);
	ck_assert_uint_eq(world.chains, 1);
	aws_rig_stop();
}
END_TEST

START_TEST(call_over_budget_waits_and_is_counted)
{
	static const struct rig_reply replies[] = {OK, OK, OK, OK, OK, OK, OK, OK, OK, OK, OK};

	/* A burst of 10, then 100 a second. */
	aws_rig_start_at(replies, COUNT(replies),
			 &(struct aws_hub_conf){.fleet_size = 10, .api_rate = 1000});
	for (int i = 0; i < 10; i++)
		call();
	call();
	ck_assert_uint_le(counts_of(AWS_ECS).waits, 1);
	ck_assert_uint_eq(counts_of(AWS_ECS).calls, 11);
	aws_rig_stop();
}
END_TEST

START_TEST(region_comes_from_the_environment_or_from_the_instance)
{
	static const struct rig_reply replies[] = {OK, OK};
	struct aws_place place = {.endpoint = NULL};
	struct seen seen;
	char problem[128];

	AWS_RIG(replies);
	aws_close(aws);
	place.endpoint = rig.url;
	world.imds_region = "eu-north-1";
	ck_assert_int_eq(aws_open(hub, &place, &aws, problem, sizeof(problem)), 0);
	ck_assert_ptr_null(aws_region(aws));
	seen = call();
	ck_assert_int_eq(seen.error.kind, AWS_OK);
	ck_assert_str_eq(aws_region(aws), "eu-north-1");
	ck_assert_ptr_nonnull(strstr(rig.requests[0], "/eu-north-1/ecs/"));
	aws_close(aws);
	world.region = "cn-north-1";
	ck_assert_int_eq(aws_open(hub, &place, &aws, problem, sizeof(problem)), 0);
	ck_assert_str_eq(aws_region(aws), "cn-north-1");
	ck_assert_str_eq(aws_partition(aws), "aws-cn");
	aws_rig_stop();
}
END_TEST

START_TEST(region_that_nobody_knows_says_what_to_set)
{
	struct aws_place place = {.region = NULL};
	struct seen seen;
	char problem[128];

	aws_rig_start_at(NULL, 0, &(struct aws_hub_conf){.fleet_size = 1});
	aws_close(aws);
	ck_assert_int_eq(aws_open(hub, &place, &aws, problem, sizeof(problem)), 0);
	seen = call();
	ck_assert_int_eq(seen.error.kind, AWS_TIMEOUT);
	ck_assert_ptr_nonnull(strstr(seen.error.text, "it timed out"));
	ck_assert_ptr_nonnull(strstr(seen.error.text, "AWS_REGION"));
	world.imds_region = "<html>";
	seen = call();
	ck_assert_int_eq(seen.error.kind, AWS_GARBAGE);
	aws_rig_stop();
}
END_TEST

START_TEST(places_that_cannot_be_are_refused_with_a_sentence)
{
	struct aws_place place = {.region = "no region"};
	struct aws *other = NULL;
	char problem[128] = "";

	aws_rig_start_at(NULL, 0, &(struct aws_hub_conf){.fleet_size = 1});
	ck_assert_int_eq(aws_open(hub, &place, &other, problem, sizeof(problem)), -EINVAL);
	ck_assert_str_eq(problem, "\"no region\" is no region of AWS");
	place = (struct aws_place){.region = "eu-west-1", .endpoint = "ftp://x"};
	ck_assert_int_eq(aws_open(hub, &place, &other, problem, sizeof(problem)), -EINVAL);
	ck_assert_ptr_null(other);
	aws_rig_stop();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		operation_is_sent_signed_and_its_answer_is_shown,
		query_services_get_a_form_and_answer_in_xml,
		pages_follow_their_tokens_to_the_end,
		token_that_comes_again_ends_as_garbage,
		pages_without_end_end_as_garbage,
		page_that_its_owner_refuses_ends_the_operation,
		batches_come_one_after_the_other_each_with_its_pages,
		batch_that_fails_ends_all,
		what_may_pass_is_tried_three_times_in_all,
		page_that_was_throttled_cut_or_garbled_is_got_the_next_time,
		operation_that_is_for_once_is_not_tried_again,
		expired_token_in_the_middle_of_pages_is_renewed_once,
		denial_names_the_action_and_the_policy,
		clock_that_is_wrong_is_corrected_once,
		clock_that_stays_wrong_is_an_error_that_says_so,
		nothing_of_the_session_comes_back_through_an_error,
		failing_credentials_end_the_operation_unsent,
		cancelled_operations_tell_nothing_wherever_they_stand,
		end_of_one_may_cancel_others_and_close_the_place,
		places_of_one_role_share_credentials_and_budget,
		call_over_budget_waits_and_is_counted,
		region_comes_from_the_environment_or_from_the_instance,
		region_that_nobody_knows_says_what_to_set,
		places_that_cannot_be_are_refused_with_a_sentence,
	};

	return run_tests("control_aws", tests, COUNT(tests));
}
