/* SPDX-License-Identifier: Apache-2.0
 *
 * `discovery`: what sluice-control knows, and what an operator decides about it. The happy path is
 * one request, whose answer is shown. Failure modes: an action that needs a source and got none,
 * or a daemon that refuses (nothing is held, another set is held).
 */
#include <string.h>

#include "control/ctl/client.h"
#include "control/ctl/ctl.h"
#include "control/ctl/discovery.h"
#include "control/ctl/json.h"
#include "control/ctl/socket.h"
#include "control/ctl/verbs.h"

#define MENTION_MS 1000

/* --pool is applied here: the answer is one. */
static void print_list(struct ctl *ctl, const json_t *json)
{
	const char *pool = args_option(&ctl->args, "--pool");
	json_t *feeds = json_object_get(json, "feeds");

	for (size_t i = json_array_size(feeds); pool && i-- > 0;)
		if (strcmp(field_text(json_array_get(feeds, i), "pool", ""), pool) != 0)
			json_array_remove(feeds, i);
	discovery_print(ctl, json);
}

static int list(struct ctl *ctl)
{
	struct path path;

	path_init(&path, "/v1/discovery");
	return ctl_ask(ctl, "GET", &path, NULL, print_list);
}

/* "/v1/discovery/POOL/SOURCE", and the action behind it. */
static int act(struct ctl *ctl, const char *method, const char *action, const json_t *body)
{
	struct path path;

	path_init(&path, "/v1/discovery/");
	path_add_encoded(&path, ctl->args.words[1]);
	path_add(&path, "/");
	path_add_encoded(&path, ctl->args.words[2]);
	path_add(&path, action);
	return ctl_ask(ctl, method, &path, body, discovery_print_feed);
}

static int show(struct ctl *ctl)
{
	return act(ctl, "GET", "", NULL);
}

static int approve(struct ctl *ctl)
{
	json_t *body = json_pack("{s:s?}", "digest", args_option(&ctl->args, "--digest"));
	int code = act(ctl, "POST", "/approve", body);

	json_decref(body);
	return code;
}

static int reject(struct ctl *ctl)
{
	return act(ctl, "POST", "/reject", NULL);
}

static int refresh(struct ctl *ctl)
{
	return act(ctl, "POST", "/refresh", NULL);
}

/* In the order of the row's choices. */
static const struct action {
	const char *name;
	unsigned words; /* behind it */
	int (*run)(struct ctl *ctl);
} actions[] = {
	{"list", 0, list},     {"show", 2, show},       {"approve", 2, approve},
	{"reject", 2, reject}, {"refresh", 2, refresh}, {"events", 0, verb_events},
};

int verb_discovery(struct ctl *ctl)
{
	const struct action *action = actions;
	const char *name = ctl->args.words[0];

	while (name && strcmp(action->name, name) != 0)
		action++;
	if (name && ctl->args.word_count < 1 + action->words)
		return ctl_usage(ctl, "%s needs POOL and SOURCE", action->name);
	if (name && ctl->args.word_count > 1 + action->words)
		return ctl_usage(ctl, "%s has no use for \"%s\"; perhaps --pool %s", action->name,
				 ctl->args.words[1], ctl->args.words[1]);
	if (args_option(&ctl->args, "--digest") && action->run != approve)
		return ctl_usage(ctl, "only approve takes --digest");
	return action->run(ctl);
}

void discovery_mention_held(struct ctl *ctl)
{
	struct client *client = client_new(socket_control_path(&ctl->args), CLIENT_CONTROL);
	struct reply reply = {0};
	const json_t *feed;
	size_t i;

	if (!client)
		return;
	client_set_timeout(client, MENTION_MS);
	if (client_call(client, "GET", "/v1/discovery", NULL, &reply) == 0)
		json_array_foreach (json_object_get(reply.json, "feeds"), i, feed) {
			const char *pool = field_text(feed, "pool", "?");
			const char *source = field_text(feed, "source", "?");
			const json_t *held = json_object_get(feed, "held");

			if (!json_is_object(held))
				continue;
			putchar('\n');
			ctl_say("sluice-control holds a change of %s/%s: %s", pool, source,
				field_text(held, "text", "?"));
			ctl_say("  see: sluicectl discovery show %s %s", pool, source);
		}
	reply_fini(&reply);
	client_free(client);
}
