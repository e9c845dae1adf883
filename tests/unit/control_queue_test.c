/* SPDX-License-Identifier: Apache-2.0
 *
 * A queue from its making to its end, with an API that answers what the test says and time that
 * passes without waiting. A long poll is answered at once here, with what there is.
 */
/* link: -Wl,--wrap=http_start,--wrap=http_cancel,--wrap=http_header,--wrap=clock_gettime */
/* link: -Wl,--wrap=epoll_wait,--wrap=log_event,--wrap=feed_trigger */
#include "control/feed.h"
#include "control/queue.h"
#include "tests/unit/control_aws_rig.h"

#define TOPIC          "arn:aws:sns:eu-west-1:123456789012:changes"
#define OWN            "https://sqs.eu-west-1.amazonaws.com/123456789012/ours"
#define OTHER          "https://sqs.eu-west-1.amazonaws.com/123456789012/theirs"
#define SQS            "POST https://sqs.eu-west-1.amazonaws.com/ "
#define SNS            "POST https://sns.eu-west-1.amazonaws.com/ "
#define AT(url, more)  SQS "{\"QueueUrl\":\"" url "\"" more
#define RECEIVE(url)   AT(url, ",\"MaxNumberOfMessages\"")
#define GONE           "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"it is not there\"}"
#define MESSAGE(body)  "{\"MessageId\":\"m\",\"ReceiptHandle\":\"h\",\"Body\":\"" body "\"}"
#define EVENT(source)  MESSAGE("{\\\"source\\\":\\\"" source "\\\"}")
#define MESSAGES(list) "{\"Messages\":[" list "]}"
#define NONE           "{}"

/* --- what is triggered --- */

static struct feed feeds[3]; /* ec2, cloudmap, file */
static struct source sources[3];
static unsigned triggers[3];
static struct feed_set set;

void __wrap_feed_trigger(struct feed *feed, const char *why);

void __wrap_feed_trigger(struct feed *feed, const char *why)
{
	ck_assert_ptr_nonnull(why);
	triggers[feed - feeds]++;
}

/* --- the rig --- */

static struct aws_hub *hub;
static struct queue *queue;
static struct route *create, *subscribe, *receive, *tag;
static bool left;

static void begin(const char *url)
{
	struct queue_conf conf = {
		.loop = &loop, .hub = hub, .feeds = &set, .url = url, .topic = url ? NULL : TOPIC};
	char problem[256];

	ck_assert_int_eq(queue_start(&conf, &queue, problem, sizeof(problem)), 0);
}

static void setup(void)
{
	static const struct source_kind *const kinds[] = {&source_ec2, &source_cloudmap,
							  &source_file};
	struct aws_hub_conf conf = {.fleet_size = 1, .user_agent = "test"};

	rig_begin();
	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "hush", 1);
	ck_assert_int_eq(aws_hub_new(&loop, &conf, &hub), 0);
	list_init(&set.feeds);
	for (size_t i = 0; i < COUNT(feeds); i++) {
		feeds[i] = (struct feed){.kind = kinds[i], .source = &sources[i]};
		list_push_back(&set.feeds, &feeds[i].link);
	}
	create = route(SQS "{\"QueueName\":\"sluice-control-", 200, "{\"QueueUrl\":\"" OWN "\"}");
	route(AT(OWN, ",\"AttributeNames\":[\"QueueArn\"]"), 200,
	      "{\"Attributes\":{\"QueueArn\":\"arn:of:ours\"}}");
	route(AT(OWN, ",\"Attributes\":{\"Policy\""), 200, "{}");
	subscribe = route(SNS "Action=Subscribe&", 200,
			  "<SubscribeResponse><SubscribeResult><SubscriptionArn>arn:of:it"
			  "</SubscriptionArn></SubscribeResult></SubscribeResponse>");
	tag = route(AT(OWN, ",\"Tags\""), 200, "{}");
	receive = route(RECEIVE(OWN), 200, NONE);
	route(AT(OWN, ",\"Entries\""), 200, "{}");
	route(SNS "Action=Unsubscribe&", 200,
	      "<UnsubscribeResponse><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
	      "</UnsubscribeResponse>");
}

static void teardown(void)
{
	queue_stop(queue);
	aws_hub_free(hub);
	rig_end(NULL);
}

