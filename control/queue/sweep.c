/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the search for queues that nobody listens to any more, since their daemons were killed.
 * Happy path: every hour some queues that are named like ours are looked at; one that is tagged
 * with our topic and was not seen for ORPHAN_S loses its subscription, and then itself.
 * Failure modes: what fails ends this sweep; there will be another. Each daemon of a large fleet
 * looks at LOOKS_MAX of them only, chosen at random, so that the fleet together sees all.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/retry.h"
#include "control/journal.h"
#include "control/queue/internal.h"
#include "proxy/base/jot.h"
#include "proxy/base/loop.h"

#define FIRST_MS  2000
#define AGAIN_MS  (3600 * 1000)
#define ORPHAN_S  7200 /* several times SEEN_MS of own.c */
#define LOOKS_MAX 20
#define LIST_PAGE 1000

static void look_at_next(struct queue *queue);

static void end(struct queue *queue)
{
	struct sweep *sweep = &queue->sweep;

	json_decref(sweep->urls);
	json_decref(sweep->tags);
	sweep->urls = sweep->tags = NULL;
	loop_arm(queue->conf.loop, &sweep->timer, queue_jitter(AGAIN_MS));
}

/* Whether the call went well; else the sweep is over. */
static bool was_well(struct queue *queue, const struct aws_error *error)
{
	queue->sweep.run = NULL;
	if (!error || queue_is_gone(error))
		return true;
	queue_note(queue, LOG_WARN, "queue_sweep_failed", "%s", error->text);
	end(queue);
	return false;
}

/* Takes `call->input`. */
static void ask(struct queue *queue, const struct queue_call *call)
{
	queue->sweep.run = queue_ask(queue, call);
	if (!queue->sweep.run)
		end(queue);
}

/* The one that is looked at. */
static const char *url_of(const struct queue *queue)
{
	const json_t *urls = queue->sweep.urls;

	return json_string_value(json_array_get(urls, json_array_size(urls) - 1));
}

static void done_with_it(struct queue *queue)
{
	json_array_remove(queue->sweep.urls, json_array_size(queue->sweep.urls) - 1);
	look_at_next(queue);
}

/* --- an orphan --- */

static void on_deleted(void *context, const struct aws_error *error)
{
	struct queue *queue = context;

	if (!was_well(queue, error))
		return;
	queue_note(queue, LOG_INFO, "queue_swept", "%s, which no daemon used any more",
		   url_of(queue));
	done_with_it(queue);
}

static void delete_it(struct queue *queue)
{
	ask(queue, &(struct queue_call){.service = AWS_SQS,
					.action = "DeleteQueue",
					.input = JOT({"QueueUrl", json_string(url_of(queue))}),
					.on_end = on_deleted});
}

static void on_unsubscribed(void *context, const struct aws_error *error)
{
	if (was_well(context, error))
		delete_it(context);
}

static bool is_orphan(const struct queue *queue)
{
	const char *topic = aws_text(queue->sweep.tags, TAG_TOPIC);
	const char *seen = aws_text(queue->sweep.tags, TAG_SEEN);

	return topic && seen && strcmp(topic, queue->conf.topic) == 0 &&
	       strtoull(seen, NULL, 10) + ORPHAN_S < own_now_s(queue);
}

static int on_tags(void *context, const json_t *page)
{
	struct queue *queue = context;

	json_decref(queue->sweep.tags);
	queue->sweep.tags = json_deep_copy(json_object_get(page, "Tags"));
	return 0;
}

static void on_tags_end(void *context, const struct aws_error *error)
{
	struct queue *queue = context;
	const char *subscription;

	if (!was_well(queue, error))
		return;
	subscription = aws_text(queue->sweep.tags, TAG_SUBSCRIPTION);
	if (error || !is_orphan(queue))
		done_with_it(queue);
	else if (subscription)
		ask(queue, &(struct queue_call){
				   .service = AWS_SNS,
				   .action = "Unsubscribe",
				   .input = JOT({"SubscriptionArn", json_string(subscription)}),
				   .on_end = on_unsubscribed});
	else
		delete_it(queue);
}

static void look_at_next(struct queue *queue)
{
	if (!json_array_size(queue->sweep.urls)) {
		end(queue);
		return;
	}
	ask(queue, &(struct queue_call){.service = AWS_SQS,
					.action = "ListQueueTags",
					.input = JOT({"QueueUrl", json_string(url_of(queue))}),
					.on_page = on_tags,
					.on_end = on_tags_end});
}

/* --- those that may be one --- */

static int on_list(void *context, const json_t *page)
{
	struct queue *queue = context;
	const json_t *urls = aws_list(page, "QueueUrls"), *url;
	size_t index;

	json_array_foreach (urls, index, url) {
		if (!json_is_string(url))
			return -EPROTO;
		if (strcmp(json_string_value(url), queue->own.url) != 0 &&
		    json_array_append(queue->sweep.urls, (json_t *)url) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void on_list_end(void *context, const struct aws_error *error)
{
	struct queue *queue = context;
	json_t *urls = queue->sweep.urls;

	if (!was_well(queue, error))
		return;
	while (json_array_size(urls) > LOOKS_MAX)
		json_array_remove(urls, retry_random() % json_array_size(urls));
	look_at_next(queue);
}

static void on_due(struct timer *timer)
{
	struct queue *queue = container_of(timer, struct queue, sweep.timer);
	struct aws_op op = {.service = AWS_SQS,
			    .action = "ListQueues",
			    .input = JOT({"QueueNamePrefix", json_string(QUEUE_PREFIX)},
					 {"MaxResults", json_integer(LIST_PAGE)}),
			    .token_out = "NextToken",
			    .token_in = "NextToken",
			    .on_page = on_list,
			    .on_end = on_list_end,
			    .context = queue};

	queue->sweep.urls = json_array();
	queue->sweep.run = aws_start(queue->aws, &op);
	if (!queue->sweep.run)
		end(queue);
}

void sweep_init(struct queue *queue)
{
	timer_init(&queue->sweep.timer, on_due);
}

void sweep_begin(struct queue *queue)
{
	loop_arm(queue->conf.loop, &queue->sweep.timer, queue_jitter(FIRST_MS));
}

void sweep_stop(struct queue *queue)
{
	struct sweep *sweep = &queue->sweep;

	timer_cancel(&sweep->timer);
	aws_cancel(sweep->run);
	json_decref(sweep->urls);
	json_decref(sweep->tags);
	sweep->run = NULL;
	sweep->urls = sweep->tags = NULL;
}
