/* SPDX-License-Identifier: Apache-2.0
 *
 * `elbv2`: what is registered with a target group of a Network or Application Load Balancer.
 *
 * Happy path: DescribeTargetGroups once, for the group's ARN and the type of its targets; then
 * DescribeTargetHealth, which has no pages, each time. Targets of type ip carry their address and
 * zone, those of type instance are looked up with DescribeInstances.
 * Failure modes: a group of type alb or lambda has no addresses and is refused; a target in a state
 * that is not known, or a usable one that EC2 does not know, keeps the last set. After a fetch that
 * failed the group is looked up anew, since one of the same name may have replaced it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/asking.h"
#include "control/instances.h"
#include "control/source.h"
#include "proxy/base/conf/discover_rules.h"
#include "proxy/base/conf/endpoint.h"
#include "proxy/base/conf/schema.h"
#include "proxy/base/jot.h"

#define TIMEOUT_MS 30000 /* all targets come at once */

struct elbv2 {
	struct source source;
	struct asking asking;
	struct instances instances; /* also the zones and notes of a group of addresses */
	const char *wanted;         /* name or ARN */
	bool require_healthy;
	bool resolved; /* what follows is of the group as it is */
	bool of_instances;
	char arn[256];
	char type[32];
	json_t *targets; /* members of the last answer */
};

enum verdict { USABLE, DRAINING, UNKNOWN };

static struct elbv2 *elbv2_of(struct source *source)
{
	return container_of(source, struct elbv2, source);
}

static void elbv2_close(struct source *source)
{
	struct elbv2 *elbv2 = elbv2_of(source);

	asking_cancel(&elbv2->asking);
	instances_fini(&elbv2->instances);
	json_decref(elbv2->targets);
	free(elbv2);
}

static int elbv2_open(const struct node *conf, const struct source_world *world,
		      struct conf_errors *errors, struct source **ret_source)
{
	const struct schema_map *map = discover_source_map("elbv2");
	struct elbv2 *elbv2 = calloc(1, sizeof(*elbv2));
	struct labels labels;

	if (!elbv2)
		return -ENOMEM;
	elbv2->source = (struct source){.kind = &source_elbv2, .conf = conf, .world = *world};
	asking_init(&elbv2->asking, &elbv2->source);
	labels_open("elbv2", conf, "from_tags", &labels);
	instances_init(&elbv2->instances, &elbv2->asking, INSTANCE_PRIVATE, &labels);
	elbv2->wanted = schema_text(conf, "target_group");
	elbv2->require_healthy = schema_number(map, conf, "require_healthy");
	*ret_source = &elbv2->source;
	return 0;
}

/* --- the end: targets of an answer to a set --- */

/* docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html. A target that
 * no load balancer uses is checked by nobody, which says nothing against it. */
static enum verdict judge(const struct elbv2 *elbv2, const char *state, const char *reason)
{
	static const struct {
		const char *state;
		const char *reason; /* NULL: whatever it is */
		enum verdict verdict;
		bool sick; /* only in the load balancer's eyes */
	} rows[] = {
		{"healthy", NULL, USABLE, false},
		{"unavailable", NULL, USABLE, false},
		{"unused", "Target.NotInUse", USABLE, false},
		{"unused", NULL, DRAINING, false},
		{"initial", NULL, DRAINING, true},
		{"unhealthy", NULL, DRAINING, true},
		{"unhealthy.draining", NULL, DRAINING, false},
		{"draining", NULL, DRAINING, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].state, state) != 0 ||
		    (rows[i].reason && (!reason || strcmp(rows[i].reason, reason) != 0)))
			continue;
		return rows[i].sick && !elbv2->require_healthy ? USABLE : rows[i].verdict;
	}
	return UNKNOWN;
}

static const char *zone_of(const json_t *target)
{
	const char *zone = aws_text(target, "AvailabilityZone");

	return zone && strcmp(zone, "all") == 0 ? NULL : zone;
}

static int offer_address(struct elbv2 *elbv2, const json_t *target, uint16_t port, bool draining,
			 struct target_set *set)
{
	const struct said *said = &elbv2->instances.labels.otherwise;
	const char *host = aws_text(target, "Id"), *why;
	char address[ADDR_TEXT];
	struct addr addr;

