/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper sees sessions end: by what the programs tell, and by looking.
 *
 * A flow that is over stays for a minute, so that what is under way still (a last acknowledgement
 * that was lost, a FIN that is sent again) finds it; unless somebody begins a new connection on one
 * of its tuples, or its slot is needed. It needs no sockets for that: its tuples are free for whom
 * they would be if it had been relayed.
 */
#include "proxy/base/clock.h"
#include "proxy/offload/internal.h"

#define SWEEP_MS  1000
#define LINGER_US (60 * US_PER_SEC) /* as TIME_WAIT is in Linux */

/* In repair: their peers hear nothing. */
void grave_close(struct offload *offload, struct grave *grave)
{
	cellars_clear(offload->cellars, grave->row);
	grave->row = CELLAR_NOWHERE;
}

void grave_clear(struct offload *offload, struct grave *grave)
{
	list_remove(&grave->link);
	flow_remove(offload->engine, grave->index);
	grave_close(offload, grave);
	grave->ticket = NULL;
	grave->state = GRAVE_FREE;
}

static void arm_over(struct offload *offload)
{
	struct grave *first;
	uint64_t now = clock_us();

	if (list_empty(&offload->over))
		return;
	first = container_of(offload->over.next, struct grave, link);
	loop_arm(&offload->loop, &offload->over_timer,
		 first->due_us > now ? (first->due_us - now) / US_PER_MS + 1 : 1);
}

void keeper_on_over_timer(struct timer *timer)
{
	struct offload *offload = container_of(timer, struct offload, over_timer);
	uint64_t now = clock_us();

	while (!list_empty(&offload->over)) {
		struct grave *grave = container_of(offload->over.next, struct grave, link);

		if (grave->due_us > now)
			break;
		grave_clear(offload, grave);
	}
	arm_over(offload);
}

bool keeper_make_room(struct offload *offload)
{
	if (list_empty(&offload->over))
		return false;
	grave_clear(offload, container_of(offload->over.next, struct grave, link));
	return true;
}

void keeper_linger(struct offload *offload, struct grave *grave)
{
	list_remove(&grave->link);
	grave->state = GRAVE_OVER;
	grave->due_us = clock_us() + LINGER_US;
	list_push_back(&offload->over, &grave->link);
	if (!timer_is_armed(&offload->over_timer))
		arm_over(offload);
}

static void end(struct offload *offload, struct grave *grave, enum offload_end how)
{
	struct offload_message message = {.op = OFFLOAD_OVER, .ticket = grave->ticket, .end = how};

	flow_look(offload->engine, grave->index, &message.view);
	grave_close(offload, grave);
	keeper_linger(offload, grave);
	offload_note(offload, OFFLOAD_ENDED);
	atomic_fetch_sub_explicit(&offload->open, 1, memory_order_relaxed);
	if (grave->ticket)
		keeper_tell(offload, grave->worker, &message, NULL);
	grave->ticket = NULL;
	flow_told(offload->engine, grave->index);
}

/* Whatever the flows say of themselves, since events may be lost. */
void keeper_see_end(struct offload *offload, struct grave *grave)
{
	struct flow_view view;

	if (grave->state != GRAVE_BURIED)
		return;
	flow_look(offload->engine, grave->index, &view);
	if (!grave->first_fin)
		grave->first_fin = view.first_fin;
	/* Closed comes first: whoever is gone by then may answer a late packet with RST. */
	if (view.closed)
		end(offload, grave,
		    grave->first_fin == 2 ? OFFLOAD_END_BACKEND_FIN : OFFLOAD_END_CLIENT_FIN);
	else if (view.rst[0] || view.rst[1])
		end(offload, grave, view.rst[0] ? OFFLOAD_END_CLIENT_RST : OFFLOAD_END_BACKEND_RST);
}

/* Events are lost when the ring is full, so every session is looked at now and then as well: an
 * eighth of them every second, while there are any. */
void keeper_on_sweep_timer(struct timer *timer)
{
	struct offload *offload = container_of(timer, struct offload, sweep_timer);
	uint32_t sessions = flow_capacity(offload->engine);
	uint32_t end = offload->swept + sessions / 8 + 1;

	for (; offload->swept < end && offload->swept < sessions; offload->swept++)
		keeper_see_end(offload, &offload->graves[offload->swept]);
	if (offload->swept == sessions)
		offload->swept = 0;
	keeper_arm_sweep(offload);
}

void keeper_arm_sweep(struct offload *offload)
{
	if (atomic_load_explicit(&offload->open, memory_order_relaxed) &&
	    !timer_is_armed(&offload->sweep_timer))
		loop_arm(&offload->loop, &offload->sweep_timer, SWEEP_MS);
}

/* What cannot be translated goes by way of sockets from now on. */
static void give_back(struct offload *offload, struct grave *grave)
{
	grave->odd = true;
	if (grave->state == GRAVE_BURIED && grave->ticket)
		keeper_recall(offload, grave->index, grave->ticket, false);
}

static void on_event(void *context, const struct flow_event *event)
{
	struct offload *offload = context;
	struct grave *grave;

	if (event->index >= 2 * flow_capacity(offload->engine) ||
	    flow_at(offload->engine, event->index)->serial != event->serial)
		return;
	grave = grave_of(offload, event->index);
	switch (event->kind) {
	case FLOW_EVENT_FIN:
		if (!grave->first_fin)
			grave->first_fin = (uint8_t)(1 + (event->index & 1));
		break;
	case FLOW_EVENT_CLOSED:
	case FLOW_EVENT_RST:
		keeper_see_end(offload, grave);
		break;
	case FLOW_EVENT_SYN:
		keeper_see_end(offload, grave);
		if (grave->state == GRAVE_OVER)
			grave_clear(offload, grave);
		break;
	default:
		give_back(offload, grave);
	}
}

void keeper_on_events(struct loop_source *source, uint32_t events)
{
	struct offload *offload = container_of(source, struct offload, events);

	flow_events(offload->engine, on_event, offload);
}
