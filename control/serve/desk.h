/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the daemon's requests are answered.
 *
 *   submitted -> handler -> answered
 *                   |
 *                   +-> put aside until there is an event, or its time is over -> answered
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/serve.h"
#include "proxy/base/http/request.h"
#include "proxy/base/loop.h"

struct desk {
	struct serve_conf conf;
	uint64_t started_wall_us;
	struct list polls;      /* struct request::link */
	struct loop_task news;  /* there is an event that nobody was told of yet */
	struct timer polls_due; /* the first of their ends */
	bool closed;            /* nobody waits any more */
};

void serve_desk_init(struct desk *desk, const struct serve_conf *conf);
void serve_desk_close(struct desk *desk); /* those who wait for an event are answered */

/* As struct lobby::submit: how long the answer may take, or 0: it is there. */
uint64_t serve_desk_submit(struct desk *desk, struct request *request);

/* --- handlers.c: one for each route; an answer, or none yet with due_us and after set --- */

void serve_get_discovery(struct desk *desk, struct request *request);
void serve_get_feed(struct desk *desk, struct request *request);
void serve_post_approve(struct desk *desk, struct request *request);
void serve_post_reject(struct desk *desk, struct request *request);
void serve_post_refresh(struct desk *desk, struct request *request);
void serve_get_events(struct desk *desk, struct request *request);
void serve_get_metrics(struct desk *desk, struct request *request);
void serve_get_healthz(struct desk *desk, struct request *request);
void serve_get_readyz(struct desk *desk, struct request *request);
void serve_get_openapi(struct desk *desk, struct request *request);

/* --- routes.c --- */

extern const struct route serve_routes[];
extern const size_t serve_route_count;

/* --- describe.c, metrics.c --- */

/* NULL without memory. */
json_t *serve_describe(const struct desk *desk);

/* Whether every source has targets and the proxy has those; if not, `buf` says which has not. */
bool serve_is_ready(const struct desk *desk, char *buf, size_t size);

/* Prometheus' text form, the caller's to free; NULL without memory. */
char *serve_metrics(const struct desk *desk);
