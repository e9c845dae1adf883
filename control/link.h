/* SPDX-License-Identifier: Apache-2.0
 *
 * The way to the proxy: its admin socket, to which whole sets are pushed, and from which comes what
 * it has and what its health checks say.
 *
 * Happy path: link_start() connects and reads /v1/status and every pool; from then on it keeps a
 * long poll of /v1/events open, so that the proxy's end is known at once, and a slower poll of
 * the pools brings health. link_push() sends a set with a generation above all that were seen and
 * sends it again until the proxy has it.
 * Failure modes: no proxy (retried with jitter, up to 2 s apart), a proxy that restarted (another
 * pid or start: everything is pushed again), 409 (its generation is taken over and the push is
 * repeated), 404 (no such pool in its configuration: said once, tried again after its reload), 4xx
 * otherwise (said with the proxy's words; not tried again before the set changes or 30 s).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/target_set.h"

struct http;
struct link;
struct loop;

struct link_conf {
	struct loop *loop;
	struct http *http;
	const char *socket;       /* path; copied */
	const char *const *pools; /* names that matter; copied */
	size_t pool_count;
	/* The proxy came (or came again: another process), or went. */
	void (*on_up)(void *context);
	void (*on_down)(void *context, const char *problem);
	/* What became of a push: `problem` NULL: it is in force. */
	void (*on_pushed)(void *context, const char *pool, const char *source, uint64_t generation,
			  const char *problem);
	void *context;
};

int link_start(const struct link_conf *conf, struct link **ret_link); /* 0 or -errno */
void link_stop(struct link *link);                                    /* accepts NULL */

bool link_is_up(const struct link *link);
const char *link_problem(const struct link *link); /* why it is not up; NULL: it is */
int64_t link_pid(const struct link *link);         /* of the proxy; 0: not known */

/* Whether the proxy has answered all that was pushed, be it with a refusal. */
bool link_is_settled(const struct link *link);

/* The set is copied; a push for the same source that was not answered yet is replaced by it.
 * `unverified`: of the last-known-good file, so targets new to the proxy serve only after one
 * health check that passed. 0 or -ENOMEM. */
int link_push(struct link *link, const char *pool, const char *source, const struct target_set *set,
	      bool unverified);

/* Take a source's set back from the proxy (a source that left the configuration). */
int link_withdraw(struct link *link, const char *pool, const char *source);

/* What the proxy said it has, as read when it came up: sealed sets, NULL when it has none. */
const struct target_set *link_current(const struct link *link, const char *pool,
				      const char *source);

/* Sources that the proxy has in a pool and which we pushed some time, to be compared with the
 * configuration: those named KIND or as configured. */
size_t link_sources(const struct link *link, const char *pool, const char **ret_names, size_t room);

/* Whether the proxy's health checks hold this target down now; false when not known. */
bool link_is_down(const struct link *link, const char *pool, const struct found_target *target);

/* Begin and observe the proxy's drain: POST /v1/drain. `on_end` once, with NULL or a problem. */
int link_drain(struct link *link, void (*on_end)(void *context, const char *problem),
	       void *context);
/* Sessions open as last seen; -1: not known, or no proxy. */
int64_t link_sessions(const struct link *link);
