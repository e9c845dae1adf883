/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a task is reached: which port of which container, and what that is from outside. Pure.
 *
 * Happy path: the configuration picks one port mapping of the task definition; with awsvpc its port
 * is at the task's own interface, with host at its instance, and with bridge the task's
 * networkBindings say which port of the instance stands for it.
 * Failure modes: -ENODATA for what the answer does not have (a binding that is not there yet),
 * -EINVAL for a definition in which the configured port is not, or is twice.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/source_ecs/ecs.h"
#include "proxy/base/conf/endpoint.h"

struct range {
	int64_t first;
	int64_t last;
};

/* A port of a container, as the definition has it. */
struct port {
	const char *container; /* NULL: the definition does not say */
	int64_t number;
	int64_t host; /* fixed port of the instance; 0: any */
};

static bool is(const char *text, const char *what)
{
	return text && strcmp(text, what) == 0;
}

static const json_t *definition_of(const struct ecs *ecs, const json_t *task)
{
	return aws_object(ecs->definitions, aws_text(task, "taskDefinitionArn"));
}

static bool is_interface(const json_t *attachment)
{
	return is(aws_text(attachment, "type"), "ElasticNetworkInterface") &&
	       !is(aws_text(attachment, "status"), "DELETED");
}

static bool has_interface(const json_t *task)
{
	const json_t *attachments = aws_list(task, "attachments");

	for (size_t i = 0; i < json_array_size(attachments); i++)
		if (is_interface(json_array_get(attachments, i)))
			return true;
	return false;
}

bool ecs_is_awsvpc(const struct ecs *ecs, const json_t *task)
{
	return has_interface(task) || is(aws_text(definition_of(ecs, task), "mode"), "awsvpc");
}

bool ecs_needs_definition(const struct ecs *ecs, const json_t *task)
{
	return !ecs->port || !has_interface(task);
}

/* --- which port of which container --- */

static bool is_tcp(const json_t *mapping)
{
	const char *protocol = aws_text(mapping, "protocol");

	return !protocol || strcmp(protocol, "tcp") == 0;
}

/* Of "8000-8010", or of a single number under the other key; false if there is neither. */
static bool read_range(const json_t *object, const char *range_key, const char *key,
		       struct range *ret_range)
{
	const char *text = aws_text(object, range_key);
	long long first, last;
	int64_t number;

	if (text && sscanf(text, "%lld-%lld", &first, &last) == 2 && first <= last) {
		*ret_range = (struct range){first, last};
		return true;
	}
	if (!aws_number(object, key, &number) || number <= 0)
		return false;
	*ret_range = (struct range){number, number};
	return true;
}

/* Whether the configuration means this mapping, and then which port of it. */
static bool is_meant(const struct ecs *ecs, const json_t *mapping, struct port *ret_port)
{
	struct range range;

	if (!is_tcp(mapping) || !read_range(mapping, "containerPortRange", "containerPort", &range))
		return false;
	if (ecs->port_name && !is(aws_text(mapping, "name"), ecs->port_name))
		return false;
	if (ecs->port && (ecs->port < range.first || ecs->port > range.last))
		return false;
	ret_port->number = ecs->port ? ecs->port : range.first;
	if (!aws_number(mapping, "hostPort", &ret_port->host))
		ret_port->host = 0;
	return true;
}

/* How many mappings are meant; the first is in `ret_port`. */
static unsigned count_meant(const struct ecs *ecs, const json_t *definition, struct port *ret_port)
{
	const json_t *containers = aws_list(definition, "containers");
	unsigned count = 0;

	for (size_t i = 0; i < json_array_size(containers); i++) {
		const json_t *container = json_array_get(containers, i);
		const json_t *mappings = aws_list(container, "portMappings");
		const char *name = aws_text(container, "name");
		struct port port = {.container = name};

		if (ecs->container && !is(name, ecs->container))
			continue;
		for (size_t j = 0; j < json_array_size(mappings); j++)
			if (is_meant(ecs, json_array_get(mappings, j), &port) && count++ == 0)
				*ret_port = port;
	}
	return count;
}

static bool has_container(const struct ecs *ecs, const json_t *definition)
{
	const json_t *containers = aws_list(definition, "containers");

	if (!ecs->container)
		return true;
	for (size_t i = 0; i < json_array_size(containers); i++)
		if (is(aws_text(json_array_get(containers, i), "name"), ecs->container))
			return true;
	return false;
}

/* With an interface or a host of its own, a container listens on ports that no mapping names. */
static int pick_port(const struct ecs *ecs, const json_t *definition, struct port *ret_port,
		     char *ret_what, size_t size)
{
	unsigned count = count_meant(ecs, definition, ret_port);
	const char *mode = aws_text(definition, "mode");

	if (is(mode, "none"))
		snprintf(ret_what, size, "its network mode is none, so nothing can connect to it");
	else if (!has_container(ecs, definition))
		snprintf(ret_what, size, "it has no container \"%.60s\"; check `container`",
			 ecs->container);
	else if (count == 1)
		return 0;
	else if (count > 1)
		snprintf(ret_what, size,
			 "it has %u TCP port mappings that fit; say which with `port`, `port_name` "
			 "or `container`",
			 count);
	else if (ecs->port && !is(mode, "bridge")) {
		*ret_port = (struct port){ecs->container, ecs->port, ecs->port};
		return 0;
	} else if (ecs->port_name)
		snprintf(ret_what, size,
			 "it has no TCP port mapping named \"%.60s\"; check `port_name`",
			 ecs->port_name);
	else
		snprintf(ret_what, size, "it has no TCP port mapping that fits; give it one%s",
			 is(mode, "bridge") ? "" : ", or say `port`");
	return -EINVAL;
}

