/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what adds targets: a source's whole set, pushed with a generation, and one target by hand.
 * Happy path: the body is checked key by key, the registry takes it, and the answer waits until
 * workers run by it.
 *
 * Failure modes: the body is not what it should be (400, naming the place), the generation is not
 * newer (409, with the current one), the source is not one that may be pushed (403).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin/describe.h"
#include "proxy/admin/desk.h"
#include "proxy/admin/handlers.h"
#include "proxy/base/http/body.h"
#include "proxy/base/jot.h"
#include "proxy/registry.h"
#include "proxy/target.h"

#define SOURCE_NAME_MAX 31
#define ID_MAX          255
#define ZONE_MAX        63
#define ADDRESS_MAX     ADDR_TEXT

/* A target in a body. */
struct target_body {
	const char *id;
	const char *address;
	const char *zone;
	int64_t weight;
	int64_t max_connections;
	bool backup;
	bool draining;
};

static const struct body_key target_keys[] = {
	{"id", BODY_TEXT, .nullable = true, .spaceless = true, .min = 1, .max = ID_MAX,
	 .at = offsetof(struct target_body, id)},
	{"address", BODY_TEXT, .required = true, .spaceless = true, .min = 1, .max = ADDRESS_MAX,
	 .at = offsetof(struct target_body, address)},
	{"weight", BODY_NUMBER, .min = 0, .max = 1000, .at = offsetof(struct target_body, weight)},
	{"zone", BODY_TEXT, .nullable = true, .spaceless = true, .min = 1, .max = ZONE_MAX,
	 .at = offsetof(struct target_body, zone)},
	{"backup", BODY_BOOL, .at = offsetof(struct target_body, backup)},
	{"max_connections", BODY_NUMBER, .min = 0, .max = UINT32_MAX,
	 .at = offsetof(struct target_body, max_connections)},
	{"draining", BODY_BOOL, .at = offsetof(struct target_body, draining)},
};

#define TARGET_KEYS (sizeof(target_keys) / sizeof(target_keys[0]))

/* `*ret_spec` borrows from the body. */
static bool read_target(struct request *request, const json_t *object, const char *place,
			struct target_spec *ret_spec)
{
	struct target_body body = {.weight = 100};
	struct addr addr;

	if (!body_read(request, object, place, target_keys, TARGET_KEYS, &body, NULL))
		return false;
	if (addr_parse(body.address, &addr) || (addr.family != AF_UNIX && !addr.port)) {
		request_refuse(request, 400,
			       "%saddress must be a numeric address and port, such as "
			       "10.0.0.1:80, [2001:db8::1]:80 or unix:/path",
			       place);
		return false;
	}
	*ret_spec = (struct target_spec){
		.id = body.id,
		.addr = addr,
		.zone = body.zone,
		.weight = (uint32_t)body.weight,
		.max_connections = (uint32_t)body.max_connections,
		.backup = body.backup,
		.draining = body.draining,
	};
	return true;
}

struct set_body {
	int64_t generation;
	bool unverified;
	const json_t *targets;
};

static const struct body_key set_keys[] = {
	{"generation", BODY_NUMBER, .required = true, .min = 1, .max = INT64_MAX,
	 .at = offsetof(struct set_body, generation)},
	{"unverified", BODY_BOOL, .at = offsetof(struct set_body, unverified)},
	{"targets", BODY_LIST, .required = true, .at = offsetof(struct set_body, targets)},
};

#define SET_KEYS (sizeof(set_keys) / sizeof(set_keys[0]))

/* `*ret_specs` has room for every item. False with the answer given. */
static bool read_targets(struct request *request, const struct set_body *set,
			 struct target_spec *ret_specs)
{
	char place[32];
	size_t index;
	json_t *item;

	json_array_foreach (set->targets, index, item) {
		snprintf(place, sizeof(place), "targets[%zu].", index);
		if (!json_is_object(item)) {
			request_refuse(request, 400, "targets[%zu] must be an object", index);
			return false;
		}
		if (!read_target(request, item, place, &ret_specs[index]))
			return false;
		ret_specs[index].unverified = set->unverified;
	}
	return true;
}

static bool read_set(struct request *request, struct set_body *ret_set,
		     struct target_spec **ret_specs)
{
	struct target_spec *specs;

