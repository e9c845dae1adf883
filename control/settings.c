/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps from a file to struct settings. See settings.h.
 */
#include "control/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/options.h"
#include "proxy/base/conf/check.h"
#include "proxy/base/conf/discover_rules.h"
#include "proxy/base/conf/keys.h"
#include "proxy/base/conf/yaml_tree.h"

#define UNIX_PREFIX "unix:"
#define US_PER_MS   UINT64_C(1000)

static const struct schema_map *part_map(const char *name)
{
	return schema_find(&schema_root, name)->map;
}

static uint64_t part_number(const struct node *root, const char *part, const char *key)
{
	return schema_number(part_map(part), node_get(root, part), key);
}

static const char *part_text(const struct node *root, const char *part, const char *key)
{
	return schema_text(node_get(root, part), key);
}

/* A socket may be written with unix: in front. */
static const char *path_of(const char *text)
{
	size_t len = strlen(UNIX_PREFIX);

	return text && strncmp(text, UNIX_PREFIX, len) == 0 ? text + len : text;
}

static void read_control(struct settings *settings)
{
	const struct node *root = settings->tree;

	settings->socket = path_of(part_text(root, "control", "socket"));
	settings->socket_mode = (uint32_t)part_number(root, "control", "mode");
	settings->http = part_text(root, "control", "http");
	settings->place = (struct aws_place){.region = part_text(root, "control", "region"),
					     .profile = part_text(root, "control", "profile"),
					     .endpoint = part_text(root, "control", "endpoint")};
	settings->ca_file = part_text(root, "control", "ca_file");
	settings->fips = part_number(root, "control", "fips");
	settings->dual_stack = part_number(root, "control", "dual_stack");
	settings->fleet_size = (uint32_t)part_number(root, "control", "fleet_size");
	settings->api_rate = (uint32_t)part_number(root, "control", "api_rate");
	settings->last_good_max_age_us =
		part_number(root, "control", "last_good_max_age") * US_PER_MS;
	settings->lifecycle = part_number(root, "control", "lifecycle");
	settings->lifecycle_hook = part_text(root, "control", "lifecycle_hook");
	settings->queue = part_text(root, "control", "queue");
	settings->queue_topic = part_text(root, "control", "queue_topic");
}

static void read_root(struct settings *settings)
{
	const struct node *root = settings->tree;

	settings->user = schema_text(root, "user");
	settings->log_level = schema_text(root, "log_level");
	settings->state_directory = schema_text(root, "state_directory");
	settings->admin_socket = path_of(part_text(root, "admin", "socket"));
}

static uint32_t check_interval(const struct node *pool)
{
	const struct node *health = node_get(pool, "health");
	const char *type = schema_text(health, "type");

	if (!type || strcmp(type, "off") == 0)
		return 0;
	return (uint32_t)schema_number(&schema_health, health, "interval");
}

static const char *or_else(const char *text, const char *fallback)
{
	return text ? text : fallback;
}

/* What a source does not say is as for all; a role is each one's own. */
static void read_place(const struct settings *settings, const struct node *conf,
		       struct aws_place *place)
{
	*place = (struct aws_place){
		.region = or_else(schema_text(conf, "region"), settings->place.region),
		.profile = or_else(schema_text(conf, "profile"), settings->place.profile),
		.role_arn = schema_text(conf, "role_arn"),
		.external_id = schema_text(conf, "external_id"),
		.endpoint = or_else(schema_text(conf, "endpoint"), settings->place.endpoint)};
}

static void read_source(const struct settings *settings, const struct node *pool, const char *kind,
			const struct node *conf, struct source_settings *source)
{
	const struct schema_map *map = discover_source_map(kind);

	*source = (struct source_settings){
		.pool = schema_text(pool, "name"),
		.kind = kind,
		.name = discover_name(kind, conf),
		.conf = conf,
		.guard = {.max_shrink_percent = (uint32_t)schema_number(map, conf, "max_shrink"),
			  .allow_empty = schema_number(map, conf, "allow_empty")},
		.interval_ms = (uint32_t)schema_number(map, conf, "interval"),
		.is_aws = schema_find(map, "region") != NULL,
		.check_interval_ms = check_interval(pool)};
	if (source->is_aws)
		read_place(settings, conf, &source->place);
}

static size_t count_sources(const struct node *pools)
{
	size_t count = 0;

	for (size_t i = 0; i < node_items(pools); i++) {
		struct discover_cursor cursor = {node_get(pools->children[i], "discover"), 0, 0, 0};
		const struct node *conf;
		const char *kind;

		while (cursor.discover && discover_next(&cursor, &kind, &conf))
			count++;
	}
	return count;
}

