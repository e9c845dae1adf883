/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening and closing what is subscribed to. See subscription.h.
 */
#include "control/daemon/subscription.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/feed.h"
#include "control/settings.h"
#include "control/source.h"
#include "proxy/base/conf/errors.h"
#include "proxy/base/conf/tree.h"
#include "proxy/base/panic.h"

#define of_link(at) container_of(at, struct subscription, link)

void subscriptions_init(struct subscriptions *subs, struct loop *loop, struct aws_hub *hub)
{
	*subs = (struct subscriptions){.loop = loop, .hub = hub};
	list_init(&subs->all);
}

static const struct source_kind *find_kind(const char *name)
{
	for (size_t i = 0; source_kinds[i]; i++)
		if (strcmp(source_kinds[i]->name, name) == 0)
			return source_kinds[i];
	panic(__FILE__, __LINE__, "the schema has no kind that we have not");
}

static struct subscription *same_place(const struct list *list, const struct aws_place *place)
{
	list_for_each (at, list)
		if (of_link(at)->aws && settings_same_place(&of_link(at)->conf->place, place))
			return of_link(at);
	return NULL;
}

/* The client of somebody who asks the same, or a new one. */
static int open_place(struct subscriptions *subs, const struct list *fresh,
		      struct subscription *sub, struct conf_errors *errors)
{
	const struct aws_place *place = &sub->conf->place;
	const struct subscription *other = same_place(&subs->all, place);
	char problem[256];
	int err;

	if (!other)
		other = same_place(fresh, place);
	if (other) {
		sub->aws = other->aws;
		return 0;
	}
	err = aws_open(subs->hub, place, &sub->aws, problem, sizeof(problem));
	if (err == -EINVAL)
		conf_error(errors, &sub->conf->conf->where, "%s", problem);
	return err;
}

static int open_source(struct subscriptions *subs, const struct list *fresh,
		       struct subscription *sub, struct conf_errors *errors)
{
	int err = sub->conf->is_aws ? open_place(subs, fresh, sub, errors) : 0;
	struct source_world world = {.loop = subs->loop, .aws = sub->aws};

	return err ? err : sub->kind->open(sub->conf->conf, &world, errors, &sub->source);
}

static bool is_shared(const struct list *list, const struct subscription *sub)
{
	list_for_each (at, list)
		if (of_link(at) != sub && of_link(at)->aws == sub->aws)
			return true;
	return false;
}

/* `list` is the one it is on. */
static void close_one(struct subscriptions *subs, const struct list *list, struct subscription *sub)
{
	bool shared = is_shared(&subs->all, sub) || is_shared(list, sub);

	list_remove(&sub->link);
	if (sub->feed)
		feed_free(sub->feed);
	else if (sub->source)
		sub->kind->close(sub->source);
	if (!shared)
		aws_close(sub->aws);
	settings_free(sub->settings);
	free(sub);
}

void subscriptions_close(struct subscriptions *subs, struct list *list)
{
	list_for_each_safe (at, list)
		close_one(subs, list, of_link(at));
}

/* On the list of fresh ones, so that whatever fails is closed with them. */
static int add(struct subscriptions *subs, struct settings *settings, size_t index,
	       struct conf_errors *errors, struct list *fresh)
{
	struct subscription *sub = calloc(1, sizeof(*sub));

	if (!sub)
		return -ENOMEM;
	sub->settings = settings_ref(settings);
	sub->conf = &settings->sources[index];
	sub->kind = find_kind(sub->conf->kind);
	list_push_back(fresh, &sub->link);
	return open_source(subs, fresh, sub, errors);
}

static struct subscription *find_same(const struct list *list, const struct source_settings *conf)
{
	list_for_each (at, list)
		if (settings_same_source(of_link(at)->conf, conf))
			return of_link(at);
	return NULL;
}

static void move_all(struct list *from, struct list *to)
{
	struct list *at;

	while ((at = list_pop_front(from)))
		list_push_back(to, at);
}

/* The list anew: of each source what is fresh, or else what was there. */
static void arrange(struct subscriptions *subs, const struct settings *settings, struct list *fresh,
		    struct list *ret_left)
{
	struct list arranged;

	list_init(&arranged);
	for (size_t i = 0; i < settings->source_count; i++) {
		struct subscription *sub = find_same(&subs->all, &settings->sources[i]);

		if (!sub)
			sub = find_same(fresh, &settings->sources[i]);
		list_remove(&sub->link);
		list_push_back(&arranged, &sub->link);
	}
	move_all(&subs->all, ret_left);
	move_all(&arranged, &subs->all);
}

int subscriptions_open(struct subscriptions *subs, struct settings *settings,
		       struct conf_errors *errors, struct list *ret_left)
{
	struct list fresh;
	int err = 0;

	list_init(&fresh);
	for (size_t i = 0; i < settings->source_count; i++) {
		int failed = 0;

		if (!find_same(&subs->all, &settings->sources[i]))
			failed = add(subs, settings, i, errors, &fresh);
		if (failed)
			err = err == -ENOMEM ? err : failed;
	}
	if (err)
		subscriptions_close(subs, &fresh);
	else
		arrange(subs, settings, &fresh, ret_left);
	return err;
}

uint32_t *subscriptions_calls_x100(const struct subscriptions *subs, size_t expected)
{
	size_t count = 0;
	uint32_t *calls;

	list_for_each (at, &subs->all)
		count++;
	calls = calloc(count + 1, sizeof(*calls));
	count = 0;
	list_for_each (at, &subs->all)
		if (calls)
			calls[count++] =
				of_link(at)->kind->calls_x100(of_link(at)->source, expected);
	return calls;
}
