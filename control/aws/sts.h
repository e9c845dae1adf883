/* SPDX-License-Identifier: Apache-2.0
 *
 * The Security Token Service: credentials of a role, for other credentials or for a web identity
 * token, from its regional endpoint (docs.aws.amazon.com/STS/latest/APIReference).
 *
 * Happy path: sts_start() sends one request, a few times if need be, on_end() gets credentials.
 * Failure modes: what STS says becomes an error with its remedy; a clock that is more than five
 * minutes off is corrected by the answer's Date, once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/aws/credentials.h"

struct http;
struct loop;
struct sts_call;

struct sts_conf {
	struct loop *loop;
	struct http *http;
	const char *region;
	const char *endpoint; /* URL, or NULL: regional */
	bool fips;
	bool dual_stack;
	int64_t *skew_us; /* how far the service is ahead of our clock; read and corrected */
};

struct sts_request {
	const char *role_arn;
	const char *session_name;         /* NULL: one that names this host */
	const char *external_id;          /* or NULL */
	uint32_t duration_s;              /* 0: the service's default, an hour */
	const struct credentials *signer; /* AssumeRole; or NULL, and the next */
	const char *web_identity_token;   /* AssumeRoleWithWebIdentity, which is not signed */
	/* One of both is NULL; `found` is taken over from the struct by copying it. */
	void (*on_end)(void *context, struct credentials *found, const struct aws_error *error);
	void *context;
};

/* Copies what it needs. 0, -ENOMEM, or -EINVAL: no such endpoint. on_end() comes later. */
int sts_start(const struct sts_conf *conf, const struct sts_request *request,
	      struct sts_call **ret_call);
void sts_cancel(struct sts_call *call); /* accepts NULL; on_end() will not come */