	if (endpoint_parse_ip(host, &addr, &why) < 0) {
		source_failed(&elbv2->source, aws_error_kind_names[AWS_GARBAGE],
			      "DescribeTargetHealth has a target \"%.60s\" in a group of addresses",
			      host);
		return -EPROTO;
	}
	addr.port = port;
	return source_add(&elbv2->source, set,
			  &(struct found_target){
				  .address = addr_format(&addr, address),
				  .zone = zones_id(&elbv2->instances.zones, zone_of(target)),
				  .weight = said->weight,
				  .backup = said->backup,
				  .draining = draining,
			  });
}

static int offer_instance(struct elbv2 *elbv2, const char *id, uint16_t port, bool draining,
			  struct target_set *set)
{
	const struct instance *instance = instances_find(&elbv2->instances, id);

	if (instance)
		return instances_offer(&elbv2->instances, instance, port, draining, set);
	if (draining)
		return 0;
	source_failed(&elbv2->source, "incomplete",
		      "%.60s is a target of the group, but DescribeInstances does not know it, so "
		      "the targets stay as they are",
		      id);
	return -ENODATA;
}

static int offer(struct elbv2 *elbv2, const json_t *member, struct target_set *set)
{
	const json_t *target = aws_object(member, "Target");
	const json_t *health = aws_object(member, "TargetHealth");
	const char *id = aws_text(target, "Id"), *state = aws_text(health, "State");
	enum verdict verdict = judge(elbv2, state, aws_text(health, "Reason"));
	int64_t port = 0;

	aws_number(target, "Port", &port);
	if (verdict == UNKNOWN) {
		source_failed(&elbv2->source, "unknown_state",
			      "%.60s is in the state \"%.60s\", which this version does not know, "
			      "so the targets stay as they are",
			      id, state);
		return -EPROTO;
	}
	if (elbv2->of_instances)
		return offer_instance(elbv2, id, (uint16_t)port, verdict == DRAINING, set);
	return offer_address(elbv2, target, (uint16_t)port, verdict == DRAINING, set);
}

static void on_places(void *context)
{
	struct elbv2 *elbv2 = context;
	struct target_set *set = source_new_set(&elbv2->source);
	int err = set ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < json_array_size(elbv2->targets); i++)
		err = offer(elbv2, json_array_get(elbv2->targets, i), set);
	if (!err) {
		elbv2->resolved = true;
		json_decref(elbv2->targets);
		elbv2->targets = NULL;
	}
	instances_end(&elbv2->instances, set, err);
}

/* --- asking --- */

static bool is_whole(const json_t *member)
{
	const json_t *target = aws_object(member, "Target");
	int64_t port;

	return aws_text(target, "Id") && aws_number(target, "Port", &port) && port >= 1 &&
	       port <= UINT16_MAX && aws_text(aws_object(member, "TargetHealth"), "State");
}

