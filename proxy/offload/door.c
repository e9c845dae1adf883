/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's side of the offload. Happy path: an offer is judged by two looks at its sockets and
 * goes to the keeper; inserted, it is looked at every millisecond until what the kernel had taken
 * is relayed and acknowledged; then its sockets are sent over.
 *
 * Failure modes: an owner that ends first leaves its ticket behind, which is freed when the keeper
 * is done with it.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/offload/internal.h"

#define SETTLE_MS 1

static void free_ticket(struct offload_ticket *ticket)
{
	list_remove(&ticket->link);
	free(ticket);
}

static void tell(struct offload_door *door, enum offload_op op, struct offload_ticket *ticket,
		 const int fds[2])
{
	struct offload_message message = {.op = op, .ticket = ticket, .index = ticket->index};

	door_tell(door, &message, fds);
}

void door_tell(struct offload_door *door, const struct offload_message *message, const int fds[2])
{
	outbox_put(&door->outbox, message, fds);
}

/* --- there --- */

static enum flow_refusal look_at(struct offload_ticket *ticket, struct snapshot_tcp snapshots[2])
{
	for (unsigned leg = 0; leg < 2; leg++)
		if (flow_snapshot(ticket->fds[leg], &snapshots[leg]))
			return FLOW_ERROR;
	return FLOW_FINE;
}

uint16_t offload_mss(int fd)
{
	struct snapshot_tcp snapshot;

	return flow_snapshot(fd, &snapshot) ? 0 : snapshot.mss_clamp;
}

static enum flow_refusal judge(struct offload_ticket *ticket)
{
	enum flow_refusal refusal = look_at(ticket, ticket->legs.before);

	if (refusal == FLOW_FINE)
		refusal = flow_judge(&ticket->legs);
	return refusal;
}

bool offload_fits(const int fds[2], bool bulk, bool *ret_narrowed)
{
	struct snapshot_tcp legs[2];
	uint32_t clamps[2];

	if (flow_snapshot(fds[0], &legs[0]) || flow_snapshot(fds[1], &legs[1]) ||
	    flow_fits(legs, bulk, clamps))
		return true;
	for (unsigned leg = 0; leg < 2; leg++) {
		if (!clamps[leg])
			continue;
		setsockopt(fds[leg], IPPROTO_TCP, TCP_WINDOW_CLAMP, &clamps[leg],
			   sizeof(clamps[leg]));
		*ret_narrowed = true;
	}
	return false;
}

void offload_widen(const int fds[2])
{
	const int most = INT_MAX;

	for (unsigned leg = 0; leg < 2; leg++)
		setsockopt(fds[leg], IPPROTO_TCP, TCP_WINDOW_CLAMP, &most, sizeof(most));
}

/* The keeper is not asked for what it would refuse. */
static bool is_full(const struct offload *offload)
{
	return atomic_load_explicit(&offload->open, memory_order_relaxed) >= offload->limit;
}

static enum flow_refusal refuse(struct offload_door *door, enum flow_refusal why)
{
	if (why != FLOW_BUSY)
		atomic_fetch_add_explicit(&door->offload->refusals[why], 1, memory_order_relaxed);
	return why;
}

enum flow_refusal offload_offer(struct offload_door *door, void *owner, const int fds[2],
				const struct addr local[2], const struct addr peer[2],
				const struct flow_note *note, struct offload_ticket **ret_ticket)
{
	struct offload_ticket *ticket;
	enum flow_refusal refusal;

	if (!door->offload->engine)
		return FLOW_ERROR;
	if (is_full(door->offload))
		return refuse(door, FLOW_FULL);
	ticket = calloc(1, sizeof(*ticket));
	if (!ticket)
		return FLOW_ERROR;
	list_init(&ticket->link);
	ticket->door = door;
	ticket->owner = owner;
	ticket->phase = OFFLOAD_ASKED;
	ticket->note = *note;
	for (unsigned leg = 0; leg < 2; leg++) {
		ticket->fds[leg] = fds[leg];
		ticket->legs.local[leg] = local[leg];
		ticket->legs.peer[leg] = peer[leg];
	}
	refusal = judge(ticket);
	if (refusal != FLOW_FINE) {
		free(ticket);
		return refuse(door, refusal);
	}
	tell(door, OFFLOAD_INSERT, ticket, NULL);
	*ret_ticket = ticket;
	return FLOW_FINE;
}

