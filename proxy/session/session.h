/* SPDX-License-Identifier: Apache-2.0
 *
 * A session: one client connection, the backend connection it is relayed to, and all that is known
 * about the two.
 *
 *  GREETING                            a PROXY header is expected
 *   ^    |
 *   |    v      +----------------+    retry
 *   |           v                |
 *  ACCEPTED -> DIALING ----------+
 *   |  ^  |      |   \
 *   v  |  |      |    +-> RELAYING -----------+   OFFLOADED: no packet passes us
 *  QUEUED |      |        |   |  ^            |   QUEUED: every target is full
 *   |     |      |        |   v  |            |
 *   |     |      |        | OFFLOADED --------+
 *   |     |      |        v                   |
 *   |     |      |        FLUSHING            |   one leg failed: what it sent is delivered
 *   |     |      |            |               |   to the other before that one is reset
 *   v     v      v            v               v
 *   +-----+------+--> CLOSED <+---------------+
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/list.h"
#include "proxy/base/loop.h"
#include "proxy/ports.h"
#include "proxy/reason.h"
#include "proxy/relay.h"
#include "proxy/view.h"

struct flow_ring;
struct greeting;
struct listener_stats;
struct offload_door;
struct offload_joint;
struct offload_ticket;
struct pool_mailbox;
struct session_cache;
struct session_search;

/* What a worker lends to all of its sessions. */
struct session_env {
	struct loop loop;
	struct relay_kit kit;
	struct ports *ports;
	struct flow_ring *ring; /* NULL: no flow log */
	struct worker_counts *counts;
	struct session_cache *cache;
	struct view **view; /* the worker's newest, to choose targets by; NULL: each its own */
	struct offload_door *door;    /* NULL: every session stays on its relay */
	struct pool_mailbox *mailbox; /* NULL: nobody can wait for a slot */
	struct loop_source granted;   /* its eventfd */
	struct timer queue_timer;     /* looks again for those who wait for `connect_rate` */
	int outlier_fd;       /* eventfd(2): a target's failures want to be seen; -1: none */
	struct list sweeps;   /* struct session_sweep::link, under way */
	struct list sessions; /* struct session::link, by id */
	uint32_t session_count;
	uint32_t worker;  /* index */
	uint64_t next_id; /* unique over the process: workers count in steps */
	uint32_t id_step;
	uint64_t random;                        /* state of the jitter's generator */
	void (*on_end)(struct session_env *);   /* a session's fds are free again */
	void (*on_adopt)(struct session_env *); /* one more session, that nobody accepted */
};

enum session_state {
	SESSION_ACCEPTED,
	SESSION_GREETING,
	SESSION_QUEUED,
	SESSION_DIALING,
	SESSION_RELAYING,
	SESSION_OFFLOADED, /* the kernel translates its packets; it has no socket here */
	SESSION_FLUSHING,
	SESSION_CLOSED,
	SESSION_STATES
};

