/* SPDX-License-Identifier: Apache-2.0
 *
 * One request: a libcurl handle, what it sends, and what came back so far.
 *
 * Happy path: call_new() copies the request into a handle, libcurl runs it, the body is collected,
 * call_end() tells it with its status. Failure modes: every code of libcurl becomes a kind and a
 * sentence. Whatever was sent or received may be a secret and is wiped.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/http/internal.h"
#include "proxy/base/clock.h"

#define MAX_BYTES       (32 << 20)
#define MAX_HEADERS     (64 << 10)
#define CONNECT_TIMEOUT 3000
#define TIMEOUT         10000

/* libcurl's CURLOPT_WRITEFUNCTION; anything but `size * count` ends the transfer. */
static size_t on_body(char *data, size_t size, size_t count, void *context)
{
	struct http_call *call = context;

	size *= count;
	call->too_long = size > call->max_bytes - call->answer.size;
	if (call->too_long)
		return size + 1;
	secret_add(&call->answer, data, size);
	return call->answer.failed ? size + 1 : size;
}

/* Counted alone: libcurl keeps them, and before 8.4 without a bound. Trailers come here as well. */
static size_t on_header(char *data, size_t size, size_t count, void *context)
{
	struct http_call *call = context;

	size *= count;
	call->header_bytes += size;
	call->too_long = call->header_bytes > MAX_HEADERS;
	return call->too_long ? size + 1 : size;
}

static bool add_header(struct http_call *call, const char *line)
{
	struct curl_slist *headers = curl_slist_append(call->headers, line);

	if (headers)
		call->headers = headers;
	return headers;
}

static bool add_headers(struct http_call *call, const char *const *lines)
{
	bool has_type = false;

	/* Nothing is worth waiting for a "100 Continue". */
	if (!add_header(call, "Expect:"))
		return false;
	for (; lines && *lines; lines++) {
		has_type = has_type || !strncasecmp(*lines, "Content-Type:", 13);
		if (!add_header(call, *lines))
			return false;
	}
	/* What libcurl would say of its own accord is not so, and not signed. */
	return has_type || add_header(call, "Content-Type:");
}

static CURLcode set_method(struct http_call *call, const struct http_request *request)
{
	bool has_body = request->body || !strcmp(request->method, "POST") ||
			!strcmp(request->method, "PUT");
	CURLcode err;

	if (!strcmp(request->method, "HEAD"))
		return curl_easy_setopt(call->easy, CURLOPT_NOBODY, 1L);
	if (has_body) {
		call->body = secret_cut(request->body ? request->body : "", request->body_size);
		if (!call->body)
			return CURLE_OUT_OF_MEMORY;
		call->body_size = request->body_size;
		curl_easy_setopt(call->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)call->body_size);
		err = curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, call->body);
		if (err)
			return err;
	}
	return curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, request->method);
}

/* Who is talked to, and by which way. */
static CURLcode set_way(struct http_call *call, const struct http_request *request)
{
	const struct http *http = call->http;
	CURL *easy = call->easy;
	CURLcode err = curl_easy_setopt(easy, CURLOPT_URL, request->url);

	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (!err && http->ca_file) {
		/* Instead of the system's, not beside them. */
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
		err = curl_easy_setopt(easy, CURLOPT_CAINFO, http->ca_file);
	}
	if (!err && (request->direct || request->unix_socket))
		err = curl_easy_setopt(easy, CURLOPT_PROXY, "");
	if (!err && request->unix_socket)
		err = curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
	if (!err && http->user_agent)
		err = curl_easy_setopt(easy, CURLOPT_USERAGENT, http->user_agent);
	return err;
}

static void set_limits(struct http_call *call, const struct http_request *request)
{
	CURL *easy = call->easy;
	long connect_ms = request->connect_timeout_ms ?: CONNECT_TIMEOUT;

	call->max_bytes = request->max_bytes ?: MAX_BYTES;
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(request->timeout_ms ?: TIMEOUT));
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* Otherwise a cancelled or late request waits, with the whole loop, for the thread that is
	 * stuck in getaddrinfo(3). */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

