/* SPDX-License-Identifier: Apache-2.0
 *
 * The load balancer itself: silent connections that it forgets, and zones.
 *
 * Failure mode: none; other kinds of load balancer are passed over.
 */
#include <string.h>

#include "control/ctl/template/judge.h"

#define CROSS_ZONE "load_balancing.cross_zone.enabled"
#define IDLE       "tcp.idle_timeout.seconds"

static bool is_zone_aware(const struct judge *judge)
{
	const struct node *pools = node_get(judge->conf, "pools");
	const char *zone = node_get_text(judge->conf, "zone");

	if (!zone || strcmp(zone, "off") == 0)
		return false;
	for (size_t i = 0; i < node_items(pools); i++) {
		const char *aware = node_get_text(pools->children[i], "zone_aware");

		if (aware && strcmp(aware, "true") == 0)
			return true;
	}
	return false;
}

void judge_balancer(struct judge *judge)
{
	struct conf_where where;
	char type[TEMPLATE_TEXT];

	if (!judge_property(judge, "Type", "application", type, &where) ||
	    strcmp(type, "network") != 0 || !is_zone_aware(judge))
		return;
	if (judge_attribute_is(judge, "LoadBalancerAttributes", CROSS_ZONE, "false", "false",
			       &where))
		judge_say(judge, JUDGE_WARN, &where, CROSS_ZONE, "false",
			  "zone_aware: true: what the clients of one zone bring stays with that "
			  "zone's proxies and targets, however uneven it is",
			  "set it to true if zones differ, or zone_aware: false");
}

static void check_idle(struct judge *judge, const struct node *listener, uint64_t seconds,
		       const struct conf_where *where)
{
	const struct node *tcp = node_get(listener, "tcp");
	uint64_t quiet_ms = judge_ms(node_get(tcp, "keepalive"), "idle");

	if (quiet_ms && quiet_ms < seconds * 1000)
		return;
	judge_say(judge, JUDGE_FAIL, where, IDLE,
		  judge_words(judge, "%llu", (unsigned long long)seconds),
		  quiet_ms ? judge_words(judge, "tcp.keepalive.idle: %llus of listener %s",
					 (unsigned long long)quiet_ms / 1000,
					 node_get_text(listener, "name"))
			   : judge_words(judge, "tcp.keepalive: off of listener %s",
					 node_get_text(listener, "name")),
		  judge_words(judge, "set tcp.keepalive.idle below %llus",
			      (unsigned long long)seconds));
}

void judge_balancer_listener(struct judge *judge)
{
	const struct node *listeners = node_get(judge->conf, "listeners");
	struct conf_where where;
	char protocol[TEMPLATE_TEXT];
	uint64_t seconds;

	if (!judge_property(judge, "Protocol", "TCP", protocol, &where) ||
	    (strcmp(protocol, "TCP") != 0 && strcmp(protocol, "TLS") != 0) ||
	    !judge_attribute_number(judge, "ListenerAttributes", IDLE, "350", &seconds, &where))
		return;
	for (size_t i = 0; i < node_items(listeners); i++)
		if (node_get(listeners->children[i], "tcp"))
			check_idle(judge, listeners->children[i], seconds, &where);
}
