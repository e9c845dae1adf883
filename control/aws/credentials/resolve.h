/* SPDX-License-Identifier: Apache-2.0
 *
 * One way through the credential chain: plan, base, roles.
 *
 *      plan --> (region?) --> base --> role --> role --> ... --> found
 *                                                    \--> error, at any point
 */
#pragma once

#include "control/aws/credentials.h"

struct resolve;

struct resolve_conf {
	const struct credential_conf *chain; /* borrowed, like all here, until the end */
	int64_t *skew_us;
	/* Once, later; one of both is NULL; `found` is taken over from the struct by copying it. */
	void (*on_end)(void *context, struct credentials *found, const struct aws_error *error);
	void *context;
};

struct resolve *resolve_start(const struct resolve_conf *conf); /* NULL without memory */
void resolve_cancel(struct resolve *resolve); /* accepts NULL; on_end() will not come */
