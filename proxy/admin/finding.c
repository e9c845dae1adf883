/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what a name in a request means. Happy path: exactly one pool or target fits. Failure modes:
 * none does (404); several do (409), then they are listed, so that one can be chosen.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proxy/admin/desk.h"
#include "proxy/admin/handlers.h"
#include "proxy/base/jot.h"
#include "proxy/registry.h"
#include "proxy/target.h"

struct pool_record *find_pool(struct desk *desk, struct request *request, const char *name)
{
	struct pool_record *pool = registry_pool(desk->ops.registry, name);

	if (!pool)
		request_refuse(request, 404, "there is no pool \"%s\"", name);
	return pool;
}

/* As registry_find() sees it. */
static bool fits(const struct target_record *record, const char *name)
{
	char text[ADDR_TEXT];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)record->key);
	if (!strcmp(record->target->name, name) || !strcmp(text, name) ||
	    (record->id && !strcmp(record->id, name)))
		return true;
	return !strcmp(addr_format(&record->target->addr, text), name);
}

static bool add_candidates(const struct pool_record *pool, const char *name, json_t *names,
			   json_t *keys)
{
	for (size_t i = 0; i < pool->target_count; i++) {
		const struct target_record *record = pool->targets[i];

		if (!fits(record, name))
			continue;
		if (json_array_append_new(names, jot_text(record->target->name)) ||
		    json_array_append_new(keys,
					  json_sprintf("%llu", (unsigned long long)record->key)))
			return false;
	}
	return true;
}

static void list_candidates(struct desk *desk, struct request *request, const char *pool,
			    const char *name)
{
	json_t *names = json_array(), *keys = json_array();
	bool whole = names && keys;

	for (size_t i = 0; i < registry_pool_count(desk->ops.registry); i++) {
		const struct pool_record *at = registry_pool_at(desk->ops.registry, i);

		if (!pool || !strcmp(at->conf->name, pool))
			whole = whole && add_candidates(at, name, names, keys);
	}
	if (!whole) {
		json_decref(names);
		json_decref(keys);
		request_reply(request, 500, NULL);
		return;
	}
	request_reply(request, 409,
		      JOT({"error", json_string("several targets fit; say which by its key, or "
						"name its pool")},
			  {"candidates", names}, {"keys", keys}));
}

struct target_record *find_target(struct desk *desk, struct request *request, const char *pool,
				  const char *name)
{
	struct target_record *record;
	int err;

	if (pool && !find_pool(desk, request, pool))
		return NULL;
	err = registry_find(desk->ops.registry, pool, name, &record);
	if (!err)
		return record;
	if (err == -ENOTUNIQ)
		list_candidates(desk, request, pool, name);
	else
		request_refuse(request, 404, "there is no target \"%s\"%s%s", name,
			       pool ? " in pool " : "", pool ? pool : "");
	return NULL;
}
