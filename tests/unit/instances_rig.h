/* SPDX-License-Identifier: Apache-2.0
 *
 * Pieces of answers of DescribeInstances and DescribeAvailabilityZones, with the names that they
 * have on the wire.
 */
#pragma once

#include "tests/unit/aws_double.h"

#define ZONES                                                                                      \
	"{'availabilityZoneInfo': [{'zoneName': 'eu-west-1a', 'zoneId': 'euw1-az1'},"              \
	" {'zoneName': 'eu-west-1b', 'zoneId': 'euw1-az2'}]}"

/* Add one to a page (NULL: a new one), in a reservation of its own; `more` is of its keys, with a
 * comma in front, or "". */
static inline json_t *page_with(json_t *page, const char *id, const char *state, const char *more)
{
	char text[1024];

	if (!page)
		page = json_pack("{s:[], s:s}", "reservationSet", "requestId", "r");
	snprintf(text, sizeof(text),
		 "{'reservationId': 'r-1', 'groupSet': '', 'instancesSet': [{'instanceId': '%s',"
		 " 'instanceState': {'code': '16', 'name': '%s'}%s}]}",
		 id, state, more);
	json_array_append_new(json_object_get(page, "reservationSet"), json_of(text));
	return page;
}

/* A running one in the first zone, with a private address. */
static inline json_t *page_with_running(json_t *page, const char *id, const char *address)
{
	char more[256];

	snprintf(more, sizeof(more),
		 ", 'privateIpAddress': '%s', 'placement': {'availabilityZone': 'eu-west-1a'}",
		 address);
	return page_with(page, id, "running", more);
}

/* Running ones "i-FIRST" and so on, each with an address of its own. */
static inline json_t *page_of_range(unsigned first, unsigned count)
{
	json_t *page = NULL;

	for (unsigned i = first; i < first + count; i++) {
		char id[32], address[32];

		snprintf(id, sizeof(id), "i-%05u", i);
		snprintf(address, sizeof(address), "10.0.%u.%u", i / 250, 1 + i % 250);
		page = page_with_running(page, id, address);
	}
	return page;
}
