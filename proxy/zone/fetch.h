/* SPDX-License-Identifier: Apache-2.0
 *
 * Short HTTP exchanges with a metadata service, or over a Unix socket, one after the other, which
 * another thread may cancel. Owned by the thread that runs them, but for fetch_cancel().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct fetch;

#define FETCH_TIMEOUT_MS 1000
#define FETCH_MAX        (512 * 1024) /* bytes of an answer */

struct fetch_request {
	const char *method; /* NULL: GET */
	const char *url;
	const char *header;      /* "Name: value", or NULL */
	const char *unix_socket; /* connect there instead of the URL's host, or NULL */
	unsigned timeout_ms;     /* 0: FETCH_TIMEOUT_MS */
	size_t max_bytes;        /* 0: FETCH_MAX */
};

/* 0, -ENOMEM, or -EIO: libcurl does not start. Call it before there are other threads that use
 * libcurl. */
int fetch_new(struct fetch **ret_fetch);
void fetch_free(struct fetch *fetch); /* accepts NULL */

/* The body of an answer with status 200, which the caller frees. NULL otherwise. */
char *fetch_run(struct fetch *fetch, const struct fetch_request *request);

/* Why the last one failed: "HTTP status 404", "Timeout was reached". */
const char *fetch_problem(const struct fetch *fetch);

/* Wait; false when cancelled before or meanwhile. */
bool fetch_pause(struct fetch *fetch, unsigned ms);

/* From any thread: whatever runs fails at once, and so does what is begun later. */
void fetch_cancel(struct fetch *fetch);
