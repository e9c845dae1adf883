/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes that know their place: one that is lost, doubled, moved or changed shows at once.
 * Failure modes: what does not come within the patience, or is not what was sent.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "xdp/qualify/internal.h"

#define PIECE 16384

static uint8_t byte_at(uint64_t place, unsigned leg)
{
	return (uint8_t)((place * UINT64_C(0x9e3779b97f4a7c15) + leg) >> 56);
}

int stream_wait(int fd, short events, int timeout_ms)
{
	struct pollfd ready = {.fd = fd, .events = events};

	return poll(&ready, 1, timeout_ms) == 1 ? 0 : -ETIMEDOUT;
}

ssize_t stream_send(struct rig *rig, unsigned leg, uint64_t bytes)
{
	uint8_t piece[PIECE];
	size_t size = bytes < sizeof(piece) ? bytes : sizeof(piece);
	ssize_t sent;

	for (size_t i = 0; i < size; i++)
		piece[i] = byte_at(rig->sent[leg] + i, leg);
	sent = send(rig->ends[leg], piece, size, MSG_NOSIGNAL);
	if (sent < 0)
		return -errno;
	rig->sent[leg] += (uint64_t)sent;
	return sent;
}

ssize_t stream_receive(struct rig *rig, unsigned leg)
{
	uint8_t piece[PIECE];
	ssize_t got = recv(rig->ends[!leg], piece, sizeof(piece), 0);

	if (got < 0)
		return -errno;
	for (ssize_t i = 0; i < got; i++)
		if (piece[i] != byte_at(rig->received[leg] + (uint64_t)i, leg))
			return rig_fail(rig, "byte %llu is not what was sent",
					(unsigned long long)rig->received[leg] +
						(unsigned long long)i);
	rig->received[leg] += (uint64_t)got;
	return got;
}

int stream_relay(struct rig *rig, unsigned leg, uint64_t bytes)
{
	uint8_t piece[PIECE];

	while (bytes) {
		size_t want = bytes < sizeof(piece) ? bytes : sizeof(piece);
		ssize_t got;

		if (stream_wait(rig->inner[leg], POLLIN, RIG_PATIENCE_MS))
			return rig_fail(rig, "what was sent does not reach the proxy");
		got = recv(rig->inner[leg], piece, want, 0);
		if (got <= 0)
			return rig_fail(rig, "the proxy's socket ended early");
		if (send(rig->inner[!leg], piece, (size_t)got, MSG_NOSIGNAL) != got)
			return -errno;
		bytes -= (uint64_t)got;
	}
	return 0;
}

/* --- both ways at once --- */

/* Whatever can be done for one direction. */
static int move(struct rig *rig, unsigned leg, uint64_t until)
{
	ssize_t err = 0;

	if (rig->sent[leg] < until)
		err = stream_send(rig, leg, until - rig->sent[leg]);
	if (err < 0 && err != -EAGAIN)
		return rig_fail(rig, "sending: %s", strerror((int)-err));
	while (rig->received[leg] < until && (err = stream_receive(rig, leg)) > 0)
		;
	if (rig->received[leg] == until || err == -EAGAIN || err == -EPROTO)
		return err == -EPROTO ? -EPROTO : 0;
	return rig_fail(rig, "receiving: %s", err ? strerror((int)-err) : "an early end");
}

/* An end that waits for nothing must not wake us: one that saw EOF is always readable. */
static struct pollfd watch(const struct rig *rig, unsigned leg, const uint64_t until[LEGS])
{
	short events = 0;

	if (rig->sent[leg] < until[leg])
		events |= POLLOUT;
	if (rig->received[!leg] < until[!leg])
		events |= POLLIN;
	return (struct pollfd){.fd = events ? rig->ends[leg] : -1, .events = events};
}

int stream_pump(struct rig *rig, const uint64_t bytes[LEGS])
{
	const uint64_t until[LEGS] = {rig->sent[CLIENT] + bytes[CLIENT],
				      rig->sent[BACKEND] + bytes[BACKEND]};

	for (;;) {
		struct pollfd ready[LEGS];
		int err = move(rig, CLIENT, until[CLIENT]);

		if (!err)
			err = move(rig, BACKEND, until[BACKEND]);
		if (err)
			return err;
		if (rig->received[CLIENT] == until[CLIENT] &&
		    rig->received[BACKEND] == until[BACKEND])
			return 0;
		for (unsigned leg = 0; leg < LEGS; leg++)
			ready[leg] = watch(rig, leg, until);
		if (poll(ready, LEGS, RIG_PATIENCE_MS) < 1)
			return rig_fail(rig, "%llu of %llu bytes came",
					(unsigned long long)rig->received[CLIENT] +
						(unsigned long long)rig->received[BACKEND],
					(unsigned long long)until[CLIENT] +
						(unsigned long long)until[BACKEND]);
	}
}