static CURLcode set_up(struct http_call *call, const struct http_request *request)
{
	CURL *easy = call->easy;
	CURLcode err = CURLE_OUT_OF_MEMORY;

	if (!add_headers(call, request->headers))
		return err;
	err = set_method(call, request);
	if (!err)
		err = set_way(call, request);
	if (err)
		return err;
	set_limits(call, request);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->problem);
	return curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
}

struct http_call *call_new(struct http *http, const struct http_request *request)
{
	struct http_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	list_init(&call->link);
	call->http = http;
	call->on_end = request->on_end;
	call->context = request->context;
	call->is_counted = !request->direct && !request->unix_socket;
	call->easy = curl_easy_init();
	if (!call->easy || set_up(call, request)) {
		call_free(call);
		return NULL;
	}
	return call;
}

void call_free(struct http_call *call)
{
	if (call->easy)
		curl_easy_cleanup(call->easy);
	for (struct curl_slist *line = call->headers; line; line = line->next)
		OPENSSL_cleanse(line->data, strlen(line->data));
	curl_slist_free_all(call->headers);
	if (call->body)
		OPENSSL_cleanse(call->body, call->body_size);
	free(call->body);
	secret_discard(&call->answer);
	free(call);
}

static enum aws_error_kind kind_of(const struct http_call *call, CURLcode code)
{
	if (call->answer.failed)
		return AWS_MEMORY;
	if (call->too_long)
		return AWS_GARBAGE;
	switch (code) {
	case CURLE_OK:
		return AWS_OK;
	case CURLE_OPERATION_TIMEDOUT:
		return AWS_TIMEOUT;
	case CURLE_OUT_OF_MEMORY:
		return AWS_MEMORY;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9 */
	case CURLE_BAD_CONTENT_ENCODING:
		return AWS_GARBAGE;
	case CURLE_URL_MALFORMAT:
		return AWS_REFUSED;
	default:
		return AWS_UNREACHABLE;
	}
}

static const char *advice_on(const struct http_call *call, CURLcode code)
{
	long number = 0;

	switch (code) {
	case CURLE_COULDNT_CONNECT: /* whose sentence lacks the reason */
		curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &number);
		return number ? strerror((int)number) : "";
	case CURLE_PEER_FAILED_VERIFICATION:
		return "if a CA of your own signs it, name its file in `control.ca_file` or "
		       "AWS_CA_BUNDLE";
	case CURLE_SSL_CACERT_BADFILE:
		return "look at `control.ca_file` and AWS_CA_BUNDLE";
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_PROXY:
		return "look at HTTPS_PROXY and NO_PROXY";
	default:
		return "";
	}
}

/* libcurl's sentence, and what can be done about it where that is known. */
static void explain(const struct http_call *call, CURLcode code, char *buf, size_t size)
{
	const char *words = call->problem[0] ? call->problem : curl_easy_strerror(code);
	const char *advice = advice_on(call, code);

	if (call->too_long)
		snprintf(buf, size, "the answer is longer than can be believed");
	else
		snprintf(buf, size, "%s%s%s", words, *advice ? "; " : "", advice);
}

static uint64_t date_of(const struct http_answer *answer)
{
	const char *date = http_header(answer, "Date");
	time_t seconds = date ? curl_getdate(date, NULL) : -1;

	return seconds > 0 ? (uint64_t)seconds : 0;
}

void call_end(struct http_call *call, CURLcode code)
{
	struct http_answer answer = {.call = call, .body = "", .err = kind_of(call, code)};
	char problem[CURL_ERROR_SIZE + 128];

	answer.took_us = call->started_us ? clock_us() - call->started_us : 0;
	if (answer.err == AWS_OK) {
		/* A NUL behind it. */
		secret_add(&call->answer, "", 1);
		if (call->answer.failed)
			answer.err = AWS_MEMORY;
	}
	if (answer.err == AWS_OK) {
		curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &answer.status);
		answer.body = call->answer.data;
		answer.size = call->answer.size - 1;
		answer.date_s = date_of(&answer);
	} else {
		explain(call, code, problem, sizeof(problem));
		answer.problem = problem;
	}
	call->on_end(call->context, &answer);
}

const char *http_header(const struct http_answer *answer, const char *name)
{
	struct curl_header *header;

	if (curl_easy_header(answer->call->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}
