/* SPDX-License-Identifier: Apache-2.0
 *
 * One signed request: the input as the service's protocol wants it, the headers, the signature.
 *
 * Happy path: request_encode() once a page, request_send() once an attempt, since the signature has
 * the time in it. What names the session or proves who we are is wiped once it was handed over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/endpoint.h"
#include "control/aws/query.h"
#include "control/aws/run/internal.h"
#include "control/aws/secret.h"
#include "control/aws/sigv4.h"
#include "proxy/base/clock.h"
#include "proxy/base/jot.h"

#define URL_TEXT    2048
#define LINES       6 /* of headers, at most */
#define LONG_ANSWER (32 << 20)
#define ATTEMPT_MS  10000
#define CONNECT_MS  3000

/* The parts of an endpoint's URL. */
struct where {
	char url[URL_TEXT];  /* to be asked for */
	char host[URL_TEXT]; /* as the Host header says it: no port where it is the scheme's */
	const char *path;    /* within `url` */
};

int request_encode(struct aws_run *run)
{
	const struct service *service = &services[run->op.service];
	char *body = NULL;
	int err = 0;

	if (service->protocol == PROTOCOL_JSON)
		err = (body = jot_dump(run->op.input)) ? 0 : -ENOMEM;
	else
		err = query_encode(run->op.action, service->version,
				   service->protocol == PROTOCOL_EC2, run->op.input, &body);
	if (err)
		return err;
	secret_free(run->body);
	run->body = body;
	run->body_size = strlen(body);
	return 0;
}

static bool ends_with(const char *text, const char *end)
{
	size_t size = strlen(text);

	return size >= strlen(end) && !strcmp(text + size - strlen(end), end);
}

/* 0 or -EINVAL. Every service of ours has one resource, "/", below the endpoint's own path. */
static int find_where(const struct aws *aws, enum aws_service service, struct where *ret_where)
{
	char *url = ret_where->url;
	char *host, *path;
	size_t size;
	int err = endpoint_url(service, aws->region, aws->endpoint, aws->hub->fips,
			       aws->hub->dual_stack, url, URL_TEXT - 1);

	if (err)
		return err;
	host = strstr(url, "://");
	if (!host)
		return -EINVAL;
	host += 3;
	path = host + strcspn(host, "/?#");
	size = strlen(url);
	while (size > (size_t)(path - url) && url[size - 1] == '/')
		url[--size] = '\0';
	size = (size_t)(path - host);
	memcpy(ret_where->host, host, size);
	ret_where->host[size] = '\0';
	if (ends_with(ret_where->host, url[4] == 's' ? ":443" : ":80"))
		*strrchr(ret_where->host, ':') = '\0';
	if (!*path)
		strcpy(path, "/");
	ret_where->path = path;
	return 0;
}

/* What is signed: Host, Content-Type and the target; `ret_target` has 128 bytes. */
static size_t list_headers(const struct aws_op *op, const struct where *where, char *target,
			   struct sigv4_header *ret_headers)
{
	const struct service *service = &services[op->service];
	size_t count = 0;

	ret_headers[count++] = (struct sigv4_header){"Host", where->host};
	ret_headers[count++] = (struct sigv4_header){"Content-Type", service->content_type};
	if (service->protocol == PROTOCOL_JSON) {
		snprintf(target, 128, "%s.%s", service->target, op->action);
		ret_headers[count++] = (struct sigv4_header){"X-Amz-Target", target};
	}
	return count;
}

static char *line_of(const char *name, const char *value)
{
	struct secret_text line = {.data = NULL};

	secret_add_format(&line, "%s: %s", name, value);
	return secret_take(&line);
}

static void free_lines(char **lines)
{
	for (; *lines; lines++)
		secret_free(*lines);
}

/* As libcurl takes them. Ends with NULL, also when memory runs short half-way. */
static int make_lines(const struct sigv4_header *headers, size_t count,
		      const struct sigv4_signed *sig, const char *token, char **ret_lines)
{
	const struct sigv4_header more[] = {{"X-Amz-Date", sig->date},
					    {"Authorization", sig->authorization},
					    {"X-Amz-Security-Token", token}};
	size_t made = 0;

	for (size_t i = 0; i < count; i++, made++)
		if (!(ret_lines[made] = line_of(headers[i].name, headers[i].value)))
			return -ENOMEM;
	for (size_t i = 0; i < (token ? 3 : 2); i++, made++)
		if (!(ret_lines[made] = line_of(more[i].name, more[i].value)))
			return -ENOMEM;
	return 0;
}

static int start(struct aws_run *run, const struct where *where, char *const *lines,
		 void (*on_end)(void *context, const struct http_answer *answer))
{
	const struct http_request request = {
		.method = "POST",
		.url = where->url,
		.headers = (const char *const *)lines,
		.body = run->body,
		.body_size = run->body_size,
		.connect_timeout_ms = CONNECT_MS,
		.timeout_ms = run->op.timeout_ms ?: ATTEMPT_MS,
		.max_bytes = LONG_ANSWER,
		.on_end = on_end,
		.context = run,
	};

	run->call = http_start(run->aws->hub->http, &request);
	return run->call ? 0 : -ENOMEM;
}

int request_send(struct aws_run *run, const struct credentials *credentials,
		 void (*on_end)(void *context, const struct http_answer *answer))
{
	struct aws_hub *hub = run->aws->hub;
	const struct sigv4_key key = {
		.key_id = credentials->key_id,
		.secret = credentials->secret,
		.token = credentials->token,
		.region = run->aws->region,
		.service = services[run->op.service].signing,
		.time_s = (uint64_t)((int64_t)clock_wall_us() + hub->skew_us) / US_PER_SEC,
	};
	struct sigv4_request request = {.method = "POST",
					.body = run->body,
					.body_size = run->body_size,
					.normalize_path = true};
	struct sigv4_header headers[3];
	char *lines[LINES + 1] = {NULL};
	struct sigv4_signed sig;
	struct where where = {.url = ""};
	char target[128];
	int err = find_where(run->aws, run->op.service, &where);

	if (err)
		return err;
	request.path = where.path;
	request.headers = headers;
	request.header_count = list_headers(&run->op, &where, target, headers);
	err = sigv4_sign(&request, &key, &sig);
	if (err)
		return err;
	secret_free(run->token);
	run->token = secret_copy(credentials->token);
	err = make_lines(headers, request.header_count, &sig, credentials->token, lines);
	sigv4_signed_fini(&sig);
	if (!err)
		err = start(run, &where, lines, on_end);
	free_lines(lines);
	return err;
}
