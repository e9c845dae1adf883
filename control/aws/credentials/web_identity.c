/* SPDX-License-Identifier: Apache-2.0
 *
 * The provider "web identity" of the environment (pods of EKS with IAM roles for service accounts):
 * AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN and AWS_ROLE_SESSION_NAME. The token itself is read
 * anew whenever credentials are asked for, since it is rotated.
 *
 * Failure mode: a token file without a role.
 */
#include <errno.h>

#include "control/aws/credentials/plan.h"
#include "control/aws/secret.h"

int plan_web_identity(struct plan *plan)
{
	const char *file = plan_variable("AWS_WEB_IDENTITY_TOKEN_FILE");
	const char *role = plan_variable("AWS_ROLE_ARN");
	const char *session = plan_variable("AWS_ROLE_SESSION_NAME");

	if (!file)
		return plan_absent(plan, "web identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set");
	if (!role)
		return plan_wrong(plan, "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is "
					"not: set it to the role that the token is for");
	plan->base = PLAN_WEB_IDENTITY;
	plan->web_token_file = secret_copy(file);
	plan->web.arn = secret_copy(role);
	plan->web.session_name = secret_copy(session);
	if (!plan->web_token_file || !plan->web.arn || (session && !plan->web.session_name))
		return -ENOMEM;
	return 0;
}
