/* SPDX-License-Identifier: Apache-2.0
 *
 * The table's rows for a pool's `health:` and `outlier:`, and the rules within each of them.
 */
#include <string.h>

#include "proxy/base/conf/keys.h"
#include "proxy/base/conf/value.h"

#define BYTES_MAX 1024

static const struct schema_key health_keys[] = {
	{.name = "type",
	 .kind = SCHEMA_ENUM,
	 .flags = SCHEMA_REQUIRED,
	 .values = "off|tcp|http|tls|send_expect",
	 .fallback = "off",
	 .doc = "what is checked: connect, a status, a ServerHello, or an answer"},
	{.name = "port",
	 .kind = SCHEMA_INTEGER,
	 .fallback = "0",
	 .max = 65535,
	 .doc = "another port to check; 0: the target's own"},
	{.name = "interval",
	 .kind = SCHEMA_DURATION,
	 .fallback = "2s",
	 .min = 10,
	 .max = HOUR,
	 .doc = "between checks"},
	{.name = "fast_interval",
	 .kind = SCHEMA_DURATION,
	 .fallback = "500ms",
	 .min = 10,
	 .max = HOUR,
	 .doc = "between checks while a target's state is changing, or it is down"},
	{.name = "timeout",
	 .kind = SCHEMA_DURATION,
	 .fallback = "1s",
	 .min = 10,
	 .max = HOUR,
	 .doc = "for one whole check"},
	{.name = "rise",
	 .kind = SCHEMA_INTEGER,
	 .fallback = "2",
	 .min = 1,
	 .max = 100,
	 .doc = "good checks in a row that bring a target up"},
	{.name = "fall",
	 .kind = SCHEMA_INTEGER,
	 .fallback = "3",
	 .min = 1,
	 .max = 100,
	 .doc = "bad checks in a row that take it down"},
	{.name = "jitter",
	 .kind = SCHEMA_PERCENT,
	 .fallback = "20%",
	 .max = 100,
	 .doc = "how far each interval varies"},
	{.name = "method",
	 .kind = SCHEMA_TOKEN,
	 .only_for = "http",
	 .fallback = "GET",
	 .max = 15,
	 .doc = "http: of the request"},
	{.name = "path",
	 .kind = SCHEMA_TOKEN,
	 .only_for = "http",
	 .fallback = "/",
	 .max = 1023,
	 .doc = "http: of the request"},
	{.name = "host",
	 .kind = SCHEMA_TOKEN,
	 .only_for = "http|tls",
	 .max = 255,
	 .doc = "http: the Host header; tls: the server name"},
	{.name = "status",
	 .kind = SCHEMA_RANGE,
	 .only_for = "http",
	 .fallback = "200-399",
	 .min = 100,
	 .max = 599,
	 .doc = "http: which count as good"},
	{.name = "send",
	 .kind = SCHEMA_BYTES,
	 .only_for = "send_expect",
	 .max = BYTES_MAX,
	 .doc = "send_expect: text or hex:0d0a; without it the target speaks first"},
	{.name = "expect",
	 .kind = SCHEMA_BYTES,
	 .flags = SCHEMA_REQUIRED,
	 .only_for = "send_expect",
	 .max = BYTES_MAX,
	 .doc = "send_expect: what the answer must have in it"},
};

static void check_health(const struct node *node, struct conf_errors *errors)
{
	static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const struct node *method = node_get(node, "method"), *path = node_get(node, "path");

	if (method && method->text && method->text[strspn(method->text, capitals)])
		conf_error(errors, &method->where,
			   "method: found \"%.16s\"; expected capital letters such as GET or HEAD",
			   method->text);
	if (path && path->text && path->text[0] && path->text[0] != '/')
		conf_error(errors, &path->where,
			   "path: found \"%.80s\"; expected one that begins with \"/\"",
			   path->text);
}

const struct schema_map schema_health = {.noun = "health check",
					 .shorthand = "type",
					 .selector = "type",
					 .check = check_health,
					 .keys = health_keys,
					 .count = ARRAY_SIZE(health_keys)};

enum { FAILURES, RESETS, EJECTION, EJECTION_MAX };

static const struct schema_key outlier_keys[] = {
	[FAILURES] = {.name = "failures",
		      .kind = SCHEMA_INTEGER,
		      .word = "off",
		      .fallback = "5",
		      .max = 1000,
		      .doc = "failed connects in a row that eject a target"},
	[RESETS] = {.name = "resets",
		    .kind = SCHEMA_BOOL,
		    .fallback = "false",
		    .doc = "count resets before the first byte too, which clients can provoke"},
	[EJECTION] = {.name = "ejection",
		      .kind = SCHEMA_DURATION,
		      .fallback = "30s",
		      .min = 10,
		      .max = DAY,
		      .doc = "how long the first time; doubles each further time"},
	[EJECTION_MAX] = {.name = "ejection_max",
			  .kind = SCHEMA_DURATION,
			  .fallback = "5m",
			  .min = 10,
			  .max = DAY,
			  .doc = "the longest that grows to"},
};

/* What a duration will be, or 0 if it does not parse. */
static uint64_t effective_ms(const struct schema_key *key, const struct node *node)
{
	const char *text = node_get_text(node, key->name), *why;
	uint64_t ms = 0;

	return value_parse(key, text ? text : key->fallback, &ms, &why) < 0 ? 0 : ms;
}

static void check_outlier(const struct node *node, struct conf_errors *errors)
{
	uint64_t first = effective_ms(&outlier_keys[EJECTION], node);
	uint64_t most = effective_ms(&outlier_keys[EJECTION_MAX], node);
	const struct node *written = node_get(node, "ejection_max");

	if (first && most && most < first)
		conf_error(errors, written ? &written->where : &node_get(node, "ejection")->where,
			   "found an ejection of %llu ms, and at most %llu ms; expected an "
			   "\"ejection_max\" that is no shorter",
			   (unsigned long long)first, (unsigned long long)most);
}

const struct schema_map schema_outlier = {.noun = "outlier part",
					  .shorthand = "failures",
					  .check = check_outlier,
					  .keys = outlier_keys,
					  .count = ARRAY_SIZE(outlier_keys)};
