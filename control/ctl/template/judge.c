/* SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: each resource of a type that there are rules for is handed to these. See judge.h.
 * Failure mode: memory, after which there are no lines at all.
 */
#include "control/ctl/template/judge.h"

#include <stdarg.h>
#include <string.h>

#include "proxy/base/conf/endpoint.h"
#include "proxy/base/conf/schema.h"
#include "proxy/base/conf/units.h"
#include "proxy/base/jot.h"

const char *judge_words(struct judge *judge, const char *format, ...)
{
	char *words = judge->words[judge->word++ % 4];
	va_list list;

	va_start(list, format);
	vsnprintf(words, sizeof(judge->words[0]), format, list);
	va_end(list);
	return words;
}

void judge_say(struct judge *judge, enum judge_verdict verdict, const struct conf_where *where,
	       const char *attribute, const char *found, const char *configured, const char *remedy)
{
	json_t *line = JOT({"verdict", json_string(verdict == JUDGE_FAIL ? "fail" : "warn")},
			   {"file", jot_text(where->source)}, {"line", json_integer(where->line)},
			   {"column", json_integer(where->column)},
			   {"resource", jot_text(judge->resource->name)},
			   {"attribute", jot_text(attribute)}, {"found", jot_text(found)},
			   {"configuration", jot_text(configured)}, {"remedy", jot_text(remedy)});

	if (judge->lines && json_array_append_new(judge->lines, line)) {
		json_decref(judge->lines);
		judge->lines = NULL;
	} else if (!judge->lines) {
		json_decref(line);
	}
}

static bool value_of(const struct judge *judge, const struct node *value, const char *fallback,
		     char *ret_text, struct conf_where *ret_where)
{
	if (value)
		*ret_where = value->where;
	if (value || !fallback)
		return template_text(judge->template, value, ret_text);
	snprintf(ret_text, TEMPLATE_TEXT, "%s", fallback);
	return true;
}

bool judge_attribute(const struct judge *judge, const char *list, const char *key,
		     const char *fallback, char *ret_text, struct conf_where *ret_where)
{
	const struct node *attributes = template_property(judge->resource, list), *value = NULL;
	const char *name;

	*ret_where = attributes ? attributes->name_where : judge->resource->name_where;
	for (size_t i = 0; i < node_items(attributes) && !value; i++) {
		name = node_get_text(attributes->children[i], "Key");
		if (name && strcmp(name, key) == 0)
			value = node_get(attributes->children[i], "Value");
	}
	return value_of(judge, value, fallback, ret_text, ret_where);
}

bool judge_attribute_is(const struct judge *judge, const char *list, const char *key,
			const char *fallback, const char *text, struct conf_where *ret_where)
{
	char found[TEMPLATE_TEXT];

	return judge_attribute(judge, list, key, fallback, found, ret_where) &&
	       strcmp(found, text) == 0;
}

bool judge_attribute_number(const struct judge *judge, const char *list, const char *key,
			    const char *fallback, uint64_t *ret_number,
			    struct conf_where *ret_where)
{
	char found[TEMPLATE_TEXT];
	const char *why;

	return judge_attribute(judge, list, key, fallback, found, ret_where) &&
	       units_integer(found, ret_number, &why) == 0;
}

bool judge_property(const struct judge *judge, const char *name, const char *fallback,
		    char *ret_text, struct conf_where *ret_where)
{
	*ret_where = judge->resource->name_where;
	return value_of(judge, template_property(judge->resource, name), fallback, ret_text,
			ret_where);
}

bool judge_property_number(const struct judge *judge, const char *name, const char *fallback,
			   uint64_t *ret_number, struct conf_where *ret_where)
{
	char found[TEMPLATE_TEXT];
	const char *why;

	return judge_property(judge, name, fallback, found, ret_where) &&
	       units_integer(found, ret_number, &why) == 0;
}

uint64_t judge_ms(const struct node *mapping, const char *key)
{
	const char *text = node_get_text(mapping, key), *why;
	uint64_t ms = 0;

	if (!text || units_duration(text, &ms, &why) < 0)
		return 0;
	return ms;
}

uint64_t judge_lame_duck_ms(const struct judge *judge)
{
	uint64_t least = judge_ms(judge->conf, "lame_duck");
	uint64_t most = judge_ms(judge->conf, "lame_duck_max");

	/* None at all is none, however long it might last. */
	return least && most > least ? most : least;
}

uint64_t judge_stop_s(const struct judge *judge)
{
	uint64_t ms = judge_lame_duck_ms(judge) + judge_ms(judge->conf, "drain_timeout");

	return (ms + 999) / 1000;
}

const struct node *judge_listener(const struct judge *judge, uint64_t port)
{
	const struct node *listeners = node_get(judge->conf, "listeners");

	for (size_t i = 0; i < node_items(listeners); i++) {
		const char *bind = node_get_text(listeners->children[i], "bind"), *why;
		struct endpoint endpoint;

		if (bind && endpoint_parse_bind(bind, &endpoint, &why) == 0 &&
		    endpoint.addr.family != AF_UNIX && port >= endpoint.addr.port &&
		    port <= endpoint.port_end)
			return listeners->children[i];
	}
	return NULL;
}

uint64_t judge_admin_port(const struct judge *judge, const char *key)
{
	const char *text = node_get_text(node_get(judge->conf, "admin"), key), *why;
	struct addr addr;

	return text && endpoint_parse_tcp(text, &addr, &why) == 0 ? addr.port : 0;
}

static const struct {
	const char *type;
	void (*rules)(struct judge *judge);
} types[] = {
	{"AWS::ElasticLoadBalancingV2::TargetGroup", judge_target_group},
	{"AWS::ElasticLoadBalancingV2::LoadBalancer", judge_balancer},
	{"AWS::ElasticLoadBalancingV2::Listener", judge_balancer_listener},
	{"AWS::AutoScaling::AutoScalingGroup", judge_group},
	{"AWS::AutoScaling::LifecycleHook", judge_hook},
	{"AWS::EC2::LaunchTemplate", judge_launch},
	{"AWS::ECS::TaskDefinition", judge_task},
};

json_t *template_judge(const struct template *template, const struct node *conf)
{
	struct judge judge = {.template = template, .conf = conf, .lines = json_array()};
	const struct node *resources = node_get(template->root, "Resources");

	for (size_t i = 0; i < resources->count; i++) {
		const char *type = node_get_text(resources->children[i], "Type");

		judge.resource = resources->children[i];
		for (size_t j = 0; type && j < sizeof(types) / sizeof(types[0]); j++)
			if (strcmp(type, types[j].type) == 0)
				types[j].rules(&judge);
	}
	return judge.lines;
}
