/* SPDX-License-Identifier: Apache-2.0
 *
 * The table's rows for `discover:`, which sluice-control acts on. The proxy only checks them, so
 * that a mistake is found by whichever program reads the file first. What rows cannot say is in
 * discover_rules.c.
 *
 * Each kind of source is one mapping or a list of them. `name` is what a source is called where it
 * is pushed to, shown and counted; in a dns source, whose `name` is what is looked up, that is
 * `as`.
 */
#include "proxy/base/conf/discover_rules.h"
#include "proxy/base/conf/keys.h"

#define TEXT_KEY(key, required, text)                                                              \
	{                                                                                          \
		.name = (key), .kind = SCHEMA_TEXT, .flags = (required), .max = 255, .doc = (text) \
	}
#define TOKEN_KEY(key, bytes, text)                                                                \
	{                                                                                          \
		.name = (key), .kind = SCHEMA_TOKEN, .max = (bytes), .doc = (text)                 \
	}
#define BOOL_KEY(key, preset, text)                                                                \
	{                                                                                          \
		.name = (key), .kind = SCHEMA_BOOL, .fallback = (preset), .doc = (text)            \
	}
#define ENUM_KEY(key, list, preset, text)                                                          \
	{                                                                                          \
		.name = (key), .kind = SCHEMA_ENUM, .values = (list), .fallback = (preset),        \
		.doc = (text)                                                                      \
	}
#define PORT_KEY(text)                                                                             \
	{                                                                                          \
		.name = "port", .kind = SCHEMA_INTEGER, .min = 1, .max = 65535, .doc = (text)      \
	}
#define NAME_KEY(key, source)                                                                      \
	{                                                                                          \
		.name = (key), .kind = SCHEMA_NAME, .fallback = (source), .max = 31,               \
		.doc = "what the source is called; needed where a pool has several of a kind"      \
	}
#define MAP_KEY(key, more, below, text)                                                            \
	{                                                                                          \
		.name = (key), .kind = SCHEMA_MAP, .flags = (more), .map = (below), .doc = (text)  \
	}

/* What every kind has, behind its name. */
#define COMMON_KEYS(every)                                                                         \
	{.name = "interval",                                                                       \
	 .kind = SCHEMA_DURATION,                                                                  \
	 .fallback = (every),                                                                      \
	 .min = SECOND,                                                                            \
	 .max = HOUR,                                                                              \
	 .doc = "how often the source is asked"},                                                  \
		{.name = "max_shrink",                                                             \
		 .kind = SCHEMA_PERCENT,                                                           \
		 .fallback = "30%",                                                                \
		 .max = 100,                                                                       \
		 .doc = "of its usable targets; more than that at once has to be confirmed"},      \
		BOOL_KEY("allow_empty", "false", "whether no target at all is believed"),          \
		{.name = "weight",                                                                 \
		 .kind = SCHEMA_INTEGER,                                                           \
		 .fallback = "100",                                                                \
		 .max = 1000,                                                                      \
		 .doc = "of targets that say nothing of it"},                                      \
		BOOL_KEY("backup", "false", "its targets are used only while no other can be")

/* Whose API it is; what is not given is as `control:` and the environment say. */
#define AWS_KEYS                                                                                   \
	TOKEN_KEY("region", 63, "another region than that of control:"),                           \
		TEXT_KEY("profile", 0, "of the shared AWS configuration files"),                   \
		TOKEN_KEY("role_arn", 2048, "a role to assume, e.g. in another account"),          \
		TOKEN_KEY("external_id", 1224, "what the role's trust policy asks for"),           \
		TOKEN_KEY("endpoint", 2047, "URL of the API, e.g. of a simulator")

/* Tag keys have at most 128 characters. */
static const struct schema_key from_tags_keys[] = {
	TEXT_KEY("port", 0, "the tag with the target's port"),
	TEXT_KEY("weight", 0, "the tag with its weight, 0 to 1000"),
	TEXT_KEY("zone", 0, "the tag with its zone"),
	TEXT_KEY("backup", 0, "the tag that says true or false"),
};
static const struct schema_map from_tags_map = {.noun = "from_tags part",
						.any_of = "port|weight|zone|backup",
						.keys = from_tags_keys,
						.count = ARRAY_SIZE(from_tags_keys)};
#define FROM_TAGS_KEY MAP_KEY("from_tags", 0, &from_tags_map, "properties that tags say")

