/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper's first act: the sessions that a process before it left running.
 *
 * Happy path: the maps of the last one that died are ours already (pinning.c), those of others move
 * in; on both tuples of each session sockets keep its place again, before anybody dials; and each
 * goes to a worker, which begins a session with it (OFFLOAD_ADOPT).
 * Failure modes: the sockets of the dying are still there (tried again for a while); a place that
 * cannot be kept (no fd, or somebody took the tuple meanwhile) leaves the session running without;
 * what cannot go on is reset.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/offload/internal.h"
#include "proxy/offload/pinning.h"

#define DYING_US (2 * US_PER_SEC) /* for the sockets of a process that is being killed */
#define PAUSE_MS 2

struct adoption {
	struct offload *offload;
	uint64_t until_us;
	uint32_t next_worker;
};

static bool is_taken(int err)
{
	return err == -EADDRNOTAVAIL || err == -EADDRINUSE;
}

static void keep_place(struct adoption *adoption, struct grave *grave)
{
	struct offload *offload = adoption->offload;
	int fds[2];

	for (;;) {
		int err = flow_rebury(offload->engine, grave->index, grave->tombs, fds);

		if (!err)
			grave->row = cellars_keep(offload->cellars, fds);
		if (!is_taken(err) || clock_us() >= adoption->until_us)
			return;
		poll(NULL, 0, PAUSE_MS);
	}
}

static struct offload_ticket *make_ticket(uint32_t index, const struct flow_note *note,
					  const struct flow_tomb tombs[2])
{
	struct offload_ticket *ticket = calloc(1, sizeof(*ticket));

	if (!ticket)
		return NULL;
	list_init(&ticket->link);
	ticket->index = index;
	ticket->phase = OFFLOAD_GONE;
	ticket->fds[0] = ticket->fds[1] = -1;
	ticket->note = *note;
	for (unsigned leg = 0; leg < 2; leg++) {
		ticket->legs.local[leg] = tombs[leg].local;
		ticket->legs.peer[leg] = tombs[leg].peer;
		ticket->legs.before[leg] = tombs[leg].snapshot;
	}
	return ticket;
}

/* What left by XDP goes on to do so, and follows its next hops. */
static void find_hops(struct offload *offload, struct grave *grave, struct offload_ticket *ticket)
{
	const struct flow *pair = flow_at(offload->engine, grave->index);

	if ((pair[0].exit == FLOW_EXIT_MAC || pair[1].exit == FLOW_EXIT_MAC) &&
	    !keeper_find_ways(offload, ticket))
		memcpy(grave->hops, ticket->hops, sizeof(grave->hops));
}

static void hand_over(struct adoption *adoption, struct grave *grave, struct offload_ticket *ticket)
{
	struct offload *offload = adoption->offload;
	struct offload_message message = {.op = OFFLOAD_ADOPT, .ticket = ticket};

	grave->ticket = ticket;
	grave->worker = ticket->note.worker = adoption->next_worker++ % offload->conf.workers;
	grave->state = GRAVE_BURIED;
	offload_note(offload, OFFLOAD_ADOPTED);
	atomic_fetch_add_explicit(&offload->open, 1, memory_order_relaxed);
	keeper_tell(offload, grave->worker, &message, NULL);
	keeper_arm_sweep(offload);
	keeper_see_end(offload, grave);
}

static void on_session(void *context, uint32_t index, enum flow_found what,
		       const struct flow_note *note, const struct flow_tomb tombs[2])
{
	struct adoption *adoption = context;
	struct offload *offload = adoption->offload;
	struct grave *grave = grave_of(offload, index);
	struct offload_ticket *ticket =
		what == FLOW_FOUND_RUNNING ? make_ticket(index, note, tombs) : NULL;

	if (what == FLOW_FOUND_OVER) {
		keeper_linger(offload, grave);
		return;
	}
	grave->tombs[0] = tombs[0];
	grave->tombs[1] = tombs[1];
	if (!ticket) {
		offload_note(offload, OFFLOAD_ADOPT_RESET);
		flow_reset(offload->engine, index, tombs);
		return;
	}
	keep_place(adoption, grave);
	find_hops(offload, grave, ticket);
	hand_over(adoption, grave, ticket);
}

void keeper_drop_others(const char *path)
{
	int version = flow_drop_others(path);

	if (version)
		log_event(LOG_WARN, "offload_not_adopted",
			  "path=%s version=%d own_version=%d text=\"another version of sluice left "
			  "connections there that this one cannot read: they end\"",
			  path, version, ABI_VERSION);
}

void keeper_adopt(struct offload *offload)
{
	struct adoption adoption = {.offload = offload, .until_us = clock_us() + DYING_US};
	const char *estate;

	if (!offload->pins)
		return;
	while ((estate = pinning_next_estate(offload->pins))) {
		keeper_drop_others(estate);
		if (flow_move_in(offload->engine, estate) != -EINVAL)
			pinning_drop_estate(offload->pins);
	}
	flow_adopt(offload->engine, on_session, &adoption);
}
