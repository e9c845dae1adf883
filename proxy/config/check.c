/* SPDX-License-Identifier: Apache-2.0
 *
 * What the schema cannot see: names that are used twice or lead nowhere, addresses that get in
 * each other's way, settings that contradict each other.
 *
 * It runs on the tree as written, also when the schema has found errors, so that one run lists them
 * all; what does not parse is therefore skipped here without a word.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/conf/endpoint.h"
#include "proxy/base/conf/nearest.h"
#include "proxy/base/conf/tree.h"
#include "proxy/config/parts.h"

struct bound {
	const struct node *listener;
	const struct node *bind;
	struct endpoint endpoint;
	bool v6_only;
};

struct listed_target {
	const struct node *node;
	const char *text;
	struct addr addr;
	bool numeric;
};

static size_t items_of(const struct node *list)
{
	return list && list->kind == NODE_SEQUENCE ? list->count : 0;
}

static bool is_true(const struct node *mapping, const char *name)
{
	const char *text = node_get_text(mapping, name);

	return text && strcmp(text, "true") == 0;
}

static void check_names(const struct node *list, const char *noun, struct conf_errors *errors)
{
	for (size_t i = 0; i < items_of(list); i++) {
		const char *name = node_get_text(list->children[i], "name");

		for (size_t j = 0; name && *name && j < i; j++) {
			const struct node *twin = node_get(list->children[j], "name");

			if (!twin || !twin->text || strcmp(twin->text, name) != 0)
				continue;
			conf_error(errors, &node_get(list->children[i], "name")->where,
				   "name: found \"%.80s\", which the %s at line %u has too; "
				   "expected another",
				   name, noun, twin->where.line);
			break;
		}
	}
}

static void check_pool_exists(const struct node *listener, const struct node *pools,
			      struct conf_errors *errors)
{
	const char *wanted = node_get_text(listener, "pool");
	struct nearest nearest;

	if (!wanted || !*wanted || items_of(pools) == 0)
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

static void check_listener(const struct bound *bound, struct conf_errors *errors)
{
	const struct node *v6_only = node_get(bound->listener, "v6_only");

	if (bound->endpoint.addr.family == AF_UNIX) {
		refuse_key(bound->listener, "tcp", "for a Unix socket", errors);
		refuse_key(bound->listener, "steer", "for a Unix socket", errors);
		refuse_key(bound->listener, "trusted", "for a Unix socket", errors);
	} else {
		refuse_key(bound->listener, "mode", "but for a Unix socket", errors);
	}
	if (bound->v6_only && bound->endpoint.addr.family != AF_INET6)
		conf_error(errors, &v6_only->where,
			   "v6_only: found \"true\" for \"%.80s\"; expected an IPv6 address",
			   bound->bind->text);
}

static void check_overlaps(const struct bound *bounds, size_t count, struct conf_errors *errors)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (!endpoint_overlaps(&bounds[i].endpoint, bounds[i].v6_only,
					       &bounds[j].endpoint, bounds[j].v6_only))
				continue;
			const char *name = node_get_text(bounds[j].listener, "name");

			conf_error(errors, &bounds[i].bind->where,
				   "bind: found \"%.120s\", which overlaps with \"%.120s\" of "
				   "listener \"%.80s\"; expected an address and port of its own",
				   bounds[i].bind->text, bounds[j].bind->text, name ? name : "?");
			break;
		}
	}
}

static int check_listeners(const struct node *listeners, const struct node *pools,
			   struct conf_errors *errors)
{
	size_t items = items_of(listeners), count = 0;
	struct bound *bounds = items ? calloc(items, sizeof(*bounds)) : NULL;
	const char *why;

	if (items && !bounds)
		return -ENOMEM;
	check_names(listeners, "listener", errors);
	for (size_t i = 0; i < items; i++) {
		struct bound *bound = &bounds[count];

		bound->listener = listeners->children[i];
		bound->bind = node_get(bound->listener, "bind");
		bound->v6_only = is_true(bound->listener, "v6_only");
		check_pool_exists(bound->listener, pools, errors);
		if (!bound->bind || bound->bind->kind != NODE_SCALAR ||
		    endpoint_parse_bind(bound->bind->text, &bound->endpoint, &why) < 0)
			continue;
		check_listener(bound, errors);
		count++;
	}
	/* Longer lists are refused anyhow, and quadratic here. */
	if (count <= 1024)
		check_overlaps(bounds, count, errors);
	free(bounds);
	return 0;
}

static int compare_numeric(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	if (a->family == AF_INET)
		return memcmp(&a->v4, &b->v4, sizeof(a->v4));
	if (a->scope != b->scope)
		return a->scope < b->scope ? -1 : 1;
	return memcmp(&a->v6, &b->v6, sizeof(a->v6));
}

