/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper takes sessions over: all that were asked for in one turn share one grace period, in
 * which this thread waits and others gather.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/offload/internal.h"

#define BATCH 512

static void answer(struct offload *offload, struct offload_ticket *ticket,
		   enum flow_refusal refusal)
{
	struct offload_message message = {
		.op = OFFLOAD_INSERTED, .ticket = ticket, .refusal = refusal};

	if (refusal != FLOW_FINE)
		atomic_fetch_add_explicit(&offload->refusals[refusal], 1, memory_order_relaxed);
	keeper_tell(offload, ticket->note.worker, &message, NULL);
}

void keeper_ask(struct offload *offload, uint32_t worker, struct offload_ticket *ticket)
{
	ticket->note.worker = worker;
	list_push_back(&offload->asked, &ticket->link);
	loop_ready(&offload->loop, &offload->insert_task);
}

static void open_grave(struct offload *offload, struct offload_ticket *ticket)
{
	struct grave *grave = grave_of(offload, ticket->index);

	grave->ticket = ticket;
	grave->index = ticket->index;
	grave->worker = ticket->note.worker;
	grave->state = GRAVE_PENDING;
	grave->first_fin = 0;
	grave->aborting = grave->odd = grave->leaving = false;
	grave->row = CELLAR_NOWHERE;
	memcpy(grave->hops, ticket->hops, sizeof(grave->hops));
	for (unsigned leg = 0; leg < 2; leg++)
		grave->tombs[leg] = (struct flow_tomb){.local = ticket->legs.local[leg],
						       .peer = ticket->legs.peer[leg],
						       .snapshot = ticket->legs.before[leg]};
}

static enum flow_refusal prepare(struct offload *offload, struct offload_ticket *ticket)
{
	if (offload->doubts)
		return FLOW_DOUBT;
	if (keeper_find_ways(offload, ticket))
		return FLOW_ROUTE;
	if (flow_used(offload->engine) >= offload->limit && !keeper_make_room(offload))
		return FLOW_FULL;
	if (flow_take(offload->engine, &ticket->index))
		return FLOW_FULL;
	flow_fill(offload->engine, ticket->index, &ticket->legs);
	return FLOW_FINE;
}

static size_t prepare_batch(struct offload *offload, struct offload_ticket **tickets,
			    uint32_t *indexes)
{
	size_t count = 0;
	struct list *link;

	while (count < BATCH && (link = list_pop_front(&offload->asked))) {
		struct offload_ticket *ticket = container_of(link, struct offload_ticket, link);
		enum flow_refusal refusal = prepare(offload, ticket);

		if (refusal != FLOW_FINE) {
			answer(offload, ticket, refusal);
			continue;
		}
		tickets[count] = ticket;
		indexes[count++] = ticket->index;
	}
	return count;
}

void keeper_insert_all(struct loop_task *task)
{
	struct offload *offload = container_of(task, struct offload, insert_task);
	struct offload_ticket *tickets[BATCH];
	uint32_t indexes[BATCH];
	int errs[BATCH];
	size_t count = prepare_batch(offload, tickets, indexes);

	if (count) {
		flow_insert(offload->engine, indexes, count, errs);
		flow_grace();
	}
	for (size_t i = 0; i < count; i++) {
		if (errs[i]) {
			flow_give_back(offload->engine, indexes[i]);
			answer(offload, tickets[i], errs[i] == -EEXIST ? FLOW_TUPLE : FLOW_ERROR);
			continue;
		}
		open_grave(offload, tickets[i]);
		answer(offload, tickets[i], FLOW_FINE);
	}
	if (!list_empty(&offload->asked))
		loop_ready(&offload->loop, &offload->insert_task);
}

/* Packets have gone by these sockets already, so they cannot go on. */
static void lose(struct offload *offload, struct grave *grave, struct offload_ticket *ticket,
		 const int fds[2])
{
	struct offload_message message = {.op = OFFLOAD_LOST, .ticket = ticket};

	flow_look(offload->engine, grave->index, &message.view);
	grave_clear(offload, grave);
	for (unsigned leg = 0; leg < 2; leg++)
		if (fds[leg] >= 0)
			offload_reset(fds[leg]);
	keeper_tell(offload, ticket->note.worker, &message, NULL);
}

/* The note is there first, so that a process that finds the flow silenced finds that too. */
void keeper_bury(struct offload *offload, struct offload_ticket *ticket, const int fds[2])
{
	struct grave *grave = grave_of(offload, ticket->index);
	int err = fds[0] < 0 ? -EMFILE
			     : flow_note_write(offload->engine, ticket->index, &ticket->note);

	if (!err)
		err = flow_bury(offload->engine, ticket->index, fds);
	if (err) {
		lose(offload, grave, ticket, fds);
		return;
	}
	grave->row = cellars_keep(offload->cellars, fds);
	grave->state = GRAVE_BURIED;
	offload_note(offload, OFFLOAD_PROMOTED);
	atomic_fetch_add_explicit(&offload->open, 1, memory_order_relaxed);
	keeper_arm_sweep(offload);
	keeper_see_end(offload, grave);
}

/* The session ended on its sockets, while packets were translated already. */
void keeper_cancel(struct offload *offload, uint32_t index)
{
	struct grave *grave = grave_of(offload, index);

	if (grave->state == GRAVE_PENDING)
		grave_clear(offload, grave);
}
