/* SPDX-License-Identifier: Apache-2.0
 *
 * STS: what is tried again, what its refusals advise, a clock that is wrong, answers that cannot be
 * believed. That requests are signed as they should is tested with sigv4 and, for what is in them,
 * in control_aws_credentials_providers_test.c.
 */
/* link: -Wl,--wrap=http_start,--wrap=http_cancel,--wrap=http_header */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=log_event */
#include "control/aws/credentials/document.h"
#include "control/aws/sts.h"
#include "tests/unit/control_aws_rig.h"

#define URL "POST https://sts.eu-west-1.amazonaws.com/ "

static struct credentials signer = {
	.key_id = (char *)"AKIDBASE", .secret = (char *)"hush-base", .token = (char *)"token-base"};
static int64_t skew_us;

struct heard {
	unsigned told;
	char key_id[32];
	uint64_t expires_wall_us;
	struct aws_error error;
};

static void on_heard(void *context, struct credentials *found, const struct aws_error *error)
{
	struct heard *heard = context;

	heard->told++;
	if (error) {
		heard->error = *error;
		ck_assert_ptr_null(strstr(error->text, "hush"));
		ck_assert_ptr_null(strstr(error->text, "token-"));
		return;
	}
	snprintf(heard->key_id, sizeof(heard->key_id), "%s", found->key_id);
	heard->expires_wall_us = found->expires_wall_us;
	credentials_fini(found);
}

static int start(const char *endpoint, bool signed_, struct heard *heard, struct sts_call **call)
{
	const struct sts_conf conf = {
		.loop = &loop, .region = "eu-west-1", .endpoint = endpoint, .skew_us = &skew_us};
	const struct sts_request request = {
		.role_arn = "arn:aws:iam::1:role/x",
		.signer = signed_ ? &signer : NULL,
		.web_identity_token = signed_ ? NULL : "token-jwt",
		.on_end = on_heard,
		.context = heard,
	};

	*heard = (struct heard){.told = 0};
	return sts_start(&conf, &request, call);
}

static struct heard ask(bool signed_)
{
	struct sts_call *call;
	struct heard heard;

	ck_assert_int_eq(start(NULL, signed_, &heard, &call), 0);
	ck_assert_uint_eq(heard.told, 0);
	while (!heard.told)
		loop_turn(&loop);
	return heard;
}

static const char *refusal(const char *code, const char *message)
{
	static char text[1024];

	snprintf(text, sizeof(text),
		 "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>"
		 "<Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>1"
		 "</RequestId></ErrorResponse>",
		 code, message);
	return text;
}

START_TEST(an_answer_becomes_credentials_with_their_end)
{
	struct heard heard;

	rig_begin();
	route(URL, 200, keys_xml("AssumeRole", "AKIDROLE", 3600));
	heard = ask(true);
	ck_assert_str_eq(heard.key_id, "AKIDROLE");
	ck_assert_uint_eq(heard.expires_wall_us, (WALL_S + 3600) * US_PER_SEC);
	rig_end(NULL);
}
END_TEST

START_TEST(a_refusal_says_what_to_look_at)
{
	static const struct {
		const char *code;
		long status;
		enum aws_error_kind kind;
		const char *advice;
	} cases[] = {
		{"AccessDenied", 403, AWS_DENIED, "trust policy"},
		{"ExpiredToken", 403, AWS_CREDENTIALS, "have expired"},
		{"ExpiredTokenException", 400, AWS_CREDENTIALS, "what writes it"},
		{"InvalidClientTokenId", 403, AWS_CREDENTIALS, "unknown"},
		{"InvalidIdentityToken", 400, AWS_CREDENTIALS, "identity provider"},
		{"SignatureDoesNotMatch", 403, AWS_CREDENTIALS, "secret key is wrong"},
		{"RegionDisabledException", 403, AWS_REFUSED, "activate STS"},
		{"ValidationError", 400, AWS_REFUSED, "the message"},
	};

	rig_begin();
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct route *added = route(URL, cases[i].status, NULL);
		char *body = strdup(refusal(cases[i].code, "the message"));
		struct heard heard;

		added->times = 1;
		added->body = body;
		heard = ask(true);
		ck_assert_int_eq(heard.error.kind, cases[i].kind);
		ck_assert_int_eq(heard.error.status, cases[i].status);
		ck_assert_str_eq(heard.error.code, cases[i].code);
		ck_assert_msg(strstr(heard.error.text, cases[i].advice) != NULL, "%s",
			      heard.error.text);
		ck_assert_ptr_nonnull(strstr(heard.error.text, "arn:aws:iam::1:role/x"));
		free(body);
	}
	ck_assert_uint_eq(times_asked("POST"), COUNT(cases));
	rig_end(NULL);
}
END_TEST

START_TEST(throttling_and_broken_servers_are_tried_again)
{
	rig_begin();
	route(URL, 400, refusal("Throttling", "Rate exceeded"))->times = 1;
	route(URL, 503, "")->times = 1;
	route(URL, 200, keys_xml("AssumeRole", "AKIDROLE", 3600))->times = 1;
	ck_assert_str_eq(ask(true).key_id, "AKIDROLE");
	route(URL, 400, refusal("Throttling", "Rate exceeded"));
	ck_assert_int_eq(ask(true).error.kind, AWS_THROTTLED);
	ck_assert_uint_eq(times_asked("POST"), 6);
	rig_end(NULL);
}
END_TEST

