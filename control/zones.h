/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of availability zones to their ids, which mean the same place in every account.
 *
 * Happy path: whoever collects targets says each name it met, zones_settle() asks
 * DescribeAvailabilityZones if one of them is new, and zones_id() translates from then on. What the
 * APIs give as an id already is never asked for.
 * Failure modes: the call fails, and with it the fetch, rather than that a zone is called now by
 * its name, now by its id; a name that the answer does not have stays a name, and is asked for
 * again an hour later.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct asking;

struct zones {
	struct asking *asking;
	json_t *ids; /* name to id; NULL: never asked */
	bool wanted; /* a name was met that has no id */
	uint64_t asked_us;
	void (*next)(void *context); /* whom to go on with */
	void *context;
};

void zones_init(struct zones *zones, struct asking *asking);
void zones_fini(struct zones *zones);

void zones_want(struct zones *zones, const char *name); /* accepts NULL */

/* `next` comes at once where nothing has to be asked. */
void zones_settle(struct zones *zones, void (*next)(void *context), void *context);

/* The id, or `name` itself (also NULL). Valid until the next zones_settle(). */
const char *zones_id(const struct zones *zones, const char *name);
