/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper gives sessions back: their packets are held (who sent them sends them again), and when
 * everything that went by is acknowledged the sockets are made anew and go to the worker.
 *
 * Failure modes: bytes keep being under way (BUSY after HOLD_US, the flow goes on; one that cannot
 * be translated any more comes back as far as its bytes are acknowledged), sockets cannot be made
 * (the same, over sockets that keep the place). To abort needs no quiet: the sockets are made as
 * things stand, and closed with RST; without any, the flow is gone all the same.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/offload/internal.h"

#define HOLD_US     (200 * US_PER_MS)
#define ODD_HOLD_US (400 * US_PER_MS) /* longer than a peer waits before it sends again */
#define BATCH       512               /* at once */
#define HOLD_MS     2

void offload_end_by_reset(int fd)
{
	struct linger abort = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
}

void offload_reset(int fd)
{
	offload_end_by_reset(fd);
	close(fd);
}

static void stay(struct offload *offload, struct grave *grave)
{
	struct offload_message message = {.op = OFFLOAD_BUSY, .ticket = grave->ticket};

	list_remove(&grave->link);
	grave->state = GRAVE_BURIED;
	flow_resume(offload->engine, grave->index);
	offload_note(offload, OFFLOAD_RECALL_BUSY);
	keeper_tell(offload, grave->worker, &message, NULL);
	keeper_see_end(offload, grave);
}

/* The sockets that kept the place are closed; until those that carry on are there nobody has it,
 * and our own programs hold every packet. */
static void rebuild(struct offload *offload, struct grave *grave)
{
	struct offload_message message = {
		.op = OFFLOAD_BACK, .ticket = grave->ticket, .odd = grave->odd};
	int fds[2];
	int err = flow_rebuild(offload->engine, grave->index, grave->tombs, fds);

	grave->leaving = false;
	if (err && !grave->aborting) {
		if (!flow_rebury(offload->engine, grave->index, grave->tombs, fds))
			grave->row = cellars_keep(offload->cellars, fds);
		stay(offload, grave);
		return;
	}
	atomic_fetch_sub_explicit(&offload->open, 1, memory_order_relaxed);
	offload_note(offload, OFFLOAD_RECALLED);
	flow_look(offload->engine, grave->index, &message.view);
	grave_clear(offload, grave);
	if (!grave->aborting) {
		keeper_tell(offload, grave->worker, &message, fds);
		close(fds[0]);
		close(fds[1]);
		return;
	}
	message.op = OFFLOAD_OVER;
	keeper_tell(offload, grave->worker, &message, NULL);
	if (err)
		return; /* the kernel knows nobody there: it answers what comes with RST */
	offload_reset(fds[0]);
	offload_reset(fds[1]);
}

/* Sockets that wait for their worker lie in this thread's table, which has an end. */
static bool is_taking(const struct offload *offload, const struct grave *grave)
{
	return grave->aborting || list_empty(&offload->sides[grave->worker].outbox.waiting);
}

/* What cannot be translated is not acknowledged, so such a flow is never quiet. By now each peer
 * has sent again what it lacks an answer to, and with it has acknowledged what it got itself. */
static bool must_go_back(const struct offload *offload, const struct grave *grave)
{
	return grave->odd && clock_us() >= grave->due_us &&
	       !flow_has_ended(offload->engine, grave->index);
}

/* True: its sockets are about to be made anew. */
static bool try_to_give_back(struct offload *offload, struct grave *grave)
{
	if (grave->aborting || flow_is_quiet(offload->engine, grave->index) ||
	    must_go_back(offload, grave)) {
		grave->leaving = true;
		grave_close(offload, grave);
		return true;
	}
	if (clock_us() >= grave->due_us)
		stay(offload, grave);
	return false;
}

static void rebuild_leaving(struct offload *offload)
{
	cellars_wait(offload->cellars); /* once for all of them */
	list_for_each_safe (link, &offload->held) {
		struct grave *grave = container_of(link, struct grave, link);

		if (grave->leaving)
			rebuild(offload, grave);
	}
}

void keeper_on_hold_timer(struct timer *timer)
{
	struct offload *offload = container_of(timer, struct offload, hold_timer);
	unsigned count = 0;

	flow_grace(); /* whoever saw them active has finished */
	list_for_each_safe (link, &offload->held) {
		struct grave *grave = container_of(link, struct grave, link);

		if (count == BATCH)
			break;
		if (is_taking(offload, grave))
			count += try_to_give_back(offload, grave);
	}
	rebuild_leaving(offload);
	if (!list_empty(&offload->held))
		loop_arm(&offload->loop, &offload->hold_timer, count == BATCH ? 1 : HOLD_MS);
}

void keeper_recall(struct offload *offload, uint32_t index, struct offload_ticket *ticket,
		   bool abort)
{
	struct grave *grave = grave_of(offload, index);

	if (grave->ticket != ticket)
		return; /* it has ended: the worker is about to hear */
	grave->aborting = grave->aborting || abort;
	if (grave->state != GRAVE_BURIED)
		return;
	flow_hold(offload->engine, grave->index);
	grave->state = GRAVE_HELD;
	grave->due_us = clock_us() + (grave->odd ? ODD_HOLD_US : HOLD_US);
	list_remove(&grave->link);
	list_push_back(&offload->held, &grave->link);
	if (!timer_is_armed(&offload->hold_timer))
		loop_arm(&offload->loop, &offload->hold_timer, 1);
}

static bool is_open(const struct grave *grave)
{
	return grave->state == GRAVE_BURIED || grave->state == GRAVE_HELD;
}

void keeper_reset_all(struct offload *offload)
{
	uint32_t sessions = flow_capacity(offload->engine);

	for (uint32_t i = 0; i < sessions; i++)
		if (is_open(&offload->graves[i])) {
			flow_hold(offload->engine, offload->graves[i].index);
			grave_close(offload, &offload->graves[i]);
		}
	flow_grace();
	cellars_wait(offload->cellars);
	for (uint32_t i = 0; i < sessions; i++) {
		struct grave *grave = &offload->graves[i];

		grave->aborting = true;
		if (is_open(grave))
			rebuild(offload, grave);
		else if (grave->state != GRAVE_FREE)
			grave_clear(offload, grave);
	}
}
