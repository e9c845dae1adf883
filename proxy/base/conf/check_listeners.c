/* SPDX-License-Identifier: Apache-2.0
 *
 * Listeners and the addresses of the admin and control parts: none may lead nowhere, get in
 * another's way or hold what means nothing where it stands. See check.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/conf/check.h"
#include "proxy/base/conf/endpoint.h"
#include "proxy/base/conf/nearest.h"
#include "proxy/base/conf/tree.h"

#define ADMIN_ADDRESSES 5 /* three of admin, two of control */

struct bound {
	const struct node *listener; /* or the admin or control part */
	const struct node *bind;
	struct endpoint endpoint;
	bool v6_only;
};

static bool is_true(const struct node *mapping, const char *name)
{
	const char *text = node_get_text(mapping, name);

	return text && strcmp(text, "true") == 0;
}

static void check_pool_exists(const struct node *listener, const struct node *pools,
			      struct conf_errors *errors)
{
	const char *wanted = node_get_text(listener, "pool");
	struct nearest nearest;

	if (!wanted || !*wanted || node_items(pools) == 0)
		return;
	nearest_init(&nearest, wanted);
	for (size_t i = 0; i < pools->count; i++) {
		const char *name = node_get_text(pools->children[i], "name");

		if (name && strcmp(name, wanted) == 0)
			return;
		if (name)
			nearest_offer(&nearest, name);
	}
	const char *near = nearest_best(&nearest);

	conf_error(errors, &node_get(listener, "pool")->where,
		   "pool: found \"%.80s\", which no pool is called; expected a pool's name%s%s%s",
		   wanted, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static void refuse_key(const struct node *mapping, const char *name, const char *because,
		       struct conf_errors *errors)
{
	const struct node *node = node_get(mapping, name);

	if (node)
		conf_error(errors, &node->name_where,
			   "found \"%s\", which means nothing %s; expected it to be left out", name,
			   because);
}

/* Whoever sends a header says who the client is. */
static void check_trust(const struct node *listener, struct conf_errors *errors)
{
	const struct node *protocol = node_get(listener, "proxy_protocol");
	const struct node *trusted = node_get(listener, "trusted");
	bool nobody = !trusted || (trusted->kind == NODE_SEQUENCE && trusted->count == 0);
	const char *mode = node_get_text(listener, "proxy_protocol");

	if (nobody && mode && (strcmp(mode, "optional") == 0 || strcmp(mode, "required") == 0))
		conf_error(errors, &protocol->where,
			   "proxy_protocol: found \"%s\" without \"trusted\"; expected the "
			   "addresses that may send such a header there",
			   mode);
}

static void check_listener(const struct bound *bound, struct conf_errors *errors)
{
	const struct node *v6_only = node_get(bound->listener, "v6_only");

	if (bound->endpoint.addr.family == AF_UNIX) {
		refuse_key(bound->listener, "tcp", "for a Unix socket", errors);
		refuse_key(bound->listener, "steer", "for a Unix socket", errors);
		refuse_key(bound->listener, "guard", "for a Unix socket", errors);
		refuse_key(bound->listener, "trusted", "for a Unix socket", errors);
		refuse_key(bound->listener, "proxy_protocol", "for a Unix socket", errors);
		refuse_key(bound->listener, "proxy_timeout", "for a Unix socket", errors);
		refuse_key(bound->listener, "header_timeout", "for a Unix socket", errors);
	} else {
		check_trust(bound->listener, errors);
		refuse_key(bound->listener, "mode", "but for a Unix socket", errors);
	}
	if (bound->v6_only && bound->endpoint.addr.family != AF_INET6)
		conf_error(errors, &v6_only->where,
			   "v6_only: found \"true\" for \"%.80s\"; expected an IPv6 address",
			   bound->bind->text);
}

/* Without interfaces there is no door for it to be at. */
static void check_guard(const struct node *root, const struct node *listener,
			struct conf_errors *errors)
{
	if (!node_get(root, "guard"))
		refuse_key(listener, "guard", "without a guard of the root, which has interfaces",
			   errors);
}

/* An item of a list has no name in the tree, a part of the root has. */
static bool is_part(const struct bound *bound)
{
	return bound->listener->name != NULL;
}

static const char *kind_of(const struct bound *bound)
{
	if (!is_part(bound))
		return "listener";
	return strcmp(bound->listener->name, "admin") == 0 ? "admin address" : "control address";
}

static const char *name_of(const struct bound *bound)
{
	const char *name =
		is_part(bound) ? bound->bind->name : node_get_text(bound->listener, "name");

	return name ? name : "?";
}

static void check_overlaps(const struct bound *bounds, size_t count, struct conf_errors *errors)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (!endpoint_overlaps(&bounds[i].endpoint, bounds[i].v6_only,
					       &bounds[j].endpoint, bounds[j].v6_only))
				continue;
			conf_error(errors, &bounds[i].bind->where,
				   "%s: found \"%.120s\", which overlaps with \"%.120s\" of "
				   "%s \"%.80s\"; expected an address and port of its own",
				   bounds[i].bind->name, bounds[i].bind->text, bounds[j].bind->text,
				   kind_of(&bounds[j]), name_of(&bounds[j]));
			break;
		}
	}
}

