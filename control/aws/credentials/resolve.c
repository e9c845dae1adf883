/* SPDX-License-Identifier: Apache-2.0
 *
 * Going through the credential chain once.
 *
 * Happy path: the plan is made (files are read, nothing is asked), its base is fetched, and each of
 * its roles, and at last the one of the configuration, is assumed with what came before. STS is
 * regional, so where nobody says the region, instance metadata is asked for it first.
 * Failure modes: the first error ends it. One of IMDS, the last in the chain, also says who was
 * asked before and why they had none.
 */
#include "control/aws/credentials/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/credentials/document.h"
#include "control/aws/credentials/fetch.h"
#include "control/aws/credentials/plan.h"
#include "control/aws/endpoint.h"
#include "control/aws/imds.h"
#include "proxy/base/loop.h"

#define REGION_TEXT 64

struct resolve {
	struct resolve_conf conf;
	struct plan plan;
	size_t next_role; /* of the plan's, then the configuration's */
	char region[REGION_TEXT];
	struct sts_conf sts_conf;
	struct credentials found; /* as far as we came */
	struct imds *imds;
	struct imds_call *metadata;
	struct fetch *fetch;
	struct sts_call *sts;
	struct loop_task begin;
};

static void resolve_free(struct resolve *resolve)
{
	plan_fini(&resolve->plan);
	credentials_fini(&resolve->found);
	imds_free(resolve->imds);
	free(resolve);
}

void resolve_cancel(struct resolve *resolve)
{
	if (!resolve)
		return;
	imds_cancel(resolve->metadata);
	fetch_cancel(resolve->fetch);
	sts_cancel(resolve->sts);
	list_remove(&resolve->begin.link);
	resolve_free(resolve);
}

static void fail_with(struct resolve *resolve, const struct aws_error *error)
{
	resolve->conf.on_end(resolve->conf.context, NULL, error);
	resolve_free(resolve);
}

static void fail(struct resolve *resolve, enum aws_error_kind kind, const char *text)
{
	struct aws_error error = {.kind = kind};

	snprintf(error.text, sizeof(error.text), "%s", text);
	fail_with(resolve, &error);
}

static void succeed(struct resolve *resolve)
{
	struct credentials found = resolve->found;

	resolve->found = (struct credentials){.key_id = NULL};
	resolve->conf.on_end(resolve->conf.context, &found, NULL);
	resolve_free(resolve);
}

static void assume_next(struct resolve *resolve);

static void on_role(void *context, struct credentials *found, const struct aws_error *error)
{
	struct resolve *resolve = context;

	resolve->sts = NULL;
	if (error) {
		fail_with(resolve, error);
		return;
	}
	credentials_fini(&resolve->found);
	resolve->found = *found;
	resolve->next_role++;
	assume_next(resolve);
}

/* The role that is assumed next, false when none is left. */
static bool next_role(const struct resolve *resolve, struct sts_request *request)
{
	const struct plan *plan = &resolve->plan;
	const struct credential_conf *chain = resolve->conf.chain;

	if (resolve->next_role < plan->role_count) {
		const struct plan_role *role = &plan->roles[resolve->next_role];

		request->role_arn = role->arn;
		request->external_id = role->external_id;
		request->session_name = role->session_name;
		request->duration_s = role->duration_s;
		return true;
	}
	if (resolve->next_role > plan->role_count || !chain->role_arn)
		return false;
	request->role_arn = chain->role_arn;
	request->external_id = chain->external_id;
	return true;
}

static void assume_next(struct resolve *resolve)
{
	struct sts_request request = {
		.signer = &resolve->found,
		.on_end = on_role,
		.context = resolve,
	};
	int ret;

	if (!next_role(resolve, &request)) {
		succeed(resolve);
		return;
	}
	ret = sts_start(&resolve->sts_conf, &request, &resolve->sts);
	if (ret == -EINVAL)
		fail(resolve, AWS_CREDENTIALS,
		     "there is no endpoint of STS for this region and these settings");
	else if (ret < 0)
		fail(resolve, AWS_MEMORY, "out of memory");
}

/* IMDS stands last, so its error is the whole chain's. */
static void fail_last(struct resolve *resolve, const struct aws_error *error)
{
	struct aws_error all = *error;

	snprintf(all.text, sizeof(all.text), "no credentials: %.220s%s%.250s", error->text,
		 resolve->plan.problem[0] ? ". Before it were asked: " : "", resolve->plan.problem);
	fail_with(resolve, &all);
}

