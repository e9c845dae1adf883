/* SPDX-License-Identifier: Apache-2.0
 *
 * A target group of a Network Load Balancer: where it connects to, what it puts in front, how it
 * asks for health, and what it does to the sessions of a target that leaves.
 *
 * Failure mode: none; a group of another kind of load balancer is passed over.
 */
#include <string.h>

#include "control/ctl/template/judge.h"
#include "proxy/base/conf/units.h"

#define ATTRIBUTES "TargetGroupAttributes"

#define HEADER      "proxy_protocol_v2.enabled"
#define PRESERVE    "preserve_client_ip.enabled"
#define CUT         "target_health_state.unhealthy.connection_termination.enabled"
#define INTERVAL    "target_health_state.unhealthy.draining_interval_seconds"
#define DELAY       "deregistration_delay.timeout_seconds"
#define DELAY_CUT   "deregistration_delay.connection_termination.enabled"
#define STOP_FORMAT "lame duck and drain_timeout of %llu s together"

static bool is_network(const struct judge *judge)
{
	struct conf_where where;
	char protocol[TEMPLATE_TEXT];

	return judge_property(judge, "Protocol", NULL, protocol, &where) &&
	       (strcmp(protocol, "TCP") == 0 || strcmp(protocol, "TLS") == 0 ||
		strcmp(protocol, "TCP_UDP") == 0);
}

/* The listener that the group's connections arrive at; NULL is said, if it is known. */
static const struct node *find_listener(struct judge *judge)
{
	const struct node *listeners = node_get(judge->conf, "listeners"), *listener;
	struct conf_where where;
	uint64_t port;

	if (!judge_property_number(judge, "Port", NULL, &port, &where))
		return node_items(listeners) == 1 ? listeners->children[0] : NULL;
	listener = judge_listener(judge, port);
	if (!listener)
		judge_say(judge, JUDGE_FAIL, &where, "Port",
			  judge_words(judge, "%llu", (unsigned long long)port),
			  "no listener on this port",
			  "set the port of a listener's `bind`, in one of them");
	return listener;
}

static void check_header(struct judge *judge, const struct node *listener)
{
	const char *wanted = node_get_text(listener, "proxy_protocol");
	const char *name = node_get_text(listener, "name");
	struct conf_where where;
	char found[TEMPLATE_TEXT];

	if (!wanted || !judge_attribute(judge, ATTRIBUTES, HEADER, "false", found, &where))
		return;
	bool sent = strcmp(found, "true") == 0;

	if (sent && strcmp(wanted, "off") == 0)
		judge_say(judge, JUDGE_FAIL, &where, HEADER, found,
			  judge_words(judge,
				      "proxy_protocol: off of listener %s, which takes the "
				      "header for the client's first bytes",
				      name),
			  "set proxy_protocol: required, and trusted: to the balancer's subnets");
	if (!sent && strcmp(wanted, "required") == 0)
		judge_say(judge, JUDGE_FAIL, &where, HEADER, found,
			  judge_words(judge,
				      "proxy_protocol: required of listener %s, which "
				      "refuses connections without a header",
				      name),
			  "set it to true");
}

/* Instances see the client's address unless told otherwise; addresses see it of UDP alone. */
static const char *preserved_by_default(const struct judge *judge)
{
	struct conf_where where;
	char type[TEMPLATE_TEXT], protocol[TEMPLATE_TEXT];

	if (!judge_property(judge, "TargetType", "instance", type, &where) ||
	    !judge_property(judge, "Protocol", NULL, protocol, &where))
		return "false";
	return strcmp(type, "ip") == 0 && strcmp(protocol, "TCP_UDP") != 0 ? "false" : "true";
}

static void check_client_address(struct judge *judge, const struct node *listener)
{
	const char *wanted = node_get_text(listener, "proxy_protocol");
	struct conf_where where;
	char found[TEMPLATE_TEXT];

	if (!wanted || strcmp(wanted, "off") == 0 ||
	    !judge_attribute(judge, ATTRIBUTES, PRESERVE, preserved_by_default(judge), found,
			     &where) ||
	    strcmp(found, "true") != 0)
		return;
	judge_say(judge, JUDGE_FAIL, &where, PRESERVE, found,
		  judge_words(judge,
			      "trusted: of listener %s: headers then come from the clients' "
			      "own addresses",
			      node_get_text(listener, "name")),
		  "set it to false");
}

static void check_probe_port(struct judge *judge, uint64_t probe)
{
	struct conf_where where;
	char found[TEMPLATE_TEXT];
	uint64_t port = 0;
	const char *why;

	if (!judge_property(judge, "HealthCheckPort", "traffic-port", found, &where))
		return;
	if (units_integer(found, &port, &why) == 0 && port == probe)
		return;
	judge_say(judge, JUDGE_FAIL, &where, "HealthCheckPort", found,
		  judge_words(judge,
			      "admin.probe on port %llu; a listener accepts while the proxy "
			      "is leaving, too",
			      (unsigned long long)probe),
		  judge_words(judge, "set it to %llu", (unsigned long long)probe));
}

