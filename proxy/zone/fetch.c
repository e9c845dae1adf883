/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns a libcurl multi handle, of which one transfer at a time is used, for the sake of
 * curl_multi_wakeup(3): it ends a wait from another thread.
 *
 * The happy path is: fetch_run() makes an easy handle, turns the multi handle until the transfer is
 * done, and hands over the body. Proxies of the environment are not used: a metadata service is
 * link-local, and a proxy would answer for its own machine. Redirects are not followed.
 *
 * Failure modes: no answer in time, a status other than 200, an answer too long, no
 * memory, cancelled; each is a text in `problem`.
 */
#include "proxy/zone/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"

struct fetch {
	CURLM *multi;
	atomic_bool cancelled;
	char problem[CURL_ERROR_SIZE];
};

struct body {
	char *text;
	size_t len;
	size_t max;
};

int fetch_new(struct fetch **ret_fetch)
{
	struct fetch *fetch;

	/* No TLS, no Winsock: nothing that a plain HTTP request needs to have started. */
	if (curl_global_init(CURL_GLOBAL_NOTHING))
		return -EIO;
	fetch = calloc(1, sizeof(*fetch));
	if (!fetch)
		goto fail;
	fetch->multi = curl_multi_init();
	if (!fetch->multi)
		goto fail;
	*ret_fetch = fetch;
	return 0;
fail:
	free(fetch);
	curl_global_cleanup();
	return -ENOMEM;
}

void fetch_free(struct fetch *fetch)
{
	if (!fetch)
		return;
	curl_multi_cleanup(fetch->multi);
	free(fetch);
	curl_global_cleanup();
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
	struct body *body = context;
	size_t len = size * count;
	char *grown;

	if (len > body->max - body->len)
		return 0;
	grown = realloc(body->text, body->len + len + 1);
	if (!grown)
		return 0;
	memcpy(grown + body->len, data, len);
	body->text = grown;
	body->len += len;
	grown[body->len] = '\0';
	return len;
}

/* Turn until the transfer is over, or cancelled. */
static CURLcode transfer(struct fetch *fetch)
{
	int running;

	while (!fetch->cancelled && !curl_multi_perform(fetch->multi, &running)) {
		int left;
		const CURLMsg *message = curl_multi_info_read(fetch->multi, &left);

		if (message && message->msg == CURLMSG_DONE)
			return message->data.result;
		curl_multi_poll(fetch->multi, NULL, 0, FETCH_TIMEOUT_MS, NULL);
	}
	return CURLE_ABORTED_BY_CALLBACK;
}

static void set_options(CURL *easy, const struct fetch_request *request, struct body *body)
{
	curl_easy_setopt(easy, CURLOPT_URL, request->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
			 (long)(request->timeout_ms ? request->timeout_ms : FETCH_TIMEOUT_MS));
	curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, body);
	if (request->method)
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static void judge(struct fetch *fetch, CURL *easy, CURLcode code)
{
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (code)
		snprintf(fetch->problem, sizeof(fetch->problem), "%s", curl_easy_strerror(code));
	else if (status != 200)
		snprintf(fetch->problem, sizeof(fetch->problem), "HTTP status %ld", status);
	else
		fetch->problem[0] = '\0';
}

char *fetch_run(struct fetch *fetch, const struct fetch_request *request)
{
	struct body body = {.text = calloc(1, 1),
			    .max = request->max_bytes ? request->max_bytes : FETCH_MAX};
	struct curl_slist *headers = NULL;
	CURL *easy = curl_easy_init();

	snprintf(fetch->problem, sizeof(fetch->problem), "out of memory");
	if (request->header)
		headers = curl_slist_append(NULL, request->header);
	if (easy && body.text && (headers || !request->header)) {
		set_options(easy, request, &body);
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
		if (!curl_multi_add_handle(fetch->multi, easy)) {
			judge(fetch, easy, transfer(fetch));
			curl_multi_remove_handle(fetch->multi, easy);
		}
	}
	curl_easy_cleanup(easy);
	curl_slist_free_all(headers);
	if (!fetch->problem[0])
		return body.text;
	free(body.text);
	return NULL;
}

const char *fetch_problem(const struct fetch *fetch)
{
	return fetch->problem;
}

bool fetch_pause(struct fetch *fetch, unsigned ms)
{
	uint64_t until_us = clock_us() + ms * US_PER_MS;

	for (uint64_t now = clock_us(); now < until_us && !fetch->cancelled; now = clock_us())
		curl_multi_poll(fetch->multi, NULL, 0, (int)((until_us - now) / US_PER_MS) + 1,
				NULL);
	return !fetch->cancelled;
}

void fetch_cancel(struct fetch *fetch)
{
	fetch->cancelled = true;
	curl_multi_wakeup(fetch->multi);
}
