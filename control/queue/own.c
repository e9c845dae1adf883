/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the making of a queue of our own. Happy path: created with its tags, its ARN asked for, the
 * topic allowed to send to it, subscribed, the subscription written down in a tag; from then on the
 * hour is tagged now and then, so that others see that it is in use.
 * Failure modes: a step that fails is repeated with backoff, and so are all of them when the queue
 * is gone in between.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/retry.h"
#include "control/journal.h"
#include "control/queue/internal.h"
#include "proxy/base/clock.h"
#include "proxy/base/jot.h"
#include "proxy/base/loop.h"

#define SEEN_MS     (20 * 60 * 1000)
#define TAG_AGAIN   6     /* doublings of a second */
#define RETENTION_S "300" /* older events say nothing */
#define HIDDEN_S    "30"

uint64_t own_now_s(const struct queue *queue)
{
	int64_t now_us = (int64_t)clock_wall_us() + aws_hub_skew_ms(queue->conf.hub) * 1000;

	return (uint64_t)now_us / US_PER_SEC;
}

static json_t *seen_now(const struct queue *queue)
{
	return json_sprintf("%llu", (unsigned long long)own_now_s(queue));
}

/* --- what each step asks and takes --- */

static json_t *create_input(const struct queue *queue)
{
	return JOT({"QueueName", json_string(queue->own.name)},
		   {"Attributes", JOT({"MessageRetentionPeriod", json_string(RETENTION_S)},
				      {"VisibilityTimeout", json_string(HIDDEN_S)})},
		   {"tags",
		    JOT({TAG_TOPIC, json_string(queue->conf.topic)}, {TAG_SEEN, seen_now(queue)})});
}

static json_t *arn_input(const struct queue *queue)
{
	return JOT({"QueueUrl", json_string(queue->own.url)},
		   {"AttributeNames", json_pack("[s]", "QueueArn")});
}

/* The topic may send, and nobody else. */
static json_t *policy_input(const struct queue *queue)
{
	json_t *source = JOT({"aws:SourceArn", json_string(queue->conf.topic)});
	json_t *statement = JOT({"Effect", json_string("Allow")},
				{"Principal", JOT({"Service", json_string("sns.amazonaws.com")})},
				{"Action", json_string("sqs:SendMessage")},
				{"Resource", json_string(queue->own.arn)},
				{"Condition", JOT({"ArnEquals", source})});
	json_t *policy = JOT({"Version", json_string("2012-10-17")},
			     {"Statement", statement ? json_pack("[o]", statement) : NULL});
	char *text = jot_dump(policy);
	json_t *value = text ? json_string(text) : NULL;

	free(text);
	json_decref(policy);
	return JOT({"QueueUrl", json_string(queue->own.url)},
		   {"Attributes", JOT({"Policy", value})});
}

static json_t *subscribe_input(const struct queue *queue)
{
	return JOT({"TopicArn", json_string(queue->conf.topic)}, {"Protocol", json_string("sqs")},
		   {"Endpoint", json_string(queue->own.arn)},
		   {"ReturnSubscriptionArn", json_true()});
}

static json_t *tag_input(const struct queue *queue)
{
	return JOT({"QueueUrl", json_string(queue->own.url)},
		   {"Tags", JOT({TAG_SEEN, seen_now(queue)},
				{TAG_SUBSCRIPTION, json_string(queue->own.subscription)})});
}

static json_t *forget_input(const struct queue *queue)
{
	return JOT({"SubscriptionArn", json_string(queue->own.subscription)});
}

static int take(const json_t *object, const char *key, char *buf)
{
	const char *text = aws_text(object, key);

	if (!text || strlen(text) >= QUEUE_TEXT)
		return -EPROTO;
	snprintf(buf, QUEUE_TEXT, "%s", text);
	return 0;
}

static int on_created(void *context, const json_t *page)
{
	return take(page, "QueueUrl", ((struct queue *)context)->own.url);
}

static int on_arn(void *context, const json_t *page)
{
	return take(aws_object(page, "Attributes"), "QueueArn", ((struct queue *)context)->own.arn);
}