/* --- what it is outside --- */

/* 0 if this binding is not of the port. */
static int64_t host_port(const json_t *binding, int64_t port)
{
	struct range inside, outside;

	if (!is_tcp(binding) ||
	    !read_range(binding, "containerPortRange", "containerPort", &inside) ||
	    !read_range(binding, "hostPortRange", "hostPort", &outside) || port < inside.first ||
	    port > inside.last || outside.first + (port - inside.first) > outside.last)
		return 0;
	return outside.first + (port - inside.first);
}

/* Docker may bind a port once for each family, with ports of their own. */
static bool is_of_family(const struct ecs *ecs, const json_t *binding)
{
	const char *ip = aws_text(binding, "bindIP");

	return !ip || (strchr(ip, ':') != NULL) == ecs->ipv6;
}

static int64_t bound_port(const struct ecs *ecs, const json_t *task, const struct port *port)
{
	const json_t *containers = aws_list(task, "containers");
	int64_t other = 0;

	for (size_t i = 0; i < json_array_size(containers); i++) {
		const json_t *container = json_array_get(containers, i);
		const json_t *bindings = aws_list(container, "networkBindings");

		if (port->container && !is(aws_text(container, "name"), port->container))
			continue;
		for (size_t j = 0; j < json_array_size(bindings); j++) {
			const json_t *binding = json_array_get(bindings, j);
			int64_t bound = host_port(binding, port->number);

			if (bound && is_of_family(ecs, binding))
				return bound;
			other = bound ? bound : other;
		}
	}
	return other ? other : port->host;
}

/* --- addresses --- */

/* The value of a detail of the task's network interface, or NULL. */
static const char *interface_detail(const json_t *task, const char *name)
{
	const json_t *attachments = aws_list(task, "attachments");

	for (size_t i = 0; i < json_array_size(attachments); i++) {
		const json_t *attachment = json_array_get(attachments, i);
		const json_t *details = aws_list(attachment, "details");

		if (!is_interface(attachment))
			continue;
		for (size_t j = 0; j < json_array_size(details); j++)
			if (is(aws_text(json_array_get(details, j), "name"), name))
				return aws_text(json_array_get(details, j), "value");
	}
	return NULL;
}

const char *ecs_interface(const json_t *task)
{
	return interface_detail(task, "networkInterfaceId");
}

/* Every container has the task's interface; the first that says so will do. */
static const char *container_address(const json_t *task, const char *key)
{
	const json_t *containers = aws_list(task, "containers");
	const char *text = NULL;

	for (size_t i = 0; !text && i < json_array_size(containers); i++) {
		const json_t *interfaces =
			aws_list(json_array_get(containers, i), "networkInterfaces");

		text = aws_text(json_array_get(interfaces, 0), key);
	}
	return text;
}

static const char *task_address(const struct ecs *ecs, const json_t *task)
{
	const char *text;

	if (ecs->public)
		return ecs_interface(task) ? aws_text(ecs->publics, ecs_interface(task)) : NULL;
	if (ecs->ipv6) {
		text = container_address(task, "ipv6Address");
		return text ? text : interface_detail(task, "ipv6Address");
	}
	text = interface_detail(task, "privateIPv4Address");
	return text ? text : container_address(task, "privateIpv4Address");
}

static const struct instance *host_of(const struct ecs *ecs, const json_t *task)
{
	const char *arn = aws_text(task, "containerInstanceArn");
	const char *id = arn ? aws_text(ecs->hosts, arn) : NULL;

	return id ? instances_find(&ecs->instances, id) : NULL;
}

/* False when it is not known. */
static bool find_host(const struct ecs *ecs, const json_t *task, struct addr *ret_addr)
{
	const struct instance *host;
	const char *text, *why;

	if (ecs_is_awsvpc(ecs, task)) {
		text = task_address(ecs, task);
		return text && endpoint_parse_ip(text, ret_addr, &why) == 0;
	}
	host = host_of(ecs, task);
	if (host)
		*ret_addr = host->host;
	return host && host->host.family;
}

static const char *address_name(const struct ecs *ecs)
{
	return ecs->ipv6 ? "IPv6 address" : ecs->public ? "public address" : "private address";
}

/* The port as it is reached, 0 when it is not known. 0 or -EINVAL. */
static int find_port(const struct ecs *ecs, const json_t *task, int64_t *ret_number, char *ret_what,
		     size_t size)
{
	const json_t *definition = definition_of(ecs, task);
	struct port port = {.number = ecs->port};
	int err = ecs_needs_definition(ecs, task)
			  ? pick_port(ecs, definition, &port, ret_what, size)
			  : 0;

	if (!err)
		*ret_number = is(aws_text(definition, "mode"), "bridge")
				      ? bound_port(ecs, task, &port)
				      : port.number;
	return err;
}

int ecs_place(const struct ecs *ecs, const json_t *task, uint16_t said_port, struct addr *ret_addr,
	      char *ret_what, size_t size)
{
	struct addr addr = {0};
	int64_t number = said_port;
	int err = said_port ? 0 : find_port(ecs, task, &number, ret_what, size);

	if (err)
		return err;
	if (!find_host(ecs, task, &addr)) {
		snprintf(ret_what, size, "%s", address_name(ecs));
		return -ENODATA;
	}
	if (number <= 0 || number > UINT16_MAX) {
		snprintf(ret_what, size, "host port");
		return -ENODATA;
	}
	addr.port = (uint16_t)number;
	*ret_addr = addr;
	return 0;
}