static int on_health_page(void *context, const json_t *page)
{
	struct elbv2 *elbv2 = context;
	const json_t *list = aws_list(page, "TargetHealthDescriptions");

	if (!list)
		return -EPROTO;
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *member = json_array_get(list, i);

		if (!is_whole(member))
			return -EPROTO;
		if (json_array_append(elbv2->targets, member) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* An instance may be registered with several ports. */
static json_t *ids_of(const json_t *members)
{
	json_t *seen = json_object(), *ids = json_array();

	for (size_t i = 0; i < json_array_size(members); i++) {
		const char *id = aws_text(aws_object(json_array_get(members, i), "Target"), "Id");

		if (json_object_get(seen, id))
			continue;
		json_object_set_new(seen, id, json_null());
		json_array_append_new(ids, json_string(id));
	}
	json_decref(seen);
	return ids;
}

static void on_health(void *context)
{
	struct elbv2 *elbv2 = context;
	struct zones *zones = &elbv2->instances.zones;

	if (elbv2->of_instances) {
		instances_ask(&elbv2->instances, ids_of(elbv2->targets), on_places, elbv2);
		return;
	}
	for (size_t i = 0; i < json_array_size(elbv2->targets); i++)
		zones_want(zones, zone_of(aws_object(json_array_get(elbv2->targets, i), "Target")));
	zones_settle(zones, on_places, elbv2);
}

static void ask_health(struct elbv2 *elbv2)
{
	asking_call(&elbv2->asking,
		    &(struct aws_op){.service = AWS_ELBV2,
				     .action = "DescribeTargetHealth",
				     .input = json_pack("{s:s}", "TargetGroupArn", elbv2->arn),
				     .timeout_ms = TIMEOUT_MS},
		    on_health_page, on_health, elbv2);
}

/* --- the group --- */

static int on_group_page(void *context, const json_t *page)
{
	struct elbv2 *elbv2 = context;
	const json_t *list = aws_list(page, "TargetGroups");
	const json_t *group = json_array_get(list, 0);
	const char *arn = aws_text(group, "TargetGroupArn");
	const char *type = aws_text(group, "TargetType");
	const char *family = aws_text(group, "IpAddressType");

	if (json_array_size(list) != 1 || !arn || !type || strlen(arn) >= sizeof(elbv2->arn))
		return -EPROTO;
	strcpy(elbv2->arn, arn);
	strncpy(elbv2->type, type, sizeof(elbv2->type) - 1);
	elbv2->of_instances = strcmp(type, "instance") == 0;
	elbv2->instances.address =
		family && strcmp(family, "ipv6") == 0 ? INSTANCE_IPV6 : INSTANCE_PRIVATE;
	return 0;
}

static void on_group(void *context)
{
	struct elbv2 *elbv2 = context;

	if (elbv2->of_instances || strcmp(elbv2->type, "ip") == 0) {
		ask_health(elbv2);
		return;
	}
	source_failed(&elbv2->source, aws_error_kind_names[AWS_REFUSED],
		      "target group %.120s is of type %s, whose targets have no address to connect "
		      "to; name a group of type instance or ip",
		      elbv2->wanted, elbv2->type);
}

static void ask_group(struct elbv2 *elbv2)
{
	bool is_arn = strncmp(elbv2->wanted, "arn:", 4) == 0;

	memset(elbv2->type, 0, sizeof(elbv2->type));
	asking_call(
		&elbv2->asking,
		&(struct aws_op){.service = AWS_ELBV2,
				 .action = "DescribeTargetGroups",
				 .input = json_pack("{s:[s]}", is_arn ? "TargetGroupArns" : "Names",
						    elbv2->wanted)},
		on_group_page, on_group, elbv2);
}

static void elbv2_fetch(struct source *source)
{
	struct elbv2 *elbv2 = elbv2_of(source);
	bool resolved = elbv2->resolved;

	elbv2->resolved = false;
	json_decref(elbv2->targets);
	elbv2->targets = json_array();
	instances_clear(&elbv2->instances);
	if (resolved)
		ask_health(elbv2);
	else
		ask_group(elbv2);
}

/* Until the group's type is known, as if its targets were instances. */
static uint32_t elbv2_calls_x100(const struct source *source, size_t expected)
{
	const struct elbv2 *elbv2 = container_of(source, const struct elbv2, source);

	if (elbv2->resolved && !elbv2->of_instances)
		return 100;
	return 100 * (1 + instances_ask_calls(expected));
}

static const struct source_action actions[] = {
	{"elasticloadbalancing:DescribeTargetGroups", "*", SOURCE_OWN_REGION},
	{"elasticloadbalancing:DescribeTargetHealth", "*", SOURCE_OWN_REGION},
	{"ec2:DescribeInstances", "*", SOURCE_OWN_REGION},
	{"ec2:DescribeAvailabilityZones", "*", SOURCE_OWN_REGION},
	{0},
};

const struct source_kind source_elbv2 = {
	.name = "elbv2",
	.is_aws = true,
	.actions = actions,
	.open = elbv2_open,
	.close = elbv2_close,
	.fetch = elbv2_fetch,
	.calls_x100 = elbv2_calls_x100,
};
