/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of discover_rules.h. Happy path: nothing is said. What has the wrong shape is skipped
 * without a word, since the schema complains of it.
 */
#include "proxy/base/conf/discover_rules.h"

#include <string.h>

#include "proxy/base/conf/endpoint.h"
#include "proxy/base/conf/keys.h"

/* Those under which others bring targets to the proxy: its file, and an operator's word. */
static const char *const reserved_names[] = {"config", "operator"};

static bool text_is(const struct node *mapping, const char *key, const char *value)
{
	const char *text = node_get_text(mapping, key);

	return text && strcmp(text, value) == 0;
}

void discover_check_arn(const struct node *mapping, const char *key, const char *service,
			struct conf_errors *errors)
{
	const struct node *node = node_get(mapping, key);
	const char *text = node ? node->text : NULL, *rest;

	if (!text || *text == '\0')
		return;
	rest = strncmp(text, "arn:aws", strlen("arn:aws")) == 0 ? strchr(text + 4, ':') : NULL;
	if (!rest || strncmp(rest + 1, service, strlen(service)) != 0 ||
	    rest[1 + strlen(service)] != ':')
		conf_error(errors, &node->where,
			   "%s: found \"%.120s\"; expected an ARN such as arn:aws:%s:...", key,
			   text, service);
}

void discover_check_url(const struct node *mapping, const char *key, struct conf_errors *errors)
{
	static const char *const schemes[] = {"http://", "https://"};
	const struct node *node = node_get(mapping, key);
	const char *text = node ? node->text : NULL;

	if (!text || *text == '\0')
		return;
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t len = strlen(schemes[i]);

		if (strncmp(text, schemes[i], len) == 0 && text[len] != '\0' && text[len] != '/')
			return;
	}
	conf_error(errors, &node->where,
		   "%s: found \"%.120s\"; expected a URL such as https://host:8443", key, text);
}

void discover_check_aws(const struct node *source, struct conf_errors *errors)
{
	const struct node *external_id = node_get(source, "external_id");

	discover_check_arn(source, "role_arn", "iam", errors);
	discover_check_url(source, "endpoint", errors);
	if (external_id && !node_get(source, "role_arn"))
		conf_error(errors, &external_id->name_where,
			   "found \"external_id\" without \"role_arn\"; expected both, as it is "
			   "said when a role is assumed");
}

void discover_check_instances(const struct node *source, struct conf_errors *errors)
{
	if (!node_get(source, "port") && !node_get(node_get(source, "from_tags"), "port"))
		conf_error(errors, &source->where,
			   "found no \"port\"; expected one, or \"from_tags\" with the tag that "
			   "has it");
	discover_check_aws(source, errors);
}

void discover_check_ecs(const struct node *source, struct conf_errors *errors)
{
	const struct node *port_name = node_get(source, "port_name");
	const struct node *address = node_get(source, "address");

	if (port_name && node_get(source, "port"))
		conf_error(errors, &port_name->name_where,
			   "found both \"port\" and \"port_name\" in the ecs source; expected one "
			   "of them");
	if (text_is(source, "address", "public") && text_is(source, "family", "ipv6"))
		conf_error(errors, &address->where,
			   "address: found \"public\" with family ipv6; expected private, as a "
			   "task's IPv6 address is one and the same everywhere");
	discover_check_aws(source, errors);
}

/* SRV answers bring ports along, addresses do not. */
static void check_dns_port(const struct node *source, struct conf_errors *errors)
{
	const struct node *port = node_get(source, "port");
	bool srv = text_is(source, "type", "SRV");

	if (srv && port)
		conf_error(errors, &port->name_where,
			   "found a \"port\" for type SRV; expected none, as the records bring it");
	if (!srv && !port)
		conf_error(errors, &source->where,
			   "found no \"port\" in the dns source; expected one unless type is SRV");
}

static void check_server(const struct node *server, struct conf_errors *errors)
{
	struct endpoint endpoint;
	struct addr addr;
	const char *why;

	if (server->kind != NODE_SCALAR || *server->text == '\0' ||
	    endpoint_parse_ip(server->text, &addr, &why) == 0)
		return;
	if (endpoint_parse_target(server->text, &endpoint, &why) < 0 || endpoint.host[0] ||
	    endpoint.addr.family == AF_UNIX)
		conf_error(errors, &server->where,
			   "servers: found \"%.80s\"; expected an address such as 10.0.0.2, "
			   "10.0.0.2:5353 or \"[2001:db8::1]:53\"",
			   server->text);
}

