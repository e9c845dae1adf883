/* SPDX-License-Identifier: Apache-2.0
 *
 * `cloudmap`: the instances of an AWS Cloud Map service, by its API and never by its DNS, which
 * answers with eight records at most.
 *
 * Happy path: DiscoverInstancesRevision each time, and DiscoverInstances when the revision is
 * another. A change of health alone is no new revision (docs.aws.amazon.com/cloud-map/latest/api/
 * API_DiscoverInstances.html), so the instances are fetched every HEALTH_MS all the same.
 * Failure modes: DiscoverInstances has no pages, so as many as it ever gives are taken for a part;
 * an answer older than the revision just heard of is not used; an instance that is a target and
 * comes without an address or port keeps the last set.
 *
 * All instances are asked for, whatever `health` says: an unhealthy one drains, which is better
 * than to be gone, and one whose service has no check is usable.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/asking.h"
#include "control/labels.h"
#include "control/notes.h"
#include "control/source.h"
#include "control/zones.h"
#include "proxy/base/conf/discover_rules.h"
#include "proxy/base/conf/endpoint.h"
#include "proxy/base/conf/schema.h"

#define MOST      1000 /* instances in an answer */
#define HEALTH_MS 10000
#define ZONE_NAME "AVAILABILITY_ZONE" /* the attribute in which ECS gives a zone's name */

struct cloudmap {
	struct source source;
	struct asking asking;
	struct zones zones;
	struct notes notes;
	struct labels labels;
	const char *namespace;
	const char *service;
	bool healthy; /* unhealthy ones drain */
	bool ipv6;
	uint32_t refresh_every; /* fetches */

	json_t *instances; /* of the last answer that was believed; NULL: none */
	int64_t revision;  /* of it */
	uint32_t fetches;  /* since then */
	int64_t heard;     /* the revision of this fetch */
	json_t *fresh;     /* the answer of this fetch */
	int64_t fresh_revision;
};

static struct cloudmap *cloudmap_of(struct source *source)
{
	return container_of(source, struct cloudmap, source);
}

/* --- an answer to a set --- */

static bool is_unhealthy(const json_t *instance)
{
	const char *health = aws_text(instance, "HealthStatus");

	return health && strcmp(health, "UNHEALTHY") == 0;
}

/* family 0 when it has none. */
static int read_address(const struct cloudmap *cloudmap, const json_t *attributes,
			struct addr *ret_addr)
{
	const char *text =
		aws_text(attributes, cloudmap->ipv6 ? "AWS_INSTANCE_IPV6" : "AWS_INSTANCE_IPV4");
	const char *why;

	return text ? endpoint_parse_ip(text, ret_addr, &why) : 0;
}

/* 0 when it is left out, which a target is not; -errno after source_failed(). */
static int miss(struct cloudmap *cloudmap, const char *id, bool draining, const char *what)
{
	if (draining)
		return 0;
	if (!source_current(&cloudmap->source, id)) {
		notes_add(&cloudmap->notes, "instance %.80s has no %s, and is left out", id, what);
		return 0;
	}
	source_failed(&cloudmap->source, "incomplete",
		      "instance %.100s is a target, but the answer has no %s for it, so the "
		      "targets stay as they are; register it with one, or deregister it",
		      id, what);
	return -ENODATA;
}

/* Else the operator has an attribute of his own, whose value counts as it is. */
static bool has_zone_names(const struct cloudmap *cloudmap)
{
	return cloudmap->labels.zone && strcmp(cloudmap->labels.zone, ZONE_NAME) == 0;
}

