/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking for the base of a plan.
 *
 * Happy path: each base is one or two requests, whose document is parsed. Failure modes: whatever
 * the request says, and documents that cannot be believed; the error says which provider it was and
 * what to do, and has nothing of the document in it. Credentials of IMDS that have expired already
 * are passed on: the service keeps giving them while it cannot renew them.
 */
#include "control/aws/credentials/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/credentials/document.h"
#include "control/aws/imds.h"
#include "control/aws/insist.h"
#include "control/aws/secret.h"
#include "proxy/base/loop.h"

#define AGENT_CONNECT_MS 1000
#define AGENT_TIMEOUT_MS 2000
#define AGENT_BYTES      65536
#define ROLE_PATH        "meta-data/iam/security-credentials/"
#define ROLE_NAME        128

struct fetch {
	struct fetch_conf conf;
	struct loop_task soon; /* for what is known at once */
	struct insist *agent;
	struct imds_call *metadata;
	struct sts_call *sts;
	char early[PLAN_PROBLEM]; /* what is wrong before anything was asked */
};

void fetch_cancel(struct fetch *fetch)
{
	if (!fetch)
		return;
	insist_cancel(fetch->agent);
	imds_cancel(fetch->metadata);
	sts_cancel(fetch->sts);
	list_remove(&fetch->soon.link);
	free(fetch);
}

/* Everything ended; nothing to cancel is left. */
static void end(struct fetch *fetch, struct credentials *found, const struct aws_error *error)
{
	void (*on_end)(void *, struct credentials *, const struct aws_error *) = fetch->conf.on_end;
	void *context = fetch->conf.context;

	free(fetch);
	on_end(context, found, error);
}

static void __attribute__((format(printf, 4, 5)))
fail(struct fetch *fetch, enum aws_error_kind kind, long status, const char *format, ...)
{
	struct aws_error error = {.kind = kind, .status = status};
	va_list args;

	va_start(args, format);
	vsnprintf(error.text, sizeof(error.text), format, args);
	va_end(args);
	end(fetch, NULL, &error);
}

static void read_document(struct fetch *fetch, const char *provider, const char *who,
			  const char *body, size_t size)
{
	struct credentials found;
	char problem[160];
	int ret = credentials_parse(body, size, provider, &found, problem, sizeof(problem));

	if (ret == 0)
		end(fetch, &found, NULL);
	else if (ret == -ENOMEM)
		fail(fetch, AWS_MEMORY, 0, "%s: out of memory", who);
	else
		fail(fetch, AWS_GARBAGE, 200, "what %s answers %s", who, problem);
}

static void on_agent(void *context, const struct http_answer *answer)
{
	struct fetch *fetch = context;

	fetch->agent = NULL;
	if (answer->err != AWS_OK)
		fail(fetch, answer->err, 0,
		     "the container's credentials agent cannot be asked: %.200s; look at "
		     "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI",
		     answer->problem);
	else if (answer->status != 200)
		fail(fetch, answer->status >= 500 ? AWS_SERVER : AWS_CREDENTIALS, answer->status,
		     "the container's credentials agent answers with status %ld; look at the "
		     "task's role and at the agent",
		     answer->status);
	else
		read_document(fetch, "container", "the container's credentials agent", answer->body,
			      answer->size);
}

static int start_agent(struct fetch *fetch)
{
	const struct plan *plan = fetch->conf.plan;
	struct secret_text text = {.data = NULL};
	char *authorization = NULL;
	const char *headers[] = {"Accept: application/json", NULL, NULL};
	struct http_request request = {
		.method = "GET",
		.url = plan->container_url,
		.headers = headers,
		.connect_timeout_ms = AGENT_CONNECT_MS,
		.timeout_ms = AGENT_TIMEOUT_MS,
		.max_bytes = AGENT_BYTES,
		.direct = true,
		.on_end = on_agent,
		.context = fetch,
	};

	if (plan->container_token) {
		secret_add_format(&text, "Authorization: %s", plan->container_token);
		authorization = secret_take(&text);
		if (!authorization)
			return -ENOMEM;
		headers[1] = authorization;
	}
	fetch->agent = insist(fetch->conf.loop, fetch->conf.http, &request, NULL);
	secret_free(authorization);
	return fetch->agent ? 0 : -ENOMEM;
}

