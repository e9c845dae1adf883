/* SPDX-License-Identifier: Apache-2.0
 *
 * A live session as an operator looks at it: copied out of its worker, so that nothing in here can
 * end while it is read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/addr.h"

struct target;

enum session_phase {
	SESSION_PHASE_ACCEPTED,
	SESSION_PHASE_GREETING, /* waits for a PROXY header */
	SESSION_PHASE_QUEUED,   /* waits for a free slot */
	SESSION_PHASE_DIALING,
	SESSION_PHASE_RELAYING,
	SESSION_PHASE_OFFLOADED,
	SESSION_PHASE_FLUSHING,
	SESSION_PHASES
};

struct session_info {
	uint64_t id;
	uint8_t phase; /* enum session_phase */
	uint8_t retries;
	bool joined;     /* by the kernel (sockmap) */
	bool spliced;    /* its last bulky bytes went through a pipe */
	uint32_t worker; /* index */
	char listener[32];
	char pool[32];
	char target[128];          /* its name; "" while none is chosen */
	char vpce[64];             /* AWS VPC endpoint id of the PROXY header, or "" */
	struct addr client;        /* the connection's peer; a Unix path is NULL in all of these */
	struct addr client_local;  /* what the client connected to; family 0: not known */
	struct addr backend_local; /* what we connected from; family 0: not yet */
	struct addr proxy_source;  /* whom the PROXY header names; family 0: no header */
	uint64_t age_ms;
	uint64_t idle_ms;       /* since a byte moved */
	uint64_t client_bytes;  /* received from the client */
	uint64_t backend_bytes; /* received from the backend */
};

enum session_sort {
	SESSION_SORT_ID,    /* ascending */
	SESSION_SORT_BYTES, /* both directions, the most first */
	SESSION_SORT_AGE,   /* the oldest first */
	SESSION_SORTS
};

/* Which sessions, and the first so many of them in which order. */
struct session_query {
	const char *listener;        /* by name; NULL: any */
	const char *pool;            /* by name; NULL: any */
	const struct target *target; /* NULL: any */
	uint64_t after;              /* only ids above this */
	uint32_t limit;              /* of each worker, at most */
	enum session_sort sort;
};