static unsigned times_said(const char *text, const char *what)
{
	unsigned count = 0;

	for (const char *at = text; (at = strstr(at, what)); at++)
		count++;
	return count;
}

#define times_target(action) times_said(asked, "X-Amz-Target: AmazonSQS." action "|")

/* One message now, and no more later. */
static void deliver(const char *body)
{
	receive->times = receive->used + 1;
	receive->body = body;
	receive = route(RECEIVE(OWN), 200, NONE);
	pass_s(3);
}

static void on_left(void *context)
{
	left = true;
}

static void leave(void)
{
	queue_leave(queue, on_left, NULL);
	ck_assert(!left);
	pass_s(6);
	ck_assert(left);
}

/* --- its making and its end --- */

START_TEST(a_queue_is_made_allowed_subscribed_tagged_and_deleted)
{
	route(SQS "{\"QueueNamePrefix\"", 200, NONE);
	route(AT(OWN, "}"), 200, "{}");
	begin(NULL);
	pass_s(60);
	ck_assert_uint_eq(times_target("CreateQueue"), 1);
	ck_assert_uint_eq(times_said(asked, "\"sluice-control:topic\":\"" TOPIC "\""), 1);
	ck_assert_uint_eq(
		times_said(asked, "\\\"Resource\\\":\\\"arn:of:ours\\\",\\\"Condition\\\":"
				  "{\\\"ArnEquals\\\":{\\\"aws:SourceArn\\\":\\\"" TOPIC "\\\"}}"),
		1);
	ck_assert_uint_eq(times_said(asked, "Protocol=sqs&Endpoint=arn%3Aof%3Aours"), 1);
	ck_assert_uint_eq(times_said(asked, "\"sluice-control:subscription\":\"arn:of:it\""), 1);
	ck_assert_uint_gt(times_target("ReceiveMessage"), 10);
	ck_assert_uint_eq(times_said(logged, "queue_up"), 1);
	receive->never = true;
	pass_s(3000); /* and is tagged again from time to time */
	ck_assert_uint_ge(times_target("TagQueue"), 2);
	leave();
	ck_assert_uint_eq(times_asked(SNS "Action=Unsubscribe&Version=2010-03-31&SubscriptionArn="
					  "arn%3Aof%3Ait"),
			  1);
	ck_assert_uint_eq(times_target("DeleteQueue"), 1);
	ck_assert_uint_eq(times_said(logged, "queue_deleted"), 1);
	passed_us = 0; /* Check's own clock measures half an hour at most */
}
END_TEST

START_TEST(a_step_that_fails_is_repeated_and_said_once)
{
	route(SQS "{\"QueueNamePrefix\"", 200, NONE);
	subscribe->status = 500;
	begin(NULL);
	pass_s(300);
	ck_assert_uint_eq(times_target("ReceiveMessage"), 0);
	ck_assert_uint_eq(times_said(logged, "queue_failed"), 1);
	ck_assert_uint_eq(times_said(logged, "as often as configured"), 1);
	ck_assert_uint_eq(times_target("CreateQueue"), 1);
	ck_assert_uint_le(times_asked(SNS), 60);
	subscribe->status = 200;
	pass_s(120);
	ck_assert_uint_gt(times_target("ReceiveMessage"), 1);
	json_t *described = queue_describe(queue);

	ck_assert_str_eq(json_string_value(json_object_get(described, "url")), OWN);
	ck_assert(json_is_true(json_object_get(described, "healthy")));
	ck_assert(json_is_null(json_object_get(described, "problem")));
	json_decref(described);
}
END_TEST

START_TEST(a_queue_that_somebody_deleted_is_made_anew)
{
	route(SQS "{\"QueueNamePrefix\"", 200, NONE);
	begin(NULL);
	pass_s(10);
	receive->status = 400;
	receive->body = GONE;
	receive->times = receive->used + 1;
	route(RECEIVE(OWN), 200, NONE);
	pass_s(10);
	ck_assert_uint_eq(times_target("CreateQueue"), 2);
	ck_assert_uint_eq(times_asked(SNS "Action=Unsubscribe&"), 1);
	ck_assert_uint_eq(times_said(logged, "queue_up"), 2);
}
END_TEST

