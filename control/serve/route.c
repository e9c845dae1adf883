/* SPDX-License-Identifier: Apache-2.0
 *
 * Who answers what. Happy path: the first route whose words fit is asked; `*` is any word.
 * Failure modes: a path that nobody has (404), one that is only read or only written to (405), a
 * source that is not configured (404), and what an approval can meet: nothing held (404), another
 * set than the one that was looked at (409).
 */
#include <errno.h>
#include <string.h>

#include "control/feed.h"
#include "control/journal.h"
#include "control/serve/internal.h"
#include "proxy/base/conf/units.h"
#include "proxy/base/jot.h"

#define EVENTS_LIMIT 100

static const struct feed_set *feeds_of(const struct exchange *exchange)
{
	return exchange->door->serve->conf.feeds;
}

static void show_all(struct exchange *exchange, struct feed *feed)
{
	exchange_reply(exchange, 200, describe_discovery(exchange->door->serve));
}

static void show(struct exchange *exchange, struct feed *feed)
{
	exchange_reply(exchange, 200, feed_describe(feed, true));
}

static bool read_argument(struct exchange *exchange, const char *name, uint64_t max,
			  uint64_t *ret_value)
{
	const char *why = NULL, *text = MHD_lookup_connection_value(exchange->connection,
								    MHD_GET_ARGUMENT_KIND, name);

	if (!text)
		return true;
	if (units_integer(text, ret_value, &why) == 0 && *ret_value <= max)
		return true;
	exchange_refuse(exchange, 400, "%s: found \"%.40s\"; expected a number up to %llu", name,
			text, (unsigned long long)max);
	return false;
}

static void show_events(struct exchange *exchange, struct feed *feed)
{
	const struct journal *journal = exchange->door->serve->conf.journal;
	uint64_t after = 0, limit = EVENTS_LIMIT;

	if (read_argument(exchange, "after", INT64_MAX, &after) &&
	    read_argument(exchange, "limit", JOURNAL_KEPT, &limit))
		exchange_reply(exchange, 200, journal_read(journal, after, (unsigned)limit));
}

static void show_metrics(struct exchange *exchange, struct feed *feed)
{
	exchange->text = metrics_text(exchange->door->serve);
	exchange->status = exchange->text ? 200 : 500;
}

static void show_health(struct exchange *exchange, struct feed *feed)
{
	exchange_reply(exchange, 200, JOT({"healthy", json_true()}));
}

static void show_readiness(struct exchange *exchange, struct feed *feed)
{
	char why[256] = "";
	bool ready = describe_is_ready(exchange->door->serve, why, sizeof(why));

	exchange_reply(
		exchange, ready ? 200 : 503,
		JOT({"ready", json_boolean(ready)}, {"reason", jot_text(ready ? NULL : why)}));
}

/* {"digest": null or text}, or nothing at all. False with the answer given. `*ret_body` owns the
 * text. */
static bool read_digest(struct exchange *exchange, json_t **ret_body, const char **ret_digest)
{
	json_error_t error;
	const char *key;
	json_t *value, *body = exchange->body_size ? json_loadb(exchange->body, exchange->body_size,
								JSON_REJECT_DUPLICATES, &error)
						   : json_object();

	if (!json_is_object(body)) {
		exchange_refuse(exchange, 400, "the body is no JSON object");
		goto fail;
	}
	json_object_foreach (body, key, value) {
		if (strcmp(key, "digest") || !(json_is_string(value) || json_is_null(value))) {
			exchange_refuse(exchange, 400,
					"found \"%.40s\"; expected nothing but \"digest\", a text "
					"or null",
					key);
			goto fail;
		}
		*ret_digest = json_string_value(value);
	}
	*ret_body = body;
	return true;
fail:
	json_decref(body);
	return false;
}

static void answer_verdict(struct exchange *exchange, const struct feed *feed, int err)
{
	if (err == -ENOENT)
		exchange_refuse(exchange, 404, "nothing of %s/%s is held", feed->pool, feed->name);
	else if (err == -ESTALE)
		exchange_refuse(exchange, 409,
				"what is held of %s/%s has the digest %s, so it is "
				"not what was looked at",
				feed->pool, feed->name, feed->hold.digest);
	else
		exchange_reply(exchange, 200, err ? NULL : feed_describe(feed, false));
}

static void approve(struct exchange *exchange, struct feed *feed)
{
	const char *digest = NULL;
	json_t *body;
	char who[64];

	if (!read_digest(exchange, &body, &digest))
		return;
	answer_verdict(exchange, feed, feed_approve(feed, digest, exchange_who(exchange, who)));
	json_decref(body);
}

static void reject(struct exchange *exchange, struct feed *feed)
{
	char who[64];

	answer_verdict(exchange, feed, feed_reject(feed, exchange_who(exchange, who)));
}

static void refresh(struct exchange *exchange, struct feed *feed)
{
	char who[64];

	feed_trigger(feed, exchange_who(exchange, who));
	exchange_reply(exchange, 200, feed_describe(feed, false));
}

static const struct way {
	bool post;
	const char *words[SERVE_SEGMENTS];
	void (*answer)(struct exchange *exchange, struct feed *feed);
} ways[] = {
	{false, {"v1", "discovery"}, show_all},
	{false, {"v1", "discovery", "*", "*"}, show},
	{true, {"v1", "discovery", "*", "*", "approve"}, approve},
	{true, {"v1", "discovery", "*", "*", "reject"}, reject},
	{true, {"v1", "discovery", "*", "*", "refresh"}, refresh},
	{false, {"v1", "events"}, show_events},
	{false, {"metrics"}, show_metrics},
	{false, {"healthz"}, show_health},
	{false, {"readyz"}, show_readiness},
};

static bool fits(const struct way *way, const struct exchange *exchange)
{
	size_t i;

	for (i = 0; i < SERVE_SEGMENTS && way->words[i]; i++)
		if (i >= exchange->count ||
		    (strcmp(way->words[i], "*") && strcmp(way->words[i], exchange->segments[i])))
			return false;
	return i == exchange->count;
}

static void go(const struct way *way, struct exchange *exchange)
{
	struct feed *feed = NULL;

	if (exchange->count >= 4) {
		feed = feed_find(feeds_of(exchange), exchange->segments[2], exchange->segments[3]);
		if (!feed) {
			exchange_refuse(exchange, 404, "pool %.40s has no source %.40s",
					exchange->segments[2], exchange->segments[3]);
			return;
		}
	}
	way->answer(exchange, feed);
}

void route(struct exchange *exchange)
{
	bool known = false;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (!fits(&ways[i], exchange))
			continue;
		known = true;
		if (ways[i].post == exchange->post) {
			go(&ways[i], exchange);
			return;
		}
	}
	if (known)
		exchange_refuse(exchange, MHD_HTTP_METHOD_NOT_ALLOWED, "%s is not for %s",
				exchange->segments[exchange->count - 1],
				exchange->post ? "POST" : "GET");
	else
		exchange_refuse(exchange, 404, "there is nothing here; see /v1/discovery");
}
