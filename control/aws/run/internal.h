/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of the client share: control/aws/aws.c has the hub and the places,
 * control/aws/run/ the life of an operation.
 *
 *      run.c: region -> page -> next page, next batch -> end
 *      attempt.c:        budget -> credentials -> request -> answer -> (again, or up to run.c)
 *      request.c: what is sent;  failure.c: what went wrong, and what to do about it
 */
#pragma once

#include "control/aws/answer.h"
#include "control/aws/aws.h"
#include "control/aws/budget.h"
#include "control/aws/credentials.h"
#include "control/aws/http.h"
#include "control/aws/retry.h"
#include "control/aws/services.h"
#include "proxy/base/list.h"
#include "proxy/base/loop.h"

#define REGION_TEXT 64

struct imds;
struct imds_call;

struct aws_hub {
	struct loop *loop;
	struct http *http;
	struct imds *imds; /* for a region; made when it is needed */
	struct budget_set *budgets;
	struct list chains; /* struct identity::link */
	struct list places; /* struct aws::link */
	bool fips;
	bool dual_stack;
	int64_t skew_us; /* AWS's clock minus ours */
	struct retry_quota quotas[AWS_SERVICES];
	struct aws_counts counts[AWS_SERVICES];
};

/* Credentials that places share: those of one profile and role. */
struct identity {
	struct list link; /* struct aws_hub::chains */
	char *key;
	struct credential_chain *chain;
	unsigned users;
};

struct aws {
	struct list link; /* struct aws_hub::places */
	struct aws_hub *hub;
	struct identity *identity;
	char region[REGION_TEXT]; /* "" while it is not known */
	char *endpoint;           /* or NULL */
	struct list runs;         /* struct aws_run::link */
};

struct aws_run {
	struct list link; /* struct aws::runs */
	struct aws *aws;
	struct aws_op op; /* `input` is that of the page at hand */
	json_t *items;    /* batches: all of them, or NULL */
	size_t batch;
	size_t next_item;
	const char *batch_key;
	json_t *tokens; /* that came so far, as the keys of an object */
	unsigned pages;

	char *body; /* of the page's request */
	size_t body_size;
	unsigned attempt; /* from 1 */
	uint32_t paid;    /* for the last repetition */
	bool clock_corrected;
	bool credentials_renewed;
	char *token; /* the session's, so that it can be cut out of errors */

	struct credential_wait wait;
	struct imds_call *region_call;
	struct http_call *call;
	struct timer timer;    /* the budget's, or the backoff's */
	struct loop_task task; /* begin, or end with `error` */
	struct aws_error error;
};

/* --- run.c --- */

/* The page is here; takes `page`. The run may be gone afterwards. */
void run_page(struct aws_run *run, json_t *page);

/* It ends with `run->error`. The run is gone afterwards. */
void run_fail(struct aws_run *run);

/* The same in the next turn, for callers that must not call out. */
void run_fail_later(struct aws_run *run);

/* The region is known: begin in the next turn. */
void run_begin_later(struct aws_run *run);

/* --- attempt.c --- */

/* Send the page that `op.input` asks for; comes back by run_page() or run_fail(), not at once. */
void attempt_first(struct aws_run *run);

/* Nothing of it will come any more. */
void attempt_drop(struct aws_run *run);

/* --- request.c --- */

/* The body of the page at hand, into the run. 0, -ENOMEM or -EINVAL. */
int request_encode(struct aws_run *run);

/* Sign and send; the answer goes to `on_end` with the run. 0, -ENOMEM, or -EINVAL: no endpoint. */
int request_send(struct aws_run *run, const struct credentials *credentials,
		 void (*on_end)(void *context, const struct http_answer *answer));

/* --- failure.c --- */

/* What an answer, or none, says of a call: 0 when it is good; else `run->error` is set. */
int failure_judge(struct aws_run *run, const struct http_answer *answer);

/* The error in words: "ec2:DescribeInstances in eu-west-1: " and what follows. */
void failure_set(struct aws_run *run, enum aws_error_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Whether other credentials, or another time, could mend it. */
bool failure_is_of_credentials(const struct aws_error *error);
bool failure_is_of_clock(const struct aws_error *error);
