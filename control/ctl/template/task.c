/* SPDX-License-Identifier: Apache-2.0
 *
 * An ECS task definition: the container that is Sluice, the time that it is given to end, and the
 * ports that are mapped to it.
 *
 * Failure mode: none; a container whose name and image say nothing of Sluice is passed over.
 */
#include <string.h>

#include "control/ctl/template/judge.h"

#define FARGATE_MAX_S 120
#define DEFAULT_S     30
#define MARGIN_S      5 /* for the exit itself */

static bool mentions(const struct judge *judge, const struct node *value, const char *word)
{
	char text[TEMPLATE_TEXT];

	return template_text(judge->template, value, text) && strstr(text, word);
}

static bool runs(const struct judge *judge, const struct node *container, const char *program)
{
	static const char *const keys[] = {"EntryPoint", "Command"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct node *list = node_get(container, keys[i]);

		if (node_items(list) && mentions(judge, list->children[0], program))
			return true;
	}
	return false;
}

static bool is_proxy(const struct judge *judge, const struct node *container)
{
	if (mentions(judge, node_get(container, "Name"), "sluice-control") ||
	    runs(judge, container, "sluice-control"))
		return false;
	return mentions(judge, node_get(container, "Name"), "sluice") ||
	       mentions(judge, node_get(container, "Image"), "sluice") ||
	       runs(judge, container, "sluice");
}

static bool may_be_fargate(const struct judge *judge)
{
	const struct node *types = template_property(judge->resource, "RequiresCompatibilities");

	for (size_t i = 0; i < node_items(types); i++)
		if (mentions(judge, types->children[i], "FARGATE"))
			return true;
	return false;
}

static void check_stop(struct judge *judge, const struct node *container)
{
	const struct node *timeout = node_get(container, "StopTimeout");
	const struct conf_where *where = timeout ? &timeout->where : &container->where;
	uint64_t seconds = DEFAULT_S, least_s = judge_stop_s(judge) + MARGIN_S;

	if (timeout && !template_number(judge->template, timeout, &seconds))
		return;
	if (seconds < least_s)
		judge_say(judge, JUDGE_FAIL, where, "StopTimeout",
			  judge_words(judge, "%llu%s", (unsigned long long)seconds,
				      timeout ? "" : " by default"),
			  judge_words(judge,
				      "lame duck and drain_timeout of %llu s together, and the "
				      "exit",
				      (unsigned long long)(least_s - MARGIN_S)),
			  judge_words(judge, "set it to %llu or more%s",
				      (unsigned long long)least_s,
				      least_s > FARGATE_MAX_S && may_be_fargate(judge)
					      ? "; Fargate allows 120, so shorten drain_timeout"
					      : ""));
	else if (seconds > FARGATE_MAX_S && may_be_fargate(judge))
		judge_say(judge, JUDGE_FAIL, where, "StopTimeout",
			  judge_words(judge, "%llu", (unsigned long long)seconds),
			  "Fargate, which allows 120 at most", "set it to 120");
}

static void check_ports(struct judge *judge, const struct node *container)
{
	const struct node *mappings = node_get(container, "PortMappings");

	for (size_t i = 0; i < node_items(mappings); i++) {
		const struct node *port = node_get(mappings->children[i], "ContainerPort");
		uint64_t number;

		if (!template_number(judge->template, port, &number) ||
		    judge_listener(judge, number) || number == judge_admin_port(judge, "probe") ||
		    number == judge_admin_port(judge, "http"))
			continue;
		judge_say(judge, JUDGE_FAIL, &port->where, "ContainerPort",
			  judge_words(judge, "%llu", (unsigned long long)number),
			  "neither a listener nor admin.probe on this port",
			  "set the port of one of them");
	}
}

void judge_task(struct judge *judge)
{
	const struct node *containers = template_property(judge->resource, "ContainerDefinitions");

	for (size_t i = 0; i < node_items(containers); i++) {
		if (!is_proxy(judge, containers->children[i]))
			continue;
		check_stop(judge, containers->children[i]);
		check_ports(judge, containers->children[i]);
	}
}
