/* SPDX-License-Identifier: Apache-2.0
 *
 * The instance metadata service of EC2, version 2 alone: a token first, then any path with it
 * (docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html).
 * Version 1 (without a token) is never tried.
 *
 * Where it is: AWS_EC2_METADATA_SERVICE_ENDPOINT, else by AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE
 * (IPv4 or IPv6) 169.254.169.254 or fd00:ec2::254.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "control/aws/aws.h"

struct http;
struct imds; /* keeps the token; one for each who asks is fine */
struct imds_call;
struct loop;

/* 0, -ENOMEM, or -EINVAL: an endpoint or a mode that is none. No I/O. */
int imds_new(struct loop *loop, struct http *http, struct imds **ret_imds);
void imds_free(struct imds *imds); /* after its calls have ended; accepts NULL */

struct imds_answer {
	const struct aws_error *error; /* NULL: there is a body */
	bool missing;                  /* the error is that there is no such path (404) */
	const char *body;              /* with a NUL behind it; borrowed, and wiped afterwards */
	size_t size;
};

/* `path` below /latest/, e.g. "meta-data/placement/region"; copied. on_end() comes later and once;
 * the call is gone then. NULL without memory. */
struct imds_call *imds_get(struct imds *imds, const char *path,
			   void (*on_end)(void *context, const struct imds_answer *answer),
			   void *context);
void imds_cancel(struct imds_call *call); /* accepts NULL; on_end() will not come */
