/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a service answers: tables generated from botocore's endpoint rule sets (endpoint_table.c,
 * made by control/aws/endpoint_table.py), so that every partition's exceptions are there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "control/aws/aws.h"

#define ENDPOINT_HOST 128

/* The host, e.g. "ec2.eu-west-1.amazonaws.com". 0, or -EINVAL: the partition has no such variant.
 * A region that the table does not know gets its partition's pattern (new regions appear), as long
 * as it looks like a region. `ret_host` has ENDPOINT_HOST bytes. */
int endpoint_host(enum aws_service service, const char *region, bool fips, bool dual_stack,
		  char *ret_host);

/* "aws" for what no partition's pattern fits. */
const char *endpoint_partition(const char *region);

bool endpoint_region_is_valid(const char *region);

/* The base URL: AWS_ENDPOINT_URL_<SERVICE>, then AWS_ENDPOINT_URL (unless
 * AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is true), then `configured`, else https:// and the host. 0 or
 * -EINVAL. `ret_url` has `size` bytes. */
int endpoint_url(enum aws_service service, const char *region, const char *configured, bool fips,
		 bool dual_stack, char *ret_url, size_t size);
