/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a session ended: the one enum that names the log field and indexes the counters.
 */
#pragma once

#include <stdbool.h>

enum reason {
	REASON_NONE, /* still open */

	/* The peers' own doing. */
	REASON_CLIENT_FIN,     /* both sides finished, the client first */
	REASON_BACKEND_FIN,    /* both sides finished, the backend first */
	REASON_CLIENT_RST,     /* the client reset an established session */
	REASON_BACKEND_RST,    /* the backend reset an established session */
	REASON_CLIENT_ABORT,   /* the client went away before a backend was connected */
	REASON_CLIENT_TIMEOUT, /* the client's host stopped answering (ETIMEDOUT) */
	REASON_BACKEND_TIMEOUT,

	/* Something is wrong with the PROXY header; the client gets RST. */
	REASON_PROXY_UNTRUSTED,      /* one is required, and not every peer may send it */
	REASON_PROXY_HEADER_BAD,     /* malformed, or none where one is required */
	REASON_PROXY_HEADER_TIMEOUT, /* not complete in time */

	/* No backend could be connected; the client gets RST. */
	REASON_CONNECT_REFUSED,
	REASON_CONNECT_TIMEOUT,
	REASON_CONNECT_UNREACHABLE,
	REASON_NO_SOURCE_PORT, /* ephemeral ports are used up towards the target */
	REASON_POOL_EMPTY,
	REASON_POOL_DOWN,     /* no name of its targets resolves, or all targets are down */
	REASON_POOL_DRAINING, /* every target has weight 0 */
	REASON_POOL_FULL,     /* every target is at its max_connections */
	REASON_QUEUE_FULL,    /* and as many wait already as may */
	REASON_QUEUE_TIMEOUT, /* waited for a slot, and none was free in time */

	/* The proxy's own closings; the _RST ones found no quiet moment before their deadline. */
	REASON_IDLE,
	REASON_IDLE_RST,
	REASON_HALF_CLOSE,
	REASON_LIFETIME,
	REASON_LIFETIME_RST,
	REASON_DRAIN,
	REASON_DRAIN_RST,
	REASON_TARGET_REMOVED, /* its target was removed or drained, and the time for that is over
				*/
	REASON_TARGET_REMOVED_RST,
	REASON_TARGET_DOWN, /* its target is down, and the pool has `on_down: close` */
	REASON_TARGET_DOWN_RST,
	REASON_KILLED, /* an operator's word */
	REASON_KILLED_RST,

	/* The proxy lacked something. */
	REASON_LIMIT,     /* max_connections of the listener or of the process */
	REASON_NO_FD,     /* EMFILE or ENFILE */
	REASON_NO_MEMORY, /* ENOMEM, ENOBUFS, or the buffers cap */
	REASON_INTERNAL,  /* an error that has no name here; the operational log has it */

	REASONS
};

extern const char *const reason_names[REASONS];

/* Whether a flow log with `only: errors` keeps it. */
bool reason_is_error(enum reason reason);
