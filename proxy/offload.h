/* SPDX-License-Identifier: Apache-2.0
 *
 * The one door to xdp/: sessions whose packets the kernel translates by itself, without sockets of
 * ours in between.
 *
 *      worker (a door each)                     keeper (one thread, one fd table)
 *
 *   offload_offer() -- snapshots, INSERT ----> slot, route, programs attached, entries,
 *                                              one grace period for all that wait
 *   settling: what the kernel took  <--------- INSERTED
 *   is relayed, on_gone(), the sockets
 *   are sent over  --------------- BURY -----> silenced (TCP_REPAIR), kept in a cellar
 *   on_end()  <------------------------------- ENDED: both FINs, or a reset
 *   offload_recall() ------------ RECALL ----> held, grace, quiet?, made anew
 *   on_back(), or on_stay()  <---------------- BACK with two sockets, or BUSY
 *
 * Messages are packets over a socket pair of each worker's, because sockets travel with them: a
 * worker's fd table is its own. What they name is a struct offload_ticket, owned by the session's
 * side from offload_offer() to on_end(), on_refused() or on_back().
 *
 * Failure modes: whatever cannot be done leaves the session on its relay, with a reason that is
 * counted. A keeper that cannot start leaves every session there. When this process dies, flows go
 * on, if they are pinned; the next one's keeper takes them over, and each worker is told of its
 * share (on_adopt()).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/base/list.h"
#include "xdp/flow.h"
#include "xdp/sockmap.h"

struct loop;
struct offload;
struct offload_door;
struct offload_ticket;

struct offload_interface {
	char name[16];
	enum flow_hook hook;
};

struct offload_conf {
	uint32_t sessions;   /* at most */
	enum flow_hook hook; /* of interfaces that are not listed */
	/* If there are any, sessions over others are refused. */
	struct offload_interface interfaces[FLOW_INTERFACES];
	size_t interface_count;
	bool flow;      /* wanted by some pool, or there are some already */
	bool untrusted; /* flow's self-test failed: only what another process left is kept */
	bool sockmap;   /* wanted by some pool, and its self-test passed */
	unsigned workers;
	const char *pin_path; /* on bpffs, each process has a directory there; NULL: flows end
				 with the process */
};

enum offload_count {
	OFFLOAD_OFFERED,
	OFFLOAD_PROMOTED,
	OFFLOAD_RECALLED,
	OFFLOAD_RECALL_BUSY,
	OFFLOAD_ENDED,
	OFFLOAD_ADOPTED,
	OFFLOAD_ADOPT_RESET, /* found, but could not go on */
	OFFLOAD_GATES,       /* joined sockets that did not take what was sent to them */
	OFFLOAD_COUNTS
};

extern const char *const offload_count_names[OFFLOAD_COUNTS];

/* Why nothing more is promoted, for as long as this process runs. */
enum offload_doubt {
	OFFLOAD_DOUBT_SELF_TEST,
	OFFLOAD_DOUBT_EVENTS,  /* the program could not tell what happened: its ring was full */
	OFFLOAD_DOUBT_FIGURES, /* a flow acknowledged what nobody sent */
	OFFLOAD_DOUBTS
};

extern const char *const offload_doubt_names[OFFLOAD_DOUBTS];

struct offload_counts {
	uint64_t counts[OFFLOAD_COUNTS];
	uint32_t doubts; /* a bit for each enum offload_doubt */
	uint64_t refusals[FLOW_REFUSALS];
	uint64_t open;  /* now */
	uint64_t limit; /* of open ones */
};

/* Try the way by `hook` on connections of our own, in network namespaces that nobody else sees;
 * half a second. Best before the process gives up CAP_SYS_ADMIN. 0; -EPROTO: it must not be used,
 * with a sentence; -EAGAIN: it could not be tried, likewise. */
int offload_qualify(enum flow_hook hook, char *ret_problem, size_t size);
int offload_qualify_sockmap(char *ret_problem, size_t size); /* the same for joined sockets */

#define OFFLOAD_PIN_MAX 160 /* with its end */

/* Where who runs as `user` has his directories: `pin_path`, or beside it, if that is another
 * user's: `/sys/fs/bpf/sluice-1000`. */
void offload_place_pins(const char *pin_path, unsigned user, char ret_place[OFFLOAD_PIN_MAX]);

/* Whether a process that died left flows at `pin_path`. */
bool offload_has_estate(const char *pin_path);

/* Make the directory, if it can be, for who will run as `user`. */
void offload_make_pins(const char *pin_path, unsigned user);

/* Remove it, if nothing is in it. */
void offload_drop_pins(const char *pin_path);

/* Whether flows can be pinned there: 0 or -errno. */
int offload_check_pins(const char *pin_path);

/* Load programs and start the keeper, which first takes on what another process left: nothing may
 * be dialed or bound before. With whichever of the ways that are wanted can be had; the sentence is
 * of one that cannot. It keeps CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON. 0 or
 * -errno with a sentence. Before workers start: their ends of the socket pairs must be in their
 * fd tables. */
int offload_start(const struct offload_conf *conf, struct offload **ret_offload, char *ret_problem,
		  size_t size);

/* `leave`: flows go on without us. Accepts NULL. */
void offload_stop(struct offload *offload, bool leave);

/* Any thread. */
void offload_sum(const struct offload *offload, struct offload_counts *ret_counts);

/* The fd that worker `index` must keep when it takes an fd table of its own. */
int offload_worker_fd(const struct offload *offload, unsigned index);

/* --- a worker's side: all of it on the worker's thread --- */

enum offload_end {
	OFFLOAD_END_CLIENT_FIN, /* both finished, the client first */
	OFFLOAD_END_BACKEND_FIN,
	OFFLOAD_END_CLIENT_RST,
	OFFLOAD_END_BACKEND_RST,
};

