/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls of a fetch, one after the other. See control/asking.h.
 */
#include "control/asking.h"

#include "control/source.h"
#include "proxy/base/panic.h"

static void on_out_of_memory(struct loop_task *task)
{
	struct asking *asking = container_of(task, struct asking, out_of_memory);

	source_failed(asking->source, aws_error_kind_names[AWS_MEMORY], "out of memory");
}

void asking_init(struct asking *asking, struct source *source)
{
	*asking = (struct asking){.source = source, .out_of_memory.run = on_out_of_memory};
	list_init(&asking->out_of_memory.link);
}

void asking_cancel(struct asking *asking)
{
	aws_cancel(asking->run);
	asking->run = NULL;
	list_remove(&asking->out_of_memory.link);
}

static int on_page(void *context, const json_t *page)
{
	struct asking *asking = context;

	return asking->page(asking->context, page);
}

static void on_end(void *context, const struct aws_error *error)
{
	struct asking *asking = context;

	asking->run = NULL;
	if (error)
		source_failed_call(asking->source, error);
	else
		asking->next(asking->context);
}

static struct aws_op prepare(struct asking *asking, const struct aws_op *op,
			     int (*page)(void *context, const json_t *page),
			     void (*next)(void *context), void *context)
{
	struct aws_op ours = *op;

	must(!asking->run);
	asking->page = page;
	asking->next = next;
	asking->context = context;
	ours.on_page = on_page;
	ours.on_end = on_end;
	ours.context = asking;
	return ours;
}

static void began(struct asking *asking, struct aws_run *run)
{
	asking->run = run;
	if (!run)
		loop_ready(asking->source->world.loop, &asking->out_of_memory);
}

void asking_call(struct asking *asking, const struct aws_op *op,
		 int (*page)(void *context, const json_t *page), void (*next)(void *context),
		 void *context)
{
	struct aws_op ours = prepare(asking, op, page, next, context);

	began(asking, aws_start(asking->source->world.aws, &ours));
}

void asking_batches(struct asking *asking, const struct aws_op *op, const char *key, json_t *items,
		    size_t batch, int (*page)(void *context, const json_t *page),
		    void (*next)(void *context), void *context)
{
	struct aws_op ours = prepare(asking, op, page, next, context);

	began(asking, aws_start_batches(asking->source->world.aws, &ours, key, items, batch));
}
