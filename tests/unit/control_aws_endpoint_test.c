/* SPDX-License-Identifier: Apache-2.0
 *
 * Hosts of services, and what the environment says instead. That all hosts are botocore's is tested
 * in tests/aws/test_endpoints.py; here stand those that surprise.
 */
#include <errno.h>

#include "control/aws/endpoint.h"
#include "tests/unit/conf_rig.h"

static void expect_host(enum aws_service service, const char *region, bool fips, bool dual_stack,
			const char *want)
{
	char host[ENDPOINT_HOST];

	ck_assert_int_eq(endpoint_host(service, region, fips, dual_stack, host), 0);
	ck_assert_str_eq(host, want);
}

START_TEST(every_partition_has_its_own_suffix)
{
	expect_host(AWS_EC2, "eu-west-1", false, false, "ec2.eu-west-1.amazonaws.com");
	expect_host(AWS_ECS, "cn-north-1", false, false, "ecs.cn-north-1.amazonaws.com.cn");
	expect_host(AWS_STS, "us-iso-east-1", false, false, "sts.us-iso-east-1.c2s.ic.gov");
	expect_host(AWS_SQS, "eusc-de-east-1", false, false, "sqs.eusc-de-east-1.amazonaws.eu");
	expect_host(AWS_ELBV2, "us-east-1", false, false,
		    "elasticloadbalancing.us-east-1.amazonaws.com");
	expect_host(AWS_CLOUDMAP_DATA, "us-east-2", false, false,
		    "data-servicediscovery.us-east-2.amazonaws.com");
}
END_TEST

START_TEST(fips_in_govcloud_is_the_plain_host_for_some_services)
{
	expect_host(AWS_EC2, "us-gov-west-1", true, false, "ec2.us-gov-west-1.amazonaws.com");
	expect_host(AWS_AUTOSCALING, "us-gov-west-1", true, false,
		    "autoscaling.us-gov-west-1.amazonaws.com");
	expect_host(AWS_STS, "us-gov-west-1", true, false, "sts.us-gov-west-1.amazonaws.com");
	expect_host(AWS_ECS, "us-gov-west-1", true, false, "ecs-fips.us-gov-west-1.amazonaws.com");
	expect_host(AWS_SNS, "us-gov-west-1", true, false, "sns.us-gov-west-1.amazonaws.com");
}
END_TEST

START_TEST(dual_stack_is_another_domain)
{
	expect_host(AWS_EC2, "eu-west-1", false, true, "ec2.eu-west-1.api.aws");
	expect_host(AWS_EC2, "eu-west-1", true, true, "ec2-fips.eu-west-1.api.aws");
	expect_host(AWS_EC2, "cn-north-1", false, true,
		    "ec2.cn-north-1.api.amazonwebservices.com.cn");
}
END_TEST

START_TEST(a_region_nobody_knows_yet_gets_the_pattern_of_its_partition)
{
	expect_host(AWS_EC2, "eu-atlantis-7", false, false, "ec2.eu-atlantis-7.amazonaws.com");
	expect_host(AWS_EC2, "cn-west-9", false, false, "ec2.cn-west-9.amazonaws.com.cn");
	expect_host(AWS_EC2, "xx-new-1", false, false, "ec2.xx-new-1.amazonaws.com");
	ck_assert_str_eq(endpoint_partition("us-gov-south-3"), "aws-us-gov");
	ck_assert_str_eq(endpoint_partition("xx-new-1"), "aws");
}
END_TEST

START_TEST(what_cannot_be_a_region_never_becomes_part_of_a_host)
{
	static const char *const bad[] = {"",
					  "aws-global",
					  "eu-west-1.evil",
					  "eu-west-1/",
					  "-1",
					  "eu-west-1\n",
					  "EU-west-1",
					  "eu west 1",
					  "fips-eu-west-1",
					  "a-very-very-long-name-of-a-region-1"};
	char host[ENDPOINT_HOST];

	for (size_t i = 0; i < COUNT(bad); i++) {
		ck_assert_msg(!endpoint_region_is_valid(bad[i]), "%s", bad[i]);
		ck_assert_int_eq(endpoint_host(AWS_EC2, bad[i], false, false, host), -EINVAL);
	}
}
END_TEST

static const char *url_of(enum aws_service service, const char *configured)
{
	static char url[256];

	if (endpoint_url(service, "eu-west-1", configured, false, false, url, sizeof(url)) < 0)
		return "invalid";
	return url;
}

static void forget_environment(void)
{
	unsetenv("AWS_ENDPOINT_URL");
	unsetenv("AWS_ENDPOINT_URL_EC2");
	unsetenv("AWS_ENDPOINT_URL_AUTO_SCALING");
	unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
}

START_TEST(the_variable_of_a_service_outranks_all_others)
{
	forget_environment();
	ck_assert_str_eq(url_of(AWS_EC2, NULL), "https://ec2.eu-west-1.amazonaws.com");
	ck_assert_str_eq(url_of(AWS_EC2, "http://sim:1/"), "http://sim:1");
	setenv("AWS_ENDPOINT_URL", "http://all:2", 1);
	ck_assert_str_eq(url_of(AWS_EC2, "http://sim:1"), "http://all:2");
	setenv("AWS_ENDPOINT_URL_EC2", "http://ec2:3", 1);
	setenv("AWS_ENDPOINT_URL_AUTO_SCALING", "http://as:4", 1);
	ck_assert_str_eq(url_of(AWS_EC2, "http://sim:1"), "http://ec2:3");
	ck_assert_str_eq(url_of(AWS_AUTOSCALING, NULL), "http://as:4");
	ck_assert_str_eq(url_of(AWS_SQS, NULL), "http://all:2");
	setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "TRUE", 1);
	ck_assert_str_eq(url_of(AWS_EC2, NULL), "https://ec2.eu-west-1.amazonaws.com");
	ck_assert_str_eq(url_of(AWS_EC2, "http://sim:1"), "http://sim:1");
	setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "no", 1);
	ck_assert_str_eq(url_of(AWS_EC2, NULL), "http://ec2:3");
}
END_TEST

START_TEST(a_url_that_is_none_is_refused)
{
	static const char *const bad[] = {
		"sim:1",      "ftp://sim",  "http://",    "http:///path",  "http://a b",
		"http://a?b", "http://a#b", "http://u@a", "http://a\r\nb", "https:/a"};

	forget_environment();
	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_str_eq(url_of(AWS_EC2, bad[i]), "invalid");
	ck_assert_str_eq(url_of(AWS_EC2, "HTTPS://[::1]:8/base/"), "HTTPS://[::1]:8/base");
}
END_TEST

START_TEST(a_url_longer_than_its_place_is_refused)
{
	char url[20];

	forget_environment();
	ck_assert_int_eq(endpoint_url(AWS_EC2, "eu-west-1", NULL, false, false, url, sizeof(url)),
			 -EINVAL);
	ck_assert_int_eq(endpoint_url(AWS_EC2, "eu-west-1", "http://0123456789abcd", false, false,
				      url, sizeof(url)),
			 -EINVAL);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_partition_has_its_own_suffix,
		fips_in_govcloud_is_the_plain_host_for_some_services,
		dual_stack_is_another_domain,
		a_region_nobody_knows_yet_gets_the_pattern_of_its_partition,
		what_cannot_be_a_region_never_becomes_part_of_a_host,
		the_variable_of_a_service_outranks_all_others,
		a_url_that_is_none_is_refused,
		a_url_longer_than_its_place_is_refused,
	};

	return run_tests("endpoint", tests, COUNT(tests));
}
