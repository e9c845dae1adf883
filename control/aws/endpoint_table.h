/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables that control/aws/endpoint_table.py writes and control/aws/endpoint.c reads.
 */
#pragma once

#include <stdint.h>

#include "control/aws/aws.h"

struct endpoint_partition {
	const char *name;              /* "aws-cn" */
	const char *region_pattern;    /* POSIX extended, anchored */
	const char *suffix;            /* "amazonaws.com.cn" */
	const char *dual_stack_suffix; /* "api.amazonwebservices.com.cn" */
};

/* Indices into endpoint_rule::host. */
enum { ENDPOINT_FIPS = 1, ENDPOINT_DUAL_STACK = 2, ENDPOINT_VARIANTS = 4 };

/* The first rule of a service that fits counts; those for one region stand first. In a host, '*'
 * stands for the region, '$' for the suffix, '@' for the one of dual stack. */
struct endpoint_rule {
	uint8_t service;    /* enum aws_service */
	uint16_t in;        /* a bit for each partition */
	const char *region; /* NULL: any */
	const char *host[ENDPOINT_VARIANTS];
};

extern const struct endpoint_partition endpoint_partitions[];
extern const unsigned endpoint_partition_count;
extern const struct endpoint_rule endpoint_rules[];
extern const unsigned endpoint_rule_count;
