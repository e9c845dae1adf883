/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow splice as one of the ways that are tried: programs and maps of its own, the hook that is in
 * question, and the steps of xdp/flow.h as the offload takes them.
 */
#include "xdp/flow.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "xdp/qualify/internal.h"

#define SESSIONS 8
#define EARLY    100 /* bytes that come while the connection is taken over */

struct flow_trial {
	struct flow_engine *engine;
	struct flow_legs legs;
	uint32_t index;
	bool taken;
};

static const enum flow_hook hooks[QUALIFY_PATHS] = {
	[QUALIFY_TC] = FLOW_HOOK_TC,
	[QUALIFY_XDP_NATIVE] = FLOW_HOOK_XDP_NATIVE,
	[QUALIFY_XDP_GENERIC] = FLOW_HOOK_XDP_GENERIC,
};

static int open_trial(struct rig *rig, enum qualify_path path, void **ret_state)
{
	struct flow_trial *trial = calloc(1, sizeof(*trial));
	struct flow_interface interface = {
		.ifindex = rig->ifindex, .hook = hooks[path], .loopback = !rig->private};
	struct flow_setup conf = {
		.sessions = SESSIONS, .interfaces = &interface, .interface_count = 1};
	int err = 0;

	if (!trial)
		return -ENOMEM;
	if (interface.hook == FLOW_HOOK_XDP_NATIVE)
		err = rig_receive_xdp(rig);
	snprintf(interface.name, sizeof(interface.name), "%s", rig->ifname);
	if (!err)
		err = flow_open(&conf, &trial->engine, rig->problem, sizeof(rig->problem));
	if (err) {
		free(trial);
		return err;
	}
	*ret_state = trial;
	return 0;
}

static void forget(void *state)
{
	struct flow_trial *trial = state;

	if (trial->taken)
		flow_remove(trial->engine, trial->index);
	trial->taken = false;
}

static void close_trial(void *state)
{
	struct flow_trial *trial = state;

	if (!trial)
		return;
	forget(trial);
	flow_close(trial->engine, false);
	free(trial);
}

/* --- taking over --- */

static int read_name(int fd, bool peer, struct addr *ret_addr)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int err = peer ? getpeername(fd, (struct sockaddr *)&sa, &len)
		       : getsockname(fd, (struct sockaddr *)&sa, &len);

	if (err)
		return -errno;
	addr_from_sockaddr((struct sockaddr *)&sa, len, ret_addr);
	return 0;
}

static int snapshot_both(struct rig *rig, struct snapshot_tcp ret_snapshots[LEGS])
{
	int err = flow_snapshot(rig->inner[CLIENT], &ret_snapshots[CLIENT]);

	if (!err)
		err = flow_snapshot(rig->inner[BACKEND], &ret_snapshots[BACKEND]);
	return err ? rig_fail(rig, "sockets cannot be looked at: %s", strerror(-err)) : 0;
}

static int describe(struct rig *rig, struct flow_legs *legs)
{
	int err = 0;

	memset(legs, 0, sizeof(*legs));
	for (unsigned leg = 0; leg < LEGS && !err; leg++) {
		err = read_name(rig->inner[leg], false, &legs->local[leg]);
		if (!err)
			err = read_name(rig->inner[leg], true, &legs->peer[leg]);
		legs->ifindex[leg] = rig->ifindex;
		memcpy(legs->mac_local[leg], rig->mac_proxy, sizeof(legs->mac_local[leg]));
		memcpy(legs->mac_peer[leg], rig->mac_ends, sizeof(legs->mac_peer[leg]));
	}
	return err ? rig_fail(rig, "a socket without addresses") : 0;
}

/* The last acknowledgements of what went before may be under way. */
static int wait_until_idle(struct rig *rig, struct flow_legs *legs)
{
	enum flow_refusal refusal = FLOW_BUSY;

	for (int tries = 0; tries < RIG_PATIENCE_MS; tries++) {
		int err = snapshot_both(rig, legs->before);

		if (err)
			return err;
		refusal = flow_judge(legs);
		if (refusal != FLOW_BUSY)
			break;
		poll(NULL, 0, 1);
	}
	return refusal == FLOW_FINE ? 0
				    : rig_fail(rig, "a fresh connection is refused: %s",
					       flow_refusal_names[refusal]);
}

static int insert(struct rig *rig, struct flow_trial *trial)
{
	int err = flow_take(trial->engine, &trial->index);

	if (err)
		return rig_fail(rig, "no slot");
	flow_fill(trial->engine, trial->index, &trial->legs);
	flow_insert(trial->engine, &trial->index, 1, &err);
	if (err) {
		flow_give_back(trial->engine, trial->index);
		return rig_fail(rig, "it cannot be inserted: %s", strerror(-err));
	}
	trial->taken = true;
	return 0;
}

/* What the kernel took after the snapshots goes by hand, as in a promotion. */
static int settle(struct rig *rig, struct flow_trial *trial)
{
	for (int tries = 0; tries < RIG_PATIENCE_MS; tries++) {
		struct snapshot_tcp now[LEGS];
		uint32_t more[LEGS];
		int err = snapshot_both(rig, now);

		if (err)
			return err;
		if (flow_settled(trial->engine, trial->index, &trial->legs, now, more))
			return 0;
		for (unsigned leg = 0; leg < LEGS && !err; leg++)
			err = stream_relay(rig, leg, more[leg]);
		if (err)
			return err;
		poll(NULL, 0, 1);
	}
	return rig_fail(rig, "the promotion does not come to an end");
}

static int take(struct rig *rig, void *state)
{
	struct flow_trial *trial = state;
	int err = describe(rig, &trial->legs);

	if (!err)
		err = wait_until_idle(rig, &trial->legs);
	for (unsigned leg = 0; leg < LEGS && !err; leg++)
		if (stream_send(rig, leg, EARLY) != EARLY)
			err = rig_fail(rig, "sending during the promotion");
	if (!err)
		err = insert(rig, trial);
	if (err)
		return err;
	flow_grace();
	err = settle(rig, trial);
	if (!err && flow_bury(trial->engine, trial->index, rig->inner))
		err = rig_fail(rig, "sockets cannot be silenced: %s", strerror(errno));
	return err;
}

static bool has_ended(void *state, bool reset)
{
	struct flow_trial *trial = state;
	struct flow_view view;

	flow_look(trial->engine, trial->index, &view);
	return reset ? view.rst[CLIENT] || view.rst[BACKEND] : view.closed;
}

const struct qualify_way qualify_flow = {
	.open = open_trial,
	.close = close_trial,
	.take = take,
	.has_ended = has_ended,
	.forget = forget,
};