static void complete_note(struct offload_ticket *ticket)
{
	ticket->note.promoted_ns = clock_us() * 1000;
	for (unsigned leg = 0; leg < 2; leg++)
		ticket->note.snapshots[leg] = ticket->legs.before[leg];
}

/* Both peers have all of it, or one wants nothing more: what the sockets think is left is not. */
static bool is_past(const struct offload_ticket *ticket)
{
	struct flow_view view;

	offload_look(ticket, &view);
	return view.closed || view.rst[0] || view.rst[1];
}

static void try_to_settle(struct offload_door *door, struct offload_ticket *ticket)
{
	struct snapshot_tcp now[2];
	uint32_t more[2];
	bool ready;

	if (look_at(ticket, now) != FLOW_FINE)
		return;
	/* Marks are set even if there is more: what is relayed next is acknowledged to the kernel.
	 */
	ready = flow_settled(door->offload->engine, ticket->index, &ticket->legs, now, more) &&
		door->owner.is_clear(ticket->owner);
	if (!ready && !is_past(ticket))
		return;
	door->owner.complete(ticket->owner, &ticket->note);
	/* Should they not arrive, the kernel closes them: not as if the peers had said all. */
	for (unsigned leg = 0; leg < 2; leg++)
		offload_end_by_reset(ticket->fds[leg]);
	tell(door, OFFLOAD_BURY, ticket, ticket->fds);
	list_remove(&ticket->link);
	ticket->phase = OFFLOAD_GONE;
	door->owner.on_gone(ticket->owner);
}

static void on_settle_timer(struct timer *timer)
{
	struct offload_door *door = container_of(timer, struct offload_door, timer);

	list_for_each_safe (link, &door->settling)
		try_to_settle(door, container_of(link, struct offload_ticket, link));
	if (!list_empty(&door->settling))
		loop_arm(door->loop, &door->timer, SETTLE_MS);
}

static void begin_to_settle(struct offload_door *door, struct offload_ticket *ticket)
{
	ticket->phase = OFFLOAD_SETTLING;
	complete_note(ticket);
	list_push_back(&door->settling, &ticket->link);
	if (!timer_is_armed(&door->timer))
		loop_arm(door->loop, &door->timer, SETTLE_MS);
	try_to_settle(door, ticket);
}

static void on_inserted(struct offload_door *door, struct offload_ticket *ticket,
			enum flow_refusal refusal)
{
	void *owner = ticket->owner;

	if (refusal == FLOW_FINE && owner) {
		begin_to_settle(door, ticket);
		return;
	}
	if (refusal == FLOW_FINE)
		tell(door, OFFLOAD_CANCEL, ticket, NULL);
	free_ticket(ticket);
	if (owner)
		door->owner.on_refused(owner, refusal);
}

void offload_cancel(struct offload_ticket *ticket)
{
	ticket->owner = NULL;
	if (ticket->phase != OFFLOAD_SETTLING)
		return; /* the keeper's answer is awaited */
	tell(ticket->door, OFFLOAD_CANCEL, ticket, NULL);
	free_ticket(ticket);
}

/* --- and back --- */

void offload_recall(struct offload_ticket *ticket)
{
	if (ticket->phase != OFFLOAD_GONE)
		return;
	tell(ticket->door, OFFLOAD_RECALL, ticket, NULL);
	ticket->phase = OFFLOAD_RECALLING;
}

void offload_abort(struct offload_ticket *ticket)
{
	ticket->owner = NULL;
	tell(ticket->door, OFFLOAD_ABORT, ticket, NULL);
}

