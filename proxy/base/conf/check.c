/* SPDX-License-Identifier: Apache-2.0
 *
 * What the schema cannot see: names that are used twice or lead nowhere, addresses that get in
 * each other's way, settings that contradict each other. Pools are here, listeners in
 * check_listeners.c.
 *
 * It runs on the tree as written, also when the schema has found errors, so that one run lists them
 * all; what does not parse is therefore skipped here without a word.
 */
#include "proxy/base/conf/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/conf/endpoint.h"
#include "proxy/base/conf/schema.h"
#include "proxy/base/conf/tree.h"

struct listed_target {
	const struct node *node;
	const char *text;
	struct addr addr;
	bool numeric;
};

static void check_names(const struct node *list, const char *noun, struct conf_errors *errors)
{
	for (size_t i = 0; i < node_items(list); i++) {
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

static bool is_later(const struct node *a, const struct node *b)
{
	return a->where.line != b->where.line ? a->where.line > b->where.line
					      : a->where.column > b->where.column;
}

static void check_twins(struct listed_target *targets, size_t count, struct conf_errors *errors)
{
	qsort(targets, count, sizeof(*targets), compare_targets);
	for (size_t i = 1; i < count; i++) {
		const struct node *a = targets[i - 1].node, *b = targets[i].node;

		if (compare_targets(&targets[i - 1], &targets[i]) != 0)
			continue;

		conf_error(
			errors, is_later(a, b) ? &a->where : &b->where,
			"targets: found \"%.120s\" a second time; expected each target once and a "
			"weight for its share",
			targets[i].text);
	}
}

static const char *text_of(const struct node *mapping, const char *name)
{
	const char *text = node_get_text(mapping, name);

	return text ? text : "";
}

static int compare_ids(const void *a, const void *b)
{
	const struct node *const *x = a, *const *y = b;
	int order = strcmp((*x)->text, (*y)->text);

	return order ? order : is_later(*x, *y) - is_later(*y, *x);
}

/* An id is a target's identity across addresses, so no two may share one. */
static int check_ids(const struct node *targets, struct conf_errors *errors)
{
	size_t items = node_items(targets), count = 0;
	const struct node **ids = items ? calloc(items, sizeof(const struct node *)) : NULL;

	if (items && !ids)
		return -ENOMEM;
	for (size_t i = 0; i < items; i++)
		if (text_of(targets->children[i], "id")[0])
			ids[count++] = node_get(targets->children[i], "id");
	if (count)
		qsort(ids, count, sizeof(const struct node *), compare_ids);
	for (size_t i = 1; i < count; i++)
		if (strcmp(ids[i - 1]->text, ids[i]->text) == 0)
			conf_error(errors, &ids[i]->where,
				   "id: found \"%.80s\", which the target at line %u has too; "
				   "expected another",
				   ids[i]->text, ids[i - 1]->where.line);
	free(ids);
	return 0;
}

/* Also true when one of them does not parse, which is complained of elsewhere. */
static bool sources_have(const struct node *sources, uint16_t family)
{
	const struct node *single = sources;
	size_t count = node_items(sources);

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
	size_t items = node_items(list), count = 0;
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

/* Without static targets there must be somebody else to bring some: discovery, or, where the list
 * was written as empty on purpose, whoever speaks to the admin socket. */
static void check_supply(const struct node *root, const struct node *pool,
			 struct conf_errors *errors)
{
	const struct node *targets = node_get(pool, "targets"), *admin = node_get(root, "admin");

	if (targets && (targets->kind != NODE_SEQUENCE || targets->count))
		return;
	if (node_get(pool, "discover") || (targets && admin && node_get(admin, "socket")))
		return;
	conf_error(errors, targets ? &targets->where : &pool->where,
		   "found a pool without targets; expected \"targets\" or \"discover\"%s",
		   targets ? ", or an \"admin\" socket through which targets come" : "");
}

static int check_pool(const struct node *root, const struct node *pool, bool demo,
		      struct conf_errors *errors)
{
	int err;

	if (pool->kind != NODE_MAPPING)
		return 0;
	if (!demo)
		check_supply(root, pool, errors);
	err = check_ids(node_get(pool, "targets"), errors);
	return err < 0 ? err : check_targets(pool, errors);
}

int conf_check(const struct node *root, bool demo, struct conf_errors *errors)
{
	const struct node *pools = node_get(root, "pools");
	int err = conf_check_listeners(root, errors);

	check_names(node_get(root, "listeners"), "listener", errors);
	check_names(pools, "pool", errors);
	for (size_t i = 0; err == 0 && i < node_items(pools); i++)
		err = check_pool(root, pools->children[i], demo, errors);
	return err;
}

int conf_settle(struct node *root, bool demo, struct conf_errors *errors)
{
	int err;

	schema_check(&schema_root, root, errors);
	err = conf_check(root, demo, errors);
	if (err == 0 && conf_failed(errors))
		err = -EINVAL;
	return err < 0 ? err : schema_complete(&schema_root, root);
}
