/* SPDX-License-Identifier: Apache-2.0
 *
 * Admin's own thread: its loop, and the doors that it turns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proxy/admin/queue.h"
#include "proxy/admin/watch.h"
#include "proxy/base/http/door.h"
#include "proxy/base/loop.h"
#include "proxy/base/thread.h"

#define TRANSPORT_PREFIX_MS 5000  /* for a PROXY header */
#define TRANSPORT_MAIN_MS   20000 /* for main's answer */
#define TRANSPORT_SLOW_MS   60000 /* the same, of what is slow */
#define TRANSPORT_READY_MS  2000  /* the same, of /readyz */
#define TRANSPORT_POLL_MS   50    /* how exactly a long poll ends */

struct transport {
	struct loop loop;
	struct lobby lobby; /* `leaving`: a successor serves */
	struct door doors[DOORS];
	struct request_queue *inbox; /* to main */
	struct request_queue done;   /* from main */
	struct loop_source done_source;
	struct timer tick;
	struct timer poll_tick; /* while there are long polls */
	struct watch *watch;
	struct loop_source probe; /* the listening socket of DOOR_PROBE */
	struct list callers;      /* struct caller::link */
	unsigned waiting;         /* callers whose header is not read yet */
	bool stuck;               /* as last said in the log */
	bool yielded;
	_Atomic bool stopping;
	struct thread thread;
};

/* `doors[].fd` are bound and listen. 0 or -errno. */
int transport_start(struct transport *transport);
void transport_stop(struct transport *transport);

/* --- probe.c: callers with or without a PROXY header --- */

void probe_accept(struct loop_source *source, uint32_t events);
void probe_close(struct transport *transport);
