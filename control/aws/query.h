/* SPDX-License-Identifier: Apache-2.0
 *
 * An operation's input as a form of the Query protocols: nested objects and lists become names with
 * dots and numbers (docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html).
 *
 * Failure modes: memory, and an input that no form can say (deeper than QUERY_DEPTH, or names
 * longer than QUERY_NAME together).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#define QUERY_DEPTH 10
#define QUERY_NAME  256

/* "Action=..&Version=..&..", in the order of the input. Lists are numbered from 1, with ".member"
 * in front unless `is_ec2`; empty ones and null are left out. 0, -ENOMEM or -EINVAL; the caller
 * gives it to secret_free(). */
int query_encode(const char *action, const char *version, bool is_ec2, const json_t *input,
		 char **ret_form);
