/* SPDX-License-Identifier: Apache-2.0
 *
 * Main's half of the admin API: where requests are answered. It is used on main's thread alone.
 *
 *   taken from the queue -> handler -> answered
 *                              |
 *                              +-> put aside until published, or until an event -> answered
 */
#pragma once

#include <stdint.h>

#include "proxy/admin/admin.h"
#include "proxy/admin/queue.h"

struct target_record;

/* Over the last full second. Written by admin's thread, read by handlers. */
struct admin_rates {
	_Atomic uint64_t sessions;
	_Atomic uint64_t client_received_bytes;
	_Atomic uint64_t client_sent_bytes;
};

struct desk {
	struct admin_ops ops;
	const struct admin_rates *rates;
	struct request_queue *done; /* answers leave through here */
	struct list publishing;     /* struct request::link, by ticket */
	struct list polls;          /* struct request::link */
	uint64_t published;         /* the last ticket that all workers have taken ... */
	int published_err;          /* ... or what became of it */
	bool yielded;               /* a successor serves: nobody waits here for an event */
};

void desk_init(struct desk *desk, struct request_queue *done);

/* Run a request's handler, and take the request over. A handler answers; or it answers and calls
 * desk_publish(); or it does not answer, and is called again when there is an event above
 * request->after or at request->due_us, which is 0 then. */
void desk_handle(struct desk *desk, struct request *request);

/* Answer the long polls that have an event, or whose time is over. */
void desk_turn(struct desk *desk, uint64_t now_us);

void desk_published(struct desk *desk, uint64_t ticket, int err);

/* Send those who wait for an event to the successor, now and from now on. */
void desk_yield(struct desk *desk);

/* Answer all that was put aside: this process ends. */
void desk_close(struct desk *desk);

/* --- for handlers --- */

/* The registry was changed: have that published, and give the answer that the request has got only
 * then. With a `record` the answer will describe it as it is by then. */
void desk_publish(struct desk *desk, struct request *request, const struct target_record *record);

extern const struct route desk_routes[];
extern const size_t desk_route_count;

/* What admin.probe answers through main: /readyz. */
extern const struct route desk_probe_routes[];
extern const size_t desk_probe_route_count;
