/* SPDX-License-Identifier: Apache-2.0
 *
 * sluice-control as seen from outside: HTTP/1.1 and JSON on a Unix socket (everything) and on a TCP
 * address (reading alone), turned by the daemon's own loop, so that an answer is always of one
 * moment.
 *
 *   GET  /v1/discovery                             what the daemon knows, every source
 *   GET  /v1/discovery/POOL/SOURCE                 one of them, with its targets
 *   POST /v1/discovery/POOL/SOURCE/approve         {"digest": "..."}: let what is held through
 *   POST /v1/discovery/POOL/SOURCE/reject          forget what is held
 *   POST /v1/discovery/POOL/SOURCE/refresh         ask the source now
 *   GET  /v1/events?after=ID&limit=N               what happened
 *   GET  /metrics, /healthz, /readyz
 *
 * Happy path: serve_open() binds, before the sandbox; serve_start() listens and answers.
 * Failure modes: an address that somebody has (the start fails, and says so); strangers that are
 * slow, large or many are cut off by the library's limits.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct aws_hub;
struct feed_set;
struct journal;
struct loop;
struct serve;

struct serve_conf {
	struct loop *loop;
	struct feed_set *feeds; /* its `link` may change */
	struct journal *journal;
	const struct aws_hub *hub; /* NULL: no AWS */
	const char *socket;        /* path; NULL: none */
	uint32_t mode;             /* of its file */
	const char *http;          /* address and port; NULL: none */
	const char *proxy;         /* the proxy's socket, to be named; NULL: none */
};

#define SERVE_WHY 256

/* Texts are copied. 0, or -errno with a sentence in `ret_why` (SERVE_WHY bytes). */
int serve_open(const struct serve_conf *conf, struct serve **ret_serve, char *ret_why);
int serve_start(struct serve *serve);  /* 0 or -errno */
void serve_close(struct serve *serve); /* after the loop's last turn; accepts NULL */