/* What a ticket's owner is told; each call may end the owner. */
struct offload_owner {
	/* Nothing is in our hands, nothing was announced that was not read. */
	bool (*is_clear)(void *owner);
	/* The last word for its note: what the relay moved since it was offered. */
	void (*complete)(void *owner, struct flow_note *note);
	/* The packets don't pass us any more, and the sockets belong to the keeper: forget them. */
	void (*on_gone)(void *owner);
	/* Not now, or never; the ticket is gone. */
	void (*on_refused)(void *owner, enum flow_refusal why);
	/* Sockets again; the ticket is gone when this returns. `odd`: nobody asked for it, there
	 * were packets that the kernel cannot translate. */
	void (*on_back)(void *owner, const int fds[2], bool odd);
	/* It cannot come back now (bytes are under way): it stays. */
	void (*on_stay)(void *owner);
	/* One that ran before this process did, GONE: the owner it gets, or NULL (it is reset). */
	void *(*on_adopt)(struct loop *loop, struct offload_ticket *ticket);
	/* It is over; the ticket is gone when this returns. */
	void (*on_end)(void *owner, enum offload_end how);
	/* The kernel moves the bytes from now on. */
	void (*on_joined)(void *owner);
	/* Not now, or never; the joint is gone. */
	void (*on_not_joined)(void *owner, enum flow_refusal why);
	/* It does not any more, or not for long. */
	void (*on_gate)(void *owner);
};

enum offload_phase {
	OFFLOAD_ASKED,    /* at the keeper, to be inserted */
	OFFLOAD_SETTLING, /* packets are translated; the kernel finishes what it took */
	OFFLOAD_GONE,     /* the keeper has the sockets */
	OFFLOAD_RECALLING,
};

struct offload_ticket {
	struct list link; /* struct offload_door::settling, or alone */
	struct offload_door *door;
	void *owner; /* NULL: it ended while the keeper had the ticket */
	struct flow_legs legs;
	struct addr hops[2]; /* XDP: next hops */
	uint32_t index;      /* of its flows, from SETTLING on */
	int fds[2];          /* the owner's, until GONE */
	uint64_t seen[2];    /* bytes of each leg that the owner has accounted for */
	uint8_t phase;       /* enum offload_phase */
	bool is_over;        /* its slot may be another's: `last` is what there was to see */
	struct flow_view last;
	struct flow_note note;
};

/* `fd` of offload_worker_fd() is in this thread's table. 0 or -errno. */
int offload_door_open(struct offload *offload, unsigned worker, struct loop *loop,
		      const struct offload_owner *owner, struct offload_door **ret_door);
void offload_door_close(struct offload_door *door); /* accepts NULL */

/* What the peer of a connected socket said that it takes in one segment; 0: not known. */
uint16_t offload_mss(int fd);

/* Whether what each peer may send fits what the other takes (xdp/flow.h, flow_fits()); if not, it
 * is to be asked again when more bytes have come, and our own windows may be narrowed, which is
 * told. */
bool offload_fits(const int fds[2], bool bulk, bool *ret_narrowed);

/* As wide as the kernel would have them again: it stays on the relay. */
void offload_widen(const int fds[2]);

/* Addresses and fds of both legs (0: client). The note's texts and figures are the owner's to give;
 * its snapshots and times are not. FLOW_FINE: on its way, the ticket is in *ret_ticket; else
 * nothing has changed. */
enum flow_refusal offload_offer(struct offload_door *door, void *owner, const int fds[2],
				const struct addr local[2], const struct addr peer[2],
				const struct flow_note *note, struct offload_ticket **ret_ticket);

/* The owner ends before it is gone (a socket failed): the ticket is no longer its. */
void offload_cancel(struct offload_ticket *ticket);

/* GONE only. */
void offload_recall(struct offload_ticket *ticket);

/* GONE only: end both connections with RST. on_end() will not come; the ticket is gone. */
void offload_abort(struct offload_ticket *ticket);

/* Bytes since promotion, and how quiet it is. SETTLING and later. */
void offload_look(const struct offload_ticket *ticket, struct flow_view *ret_view);

/* --- sockmap: the sockets stay with their owner, the kernel moves the bytes between them --- */

/* From offload_join() to offload_part(), or on_not_joined(). */
struct offload_joint {
	struct list link; /* struct offload_door::joints */
	struct offload_door *door;
	void *owner; /* NULL: it has ended */
	bool made;   /* on_joined() has come; until then nobody may read or write the sockets */
	uint64_t before[2]; /* the owner's: bytes each way that were relayed by then */
	uint64_t seen[2];   /* and that it has accounted for since */
	struct sockmap_joint at;
};

/* Both sockets have nothing unsent in the owner's hands. FLOW_FINE: on its way, *ret_joint is set.
 */
enum flow_refusal offload_join(struct offload_door *door, void *owner, const int fds[2],
			       struct offload_joint **ret_joint);

/* The owner has closed both sockets; the joint is no longer its. */
void offload_part(struct offload_joint *joint);

/* These three once it is made; see xdp/sockmap.h. */
void offload_joint_look(const struct offload_joint *joint, unsigned way,
			struct sockmap_view *ret_view);
bool offload_joint_settle(const struct offload_joint *joint, const int fds[2], bool hurry);
bool offload_joint_is_written(const struct offload_joint *joint, unsigned way, int to_fd);
bool offload_joint_is_through(const struct offload_joint *joint, unsigned way, int from_fd,
			      int to_fd, bool finished);

/* Bytes that the socket has received since it was joined. */
uint64_t offload_joint_received(const struct offload_joint *joint, unsigned leg, int fd,
				bool finished);
