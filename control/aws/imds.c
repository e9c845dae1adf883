/* SPDX-License-Identifier: Apache-2.0
 *
 * IMDSv2.
 *
 * Happy path: PUT /latest/api/token once in six hours, GET with it. A GET that answers 401 (the
 * token was forgotten: a stopped instance, another host) gets one more with a fresh token. Failure
 * modes: each request has a deadline, because the answer to the PUT is dropped on its way to a
 * container when its hops run out, and nothing says so; 400 is final, like 403 (metadata is
 * switched off) and 404 (for the token: not EC2, or too old); anything else is tried again soon.
 */
#include "control/aws/imds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "control/aws/http.h"
#include "control/aws/insist.h"
#include "control/aws/secret.h"
#include "proxy/base/clock.h"
#include "proxy/base/loop.h"

#define TOKEN_TTL_S    21600
#define TOKEN_MARGIN_S 300 /* no longer used so long before its end */
#define CONNECT_MS     1000
#define TIMEOUT_MS     2000
#define TOKEN_HEADER   "X-aws-ec2-metadata-token: "
#define MAX_BYTES      65536
#define ENDPOINT_V4    "http://169.254.169.254"
#define ENDPOINT_V6    "http://[fd00:ec2::254]"

struct imds {
	struct loop *loop;
	struct http *http;
	char *endpoint;
	char *token_header;      /* NULL: there is none */
	uint64_t token_until_us; /* CLOCK_MONOTONIC */
};

struct imds_call {
	struct imds *imds;
	char *path;
	bool again; /* a token was refused once */
	struct insist *insist;
	void (*on_end)(void *context, const struct imds_answer *answer);
	void *context;
};

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* NULL when what is set is none. */
static const char *endpoint(void)
{
	const char *url = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const char *mode = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");

	if (url)
		return !strncasecmp(url, "http://", 7) || !strncasecmp(url, "https://", 8) ? url
											   : NULL;
	if (!mode || !strcasecmp(mode, "ipv4"))
		return ENDPOINT_V4;
	return strcasecmp(mode, "ipv6") ? NULL : ENDPOINT_V6;
}

int imds_new(struct loop *loop, struct http *http, struct imds **ret_imds)
{
	const char *url = endpoint();
	struct imds *imds;
	size_t size;

	if (!url)
		return -EINVAL;
	imds = calloc(1, sizeof(*imds));
	if (!imds)
		return -ENOMEM;
	imds->loop = loop;
	imds->http = http;
	size = strlen(url);
	while (size && url[size - 1] == '/')
		size--;
	imds->endpoint = secret_cut(url, size);
	if (!imds->endpoint) {
		free(imds);
		return -ENOMEM;
	}
	*ret_imds = imds;
	return 0;
}

static void forget_token(struct imds *imds)
{
	secret_free(imds->token_header);
	imds->token_header = NULL;
}

void imds_free(struct imds *imds)
{
	if (!imds)
		return;
	forget_token(imds);
	free(imds->endpoint);
	free(imds);
}

static void call_free(struct imds_call *call)
{
	free(call->path);
	free(call);
}

void imds_cancel(struct imds_call *call)
{
	if (!call)
		return;
	insist_cancel(call->insist);
	call_free(call);
}

/* Signs that container runtimes leave. */
static bool in_container(void)
{
	return access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0 ||
	       getenv("KUBERNETES_SERVICE_HOST") || getenv("ECS_CONTAINER_METADATA_URI_V4");
}

static void explain_token(const struct http_answer *answer, struct aws_error *error)
{
	const char *hops = in_container() ? "this is a container: set "
					  : "on an instance, in a container, set ";

	if (answer->err == AWS_TIMEOUT)
		snprintf(error->text, sizeof(error->text),
			 "the IMDSv2 token timed out; %sHttpPutResponseHopLimit to 2 (aws ec2 "
			 "modify-instance-metadata-options --http-put-response-hop-limit 2), or "
			 "give the task a role of its own",
			 hops);
	else if (answer->err != AWS_OK)
		snprintf(
			error->text, sizeof(error->text),
			"instance metadata cannot be reached (%.200s); this may be no EC2 instance",
			answer->problem);
	else if (answer->status == 403)
		snprintf(error->text, sizeof(error->text),
			 "instance metadata is switched off (403): set HttpEndpoint to enabled, or "
			 "give credentials another way");
	else
		snprintf(error->text, sizeof(error->text),
			 "instance metadata gave no IMDSv2 token (status %ld); IMDSv1 is not used",
			 answer->status);
}

static void explain_get(const struct imds_call *call, const struct http_answer *answer,
			struct aws_error *error)
{
	if (answer->err != AWS_OK)
		snprintf(error->text, sizeof(error->text), "instance metadata %.100s: %.200s",
			 call->path, answer->problem);
	else
		snprintf(error->text, sizeof(error->text), "instance metadata %.100s: status %ld",
			 call->path, answer->status);
}

