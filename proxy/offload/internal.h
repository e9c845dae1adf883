/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the offload share: keeper.c is the thread, promote.c takes sessions over,
 * recall.c gives them back, adopt.c finds those that nobody has, pinning.c where they are, ending.c
 * sees them end, cellar.c has their sockets; joiner.c joins sockets and parts them; door.c is the
 * worker's side, joint.c that of joined sockets, message.c the way between the two.
 */
#pragma once

#include <semaphore.h>
#include <stdatomic.h>

#include "proxy/base/loop.h"
#include "proxy/base/thread.h"
#include "proxy/offload.h"
#include "proxy/offload/cellar.h"
#include "proxy/offload/message.h"

struct pinning;
struct route_table;
struct watch;

enum grave_state {
	GRAVE_FREE,
	GRAVE_PENDING, /* inserted; the kernel finishes what it took */
	GRAVE_BURIED,
	GRAVE_HELD, /* asked back */
	GRAVE_OVER, /* for what is under way still */
};

/* What the keeper has of one session: where the sockets are that keep its place, and whose it is.
 */
struct grave {
	struct list link; /* struct offload::held or ::over */
	struct offload_ticket *ticket;
	uint32_t row; /* of its sockets in the cellars, or CELLAR_NOWHERE */
	struct flow_tomb tombs[2];
	struct addr hops[2]; /* XDP: the neighbours that its packets go to; family 0: not XDP */
	uint64_t due_us;     /* HELD: give up; OVER: free the slot */
	uint32_t index;
	uint32_t worker;
	uint8_t state;     /* enum grave_state */
	uint8_t first_fin; /* 1 + leg; 0: none yet */
	bool aborting;     /* HELD: to be reset, quiet or not */
	bool leaving;      /* HELD: its sockets are being closed, to be made anew */
	bool odd;          /* some of its packets cannot be translated */
};

/* The keeper's end of a worker's pair. */
struct counter_side {
	struct loop_source source;
	struct offload *offload;
	unsigned worker;
	struct outbox outbox;
};

/* What the keeper has of two sockets that are joined; they stay with their worker. */
struct joined {
	struct offload_joint *joint; /* NULL: none */
	struct sockmap_joint at;
	uint32_t worker;
	bool gated; /* or is to be, which is counted once */
};

struct offload {
	struct offload_conf conf;
	struct flow_engine *engine; /* NULL: no flows */
	struct pinning *pins;       /* NULL: nothing is pinned */
	struct sockmap *sockmap;    /* NULL: no joints */
	struct joined *joined;      /* by index / 2 */
	struct loop_source gates;   /* that fell */
	struct route_table *routes;
	unsigned unmet_ifindex; /* of the last interface that took no program, */
	int unmet_err;          /* and why */
	struct thread thread;
	sem_t ready; /* posted by the thread: others may dial now */
	struct loop loop;
	struct loop_source events;  /* of the programs */
	struct loop_source stop;    /* eventfd */
	struct counter_side *sides; /* one per worker */
	int *worker_fds;            /* the workers' ends */
	struct cellars *cellars;
	struct grave *graves;         /* by index / 2 */
	struct list asked;            /* struct offload_ticket::link, to be inserted */
	struct list held;             /* struct grave::link */
	struct list over;             /* struct grave::link, by due_us */
	struct loop_task insert_task; /* once a turn */
	struct timer hold_timer;
	struct timer over_timer;
	struct timer sweep_timer;
	uint32_t swept;      /* graves, in this round */
	struct watch *watch; /* of interfaces and neighbours */
	struct loop_source changes;
	struct timer hop_timer;
	struct timer doubt_timer;
	uint32_t doubt_next; /* the grave that is looked at next */
	uint64_t events_lost;
	_Atomic uint32_t doubts; /* a bit for each enum offload_doubt that came up; sticky */
	_Atomic uint64_t counts[OFFLOAD_COUNTS];
	_Atomic uint64_t refusals[FLOW_REFUSALS];
	_Atomic uint64_t open;
	_Atomic uint64_t joints;
	uint64_t limit; /* slots in use at once, as the cellars have room */
	bool leave;
};