START_TEST(the_end_does_not_wait_for_an_api_that_is_away)
{
	route(SQS "{\"QueueNamePrefix\"", 200, NONE);
	route(AT(OWN, "}"), 200, "")->never = true;
	begin(NULL);
	pass_s(10);
	leave();
	ck_assert_uint_eq(times_said(logged, "queue_left_behind"), 1);
}
END_TEST

START_TEST(a_given_queue_is_only_listened_to)
{
	begin(OWN);
	pass_s(10);
	ck_assert_uint_gt(times_target("ReceiveMessage"), 5);
	ck_assert_uint_eq(times_said(asked, "POST "), times_target("ReceiveMessage"));
	deliver(MESSAGES(EVENT("aws.ec2")));
	ck_assert_uint_ge(times_target("DeleteMessageBatch"), 1);
	leave();
	ck_assert_uint_eq(times_target("DeleteQueue"), 0);
	ck_assert_uint_eq(times_asked(SNS), 0);
}
END_TEST

START_TEST(a_given_queue_that_is_gone_is_asked_for_again)
{
	receive->status = 400;
	receive->body = GONE;
	begin(OWN);
	pass_s(300);
	ck_assert_uint_eq(times_target("CreateQueue"), 0);
	ck_assert_uint_ge(times_target("ReceiveMessage"), 5);
	ck_assert_uint_le(times_target("ReceiveMessage"), 20);
	ck_assert_uint_eq(times_said(logged, "queue_failed"), 1);
	receive->status = 200;
	receive->body = NONE;
	pass_s(120);
	ck_assert_uint_eq(times_said(logged, "queue_up"), 1);
}
END_TEST

/* --- what messages do --- */

START_TEST(an_event_triggers_those_it_may_concern_and_again_later)
{
	begin(OWN);
	pass_s(2);
	deliver(MESSAGES(EVENT("aws.ec2")));
	ck_assert_uint_eq(triggers[0], 1);
	ck_assert_uint_eq(triggers[1], 0);
	pass_s(6);
	ck_assert_uint_eq(triggers[0], 2);
	pass_s(60);
	ck_assert_uint_eq(triggers[0], 2);
	ck_assert_uint_eq(triggers[1], 0);
	ck_assert_uint_eq(times_said(asked, "\"Entries\":[{\"Id\":\"0\",\"ReceiptHandle\":\"h\"}]"),
			  1);
}
END_TEST

START_TEST(a_message_of_no_sense_triggers_all_of_aws_and_is_deleted)
{
	begin(OWN);
	deliver(MESSAGES(MESSAGE("hello")));
	ck_assert_uint_ge(triggers[0], 1);
	ck_assert_uint_ge(triggers[1], 1);
	ck_assert_uint_eq(triggers[2], 0); /* a file knows nothing of AWS */
	ck_assert_uint_ge(times_target("DeleteMessageBatch"), 1);
}
END_TEST

START_TEST(a_flood_of_events_becomes_one_that_concerns_all)
{
	static char body[65536];
	size_t size = (size_t)sprintf(body, "{\"Messages\":[");

	for (unsigned i = 0; i < 150; i++)
		size += (size_t)sprintf(body + size, "%s" EVENT("aws.ec2"), i ? "," : "");
	strcpy(body + size, "]}");
	begin(OWN);
	pass_s(2);
	deliver(body);
	ck_assert_uint_eq(triggers[1], 0);
	pass_s(10);
	ck_assert_uint_eq(triggers[1], 1);
}
END_TEST

START_TEST(messages_that_cannot_be_deleted_are_said_once)
{
	struct route *entries = &routes[6];

	ck_assert_ptr_nonnull(strstr(entries->what, "Entries"));
	entries->status = 403;
	entries->body = "{\"__type\":\"AccessDenied\",\"message\":\"no\"}";
	begin(OWN);
	for (unsigned i = 0; i < 3; i++)
		deliver(MESSAGES(EVENT("aws.ec2")));
	ck_assert_uint_gt(triggers[0], 2);
	ck_assert_uint_eq(times_said(logged, "messages will come again"), 1);
}
END_TEST

/* --- orphans --- */

