/* SPDX-License-Identifier: Apache-2.0
 *
 * A walk over all of a worker's sessions, a few each turn of its loop, so that fifty thousand of
 * them stall nobody. Sessions may begin and end meanwhile.
 */
#pragma once

#include "proxy/session/session.h"

struct session_sweep {
	struct list link; /* struct session_env::sweeps */
	struct loop_task task;
	struct session_env *env;
	struct list *next; /* the session to visit next; session_end() moves it on */
	uint64_t end_id;   /* sessions that begin later are not visited */
	/* May end the session. False: the rest need not be visited. */
	bool (*visit)(struct session_sweep *sweep, struct session *session);
	void (*done)(struct session_sweep *sweep); /* frees it */
};

/* `visit` and `done` are set; the rest is set here. Begins in the next turn. */
void session_sweep_start(struct session_env *env, struct session_sweep *sweep);

/* There will be no further turn: all that are under way are done. */
void session_sweep_stop_all(struct session_env *env);

/* A session leaves the list. */
void session_sweep_pass(struct session_env *env, struct session *session);
