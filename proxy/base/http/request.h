/* SPDX-License-Identifier: Apache-2.0
 *
 * One request to a program's own API, from its headers to its answer. It has one owner at a time:
 * the visitor who reads it, the desk that answers it (maybe on another thread), the visitor again.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proxy/base/list.h"

#define REQUEST_SEGMENTS  6 /* no path of the API has more */
#define REQUEST_ARGUMENTS 8
#define REQUEST_NONCE     33 /* 128 bits in hex, and a NUL */

struct desk; /* whoever answers: each program has its own */
struct request;
struct visitor;

enum request_method {
	METHOD_GET, /* HEAD too: the library leaves out the body */
	METHOD_PUT,
	METHOD_POST,
	METHOD_PATCH,
	METHOD_DELETE,
	METHODS
};

extern const char *const request_method_names[METHODS];

enum route_flag {
	ROUTE_BODY = 1, /* has a body; others are refused one */
	ROUTE_SLOW = 2, /* may take as long as a reload or a long poll */
};

/* What may be asked for. A `*` of the pattern is one segment of any text. */
struct route {
	enum request_method method;
	const char *pattern;
	const char *arguments; /* names that may stand behind the `?`, blanks between; NULL: none */
	void (*handle)(struct desk *desk, struct request *request);
	unsigned flags; /* enum route_flag */
};

struct request_argument {
	char *name;
	char *value;
};

struct request {
	struct list link;        /* of whoever owns it: a queue, or a list of struct desk */
	struct visitor *visitor; /* of its thread alone; NULL: nobody waits for it any more */
	const struct route *route;
	enum request_method method;
	char *path;    /* as sent, still encoded: for the audit */
	char *decoded; /* what the segments point into */
	char *segments[REQUEST_SEGMENTS];
	unsigned segment_count;
	struct request_argument arguments[REQUEST_ARGUMENTS];
	unsigned argument_count;
	json_t *body; /* an object, or NULL */
	bool local;   /* came by the Unix socket: then uid and pid are the peer's */
	uid_t uid;
	pid_t pid;

	/* While the desk has put it aside. */
	uint64_t ticket; /* answered once this is published */
	uint64_t due_us; /* of a long poll */
	uint64_t after;  /* of a long poll: the last event that is known */
	uint64_t key;    /* of the target that the answer describes; 0: none */
	bool waited;     /* of a long poll: it was put aside once */

	/* The answer. */
	int status; /* of HTTP; 0: there is none yet */
	json_t *answer;
	char *text;                /* instead of `answer` */
	const char *type;          /* of `text` */
	char nonce[REQUEST_NONCE]; /* what `text` names to run its own script; "": it has none */
	const char *allow;         /* for 405 */
};

/* A request for `url`, still encoded. NULL without memory. */
struct request *request_new(const char *method, const char *url);
void request_free(struct request *request); /* accepts NULL */

/* Add what stood behind the `?`. False without memory, or if there are too many. */
bool request_add_argument(struct request *request, const char *name, const char *value);

/* Decode path and arguments, find the route, and see whether this peer may use it. True, or false
 * with the answer given. */
bool request_route(struct request *request, const struct route *routes, size_t count);

/* What an argument says, or NULL. */
const char *request_argument(const struct request *request, const char *name);

/* A number within bounds; `fallback` where it was not given. False with the answer given. */
bool request_number(struct request *request, const char *name, uint64_t fallback, uint64_t max,
		    uint64_t *ret_number);

/* `1`, `0`, or not given (false). False with the answer given. */
bool request_flag(struct request *request, const char *name, bool *ret_flag);

/* Read the body. False with the answer given. */
bool request_parse(struct request *request, const char *text, size_t size);

/* Answer; takes `answer` over, NULL becomes 500 for want of memory. */
void request_reply(struct request *request, int status, json_t *answer);

/* Answer with text of another type; takes `text` over. */
void request_reply_text(struct request *request, const char *type, char *text);

/* Answer {"error": "..."}. */
void request_refuse(struct request *request, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define REQUEST_AUDIT 384

/* The person behind a request: "uid 1000 (alice)". Opens /etc/passwd. */
void request_who(const struct request *request, char *buf, size_t size);

/* What an audit says of an answered request: who, what, and what came of it. */
void request_audit(const struct request *request, char ret_text[static REQUEST_AUDIT]);