static bool read_listener(const struct node *listener, struct bound *bound)
{
	const char *why;

	bound->listener = listener;
	bound->bind = node_get(listener, "bind");
	bound->v6_only = is_true(listener, "v6_only");
	return bound->bind && bound->bind->kind == NODE_SCALAR &&
	       endpoint_parse_bind(bound->bind->text, &bound->endpoint, &why) == 0;
}

/* The address of one key of a part, if it is there and parses: how many that makes. */
static size_t read_part(const struct node *part, const char *name, struct bound *bound)
{
	struct addr *addr = &bound->endpoint.addr;
	const char *text = node_get_text(part, name), *why;
	bool is_socket = strcmp(name, "socket") == 0;

	*bound = (struct bound){.listener = part, .bind = node_get(part, name)};
	if (!text || (is_socket ? endpoint_parse_socket(text, addr, &why)
				: endpoint_parse_tcp(text, addr, &why)) < 0)
		return 0;
	bound->endpoint.port_end = addr->port;
	return 1;
}

/* At most ADMIN_ADDRESSES. */
static size_t read_parts(const struct node *root, struct bound *bounds)
{
	static const char *const addresses[ADMIN_ADDRESSES][2] = {{"admin", "socket"},
								  {"admin", "http"},
								  {"admin", "probe"},
								  {"control", "socket"},
								  {"control", "http"}};
	size_t count = 0;

	for (size_t i = 0; i < ADMIN_ADDRESSES; i++)
		count +=
			read_part(node_get(root, addresses[i][0]), addresses[i][1], &bounds[count]);
	return count;
}

int conf_check_listeners(const struct node *root, struct conf_errors *errors)
{
	const struct node *listeners = node_get(root, "listeners");
	size_t items = node_items(listeners), count = 0;
	struct bound *bounds = calloc(items + ADMIN_ADDRESSES, sizeof(*bounds));

	if (!bounds)
		return -ENOMEM;
	for (size_t i = 0; i < items; i++) {
		check_pool_exists(listeners->children[i], node_get(root, "pools"), errors);
		check_guard(root, listeners->children[i], errors);
		if (!read_listener(listeners->children[i], &bounds[count]))
			continue;
		check_listener(&bounds[count++], errors);
	}
	count += read_parts(root, &bounds[count]);
	/* Longer lists are refused anyhow, and quadratic here. */
	if (count <= 1024 + ADMIN_ADDRESSES)
		check_overlaps(bounds, count, errors);
	free(bounds);
	return 0;
}
