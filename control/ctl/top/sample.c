/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the gathering of a sample. The happy path is: the status, which names the pools, then each
 * of them with its members; the targets' figures are picked out once, their texts stay where they
 * are.
 *
 * Failure modes: no answer, or not the expected one; a pool that a reload took away in between is
 * left out.
 */
#include "control/ctl/top/sample.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl/client.h"
#include "control/ctl/json.h"
#include "control/ctl/show.h"
#include "proxy/base/clock.h"

#define GONE 404

/* The JSON of one answer; -ENOENT for 404, -EPROTO for anything else but an object. */
static int get(struct client *client, const struct path *path, json_t **ret_json)
{
	struct reply reply;
	int err = client_call(client, "GET", path->text, NULL, &reply);

	if (err < 0)
		return err;
	if (reply.status == GONE)
		err = -ENOENT;
	else if (reply.status != 200 || !json_is_object(reply.json))
		err = -EPROTO;
	else
		*ret_json = json_incref(reply.json);
	reply_fini(&reply);
	return err;
}

static int add_pool(struct client *client, const char *name, json_t *pools)
{
	struct path path;
	json_t *pool;
	int err;

	path_init(&path, "/v1/pools/");
	path_add_encoded(&path, name);
	err = get(client, &path, &pool);
	if (err < 0)
		return err;
	return json_array_append_new(pools, pool) < 0 ? -ENOMEM : 0;
}

static int add_pools(struct client *client, const char *only, const json_t *status, json_t *pools)
{
	const json_t *pool;
	size_t i;

	if (only)
		return add_pool(client, only, pools);
	json_array_foreach (json_object_get(status, "pools"), i, pool) {
		int err = add_pool(client, field_text(pool, "name", ""), pools);

		if (err < 0 && err != -ENOENT)
			return err;
	}
	return 0;
}

int top_sample_take(struct client *client, const char *pool, struct top_sample *ret_sample)
{
	json_t *status = NULL, *pools = json_array();
	struct path path;
	int err;

	path_init(&path, "/v1/status");
	err = get(client, &path, &status);
	if (!err)
		err = add_pools(client, pool, status, pools);
	if (!err)
		return top_sample_init(ret_sample, status, pools, clock_us());
	json_decref(status);
	json_decref(pools);
	return err;
}

static size_t count_members(const json_t *pools)
{
	const json_t *pool;
	size_t i, count = 0;

	json_array_foreach (pools, i, pool)
		count += field_size(pool, "members");
	return count;
}

static void pick(const json_t *member, struct top_target *target)
{
	*target = (struct top_target){
		.pool = field_text(member, "pool", "?"),
		.name = field_text(member, "name", "?"),
		.state = field_text(member, "state", "?"),
		.reason = show_reason(member),
		.key = field_text(member, "key", ""),
		.open = field_count(member, "open"),
		.sessions = field_count(member, "sessions"),
		.sent_bytes = field_count(member, "sent_bytes"),
		.received_bytes = field_count(member, "received_bytes"),
		.connect_failures = field_count(member, "connect_failures"),
	};
}

int top_sample_init(struct top_sample *sample, json_t *status, json_t *pools, uint64_t at_us)
{
	struct top_target *targets = calloc(count_members(pools) + 1, sizeof(*targets));
	const json_t *pool, *member;
	size_t i, j, count = 0;

	if (!targets) {
		json_decref(status);
		json_decref(pools);
		return -ENOMEM;
	}
	json_array_foreach (pools, i, pool)
		json_array_foreach (json_object_get(pool, "members"), j, member)
			if (!show_is_gone(member))
				pick(member, &targets[count++]);
	*sample = (struct top_sample){.at_us = at_us,
				      .status = status,
				      .pools = pools,
				      .targets = targets,
				      .target_count = count};
	return 0;
}

void top_sample_fini(struct top_sample *sample)
{
	json_decref(sample->status);
	json_decref(sample->pools);
	free(sample->targets);
	*sample = (struct top_sample){0};
}

/* Targets keep their order, so the same place is looked at first. */
const struct top_target *top_sample_find(const struct top_sample *before, size_t place,
					 const struct top_target *target)
{
	static const struct top_target none;

	if (place < before->target_count && strcmp(before->targets[place].key, target->key) == 0)
		return &before->targets[place];
	for (size_t i = 0; i < before->target_count; i++)
		if (strcmp(before->targets[i].key, target->key) == 0)
			return &before->targets[i];
	return &none;
}
