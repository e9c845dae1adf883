/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the long polls. Happy path: a short one, to see whether there is a queue, and then one of
 * twenty seconds after the other; what comes triggers the feeds that it may concern, at once and
 * again ECHO_MS later, because the API may answer with what was before the event; then it is
 * deleted.
 * Failure modes: a poll that fails is repeated with backoff; messages that could not be deleted
 * come again, and trigger again, which does no harm. Too many events in too little time are all
 * that may have happened.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/feed.h"
#include "control/journal.h"
#include "control/queue/event.h"
#include "control/queue/internal.h"
#include "proxy/base/clock.h"
#include "proxy/base/jot.h"
#include "proxy/base/loop.h"

#define WAIT_S     20
#define TIMEOUT_MS 30000
#define MESSAGES   10   /* the most that one call gives */
#define EMPTY_MS   1000 /* at least, between polls that bring nothing */
#define ECHO_MS    5000
#define RECENT     100

static void trigger(const struct queue *queue, const json_t *event)
{
	char why[200];

	event_name(event, why, sizeof(why));
	list_for_each (at, &queue->conf.feeds->feeds) {
		struct feed *feed = container_of(at, struct feed, link);
		const char *region = feed->aws ? aws_region(feed->aws) : NULL;

		if (feed->kind->is_aws &&
		    event_concerns(event, feed->kind->name, feed->source->conf, region))
			feed_trigger(feed, why);
	}
}

static void on_echo(struct timer *timer)
{
	struct queue *queue = container_of(timer, struct queue, receive.echo);
	json_t *events = queue->receive.recent, *event;
	size_t index;

	queue->receive.recent = NULL;
	json_array_foreach (events, index, event)
		trigger(queue, event);
	json_decref(events);
}

/* Takes `event`. */
static void remember(struct queue *queue, json_t *event)
{
	struct receive *receive = &queue->receive;

	if (!receive->recent)
		receive->recent = json_array();
	if (json_array_size(receive->recent) == RECENT) {
		json_array_clear(receive->recent); /* one of no source stands for all */
		json_array_append_new(receive->recent, json_object());
	}
	json_array_append_new(receive->recent, event);
	if (!timer_is_armed(&receive->echo))
		loop_arm(queue->conf.loop, &receive->echo, ECHO_MS);
}

static int take_message(struct queue *queue, const json_t *message)
{
	struct receive *receive = &queue->receive;
	const char *handle = aws_text(message, "ReceiptHandle");
	json_t *event = event_read(aws_text(message, "Body"));
	char id[16];

	if (!event || !handle) {
		json_decref(event);
		return event ? -EPROTO : -ENOMEM;
	}
	receive->messages++;
	trigger(queue, event);
	remember(queue, event);
	snprintf(id, sizeof(id), "%zu", json_array_size(receive->entries));
	return json_array_append_new(
		       receive->entries,
		       JOT({"Id", json_string(id)}, {"ReceiptHandle", json_string(handle)})) < 0
		       ? -ENOMEM
		       : 0;
}

static int on_page(void *context, const json_t *page)
{
	struct queue *queue = context;
	const json_t *messages = aws_list(page, "Messages"), *message;
	size_t index;
	int err = 0;

	json_decref(queue->receive.entries);
	queue->receive.entries = json_array();
	json_array_foreach (messages, index, message)
		if (!err)
			err = take_message(queue, message);
	return err;
}

static void on_deleted(void *context, const struct aws_error *error)
{
	struct queue *queue = context;

	queue->receive.delete_run = NULL;
	if (error && !queue->receive.undeleted)
		queue_note(queue, LOG_WARN, "queue_failed", "messages will come again: %s",
			   error->text);
	queue->receive.undeleted = error;
}

/* One at a time: what is left comes again. */
static bool delete_messages(struct queue *queue)
{
	struct receive *receive = &queue->receive;
	json_t *entries = receive->entries;

	receive->entries = NULL;
	if (!json_array_size(entries) || receive->delete_run) {
		json_decref(entries);
		return false;
	}
	receive->delete_run = queue_ask(
		queue, &(struct queue_call){.service = AWS_SQS,
					    .action = "DeleteMessageBatch",
					    .input = JOT({"QueueUrl", json_string(queue->url)},
							 {"Entries", entries}),
					    .on_end = on_deleted});
	return true;
}

static void fail(struct queue *queue, const struct aws_error *error)
{
	struct receive *receive = &queue->receive;

	receive->well = false;
	queue_problem(queue, error->text);
	if (queue_is_gone(error) && !queue->conf.url) {
		sweep_stop(queue);
		own_begin(queue);
		return;
	}
	loop_arm(queue->conf.loop, &receive->timer, queue_backoff_ms(receive->failures++));
}

static void on_end(void *context, const struct aws_error *error)
{
	struct queue *queue = context;
	struct receive *receive = &queue->receive;
	bool was_well = receive->well, quick, some;

	receive->run = NULL;
	if (error) {
		fail(queue, error);
		return;
	}
	if (!was_well)
		queue_note(queue, LOG_INFO, "queue_up", "listening to %s", queue->url);
	receive->well = true;
	receive->failures = 0;
	queue_problem(queue, NULL);
	some = delete_messages(queue);
	quick = was_well && clock_us() - receive->asked_us < EMPTY_MS * US_PER_MS;
	loop_arm(queue->conf.loop, &receive->timer, some || !quick ? 0 : EMPTY_MS);
}

static void on_due(struct timer *timer)
{
	struct queue *queue = container_of(timer, struct queue, receive.timer);
	struct receive *receive = &queue->receive;
	struct aws_op op = {
		.service = AWS_SQS,
		.action = "ReceiveMessage",
		.input = JOT({"QueueUrl", json_string(queue->url)},
			     {"MaxNumberOfMessages", json_integer(MESSAGES)},
			     {"WaitTimeSeconds", json_integer(receive->well ? WAIT_S : 0)}),
		.on_page = on_page,
		.on_end = on_end,
		.context = queue,
		.timeout_ms = TIMEOUT_MS,
		.once = true};

	receive->asked_us = clock_us();
	receive->run = aws_start(queue->aws, &op);
	if (!receive->run)
		loop_arm(queue->conf.loop, &receive->timer, queue_backoff_ms(receive->failures++));
}

void receive_init(struct queue *queue)
{
	timer_init(&queue->receive.timer, on_due);
	timer_init(&queue->receive.echo, on_echo);
}

void receive_begin(struct queue *queue)
{
	queue->receive.failures = 0;
	loop_arm(queue->conf.loop, &queue->receive.timer, 0);
}

void receive_stop(struct queue *queue)
{
	struct receive *receive = &queue->receive;

	timer_cancel(&receive->timer);
	timer_cancel(&receive->echo);
	aws_cancel(receive->run);
	aws_cancel(receive->delete_run);
	json_decref(receive->entries);
	json_decref(receive->recent);
	receive->run = receive->delete_run = NULL;
	receive->entries = receive->recent = NULL;
}
