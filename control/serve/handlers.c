/* SPDX-License-Identifier: Apache-2.0
 *
 * One function for each route. Happy path: what is known is described; or a feed is told what an
 * operator decided, and described as it is then.
 * Failure modes: no such pool or source (404), nothing is held (404), what is held is not what was
 * looked at (409), an argument or a body that is not as it should be (400).
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "control/feed.h"
#include "control/journal.h"
#include "control/serve/desk.h"
#include "proxy/base/clock.h"
#include "proxy/base/embed.h"
#include "proxy/base/http/body.h"
#include "proxy/base/jot.h"

#define EVENTS_DEFAULT 100
#define WAIT_MAX_S     30
#define WHO            64
#define DIGEST_MAX     64

EMBED(serve_page_openapi, "control/serve/openapi.json");

/* --- looking --- */

void serve_get_discovery(struct desk *desk, struct request *request)
{
	request_reply(request, 200, serve_describe(desk));
}

/* NULL with the answer given. */
static struct feed *find_feed(struct desk *desk, struct request *request)
{
	const char *pool = request->segments[2], *name = request->segments[3];
	struct feed *feed = feed_find(desk->conf.feeds, pool, name);

	if (!feed)
		request_refuse(request, 404,
			       "the configuration has no source %.64s of a pool %.64s", name, pool);
	return feed;
}

void serve_get_feed(struct desk *desk, struct request *request)
{
	const struct feed *feed = find_feed(desk, request);

	if (feed)
		request_reply(request, 200, feed_describe(feed, true));
}

void serve_get_events(struct desk *desk, struct request *request)
{
	uint64_t after, limit, wait_s;

	if (!request_number(request, "after", 0, INT64_MAX, &after) ||
	    !request_number(request, "limit", EVENTS_DEFAULT, JOURNAL_KEPT, &limit) ||
	    !request_number(request, "wait_s", 0, WAIT_MAX_S, &wait_s))
		return;
	if (wait_s && !request->waited && journal_count(desk->conf.journal) <= after) {
		request->waited = true;
		request->after = after;
		request->due_us = clock_us() + wait_s * US_PER_SEC;
		return;
	}
	request_reply(request, 200, journal_read(desk->conf.journal, after, (unsigned)limit));
}

void serve_get_metrics(struct desk *desk, struct request *request)
{
	request_reply_text(request, "text/plain; version=0.0.4; charset=utf-8",
			   serve_metrics(desk));
}

/* That there is an answer says it all: it comes from the one loop that does everything. */
void serve_get_healthz(struct desk *desk, struct request *request)
{
	request_reply(request, 200, JOT({"healthy", json_true()}, {"reason", json_null()}));
}

void serve_get_readyz(struct desk *desk, struct request *request)
{
	char why[256];
	bool ready = serve_is_ready(desk, why, sizeof(why));

	request_reply(
		request, ready ? 200 : 503,
		JOT({"ready", json_boolean(ready)}, {"reason", jot_text(ready ? NULL : why)}));
}

void serve_get_openapi(struct desk *desk, struct request *request)
{
	request_reply_text(request, "application/json", strdup(serve_page_openapi));
}

/* --- deciding --- */

/* What a body may say; `digest` stays NULL where it does not. */
struct decision {
	const char *digest;
};

/* `keys` are those of the table that this request knows: 0 or 1. */
static bool read_decision(struct request *request, size_t keys, struct decision *ret_decision)
{
	static const struct body_key table[] = {
		{"digest", BODY_TEXT, .nullable = true, .spaceless = true, .min = 1,
		 .max = DIGEST_MAX, .at = offsetof(struct decision, digest)},
	};

	return !request->body ||
	       body_read(request, request->body, "", table, keys, ret_decision, NULL);
}

static void answer(struct request *request, const struct feed *feed, int err)
{
	if (err == -ENOENT)
		request_refuse(request, 404, "nothing of source %s of pool %s is held", feed->name,
			       feed->pool);
	else if (err == -ESTALE)
		request_refuse(request, 409,
			       "what is held by now has the digest %s: look at it first",
			       feed->hold.digest);
	else
		request_reply(request, 200, feed_describe(feed, false));
}

void serve_post_approve(struct desk *desk, struct request *request)
{
	struct feed *feed = find_feed(desk, request);
	struct decision decision = {0};
	char who[WHO];

	if (!feed || !read_decision(request, 1, &decision))
		return;
	request_who(request, who, sizeof(who));
	answer(request, feed, feed_approve(feed, decision.digest, who));
}

void serve_post_reject(struct desk *desk, struct request *request)
{
	struct feed *feed = find_feed(desk, request);
	char who[WHO];

	if (!feed || !read_decision(request, 0, NULL))
		return;
	request_who(request, who, sizeof(who));
	answer(request, feed, feed_reject(feed, who));
}

void serve_post_refresh(struct desk *desk, struct request *request)
{
	struct feed *feed = find_feed(desk, request);

	if (!feed || !read_decision(request, 0, NULL))
		return;
	feed_trigger(feed, "asked for by an operator");
	answer(request, feed, 0);
}