#define INSTANCE_KEYS                                                                              \
	PORT_KEY("the port that every target listens on"),                                         \
		ENUM_KEY("address", "private|ipv6|public", "private",                              \
			 "which address of an instance to connect to"),                            \
		FROM_TAGS_KEY

static const struct schema_key ec2_keys[] = {
	NAME_KEY("name", "ec2"),
	{.name = "tags", .kind = SCHEMA_LABELS, .doc = "instances that have all of these tags"},
	{.name = "filters", .kind = SCHEMA_LABELS, .doc = "any filters of DescribeInstances"},
	INSTANCE_KEYS,
	COMMON_KEYS("10s"),
	AWS_KEYS,
};
static const struct schema_map ec2_map = {.noun = "ec2 source",
					  .any_of = "tags|filters",
					  .check = discover_check_instances,
					  .keys = ec2_keys,
					  .count = ARRAY_SIZE(ec2_keys)};

static const struct schema_key group_item = {
	.name = "group", .kind = SCHEMA_TEXT, .max = 255, .doc = "a group's name"};

static const struct schema_key asg_keys[] = {
	NAME_KEY("name", "asg"),
	{.name = "groups",
	 .kind = SCHEMA_LIST,
	 .flags = SCHEMA_SINGLE_OK,
	 .min = 1,
	 .max = 50,
	 .item = &group_item,
	 .doc = "names of Auto Scaling groups"},
	{.name = "tags", .kind = SCHEMA_LABELS, .doc = "groups that have all of these tags"},
	INSTANCE_KEYS,
	COMMON_KEYS("10s"),
	AWS_KEYS,
};
static const struct schema_map asg_map = {.noun = "asg source",
					  .one_of = "groups|tags",
					  .check = discover_check_instances,
					  .keys = asg_keys,
					  .count = ARRAY_SIZE(asg_keys)};

static const struct schema_key ecs_keys[] = {
	NAME_KEY("name", "ecs"),
	TEXT_KEY("cluster", SCHEMA_REQUIRED, "name or ARN of the cluster"),
	TEXT_KEY("service", SCHEMA_REQUIRED, "name or ARN of the service"),
	PORT_KEY("the container's port; not needed where tasks have just one mapping"),
	TEXT_KEY("port_name", 0, "the name of a port mapping, instead of a number"),
	TEXT_KEY("container", 0, "the container whose port it is, where tasks have several"),
	ENUM_KEY("family", "ipv4|ipv6", "ipv4", "which address of a task to connect to"),
	ENUM_KEY("address", "private|public", "private", "which of its IPv4 addresses"),
	BOOL_KEY("require_healthy", "false", "leave out tasks that have no container check"),
	ENUM_KEY("task_sets", "primary|all", "primary", "of a service that deploys by task sets"),
	FROM_TAGS_KEY,
	COMMON_KEYS("10s"),
	AWS_KEYS,
};
static const struct schema_map ecs_map = {.noun = "ecs source",
					  .check = discover_check_ecs,
					  .keys = ecs_keys,
					  .count = ARRAY_SIZE(ecs_keys)};

static const struct schema_key elbv2_keys[] = {
	NAME_KEY("name", "elbv2"),
	TEXT_KEY("target_group", SCHEMA_REQUIRED, "name or ARN of the target group"),
	BOOL_KEY("require_healthy", "true", "leave out targets that fail the group's check"),
	COMMON_KEYS("10s"),
	AWS_KEYS,
};
static const struct schema_map elbv2_map = {.noun = "elbv2 source",
					    .check = discover_check_aws,
					    .keys = elbv2_keys,
					    .count = ARRAY_SIZE(elbv2_keys)};

static const struct schema_key from_attributes_keys[] = {
	{.name = "port",
	 .kind = SCHEMA_TEXT,
	 .fallback = "AWS_INSTANCE_PORT",
	 .max = 255,
	 .doc = "the attribute with the target's port"},
	TEXT_KEY("weight", 0, "the attribute with its weight, 0 to 1000"),
	{.name = "zone",
	 .kind = SCHEMA_TEXT,
	 .fallback = "AVAILABILITY_ZONE",
	 .max = 255,
	 .doc = "the attribute with its zone"},
	TEXT_KEY("backup", 0, "the attribute that says true or false"),
};
static const struct schema_map from_attributes_map = {.noun = "from_attributes part",
						      .keys = from_attributes_keys,
						      .count = ARRAY_SIZE(from_attributes_keys)};

