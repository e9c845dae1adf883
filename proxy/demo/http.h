/* SPDX-License-Identifier: Apache-2.0
 *
 * As much of HTTP/1.1 (RFC 9112) as a demonstration needs: pure functions on bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A request head, complete up to its empty line. */
struct http_request {
	size_t length;        /* of the head */
	uint64_t body_length; /* of the body that follows it, to be skipped */
	uint64_t bytes;       /* N of /bytes/N */
	int status;           /* what to answer: 200, or why not */
	bool is_bulk;         /* /bytes/N */
	bool wants_head;      /* HEAD: no body in the answer */
	bool keep_alive;
};

/* False when the head is not complete yet. What is not a request gives status 400. */
bool http_parse(const char *data, size_t len, struct http_request *ret_request);

/* The status line and header fields of the answer, into `buf`. Returns their length, less than
 * `size`, which 256 bytes always are enough for. */
int http_answer_head(const struct http_request *request, uint64_t body_length, char *buf,
		     size_t size);
