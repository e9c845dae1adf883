/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP requests with libcurl's multi interface, turned by our loop. TLS is always verified;
 * proxies come from the environment (HTTPS_PROXY, NO_PROXY), but never for metadata services.
 *
 * Happy path: http_start() queues a request, at most `concurrency` run at once, and on_end() tells
 * the whole answer. Failure modes: everything libcurl can say becomes a kind and a sentence; an
 * answer longer than `max_bytes` fails. Nothing is told from inside http_start().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/aws/aws.h"

struct http;
struct http_call;
struct loop;

struct http_conf {
	const char *ca_file;
	const char *user_agent;
	uint32_t concurrency;
};

int http_new(struct loop *loop, const struct http_conf *conf, struct http **ret_http);
void http_free(struct http *http); /* cancels what runs; accepts NULL */

struct http_answer {
	enum aws_error_kind err; /* AWS_OK: there is an answer, whatever its status */
	const char *problem;     /* libcurl's words, when there is none */
	long status;
	const char *body; /* with a NUL behind it */
	size_t size;
	uint64_t took_us;
	uint64_t date_s; /* of the Date header, since the epoch; 0: none */
	struct http_call *call;
};

/* A header of the answer, or NULL; valid during on_end(). */
const char *http_header(const struct http_answer *answer, const char *name);

struct http_request {
	const char *method; /* copied, like all texts here */
	const char *url;
	const char *const *headers; /* "Name: value", NULL at the end, or NULL */
	const void *body;
	size_t body_size;
	const char *unix_socket;     /* connect there instead of the URL's host, or NULL */
	uint32_t connect_timeout_ms; /* 0: 3 s */
	uint32_t timeout_ms;         /* 0: 10 s */
	size_t max_bytes;            /* 0: 32 MiB */
	bool direct;                 /* no proxy: metadata services, Unix sockets */
	/* The call is gone afterwards. */
	void (*on_end)(void *context, const struct http_answer *answer);
	void *context;
};

/* NULL without memory. */
struct http_call *http_start(struct http *http, const struct http_request *request);
void http_cancel(struct http_call *call); /* accepts NULL; on_end() will not come */
