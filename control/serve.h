/* SPDX-License-Identifier: Apache-2.0
 *
 * sluice-control as seen from outside: HTTP/1.1 and JSON on a Unix socket (everything) and on a TCP
 * address (reading alone), turned by the daemon's own loop, so that an answer is always of one
 * moment. control/serve/routes.c is the list, control/serve/openapi.json its description.
 *
 * Happy path: serve_open() binds, before the sandbox; serve_start() listens and answers.
 * Failure modes: an address that somebody has (the start fails, and says so); strangers that are
 * slow, large or many are cut off by the bounds of proxy/base/http/door.h. A loop that stands still
 * answers nobody, /healthz neither.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct aws_hub;
struct feed_set;
struct journal;
struct lifecycle;
struct loop;
struct queue;
struct serve;

struct serve_conf {
	struct loop *loop;
	struct feed_set *feeds; /* its `link` may change */
	struct journal *journal;
	const struct aws_hub *hub;          /* NULL: no AWS */
	struct lifecycle *const *lifecycle; /* where it will be, or NULL */
	struct queue *const *queue;         /* the same of the queue */
	const char *socket;                 /* path; NULL: none */
	uint32_t mode;                      /* of its file */
	const char *http;                   /* address and port; NULL: none */
	const char *proxy;                  /* the proxy's socket, to be named; NULL: none */
};

#define SERVE_WHY 256

/* Texts are copied. 0, or -errno with a sentence in `ret_why` (SERVE_WHY bytes). `*ret_serve` is
 * NULL when there is neither socket nor address. */
int serve_open(const struct serve_conf *conf, struct serve **ret_serve, char *ret_why);
int serve_start(struct serve *serve); /* 0 or -errno; accepts NULL */

/* What is being written is finished, for half a second at most. Turns the loop, so it comes before
 * what the loop calls is gone; accepts NULL. */
void serve_close(struct serve *serve);