struct session {
	struct leg client;
	struct leg backend;
	struct relay to_backend;
	struct relay to_client;
	struct timer timer;
	struct loop_task task; /* ready when a byte budget was spent; deferred when closed */
	struct list link;      /* struct session_env::sessions */
	struct session_env *env;
	struct view *view; /* the configuration it began with */
	struct pool_view *pool;
	const struct listener_conf *listener;
	struct listener_stats *listener_stats;
	struct target *target;         /* reserved, or NULL */
	struct greeting *greeting;     /* what its PROXY header said; NULL: it had none */
	struct offload_ticket *ticket; /* on its way to the kernel, there, or on its way back */
	struct offload_joint *joint;   /* the kernel moves bytes between its sockets */
	struct session_search *search; /* until it is connected, if that takes more than one try */
	struct port_lease lease;
	uint64_t id;
	uint64_t accepted_us;
	uint64_t active_us;       /* when a byte moved last */
	uint64_t deadline_us;     /* of the connect attempt or of the flush */
	uint64_t closing_us;      /* our own closing looks for a quiet moment from here on ... */
	uint64_t offloaded_bytes; /* both ways: the kernel's doing */
	uint32_t closing_wait_ms; /* ... for so long, then resets */
	uint32_t lifetime_ms;     /* with its jitter; 0: unlimited */
	uint32_t connect_us;      /* these three are offsets from accepted_us */
	uint32_t client_first_us;
	uint32_t backend_first_us;
	uint8_t joint_wait_ms; /* until the next look at what the kernel has under way; 0: none */
	uint8_t turns;         /* that moved bytes, since it could be offloaded */
	uint8_t retries;
	uint8_t state;            /* enum session_state */
	uint8_t reason;           /* enum reason, once it is known */
	uint8_t owing;            /* offloaded: enum reason, if nothing is acknowledged any more */
	uint8_t first_fin;        /* REASON_CLIENT_FIN, REASON_BACKEND_FIN, 0: none yet */
	uint8_t closing;          /* enum reason of our own closing that waits for a quiet moment */
	bool attempted : 1;       /* at least one target was dialed */
	bool matured : 1;         /* lived long enough for keepalive to be worth its system calls */
	bool client_failed : 1;   /* while FLUSHING: which leg did */
	bool header_begun : 1;    /* while GREETING: part of a PROXY header is here */
	bool is_probe : 1;        /* it said so (LOCAL), or never said a byte */
	bool is_client : 1;       /* it is certain not to be a probe, and counted */
	bool target_held : 1;     /* with a reference: our own view may not know the target */
	bool cross_zone : 1;      /* the target is in another zone */
	bool stays : 1;           /* it cannot be offloaded, ever */
	bool stand_in : 1;        /* adopted, and its target is not known again yet */
	bool stuck : 1;           /* offloaded: what is under way is not acknowledged */
	bool moved : 1;           /* a byte, since it was offered or came back */
	bool narrowed : 1;        /* its windows are, so that it may be offloaded */
	bool joint_waits : 1;     /* something the kernel has under way is awaited */
	bool ours_to_backend : 1; /* of a joint: these ways are relayed again */
	bool ours_to_client : 1;
	bool closing_target : 1; /* `closing` is about the target, not about the session */
};

struct session_cache *session_cache_new(void);
void session_cache_free(struct session_cache *cache);

/* The loop is there: listen for slots that others grant. 0 or -errno. */
int session_queue_start(struct session_env *env);

/* The worker's view has changed: who waits may find room now. */
void session_serve_queues(struct session_env *env);

/* Begin a session on an accepted socket, which it owns from now on, whatever happens.
 * `local` is the address the client connected to; its family is 0 if only the socket knows. */
void session_begin(struct session_env *env, struct view *view, size_t listener_index, int fd,
		   const struct addr *peer, const struct addr *local);

/* Close from our side, at the first quiet moment after `delay_ms`, with FIN both ways; with RST
 * if there was none within `wait_ms` more. */
void session_close(struct session *session, enum reason reason, uint32_t delay_ms,
		   uint32_t wait_ms);

/* The same, because of its target: one that is still dialed may fail, and then the session goes on
 * with another. */
void session_close_for_target(struct session *session, enum reason reason, uint32_t delay_ms,
			      uint32_t wait_ms);

/* What a closing is called that found no quiet moment. */
enum reason session_reason_by_force(enum reason reason);

/* A random delay of up to `most_ms`. */
uint32_t session_jitter(struct session_env *env, uint32_t most_ms);

/* End it now, with RST both ways. */
void session_abort(struct session *session, enum reason reason);

/* Its description while it lives, for operators. */
struct session_info;
void session_inform(struct session *session, struct session_info *ret_info);

/* Its description at its end, for the flow log. */
struct flow_record;
void session_describe(const struct session *session, struct flow_record *ret_record);