void discover_check_dns(const struct node *source, struct conf_errors *errors)
{
	const struct node *servers = node_get(source, "servers");

	check_dns_port(source, errors);
	if (servers && servers->kind == NODE_SCALAR)
		check_server(servers, errors);
	for (size_t i = 0; i < node_items(servers); i++)
		check_server(servers->children[i], errors);
}

const char *discover_name_key(const char *kind)
{
	return strcmp(kind, "dns") == 0 ? "as" : "name";
}

/* How many there are in a value that is one of `kind` or a list of such; none in a list that is too
 * long anyway, so that no file costs the square of its size. */
static size_t count_of(const struct node *value, enum node_kind kind)
{
	if (value->kind == NODE_SEQUENCE)
		return value->count <= DISCOVER_SOURCES_MAX ? value->count : 0;
	return value->kind == kind;
}

static const struct node *at(const struct node *value, size_t index)
{
	return value->kind == NODE_SEQUENCE ? value->children[index] : value;
}

bool discover_next(struct discover_cursor *cursor, const char **ret_kind,
		   const struct node **ret_source)
{
	while (cursor->part < count_of(cursor->discover, NODE_MAPPING)) {
		const struct node *part = at(cursor->discover, cursor->part);

		if (part->kind != NODE_MAPPING || cursor->kind == part->count) {
			cursor->part++;
			cursor->kind = 0;
			continue;
		}
		const struct node *kind = part->children[cursor->kind];

		if (cursor->item == count_of(kind, NODE_MAPPING)) {
			cursor->kind++;
			cursor->item = 0;
			continue;
		}
		*ret_source = at(kind, cursor->item++);
		*ret_kind = kind->name;
		if ((*ret_source)->kind == NODE_MAPPING)
			return true;
	}
	return false;
}

const char *discover_name(const char *kind, const struct node *source)
{
	const char *name = node_get_text(source, discover_name_key(kind));

	return name ? name : kind;
}

/* Whether another source is of this kind. */
static bool has_sibling(const struct node *discover, const char *kind, const struct node *source)
{
	struct discover_cursor cursor = {.discover = discover};
	const struct node *other;
	const char *other_kind;

	while (discover_next(&cursor, &other_kind, &other))
		if (other != source && strcmp(other_kind, kind) == 0)
			return true;
	return false;
}

/* Whether one before this is called so. */
static bool is_taken(const struct node *discover, const char *name, const struct node *source)
{
	struct discover_cursor cursor = {.discover = discover};
	const struct node *other;
	const char *kind;

	while (discover_next(&cursor, &kind, &other) && other != source)
		if (strcmp(discover_name(kind, other), name) == 0)
			return true;
	return false;
}

static void check_name(const struct node *discover, const char *kind, const struct node *source,
		       struct conf_errors *errors)
{
	const struct node *written = node_get(source, discover_name_key(kind));
	const struct conf_where *where = written ? &written->where : &source->where;
	const char *key = discover_name_key(kind), *name = discover_name(kind, source);

	for (size_t i = 0; i < ARRAY_SIZE(reserved_names); i++)
		if (strcmp(name, reserved_names[i]) == 0)
			conf_error(errors, where,
				   "%s: found \"%s\", which the proxy keeps for itself; expected "
				   "another",
				   key, name);
	if (!written && has_sibling(discover, kind, source))
		conf_error(errors, where,
			   "found no \"%s\" in one of several %s sources of a pool; expected each "
			   "to have one of its own",
			   key, kind);
	else if (is_taken(discover, name, source))
		conf_error(errors, where,
			   "%s: found \"%.80s\", which an earlier source of the pool is called, "
			   "too; expected another",
			   key, name);
}

void discover_check_names(const struct node *discover, struct conf_errors *errors)
{
	struct discover_cursor cursor = {.discover = discover};
	const struct node *source;
	const char *kind;

	while (discover && discover_next(&cursor, &kind, &source))
		check_name(discover, kind, source, errors);
}
