/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeInstances. See control/instances.h.
 *
 * Ids go into the filter instance-id, not into InstanceId.N: one id that is gone would fail the
 * whole call there, and MaxResults, without which a call counts against a much smaller bucket,
 * cannot stand beside it (docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances).
 */
#include "control/instances.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/asking.h"
#include "control/source.h"
#include "proxy/base/conf/endpoint.h"
#include "proxy/base/jot.h"

#define PAGE       1000  /* the most that MaxResults may be */
#define TIMEOUT_MS 30000 /* such a page is 3 MB */

void instances_init(struct instances *instances, struct asking *asking,
		    enum instance_address address, const struct labels *labels)
{
	*instances = (struct instances){.asking = asking, .address = address, .labels = *labels};
	zones_init(&instances->zones, asking);
}

void instances_clear(struct instances *instances)
{
	free(instances->at);
	instances->at = NULL;
	instances->count = instances->room = 0;
	instances->notes = (struct notes){0};
	*instances->asking->source->notice = '\0';
	json_decref(instances->ids);
	instances->ids = NULL;
}

void instances_fini(struct instances *instances)
{
	instances_clear(instances);
	zones_fini(&instances->zones);
}

/* --- what an answer says --- */

static bool is_primary(const json_t *interface)
{
	int64_t device = -1, card = 0;
	const json_t *attachment = aws_object(interface, "attachment");

	aws_number(attachment, "networkCardIndex", &card);
	return aws_number(attachment, "deviceIndex", &device) && device == 0 && card == 0;
}

/* The first of the first network interface, which `ipv6Address` does not always repeat. */
static const char *ipv6_of(const json_t *item)
{
	const json_t *interfaces = aws_list(item, "networkInterfaceSet");
	const char *text = aws_text(item, "ipv6Address");

	for (size_t i = 0; !text && i < json_array_size(interfaces); i++) {
		const json_t *interface = json_array_get(interfaces, i);
		const json_t *list = aws_list(interface, "ipv6AddressesSet");

		if (is_primary(interface))
			text = aws_text(json_array_get(list, 0), "ipv6Address");
	}
	return text;
}

static int read_host(const json_t *item, enum instance_address address, struct addr *ret_host)
{
	const char *why;
	const char *text = address == INSTANCE_IPV6     ? ipv6_of(item)
			   : address == INSTANCE_PUBLIC ? aws_text(item, "ipAddress")
							: aws_text(item, "privateIpAddress");

	if (text && endpoint_parse_ip(text, ret_host, &why) < 0)
		return -EPROTO;
	return 0;
}

static int copy_text(const char *text, char *ret_text, size_t size)
{
	size_t len = text ? strlen(text) : 0;

	if (len >= size)
		return -EPROTO;
	memcpy(ret_text, text ? text : "", len + 1);
	return 0;
}

/* What a tag says, else the id where the answer has it, else the name. */
static int read_zone(struct zones *zones, const json_t *item, const char *said,
		     struct instance *instance)
{
	const json_t *placement = aws_object(item, "placement");
	const char *id = said ? said : aws_text(placement, "availabilityZoneId");
	const char *name = aws_text(placement, "availabilityZone");

	instance->zone_is_settled = id;
	if (!id)
		zones_want(zones, name);
	return copy_text(id ? id : name, instance->zone, sizeof(instance->zone));
}

static int read_instance(struct instances *instances, const json_t *item,
			 struct instance *ret_instance)
{
	const char *id = aws_text(item, "instanceId");
	const char *state = aws_text(aws_object(item, "instanceState"), "name");
	struct instance instance = {0};
	struct said said;
	int err;

	if (!id || !state)
		return -EPROTO;
	said = labels_read(&instances->labels, id, aws_list(item, "tagSet"), &instances->notes);
	instance.running = strcmp(state, "running") == 0;
	instance.port = said.port;
	instance.weight = said.weight;
	instance.backup = said.backup;
	err = copy_text(id, instance.id, sizeof(instance.id));
	if (!err)
		err = read_host(item, instances->address, &instance.host);
	if (!err)
		err = read_zone(&instances->zones, item, said.zone, &instance);
	if (!err)
		*ret_instance = instance;
	return err;
}