static int offer(struct cloudmap *cloudmap, const json_t *instance, struct target_set *set)
{
	const json_t *attributes = aws_object(instance, "Attributes");
	const char *id = aws_text(instance, "InstanceId");
	bool draining = cloudmap->healthy && is_unhealthy(instance);
	struct said said = labels_read(&cloudmap->labels, id, attributes, &cloudmap->notes);
	char address[ADDR_TEXT];
	struct addr addr = {0};

	if (read_address(cloudmap, attributes, &addr) < 0 || !addr.family)
		return miss(cloudmap, id, draining,
			    cloudmap->ipv6 ? "IPv6 address" : "IPv4 address");
	if (!said.port)
		return miss(cloudmap, id, draining, "port");
	addr.port = said.port;
	return source_add(&cloudmap->source, set,
			  &(struct found_target){
				  .id = id,
				  .address = addr_format(&addr, address),
				  .zone = has_zone_names(cloudmap)
						  ? zones_id(&cloudmap->zones, said.zone)
						  : said.zone,
				  .weight = said.weight,
				  .backup = said.backup,
				  .draining = draining,
			  });
}

static void on_zones(void *context)
{
	struct cloudmap *cloudmap = context;
	struct target_set *set = source_new_set(&cloudmap->source);
	int err = set ? 0 : -ENOMEM;

	cloudmap->notes = (struct notes){0};
	for (size_t i = 0; !err && i < json_array_size(cloudmap->instances); i++)
		err = offer(cloudmap, json_array_get(cloudmap->instances, i), set);
	if (err) {
		target_set_free(set);
		return;
	}
	notes_write(&cloudmap->notes, cloudmap->source.notice, sizeof(cloudmap->source.notice));
	source_done(&cloudmap->source, set);
}

static void make_set(struct cloudmap *cloudmap)
{
	size_t count = has_zone_names(cloudmap) ? json_array_size(cloudmap->instances) : 0;

	for (size_t i = 0; i < count; i++) {
		const json_t *instance = json_array_get(cloudmap->instances, i);

		zones_want(&cloudmap->zones,
			   aws_text(aws_object(instance, "Attributes"), ZONE_NAME));
	}
	zones_settle(&cloudmap->zones, on_zones, cloudmap);
}

/* --- asking --- */

static int on_instances_page(void *context, const json_t *page)
{
	struct cloudmap *cloudmap = context;
	const json_t *list = aws_list(page, "Instances");

	if (!list)
		return -EPROTO;
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!aws_text(json_array_get(list, i), "InstanceId"))
			return -EPROTO;
	json_decref(cloudmap->fresh);
	cloudmap->fresh = json_copy((json_t *)list);
	cloudmap->fresh_revision = cloudmap->heard;
	aws_number(page, "InstancesRevision", &cloudmap->fresh_revision);
	return cloudmap->fresh ? 0 : -ENOMEM;
}

static void on_instances(void *context)
{
	struct cloudmap *cloudmap = context;

	if (json_array_size(cloudmap->fresh) >= MOST) {
		source_failed(&cloudmap->source, "truncated",
			      "DiscoverInstances gave %d instances of %.60s, as many as it ever "
			      "gives, so there may be more; split the service",
			      MOST, cloudmap->service);
		return;
	}
	if (cloudmap->fresh_revision < cloudmap->heard) {
		source_failed(&cloudmap->source, "stale",
			      "DiscoverInstances gave an older revision of %.60s than "
			      "DiscoverInstancesRevision; it is asked again",
			      cloudmap->service);
		return;
	}
	json_decref(cloudmap->instances);
	cloudmap->instances = cloudmap->fresh;
	cloudmap->fresh = NULL;
	cloudmap->revision = cloudmap->fresh_revision;
	cloudmap->fetches = 0;
	make_set(cloudmap);
}

static void ask_instances(struct cloudmap *cloudmap)
{
	asking_call(&cloudmap->asking,
		    &(struct aws_op){.service = AWS_CLOUDMAP_DATA,
				     .action = "DiscoverInstances",
				     .input = json_pack("{s:s, s:s, s:i, s:s}", "NamespaceName",
							cloudmap->namespace, "ServiceName",
							cloudmap->service, "MaxResults", MOST,
							"HealthStatus", "ALL")},
		    on_instances_page, on_instances, cloudmap);
}