void offload_look(const struct offload_ticket *ticket, struct flow_view *ret_view)
{
	if (ticket->is_over)
		*ret_view = ticket->last;
	else
		flow_look(ticket->door->offload->engine, ticket->index, ret_view);
}

static void on_back(struct offload_door *door, struct offload_ticket *ticket,
		    const struct offload_message *message, const int fds[2])
{
	void *owner = ticket->owner;

	if (owner && fds[0] >= 0) {
		door->owner.on_back(owner, fds, message->odd);
	} else {
		for (unsigned leg = 0; leg < 2; leg++)
			if (fds[leg] >= 0)
				offload_reset(fds[leg]);
		if (owner)
			door->owner.on_end(owner, OFFLOAD_END_CLIENT_RST);
	}
	free_ticket(ticket);
}

static void on_over(struct offload_door *door, struct offload_ticket *ticket, enum offload_end how)
{
	void *owner = ticket->owner;

	if (owner)
		door->owner.on_end(owner, how);
	free_ticket(ticket);
}

/* Nobody wants it: it is ended by the keeper, who will say so. */
static void on_adopt(struct offload_door *door, struct offload_ticket *ticket)
{
	ticket->door = door;
	ticket->owner = door->owner.on_adopt(door->loop, ticket);
	if (!ticket->owner)
		offload_abort(ticket);
}

static void note_last(struct offload_ticket *ticket, const struct flow_view *view)
{
	ticket->last = *view;
	ticket->is_over = true;
}

static void obey(struct offload_door *door, const struct offload_message *message, const int fds[2])
{
	struct offload_ticket *ticket = message->ticket;

	switch (message->op) {
	case OFFLOAD_INSERTED:
		on_inserted(door, ticket, (enum flow_refusal)message->refusal);
		break;
	case OFFLOAD_LOST:
	case OFFLOAD_BACK:
		note_last(ticket, &message->view);
		on_back(door, ticket, message, fds);
		break;
	case OFFLOAD_BUSY:
		ticket->phase = OFFLOAD_GONE;
		if (ticket->owner)
			door->owner.on_stay(ticket->owner);
		break;
	case OFFLOAD_ADOPT:
		on_adopt(door, ticket);
		break;
	case OFFLOAD_OVER:
		note_last(ticket, &message->view);
		on_over(door, ticket, (enum offload_end)message->end);
		break;
	}
}

static void on_message(struct loop_source *source, uint32_t events)
{
	struct offload_door *door = container_of(source, struct offload_door, source);
	struct offload_message message;
	int fds[2];

	if (events & EPOLLOUT)
		outbox_flush(&door->outbox);
	while (message_receive(source->fd, &message, fds) > 0)
		if (!joint_obey(door, &message))
			obey(door, &message, fds);
}

int offload_door_open(struct offload *offload, unsigned worker, struct loop *loop,
		      const struct offload_owner *owner, struct offload_door **ret_door)
{
	struct offload_door *door = calloc(1, sizeof(*door));
	int err;

	if (!door)
		return -ENOMEM;
	door->offload = offload;
	door->worker = worker;
	door->loop = loop;
	door->owner = *owner;
	door->source =
		(struct loop_source){.on_event = on_message, .fd = offload->worker_fds[worker]};
	outbox_init(&door->outbox, door->source.fd);
	list_init(&door->settling);
	list_init(&door->joints);
	timer_init(&door->timer, on_settle_timer);
	err = loop_add(loop, &door->source, EPOLLIN | EPOLLOUT | EPOLLET);
	if (err) {
		free(door);
		return err;
	}
	*ret_door = door;
	return 0;
}

void offload_door_close(struct offload_door *door)
{
	if (!door)
		return;
	timer_cancel(&door->timer);
	loop_remove(door->loop, &door->source);
	joints_forget(door);
	outbox_fini(&door->outbox);
	free(door);
}
