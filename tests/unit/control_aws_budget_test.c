/* SPDX-License-Identifier: Apache-2.0
 *
 * The share of a node in what a fleet may ask of an account.
 */
#include "control/aws/budget.h"
#include "proxy/base/clock.h"
#include "tests/unit/conf_rig.h"

static struct budget *budget_for(struct budget_set *set, const char *who, const char *region,
				 enum aws_service service, const char *action)
{
	struct budget *budget = budget_of(set, who, region, service, api_class_of(service, action));

	ck_assert_ptr_nonnull(budget);
	return budget;
}

static unsigned take_all(struct budget *budget, uint64_t now_us)
{
	unsigned count = 0;

	while (budget_take(budget, now_us) == 0)
		count++;
	return count;
}

START_TEST(burst_is_free_and_then_calls_wait_their_turn)
{
	struct budget_set *set = budget_set_new(5, 1);
	struct budget *budget = budget_for(set, "a", "r", AWS_EC2, "DescribeInstances");

	ck_assert_uint_eq(take_all(budget, US_PER_SEC), 100);
	/* The one above was told to wait for 200 ms; those after it wait behind it. */
	ck_assert_uint_eq(budget_take(budget, US_PER_SEC), 400000);
	ck_assert_uint_eq(budget_take(budget, US_PER_SEC), 600000);
	ck_assert_uint_eq(budget_take(budget, 2 * US_PER_SEC), 0);
	ck_assert_uint_eq(take_all(budget, 1000 * US_PER_SEC), 100);
	budget_set_free(set);
}
END_TEST

START_TEST(fleet_shares_the_rate_and_each_node_keeps_a_small_burst)
{
	struct budget_set *set = budget_set_new(5, 100);
	struct budget *budget = budget_for(set, "a", "r", AWS_EC2, "DescribeInstances");

	ck_assert_uint_eq(take_all(budget, US_PER_SEC), 10);
	ck_assert_uint_eq(budget_take(budget, US_PER_SEC), 40 * US_PER_SEC);
	budget_set_free(set);
}
END_TEST

START_TEST(another_fleet_size_changes_the_share_of_what_is_there)
{
	struct budget_set *set = budget_set_new(5, 1);
	struct budget *budget = budget_for(set, "a", "r", AWS_EC2, "DescribeInstances");

	budget_set_nodes(set, 100);
	ck_assert_uint_eq(take_all(budget, US_PER_SEC), 10);
	ck_assert_uint_eq(budget_take(budget, US_PER_SEC), 40 * US_PER_SEC);
	budget_set_nodes(set, 1);
	ck_assert_uint_eq(take_all(budget, 1000 * US_PER_SEC), 100);
	budget_set_free(set);
}
END_TEST

START_TEST(buckets_are_apart_by_account_region_service_and_class)
{
	struct budget_set *set = budget_set_new(5, 1);
	struct budget *one = budget_for(set, "a", "r", AWS_EC2, "DescribeInstances");

	ck_assert_ptr_eq(one, budget_for(set, "a", "r", AWS_EC2, "DescribeVpcs"));
	ck_assert_ptr_ne(one, budget_for(set, "b", "r", AWS_EC2, "DescribeInstances"));
	ck_assert_ptr_ne(one, budget_for(set, "a", "s", AWS_EC2, "DescribeInstances"));
	ck_assert_ptr_ne(one, budget_for(set, "a", "r", AWS_ECS, "DescribeTasks"));
	ck_assert_ptr_ne(one, budget_for(set, "a", "r", AWS_EC2, "CreateTags"));
	ck_assert_uint_eq(
		take_all(budget_for(set, "a", "r", AWS_CLOUDMAP_DATA, "DiscoverInstances"), 1),
		2000);
	ck_assert_uint_eq(take_all(one, 1), 100);
	budget_set_free(set);
}
END_TEST

START_TEST(throttled_answer_ends_the_burst)
{
	struct budget_set *set = budget_set_new(5, 1);
	struct budget *budget = budget_for(set, "a", "r", AWS_EC2, "DescribeInstances");

	budget_take(budget, US_PER_SEC);
	budget_throttled(budget);
	ck_assert_uint_eq(budget_take(budget, US_PER_SEC), 200000);
	budget_throttled(budget); /* debts stay */
	ck_assert_uint_eq(budget_take(budget, US_PER_SEC), 400000);
	budget_set_free(set);
}
END_TEST

START_TEST(clock_that_stands_or_goes_back_gives_nothing)
{
	struct budget_set *set = budget_set_new(5, 1);
	struct budget *budget = budget_for(set, "a", "r", AWS_EC2, "DescribeInstances");

	take_all(budget, 10 * US_PER_SEC);
	ck_assert_uint_gt(budget_take(budget, 10 * US_PER_SEC), 0);
	ck_assert_uint_gt(budget_take(budget, 9 * US_PER_SEC), 0);
	budget_set_free(set);
}
END_TEST

START_TEST(classes_follow_the_actions)
{
	ck_assert_int_eq(api_class_of(AWS_EC2, "DescribeInstances"), API_READ);
	ck_assert_int_eq(api_class_of(AWS_ECS, "ListTasks"), API_READ);
	ck_assert_int_eq(api_class_of(AWS_AUTOSCALING, "CompleteLifecycleAction"), API_CHANGE);
	ck_assert_int_eq(api_class_of(AWS_CLOUDMAP_DATA, "DiscoverInstances"), API_DISCOVER);
	ck_assert_int_eq(api_class_of(AWS_SQS, "ReceiveMessage"), API_QUEUE);
}
END_TEST

START_TEST(services_have_all_that_their_protocol_needs_and_names_of_their_own)
{
	for (int i = 0; i < AWS_SERVICES; i++) {
		const struct service *service = &services[i];

		ck_assert_ptr_nonnull(service->signing);
		ck_assert_ptr_nonnull(service->iam);
		ck_assert_ptr_nonnull(service->content_type);
		ck_assert(!service->target == (service->protocol != PROTOCOL_JSON));
		ck_assert(!service->version == (service->protocol == PROTOCOL_JSON));
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(aws_service_names[i], aws_service_names[j]);
	}
	ck_assert_str_eq(services[AWS_ELBV2].signing, "elasticloadbalancing");
	ck_assert_str_eq(services[AWS_CLOUDMAP_DATA].signing, "servicediscovery");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		burst_is_free_and_then_calls_wait_their_turn,
		fleet_shares_the_rate_and_each_node_keeps_a_small_burst,
		another_fleet_size_changes_the_share_of_what_is_there,
		buckets_are_apart_by_account_region_service_and_class,
		throttled_answer_ends_the_burst,
		clock_that_stands_or_goes_back_gives_nothing,
		classes_follow_the_actions,
		services_have_all_that_their_protocol_needs_and_names_of_their_own,
	};

	return run_tests("control_aws_budget", tests, COUNT(tests));
}