static void sweep(const char *tags)
{
	struct route *looked = route(AT(OTHER, "}"), 200, tags);

	looked->times = 1;
	route(AT(OTHER, "}"), 200, "{}");
	route(SQS "{\"QueueNamePrefix\":\"sluice-control-\"", 200,
	      "{\"QueueUrls\":[\"" OWN "\",\"" OTHER "\"]}");
	begin(NULL);
	pass_s(20);
	ck_assert_uint_eq(times_target("ListQueues"), 1);
	ck_assert_uint_eq(times_target("ListQueueTags"), 1);
}

#define TAGS(topic, seen)                                                                          \
	"{\"Tags\":{\"sluice-control:topic\":\"" topic "\",\"sluice-control:seen\":\"" seen "\","  \
	"\"sluice-control:subscription\":\"arn:of:theirs\"}}"

START_TEST(a_queue_that_was_not_seen_for_long_is_swept)
{
	sweep(TAGS(TOPIC, "1767218000")); /* before WALL_S by more than two hours */
	ck_assert_uint_eq(times_said(asked, "SubscriptionArn=arn%3Aof%3Atheirs"), 1);
	ck_assert_uint_eq(times_target("DeleteQueue"), 1);
	ck_assert_uint_eq(times_said(logged, "queue_swept"), 1);
	receive->never = true;
	pass_s(3000);
	ck_assert_uint_eq(times_target("ListQueues"), 1);
	pass_s(3600);
	ck_assert_uint_ge(times_target("ListQueues"), 2);
	passed_us = 0;
}
END_TEST

START_TEST(a_queue_that_is_in_use_stays)
{
	sweep(TAGS(TOPIC, "1767222000"));
	ck_assert_uint_eq(times_target("DeleteQueue"), 0);
	ck_assert_uint_eq(times_asked(SNS "Action=Unsubscribe&"), 0);
}
END_TEST

START_TEST(a_queue_of_another_topic_stays)
{
	sweep(TAGS("arn:aws:sns:eu-west-1:123456789012:other", "1"));
	ck_assert_uint_eq(times_target("DeleteQueue"), 0);
}
END_TEST

START_TEST(a_queue_without_our_tags_stays)
{
	sweep("{\"Tags\":{\"sluice-control:topic\":\"" TOPIC "\"}}");
	ck_assert_uint_eq(times_target("DeleteQueue"), 0);
	ck_assert_uint_gt(times_target("ReceiveMessage"), 5);
}
END_TEST

START_TEST(the_place_of_a_queue_is_in_its_name)
{
	char buf[64];

	ck_assert_str_eq(queue_region(OWN, NULL, buf), "eu-west-1");
	ck_assert_str_eq(
		queue_region("https://sqs-fips.us-gov-west-1.amazonaws.com/1/q", NULL, buf),
		"us-gov-west-1");
	ck_assert_str_eq(queue_region("https://eu-west-3.queue.amazonaws.com/1/q", NULL, buf),
			 "eu-west-3");
	ck_assert_ptr_null(queue_region("http://127.0.0.1:4566/1/q", NULL, buf));
	ck_assert_ptr_null(queue_region("https://queue.amazonaws.com/1/q", NULL, buf));
	ck_assert_str_eq(queue_region(NULL, "arn:aws-cn:sns:cn-north-1:1:t", buf), "cn-north-1");
	ck_assert_ptr_null(queue_region(NULL, "arn:aws", buf));
	ck_assert_ptr_null(queue_region(NULL, NULL, buf));
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		a_queue_is_made_allowed_subscribed_tagged_and_deleted,
		a_step_that_fails_is_repeated_and_said_once,
		a_queue_that_somebody_deleted_is_made_anew,
		the_end_does_not_wait_for_an_api_that_is_away,
		a_given_queue_is_only_listened_to,
		a_given_queue_that_is_gone_is_asked_for_again,
		an_event_triggers_those_it_may_concern_and_again_later,
		a_message_of_no_sense_triggers_all_of_aws_and_is_deleted,
		a_flood_of_events_becomes_one_that_concerns_all,
		messages_that_cannot_be_deleted_are_said_once,
		a_queue_that_was_not_seen_for_long_is_swept,
		a_queue_that_is_in_use_stays,
		a_queue_of_another_topic_stays,
		a_queue_without_our_tags_stays,
		the_place_of_a_queue_is_in_its_name,
	};
	Suite *suite = suite_create("control_queue");
	TCase *tcase = tcase_create("control_queue");
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
