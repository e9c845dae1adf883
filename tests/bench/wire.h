/* SPDX-License-Identifier: Apache-2.0
 *
 * What the load tools and the backend say to each other: a request of 100 bytes, an answer of as
 * many bytes as the request asks for. Both run on one machine, so fields are in its byte order.
 */
#pragma once

#include <stdint.h>

enum wire_op {
	WIRE_REPLY = 1, /* answer `reply_bytes`, then wait for the next request */
	WIRE_STREAM,    /* send without end, until the peer closes */
	WIRE_SINK,      /* read and discard without end */
};

enum wire_flag {
	WIRE_CLOSE = 1,      /* the backend closes after the answer */
	WIRE_TWO_WRITES = 2, /* the answer leaves in two halves, one write each */
};

enum {
	WIRE_MAGIC = 0x534c4231,
	WIRE_REQUEST_BYTES = 100,
	WIRE_GREETING_BYTES = 32, /* what a backend with --greet says first */
};

struct wire_request {
	uint32_t magic;
	uint32_t op;
	uint32_t flags;
	uint32_t reply_bytes;
	uint8_t padding[84];
};

_Static_assert(sizeof(struct wire_request) == WIRE_REQUEST_BYTES, "one request, one size");
