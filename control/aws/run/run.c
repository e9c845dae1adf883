/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of an operation: from its first page to its only end.
 *
 * Happy path: in the turn after aws_start() the first page is asked for, each page is shown to its
 * owner, a token asks for the next one, a batch that is through makes room for the next, and the
 * end is told when nothing is left. Failure modes: see control/aws/aws.h. The run is freed before
 * its end is told, so whoever is told may start, cancel and close whatever there is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/run/internal.h"
#include "control/aws/run/region.h"
#include "proxy/base/panic.h"

static void run_free(struct aws_run *run)
{
	attempt_drop(run);
	region_forget(run);
	list_remove(&run->task.link);
	list_remove(&run->link);
	json_decref(run->op.input);
	json_decref(run->items);
	json_decref(run->tokens);
	free(run);
}

static void end(struct aws_run *run, bool is_good)
{
	void (*on_end)(void *context, const struct aws_error *error) = run->op.on_end;
	void *context = run->op.context;
	struct aws_error error = run->error;

	run->aws->hub->counts[run->op.service].errors[is_good ? AWS_OK : error.kind]++;
	run_free(run);
	on_end(context, is_good ? NULL : &error);
}

void run_fail(struct aws_run *run)
{
	end(run, false);
}

static void on_failed(struct loop_task *task)
{
	run_fail(container_of(task, struct aws_run, task));
}

void run_fail_later(struct aws_run *run)
{
	run->task.run = on_failed;
	loop_ready(run->aws->hub->loop, &run->task);
}

/* --- batches --- */

/* The input for the items that come next; what the page before added to it is undone. */
static int next_batch(struct aws_run *run)
{
	size_t count = json_array_size(run->items);
	json_t *some = json_array();

	for (size_t i = 0; some && i < run->batch && run->next_item < count; i++)
		if (json_array_append(some, json_array_get(run->items, run->next_item++))) {
			json_decref(some);
			return -ENOMEM;
		}
	if (run->op.token_in)
		json_object_del(run->op.input, run->op.token_in);
	json_object_clear(run->tokens);
	return json_object_set_new(run->op.input, run->batch_key, some) ? -ENOMEM : 0;
}

static bool has_batch(const struct aws_run *run)
{
	return run->items && run->next_item < json_array_size(run->items);
}

static void go_on(struct aws_run *run)
{
	if (run->items && next_batch(run)) {
		failure_set(run, AWS_MEMORY, "out of memory");
		run_fail(run);
		return;
	}
	attempt_first(run);
}

/* --- pages --- */

/* 1: the input asks for the next page; 0: this was the last one; or -errno with the error set. */
static int turn_page(struct aws_run *run, const json_t *page)
{
	const char *token = run->op.token_out ? aws_text(page, run->op.token_out) : NULL;

	if (!token)
		return 0;
	if (json_object_get(run->tokens, token) || run->pages >= AWS_PAGES) {
		failure_set(run, AWS_GARBAGE,
			    run->pages >= AWS_PAGES ? "there are pages without end"
						    : "a page leads back to one before it");
		return -EPROTO;
	}
	if (json_object_set_new(run->tokens, token, json_true()) ||
	    json_object_set_new(run->op.input, run->op.token_in, json_string(token))) {
		failure_set(run, AWS_MEMORY, "out of memory");
		return -ENOMEM;
	}
	return 1;
}

static int show_page(struct aws_run *run, const json_t *page)
{
	int err = run->op.on_page ? run->op.on_page(run->op.context, page) : 0;

	if (err == -ENOMEM)
		failure_set(run, AWS_MEMORY, "out of memory");
	else if (err)
		failure_set(run, AWS_GARBAGE,
			    "the answer lacks what it must have, or contradicts "
			    "itself");
	return err ?: turn_page(run, page);
}

void run_page(struct aws_run *run, json_t *page)
{
	int more;

	run->pages++;
	more = show_page(run, page);
	json_decref(page);
	if (more < 0)
		run_fail(run);
	else if (more)
		attempt_first(run);
	else if (has_batch(run))
		go_on(run);
	else
		end(run, true);
}

/* --- from outside --- */

static void begin(struct aws_run *run)
{
	if (run->items && !has_batch(run))
		end(run, true);
	else
		go_on(run);
}

static void on_begin(struct loop_task *task)
{
	struct aws_run *run = container_of(task, struct aws_run, task);

	if (!run->op.input || !run->tokens) {
		failure_set(run, AWS_MEMORY, "out of memory");
		run_fail(run);
	} else if (*run->aws->region) {
		begin(run);
	} else {
		region_find(run);
	}
}

void run_begin_later(struct aws_run *run)
{
	run->task.run = on_begin;
	loop_ready(run->aws->hub->loop, &run->task);
}

struct aws_run *aws_start(struct aws *aws, const struct aws_op *op)
{
	struct aws_run *run = calloc(1, sizeof(*run));

	must(op->on_end && !op->token_out == !op->token_in);
	if (!run) {
		json_decref(op->input);
		return NULL;
	}
	run->aws = aws;
	run->op = *op;
	run->tokens = json_object();
	list_init(&run->task.link);
	timer_init(&run->timer, NULL);
	list_push_back(&aws->runs, &run->link);
	run_begin_later(run);
	return run;
}

struct aws_run *aws_start_batches(struct aws *aws, const struct aws_op *op, const char *key,
				  json_t *items, size_t batch)
{
	struct aws_run *run;

	must(batch > 0);
	run = items ? aws_start(aws, op) : NULL;
	if (!run) {
		if (!items)
			json_decref(op->input);
		json_decref(items);
		return NULL;
	}
	run->items = items;
	run->batch_key = key;
	run->batch = batch;
	return run;
}

void aws_cancel(struct aws_run *run)
{
	if (run)
		run_free(run);
}
