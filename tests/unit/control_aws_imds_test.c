/* SPDX-License-Identifier: Apache-2.0
 *
 * Instance metadata: the token, what is final and what is tried again, and what errors advise.
 */
/* link: -Wl,--wrap=http_start,--wrap=http_cancel,--wrap=http_header */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=log_event */
#include "control/aws/imds.h"
#include "tests/unit/control_aws_rig.h"

#define REGION "GET http://169.254.169.254/latest/meta-data/placement/region "

struct heard {
	unsigned told;
	bool missing;
	char body[64];
	struct aws_error error;
};

static void on_heard(void *context, const struct imds_answer *answer)
{
	struct heard *heard = context;

	heard->told++;
	heard->missing = answer->missing;
	snprintf(heard->body, sizeof(heard->body), "%s", answer->error ? "" : answer->body);
	if (answer->error)
		heard->error = *answer->error;
}

static struct heard hear(struct imds *imds)
{
	struct heard heard = {.told = 0};

	ck_assert_ptr_nonnull(imds_get(imds, "meta-data/placement/region", on_heard, &heard));
	ck_assert_uint_eq(heard.told, 0);
	while (!heard.told)
		loop_turn(&loop);
	ck_assert_uint_eq(heard.told, 1);
	return heard;
}

static struct imds *begin(void)
{
	struct imds *imds;

	ck_assert_int_eq(imds_new(&loop, NULL, &imds), 0);
	return imds;
}

static void end(struct imds *imds)
{
	imds_free(imds);
	rig_end(NULL);
}

START_TEST(one_token_serves_six_hours)
{
	struct imds *imds;

	rig_begin();
	route(IMDS_TOKEN, 200, "first")->times = 1;
	route(IMDS_TOKEN, 200, "second");
	route(REGION, 200, "eu-west-1");
	imds = begin();
	ck_assert_str_eq(hear(imds).body, "eu-west-1");
	ck_assert_str_eq(hear(imds).body, "eu-west-1");
	pass_s(21600 - 301);
	hear(imds);
	ck_assert_uint_eq(times_asked(IMDS_TOKEN), 1);
	pass_s(2);
	hear(imds);
	ck_assert_uint_eq(times_asked(IMDS_TOKEN), 2);
	ck_assert_uint_eq(times_asked(REGION "|X-aws-ec2-metadata-token: first"), 3);
	ck_assert_uint_eq(times_asked(REGION "|X-aws-ec2-metadata-token: second"), 1);
	end(imds);
}
END_TEST

START_TEST(a_forgotten_token_is_fetched_anew_once)
{
	struct imds *imds;

	rig_begin();
	route(IMDS_TOKEN, 200, "token");
	route(REGION, 401, "")->times = 1;
	route(REGION, 200, "eu-west-1")->times = 1;
	route(REGION, 401, "");
	imds = begin();
	ck_assert_str_eq(hear(imds).body, "eu-west-1");
	ck_assert_uint_eq(times_asked(IMDS_TOKEN), 2);
	ck_assert_int_eq(hear(imds).error.status, 401);
	ck_assert_uint_eq(times_asked(IMDS_TOKEN), 3);
	end(imds);
}
END_TEST

/* What the token's PUT answers, how often it is asked, and a word of the error. */
static void expect_token_error(long status, enum aws_error_kind err, unsigned times,
			       const char *word)
{
	struct imds *imds;
	struct heard heard;

	rig_begin();
	route(IMDS_TOKEN, status, "")->err = err;
	imds = begin();
	heard = hear(imds);
	ck_assert_msg(strstr(heard.error.text, word) != NULL, "%s", heard.error.text);
	ck_assert_int_eq(heard.error.kind, err ? err : status >= 500 ? AWS_SERVER : AWS_REFUSED);
	ck_assert(!heard.missing);
	ck_assert_uint_eq(times_asked(IMDS_TOKEN), times);
	ck_assert_uint_eq(times_asked("GET"), 0);
	end(imds);
}

START_TEST(a_400_for_the_token_is_final)
{
	expect_token_error(400, AWS_OK, 1, "IMDSv1 is not used");
}
END_TEST

START_TEST(a_403_for_the_token_says_that_metadata_is_switched_off)
{
	expect_token_error(403, AWS_OK, 1, "HttpEndpoint");
}
END_TEST

START_TEST(a_404_for_the_token_never_leads_to_version_one)
{
	expect_token_error(404, AWS_OK, 1, "IMDSv1 is not used");
}
END_TEST

START_TEST(a_500_for_the_token_is_tried_again)
{
	expect_token_error(500, AWS_OK, 3, "status 500");
}
END_TEST

START_TEST(a_token_that_times_out_names_the_hop_limit)
{
	expect_token_error(0, AWS_TIMEOUT, 3, "HttpPutResponseHopLimit");
}
END_TEST

