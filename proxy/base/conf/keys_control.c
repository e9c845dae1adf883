/* SPDX-License-Identifier: Apache-2.0
 *
 * The table's rows for `control:`, which say how sluice-control goes about its work. The proxy only
 * checks them. The variable and flag of `socket` are sluice-control's own, so they stand with its
 * options and not here, where every flag is the proxy's.
 */
#include <string.h>

#include "proxy/base/conf/discover_rules.h"
#include "proxy/base/conf/keys.h"

static const struct schema_key control_keys[] = {
	{.name = "socket",
	 .kind = SCHEMA_SOCKET,
	 .max = 255,
	 .doc = "a Unix socket, where sluice-control can be asked and told everything"},
	{.name = "mode",
	 .kind = SCHEMA_MODE,
	 .fallback = "0660",
	 .max = 0777,
	 .doc = "of the socket's file"},
	{.name = "http",
	 .kind = SCHEMA_TCP,
	 .max = 255,
	 .doc = "where its figures, /healthz and /readyz can be read over TCP"},
	{.name = "region",
	 .kind = SCHEMA_TOKEN,
	 .max = 63,
	 .doc = "of AWS; else as the environment says, else this instance's"},
	{.name = "profile",
	 .kind = SCHEMA_TEXT,
	 .max = 255,
	 .doc = "of the shared AWS configuration files"},
	{.name = "endpoint",
	 .kind = SCHEMA_TOKEN,
	 .max = 2047,
	 .doc = "URL for every AWS service, e.g. of a simulator"},
	{.name = "ca_file",
	 .kind = SCHEMA_TEXT,
	 .max = 4095,
	 .doc = "whose certificates are trusted; else AWS_CA_BUNDLE or the system's"},
	{.name = "fips",
	 .kind = SCHEMA_BOOL,
	 .fallback = "false",
	 .doc = "use endpoints with validated cryptography"},
	{.name = "dual_stack",
	 .kind = SCHEMA_BOOL,
	 .fallback = "false",
	 .doc = "use endpoints that have IPv6, too"},
	{.name = "fleet_size",
	 .kind = SCHEMA_INTEGER,
	 .word = "auto",
	 .fallback = "auto",
	 .min = 1,
	 .max = 100000,
	 .doc = "nodes that share the API's rate; auto: the own group's, or 1"},
	{.name = "api_rate",
	 .kind = SCHEMA_INTEGER,
	 .fallback = "5",
	 .min = 1,
	 .max = 1000,
	 .doc = "calls a second of the whole fleet, per account, region and kind of call"},
	{.name = "last_good_max_age",
	 .kind = SCHEMA_DURATION,
	 .fallback = "24h",
	 .min = SECOND,
	 .max = 30 * DAY,
	 .doc = "how old a set on disk may be to serve while a source cannot be asked"},
	{.name = "lifecycle",
	 .kind = SCHEMA_ENUM,
	 .values = "off|auto",
	 .fallback = "off",
	 .doc = "auto: drain the proxy when this instance is about to be terminated"},
	{.name = "lifecycle_hook",
	 .kind = SCHEMA_TEXT,
	 .max = 255,
	 .doc = "whose completion ends the wait; found if not given"},
	{.name = "queue",
	 .kind = SCHEMA_TOKEN,
	 .fallback = "off",
	 .max = 2047,
	 .doc = "off, auto or the URL of an SQS queue whose messages mean: look again now"},
	{.name = "queue_topic",
	 .kind = SCHEMA_TOKEN,
	 .max = 2047,
	 .doc = "ARN of the SNS topic that a queue of auto is subscribed to"},
};

static bool text_is(const struct node *node, const char *text)
{
	return node && node->text && strcmp(node->text, text) == 0;
}

static void check_queue(const struct node *node, struct conf_errors *errors)
{
	const struct node *queue = node_get(node, "queue"), *topic = node_get(node, "queue_topic");

	if (!text_is(queue, "off") && !text_is(queue, "auto"))
		discover_check_url(node, "queue", errors);
	if (topic && !text_is(queue, "auto"))
		conf_error(errors, &topic->name_where,
			   "found \"queue_topic\" without \"queue: auto\"; expected both, as a "
			   "queue of your own is subscribed by you");
	if (!topic && text_is(queue, "auto"))
		conf_error(errors, &queue->where,
			   "queue: found \"auto\" without \"queue_topic\"; expected the ARN of an "
			   "SNS topic to subscribe the queue to");
	discover_check_arn(node, "queue_topic", "sns", errors);
}

static void check_control(const struct node *node, struct conf_errors *errors)
{
	const struct node *hook = node_get(node, "lifecycle_hook");

	check_queue(node, errors);
	discover_check_url(node, "endpoint", errors);
	if (hook && !text_is(node_get(node, "lifecycle"), "auto"))
		conf_error(errors, &hook->name_where,
			   "found \"lifecycle_hook\" without \"lifecycle: auto\"; expected both");
}

const struct schema_map schema_control = {.noun = "control part",
					  .check = check_control,
					  .keys = control_keys,
					  .count = ARRAY_SIZE(control_keys)};