static enum aws_error_kind kind_of(const struct http_answer *answer)
{
	if (answer->err != AWS_OK)
		return answer->err;
	return answer->status >= 500 ? AWS_SERVER : AWS_REFUSED;
}

static void end(struct imds_call *call, const struct imds_answer *answer)
{
	call->on_end(call->context, answer);
	call_free(call);
}

static void fail(struct imds_call *call, const struct http_answer *answer)
{
	struct aws_error error = {.kind = kind_of(answer), .status = answer->status};
	struct imds_answer said = {
		.error = &error,
		.missing = answer->err == AWS_OK && answer->status == 404,
	};

	explain_get(call, answer, &error);
	end(call, &said);
}

static void fail_token(struct imds_call *call, const struct http_answer *answer)
{
	struct aws_error error = {.kind = kind_of(answer), .status = answer->status};
	struct imds_answer said = {.error = &error};

	explain_token(answer, &error);
	end(call, &said);
}

static void fail_without_memory(struct imds_call *call)
{
	struct http_answer none = {.err = AWS_MEMORY, .problem = "out of memory"};

	fail(call, &none);
}

static struct insist *send_request(struct imds_call *call, const char *method, const char *path,
				   const char *header,
				   void (*on_end)(void *, const struct http_answer *))
{
	struct secret_text text = {.data = NULL};
	const char *const headers[] = {header, NULL};
	struct http_request request = {
		.method = method,
		.headers = headers,
		.connect_timeout_ms = CONNECT_MS,
		.timeout_ms = TIMEOUT_MS,
		.max_bytes = MAX_BYTES,
		.direct = true,
		.on_end = on_end,
		.context = call,
	};
	struct insist *sent;
	char *url;

	secret_add_format(&text, "%s/latest/%s", call->imds->endpoint, path);
	url = secret_take(&text);
	request.url = url;
	sent = url ? insist(call->imds->loop, call->imds->http, &request, NULL) : NULL;
	secret_free(url);
	return sent;
}

static bool begin(struct imds_call *call);

static void on_got(void *context, const struct http_answer *answer)
{
	struct imds_call *call = context;
	struct imds_answer said = {.body = answer->body, .size = answer->size};

	call->insist = NULL;
	if (answer->err == AWS_OK && answer->status == 401 && !call->again) {
		call->again = true;
		forget_token(call->imds);
		if (!begin(call))
			fail_without_memory(call);
	} else if (answer->err == AWS_OK && answer->status == 200) {
		end(call, &said);
	} else {
		fail(call, answer);
	}
}

/* A token goes into a header of ours. */
static bool is_token(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (text[i] <= ' ' || text[i] >= 127)
			return false;
	return size && size < 4096;
}

static bool keep_token(struct imds *imds, const struct http_answer *answer)
{
	const char *ttl = http_header(answer, "X-aws-ec2-metadata-token-ttl-seconds");
	unsigned long ttl_s = ttl ? strtoul(ttl, NULL, 10) : TOKEN_TTL_S;
	struct secret_text header = {.data = NULL};

	if (ttl_s > TOKEN_TTL_S)
		ttl_s = TOKEN_TTL_S;
	forget_token(imds);
	secret_add_text(&header, TOKEN_HEADER);
	secret_add(&header, answer->body, answer->size);
	imds->token_header = secret_take(&header);
	imds->token_until_us = imds->loop->now_us + ttl_s * US_PER_SEC;
	return imds->token_header;
}

static bool get(struct imds_call *call)
{
	call->insist = send_request(call, "GET", call->path, call->imds->token_header, on_got);
	return call->insist;
}

static void on_token(void *context, const struct http_answer *answer)
{
	struct imds_call *call = context;

	call->insist = NULL;
	if (answer->err != AWS_OK || answer->status != 200 || !is_token(answer->body, answer->size))
		fail_token(call, answer);
	else if (!keep_token(call->imds, answer) || !get(call))
		fail_without_memory(call);
}

/* With the token we have, or for one. */
static bool begin(struct imds_call *call)
{
	struct imds *imds = call->imds;
	char header[64];

	if (imds->token_header &&
	    imds->loop->now_us + TOKEN_MARGIN_S * US_PER_SEC < imds->token_until_us)
		return get(call);
	snprintf(header, sizeof(header), "X-aws-ec2-metadata-token-ttl-seconds: %d", TOKEN_TTL_S);
	call->insist = send_request(call, "PUT", "api/token", header, on_token);
	return call->insist;
}

struct imds_call *imds_get(struct imds *imds, const char *path,
			   void (*on_end)(void *context, const struct imds_answer *answer),
			   void *context)
{
	struct imds_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->imds = imds;
	call->path = secret_copy(path);
	call->on_end = on_end;
	call->context = context;
	if (call->path && begin(call))
		return call;
	call_free(call);
	return NULL;
}
