/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of an instance, with metadata and Auto Scaling that answer what the test says, a proxy
 * whose drain ends when the test says, and time that passes without waiting.
 */
/* link: -Wl,--wrap=http_start,--wrap=http_cancel,--wrap=http_header,--wrap=clock_gettime */
/* link: -Wl,--wrap=epoll_wait,--wrap=log_event,--wrap=link_drain,--wrap=link_is_up */
/* link: -Wl,--wrap=link_sessions,--wrap=link_problem */
#include "control/lifecycle.h"
#include "control/link.h"
#include "tests/unit/control_aws_rig.h"

#define MD     "GET http://169.254.169.254/latest/meta-data/"
#define STATE  MD "autoscaling/target-lifecycle-state "
#define SPOT   MD "spot/instance-action "
#define API    "POST https://autoscaling.eu-west-1.amazonaws.com/ Action="
#define BEAT   API "RecordLifecycleActionHeartbeat&"
#define FINISH API "CompleteLifecycleAction&"
#define ABOUT  "AutoScalingGroupName=web&LifecycleHookName=leave&InstanceId=i-1"

#define ANSWER(action, inside)                                                                     \
	"<" action "Response><" action "Result>" inside "</" action "Result></" action "Response>"
#define HOOK(name, transition)                                                                     \
	"<member><LifecycleHookName>" name "</LifecycleHookName><LifecycleTransition>"             \
	"autoscaling:EC2_INSTANCE_" transition "</LifecycleTransition><HeartbeatTimeout>30"        \
	"</HeartbeatTimeout></member>"
#define HOOKS(list) ANSWER("DescribeLifecycleHooks", "<LifecycleHooks>" list "</LifecycleHooks>")
#define IN_GROUP                                                                                   \
	ANSWER("DescribeAutoScalingInstances",                                                     \
	       "<AutoScalingInstances><member><InstanceId>i-1</InstanceId><AutoScalingGroupName>"  \
	       "web</AutoScalingGroupName></member></AutoScalingInstances>")
#define IN_NO_GROUP ANSWER("DescribeAutoScalingInstances", "<AutoScalingInstances/>")
#define REFUSED(code)                                                                              \
	"<ErrorResponse><Error><Code>" code "</Code><Message>No active Lifecycle Action found"     \
	"</Message></Error></ErrorResponse>"

/* --- a double of the link --- */

static bool up;
static unsigned drains;
static void (*on_drained)(void *context, const char *problem); /* NULL: none is under way */
static void *drain_context;

int __wrap_link_drain(struct link *link, void (*on_end)(void *context, const char *problem),
		      void *context);
bool __wrap_link_is_up(const struct link *link);
int64_t __wrap_link_sessions(const struct link *link);
const char *__wrap_link_problem(const struct link *link);

int __wrap_link_drain(struct link *link, void (*on_end)(void *context, const char *problem),
		      void *context)
{
	ck_assert_msg(!on_drained, "a drain begins amid another");
	ck_assert(up);
	on_drained = on_end;
	drain_context = context;
	drains++;
	return 0;
}

const char *__wrap_link_problem(const struct link *link)
{
	return "no socket at /x";
}

bool __wrap_link_is_up(const struct link *link)
{
	return up;
}

int64_t __wrap_link_sessions(const struct link *link)
{
	return up ? 3 : -1;
}

static void tell_drain(const char *problem)
{
	void (*on_end)(void *context, const char *problem) = on_drained;

	ck_assert_ptr_nonnull(on_end);
	on_drained = NULL;
	on_end(drain_context, problem);
}

static void end_drain(void)
{
	up = false;
	tell_drain(NULL);
}

/* --- the rig --- */

static struct aws_hub *hub;
static struct lifecycle *lifecycle;
static struct route *state, *spot, *group, *hooks, *beat, *finish;
static uint32_t size_told;

static void on_size(void *context, uint32_t nodes)
{
	size_told = nodes;
}

static void begin(const char *hook, bool wants_size)
{
	static int link_of_the_double;
	struct lifecycle_conf conf = {
		.loop = &loop, .hub = hub, .hook = hook, .on_size = wants_size ? on_size : NULL};

	ck_assert_int_eq(lifecycle_start(&conf, &lifecycle), 0);
	lifecycle_use_link(lifecycle, (struct link *)&link_of_the_double);
}

