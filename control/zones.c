/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of zones to ids. See control/zones.h. The table only grows: an account's mapping never
 * changes (docs.aws.amazon.com/global-infrastructure/latest/regions/az-ids.html).
 */
#include "control/zones.h"

#include <errno.h>

#include "control/asking.h"
#include "control/source.h"
#include "proxy/base/clock.h"

#define AGAIN_US (3600 * US_PER_SEC) /* ask for a name that the answer did not have */

void zones_init(struct zones *zones, struct asking *asking)
{
	*zones = (struct zones){.asking = asking};
}

void zones_fini(struct zones *zones)
{
	json_decref(zones->ids);
	zones->ids = NULL;
}

void zones_want(struct zones *zones, const char *name)
{
	if (name && !json_object_get(zones->ids, name))
		zones->wanted = true;
}

static int on_page(void *context, const json_t *page)
{
	struct zones *zones = context;
	const json_t *list = aws_list(page, "availabilityZoneInfo");
	const json_t *zone;
	size_t i;

	if (!list)
		return -EPROTO;
	if (!zones->ids)
		zones->ids = json_object();
	json_array_foreach ((json_t *)list, i, zone) {
		const char *name = aws_text(zone, "zoneName"), *id = aws_text(zone, "zoneId");

		if (!name || !id)
			return -EPROTO;
		if (json_object_set_new(zones->ids, name, json_string(id)) < 0)
			return -ENOMEM;
	}
	zones->asked_us = clock_us();
	return 0;
}

static void on_answered(void *context)
{
	struct zones *zones = context;

	zones->next(zones->context);
}

void zones_settle(struct zones *zones, void (*next)(void *context), void *context)
{
	bool ask = zones->wanted && (!zones->asked_us || clock_us() - zones->asked_us >= AGAIN_US);

	zones->wanted = false;
	if (!ask) {
		next(context);
		return;
	}
	zones->next = next;
	zones->context = context;
	asking_call(zones->asking,
		    &(struct aws_op){.service = AWS_EC2,
				     .action = "DescribeAvailabilityZones",
				     .input = json_object()},
		    on_page, on_answered, zones);
}

const char *zones_id(const struct zones *zones, const char *name)
{
	const char *id = name ? json_string_value(json_object_get(zones->ids, name)) : NULL;

	return id ? id : name;
}
