/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of control/queue/ share. Everyone else includes control/queue.h.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "control/aws/aws.h"
#include "control/queue.h"
#include "proxy/base/timer.h"

#define QUEUE_PREFIX     "sluice-control-"
#define QUEUE_RANDOM     16 /* hex digits behind it */
#define QUEUE_TEXT       512
#define TAG_TOPIC        "sluice-control:topic"
#define TAG_SEEN         "sluice-control:seen" /* seconds since the epoch, renewed */
#define TAG_SUBSCRIPTION "sluice-control:subscription"

/* What there is of our own queue, and so which step comes next. */
enum own_step {
	OWN_FORGET, /* what is left of one that somebody deleted */
	OWN_CREATE,
	OWN_ARN,
	OWN_POLICY,
	OWN_SUBSCRIBE,
	OWN_TAG,
	OWN_READY
};

struct own {
	struct timer timer; /* the next attempt, and later the next time it is tagged */
	struct aws_run *run;
	enum own_step step;
	unsigned failures; /* in a row */
	char name[sizeof(QUEUE_PREFIX) + QUEUE_RANDOM];
	char url[QUEUE_TEXT];
	char arn[QUEUE_TEXT];
	char subscription[QUEUE_TEXT];
};

struct receive {
	struct timer timer;
	struct aws_run *run;
	struct aws_run *delete_run;
	json_t *entries;   /* of the next DeleteMessageBatch */
	uint64_t asked_us; /* when the long poll began */
	unsigned failures; /* in a row */
	bool well;         /* the last long poll was */
	bool undeleted;    /* the last messages could not be deleted */
	uint64_t messages; /* ever */
	struct timer echo; /* when `recent` counts once more */
	json_t *recent;    /* events that were acted on once */
};

struct sweep {
	struct timer timer;
	struct aws_run *run;
	json_t *urls; /* of queues that may be orphans, still to be looked at */
	json_t *tags; /* of the one that is looked at */
};

struct leaving {
	struct timer timer; /* the latest end */
	struct aws_run *run;
	void (*on_left)(void *context);
	void *context;
};

struct queue {
	struct queue_conf conf;
	struct aws *aws;
	const char *url; /* that is listened to; NULL: not made yet */
	char problem[512];
	struct own own;
	struct receive receive;
	struct sweep sweep;
	struct leaving leaving;
};

#define queue_note(queue, level, kind, ...)                                                        \
	journal_note((queue)->conf.journal, level, kind, NULL, NULL, NULL, __VA_ARGS__)

struct queue_call {
	enum aws_service service;
	const char *action;
	json_t *input; /* taken over */
	int (*on_page)(void *context, const json_t *page);
	void (*on_end)(void *context, const struct aws_error *error);
};

/* With the queue as context. NULL without memory. */
struct aws_run *queue_ask(struct queue *queue, const struct queue_call *call);

/* Said if it is news. NULL: all is well again. */
void queue_problem(struct queue *queue, const char *problem);

/* Doubled from a second up to a minute, with jitter. */
uint64_t queue_backoff_ms(unsigned failures);
uint64_t queue_jitter(uint64_t ms);

bool queue_is_gone(const struct aws_error *error);

/* --- own.c --- */
void own_init(struct queue *queue);
void own_stop(struct queue *queue);
void own_begin(struct queue *queue);           /* anew, under another name */
uint64_t own_now_s(const struct queue *queue); /* as AWS's clocks say */

/* --- receive.c --- */
void receive_init(struct queue *queue);
void receive_begin(struct queue *queue);
void receive_stop(struct queue *queue);

/* --- sweep.c --- */
void sweep_init(struct queue *queue);
void sweep_begin(struct queue *queue);
void sweep_stop(struct queue *queue);
