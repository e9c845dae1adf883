/* SPDX-License-Identifier: Apache-2.0
 *
 * The base of a plan, asked for: what stands in it already, a web identity, a container's agent or
 * instance metadata.
 */
#pragma once

#include "control/aws/credentials/plan.h"
#include "control/aws/sts.h"

struct fetch;
struct imds;

struct fetch_conf {
	struct loop *loop;
	struct http *http;
	struct imds *imds;          /* for PLAN_IMDS */
	const struct plan *plan;    /* borrowed until the end */
	const struct sts_conf *sts; /* for PLAN_WEB_IDENTITY; its region is known then */
	/* Once, later; one of both is NULL; `found` is taken over from the struct by copying it. */
	void (*on_end)(void *context, struct credentials *found, const struct aws_error *error);
	void *context;
};

struct fetch *fetch_start(const struct fetch_conf *conf); /* NULL without memory */
void fetch_cancel(struct fetch *fetch);                   /* accepts NULL; on_end() will not come */
