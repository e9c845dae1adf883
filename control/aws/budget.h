/* SPDX-License-Identifier: Apache-2.0
 *
 * What this node may ask of an account: a token bucket for each account, region and class of calls,
 * whose rate is the fleet's divided by its nodes, so that the fleet as a whole never makes others
 * in the account wait.
 *
 * Happy path: a call takes a token and is sent, or waits for as long as budget_take() says; turns
 * are kept, since the token is taken at once. Failure modes: memory; a throttled answer empties the
 * bucket, because somebody else is using up the allowance.
 */
#pragma once

#include <stdint.h>

#include "control/aws/services.h"

struct budget;
struct budget_set;

/* `rate` calls a second for the whole fleet of `nodes`. NULL without memory. */
struct budget_set *budget_set_new(double rate, uint32_t nodes);
/* So many nodes from now on, also in buckets that are there already. */
void budget_set_nodes(struct budget_set *set, uint32_t nodes);
void budget_set_free(struct budget_set *set); /* accepts NULL */

/* The bucket, made if it is new; lives as long as the set. `who` stands for the account (profile
 * and role). NULL without memory. */
struct budget *budget_of(struct budget_set *set, const char *who, const char *region,
			 enum aws_service service, enum api_class class);

/* Microseconds until the call may be sent; 0: now. */
uint64_t budget_take(struct budget *budget, uint64_t now_us);
void budget_throttled(struct budget *budget);