static void on_base(void *context, struct credentials *found, const struct aws_error *error)
{
	struct resolve *resolve = context;

	resolve->fetch = NULL;
	if (error && resolve->plan.base == PLAN_IMDS) {
		fail_last(resolve, error);
	} else if (error) {
		fail_with(resolve, error);
	} else {
		resolve->found = *found;
		assume_next(resolve);
	}
}

static void fetch_base(struct resolve *resolve)
{
	const struct fetch_conf conf = {
		.loop = resolve->conf.chain->loop,
		.http = resolve->conf.chain->http,
		.imds = resolve->imds,
		.plan = &resolve->plan,
		.sts = &resolve->sts_conf,
		.on_end = on_base,
		.context = resolve,
	};

	resolve->fetch = fetch_start(&conf);
	if (!resolve->fetch)
		fail(resolve, AWS_MEMORY, "out of memory");
}

static void fail_region(struct resolve *resolve)
{
	fail(resolve, AWS_CREDENTIALS,
	     "a role is to be assumed, but nothing says in which region STS is asked: set "
	     "`control.region` or AWS_REGION");
}

static void on_region(void *context, const struct imds_answer *answer)
{
	struct resolve *resolve = context;
	size_t size = answer->error ? 0 : strcspn(answer->body, "\r\n");

	resolve->metadata = NULL;
	if (size && size < REGION_TEXT)
		memcpy(resolve->region, answer->body, size);
	if (!size || size >= REGION_TEXT || !endpoint_region_is_valid(resolve->region))
		fail_region(resolve);
	else
		fetch_base(resolve);
}

static bool needs_sts(const struct resolve *resolve)
{
	return resolve->plan.base == PLAN_WEB_IDENTITY || resolve->plan.role_count ||
	       resolve->conf.chain->role_arn;
}

static void find_region(struct resolve *resolve)
{
	const struct credential_conf *chain = resolve->conf.chain;

	if (chain->region)
		snprintf(resolve->region, sizeof(resolve->region), "%s", chain->region);
	if (resolve->region[0] || !needs_sts(resolve) ||
	    credentials_region(chain->profile, resolve->region)) {
		fetch_base(resolve);
		return;
	}
	if (!resolve->imds) {
		fail_region(resolve);
		return;
	}
	resolve->metadata =
		imds_get(resolve->imds, "meta-data/placement/region", on_region, resolve);
	if (!resolve->metadata)
		fail(resolve, AWS_MEMORY, "out of memory");
}

/* It may also be needed to tell a region, so it is there unless it is switched off. */
static int open_metadata(struct resolve *resolve)
{
	const struct credential_conf *chain = resolve->conf.chain;
	struct plan probe = {.base = PLAN_FIXED};
	int ret = plan_imds(&probe);

	if (ret == 0)
		ret = imds_new(chain->loop, chain->http, &resolve->imds);
	if (ret == -ENOENT || (ret == -EINVAL && resolve->plan.base != PLAN_IMDS))
		return 0;
	if (ret == -EINVAL)
		plan_wrong(&resolve->plan, "AWS_EC2_METADATA_SERVICE_ENDPOINT is no URL, or "
					   "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE neither IPv4 "
					   "nor IPv6");
	return ret;
}

static void on_begin(struct loop_task *task)
{
	struct resolve *resolve = container_of(task, struct resolve, begin);
	int ret = plan_make(resolve->conf.chain->profile, &resolve->plan);

	if (ret == 0)
		ret = open_metadata(resolve);
	if (ret == -EINVAL)
		fail(resolve, AWS_CREDENTIALS, resolve->plan.problem);
	else if (ret < 0)
		fail(resolve, AWS_MEMORY, "out of memory");
	else
		find_region(resolve);
}

struct resolve *resolve_start(const struct resolve_conf *conf)
{
	const struct credential_conf *chain = conf->chain;
	struct resolve *resolve = calloc(1, sizeof(*resolve));

	if (!resolve)
		return NULL;
	resolve->conf = *conf;
	resolve->sts_conf = (struct sts_conf){
		.loop = chain->loop,
		.http = chain->http,
		.region = resolve->region,
		.endpoint = chain->sts_endpoint,
		.fips = chain->fips,
		.dual_stack = chain->dual_stack,
		.skew_us = conf->skew_us,
	};
	resolve->begin.run = on_begin;
	list_init(&resolve->begin.link);
	loop_ready(chain->loop, &resolve->begin);
	return resolve;
}
