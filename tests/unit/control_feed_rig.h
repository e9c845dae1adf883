/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of feeds share: a feed whose source, proxy and clock are the test's. A turn of the
 * loop that would sleep moves the clock instead, so that a day is over at once.
 *
 * Who includes it links with -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=log_event.
 */
#pragma once

#include <stdarg.h>
#include <sys/epoll.h>
#include <time.h>

#include "control/aws/aws.h"
#include "control/feed.h"
#include "control/journal.h"
#include "control/lastgood.h"
#include "control/link.h"
#include "proxy/base/clock.h"
#include "proxy/base/loop.h"
#include "tests/unit/control_rig.h"

#define RIG_KEY   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define RIG_EPOCH (UINT64_C(1800000000) * US_PER_SEC)
#define RIG_HOUR  (3600 * US_PER_SEC)

/* The proxy, as the link would show it. */
struct fake_proxy {
	bool up;
	struct target_set *has; /* link_current() */
	struct target_set *pushed;
	bool unverified;
	unsigned pushes;
	const char *down; /* an id, or NULL */
	int push_err;
};

struct feed_rig {
	struct loop loop;
	struct feed_set feeds;
	struct feed *feed;
	struct source source; /* the feed's */
	struct source_kind kind;
	unsigned fetches;
	bool pending;    /* a fetch waits for its answer */
	unsigned closes; /* of the source */
};

static struct fake_proxy proxy;
static struct feed_rig rig;
static uint64_t sim_us;
static bool simulated; /* between rig_begin() and rig_end(): Check looks at the clock, too */

int __real_clock_gettime(clockid_t id, struct timespec *ret_time);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret_time);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int room, int timeout);
void __wrap_log_event(enum log_level level, const char *event, const char *format, ...);

int __wrap_clock_gettime(clockid_t id, struct timespec *ret_time)
{
	uint64_t us = sim_us + (id == CLOCK_REALTIME ? RIG_EPOCH : 0);

	if (!simulated)
		return __real_clock_gettime(id, ret_time);
	ret_time->tv_sec = (time_t)(us / US_PER_SEC);
	ret_time->tv_nsec = (long)(us % US_PER_SEC * 1000);
	return 0;
}

int __wrap_epoll_wait(int fd, struct epoll_event *events, int room, int timeout)
{
	ck_assert_int_ge(timeout, 0);
	sim_us += (uint64_t)timeout * US_PER_MS;
	return 0;
}

void __wrap_log_event(enum log_level level, const char *event, const char *format, ...)
{
}

/* Nothing here calls AWS. */
__attribute__((weak)) const char *aws_region(const struct aws *aws)
{
	return "eu-west-1";
}
__attribute__((weak)) const char *const aws_error_kind_names[AWS_ERROR_KINDS] = {NULL};

bool link_is_up(const struct link *link)
{
	return proxy.up;
}

int link_push(struct link *link, const char *pool, const char *source, const struct target_set *set,
	      bool unverified)
{
	ck_assert_str_eq(pool, "api");
	ck_assert_str_eq(source, "fake");
	if (proxy.push_err)
		return proxy.push_err;
	target_set_free(proxy.pushed);
	proxy.pushed = target_set_copy(set);
	proxy.unverified = unverified;
	proxy.pushes++;
	return 0;
}

const struct target_set *link_current(const struct link *link, const char *pool, const char *source)
{
	return proxy.has;
}

bool link_is_down(const struct link *link, const char *pool, const struct found_target *target)
{
	return proxy.down && target->id && !strcmp(target->id, proxy.down);
}

static inline void fake_fetch(struct source *source)
{
	ck_assert(!rig.pending);
	rig.pending = true;
	rig.fetches++;
}

static inline void fake_close(struct source *source)
{
	rig.closes++;
}

/* A feed with an interval of 10 s, not started. */
static inline void rig_begin(bool with_link)
{
	memset(&rig, 0, sizeof(rig));
	memset(&proxy, 0, sizeof(proxy));
	sim_us = 1000 * US_PER_SEC;
	simulated = true;
	ck_assert_int_eq(loop_init(&rig.loop), 0);
	list_init(&rig.feeds.feeds);
	rig.feeds.loop = &rig.loop;
	rig.feeds.link = with_link ? (struct link *)&proxy : NULL;
	rig.feeds.journal = journal_new();
	rig.feeds.last_good_max_age_us = 24 * RIG_HOUR;
	rig.kind = (struct source_kind){.name = "fake", .fetch = fake_fetch, .close = fake_close};
	rig.source.kind = &rig.kind;
	rig.feed = feed_new(&rig.feeds, "api", "fake", &rig.kind);
	ck_assert_ptr_nonnull(rig.feed);
	rig.feed->source = &rig.source;
	rig.feed->guard.max_shrink_percent = 30;
	rig.feed->interval_ms = 10000;
	strcpy(rig.feed->key, RIG_KEY);
}

static inline void rig_end(void)
{
	if (rig.feed)
		feed_free(rig.feed);
	ck_assert_uint_eq(rig.closes, 1);
	ck_assert(list_empty(&rig.feeds.feeds));
	journal_free(rig.feeds.journal);
	lastgood_close(rig.feeds.lastgood);
	target_set_free(proxy.has);
	target_set_free(proxy.pushed);
	loop_fini(&rig.loop);
	simulated = false;
}

/* Milliseconds that pass until the source is asked. */
static inline uint64_t rig_wait(void)
{
	uint64_t from_us = sim_us;

	while (!rig.pending)
		loop_turn(&rig.loop);
	return (sim_us - from_us) / US_PER_MS;
}

/* The source is asked, and says this. */
static inline void rig_says(const char *words)
{
	rig_wait();
	rig.pending = false;
	source_done(&rig.source, open_set_of(words));
}

static inline void rig_fails(const char *kind)
{
	rig_wait();
	rig.pending = false;
	source_failed(&rig.source, kind, "the source says %s", kind);
}

/* What is in force is just this. */
static inline void in_force(const char *words)
{
	struct target_set *set = set_of(words);

	ck_assert(target_set_equal(rig.feed->current, set));
	target_set_free(set);
}

static inline void pushed(const char *words, bool unverified)
{
	struct target_set *set = set_of(words);

	ck_assert_ptr_nonnull(proxy.pushed);
	ck_assert(target_set_equal(proxy.pushed, set));
	ck_assert_int_eq(proxy.unverified, unverified);
	target_set_free(set);
}

/* How many of the events that are kept are of this kind and, if `text` is given, have it. */
static inline unsigned events_of(const char *kind, const char *text)
{
	json_t *root = journal_read(rig.feeds.journal, 0, JOURNAL_KEPT);
	json_t *event;
	size_t index;
	unsigned count = 0;

	json_array_foreach (json_object_get(root, "events"), index, event)
		count += !strcmp(json_string_value(json_object_get(event, "kind")), kind) &&
			 (!text || strstr(json_string_value(json_object_get(event, "text")), text));
	json_decref(root);
	return count;
}