static const struct schema_key cloudmap_keys[] = {
	NAME_KEY("name", "cloudmap"),
	TEXT_KEY("namespace", SCHEMA_REQUIRED, "name of the namespace"),
	TEXT_KEY("service", SCHEMA_REQUIRED, "name of the service"),
	PORT_KEY("of instances whose attributes have none"),
	ENUM_KEY("health", "healthy|all", "healthy", "which instances Cloud Map gives"),
	ENUM_KEY("family", "ipv4|ipv6", "ipv4", "which address of an instance to connect to"),
	MAP_KEY("from_attributes", SCHEMA_FILLED, &from_attributes_map,
		"properties that attributes say"),
	COMMON_KEYS("2s"),
	AWS_KEYS,
};
static const struct schema_map cloudmap_map = {.noun = "cloudmap source",
					       .check = discover_check_aws,
					       .keys = cloudmap_keys,
					       .count = ARRAY_SIZE(cloudmap_keys)};

static const struct schema_key server_item = {
	.name = "servers", .kind = SCHEMA_TOKEN, .max = 63, .doc = "a server's address"};

static const struct schema_key dns_keys[] = {
	NAME_KEY("as", "dns"),
	TEXT_KEY("name", SCHEMA_REQUIRED, "the name to look up"),
	ENUM_KEY("type", "A|AAAA|SRV", "A", "the type of record"),
	PORT_KEY("the port that every target listens on"),
	{.name = "servers",
	 .kind = SCHEMA_LIST,
	 .flags = SCHEMA_SINGLE_OK,
	 .min = 1,
	 .max = 8,
	 .item = &server_item,
	 .doc = "name servers, with a port or without; the system's if not given"},
	{.name = "min_ttl",
	 .kind = SCHEMA_DURATION,
	 .fallback = "1s",
	 .min = 100,
	 .max = DAY,
	 .doc = "a shorter TTL counts as this"},
	{.name = "max_ttl",
	 .kind = SCHEMA_DURATION,
	 .min = SECOND,
	 .max = DAY,
	 .doc = "a longer TTL counts as this; the interval if not given"},
	COMMON_KEYS("30s"),
};
static const struct schema_map dns_map = {.noun = "dns source",
					  .check = discover_check_dns,
					  .keys = dns_keys,
					  .count = ARRAY_SIZE(dns_keys)};

static const struct schema_key file_keys[] = {
	NAME_KEY("name", "file"),
	{.name = "path",
	 .kind = SCHEMA_TEXT,
	 .flags = SCHEMA_REQUIRED,
	 .max = 4095,
	 .doc = "a file with a list of targets, watched for changes"},
	ENUM_KEY("format", "yaml|json", "yaml", "how the file is written"),
	COMMON_KEYS("10s"),
};
static const struct schema_map file_map = {
	.noun = "file source", .keys = file_keys, .count = ARRAY_SIZE(file_keys)};

#define KIND(kind_name, text)                                                                      \
	{                                                                                          \
		.name = #kind_name, .kind = SCHEMA_LIST, .flags = SCHEMA_SINGLE_OK, .min = 1,      \
		.max = DISCOVER_SOURCES_MAX, .item = &kind_name##_item, .doc = (text)              \
	}
#define ITEM(kind_name)                                                                            \
	static const struct schema_key kind_name##_item = {                                        \
		.name = #kind_name, .kind = SCHEMA_MAP, .map = &kind_name##_map}

ITEM(ec2);
ITEM(asg);
ITEM(ecs);
ITEM(elbv2);
ITEM(cloudmap);
ITEM(dns);
ITEM(file);

static const struct schema_key discover_keys[] = {
	KIND(ec2, "EC2 instances"),
	KIND(asg, "Auto Scaling groups"),
	KIND(ecs, "tasks of an ECS service"),
	KIND(elbv2, "an ELB target group"),
	KIND(cloudmap, "AWS Cloud Map"),
	KIND(dns, "a DNS name"),
	KIND(file, "a file"),
};
static const struct schema_map discover_map = {.noun = "discover part",
					       .any_of = "ec2|asg|ecs|elbv2|cloudmap|dns|file",
					       .keys = discover_keys,
					       .count = ARRAY_SIZE(discover_keys)};
const struct schema_key schema_discover = {
	.name = "discover", .kind = SCHEMA_MAP, .map = &discover_map};

const struct schema_map *discover_source_map(const char *kind)
{
	return schema_find(&discover_map, kind)->item->map;
}
