/* SPDX-License-Identifier: Apache-2.0
 *
 * The hub and its places: what all calls of the process share, and whose API each of them is for.
 *
 * Happy path: aws_hub_new() once, aws_open() for each account and region that a configuration
 * names; places of one profile and role share credentials and budget. control/aws/run/ does the
 * calls. Failure modes: memory, and a region or an endpoint that cannot be.
 */
#include "control/aws/aws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control/aws/endpoint.h"
#include "control/aws/imds.h"
#include "control/aws/run/internal.h"
#include "control/aws/wipe.h"
#include "proxy/base/panic.h"

#define API_RATE 5

const char *const aws_error_kind_names[AWS_ERROR_KINDS] = {
	[AWS_OK] = "ok",           [AWS_UNREACHABLE] = "unreachable",
	[AWS_TIMEOUT] = "timeout", [AWS_CREDENTIALS] = "credentials",
	[AWS_DENIED] = "denied",   [AWS_THROTTLED] = "throttled",
	[AWS_SERVER] = "server",   [AWS_CLOCK] = "clock",
	[AWS_GARBAGE] = "garbage", [AWS_REFUSED] = "refused",
	[AWS_MEMORY] = "memory",
};

/* --- the hub --- */

static bool env_is_true(const char *name)
{
	const char *value = getenv(name);

	return value && !strcasecmp(value, "true");
}

static const char *env_text(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

int aws_hub_new(struct loop *loop, const struct aws_hub_conf *conf, struct aws_hub **ret_hub)
{
	struct aws_hub *hub = calloc(1, sizeof(*hub));
	const struct http_conf http = {
		.ca_file = conf->ca_file ?: env_text("AWS_CA_BUNDLE"),
		.user_agent = conf->user_agent,
		.concurrency = conf->concurrency,
	};
	int err = -ENOMEM;

	if (!hub)
		return err;
	/* Answers hold session tokens, and trees of them are torn down in pieces. */
	json_set_alloc_funcs(malloc, wipe_free);
	hub->loop = loop;
	hub->fips = conf->fips || env_is_true("AWS_USE_FIPS_ENDPOINT");
	hub->dual_stack = conf->dual_stack || env_is_true("AWS_USE_DUALSTACK_ENDPOINT");
	list_init(&hub->chains);
	list_init(&hub->places);
	hub->budgets = budget_set_new(conf->api_rate ?: API_RATE, conf->fleet_size ?: 1);
	if (!hub->budgets)
		goto fail;
	err = http_new(loop, &http, &hub->http);
	if (err)
		goto fail;
	*ret_hub = hub;
	return 0;
fail:
	aws_hub_free(hub);
	return err;
}

void aws_hub_set_fleet_size(struct aws_hub *hub, uint32_t nodes)
{
	budget_set_nodes(hub->budgets, nodes);
}

void aws_hub_free(struct aws_hub *hub)
{
	if (!hub)
		return;
	must(list_empty(&hub->places));
	imds_free(hub->imds);
	http_free(hub->http);
	budget_set_free(hub->budgets);
	free(hub);
}

struct http *aws_hub_http(const struct aws_hub *hub)
{
	return hub->http;
}

void aws_hub_counts(const struct aws_hub *hub, struct aws_counts *ret_counts)
{
	memcpy(ret_counts, hub->counts, sizeof(hub->counts));
}

int64_t aws_hub_skew_ms(const struct aws_hub *hub)
{
	return hub->skew_us / 1000;
}

/* --- credentials that places share --- */

static void identity_put(struct identity *identity)
{
	if (!identity || --identity->users)
		return;
	list_remove(&identity->link);
	credential_chain_free(identity->chain);
	free(identity->key);
	free(identity);
}

static int identity_new(struct aws_hub *hub, const struct aws_place *place, char *key,
			struct identity **ret_identity)
{
	const struct credential_conf conf = {
		.loop = hub->loop,
		.http = hub->http,
		.profile = place->profile,
		.region = place->region,
		.role_arn = place->role_arn,
		.external_id = place->external_id,
		.sts_endpoint = place->endpoint,
		.fips = hub->fips,
		.dual_stack = hub->dual_stack,
	};
	struct identity *identity = calloc(1, sizeof(*identity));

	if (!identity || credential_chain_new(&conf, &identity->chain)) {
		free(identity);
		free(key);
		return -ENOMEM;
	}
	credential_chain_set_skew(identity->chain, hub->skew_us);
	identity->key = key;
	identity->users = 1;
	list_push_back(&hub->chains, &identity->link);
	*ret_identity = identity;
	return 0;
}

static int identity_get(struct aws_hub *hub, const struct aws_place *place,
			struct identity **ret_identity)
{
	char *key;

	if (asprintf(&key, "%s\n%s\n%s\n%s\n%s", place->profile ?: "", place->role_arn ?: "",
		     place->external_id ?: "", place->endpoint ?: "",
		     place->region ? endpoint_partition(place->region) : "") < 0)
		return -ENOMEM;
	list_for_each (link, &hub->chains) {
		struct identity *identity = container_of(link, struct identity, link);

		if (strcmp(identity->key, key))
			continue;
		free(key);
		identity->users++;
		*ret_identity = identity;
		return 0;
	}
	return identity_new(hub, place, key, ret_identity);
}

/* --- places --- */

static int check_place(const struct aws_place *place, char *ret_region, char *ret_problem,
		       size_t size)
{
	char buf[REGION_TEXT];
	const char *region = place->region ?: credentials_region(place->profile, buf);

	*ret_region = '\0';
	if (region && (strlen(region) >= REGION_TEXT || !endpoint_region_is_valid(region))) {
		snprintf(ret_problem, size, "\"%.64s\" is no region of AWS", region);
		return -EINVAL;
	}
	if (region)
		strcpy(ret_region, region);
	if (place->endpoint && strncmp(place->endpoint, "http://", 7) &&
	    strncmp(place->endpoint, "https://", 8)) {
		snprintf(ret_problem, size, "the endpoint must begin with http:// or https://");
		return -EINVAL;
	}
	return 0;
}

int aws_open(struct aws_hub *hub, const struct aws_place *place, struct aws **ret_aws,
	     char *ret_problem, size_t size)
{
	struct aws *aws = calloc(1, sizeof(*aws));
	int err = -ENOMEM;

	if (!aws)
		return err;
	aws->hub = hub;
	list_init(&aws->runs);
	list_init(&aws->link);
	err = check_place(place, aws->region, ret_problem, size);
	if (err)
		goto fail;
	err = identity_get(hub, place, &aws->identity);
	if (err)
		goto fail;
	if (place->endpoint && !(aws->endpoint = strdup(place->endpoint))) {
		err = -ENOMEM;
		goto fail;
	}
	list_push_back(&hub->places, &aws->link);
	*ret_aws = aws;
	return 0;
fail:
	aws_close(aws);
	return err;
}

void aws_close(struct aws *aws)
{
	if (!aws)
		return;
	while (!list_empty(&aws->runs))
		aws_cancel(container_of(aws->runs.next, struct aws_run, link));
	list_remove(&aws->link);
	identity_put(aws->identity);
	free(aws->endpoint);
	free(aws);
}

const char *aws_region(const struct aws *aws)
{
	return *aws->region ? aws->region : NULL;
}

const char *aws_partition(const struct aws *aws)
{
	return *aws->region ? endpoint_partition(aws->region) : "aws";
}

const char *aws_credentials(const struct aws *aws, uint64_t *ret_expires_wall_us)
{
	*ret_expires_wall_us = credentials_expiry_wall_us(aws->identity->chain);
	return credentials_provider(aws->identity->chain);
}