static void setup(void)
{
	struct aws_hub_conf conf = {.fleet_size = 1, .user_agent = "test"};

	rig_begin();
	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "hush", 1);
	ck_assert_int_eq(aws_hub_new(&loop, &conf, &hub), 0);
	route(IMDS_TOKEN, 200, "t");
	state = route(STATE, 404, "");
	spot = route(SPOT, 404, "");
	route(MD "instance-id ", 200, "i-1");
	route(MD "placement/region ", 200, "eu-west-1");
	group = route(API "DescribeAutoScalingInstances&", 200, IN_GROUP);
	hooks = route(API "DescribeLifecycleHooks&", 200,
		      HOOKS(HOOK("come", "LAUNCHING") HOOK("leave", "TERMINATING")));
	beat = route(BEAT, 200, ANSWER("RecordLifecycleActionHeartbeat", ""));
	finish = route(FINISH, 200, ANSWER("CompleteLifecycleAction", ""));
	route(API "DescribeAutoScalingGroups&", 200,
	      ANSWER("DescribeAutoScalingGroups",
		     "<AutoScalingGroups><member><DesiredCapacity>7</DesiredCapacity></member>"
		     "</AutoScalingGroups>"));
	up = true;
}

static void teardown(void)
{
	lifecycle_stop(lifecycle);
	aws_hub_free(hub);
	rig_end(NULL);
}

/* A state is said from now on. */
static void say(struct route *what, const char *body)
{
	what->status = 200;
	what->body = body;
}

static unsigned times_logged(const char *what)
{
	unsigned count = 0;

	for (const char *at = logged; (at = strstr(at, what)); at++)
		count++;
	return count;
}

/* --- what is seen --- */

START_TEST(an_instance_that_stays_is_left_alone)
{
	begin(NULL, false);
	pass_s(600);
	say(state, "InService");
	pass_s(600);
	ck_assert_uint_ge(times_asked(STATE), 1200 / 5);
	ck_assert_uint_ge(times_asked(SPOT), 1200 / 5);
	ck_assert_uint_eq(drains, 0);
	ck_assert_uint_eq(times_asked(BEAT) + times_asked(FINISH), 0);
	ck_assert_uint_eq(times_logged("lifecycle_watching"), 1);
	/* The group is asked for again now and then. */
	ck_assert_uint_ge(times_asked(API "DescribeLifecycleHooks&"), 1200 / 300);
	ck_assert_uint_le(times_asked(API "DescribeLifecycleHooks&"), 1200 / 200);
}
END_TEST

START_TEST(a_hook_is_kept_waiting_until_the_drain_has_ended)
{
	begin(NULL, false);
	pass_s(20);
	say(state, "Terminated\n");
	pass_s(6);
	ck_assert_uint_eq(drains, 1);
	ck_assert_uint_eq(times_asked(BEAT "Version=2011-01-01&" ABOUT), 1);
	for (unsigned i = 0; i < 20; i++) {
		unsigned before = times_asked(BEAT);

		pass_s(30);
		ck_assert_uint_ge(times_asked(BEAT), before + 2);
	}
	ck_assert_uint_eq(drains, 1);
	ck_assert_uint_eq(times_asked(FINISH), 0);
	end_drain();
	pass_s(5);
	ck_assert_uint_eq(
		times_asked(FINISH "Version=2011-01-01&" ABOUT "&LifecycleActionResult=CONTINUE"),
		1);
	unsigned before = times_asked(BEAT);

	pass_s(600);
	ck_assert_uint_eq(times_asked(BEAT), before);
	ck_assert_uint_eq(times_asked(FINISH), 1);
	ck_assert_uint_eq(times_logged("lifecycle_completed"), 1);
}
END_TEST

START_TEST(a_spot_notice_drains_and_completes_nothing)
{
	group->body = IN_NO_GROUP;
	begin(NULL, false);
	pass_s(10);
	say(spot, "{\"action\": \"terminate\", \"time\": \"2026-01-01T00:02:00Z\"}");
	pass_s(6);
	ck_assert_uint_eq(drains, 1);
	ck_assert_uint_eq(times_logged("EC2 will terminate this Spot instance at 2026"), 1);
	end_drain();
	pass_s(600);
	ck_assert_uint_eq(drains, 1);
	ck_assert_uint_eq(times_asked(BEAT) + times_asked(FINISH), 0);
}
END_TEST

START_TEST(a_spot_notice_that_is_none_drains_nothing)
{
	static const char *const texts[] = {"", "<html>", "[]", "{\"action\": 3}",
					    "{\"action\": \"stop\""};

	begin(NULL, false);
	for (size_t i = 0; i < COUNT(texts); i++) {
		say(spot, texts[i]);
		pass_s(10);
	}
	ck_assert_uint_eq(drains, 0);
}
END_TEST

START_TEST(a_spot_instance_of_a_group_completes_the_groups_hook)
{
	begin(NULL, false);
	say(spot, "{\"action\": \"terminate\", \"time\": \"2026-01-01T00:02:00Z\"}");
	pass_s(10);
	ck_assert_uint_eq(times_asked(BEAT), 0);
	say(state, "Terminated");
	pass_s(10);
	ck_assert_uint_eq(drains, 1);
	ck_assert_uint_ge(times_asked(BEAT), 1);
	end_drain();
	pass_s(10);
	ck_assert_uint_eq(times_asked(FINISH), 1);
}
END_TEST