	if (!request->body) {
		request_refuse(request, 400, "the body is missing");
		return false;
	}
	if (!body_read(request, request->body, "", set_keys, SET_KEYS, ret_set, NULL))
		return false;
	specs = calloc(json_array_size(ret_set->targets) + 1, sizeof(*specs));
	if (!specs) {
		request_reply(request, 500, NULL);
		return false;
	}
	if (read_targets(request, ret_set, specs)) {
		*ret_specs = specs;
		return true;
	}
	free(specs);
	return false;
}

/* The file's targets change with the file, an operator's one by one. */
static bool may_push(struct request *request, const char *source)
{
	size_t len = strlen(source);

	if (len > SOURCE_NAME_MAX ||
	    strspn(source, "abcdefghijklmnopqrstuvwxyz0123456789_.-") != len) {
		request_refuse(request, 400,
			       "a source's name has at most 31 of a-z, 0-9, \"_\", \".\", \"-\"");
		return false;
	}
	if (strcmp(source, "config") != 0 && strcmp(source, "operator") != 0)
		return true;
	request_refuse(request, 403, "source \"%s\" is not pushed: its targets come from the %s",
		       source, *source == 'c' ? "configuration file" : "operator, one by one");
	return false;
}

static void answer_put(struct request *request, int err, uint64_t generation)
{
	if (err == -ESTALE)
		request_reply(request, 409,
			      JOT({"error", json_string("the generation is not newer than the "
							"current one, or the same with other "
							"targets")},
				  {"generation", json_integer((json_int_t)generation)}));
	else if (err == -EINVAL)
		request_refuse(request, 400, "two targets have the same id and address");
	else if (err == -E2BIG)
		request_refuse(request, 413, "too many targets for one pool");
	else if (err < 0)
		request_refuse(request, 500, "not applied: %s", strerror(-err));
	else
		request_reply(request, 200,
			      JOT({"result", json_string(err == PUT_SAME ? "same" : "applied")},
				  {"generation", json_integer((json_int_t)generation)}));
}

void put_source(struct desk *desk, struct request *request)
{
	const char *pool = request->segments[2], *source = request->segments[4];
	struct target_spec *specs;
	struct set_body set = {0};
	uint64_t generation = 0;
	int err;

	if (!find_pool(desk, request, pool) || !may_push(request, source) ||
	    !read_set(request, &set, &specs))
		return;
	err = registry_put(desk->ops.registry, pool, source, (uint64_t)set.generation, specs,
			   json_array_size(set.targets), &generation);
	free(specs);
	answer_put(request, err, err < 0 ? generation : (uint64_t)set.generation);
	if (err >= 0)
		desk_publish(desk, request, NULL);
}

void delete_source(struct desk *desk, struct request *request)
{
	const char *pool = request->segments[2], *source = request->segments[4];
	int err;

	if (!find_pool(desk, request, pool) || !may_push(request, source))
		return;
	err = registry_drop_source(desk->ops.registry, pool, source);
	if (err) {
		request_refuse(request, err == -ENOENT ? 404 : 500, "pool \"%s\" %s \"%s\"", pool,
			       err == -ENOENT ? "has no source" : "could not drop source", source);
		return;
	}
	request_reply(request, 200, JOT({"result", json_string("dropped")}));
	desk_publish(desk, request, NULL);
}

static bool same_id(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* What the registry made of a spec. */
static const struct target_record *record_of(const struct pool_record *pool,
					     const struct target_spec *spec)
{
	for (size_t i = 0; i < pool->target_count; i++) {
		const struct target_record *record = pool->targets[i];

		if (!record->removed_us && same_id(record->id, spec->id) &&
		    addr_equal(&record->target->addr, &spec->addr))
			return record;
	}
	return NULL;
}

void post_target(struct desk *desk, struct request *request)
{
	const struct pool_record *pool = find_pool(desk, request, request->segments[2]);
	const struct target_record *record;
	struct target_spec spec;
	int err;

	if (!pool)
		return;
	if (!request->body) {
		request_refuse(request, 400, "the body is missing");
		return;
	}
	if (!read_target(request, request->body, "", &spec))
		return;
	err = registry_add(desk->ops.registry, pool->conf->name, &spec);
	record = err ? NULL : record_of(pool, &spec);
	if (err == -EEXIST)
		request_refuse(request, 409, "pool \"%s\" has that target already",
			       pool->conf->name);
	else if (!record)
		request_refuse(request, 500, "not added: %s", strerror(err ? -err : ENOENT));
	if (!record)
		return;
	request_reply(request, 201, describe_target(desk, record));
	desk_publish(desk, request, record);
}
