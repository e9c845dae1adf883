/* SPDX-License-Identifier: Apache-2.0
 *
 * One call of AWS after the other on behalf of a source, at most one at a time: the thread of a
 * fetch, which its parts (control/instances.h, control/zones.h) continue in turn.
 *
 * Happy path: each call sees its pages and goes on to its `next`; the last of them ends the fetch.
 * Failure modes: a call that fails ends the fetch with source_failed(), once, and `next` is not
 * called; so does memory that runs short, in the loop's next turn, since a fetch ends later than
 * it begins.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "control/aws/aws.h"
#include "proxy/base/loop.h"

struct source;

struct asking {
	struct source *source;
	struct aws_run *run;            /* NULL: none */
	struct loop_task out_of_memory; /* on the ready list when a call could not begin */
	int (*page)(void *context, const json_t *page);
	void (*next)(void *context);
	void *context; /* of both */
};

void asking_init(struct asking *asking, struct source *source);
void asking_cancel(struct asking *asking); /* nothing is told any more */

/* As aws_start() and aws_start_batches(); `op->on_page`, `on_end` and `context` are ours. */
void asking_call(struct asking *asking, const struct aws_op *op,
		 int (*page)(void *context, const json_t *page), void (*next)(void *context),
		 void *context);
void asking_batches(struct asking *asking, const struct aws_op *op, const char *key, json_t *items,
		    size_t batch, int (*page)(void *context, const json_t *page),
		    void (*next)(void *context), void *context);
