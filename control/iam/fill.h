/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of policies with {words} in them, which the configuration fills in: {partition}, {region},
 * {account} and the keys of a mapping.
 *
 * An ARN that stands in the configuration gives its account and region, and stands for its last
 * part: `cluster: arn:aws:ecs:eu-west-1:123456789012:cluster/prod` is {cluster} = prod. A queue's
 * URL does the same. What is not known is `*`.
 */
#pragma once

#include <jansson.h>

struct node;

/* What the braces stand for. */
struct filling {
	const struct node *conf;
	const char *partition;
	char region[64];
	char account[64];
};

/* The region is that of `own_region`, of an ARN, or `fallback_region`, whichever is not NULL first.
 * `conf` is borrowed. */
void filling_init(struct filling *filling, const struct node *conf, const char *own_region,
		  const char *fallback_region);

/* NULL without memory. */
json_t *filling_text(const struct filling *filling, const char *text);

/* A copy in which every text is filled in. NULL without memory. */
json_t *filling_value(const struct filling *filling, const json_t *value);
