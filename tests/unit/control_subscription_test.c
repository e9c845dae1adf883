/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening what a configuration has, once and again: what is shared, what is kept, what leaves, and
 * that a mistake changes nothing.
 */
#include <errno.h>

#include "control/aws/aws.h"
#include "control/daemon/subscription.h"
#include "control/source.h"
#include "proxy/base/loop.h"
#include "tests/unit/control_settings_rig.h"

#define EC2(name, more) "{name: " name ", tags: {r: w}, port: 1" more "}"

static struct loop loop;
static struct aws_hub *hub;
static struct subscriptions subs;

static void setup(void)
{
	struct aws_hub_conf conf = {.fleet_size = 1, .user_agent = "test"};

	ck_assert_int_eq(loop_init(&loop), 0);
	ck_assert_int_eq(aws_hub_new(&loop, &conf, &hub), 0);
	subscriptions_init(&subs, &loop, hub);
}

static void teardown(void)
{
	subscriptions_close(&subs, &subs.all);
	aws_hub_free(hub);
	loop_reap(&loop);
	loop_fini(&loop);
}

/* What `discover` of the one pool has is opened; how many left, which are closed. */
static size_t open_these(const char *discover, struct conf_errors *errors, int *ret_err)
{
	char yaml[1024];
	struct list left;
	size_t count = 0;

	snprintf(yaml, sizeof(yaml), ADMIN VALID_LISTENERS "pools: [{name: p, discover: %s}]\n",
		 discover);
	struct settings *settings = settings_valid(yaml);

	list_init(&left);
	*ret_err = subscriptions_open(&subs, settings, errors, &left);
	settings_free(settings);
	list_for_each (at, &left)
		count++;
	subscriptions_close(&subs, &left);
	return count;
}

/* The same without a mistake. */
static size_t opened(const char *discover)
{
	struct conf_errors errors = {0};
	int err;
	size_t left = open_these(discover, &errors, &err);

	ck_assert_msg(err == 0, "%s", conf_error_text(&errors, 0));
	conf_errors_fini(&errors);
	return left;
}

/* The `index`th of the list, or NULL. */
static struct subscription *sub(size_t index)
{
	list_for_each (at, &subs.all)
		if (index-- == 0)
			return container_of(at, struct subscription, link);
	return NULL;
}

START_TEST(every_kind_can_be_opened)
{
	ck_assert_uint_eq(opened("{ec2: {tags: {r: w}, port: 1}, asg: {groups: g, port: 1}, "
				 "ecs: {cluster: c, service: s}, elbv2: {target_group: t}, "
				 "cloudmap: {namespace: n, service: s}, dns: {name: a.b, port: 1}, "
				 "file: {path: /nonexistent}}"),
			  0);
	for (size_t i = 0; source_kinds[i]; i++) {
		ck_assert_ptr_eq(sub(i)->kind, source_kinds[i]);
		ck_assert_ptr_eq(sub(i)->source->kind, source_kinds[i]);
		ck_assert_int_eq(sub(i)->aws != NULL, source_kinds[i]->is_aws);
	}
	ck_assert_ptr_null(sub(7));
}
END_TEST

START_TEST(sources_of_one_place_share_a_client)
{
	opened("{ec2: [" EC2("a", "") ", " EC2("b", "") ", " EC2(
		"c", ", region: eu-west-1") ", " EC2("d",
						     ", role_arn: 'arn:aws:iam::1:role/x'") "]}");
	ck_assert_ptr_eq(sub(0)->aws, sub(1)->aws);
	ck_assert_ptr_ne(sub(0)->aws, sub(2)->aws);
	ck_assert_ptr_ne(sub(0)->aws, sub(3)->aws);
	ck_assert_ptr_ne(sub(2)->aws, sub(3)->aws);
}
END_TEST

START_TEST(what_means_the_same_is_kept_and_the_rest_leaves)
{
	opened("{ec2: [" EC2("a", "") ", " EC2("b", "") "], file: {path: /x}}");
	const struct subscription *b = sub(1), *file = sub(2);
	const struct aws *aws = b->aws;

	/* In another order, one gone, one new, one that asks more often. */
	ck_assert_uint_eq(opened("{file: {path: /x}, ec2: [" EC2("c", "") ", " EC2("b", "") "]}"),
			  1);
	ck_assert_str_eq(sub(0)->conf->name, "c");
	ck_assert_ptr_eq(sub(0)->aws, aws);
	ck_assert_ptr_eq(sub(1), b);
	ck_assert_ptr_eq(sub(2), file);
	ck_assert_uint_eq(opened("{file: {path: /x}, ec2: [" EC2("b", ", interval: 5s") "]}"), 2);
	ck_assert_ptr_ne(sub(0), b);
	ck_assert_ptr_eq(sub(0)->aws, aws);
	ck_assert_uint_eq(sub(0)->conf->interval_ms, 5000);
}
END_TEST

START_TEST(a_mistake_leaves_everything_as_it_was)
{
	struct conf_errors errors = {0};
	int err = 0;

	opened("{ec2: " EC2("a", "") "}");
	const struct subscription *a = sub(0);

	ck_assert_uint_eq(
		open_these("{file: {path: /x}, ec2: [" EC2("b", ", region: no_where") ", " EC2(
				   "c", ", region: no_where") "]}",
			   &errors, &err),
		0);
	ck_assert_int_eq(err, -EINVAL);
	ck_assert_uint_eq(errors.errors.count, 2);
	ck_assert_ptr_nonnull(strstr(conf_error_text(&errors, 0), "no_where"));
	ck_assert_ptr_eq(sub(0), a);
	ck_assert_ptr_null(sub(1));
	conf_errors_fini(&errors);
}
END_TEST

START_TEST(calls_are_counted_in_the_order_of_the_settings)
{
	opened("{file: {path: /x}, ec2: " EC2("a", "") "}");
	uint32_t *calls = subscriptions_calls_x100(&subs, 5000);

	ck_assert_uint_ge(calls[0], 500); /* five pages */
	ck_assert_uint_eq(calls[1], 0);
	free(calls);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		every_kind_can_be_opened,
		sources_of_one_place_share_a_client,
		what_means_the_same_is_kept_and_the_rest_leaves,
		a_mistake_leaves_everything_as_it_was,
		calls_are_counted_in_the_order_of_the_settings,
	};
	Suite *suite = suite_create("control_subscription");
	TCase *tcase = tcase_create("control_subscription");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	suite_add_tcase(suite, tcase);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tcase, tests[i]);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
