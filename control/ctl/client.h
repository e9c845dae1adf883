/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to the API of sluice or of sluice-control over its Unix socket, one at a time.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct client;

enum client_peer { CLIENT_PROXY, CLIENT_CONTROL };

struct reply {
	long status;  /* of HTTP */
	char *body;   /* with a NUL behind it */
	size_t bytes; /* of the body */
	json_t *json; /* the body read; NULL if it is no JSON */
};

/* Nothing is opened yet; `socket` is borrowed. NULL without memory. */
struct client *client_new(const char *socket, enum client_peer peer);
void client_free(struct client *client); /* accepts NULL */

/* How long one answer may take; 10 s at first. */
void client_set_timeout(struct client *client, uint64_t timeout_ms);

/* One request and its whole answer. `body` may be NULL, and stays the caller's. 0 whatever the HTTP
 * status; -ETIMEDOUT; -EPROTO when what answered is no HTTP server; else the -errno of
 * connect(2). */
int client_call(struct client *client, const char *method, const char *path, const json_t *body,
		struct reply *ret_reply);

void reply_fini(struct reply *reply);

/* Why client_call() failed and what to try, one or more whole lines. */
void client_explain(const struct client *client, int err, FILE *out);

/* --- paths --- */

#define PATH_BYTES 2048

struct path {
	char text[PATH_BYTES];
	bool has_query;
	bool cut; /* too long: the request would be for something else */
};

/* Begin with what needs no encoding: "/v1/pools/". */
void path_init(struct path *path, const char *prefix);

/* As it is: "/sources/". */
void path_add(struct path *path, const char *text);

/* One segment, percent-encoded. */
void path_add_encoded(struct path *path, const char *segment);

/* `?key=value` or `&key=value`; nothing when `value` is NULL. */
void path_query(struct path *path, const char *key, const char *value);
void path_query_number(struct path *path, const char *key, uint64_t value);