START_TEST(an_identity_provider_that_is_late_is_tried_again)
{
	rig_begin();
	route(URL, 400, refusal("IDPCommunicationError", "late"))->times = 2;
	route(URL, 200, keys_xml("AssumeRoleWithWebIdentity", "AKIDWEB", 3600));
	ck_assert_str_eq(ask(false).key_id, "AKIDWEB");
	rig_end(NULL);
}
END_TEST

START_TEST(what_cannot_be_reached_keeps_its_kind)
{
	rig_begin();
	route(URL, 0, NULL)->err = AWS_TIMEOUT;
	ck_assert_int_eq(ask(true).error.kind, AWS_TIMEOUT);
	ck_assert_uint_eq(times_asked("POST"), 3);
	rig_end(NULL);
}
END_TEST

START_TEST(a_wrong_clock_is_corrected_once_by_the_answer)
{
	rig_begin();
	route(URL, 403, refusal("SignatureDoesNotMatch", "Signature expired"))->times = 1;
	routes[0].date_s = WALL_S + 3600;
	route(URL, 200, keys_xml("AssumeRole", "AKIDROLE", 7200))->times = 1;
	ck_assert_str_eq(ask(true).key_id, "AKIDROLE");
	ck_assert_ptr_nonnull(strstr(asked, "|X-Amz-Date: 20260101T000000Z"));
	ck_assert_ptr_nonnull(strstr(asked, "|X-Amz-Date: 20260101T010000Z"));
	ck_assert_int_eq(skew_us / (int64_t)US_PER_SEC, 3600);
	route(URL, 403, refusal("SignatureDoesNotMatch", "Signature expired"));
	routes[2].date_s = WALL_S + 3600;
	ck_assert_int_eq(ask(true).error.kind, AWS_CREDENTIALS);
	ck_assert_uint_eq(times_asked("POST"), 3);
	/* A service whose clock jumps about is followed once, and not again. */
	routes[2].date_s = WALL_S;
	routes[2].times = routes[2].used + 1;
	route(URL, 403, refusal("SignatureDoesNotMatch", "Signature expired"));
	routes[3].date_s = WALL_S + 7200;
	ck_assert_int_eq(ask(true).error.kind, AWS_CREDENTIALS);
	ck_assert_uint_eq(times_asked("POST"), 5);
	rig_end(NULL);
}
END_TEST

START_TEST(answers_that_cannot_be_believed_are_not)
{
	static const char *const bad[] = {
		"",
		"<html/>",
		"{}",
		"<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>",
		"<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId>"
		"<SecretAccessKey>hush</SecretAccessKey><SessionToken>token-x</SessionToken>"
		"</Credentials></AssumeRoleResult></AssumeRoleResponse>",
		"<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId>"
		"<SecretAccessKey>hush hush</SecretAccessKey><SessionToken>token-x</SessionToken>"
		"<Expiration>2026-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>"
		"</AssumeRoleResponse>",
	};

	rig_begin();
	for (size_t i = 0; i < COUNT(bad); i++) {
		route(URL, 200, bad[i])->times = 1;
		ck_assert_int_eq(ask(true).error.kind, AWS_GARBAGE);
	}
	rig_end(NULL);
}
END_TEST

START_TEST(a_refusal_that_repeats_the_request_loses_the_secrets_in_it)
{
	struct heard heard;

	rig_begin();
	route(URL, 403,
	      refusal("SignatureDoesNotMatch",
		      "POST x-amz-security-token:token-base hush-base "
		      "IQoJb3JpZ2luX2VjEJrwEaCXVzLWVhc3QtMSJHMEUCIQDhushIQoJb3JpZ2luX2VjEJrwE"));
	heard = ask(true);
	ck_assert_ptr_nonnull(strstr(heard.error.text, "x-amz-security-token:[...] [...] [...];"));
	rig_end(NULL);
}
END_TEST

START_TEST(a_given_endpoint_is_asked_at_its_path)
{
	struct sts_call *call;
	struct heard heard;

	rig_begin();
	ck_assert_int_eq(start("http://127.0.0.1:5000/base/", true, &heard, &call), 0);
	ck_assert_uint_eq(times_asked("POST http://127.0.0.1:5000/base/ Action"), 1);
	ck_assert_ptr_nonnull(strstr(asked, "|Host: 127.0.0.1:5000|"));
	sts_cancel(call);
	ck_assert_int_eq(start("nowhere", true, &heard, &call), -EINVAL);
	ck_assert_uint_eq(heard.told, 0);
	rig_end(NULL);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		an_answer_becomes_credentials_with_their_end,
		a_refusal_says_what_to_look_at,
		throttling_and_broken_servers_are_tried_again,
		an_identity_provider_that_is_late_is_tried_again,
		what_cannot_be_reached_keeps_its_kind,
		a_wrong_clock_is_corrected_once_by_the_answer,
		answers_that_cannot_be_believed_are_not,
		a_refusal_that_repeats_the_request_loses_the_secrets_in_it,
		a_given_endpoint_is_asked_at_its_path,
	};

	return run_tests("sts", tests, COUNT(tests));
}