static int read_sources(struct settings *settings)
{
	const struct node *pools = node_get(settings->tree, "pools");

	settings->sources = calloc(count_sources(pools) + 1, sizeof(*settings->sources));
	settings->pools = calloc(node_items(pools) + 1, sizeof(*settings->pools));
	if (!settings->sources || !settings->pools)
		return -ENOMEM;
	for (size_t i = 0; i < node_items(pools); i++) {
		const struct node *pool = pools->children[i], *conf;
		struct discover_cursor cursor = {node_get(pool, "discover"), 0, 0, 0};
		const char *kind;

		if (!cursor.discover)
			continue;
		settings->pools[settings->pool_count++] = schema_text(pool, "name");
		while (discover_next(&cursor, &kind, &conf))
			read_source(settings, pool, kind, conf,
				    &settings->sources[settings->source_count++]);
	}
	return 0;
}

/* What the proxy has no need of, but we do. */
static void check(const struct node *root, struct conf_errors *errors)
{
	const struct node *pools = node_get(root, "pools"), *first = NULL;
	const struct node *lifecycle = node_get(node_get(root, "control"), "lifecycle");
	bool leaves = lifecycle && lifecycle->text && strcmp(lifecycle->text, "auto") == 0;
	bool reachable = node_get(node_get(root, "admin"), "socket");

	for (size_t i = 0; i < node_items(pools) && !first; i++)
		first = node_get(pools->children[i], "discover");
	if (leaves && !reachable)
		conf_error(
			errors, &lifecycle->where,
			"lifecycle: found \"auto\" without an \"admin\" socket; expected one, as "
			"that is where the proxy is told to drain");
	if (!first && !leaves)
		conf_warn(errors, &root->where,
			  "found no pool with \"discover\"; there is nothing to do for "
			  "sluice-control");
	else if (first && !reachable)
		conf_error(errors, &first->name_where,
			   "found \"discover\" without an \"admin\" socket; expected one, as that "
			   "is where targets are pushed to");
}

static int read_tree(const struct control_options *options, struct conf_errors *errors,
		     struct node **ret_root)
{
	struct node *root;
	int err = yaml_tree_load(options->line.config_file, errors, &root);

	if (err < 0)
		return err;
	err = given_overlay(&options->line.given, root);
	if (err == 0) {
		check(root, errors);
		err = conf_settle(root, false, errors);
	}
	if (err < 0) {
		node_free(root);
		return err;
	}
	*ret_root = root;
	return 0;
}

int settings_load(const struct control_options *options, struct conf_errors *errors,
		  struct settings **ret_settings)
{
	struct settings *settings = calloc(1, sizeof(*settings));
	int err = -ENOMEM;

	if (settings) {
		settings->refs = 1;
		err = read_tree(options, errors, &settings->tree);
	}
	if (err == 0) {
		read_root(settings);
		read_control(settings);
		err = read_sources(settings);
	}
	if (err < 0) {
		settings_free(settings);
		return err;
	}
	*ret_settings = settings;
	return 0;
}

struct settings *settings_ref(struct settings *settings)
{
	settings->refs++;
	return settings;
}

void settings_free(struct settings *settings)
{
	if (!settings || --settings->refs)
		return;
	free(settings->sources);
	free(settings->pools);
	node_free(settings->tree);
	free(settings);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_tree(const struct node *a, const struct node *b)
{
	if (a->kind != b->kind || a->count != b->count || !same_text(a->name, b->name) ||
	    !same_text(a->text, b->text))
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!same_tree(a->children[i], b->children[i]))
			return false;
	return true;
}

bool settings_same_place(const struct aws_place *a, const struct aws_place *b)
{
	return same_text(a->region, b->region) && same_text(a->profile, b->profile) &&
	       same_text(a->role_arn, b->role_arn) && same_text(a->external_id, b->external_id) &&
	       same_text(a->endpoint, b->endpoint);
}

bool settings_same_source(const struct source_settings *a, const struct source_settings *b)
{
	return strcmp(a->pool, b->pool) == 0 && strcmp(a->kind, b->kind) == 0 &&
	       strcmp(a->name, b->name) == 0 && settings_same_place(&a->place, &b->place) &&
	       same_tree(a->conf, b->conf);
}

bool settings_need_restart(const struct settings *a, const struct settings *b)
{
	return !same_text(a->user, b->user) || !same_text(a->socket, b->socket) ||
	       a->socket_mode != b->socket_mode || !same_text(a->http, b->http) ||
	       !same_text(a->state_directory, b->state_directory) ||
	       !same_text(a->admin_socket, b->admin_socket) || !same_text(a->ca_file, b->ca_file) ||
	       a->fips != b->fips || a->dual_stack != b->dual_stack ||
	       a->fleet_size != b->fleet_size || a->api_rate != b->api_rate ||
	       a->lifecycle != b->lifecycle || !same_text(a->lifecycle_hook, b->lifecycle_hook) ||
	       !same_text(a->queue, b->queue) || !same_text(a->queue_topic, b->queue_topic) ||
	       !settings_same_place(&a->place, &b->place);
}
