/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of control/aws/http.c share: the requests (call.c), and the sockets and the timer
 * that libcurl wants to be turned by (turn.c).
 */
#pragma once

#include <curl/curl.h>

#include "control/aws/http.h"
#include "control/aws/secret.h"
#include "proxy/base/list.h"
#include "proxy/base/loop.h"

struct http {
	struct loop *loop;
	CURLM *multi;
	char *ca_file;
	char *user_agent;
	uint32_t concurrency;
	uint32_t busy;         /* calls that run and are counted */
	struct list waiting;   /* struct http_call::link: not begun yet */
	struct list running;   /* struct http_call::link */
	struct list sockets;   /* struct http_socket::link */
	struct timer timer;    /* libcurl's */
	struct loop_task kick; /* begin what waits, and let libcurl's timers run */
};

struct http_call {
	struct list link; /* struct http::waiting or ::running; on none while it ends */
	struct http *http;
	CURL *easy;
	struct curl_slist *headers;
	bool is_counted; /* against the concurrency, while it runs */
	char *body;      /* may hold a secret, as may everything else that was sent or came back */
	size_t body_size;
	struct secret_text answer;
	size_t max_bytes;
	size_t header_bytes;
	bool too_long;
	uint64_t started_us;
	void (*on_end)(void *context, const struct http_answer *answer);
	void *context;
	char problem[CURL_ERROR_SIZE];
};

/* A call that was not begun. NULL without memory. */
struct http_call *call_new(struct http *http, const struct http_request *request);

/* Frees and wipes; libcurl no longer runs it. */
void call_free(struct http_call *call);

/* Tell the end. The call is on no list, and is freed by the caller afterwards. */
void call_end(struct http_call *call, CURLcode code);

/* Have libcurl ask for sockets and a timer from us. */
void turn_init(struct http *http);

/* Give up what is left of the sockets once libcurl is gone. */
void turn_fini(struct http *http);

/* Let libcurl look at its timers now. */
void turn_timers(struct http *http);

/* Read what libcurl has finished and tell it; in http.c. */
void http_finish(struct http *http);
