/* SPDX-License-Identifier: Apache-2.0
 *
 * Servers that become targets. Happy path: an address and a port of its own, its name as id.
 *
 * Failure modes, each a note: an address without a host or port, one that the pool has already, and
 * a server that expects another PROXY header than the first one, as a pool speaks one to all.
 */
#include <string.h>

#include "control/ctl/haproxy/convert.h"
#include "control/ctl/haproxy/quantity.h"
#include "proxy/base/conf/keys.h"
#include "proxy/base/conf/text.h"

/* `80`; or the port that the client came to, which may be written as nothing, `0` or `+10`. */
static bool find_port(const struct hap_pool *pool, const char *ports, uint64_t *ret_port)
{
	uint64_t more = 0;

	if (hap_number(ports, ret_port) == 0 && *ret_port)
		return true;
	if (*ports == '+' && hap_number(ports + 1, &more) < 0)
		return false;
	if (*ports && *ports != '+' && strcmp(ports, "0") != 0)
		return false;
	*ret_port = pool->section->client_port + more;
	return pool->section->client_port != 0;
}

static bool find_address(const struct hap_pool *pool, struct hap_target *target)
{
	const struct hap_server *server = target->server;
	const struct hap_address *address = &server->address;
	struct hap *hap = pool->hap;
	const char *why = "has no port, and its clients do not all come to one";
	uint64_t port;

	if (address->is_unix)
		target->address = hap_format(&hap->arena, "unix:%s", address->host);
	else if (find_port(pool, address->ports, &port))
		target->address =
			hap_format(&hap->arena, "%s:%llu", address->host, (unsigned long long)port);
	if (target->address && !text_is_clean(target->address))
		why = "is not plain text";
	else if (target->address &&
		 endpoint_parse_target(target->address, &target->endpoint, &why) == 0)
		return true;
	hap_note(hap, server->line, HAP_LOST, "left out: its address %s", why);
	return false;
}

static bool is_same(const struct hap_target *a, const struct hap_target *b)
{
	bool numeric = !a->endpoint.host[0] && a->endpoint.addr.family != AF_UNIX;

	if (numeric && !b->endpoint.host[0])
		return addr_equal(&a->endpoint.addr, &b->endpoint.addr);
	return strcmp(a->address, b->address) == 0;
}

static const struct hap_target *find_twin(const struct hap_pool *pool,
					  const struct hap_target *target)
{
	for (size_t i = 0; i < pool->count; i++)
		if (is_same(&pool->targets[i], target))
			return &pool->targets[i];
	return NULL;
}

static bool is_welcome(const struct hap_pool *pool, const struct hap_target *target)
{
	const struct hap_target *twin = find_twin(pool, target);

	if (twin) {
		hap_note(pool->hap, target->server->line, HAP_LOST,
			 "left out: \"%s\" has this address already", twin->server->name);
		return false;
	}
	if (pool->count && pool->targets[0].server->send_proxy != target->server->send_proxy) {
		hap_note(pool->hap, target->server->line, HAP_LOST,
			 "left out: a pool speaks one PROXY protocol, and \"%s\" another",
			 pool->targets[0].server->name);
		return false;
	}
	return true;
}

static void give_id(const struct hap_pool *pool, struct hap_target *target)
{
	const struct schema_map *map = schema_find(schema_pool.map, "targets")->item->map;
	const char *name = target->server->name;
	bool good = hap_fits_text(map, "id", name);

	for (size_t i = 0; good && i < pool->count; i++)
		good = !pool->targets[i].id || strcmp(pool->targets[i].id, name) != 0;
	if (good)
		target->id = name;
	else
		hap_note(pool->hap, target->server->line, HAP_NOTE,
			 "its name cannot be an id, or is another's already");
}

void hap_pool_collect(struct hap_pool *pool)
{
	uint64_t most = schema_find(schema_pool.map, "targets")->max;

	for (size_t i = 0; i < pool->section->server_count; i++) {
		struct hap_target target = {.server = &pool->section->servers[i]};

		if (pool->count == most) {
			hap_note(pool->hap, target.server->line, HAP_LOST,
				 "left out, as are those behind it: a pool has no more targets");
			return;
		}
		if (!find_address(pool, &target) || !is_welcome(pool, &target))
			continue;
		give_id(pool, &target);
		pool->targets = hap_grow(&pool->hap->arena, pool->targets, pool->count,
					 sizeof(*pool->targets));
		pool->targets[pool->count++] = target;
	}
}

struct hap_value hap_pool_common(const struct hap_pool *pool, size_t offset, const char *name,
				 bool checked)
{
	const struct hap_value *first = NULL;

	for (size_t i = 0; i < pool->count; i++) {
		const struct hap_server *server = pool->targets[i].server;
		const struct hap_value *value = (const void *)((const char *)server + offset);

		if (checked && !server->check)
			continue;
		if (!first)
			first = value;
		else if (value->number != first->number)
			hap_note(pool->hap, server->line, HAP_LOST,
				 "\"%s\": a pool has one for all targets, that of the first", name);
	}
	return first ? *first : (struct hap_value){0};
}
