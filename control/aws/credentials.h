/* SPDX-License-Identifier: Apache-2.0
 *
 * Who we are to AWS: the credential chain in the order of the AWS SDKs (docs.aws.amazon.com/sdkref/
 * latest/guide/standardized-credentials.html): environment, web identity, shared config and
 * credentials files (profiles, role_arn with source_profile or credential_source, web identity),
 * container (relative and full URI), IMDSv2; and a role assumed on top of it, if asked for.
 *
 * Happy path: credentials_get() answers at once from what is kept while it is good for another ten
 * minutes; fifteen minutes ahead of its end it is renewed in the background, with jitter.
 * Failure modes: no provider has any (the error names each that was asked and why not); a provider
 * that is configured and fails ends the chain; credentials of IMDS go on being used after their
 * end, loudly, while IMDS fails. Secrets are wiped when freed, and stand in no error text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/aws/aws.h"

struct endpoints;
struct http;

struct credentials {
	char *key_id;
	char *secret;
	char *token;              /* NULL: none */
	uint64_t expires_wall_us; /* 0: never */
	const char *provider;     /* static: "environment", "imds", ... */
};

struct credential_chain; /* one per profile and role */

struct credential_conf {
	struct loop *loop;
	struct http *http;
	const char *profile; /* NULL: AWS_PROFILE, else "default" */
	const char *region;  /* of STS; NULL: the profile's or AWS_REGION, asked for when needed */
	const char *role_arn;
	const char *external_id;
	const char *sts_endpoint; /* URL, or NULL: regional */
	bool fips;
	bool dual_stack;
};

/* Copies the texts. 0 or -ENOMEM. No I/O. */
int credential_chain_new(const struct credential_conf *conf, struct credential_chain **ret_chain);
void credential_chain_free(struct credential_chain *chain); /* waiters are dropped */

/* Somebody who wants credentials; links and state are the chain's. */
struct credential_wait {
	struct credential_wait *next;
	bool waiting;
	/* One of both is NULL. `credentials` are borrowed for the length of the call. */
	void (*on_credentials)(struct credential_wait *wait, const struct credentials *credentials,
			       const struct aws_error *error);
};

/* The answer comes later, never from inside this call. */
void credentials_get(struct credential_chain *chain, struct credential_wait *wait);
void credentials_forget_wait(struct credential_chain *chain, struct credential_wait *wait);

/* The service refused what we have (ExpiredToken, InvalidClientTokenId): ask anew next time. */
void credentials_refused(struct credential_chain *chain);

/* What is used now, for status: NULL while there is none. */
const char *credentials_provider(const struct credential_chain *chain);
uint64_t credentials_expiry_wall_us(const struct credential_chain *chain);

/* The correction of the clock that STS requests are signed with, kept by the hub; microseconds. */
void credential_chain_set_skew(struct credential_chain *chain, int64_t skew_us);

/* The region as the environment or the profile's configuration says; NULL: they don't. `buf` has
 * 64 bytes. */
const char *credentials_region(const char *profile, char *buf);