static void fail_metadata(struct fetch *fetch, const struct imds_answer *answer)
{
	if (answer->missing)
		fail(fetch, AWS_CREDENTIALS, 404,
		     "this instance has no role: attach an instance profile to it");
	else
		fail(fetch, answer->error->kind, answer->error->status, "%s", answer->error->text);
}

static void on_document(void *context, const struct imds_answer *answer)
{
	struct fetch *fetch = context;

	fetch->metadata = NULL;
	if (answer->error)
		fail_metadata(fetch, answer);
	else
		read_document(fetch, "imds", "instance metadata", answer->body, answer->size);
}

/* The name is the first line; it becomes a part of a path. */
static bool role_path(const struct imds_answer *answer, char *buf, size_t size)
{
	size_t length = strcspn(answer->body, "\r\n");

	if (!length || length > ROLE_NAME ||
	    strspn(answer->body, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 "_+=,.@-") != length)
		return false;
	snprintf(buf, size, ROLE_PATH "%.*s", (int)length, answer->body);
	return true;
}

static void on_role(void *context, const struct imds_answer *answer)
{
	struct fetch *fetch = context;
	char path[sizeof(ROLE_PATH) + ROLE_NAME];

	fetch->metadata = NULL;
	if (answer->error) {
		fail_metadata(fetch, answer);
	} else if (!role_path(answer, path, sizeof(path))) {
		fail(fetch, AWS_GARBAGE, 200, "instance metadata names no role that could be one");
	} else {
		fetch->metadata = imds_get(fetch->conf.imds, path, on_document, fetch);
		if (!fetch->metadata)
			fail(fetch, AWS_MEMORY, 0, "instance metadata: out of memory");
	}
}

static void on_sts(void *context, struct credentials *found, const struct aws_error *error)
{
	struct fetch *fetch = context;

	fetch->sts = NULL;
	end(fetch, found, error);
}

static int start_web_identity(struct fetch *fetch)
{
	const struct plan *plan = fetch->conf.plan;
	struct sts_request request = {
		.role_arn = plan->web.arn,
		.session_name = plan->web.session_name,
		.duration_s = plan->web.duration_s,
		.on_end = on_sts,
		.context = fetch,
	};
	char *token;
	size_t size;
	int ret = plan_read_file(plan->web_token_file, &token, &size);

	if (ret == -ENOMEM)
		return ret;
	if (ret < 0) {
		snprintf(fetch->early, sizeof(fetch->early), "web identity token file %.200s: %s",
			 plan->web_token_file, strerror(-ret));
		loop_ready(fetch->conf.loop, &fetch->soon);
		return 0;
	}
	request.web_identity_token = token;
	ret = sts_start(fetch->conf.sts, &request, &fetch->sts);
	secret_free(token);
	if (ret != -EINVAL)
		return ret;
	snprintf(fetch->early, sizeof(fetch->early),
		 "there is no endpoint of STS for this region and these settings");
	loop_ready(fetch->conf.loop, &fetch->soon);
	return 0;
}

static void on_soon(struct loop_task *task)
{
	struct fetch *fetch = container_of(task, struct fetch, soon);
	struct credentials found;

	if (fetch->early[0])
		fail(fetch, AWS_CREDENTIALS, 0, "%s", fetch->early);
	else if (credentials_copy(&fetch->conf.plan->fixed, &found) < 0)
		fail(fetch, AWS_MEMORY, 0, "out of memory");
	else
		end(fetch, &found, NULL);
}

struct fetch *fetch_start(const struct fetch_conf *conf)
{
	struct fetch *fetch = calloc(1, sizeof(*fetch));
	int ret = 0;

	if (!fetch)
		return NULL;
	fetch->conf = *conf;
	fetch->soon.run = on_soon;
	list_init(&fetch->soon.link);
	switch (conf->plan->base) {
	case PLAN_FIXED:
		loop_ready(conf->loop, &fetch->soon);
		break;
	case PLAN_WEB_IDENTITY:
		ret = start_web_identity(fetch);
		break;
	case PLAN_CONTAINER:
		ret = start_agent(fetch);
		break;
	case PLAN_IMDS:
		fetch->metadata = imds_get(conf->imds, ROLE_PATH, on_role, fetch);
		ret = fetch->metadata ? 0 : -ENOMEM;
		break;
	}
	if (ret == 0)
		return fetch;
	free(fetch);
	return NULL;
}
