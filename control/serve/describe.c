/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole daemon as JSON. Happy path: a moment of it. Failure modes: memory, then there is no
 * JSON at all.
 */
#include <stdio.h>
#include <unistd.h>

#include "control/aws/aws.h"
#include "control/feed.h"
#include "control/lifecycle.h"
#include "control/link.h"
#include "control/queue.h"
#include "control/serve/desk.h"
#include "proxy/base/clock.h"
#include "proxy/base/jot.h"
#include "proxy/base/timestamp.h"
#include "proxy/base/version.h"

/* What only the proxy remembers is nobody's word for what is there now. */
static bool is_ready(const struct feed *feed, char *buf, size_t size)
{
	if (feed->origin < FEED_LASTGOOD)
		snprintf(buf, size, "source %s of pool %s has no targets yet%s%.128s", feed->name,
			 feed->pool,
			 *feed->problem   ? ": "
			 : feed->hold.set ? ": held"
					  : "",
			 feed->problem);
	else if (*feed->push_problem)
		snprintf(buf, size, "the proxy did not take source %s of pool %s: %.128s",
			 feed->name, feed->pool, feed->push_problem);
	else if (!feed->generation)
		snprintf(buf, size, "the proxy does not have source %s of pool %s yet", feed->name,
			 feed->pool);
	else
		return true;
	return false;
}

bool serve_is_ready(const struct desk *desk, char *buf, size_t size)
{
	const struct feed_set *feeds = desk->conf.feeds;

	if (feeds->link && !link_is_up(feeds->link)) {
		snprintf(buf, size, "%s",
			 link_problem(feeds->link) ?: "the proxy has not answered yet");
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

static json_t *proxy_json(const struct desk *desk)
{
	const struct link *link = desk->conf.feeds->link;

	return JOT({"up", json_boolean(link && link_is_up(link))},
		   {"socket", jot_text(desk->conf.proxy)},
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

static json_t *queue_json(const struct desk *desk)
{
	struct queue *const *queue = desk->conf.queue;

	return queue && *queue ? queue_describe(*queue) : json_null();
}

static json_t *lifecycle_json(const struct desk *desk)
{
	struct lifecycle *const *lifecycle = desk->conf.lifecycle;

	return lifecycle && *lifecycle ? lifecycle_describe(*lifecycle) : json_null();
}

json_t *serve_describe(const struct desk *desk)
{
	uint64_t uptime_us = clock_wall_us() - desk->started_wall_us;
	char started[TIMESTAMP_TEXT], why[256] = "";
	const struct aws *aws = first_place(desk->conf.feeds);
	bool ready = serve_is_ready(desk, why, sizeof(why));

	return JOT({"version", jot_text(SLUICE_VERSION)}, {"pid", json_integer(getpid())},
		   {"started", jot_text(timestamp_format(desk->started_wall_us, started))},
		   {"uptime_s", json_integer((json_int_t)(uptime_us / US_PER_SEC))},
		   {"ready", json_boolean(ready)},
		   {"not_ready_reason", jot_text(ready ? NULL : why)}, {"proxy", proxy_json(desk)},
		   {"region", jot_text(aws ? aws_region(aws) : NULL)},
		   {"credentials", credentials_json(aws)}, {"lifecycle", lifecycle_json(desk)},
		   {"queue", queue_json(desk)},
		   {"fleet_size", json_integer(desk->conf.feeds->fleet_size)},
		   {"feeds", feeds_json(desk->conf.feeds)});
}
