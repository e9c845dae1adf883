/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow splice from user space: the kernel programs and maps, the life of a flow as plain steps, and
 * nothing of threads or sessions, which are proxy/offload's.
 *
 * The life of a flow (shared facts: both legs ESTABLISHED, nothing in our hands):
 *
 *   snapshot both sockets -> flow_judge() -> flow_take() a slot -> flow_fill() -> flow_insert()
 *   [kernel pending] -> one flow_grace() for many -> snapshot again -> flow_settled():
 *       yes                       -> flow_bury() both sockets -> ACTIVE
 *       the kernel took some more -> relay it with the end marks set first, ask again
 *   ... flow_look() -> ended: flow_remove(), some time later
 *                      asked back: flow_hold(), flow_grace(), flow_is_quiet() ->
 *                      flow_rebuild() two sockets -> flow_remove(); or flow_resume().
 *
 * Failure modes: each step says 0 or -errno and leaves the flow where it was; what was never
 * ACTIVE can be taken back with flow_remove() at any time without loss. A process that dies leaves
 * ACTIVE flows running (maps and links are pinned); flow_adopt() is the next one's first act.
 *
 * Threads: one owner calls everything here, but flow_snapshot(), flow_judge(), flow_fill() and
 * flow_settled(), which any thread may call for sockets and slots that are its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/addr.h"
#include "xdp/abi.h"

struct flow_engine;

enum flow_hook { FLOW_HOOK_TC, FLOW_HOOK_XDP_NATIVE, FLOW_HOOK_XDP_GENERIC, FLOW_HOOKS };

extern const char *const flow_hook_names[FLOW_HOOKS];

#define FLOW_INTERFACES 32

struct flow_interface {
	unsigned ifindex;
	char name[16];
	enum flow_hook hook;
	bool loopback;
};

struct flow_setup {
	uint32_t sessions;    /* at most; two flows each */
	const char *pin_path; /* a directory on bpffs, made if need be; NULL: nothing is pinned */
	const char *cgroup;   /* of this process, e.g. /sys/fs/cgroup/x; NULL: found */
	const struct flow_interface *interfaces;
	size_t interface_count;
};

/* Load (or take over what is pinned, if its ABI_VERSION and size are ours), attach. Needs CAP_BPF
 * and CAP_NET_ADMIN (CAP_SYS_ADMIN before 5.8). 0 or -errno, with a sentence in `ret_problem`. */
int flow_open(const struct flow_setup *conf, struct flow_engine **ret_engine, char *ret_problem,
	      size_t size);

/* What other versions of this program pinned below `path` cannot be read: it is unpinned, and with
 * it its flows end; whoever sends on one is reset by the kernel. Returns the version, or 0: nothing
 * was there. */
int flow_drop_others(const char *path);

/* Detach and unpin; or leave all as it is for the next process. */
void flow_close(struct flow_engine *engine, bool leave);

/* Attach to an interface that appeared; 0 or -errno. */
int flow_attach(struct flow_engine *engine, const struct flow_interface *interface);
void flow_detach(struct flow_engine *engine, unsigned ifindex);

/* Where the interface's packets are met; false: no program is there. */
bool flow_hook_of(const struct flow_engine *engine, unsigned ifindex, enum flow_hook *ret_hook);

/* Both flows of a session, mapped into this process. NULL: no such slot. */
struct flow *flow_at(struct flow_engine *engine, uint32_t index);
uint32_t flow_capacity(const struct flow_engine *engine); /* slots of sessions */

/* --- promotion --- */

