/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper's side of joined sockets: it alone may change the maps, so workers lend it their
 * sockets for that moment.
 *
 * Happy path: joined, answered; a gate that falls is told to the worker; parted, and the slot is
 * free. Failure modes: a pair that is refused stays with its worker as it was.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/offload/internal.h"

static void on_gate(void *context, const struct joint_event *event)
{
	struct offload *offload = context;
	struct joined *joined = &offload->joined[event->index / 2];
	struct offload_message message = {.op = OFFLOAD_GATED, .joint = joined->joint};

	if (!joined->joint || joined->at.serial != event->serial)
		return;
	if (!joined->gated)
		offload_note(offload, OFFLOAD_GATES);
	joined->gated = true;
	keeper_tell(offload, joined->worker, &message, NULL);
}

static void on_gates(struct loop_source *source, uint32_t events)
{
	struct offload *offload = container_of(source, struct offload, gates);

	sockmap_events(offload->sockmap, on_gate, offload);
}

int joiner_open(struct offload *offload, char *problem, size_t size)
{
	int err = sockmap_open(offload->conf.sessions, &offload->sockmap, problem, size);

	if (err)
		return err;
	offload->joined = calloc(offload->conf.sessions, sizeof(offload->joined[0]));
	if (!offload->joined) {
		joiner_close(offload);
		snprintf(problem, size, "sockmap: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	offload->gates = (struct loop_source){.on_event = on_gates,
					      .fd = sockmap_events_fd(offload->sockmap)};
	return 0;
}

void joiner_close(struct offload *offload)
{
	sockmap_close(offload->sockmap);
	offload->sockmap = NULL;
	free(offload->joined);
	offload->joined = NULL;
}

static enum flow_refusal refusal_for(int err)
{
	switch (err) {
	case 0:
		return FLOW_FINE;
	case -EAGAIN:
		return FLOW_BUSY;
	case -EOPNOTSUPP:
		return FLOW_NOT_ESTABLISHED;
	case -ENOSPC:
		return FLOW_FULL;
	default:
		return FLOW_ERROR;
	}
}

void joiner_join(struct offload *offload, uint32_t worker, struct offload_joint *joint,
		 const int fds[2])
{
	struct offload_message message = {.op = OFFLOAD_JOINED, .joint = joint};
	int err = fds[0] < 0 ? -EMFILE : sockmap_join(offload->sockmap, fds, &message.at);

	for (unsigned leg = 0; leg < 2; leg++)
		if (fds[leg] >= 0)
			close(fds[leg]);
	message.refusal = refusal_for(err);
	if (err) {
		atomic_fetch_add_explicit(&offload->refusals[message.refusal], 1,
					  memory_order_relaxed);
	} else {
		offload->joined[message.at.index / 2] =
			(struct joined){.joint = joint, .at = message.at, .worker = worker};
		offload_note(offload, OFFLOAD_PROMOTED);
		atomic_fetch_add_explicit(&offload->joints, 1, memory_order_relaxed);
	}
	keeper_tell(offload, worker, &message, NULL);
}

void joiner_part(struct offload *offload, uint32_t worker, const struct offload_message *message)
{
	struct joined *joined = &offload->joined[message->index / 2];
	struct offload_message answer = {.op = OFFLOAD_PARTED, .joint = message->joint};

	sockmap_part(offload->sockmap, &joined->at);
	joined->joint = NULL;
	offload_note(offload, OFFLOAD_ENDED);
	atomic_fetch_sub_explicit(&offload->joints, 1, memory_order_relaxed);
	keeper_tell(offload, worker, &answer, NULL);
}
