/* SPDX-License-Identifier: Apache-2.0
 *
 * What is tried of each way, a connection for each step. A step fails with a sentence, and none
 * follows it. IPv6 has two: what comes after the addresses is the same code.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "xdp/qualify/internal.h"

#define SOME        3000
#define MANY        300000
#define STALLED_MS  30
#define STALL_BYTES (UINT64_C(64) << 20) /* whoever takes so much has no back-pressure */

struct trial {
	struct rig *rig;
	const struct qualify_way *way;
	void *state;
};

/* Through user space, as every session begins; then no more. */
static int begin(struct trial *trial)
{
	struct rig *rig = trial->rig;
	int err = 0;

	for (unsigned leg = 0; leg < LEGS && !err; leg++) {
		if (stream_send(rig, leg, SOME) != SOME)
			return rig_fail(rig, "sending before the promotion");
		err = stream_relay(rig, leg, SOME);
	}
	return err ? err : trial->way->take(rig, trial->state);
}

static int exchange(struct trial *trial, uint64_t client, uint64_t backend)
{
	return stream_pump(trial->rig, (const uint64_t[LEGS]){client, backend});
}

/* What was sent until now has arrived too: the pump counts from there. */
static int catch_up(struct trial *trial)
{
	return exchange(trial, 0, 0);
}

static int wait_for_end(struct trial *trial, bool reset)
{
	for (int tries = 0; tries < RIG_PATIENCE_MS; tries++) {
		if (trial->way->has_ended(trial->state, reset))
			return 0;
		poll(NULL, 0, 1);
	}
	return rig_fail(trial->rig, "its end goes unnoticed");
}

static int expect_eof(struct trial *trial, unsigned leg)
{
	ssize_t got;

	if (stream_wait(trial->rig->ends[!leg], POLLIN, RIG_PATIENCE_MS))
		return rig_fail(trial->rig, "a FIN does not arrive");
	got = stream_receive(trial->rig, leg);
	return got ? rig_fail(trial->rig, "there is something else before a FIN") : 0;
}

static int try_bytes(struct trial *trial)
{
	int err = begin(trial);

	if (!err)
		err = catch_up(trial);
	if (!err)
		err = exchange(trial, MANY, MANY);
	return err ? err : exchange(trial, 1, 1);
}

static int try_fins(struct trial *trial, unsigned first)
{
	struct rig *rig = trial->rig;
	int err = begin(trial);

	if (!err)
		err = catch_up(trial);
	if (err)
		return err;
	shutdown(rig->ends[first], SHUT_WR);
	err = expect_eof(trial, first);
	if (!err)
		err = exchange(trial, first == CLIENT ? 0 : SOME, first == CLIENT ? SOME : 0);
	if (err)
		return err;
	shutdown(rig->ends[!first], SHUT_WR);
	err = expect_eof(trial, !first);
	return err ? err : wait_for_end(trial, false);
}

static int try_fin_of_client(struct trial *trial)
{
	return try_fins(trial, CLIENT);
}

static int try_fin_of_backend(struct trial *trial)
{
	return try_fins(trial, BACKEND);
}

static int fill_up(struct trial *trial)
{
	struct rig *rig = trial->rig;

	while (!stream_wait(rig->ends[CLIENT], POLLOUT, STALLED_MS)) {
		ssize_t sent = stream_send(rig, CLIENT, MANY);

		if (sent < 0 && sent != -EAGAIN)
			return rig_fail(rig, "sending: %s", strerror((int)-sent));
		if (rig->sent[CLIENT] > STALL_BYTES)
			return rig_fail(rig, "nobody holds the sender back");
	}
	return 0;
}

static int try_stalled_reader(struct trial *trial)
{
	int err = begin(trial);

	if (!err)
		err = catch_up(trial);
	if (!err)
		err = fill_up(trial);
	if (!err)
		err = exchange(trial, 0, SOME); /* the other way goes on */
	if (!err)
		err = catch_up(trial);
	return err ? err : exchange(trial, SOME, SOME);
}

static int try_reset(struct trial *trial)
{
	const struct linger hard = {.l_onoff = 1};
	struct rig *rig = trial->rig;
	int err = begin(trial);

	if (!err)
		err = catch_up(trial);
	if (err)
		return err;
	setsockopt(rig->ends[CLIENT], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(rig->ends[CLIENT]);
	rig->ends[CLIENT] = -1;
	if (stream_wait(rig->ends[BACKEND], POLLIN, RIG_PATIENCE_MS))
		return rig_fail(rig, "it does not arrive");
	if (stream_receive(rig, CLIENT) != -ECONNRESET)
		return rig_fail(rig, "it arrives as something else");
	return wait_for_end(trial, true);
}

static const struct {
	const char *name;
	int (*run)(struct trial *trial);
	bool ipv6;
} steps[] = {
	{"bytes both ways", try_bytes, false},
	{"a FIN of the client", try_fin_of_client, false},
	{"a FIN of the backend", try_fin_of_backend, false},
	{"a stalled reader", try_stalled_reader, false},
	{"a reset", try_reset, false},
	{"bytes both ways over IPv6", try_bytes, true},
	{"a FIN of the client over IPv6", try_fin_of_client, true},
};

int qualify_steps(struct rig *rig, const struct qualify_way *way, void *state,
		  const char **ret_step)
{
	struct trial trial = {.rig = rig, .way = way, .state = state};
	int err = 0;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !err; i++) {
		if (steps[i].ipv6 && !rig->has_ipv6)
			continue;
		*ret_step = steps[i].name;
		rig->ipv6 = steps[i].ipv6;
		err = rig_connect(rig);
		if (!err)
			err = steps[i].run(&trial);
		way->forget(state);
		rig_hang_up(rig);
	}
	return err;
}
