/* SPDX-License-Identifier: Apache-2.0
 *
 * The check `http`: one request of HTTP/1.1, of whose answer the status alone is read (RFC 9112,
 * section 4). The happy path is: "HTTP/1.1 200 " came, and the number is in the range that counts
 * as good. Interim answers (100, 102, 103) are skipped with their headers; 101 is a final one.
 *
 * Failure modes: what comes is not HTTP, which the first wrong byte shows; or headers of interim
 * answers without an end, which check.c ends at its bound.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/health/probe.h"

/* "HTTP/1.1 200" in digits (d) and literal characters. */
static const char status_form[] = "HTTP/d.d ddd";

#define STATUS_LENGTH (sizeof(status_form) - 1)

static bool has_body(const char *method)
{
	return !strcmp(method, "POST") || !strcmp(method, "PUT") || !strcmp(method, "PATCH");
}

/* The name to ask for. A scope means something on this host alone. */
static const char *host_of(const struct health_conf *conf, const struct addr *addr, char *buf)
{
	struct addr plain = *addr;

	if (conf->host)
		return conf->host;
	if (addr->family == AF_UNIX)
		return "localhost";
	plain.scope = 0;
	return addr_format(&plain, buf);
}

static uint8_t *make_request(const struct health_conf *conf, const struct addr *addr,
			     const uint8_t *random, size_t *ret_size)
{
	const char *method = conf->method ? conf->method : "GET";
	char buf[ADDR_TEXT];
	char *request;
	int length = asprintf(&request,
			      "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: sluice-check\r\n"
			      "Accept: */*\r\n%sConnection: close\r\n\r\n",
			      method, conf->path ? conf->path : "/", host_of(conf, addr, buf),
			      has_body(method) ? "Content-Length: 0\r\n" : "");

	if (length < 0)
		return NULL;
	*ret_size = (size_t)length;
	return (uint8_t *)request;
}

static bool fits(uint8_t byte, char form)
{
	return form == 'd' ? byte >= '0' && byte <= '9' : byte == (uint8_t)form;
}

/* The status a message begins with; 0 while too little of it is there, -1 if it is none. */
static int status_of(const uint8_t *data, size_t size)
{
	const uint8_t *digits = data + STATUS_LENGTH - 3;

	for (size_t i = 0; i < size && i < STATUS_LENGTH; i++)
		if (!fits(data[i], status_form[i]))
			return -1;
	if (size <= STATUS_LENGTH)
		return 0;
	if (!strchr(" \r\n", data[STATUS_LENGTH]) || !data[STATUS_LENGTH] || digits[0] == '0')
		return -1;
	return (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
}

static enum probe_outcome judge_status(const struct health_conf *conf, int status, char *ret_text)
{
	bool good = status >= conf->status_low && status <= conf->status_high;

	snprintf(ret_text, PROBE_TEXT, "HTTP %d", status);
	return good ? PROBE_GOOD : PROBE_BAD;
}

static enum probe_outcome judge(const struct health_conf *conf, const struct probe_answer *answer,
				char *ret_text)
{
	const uint8_t *at = answer->data, *end = at + answer->size;

	for (;;) {
		int status = status_of(at, (size_t)(end - at));
		bool interim = status >= 100 && status < 200 && status != 101;

		if (status < 0) {
			snprintf(ret_text, PROBE_TEXT, "answer is not HTTP");
			return PROBE_BAD;
		}
		if (!status)
			return PROBE_MORE;
		if (!interim)
			return judge_status(conf, status, ret_text);
		at = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
		if (!at)
			return PROBE_MORE;
		at += 4;
	}
}

const struct probe http_probe = {
	.request = make_request,
	.judge = judge,
};
