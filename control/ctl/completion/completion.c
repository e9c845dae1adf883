/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what is asked of the proxy, or of sluice-control, while a person presses the tab key: names
 * of pools, targets, listeners and sources. Failure modes: no program, or one that does not answer
 * within a second, is no candidate; the scripts throw stderr away.
 */
#include "control/ctl/completion/completion.h"

#include <stdlib.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/json.h"
#include "control/ctl/pools.h"
#include "control/ctl/socket.h"
#include "control/ctl/utf8.h"
#include "control/ctl/verbs.h"

#define PATIENCE_MS 1000
#define NAME_BYTES  512

/* A name that would need quoting in a shell is offered all the same; one that could do worse to a
 * terminal is not. */
static void offer(const struct completion *completion, const json_t *object, const char *key)
{
	const char *name = field_text(object, key, "");
	char clean[NAME_BYTES];

	snprintf(clean, sizeof(clean), "%s", name);
	if (*name && strcmp(utf8_clean(clean), name) == 0)
		completion_candidate(completion, name, field_text(object, "state", NULL), stdout);
}

static void offer_all(const struct completion *completion, const json_t *array)
{
	const json_t *object;
	size_t i;

	json_array_foreach (array, i, object)
		offer(completion, object, "name");
}

static int offer_members(void *context, const struct reply *pool)
{
	const json_t *members = json_object_get(pool->json, "members");

	offer_all(context, members);
	return CTL_OK;
}

static int offer_sources(void *context, const struct reply *pool)
{
	offer_all(context, json_object_get(pool->json, "sources"));
	return CTL_OK;
}

/* `key` of an answer is an array of things with names. */
static int offer_from(struct ctl *ctl, struct completion *completion, const char *where,
		      const char *key)
{
	struct reply reply;
	struct path path;
	int code;

	path_init(&path, where);
	code = ctl_get(ctl, &path, &reply);
	if (code)
		return code;
	offer_all(completion, json_object_get(reply.json, key));
	reply_fini(&reply);
	return CTL_OK;
}

/* Of the sources that sluice-control has: their pools, each once, or those of the pool that was
 * typed before. */
static int offer_feeds(struct ctl *ctl, const struct completion *completion)
{
	bool pools = completion_kind(completion) == WORD_POOL;
	const char *pool = completion->args.words[1], *before = "";
	struct reply reply;
	const json_t *feed;
	struct path path;
	size_t i;
	int code;

	path_init(&path, "/v1/discovery");
	code = ctl_get(ctl, &path, &reply);
	if (code)
		return code;
	json_array_foreach (json_object_get(reply.json, "feeds"), i, feed) {
		const char *of = field_text(feed, "pool", "");

		if (pools && strcmp(of, before) != 0)
			offer(completion, feed, "pool");
		else if (!pools && pool && strcmp(of, pool) == 0)
			offer(completion, feed, "source");
		before = of;
	}
	reply_fini(&reply);
	return CTL_OK;
}

static bool is_of_control(const struct completion *completion)
{
	enum word_kind kind = completion_kind(completion);

	return completion->args.verb && completion->args.verb->control &&
	       (kind == WORD_POOL || kind == WORD_SOURCE);
}

static int ask(struct ctl *ctl, struct completion *completion)
{
	const struct args *args = &completion->args;

	if (is_of_control(completion))
		return offer_feeds(ctl, completion);
	switch (completion_kind(completion)) {
	case WORD_POOL:
		return offer_from(ctl, completion, "/v1/pools", "pools");
	case WORD_LISTENER:
		return offer_from(ctl, completion, "/v1/status", "listeners");
	case WORD_TARGET:
		return pools_walk(ctl, NULL, offer_members, completion);
	case WORD_SOURCE:
		return pools_walk(ctl, args->word_count ? args->words[0] : NULL, offer_sources,
				  completion);
	default:
		return CTL_OK;
	}
}

int completion_answer(int count, char *const *words)
{
	struct completion completion;
	struct ctl ctl = {0};
	int code;

	if (count < 1)
		return CTL_USAGE;
	completion_parse(count, words, &completion);
	completion_offer(&completion, stdout);
	if (!completion.option && completion.current[0] == '-')
		return CTL_OK;
	ctl.args = completion.args;
	ctl.args.globals[GLOBAL_JSON] = NULL;
	ctl.client = socket_client(&ctl.args);
	if (!ctl.client)
		return CTL_REFUSED;
	client_set_timeout(ctl.client, PATIENCE_MS);
	code = ask(&ctl, &completion);
	client_free(ctl.client);
	return code;
}

int verb_completion(struct ctl *ctl)
{
	fputs(completion_script(ctl->args.words[0]), stdout);
	return CTL_OK;
}