START_TEST(metadata_that_is_not_there_is_said_once_and_asked_for_seldom)
{
	state->err = AWS_UNREACHABLE;
	begin(NULL, false);
	pass_s(1800);
	ck_assert_uint_eq(times_logged("lifecycle_blind"), 1);
	ck_assert_uint_le(times_asked(STATE), 3 * 1800 / 40);
	state->err = AWS_OK;
	say(state, "Terminated");
	pass_s(120);
	ck_assert_uint_eq(drains, 1);
	ck_assert_uint_eq(times_logged("instance metadata answers again"), 1);
}
END_TEST

/* --- whose hook --- */

START_TEST(of_several_hooks_none_is_completed_unless_it_is_named)
{
	hooks->body = HOOKS(HOOK("leave", "TERMINATING") HOOK("other", "TERMINATING"));
	begin(NULL, false);
	pass_s(10);
	ck_assert_uint_eq(times_logged("has 2 hooks"), 1);
	say(state, "Terminated");
	pass_s(10);
	ck_assert_uint_eq(drains, 1);
	end_drain();
	pass_s(60);
	ck_assert_uint_eq(times_asked(BEAT) + times_asked(FINISH), 0);
	lifecycle_stop(lifecycle);
	up = true;
	begin("leave", false);
	pass_s(10);
	ck_assert_uint_eq(drains, 2);
	end_drain();
	pass_s(10);
	ck_assert_uint_eq(times_asked(FINISH "Version=2011-01-01&" ABOUT), 1);
}
END_TEST

START_TEST(a_hook_that_the_group_does_not_have_is_said_at_the_start)
{
	begin("leav", false);
	pass_s(10);
	ck_assert_uint_eq(times_logged("group web has no leav hook"), 1);
	say(state, "Terminated");
	pass_s(10);
	ck_assert_uint_eq(drains, 1);
	ck_assert_uint_eq(times_asked(BEAT), 0);
}
END_TEST

START_TEST(a_group_that_cannot_be_asked_delays_no_drain_and_is_asked_again)
{
	group->status = 403;
	group->body = REFUSED("AccessDenied");
	begin(NULL, false);
	say(state, "Terminated");
	pass_s(30);
	ck_assert_uint_eq(drains, 1);
	ck_assert_uint_eq(times_logged("lifecycle_group_unknown"), 1);
	ck_assert_uint_eq(times_asked(BEAT), 0);
	say(group, IN_GROUP);
	pass_s(60);
	ck_assert_uint_ge(times_asked(BEAT), 1);
	end_drain();
	pass_s(10);
	ck_assert_uint_eq(times_asked(FINISH), 1);
}
END_TEST

/* --- what goes wrong --- */

START_TEST(a_daemon_that_starts_in_the_middle_goes_on)
{
	begin(NULL, false);
	say(state, "Terminated");
	pass_s(20);
	lifecycle_stop(lifecycle);
	on_drained = NULL;
	unsigned before = times_asked(BEAT);

	begin(NULL, false);
	pass_s(20);
	ck_assert_uint_eq(drains, 2); /* which the proxy takes for what it does already */
	ck_assert_uint_gt(times_asked(BEAT), before);
	end_drain();
	pass_s(10);
	ck_assert_uint_eq(times_asked(FINISH), 1);
}
END_TEST

START_TEST(without_a_proxy_the_action_is_completed_after_a_while)
{
	up = false;
	begin(NULL, false);
	say(state, "Terminated");
	pass_s(5);
	ck_assert_uint_eq(times_asked(FINISH), 0);
	pass_s(20);
	ck_assert_uint_eq(drains, 0);
	ck_assert_uint_eq(times_asked(FINISH), 1);
	ck_assert_uint_eq(times_logged("no socket at /x"), 1);
}
END_TEST

START_TEST(a_proxy_that_starts_late_is_drained)
{
	up = false;
	begin(NULL, false);
	say(state, "Terminated");
	pass_s(7);
	up = true;
	pass_s(3);
	ck_assert_uint_eq(drains, 1);
	ck_assert_uint_eq(times_asked(FINISH), 0);
}
END_TEST

START_TEST(a_proxy_that_refuses_is_told_again_and_again)
{
	begin(NULL, false);
	say(state, "Terminated");
	pass_s(10);
	for (unsigned i = 1; i <= 10; i++) {
		ck_assert_uint_eq(drains, i);
		tell_drain("not allowed");
		pass_s(3);
	}
	ck_assert_uint_eq(times_logged("lifecycle_drain_failed"), 1);
	ck_assert_uint_eq(times_asked(FINISH), 0);
}
END_TEST