/* Numeric addresses by value, since IPv6 has many spellings; then names and paths by text. */
static int compare_targets(const void *a, const void *b)
{
	const struct listed_target *x = a, *y = b;

	if (x->numeric != y->numeric)
		return x->numeric ? -1 : 1;
	return x->numeric ? compare_numeric(&x->addr, &y->addr) : strcmp(x->text, y->text);
}

static void check_twins(struct listed_target *targets, size_t count, struct conf_errors *errors)
{
	qsort(targets, count, sizeof(*targets), compare_targets);
	for (size_t i = 1; i < count; i++) {
		const struct node *a = targets[i - 1].node, *b = targets[i].node;

		if (compare_targets(&targets[i - 1], &targets[i]) != 0)
			continue;
		bool b_later = b->where.line != a->where.line ? b->where.line > a->where.line
							      : b->where.column >= a->where.column;

		conf_error(
			errors, b_later ? &b->where : &a->where,
			"targets: found \"%.120s\" a second time; expected each target once and a "
			"weight for its share",
			targets[i].text);
	}
}

/* Also true when one of them does not parse, which is complained of elsewhere. */
static bool sources_have(const struct node *sources, uint16_t family)
{
	const struct node *single = sources;
	size_t count = items_of(sources);

	for (size_t i = 0; i < (count ? count : 1); i++) {
		const struct node *source = count ? sources->children[i] : single;
		struct addr addr;
		const char *why;

		if (source->kind != NODE_SCALAR ||
		    endpoint_parse_ip(source->text, &addr, &why) < 0 || addr.family == family)
			return true;
	}
	return false;
}

static void check_sources(const struct node *pool, const struct listed_target *targets,
			  size_t count, struct conf_errors *errors)
{
	const struct node *sources = node_get(pool, "source");
	bool have_v4, have_v6;

	if (!sources)
		return;
	have_v4 = sources_have(sources, AF_INET);
	have_v6 = sources_have(sources, AF_INET6);
	for (size_t i = 0; i < count; i++) {
		uint16_t family = targets[i].numeric ? targets[i].addr.family : AF_UNSPEC;

		if ((family == AF_INET && !have_v4) || (family == AF_INET6 && !have_v6))
			conf_error(errors, &targets[i].node->where,
				   "found target \"%.120s\", which no \"source\" address can "
				   "reach; expected one of its family",
				   targets[i].text);
	}
}

static void read_target(const struct node *node, struct listed_target *target)
{
	struct endpoint endpoint;
	const char *why;
	const struct node *address = node->kind == NODE_SCALAR ? node : node_get(node, "address");

	*target = (struct listed_target){.node = address ? address : node, .text = ""};
	if (!address || address->kind != NODE_SCALAR ||
	    endpoint_parse_target(address->text, &endpoint, &why) < 0)
		return;
	target->text = address->text;
	target->numeric = endpoint.host[0] == '\0' && endpoint.addr.family != AF_UNIX;
	target->addr = endpoint.addr;
}

static int check_targets(const struct node *pool, struct conf_errors *errors)
{
	const struct node *list = node_get(pool, "targets");
	size_t items = items_of(list), count = 0;
	struct listed_target *targets = items ? calloc(items, sizeof(*targets)) : NULL;

	if (items && !targets)
		return -ENOMEM;
	for (size_t i = 0; i < items; i++) {
		read_target(list->children[i], &targets[count]);
		count += targets[count].text[0] != '\0';
	}
	if (count) {
		check_sources(pool, targets, count, errors);
		check_twins(targets, count, errors);
	}
	free(targets);
	return 0;
}

static int check_pool(const struct node *pool, bool demo, struct conf_errors *errors)
{
	const struct node *targets = node_get(pool, "targets");
	bool empty = !targets || (targets->kind == NODE_SEQUENCE && targets->count == 0);

	if (pool->kind != NODE_MAPPING)
		return 0;
	if (empty && !demo && !node_get(pool, "discover"))
		conf_error(errors, targets ? &targets->where : &pool->where,
			   "found a pool without targets; expected \"targets\" or \"discover\"");
	return check_targets(pool, errors);
}

int config_check(const struct node *root, bool demo, struct conf_errors *errors)
{
	const struct node *pools = node_get(root, "pools");
	int err = check_listeners(node_get(root, "listeners"), pools, errors);

	check_names(pools, "pool", errors);
	for (size_t i = 0; err == 0 && i < items_of(pools); i++)
		err = check_pool(pools->children[i], demo, errors);
	return err;
}
