/* SPDX-License-Identifier: Apache-2.0
 *
 * The table's rows for `discover:`, which sluice-control acts on. The proxy only checks them, so
 * that a mistake is found by whichever program reads the file first.
 */
#include <string.h>

#include "proxy/base/conf/keys.h"

#define PORT_KEY(required)                                                                         \
	{                                                                                          \
		.name = "port", .kind = SCHEMA_INTEGER, .flags = (required), .min = 1,             \
		.max = 65535, .doc = "the port that every target listens on"                       \
	}
#define INTERVAL_KEY(interval)                                                                     \
	{                                                                                          \
		.name = "interval", .kind = SCHEMA_DURATION, .fallback = (interval),               \
		.min = SECOND, .max = HOUR, .doc = "how often the source is asked"                 \
	}
#define TEXT_KEY(key, required, text)                                                              \
	{                                                                                          \
		.name = (key), .kind = SCHEMA_TEXT, .flags = (required), .max = 255, .doc = (text) \
	}

static const struct schema_key text_item = {.name = "item", .kind = SCHEMA_TEXT, .max = 255};

static const struct schema_key ec2_keys[] = {
	{.name = "tags", .kind = SCHEMA_LABELS, .doc = "instances that have all of these tags"},
	{.name = "filters", .kind = SCHEMA_LABELS, .doc = "any filters of DescribeInstances"},
	PORT_KEY(SCHEMA_REQUIRED),
	{.name = "address",
	 .kind = SCHEMA_ENUM,
	 .values = "private|ipv6|public",
	 .fallback = "private",
	 .doc = "which address of an instance to connect to"},
	INTERVAL_KEY("10s"),
};
static const struct schema_map ec2_map = {.noun = "ec2 source",
					  .any_of = "tags|filters",
					  .keys = ec2_keys,
					  .count = ARRAY_SIZE(ec2_keys)};

static const struct schema_key asg_keys[] = {
	{.name = "groups",
	 .kind = SCHEMA_LIST,
	 .flags = SCHEMA_SINGLE_OK,
	 .min = 1,
	 .max = 50,
	 .item = &text_item,
	 .doc = "names of Auto Scaling groups"},
	{.name = "tags", .kind = SCHEMA_LABELS, .doc = "groups that have all of these tags"},
	PORT_KEY(SCHEMA_REQUIRED),
	INTERVAL_KEY("10s"),
};
static const struct schema_map asg_map = {.noun = "asg source",
					  .one_of = "groups|tags",
					  .keys = asg_keys,
					  .count = ARRAY_SIZE(asg_keys)};

static const struct schema_key ecs_keys[] = {
	TEXT_KEY("cluster", SCHEMA_REQUIRED, "name or ARN of the cluster"),
	TEXT_KEY("service", SCHEMA_REQUIRED, "name or ARN of the service"),
	PORT_KEY(0),
	TEXT_KEY("container", 0, "the container whose port it is, where tasks have several"),
	TEXT_KEY("port_name", 0, "the name of a port mapping, instead of a number"),
	INTERVAL_KEY("10s"),
};
static const struct schema_map ecs_map = {.noun = "ecs source",
					  .one_of = "port|port_name",
					  .keys = ecs_keys,
					  .count = ARRAY_SIZE(ecs_keys)};

static const struct schema_key elbv2_keys[] = {
	TEXT_KEY("target_group", SCHEMA_REQUIRED, "name or ARN of the target group"),
	INTERVAL_KEY("10s"),
};
static const struct schema_map elbv2_map = {
	.noun = "elbv2 source", .keys = elbv2_keys, .count = ARRAY_SIZE(elbv2_keys)};

static const struct schema_key cloudmap_keys[] = {
	TEXT_KEY("namespace", SCHEMA_REQUIRED, "name of the namespace"),
	TEXT_KEY("service", SCHEMA_REQUIRED, "name of the service"),
	INTERVAL_KEY("2s"),
};
static const struct schema_map cloudmap_map = {
	.noun = "cloudmap source", .keys = cloudmap_keys, .count = ARRAY_SIZE(cloudmap_keys)};

/* SRV answers bring ports along, addresses do not. */
static void check_dns(const struct node *node, struct conf_errors *errors)
{
	const char *type = node_get_text(node, "type");
	const struct node *port = node_get(node, "port");
	bool srv = type && strcmp(type, "SRV") == 0;

	if (srv && port)
		conf_error(errors, &port->name_where,
			   "found a \"port\" for type SRV; expected none, as the records bring it");
	if (!srv && !port)
		conf_error(errors, &node->where,
			   "found no \"port\" in the dns source; expected one unless type is SRV");
}

static const struct schema_key dns_keys[] = {
	TEXT_KEY("name", SCHEMA_REQUIRED, "the name to look up"),
	{.name = "type",
	 .kind = SCHEMA_ENUM,
	 .values = "A|AAAA|SRV",
	 .fallback = "A",
	 .doc = "the type of record"},
	PORT_KEY(0),
	INTERVAL_KEY("30s"),
};
static const struct schema_map dns_map = {
	.noun = "dns source", .check = check_dns, .keys = dns_keys, .count = ARRAY_SIZE(dns_keys)};

static const struct schema_key file_keys[] = {
	{.name = "path",
	 .kind = SCHEMA_TEXT,
	 .flags = SCHEMA_REQUIRED,
	 .max = 4095,
	 .doc = "a file with a list of targets, watched for changes"},
	{.name = "format",
	 .kind = SCHEMA_ENUM,
	 .values = "yaml|json",
	 .fallback = "yaml",
	 .doc = "how the file is written"},
};
static const struct schema_map file_map = {
	.noun = "file source", .keys = file_keys, .count = ARRAY_SIZE(file_keys)};

static const struct schema_key discover_keys[] = {
	{.name = "ec2", .kind = SCHEMA_MAP, .map = &ec2_map, .doc = "EC2 instances"},
	{.name = "asg", .kind = SCHEMA_MAP, .map = &asg_map, .doc = "Auto Scaling groups"},
	{.name = "ecs", .kind = SCHEMA_MAP, .map = &ecs_map, .doc = "tasks of an ECS service"},
	{.name = "elbv2", .kind = SCHEMA_MAP, .map = &elbv2_map, .doc = "an ELB target group"},
	{.name = "cloudmap", .kind = SCHEMA_MAP, .map = &cloudmap_map, .doc = "AWS Cloud Map"},
	{.name = "dns", .kind = SCHEMA_MAP, .map = &dns_map, .doc = "a DNS name"},
	{.name = "file", .kind = SCHEMA_MAP, .map = &file_map, .doc = "a file"},
};
static const struct schema_map discover_map = {.noun = "discover part",
					       .any_of = "ec2|asg|ecs|elbv2|cloudmap|dns|file",
					       .keys = discover_keys,
					       .count = ARRAY_SIZE(discover_keys)};
const struct schema_key schema_discover = {
	.name = "discover", .kind = SCHEMA_MAP, .map = &discover_map};