static int on_revision_page(void *context, const json_t *page)
{
	struct cloudmap *cloudmap = context;

	return aws_number(page, "InstancesRevision", &cloudmap->heard) ? 0 : -EPROTO;
}

static void on_revision(void *context)
{
	struct cloudmap *cloudmap = context;

	if (cloudmap->instances && cloudmap->heard == cloudmap->revision &&
	    ++cloudmap->fetches < cloudmap->refresh_every)
		make_set(cloudmap);
	else
		ask_instances(cloudmap);
}

static void cloudmap_fetch(struct source *source)
{
	struct cloudmap *cloudmap = cloudmap_of(source);

	source->notice[0] = '\0';
	asking_call(&cloudmap->asking,
		    &(struct aws_op){.service = AWS_CLOUDMAP_DATA,
				     .action = "DiscoverInstancesRevision",
				     .input = json_pack("{s:s, s:s}", "NamespaceName",
							cloudmap->namespace, "ServiceName",
							cloudmap->service)},
		    on_revision_page, on_revision, cloudmap);
}

/* --- open and close --- */

static void cloudmap_close(struct source *source)
{
	struct cloudmap *cloudmap = cloudmap_of(source);

	asking_cancel(&cloudmap->asking);
	zones_fini(&cloudmap->zones);
	json_decref(cloudmap->instances);
	json_decref(cloudmap->fresh);
	free(cloudmap);
}

static int cloudmap_open(const struct node *conf, const struct source_world *world,
			 struct conf_errors *errors, struct source **ret_source)
{
	const struct schema_map *map = discover_source_map("cloudmap");
	struct cloudmap *cloudmap = calloc(1, sizeof(*cloudmap));
	uint64_t interval_ms = schema_number(map, conf, "interval");

	if (!cloudmap)
		return -ENOMEM;
	cloudmap->source = (struct source){.kind = &source_cloudmap, .conf = conf, .world = *world};
	asking_init(&cloudmap->asking, &cloudmap->source);
	zones_init(&cloudmap->zones, &cloudmap->asking);
	labels_open("cloudmap", conf, "from_attributes", &cloudmap->labels);
	cloudmap->namespace = schema_text(conf, "namespace");
	cloudmap->service = schema_text(conf, "service");
	cloudmap->healthy = schema_number(map, conf, "health") == 0;
	cloudmap->ipv6 = schema_number(map, conf, "family");
	cloudmap->refresh_every = interval_ms < HEALTH_MS ? (uint32_t)(HEALTH_MS / interval_ms) : 1;
	*ret_source = &cloudmap->source;
	return 0;
}

static uint32_t cloudmap_calls_x100(const struct source *source, size_t expected)
{
	const struct cloudmap *cloudmap = container_of(source, const struct cloudmap, source);

	return 100 + 100 / cloudmap->refresh_every;
}

#define OWN_SERVICE                                                                                \
	"{\"StringEquals\": {\"servicediscovery:NamespaceName\": \"{namespace}\", "                \
	"\"servicediscovery:ServiceName\": \"{service}\"}}"

static const struct source_action actions[] = {
	{"ec2:DescribeAvailabilityZones", "*", SOURCE_OWN_REGION}, /* see actions_of() */
	{"servicediscovery:DiscoverInstancesRevision", "*", OWN_SERVICE},
	{"servicediscovery:DiscoverInstances", "*", OWN_SERVICE},
	{0},
};

/* The first is for names of zones, and an attribute of the operator's own has none. */
static const struct source_action *actions_of(const struct node *conf)
{
	const char *zone = node_get_text(node_get(conf, "from_attributes"), "zone");

	return zone && strcmp(zone, ZONE_NAME) == 0 ? actions : actions + 1;
}

const struct source_kind source_cloudmap = {
	.name = "cloudmap",
	.is_aws = true,
	.actions = actions,
	.actions_of = actions_of,
	.open = cloudmap_open,
	.close = cloudmap_close,
	.fetch = cloudmap_fetch,
	.calls_x100 = cloudmap_calls_x100,
};
