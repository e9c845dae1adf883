/* SPDX-License-Identifier: Apache-2.0
 *
 * When a call is made again: the "standard" mode of the AWS SDKs
 * (docs.aws.amazon.com/sdkref/latest/ guide/feature-retry-behavior.html). Pure but for
 * retry_random().
 *
 * Happy path: at most RETRY_ATTEMPTS in all, each repetition paid for out of a bucket of
 * RETRY_TOKENS (5, or 10 after a timeout) that successes fill again, after a random part of 1, 2,
 * 4 ... seconds up to 20; a service that says how long to wait is obeyed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/aws/aws.h"

#define RETRY_ATTEMPTS 3
#define RETRY_TOKENS   500

struct retry_quota {
	uint32_t spent; /* of RETRY_TOKENS */
};

bool retry_is_throttle(const char *code, long status);

/* Whether an error of this kind may be gone the next time. */
bool retry_is_worth_it(enum aws_error_kind kind, const char *code);

/* False when the bucket has too little left; else the cost was taken. */
bool retry_pay(struct retry_quota *quota, enum aws_error_kind kind, uint32_t *ret_cost);

/* A call went well: what its last repetition cost (0: it had none, that gives 1) comes back. */
void retry_refund(struct retry_quota *quota, uint32_t cost);

/* Milliseconds before repetition `number` (1 for the first). `random` is any number;
 * `wait_s` what the service asked for (Retry-After), 0 if nothing. */
uint32_t retry_delay_ms(unsigned number, uint32_t random, uint32_t wait_s);

/* Seconds of a Retry-After header: a number, or a date compared with `now_s`. 0 for NULL, and for
 * what is neither; 300 at most. */
uint32_t retry_after_s(const char *header, uint64_t now_s);

uint32_t retry_random(void);
