/* SPDX-License-Identifier: Apache-2.0
 *
 * Which targets a pool has: `add-target`, `remove-target`, and `put-targets` for scripts that own a
 * whole set.
 */
#include <inttypes.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/json.h"
#include "control/ctl/pools.h"
#include "control/ctl/targets.h"
#include "control/ctl/verbs.h"

/* --- add and remove --- */

static void set_text(json_t *body, const char *key, const char *value)
{
	if (value)
		json_object_set_new(body, key, json_string(value));
}

static void set_number(struct ctl *ctl, json_t *body, const char *key, const char *flag)
{
	if (args_option(&ctl->args, flag))
		json_object_set_new(body, key,
				    json_integer((json_int_t)args_number(&ctl->args, flag, 0)));
}

int verb_add_target(struct ctl *ctl)
{
	json_t *body = json_object();
	struct path path;
	int code;

	set_text(body, "address", ctl->args.words[1]);
	set_text(body, "id", args_option(&ctl->args, "--id"));
	set_text(body, "zone", args_option(&ctl->args, "--zone"));
	set_number(ctl, body, "weight", "--weight");
	set_number(ctl, body, "max_connections", "--max-connections");
	if (args_option(&ctl->args, "--backup"))
		json_object_set_new(body, "backup", json_true());
	path_init(&path, "/v1/pools/");
	path_add_encoded(&path, ctl->args.words[0]);
	path_add(&path, "/targets");
	code = ctl_ask(ctl, "POST", &path, body, target_print);
	json_decref(body);
	return code;
}

int verb_remove_target(struct ctl *ctl)
{
	struct path path;

	target_path(ctl, "", &path);
	return target_change(ctl, "DELETE", &path, NULL);
}

/* --- a whole set --- */

/* The generation after the source's current one; 1 for a source that is new. */
static int next_generation(struct ctl *ctl, uint64_t *ret_generation)
{
	const json_t *source;
	struct reply pool;
	uint64_t generation = 0;
	int code = pools_get(ctl, ctl->args.words[0], &pool);
	size_t i;

	if (code)
		return code;
	json_array_foreach (json_object_get(pool.json, "sources"), i, source)
		if (strcmp(field_text(source, "name", ""), ctl->args.words[1]) == 0)
			generation = field_count(source, "generation");
	reply_fini(&pool);
	*ret_generation = generation + 1;
	return CTL_OK;
}

/* The file as the API wants it: an object, even if it holds only the list. */
static json_t *read_set(struct ctl *ctl)
{
	const char *name = ctl->args.words[2];
	json_error_t error;
	json_t *set = strcmp(name, "-") == 0 ? json_loadf(stdin, JSON_REJECT_DUPLICATES, &error)
					     : json_load_file(name, JSON_REJECT_DUPLICATES, &error);

	if (!set && error.line < 0)
		ctl_fail("%s", error.text);
	else if (!set)
		ctl_fail("%s:%d:%d: %s", name, error.line, error.column, error.text);
	if (json_is_array(set))
		return json_pack("{s:o}", "targets", set);
	return set;
}

static int set_generation(struct ctl *ctl, json_t *set)
{
	uint64_t generation = args_number(&ctl->args, "--generation", 0);
	int code = CTL_OK;

	if (!generation && json_object_get(set, "generation"))
		return CTL_OK;
	if (!generation)
		code = next_generation(ctl, &generation);
	if (!code)
		json_object_set_new(set, "generation", json_integer((json_int_t)generation));
	return code;
}

static void print_put(struct ctl *ctl, const json_t *json)
{
	ctl_say("%s: generation %" PRIu64 " of source %s in pool %s",
		field_text(json, "result", "done"), field_count(json, "generation"),
		ctl->args.words[1], ctl->args.words[0]);
}

int verb_put_targets(struct ctl *ctl)
{
	json_t *set = read_set(ctl);
	struct path path;
	int code;

	if (!set)
		return CTL_USAGE;
	code = set_generation(ctl, set);
	path_init(&path, "/v1/pools/");
	path_add_encoded(&path, ctl->args.words[0]);
	path_add(&path, "/sources/");
	path_add_encoded(&path, ctl->args.words[1]);
	if (!code)
		code = ctl_ask(ctl, "PUT", &path, set, print_put);
	json_decref(set);
	return code;
}
