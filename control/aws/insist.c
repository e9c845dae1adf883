/* SPDX-License-Identifier: Apache-2.0
 *
 * Sending the same request again.
 *
 * Happy path: a copy of the request is kept, each attempt is one http_start(), between them a timer
 * runs for a random part of 0.2, 0.4, ... seconds. Failure mode: no memory for another attempt ends
 * it with the answer of the last one. Copies may be secrets and are wiped.
 */
#include "control/aws/insist.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/retry.h"
#include "control/aws/secret.h"
#include "proxy/base/loop.h"

#define FIRST_PAUSE_MS 200
#define MAX_HEADERS    8

struct insist {
	struct loop *loop;
	struct http *http;
	struct http_request request; /* texts and body are ours */
	char *headers[MAX_HEADERS + 1];
	char *method;
	char *url;
	void *body;
	bool (*is_luck)(const struct http_answer *answer);
	unsigned attempts;
	struct http_call *call;
	struct timer pause;
	void (*on_end)(void *context, const struct http_answer *answer);
	void *context;
};

static void insist_free(struct insist *insist)
{
	timer_cancel(&insist->pause);
	for (size_t i = 0; i < MAX_HEADERS; i++)
		secret_free(insist->headers[i]);
	secret_free(insist->method);
	secret_free(insist->url);
	if (insist->body)
		OPENSSL_cleanse(insist->body, insist->request.body_size);
	free(insist->body);
	free(insist);
}

static bool may_be_luck(const struct insist *insist, const struct http_answer *answer)
{
	return answer->err == AWS_UNREACHABLE || answer->err == AWS_TIMEOUT ||
	       answer->status >= 500 || answer->status == 429 ||
	       (answer->err == AWS_OK && insist->is_luck && insist->is_luck(answer));
}

static void on_answer(void *context, const struct http_answer *answer)
{
	struct insist *insist = context;
	unsigned pause_ms = FIRST_PAUSE_MS << (insist->attempts - 1);

	insist->call = NULL;
	if (may_be_luck(insist, answer) && insist->attempts < INSIST_ATTEMPTS) {
		loop_arm(insist->loop, &insist->pause, 1 + retry_random() % pause_ms);
		return;
	}
	insist->on_end(insist->context, answer);
	insist_free(insist);
}

static bool send_it(struct insist *insist)
{
	insist->attempts++;
	insist->call = http_start(insist->http, &insist->request);
	return insist->call;
}

static void on_pause_over(struct timer *timer)
{
	struct insist *insist = container_of(timer, struct insist, pause);
	struct http_answer none = {.err = AWS_MEMORY, .problem = "out of memory"};

	if (send_it(insist))
		return;
	insist->on_end(insist->context, &none);
	insist_free(insist);
}

static bool copy_request(struct insist *insist, const struct http_request *request)
{
	size_t count = 0;

	insist->request = *request;
	insist->request.on_end = on_answer;
	insist->request.context = insist;
	insist->request.method = insist->method = secret_copy(request->method);
	insist->request.url = insist->url = secret_copy(request->url);
	for (; request->headers && request->headers[count]; count++) {
		if (count == MAX_HEADERS)
			return false;
		insist->headers[count] = secret_copy(request->headers[count]);
		if (!insist->headers[count])
			return false;
	}
	insist->request.headers = (const char *const *)insist->headers;
	if (request->body)
		insist->request.body = insist->body = secret_cut(request->body, request->body_size);
	return insist->method && insist->url && (!request->body || insist->body);
}

struct insist *insist(struct loop *loop, struct http *http, const struct http_request *request,
		      bool (*is_luck)(const struct http_answer *answer))
{
	struct insist *insist = calloc(1, sizeof(*insist));

	if (!insist)
		return NULL;
	insist->loop = loop;
	insist->http = http;
	insist->is_luck = is_luck;
	insist->on_end = request->on_end;
	insist->context = request->context;
	timer_init(&insist->pause, on_pause_over);
	if (copy_request(insist, request) && send_it(insist))
		return insist;
	insist_free(insist);
	return NULL;
}

void insist_cancel(struct insist *insist)
{
	if (!insist)
		return;
	http_cancel(insist->call);
	insist_free(insist);
}
