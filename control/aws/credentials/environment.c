/* SPDX-License-Identifier: Apache-2.0
 *
 * The provider "environment": AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, and
 * AWS_CREDENTIAL_EXPIRATION.
 *
 * Failure modes: one half of the pair alone, characters that no credentials have, an end that is no
 * time or has passed.
 */
#include <errno.h>

#include "control/aws/credentials/document.h"
#include "control/aws/credentials/plan.h"
#include "proxy/base/timestamp.h"

int plan_environment(struct plan *plan)
{
	const char *key_id = plan_variable("AWS_ACCESS_KEY_ID");
	const char *secret = plan_variable("AWS_SECRET_ACCESS_KEY");
	const char *expiration = plan_variable("AWS_CREDENTIAL_EXPIRATION");
	struct credentials found = {
		.key_id = (char *)key_id,
		.secret = (char *)secret,
		.token = (char *)plan_variable("AWS_SESSION_TOKEN"),
		.provider = "environment",
	};

	if (!key_id && !secret)
		return plan_absent(plan, "environment: AWS_ACCESS_KEY_ID is not set");
	if (!key_id || !secret)
		return plan_wrong(plan, "%s is set, but %s is not",
				  key_id ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
				  key_id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
	if (!credentials_are_clean(&found))
		return plan_wrong(plan,
				  "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or "
				  "AWS_SESSION_TOKEN has characters that no credentials have");
	if (expiration && timestamp_parse(expiration, &found.expires_wall_us) < 0)
		return plan_wrong(plan, "AWS_CREDENTIAL_EXPIRATION is no time such as "
					"2026-01-02T03:04:05Z");
	plan->base = PLAN_FIXED;
	return credentials_copy(&found, &plan->fixed);
}