static int keep(struct instances *instances, const struct instance *instance)
{
	size_t room = instances->room ? 2 * instances->room : 64;
	struct instance *at = instances->at;

	if (instances->count == instances->room) {
		at = reallocarray(at, room, sizeof(*at));
		if (!at)
			return -ENOMEM;
		instances->at = at;
		instances->room = room;
	}
	at[instances->count++] = *instance;
	return 0;
}

static int read_reservation(struct instances *instances, const json_t *reservation)
{
	const json_t *list = aws_list(reservation, "instancesSet");
	struct instance instance;
	int err = list ? 0 : -EPROTO;

	for (size_t i = 0; !err && i < json_array_size(list); i++) {
		err = read_instance(instances, json_array_get(list, i), &instance);
		if (!err)
			err = keep(instances, &instance);
	}
	return err;
}

static int on_page(void *context, const json_t *page)
{
	const json_t *list = aws_list(page, "reservationSet");
	int err = list ? 0 : -EPROTO;

	for (size_t i = 0; !err && i < json_array_size(list); i++)
		err = read_reservation(context, json_array_get(list, i));
	return err;
}

/* --- asking --- */

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct instance *)a)->id, ((const struct instance *)b)->id);
}

static bool same(const struct instance *a, const struct instance *b)
{
	return addr_equal(&a->host, &b->host) && !strcmp(a->zone, b->zone) &&
	       a->running == b->running && a->port == b->port && a->weight == b->weight &&
	       a->backup == b->backup;
}

/* Two pages may overlap, but not contradict each other: false after source_failed(). */
static bool put_in_order(struct instances *instances)
{
	struct instance *at = instances->at;
	size_t kept = 0;

	if (instances->count)
		qsort(at, instances->count, sizeof(*at), compare);
	for (size_t i = 0; i < instances->count; i++) {
		if (kept == 0 || compare(&at[kept - 1], &at[i]) != 0) {
			at[kept++] = at[i];
		} else if (!same(&at[kept - 1], &at[i])) {
			source_failed(instances->asking->source, "contradiction",
				      "DescribeInstances says two different things of %s, so the "
				      "whole answer is not believed",
				      at[i].id);
			return false;
		}
	}
	instances->count = kept;
	return true;
}

static void finish(void *context)
{
	struct instances *instances = context;

	if (put_in_order(instances))
		zones_settle(&instances->zones, instances->next, instances->context);
}

static void describe(struct instances *instances, json_t *filters, void (*next)(void *context))
{
	const struct aws_op op = {
		.service = AWS_EC2,
		.action = "DescribeInstances",
		.input = JOT({"Filter", filters}, {"MaxResults", json_integer(PAGE)}),
		.token_out = "nextToken",
		.token_in = "NextToken",
		.timeout_ms = TIMEOUT_MS,
	};

	asking_call(instances->asking, &op, on_page, next, instances);
}

void instances_select(struct instances *instances, json_t *filters, void (*next)(void *context),
		      void *context)
{
	instances->next = next;
	instances->context = context;
	describe(instances, filters, finish);
}

static json_t *id_at(const void *of, size_t index)
{
	const struct instances *instances = of;

	return json_incref(json_array_get(instances->ids, instances->asked + index));
}

static void ask_more(void *context)
{
	struct instances *instances = context;
	size_t left = json_array_size(instances->ids) - instances->asked;
	size_t batch = left < INSTANCES_FILTER_VALUES ? left : INSTANCES_FILTER_VALUES;
	json_t *values;

	if (batch == 0) {
		finish(instances);
		return;
	}
	values = jot_array(batch, id_at, instances);
	instances->asked += batch;
	describe(instances,
		 json_pack("[o]", JOT({"Name", json_string("instance-id")}, {"Value", values})),
		 ask_more);
}

void instances_ask(struct instances *instances, json_t *ids, void (*next)(void *context),
		   void *context)
{
	instances->next = next;
	instances->context = context;
	json_decref(instances->ids);
	instances->ids = ids;
	instances->asked = 0;
	ask_more(instances);
}

uint32_t instances_ask_calls(size_t count)
{
	return (uint32_t)((count + INSTANCES_FILTER_VALUES - 1) / INSTANCES_FILTER_VALUES);
}

const struct instance *instances_find(const struct instances *instances, const char *id)
{
	struct instance key = {0};

	if (!instances->count || copy_text(id, key.id, sizeof(key.id)) < 0)
		return NULL;
	return bsearch(&key, instances->at, instances->count, sizeof(key), compare);
}