static int on_subscribed(void *context, const json_t *page)
{
	return take(page, "SubscriptionArn", ((struct queue *)context)->own.subscription);
}

/* In the order of enum own_step; the last is that of a queue which is ready. */
static const struct step {
	enum aws_service service;
	const char *action;
	json_t *(*input)(const struct queue *queue);
	int (*on_page)(void *context, const json_t *page);
} steps[] = {
	[OWN_FORGET] = {AWS_SNS, "Unsubscribe", forget_input, NULL},
	[OWN_CREATE] = {AWS_SQS, "CreateQueue", create_input, on_created},
	[OWN_ARN] = {AWS_SQS, "GetQueueAttributes", arn_input, on_arn},
	[OWN_POLICY] = {AWS_SQS, "SetQueueAttributes", policy_input, NULL},
	[OWN_SUBSCRIBE] = {AWS_SNS, "Subscribe", subscribe_input, on_subscribed},
	[OWN_TAG] = {AWS_SQS, "TagQueue", tag_input, NULL},
	[OWN_READY] = {AWS_SQS, "TagQueue", tag_input, NULL},
};

/* --- one after the other --- */

static void wait(struct queue *queue, uint64_t ms)
{
	loop_arm(queue->conf.loop, &queue->own.timer, ms);
}

static void go_on(struct queue *queue)
{
	struct own *own = &queue->own;

	if (own->step == OWN_FORGET)
		own->subscription[0] = '\0';
	own->step++;
	if (own->step < OWN_READY) {
		wait(queue, 0);
		return;
	}
	queue->url = own->url;
	wait(queue, queue_jitter(SEEN_MS));
	receive_begin(queue);
	sweep_begin(queue);
}

/* A queue in use that could not be tagged is used all the same. */
static void fail(struct queue *queue, const struct aws_error *error)
{
	struct own *own = &queue->own;
	bool news = own->failures++ == 0;

	if (own->step == OWN_READY) {
		if (news)
			queue_note(queue, LOG_WARN, "queue_failed",
				   "others may take the queue for an orphan in a while: %s",
				   error->text);
		wait(queue, queue_backoff_ms(TAG_AGAIN));
		return;
	}
	queue_problem(queue, error->text);
	if (own->step == OWN_FORGET)
		go_on(queue);
	else if (queue_is_gone(error))
		own_begin(queue);
	else
		wait(queue, queue_backoff_ms(own->failures));
}

static void on_end(void *context, const struct aws_error *error)
{
	struct queue *queue = context;
	struct own *own = &queue->own;

	own->run = NULL;
	if (error) {
		fail(queue, error);
		return;
	}
	own->failures = 0;
	if (own->step == OWN_READY)
		wait(queue, queue_jitter(SEEN_MS));
	else
		go_on(queue);
}

static void on_due(struct timer *timer)
{
	struct queue *queue = container_of(timer, struct queue, own.timer);
	struct own *own = &queue->own;
	const struct step *step = &steps[own->step];

	own->run = queue_ask(queue, &(struct queue_call){.service = step->service,
							 .action = step->action,
							 .input = step->input(queue),
							 .on_page = step->on_page,
							 .on_end = on_end});
	if (!own->run)
		wait(queue, queue_backoff_ms(own->failures++));
}

void own_init(struct queue *queue)
{
	timer_init(&queue->own.timer, on_due);
}

/* A name that was in use may not be used again for a minute. */
void own_begin(struct queue *queue)
{
	struct own *own = &queue->own;

	own_stop(queue);
	queue->url = NULL;
	own->url[0] = own->arn[0] = '\0';
	own->step = *own->subscription ? OWN_FORGET : OWN_CREATE;
	snprintf(own->name, sizeof(own->name), QUEUE_PREFIX "%08x%08x", retry_random(),
		 retry_random());
	wait(queue, own->failures ? queue_backoff_ms(own->failures) : 0);
}

void own_stop(struct queue *queue)
{
	timer_cancel(&queue->own.timer);
	aws_cancel(queue->own.run);
	queue->own.run = NULL;
}