enum flow_refusal {
	FLOW_FINE,
	FLOW_NOT_ESTABLISHED,
	FLOW_BUSY, /* something is queued, unsent or out of order: later perhaps */
	FLOW_MSS,  /* what one side sends would not fit the other */
	FLOW_ECN,
	FLOW_CLOCK,             /* microsecond timestamps */
	FLOW_SIGNED,            /* MD5 or AO */
	FLOW_TIMESTAMPS_DIFFER, /* who was promised them drops what has none: RFC 7323, 3.2 */
	FLOW_FAMILY,            /* IPv4 on one leg and IPv6 on the other; Unix sockets */
	FLOW_ROUTE,             /* no way out, or an interface that has no program */
	FLOW_FULL,              /* no slot */
	FLOW_TUPLE,             /* another flow has one of the tuples */
	FLOW_ERROR,             /* a system call failed */
	FLOW_DOUBT,             /* the fast path is not trusted any more: an anomaly was seen */
	FLOW_REFUSALS
};

extern const char *const flow_refusal_names[FLOW_REFUSALS];

/* 0 or -errno (-ENOPROTOOPT: the program is not attached to our cgroup). */
int flow_snapshot(int fd, struct snapshot_tcp *ret_snapshot);

/* Leg 0 is the client's, leg 1 the backend's, here and below. */
struct flow_legs {
	struct addr local[2];
	struct addr peer[2];
	struct snapshot_tcp before[2]; /* the first snapshots */
	unsigned ifindex[2];           /* where each leg's packets arrive, and the other's leave */
	/* XDP alone, which asks no routing: of the next hop of each leg, and of our side there. */
	uint8_t mac_peer[2][6];
	uint8_t mac_local[2][6];
};

/* Whether the two could be one flow, from what is known before anything is done. */
enum flow_refusal flow_judge(const struct flow_legs *legs);

/* Whether neither peer may send more than the other takes, which would be lost once it is passed on
 * as it comes: the windows that we offered were our own. If not, `ret_clamps[leg]` is what that
 * leg's should shrink to (0: it is small enough); the rest is a matter of a round trip. `bulk`:
 * they use what they have, even if nothing is under way just now. Any thread. */
bool flow_fits(const struct snapshot_tcp legs[2], bool bulk, uint32_t ret_clamps[2]);

/* A slot, as the index of its first flow (always even); its serial is new. -ENOSPC. */
int flow_take(struct flow_engine *engine, uint32_t *ret_index);
void flow_give_back(struct flow_engine *engine, uint32_t index);
uint32_t flow_used(const struct flow_engine *engine); /* slots that are taken */

/* Write both flows: ACTIVE, kernel pending. */
void flow_fill(struct flow_engine *engine, uint32_t index, const struct flow_legs *legs);

/* Make them found, `count` sessions at once. ret_errs[i] is 0, -EEXIST (the tuple is in use) or
 * another -errno; one that failed is not found at all. */
void flow_insert(struct flow_engine *engine, const uint32_t *indexes, size_t count, int *ret_errs);

/* XDP alone: what leaves on `leg` goes to another next hop from now on. Any thread. */
void flow_readdress(struct flow_engine *engine, uint32_t index, unsigned leg,
		    const uint8_t mac_peer[6], const uint8_t mac_local[6]);

/* After it, every program that began before it has ended: membarrier(2), 3-20 ms. */
void flow_grace(void);

/* Compare with fresh snapshots. Sets the marks up to which the kernel gets acknowledgements. True:
 * nothing was taken meanwhile and all is acknowledged. False: `ret_more[leg]` bytes wait in that
 * leg's socket for the relay (0 and 0: only acknowledgements are missing). */
bool flow_settled(struct flow_engine *engine, uint32_t index, const struct flow_legs *legs,
		  const struct snapshot_tcp now[2], uint32_t ret_more[2]);

/* Both sockets go into TCP_REPAIR, in which they die silently; the marks are lifted. The fds stay
 * open and the caller's: closing them while the flow lives frees the tuple. 0 or -errno. */
int flow_bury(struct flow_engine *engine, uint32_t index, const int fds[2]);

/* --- what becomes of it --- */

/* Read the program's events; `on_event` for each. Returns how many, or -errno. */
int flow_events(struct flow_engine *engine,
		void (*on_event)(void *context, const struct flow_event *event), void *context);
int flow_events_fd(const struct flow_engine *engine); /* for epoll(7) */

