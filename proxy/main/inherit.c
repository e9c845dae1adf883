/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking over what was pushed. Happy path: a successor asks its predecessor's admin socket, whose
 * path it is about to take over, for every pool that it has itself, and puts each pushed source
 * into its own registry under the same generation. So it serves by them from its first session on,
 * whether or not whoever pushed them is there; what is pushed meanwhile to the predecessor is
 * pushed again by sluice-control, which notices that another process serves.
 *
 * Failure modes: no socket, no answer within a few seconds, or one that cannot be read: a warning,
 * and the pool awaits its first set as at any start. A pool that the predecessor does not have is
 * none of that. Of a pool that is not discovered any more, sluice-control's sources stay behind.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/addr.h"
#include "proxy/base/log.h"
#include "proxy/main/supervisor.h"
#include "proxy/registry.h"
#include "proxy/zone/fetch.h"

#define ANSWER_MS  5000
#define ANSWER_MAX (256u << 20)
#define URL_TEXT   256

static uint32_t number(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 && value <= UINT32_MAX ? (uint32_t)value : 0;
}

/* What `source` says of a member, or NULL. */
static const json_t *listing_of(const json_t *member, const char *source)
{
	const json_t *listing;
	size_t index;

	json_array_foreach (json_object_get(member, "listings"), index, listing) {
		const char *name = json_string_value(json_object_get(listing, "source"));

		if (name && !strcmp(name, source))
			return listing;
	}
	return NULL;
}

/* `*ret_spec` borrows from the member. */
static bool read_spec(const json_t *member, const json_t *listing, struct target_spec *ret_spec)
{
	const char *address = json_string_value(json_object_get(member, "address"));
	struct addr addr;

	if (!address || addr_parse(address, &addr))
		return false;
	*ret_spec = (struct target_spec){
		.id = json_string_value(json_object_get(member, "id")),
		.addr = addr,
		.zone = json_string_value(json_object_get(listing, "zone")),
		.weight = number(listing, "weight"),
		.max_connections = number(listing, "max_connections"),
		.backup = json_is_true(json_object_get(listing, "backup")),
		.draining = json_is_true(json_object_get(listing, "draining")),
		.unverified = json_is_true(json_object_get(member, "unverified")),
	};
	return true;
}

static size_t read_specs(const json_t *members, const char *source, struct target_spec *ret_specs)
{
	const json_t *member;
	size_t index, count = 0;

	json_array_foreach (members, index, member) {
		const json_t *listing = listing_of(member, source);

		if (listing && read_spec(member, listing, &ret_specs[count]))
			count++;
	}
	return count;
}

static bool is_wanted(const struct pool_conf *pool, const char *source, const char *kind)
{
	return source && strcmp(source, "config") != 0 && strcmp(source, "operator") != 0 &&
	       (!kind || pool->discovered);
}

static void take_source(struct supervisor *sv, const struct pool_conf *pool, const json_t *members,
			const json_t *source)
{
	const char *name = json_string_value(json_object_get(source, "name"));
	const char *kind = json_string_value(json_object_get(source, "kind"));
	json_int_t generation = json_integer_value(json_object_get(source, "generation"));
	struct target_spec *specs;
	uint64_t current;
	size_t count;
	int err;

	if (!is_wanted(pool, name, kind) || generation < 1)
		return;
	specs = calloc(json_array_size(members) + 1, sizeof(*specs));
	if (!specs)
		return;
	count = read_specs(members, name, specs);
	err = registry_put(sv->registry, pool->name, name, (uint64_t)generation, specs, count,
			   &current);
	free(specs);
	if (kind)
		registry_name_kind(sv->registry, pool->name, name, kind);
	if (err < 0)
		log_event(LOG_WARN, "source_not_inherited", "pool=%s source=%s error=\"%s\"",
			  pool->name, name, strerror(-err));
	else
		log_event(LOG_INFO, "source_inherited",
			  "pool=%s source=%s generation=%lld targets=%zu", pool->name, name,
			  (long long)generation, count);
}

static void take_pool(struct supervisor *sv, const struct pool_conf *pool, const char *text)
{
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	const json_t *members = json_object_get(root, "members"), *source;
	size_t index;

	if (!json_is_array(members))
		log_event(LOG_WARN, "sources_not_inherited", "pool=%s error=\"no such answer\"",
			  pool->name);
	json_array_foreach (json_object_get(root, "sources"), index, source)
		take_source(sv, pool, members, source);
	json_decref(root);
}

/* False when nobody answers, so that asking on is of no use. */
static bool ask_for_pool(struct supervisor *sv, struct fetch *fetch, const struct pool_conf *pool)
{
	char url[URL_TEXT];
	bool answered;
	char *text;

	snprintf(url, sizeof(url), "http://localhost/v1/pools/%s", pool->name);
	text = fetch_run(fetch, &(struct fetch_request){
					.url = url,
					.unix_socket = sv->config->config->admin.socket.path,
					.timeout_ms = ANSWER_MS,
					.max_bytes = ANSWER_MAX,
				});
	if (text)
		take_pool(sv, pool, text);
	else if (strcmp(fetch_problem(fetch), "HTTP status 404") != 0)
		log_event(LOG_WARN, "sources_not_inherited", "pool=%s error=\"%s\"", pool->name,
			  fetch_problem(fetch));
	answered = text || !strncmp(fetch_problem(fetch), "HTTP", 4);
	free(text);
	return answered;
}

void inherit_sources(struct supervisor *sv)
{
	const struct config *config = sv->config->config;
	struct fetch *fetch;

	if (list_empty(&sv->predecessors) || !config->admin.socket.path || fetch_new(&fetch))
		return;
	for (size_t i = 0; i < config->pool_count; i++)
		if (!ask_for_pool(sv, fetch, &config->pools[i]))
			break;
	fetch_free(fetch);
}
