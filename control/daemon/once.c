/* SPDX-License-Identifier: Apache-2.0
 *
 * --once: one round. Happy path: every source has answered, nothing is held, the proxy has all of
 * it, and the loop ends with status 0.
 * Failure modes: a source fails, its answer is held, or the proxy refuses or is not there within
 * ONCE_WAIT_MS: status 3, and the journal has said why.
 */
#include "control/daemon/internal.h"
#include "control/dryrun.h"
#include "control/link.h"
#include "control/options.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"

#define ONCE_LOOK_MS 20
#define ONCE_WAIT_MS 30000

static bool is_asked(const struct feed *feed)
{
	return feed->fetches && !feed->running;
}

static bool is_well(const struct feed *feed)
{
	return !feed->failures && !feed->hold.set && !feed->push_problem[0] && !feed->unjudged;
}

static void on_look(struct timer *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, once_timer);
	bool asked = true, well = true, late = daemon->loop.now_us >= daemon->once_deadline_us;
	bool settled = !daemon->link || link_is_settled(daemon->link);

	list_for_each (at, &daemon->feeds.feeds) {
		const struct feed *feed = container_of(at, struct feed, link);

		asked &= is_asked(feed);
		well &= is_well(feed);
	}
	if (!late && (!asked || !settled)) {
		loop_arm(&daemon->loop, &daemon->once_timer, ONCE_LOOK_MS);
		return;
	}
	if (late)
		log_event(LOG_ERROR, "once_incomplete", "waited_ms=%u proxy=%s", ONCE_WAIT_MS,
			  daemon->link && link_is_up(daemon->link) ? "up" : "down");
	daemon->status = asked && well && settled ? CONTROL_OK : CONTROL_INCOMPLETE;
	daemon->loop.stopping = true;
}

void once_start(struct daemon *daemon)
{
	daemon->once_deadline_us = clock_us() + ONCE_WAIT_MS * US_PER_MS;
	timer_init(&daemon->once_timer, on_look);
	loop_arm(&daemon->loop, &daemon->once_timer, ONCE_LOOK_MS);
}

static void on_dryrun_end(void *context, int status)
{
	struct daemon *daemon = context;

	daemon->status = status;
	daemon->loop.stopping = true;
}

int once_start_dry(struct daemon *daemon)
{
	struct dryrun_conf conf = {.feeds = &daemon->feeds,
				   .link = daemon->link,
				   .out = stdout,
				   .on_end = on_dryrun_end,
				   .context = daemon};
	int err = dryrun_start(&conf, &daemon->dryrun);

	/* Without a pool there is no proxy that will say anything. */
	if (!err && !daemon->link)
		dryrun_on_proxy(daemon->dryrun, "no pool is discovered");
	return err;
}