struct flow_view {
	uint64_t bytes[2]; /* arrived on each leg */
	uint64_t packets[2];
	uint64_t quiet_ns; /* since the last packet of either */
	bool fin[2];
	uint8_t first_fin; /* 1 + leg; 0: none yet */
	bool rst[2];
	bool owes[2]; /* that leg's peer has not acknowledged all that was sent to it */
	bool closed;  /* both FINs acknowledged */
};

void flow_look(struct flow_engine *engine, uint32_t index, struct flow_view *ret_view);

/* --- back to sockets --- */

void flow_hold(struct flow_engine *engine, uint32_t index);
void flow_resume(struct flow_engine *engine, uint32_t index);

/* A FIN or RST went by: it does not become sockets any more. */
bool flow_has_ended(struct flow_engine *engine, uint32_t index);

/* After flow_grace(): all that was sent is acknowledged end to end, and it has not ended. */
bool flow_is_quiet(struct flow_engine *engine, uint32_t index);

/* What a leg's socket needs to be made anew, in this or another process. */
struct flow_tomb {
	struct addr local;
	struct addr peer;
	struct snapshot_tcp snapshot; /* options, scales, windows as of promotion */
};

/* Two established sockets where the peers have acknowledged each other's bytes; what is behind that
 * they send again. It need not be quiet, but each must have had the time to acknowledge what it got
 * before the hold: a socket drops what acknowledges bytes that it does not know. The old fds must
 * be closed before. 0 or -errno, then the flow is still held and must be resumed over buried ones:
 * flow_rebury(). */
int flow_rebuild(struct flow_engine *engine, uint32_t index, const struct flow_tomb tombs[2],
		 int ret_fds[2]);
/* Sockets in TCP_REPAIR on both tuples, so that nobody else gets them. */
int flow_rebury(struct flow_engine *engine, uint32_t index, const struct flow_tomb tombs[2],
		int ret_fds[2]);

/* No packet finds it any more; the slot is free. */
void flow_remove(struct flow_engine *engine, uint32_t index);

/* --- after a restart --- */

int flow_note_write(struct flow_engine *engine, uint32_t index, const struct flow_note *note);
int flow_note_read(struct flow_engine *engine, uint32_t index, struct flow_note *ret_note);

enum flow_found {
	FLOW_FOUND_RUNNING, /* its sockets had been silenced: it lost nothing */
	FLOW_FOUND_OVER,    /* its end was told; what is under way still may find it */
	FLOW_FOUND_BROKEN,  /* its owner died between sockets and flow, and one knows not what the
			       other did: to be ended by flow_reset() */
};

/* Every session that is there since before this process, with its tuples; a broken one may have no
 * note (zeroed). Takes over its slot, and the programs' links that are pinned. Before anything is
 * dialed: flow_rebury() each that runs. Returns how many. */
int flow_adopt(struct flow_engine *engine,
	       void (*on_session)(void *context, uint32_t index, enum flow_found what,
				  const struct flow_note *note, const struct flow_tomb tombs[2]),
	       void *context);

/* What runs in the pinned maps at `path` (another process's that is dead, opened by nobody) goes on
 * in ours; what finds no slot is reset. Before flow_adopt(). Nothing is left of `path`. Returns how
 * many moved, or -errno: then it is as it was. */
int flow_move_in(struct flow_engine *engine, const char *path);

/* Remove it, and end both connections with RST, whatever sockets of the dead there still are. */
void flow_reset(struct flow_engine *engine, uint32_t index, const struct flow_tomb tombs[2]);

/* RST to both, for what flow_at() was before flow_remove(). */
void flow_reset_pair(const struct flow pair[2], const struct flow_tomb tombs[2]);

/* Its end was told to whoever counts and logs. */
void flow_told(struct flow_engine *engine, uint32_t index);

/* By enum flow_count, summed over CPUs. */
void flow_counts(struct flow_engine *engine, uint64_t ret_counts[FLOW_COUNTS]);
