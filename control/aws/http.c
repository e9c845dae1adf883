/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue of requests, and libcurl's multi handle that runs them.
 *
 * Happy path: http_start() queues, the next turn of the loop gives to libcurl as many as may run
 * (call.c is one of them, turn.c calls libcurl on events), http_finish() tells ends.
 * Failure modes: memory that libcurl lacks at the start of a request ends that request. Requests
 * that go directly (metadata services, Unix sockets) are local and never wait for those that hang.
 * libcurl runs no code of ours in which another request could be started or cancelled, so both may
 * be done from any callback.
 */
#include "control/aws/http.h"

#include <errno.h>
#include <stdlib.h>

#include "control/aws/http/internal.h"
#include "proxy/base/clock.h"

#define CONCURRENCY 8
#define IDLE_KEPT   32L /* connections */

static void forget(struct http_call *call)
{
	struct http *http = call->http;

	if (call->started_us) {
		curl_multi_remove_handle(http->multi, call->easy);
		http->busy -= call->is_counted;
	}
	list_remove(&call->link);
}

static void end(struct http_call *call, CURLcode code)
{
	forget(call);
	call_end(call, code);
	call_free(call);
}

/* The next that may begin. */
static struct http_call *next_call(struct http *http)
{
	list_for_each (link, &http->waiting) {
		struct http_call *call = container_of(link, struct http_call, link);

		if (!call->is_counted || http->busy < http->concurrency)
			return call;
	}
	return NULL;
}

void http_finish(struct http *http)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		CURLcode code = message->data.result;
		char *call;

		/* The message is gone once its handle is removed. */
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
		end((struct http_call *)call, code);
	}
	if (next_call(http))
		loop_ready(http->loop, &http->kick);
}

static void begin(struct http_call *call)
{
	struct http *http = call->http;

	list_remove(&call->link);
	if (curl_multi_add_handle(http->multi, call->easy)) {
		end(call, CURLE_OUT_OF_MEMORY);
		return;
	}
	call->started_us = clock_us();
	http->busy += call->is_counted;
	list_push_back(&http->running, &call->link);
}

static void on_kick(struct loop_task *task)
{
	struct http *http = container_of(task, struct http, kick);
	struct http_call *call;

	while ((call = next_call(http)))
		begin(call);
	turn_timers(http);
}

static int copy_conf(struct http *http, const struct http_conf *conf)
{
	http->concurrency = conf->concurrency ?: CONCURRENCY;
	http->ca_file = secret_copy(conf->ca_file);
	http->user_agent = secret_copy(conf->user_agent);
	if ((conf->ca_file && !http->ca_file) || (conf->user_agent && !http->user_agent))
		return -ENOMEM;
	return 0;
}

int http_new(struct loop *loop, const struct http_conf *conf, struct http **ret_http)
{
	struct http *http = calloc(1, sizeof(*http));
	int err = -ENOMEM;

	if (!http)
		return err;
	http->loop = loop;
	list_init(&http->waiting);
	list_init(&http->running);
	list_init(&http->sockets);
	list_init(&http->kick.link);
	timer_init(&http->timer, NULL);
	http->kick.run = on_kick;
	/* Counted by libcurl, and undone by curl_global_cleanup(). */
	if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
		free(http);
		return err;
	}
	err = copy_conf(http, conf);
	if (!err)
		err = (http->multi = curl_multi_init()) ? 0 : -ENOMEM;
	if (err)
		goto fail;
	turn_init(http);
	curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, IDLE_KEPT);
	*ret_http = http;
	return 0;
fail:
	http_free(http);
	return err;
}

static void cancel_all(struct list *calls)
{
	while (!list_empty(calls))
		http_cancel(container_of(calls->next, struct http_call, link));
}

void http_free(struct http *http)
{
	if (!http)
		return;
	cancel_all(&http->waiting);
	cancel_all(&http->running);
	if (http->multi)
		curl_multi_cleanup(http->multi);
	turn_fini(http);
	curl_global_cleanup();
	free(http->ca_file);
	free(http->user_agent);
	free(http);
}

struct http_call *http_start(struct http *http, const struct http_request *request)
{
	struct http_call *call = call_new(http, request);

	if (!call)
		return NULL;
	list_push_back(&http->waiting, &call->link);
	loop_ready(http->loop, &http->kick);
	return call;
}

/* One that is just being told its end is on no list; it is freed right after. */
void http_cancel(struct http_call *call)
{
	if (!call || list_empty(&call->link))
		return;
	forget(call);
	loop_ready(call->http->loop, &call->http->kick);
	call_free(call);
}
