/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the queue as a whole, from its start to its deletion. Happy path: made or given, listened
 * to, left.
 * Failure modes: a deletion that does not come to its end in LEAVE_MS is left to those who sweep.
 */
#include "control/queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/endpoint.h"
#include "control/aws/retry.h"
#include "control/journal.h"
#include "control/queue/internal.h"
#include "proxy/base/jot.h"
#include "proxy/base/loop.h"

#define LEAVE_MS    5000
#define BACKOFF_MS  1000
#define DOUBLINGS   6
#define REGION_TEXT 64

struct aws_run *queue_ask(struct queue *queue, const struct queue_call *call)
{
	struct aws_op op = {.service = call->service,
			    .action = call->action,
			    .input = call->input,
			    .on_page = call->on_page,
			    .on_end = call->on_end,
			    .context = queue};

	return aws_start(queue->aws, &op);
}

void queue_problem(struct queue *queue, const char *problem)
{
	if (problem && strcmp(problem, queue->problem) != 0)
		queue_note(queue, LOG_WARN, "queue_failed",
			   "%s; sources are asked as often as configured, with or without it",
			   problem);
	snprintf(queue->problem, sizeof(queue->problem), "%s", problem ? problem : "");
}

uint64_t queue_jitter(uint64_t ms)
{
	return ms + ms / 2 * (uint64_t)retry_random() / UINT32_MAX;
}

uint64_t queue_backoff_ms(unsigned failures)
{
	return queue_jitter((uint64_t)BACKOFF_MS << (failures < DOUBLINGS ? failures : DOUBLINGS));
}

bool queue_is_gone(const struct aws_error *error)
{
	return strstr(error->code, "NonExistentQueue") || strstr(error->code, "QueueDoesNotExist");
}

/* The part of `text` up to `end`, if it is a region. */
static const char *region_at(const char *text, char end, char *buf)
{
	size_t len = strcspn(text, (char[]){end, '\0'});

	if (len == 0 || len >= REGION_TEXT)
		return NULL;
	snprintf(buf, REGION_TEXT, "%.*s", (int)len, text);
	return endpoint_region_is_valid(buf) ? buf : NULL;
}

/* https://sqs.REGION.amazonaws.com/.., https://sqs-fips.REGION..; https://REGION.queue.. */
static const char *url_region(const char *url, char *buf)
{
	const char *host = strstr(url, "://");
	const char *label = host ? host + 3 : url;

	if (strncmp(label, "sqs.", 4) == 0 || strncmp(label, "sqs-fips.", 9) == 0)
		label = strchr(label, '.') + 1;
	return region_at(label, '.', buf);
}

const char *queue_region(const char *url, const char *topic, char *buf)
{
	if (url)
		return url_region(url, buf);
	for (unsigned colons = 0; topic && colons < 3; colons++) {
		topic = strchr(topic, ':');
		topic = topic ? topic + 1 : NULL;
	}
	return topic ? region_at(topic, ':', buf) : NULL;
}

static void stop_work(struct queue *queue)
{
	own_stop(queue);
	receive_stop(queue);
	sweep_stop(queue);
}

/* --- leaving --- */

static void leave(struct queue *queue)
{
	struct leaving *leaving = &queue->leaving;

	timer_cancel(&leaving->timer);
	leaving->on_left(leaving->context);
}

static void on_late(struct timer *timer)
{
	struct queue *queue = container_of(timer, struct queue, leaving.timer);

	if (queue->leaving.run)
		queue_note(queue, LOG_WARN, "queue_left_behind",
			   "%s was not deleted in time; another daemon of the same topic will",
			   queue->own.url);
	leave(queue);
}

static void on_deleted(void *context, const struct aws_error *error)
{
	struct queue *queue = context;

	queue->leaving.run = NULL;
	if (error)
		queue_note(queue, LOG_WARN, "queue_left_behind", "%s", error->text);
	else
		queue_note(queue, LOG_INFO, "queue_deleted", "%s", queue->own.url);
	leave(queue);
}

static void delete_queue(struct queue *queue)
{
	queue->leaving.run = queue_ask(
		queue, &(struct queue_call){.service = AWS_SQS,
					    .action = "DeleteQueue",
					    .input = JOT({"QueueUrl", json_string(queue->own.url)}),
					    .on_end = on_deleted});
}

/* Said, but a subscription that stays must not keep its queue. */
static void on_unsubscribed(void *context, const struct aws_error *error)
{
	struct queue *queue = context;

	queue->leaving.run = NULL;
	if (error)
		queue_note(queue, LOG_WARN, "queue_left_behind", "%s", error->text);
	if (*queue->own.url)
		delete_queue(queue);
	else
		leave(queue);
}

void queue_leave(struct queue *queue, void (*on_left)(void *context), void *context)
{
	struct leaving *leaving = &queue->leaving;
	const struct own *own = &queue->own;
	bool made = *own->url || *own->subscription;

	stop_work(queue);
	leaving->on_left = on_left;
	leaving->context = context;
	loop_arm(queue->conf.loop, &leaving->timer, made ? LEAVE_MS : 0);
	if (*own->subscription)
		leaving->run = queue_ask(
			queue, &(struct queue_call){.service = AWS_SNS,
						    .action = "Unsubscribe",
						    .input = JOT({"SubscriptionArn",
								  json_string(own->subscription)}),
						    .on_end = on_unsubscribed});
	else if (made)
		delete_queue(queue);
}

/* --- the whole --- */

int queue_start(const struct queue_conf *conf, struct queue **ret_queue, char *ret_problem,
		size_t size)
{
	struct queue *queue = calloc(1, sizeof(*queue));
	struct aws_place place = conf->place;
	char region[REGION_TEXT];
	int err;

	if (!queue)
		return -ENOMEM;
	if (queue_region(conf->url, conf->topic, region))
		place.region = region;
	queue->conf = *conf;
	err = aws_open(conf->hub, &place, &queue->aws, ret_problem, size);
	if (err) {
		free(queue);
		return err;
	}
	timer_init(&queue->leaving.timer, on_late);
	own_init(queue);
	receive_init(queue);
	sweep_init(queue);
	queue->url = conf->url;
	if (queue->url)
		receive_begin(queue);
	else
		own_begin(queue);
	*ret_queue = queue;
	return 0;
}

void queue_stop(struct queue *queue)
{
	if (!queue)
		return;
	stop_work(queue);
	timer_cancel(&queue->leaving.timer);
	aws_cancel(queue->leaving.run);
	aws_close(queue->aws);
	free(queue);
}

bool queue_is_well(const struct queue *queue)
{
	return queue->receive.well;
}

uint64_t queue_messages(const struct queue *queue)
{
	return queue->receive.messages;
}

json_t *queue_describe(const struct queue *queue)
{
	return JOT({"url", jot_text(queue->url)}, {"own", json_boolean(!queue->conf.url)},
		   {"healthy", json_boolean(queue->receive.well)},
		   {"messages", json_integer((json_int_t)queue->receive.messages)},
		   {"problem", jot_text(*queue->problem ? queue->problem : NULL)});
}
