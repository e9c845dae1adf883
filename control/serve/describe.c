/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole daemon as JSON. Happy path: a moment of it. Failure modes: memory, then there is no
 * JSON at all.
 */
#include <stdio.h>
#include <unistd.h>

#include "control/aws/aws.h"
#include "control/feed.h"
#include "control/link.h"
#include "control/serve/internal.h"
#include "proxy/base/clock.h"
#include "proxy/base/jot.h"
#include "proxy/base/timestamp.h"
#include "proxy/base/version.h"

static bool is_ready(const struct feed *feed, char *buf, size_t size)
{
	if (feed->origin == FEED_NOTHING || !feed->current)
		snprintf(buf, size, "%s/%s has no targets yet%s%.150s", feed->pool, feed->name,
			 *feed->problem ? ": " : "", feed->problem);
	else if (*feed->push_problem)
		snprintf(buf, size, "the proxy has not what %s/%s found: %.150s", feed->pool,
			 feed->name, feed->push_problem);
	else if (!feed->generation && feed->origin != FEED_PROXY)
		snprintf(buf, size, "the proxy has not yet what %s/%s found", feed->pool,
			 feed->name);
	else
		return true;
	return false;
}

bool describe_is_ready(const struct serve *serve, char *buf, size_t size)
{
	const struct feed_set *feeds = serve->conf.feeds;

	if (serve->conf.proxy && feeds->link && !link_is_up(feeds->link)) {
		snprintf(buf, size, "the proxy does not answer at %s", serve->conf.proxy);
		return false;
	}
	list_for_each (at, &feeds->feeds)
		if (!is_ready(container_of(at, struct feed, link), buf, size))
			return false;
	return true;
}

static json_t *feeds_json(const struct feed_set *feeds)
{
	json_t *array = json_array();

	list_for_each (at, &feeds->feeds)
		if (json_array_append_new(
			    array, feed_describe(container_of(at, struct feed, link), false)) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static json_t *proxy_json(const struct serve *serve)
{
	const struct link *link = serve->conf.feeds->link;

	return JOT({"up", json_boolean(link && link_is_up(link))},
		   {"socket", jot_text(serve->conf.proxy)},
		   {"problem", jot_text(link ? link_problem(link) : NULL)},
		   {"pid", link && link_pid(link) ? json_integer(link_pid(link)) : json_null()});
}

/* Of the first source that has any: most configurations have one place. */
static const struct aws *first_place(const struct feed_set *feeds)
{
	list_for_each (at, &feeds->feeds) {
		const struct feed *feed = container_of(at, struct feed, link);

		if (feed->aws)
			return feed->aws;
	}
	return NULL;
}

static json_t *credentials_json(const struct aws *aws)
{
	uint64_t expires_wall_us = 0;
	const char *provider = aws ? aws_credentials(aws, &expires_wall_us) : NULL;
	char text[TIMESTAMP_TEXT];

	if (!provider)
		return json_null();
	return JOT({"provider", jot_text(provider)},
		   {"expires",
		    jot_text(expires_wall_us ? timestamp_format(expires_wall_us, text) : NULL)});
}

json_t *describe_discovery(const struct serve *serve)
{
	uint64_t uptime_us = clock_wall_us() - serve->started_wall_us;
	char started[TIMESTAMP_TEXT], why[256] = "";
	const struct aws *aws = first_place(serve->conf.feeds);
	bool ready = describe_is_ready(serve, why, sizeof(why));

	return JOT({"version", jot_text(SLUICE_VERSION)}, {"pid", json_integer(getpid())},
		   {"started", jot_text(timestamp_format(serve->started_wall_us, started))},
		   {"uptime_s", json_integer((json_int_t)(uptime_us / US_PER_SEC))},
		   {"ready", json_boolean(ready)},
		   {"not_ready_reason", jot_text(ready ? NULL : why)}, {"proxy", proxy_json(serve)},
		   {"region", jot_text(aws ? aws_region(aws) : NULL)},
		   {"credentials", credentials_json(aws)},
		   {"fleet_size", json_integer(serve->conf.feeds->fleet_size)},
		   {"feeds", feeds_json(serve->conf.feeds)});
}
