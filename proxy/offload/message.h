/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets between a worker's door and the keeper, with two sockets attached where they are handed
 * over.
 */
#pragma once

#include <stdint.h>

#include "proxy/base/list.h"
#include "xdp/flow.h"
#include "xdp/sockmap.h"

struct offload_joint;
struct offload_ticket;

enum offload_op {
	/* From a worker. */
	OFFLOAD_INSERT,
	OFFLOAD_BURY, /* with both sockets */
	OFFLOAD_CANCEL,
	OFFLOAD_RECALL,
	OFFLOAD_ABORT,
	OFFLOAD_JOIN, /* with both sockets */
	OFFLOAD_PART,
	/* From the keeper. */
	OFFLOAD_INSERTED, /* or refused */
	OFFLOAD_LOST,     /* could not be silenced: it is reset */
	OFFLOAD_BACK,     /* with both sockets */
	OFFLOAD_BUSY,
	OFFLOAD_OVER,
	OFFLOAD_ADOPT,  /* one that ran before this process did: the worker's from now on */
	OFFLOAD_JOINED, /* or refused */
	OFFLOAD_GATED,
	OFFLOAD_PARTED, /* the last about this joint */
};

struct offload_message {
	union {
		struct offload_ticket *ticket;
		struct offload_joint *joint; /* the worker's; only a name to the keeper */
	};
	uint32_t op;      /* enum offload_op */
	uint32_t refusal; /* OFFLOAD_INSERTED, OFFLOAD_JOINED: enum flow_refusal */
	uint32_t end;     /* OFFLOAD_OVER: enum offload_end */
	uint32_t index;   /* OFFLOAD_CANCEL: of its flows, as the ticket is gone; OFFLOAD_PART */
	struct flow_view view;   /* OFFLOAD_LOST, _BACK, _OVER: the last, as its slot is gone */
	struct sockmap_joint at; /* OFFLOAD_JOINED */
	uint32_t odd;            /* OFFLOAD_BACK: not asked for; its packets cannot be translated */
};

/* What waits because the pair is full, in order. */
struct outbox {
	int fd;
	struct list waiting; /* struct waiting_message::link */
};

void outbox_init(struct outbox *outbox, int fd);
void outbox_fini(struct outbox *outbox); /* forgets what waits */

/* Now, or as soon as there is room: outbox_flush() on EPOLLOUT. `fds` are duplicated, or NULL.
 * Nothing is ever lost while the other end lives: a message that has to wait and finds no memory is
 * the end of this process. */
void outbox_put(struct outbox *outbox, const struct offload_message *message, const int fds[2]);
void outbox_flush(struct outbox *outbox);

/* 1, 0 when there is none now, or -errno. Without sockets `ret_fds` are -1. */
int message_receive(int socket_fd, struct offload_message *ret_message, int ret_fds[2]);