START_TEST(a_successor_is_drained_too_but_not_for_ever)
{
	begin(NULL, false);
	say(state, "Terminated");
	pass_s(10);
	for (unsigned i = 1; i <= 3; i++) {
		ck_assert_uint_eq(drains, i);
		end_drain();
		up = true;
		pass_s(3);
	}
	ck_assert_uint_eq(drains, 3);
	pass_s(3);
	ck_assert_uint_eq(times_asked(FINISH), 1);
	ck_assert_uint_eq(times_logged("comes again each time"), 1);
}
END_TEST

START_TEST(another_way_to_the_proxy_is_taken)
{
	static int another;

	begin(NULL, false);
	say(state, "Terminated");
	pass_s(10);
	on_drained = NULL; /* as the end of a link does it */
	lifecycle_use_link(lifecycle, (struct link *)&another);
	pass_s(3);
	ck_assert_uint_eq(drains, 2);
}
END_TEST

START_TEST(heartbeats_that_fail_are_repeated_soon)
{
	begin(NULL, false);
	pass_s(5);
	beat->status = 500;
	say(state, "Terminated");
	pass_s(25);
	ck_assert_uint_ge(times_asked(BEAT), 6);
	ck_assert_uint_eq(times_logged("lifecycle_action_failed"), 1);
	beat->status = 200;
	pass_s(10);
	ck_assert_uint_ge(times_logged("lifecycle_heartbeat"), 1);
}
END_TEST

START_TEST(an_action_that_nobody_knows_any_more_is_given_up)
{
	begin(NULL, false);
	finish->status = 400;
	finish->body = REFUSED("ValidationError");
	say(state, "Terminated");
	pass_s(10);
	end_drain();
	pass_s(120);
	unsigned asked_before = times_asked(FINISH);

	ck_assert_uint_ge(asked_before, 10);
	ck_assert_uint_eq(times_logged("lifecycle_over"), 1);
	pass_s(600);
	ck_assert_uint_eq(times_asked(FINISH), asked_before);
}
END_TEST

START_TEST(an_action_that_begins_late_is_completed)
{
	begin(NULL, false);
	finish->status = beat->status = 400;
	finish->body = beat->body = REFUSED("ValidationError");
	say(state, "Terminated");
	pass_s(10);
	end_drain();
	pass_s(10);
	say(finish, ANSWER("CompleteLifecycleAction", ""));
	pass_s(10);
	ck_assert_uint_eq(times_logged("lifecycle_completed"), 1);
}
END_TEST

START_TEST(the_groups_size_is_told_and_not_asked_for_in_vain)
{
	begin(NULL, false);
	pass_s(10);
	ck_assert_uint_eq(times_asked(API "DescribeAutoScalingGroups&"), 0);
	lifecycle_stop(lifecycle);
	begin(NULL, true);
	pass_s(10);
	ck_assert_uint_eq(size_told, 7);
	json_t *described = lifecycle_describe(lifecycle);

	ck_assert_str_eq(json_string_value(json_object_get(described, "phase")), "watching");
	ck_assert_str_eq(json_string_value(json_object_get(described, "hook")), "leave");
	ck_assert_str_eq(json_string_value(json_object_get(described, "group")), "web");
	ck_assert(json_is_null(json_object_get(described, "problem")));
	json_decref(described);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		an_instance_that_stays_is_left_alone,
		a_hook_is_kept_waiting_until_the_drain_has_ended,
		a_spot_notice_drains_and_completes_nothing,
		a_spot_notice_that_is_none_drains_nothing,
		a_spot_instance_of_a_group_completes_the_groups_hook,
		metadata_that_is_not_there_is_said_once_and_asked_for_seldom,
		of_several_hooks_none_is_completed_unless_it_is_named,
		a_hook_that_the_group_does_not_have_is_said_at_the_start,
		a_group_that_cannot_be_asked_delays_no_drain_and_is_asked_again,
		a_daemon_that_starts_in_the_middle_goes_on,
		without_a_proxy_the_action_is_completed_after_a_while,
		a_proxy_that_starts_late_is_drained,
		a_proxy_that_refuses_is_told_again_and_again,
		a_successor_is_drained_too_but_not_for_ever,
		another_way_to_the_proxy_is_taken,
		heartbeats_that_fail_are_repeated_soon,
		an_action_that_nobody_knows_any_more_is_given_up,
		an_action_that_begins_late_is_completed,
		the_groups_size_is_told_and_not_asked_for_in_vain,
	};

	Suite *suite = suite_create("control_lifecycle");
	TCase *tcase = tcase_create("control_lifecycle");
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
