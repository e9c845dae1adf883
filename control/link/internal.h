/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the link share.
 *
 *   status -> every pool -> up -> pushes, long poll of events, status now and then
 *      ^                                  |
 *      +------- jittered wait <-----------+ the long poll failed, or another process answers
 *
 * A `push` is what we want the proxy to have of one source; a `seen` is what it said it has.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/aws/http.h"
#include "control/link.h"
#include "proxy/base/list.h"
#include "proxy/base/timer.h"

/* One source of one pool, as the proxy has it. */
struct seen {
	char *name;
	bool discovered; /* the proxy knows it from `discover:`, so that it is ours */
	uint64_t generation;
	struct target_set *set; /* sealed; NULL: nothing is listed by it */
};

struct seen_list {
	struct seen *items;
	size_t count;
};

struct link_pool {
	struct link *link;
	char *name;
	struct seen_list seen;
	struct target_set *down; /* targets that health checks hold down; NULL: not known */
	struct http_call *call;
	uint64_t asked_us; /* when the last reading began */
	bool stale;        /* something happened to it since */
};

struct push {
	struct list link; /* struct link::pushes */
	struct link *owner;
	char *pool;
	char *source;
	char *targets; /* JSON; NULL: the source is to be taken back */
	bool unverified;
	bool due;            /* to be sent, once nothing is under way */
	bool refused;        /* it is no use to repeat it before something changed */
	uint64_t generation; /* the last one sent */
	uint64_t ended_us;   /* when the proxy last answered */
	unsigned failures;   /* in a row */
	char *body;          /* of the call */
	struct http_call *call;
	struct timer timer;
	char problem[256]; /* as told last; "": it is in force, or was not answered yet */
};

struct link {
	struct link_conf conf;
	char *socket;
	struct link_pool *pools;
	size_t pool_count;
	struct list pushes; /* struct push::link */

	bool up;
	unsigned attempts; /* to connect, since the last long poll that was answered */
	char problem[256]; /* why it is not up, as told last */
	int64_t pid;       /* of the process that answered last; 0: none did */
	char started[40];  /* and since when it runs */
	size_t reading;    /* pools that are read before it is up */
	uint64_t event;    /* the last event that is known */
	uint64_t gap_ms;   /* between two readings of a pool */
	int64_t sessions;
	struct http_call *status;
	struct http_call *watch;
	struct timer connect; /* next attempt, or while up: next look at the status */
	struct timer listen;  /* next long poll */
	struct timer poll;    /* next reading of pools that are stale */

	struct http_call *drain;
	void (*on_drained)(void *context, const char *problem);
	void *drain_context;
	char drain_problem[256];
	struct timer drain_end; /* tells it from outside link_drain() */
};

/* --- link.c --- */

struct link_request {
	const char *method;
	const char *path;
	const char *body; /* or NULL */
	uint32_t timeout_ms;
	void (*on_end)(void *context, const struct http_answer *answer);
	void *context;
};

/* NULL without memory. `body` must live until the end. */
struct http_call *link_ask(struct link *link, const struct link_request *request);

/* The answer's JSON, if it is one of `status`; else NULL with a sentence in `ret_problem`. */
json_t *link_answer(const struct http_answer *answer, long status, char *ret_problem, size_t size);

/* `ms` and up to half of it more, so that a fleet does not do everything at once. */
uint64_t link_jitter(uint64_t ms);

void link_came(struct link *link); /* all that we need is read */
void link_lost(struct link *link, const char *problem);
struct link_pool *link_pool(const struct link *link, const char *name); /* or NULL */

/* --- seen.c --- */

/* What GET /v1/pools/NAME says. 0, -ENOMEM, or -EPROTO; then nothing is made. */
int seen_read(const json_t *pool, struct seen_list *ret_seen, struct target_set **ret_down);
void seen_fini(struct seen_list *seen);
const struct seen *seen_find(const struct seen_list *seen, const char *source);

/* --- watch.c --- */

void watch_connect(struct timer *timer); /* struct link::connect */
void watch_listen(struct timer *timer);  /* struct link::listen */
void watch_poll(struct timer *timer);    /* struct link::poll */
void watch_cancel(struct link *link);

/* --- push.c --- */

void push_free(struct push *push);
void push_all(struct link *link);   /* it came up */
void push_pause(struct link *link); /* it is lost: nothing is under way */
/* The pool was read again: push what the proxy has lost, or has from somebody else. */
void push_compare(struct link_pool *pool);
/* Its configuration may have changed: what was refused may be welcome. */
void push_retry(struct link *link);

/* --- drain.c --- */

void drain_gone(struct link *link); /* the proxy is not there any more */
void drain_cancel(struct link *link);
void drain_tell(struct timer *timer); /* struct link::drain_end */
