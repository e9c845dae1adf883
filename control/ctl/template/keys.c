/* SPDX-License-Identifier: Apache-2.0
 *
 * Which keys a target group's attributes have: nothing else looks at them before CloudFormation
 * refuses the whole stack. (docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/
 * API_TargetGroupAttribute.html)
 *
 * Failure mode: none; a key that is no plain text is passed over.
 */
#include <string.h>

#include "control/ctl/template/judge.h"
#include "proxy/base/conf/nearest.h"

static const char *const network_keys[] = {
	"deregistration_delay.timeout_seconds",
	"deregistration_delay.connection_termination.enabled",
	"load_balancing.cross_zone.enabled",
	"preserve_client_ip.enabled",
	"proxy_protocol_v2.enabled",
	"stickiness.enabled",
	"stickiness.type",
	"target_group_health.dns_failover.minimum_healthy_targets.count",
	"target_group_health.dns_failover.minimum_healthy_targets.percentage",
	"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
	"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
	"target_health_state.unhealthy.connection_termination.enabled",
	"target_health_state.unhealthy.draining_interval_seconds",
};
static const char *const other_keys[] = {
	"load_balancing.algorithm.type",
	"load_balancing.algorithm.anomaly_mitigation",
	"slow_start.duration_seconds",
	"stickiness.app_cookie.cookie_name",
	"stickiness.app_cookie.duration_seconds",
	"stickiness.lb_cookie.duration_seconds",
	"lambda.multi_value_headers.enabled",
	"target_failover.on_deregistration",
	"target_failover.on_unhealthy",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_among(const char *const *keys, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(keys[i], key) == 0)
			return true;
	return false;
}

static void check_key(struct judge *judge, const struct node *key)
{
	struct nearest nearest;
	const char *near;

	if (is_among(network_keys, COUNT(network_keys), key->text))
		return;
	if (is_among(other_keys, COUNT(other_keys), key->text)) {
		judge_say(judge, JUDGE_FAIL, &key->where, key->text, "a key",
			  "a Network Load Balancer, which does not have it", "take it out");
		return;
	}
	nearest_init(&nearest, key->text);
	for (size_t i = 0; i < COUNT(network_keys); i++)
		nearest_offer(&nearest, network_keys[i]);
	near = nearest_best(&nearest);
	judge_say(judge, JUDGE_FAIL, &key->where, key->text, "an unknown key",
		  "nothing by this name",
		  near ? judge_words(judge, "did you mean %s?", near) : "take it out");
}

void judge_target_group_keys(struct judge *judge)
{
	const struct node *list = template_property(judge->resource, "TargetGroupAttributes");

	for (size_t i = 0; i < node_items(list); i++) {
		const struct node *key = node_get(list->children[i], "Key");

		if (key && key->kind == NODE_SCALAR)
			check_key(judge, key);
	}
}
