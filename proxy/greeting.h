/* SPDX-License-Identifier: Apache-2.0
 *
 * The one place that looks at a connection's first bytes: a PROXY header, and nothing else so far.
 * Everything behind the header stays in the kernel's queue, so a retry on another target loses
 * nothing of it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/model.h"
#include "proxy/reason.h"

#define GREETING_BUFFER 4096 /* what greeting_look() needs to look into */

/* What a header said, on the heap and no larger than that; sessions without one have none. */
struct greeting {
	struct addr source; /* the client; family 0: not said */
	struct addr destination;
	const char *vpce; /* the AWS VPC endpoint it came through; NULL: none */
	uint16_t tlv_size;
	bool local;      /* version 2 LOCAL: the balancer's own connection, as for a check */
	uint8_t bytes[]; /* the TLVs to pass on, then what the pointers above point to */
};

enum greeting_result {
	GREETING_NEED_MORE,
	GREETING_CONTINUE,
	GREETING_REFUSE,
};

struct greeting_found {
	struct greeting *greeting; /* CONTINUE: now the caller's; NULL: there is no header */
	const char *error;         /* REFUSE: what is wrong with the header, for a log; or NULL */
	enum reason reason;        /* REFUSE */
	bool begun;                /* NEED_MORE: a header has begun */
};

/* Look at what the peer of `fd` has sent, and consume its header if that is complete. `ended` says
 * that nothing will follow it. A peer that left without a byte is refused as REASON_CLIENT_FIN or
 * REASON_CLIENT_ABORT; so it is only where a header is required. Never blocks. */
enum greeting_result greeting_look(int fd, enum proxy_accept mode, bool ended,
				   uint8_t buffer[GREETING_BUFFER],
				   struct greeting_found *ret_found);

/* One that another process heard. NULL without memory. */
struct greeting *greeting_remember(const struct addr *source, const struct addr *destination,
				   const char *vpce);

void greeting_free(struct greeting *greeting); /* accepts NULL */