START_TEST(a_token_that_times_out_in_a_container_says_that_it_is_one)
{
	setenv("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/x", 1);
	expect_token_error(0, AWS_TIMEOUT, 3, "this is a container: set HttpPutResponseHopLimit");
}
END_TEST

START_TEST(a_machine_that_is_no_instance_is_told_so)
{
	expect_token_error(0, AWS_UNREACHABLE, 3, "no EC2 instance");
}
END_TEST

START_TEST(a_token_that_is_none_is_not_used)
{
	static const char *const bad[] = {"", "a b", "a\r\nX-Evil: 1"};
	struct imds *imds;

	rig_begin();
	imds = begin();
	for (size_t i = 0; i < COUNT(bad); i++) {
		route(IMDS_TOKEN, 200, bad[i])->times = 1;
		ck_assert_int_ne(hear(imds).error.kind, AWS_OK);
	}
	ck_assert_uint_eq(times_asked("GET"), 0);
	end(imds);
}
END_TEST

START_TEST(a_path_that_is_not_there_is_missing_and_asked_once)
{
	struct heard heard;
	struct imds *imds;

	rig_begin();
	route(IMDS_TOKEN, 200, "token");
	route(REGION, 404, "not found");
	imds = begin();
	heard = hear(imds);
	ck_assert(heard.missing);
	ck_assert_int_eq(heard.error.kind, AWS_REFUSED);
	ck_assert_uint_eq(times_asked(REGION), 1);
	end(imds);
}
END_TEST

START_TEST(a_get_that_times_out_is_tried_again)
{
	struct imds *imds;

	rig_begin();
	route(IMDS_TOKEN, 200, "token");
	route(REGION, 0, NULL)->err = AWS_TIMEOUT;
	routes[1].times = 2;
	route(REGION, 200, "eu-west-1");
	imds = begin();
	ck_assert_str_eq(hear(imds).body, "eu-west-1");
	ck_assert_uint_eq(times_asked(REGION), 3);
	end(imds);
}
END_TEST

START_TEST(a_cancelled_call_is_never_told)
{
	struct heard heard = {.told = 0};
	struct imds_call *call;
	struct imds *imds;

	rig_begin();
	route(IMDS_TOKEN, 503, NULL);
	imds = begin();
	imds_cancel(imds_get(imds, "meta-data/x", on_heard, &heard));
	call = imds_get(imds, "meta-data/x", on_heard, &heard);
	settle(); /* now it waits between two attempts */
	imds_cancel(call);
	pass_s(10);
	ck_assert_uint_eq(heard.told, 0);
	end(imds);
}
END_TEST

START_TEST(the_environment_says_where_metadata_is)
{
	static const struct {
		const char *endpoint, *mode, *asked;
	} cases[] = {
		{NULL, "IPv4", "PUT http://169.254.169.254/latest/api/token"},
		{NULL, "ipv6", "PUT http://[fd00:ec2::254]/latest/api/token"},
		{"http://127.0.0.1:1338/", "IPv6", "PUT http://127.0.0.1:1338/latest/api/token"},
		{"http://proxy/base", NULL, "PUT http://proxy/base/latest/api/token"},
	};

	rig_begin();
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct imds *imds;

		unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
		unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
		if (cases[i].endpoint)
			setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", cases[i].endpoint, 1);
		if (cases[i].mode)
			setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", cases[i].mode, 1);
		imds = begin();
		hear(imds);
		ck_assert_uint_eq(times_asked(cases[i].asked), 3);
		imds_free(imds);
	}
	rig_end(NULL);
}
END_TEST

START_TEST(an_endpoint_or_a_mode_that_is_none_is_refused)
{
	struct imds *imds;

	rig_begin();
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "file:///etc/passwd", 1);
	ck_assert_int_eq(imds_new(&loop, NULL, &imds), -EINVAL);
	unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv5", 1);
	ck_assert_int_eq(imds_new(&loop, NULL, &imds), -EINVAL);
	rig_end(NULL);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		one_token_serves_six_hours,
		a_forgotten_token_is_fetched_anew_once,
		a_400_for_the_token_is_final,
		a_403_for_the_token_says_that_metadata_is_switched_off,
		a_404_for_the_token_never_leads_to_version_one,
		a_500_for_the_token_is_tried_again,
		a_token_that_times_out_names_the_hop_limit,
		a_token_that_times_out_in_a_container_says_that_it_is_one,
		a_machine_that_is_no_instance_is_told_so,
		a_token_that_is_none_is_not_used,
		a_path_that_is_not_there_is_missing_and_asked_once,
		a_get_that_times_out_is_tried_again,
		a_cancelled_call_is_never_told,
		the_environment_says_where_metadata_is,
		an_endpoint_or_a_mode_that_is_none_is_refused,
	};

	return run_tests("imds", tests, COUNT(tests));
}