static inline void offload_note(struct offload *offload, enum offload_count which)
{
	atomic_fetch_add_explicit(&offload->counts[which], 1, memory_order_relaxed);
}

static inline struct grave *grave_of(struct offload *offload, uint32_t index)
{
	return &offload->graves[index / 2];
}

/* A worker's side. */
struct offload_door {
	struct offload *offload;
	unsigned worker;
	struct loop *loop;
	struct offload_owner owner;
	struct loop_source source;
	struct outbox outbox;
	struct list settling; /* struct offload_ticket::link */
	struct list joints;   /* struct offload_joint::link */
	struct timer timer;
};

/* keeper.c: to the ticket's worker; kept until there is room. */
void keeper_tell(struct offload *offload, uint32_t worker, const struct offload_message *message,
		 const int fds[2]);

/* ways.c: fills in interfaces, MACs and next hops; 0 or -errno. */
int keeper_find_ways(struct offload *offload, struct offload_ticket *ticket);

/* The program stands there, as the configuration has it; 0 or -errno. */
int keeper_prepare_interface(struct offload *offload, unsigned ifindex);

/* watching.c: what changes on this host, from the start of the loop on. 0 or -errno. */
int keeper_watch_open(struct offload *offload);
int keeper_watch_start(struct offload *offload);

/* doubt.c: figures that contradict each other end all promotions. */
void keeper_doubt_start(struct offload *offload);

/* promote.c */
void keeper_ask(struct offload *offload, uint32_t worker, struct offload_ticket *ticket);
void keeper_insert_all(struct loop_task *task);
void keeper_bury(struct offload *offload, struct offload_ticket *ticket, const int fds[2]);
void keeper_cancel(struct offload *offload, uint32_t index);

/* joiner.c: the kernel's part; 0 or -errno with a sentence. */
int joiner_open(struct offload *offload, char *problem, size_t size);
void joiner_close(struct offload *offload);
void joiner_join(struct offload *offload, uint32_t worker, struct offload_joint *joint,
		 const int fds[2]);
void joiner_part(struct offload *offload, uint32_t worker, const struct offload_message *message);

/* joint.c: what the keeper says of joints. False: it is about something else. */
void joints_forget(struct offload_door *door); /* of sessions that have ended */
bool joint_obey(struct offload_door *door, const struct offload_message *message);

/* door.c */
void door_tell(struct offload_door *door, const struct offload_message *message, const int fds[2]);

/* recall.c */
/* A ticket that the grave has no more belongs to a worker that is about to hear of its end. */
void keeper_recall(struct offload *offload, uint32_t index, struct offload_ticket *ticket,
		   bool abort);
void keeper_on_hold_timer(struct timer *timer);
void keeper_reset_all(struct offload *offload); /* nobody will look after them any more */

/* adopt.c: what another version left at `path` ends, and is told. */
void keeper_drop_others(const char *path);

/* adopt.c: on the keeper's thread, in its own table of fds, before anything else. */
void keeper_adopt(struct offload *offload);

/* ending.c */
void keeper_on_events(struct loop_source *source, uint32_t events);
void keeper_on_over_timer(struct timer *timer);
void keeper_on_sweep_timer(struct timer *timer);
void keeper_arm_sweep(struct offload *offload);

/* See whether it is over, by itself. */
void keeper_see_end(struct offload *offload, struct grave *grave);

/* It is over, and what is under way still finds it for a while. */
void keeper_linger(struct offload *offload, struct grave *grave);

/* The slot of who is over for longest is free. False: nobody is. */
bool keeper_make_room(struct offload *offload);

/* Whoever closes it, it ends with RST; in repair, silently still. */
void offload_end_by_reset(int fd);

/* Close with RST. */
void offload_reset(int fd);

/* Its sockets are closed, soon: cellars_wait() says when. */
void grave_close(struct offload *offload, struct grave *grave);

/* Its slot is free, and its sockets are closed soon. */
void grave_clear(struct offload *offload, struct grave *grave);
