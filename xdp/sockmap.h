/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockmap from user space: two sockets of a session are joined by the kernel, and stay with whoever
 * owns them. Nothing of threads or sessions here, which are proxy/offload's.
 *
 * The life of a joint (legs and ways: 0 is the client's socket, and what it receives; 1 is the
 * backend's; nothing that was read is unsent, and nothing is half read):
 *
 *   sockmap_join() -> bytes move in the kernel; sockmap_look() for the figures
 *     a FIN arrives on a leg -> sockmap_is_through() ? shutdown(2) of the other : ask again soon
 *     a way presses          -> sockmap_settle() ? both are gated : ask again soon; if that is
 *                               late, its peer's segments are dropped until then
 *     a way is gated         -> sockmap_is_written() ? sockmap_take_over(), and relay that way
 *                               from now on : ask again soon
 *   -> close(2) both, which takes them out of the maps -> sockmap_part()
 *
 * The sockets of a live joint are never taken out of the maps otherwise: bytes on their way would
 * be lost. Closing them before sockmap_is_through() (or, gated, before the relay is done) loses
 * bytes too, so that must be a reset.
 *
 * Failure modes: joining is refused, and the sockets are as they were, but for the size of their
 * send buffers. A backend that finishes in the middle of it leaves its way gated from the start. A
 * kernel without memory may lose bytes of a way, which it says (enum joint_loss).
 *
 * Threads: one owner calls everything, but what takes no struct sockmap, and sockmap_look(),
 * sockmap_settle() and sockmap_is_written(), which whoever owns the sockets calls.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xdp/abi.h"

struct sockmap;

struct sockmap_joint {
	uint32_t index;       /* of its first way */
	uint32_t serial;      /* tells it from the slot's next tenant */
	uint64_t cookies[2];  /* of its sockets */
	uint64_t received[2]; /* bytes of each leg that were read before */
	uint64_t written[2];  /* and that were sent before */
};

struct sockmap_view {
	uint64_t passed;      /* bytes handed on by the kernel, this way */
	uint64_t last_ns;     /* CLOCK_MONOTONIC of the last of them; 0: none yet */
	bool pressed;         /* too much is under way: sockmap_settle() */
	bool gated;           /* `passed` is final */
	enum joint_loss lost; /* not JOINT_KEPT: bytes were dropped, reset both */
	uint32_t unread;      /* what waited for user space then, bytes */
};

/* What became of the bytes, for people. */
extern const char *const sockmap_losses[JOINT_LOSSES];

/* Whether a kernel of this release (uname -r) is known to keep every byte; those that may be are
 * left to sockmap_test(). 0, or -ENOTSUP with a sentence. */
int sockmap_judge_release(const char *release, char *ret_problem, size_t size);

/* Load. Needs CAP_BPF and CAP_NET_ADMIN. 0 or -errno, with a sentence. */
int sockmap_open(uint32_t joints, struct sockmap **ret_map, char *ret_problem, size_t size);
void sockmap_close(struct sockmap *map); /* accepts NULL */

/* See over loopback, in the thread's network namespace, whether this kernel keeps every byte and
 * its order, ends each stream where it ends, holds a sender back, and passes a reset. Takes a
 * fraction of a second. 0, or -errno with a sentence: then do not use it. */
int sockmap_test(struct sockmap *map, char *ret_problem, size_t size);

/* All of it, and nothing is left behind: for whoever asks what this host can do. */
int sockmap_qualify(char *ret_problem, size_t size);

/* Whoever read last from these sockets read until there was nothing: what is half read would be
 * handed on as a whole. 0; -EOPNOTSUPP: not two established TCP sockets; -EPROTO: one has TLS in
 * the kernel; -ENOSPC: no slot; -EAGAIN: too lively, later perhaps; or -errno. */
int sockmap_join(struct sockmap *map, const int fds[2], struct sockmap_joint *ret_joint);
void sockmap_part(struct sockmap *map, const struct sockmap_joint *joint);

void sockmap_look(const struct sockmap *map, const struct sockmap_joint *joint, unsigned way,
		  struct sockmap_view *ret_view);

/* Both ways are to be gated: make their peers wait, and once nothing is on its way between the two
 * sockets, do it. `hurry`: even if bytes came a moment ago. */
bool sockmap_settle(struct sockmap *map, const struct sockmap_joint *joint, const int fds[2],
		    bool hurry);

/* All is written, and who calls relays this way from now on: windows and buffers as usual. */
void sockmap_take_over(int from_fd, int to_fd);

/* All that was handed on stands in the send queue of the socket it was for, `to_fd`. */
bool sockmap_is_written(const struct sockmap *map, const struct sockmap_joint *joint, unsigned way,
			int to_fd);

/* The same, and that was all that `from_fd` has received. `finished`: its FIN is here, which the
 * kernel counts. */
bool sockmap_is_through(const struct sockmap *map, const struct sockmap_joint *joint, unsigned way,
			int from_fd, int to_fd, bool finished);

/* Bytes that a leg has received since it was joined. `finished`: its FIN is here. */
uint64_t sockmap_received(const struct sockmap_joint *joint, unsigned leg, int fd, bool finished);

/* Readable: a gate fell, or is to fall. */
int sockmap_events_fd(const struct sockmap *map);
void sockmap_events(struct sockmap *map,
		    void (*on_gate)(void *context, const struct joint_event *event), void *context);