static void check_probe_question(struct judge *judge)
{
	struct conf_where where;
	char found[TEMPLATE_TEXT];

	if (judge_property(judge, "HealthCheckProtocol", "TCP", found, &where) &&
	    strcmp(found, "HTTP") != 0)
		judge_say(judge, JUDGE_FAIL, &where, "HealthCheckProtocol", found,
			  "admin.probe, which answers HTTP, and accepts whatever the answer is",
			  "set it to HTTP");
	if (judge_property(judge, "HealthCheckPath", "/", found, &where) &&
	    strcmp(found, "/readyz") != 0)
		judge_say(judge, JUDGE_FAIL, &where, "HealthCheckPath", found,
			  "/readyz of admin.probe, which alone says that the proxy is leaving",
			  "set it to /readyz");
}

/* Whether "200,202-399" has it. */
static bool has_code(const char *codes, unsigned code)
{
	unsigned first, last;
	int used;

	while (*codes) {
		int fields = sscanf(codes, "%u%n-%u%n", &first, &used, &last, &used);

		if (fields < 1)
			return false;
		if (code >= first && code <= (fields == 2 ? last : first))
			return true;
		codes += used;
		codes += *codes == ',';
	}
	return false;
}

static void check_codes(struct judge *judge)
{
	const struct node *codes =
		node_get(template_property(judge->resource, "Matcher"), "HttpCode");
	char found[TEMPLATE_TEXT];

	if (template_text(judge->template, codes, found) &&
	    (!has_code(found, 200) || has_code(found, 503)))
		judge_say(judge, JUDGE_FAIL, &codes->where, "Matcher.HttpCode", found,
			  "200 from /readyz when ready, and 503 when not", "set it to 200");
}

static void check_lame_duck(struct judge *judge)
{
	uint64_t lasts_s = judge_lame_duck_ms(judge) / 1000, interval, threshold;
	struct conf_where where;

	if (!judge_property_number(judge, "UnhealthyThresholdCount", "2", &threshold, &where) ||
	    !judge_property_number(judge, "HealthCheckIntervalSeconds", "30", &interval, &where) ||
	    lasts_s >= interval * threshold)
		return;
	judge_say(judge, JUDGE_FAIL, &where, "HealthCheckIntervalSeconds",
		  judge_words(judge, "%llu, %llu times", (unsigned long long)interval,
			      (unsigned long long)threshold),
		  judge_words(judge,
			      "lame_duck: %llus: connections go on coming until the check "
			      "has failed, and find nobody",
			      (unsigned long long)lasts_s),
		  judge_words(judge, "set lame_duck: %llus or more, or check more often",
			      (unsigned long long)interval * threshold));
}

static void check_health(struct judge *judge)
{
	uint64_t probe = judge_admin_port(judge, "probe");

	if (!probe) {
		judge_say(judge, JUDGE_FAIL, &judge->resource->name_where, "HealthCheckPort",
			  "a target group", "no admin.probe for its checks",
			  "set admin: { probe: \":9901\" } and HealthCheckPort to its port");
		return;
	}
	check_probe_port(judge, probe);
	check_probe_question(judge);
	check_codes(judge);
	check_lame_duck(judge);
}

static void check_at_least_stop(struct judge *judge, const char *key, const char *fallback)
{
	uint64_t seconds, stop_s = judge_stop_s(judge);
	struct conf_where where;

	if (!judge_attribute_number(judge, ATTRIBUTES, key, fallback, &seconds, &where) ||
	    seconds >= stop_s)
		return;
	judge_say(judge, JUDGE_FAIL, &where, key,
		  judge_words(judge, "%llu", (unsigned long long)seconds),
		  judge_words(judge, STOP_FORMAT, (unsigned long long)stop_s),
		  judge_words(judge, "set it to %llu or more", (unsigned long long)stop_s));
}

static void check_leaving(struct judge *judge)
{
	struct conf_where where;

	if (judge_attribute_is(judge, ATTRIBUTES, CUT, "true", "true", &where))
		judge_say(judge, JUDGE_FAIL, &where, CUT, "true",
			  "a drain, during which /readyz fails: live sessions are cut then",
			  "set it to false");
	else
		check_at_least_stop(judge, INTERVAL, "0");
	if (judge_attribute_is(judge, ATTRIBUTES, DELAY_CUT, "false", "true", &where))
		judge_say(judge, JUDGE_FAIL, &where, DELAY_CUT, "true",
			  "drain_timeout, by which sessions are ended at a quiet moment of theirs",
			  "set it to false");
	check_at_least_stop(judge, DELAY, "300");
}

void judge_target_group(struct judge *judge)
{
	if (!is_network(judge))
		return;
	judge_target_group_keys(judge);
	const struct node *listener = find_listener(judge);

	if (!listener)
		return;
	check_header(judge, listener);
	check_client_address(judge, listener);
	check_health(judge);
	check_leaving(judge);
}
