/* SPDX-License-Identifier: Apache-2.0
 *
 * Between subscriptions, feeds and the proxy. Happy path: each subscription gets a feed; what the
 * proxy says goes to the feed that it concerns; sources that left the configuration are taken back
 * from the proxy, also those that left it while nobody looked.
 * Failure modes: memory; then a source that left may stay at the proxy until the next start.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/daemon/internal.h"
#include "control/dryrun.h"
#include "control/estimate.h"
#include "control/journal.h"
#include "control/lastgood.h"
#include "control/lifecycle.h"
#include "control/link.h"
#include "control/options.h"
#include "control/settings.h"
#include "control/source.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"

#define PROXY_SOURCES_MAX 128 /* of one pool, looked through for those that are ours no longer */

#define of_link(at) container_of(at, struct subscription, link)

static int make_feed(struct daemon *daemon, struct subscription *sub)
{
	const struct source_settings *conf = sub->conf;
	struct feed *feed = feed_new(&daemon->feeds, conf->pool, conf->name, sub->kind);
	const char *region = conf->place.region;

	if (!feed)
		return -ENOMEM;
	if (!region && sub->aws)
		region = aws_region(sub->aws);
	sub->feed = feed;
	feed->source = sub->source;
	feed->aws = sub->aws;
	feed->guard = conf->guard;
	feed->interval_ms = conf->interval_ms;
	lastgood_key(conf->pool, conf->kind, conf->conf, region, feed->key);
	if (!daemon->options->dry_run)
		feed_start(feed);
	return 0;
}

/* The whole fleet's calls count, so one source more may make the intervals of others longer. */
void feeding_stretch(struct daemon *daemon)
{
	uint32_t *calls = subscriptions_calls_x100(&daemon->subs, ESTIMATE_TARGETS);
	struct estimate estimate = {.settings = daemon->settings,
				    .calls_x100 = calls,
				    .fleet_size = daemon->fleet_size};
	char warning[512];
	size_t index = 0;

	if (!calls)
		return;
	list_for_each (at, &daemon->subs.all)
		of_link(at)->feed->stretch = estimate_stretch(&estimate, index++);
	if (estimate_warns(&estimate, estimate_in_container(), warning, sizeof(warning)))
		log_event(LOG_WARN, "costly_source", "hint=\"%s\"", warning);
	free(calls);
}

/* Files of sources that are gone, once they would not be used any more either. */
static void sweep_files(struct daemon *daemon)
{
	const char **keys = calloc(daemon->settings->source_count + 1, sizeof(char *));
	size_t count = 0;

	if (!keys)
		return;
	list_for_each (at, &daemon->subs.all)
		keys[count++] = of_link(at)->feed->key;
	lastgood_sweep(daemon->lastgood, keys, count, clock_wall_us(),
		       daemon->settings->last_good_max_age_us);
	free(keys);
}

int feeding_start(struct daemon *daemon)
{
	struct feed_set *feeds = &daemon->feeds;
	int err = 0;

	feeds->last_good_max_age_us = daemon->settings->last_good_max_age_us;
	feeds->fleet_size = daemon->fleet_size;
	list_for_each (at, &daemon->subs.all)
		if (!err && !of_link(at)->feed)
			err = make_feed(daemon, of_link(at));
	if (err)
		return err;
	feeding_stretch(daemon);
	if (!daemon->options->dry_run)
		sweep_files(daemon);
	return 0;
}

/* The settings are asked, not the feeds: on a reload the feed that takes over a source of changed
 * meaning is not there yet, and what it takes over must not be taken back in between. */
static bool is_configured(const struct daemon *daemon, const char *pool, const char *name)
{
	const struct settings *settings = daemon->settings;

	for (size_t i = 0; i < settings->source_count; i++)
		if (strcmp(settings->sources[i].pool, pool) == 0 &&
		    strcmp(settings->sources[i].name, name) == 0)
			return true;
	return false;
}

static void withdraw(struct daemon *daemon, const char *pool, const char *name)
{
	if (link_withdraw(daemon->link, pool, name) == 0)
		journal_note(daemon->journal, LOG_INFO, "withdrawn", pool, name, NULL,
			     "the configuration has it no longer");
}

void feeding_end(struct daemon *daemon, struct list *left)
{
	list_for_each_safe (at, left) {
		struct subscription *sub = of_link(at);
		struct list one;

		list_remove(at);
		list_init(&one);
		list_push_back(&one, at);
		const char *pool = sub->conf->pool, *name = sub->conf->name;
		struct settings *settings = settings_ref(sub->settings); /* has both */

		subscriptions_close(&daemon->subs, &one);
		if (!is_configured(daemon, pool, name))
			withdraw(daemon, pool, name);
		settings_free(settings);
	}
}

void feeding_on_proxy_up(struct daemon *daemon)
{
	const char *names[PROXY_SOURCES_MAX];

	for (size_t i = 0; i < daemon->settings->pool_count; i++) {
		const char *pool = daemon->settings->pools[i];
		size_t count = link_sources(daemon->link, pool, names, PROXY_SOURCES_MAX);

		for (size_t j = 0; j < count; j++)
			if (!is_configured(daemon, pool, names[j]))
				withdraw(daemon, pool, names[j]);
	}
	list_for_each (at, &daemon->feeds.feeds)
		feed_on_proxy(container_of(at, struct feed, link));
}

static void on_up(void *context)
{
	struct daemon *daemon = context;

	if (daemon->dryrun) {
		dryrun_on_proxy(daemon->dryrun, NULL);
		return;
	}
	journal_note(daemon->journal, LOG_INFO, "proxy_up", NULL, NULL, NULL, "%s answers",
		     daemon->admin_socket);
	feeding_on_proxy_up(daemon);
}

static void on_down(void *context, const char *problem)
{
	struct daemon *daemon = context;

	if (daemon->dryrun) {
		dryrun_on_proxy(daemon->dryrun, problem);
		return;
	}
	journal_note(daemon->journal, LOG_WARN, "proxy_down", NULL, NULL, NULL, "%s: %s",
		     daemon->admin_socket, problem);
}

static void on_pushed(void *context, const char *pool, const char *source, uint64_t generation,
		      const char *problem)
{
	struct daemon *daemon = context;
	struct feed *feed = feed_find(&daemon->feeds, pool, source);

	if (feed)
		feed_on_pushed(feed, generation, problem);
}

int feeding_connect(struct daemon *daemon)
{
	const struct settings *settings = daemon->settings;
	struct link_conf conf = {.loop = &daemon->loop,
				 .http = daemon->http,
				 .socket = daemon->admin_socket,
				 .pools = settings->pools,
				 .pool_count = settings->pool_count,
				 .on_up = on_up,
				 .on_down = on_down,
				 .on_pushed = on_pushed,
				 .context = daemon};
	struct link *link;
	bool wanted = settings->pool_count || daemon->lifecycle || settings->lifecycle;
	int err = wanted ? link_start(&conf, &link) : 0;

	if (err || !wanted)
		return err;
	link_stop(daemon->link);
	daemon->link = daemon->feeds.link = link;
	if (daemon->lifecycle)
		lifecycle_use_link(daemon->lifecycle, link);
	/* What another link had to push is this one's now. */
	list_for_each (at, &daemon->feeds.feeds) {
		const struct feed *feed = container_of(at, struct feed, link);

		if (feed->current && !err)
			err = link_push(link, feed->pool, feed->name, feed->current,
					feed->origin != FEED_SOURCE);
	}
	return err;
}
