/* SPDX-License-Identifier: Apache-2.0
 *
 * What is tried again, what it costs, and how long it waits.
 */
#include "control/aws/retry.h"
#include "tests/unit/conf_rig.h"

START_TEST(throttling_is_told_by_fourteen_codes_and_one_status)
{
	ck_assert(retry_is_throttle("RequestLimitExceeded", 503));
	ck_assert(retry_is_throttle("Throttling", 400));
	ck_assert(retry_is_throttle("ThrottlingException", 400));
	ck_assert(retry_is_throttle("EC2ThrottledException", 400));
	ck_assert(retry_is_throttle("", 429));
	ck_assert(!retry_is_throttle("", 503));
	ck_assert(!retry_is_throttle("UnauthorizedOperation", 403));
}
END_TEST

START_TEST(only_what_may_pass_is_tried_again)
{
	ck_assert(retry_is_worth_it(AWS_UNREACHABLE, ""));
	ck_assert(retry_is_worth_it(AWS_TIMEOUT, ""));
	ck_assert(retry_is_worth_it(AWS_THROTTLED, "Throttling"));
	ck_assert(retry_is_worth_it(AWS_SERVER, "InternalError"));
	ck_assert(retry_is_worth_it(AWS_GARBAGE, ""));
	ck_assert(retry_is_worth_it(AWS_REFUSED, "RequestTimeout"));
	ck_assert(!retry_is_worth_it(AWS_REFUSED, "ClusterNotFoundException"));
	ck_assert(!retry_is_worth_it(AWS_DENIED, "AccessDenied"));
	ck_assert(!retry_is_worth_it(AWS_CREDENTIALS, "ExpiredToken"));
	ck_assert(!retry_is_worth_it(AWS_MEMORY, ""));
}
END_TEST

START_TEST(bucket_pays_for_a_hundred_repetitions_or_fifty_after_timeouts)
{
	struct retry_quota quota = {0};
	uint32_t cost = 0;

	for (int i = 0; i < 100; i++)
		ck_assert(retry_pay(&quota, AWS_SERVER, &cost));
	ck_assert_uint_eq(cost, 5);
	ck_assert(!retry_pay(&quota, AWS_SERVER, &cost));
	quota.spent = 0;
	for (int i = 0; i < 50; i++)
		ck_assert(retry_pay(&quota, AWS_TIMEOUT, &cost));
	ck_assert_uint_eq(cost, 10);
	ck_assert(!retry_pay(&quota, AWS_TIMEOUT, &cost));
}
END_TEST

START_TEST(success_refills_what_its_repetition_cost_or_one)
{
	struct retry_quota quota = {.spent = 12};

	retry_refund(&quota, 10);
	ck_assert_uint_eq(quota.spent, 2);
	retry_refund(&quota, 0);
	ck_assert_uint_eq(quota.spent, 1);
	retry_refund(&quota, 5);
	ck_assert_uint_eq(quota.spent, 0);
}
END_TEST

START_TEST(wait_is_a_random_part_of_a_doubling_bound)
{
	ck_assert_uint_eq(retry_delay_ms(1, 0, 0), 0);
	ck_assert_uint_eq(retry_delay_ms(1, UINT32_MAX, 0), 999);
	ck_assert_uint_eq(retry_delay_ms(2, 1U << 31, 0), 1000);
	ck_assert_uint_eq(retry_delay_ms(3, UINT32_MAX, 0), 3999);
	ck_assert_uint_eq(retry_delay_ms(6, UINT32_MAX, 0), 19999);
	ck_assert_uint_eq(retry_delay_ms(60, UINT32_MAX, 0), 19999);
}
END_TEST

START_TEST(service_that_says_how_long_is_obeyed)
{
	ck_assert_uint_eq(retry_delay_ms(1, 0, 7), 7000);
	ck_assert_uint_ge(retry_delay_ms(1, UINT32_MAX, 7), 7000);
	ck_assert_uint_eq(retry_after_s("7", 0), 7);
	ck_assert_uint_eq(retry_after_s("86400", 0), 300);
	ck_assert_uint_eq(retry_after_s("99999999999999999999999", 0), 300);
	ck_assert_uint_eq(retry_after_s("7x", 0), 0);
	ck_assert_uint_eq(retry_after_s("-7", 0), 0);
	ck_assert_uint_eq(retry_after_s("", 0), 0);
	ck_assert_uint_eq(retry_after_s(NULL, 0), 0);
	ck_assert_uint_eq(retry_after_s("Thu, 01 Jan 1970 00:16:40 GMT", 990), 10);
	ck_assert_uint_eq(retry_after_s("Thu, 01 Jan 1970 00:16:40 GMT", 2000), 0);
}
END_TEST

START_TEST(jitter_differs_from_one_time_to_the_next)
{
	uint32_t first = retry_random();
	unsigned same = 0;

	for (int i = 0; i < 8; i++)
		same += retry_random() == first;
	ck_assert_uint_lt(same, 8);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		throttling_is_told_by_fourteen_codes_and_one_status,
		only_what_may_pass_is_tried_again,
		bucket_pays_for_a_hundred_repetitions_or_fifty_after_timeouts,
		success_refills_what_its_repetition_cost_or_one,
		wait_is_a_random_part_of_a_doubling_bound,
		service_that_says_how_long_is_obeyed,
		jitter_differs_from_one_time_to_the_next,
	};

	return run_tests("control_aws_retry", tests, COUNT(tests));
}
