/* SPDX-License-Identifier: Apache-2.0
 *
 * Word that something changed, from an SQS queue: `queue: auto` or a URL.
 *
 *      EventBridge --> (SNS topic -->) queue --> receive --> feeds that it may concern: ask now
 *                                                  \--> and once more, five seconds later
 *
 * Happy path: with auto a queue of our own is made, allowed for the topic, subscribed to it and
 * tagged with the hour; long polls bring events, each of which makes feeds ask, and is deleted. At
 * the end the subscription and the queue go. Queues of daemons that did not get so far are found by
 * their tags and swept. What stands in an event is never believed: it says when to ask, not what
 * there is, so it does not matter if it comes twice, late or in no order.
 * Failure modes: whatever fails is said once and tried again with backoff, for ever; polling goes
 * on as configured, whether the queue is well or not. A queue of ours that somebody deleted is made
 * anew.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "control/aws/aws.h"

struct feed_set;
struct journal;
struct loop;
struct queue;

struct queue_conf {
	struct loop *loop;
	struct aws_hub *hub;
	struct aws_place place; /* of queues whose own place does not say; texts outlive us */
	struct journal *journal;
	const struct feed_set *feeds;
	const char *url;   /* NULL: one of our own; outlives us, like `topic` */
	const char *topic; /* ARN; for one of our own */
};

/* No I/O. 0, -ENOMEM, or -EINVAL with a sentence in `ret_problem`. */
int queue_start(const struct queue_conf *conf, struct queue **ret_queue, char *ret_problem,
		size_t size);

/* Take back what was made. on_left() comes once, later, in a few seconds at the latest. */
void queue_leave(struct queue *queue, void (*on_left)(void *context), void *context);

/* Before the hub; nothing is told any more. Accepts NULL. */
void queue_stop(struct queue *queue);

bool queue_is_well(const struct queue *queue); /* it is received from */
uint64_t queue_messages(const struct queue *queue);

/* {"url", "own", "healthy", "messages", "problem"}. NULL without memory. */
json_t *queue_describe(const struct queue *queue);

/* Where a queue is or would be, by its URL or else its topic: `buf` (64 bytes), or NULL if neither
 * says. */
const char *queue_region(const char *url, const char *topic, char *buf);
